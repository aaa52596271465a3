"""What one pass of the model is given."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from skneuro.nn.encoders import TimedKeys

MIN_BLOCK = 16


def block_bins(window_bins: int) -> int:
    """Consecutive bins that share their keys in cross-attention: whole windows, at least `MIN_BLOCK` bins."""
    return window_bins * -(-MIN_BLOCK // window_bins)


@dataclass(frozen=True)
class Batch:
    """Segments of trials, aligned at their first bin and padded at the end.

    Attributes
    ----------
    counts : Tensor of shape (C, T, N)
        Spike counts; zeros where padded or not observed.
    observed : Tensor of shape (C, T, N), bool
        False where padded or not recorded.
    first : Tensor of shape (C,), long
        First scored bin of each row; the bins before it are only context.
    scored : Tensor of shape (C, L), bool
        L is a multiple of the window and of the block; False beyond a trial's end and in bins that only serve as
        past.
    time : Tensor of shape (C,), seconds
        Start of the row's first bin on the trial's clock (0 at the trial's start).
    hidden : Tensor of shape (C, 2 D)
        State of the long past before the row; zeros at a trial's start.
    modalities : dict of TimedKeys
        One row for each block of scored bins, (C * L / Q) rows.
    clip : Tensor of shape (C,), long
        What the trial shows; trials that show the same have the same number.
    """

    counts: Tensor
    observed: Tensor
    first: Tensor
    scored: Tensor
    time: Tensor
    hidden: Tensor
    clip: Tensor
    modalities: dict[str, TimedKeys] = field(default_factory=dict)

    @property
    def bins(self) -> Tensor:
        """(C, L), the row's bin at every scored place (clipped to the row where padded)."""
        steps = torch.arange(self.scored.shape[1], device=self.first.device)
        return (self.first[:, None] + steps).clamp_max(self.counts.shape[1] - 1)
