"""The model: recurrent long past, iterative fusion, causal decoder over a window's spikes, heads.

The way of the data, for a batch of segments:

    counts --standardise--> long past (GRU) --> state of every bin  (C, L, D)
    state --fusion with recent spikes and each modality--> context of every bin  (C, L, D)
    context --readout tied to the unit embedding, plus each unit's own readout of the past, plus coupling attention-->
        base log intensity  (C, L, N)
    spikes of a window + context --causal decoder--> state after every prefix --> head --> log-likelihood
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from skneuro.nn import hazard
from skneuro.nn.alignment import Projection, contrastive_loss
from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.decoder import WindowDecoder
from skneuro.nn.encoders import TOLERANCE, Fusion, LinearDrive, ModalityKeys, PastEncoder, TimedKeys
from skneuro.nn.layers import Dropout, RandomSource
from skneuro.nn.prefix_logits import prefix_logits
from skneuro.nn.session import SessionUnits
from skneuro.nn.softmax_heads import SoftmaxHead, all_prefixes, window_likelihood
from skneuro.nn.windows import tokens_before, window_tokens

MAX_PAIRS = 256


@dataclass(frozen=True)
class Context:
    """What is known of every scored bin before its own spikes: fused state and base log intensity."""

    state: Tensor  # (C, L, D)
    base: Tensor  # (C, L, N)


@dataclass(frozen=True)
class Output:
    """Result of one pass; log-likelihoods in nats.

    Attributes
    ----------
    cells : Tensor of shape (C, L, N)
        Log probability of every cell's count by the chain rule; 0 where not observed.
    total, time : Tensor
        Sum of the pattern log-likelihood, and of its dt part (None where not asked for).
    n_tokens : int
        Spikes and window ends.
    intensity : Tensor of shape (C, L, N)
        Log intensities as the ceiling of the units left them, minus infinity where not observed; without gradient.
    contrastive : Tensor or None
    """

    cells: Tensor
    total: Tensor
    time: Tensor | None
    n_tokens: int
    intensity: Tensor
    contrastive: Tensor | None


class Neuroformer(nn.Module):
    """Multimodal generative transformer over spikes.

    Parameters
    ----------
    config : NeuroformerConfig
    mean, sd : Tensor of shape (N,)
        Mean and standard deviation of the training counts of every unit.
    histogram : Tensor of shape (N, max_count + 1), optional
        Training bins with 0, 1, ... spikes: where the hazard's count distribution starts.
    """

    def __init__(self, config: NeuroformerConfig, mean: Tensor, sd: Tensor, histogram: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.random = RandomSource()
        d_model = config.d_model
        self.session = SessionUnits(config, mean, sd, histogram if config.bin_clock else None)
        if config.context_bins:
            self.past = PastEncoder(config, self.random)
        else:
            self.fixed_state = nn.Parameter(torch.randn(d_model) * d_model**-0.5)
        self.fusion = Fusion(config, self.random)
        self.drives = nn.ModuleList(LinearDrive(m, config.stimulus_context) for m in config.modalities)
        self.norm = nn.LayerNorm(d_model)
        self.dropout = Dropout(config.dropout, self.random)
        self.readout = nn.Linear(d_model, d_model)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)
        self.decoder = WindowDecoder(config, self.random)
        if not config.bin_clock:
            self.head = SoftmaxHead(config)
        if config.aligned is not None:
            self.projection = Projection(2 * d_model if config.context_bins else d_model, d_model)

    # ---- context ---------------------------------------------------------------------------------------------

    def past_states(self, batch: Batch) -> Tensor | None:
        """States of the long past before each bin of the rows and after the last, (C, T + 1, 2 D)."""
        if not self.config.context_bins:
            return None
        x = self.session.standardise(batch.counts, batch.observed)
        if self.training and self.config.unit_dropout:
            x = x * self.random.keep((len(x), 1, x.shape[2]), self.config.unit_dropout, x)
        return self.past(self.session, x, batch.hidden)

    def known_until(self, bins: Tensor) -> Tensor:
        """First bin that the context of each scored bin does not know, (C, L)."""
        if self.config.bin_clock:
            return bins
        steps = torch.arange(bins.shape[1], device=bins.device)
        return bins[:, :1] + steps - steps % self.config.window_bins

    def context(self, batch: Batch, states: Tensor | None, keys: dict[str, Tensor] | None = None) -> Context:
        """Fused state and base log intensity of the scored bins.

        Parameters
        ----------
        states : Tensor of shape (C, L, 2 D) or None
            State of the long past where each scored bin's knowledge ends.
        keys : dict of Tensor, optional
            Encoded modality tokens, where they are at hand; by default they are encoded here.
        """
        bins = batch.bins
        known = self.known_until(bins)
        n_rows, n_bins = bins.shape
        features = None if states is None else self.past.features(states)
        if features is None:
            state = self.fixed_state.expand(n_rows, n_bins, -1)
        else:
            state = self.past.project(features)
        size = min(block_bins(self.config.window_bins), n_bins)
        ends = torch.arange(n_bins, device=bins.device) % size + batch.lead + 1
        ends = (ends.to(state.dtype) * self.config.bin_width).expand(n_rows, -1).reshape(-1, size)
        given = {name: self._some_hidden(modality) for name, modality in batch.modalities.items()}
        timed: dict[str, TimedKeys] = dict(given)
        encoded = self.fusion.encode(given) if keys is None else dict(keys)
        query_time = dict.fromkeys(self.fusion.names, ends)
        if self.config.recent_bins:
            timed["recent spikes"], encoded["recent spikes"] = self._recent_spikes(batch, bins, known, size)
            horizon = known.reshape(-1, size) - bins.reshape(-1, size)[:, :1]
            query_time["recent spikes"] = horizon.to(ends.dtype) * self.config.bin_width
        fused = self.fusion(state.reshape(-1, size, state.shape[-1]), query_time, timed, encoded)
        fused = fused.reshape(n_rows, n_bins, -1)
        base = self.readout(self.dropout(self.norm(fused))) @ self.session.embedding.T + self.session.bias
        if features is not None:
            base = base + features @ self.session.output
        for modality, drive, filters in zip(self.config.modalities, self.drives, self.session.filters, strict=True):
            if modality.name in given:
                base = base + (drive(given[modality.name], ends) @ filters).reshape(base.shape)
        if self.session.coupled:
            until = None if self.config.bin_clock else known
            base = base + self.session.lagged_drive(batch.counts, batch.observed, bins, until)
        return Context(fused, base)

    def _some_hidden(self, keys: ModalityKeys) -> ModalityKeys:
        """In training a modality is hidden from some rows, so that the model learns to do without it."""
        if not self.training or not self.config.modality_dropout:
            return keys
        keep = self.random.keep((len(keys.present), 1), self.config.modality_dropout, keys.values)
        return replace(keys, present=keys.present & keep)

    def _recent_spikes(self, batch: Batch, bins: Tensor, known: Tensor, size: int) -> tuple[TimedKeys, Tensor]:
        """Occupied cells of the last `recent_bins` bins as keys, one row a block, and all their tokens (T, 1, D)."""
        row, bin_, unit = (batch.counts * batch.observed).nonzero(as_tuple=True)
        n_rows, n_bins = batch.counts.shape[:2]
        per_bin = torch.bincount(row * n_bins + bin_, minlength=n_rows * n_bins)
        until = torch.cat([per_bin.new_zeros(1), per_bin.cumsum(0)])  # tokens before each bin of the flat rows
        offset = torch.arange(n_rows, device=row.device)[:, None] * n_bins
        low = (known.view(n_rows, -1, size)[:, :, 0] - self.config.recent_bins).clamp_min(0)
        high = known.view(n_rows, -1, size)[:, :, -1].clamp_max(n_bins)
        start, stop = until[offset + low].flatten(), until[offset + high].flatten()  # (R,)
        longest = int((stop - start).max()) if len(start) else 0
        index = start[:, None] + torch.arange(longest, device=row.device)
        present = index < stop[:, None]
        index = torch.where(present, index, 0)
        count = batch.counts[row, bin_, unit]
        tokens = self.session.embedding[unit] + count.log()[:, None] * self.fusion.recent_count
        if not len(row):
            tokens, bin_ = tokens.new_zeros(1, tokens.shape[1]), bin_.new_zeros(1)
        time = (bin_[index] - bins.reshape(-1, size)[:, :1]).to(tokens.dtype) * self.config.bin_width
        return TimedKeys(time, present, index), tokens[:, None]

    # ---- one pass --------------------------------------------------------------------------------------------

    def forward(self, batch: Batch, *, split: bool = False, states: Tensor | None = None) -> Output:
        """Log-likelihood of every scored cell.

        Parameters
        ----------
        split : bool
            Whether the dt part of the likelihood is wanted on its own (unequal loss weights).
        states : Tensor of shape (C, T + 1, 2 D), optional
            :meth:`past_states` of the same batch, where they were computed already.
        """
        bins = batch.bins
        rows = torch.arange(len(bins), device=bins.device)[:, None]
        if states is None:
            states = self.past_states(batch)
        at = None if states is None else states[rows, self.known_until(bins).clamp_max(states.shape[1] - 1)]
        context = self.context(batch, at)
        observed = batch.observed[rows, bins] & batch.scored[..., None]  # (C, L, N)
        counts = batch.counts[rows, bins] * observed

        n_bins, n_units = self.config.window_bins, self.config.n_units
        shape = (-1, n_bins, n_units)
        keep = batch.scored.reshape(-1, n_bins).any(-1).nonzero()[:, 0]  # windows with something to score
        keep = keep[(counts.reshape(shape)[keep] > 0).sum((1, 2)).argsort(stable=True)]  # those of like length together
        n_counts, n_observed = counts.reshape(shape)[keep], observed.reshape(shape)[keep]
        base = context.base.reshape(shape)[keep].to(counts.dtype)  # log probabilities in full precision
        state = context.state.reshape(-1, n_bins, context.state.shape[-1])[keep]
        evaluate = self._hazard if self.config.bin_clock else self._softmax
        window_cells, intensity, total, time, n_tokens = evaluate(n_counts, n_observed, base, state, split)
        cells = torch.zeros_like(counts).reshape(shape).index_put_((keep,), window_cells)
        with torch.no_grad():
            bounded = torch.full_like(cells, float("-inf"))
            bounded[keep] = intensity.masked_fill(~n_observed, float("-inf"))
        aligned = self.config.aligned
        contrastive = None
        if self.training and aligned is not None and aligned in batch.modalities:
            contrastive = self._contrastive(aligned, batch, states, keep)
        cells, bounded = cells.reshape(context.base.shape), bounded.reshape(context.base.shape)
        return Output(cells, total, time, n_tokens, bounded, contrastive)

    def _hazard(
        self, counts: Tensor, observed: Tensor, base: Tensor, state: Tensor, split: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int]:
        session, n_units = self.session, counts.shape[-1]
        tokens = window_tokens(counts, merged=True)
        hidden = self.decoder(session, tokens, state)  # (P, D)
        prefix = tokens.prefix_start[:, None] + tokens_before(counts)  # (W, B * N)
        added = prefix_logits(hidden, session.embedding, prefix.reshape(-1, n_units))
        log_intensity = base + added.reshape(base.shape)
        standardised = session.standardise(counts, observed)
        if session.coupled:
            log_intensity = log_intensity + session.same_bin_drive(standardised, state)
        log_intensity = session.bounded(log_intensity)
        shift = session.repeat_shift(state)
        flat = (counts.reshape(-1, n_units), log_intensity.reshape(-1, n_units))
        spikes = hazard.spike_repeats(*flat, shift.reshape(-1, n_units), session.repeat_table)
        cells = hazard.cell_log_likelihood(*flat, spikes).reshape(counts.shape) * observed
        time = None
        if split:
            time = hazard.time_log_likelihood(
                session, tokens, spikes, base=base, hidden=hidden, standardised=standardised,
                state=state, observed=observed, log_intensity=log_intensity,
            )  # fmt: skip
        return cells, log_intensity, cells.sum(), time, len(spikes.cell) + len(counts)

    def _softmax(
        self, counts: Tensor, observed: Tensor, base: Tensor, state: Tensor, split: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, int]:
        tokens = window_tokens(counts, merged=False)
        hidden = tokens.padded(self.decoder(self.session, tokens, state))
        base = self.session.bounded(base)
        table = self.head(self.session, all_prefixes(self.session, tokens, base, state), hidden, observed)
        time, total, cells = window_likelihood(table, tokens, observed)
        return cells, base, total.sum(), time.sum(), int(tokens.length.sum()) + len(counts)

    # ---- alignment -------------------------------------------------------------------------------------------

    def neural_vectors(self, batch: Batch, states: Tensor | None) -> Tensor:
        """Neural side of every window before any fusion, its own spikes included, (C, L / B, 2 D or D)."""
        n_bins = self.config.window_bins
        bins = batch.bins.reshape(len(batch.counts), -1, n_bins)
        rows = torch.arange(len(bins), device=bins.device)[:, None]
        if states is not None:
            return states[rows, bins[:, :, -1] + 1]
        x = self.session.standardise(batch.counts, batch.observed) @ self.session.embedding
        steps = torch.arange(batch.scored.shape[1], device=bins.device)
        inside = (batch.first[:, None] + steps < batch.length[:, None]).reshape(bins.shape)
        total = (x[rows[..., None], bins] * inside[..., None]).sum(2)
        return total / inside.sum(2, keepdim=True).clamp_min(1)

    def _contrastive(self, name: str, batch: Batch, states: Tensor | None, keep: Tensor) -> Tensor | None:
        n_bins = self.config.window_bins
        width = self.config.bin_width
        keys = batch.modalities[name]
        bins = batch.bins.reshape(len(batch.counts), -1, n_bins)
        starts = (batch.clip_time[:, None] + bins[:, :, 0].to(batch.clip_time.dtype) * width).flatten()
        chosen = keep
        if len(chosen) > MAX_PAIRS:
            order = torch.rand(len(chosen), generator=self.random.generator)
            chosen = chosen[order.argsort()[:MAX_PAIRS].to(chosen.device)]
        per_block = block_bins(n_bins) // n_bins
        block = chosen // per_block
        end = (chosen % per_block + 1).to(keys.time.dtype) * (n_bins * width)
        edge = TOLERANCE * self.config.stimulus_context
        seen = keys.present[block] & (keys.time[block] < end[:, None] - edge)
        latest = keys.time[block].masked_fill(~seen, float("-inf")).amax(1, keepdim=True)
        seen = seen & (keys.time[block] >= latest - edge)
        with_any = seen.any(1)
        if int(with_any.sum()) < 2:
            return None
        weight = seen[with_any].to(starts.dtype)
        tokens = self.fusion.encode({name: keys})[name].mean(1)  # (U, D), over the places
        shown = tokens[keys.sample[block[with_any]]]
        pooled = (shown * weight[..., None]).sum(1) / weight.sum(1, keepdim=True)
        neural = self.neural_vectors(batch, states).flatten(0, 1)[chosen[with_any]]
        clip = batch.clip.repeat_interleave(bins.shape[1])[chosen[with_any]]
        f, i = self.projection(neural, pooled)
        return contrastive_loss(f, i, clip, starts[chosen[with_any]], n_bins * width, self.config.temperature)
