"""Sampling with everything computed once: past and stimulus before the first token, each spike when it is drawn.

All rows advance together and hold equally many tokens; rows that have ended leave the batch. Everything that is derived
from weights is computed anew in every call, so that a change of the weights between two calls counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .choosing import Choose
from .fast import FastNetwork, Rows, joined
from .network import Block
from .windows import PackedBatch

KEPT = 0.85  # rows that have ended stay until fewer than this share of the batch goes on: leaving copies all caches
FIRST_ROOM = 32


def attend(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of queries (R, H, n, D/H), joined to (R * n, D)."""
    attended = F.scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    return attended.transpose(1, 2).reshape(q.shape[0] * q.shape[2], -1)


class Step:
    """One block, for one new token in every row; the linear maps of the same input are joined."""

    def __init__(self, block: Block, *, of_itself: bool) -> None:
        self.block = block
        self.width = block.out.weight.shape[0]
        maps = (block.query, block.key, block.value) if of_itself else (block.query,)
        self.weight, self.bias = joined(*maps)

    def read(self, x: Tensor) -> Tensor:
        """Query (and key and value) of every row."""
        norm = self.block.norm_attention
        return F.linear(F.layer_norm(x, (self.width,), norm.weight, norm.bias), self.weight, self.bias)

    def write(self, x: Tensor, attended: Tensor) -> Tensor:
        """What follows attention."""
        block, shape = self.block, (self.width,)
        x = x + F.linear(attended, block.out.weight, block.out.bias)
        inner = F.layer_norm(x, shape, block.norm_network.weight, block.norm_network.bias)
        inner = F.gelu(F.linear(inner, block.up.weight, block.up.bias))
        x = x + F.linear(inner, block.down.weight, block.down.bias)
        return F.layer_norm(x, shape, block.norm_end.weight, block.norm_end.bias)


@dataclass
class Keys:
    """Keys and values that a block attends to, (R, H, S, D/H), and which of them are real (None: all)."""

    keys: Tensor
    values: Tensor
    mask: Tensor | None = None

    def take(self, rows: Tensor) -> Keys:
        """Some of the rows."""
        mask = None if self.mask is None else self.mask[rows]
        return Keys(self.keys[rows], self.values[rows], mask)

    def with_room(self, room: int) -> Keys:
        """The same, with more places behind."""
        more = (0, 0, 0, room)
        return Keys(F.pad(self.keys, more), F.pad(self.values, more))


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
            n_ended = int(ended.sum())
            if n_ended == len(rows) or step + 1 == config.block - 1:
                break
            drawn[0, rows, step] = torch.where(ended, config.end, unit)
            drawn[1, rows, step] = dt
            if n_ended > (1 - KEPT) * len(rows):
                going = (~ended).nonzero()[:, 0]
                rows, unit, dt, ended = rows[going], unit[going], dt[going], ended[going]
                self._keep(going)
        n_spikes = (drawn[0] != config.end).sum(1).tolist()
        return [(drawn[0, row, :n], drawn[1, row, :n]) for row, n in enumerate(n_spikes)]

    def _prepare(self, batch: PackedBatch) -> None:
        """Everything that the tokens to come do not change."""
        network = self.network
        n_rows, d_model = len(batch.length), network.config.d_model
        self._dt_vectors = network.dt_vectors()
        self._heads = torch.cat([network.head_unit.weight, network.head_dt.weight])
        self._own = [Step(block, of_itself=True) for block in (*network.encoder, *network.decoder)]
        empty = self._dt_vectors.new_zeros(n_rows, self.n_heads, FIRST_ROOM, d_model // self.n_heads)
        self._caches = [Keys(empty.clone(), empty.clone()) for _ in self._own]
        self._past = [Step(block, of_itself=False) for block in network.past_fusion]
        past_rows = Rows.of(batch.past_length)
        position = network.past_position[past_rows.position]
        past = network.unit(batch.past_unit) + position + self._dt_vectors[batch.past_dt]
        self._past_keys = self._context_keys(network.past_fusion, past, past_rows)
        self._stimulus = []
        if batch.frames is not None:
            self._stimulus = [Step(block, of_itself=False) for block in network.stimulus_fusion]
            stimulus = network.encode_stimulus(batch.frames)
            one_each = Rows.of(np.full(len(batch.frames), network.config.n_stimulus_tokens))
            self._stimulus_keys = self._context_keys(network.stimulus_fusion, stimulus, one_each)
            self._share(batch.stimulus)

    def _context_keys(self, blocks: torch.nn.ModuleList, tokens: Tensor, rows: Rows) -> list[Keys]:
        """Keys and values of all blocks for tokens (P, D) that do not change."""
        weight, bias = joined(*(layer for block in blocks for layer in (block.key, block.value)))
        table = rows.table(F.linear(tokens, weight, bias))
        shape = (*rows.shape, 2 * len(blocks), self.n_heads, -1)
        parts = table.view(shape).permute(2, 0, 3, 1, 4).contiguous()  # (2 blocks, R, H, S, D/H)
        return [Keys(k, v, rows.keep) for k, v in zip(parts[0::2], parts[1::2], strict=True)]

    def _share(self, stimulus: np.ndarray) -> None:
        """Rows that see the same stimulus window stand side by side as queries of one row of keys."""
        self._stimulus_of_row = stimulus
        shown, index = np.unique(stimulus, return_inverse=True)
        if len(shown) < len(self._stimulus_keys[0].keys):
            self._stimulus_keys = [keys.take(torch.from_numpy(shown)) for keys in self._stimulus_keys]
            self._stimulus_of_row = index
        self._sharing = Rows.of(np.bincount(index))

    def _keep(self, going: Tensor) -> None:
        self._caches = [cache.take(going) for cache in self._caches]
        self._past_keys = [keys.take(going) for keys in self._past_keys]
        if self._stimulus:
            self._share(self._stimulus_of_row[going.numpy()])

    def _advance(self, unit: Tensor, dt: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Logits of what follows one more token in every row, which then holds `step` + 1 of them."""
        network = self.network
        x = F.embedding(unit, network.unit.weight) + network.position[step] + F.embedding(dt, self._dt_vectors)
        n_layers = len(network.encoder)
        for number in range(n_layers):
            x = self._own_step(number, x, step)
        for layer, keys in zip(self._past, self._past_keys, strict=True):
            q = layer.read(x).view(len(x), self.n_heads, 1, -1)
            x = layer.write(x, attend(q, keys.keys, keys.values, keys.mask))
        for number, layer in enumerate(self._stimulus):
            x = self._stimulus_step(layer, self._stimulus_keys[number], x)
        for number in range(n_layers, len(self._own)):
            x = self._own_step(number, x, step)
        logits = F.linear(x, self._heads)
        return logits[:, : network.config.n_unit_tokens], logits[:, network.config.n_unit_tokens :]

    def _own_step(self, number: int, x: Tensor, step: int) -> Tensor:
        layer, cache = self._own[number], self._caches[number]
        if step == cache.keys.shape[2]:
            cache = self._caches[number] = cache.with_room(step)
        q, k, v = layer.read(x).view(len(x), 3, self.n_heads, -1).unbind(1)
        cache.keys[:, :, step], cache.values[:, :, step] = k, v
        attended = attend(q[:, :, None], cache.keys[:, :, : step + 1], cache.values[:, :, : step + 1], None)
        return layer.write(x, attended)

    def _stimulus_step(self, layer: Step, keys: Keys, x: Tensor) -> Tensor:
        table = self._sharing.table(layer.read(x))  # (stimuli, rows of each, D)
        q = table.view(*table.shape[:2], self.n_heads, -1).transpose(1, 2)
        attended = attend(q, keys.keys, keys.values, None).view(table.shape)
        return layer.write(x, self._sharing.tokens(attended))
