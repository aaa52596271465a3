"""Training with `compile=True` beside training without it: CPU time of an epoch, and what the first one costs more.

    python benchmarks/compiled.py [--quick] [--write]

Two models of the same seed train in turns on the same simulated recording, one epoch each, through the public
interface, each case in a process of its own. Nothing is in the compiler's cache at first; its own time, that of the
processes it starts included, is the first epoch's over a later one's.
"""

from __future__ import annotations

import os
import resource
import tempfile

import numpy as np
import torch
from _machine import arguments, in_own_process, interleave, keep, provenance, show

# name, units, parameters
CASES = [
    ("20 units", 20, {}),
    ("100 units", 100, {}),
    ("300 units", 300, {}),
    ("100 units, d_model=256", 100, {"d_model": 256}),
]
WAYS = {"as it is": False, "compiled": True}


def used() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def measure(name: str, n_units: int, parameters: dict, turns: int, quick: bool, seed: int) -> dict:
    """One row."""
    from _product import estimator

    from skneuro.data import SpikeTrains

    rng = np.random.default_rng(seed)
    shape = (4, 100, n_units) if quick else (8, 400, n_units)
    spikes = SpikeTrains.from_counts(rng.poisson(0.05, shape), bin_width=0.01)
    models = {w: estimator(random_state=seed, gamma=0.0, compile=c, **parameters) for w, c in WAYS.items()}
    start = used()
    models["compiled"].partial_fit(spikes)
    first, graphs = used() - start, torch._dynamo.utils.counters["stats"]["unique_graphs"]
    models["as it is"].partial_fit(spikes)
    times = interleave({w: lambda m=m: m.partial_fit(spikes) for w, m in models.items()}, turns)
    plain, compiled = times["as it is"].median, times["compiled"].median
    scores = [model.score(spikes) for model in models.values()]
    return {
        "case": name,
        "epoch, CPU s": plain,
        "compiled epoch, CPU s": compiled,
        "ratio": plain / compiled,
        "compiling, CPU s": first - compiled,
        "graphs of the first epoch": graphs,
        "of all": torch._dynamo.utils.counters["stats"]["unique_graphs"],
        "difference of bits/spike": abs(scores[1] - scores[0]),
        "turns": turns,
    }


def main() -> None:
    options = arguments(__doc__)
    rows = []
    for case in CASES[:1] if options.quick else CASES:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
            rows.append(in_own_process(measure, *case, 1 if options.quick else 5, options.quick, options.seed)[0])
        show("Training, CPU time of an epoch", rows[-1:])
    show("Training, CPU time of an epoch", rows)
    if options.write:
        settings = "5 Hz, 8 trials of 400 bins of 10 ms, no stimulus, else default parameters"
        keep("compiled", [{**row, **provenance(options.seed, settings)} for row in rows], ["case"])


if __name__ == "__main__":
    main()
