"""Closed loop: rows advance window after window, the model's own spikes become its past.

All rows (trials times samples, or windows times draws) move together; a row's numbers depend on its own inputs
and its own stream of random numbers only, never on the rows beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skneuro.nn.batch import Batch
from skneuro.nn.bin_draw import draw_bin
from skneuro.nn.counts import expected_count
from skneuro.nn.hazard import Spikes, cell_log_likelihood, repeat_odds
from skneuro.nn.keys import ModalityKeys
from skneuro.nn.neuroformer import Context, Neuroformer
from skneuro.nn.softmax_heads import Prefix, repeat_logit, spike_effects

# Modality tokens of the rows for the block that holds a bin: bins from the block's start to it, times, encoded keys.
ModalityView = Callable[[int, Tensor], tuple[int, dict[str, ModalityKeys], dict[str, Tensor]]]
# Standardised stimuli of so many bins of the rows, from the step-th bin on, each (r, b, F), that enter the long past;
# steps before the first are negative.
StimulusView = Callable[[int, int, Tensor], dict[str, Tensor]]


class Streams:
    """One generator of uniform numbers for every row; rows that name the same seed share their numbers.

    Parameters
    ----------
    seeds : sequence of numpy SeedSequence
        One for each distinct stream.
    row : ndarray of shape (R,), optional
        Stream of each row. By default every row has its own; a shared one is drawn once and used by all its
        rows (common random numbers). Shared streams are spread evenly over (0, 1) in every draw, so that a mean over
        them has a smaller error.
    turn : ndarray of shape (R,), optional
        Shared numbers of rows with another `turn` are turned by another angle around the circle (0, 1), as Cranley and
        Patterson (1976, SIAM J. Numer. Anal.) do with a lattice: evenly spread as before, and independent of theirs.
    """

    def __init__(
        self,
        seeds: Sequence[np.random.SeedSequence],
        row: np.ndarray | None = None,
        turn: np.ndarray | None = None,
    ) -> None:
        self._generators = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
        self._row, self._turn = row, turn
        self._shared: list[np.ndarray] = []

    def uniform(self, rows: Tensor, n: int, like: Tensor, call: int) -> Tensor:
        """The next `n` numbers of the streams of `rows`, (r, n); `call` counts the calls of a row's life."""
        if self._row is None:
            drawn = (
                np.stack([self._generators[row].random(n) for row in rows.tolist()]) if len(rows) else np.empty((0, n))
            )
        else:
            while len(self._shared) <= call:
                pair = np.stack([generator.random((2, n)) for generator in self._generators], axis=1)
                self._shared.append((pair[0].argsort(0).argsort(0) + pair[1]) / len(self._generators))
            index = rows.cpu().numpy()
            drawn = self._shared[call][self._row[index]]
            if self._turn is not None:
                turns, of = np.unique(self._turn[index], return_inverse=True)
                angles = [np.random.Generator(np.random.Philox([call, turn])).random(n) for turn in turns.tolist()]
                drawn = (drawn + np.stack(angles)[of]) % 1.0
        return torch.from_numpy(drawn).to(like.device, like.dtype)


class ClosedLoop:
    """The state of rows that generate.

    Parameters
    ----------
    model : Neuroformer
        In eval mode.
    counts, observed : Tensor of shape (R, H, N)
        The last ``H = model.config.history_bins`` bins of each row (at least one), not observed before a trial's start.
    hidden : Tensor of shape (R, S) or None
        State of the long past after those bins.
    modality : callable
        ``modality(step, rows)``: what the rows see of the modalities in the step-th bin from the start.
    streams : Streams
    n_bins : Tensor of shape (R,), long
        Bins that each row wants. A window that ends later is drawn like one whose last bins were not observed, as it
        is scored.
    temperature, top_p : float
        1 is an exact draw from the model. Of every choice to fire or not of a cell of the hazard, of every next token
        of the softmax heads.
    forced : callable, optional
        ``forced(step, rows)``: what units do in the step-th bin whatever the model says, as `draw_bin` takes it. With
        the softmax heads at temperature 1 and top_p 1 only.
    stimuli : callable, optional
        ``stimuli(step, n_bins, rows)``: what enters the long past beside the spikes.
    """

    def __init__(
        self,
        model: Neuroformer,
        counts: Tensor,
        observed: Tensor,
        hidden: Tensor | None,
        modality: ModalityView,
        streams: Streams,
        n_bins: Tensor,
        temperature: float = 1.0,
        top_p: float = 1.0,
        forced: Callable[[int, Tensor], tuple[Tensor, Tensor]] | None = None,
        stimuli: StimulusView | None = None,
    ) -> None:
        self.model, self.modality, self.streams, self.n_bins = model, modality, streams, n_bins
        self.counts, self.observed, self.hidden = counts, observed, hidden
        self.temperature, self.top_p, self.forced, self.stimuli = temperature, top_p, forced, stimuli
        self.rows = torch.arange(len(counts), device=counts.device)  # numbers the rows had at the start
        self.step = 0
        self._calls = 0

    def remember(self, counts: Tensor, observed: Tensor, length: Tensor) -> None:
        """Take a past (R, T, N) that was recorded, before the first window; `length` (R,) bins of it, the last ones."""
        if self.hidden is not None:
            x = self.model.session.standardise(counts, observed)
            n_past = x.shape[1]
            stimuli = {} if self.stimuli is None else self.stimuli(1 - n_past, n_past, self.rows)
            for n_bins in length.unique().tolist():  # the long past begins where the row's recording does
                rows = (length == n_bins).nonzero()[:, 0]
                since = n_past - n_bins
                seen = {name: values[rows, since:] for name, values in stimuli.items()}
                self.hidden[rows] = self.model.past(
                    self.model.session, x[rows, since:], self.hidden[rows], seen
                )[:, -1]  # fmt: skip
        self._append(counts, observed)

    def keep(self, going: Tensor) -> None:
        """Drop the rows that are finished; `going` (R,) is a mask over the present rows."""
        self.rows, self.counts, self.observed = self.rows[going], self.counts[going], self.observed[going]
        self.n_bins = self.n_bins[going]
        self.hidden = None if self.hidden is None else self.hidden[going]

    def window(self, *, expectations: bool = True) -> tuple[Tensor, Tensor]:
        """Generate the next window.

        Parameters
        ----------
        expectations : bool
            Whether they are wanted; otherwise the hazard spends nothing on them and gives zeros.

        Returns
        -------
        counts, expected : Tensor of shape (R, B, N)
            What was drawn, and what each cell was expected to hold given the draws before it: when its turn came,
            or, for the softmax heads, summed over the chances of every token of the sequence.
        """
        return self._hazard_window(expectations) if self.model.config.bin_clock else self._softmax_window()

    def past_window(self, given: Tensor, observed: Tensor) -> Tensor:
        """Log probability of the counts of the next window's cells under the odds that a draw of each bin leads to.

        Averaged over many draws the probabilities are those from the past alone, whatever the bin's other units do:
        the bins before are the given ones, and the bin itself is drawn. For the hazard.

        Parameters
        ----------
        given, observed : Tensor of shape (R, B, N)

        Returns
        -------
        Tensor of shape (R, B, N), in nats
        """
        session, decoder = self.model.session, self.model.decoder
        everyone = torch.arange(len(given), device=given.device)
        found, cache, hidden = [], None, None
        for bin_ in range(self.model.config.window_bins):
            context = self._context(1)
            base, state = context.base[:, 0], context.state[:, 0]
            if cache is None or hidden is None:
                hidden, cache = decoder.begin(state)
            uniform, counts = self._uniform(everyone, 2 * base.shape[1]), given[:, bin_]
            _, decided = draw_bin(session, decoder, bin_, base, state, hidden.clone(), cache.copy(), uniform)
            spikes = Spikes.of_counts(counts)
            odds = repeat_odds(spikes, decided, session.repeat_shift(state), session.repeat_table)
            found.append(cell_log_likelihood(decided, spikes, odds))
            ahead = decoder.look_ahead(session, counts > 0, counts, bin_, state, hidden, cache, everyone)
            n_tokens = (counts > 0).sum(1)
            hidden = ahead.states[everyone, n_tokens]
            cache.append(everyone, ahead.keys, ahead.values, n_tokens)
            self._advance(counts[:, None], observed[:, bin_, None])
        return torch.stack(found, 1) * observed

    # ---- shared ----------------------------------------------------------------------------------------------

    def _context(self, n_bins: int) -> Context:
        """Context of the next `n_bins` bins from what is known now."""
        n_rows, n_history, n_units = self.counts.shape
        blank = self.counts.new_zeros(n_rows, n_bins, n_units)
        lead, timed, keys = self.modality(self.step, self.rows)
        batch = Batch(
            counts=torch.cat([self.counts, blank], dim=1),
            observed=torch.cat([self.observed, torch.ones_like(blank, dtype=torch.bool)], dim=1),
            first=torch.full((n_rows,), n_history, device=self.rows.device),
            scored=torch.ones(n_rows, n_bins, dtype=torch.bool, device=self.rows.device),
            length=torch.full((n_rows,), n_history + n_bins, device=self.rows.device),
            hidden=blank[:, 0],
            clip=self.rows[:, None],
            clip_time=blank[:, 0, :1],
            modalities=timed,
            lead=lead,
        )
        states = None if self.hidden is None else self.hidden[:, None].expand(-1, n_bins, -1)
        return self.model.context(batch, states, keys)

    def _advance(self, counts: Tensor, observed: Tensor | None = None) -> None:
        """Append bins (R, b, N), by default generated ones, to the past."""
        observed = torch.ones_like(counts, dtype=torch.bool) if observed is None else observed
        if self.hidden is not None:
            x = self.model.session.standardise(counts, observed)
            n_bins = counts.shape[1]
            stimuli = {} if self.stimuli is None else self.stimuli(self.step + 1, n_bins, self.rows)
            self.hidden = self.model.past(self.model.session, x, self.hidden, stimuli)[:, -1]
        self._append(counts, observed)
        self.step += counts.shape[1]

    def _append(self, counts: Tensor, observed: Tensor) -> None:
        """Take bins into the recent past."""
        n_history = self.counts.shape[1]
        self.counts = torch.cat([self.counts, counts], dim=1)[:, -n_history:]
        self.observed = torch.cat([self.observed, observed], dim=1)[:, -n_history:]

    def _uniform(self, rows: Tensor, n: int) -> Tensor:
        drawn = self.streams.uniform(self.rows[rows], n, self.counts, self._calls)
        self._calls += 1
        return drawn

    # ---- hazard ----------------------------------------------------------------------------------------------

    def _hazard_window(self, expectations: bool) -> tuple[Tensor, Tensor]:
        config = self.model.config
        drawn, expected, cache, hidden = [], [], None, None
        for bin_ in range(config.window_bins):
            context = self._context(1)
            base, state = context.base[:, 0], context.state[:, 0]
            if cache is None:
                hidden, cache = self.model.decoder.begin(state)
            everyone = torch.arange(len(base), device=base.device)
            uniform = self._uniform(everyone, 2 * base.shape[1])
            forced = None if self.forced is None else self.forced(self.step, self.rows)
            counts, decided = draw_bin(
                self.model.session, self.model.decoder, bin_, base, state, hidden, cache, uniform, forced,
                self.temperature, self.top_p,
            )  # fmt: skip
            drawn.append(counts)
            mean = torch.zeros_like(base)
            if expectations:
                table, shift = self.model.session.repeat_table, self.model.session.repeat_shift(state)
                mean = expected_count(decided, shift, table, table.shape[1] + 4)
            expected.append(mean)
            self._advance(counts[:, None])
        return torch.stack(drawn, 1), torch.stack(expected, 1)

    # ---- softmax heads ---------------------------------------------------------------------------------------

    def _forced_cells(self, observed: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Which cells of the next window fire by themselves, and the spikes that are put into them, (R, B * N) each.

        None where nothing is done in the window; nothing is done beyond a trial's end.
        """
        if self.forced is None:
            return None, None
        bins = [self.forced(self.step + bin_, self.rows) for bin_ in range(observed.shape[1])]
        fixed, extra = (torch.stack(part, 1) for part in zip(*bins, strict=True))  # (R, B, N)
        own, pending = fixed.isnan() | ~observed, (fixed.nan_to_num() + extra) * observed
        if own.all() and not pending.any():
            return None, None
        return own.flatten(1), pending.flatten(1)

    def _softmax_window(self) -> tuple[Tensor, Tensor]:
        config, session = self.model.config, self.model.session
        n_bins, n_units = config.window_bins, config.n_units
        context = self._context(n_bins)
        state, cells = context.state, session.bounded(context.base)  # (R, B, D), (R, B, N)
        added = torch.zeros_like(cells)
        effects = spike_effects(session, n_bins) if session.coupled else None
        hidden, cache = self.model.decoder.begin(state[:, 0])
        counts = torch.zeros_like(cells).flatten(1)
        expected = torch.zeros_like(counts)
        inside = self.step + torch.arange(n_bins, device=cells.device) < self.n_bins[:, None]
        observed = inside[..., None].expand(-1, -1, n_units)
        last = torch.full((len(cells),), -1, device=cells.device)
        repeat = torch.zeros_like(cells[:, 0, 0])
        own, pending = self._forced_cells(observed)
        rows = torch.arange(len(cells), device=cells.device)
        while len(rows):
            now = (cells[rows] + added[rows].clamp(-10.0, 10.0))[:, None]
            prefix = Prefix(now, last[rows, None], repeat[rows, None])
            table = self.model.head(session, prefix, hidden[rows, None], observed[rows])[:, 0]
            expected[rows] += table[:, :-1].exp()
            uniform = self._uniform(rows, 1)[:, 0]
            if own is None or pending is None:
                choice = draw(table, uniform, self.temperature, self.top_p)
                going = choice < n_bins * n_units
            else:
                choice, made = draw_forced(table, own[rows], pending[rows], uniform)
                going = choice < n_bins * n_units
                done, place = rows[going & made], choice[going & made]
                pending[done, place] -= 1
                own[done, place] = False  # its own spikes are those that it had before
            rows, cell = rows[going], choice[going]
            if not len(rows):
                break
            counts[rows, cell] += 1
            unit, bin_, number = cell % n_units, cell // n_units, counts[rows, cell].long()
            last[rows] = cell
            repeat[rows] = repeat_logit(session, unit, number, state[rows, bin_])
            if effects is not None:
                added[rows] += effects(unit, bin_)
            hidden[rows] = self.model.decoder.extend(session, unit, bin_, number, state[rows, bin_], cache, rows)
        counts = counts.reshape(-1, n_bins, n_units)
        self._advance(counts)
        return counts, expected.reshape(counts.shape)


def draw_forced(table: Tensor, own: Tensor, pending: Tensor, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw the next token where some cells have spikes that are not their own.

    The cells of a window are decided one after the other: each fires with its chance of being the next token, given
    that no cell before it is. Cells that are not free to fire have none, and a cell that is to get spikes fires for
    certain, by itself or by what is done to it.

    Parameters
    ----------
    table : Tensor of shape (R, cells + 1)
        Log probabilities of the next token, the end last.
    own : Tensor of shape (R, cells), bool
        Cells that fire by themselves.
    pending : Tensor of shape (R, cells)
        Spikes that are still to be put into each cell.
    uniform : Tensor of shape (R,)

    Returns
    -------
    choice : Tensor of shape (R,), long
    made : Tensor of shape (R,), bool
        Whether the spike is one of those that are put there.
    """
    later = table.flip(1).logcumsumexp(1).flip(1)
    hazard = (table - later).exp() * F.pad(own, (0, 1), value=True)
    put = F.pad(pending, (0, 1)) > 0
    fires = torch.where(put, 1.0, hazard)
    reached = F.pad((1.0 - fires[:, :-1]).cumprod(1), (1, 0), value=1.0)
    cumulative = (reached * fires).cumsum(1)
    target = uniform[:, None] * cumulative[:, -1:]
    first = F.pad(pending, (0, 1), value=1) > 0  # the cell that cannot be passed, else the end
    choice = torch.searchsorted(cumulative, target, right=True)
    choice = torch.minimum(choice, first.to(torch.uint8).argmax(1, keepdim=True))
    # What is left of the number within the choice's share is uniform again, and says whose spike it is.
    before = cumulative.gather(1, choice) - (reached * fires).gather(1, choice)
    share = (target - before) / reached.gather(1, choice).clamp_min(1e-30)
    chance = hazard.gather(1, choice)
    made = put.gather(1, choice) & ((share >= chance) | (chance == 0))
    return choice[:, 0], made[:, 0]


def draw(log_probability: Tensor, uniform: Tensor, temperature: float, top_p: float) -> Tensor:
    """Draw one class a row by inverting the cumulative distribution.

    Parameters
    ----------
    log_probability : Tensor of shape (R, n)
    uniform : Tensor of shape (R,)
    temperature : float
        Divides the log probabilities.
    top_p : float
        Keeps the most probable classes up to this mass.

    Returns
    -------
    Tensor of shape (R,), long
    """
    p = F.softmax(log_probability / temperature, dim=1)
    if top_p < 1.0:
        ordered, order = p.sort(dim=1, descending=True)
        needed = ordered.cumsum(1) - ordered < top_p
        p = p * torch.zeros_like(p).scatter(1, order, needed.to(p.dtype))
    cumulative = p.cumsum(1)
    target = uniform[:, None] * cumulative[:, -1:]
    return torch.searchsorted(cumulative, target, right=True)[:, 0].clamp_max(p.shape[1] - 1)
