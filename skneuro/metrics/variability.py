"""What a unit does over time: its intervals, the variance of its counts and their autocorrelation."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._rows import concatenated_ranges
from skneuro.data._validation import check_width
from skneuro.data.observation import Observation
from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import (
    check_spikes,
    check_whole_bins,
    observed_counts,
    stimulus_numbers,
    trial_and_place,
)

__all__ = ["autocorrelation", "fano_factors", "interval_table"]


def interval_table(spikes: SpikeTrains, *, bin_width: float | None = None, short: float = 0.003) -> pd.DataFrame:
    """Inter-spike intervals of each unit: their number, mean, spread, and how many are short.

    Intervals lie within a trial; one that spans time in which the unit was not observed does not count.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    bin_width : float, in seconds, default=None
        Put every spike at the start of its bin first, to compare a recording with a simulation in bins. Spikes of
        one bin are then 0 s apart.
    short : float, in seconds, default=0.003
        Intervals below this are short: of a well isolated unit there are few, because it is refractory.

    Returns
    -------
    table : DataFrame, one row a unit
        ``n``, ``mean`` and ``sd`` (seconds), ``cv``, and ``short_share``. NaN with too few intervals.

    Notes
    -----
    A simulation knows nothing below its bin width: spikes of one bin are at one time, and count as short intervals.
    Whether a model keeps a refractory period of 3 ms can only be asked at bins of 3 ms or less.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.3, 0.302]]], 0.0, 1.0)
    >>> interval_table(spikes)[["n", "short_share"]].values.tolist()
    [[2.0, 0.5]]
    """
    check_width(short, "short")
    check_spikes(spikes)
    if bin_width is not None:
        spikes.bin(bin_width)  # says what is wrong with it
    interval, unit = _intervals(spikes, bin_width)
    n_units = spikes.shape[1]
    n = np.bincount(unit, minlength=n_units)
    some, two = n > 0, n > 1
    mean = np.where(some, np.bincount(unit, interval, n_units) / np.maximum(n, 1), np.nan)
    square = np.bincount(unit, (interval - mean[unit]) ** 2, n_units)
    sd = np.where(two, np.sqrt(square / np.maximum(n - 1, 1)), np.nan)
    is_short = np.bincount(unit, interval < short - 1e-9, n_units)
    return pd.DataFrame(
        {
            "n": n,
            "mean": mean,
            "sd": sd,
            "cv": np.divide(sd, mean, out=np.full(n_units, np.nan), where=mean > 0),
            "short_share": np.where(some, is_short / np.maximum(n, 1), np.nan),
        },
        index=pd.Index(spikes.unit_ids, name="unit"),
    )


def _intervals(spikes: SpikeTrains, bin_width: float | None) -> tuple[np.ndarray, np.ndarray]:
    """All intervals, in seconds, and the column of their unit."""
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    times = spikes.times - spikes.t_start[trial]
    unit = spikes.units.astype(np.int64)
    # The start of a gap stands between the spikes on either side of it.
    at, of_trial, of_unit = _gap_marks(spikes.observation, spikes.t_start, spikes.shape[1])
    times, trial, unit = np.append(times, at), np.append(trial, of_trial), np.append(unit, of_unit)
    mark = np.arange(len(times)) >= len(spikes.times)
    order = np.lexsort((times, unit, trial))
    times, trial, unit, mark = times[order], trial[order], unit[order], mark[order]
    if bin_width is not None:
        times = np.floor(times / bin_width + 1e-6) * bin_width
    same = (np.diff(trial) == 0) & (np.diff(unit) == 0) & ~mark[1:] & ~mark[:-1]
    return np.diff(times)[same], unit[1:][same]


def _gap_marks(gaps: Observation | None, t_start: np.ndarray, n_units: int) -> tuple[np.ndarray, ...]:
    if gaps is None:
        return np.empty(0), np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    n = np.where(gaps.unit < 0, n_units, 1)  # a gap of all units is one of each
    columns = concatenated_ranges(np.maximum(gaps.unit, 0), n)
    return np.repeat(gaps.start - t_start[gaps.trial], n), np.repeat(gaps.trial, n), columns


def fano_factors(spikes: SpikeTrains, window: float, stimulus_ids: Any = None) -> np.ndarray:
    """Variance over mean of the counts in windows.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    window : float, in seconds
        Width of the windows that tile each trial.
    stimulus_ids : array-like of shape (n_trials,), default=None
        Which stimulus each trial had. The variance is then over the repeats of a stimulus, at the same place of the
        trial, and so without the variance that the stimulus causes. None: over all windows.

    Returns
    -------
    fano : ndarray of shape (n_units,)
        1 for a Poisson process whose rate is constant, or known from the stimulus; NaN for a silent unit.

    Raises
    ------
    ValueError
        If no stimulus was repeated, or no trial is as long as the window.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.2]], [[]], [[0.1]], [[0.3]]], 0.0, 0.5)
    >>> fano_factors(spikes, 0.5, [0, 0, 1, 1])
    array([1.])
    """
    binned = check_spikes(spikes).bin(window)
    trial, place = trial_and_place(binned)
    if stimulus_ids is None:
        cell = np.zeros(binned.n_bins, dtype=np.int64)
    else:
        ids = stimulus_numbers(stimulus_ids, len(spikes))
        cell = np.unique(np.stack([ids[trial], place]), axis=1, return_inverse=True)[1].ravel()
    counts = observed_counts(binned)
    seen = np.isfinite(counts)
    shape = (int(cell.max()) + 1, binned.n_units)
    n, total, square = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    np.add.at(n, cell, seen)
    np.add.at(total, cell, np.where(seen, counts, 0.0))
    mean = total / np.maximum(n, 1)
    np.add.at(square, cell, np.where(seen, (counts - mean[cell]) ** 2, 0.0))
    enough = n > 1
    if not enough.any():
        check_whole_bins(binned, "window")
        if stimulus_ids is None:
            raise ValueError(f"Fano factors need at least two windows of {window:g} s. Use a shorter window.")
        raise ValueError("Fano factors need a stimulus that was repeated, or stimulus_ids=None. Got no repeat.")
    variance = np.where(enough, square / np.maximum(n - 1, 1), 0.0).sum(axis=0)
    mean = np.where(enough, mean, 0.0).sum(axis=0)
    return np.divide(variance, mean, out=np.full(binned.n_units, np.nan), where=mean > 0)


def autocorrelation(spikes: SpikeTrains, bin_width: float, n_lags: int = 20) -> np.ndarray:
    """Correlation of a unit's count in a bin with its own some bins later, within trials.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    bin_width : float, in seconds
        Width of a bin.
    n_lags : int, default=20
        Lags 1 to `n_lags` bins.

    Returns
    -------
    autocorrelation : ndarray of shape (n_units, n_lags)
        Covariance over the variance of all bins; NaN for a unit that does not vary, and where no pair of bins is
        that far apart.

    Raises
    ------
    ValueError
        If `n_lags` is not an int of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> alternating = SpikeTrains.from_counts(np.tile([[0], [2]], (50, 1)), 0.1)
    >>> autocorrelation(alternating, 0.1, n_lags=2).round(6)
    array([[-1.,  1.]])
    """
    if isinstance(n_lags, bool) or not isinstance(n_lags, Integral) or n_lags < 1:
        raise ValueError(f"n_lags must be an int of at least 1. Got {n_lags!r:.80} instead.")
    binned = check_spikes(spikes).bin(bin_width)
    trial, _ = trial_and_place(binned)
    counts = observed_counts(binned)
    seen = np.isfinite(counts)
    x = np.where(seen, counts, 0.0)
    n = np.maximum(seen.sum(axis=0), 1)
    x = np.where(seen, x - x.sum(axis=0) / n, 0.0)
    variance = (x**2).sum(axis=0) / n
    result = np.full((binned.n_units, int(n_lags)), np.nan)
    for lag in range(1, min(int(n_lags), binned.n_bins - 1) + 1):
        same = (trial[lag:] == trial[:-lag])[:, None]
        pairs = (seen[lag:] & seen[:-lag] & same).sum(axis=0)
        product = (x[lag:] * x[:-lag] * same).sum(axis=0) / np.maximum(pairs, 1)
        known = (pairs > 0) & (variance > 0)
        result[known, lag - 1] = product[known] / variance[known]
    return result
