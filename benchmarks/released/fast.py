"""The architecture computed the way skneuro computes: nothing for padding, nothing twice, no attention table.

Norms and matrix products run over real tokens laid end to end; only attention sees padded rows, padded to the longest
of the batch. Trials that show the same stimulus window share its tokens: their queries stand in one row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.layers import join_heads, split_heads

from .network import Block, ReleasedNetwork, weighted_loss
from .windows import PackedBatch


class _ToTable(torch.autograd.Function):
    """Rows to places of a table of zeros, and back for the gradient; no two rows share a place."""

    @staticmethod
    def forward(ctx, rows: Tensor, place: Tensor, n_places: int) -> Tensor:
        ctx.save_for_backward(place)
        return rows.new_zeros(n_places, rows.shape[1]).index_copy_(0, place, rows)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple:
        return gradient.index_select(0, *ctx.saved_tensors), None, None


class _FromTable(torch.autograd.Function):
    """The inverse: autograd's own would add up rows that might share a place."""

    @staticmethod
    def forward(ctx, table: Tensor, place: Tensor) -> Tensor:
        ctx.save_for_backward(place)
        ctx.n_places = len(table)
        return table.index_select(0, place)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple:
        (place,) = ctx.saved_tensors
        return gradient.new_zeros(ctx.n_places, gradient.shape[1]).index_copy_(0, place, gradient), None


@dataclass(frozen=True)
class Rows:
    """Where real tokens stand in a padded table.

    Attributes
    ----------
    shape : tuple of int
        Rows, and places of each.
    place : Tensor of shape (P,) or None
        Place of each token in the flat table; None where nothing is padded.
    position : Tensor of shape (P,)
        Number of each token in its row.
    keep : Tensor of shape (rows, 1, 1, places), bool, or None
        True where a key may be attended to; None where nothing is padded.
    """

    shape: tuple[int, int]
    place: Tensor | None
    position: Tensor
    keep: Tensor | None

    @classmethod
    def of(cls, length: np.ndarray) -> Rows:
        """Rows of these lengths."""
        longest = int(length.max())
        row = np.repeat(np.arange(len(length)), length)
        position = torch.from_numpy(np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length))
        if (length == longest).all():
            return cls((len(length), longest), None, position, None)
        keep = torch.from_numpy(np.arange(longest) < length[:, None])[:, None, None, :]
        return cls((len(length), longest), torch.from_numpy(row) * longest + position, position, keep)

    def table(self, tokens: Tensor) -> Tensor:
        """(P, C) to (rows, places, C)."""
        flat = tokens if self.place is None else _ToTable.apply(tokens, self.place, self.shape[0] * self.shape[1])
        return flat.view(*self.shape, tokens.shape[1])

    def tokens(self, table: Tensor) -> Tensor:
        """(rows, places, C) to (P, C)."""
        flat = table.reshape(-1, table.shape[2])
        return flat if self.place is None else _FromTable.apply(flat, self.place)


def joined(*layers: nn.Linear) -> tuple[Tensor, Tensor]:
    """Weight and bias of linear maps of the same input side by side."""
    return torch.cat([layer.weight for layer in layers]), torch.cat([layer.bias for layer in layers])


def position_wise(block: Block, x: Tensor, attended: Tensor) -> Tensor:
    """What follows attention."""
    x = x + block.out(attended)
    x = x + block.down(F.gelu(block.up(block.norm_network(x))))
    return block.norm_end(x)


class FastNetwork(ReleasedNetwork):
    """The same parameters, under the same names, as :class:`PlainNetwork`."""

    def forward(self, batch: PackedBatch) -> tuple[Tensor, Tensor]:
        """Logits of the unit and of the dt that follow every input, (P, tokens)."""
        rows, past_rows = Rows.of(batch.length), Rows.of(batch.past_length)
        times = self.dt_vectors(self.time)
        x = self.unit(batch.unit) + self.position[rows.position] + times[batch.dt]
        for block in self.encoder:
            x = self._self_attention(block, x, rows, causal=True)
        past = self.past(batch.past_unit, batch.past_dt, past_rows)
        for block in self.past_fusion:
            x = self._past_attention(block, x, rows, past, past_rows)
        if batch.frames is not None:
            shared = Rows.of(np.bincount(batch.stimulus, batch.length).astype(np.int64))
            stimulus = self.encode_stimulus(batch.stimulus_frames(), times)
            for block in self.stimulus_fusion:
                x = self._stimulus_attention(block, x, shared, stimulus)
        for block in self.decoder:
            x = self._self_attention(block, x, rows, causal=True)
        return self.head_unit(x), self.head_dt(x)

    def loss(self, batch: PackedBatch) -> Tensor:
        """Weighted cross entropy per real token."""
        return weighted_loss(*self(batch), batch.next_unit, batch.next_dt)

    def past(self, unit: Tensor, dt: Tensor, rows: Rows) -> Tensor:
        """Vectors of the tokens of the past, (Q, D)."""
        return self.unit(unit) + self.past_position[rows.position] + self.dt_vectors(self.past_time)[dt]

    def dt_vectors(self, time: nn.Module) -> Tensor:
        """Vector of every dt token: there are few of them, whatever the batch."""
        index = torch.arange(self.config.n_dt_tokens, dtype=self.position.dtype, device=self.position.device)
        return time(index[:, None])

    def encode_stimulus(self, frames: Tensor, times: Tensor) -> Tensor:
        """Tokens of each distinct stimulus window behind the start token, (windows * S, D)."""
        config = self.config
        patches = frames.to(self.position.dtype)
        for axis, (size, step) in enumerate(zip(config.kernel, config.stride, strict=True)):
            patches = patches.unfold(axis + 1, size, step)  # at last (windows, T, H, W, kernel)
        x = F.linear(patches.reshape(-1, np.prod(config.kernel)), self.tubelets.weight.flatten(1), self.tubelets.bias)
        x = F.relu(self.tubelet_norm(x)).view(len(frames), -1, config.d_model)
        start = self.unit.weight[config.start] + self.position[0] + times[0]
        x = torch.cat([start.expand(len(frames), 1, -1), x], dim=1).flatten(0, 1)
        rows = Rows.of(np.full(len(frames), config.n_stimulus_tokens))
        for block in self.stimulus_encoder:
            x = self._self_attention(block, x, rows, causal=False)
        return x

    def _self_attention(self, block: Block, x: Tensor, rows: Rows, *, causal: bool) -> Tensor:
        n_heads = self.config.n_heads
        q = split_heads(rows.table(block.query(block.norm_attention(x))), n_heads)
        kv = rows.table(F.linear(x, *joined(block.key, block.value)))
        k, v = (split_heads(part, n_heads) for part in kv.chunk(2, dim=-1))
        # Keys of padding come after all real ones: a causal query never sees them.
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return position_wise(block, x, rows.tokens(join_heads(attended)))

    def _past_attention(self, block: Block, x: Tensor, rows: Rows, past: Tensor, past_rows: Rows) -> Tensor:
        n_heads = self.config.n_heads
        q = split_heads(rows.table(block.query(block.norm_attention(x))), n_heads)
        kv = past_rows.table(F.linear(past, *joined(block.key, block.value)))
        k, v = (split_heads(part, n_heads) for part in kv.chunk(2, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=past_rows.keep)
        return position_wise(block, x, rows.tokens(join_heads(attended)))

    def _stimulus_attention(self, block: Block, x: Tensor, shared: Rows, stimulus: Tensor) -> Tensor:
        n_heads = self.config.n_heads
        q = split_heads(shared.table(block.query(block.norm_attention(x))), n_heads)
        kv = F.linear(stimulus, *joined(block.key, block.value)).view(shared.shape[0], -1, 2 * x.shape[1])
        k, v = (split_heads(part, n_heads) for part in kv.chunk(2, dim=-1))
        return position_wise(block, x, shared.tokens(join_heads(F.scaled_dot_product_attention(q, k, v))))
