"""Modalities as flat tables of timed samples; what a block of bins may see is found with two searches."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from skneuro.data import BinnedSpikes, Modalities, Modality, TimeSeries, Video
from skneuro.data._likeness import Form
from skneuro.data.time_series import steps_within
from skneuro.nn.config import ModalityConfig, NeuroformerConfig, Tubelets
from skneuro.nn.keys import ModalityKeys, TubeletKeys
from skneuro.training.tubelets import Size, Stride, tubelets_of

# A series comes at a rate where so large a share of its steps differs so little from their median.
MOSTLY, SAME_STEP = 0.8, 0.05


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training data, one pair a feature (one in all for a video)."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(cls, modality: Modality) -> Scale:
        """Measure the modality of the training trials."""
        return cls(*modality.moments())


def describe(
    name: str, modality: Modality, tubelet_size: Size = "auto", tubelet_stride: Stride = "auto"
) -> ModalityConfig:
    """Sizes of a modality's tokens, and of what kind it is."""
    form, static = Form.of(modality), modality._static
    kind, shape = form.kind, form.shape
    if not isinstance(modality, Video):
        return ModalityConfig(name, shape[0], shape, None, kind, form.columns, static, _regular(modality))
    interval = float(np.median(modality.frame_interval))
    cut = tubelets_of(shape, interval, tubelet_size, tubelet_stride)
    shown = modality.frame_interval[np.unique(modality.index)]
    # Two frames, as a blank before an image, have an interval and no rate.
    typical = float(np.median(shown)) if len(shown) and modality.frames.shape[1] > 2 else None
    return ModalityConfig(name, int(np.prod(shape)), shape, cut, kind, static=static, interval=typical)


def _regular(modality: Modality) -> float | None:
    """Seconds between the samples of a series, None where they do not come at a rate."""
    if not isinstance(modality, TimeSeries) or modality._static:
        return None
    steps = steps_within(modality.timestamps, modality.ptr)
    if not len(steps):
        return None
    median = float(np.median(steps))
    return median if np.mean(np.abs(steps - median) <= SAME_STEP * median) >= MOSTLY else None


class Timeline:
    """When the samples of each clip come up; what stands for long comes up again every half of the span.

    Parameters
    ----------
    onset, until : ndarray of shape (n,), seconds on the clock of their clip
    token : ndarray of shape (n,)
        Sample that comes up.
    clip : ndarray of shape (n,), ascending
        Clip of each.
    n_clips : int
    span : float
        Seconds for which a sample is seen.
    """

    def __init__(
        self, onset: np.ndarray, until: np.ndarray, token: np.ndarray, clip: np.ndarray, n_clips: int, span: float
    ) -> None:
        times = np.maximum(np.ceil((until - onset) / (0.5 * span) - 1e-9), 1).astype(int)  # held: seen again
        again = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        self.time = np.repeat(onset, times) + again * 0.5 * span
        self.token = np.repeat(token, times)
        self.ptr = np.searchsorted(np.repeat(clip, times), np.arange(n_clips + 1))

    def between(self, clip: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, ...]:
        """What comes up in [low, high) of some clips: times and samples (R, S), and where there are any."""
        first, last = np.empty(len(clip), dtype=np.int64), np.empty(len(clip), dtype=np.int64)
        for row, one in enumerate(clip):
            times = self.time[self.ptr[one] : self.ptr[one + 1]]
            first[row], last[row] = np.searchsorted(times, [low[row], high[row]]) + self.ptr[one]
        longest = max(int((last - first).max(initial=0)), 1)
        index = first[:, None] + np.arange(longest)
        present = index < last[:, None]
        index = np.where(present, index, 0)
        if not len(self.time):
            return np.zeros(index.shape), index, present
        return self.time[index], self.token[index], present


class ModalityTable:
    """Tokens of one modality for all trials of an input.

    Parameters
    ----------
    modality : Modality
    binned : BinnedSpikes
        The same trials.
    scale : Scale
        Of the training data.
    span : float
        Seconds for which a token is seen; one that stands for longer is repeated every half of that.
    tubelets : Tubelets, optional
        How frames are cut into tokens.
    """

    def __init__(
        self,
        modality: Modality,
        binned: BinnedSpikes,
        scale: Scale,
        span: float,
        tubelets: Tubelets | None = None,
    ) -> None:
        self.scale, self.span = scale, span
        self._modality, self._binned = modality, binned
        self._frames: np.ndarray | None = None
        self.tubelets, self.tubelet_size = None, 0
        self.identity = modality._identity()
        trial_length = np.diff(binned.ptr) * binned.bin_width
        if isinstance(modality, Video):
            self._frames = modality.frames
            self.clip = modality.index
            self.offset = modality.t_start - binned.t_start
            longest = (trial_length - self.offset).max(initial=0.0)
            self.samples = _frame_timeline(modality, 1, longest, span)
            if tubelets is not None:
                self.tubelet_size = tubelets.size[0]
                self.tubelets = _frame_timeline(modality, tubelets.stride[0], longest, span)
        else:
            found = modality.samples(binned)
            until = np.where(np.isfinite(found.until), found.until, trial_length.max(initial=0.0))
            # A column that is missing in a sample is taken for its mean.
            self._values = np.nan_to_num((found.values - scale.mean) / scale.sd).astype(np.float32)
            self.clip = np.arange(binned.n_trials)
            self.offset = np.zeros(binned.n_trials)
            token = np.arange(len(found.onset))
            self.samples = Timeline(found.onset, until, token, found.trial, binned.n_trials, span)

    @cached_property
    def in_bins(self) -> np.ndarray:
        """Standardised values of a series in every bin, (n_bins, F); 0, the mean, where nothing is known."""
        return self.in_bins_from(0)

    def in_bins_from(self, n_before: int) -> np.ndarray:
        """:attr:`in_bins` of trials that begin so many bins earlier, ``(n_bins + n_trials * n_before, F)``."""
        binned = self._binned
        grid = binned._from_earlier(np.full(binned.n_trials, n_before)) if n_before else binned
        return np.nan_to_num((self._modality.on_bins(grid) - self.scale.mean) / self.scale.sd).astype(np.float32)

    def numbered(self) -> ModalityTable:
        """The same table of a video, with the number of each frame (of all clips, one after the other) as its value."""
        if self._frames is None:
            raise ValueError("only the frames of a video have numbers")
        table = copy.copy(self)
        table._frames = np.arange(self._frames.shape[0] * self._frames.shape[1]).reshape(*self._frames.shape[:2], 1, 1)
        table.scale = Scale(np.zeros(1), np.ones(1))
        return table

    def features(self, token: np.ndarray) -> np.ndarray:
        """Standardised features of samples, (n, F)."""
        if self._frames is None:
            return self._values[token]
        frames = self._frames.reshape(-1, *self._frames.shape[2:])[token].astype(np.float32)
        return ((frames - np.float32(self.scale.mean[0])) / np.float32(self.scale.sd[0])).reshape(len(token), -1)

    def keys(self, trial: np.ndarray, start: np.ndarray, stop: np.ndarray, dtype: torch.dtype) -> ModalityKeys:
        """What blocks of bins may see.

        Parameters
        ----------
        trial : ndarray of shape (R,)
        start, stop : ndarray of shape (R,), seconds on the trial's clock
            First bin's start and last bin's end of each block.
        """
        asked = self.clip[trial], start - self.span - self.offset[trial], stop - self.offset[trial]
        since = (self.offset[trial] - start)[:, None]
        time, token, present = self.samples.between(*asked)
        if not len(self.samples.token):
            return self._nothing(len(trial), dtype)
        used, sample = np.unique(token, return_inverse=True)
        tubelets = None
        if self.tubelets is not None:
            ends, last, there = self.tubelets.between(*asked)
            cut, which = np.unique(last, return_inverse=True)
            frames = _frames_back(cut, self.tubelet_size, self._frames_per_clip)
            used, sample, rows = _joined(used, sample, frames)
            tubelets = TubeletKeys(
                time=torch.from_numpy(ends + since).to(dtype),
                present=torch.from_numpy(there),
                sample=torch.from_numpy(which.reshape(last.shape)),
                frames=torch.from_numpy(rows),
            )
        return ModalityKeys(
            time=torch.from_numpy(time + since).to(dtype),
            present=torch.from_numpy(present),
            sample=torch.from_numpy(sample.reshape(token.shape)),
            values=torch.from_numpy(np.ascontiguousarray(self.features(used))).to(dtype),
            tubelets=tubelets,
        )

    @property
    def _frames_per_clip(self) -> int:
        return 1 if self._frames is None else self._frames.shape[1]

    def _nothing(self, n_rows: int, dtype: torch.dtype) -> ModalityKeys:
        zeros = torch.zeros(n_rows, 1, dtype=dtype)
        return ModalityKeys(zeros, zeros > 0, zeros.long(), torch.zeros(1, len(self.scale.mean), dtype=dtype))


def _frame_timeline(video: Video, stride: int, longest: float, span: float) -> Timeline:
    """Every `stride`-th frame of each clip, from the first one on; the last one stands as long as frames do."""
    n_clips, n_frames = video.timestamps.shape
    onset = video.timestamps[:, ::stride]
    off = video.timestamps[:, -1] + video.frame_interval  # inf for a still, which stands to the end of the trial
    until = np.append(onset[:, 1:], np.where(np.isfinite(off), off, longest)[:, None], axis=1)
    frame = np.arange(n_clips)[:, None] * n_frames + np.arange(0, n_frames, stride)
    clip = np.repeat(np.arange(n_clips), onset.shape[1])
    return Timeline(onset.ravel(), until.ravel(), frame.ravel(), clip, n_clips, span)


def _frames_back(last: np.ndarray, size: int, n_frames: int) -> np.ndarray:
    """The last frame of each tubelet and those before it, (V, size); -1 before the clip."""
    back = np.arange(size)
    return np.where(last[:, None] % n_frames >= back, last[:, None] - back, -1)


def _joined(used: np.ndarray, sample: np.ndarray, frames: np.ndarray) -> tuple[np.ndarray, ...]:
    """One list of all the frames that are used, with their rows in it for the samples and for the tubelets."""
    every = np.union1d(used, frames[frames >= 0])
    rows = np.where(frames >= 0, np.searchsorted(every, frames), len(every))
    return every, np.searchsorted(every, used)[sample], rows


def modality_tables(
    modalities: Modalities | None, binned: BinnedSpikes, scales: dict[str, Scale], config: NeuroformerConfig
) -> dict[str, ModalityTable]:
    """Tables of every modality that is there."""
    if modalities is None:
        return {}
    cut = {modality.name: modality.tubelets for modality in config.modalities}
    return {
        name: ModalityTable(modality, binned, scales[name], config.stimulus_context, cut[name])
        for name, modality in modalities.items()
    }
