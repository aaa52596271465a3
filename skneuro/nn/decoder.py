"""The causal decoder over the spikes of a window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.layers import CausalBlock, RandomSource
from skneuro.nn.session import SessionUnits
from skneuro.nn.windows import WindowTokens


@dataclass
class DecoderCache:
    """Keys and values of the spikes so far, one (R, H, K, D / H) pair a layer, and the number of tokens in each row."""

    keys: list[Tensor]
    values: list[Tensor]
    length: Tensor

    def make_room(self, n_tokens: int = 1) -> None:
        """Grow so that every row can take `n_tokens` more."""
        if not self.keys:
            return
        room = self.keys[0].shape[2]
        needed = int(self.length.max()) + n_tokens
        if needed > room:
            grow = max(needed - room, room)
            self.keys = [F.pad(k, (0, 0, 0, grow)) for k in self.keys]
            self.values = [F.pad(v, (0, 0, 0, grow)) for v in self.values]

    def copy(self) -> DecoderCache:
        """Another one that may be extended on its own."""
        return DecoderCache([k.clone() for k in self.keys], [v.clone() for v in self.values], self.length.clone())

    def append(self, rows: Tensor, keys: list[Tensor], values: list[Tensor], n_tokens: Tensor) -> None:
        """Take the first `n_tokens` (r,) of the new tokens of some rows; keys and values (r, H, k, D / H) a layer."""
        most = int(n_tokens.max()) if len(n_tokens) else 0
        if most:
            self.make_room(most)
            row, place = (torch.arange(most, device=rows.device) < n_tokens[:, None]).nonzero(as_tuple=True)
            target, position = rows[row], self.length[rows[row]] + place
            for layer, (k, v) in enumerate(zip(keys, values, strict=True)):
                self.keys[layer][target, :, position] = k[row, :, place]
                self.values[layer][target, :, position] = v[row, :, place]
        self.length[rows] += n_tokens


@dataclass
class LookAhead:
    """States after 0, 1, ... further tokens (r, k + 1, D), and the keys and values (r, H, k, D / H) of each layer."""

    states: Tensor
    keys: list[Tensor]
    values: list[Tensor]


class WindowDecoder(nn.Module):
    """Causal self-attention over the tokens of a window; each token carries its unit, its bin and the state there."""

    def __init__(self, config: NeuroformerConfig, source: RandomSource) -> None:
        super().__init__()
        d_model = config.d_model
        self.random = source
        self.merged = config.bin_clock
        self.n_heads = config.n_heads
        self.start = nn.Parameter(torch.zeros(d_model))
        self.bin = nn.Parameter(torch.randn(config.window_bins, d_model) * d_model**-0.5)
        if not self.merged:
            self.number = nn.Parameter(torch.zeros(max(config.max_count, 1), d_model))
        self.blocks = nn.ModuleList(
            CausalBlock(d_model, config.n_heads, config.dropout, source) for _ in range(config.n_layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.out = nn.Linear(d_model, d_model)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def embed(self, session: SessionUnits, unit: Tensor, bin_: Tensor, count: Tensor, state: Tensor) -> Tensor:
        """Tokens (...) to inputs (..., D); `state` (..., D) is the context of each token's bin."""
        x = F.embedding(unit, session.embedding) + F.embedding(bin_, self.bin) + state
        if not self.merged:
            x = x + self.number[(count - 1).clamp(0, len(self.number) - 1)]
        return x

    def forward(self, session: SessionUnits, tokens: WindowTokens, state: Tensor) -> Tensor:
        """State after every prefix, windows one after the other: nothing is computed for padding.

        Parameters
        ----------
        state : Tensor of shape (W, B, D)
            Fused context of the bins of each window.

        Returns
        -------
        Tensor of shape (P, D)
            One row for each of the prefixes of ``tokens.prefixes``. Least is computed where windows of similar length
            are neighbours.
        """
        prefixes = tokens.prefixes
        here = state.flatten(0, 1).index_select(0, prefixes.cell)
        x = self.embed(session, prefixes.unit, prefixes.bin, prefixes.count, here)
        x = x.new_empty(len(prefixes.window), state.shape[2]).index_put_((prefixes.follows,), x)
        x = x.index_put((prefixes.start,), (state[:, 0] + self.start).to(x.dtype))
        for block in self.blocks:
            x = self.random.run(block, x, prefixes.groups)
        return self.out(self.norm(x))

    def begin(self, state: Tensor, n_tokens: int = 16) -> tuple[Tensor, DecoderCache]:
        """State of the empty prefix, and the cache to go on from; `state` (R, D) is that of the first bin."""
        rows, width = state.shape
        shape = (rows, self.n_heads, n_tokens, width // self.n_heads)
        cache = DecoderCache(
            [state.new_zeros(shape) for _ in self.blocks],
            [state.new_zeros(shape) for _ in self.blocks],
            torch.zeros(rows, dtype=torch.long, device=state.device),
        )
        return self._step(state + self.start, cache, torch.arange(rows, device=state.device)), cache

    def extend(
        self,
        session: SessionUnits,
        unit: Tensor,
        bin_: Tensor,
        count: Tensor,
        state: Tensor,
        cache: DecoderCache,
        rows: Tensor,
    ) -> Tensor:
        """State after one more token in some `rows`; unit, bin, count and rows are of shape (r,), `state` (r, D)."""
        cache.make_room()
        x = self.embed(session, unit[:, None], bin_[:, None], count[:, None], state[:, None])
        return self._step(x[:, 0], cache, rows)

    def look_ahead(
        self,
        session: SessionUnits,
        occupied: Tensor,
        counts: Tensor,
        bin_: int,
        state: Tensor,
        hidden: Tensor,
        cache: DecoderCache,
        rows: Tensor,
    ) -> LookAhead:
        """States after every further token of a bin, without taking the tokens into the cache.

        Parameters
        ----------
        occupied : Tensor of shape (r, N), bool
            Units whose tokens follow those of the cache, in the order of their ids.
        counts : Tensor of shape (r, N)
        state, hidden : Tensor of shape (r, D)
            Context of the bin, and the decoder's state after the cache's tokens.
        rows : Tensor of shape (r,)
            Which rows of the cache these are.
        """
        row, unit = occupied.nonzero(as_tuple=True)
        length = occupied.sum(1)
        place = torch.arange(len(row), device=row.device) - (length.cumsum(0) - length)[row]
        longest = int(length.max()) if len(length) else 0
        shape = (len(rows), longest, state.shape[1])
        tokens = self.embed(session, unit, torch.full_like(unit, bin_), counts[row, unit].long(), state[row])
        x = state.new_zeros(shape).index_put((row, place), tokens)
        known = cache.length[rows]
        past = int(known.max()) if len(known) else 0
        steps = torch.arange(past + longest, device=row.device)
        seen = torch.where(steps < past, steps < known[:, None], True)[:, None]  # (r, 1, past + k)
        causal = steps <= past + torch.arange(longest, device=row.device)[:, None]  # (k, past + k)
        mask = (seen & causal)[:, None]
        found = LookAhead(hidden[:, None], [], [])
        if not longest:
            return found
        for layer, block in enumerate(self.blocks):
            x, k, v = block.several(x, cache.keys[layer][rows, :, :past], cache.values[layer][rows, :, :past], mask)
            found.keys.append(k)
            found.values.append(v)
        found.states = torch.cat([hidden[:, None], self.out(self.norm(x))], dim=1)
        return found

    def _step(self, x: Tensor, cache: DecoderCache, rows: Tensor) -> Tensor:
        x = x[:, None]
        length = cache.length[rows]
        for layer, block in enumerate(self.blocks):
            x = block.step(x, cache.keys[layer], cache.values[layer], rows, length)
        cache.length[rows] = length + 1
        return self.out(self.norm(x))[:, 0]  # (r, D)
