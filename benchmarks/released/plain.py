"""The architecture computed in the released manner: the oracle of the fast way, and a stand-in for the released system.

Rows are padded to the size of their block, attention is a T x T table that is masked and normalised, every row encodes
its own stimulus, and sampling runs the whole network again for every token, one row at a time. Padding is masked, which
the released system leaves out; that costs nothing and makes the two ways comparable.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .choosing import Choose
from .network import Block, ReleasedNetwork, weighted_loss
from .windows import PaddedBatch


def attend(block: Block, x: Tensor, keys: Tensor, hidden: Tensor | None, n_heads: int) -> Tensor:
    """One block; `hidden` is True where a query (…, T, S) must not see a key."""
    rows, length, width = x.shape

    def heads(values: Tensor) -> Tensor:
        return values.view(rows, -1, n_heads, width // n_heads).transpose(1, 2)

    q = heads(block.query(block.norm_attention(x)))  # (B, H, T, D/H)
    k, v = heads(block.key(keys)), heads(block.value(keys))  # (B, H, S, D/H)
    scores = q @ k.transpose(-2, -1) / math.sqrt(width // n_heads)
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    attended = (scores.softmax(-1) @ v).transpose(1, 2).reshape(rows, length, width)
    x = x + block.out(attended)
    x = x + block.down(F.gelu(block.up(block.norm_network(x))))
    return block.norm_end(x)


class PlainNetwork(ReleasedNetwork):
    """The released manner."""

    def forward(self, batch: PaddedBatch) -> tuple[Tensor, Tensor]:
        """Logits of the unit and of the dt that follow every input, (B, block, tokens); padding holds anything."""
        n_heads = self.config.n_heads
        x = self._embed(batch.unit, batch.dt, self.position, self.time)
        start = x[:, :1]
        steps = torch.arange(x.shape[1])
        later = steps > steps[:, None]  # (T, T)
        for block in self.encoder:
            x = attend(block, x, x, later, n_heads)
        past = self._embed(batch.past_unit, batch.past_dt, self.past_position, self.past_time)
        padding = torch.arange(past.shape[1]) >= batch.past_length[:, None]
        for block in self.past_fusion:
            x = attend(block, x, past, padding[:, None, None, :], n_heads)
        if batch.frames is not None:
            stimulus = self.encode_stimulus(batch.frames, start)
            for block in self.stimulus_fusion:
                x = attend(block, x, stimulus, None, n_heads)
        for block in self.decoder:
            x = attend(block, x, x, later, n_heads)
        return self.head_unit(x), self.head_dt(x)

    def encode_stimulus(self, frames: Tensor, start: Tensor) -> Tensor:
        """Tokens of each row's stimulus window behind the start token, (B, S, D)."""
        x = self.tubelets(frames[:, None])  # (B, D, T, H, W)
        x = F.relu(self.tubelet_norm(x.flatten(2).transpose(1, 2)))
        x = torch.cat([start, x], dim=1)
        for block in self.stimulus_encoder:
            x = attend(block, x, x, None, self.config.n_heads)
        return x

    def _embed(self, unit: Tensor, dt: Tensor, position: Tensor, time: nn.Module) -> Tensor:
        return self.unit(unit) + position[: unit.shape[1]] + time(dt[..., None].to(position.dtype))

    def loss(self, batch: PaddedBatch) -> Tensor:
        """Weighted cross entropy per real token."""
        unit_logits, dt_logits = self(batch)
        real = torch.arange(batch.unit.shape[1]) < batch.length[:, None]
        return weighted_loss(unit_logits[real], dt_logits[real], batch.next_unit[real], batch.next_dt[real])

    @torch.no_grad()
    def generate(self, batch: PaddedBatch, choose: Choose, max_steps: int | None = None) -> list[tuple[Tensor, Tensor]]:
        """Units and dts of every row, given its past (and stimulus), without the end token."""
        config = self.config
        steps = config.block - 1 if max_steps is None else max_steps
        result = []
        for row in range(len(batch.unit)):
            unit, dt = torch.full((2, 1, config.block), config.end + 1)
            dt = torch.full_like(dt, config.dt_end + 1)
            unit[0, 0], dt[0, 0] = config.start, 0
            number = torch.tensor([row])
            n_spikes = 0
            for step in range(steps):
                length = torch.tensor([step + 1])
                past = batch.past_unit[number], batch.past_dt[number], batch.past_length[number]
                frames = None if batch.frames is None else batch.frames[number]
                now = PaddedBatch(unit, dt, unit, dt, length, *past, frames)
                unit_logits, dt_logits = self(now)
                next_unit, next_dt = choose(unit_logits[:, step], dt_logits[:, step], number, step)
                if int(next_unit[0]) >= config.end:
                    break
                n_spikes = step + 1
                unit[0, n_spikes], dt[0, n_spikes] = next_unit[0], next_dt[0]
            result.append((unit[0, 1 : n_spikes + 1], dt[0, 1 : n_spikes + 1]))
        return result
