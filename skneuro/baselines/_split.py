"""Held-out blocks inside the training data: whole trials, or stretches of one long trial."""

from __future__ import annotations

import numpy as np

from skneuro.data._rows import concatenated_ranges
from skneuro.training.split import hold_out, whole_trials
from skneuro.training.stretches import Segments

_N_BLOCKS = 10


def held_out_bins(ptr: np.ndarray, fraction: float, gap: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Choose blocks spread evenly over the recording.

    With ten trials or more, blocks are runs of whole trials; fewer, or very unequal ones, are cut in time.

    Parameters
    ----------
    ptr : ndarray of shape (n_trials + 1,)
        Bins of each trial.
    fraction : float
        Share of the bins to hold out; 0 holds out none.
    gap : int, default=0
        Bins next to a held-out stretch of the same trial that belong to neither part; at most a quarter of a block.

    Returns
    -------
    train, held_out : ndarray of shape (n_bins,), bool
        Disjoint. `held_out` is empty where the data are too short to be split.
    """
    n_bins = int(ptr[-1])
    period = n_bins / _N_BLOCKS
    n_held = max(1, round(fraction * _N_BLOCKS))
    none = np.zeros(n_bins, dtype=bool)
    if fraction == 0 or period < 1 or n_held >= _N_BLOCKS:
        return ~none, none
    chosen = ((np.arange(n_held) + 0.5) * _N_BLOCKS / n_held).astype(int)
    in_time = np.isin(np.minimum(((np.arange(n_bins) + 0.5) / period).astype(int), _N_BLOCKS - 1), chosen)
    held = in_time
    if len(ptr) - 1 >= _N_BLOCKS:
        block = np.minimum(((ptr[:-1] + ptr[1:]) / 2 / period).astype(int), _N_BLOCKS - 1)
        held = np.repeat(np.isin(block, chosen), np.diff(ptr))
        if not 0.4 <= held.mean() / in_time.mean() <= 2.5:  # a long trial lies in a block, or in none
            held = in_time
    train = ~_widen(held, ptr, min(gap, int(period / 4)))
    return (train, held) if train.any() else (~none, none)


def spread_bins(ptr: np.ndarray, fraction: float, gap: int, groups: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Hold out trials, or blocks of long ones, as the Neuroformer does, but evenly spread over the recording.

    Parameters
    ----------
    ptr : ndarray of shape (n_trials + 1,)
        Bins of each trial.
    fraction : float
        Share to hold out; 0 holds out none.
    gap : int
        Bins next to a block that belong to neither part.
    groups : ndarray of shape (n_trials,) or None
        Trials that stay together.

    Returns
    -------
    train, held_out : ndarray of shape (n_bins,), bool
        Disjoint. `held_out` is empty where the data are too short to be split.
    """
    n_bins = np.diff(ptr)
    parts = hold_out(n_bins, fraction, gap, None, groups) if fraction else (whole_trials(n_bins), None)
    masks = []
    for part in parts:
        mask = np.zeros(ptr[-1], dtype=bool)
        if part is not None:
            mask[concatenated_ranges(ptr[part.trial] + part.start, part.stop - part.start)] = True
        masks.append(mask)
    return masks[0], masks[1]


def stretches(selected: np.ndarray, ptr: np.ndarray) -> Segments:
    """The :func:`runs` of selected bins, as stretches of their trials."""
    first, stop = runs(selected, ptr).T
    trial = np.searchsorted(ptr, first, side="right") - 1
    return Segments(trial, first - ptr[trial], stop - ptr[trial])


def _widen(held: np.ndarray, ptr: np.ndarray, gap: int) -> np.ndarray:
    """Held-out bins and those within `gap` bins of one in the same trial."""
    wide = held.copy()
    for start, stop in zip(ptr[:-1], ptr[1:], strict=True):
        trial = held[start:stop]
        if gap == 0 or trial.all() or not trial.any():
            continue
        edges = np.flatnonzero(trial)
        number = np.arange(stop - start)
        after = np.searchsorted(edges, number)
        nearest = np.minimum(
            np.abs(edges[np.minimum(after, len(edges) - 1)] - number), np.abs(number - edges[np.maximum(after - 1, 0)])
        )
        wide[start:stop] = nearest <= gap
    return wide


def runs(selected: np.ndarray, ptr: np.ndarray) -> np.ndarray:
    """Uninterrupted stretches of selected bins within trials, (n_runs, 2): first bin and the one after the last."""
    first = np.zeros(len(selected) + 1, dtype=bool)
    first[ptr] = True
    padded = np.concatenate([[False], selected, [False]])
    begins = selected & (~padded[:-2] | first[:-1])
    ends = selected & (~padded[2:] | first[1:])
    return np.stack([np.flatnonzero(begins), np.flatnonzero(ends) + 1], axis=1)
