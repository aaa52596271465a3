"""Checks that the metrics of spikes share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._validation import check_width
from skneuro.data.binning import BinnedSpikes
from skneuro.data.spike_trains import SpikeTrains


def check_spikes(spikes: Any, name: str = "spikes") -> SpikeTrains:
    """Return `spikes`, which must be `SpikeTrains` with a trial and a unit."""
    if not isinstance(spikes, SpikeTrains):
        raise TypeError(f"{name} must be SpikeTrains. Got {type(spikes).__name__}; convert with as_spike_trains.")
    if 0 in spikes.shape:
        raise ValueError(f"{name} must hold at least one trial and one unit. Got {spikes!r:.80}.")
    return spikes


def check_same_units(recorded: Any, sampled: Any) -> None:
    """Refuse spikes whose units are not the same in the same order."""
    check_spikes(recorded, "recorded")
    check_spikes(sampled, "sampled")
    if not np.array_equal(recorded.unit_ids, sampled.unit_ids):
        raise ValueError(
            "recorded and sampled must have the same units in the same order. Use "
            "recorded.select_units(sampled.unit_ids)."
        )


def check_stimulus_ids(stimulus_ids: Any, n_trials: int, name: str = "stimulus_ids") -> np.ndarray:
    """Return which stimulus each trial had, numbers or text, in a plain array."""
    ids = np.asarray(stimulus_ids)
    if ids.shape != (n_trials,):
        raise ValueError(f"{name} must have one entry for each of {n_trials} trials. Got shape {ids.shape}.")
    missing = np.flatnonzero(pd.isna(ids))
    if len(missing):
        raise ValueError(
            f"{name} must name the stimulus of every trial. Got {ids[missing[0]]} for trial {missing[0]} "
            f"({len(missing)} such trials in all); leave these trials out, or give each an id of its own."
        )
    return np.array(ids.tolist()) if ids.dtype == object else ids


def stimulus_numbers(stimulus_ids: Any, n_trials: int) -> np.ndarray:
    """Return the stimulus of each trial as integers ``0, 1, ...``."""
    return np.unique(check_stimulus_ids(stimulus_ids, n_trials), return_inverse=True)[1]


def bins_of_window(window: Any, bin_width: Any) -> int:
    """Bins of `bin_width` in a window, which must be a multiple of it."""
    n_bins = round(check_width(window, "window") / check_width(bin_width, "bin_width"))
    if n_bins < 1 or abs(n_bins * bin_width - window) > 1e-6 * window:
        raise ValueError(f"window must be a multiple of bin_width={bin_width:g} s. Got {window:g} s.")
    return n_bins


def check_whole_bins(binned: BinnedSpikes, name: str) -> None:
    """Refuse bins (or windows) that are longer than every observed stretch of the trials."""
    if not binned.mask().any():
        raise ValueError(
            f"The {name} of {binned.bin_width:g} s is longer than the observed time of every trial. Use a shorter one."
        )


def trial_and_place(binned: BinnedSpikes) -> tuple[np.ndarray, np.ndarray]:
    """Trial of each bin, and its number within the trial."""
    lengths = np.diff(binned.ptr)
    return np.repeat(np.arange(binned.n_trials), lengths), np.arange(binned.n_bins) - np.repeat(
        binned.ptr[:-1], lengths
    )


def observed_counts(binned: BinnedSpikes) -> np.ndarray:
    """Counts (n_bins, n_units), NaN where a cell was not observed."""
    return np.where(binned.mask(), binned.dense().astype(np.float64), np.nan)


def rmse(a: np.ndarray, b: np.ndarray) -> float:
    """Root mean square difference over what both know; NaN where they share nothing."""
    both = np.isfinite(a) & np.isfinite(b)
    return float(np.sqrt(np.mean((a[both] - b[both]) ** 2))) if both.any() else float("nan")
