"""The whitened spike-triggered average: receptive fields without a model, which a model's maps are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skneuro.data import BinnedSpikes, Modalities, Recording, SpikeTrains, Video
from skneuro.data._validation import check_width
from skneuro.inspection.stimulus_maps import StimulusMaps

MOST_VALUES = 10_000  # pixels times lags: the covariance of more does not fit into memory
BINS_AT_ONCE = 4096


def whitened_sta(
    spikes: SpikeTrains | Recording,
    video: Video | None = None,
    *,
    bin_width: float,
    span: float = 0.3,
    shrinkage: Sequence[float] = (1e-3, 1e-2, 1e-1, 1.0, 10.0),
) -> StimulusMaps:
    """Average of the frames before each unit's spikes, divided by the covariance of the frames.

    The ridge regression of a unit's counts on the frames of the last `span` seconds: ``(C + a I)^-1 STA``, the linear
    filter that predicts the counts best. Frames before the clip count as the mean frame. The shrinkage ``a``, in units
    of the mean variance of a pixel, is chosen for each unit on every fifth clip, then all are fitted. Bins in which a
    unit was not observed are left out.

    Parameters
    ----------
    spikes : SpikeTrains or Recording
        Trials.
    video : Video or None, default=None
        What they saw; the only video of the Recording if None.
    bin_width : float, in seconds
        Width of the bins.
    span : float, in seconds, default=0.3
        Longest lag.
    shrinkage : sequence of float, default=(0.001, 0.01, 0.1, 1.0, 10.0)
        Candidates.

    Returns
    -------
    StimulusMaps
        `slopes` has the filters (spikes per bin for a pixel that is brighter by 1, summed over channels), `maps` their
        size times the standard deviation of the pixel: the root mean square of what a pixel adds. NaN for a unit
        that was observed in no bin with a frame (of the clips that are fitted first).

    Raises
    ------
    TypeError
        If there is no SpikeTrains and Video.
    ValueError
        If trials do not match, a parameter is out of range, no frame is on in any bin, or pixels times lags are too
        many.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.datasets import make_stimulus_driven_population
    >>> from skneuro.inspection import whitened_sta
    >>> data = make_stimulus_driven_population(n_units=2, n_clips=60, n_repeats=2, stimulus="white", random_state=0)
    >>> found = whitened_sta(data.spikes, data.video, bin_width=1 / 30)
    >>> bool(np.corrcoef(found.slopes.ravel(), data.receptive_fields.ravel())[0, 1] > 0.5)
    True
    """
    spikes, video = _given(spikes, video)
    check_width(span, "span")
    candidates = np.asarray(shrinkage, dtype=float)
    if candidates.ndim != 1 or not len(candidates) or not (candidates > 0).all():
        raise ValueError(f"shrinkage must be positive numbers. Got {shrinkage!r:.80} instead.")
    binned = spikes.bin(bin_width)
    interval = float(np.median(video.frame_interval))
    total = n_values(video, span)
    n_lags = total // int(np.prod(video.frames.shape[2:]))
    if total > MOST_VALUES:
        raise ValueError(
            f"{n_lags} lags of frames of shape {video.frames.shape[2:]} are {total:,} values, more than "
            f"{MOST_VALUES:,}. Make the frames smaller (average pixels) or span shorter."
        )
    clip = np.repeat(video.index, np.diff(binned.ptr))
    on = video.on_bins(binned) >= 0
    if not on.any():
        raise ValueError("No bin of these trials sees the video; check the times of the frames (t_start, timestamps).")
    distinct = np.unique(video.index)
    held = np.isin(clip, distinct[::5]) if len(distinct) > 1 else np.arange(len(clip)) % 5 == 0
    filters, sd = (np.full((binned.n_units, total), np.nan) for _ in range(2))
    patterns, pattern = np.unique(binned.mask() & on[:, None], axis=1, return_inverse=True)
    for k, seen in enumerate(patterns.T):  # units that were observed in the same bins
        units = np.flatnonzero(pattern.ravel() == k)
        if (seen & ~held).any():
            parts = [_moments(binned, video, np.flatnonzero(seen & rows), n_lags, units) for rows in (~held, held)]
            filters[units], sd[units] = _filters(parts, candidates)
    shape = (len(filters), n_lags, *video.frames.shape[2:4], -1)
    filters, sd = filters.reshape(shape), sd.reshape(shape)
    lags = (np.arange(n_lags) + 0.5) * interval if np.isfinite(interval) else np.array([span / 2])
    maps = np.sqrt(((filters * sd) ** 2).sum(axis=-1))
    return StimulusMaps("sta", maps, spikes.unit_ids, lags, slopes=filters.sum(axis=-1))


def n_values(video: Video, span: float) -> int:
    """Pixels times lags: the length of a filter."""
    interval = float(np.median(video.frame_interval))
    n_lags = max(round(span / interval), 1) if np.isfinite(interval) else 1
    return n_lags * int(np.prod(video.frames.shape[2:]))


def _given(spikes: Any, video: Any) -> tuple[SpikeTrains, Video]:
    if isinstance(spikes, Recording):
        video = spikes.modalities if video is None else video
        spikes = spikes.spikes
    if isinstance(video, Modalities):
        videos = [modality for _, modality in video.items() if isinstance(modality, Video)]
        video = videos[0] if len(videos) == 1 else None
    if not isinstance(spikes, SpikeTrains) or not isinstance(video, Video):
        raise TypeError(
            f"whitened_sta needs SpikeTrains and a Video (one, in a Recording). Got {type(spikes).__name__} and "
            f"{type(video).__name__}."
        )
    if len(video) != len(spikes):
        raise ValueError(f"The video must be of the same {len(spikes)} trials as the spikes. Got {len(video)} trials.")
    return spikes, video


def _filters(parts: list[tuple[np.ndarray, np.ndarray, int]], candidates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Filters (U, F) from the moments of bins to fit and bins to choose the shrinkage on; the sd of the frames (F,)."""
    scale = np.trace(parts[0][0]) / len(parts[0][0]) / max(parts[0][2], 1)  # mean variance of a pixel
    coefficients = _ridge(parts[0], candidates * scale)
    (gram, cross, _) = parts[1]
    loss = np.stack([np.einsum("fu,fu->u", c, gram @ c) - 2 * np.einsum("fu,fu->u", c, cross) for c in coefficients])
    best = loss.argmin(axis=0)
    whole = tuple(a + b for a, b in zip(*parts, strict=True))
    found = _ridge(whole, candidates * scale)
    filters = np.stack([found[k][:, unit] for unit, k in enumerate(best)])
    return filters, np.sqrt(np.diag(whole[0]) / max(whole[2], 1))


def _moments(
    binned: BinnedSpikes, video: Video, bins: np.ndarray, n_lags: int, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray, int]:
    """Sums of products of frames with frames (F, F) and with counts (F, U), less their means; the number of bins."""
    mean = video.frames[np.unique(video.index)].mean(axis=(0, 1), dtype=np.float64)
    frames = (video.frames - mean).reshape(len(video.frames), video.frames.shape[1], -1)
    clip, on = np.repeat(video.index, np.diff(binned.ptr)), video.on_bins(binned)
    size = n_lags * frames.shape[2]
    counts = binned.dense()[:, units]
    rate = counts[bins].mean(axis=0) if len(bins) else 0.0
    gram, cross = np.zeros((size, size)), np.zeros((size, len(units)))
    for low in range(0, len(bins), BINS_AT_ONCE):
        rows = bins[low : low + BINS_AT_ONCE]
        frame = on[rows, None] - np.arange(n_lags)
        seen = frames[clip[rows, None], np.maximum(frame, 0)] * (frame >= 0)[..., None]
        seen = seen.reshape(len(rows), -1)
        gram += seen.T @ seen
        cross += seen.T @ (counts[rows] - rate)
    return gram, cross, len(bins)


def _ridge(moments: tuple[np.ndarray, np.ndarray, int], shrinkage: np.ndarray) -> list[np.ndarray]:
    """Filters (F, U) for each shrinkage of the covariance."""
    gram, cross, n = moments
    size, basis = np.linalg.eigh(gram / max(n, 1))
    along = basis.T @ (cross / max(n, 1))
    return [basis @ (along / (np.maximum(size, 0) + a)[:, None]) for a in shrinkage]
