"""A modality moved against the spikes: what its contribution looks like where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from skneuro.data.recording import Modality
from skneuro.data.time_series import TimeSeries
from skneuro.data.video import Video

FEWEST_ROWS = 10  # with fewer trials than this, frames are moved within them


def moved(modality: Modality, least: float, rng: np.random.Generator) -> Modality:
    """Move a modality round in a circle, by at least `least` of the session and at most all but that.

    Parameters
    ----------
    modality : TimeSeries or Video
        The samples of a series are moved through all trials, as if they followed each other, under timestamps that
        stay; so its slow changes stay slow. Of a video whole trials are moved, or exchanged at random where clips
        repeat: moved, repeats would come again in the same order, under another name. Where there are fewer than ten
        trials or only one clip, the frames of each trial are moved in time, each trial's by its own amount.
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
    if not isinstance(modality, Video):
        raise TypeError(f"A modality must be a TimeSeries or a Video to be moved. Got {type(modality).__name__}.")
    n_trials, n_clips = len(modality), len(np.unique(modality.index))
    if n_trials < FEWEST_ROWS or n_clips < 2:
        frames = modality.frames
        own = [np.roll(frames[clip], _shift(frames.shape[1], least, rng), axis=0) for clip in modality.index]
        return Video(np.stack(own), timestamps=modality.timestamps[modality.index], t_start=modality.t_start)
    repeats = n_clips < n_trials
    order = rng.permutation(n_trials) if repeats else np.roll(np.arange(n_trials), _shift(n_trials, least, rng))
    index, timestamps = modality.index[order], modality.timestamps
    return Video(modality.frames, timestamps=timestamps, index=index, t_start=modality.t_start)


def _shift(n: int, least: float, rng: np.random.Generator) -> int:
    """Whole number of samples, neither near 0 nor near n."""
    low = min(int(np.ceil(least * n)), n // 2)
    return int(rng.integers(low, max(n - low, low) + 1))


def all_moved(
    modalities: dict[str, Modality], names: Sequence[str], n_shifts: int, least: float, rng: np.random.Generator
) -> dict[tuple[str, int], Modality]:
    """Every modality moved `n_shifts` times, by (name, number of the shift)."""
    return {(name, k): moved(modalities[name], least, rng) for name in names for k in range(n_shifts)}
