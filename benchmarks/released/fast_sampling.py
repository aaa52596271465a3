"""Sampling with everything computed once: past and stimulus before the first token, each spike when it is drawn.

All rows advance together and hold equally many tokens; rows that have ended leave the batch. Everything that is derived
from weights is computed anew in every call, so that a change of the weights between two calls counts.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skneuro.nn.layers import join_heads, split_heads

from .choosing import Choose
from .fast import FastNetwork, Rows, joined
from .network import Block
from .windows import PackedBatch

KEPT = 0.9  # rows that have ended stay until fewer than this share of the batch goes on: leaving costs some copies
ROOM = 16  # tokens by which a cache grows


class Step:
    """One block, for one new token in every row; key and value are joined, and the query holds its scale."""

    def __init__(self, block: Block, n_heads: int) -> None:
        self.block = block
        self.width = block.out.weight.shape[:1]
        scale = math.sqrt(n_heads / self.width[0])
        self.weight, self.bias = block.query.weight * scale, block.query.bias * scale
        self.kv_weight, self.kv_bias = joined(block.key, block.value)

    def query(self, x: Tensor) -> Tensor:
        """Scaled query of every row."""
        norm = self.block.norm_attention
        return F.linear(torch.layer_norm(x, self.width, norm.weight, norm.bias), self.weight, self.bias)

    def key_value(self, x: Tensor) -> Tensor:
        """Key and value of every row, (R, 2 D)."""
        return F.linear(x, self.kv_weight, self.kv_bias)

    def write(self, x: Tensor, attended: Tensor) -> Tensor:
        """What follows attention."""
        block, norm, end = self.block, self.block.norm_network, self.block.norm_end
        x = x + F.linear(attended, block.out.weight, block.out.bias)
        inner = torch.layer_norm(x, self.width, norm.weight, norm.bias)
        inner = F.gelu(F.linear(inner, block.up.weight, block.up.bias))
        x = x + F.linear(inner, block.down.weight, block.down.bias)
        return torch.layer_norm(x, self.width, end.weight, end.bias)


class Keys:
    """What the rows of a block attend to.

    Attributes
    ----------
    both : Tensor of shape (2, R * H, S, D/H)
        Keys and values.
    hidden : Tensor of shape (R, S) or None
        Minus infinity where a key is padding, else 0; None where all are real.
    """

    def __init__(self, both: Tensor, n_heads: int, hidden: Tensor | None = None) -> None:
        self.both, self.n_heads, self.hidden = both, n_heads, hidden

    def attend(self, q: Tensor, n_keys: int | None = None) -> Tensor:
        """Attention of one scaled query a row (R, D) to the first `n_keys` keys, (R, D)."""
        # For single queries two products are faster than torch's attention, which is made for many.
        keys, values = self.both[:, :, :n_keys].unbind(0)
        scores = torch.bmm(q.reshape(keys.shape[0], 1, -1), keys.transpose(1, 2))
        if self.hidden is not None:
            scores.view(len(q), self.n_heads, -1).add_(self.hidden[:, None])
        return torch.bmm(scores.softmax(-1), values).view(q.shape)

    def attend_many(self, q: Tensor) -> Tensor:
        """Attention of several scaled queries a row (R, n, D), to keys that are all real."""
        keys, values = self.both.view(2, len(q), self.n_heads, *self.both.shape[2:]).unbind(0)
        return join_heads(F.scaled_dot_product_attention(split_heads(q, self.n_heads), keys, values, scale=1.0))

    def append(self, kv: Tensor, step: int) -> None:
        """Put the key and value (R, 2, D) of a new token behind `step` others."""
        if step == self.both.shape[2]:
            self.both = F.pad(self.both, (0, 0, 0, ROOM))
        width = self.both.shape[3]
        self.both[:, :, step].view(2, len(kv), -1, width).copy_(kv.view(len(kv), 2, -1, width).transpose(0, 1))

    def keep(self, into: Tensor, of: Tensor, n_rows: int) -> None:
        """Move some rows to the places of others, and drop all behind the first `n_rows`."""
        rows = self.both.view(2, -1, self.n_heads, *self.both.shape[2:])
        rows[:, into] = rows[:, of]
        self.both = rows[:, :n_rows].flatten(1, 2)
        if self.hidden is not None:
            self.hidden[into] = self.hidden[of]
            self.hidden = self.hidden[:n_rows]


class FastSampler:
    """Draws the spikes of many windows at once.

    Parameters
    ----------
    network : FastNetwork
    """

    def __init__(self, network: FastNetwork) -> None:
        self.network, self.n_heads = network, network.config.n_heads

    @torch.inference_mode()
    def generate(self, batch: PackedBatch, choose: Choose, max_steps: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """Units and dts of every window of the batch, in its order, given its past (and stimulus).

        `choose` knows the rows by their number in the batch.
        """
        config, n_rows = self.network.config, len(batch.length)
        steps = config.block - 1 if max_steps is None else max_steps
        drawn = torch.full((2, n_rows, config.block), config.end)
        rows = torch.arange(n_rows)
        self._prepare(batch)
        unit, dt = torch.full((n_rows,), config.start), torch.zeros(n_rows, dtype=torch.long)
        ended = torch.zeros(n_rows, dtype=torch.bool)
        for step in range(steps):
            unit_logits, dt_logits = self._advance(unit, dt, step)
            unit, dt = choose(unit_logits, dt_logits, rows, step)
            ended |= unit >= config.end
            n_going = len(rows) - int(ended.sum())
            if n_going == 0:
                break
            drawn[0, rows, step] = torch.where(ended, config.end, unit)
            drawn[1, rows, step] = dt
            if n_going < KEPT * len(rows):
                order = torch.arange(len(rows))
                into = ended[:n_going].nonzero()[:, 0]  # ended rows give their places to those at the end
                of = (~ended[n_going:]).nonzero()[:, 0] + n_going
                order[into] = of
                order = order[:n_going]
                rows, unit, dt, ended = rows[order], unit[order], dt[order], ended[order]
                self._keep(into, of, order)
        n_spikes = (drawn[0] != config.end).sum(1).tolist()
        return [(drawn[0, row, :n], drawn[1, row, :n]) for row, n in enumerate(n_spikes)]

    def _prepare(self, batch: PackedBatch) -> None:
        """Everything that the tokens to come do not change."""
        network, n_heads = self.network, self.n_heads
        n_rows, d_model = len(batch.length), network.config.d_model
        self._dt_vectors = network.dt_vectors(network.time)
        self._heads = torch.cat([network.head_unit.weight, network.head_dt.weight])
        self._own = [Step(block, n_heads) for block in (*network.encoder, *network.decoder)]
        empty = (2, n_rows * n_heads, ROOM, d_model // n_heads)
        self._caches = [Keys(self._dt_vectors.new_zeros(empty), n_heads) for _ in self._own]
        self._past = [Step(block, n_heads) for block in network.past_fusion]
        past_rows = Rows.of(batch.past_length)
        past = network.past(batch.past_unit, batch.past_dt, past_rows)
        self._past_keys = self._context_keys(network.past_fusion, past, past_rows)
        self._stimulus = []
        if batch.frames is not None:
            self._stimulus = [Step(block, n_heads) for block in network.stimulus_fusion]
            stimulus = network.encode_stimulus(batch.stimulus_frames(), self._dt_vectors)
            one_each = Rows.of(np.full(batch.n_stimuli, network.config.n_stimulus_tokens))
            self._stimulus_keys = self._context_keys(network.stimulus_fusion, stimulus, one_each)
            self._share(batch.stimulus)

    def _context_keys(self, blocks: torch.nn.ModuleList, tokens: Tensor, rows: Rows) -> list[Keys]:
        """Keys and values of all blocks for tokens (P, D) that do not change."""
        weight, bias = joined(*(layer for block in blocks for layer in (block.key, block.value)))
        table = rows.table(F.linear(tokens, weight, bias))
        parts = table.view(*rows.shape, len(blocks), 2, self.n_heads, -1).permute(2, 3, 0, 4, 1, 5)
        hidden = None
        if rows.keep is not None:
            hidden = tokens.new_zeros(rows.shape).masked_fill(~rows.keep[:, 0, 0], float("-inf"))
        # Each block's own copy of the mask: rows that leave move it block by block.
        return [
            Keys(part.flatten(1, 2).contiguous(), self.n_heads, None if hidden is None else hidden.clone())
            for part in parts
        ]

    def _share(self, stimulus: np.ndarray) -> None:
        """Rows that see the same stimulus window stand side by side as queries of one row of keys."""
        shown, index, count = np.unique(stimulus, return_inverse=True, return_counts=True)
        n_encoded = self._stimulus_keys[0].both.shape[1] // self.n_heads
        if len(shown) < KEPT * n_encoded:
            seen = torch.from_numpy(shown)
            for keys in self._stimulus_keys:
                keys.keep(torch.arange(len(shown)), seen, len(shown))
            stimulus, n_encoded = index, len(shown)
        self._stimulus_of_row = stimulus
        order = np.argsort(index, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
        self._table = (n_encoded, int(count.max()))
        self._place = torch.from_numpy(stimulus * self._table[1] + rank)

    def _keep(self, into: Tensor, of: Tensor, order: Tensor) -> None:
        for keys in (*self._caches, *self._past_keys):
            keys.keep(into, of, len(order))
        if self._stimulus:
            self._share(self._stimulus_of_row[order.numpy()])

    def _advance(self, unit: Tensor, dt: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Logits of what follows one more token in every row, which then holds `step` + 1 of them."""
        network = self.network
        x = F.embedding(unit, network.unit.weight) + network.position[step] + F.embedding(dt, self._dt_vectors)
        n_layers = len(network.encoder)
        for layer, cache in zip(self._own[:n_layers], self._caches, strict=False):
            x = self._own_step(layer, cache, x, step)
        for layer, keys in zip(self._past, self._past_keys, strict=True):
            x = layer.write(x, keys.attend(layer.query(x)))
        for number, layer in enumerate(self._stimulus):
            x = self._stimulus_step(layer, self._stimulus_keys[number], x)
        for layer, cache in zip(self._own[n_layers:], self._caches[n_layers:], strict=True):
            x = self._own_step(layer, cache, x, step)
        return F.linear(x, self._heads).split([network.config.n_unit_tokens, network.config.n_dt_tokens], dim=1)

    def _own_step(self, layer: Step, cache: Keys, x: Tensor, step: int) -> Tensor:
        cache.append(layer.key_value(x), step)
        return layer.write(x, cache.attend(layer.query(x), step + 1))

    def _stimulus_step(self, layer: Step, keys: Keys, x: Tensor) -> Tensor:
        table = x.new_zeros(math.prod(self._table), x.shape[1]).index_copy_(0, self._place, layer.query(x))
        attended = keys.attend_many(table.view(*self._table, -1)).flatten(0, 1)
        return layer.write(x, attended.index_select(0, self._place))
