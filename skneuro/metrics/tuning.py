"""Tuning curves and place fields."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries
from skneuro.metrics._checks import check_spikes, observed_counts
from skneuro.metrics._responses import unit_correlation

__all__ = ["map_correlation", "tuning_maps"]


def tuning_maps(
    spikes: SpikeTrains, variable: TimeSeries, edges: Any, bin_width: float, *, min_occupancy: float = 0.0
) -> np.ndarray:
    """Mean rate of each unit by the value of a variable: tuning curves, or place fields of two variables.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    variable : TimeSeries of d signals
        Of the same trials; for simulated ones ``variable[simulated.trial_ids]``.
    edges : sequence of d array-likes, or one array-like where d is 1
        Ascending borders of the classes of each signal; the last class holds its upper border, as in
        `numpy.histogram`. Values outside are left out.
    bin_width : float, in seconds
        Width of the bins in which spikes are counted and the variable is read.
    min_occupancy : float, in seconds, default=0.0
        Time for which a unit must have been observed in a class; with less its rate there is not known. With 0 a
        single bin makes a class, and a glitch of the tracking with two spikes in it a peak: `map_correlation`, for
        which all classes weigh the same, can fall from 1 to 0 by it. Half a second or more keeps such classes out.

    Returns
    -------
    maps : ndarray of shape (n_units, n_classes) or (n_units, n_classes_x, n_classes_y, ...), in hertz
        NaN for a class that the variable never took, or for less than `min_occupancy`.

    Raises
    ------
    ValueError
        If trials or signals do not fit, borders do not ascend, or `min_occupancy` is negative.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains, TimeSeries
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.2, 0.7]]], 0.0, 1.0)
    >>> speed = TimeSeries.from_lists([[0.0, 0.0, 5.0, 5.0]], rate=4.0)
    >>> tuning_maps(spikes, speed, [0.0, 1.0, 10.0, 20.0], bin_width=0.25)
    array([[ 4.,  2., nan]])
    """
    check_spikes(spikes)
    if not isinstance(variable, TimeSeries):
        raise TypeError(f"variable must be a TimeSeries. Got {type(variable).__name__}.")
    if len(variable) != len(spikes):
        raise ValueError(f"variable must have the same {len(spikes)} trials as the spikes. Got {len(variable)}.")
    if isinstance(min_occupancy, bool) or not isinstance(min_occupancy, Real) or not 0 <= min_occupancy < np.inf:
        raise ValueError(f"min_occupancy must be a time of at least 0 s. Got {min_occupancy!r:.80} instead.")
    borders = _read_edges(edges, variable.shape[1])
    binned = spikes.bin(bin_width)
    values = variable.on_bins(binned)
    shape = tuple(len(border) - 1 for border in borders)
    place = [_class_of(values[:, k], border) for k, border in enumerate(borders)]
    inside = np.isfinite(values).all(axis=1)
    inside &= np.all([(p >= 0) & (p < n) for p, n in zip(place, shape, strict=True)], axis=0)
    cell = np.ravel_multi_index(tuple(p[inside] for p in place), shape)
    counts = observed_counts(binned)[inside]
    seen = np.isfinite(counts)
    total, n = (np.zeros((int(np.prod(shape)), binned.n_units)) for _ in range(2))
    np.add.at(total, cell, np.where(seen, counts, 0.0))
    np.add.at(n, cell, seen)
    known = (n > 0) & (n * binned.bin_width >= min_occupancy * (1 - 1e-9))
    rate = np.divide(total, n * binned.bin_width, out=np.full(n.shape, np.nan), where=known)
    return rate.T.reshape(binned.n_units, *shape)


def _read_edges(edges: Any, d: int) -> list[np.ndarray]:
    """Borders of the classes of each of `d` signals."""
    if not isinstance(edges, (list, tuple, np.ndarray)) or np.size(edges[:1]) == 0:
        raise ValueError(f"edges must be the borders of the classes, such as np.linspace(0, 1, 11). Got {edges!r:.80}.")
    borders = [np.asarray(e, dtype=np.float64) for e in (edges if np.ndim(edges[0]) else [edges])]
    if len(borders) != d:
        raise ValueError(f"edges must hold the borders of {d} signals. Got borders of {len(borders)}.")
    for border in borders:
        if border.ndim != 1 or len(border) < 2 or not (np.diff(border) > 0).all():
            raise ValueError(f"edges must ascend, at least two of them. Got {border}.")
    return borders


def _class_of(values: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Number of the class of each value; the last one holds its upper border."""
    place = np.searchsorted(border, values, side="right") - 1
    return np.where(values == border[-1], len(border) - 2, place)


def map_correlation(recorded: Any, sampled: Any) -> np.ndarray:
    """Correlation of the recorded with the simulated map of each unit.

    Parameters
    ----------
    recorded, sampled : array-like of shape (n_units, ...), in hertz
        Maps by the same classes, as `tuning_maps` gives them; with its `min_occupancy`, for all classes weigh the same.

    Returns
    -------
    correlation : ndarray of shape (n_units,)
        Over the classes that both know; NaN for a map that is constant.

    Raises
    ------
    ValueError
        If shapes differ.

    Examples
    --------
    >>> map_correlation([[1.0, 2.0, 4.0]], [[2.0, 4.0, 8.0]]).round(6)
    array([1.])
    """
    a, b = np.asarray(recorded, dtype=np.float64), np.asarray(sampled, dtype=np.float64)
    if a.shape != b.shape or a.ndim < 2:
        raise ValueError(f"Maps must have one shape (n_units, n_classes, ...). Got {a.shape} and {b.shape}.")
    return unit_correlation(a.reshape(len(a), -1).T, b.reshape(len(b), -1).T)
