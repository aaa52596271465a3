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
class Prefixes:
    """The ``length + 1`` prefixes of every window, windows one after the other, and the tokens that end them.

    Attributes
    ----------
    window, position : Tensor of shape (P,), long
        Window of each prefix, and its number of tokens.
    start : Tensor of shape (W,), long
        The empty prefix of each window.
    follows : Tensor of shape (T,), long
        The other prefixes; each ends with the token of the same place in the lists below.
    unit, bin, count : Tensor of shape (T,), long
        As in :class:`WindowTokens`.
    cell : Tensor of shape (T,), long
        Row of each token's bin in a list of all bins of all windows.
    groups : list of PrefixGroup
        Up to `GROUPS` groups of neighbouring windows.
    """

    window: Tensor
    position: Tensor
    start: Tensor
    follows: Tensor
    unit: Tensor
    bin: Tensor
    count: Tensor
    cell: Tensor
    groups: list[PrefixGroup]


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
    prefixes : Prefixes
    """

    unit: Tensor
    bin: Tensor
    count: Tensor
    length: Tensor
    prefixes: Prefixes

    @property
    def padding(self) -> Tensor:
        """(W, K), True where a position holds no token."""
        return torch.arange(self.unit.shape[1], device=self.unit.device) >= self.length[:, None]

    def padded(self, rows: Tensor) -> Tensor:
        """A list over all prefixes (P, ...) as one row a window, (W, K + 1, ...), zeros where padded."""
        shape = (len(self.length), self.unit.shape[1] + 1, *rows.shape[1:])
        return rows.new_zeros(shape).index_put_((self.prefixes.window, self.prefixes.position), rows)


def _prefix_groups(length: Tensor) -> list[PrefixGroup]:
    size = max(-(-len(length) // GROUPS), SMALLEST_GROUP)
    found = []
    for part in length.split(size) if len(length) else ():
        steps = torch.arange(int(part.max()) + 1, device=length.device)
        first = (part + 1).cumsum(0) - (part + 1)
        inside = steps <= part[:, None]
        table = torch.where(inside, first[:, None] + steps, first[:, None])
        found.append(PrefixGroup(table, inside.flatten().nonzero()[:, 0]))
    return found


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
    token = torch.arange(len(window), device=counts.device)
    unit, bin_ = cell % n_units, cell // n_units
    longest = int(length.max()) if n_windows else 0
    padded = torch.zeros(3, n_windows, longest, dtype=torch.long, device=counts.device)
    padded[:, window, token - first[window]] = torch.stack([unit, bin_, count])
    start = first + torch.arange(n_windows, device=counts.device)
    of_prefix = torch.arange(n_windows, device=counts.device).repeat_interleave(length + 1)
    position = torch.arange(len(of_prefix), device=counts.device) - start[of_prefix]
    prefixes = Prefixes(
        of_prefix, position, start, token + window + 1, unit, bin_, count, window * n_bins + bin_,
        _prefix_groups(length),
    )  # fmt: skip
    return WindowTokens(padded[0], padded[1], padded[2], length, prefixes)


def tokens_before(counts: Tensor) -> Tensor:
    """How many occupied cells of a window stand before each cell, (W, B, N) to (W, B * N)."""
    occupied = (counts > 0).flatten(1).long()
    return occupied.cumsum(1) - occupied
