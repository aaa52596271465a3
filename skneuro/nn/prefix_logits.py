"""What the decoder adds to the log intensity of every cell, from the state after the spikes before it."""

from __future__ import annotations

import torch
from torch import Tensor

TABLE_CELLS = 2**26  # (prefix, unit) pairs up to which all of them are computed by one matrix product
CHUNK_CELLS = 2**24


def prefix_logits(hidden: Tensor, embedding: Tensor, prefix: Tensor) -> Tensor:
    """Logits ``hidden[prefix[r, n]] . embedding[n]``.

    With few units all prefixes meet all units in one matrix product; with thousands of units that table would outgrow
    the memory, and only the pairs that are needed are computed, in chunks of units, forward and backward.

    Parameters
    ----------
    hidden : Tensor of shape (P, D)
        State after every prefix.
    embedding : Tensor of shape (N, D)
    prefix : Tensor of shape (R, N), long
        Prefix with which each cell is reached.

    Returns
    -------
    Tensor of shape (R, N)
    """
    if len(hidden) * len(embedding) <= TABLE_CELLS:
        return (hidden @ embedding.T).gather(0, prefix)
    return _PairLogits.apply(hidden, embedding, prefix)


class _PairLogits(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, embedding: Tensor, prefix: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, embedding, prefix)
        parts = [torch.einsum("rnd,nd->rn", hidden[prefix[:, c]], embedding[c]) for c in _chunks(hidden, prefix)]
        return torch.cat(parts, dim=1)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        hidden, embedding, prefix = ctx.saved_tensors
        to_hidden, to_embedding = torch.zeros_like(hidden), torch.empty_like(embedding)
        for c in _chunks(hidden, prefix):
            to_embedding[c] = torch.einsum("rn,rnd->nd", grad[:, c], hidden[prefix[:, c]])
            pairs = grad[:, c, None] * embedding[c]  # (R, n, D)
            to_hidden.index_add_(0, prefix[:, c].reshape(-1), pairs.flatten(0, 1))
        return to_hidden, to_embedding, None


def _chunks(hidden: Tensor, prefix: Tensor) -> list[slice]:
    size = max(CHUNK_CELLS // max(len(prefix) * hidden.shape[1], 1), 1)
    return [slice(low, low + size) for low in range(0, prefix.shape[1], size)]
