"""When clips come on within their trials: repeats of a clip are repeats of a trial only where that is the same."""

from __future__ import annotations

import numpy as np

from skneuro._warn import warn_user
from skneuro.data._validation import TOLERANCE
from skneuro.data.video import Video


def onset_bins(video: Video, t_start: np.ndarray, bin_width: float) -> np.ndarray:
    """Bins from the start of each trial to its clip, (n_trials,), as int.

    Trials within half a bin of the median trial of their clip have the same, wherever a bin ends.
    """
    late = (video.t_start - t_start) / bin_width
    bins = np.zeros(len(late), dtype=np.int64)
    for clip in np.unique(video.index):
        mine = video.index == clip
        usual = np.sort(late[mine])[mine.sum() // 2]
        away = late[mine] - usual
        bins[mine] = np.floor(usual + 0.5 + TOLERANCE) + np.sign(away) * np.ceil(np.abs(away) - 0.5 - TOLERANCE)
    return bins


def told_onsets(video: Video, t_start: np.ndarray, bin_width: float, so: str) -> np.ndarray:
    """The :func:`onset_bins`; says where a clip comes on at different times, and what is made of it (`so`)."""
    bins, late = onset_bins(video, t_start, bin_width), video.t_start - t_start
    for clip in np.unique(video.index):
        mine = video.index == clip
        if np.ptp(bins[mine]):
            warn_user(
                f"Clip {clip} of a video comes on {late[mine].min():.4g} to {late[mine].max():.4g} s after the start "
                f"of its trials, which differs by more than half a bin of {bin_width:g} s. {so} Give trials that "
                f"start with the clip (Video.t_start), or leave those out that differ."
            )
            break
    return bins
