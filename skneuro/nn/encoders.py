"""What a bin knows: the long past through a recurrent encoder, recent spikes and modalities through attention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import N_COMPONENTS, ModalityConfig, NeuroformerConfig
from skneuro.nn.keys import ModalityKeys, SpikeKeys, TimedKeys
from skneuro.nn.layers import Dropout, LagAttention, RandomSource, dropped
from skneuro.nn.recurrent import states_of
from skneuro.nn.session import SessionUnits
from skneuro.nn.video import TubeletEncoder

N_LAG_KNOTS = 32

N_PROFILES = 8
TOLERANCE = 1e-5  # of a span: how far rounding may move a time across a border
GAIN = 0.03  # small profiles are learned rather than drawn: random ones were read out and overfitted


class PastEncoder(nn.Module):
    """The long past: one vector a bin (a sum of unit embeddings) through a GRU, run once over a segment.

    Its state after bin b - 1 is what bin b knows, stimuli of bin b itself included where such enter. A GRU was chosen
    over attention by measurement: at these data sizes it scores higher and costs less.
    """

    def __init__(self, config: NeuroformerConfig, source: RandomSource) -> None:
        super().__init__()
        self.width = config.context_width
        self.bias = nn.Parameter(torch.zeros(self.width))
        self.recurrent = nn.GRU(self.width, self.width, batch_first=True)
        self.features = PastFeatures(
            Dropout(config.dropout, source), nn.Linear(self.width, self.width), nn.GELU(),
            Dropout(config.dropout, source),
        )  # fmt: skip
        self.project = nn.Linear(self.width, config.d_model)
        self.dropout = Dropout(config.dropout, source)
        self.filters = nn.ModuleList(
            nn.Linear(N_COMPONENTS, self.width, bias=False) for _ in config.modalities if config.state_dependent_drive
        )
        self.names = tuple(modality.name for modality in config.in_context)
        self.stimuli = nn.ModuleList(nn.Linear(m.n_features, self.width, bias=False) for m in config.in_context)

    def forward(
        self, session: SessionUnits, standardised: Tensor, first: Tensor, stimuli: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """States before every bin and after the last one.

        Parameters
        ----------
        standardised : Tensor of shape (C, T, N)
        first : Tensor of shape (C, S)
            State before the first bin.
        stimuli : mapping of Tensor of shape (C, T, F), optional
            Of the bin after each, where they are known.

        Returns
        -------
        Tensor of shape (C, T + 1, S)
        """
        x = standardised @ session.input + self.bias
        for name, enter in zip(self.names, self.stimuli, strict=True):
            if stimuli and name in stimuli:
                x = x + enter(stimuli[name])
        return states_of(self.recurrent, self.dropout(F.gelu(x)), first)  # (C, T, S)

    def of_stimuli(self, filtered: Sequence[Tensor | None]) -> Tensor | None:
        """What the stimuli add to the features before their nonlinearity, (C, L, S); None where there is nothing.

        Parameters
        ----------
        filtered : sequence of Tensor of shape (C, L, components) or None
            What the linear filters of each modality give, None where it is missing.
        """
        added = None
        for see, found in zip(self.filters, filtered, strict=False):  # no weights where nothing depends on the state
            if found is not None:
                added = see(self.dropout(found)) + (0.0 if added is None else added)
        return added


class PastFeatures(nn.Sequential):
    """What is read out of a state (..., S): dropout, a linear layer, GELU and dropout, (..., S)."""

    def masks(self, x: Tensor) -> list[Tensor | None]:
        """What the two dropouts keep, in the order in which they are drawn."""
        first, _, _, last = self
        return [first.keep(x), last.keep(x)]  # what comes out is as wide as what goes in

    def forward(
        self, x: Tensor, masks: Sequence[Tensor | None], stimuli: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """The features, and in training by how much the stimuli move them.

        Parameters
        ----------
        x : Tensor of shape (..., S)
        masks : sequence of two Tensor of shape (..., S) or None
        stimuli : Tensor of shape (..., S), optional
            What the stimuli add before the nonlinearity.
        """
        first, linear, _, _ = self
        weights = [first.p, linear.weight, linear.bias]
        found = first.source.at_places(past_features, [x, *masks, stimuli], *weights)
        if stimuli is None or not self.training:
            return found, None
        return found, found - first.source.at_places(past_features, [x, *masks, None], *weights)


def past_features(
    x: Tensor, keep: Tensor | None, keep_found: Tensor | None, stimuli: Tensor | None,
    p: float, weight: Tensor, bias: Tensor,
) -> Tensor:  # fmt: skip
    """:class:`PastFeatures` as a function."""
    inner = F.linear(dropped(x, keep, p), weight, bias)
    return dropped(F.gelu(inner if stimuli is None else inner + stimuli), keep_found, p)


class SampleEncoder(nn.Module):
    """Samples of a series, or whole frames, to keys."""

    def __init__(self, modality: ModalityConfig, config: NeuroformerConfig, source: RandomSource) -> None:
        super().__init__()
        d_model = config.d_model
        self.embed = nn.Linear(modality.n_features, d_model)
        self.refine = nn.Sequential(
            nn.LayerNorm(d_model), nn.Linear(d_model, d_model), nn.GELU(),
            Dropout(config.dropout, source), nn.Linear(d_model, d_model),
        )  # fmt: skip

    def forward(self, keys: ModalityKeys) -> Tensor:
        """Tokens (U, 1, D) of the distinct samples."""
        x = self.embed(keys.values)[:, None]
        return x + self.refine(x)


def may_see(age: Tensor, present: Tensor, span: float) -> Tensor:
    """Keys (R, S) that queries may see, (R, Q, S): from their own time to `span` later, borders up to rounding."""
    edge = TOLERANCE * span
    return present[:, None, :] & (age > edge) & (age <= span + edge)


class LinearDrive(nn.Module):
    """Separable linear filters of a modality: spatial components, each with a temporal profile over the key's age.

    The part of a response that a linear-nonlinear model has too. It learns from few data, where the attention
    path beside it would memorise.
    """

    def __init__(self, modality: ModalityConfig, span: float) -> None:
        super().__init__()
        self.span = span
        n_values = modality.n_features
        self.space = nn.Parameter(torch.randn(n_values, N_COMPONENTS) * n_values**-0.5)
        self.profile = nn.Parameter(torch.randn(N_PROFILES, N_COMPONENTS) * GAIN)

    def forward(self, keys: ModalityKeys, query_time: Tensor) -> Tensor:
        """Filtered modality at the bins that end at `query_time` (R, Q), (R, Q, components)."""
        components = F.embedding(keys.sample, keys.values @ self.space)  # (R, S, components)
        age = query_time[:, :, None] - keys.time[:, None, :]
        seen = may_see(age, keys.present, self.span)
        position = torch.log1p(20 * age.clamp(0, self.span) / self.span) / math.log(21) * (N_PROFILES - 1)
        knots = torch.arange(N_PROFILES, device=age.device, dtype=age.dtype)
        basis = (1 - (position[..., None] - knots).abs()).clamp_min(0) * seen[..., None]  # (R, Q, S, profiles)
        filtered = torch.einsum("rqsk,rsc->rqkc", basis, components)
        return (filtered * self.profile).sum(2)


class _Columns(torch.autograd.Function):
    """Columns of a small table (H, K), (H, ...): each is read very often, where plain indexing is slow."""

    @staticmethod
    def forward(ctx, table: Tensor, column: Tensor) -> Tensor:
        ctx.save_for_backward(column)
        ctx.n_columns = table.shape[1]
        return table.index_select(1, column.flatten()).view(len(table), *column.shape)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (column,) = ctx.saved_tensors
        where = column.flatten().expand(len(grad), -1)
        return grad.new_zeros(len(grad), ctx.n_columns).scatter_add_(1, where, grad.flatten(1)), None


class Source(nn.Module):
    """One thing a bin attends to: its age-dependent bias and the key for "nothing to see"."""

    def __init__(self, d_model: int, n_heads: int, span: float) -> None:
        super().__init__()
        self.span = span
        self.bias = nn.Parameter(torch.zeros(n_heads, N_LAG_KNOTS))
        self.nothing = nn.Parameter(torch.randn(d_model) * 0.02)

    def attend(self, query_time: Tensor, keys: TimedKeys, n_places: int) -> Tensor:
        """Additive attention bias (R, H, Q, S * P + 1) of queries that end at `query_time` (R, Q), seconds.

        A key counts from its own time to `span` seconds later; the last column is the learned key.
        """
        age = query_time[:, :, None] - keys.time[:, None, :]  # (R, Q, S)
        seen = may_see(age, keys.present, self.span)
        # Lags of whole bins can fall between two knots; a little more decides for one of them, always the same.
        knot = (age / self.span * (N_LAG_KNOTS - 1) + 1e-3).round().long().clamp(0, N_LAG_KNOTS - 1)
        # Two more columns of the table: what is not seen, and the learned key, which has no age.
        column = torch.where(seen, knot, N_LAG_KNOTS)
        if n_places > 1:
            column = column.repeat_interleave(n_places, dim=-1)
        column = F.pad(column, (0, 1), value=N_LAG_KNOTS + 1)
        hidden = self.bias.new_full((len(self.bias), 1), float("-inf"))
        table = torch.cat([self.bias, hidden, torch.zeros_like(hidden)], dim=1)
        bias = _Columns.apply(table, column).transpose(0, 1)  # (R, H, Q, S * P + 1)
        if isinstance(keys, SpikeKeys):
            bias = bias + F.pad(keys.log_weight.repeat_interleave(n_places, dim=-1), (0, 1))[:, None, None, :]
        return bias

    def with_nothing(self, tokens: Tensor, sample: Tensor) -> tuple[Tensor, Tensor]:
        """The learned key behind tokens (U, P, D), as (U * P + 1, D), and in every row, (R, S) to (R, S * P + 1)."""
        n_places = tokens.shape[1]
        index = (sample[..., None] * n_places + torch.arange(n_places, device=sample.device)).flatten(1)
        tokens = torch.cat([tokens.flatten(0, 1), self.nothing[None]])
        return tokens, F.pad(index, (0, 1), value=len(tokens) - 1)


class Fusion(nn.Module):
    """Iterative fusion: the state of every bin attends to recent spikes, then to each modality in turn."""

    def __init__(self, config: NeuroformerConfig, source: RandomSource) -> None:
        super().__init__()
        self.random, d_model = source, config.d_model
        spans = {m.name: config.stimulus_context for m in config.modalities}
        if config.recent_bins:
            spans = {"recent spikes": config.recent_bins * config.bin_width, **spans}
            self.recent_count = nn.Parameter(torch.zeros(d_model))
        self.names = tuple(spans)
        self.sources = nn.ModuleList(Source(d_model, config.n_heads, span) for span in spans.values())
        self.encoders = nn.ModuleList(
            SampleEncoder(m, config, source) if m.tubelets is None else TubeletEncoder(m, m.tubelets, config, source)
            for m in config.modalities
        )
        n_blocks = config.n_fusion_layers * (1 if config.share_fusion else len(spans)) if spans else 0
        self.blocks = nn.ModuleList(
            LagAttention(d_model, config.n_heads, config.dropout, source) for _ in range(n_blocks)
        )
        self.n_layers, self.shared = config.n_fusion_layers, config.share_fusion

    def encode(self, modalities: dict[str, ModalityKeys]) -> dict[str, Tensor]:
        """Tokens (U, P, D) of the distinct samples, or tubelets, of every modality that is there."""
        names = [name for name in self.names if name != "recent spikes"]
        return {n: e(modalities[n]) for n, e in zip(names, self.encoders, strict=True) if n in modalities}

    def forward(
        self,
        state: Tensor,
        query_time: dict[str, Tensor],
        timed: Mapping[str, TimedKeys],
        keys: dict[str, Tensor],
    ) -> Tensor:
        """Fuse.

        Parameters
        ----------
        state : Tensor of shape (R, Q, D)
            Blocks of consecutive bins.
        query_time : dict of Tensor of shape (R, Q)
            Time up to which each source may be seen, seconds.
        timed, keys : dict
            Keys of every source, and the tokens (U, P, D) of its distinct samples; a source that is missing shows its
            learned key.
        """
        for number, (name, source) in enumerate(zip(self.names, self.sources, strict=True)):
            if name in keys:
                seen = timed[name].attended
                tokens, index = source.with_nothing(keys[name], seen.sample)
                bias = source.attend(query_time[name], seen, keys[name].shape[1])
            else:
                tokens, index = source.nothing[None], torch.zeros(len(state), 1, dtype=torch.long, device=state.device)
                bias = state.new_zeros(len(state), 1, state.shape[1], 1)
            first = 0 if self.shared else number * self.n_layers
            for block in self.blocks[first : first + self.n_layers]:
                state = self.random.run(block, state, tokens, index, bias)
        return state
