"""The architecture of the released Neuroformer, written anew from a description of it, twice over the same weights.

`network` holds the parameters, `plain` computes as the released system is described to (blocks padded to their full
size, T x T attention written out, loops over units and bins, no cache), `fast` and `fast_sampling` compute the same
numbers as skneuro computes its own model. Where the description was silent the released source was read for the fact;
nothing here is code of it. `plain` is a stand-in for the released system, and what is measured against `plain` is not a
measurement of the released system (`reference.py` is).
"""
