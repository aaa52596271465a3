"""`Video`: clips shown in trials, each frame with its own time; repeats of a clip share storage."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skneuro.data._rows import frozen
from skneuro.data._validation import TOLERANCE, as_times, check_width, per_trial, seconds
from skneuro.data.modality import Modality, Samples, spread

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes

# Of a video that is measured: as float64 they are 1 MB.
VALUES_AT_ONCE = 2**17


class Video(Modality):
    """Video clips, one row per trial.

    Frame ``k`` of a clip is on from ``timestamps[k]`` until ``timestamps[k + 1]``; a dropped frame is an
    irregular timestamp, and the frame before it is held. The last frame is on for the clip's median frame
    interval.

    Parameters
    ----------
    frames : array-like of shape (n_clips, T, H, W) or (n_clips, T, H, W, C)
        Frames of each clip; not copied, so leave the array as it is.
    fps : float, in frames per second, default=None
        Frame rate; give either this or `timestamps`.
    timestamps : array-like of shape (T,) or (n_clips, T), in seconds, default=None
        Onset of each frame, strictly ascending, counted from the trial's `t_start`.
    index : array-like of shape (n_trials,), int, default=None
        Clip that was shown in each trial; each clip once, in order, if None.
    t_start : float or array-like of shape (n_trials,), in seconds, default=0.0
        Onset of the clip in each trial, on the clock of the spikes.

    Attributes
    ----------
    frames, timestamps, index, t_start
        As the parameters, read-only arrays; `timestamps` has shape (n_clips, T).

    Raises
    ------
    ValueError
        If frames hold NaN or infinity, both or neither of `fps` and `timestamps` are given, timestamps do not
        ascend, or `index` names a clip that is not there.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import Video
    >>> video = Video(np.zeros((2, 30, 8, 12), dtype=np.uint8), fps=30.0, index=[0, 1, 0, 1])
    >>> video.shape
    (4, 30, 8, 12)
    >>> video[2:].clip_ids
    array([0, 1])
    """

    __slots__ = ("frames", "index", "t_start", "timestamps")
    _array_remedy = "use .frames[.index]"

    frames: np.ndarray
    timestamps: np.ndarray
    index: np.ndarray
    t_start: np.ndarray

    def __init__(
        self,
        frames: Any,
        fps: float | None = None,
        *,
        timestamps: Any = None,
        index: Any = None,
        t_start: Any = 0.0,
    ) -> None:
        frames = np.asarray(frames)
        if frames.ndim not in (4, 5) or frames.dtype.kind not in "uifb":
            raise ValueError(
                f"frames must be numbers of shape (n_clips, T, H, W) or (n_clips, T, H, W, C). Got shape "
                f"{frames.shape} and dtype {frames.dtype} instead; for a single clip use frames[None]."
            )
        if frames.shape[1] == 0:
            raise ValueError("frames must hold at least one frame per clip. Got T = 0.")
        _check_finite(frames)
        if index is None:
            index = np.arange(len(frames))
        index = np.array(index)
        if index.size == 0:
            index = index.astype(np.int64)
        if index.ndim != 1 or index.dtype.kind not in "iu":
            raise ValueError("index must be a 1-D array with the clip (int) of each trial.")
        if len(index) and not (0 <= index.min() and index.max() < len(frames)):
            raise ValueError(f"index must name clips 0 .. {len(frames) - 1}. Got {index.min()} .. {index.max()}.")
        self._set(
            frames=frozen(frames),
            timestamps=frozen(_frame_times(fps, timestamps, frames.shape[0], frames.shape[1])),
            index=frozen(index.astype(np.int64)),
            t_start=frozen(per_trial(t_start, len(index), "t_start")),
        )

    @classmethod
    def from_images(cls, images: Any, index: Any = None, *, t_start: Any = 0.0) -> Self:
        """Make stills: one image that is on from `t_start` to the end of the trial.

        Parameters
        ----------
        images : array-like of shape (n_images, H, W) or (n_images, H, W, C)
            The images.
        index : array-like of shape (n_trials,), int, default=None
            Image of each trial; each image once, in order, if None.
        t_start : float or array-like of shape (n_trials,), in seconds, default=0.0
            When it comes on, on the clock of the spikes. Before, add a blank image with a `Video` of two frames.

        Returns
        -------
        Video
            Clips of one frame.

        Raises
        ------
        ValueError
            As `Video`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Video
        >>> Video.from_images(np.zeros((5, 8, 8)), index=[0, 4, 4])
        Video(3 trials, 5 clips of 1 x 8 x 8)
        """
        images = np.asarray(images)
        if images.ndim not in (3, 4):
            raise ValueError(
                f"images must be of shape (n_images, H, W) or (n_images, H, W, C). Got {images.shape}; for a single "
                "image use image[None]."
            )
        return cls(images[:, None], timestamps=[0.0], index=index, t_start=t_start)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_trials, T, H, W) or (n_trials, T, H, W, C)."""
        return (len(self.index), *self.frames.shape[1:])

    @property
    def clip_ids(self) -> np.ndarray:
        """Clip of each trial, ndarray of shape (n_trials,): the `groups` of GroupKFold."""
        return self.index

    def clip_digests(self) -> np.ndarray:
        """Tell clips by their pixels, wherever a `Video` stores them.

        Returns
        -------
        ndarray of shape (n_clips,), str
            A digest of the frames of each clip that a trial shows, the same whatever their number type; empty for the
            others.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Video
        >>> frames = np.arange(24).reshape(3, 2, 2, 2)
        >>> first, second = Video(frames, fps=5.0), Video(frames[[2, 0]].astype(float), fps=5.0)
        >>> [first.clip_digests().tolist().index(digest) for digest in second.clip_digests()]
        [2, 0]
        """
        digests = [""] * len(self.frames)
        for clip in np.unique(self.index):
            digest = hashlib.sha256(repr(self.frames.shape[1:]).encode())
            for part in _parts(self.frames, np.array([clip])):
                digest.update(np.ascontiguousarray(part, dtype=np.float32).data)
            digests[clip] = digest.hexdigest()
        return np.array(digests, dtype=str)

    @property
    def frame_interval(self) -> np.ndarray:
        """Median time between the frames of each clip, ndarray (n_clips,), in seconds; inf for a still."""
        if self.timestamps.shape[1] < 2:
            return np.full(len(self.timestamps), np.inf)
        return np.median(np.diff(self.timestamps, axis=1), axis=1)

    @property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """First frame on and last frame off in each trial, two ndarrays (n_trials,), in seconds."""
        first = self.t_start + self.timestamps[self.index, 0]
        last = self.t_start + self.timestamps[self.index, -1] + self.frame_interval[self.index]
        return first, last

    def __repr__(self) -> str:
        size = " x ".join(str(n) for n in self.frames.shape[1:])
        return f"Video({len(self):,} trials, {len(self.frames):,} clips of {size})"

    def _take(self, rows: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(
            frames=self.frames,
            timestamps=self.timestamps,
            index=frozen(self.index[rows]),
            t_start=frozen(self.t_start[rows]),
        )
        return new

    @property
    def _static(self) -> bool:
        return self.frames.shape[1] == 1

    def _identity(self) -> np.ndarray:
        return self.index

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        return self._take(parent)

    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Of all pixels of the clips that are shown, (1,)."""
        parts = [part for part in _parts(self.frames, np.unique(self.index)) if part.size]
        low = min((float(part.min()) for part in parts), default=np.nan)
        high = max((float(part.max()) for part in parts), default=np.nan)
        return np.array([low]), np.array([high])

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        shown = np.unique(self.index)
        n_beyond = sum(int(((part < low) | (part > high)).sum()) for part in _parts(self.frames, shown))
        return np.array([n_beyond / max(len(shown) * int(np.prod(self.frames.shape[1:])), 1)])

    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return every frame of every trial, flattened. Models read the frames of each clip once instead.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            One for each frame of each trial.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import SpikeTrains, Video
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Video(np.zeros((1, 2, 4, 4)), fps=5.0).samples(binned).until
        array([0.2, 0.4])
        """
        self._same_trials(binned)
        n_frames = self.timestamps.shape[1]
        onset = self.timestamps[self.index] + (self.t_start - binned.t_start)[:, None]
        until = np.append(onset[:, 1:], onset[:, -1:] + self.frame_interval[self.index][:, None], axis=1)
        values = self.frames[self.index].reshape(len(self) * n_frames, -1).astype(np.float64)
        return Samples(onset.ravel(), until.ravel(), values, np.repeat(np.arange(len(self)), n_frames))

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation of all pixels of the clips that are shown.

        Returns
        -------
        mean, sd : ndarray of shape (1,)
            One pair for all pixels; 1 for the sd of a constant.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Video
        >>> Video(np.array([1.0, 3.0]).reshape(1, 2, 1, 1), fps=5.0).moments()
        (array([2.]), array([1.]))
        """
        shown = np.unique(self.index)
        n_values = len(shown) * int(np.prod(self.frames.shape[1:]))
        mean = sum(float(part.sum(dtype=np.float64)) for part in _parts(self.frames, shown)) / max(n_values, 1)
        from_mean = (np.subtract(part, mean, dtype=np.float64) for part in _parts(self.frames, shown))
        sd = np.sqrt(np.array([sum(float((part**2).sum()) for part in from_mean)]) / max(n_values, 1))
        parts = _parts(self.frames, shown)
        largest = max((max(float(part.max(initial=0)), -float(part.min(initial=0))) for part in parts), default=0.0)
        return np.array([mean]), spread(sd, largest)

    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Return the frame that was on at the centre of each bin.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins,), int64
            Frame within the clip of the bin's trial; -1 before the first frame and after the last.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import SpikeTrains, Video
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Video(np.zeros((1, 2, 4, 4)), fps=5.0).on_bins(binned)
        array([0, 0, 1, 1])
        """
        self._same_trials(binned)
        trial = np.repeat(np.arange(len(self)), np.diff(binned.ptr))
        number = np.arange(binned.n_bins) - binned.ptr[trial]
        times = binned.t_start[trial] + (number + 0.5) * binned.bin_width - self.t_start[trial]
        clip = self.index[trial]
        tolerance = TOLERANCE * binned.bin_width
        result = np.full(binned.n_bins, -1, dtype=np.int64)
        off = self.timestamps[:, -1] + self.frame_interval
        for shown in np.unique(clip):
            mine = np.flatnonzero(clip == shown)
            frame = np.searchsorted(self.timestamps[shown], times[mine] + tolerance, side="right") - 1
            frame[times[mine] + tolerance >= off[shown]] = -1
            result[mine] = frame
        return result


def _check_finite(frames: np.ndarray) -> None:
    """Refuse NaN and infinity, some frames at a time: a boolean copy of a whole video may not fit into memory."""
    if frames.dtype.kind != "f":
        return
    for number in range(len(frames)):
        wrong = sum(int((~np.isfinite(part)).sum()) for part in _parts(frames, np.array([number])))
        if wrong:
            raise ValueError(
                f"frames must be finite. Clip {number} holds {wrong} NaN or infinite pixels; drop the frames and give "
                "timestamps, so that the frame before is held."
            )


def _parts(frames: np.ndarray, clips: np.ndarray) -> Iterator[np.ndarray]:
    """Frames of some clips, as many at a time as hold `VALUES_AT_ONCE` values: views, nothing is copied."""
    step = max(VALUES_AT_ONCE // max(int(np.prod(frames.shape[2:])), 1), 1)
    for clip in clips:
        for first in range(0, frames.shape[1], step):
            yield frames[clip, first : first + step]


def _frame_times(fps: Any, timestamps: Any, n_clips: int, n_frames: int) -> np.ndarray:
    if (fps is None) == (timestamps is None):
        raise ValueError("Exactly one of fps (frames per second) and timestamps (seconds) must be given.")
    if fps is not None:
        rate = check_width(fps, "fps", unit="frames per second")
        return np.broadcast_to(np.arange(n_frames) / rate, (n_clips, n_frames)).copy()
    times = seconds(timestamps, "timestamps")
    if times.shape not in ((n_frames,), (n_clips, n_frames)):
        raise ValueError(
            f"timestamps must be of shape ({n_frames},) or ({n_clips}, {n_frames}): one onset per frame. "
            f"Got shape {times.shape} instead."
        )
    as_times(times.ravel(), "timestamps")
    if (np.diff(times, axis=-1) <= 0).any():
        raise ValueError("timestamps must ascend strictly within a clip: each frame begins after the one before.")
    return np.broadcast_to(times, (n_clips, n_frames)).copy()
