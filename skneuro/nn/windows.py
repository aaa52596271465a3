"""From the counts of windows to their token sequences, without a loop over windows or spikes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

GROUPS, SMALLEST_GROUP = 8, 64  # windows are padded to the longest of their group


@dataclass(frozen=True)
class PrefixGroup:
    """Consecutive windows that attention pads to a common length.

    Attributes
    ----------
    table : Tensor of shape (w, k), long
        The prefixes of each window in the group's list of prefixes; any of them where padded.
    place : Tensor of shape (p,), long
        Where each prefix of the list stands in the flattened table.
    """

    table: Tensor
    place: Tensor


@dataclass(frozen=True)
class WindowTokens:
    """Padded token sequences of W windows, in canonical order; position 0 is the start of the window.

    Attributes
    ----------
    unit, bin, count : Tensor of shape (W, K), long
        Unit, bin inside the window and multiplicity of every token; zeros where padded. `count` is the whole
        count of the cell where repeats are one token (`merged`), else the running number of the spike.
    length : Tensor of shape (W,), long
        Tokens of each window.
    """

    unit: Tensor
    bin: Tensor
    count: Tensor
    length: Tensor

    @property
    def padding(self) -> Tensor:
        """(W, K), True where a position holds no token."""
        return torch.arange(self.unit.shape[1], device=self.unit.device) >= self.length[:, None]

    @property
    def prefix_start(self) -> Tensor:
        """(W,), where the ``length + 1`` prefixes of each window begin in a list of all prefixes of all windows."""
        return (self.length + 1).cumsum(0) - (self.length + 1)

    def prefixes(self) -> tuple[Tensor, Tensor]:
        """Window and number of tokens of every prefix, windows one after the other, both (P,)."""
        window = torch.arange(len(self.length), device=self.length.device).repeat_interleave(self.length + 1)
        position = torch.arange(len(window), device=self.length.device) - self.prefix_start[window]
        return window, position

    def prefix_groups(self) -> list[PrefixGroup]:
        """Up to `GROUPS` groups of neighbouring windows."""
        n_windows = len(self.length)
        size = max(-(-n_windows // GROUPS), SMALLEST_GROUP)
        longest = [part.max() for part in self.length.split(size)] if n_windows else []
        steps = torch.arange(self.unit.shape[1] + 1, device=self.length.device)
        found = []
        for length, most in zip(self.length.split(size), torch.stack(longest).tolist() if longest else [], strict=True):
            first = (length + 1).cumsum(0) - (length + 1)
            inside = steps[: most + 1] <= length[:, None]
            table = torch.where(inside, first[:, None] + steps[: most + 1], first[:, None])
            found.append(PrefixGroup(table, inside.flatten().nonzero()[:, 0]))
        return found

    def padded(self, rows: Tensor) -> Tensor:
        """A list over all prefixes (P, ...) as one row a window, (W, K + 1, ...), zeros where padded."""
        shape = (len(self.length), self.unit.shape[1] + 1, *rows.shape[1:])
        return rows.new_zeros(shape).index_put_(self.prefixes(), rows)


def window_tokens(counts: Tensor, *, merged: bool) -> WindowTokens:
    """Tokens of windows in canonical order: bins ascending, ids ascending within a bin.

    Parameters
    ----------
    counts : Tensor of shape (W, B, N)
        Non-negative whole numbers.
    merged : bool
        One token a cell with its whole count (the hazard), or one token a spike (the softmax heads).
    """
    n_windows, n_bins, n_units = counts.shape
    flat = counts.reshape(n_windows, n_bins * n_units)
    window, cell = flat.nonzero(as_tuple=True)  # canonical order by construction
    count = flat[window, cell].long()
    if not merged:
        starts = count.cumsum(0) - count
        window, cell = window.repeat_interleave(count), cell.repeat_interleave(count)
        number = torch.arange(len(window), device=counts.device) - starts.repeat_interleave(count)
        count = number + 1
    length = torch.bincount(window, minlength=n_windows)
    first = length.cumsum(0) - length
    position = torch.arange(len(window), device=counts.device) - first[window]
    longest = int(length.max()) if n_windows else 0
    padded = torch.zeros(3, n_windows, longest, dtype=torch.long, device=counts.device)
    padded[:, window, position] = torch.stack([cell % n_units, cell // n_units, count])
    return WindowTokens(padded[0], padded[1], padded[2], length)


def tokens_before(counts: Tensor) -> Tensor:
    """How many occupied cells of a window stand before each cell, (W, B, N) to (W, B * N)."""
    occupied = (counts > 0).reshape(len(counts), -1).long()
    return occupied.cumsum(1) - occupied
