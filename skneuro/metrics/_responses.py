"""Reading of responses, and means that leave out what was not observed."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro.data.binning import BinnedSpikes


def as_list(responses: Any, name: str, ndims: tuple[int, ...] = (3,)) -> list[np.ndarray]:
    """Responses to several stimuli, one float array each; a single array is one stimulus."""
    if isinstance(responses, dict):
        raise TypeError(
            f"{name} must be an array or a list of arrays, one for each stimulus. Got a dict; take .values()."
        )
    several = isinstance(responses, (list, tuple)) and all(isinstance(r, np.ndarray) for r in responses)
    arrays = [np.asarray(r, dtype=np.float64) for r in (responses if several else [responses])]
    shape = " or ".join({2: "(n_bins, n_units)", 3: "(n_repeats, n_bins, n_units)"}[n] for n in ndims)
    for array in arrays:
        if array.ndim not in ndims or 0 in array.shape:
            raise ValueError(f"{name} must be of shape {shape}, none of them 0. Got shape {array.shape} instead.")
        if np.isinf(array).any() or (array < 0).any():
            raise ValueError(f"{name} must be finite counts of at least 0, or NaN where a cell was not observed.")
    if not arrays:
        raise ValueError(f"{name} must hold at least one stimulus. Got an empty list.")
    if len({array.shape[-1] for array in arrays}) > 1:
        raise ValueError(f"{name} must have the same units for every stimulus. Got {[a.shape[-1] for a in arrays]}.")
    return arrays


def check_pair(recorded: Any, predicted: Any) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Recorded and predicted responses of the same stimuli, bins and units."""
    recorded = as_list(recorded, "recorded")
    predicted = as_list(predicted, "predicted", (2, 3))
    if len(recorded) != len(predicted):
        raise ValueError(f"There must be one prediction a stimulus. Got {len(predicted)} for {len(recorded)} stimuli.")
    for r, p in zip(recorded, predicted, strict=True):
        if r.shape[1:] != p.shape[-2:]:
            raise ValueError(
                f"Predictions must have the bins and units of the recording, {r.shape[1:]}. Got {p.shape[-2:]}."
            )
        if p.ndim == 3 and len(p) < 2:
            raise ValueError(
                "One simulated spike train is not a rate: its noise would be scored as a prediction. Got n_samples=1; "
                "draw many (sample(..., n_samples=20)), or give expected counts of shape (n_bins, n_units)."
            )
    return recorded, predicted


def stacked(responses: list[np.ndarray]) -> np.ndarray:
    """All cells of a unit under one another, (n_cells, n_units)."""
    return np.concatenate([r.reshape(-1, r.shape[-1]) for r in responses])


def mean_over(counts: np.ndarray) -> np.ndarray:
    """Mean over the first axis of what was observed; NaN where nothing was."""
    seen = np.isfinite(counts)
    n = seen.sum(axis=0)
    return np.where(n > 0, np.where(seen, counts, 0.0).sum(axis=0) / np.maximum(n, 1), np.nan)


def unit_correlation(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Pearson correlation of the columns over the rows that both know; NaN for a constant column."""
    both = np.isfinite(a) & np.isfinite(b)
    n = np.maximum(both.sum(axis=0), 1)
    a = np.where(both, a - np.where(both, a, 0.0).sum(axis=0) / n, 0.0)
    b = np.where(both, b - np.where(both, b, 0.0).sum(axis=0) / n, 0.0)
    power = (a**2).sum(axis=0) * (b**2).sum(axis=0)
    varies = power > 1e-20
    return np.where(varies, (a * b).sum(axis=0) / np.sqrt(np.where(varies, power, 1.0)), np.nan)


def observed_rates(binned: BinnedSpikes) -> np.ndarray:
    """Rate of each unit (n_units,), in hertz, in the time that it was observed; NaN without any."""
    seconds = binned.exposure()
    return np.divide(binned.unit_counts(), seconds, out=np.full(len(seconds), np.nan), where=seconds > 0)
