"""Held-out bits per spike of the Neuroformer on S1, heads x seeds, by the protocol of `_s1.py`.

    python benchmarks/neuroformer_s1.py [--seeds 0 1 2] [--heads hazard chained independent]

Default settings, but 50 ms bins and windows of one bin. Beside every score stands the paired difference to the best
baseline, the GRU of `baselines_s1.py`, fitted anew with the same seed. The rows go to ``results/neuroformer_s1.csv``.
Set SKNEURO_DATA to the folder with the recording.
"""

from __future__ import annotations

import argparse
import pathlib

from _machine import keep_exactly
from _s1 import BIN_WIDTH, load, measure

from skneuro import NeuroformerEstimator
from skneuro.baselines import GRUModel

RESULTS = pathlib.Path(__file__).parent / "results" / "neuroformer_s1.csv"


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--heads", nargs="+", default=["hazard", "chained", "independent"])
    arguments = parser.parse_args()
    data = load()
    for seed in arguments.seeds:
        opponent = GRUModel(bin_width=BIN_WIDTH, random_state=seed).fit(data[0])
        for head in arguments.heads:
            settings = {"bin_width": BIN_WIDTH, "window_bins": 1, "gamma": 0.0, "mu": 0.5, "head": head}
            model = NeuroformerEstimator(**settings, random_state=seed)
            row = measure(f"Neuroformer, {head}", seed, model, settings, data, opponent)
            keep_exactly(RESULTS.stem, row, ("model", "seed"))


if __name__ == "__main__":
    main()
