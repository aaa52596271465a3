"""Modalities as flat tables of timed tokens; what a block of bins may see is found with two searches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from skneuro.data import BinnedSpikes, Modalities, TimeSeries, Video
from skneuro.nn.config import ModalityConfig
from skneuro.nn.encoders import ModalityKeys

FLAT_PIXELS = 1024
GRID = 8


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the training data, one pair a feature (one in all for a video)."""

    mean: np.ndarray
    sd: np.ndarray

    @classmethod
    def fit(cls, modality: Video | TimeSeries) -> Scale:
        """Measure a modality; what is missing does not count, and a constant feature has sd 1."""
        if isinstance(modality, Video):
            frames = modality.frames[np.unique(modality.index)]
            mean, sd = np.array([frames.mean(dtype=np.float64)]), np.array([frames.std(dtype=np.float64)])
        else:
            values = modality.values
            known = ~np.isnan(values)
            n_known = np.maximum(known.sum(0), 1)
            mean = np.where(known, values, 0).sum(0) / n_known
            sd = np.sqrt(np.where(known, (values - mean) ** 2, 0).sum(0) / n_known)
        return cls(mean, np.where(sd > 0, sd, 1.0))


def patch_grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Patches down and across a frame (H, W, C): one up to 1,024 values, else a grid of at most 8 x 8."""
    if np.prod(shape) <= FLAT_PIXELS:
        return 1, 1
    return min(GRID, shape[0]), min(GRID, shape[1])


def describe(name: str, modality: Video | TimeSeries) -> ModalityConfig:
    """Sizes of a modality's tokens."""
    if isinstance(modality, TimeSeries):
        return ModalityConfig(name, modality.shape[1], shape=modality.shape[1:])
    height, width, *channels = modality.frames.shape[2:]
    down, across = patch_grid((height, width, *channels))
    size = -(-height // down) * -(-width // across) * int(np.prod(channels, dtype=int))
    return ModalityConfig(name, size, down * across, shape=modality.frames.shape[2:])


class ModalityTable:
    """Tokens of one modality for all trials of an input.

    Parameters
    ----------
    modality : Video or TimeSeries
    binned : BinnedSpikes
        The same trials.
    scale : Scale
        Of the training data.
    span : float
        Seconds for which a token is seen; one that stands for longer is repeated every half of that.
    """

    def __init__(self, modality: Video | TimeSeries, binned: BinnedSpikes, scale: Scale, span: float) -> None:
        self.scale, self.span = scale, span
        self._frames: np.ndarray | None = None
        if isinstance(modality, Video):
            self._frames = modality.frames
            n_clips, n_frames = modality.timestamps.shape
            onset = modality.timestamps.ravel()
            until = np.append(modality.timestamps[:, 1:], modality.timestamps[:, -1:] + np.inf, axis=1)
            until[:, -1] = modality.timestamps[:, -1] + modality.frame_interval
            token = np.arange(n_clips * n_frames)
            clip_of_token = np.repeat(np.arange(n_clips), n_frames)
            self.clip = modality.index
            self.offset = modality.t_start - binned.t_start
            until = until.ravel()
        else:
            onset, until, token, clip_of_token = self._samples(modality, binned)
            self.clip = np.arange(binned.n_trials)
            self.offset = np.zeros(binned.n_trials)
        trial_ends = np.diff(binned.ptr) * binned.bin_width - self.offset
        until = np.where(np.isfinite(until), until, trial_ends.max(initial=0.0))
        times = np.maximum(np.ceil((until - onset) / (0.5 * span) - 1e-9), 1).astype(int)  # held: seen again
        again = np.arange(times.sum()) - np.repeat(np.cumsum(times) - times, times)
        self.time = np.repeat(onset, times) + again * 0.5 * span
        self.token = np.repeat(token, times)
        self.ptr = np.searchsorted(np.repeat(clip_of_token, times), np.arange(clip_of_token.max(initial=-1) + 2))
        n_clips = int(self.clip.max(initial=-1)) + 1
        self.ptr = np.append(self.ptr, np.full(max(n_clips + 1 - len(self.ptr), 0), len(self.time)))

    def _samples(self, series: TimeSeries, binned: BinnedSpikes) -> tuple[np.ndarray, ...]:
        """Onset, end, value index and trial of every known sample; a fast series is averaged within bins.

        Each trial is read by its own sampling interval: what is seen of it does not depend on the others.
        """
        fast = series.interval < 0.999 * binned.bin_width
        trial = np.repeat(np.arange(len(series)), np.diff(series.ptr))
        values = series.values
        onset, until = series.timestamps - binned.t_start[trial], _stands_until(series, trial) - binned.t_start[trial]
        if fast.any():
            trial_of_bin = np.repeat(np.arange(binned.n_trials), np.diff(binned.ptr))
            start = (np.arange(binned.n_bins) - binned.ptr[trial_of_bin]) * binned.bin_width
            slow, averaged = ~fast[trial], fast[trial_of_bin]
            trial = np.concatenate([trial[slow], trial_of_bin[averaged]])
            order = np.argsort(trial, kind="stable")
            trial = trial[order]
            values = np.concatenate([values[slow], series.on_bins(binned)[averaged]])[order]
            onset = np.concatenate([onset[slow], start[averaged]])[order]
            until = np.concatenate([until[slow], start[averaged] + binned.bin_width])[order]
        known = ~np.isnan(values).any(1)
        self._values = ((values[known] - self.scale.mean) / self.scale.sd).astype(np.float32)
        return onset[known], until[known], np.arange(known.sum()), trial[known]

    def features(self, token: np.ndarray) -> np.ndarray:
        """Standardised features of tokens, (n, positions, F); a series has one position."""
        if self._frames is None:
            return self._values[token][:, None]
        frames = self._frames.reshape(-1, *self._frames.shape[2:])[token].astype(np.float32)
        frames = (frames - np.float32(self.scale.mean[0])) / np.float32(self.scale.sd[0])
        frames = frames.reshape(*frames.shape[:3], -1)  # (n, H, W, C)
        n, height, width, channels = frames.shape
        down, across = patch_grid(self._frames.shape[2:])
        tall, wide = -(-height // down), -(-width // across)
        padding = ((0, 0), (0, tall * down - height), (0, wide * across - width), (0, 0))
        frames = np.pad(frames, padding).reshape(n, down, tall, across, wide, channels)
        return frames.transpose(0, 1, 3, 2, 4, 5).reshape(n, down * across, tall * wide * channels)

    def keys(self, trial: np.ndarray, start: np.ndarray, stop: np.ndarray, dtype: torch.dtype) -> ModalityKeys:
        """Tokens that blocks of bins may see.

        Parameters
        ----------
        trial : ndarray of shape (R,)
        start, stop : ndarray of shape (R,), seconds on the trial's clock
            First bin's start and last bin's end of each block.
        """
        clip = self.clip[trial]
        low, high = np.empty(len(trial), dtype=np.int64), np.empty(len(trial), dtype=np.int64)
        earliest, latest = start - self.span - self.offset[trial], stop - self.offset[trial]
        for row, one in enumerate(clip):
            times = self.time[self.ptr[one] : self.ptr[one + 1]]
            low[row], high[row] = np.searchsorted(times, [earliest[row], latest[row]]) + self.ptr[one]
        longest = max(int((high - low).max(initial=0)), 1)
        index = low[:, None] + np.arange(longest)
        present = index < high[:, None]
        index = np.where(present, index, 0)
        if not len(self.token):
            return self._nothing(len(trial), dtype)
        used, inverse = np.unique(self.token[index], return_inverse=True)
        time = self.time[index] + (self.offset[trial] - start)[:, None]
        return ModalityKeys(
            time=torch.from_numpy(time).to(dtype),
            present=torch.from_numpy(present),
            sample=torch.from_numpy(inverse.reshape(index.shape)),
            values=torch.from_numpy(np.ascontiguousarray(self.features(used))).to(dtype),
        )

    def _nothing(self, n_rows: int, dtype: torch.dtype) -> ModalityKeys:
        zeros = torch.zeros(n_rows, 1, dtype=dtype)
        return ModalityKeys(zeros, zeros > 0, zeros.long(), torch.zeros(1, 1, len(self.scale.mean), dtype=dtype))


def _stands_until(series: TimeSeries, trial: np.ndarray) -> np.ndarray:
    """Time until which each sample stands; inf for the last one of a trial."""
    if series.missing == "mask":
        return series.until()
    known = ~np.isnan(series.values).any(1)
    following = np.append(series.timestamps[known][1:], np.inf)
    same = np.append(np.diff(trial[known]) == 0, False)
    until = np.full(len(trial), np.inf)
    until[known] = np.where(same, following, np.inf)
    return until


def modality_tables(
    modalities: Modalities | None, binned: BinnedSpikes, scales: dict[str, Scale], span: float
) -> dict[str, ModalityTable]:
    """Tables of every modality that is there."""
    if modalities is None:
        return {}
    return {name: ModalityTable(modality, binned, scales[name], span) for name, modality in modalities.items()}
