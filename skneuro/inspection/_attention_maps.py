"""How the bins of a fitted Neuroformer attend to the tokens of a video, and what that adds to each unit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skneuro.inspection._map_methods import Asked, Sums
from skneuro.nn import Neuroformer
from skneuro.nn.layers import LagAttention, split_heads
from skneuro.nn.video import TokenGeometry, token_geometry
from skneuro.training.contexts import log_odds, states_at


@dataclass(frozen=True)
class Look:
    """One pass of a cross-attention, for the first bin of each row.

    Attributes
    ----------
    weight : Tensor of shape (R, H, S)
        Attention of each head to every key; the last key is "nothing to see".
    value : Tensor of shape (R, H, S, D / H)
    attended : Tensor of shape (R, Q, D)
        What the heads give for all bins, with its place in the graph of the log intensities.
    """

    weight: Tensor
    value: Tensor
    attended: Tensor

    def gain(self, slope: Tensor) -> Tensor:
        """Slope along the score of each key, (R, H, S), from that along what was attended to, (R, Q, D)."""
        n_heads = self.weight.shape[1]
        along = split_heads(slope[:, :1], n_heads)  # (R, H, 1, D/H)
        worth = (self.value * along).sum(-1)  # (R, H, S)
        return self.weight * (worth - (self.weight * worth).sum(-1, keepdim=True))


@contextmanager
def looks_at(network: Neuroformer, name: str) -> Iterator[list[Look]]:
    """Collect what the cross-attention to one modality does in each pass of the network, layer by layer."""
    fusion, calls = network.fusion, [0]
    looks: list[Look] = []
    position, n_calls = fusion.names.index(name), len(fusion.names) * fusion.n_layers
    pending: list[tuple[Tensor, Tensor]] = []

    def before(block: LagAttention, inputs: tuple[Tensor, ...]) -> None:
        number, calls[0] = calls[0], (calls[0] + 1) % n_calls
        pending.clear()
        if number // fusion.n_layers == position:
            x, tokens, index, bias = inputs
            q = split_heads(block.query(block.norm(x[:, :1])), block.n_heads)  # (R, H, 1, D/H)
            key_value = F.embedding(index, block.key_value(tokens))  # (R, S, 2 D)
            k, v = (split_heads(part, block.n_heads) for part in key_value.chunk(2, dim=-1))
            scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5 + bias[:, :, :1].to(q.dtype)
            pending.append((scores.softmax(-1)[:, :, 0].detach(), v.detach()))

    def at_output(out: torch.nn.Linear, inputs: tuple[Tensor, ...]) -> None:
        looks.extend(Look(weight, value, inputs[0]) for weight, value in pending)
        pending.clear()

    hooks = [block.register_forward_pre_hook(before) for block in fusion.blocks]
    hooks += [block.out.register_forward_pre_hook(at_output) for block in fusion.blocks]
    try:
        yield looks
    finally:
        for hook in hooks:
            hook.remove()


def by_attention(asked: Asked, *, values: bool, per_head: bool) -> np.ndarray:
    """Attention to every pixel of the video, (n_units, n_heads, n_buckets, H, W); heads are together, or apart.

    With `values` the root mean square of what the unit's log intensity gains by looking more at a token: its slope
    along the score of the key, ``w_s (g v_s - sum_t w_t g v_t)``, where ``w`` is the attention, ``v`` the value and
    ``g`` the gradient of the log intensity by what the head attended to. (Attention times its gradient, as in Chefer,
    Gur and Wolf 2021, taken through the softmax.) Otherwise the attention itself, averaged over the contexts with the
    unit's spikes in the bin as weights. Layers and heads are added, or averaged. A token's number is spread over its
    pixels and frames.
    """
    network, buckets, binned = asked.network, asked.buckets, asked.builder.binned
    modality = next(m for m in network.config.modalities if m.name == buckets.name)
    geometry = token_geometry(modality)
    sums = Sums(asked, network.config.n_heads if per_head else 1, len(geometry.rows))
    fired = np.zeros((len(asked.units), len(buckets.at)))
    for segments, batch in asked.batches():
        with torch.no_grad():
            states = states_at(network, batch)
        with looks_at(network, buckets.name) as looks, torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
            odds = log_odds(network, batch, states=states)
        keys = batch.modalities[buckets.name].attended
        row = np.repeat(np.arange(len(keys.time)), keys.time.shape[1])
        began = segments.start[row] * buckets.width - buckets.table.offset[segments.trial[row]]
        bucket = buckets.of(segments, row, keys.time.double().cpu().numpy().ravel() + began)
        bucket = np.where(keys.present.cpu().numpy().ravel(), bucket, -1)
        kept = np.flatnonzero(bucket >= 0)
        bucket, row = bucket[kept], row[kept]
        sums.seen(buckets.times(segments))
        spikes = binned.counts[binned.ptr[segments.trial] + segments.start].toarray()
        attended = [look.attended for look in looks]
        for place, unit in enumerate(asked.units):
            if values:
                last = place == len(asked.units) - 1
                slopes = torch.autograd.grad(odds[:, unit].sum(), attended, retain_graph=not last)
                found = sum(look.gain(slope) for look, slope in zip(looks, slopes, strict=True))  # (R, H, S)
                found = (found if per_head else found.sum(1, keepdim=True)) ** 2
            else:
                n = torch.from_numpy(spikes[:, unit]).to(odds)
                found = sum(look.weight for look in looks) / len(looks) * n[:, None, None]
                found = found if per_head else found.mean(1, keepdim=True)
                np.add.at(fired[place], bucket, spikes[row, unit])
            found = found[..., :-1].unflatten(-1, (keys.time.shape[1], -1)).transpose(1, 2)  # (R, S, H, P)
            sums.add(place, bucket, found.flatten(0, 1)[torch.from_numpy(kept).to(found.device)])
    if values:
        return np.sqrt(_on_pixels(sums.mean(), geometry, asked))
    total = sums.total.numpy() / np.maximum(fired, 1)[..., None, None]
    return _on_pixels(total, geometry, asked)


def _on_pixels(tokens: np.ndarray, geometry: TokenGeometry, asked: Asked) -> np.ndarray:
    """Numbers of tokens (n_units, n_buckets, n_heads, P) over their pixels and frames."""
    height, width, _ = asked.shape
    n_units, n_buckets, n_heads, _ = tokens.shape
    result = np.zeros((n_units, n_heads, n_buckets, height, width))
    step = -1 if asked.buckets.over_time else 1  # earlier frames: lower numbers, longer lags
    for place, ((top, bottom), (left, right)) in enumerate(zip(geometry.rows, geometry.columns, strict=True)):
        size = (bottom - top) * (right - left) * geometry.n_frames
        share = tokens[..., place].transpose(0, 2, 1)[..., None, None] / size  # (units, heads, buckets, 1, 1)
        for back in range(geometry.n_frames):
            to, of = slice(back, None), slice(None, n_buckets - back)
            if step < 0:
                to, of = of, to
            result[:, :, to, top:bottom, left:right] += share[:, :, of]
    return result
