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
    counted_repeat_log_odds,
    fired_log_probability,
    silent_log_probability,
    table_shift,
)
from skneuro.nn.session import SessionUnits


@dataclass(frozen=True)
class Spikes:
    """Every single spike of some cells (R, N).

    Attributes
    ----------
    row, unit : Tensor of shape (n_occupied,), long
        The occupied cells.
    cell : Tensor of shape (n_spikes,), long
        The occupied cell that each spike belongs to.
    number : Tensor of shape (n_spikes,), long
        Its number there: 1, 2, ...
    last : Tensor of shape (n_spikes,), bool
    """

    row: Tensor
    unit: Tensor
    cell: Tensor
    number: Tensor
    last: Tensor

    @classmethod
    def of(cls, row: Tensor, unit: Tensor, count: Tensor) -> Spikes:
        """List the spikes of the occupied cells, all of shape (n_occupied,)."""
        cell = torch.arange(len(row), device=row.device).repeat_interleave(count)
        number = torch.arange(len(cell), device=row.device) - (count.cumsum(0) - count)[cell] + 1
        return cls(row, unit, cell, number, number == count[cell])

    @classmethod
    def of_counts(cls, counts: Tensor) -> Spikes:
        """List the spikes of cells (R, N)."""
        row, unit = counts.nonzero(as_tuple=True)
        return cls.of(row, unit, counts[row, unit].long())


@dataclass(frozen=True)
class NextEvents:
    """Where the next event of a window is asked for: after each spike, and at the window's start.

    Attributes
    ----------
    leaving : Tensor of shape (n_leaving,), long
        Spikes that are the last of their bin.
    follows : Tensor of shape (n_follows,), long
        The other spikes: an event of the same bin follows.
    cell : Tensor of shape (E,), long
        Occupied cell of every spike in `follows`, then the first occupied cell of every bin that has one.
    window, bin : Tensor of shape (E,), long
        Of those cells.
    prefix : Tensor of shape (E,), long
        What was known when the event was asked for.
    first_open : Tensor of shape (E,), long
        First unit of the bin that may still fire.
    """

    leaving: Tensor
    follows: Tensor
    cell: Tensor
    window: Tensor
    bin: Tensor
    prefix: Tensor
    first_open: Tensor

    @classmethod
    def of(cls, spikes: Spikes, n_bins: int) -> NextEvents:
        """From the spikes of windows of `n_bins` rows each."""
        next_in_bin = torch.zeros_like(spikes.row, dtype=torch.bool)
        next_in_bin[:-1] = spikes.row[1:] == spikes.row[:-1]
        first_in_bin = torch.ones_like(next_in_bin)
        first_in_bin[1:] = ~next_in_bin[:-1]
        leaving = spikes.last & ~next_in_bin[spikes.cell]
        follows = (~leaving).nonzero()[:, 0]
        cell = torch.cat([spikes.cell[follows], first_in_bin.nonzero()[:, 0]])
        after = torch.arange(len(cell), device=cell.device) < len(follows)
        window, bin_ = spikes.row[cell] // n_bins, spikes.row[cell] % n_bins
        prefix = cell + window + after.long()  # tokens of the windows before, and an empty prefix for each of them
        first_open = torch.where(after, spikes.unit[cell] + 1, 0)
        return cls(leaving.nonzero()[:, 0], follows, cell, window, bin_, prefix, first_open)


def repeat_odds(spikes: Spikes, log_intensity: Tensor, shift: Tensor, table: Tensor) -> Tensor:
    """Log odds of one more spike in its cell after each spike, (n_spikes,).

    Parameters
    ----------
    log_intensity, shift : Tensor of shape (R, N)
    table : Tensor of shape (N, max_count)
    """
    row, unit, cell, number = spikes.row, spikes.unit, spikes.cell, spikes.number
    rate = log_intensity[row, unit].clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)[cell]
    shifts = shift[row, unit][cell] + table_shift(table, unit[cell], number)
    return counted_repeat_log_odds(rate, number.to(rate.dtype), shifts, table.shape[1])


def cell_log_likelihood(log_intensity: Tensor, spikes: Spikes, odds: Tensor) -> Tensor:
    """Log probability of every cell's count, (R, N) in nats.

    Parameters
    ----------
    log_intensity : Tensor of shape (R, N)
        Log intensity of the first event.
    spikes : Spikes
        Of the counts (R, N).
    odds : Tensor of shape (n_spikes,)
        From :func:`repeat_odds`.
    """
    where = (spikes.row, spikes.unit)
    repeats = torch.where(spikes.last, F.logsigmoid(-odds), F.logsigmoid(odds))
    occupied = fired_log_probability(log_intensity[where]).index_add(0, spikes.cell, repeats)
    return silent_log_probability(log_intensity).index_put(where, occupied)


def time_log_likelihood(
    session: SessionUnits,
    events: NextEvents,
    spikes: Spikes,
    odds: Tensor,
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
    events : NextEvents
    spikes, odds : Spikes and Tensor
        Of the counts in shape (W * B, N).
    """
    n_units = base.shape[2]
    silent = -silent_log_probability(log_intensity) * observed
    occupied = torch.zeros_like(silent, dtype=torch.bool)
    occupied.view(-1, n_units)[spikes.row, spikes.unit] = True
    trailing = occupied.flip(-1).cumsum(-1).flip(-1) == 0  # no event from here to the end of the bin
    total = -(silent * trailing).sum()

    total = total + F.logsigmoid(-odds[events.leaving]).sum()
    # Events that follow a spike of their own bin, then the first events of bins.
    window, bin_, unit, n_follow = events.window, events.bin, spikes.unit[events.cell], len(events.follows)
    after = torch.arange(len(unit), device=base.device) < n_follow
    stay = F.pad(F.logsigmoid(-odds[events.follows]), (0, len(unit) - n_follow))  # log(1 - r)
    ids = torch.arange(n_units, device=base.device)
    first_open = events.first_open[:, None]
    here = observed[window, bin_]
    open_ = (ids >= first_open) & here
    a = base[window, bin_] + hidden[events.prefix] @ session.embedding.T
    if session.coupled:
        nothing = session.standardise(torch.zeros_like(a), here)
        seen = torch.where(ids < first_open, standardised[window, bin_], nothing)
        number = F.pad(spikes.number[events.follows], (0, len(unit) - n_follow)).to(seen.dtype)
        current = session.standardise(number, torch.ones_like(number), unit)
        seen = torch.where(after[:, None] & (ids == unit[:, None]), current[:, None], seen)
        a = a + session.same_bin_drive(seen, state[window, bin_])
    a = session.bounded(a)
    rest = (-silent_log_probability(a) * open_).sum(-1)
    return total + torch.log(-torch.expm1((stay - rest).clamp_max(-1e-30))).sum()
