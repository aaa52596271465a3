"""What the frames of a video add to each unit's log intensity: by slopes, and by covering pixels.

Every function walks over contexts (a bin with all that came before it) and adds up, for each bucket (a lag, or a frame
of one trial), the squared contribution of every place. None loops over spikes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from skneuro.nn import Neuroformer
from skneuro.nn.batch import Batch
from skneuro.training.contexts import context_batches, log_odds, states_at
from skneuro.training.own_frames import Buckets
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

VALUES_AT_ONCE = 4_000_000  # pixels of all the frames that a batch of contexts sees


@dataclass(frozen=True)
class Asked:
    """What is asked of whom.

    Attributes
    ----------
    network : Neuroformer
        In eval mode.
    builder : BatchBuilder
    buckets : Buckets
    bins : ndarray of shape (n_contexts,)
        Bins of the contexts.
    units : ndarray of shape (n_units,)
        Positions of the units.
    """

    network: Neuroformer
    builder: BatchBuilder
    buckets: Buckets
    bins: np.ndarray
    units: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        """(height, width, channels) of a frame."""
        height, width, *channels = self.buckets.video.frames.shape[2:]
        return height, width, int(np.prod(channels, dtype=int))

    @property
    def mean_frame(self) -> Tensor:
        """Mean of the frames that were shown, as the network sees it, (H, W, C)."""
        shown = self.buckets.video.frames[np.unique(self.buckets.video.index)]
        scale = self.buckets.table.scale
        mean = (shown.mean(axis=(0, 1), dtype=np.float64) - scale.mean[0]) / scale.sd[0]
        return torch.from_numpy(mean.reshape(self.shape)).to(self.builder.device, self.builder.dtype)

    def batches(self) -> Iterator[tuple[Segments, Batch]]:
        """The contexts, as many at once as memory holds."""
        seen = int(2 * self.buckets.span / self.buckets.interval) + 2
        rows = int(np.clip(VALUES_AT_ONCE // (np.prod(self.shape) * seen), 1, 256))
        return context_batches(self.builder, self.bins, rows)


class Sums:
    """Sums over contexts, (n_units, n_buckets, *places), and how many contexts saw each bucket."""

    def __init__(self, asked: Asked, *places: int) -> None:
        self.total = torch.zeros(len(asked.units), len(asked.buckets.at), *places, dtype=torch.float64)
        self.times = torch.zeros(len(asked.buckets.at), dtype=torch.float64)

    def seen(self, times: np.ndarray) -> None:
        """Count contexts, (n_buckets,)."""
        self.times += torch.from_numpy(times)

    def add(self, unit: int, bucket: np.ndarray, values: Tensor) -> None:
        """Add values (n, *places) of a unit to buckets (n,)."""
        self.total[unit].index_add_(0, torch.from_numpy(bucket), values.detach().double().cpu())

    def mean(self) -> np.ndarray:
        """Means over contexts; 0 in buckets that none saw."""
        times = self.times.clamp_min(1).reshape(-1, *(1,) * (self.total.ndim - 2))
        return (self.total / times).numpy()


def by_gradient(asked: Asked) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square of slope times deviation from the mean frame, and the mean slope, (n_units, n_buckets, H, W).

    One backward pass for each unit and batch of contexts. Channels are summed; slopes are per unit of a pixel.
    """
    height, width, _ = asked.shape
    squares, slopes = Sums(asked, height, width), Sums(asked, height, width)
    grey, sd = asked.mean_frame, float(asked.buckets.table.scale.sd[0])
    name = asked.buckets.name
    for segments, batch in asked.batches():
        own = asked.buckets.own_frames(segments, batch)
        kept = np.flatnonzero(own.bucket >= 0)
        bucket, at = own.bucket[kept], torch.from_numpy(kept).to(asked.builder.device)
        with torch.no_grad():
            states = states_at(asked.network, batch)
        values = own.keys.values.clone().requires_grad_()
        shown = {**batch.modalities, name: replace(own.keys, values=values)}
        deviation = values.detach().reshape(-1, *asked.shape)[at] - grey
        # The recurrent kernels of cuDNN have no backward pass in eval mode.
        with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            odds = log_odds(asked.network, replace(batch, modalities=shown), states=states)
            for place, unit in enumerate(asked.units):
                last = place == len(asked.units) - 1
                slope = torch.autograd.grad(odds[:, unit].sum(), values, retain_graph=not last)[0]
                slope = slope.reshape(-1, *asked.shape)[at]
                squares.add(place, bucket, (slope * deviation).sum(-1) ** 2)
                slopes.add(place, bucket, slope.sum(-1) / sd)
        for sums in (squares, slopes):
            sums.seen(asked.buckets.times(segments))
    return np.sqrt(squares.mean()), slopes.mean()


def by_occlusion(asked: Asked, patch: int) -> np.ndarray:
    """Root mean square of what the log intensity loses where a patch of a frame is the mean frame's.

    One forward pass for each patch and bucket of a batch of contexts.

    Returns
    -------
    ndarray of shape (n_units, n_buckets, H, W)
        Pixels of a patch have the same value.
    """
    height, width, _ = asked.shape
    down, across = -(-height // patch), -(-width // patch)
    squares = Sums(asked, down, across)
    grey, name = asked.mean_frame, asked.buckets.name
    with torch.inference_mode():
        for segments, batch in asked.batches():
            own, states = asked.buckets.own_frames(segments, batch), states_at(asked.network, batch)
            frames = own.keys.values.reshape(-1, *asked.shape)

            def odds(frames: Tensor, own=own, batch=batch, states=states) -> Tensor:
                keys = replace(own.keys, values=frames.reshape(own.keys.values.shape))
                shown = replace(batch, modalities={**batch.modalities, name: keys})
                return log_odds(asked.network, shown, states=states)[:, asked.units]

            usual = odds(frames)
            squares.seen(asked.buckets.times(segments))
            for bucket in np.unique(own.bucket[own.bucket >= 0]):
                where = np.flatnonzero(own.bucket == bucket)
                seen = np.unique(own.row[where])
                for place in np.ndindex(down, across):
                    box = tuple(slice(k * patch, (k + 1) * patch) for k in place)
                    covered = frames.clone()
                    covered[(torch.from_numpy(where).to(frames.device), *box)] = grey[box]
                    lost = ((usual - odds(covered))[torch.from_numpy(seen).to(frames.device)] ** 2).sum(0)
                    squares.total[:, bucket, place[0], place[1]] += lost.double().cpu()
    return np.sqrt(squares.mean()).repeat(patch, axis=-2).repeat(patch, axis=-1)[..., :height, :width]
