"""Held-out bits per spike of the Neuroformer on S1: heads x seeds, by the protocol of the baselines' table.

    python benchmarks/neuroformer_s1.py [--seeds 0 1 2] [--heads hazard chained independent]

Whole segments in ten groups, the first segment of each dropped; fitted on groups 0, 2, 4, 6, 8, 9 (of which a tenth of
the segments is held out for early stopping), scored on 1 and 5 (validation) and on 3 and 7 (test), 50 ms bins, one step
ahead. The rows go to ``results/neuroformer_s1.csv``. Set SKNEURO_DATA to the folder with the recording.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import pathlib
import time

import numpy as np
import sklearn
import torch

import skneuro
from skneuro import NeuroformerEstimator
from skneuro.datasets import block_split, fetch_s1_reaching

RESULTS = pathlib.Path(__file__).parent / "results" / "neuroformer_s1.csv"


def paired_interval(gain: np.ndarray, spikes: np.ndarray, n_draws: int = 2000) -> tuple[float, float]:
    """95 % interval of pooled bits per spike, resampling whole segments (`gain` in nats, one a segment)."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(gain), (n_draws, len(gain)))
    values = gain[drawn].sum(1) / spikes[drawn].sum(1) / np.log(2)
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def run(head: str, seed: int, data, split) -> dict:
    """Fit one model and score it."""
    settings = {"bin_width": 0.05, "window_bins": 1, "gamma": 0.0, "mu": 0.5, "head": head, "random_state": seed}
    model = NeuroformerEstimator(**settings, n_threads=1)
    start = time.process_time()
    model.fit(data.spikes[split.train])
    seconds = time.process_time() - start
    test = data.spikes[split.test]
    null = NullModel(model.base_rate_)
    low, high = paired_interval(model.score_samples(test) - null.score_samples(test), null.n_spikes(test))
    return {
        "model": f"Neuroformer, {head}",
        "seed": seed,
        "validation": round(model.score(data.spikes[split.validation]), 4),
        "test": round(model.score(test), 4),
        "test_low": round(low, 4),
        "test_high": round(high, 4),
        "train": round(model.score(data.spikes[split.train]), 4),
        "epochs": model.n_iter_,
        "cpu_seconds": round(seconds),
        "parameters": sum(p.numel() for p in model.model_.network.parameters()),
        "settings": " ".join(f"{k}={v}" for k, v in settings.items()),
        "date": datetime.date.today().isoformat(),
        "versions": f"skneuro {skneuro.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}",
    }


class NullModel:
    """Constant Poisson rates, segment by segment."""

    def __init__(self, rates: np.ndarray) -> None:
        self.rates = rates

    def score_samples(self, spikes) -> np.ndarray:
        """Log-likelihood of each segment, nats."""
        from skneuro.metrics.likelihood import null_log_likelihood

        binned = spikes.bin(0.05)
        total = np.concatenate([[0.0], np.cumsum(null_log_likelihood(binned, self.rates).sum(1))])
        return total[binned.ptr[1:]] - total[binned.ptr[:-1]]

    @staticmethod
    def n_spikes(spikes) -> np.ndarray:
        """Spikes of each segment."""
        return np.diff(spikes.ptr)


def main() -> None:
    """Print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--heads", nargs="+", default=["hazard", "chained", "independent"])
    arguments = parser.parse_args()
    data = fetch_s1_reaching()
    split = block_split(data.groups, data.gap_mask)
    RESULTS.parent.mkdir(exist_ok=True)
    rows = list(csv.DictReader(RESULTS.open())) if RESULTS.exists() else []
    for seed in arguments.seeds:
        for head in arguments.heads:
            row = run(head, seed, data, split)
            print({k: row[k] for k in ("model", "seed", "validation", "test", "test_low", "test_high", "train")},
                  f"{row['epochs']} epochs, {row['cpu_seconds']} s", flush=True)  # fmt: skip
            # A row of an earlier run gives way to the same model and seed of this one.
            rows = [r for r in rows if (r["model"], str(r["seed"])) != (row["model"], str(seed))] + [row]
            with RESULTS.open("w", newline="") as file:
                writer = csv.DictWriter(file, row)
                writer.writeheader()
                writer.writerows(rows)


if __name__ == "__main__":
    main()
