"""Small parts shared by the encoders and the decoder: dropout with its own generator, attention, blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from skneuro.nn.compiled import Compiler
from skneuro.nn.moving import to_device
from skneuro.nn.windows import PrefixGroup


class RandomSource:
    """Holds the generator that dropout masks are drawn from, so that the user's global generator is untouched.

    Attributes
    ----------
    generator : torch.Generator or None
    recompute : bool
        Whether blocks forget what they computed in training and compute it again, with the same masks, for the
        gradient: less memory, more time.
    compiler : Compiler or None
        What runs position-wise networks, in training; None runs them as they are.
    """

    def __init__(self) -> None:
        self.generator: torch.Generator | None = None
        self.recompute = False
        self.compiler: Compiler | None = None

    def run(self, function: Callable[..., Tensor], *inputs: Any) -> Tensor:
        """``function(*inputs)``, with its intermediate results kept or not."""
        if not (self.recompute and torch.is_grad_enabled()):
            return function(*inputs)
        return checkpoint(
            function, *inputs, use_reentrant=False, preserve_rng_state=False,
            context_fn=lambda: (nullcontext(), self._again(self._state())),
        )  # fmt: skip

    def at_places(self, function: Callable[..., Tensor], rows: Sequence[Tensor | None], *shared: Any) -> Tensor:
        """``function(*rows, *shared)``, compiled or not; see :class:`~skneuro.nn.compiled.Compiler`."""
        return function(*rows, *shared) if self.compiler is None else self.compiler(function, rows, *shared)

    def _state(self) -> Tensor | None:
        return None if self.generator is None else self.generator.get_state()

    @contextmanager
    def _again(self, state: Tensor | None) -> Iterator[None]:
        """Draw what was drawn from `state` on, then go on as if nothing had been drawn."""
        now = self._state()
        if self.generator is not None:
            self.generator.set_state(state)
        try:
            yield
        finally:
            if self.generator is not None:
                self.generator.set_state(now)

    def uniform(self, shape: tuple[int, ...], like: Tensor) -> Tensor:
        """Draw numbers from (0, 1), on the device of `like`."""
        device = self.generator.device if self.generator is not None else like.device
        return to_device(torch.rand(shape, generator=self.generator, device=device), like.device)

    def keep(self, shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
        """Draw a mask that is True with probability ``1 - p``, on the device of `like`."""
        return self.uniform(shape, like) >= p


class Dropout(nn.Module):
    """Dropout whose masks come from a :class:`RandomSource`."""

    def __init__(self, p: float, source: RandomSource) -> None:
        super().__init__()
        self.p, self.source = p, source

    def forward(self, x: Tensor) -> Tensor:
        return dropped(x, self.keep(x), self.p)

    def keep(self, like: Tensor) -> Tensor | None:
        """A mask of the shape of `like` for :func:`dropped`; None where nothing is dropped."""
        if not self.training or self.p == 0.0:
            return None
        return self.source.keep(tuple(like.shape), self.p, like)


def dropped(x: Tensor, keep: Tensor | None, p: float) -> Tensor:
    """What dropout with chance `p` makes of `x`, where a mask says what is kept."""
    return x if keep is None else x * keep.to(x.dtype).mul_(1.0 / (1.0 - p))


class FeedForward(nn.Module):
    """Pre-norm position-wise network, added to its input."""

    def __init__(self, d_model: int, dropout: float, source: RandomSource) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, 2 * d_model)
        self.down = nn.Linear(2 * d_model, d_model)
        self.dropout = Dropout(dropout, source)

    def forward(self, x: Tensor) -> Tensor:
        weights = [p for part in (self.norm, self.up, self.down) for p in (part.weight, part.bias)]
        rows, p = [x, self.dropout.keep(x)], self.dropout.p
        return self.dropout.source.at_places(feed_forward, rows, p, self.norm.eps, *weights)


def feed_forward(
    x: Tensor, keep: Tensor | None, p: float, eps: float,
    norm: Tensor, norm_bias: Tensor, up: Tensor, up_bias: Tensor, down: Tensor, down_bias: Tensor,
) -> Tensor:  # fmt: skip
    """:class:`FeedForward` as a function, (..., D) to (..., D)."""
    inner = F.linear(F.layer_norm(x, (x.shape[-1],), norm, norm_bias, eps), up, up_bias)
    return x + dropped(F.linear(F.gelu(inner), down, down_bias), keep, p)


def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """(R, T, D) to (R, H, T, D / H)."""
    rows, length, width = x.shape
    return x.reshape(rows, length, n_heads, width // n_heads).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(R, H, T, D / H) to (R, T, D)."""
    rows, heads, length, width = x.shape
    return x.transpose(1, 2).reshape(rows, length, heads * width)


class CausalBlock(nn.Module):
    """Causal self-attention and a feed-forward network over the spikes of a window.

    `forward` takes a whole window, `step` one more spike with the keys and values of the earlier ones; both
    give the same result (a test holds them together).
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float, source: RandomSource) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout, source)
        self.feed_forward = FeedForward(d_model, dropout, source)

    def forward(self, x: Tensor, groups: Sequence[PrefixGroup]) -> Tensor:
        """Advance all prefixes of all windows; only attention itself works on padded rows, one group after the other.

        Parameters
        ----------
        x : Tensor of shape (P, D)
        groups : sequence of PrefixGroup
            Where the prefixes of each window are.
        """
        if not groups:  # nothing was observed in any window
            return x
        inner, attended = self.qkv(self.norm(x)), []
        for part, group in zip(inner.split([len(g.place) for g in groups]), groups, strict=True):
            # What stands in for padding comes after a window's own prefixes, where no one sees it.
            padded = F.embedding(group.table, part)
            q, k, v = (split_heads(p, self.n_heads) for p in padded.chunk(3, dim=-1))
            rows = join_heads(F.scaled_dot_product_attention(q, k, v, is_causal=True))
            attended.append(F.embedding(group.place, rows.flatten(0, 1)))
        return self.feed_forward(x + self.dropout(self.out(torch.cat(attended))))

    def step(self, x: Tensor, keys: Tensor, values: Tensor, rows: Tensor, length: Tensor) -> Tensor:
        """Advance some rows by one spike.

        Parameters
        ----------
        x : Tensor of shape (r, 1, D)
        keys, values : Tensor of shape (R, H, K, D / H)
            Of all rows; written at position `length` of the rows that advance.
        rows, length : Tensor of shape (r,), long
            The rows that advance, and the tokens they hold already.
        """
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(self.norm(x)).chunk(3, dim=-1))
        keys[rows, :, length] = k[:, :, 0]
        values[rows, :, length] = v[:, :, 0]
        longest = int(length.max()) + 1
        seen = torch.arange(longest, device=x.device) <= length[:, None]
        attended = F.scaled_dot_product_attention(
            q, keys[rows, :, :longest], values[rows, :, :longest], attn_mask=seen[:, None, None, :]
        )
        return self.feed_forward(x + self.out(join_heads(attended)))

    def several(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Advance rows by several spikes at once; the new keys and values are given back.

        Parameters
        ----------
        x : Tensor of shape (r, k, D)
        keys, values : Tensor of shape (r, H, K, D / H)
            Of the tokens before.
        mask : Tensor of shape (r, 1, k, K + k), bool
            What each new token sees.
        """
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(self.norm(x)).chunk(3, dim=-1))
        attended = F.scaled_dot_product_attention(
            q, torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2), attn_mask=mask
        )
        return self.feed_forward(x + self.out(join_heads(attended))), k, v


class LagAttention(nn.Module):
    """Cross-attention of bins to timed keys: content, plus a learned bias that depends on the age of a key.

    The keys always hold one more, learned and without age ("nothing to see"): a query without any key, or a
    modality that is absent, rests on it.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float, source: RandomSource) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key_value = nn.Linear(d_model, 2 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(dropout, source)
        self.feed_forward = FeedForward(d_model, dropout, source)

    def forward(self, x: Tensor, tokens: Tensor, index: Tensor, bias: Tensor) -> Tensor:
        """Attend.

        Parameters
        ----------
        x : Tensor of shape (R, Q, D)
        tokens : Tensor of shape (T, D)
            Distinct tokens; their keys and values are computed once, however many rows see them.
        index : Tensor of shape (R, S), long
            Tokens of each row.
        bias : Tensor of shape (R, H, Q, S)
            Added to the scores; -inf hides a key.
        """
        q = split_heads(self.query(self.norm(x)), self.n_heads)  # (R, H, Q, D/H)
        key_value = F.embedding(index, self.key_value(tokens))  # (R, S, 2 D)
        k, v = (split_heads(part, self.n_heads) for part in key_value.chunk(2, dim=-1))
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        return self.feed_forward(x + self.dropout(self.out(join_heads(attended))))
