"""What is trained on and what is held out for early stopping: whole trials, or blocks of a long one with a gap."""

from __future__ import annotations

import numpy as np

from skneuro.data import Modalities, Video
from skneuro.training.stretches import Segments

N_BLOCKS = 10
LONG = 3.0  # times its share of the data: a trial that is not held out as a whole


def whole_trials(n_bins: np.ndarray) -> Segments:
    """Every trial that has a bin, whole."""
    trial = np.flatnonzero(n_bins > 0)
    return Segments(trial, np.zeros(len(trial), dtype=np.int64), n_bins[trial])


def hold_out(
    n_bins: np.ndarray, fraction: float, gap: int, rng: np.random.Generator | None, groups: np.ndarray | None = None
) -> tuple[Segments, Segments | None]:
    """Split off a validation set.

    With enough trials, whole trials are drawn, those of a group (repeats of one clip) together: a clip that was
    trained on would let memory pass for prediction. Otherwise, and where one trial is so long
    that little would be left without it, every trial is cut into ten time blocks, some are drawn, and the `gap` bins on
    both sides of each are used for neither. Blocks must be longer than two gaps: where all trials are too short for
    that, at least one whole trial is drawn. None for one trial that is too short.

    Parameters
    ----------
    n_bins : ndarray of shape (n_trials,)
    fraction : float
        Share of the data to hold out.
    gap : int
        Bins that a model remembers.
    rng : Generator or None
        Draws what is held out; None spreads it evenly over the recording.
    groups : ndarray of shape (n_trials,), default=None
        Trials that must stay together; every trial for itself where None, or where all are in one group.

    Returns
    -------
    training, validation : Segments
    """
    whole = whole_trials(n_bins)
    grouped = groups is not None and len(np.unique(groups[whole.trial])) > 1
    enough = fraction * len(whole) >= 0.5 and len(whole) >= N_BLOCKS
    if enough and (grouped or not _one_is_long(whole, fraction)):
        return _hold_out_trials(whole, fraction, rng, groups)
    held_blocks = min(max(round(fraction * N_BLOCKS), 1), N_BLOCKS - 1)
    kept, held_out = [], []
    for trial in whole.trial:
        borders = np.linspace(0, n_bins[trial], N_BLOCKS + 1).astype(np.int64)
        if borders[1] <= 2 * gap or borders[1] < 10:
            kept.append((trial, 0, n_bins[trial]))
            continue
        blocks = np.sort(_some(N_BLOCKS, held_blocks, rng))
        free = np.ones(n_bins[trial], dtype=bool)
        for block in blocks:
            held_out.append((trial, borders[block], borders[block + 1]))
            free[max(borders[block] - gap, 0) : borders[block + 1] + gap] = False
        edges = np.flatnonzero(np.diff(np.concatenate([[0], free, [0]]).astype(np.int8)))
        kept += [(trial, start, stop) for start, stop in edges.reshape(-1, 2)]
    if held_out:
        return _segments(kept), _segments(held_out)
    return _hold_out_trials(whole, fraction, rng, groups) if len(whole) > 1 else (whole, None)


def _one_is_long(whole: Segments, fraction: float) -> bool:
    """Whether a trial holds much more than what is to be held out, and than the others."""
    share = whole.stop / whole.stop.sum()
    return bool(share.max() > max(2 * fraction, LONG / len(whole)))


def _hold_out_trials(
    whole: Segments, fraction: float, rng: np.random.Generator | None, groups: np.ndarray | None
) -> tuple[Segments, Segments]:
    group = np.arange(len(whole))
    if groups is not None and len(np.unique(groups[whole.trial])) > 1:
        group = np.unique(groups[whole.trial], return_inverse=True)[1]
    n_groups = int(group.max()) + 1
    chosen = _some(n_groups, min(max(round(fraction * n_groups), 1), n_groups - 1), rng)
    held = np.isin(group, chosen)
    return whole.take(np.flatnonzero(~held)), whole.take(np.flatnonzero(held))


def _some(n: int, k: int, rng: np.random.Generator | None) -> np.ndarray:
    return ((np.arange(k) + 0.5) * n / k).astype(np.int64) if rng is None else rng.permutation(n)[:k]


def shown_clips(modalities: Modalities | None) -> np.ndarray | None:
    """Clip of each trial, where trials share a video: `groups` of :func:`hold_out`."""
    videos = [m for _, m in modalities.items() if isinstance(m, Video)] if modalities is not None else []
    return videos[0].clip_ids if videos else None


def _segments(rows: list[tuple[int, int, int]]) -> Segments:
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Segments(table[:, 0], table[:, 1], table[:, 2])
