"""Trials in the time of the session: whether they are on one clock, in order, and which of them overlap."""

from __future__ import annotations

import numpy as np

from skneuro.data.spike_trains import SpikeTrains

_TOLERANCE = 1e-6  # seconds


def on_one_clock(spikes: SpikeTrains) -> bool:
    """Whether trials stand at their times in the session.

    They do not where they overlap and all of them hold one instant, as trials do that begin at 0 s or are aligned to
    an event. Blocks of a trial (`cut`) keep its id, and count as that trial.
    """
    if not any_overlap(spikes):
        return True
    ids, trial = np.unique(spikes.trial_ids, return_inverse=True)
    first, last = np.full(len(ids), np.inf), np.full(len(ids), -np.inf)
    np.minimum.at(first, trial, spikes.t_start)
    np.maximum.at(last, trial, spikes.t_stop)
    return bool(first.max() >= last.min())


def any_overlap(spikes: SpikeTrains) -> bool:
    """Whether two trials share scored time; their context is another trial's anyway."""
    start = spikes.t_start + spikes.context
    order = np.argsort(start, kind="stable")
    return bool((start[order][1:] < np.maximum.accumulate(spikes.t_stop[order])[:-1] - _TOLERANCE).any())


def in_order(spikes: SpikeTrains) -> bool:
    """Whether no trial begins before the one in the row above."""
    return not (np.diff(spikes.t_start) < 0).any()


def overlapping(spikes: SpikeTrains, others: np.ndarray) -> np.ndarray:
    """Mask of the trials that share scored time with one of the rows `others`."""
    start, stop = spikes.t_start + spikes.context, spikes.t_stop
    begun = np.searchsorted(np.sort(start[others]), stop - _TOLERANCE)
    ended = np.searchsorted(np.sort(stop[others]), start + _TOLERANCE, side="right")
    return begun > ended
