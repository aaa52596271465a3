"""The S1 protocol that the likelihood benchmarks share: split, scores and intervals.

Whole segments in ten groups, the first segment of each dropped; models see groups 0, 2, 4, 6, 8, 9, are scored on 1
and 5 (validation) and on 3 and 7 (test), 50 ms bins, one step ahead, against constant rates of the training segments.
"""

from __future__ import annotations

import datetime
import time

import numpy as np
import sklearn
import torch

import skneuro
from skneuro.datasets import block_split, fetch_s1_reaching
from skneuro.metrics.likelihood import null_log_likelihood

BIN_WIDTH = 0.05


def load():
    """The spikes of training, validation and test segments."""
    data = fetch_s1_reaching()
    split = block_split(data.groups, data.gap_mask)
    return data.spikes[split.train], data.spikes[split.validation], data.spikes[split.test]


def interval(gain: np.ndarray, spikes: np.ndarray, n_draws: int = 2000) -> tuple[float, float]:
    """95 % interval of pooled bits per spike, resampling whole segments (`gain` in nats, one a segment)."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(gain), (n_draws, len(gain)))
    low, high = np.percentile(gain[drawn].sum(1) / spikes[drawn].sum(1) / np.log(2), [2.5, 97.5])
    return round(float(low), 4), round(float(high), 4)


def measure(name: str, seed: int | str, model, settings: dict, data, opponent=None) -> dict:
    """Fit, score, and put everything that belongs to the number into one row.

    With a fitted `opponent` the row holds the paired difference to it on the test segments, with its interval.
    """
    train, validation, test = data
    start = time.process_time()
    model.fit(train)
    seconds = time.process_time() - start
    binned = test.bin(BIN_WIDTH)
    null = np.add.reduceat(null_log_likelihood(binned, model.base_rate_).sum(1), binned.ptr[:-1])
    low, high = interval(model.score_samples(test) - null, np.diff(test.ptr))
    row = {
        "model": name,
        "seed": seed,
        "validation": round(model.score(validation), 4),
        "test": round(model.score(test), 4),
        "test_low": low,
        "test_high": high,
        "train": round(model.score(train), 4),
        "cpu_seconds": round(seconds),
        "settings": " ".join(f"{k}={v}" for k, v in settings.items()),
        "date": datetime.date.today().isoformat(),
        "versions": f"skneuro {skneuro.__version__}, torch {torch.__version__}, scikit-learn {sklearn.__version__}",
    }
    if opponent is not None:
        gain = model.score_samples(test) - opponent.score_samples(test)
        low, high = interval(gain, np.diff(test.ptr))
        pooled = round(float(gain.sum() / np.diff(test.ptr).sum() / np.log(2)), 4)
        row |= {"to_gru": pooled, "to_gru_low": low, "to_gru_high": high}
    print("  ".join(f"{k} {v}" for k, v in row.items() if k not in ("settings", "date", "versions")), flush=True)
    return row
