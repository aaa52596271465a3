"""The hazard head: the next event is the first cell, in canonical order, that fires.

Every cell (bin, unit) of a window is asked once, given all that was decided before it: it fires with
probability ``1 - exp(-exp(a))`` and then repeats with odds that start at Poisson's. There is no EOS class (a
window ends when no later cell fires) and no impossible token, so the probabilities of all patterns sum to one
by construction. With a linear `a` it is the Bernoulli point-process GLM with complementary log-log link.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from skneuro.nn.counts import (
    MAX_LOG_INTENSITY,
    MIN_LOG_INTENSITY,
    fired_log_probability,
    repeat_log_odds,
    silent_log_probability,
    table_shift,
)
from skneuro.nn.session import SessionUnits
from skneuro.nn.windows import WindowTokens


@dataclass(frozen=True)
class Spikes:
    """Every single spike of some cells: the occupied cell it belongs to, its number there, the log odds of one more.

    All of shape (n_spikes,), but `row` and `unit` of shape (n_occupied,).
    """

    row: Tensor
    unit: Tensor
    cell: Tensor
    number: Tensor
    last: Tensor
    log_odds: Tensor


def spike_repeats(counts: Tensor, log_intensity: Tensor, shift: Tensor, table: Tensor) -> Spikes:
    """List the spikes of cells (R, N) with the odds of a repeat after each."""
    row, unit = counts.nonzero(as_tuple=True)
    count = counts[row, unit].long()
    cell = torch.arange(len(row), device=row.device).repeat_interleave(count)
    number = torch.arange(len(cell), device=row.device) - (count.cumsum(0) - count)[cell] + 1  # 1 .. count
    rate = log_intensity[row, unit].clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)[cell]
    shifts = shift[row, unit][cell] + table_shift(table, unit[cell], number)
    odds = repeat_log_odds(rate, number.to(rate.dtype), shifts)
    return Spikes(row, unit, cell, number, number == count[cell], odds)


def cell_log_likelihood(counts: Tensor, log_intensity: Tensor, spikes: Spikes) -> Tensor:
    """Log probability of every cell's count, (R, N) in nats.

    Parameters
    ----------
    counts, log_intensity : Tensor of shape (R, N)
        Spike counts and log intensity of the first event.
    spikes : Spikes
        From :func:`spike_repeats` of the same counts.
    """
    where = (spikes.row, spikes.unit)
    repeats = torch.where(spikes.last, F.logsigmoid(-spikes.log_odds), F.logsigmoid(spikes.log_odds))
    occupied = fired_log_probability(log_intensity[where]).index_add(0, spikes.cell, repeats)
    return silent_log_probability(log_intensity).index_put(where, occupied)


def time_log_likelihood(
    session: SessionUnits,
    tokens: WindowTokens,
    spikes: Spikes,
    *,
    base: Tensor,
    hidden: Tensor,
    standardised: Tensor,
    state: Tensor,
    observed: Tensor,
    log_intensity: Tensor,
) -> Tensor:
    """Log probability of the *bin* of every next event (a window's end is one), summed over all windows.

    With the log-likelihood of the whole pattern it gives the two losses of the poster: ``L_dt`` is minus this
    number, ``L_id`` the rest. With r the probability that the last unit repeats, and `rest` the summed
    intensity of the units of a bin that are still open, as the prefix sees them,

    * the next event falls into the bin of the last one with probability ``1 - (1 - r) exp(-rest)``;
    * it falls into a later bin with ``(1 - r) exp(-silence until that bin) (1 - exp(-rest))``.

    Parameters
    ----------
    base, standardised, observed, log_intensity : Tensor of shape (W, B, N)
    hidden : Tensor of shape (P, D)
        Decoder state after every prefix, windows one after the other.
    state : Tensor of shape (W, B, D)
    spikes : Spikes
        Of the counts in shape (W * B, N).
    """
    n_bins, n_units = base.shape[1:]
    silent = -silent_log_probability(log_intensity) * observed
    occupied = torch.zeros_like(silent, dtype=torch.bool)
    occupied.view(-1, n_units)[spikes.row, spikes.unit] = True
    trailing = occupied.flip(-1).cumsum(-1).flip(-1) == 0  # no event from here to the end of the bin
    total = -(silent * trailing).sum()

    cell_window, cell_bin = spikes.row // n_bins, spikes.row % n_bins
    position = torch.arange(len(spikes.row), device=base.device)
    position = position - (tokens.length.cumsum(0) - tokens.length)[cell_window]  # token number in its window
    next_in_bin = torch.zeros_like(spikes.row, dtype=torch.bool)
    next_in_bin[:-1] = spikes.row[1:] == spikes.row[:-1]
    first_in_bin = torch.ones_like(next_in_bin)
    first_in_bin[1:] = ~next_in_bin[:-1]

    leaving = spikes.last & ~next_in_bin[spikes.cell]
    total = total + F.logsigmoid(-spikes.log_odds[leaving]).sum()

    # Events that follow a spike of their own bin, then the first events of bins.
    follows, opens = ~leaving, first_in_bin.nonzero(as_tuple=True)[0]
    cell = torch.cat([spikes.cell[follows], opens])
    n_follow = int(follows.sum())
    after = torch.arange(len(cell), device=base.device) < n_follow
    stay = torch.cat([F.logsigmoid(-spikes.log_odds[follows]), base.new_zeros(len(opens))])  # log(1 - r)
    window, bin_, unit = cell_window[cell], cell_bin[cell], spikes.unit[cell]
    ids = torch.arange(n_units, device=base.device)
    first_open = torch.where(after, unit + 1, 0)[:, None]
    here = observed[window, bin_]
    open_ = (ids >= first_open) & here
    a = base[window, bin_] + hidden[tokens.prefix_start[window] + position[cell] + after.long()] @ session.embedding.T
    if session.coupled:
        nothing = session.standardise(torch.zeros_like(a), here)
        seen = torch.where(ids < first_open, standardised[window, bin_], nothing)
        number = torch.cat([spikes.number[follows], torch.zeros_like(opens)]).to(seen.dtype)
        current = session.standardise(number, torch.ones_like(number), unit)
        seen = torch.where(after[:, None] & (ids == unit[:, None]), current[:, None], seen)
        a = a + session.same_bin_drive(seen, state[window, bin_])
    a = session.bounded(a)
    rest = (-silent_log_probability(a) * open_).sum(-1)
    return total + torch.log(-torch.expm1((stay - rest).clamp_max(-1e-30))).sum()
