"""A modality moved against the spikes: what its contribution looks like where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skneuro.data.covariates import Covariates
from skneuro.data.events import Events
from skneuro.data.modality import Modality
from skneuro.data.pulses import Pulses
from skneuro.data.time_series import TimeSeries
from skneuro.data.video import Video

FEWEST_ROWS = 10  # with fewer trials than this, frames are moved within them


def moved(modality: Modality, least: float, rng: np.random.Generator) -> Modality:
    """Move a modality round in a circle, by at least `least` of the session and at most all but that.

    Parameters
    ----------
    modality : TimeSeries, Events, Pulses, Covariates or Video
        The samples of a series are moved through all trials, as if they followed each other, under timestamps that
        stay; so its slow changes stay slow. So are events and pulses in time, and covariates by whole trials. Of a
        video whole trials are moved, or exchanged at random where clips repeat: moved, repeats would come again in the
        same order, under another name. Where there are fewer than ten trials or only one clip, the frames of each
        trial are moved in time, each trial's by its own amount.
    least : float
        Share of the session, below 0.5.
    rng : Generator

    Raises
    ------
    TypeError
        If it is something else.
    """
    if isinstance(modality, TimeSeries):
        shift = _shift(len(modality.values), least, rng)
        values = np.roll(modality.values, shift, axis=0)
        return TimeSeries(values, modality.timestamps, modality.ptr, names=modality.names, missing=modality.missing)
    if isinstance(modality, Events):
        return _moved_events(modality, rng.uniform(least, 1 - least))
    if isinstance(modality, Pulses):
        return _moved_pulses(modality, rng.uniform(least, 1 - least))
    if isinstance(modality, Covariates):
        return modality[np.roll(np.arange(len(modality)), _shift(len(modality), least, rng))]
    if not isinstance(modality, Video):
        raise TypeError(
            f"A modality must be a TimeSeries, Events, Pulses, Covariates or a Video to be moved in a circle. Got "
            f"{type(modality).__name__}: leave it out, or take n_shifts=0."
        )
    n_trials, n_clips = len(modality), len(np.unique(modality.index))
    if n_trials < FEWEST_ROWS or n_clips < 2:
        frames = modality.frames
        own = [np.roll(frames[clip], _shift(frames.shape[1], least, rng), axis=0) for clip in modality.index]
        return Video(np.stack(own), timestamps=modality.timestamps[modality.index], t_start=modality.t_start)
    repeats = n_clips < n_trials
    order = rng.permutation(n_trials) if repeats else np.roll(np.arange(n_trials), _shift(n_trials, least, rng))
    index, timestamps = modality.index[order], modality.timestamps
    return Video(modality.frames, timestamps=timestamps, index=index, t_start=modality.t_start)


def _moved_events(events: Events, share: float) -> Events:
    """Times moved through all trials by this share of their time."""
    times, order, ptr = _moved_times(events.times, events, share)
    return Events(times, events.labels[order], ptr, events.t_start, events.t_stop, names=events.names)


def _moved_pulses(pulses: Pulses, share: float) -> Pulses:
    """Onsets moved through all trials by this share of their time; a pulse keeps its length, target and power."""
    onset, order, ptr = _moved_times(pulses.onset, pulses, share)
    return Pulses(
        onset, pulses.duration[order], ptr, pulses.t_start, pulses.t_stop,
        names=pulses.names, target=pulses.target[order], power=pulses.power[order],
    )  # fmt: skip


def _moved_times(times: np.ndarray, of: Events | Pulses, share: float) -> tuple[np.ndarray, ...]:
    """Moved times in the order of trial and time, what stood where before, and the row pointer."""
    border = np.concatenate([[0.0], np.cumsum(of.t_stop - of.t_start)])
    trial = np.repeat(np.arange(len(of)), np.diff(of.ptr))
    place = (border[trial] + times - of.t_start[trial] + share * border[-1]) % border[-1]
    trial = np.minimum(np.searchsorted(border, place, side="right"), len(of)) - 1
    times = np.minimum(of.t_start[trial] + place - border[trial], of.t_stop[trial])
    order = np.lexsort((times, trial))
    return times[order], order, np.searchsorted(trial[order], np.arange(len(of) + 1))


def _shift(n: int, least: float, rng: np.random.Generator) -> int:
    """Whole number of samples, neither near 0 nor near n."""
    low = min(int(np.ceil(least * n)), n // 2)
    return int(rng.integers(low, max(n - low, low) + 1))


def all_moved(
    modalities: dict[str, Modality], names: Sequence[str], n_shifts: int, least: float, rng: np.random.Generator
) -> dict[tuple[str, int], Modality]:
    """Every modality moved `n_shifts` times, by (name, number of the shift)."""
    return {(name, k): moved(modalities[name], least, rng) for name in names for k in range(n_shifts)}
