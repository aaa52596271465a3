"""The model: recurrent long past, iterative fusion, causal decoder over a window's spikes, heads.

The way of the data, for a batch of segments:

    counts, stimuli of the bin --standardise--> long past (GRU) --> state of every bin  (C, L, S)
    state, linear filters of each modality --> features of the past  (C, L, S)
    features --fusion with recent spikes and each modality--> context of every bin  (C, L, D)
    context --readout tied to the unit embedding, plus each unit's own readout of the past, plus coupling attention-->
        base log intensity  (C, L, N)
    spikes of a window + context --causal decoder--> state after every prefix --> head --> log-likelihood
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from skneuro.nn import hazard
from skneuro.nn.alignment import Alignment, contrastive_loss
from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.decoder import WindowDecoder
from skneuro.nn.encoders import Fusion, LinearDrive, PastEncoder
from skneuro.nn.keys import ModalityKeys, SpikeKeys, TimedKeys
from skneuro.nn.layers import Dropout, RandomSource
from skneuro.nn.layout import Layout, RecentSpikes, known_until, latest_samples
from skneuro.nn.prefix_logits import prefix_logits
from skneuro.nn.session import SessionUnits
from skneuro.nn.softmax_heads import SoftmaxHead, all_prefixes, window_likelihood
from skneuro.nn.told import ToldBehaviour
from skneuro.nn.unit_slopes import UnitSlopes, unit_slopes
from skneuro.nn.windows import tokens_before

MAX_PAIRS = 256


@dataclass(frozen=True)
class Context:
    """What is known of every scored bin before its own spikes: fused state and base log intensity."""

    state: Tensor  # (C, L, D)
    base: Tensor  # (C, L, N)
    drive_size: Tensor | None = None  # of the linear filters and what they move, in training


@dataclass(frozen=True)
class Output:
    """Result of one pass; log-likelihoods in nats.

    Attributes
    ----------
    cells : Tensor of shape (C, L, N)
        Log probability of every cell's count by the chain rule; 0 where not observed.
    total, time : Tensor
        Sum of the pattern log-likelihood, and of its dt part (None where not asked for).
    n_tokens, n_scored : int
        Spikes and window ends; bins.
    intensity : Tensor of shape (C, L, N)
        Log intensities as the ceiling of the units left them, minus infinity where not observed; without gradient.
    contrastive : Tensor or None
    drive_size : Tensor or None
        What `SessionUnits.drive_size` says of the modalities' linear filters, summed over them, and of what they add
        through the features of the past; in training only.
    behaviour : Tensor or None
        Mean squared error of the behaviour that is read from the state, where a batch has any; in training only.
    slopes : UnitSlopes or None
        Where they are asked for.
    """

    cells: Tensor
    total: Tensor
    time: Tensor | None
    n_tokens: int
    n_scored: int
    intensity: Tensor
    contrastive: Tensor | None
    drive_size: Tensor | None = None
    behaviour: Tensor | None = None
    slopes: UnitSlopes | None = None


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
        self.session = SessionUnits(config, self.random, mean, sd, histogram if config.bin_clock else None)
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
        if config.aligned:
            self.alignment = Alignment(config, config.context_width if config.context_bins else d_model)
        if config.behaviour:  # last, so that all other weights start as they would without
            self.told = ToldBehaviour(config.context_width, sum(width for _, width in config.behaviour))

    # ---- context ---------------------------------------------------------------------------------------------

    def past_states(self, batch: Batch) -> Tensor | None:
        """States of the long past before each bin of the rows and after the last, (C, T + 1, S)."""
        if not self.config.context_bins:
            return None
        x = self.session.standardise(batch.counts, batch.observed)
        if self.training and self.config.unit_dropout:
            x = x * self.random.keep((len(x), 1, x.shape[2]), self.config.unit_dropout, x)
        return self.past(self.session, x, batch.hidden, batch.stimuli)

    def neural_states(self, batch: Batch, states: Tensor | None) -> Tensor | None:
        """What :meth:`past_states` are of the spikes alone; `states` are those of the batch."""
        return self.past_states(replace(batch, stimuli={})) if batch.stimuli else states

    def context(self, batch: Batch, states: Tensor | None, keys: dict[str, Tensor] | None = None) -> Context:
        """Fused state and base log intensity of the scored bins.

        Parameters
        ----------
        states : Tensor of shape (C, L, S) or None
            State of the long past where each scored bin's knowledge ends.
        keys : dict of Tensor, optional
            Encoded modality tokens, where they are at hand; by default they are encoded here.
        """
        bins = batch.bins
        known = known_until(bins, self.config)
        n_rows, n_bins = bins.shape
        masks = [] if states is None else self.past.features.masks(states)
        size = min(block_bins(self.config.window_bins), n_bins)
        ends = torch.arange(n_bins, device=bins.device) % size + batch.lead + 1
        ends = (ends.to(batch.counts.dtype) * self.config.bin_width).expand(n_rows, -1).reshape(-1, size)
        given = {name: self._some_hidden(modality) for name, modality in batch.modalities.items()}
        filtered = [
            drive(given[modality.name], ends).reshape(n_rows, n_bins, -1) if modality.name in given else None
            for modality, drive in zip(self.config.modalities, self.drives, strict=True)
        ]
        if states is None:
            features = moved = None
            state = self.fixed_state.expand(n_rows, n_bins, -1)
        else:
            features, moved = self.past.features(states, masks, self.past.of_stimuli(filtered))
            state = self.past.project(features)
        timed: dict[str, TimedKeys] = dict(given)
        encoded = self.fusion.encode(given) if keys is None else dict(keys)
        query_time = dict.fromkeys(self.fusion.names, ends)
        if self.config.recent_bins:
            recent = None if batch.layout is None else batch.layout.recent
            recent = recent or RecentSpikes.of(batch, self.config)
            timed["recent spikes"], encoded["recent spikes"] = self._recent_spikes(recent)
            horizon = known.reshape(-1, size) - bins.reshape(-1, size)[:, :1]
            query_time["recent spikes"] = horizon.to(ends.dtype) * self.config.bin_width
        fused = self.fusion(state.reshape(-1, size, state.shape[-1]), query_time, timed, encoded)
        fused = fused.reshape(n_rows, n_bins, -1)
        base = self.readout(self.dropout(self.norm(fused))) @ self.session.embedding.T + self.session.bias
        if features is not None:
            base = base + features @ self.session.output
        driven = [found @ each for found, each in zip(filtered, self.session.filters, strict=True) if found is not None]
        for added in driven:
            base = base + added
        if self.session.coupled:
            until = None if self.config.bin_clock else known
            base = base + self.session.lagged_drive(batch.counts, batch.observed, bins, until)
        if not self.training or not driven:
            return Context(fused, base)
        if moved is not None:
            driven.append(moved @ self.session.output)  # is in the base already, by way of the features
        return Context(fused, base, torch.stack([self.session.drive_size(a, batch.scored) for a in driven]).sum())

    def _some_hidden(self, keys: ModalityKeys) -> ModalityKeys:
        """In training a modality is hidden from some rows, so that the model learns to do without it."""
        if not self.training or not self.config.modality_dropout:
            return keys
        keep = self.random.keep((len(keys.present), 1), self.config.modality_dropout, keys.values)
        return keys.hidden_from(keep)

    def _some_segments_without(self, batch: Batch) -> Batch:
        """In training all that enters the long past is hidden from some segments, there and from what attends to it.

        All at once: of several hidden one by one, some would nearly always be there, and spikes alone say little then.
        """
        if not self.training or not self.config.modality_dropout or not batch.stimuli:
            return batch
        any_values = next(iter(batch.stimuli.values()))
        keep = self.random.keep((len(any_values), 1, 1), self.config.modality_dropout, any_values)
        stimuli = {name: values * keep for name, values in batch.stimuli.items()}
        keys = dict(batch.modalities)
        for name in stimuli:
            n_blocks = len(keys[name].present) // len(keep)
            keys[name] = keys[name].hidden_from(keep[:, 0].repeat_interleave(n_blocks, 0))
        return replace(batch, stimuli=stimuli, modalities=keys)

    def _recent_spikes(self, recent: RecentSpikes) -> tuple[TimedKeys, Tensor]:
        """Occupied cells of the last `recent_bins` bins as keys, one row a block, and all their tokens (T, 1, D)."""
        embedding, count = self.session.embedding, recent.count
        tokens = embedding[recent.unit] + count.detach().to(embedding.dtype).log()[:, None] * self.fusion.recent_count
        time = recent.bins.to(tokens.dtype) * self.config.bin_width
        if count.requires_grad:  # a spike counts by being there: half of it is half a key
            weight = (count / count.detach()).log()[recent.index]
            return SpikeKeys(time, recent.present, recent.index, weight), tokens[:, None]
        return TimedKeys(time, recent.present, recent.index), tokens[:, None]

    # ---- one pass --------------------------------------------------------------------------------------------

    def forward(
        self, batch: Batch, *, split: bool = False, states: Tensor | None = None, slopes: bool = False
    ) -> Output:
        """Log-likelihood of every scored cell.

        Parameters
        ----------
        split : bool
            Whether the dt part of the likelihood is wanted on its own (unequal loss weights).
        states : Tensor of shape (C, T + 1, S), optional
            :meth:`past_states` of the same batch, where they were computed already.
        slopes : bool
            Whether those of single units are wanted; the hazard has them.
        """
        bins, given = batch.bins, batch
        rows = torch.arange(len(bins), device=bins.device)[:, None]
        batch = self._some_segments_without(batch)
        if states is None:
            states = self.past_states(batch)
        at = None if states is None else states[rows, known_until(bins, self.config).clamp_max(states.shape[1] - 1)]
        encoded = self.fusion.encode(batch.modalities)
        context = self.context(batch, at, encoded)
        layout = batch.layout or Layout.of(batch, self.config)
        base = context.base.reshape(-1, *layout.observed.shape[1:])
        state = context.state.reshape(-1, self.config.window_bins, context.state.shape[-1])[layout.window]
        known = base[layout.window].to(batch.counts.dtype)  # log probabilities in full precision
        of_units = None
        if self.config.bin_clock:
            found, intensity, total, time, of_units = self._hazard(layout, known, state, split, slopes)
        else:
            found, intensity, total, time = self._softmax(layout, known, state)
        cells = torch.zeros_like(base, dtype=found.dtype).index_put_((layout.window,), found)
        with torch.no_grad():
            bounded = torch.full_like(cells, float("-inf"))
            bounded[layout.window] = intensity.masked_fill(~layout.observed, float("-inf"))
        contrastive = behaviour = None
        if self.training and (self.config.aligned or batch.behaviour is not None):
            neural = self.neural_states(given, states)
            if self.config.aligned:
                contrastive = self._contrastive(given, neural, encoded, layout.shown)
            if batch.behaviour is not None and neural is not None:
                behaviour = self.told(neural[rows, bins + 1], batch.behaviour)
        cells, bounded = cells.reshape(context.base.shape), bounded.reshape(context.base.shape)
        counted = layout.n_tokens, layout.n_scored
        return Output(cells, total, time, *counted, bounded, contrastive, context.drive_size, behaviour, of_units)

    def _hazard(
        self, layout: Layout, base: Tensor, state: Tensor, split: bool, slopes: bool
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None, UnitSlopes | None]:
        counts, observed, spikes = layout.counts, layout.observed, layout.spikes
        session, n_units = self.session, counts.shape[-1]
        hidden = self.decoder(session, layout.tokens, state)  # (P, D)
        prefix = layout.tokens.prefixes.start[:, None] + tokens_before(counts)  # (W, B * N)
        added = prefix_logits(hidden, session.embedding, prefix.reshape(-1, n_units))
        log_intensity = base + added.reshape(base.shape)
        standardised = session.standardise(counts, observed)
        if session.coupled:
            log_intensity = log_intensity + session.same_bin_drive(standardised, state)
        log_intensity = session.bounded(log_intensity)
        flat, shift = log_intensity.reshape(-1, n_units), session.repeat_shift(state).reshape(-1, n_units)
        odds = hazard.repeat_odds(spikes, flat, shift, session.repeat_table)
        cells = hazard.cell_log_likelihood(flat, spikes, odds).reshape(counts.shape) * layout.scored
        time = None
        if split:
            time = hazard.time_log_likelihood(
                session, layout.events, spikes, odds, base=base, hidden=hidden, standardised=standardised,
                state=state, observed=observed, log_intensity=log_intensity,
            )  # fmt: skip
        of_units = None
        if slopes:
            free = layout.scored.reshape(-1, n_units) & (flat < session.ceiling)
            of_units = unit_slopes(flat, free, spikes, odds, shift, session.repeat_table)
        return cells, log_intensity, cells.sum(), time, of_units

    def _softmax(self, layout: Layout, base: Tensor, state: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        tokens, observed = layout.tokens, layout.observed
        hidden = tokens.padded(self.decoder(self.session, tokens, state))
        base = self.session.bounded(base)
        table = self.head(self.session, all_prefixes(self.session, tokens, base, state), hidden, observed)
        time, total, cells = window_likelihood(table, tokens, observed)
        return cells, base, total.sum(), time.sum()

    # ---- alignment -------------------------------------------------------------------------------------------

    def neural_vectors(self, batch: Batch, states: Tensor | None) -> Tensor:
        """Neural side of every window before any fusion, its own spikes included, (C, L / B, S or D).

        `states` are :meth:`neural_states`.
        """
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

    def modality_features(self, name: str, batch: Batch, tokens: Tensor, window: Tensor) -> Tensor:
        """What windows (w,) of a batch see of a modality: the mean of its latest tokens, and its linear filters.

        The filters are read and not shaped: they are what the likelihood learns from few data, and an alignment that
        moved them cost more of the score than it gained in retrieval.

        Parameters
        ----------
        tokens : Tensor of shape (U, P, D)
            Encoded samples of the modality.

        Returns
        -------
        Tensor of shape (w, D + components)
        """
        config, keys = self.config, batch.modalities[name]
        seen, block = latest_samples(keys, window, config)
        weight = seen.to(tokens.dtype)
        latest = tokens.mean(1)[keys.attended.sample[block]]  # (w, S, D), over the places
        latest = (latest * weight[..., None]).sum(1) / weight.sum(1, keepdim=True).clamp_min(1)
        n_windows = block_bins(config.window_bins) // config.window_bins
        ends = torch.arange(1, n_windows + 1, device=window.device).to(keys.time.dtype)
        ends = (ends * config.window_bins + batch.lead) * config.bin_width
        number = [modality.name for modality in config.modalities].index(name)
        filtered = self.drives[number](keys, ends.expand(len(keys.time), -1))
        return torch.cat([latest, filtered.flatten(0, 1)[window].detach()], dim=1)

    def _contrastive(
        self, batch: Batch, states: Tensor | None, tokens: dict[str, Tensor], shown: list[Tensor]
    ) -> Tensor | None:
        """Mean alignment of the pairs; of each up to `MAX_PAIRS` windows, drawn from those that see both sides."""
        config = self.config
        neural = self.neural_vectors(batch, states).flatten(0, 1)
        clip, start = self._segments(batch)
        losses = []
        for number, (sides, windows) in enumerate(zip(config.aligned_pairs, shown, strict=True)):
            if len(windows) < 2:
                continue
            if len(windows) > MAX_PAIRS:
                order = self.random.uniform((len(windows),), windows).argsort()
                windows = windows[order[:MAX_PAIRS]]
            vectors = []
            for side in sides:
                name = config.aligned[side - 1]
                found = self.modality_features(name, batch, tokens[name], windows) if side else neural[windows]
                vectors.append(self.alignment.project(side, found))
            shows, since = (torch.stack([x[windows, s - 1] for s in sides if s], dim=1) for x in (clip, start))
            length, temperature = config.window_bins * config.bin_width, self.alignment.temperature(number)
            losses.append(contrastive_loss(vectors[0], vectors[1], shows, since, length, temperature))
        return torch.stack(losses).mean() if losses else None

    def _segments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What every window of a batch shows on each aligned modality, and from when on, (C * L / B, M)."""
        bins = batch.bins.reshape(len(batch.counts), -1, self.config.window_bins)[:, :, :1]
        static = {modality.name: modality.static for modality in self.config.modalities}
        time = bins.to(batch.clip_time.dtype) * self.config.bin_width
        steps = [time * (0.0 if static[name] else 1.0) for name in self.config.aligned]
        start = batch.clip_time[:, None] + torch.cat(steps, dim=-1)
        return batch.clip.repeat_interleave(bins.shape[1], dim=0), start.flatten(0, 1)
