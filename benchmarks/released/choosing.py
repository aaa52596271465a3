"""How the next token is taken from the logits when sampling: the likeliest, or a draw from the nucleus."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

# choose(unit logits (r, U), dt logits (r, T), numbers of the rows (r,), step) gives unit (r,) and dt (r,).
Choose = Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]

ATTEMPTS = 12


def greedy(unit_logits: Tensor, dt_logits: Tensor, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """The likeliest unit and the likeliest dt."""
    return unit_logits.argmax(1), dt_logits.argmax(1)


class Forced:
    """Ends every row after a given number of spikes and no sooner: for timing, so that all ways do the same work."""

    def __init__(self, choose: Choose, n_spikes: Tensor, end: int) -> None:
        self.choose, self.n_spikes, self.end = choose, n_spikes, end

    def __call__(self, unit_logits: Tensor, dt_logits: Tensor, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Choose, but for the end of the row."""
        unit, dt = self.choose(unit_logits[:, : self.end - 1], dt_logits, rows, step)
        return torch.where(self.n_spikes[rows] == step, self.end, unit), dt


class SortedNucleus:
    """A draw from the likeliest tokens up to a mass, by sorting all of them: the released manner."""

    def __init__(self, top_p: float, generator: torch.Generator) -> None:
        self.top_p, self.generator = top_p, generator

    def __call__(self, unit_logits: Tensor, dt_logits: Tensor, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Draw both."""
        return self._draw(unit_logits), self._draw(dt_logits)

    def _draw(self, logits: Tensor) -> Tensor:
        p = nucleus(logits.softmax(-1), self.top_p)
        return torch.multinomial(p, 1, generator=self.generator)[:, 0]


def nucleus(p: Tensor, top_p: float) -> Tensor:
    """Probabilities (r, n) of the tokens whose likelier ones hold less than `top_p`; zero elsewhere."""
    ordered, order = p.sort(dim=1, descending=True)
    kept = torch.where(ordered.cumsum(1) - ordered < top_p, ordered, 0.0)
    kept = torch.zeros_like(p).scatter(1, order, kept)
    return kept / kept.sum(1, keepdim=True)


class RejectionNucleus:
    """The same draw without sorting: draw from all tokens until one lies in the nucleus.

    A token lies in it where the likelier ones hold less than `top_p`, which a comparison and a sum decide. Every row
    has its own generator and a fixed number of its uniform numbers for every token, so that nothing depends on the
    rows beside it.

    Parameters
    ----------
    top_p : float
    seeds : sequence of int
        One for each row.
    n_steps : int
        Tokens of the longest row.
    """

    def __init__(self, top_p: float, seeds: list[int], n_steps: int) -> None:
        self.top_p = top_p
        drawn = [np.random.Generator(np.random.Philox(seed)).random((n_steps, 2, ATTEMPTS)) for seed in seeds]
        self.uniform = torch.from_numpy(np.stack(drawn, axis=2))  # (steps, unit or dt, R, attempts)

    def __call__(self, unit_logits: Tensor, dt_logits: Tensor, rows: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Draw both, with the numbers of the rows."""
        unit, dt = self.uniform[step].to(unit_logits.dtype)
        return self._draw(unit_logits, unit[rows]), self._draw(dt_logits, dt[rows])

    def _draw(self, logits: Tensor, uniform: Tensor) -> Tensor:
        p = logits.softmax(-1)
        cumulative = p.cumsum(1)
        result = self._attempt(p, cumulative, uniform[:, :1])
        for attempt in range(1, ATTEMPTS):
            again = (result < 0).nonzero()[:, 0]
            if not len(again):
                return result
            result[again] = self._attempt(p[again], cumulative[again], uniform[again, attempt : attempt + 1])
        return torch.where(result < 0, p.argmax(1), result)  # once in 10^15 draws at top_p = 0.95

    def _attempt(self, p: Tensor, cumulative: Tensor, uniform: Tensor) -> Tensor:
        """Token, or -1 where it lies outside the nucleus."""
        token = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True).clamp_max_(p.shape[1] - 1)
        likelier = (p * (p > p.gather(1, token))).sum(1)
        return torch.where(likelier < self.top_p, token[:, 0], -1)
