"""The poster's heads: a softmax over the bins of a window (with EOS) and one over the units, under a validity mask.

``independent`` renormalises the product of both jointly over the tokens that may follow; ``chained`` is
``p(dt | prefix) p(id | dt, prefix)``, its ID head sees the bin. A token may follow when its cell is not before
the last one (the same cell is a repeat). Both give a table of log probabilities over (cells, EOS) for every
prefix of every window, from which the losses and the likelihood of every cell follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.counts import CLAMP, table_shift
from skneuro.nn.session import SessionUnits
from skneuro.nn.windows import WindowTokens

IMPOSSIBLE = -1e30


class SoftmaxHead(nn.Module):
    """Log probabilities of the next token for every prefix of a window.

    Parameters
    ----------
    config : NeuroformerConfig
        `head` is "independent" or "chained".
    """

    def __init__(self, config: NeuroformerConfig) -> None:
        super().__init__()
        self.chained = config.head == "chained"
        self.time = nn.Linear(config.d_model, config.window_bins)
        self.end = nn.Linear(config.d_model, 1)
        self.scale = nn.Parameter(torch.zeros(config.window_bins, config.d_model))
        self.shift = nn.Parameter(torch.zeros(config.window_bins, config.d_model))
        if not self.chained:  # the independent ID head does not see the bin
            del self.scale, self.shift

    def forward(self, session: SessionUnits, prefix: Prefix, hidden: Tensor, observed: Tensor) -> Tensor:
        """Compute the table.

        Parameters
        ----------
        prefix : Prefix
            Of P prefixes for each of W windows.
        hidden : Tensor of shape (W, P, D)
            Decoder state after every prefix.
        observed : Tensor of shape (W, B, N)
            Cells that were not observed cannot fire.

        Returns
        -------
        Tensor of shape (W, P, B * N + 1), log probabilities, EOS last
        """
        n_bins, n_units = observed.shape[1:]
        position = torch.arange(n_bins * n_units, device=hidden.device).view(n_bins, n_units)
        last = prefix.last[..., None, None]
        valid = (position >= last) & observed[:, None]  # (W, P, B, N)
        cells = prefix.cells + torch.where(position == last, prefix.repeat[..., None, None], 0.0)
        time, end = self.time(hidden), self.end(hidden)  # (W, P, B), (W, P, 1)
        if self.chained:
            conditioned = hidden[:, :, None] * (1 + self.scale) + self.shift  # (W, P, B, D)
            ids = (cells + conditioned @ session.embedding.T).masked_fill(~valid, IMPOSSIBLE)
            time = time + cells.masked_fill(~valid, IMPOSSIBLE).logsumexp(-1)
            time = time.masked_fill(~valid.any(-1), IMPOSSIBLE)
            choice = torch.cat([time, end], dim=-1).log_softmax(-1)
            joint = choice[..., :-1, None] + ids.log_softmax(-1)
            joint = joint.masked_fill(~valid, IMPOSSIBLE).flatten(2)
            return torch.cat([joint, choice[..., -1:]], dim=-1)
        joint = cells + time[..., None] + (hidden @ session.embedding.T)[:, :, None]
        joint = joint.masked_fill(~valid, IMPOSSIBLE).flatten(2)
        return torch.cat([joint, end], dim=-1).log_softmax(-1)


@dataclass(frozen=True)
class Prefix:
    """What the heads must know of a prefix beside the decoder's state.

    Attributes
    ----------
    cells : Tensor of shape (W, P, B, N)
        Log intensity of every cell, couplings from the prefix included.
    last : Tensor of shape (W, P), long
        Cell of the last token, -1 at the start.
    repeat : Tensor of shape (W, P)
        Added to the last cell, where a further token is a repeat.
    """

    cells: Tensor
    last: Tensor
    repeat: Tensor


def repeat_logit(session: SessionUnits, unit: Tensor, number: Tensor, state: Tensor) -> Tensor:
    """Shift of a cell's logit after its `number`-th spike; `state` (..., D) is that of its bin."""
    shift = table_shift(session.repeat_table, unit, number) + (state * session.repeat_state[unit]).sum(-1)
    return shift.clamp(-CLAMP, CLAMP) - torch.log(number + 1.0).to(shift.dtype)


def coupling_effects(session: SessionUnits, n_bins: int) -> Tensor:
    """What one spike adds to the log intensity of the window's cells, (source, bin of the spike, bin, target).

    It acts on later bins through the lag kernels and on higher ids of its own bin through the linear same-bin
    term.
    """
    kernels = session.kernels()  # (target, source, lag)
    effect = kernels.new_zeros(len(kernels), n_bins, n_bins, len(kernels))
    same_bin = session.same_bin * session.lower / session.sd[:, None]
    for source_bin in range(n_bins):
        effect[:, source_bin, source_bin] = same_bin
        for target_bin in range(source_bin + 1, min(n_bins, source_bin + 1 + kernels.shape[2])):
            effect[:, source_bin, target_bin] = kernels[:, :, target_bin - source_bin - 1].T
    return effect


def spike_effects(session: SessionUnits, n_bins: int) -> Callable[[Tensor, Tensor], Tensor]:
    """What a spike of a unit (...) in a bin (...) adds to the log intensity of the window's cells, (..., B, N).

    With a low rank there is no table over pairs of units, and no same-bin term.
    """
    if session.pairwise:
        table = coupling_effects(session, n_bins)
        return lambda unit, bin_: table[unit, bin_]
    source, target = session.kernel_factors()
    n_lags = min(n_bins - 1, len(target))
    bins = torch.arange(n_bins, device=source.device)

    def effects(unit: Tensor, bin_: Tensor) -> Tensor:
        acting = torch.einsum("...r,lrn->...ln", source[unit], target[:n_lags])
        lag = bins - bin_[..., None] - 1  # (..., B); 0 for the next bin
        lag = torch.where((lag >= 0) & (lag < n_lags), lag, n_lags)  # the last row is nothing
        return F.pad(acting, (0, 0, 0, 1)).take_along_dim(lag[..., None], dim=-2)

    return effects


def all_prefixes(session: SessionUnits, tokens: WindowTokens, base: Tensor, state: Tensor) -> Prefix:
    """Every prefix of every window, K + 1 of them; base (W, B, N), state (W, B, D)."""
    n_windows, n_bins, n_units = base.shape
    last = torch.where(tokens.padding, 0, tokens.bin * n_units + tokens.unit)
    last = torch.cat([last.new_full((n_windows, 1), -1), last], dim=1)
    rows = torch.arange(n_windows, device=base.device)[:, None]
    repeat = repeat_logit(session, tokens.unit, tokens.count.clamp_min(1), state[rows, tokens.bin])
    repeat = torch.cat([repeat.new_zeros(n_windows, 1), repeat], dim=1)
    cells = base[:, None].expand(n_windows, last.shape[1], n_bins, n_units)
    if session.coupled:
        added = spike_effects(session, n_bins)(tokens.unit, tokens.bin) * (~tokens.padding)[..., None, None]
        added = torch.cat([added.new_zeros(n_windows, 1, n_bins, n_units), added], dim=1)
        cells = cells + added.cumsum(1).clamp(-2 * CLAMP, 2 * CLAMP)
    return Prefix(cells, last, repeat)


def window_likelihood(table: Tensor, tokens: WindowTokens, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Losses and cell likelihoods from the table of :class:`SoftmaxHead`.

    Parameters
    ----------
    table : Tensor of shape (W, K + 1, B * N + 1)
    tokens : WindowTokens
        One token a spike.
    observed : Tensor of shape (W, B, N)

    Returns
    -------
    time, total : Tensor of shape (W,)
        Log probability of the bins (EOS among them) and of the whole sequences, nats.
    cells : Tensor of shape (W, B, N)
        The chain rule over cells: their sum over a window is `total`.
    """
    n_windows, n_bins, n_units = observed.shape
    n_cells = n_bins * n_units
    rows = torch.arange(n_windows, device=table.device)
    cell = tokens.bin * n_units + tokens.unit
    target = torch.cat([cell, cell.new_zeros(n_windows, 1)], dim=1)
    target[rows, tokens.length] = n_cells  # EOS
    real = torch.arange(target.shape[1], device=table.device) <= tokens.length[:, None]
    token = table.gather(2, target[..., None])[..., 0]  # (W, K + 1)
    bins = table[..., :-1].reshape(*table.shape[:2], n_bins, n_units).logsumexp(-1)
    bins = torch.cat([bins, table[..., -1:]], dim=-1)
    time = bins.gather(2, torch.where(target == n_cells, n_bins, target // n_units)[..., None])[..., 0]
    total = (token * real).sum(1)

    # P(next event at or after cell c), for every prefix; a silent cell costs the step from c to c + 1.
    later = table.flip(-1).logcumsumexp(-1).flip(-1)  # (W, K + 1, cells + 1)
    occupied = torch.zeros(n_windows, n_cells + 1, dtype=torch.long, device=table.device)
    spikes = (~tokens.padding).long()
    occupied.scatter_add_(1, torch.where(tokens.padding, n_cells, cell), spikes)
    before = (occupied.cumsum(1) - occupied)[:, :n_cells]  # prefix with which each cell is reached
    index = before[:, None]
    silent = later[..., 1:].gather(1, index)[:, 0] - later[..., :-1].gather(1, index)[:, 0]
    # An occupied cell: reach it, its spikes, and leave it.
    pad = torch.where(tokens.padding, 0.0, token[:, :-1])
    fired = torch.zeros_like(table[:, 0]).scatter_add(1, torch.where(tokens.padding, n_cells, cell), pad)[:, :n_cells]
    reach = later[..., :-1].gather(1, index)[:, 0]
    after = (before + occupied[:, :n_cells])[:, None]
    leave = later[..., 1:].gather(1, after)[:, 0]
    cells = torch.where(occupied[:, :n_cells] > 0, fired - reach + leave, silent)
    cells = torch.where(observed.reshape(n_windows, n_cells), cells, 0.0)
    return (time * real).sum(1), total, cells.reshape(n_windows, n_bins, n_units)
