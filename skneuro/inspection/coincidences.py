"""Spikes of different units within a fraction of a millisecond: duplicated units and shared artefacts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse, stats

from skneuro.data import SpikeTrains

COINCIDENCE = 0.5e-3  # s; two spikes this close are one event of the amplifier, not of two cells
HOLE = 1.5e-3  # s; a cross-correlogram empty out to here is the refractory period of one cell
JITTER = 20e-3  # s; chance coincidences are those left when spikes are moved within such a bin
_SLACK = 1e-7  # s; two times a whole tick apart must not be separated by rounding


def timeline(spikes: SpikeTrains) -> np.ndarray:
    """Times of all spikes on one axis, a second of silence between trials: no interval spans two of them."""
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    return spikes.times - spikes.t_start[trial] + _trial_offsets(spikes)[trial]


def _trial_offsets(spikes: SpikeTrains) -> np.ndarray:
    """Start of each trial on the axis of `timeline`."""
    length = np.asarray(spikes.t_stop - spikes.t_start, dtype=float)
    return np.concatenate([[0.0], np.cumsum(length + 1.0)[:-1]])


def shared_events(spikes: SpikeTrains, window: float = 1e-3) -> tuple[np.ndarray, np.ndarray]:
    """Instants at which improbably many units fire together: electrical artefacts, chewing, stimulus pulses.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    window : float, default=0.001
        Width of an event, in seconds.

    Returns
    -------
    member : ndarray of shape (n_spikes,), bool
        Which spikes belong to an event.
    first : ndarray of shape (n_events,), int
        Index of the first spike of each event.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import shared_events
    >>> rng = np.random.default_rng(0)
    >>> times = [np.sort(np.append(rng.uniform(0, 100, 200), 50.0)) for _ in range(10)]  # all fire at 50 s
    >>> member, first = shared_events(SpikeTrains.from_lists([times], 0.0, 100.0))
    >>> len(first), int(member.sum())
    (1, 10)
    """
    t = timeline(spikes)
    member = np.zeros(t.size, dtype=bool)
    n_units = spikes.shape[1]
    if t.size == 0 or n_units < 4:
        return member, np.zeros(0, dtype=int)
    last = np.searchsorted(t, t + window, side="right")
    size = last - np.arange(t.size)
    around = np.searchsorted(t, t + 25 * window) - np.searchsorted(t, t - 25 * window)
    # the event's own spikes are taken out of the local rate it is compared with
    expected = np.maximum(around - size, 1) / 50
    enough = max(4, int(np.ceil(0.2 * n_units)))
    unlikely = stats.poisson.sf(size - 2, expected) * t.size < 1e-3
    candidates = np.flatnonzero((size >= enough) & unlikely)
    first, stop = [], 0
    for i in candidates:
        if i >= stop and np.unique(spikes.units[i : last[i]]).size >= enough:
            first.append(i)
            stop = last[i]
            member[i:stop] = True
    return member, np.asarray(first, dtype=int)


def _pair_counts(t: np.ndarray, units: np.ndarray, n_units: int, lag: float) -> np.ndarray:
    """Pairs of spikes at most `lag` apart, as a symmetric (n_units, n_units) matrix."""
    counts = np.zeros(n_units * n_units, dtype=np.int64)
    i, k = np.arange(t.size), 0
    while i.size:
        k += 1
        i = i[i + k < t.size]
        i = i[t[i + k] - t[i] <= lag + _SLACK]
        counts += np.bincount(units[i] * np.int64(n_units) + units[i + k], minlength=counts.size)
    square = counts.reshape(n_units, n_units)
    return square + square.T - np.diag(np.diag(square))


def _same_bin_pairs(t: np.ndarray, units: np.ndarray, n_units: int, width: float) -> np.ndarray:
    """Pairs of spikes of two units that share a bin of `width` seconds."""
    bins = np.floor(t / width).astype(np.int64)
    _, row = np.unique(bins, return_inverse=True)
    counts = sparse.coo_array((np.ones(t.size), (row, units)), shape=(row.max(initial=-1) + 1, n_units)).tocsr()
    return np.asarray((counts.T @ counts).todense())


def zero_lag_pairs(spikes: SpikeTrains, exclude: np.ndarray | None = None) -> pd.DataFrame:
    """Compare how often two units fire within 0.5 ms of each other with what slower co-variation predicts.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording, with spike times (not counts).
    exclude : ndarray of shape (n_spikes,), bool, default=None
        Spikes to leave out, such as those of shared artefacts.

    Returns
    -------
    pairs : DataFrame
        One row a pair of units, the most suspicious first: `unit`, `other` (unit ids), `coincidences`,
        `expected` (by moving spikes within 20 ms), `z`, `share` (excess coincidences over the spikes of the
        unit with fewer), `expected_wide` (pairs within 1.5 ms that two cells of these rates have by chance) and
        `hole` (pairs within 1.5 ms over that number: near 0 for one cell split in two, near 1 for two cells).
        Only time in which both units were observed counts.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import zero_lag_pairs
    >>> rng = np.random.default_rng(0)
    >>> cell = np.sort(rng.uniform(0, 100, 500))
    >>> other = np.sort(rng.uniform(0, 100, 500))
    >>> pairs = zero_lag_pairs(SpikeTrains.from_lists([[cell, cell, other]], 0.0, 100.0))  # one cell sorted twice
    >>> pairs.iloc[0][["unit", "other"]].astype(int).tolist()
    [0, 1]

    Notes
    -----
    The expectation is the interval jitter of Amarasingham et al. (2012, J Neurophysiol 107:517) in closed
    form: of two spikes placed at random in a bin of width D, a share 2d/D - (d/D)^2 lies within d.
    """
    keep = slice(None) if exclude is None else ~exclude
    t, units, n_units = timeline(spikes)[keep], spikes.units[keep].astype(np.int64), spikes.shape[1]
    near, wide = _pair_counts(t, units, n_units, COINCIDENCE), _pair_counts(t, units, n_units, HOLE)
    same_bin = _same_bin_pairs(t, units, n_units, JITTER)
    n, seconds = _seen_together(spikes, t, units)  # n[i, j]: spikes of i while j was observed
    by_rate = n * n.T * 2 / np.maximum(seconds, 1e-9)

    def chance(count: np.ndarray, lag: float) -> np.ndarray:
        p = 2 * lag / JITTER - (lag / JITTER) ** 2
        return np.maximum(np.maximum(same_bin - count, 0) * p / (1 - p), by_rate * lag)

    expected, expected_wide = chance(near, COINCIDENCE), by_rate * HOLE
    i, j = np.triu_indices(n_units, k=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        table = pd.DataFrame(
            {
                "unit": np.asarray(spikes.unit_ids)[i],
                "other": np.asarray(spikes.unit_ids)[j],
                "coincidences": near[i, j],
                "expected": expected[i, j],
                "z": ((near - expected) / np.sqrt(expected))[i, j],
                "share": ((near - expected) / np.minimum(n, n.T))[i, j],
                "expected_wide": expected_wide[i, j],
                "hole": (wide / expected_wide)[i, j],
            }
        )
    return table.sort_values("share", ascending=False, ignore_index=True)


def _seen_together(spikes: SpikeTrains, t: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spikes of each unit in the time when another was observed, and the seconds both were: two (n_units, n_units).

    `t` and `units` are spikes on the axis of `timeline`.
    """
    n_units, length = spikes.shape[1], np.asarray(spikes.duration, dtype=float)
    if spikes.observation is None:
        n = np.bincount(units, minlength=n_units).astype(float)
        return np.repeat(n[:, None], n_units, axis=1), np.full((n_units, n_units), length.sum())
    gaps = spikes.observation
    offset = _trial_offsets(spikes)
    trial = np.repeat(np.arange(len(spikes)), np.diff(gaps.ptr))
    low, high = (at - spikes.t_start[trial] + offset[trial] for at in (gaps.start, gaps.stop))
    # The axis falls into segments in which each unit was observed throughout or not at all.
    borders = np.unique(np.concatenate([offset, offset + length, low, high]))
    middle = (borders[:-1] + borders[1:]) / 2
    inside = middle < (offset + length)[np.searchsorted(offset, middle, side="right") - 1]
    observed = np.repeat(inside[:, None], n_units, axis=1).astype(float)  # (n_segments, n_units)
    for a, b, unit in zip(np.searchsorted(borders, low), np.searchsorted(borders, high), gaps.unit, strict=True):
        observed[a:b, slice(None) if unit < 0 else unit] = 0.0
    segment = np.clip(np.searchsorted(borders, t, side="right") - 1, 0, len(middle) - 1)
    spikes_in = np.zeros_like(observed)
    np.add.at(spikes_in, (segment, units), 1.0)
    return spikes_in.T @ observed, observed.T @ (np.diff(borders)[:, None] * observed)
