"""Held-out bits per spike of every baseline on S1, by the protocol of `_s1.py`.

    python benchmarks/baselines_s1.py [--seeds 0 1 2] [--models NAME ...]

Penalties and stopping are chosen inside the training segments. The rows go to ``results/baselines_s1.csv``. Set
SKNEURO_DATA to the folder with the recording.
"""

from __future__ import annotations

import argparse
import pathlib

from _machine import keep_exactly
from _s1 import BIN_WIDTH, load, measure

from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson

RESULTS = pathlib.Path(__file__).parent / "results" / "baselines_s1.csv"
FIXED = {
    "constant Poisson": (HomogeneousPoisson, {}),
    "constant counts": (ConstantMarginal, {}),
    "GLM, Poisson": (CoupledGLM, {}),
    "GLM, Poisson, same bin": (CoupledGLM, {"same_bin": "linear"}),
    "GLM, negative binomial, same bin": (CoupledGLM, {"same_bin": "linear", "counts": "negative_binomial"}),
    "GLM, categorical, same bin": (CoupledGLM, {"same_bin": "linear", "counts": "categorical"}),
}
SEEDED = {
    "GRU, categorical, nonlinear same bin": (GRUModel, {}),
    "GRU, Poisson": (GRUModel, {"counts": "poisson", "same_bin": None}),
    "GRU, Poisson, same bin": (GRUModel, {"counts": "poisson", "same_bin": "linear"}),
    "no recurrence, categorical": (GRUModel, {"recurrent": False, "same_bin": "linear"}),
}


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--models", nargs="+", default=[*FIXED, *SEEDED], choices=[*FIXED, *SEEDED])
    arguments = parser.parse_args()
    data = load()
    for name in arguments.models:
        kind, settings = {**FIXED, **SEEDED}[name]
        settings = {"bin_width": BIN_WIDTH, **settings}
        for seed in arguments.seeds if name in SEEDED else ["-"]:
            random = {"random_state": seed} if name in SEEDED else {}
            row = measure(name, seed, kind(**settings, **random), settings, data)
            keep_exactly(RESULTS.stem, row, ("model", "seed"))


if __name__ == "__main__":
    main()
