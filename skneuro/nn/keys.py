"""What blocks of bins attend to: keys with times, whose samples are held and encoded once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor


@dataclass(frozen=True)
class TimedKeys:
    """What blocks of Q consecutive bins attend to: one row for each block of each segment.

    Attributes
    ----------
    time : Tensor of shape (R, S), seconds from the start of the block's first bin
        Small numbers: on the clock of a long trial float32 would be off by whole samples.
    present : Tensor of shape (R, S), bool
        False where padded, dropped or not observed.
    sample : Tensor of shape (R, S), long
        Row of a table of distinct samples: what several blocks or trials see is held and encoded once.
    """

    time: Tensor
    present: Tensor
    sample: Tensor

    def rows(self, index: Tensor) -> Self:
        """Some blocks."""
        return replace(self, time=self.time[index], present=self.present[index], sample=self.sample[index])

    def hidden_from(self, keep: Tensor) -> Self:
        """The same with nothing there for the blocks where `keep` (R, 1) is False."""
        return replace(self, present=self.present & keep)

    @property
    def attended(self) -> TimedKeys:
        """Keys whose samples are the tokens that attention sees."""
        return self


@dataclass(frozen=True)
class TubeletKeys(TimedKeys):
    """Keys of the tubelets of a video; one key stands for all places of a tubelet's frames.

    Attributes
    ----------
    frames : Tensor of shape (V, K), long
        Frames of each distinct tubelet, the last one first, as rows of the table of samples; one beyond its end
        stands for the time before the clip.
    """

    frames: Tensor


@dataclass(frozen=True)
class ModalityKeys(TimedKeys):
    """Keys of a modality.

    Attributes
    ----------
    values : Tensor of shape (U, F)
        Distinct samples (whole frames of a video).
    tubelets : TubeletKeys or None
        Where a video enters in tubelets: what attention sees in place of whole frames.
    """

    values: Tensor
    tubelets: TubeletKeys | None = None

    def rows(self, index: Tensor) -> Self:
        """Some blocks."""
        tubelets = None if self.tubelets is None else self.tubelets.rows(index)
        return replace(super().rows(index), tubelets=tubelets)

    def hidden_from(self, keep: Tensor) -> Self:
        """The same with nothing there for the blocks where `keep` (R, 1) is False."""
        tubelets = None if self.tubelets is None else self.tubelets.hidden_from(keep)
        return replace(super().hidden_from(keep), tubelets=tubelets)

    @property
    def attended(self) -> TimedKeys:
        """Keys whose samples are the tokens that attention sees."""
        return self if self.tubelets is None else self.tubelets


@dataclass(frozen=True)
class SpikeKeys(TimedKeys):
    """Keys of recent spikes, where the gradient by their counts is wanted.

    Attributes
    ----------
    log_weight : Tensor of shape (R, S)
        Log of how much each key counts: 0, with the slope that takes the key away as its count goes to zero.
    """

    log_weight: Tensor

    def rows(self, index: Tensor) -> Self:
        """Some blocks."""
        return replace(super().rows(index), log_weight=self.log_weight[index])
