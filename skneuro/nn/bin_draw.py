"""A bin of the hazard head drawn exactly without a step for every spike: guess, check, keep what agrees.

Each cell of a bin answers with a uniform number of its own, and its odds depend on the cells before it only. So the
sequence that one spike after the other would give is the one pattern that gives itself: whose cells, asked with the
odds that the pattern lays down, answer with the pattern. It is found by asking all cells at once under a guess, which
settles every cell up to the first that answers otherwise, and by taking the answers as the next guess. Cells move
each other's odds little, so that a few rounds do for a bin of any number of spikes.

The same idea solves triangular systems (Jacobi iteration) and speeds up language models: Song et al. (2021),
"Accelerating feedforward computation via parallel nonlinear equation solving", ICML.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skneuro.nn.counts import draw_repeats, drawn_fired_log_probability
from skneuro.nn.decoder import DecoderCache, WindowDecoder
from skneuro.nn.prefix_logits import prefix_logits
from skneuro.nn.session import SessionUnits


def draw_bin(
    session: SessionUnits,
    decoder: WindowDecoder,
    bin_: int,
    base: Tensor,
    state: Tensor,
    hidden: Tensor,
    cache: DecoderCache,
    uniform: Tensor,
    forced: tuple[Tensor, Tensor] | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Draw the counts of one bin of every row.

    Parameters
    ----------
    bin_ : int
        Bin of the window.
    base : Tensor of shape (R, N)
        Log intensities but for what the window's own spikes add.
    state : Tensor of shape (R, D)
        Context of the bin.
    hidden : Tensor of shape (R, D)
        State of the decoder after the window's spikes so far; brought up to date in place, as is `cache`.
    uniform : Tensor of shape (R, 2 N)
        For every unit a number that decides whether it fires, and one that decides how often.
    forced : tuple of two Tensors of shape (R, N), optional
        Counts that units have whatever the model says, NaN where they are free, and counts to add to all.
    temperature, top_p : float
        Of each choice by itself, to fire or not, and to fire once more or not; 1 is exact.

    Returns
    -------
    counts : Tensor of shape (R, N)
    decided : Tensor of shape (R, N)
        Log intensities under which the cells answered.
    """
    n_units = base.shape[1]
    ids = torch.arange(n_units, device=base.device)
    fires_below, repeats = uniform[:, :n_units].log(), uniform[:, n_units:]
    shift = session.repeat_shift(state)
    counts, decided = torch.zeros_like(base), base.clone()
    settled = torch.zeros(len(base), dtype=torch.long, device=base.device)  # so many cells will not change any more
    rows = torch.arange(len(base), device=base.device)
    while len(rows):
        guess, open_ = counts[rows], ids >= settled[rows, None]
        new = (guess > 0) & (ids >= settled[rows, None] - 1)  # what the decoder has not taken yet
        ahead = decoder.look_ahead(session, new, guess, bin_, state[rows], hidden[rows], cache, rows)
        before = new.cumsum(1) - new.long()
        width = ahead.states.shape[1]
        prefix = before + torch.arange(len(rows), device=base.device)[:, None] * width
        a = base[rows] + prefix_logits(ahead.states.flatten(0, 1), session.embedding, prefix)
        if session.coupled:
            standardised = session.standardise(guess, torch.ones_like(guess))
            a = a + session.same_bin_drive(standardised, state[rows])
        a = torch.where(open_, session.bounded(a), decided[rows])
        fired = (fires_below[rows] < drawn_fired_log_probability(a, temperature, top_p)) & open_
        answer = torch.where(open_, 0.0, guess)
        row, unit = fired.nonzero(as_tuple=True)
        drawn = draw_repeats(
            a[row, unit], shift[rows[row], unit], session.repeat_table, unit, repeats[rows[row], unit],
            temperature, top_p,
        )  # fmt: skip
        answer[row, unit] = drawn.to(answer.dtype)
        if forced is not None:
            fixed, extra = forced[0][rows], forced[1][rows]
            answer = torch.where(open_, torch.where(fixed.isnan(), answer, fixed) + extra, answer)
        differs = answer != guess
        first = torch.where(differs.any(1), differs.to(torch.uint8).argmax(1), n_units)
        agreed = (new & (ids < first[:, None])).sum(1)  # tokens of the guess that stay
        hidden[rows] = ahead.states[torch.arange(len(rows), device=base.device), agreed]
        cache.append(rows, ahead.keys, ahead.values, agreed)
        counts[rows], decided[rows], settled[rows] = answer, a, first + 1
        rows = rows[first < n_units]
    return counts, decided
