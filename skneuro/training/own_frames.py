"""The frames that single contexts see, each context with copies of its own, so that they can be changed one by one."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skneuro.data import Video
from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.keys import ModalityKeys
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments


@dataclass(frozen=True)
class OwnFrames:
    """Frames that some contexts see of a video.

    Attributes
    ----------
    keys : ModalityKeys
        The keys of the contexts, none of whose samples is shared.
    row : ndarray of shape (n_copies,), int
        Context of each sample.
    bucket : ndarray of shape (n_copies,), int
        Lag or frame that it counts for, see `Buckets`; -1 where the context does not see it.
    """

    keys: ModalityKeys
    row: np.ndarray
    bucket: np.ndarray


class Buckets:
    """What frames are counted under: how old they are in a context, or, in a single trial, which frame it is.

    Parameters
    ----------
    builder : BatchBuilder
    name : str
        The video.
    video : Video
        With the trials of the builder.
    trial : int or None
        Count under the frames of this trial's clip; None counts under lags.

    Attributes
    ----------
    at : ndarray of shape (n_buckets,), in seconds
        Lags, from a frame's onset to the middle of the bin; or onsets of the frames on the clock of the spikes.
    """

    def __init__(self, builder: BatchBuilder, name: str, video: Video, trial: int | None) -> None:
        self.table, self.video, self.over_time = builder.tables[name], video, trial is not None
        self.name, self.width = name, builder.config.bin_width
        self.interval = float(np.median(video.frame_interval))
        self.span = builder.config.stimulus_context
        if self.table.tubelets is not None and np.isfinite(self.interval):  # the first frame of one that is just seen
            self.span += (self.table.tubelet_size - 1) * self.interval
        if trial is not None:
            self.at = video.t_start[trial] + video.timestamps[video.index[trial]]
        elif np.isfinite(self.interval):
            n_lags = int((self.span - self.width / 2) / self.interval + 1e-6) + 1
            self.at = (np.arange(n_lags) + 0.5) * self.interval
        else:
            self.at = np.array([self.span / 2])
        self._numbers = copy.copy(builder)
        self._numbers.tables = {name: self.table.numbered()}

    def own_frames(self, segments: Segments, batch: Batch) -> OwnFrames:
        """Copies of the frames that each context of a batch sees."""
        keys, row, sample = own_samples(batch.modalities[self.name])
        block = block_bins(self._numbers.config.window_bins)  # what the keys of a context are built for
        numbered = self._numbers.modality_keys(segments.trial, segments.start, block)[self.name]
        number = numbered.values.flatten()[sample].round().long().cpu().numpy()
        context = row.cpu().numpy()
        clip, frame = np.divmod(number, self.video.timestamps.shape[1])
        bucket = self.of(segments, context, self.video.timestamps[clip, frame])
        # A key that only fills up a row may name a frame of another clip.
        return OwnFrames(keys, context, np.where(clip == self.video.index[segments.trial[context]], bucket, -1))

    def times(self, segments: Segments) -> np.ndarray:
        """How many of the contexts have a frame in each bucket, (n_buckets,)."""
        onset = self.video.timestamps[self.video.index[segments.trial]]  # (R, T)
        row = np.repeat(np.arange(len(onset)), onset.shape[1])
        bucket = self.of(segments, row, onset.ravel())
        pairs = np.unique(np.stack([row, bucket])[:, bucket >= 0], axis=1)
        return np.bincount(pairs[1], minlength=len(self.at))

    def of(self, segments: Segments, row: np.ndarray, onset: np.ndarray) -> np.ndarray:
        """Bucket of what came up at `onset`, seconds on the clock of the clip, in the contexts `row`."""
        trial = segments.trial[row]
        end = (segments.start[row] + 1) * self.width - self.table.offset[trial]
        edge = 1e-4 * self.span
        seen = (end - onset > edge) & (end - onset <= self.span + edge)
        if self.over_time:
            times = self.video.timestamps[self.video.index[trial[0]]]
            bucket = np.searchsorted(times, onset + edge, side="right") - 1
        else:
            bucket = np.maximum((end - self.width / 2 - onset) / self.interval + 1e-3, 0).astype(np.int64)
        return np.where(seen & (bucket < len(self.at)), bucket, -1)


def own_samples(keys: ModalityKeys) -> tuple[ModalityKeys, Tensor, Tensor]:
    """Keys whose rows share no sample, with the row of each sample and the one it is a copy of."""
    n_samples, (n_rows, _) = len(keys.values), keys.sample.shape
    row = torch.arange(n_rows, device=keys.sample.device)[:, None] * (n_samples + 1)
    asked, tubelets = row + keys.sample, keys.tubelets
    copies = asked.unique()
    if tubelets is not None:
        frames = tubelets.frames[tubelets.sample]  # (R, S, K)
        before = frames == n_samples  # before the clip
        of_tubelets = row[:, :, None] + frames
        copies = torch.cat([copies, of_tubelets[~before]]).unique()
        own = torch.where(before, len(copies), torch.searchsorted(copies, of_tubelets)).flatten(0, 1)
        number = torch.arange(len(own), device=own.device).reshape(tubelets.sample.shape)
        tubelets = replace(tubelets, sample=number, frames=own)
    row_of, sample_of = copies // (n_samples + 1), copies % (n_samples + 1)
    keys = replace(
        keys, sample=torch.searchsorted(copies, asked), values=keys.values[sample_of], tubelets=tubelets
    )
    return keys, row_of, sample_of
