"""What one pass of the model is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from skneuro.nn.keys import ModalityKeys

if TYPE_CHECKING:
    from skneuro.nn.layout import Layout

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
    length : Tensor of shape (C,), long
        Bins of each row; what follows is padding.
    hidden : Tensor of shape (C, S)
        State of the long past before the row; zeros at a trial's start.
    modalities : dict of ModalityKeys
        One row for each block of scored bins, (C * L / Q) rows.
    clip : Tensor of shape (C, M), long
        What the trial shows on each of the M aligned modalities; trials that show the same have the same number.
    clip_time : Tensor of shape (C, M), seconds
        Start of the row's first bin on the clock of what it shows.
    stimuli : dict of Tensor of shape (C, T, F)
        Standardised values of the bin after each, of the modalities that enter the long past; zeros where not known.
    lead : int
        Bins between the start of the modalities' blocks and the first scored bin.
    behaviour : Tensor of shape (C, L, K) or None
        Standardised behaviour of every scored bin, NaN where it is not known; in training only.
    layout : Layout or None
        Where the spikes are, if that was found where the batch was made.
    """

    counts: Tensor
    observed: Tensor
    first: Tensor
    scored: Tensor
    length: Tensor
    hidden: Tensor
    clip: Tensor
    clip_time: Tensor
    modalities: dict[str, ModalityKeys] = field(default_factory=dict)
    stimuli: dict[str, Tensor] = field(default_factory=dict)
    lead: int = 0
    behaviour: Tensor | None = None
    layout: Layout | None = None

    @property
    def bins(self) -> Tensor:
        """(C, L), the row's bin at every scored place (clipped to the row where padded)."""
        steps = torch.arange(self.scored.shape[1], device=self.first.device)
        return torch.minimum(self.first[:, None] + steps, self.length[:, None] - 1)
