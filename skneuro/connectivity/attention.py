"""Attention as the paper read it: which earlier spikes a model looks at before it names the next one."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np

from skneuro.connectivity._estimate import Estimate

__all__ = ["attention_counts", "estimate_attention"]


def estimate_attention(
    model: Any,
    X: Any,
    stimuli: Any,
    *,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    rollout: bool,
    value_norm: bool,
) -> Estimate:
    """Average the attention from each unit's spikes back to each other unit's, in all windows of a recording.

    The row of attention that precedes a spike is booked under the unit that fires it, as in the code of the paper, but
    every batch is read, every spike of a burst counts, and sums are divided by how often the two units met. Only spikes
    in earlier bins of the same window count, because within a bin the order of spikes is that of their ids. The row is
    computed *before* the next unit is known, so that it is the same for every unit that might fire: what the result can
    show is which units the model looks at and when, not which unit drives which. It has no sign.

    Parameters
    ----------
    model : NeuroformerEstimator
        Fitted, with at least one decoder layer and windows of two bins or more.
    X, stimuli : object
        As in the ``fit`` of the model.
    layers, heads : sequence of int or None
        Which to average; None takes all.
    rollout : bool
        Multiply the layers (half attention, half the residual path; Abnar & Zuidema 2020) instead of averaging them.
    value_norm : bool
        Multiply the attention by the norm of the value that it carries (Kobayashi et al. 2020).

    Returns
    -------
    Estimate
        NaN for units that never met.

    Raises
    ------
    TypeError
        If the model is no Neuroformer.
    ValueError
        If there is no such layer or head, or windows of one bin hold no earlier spike.
    """
    network: Any = getattr(getattr(model, "model_", None), "network", None)
    if not hasattr(network, "decoder"):
        raise TypeError(f"method='attention' reads a NeuroformerEstimator. Got {type(model).__name__} instead.")
    config = network.config
    layers = _chosen("layer", layers, config.n_layers)
    heads = _chosen("head", heads, config.n_heads)
    if config.window_bins < 2:
        raise ValueError("Attention needs windows of two bins or more, in which a spike has earlier ones to look at.")
    from skneuro.training.evaluation import walk

    given = model._read(X, stimuli, reset=False)
    seen: dict[str, Any] = {}

    def keep_tokens(module: Any, inputs: tuple) -> None:
        seen["tokens"], seen["inputs"] = inputs[1], []

    def keep_inputs(module: Any, inputs: tuple) -> None:
        seen["inputs"].append(inputs[0])

    total = np.zeros((2, config.n_units, config.n_units))

    def visit(segments: Any, batch: Any, states: Any) -> None:
        network(batch, states=states)
        rows = [_rows(network.decoder.blocks[k], seen["inputs"][k], seen["tokens"], heads, value_norm) for k in layers]
        total[:] += attention_counts(_joined(rows, rollout), seen["tokens"], config.n_units, network.decoder.merged)

    hooks = [network.decoder.register_forward_pre_hook(keep_tokens)]
    hooks += [block.register_forward_pre_hook(keep_inputs) for block in network.decoder.blocks]
    try:
        walk(network, model.model_.builder(given), np.arange(given.spikes.n_trials), visit)
    finally:
        for hook in hooks:
            hook.remove()
    with np.errstate(invalid="ignore", divide="ignore"):
        return Estimate(np.where(total[1] > 0, total[0] / total[1], np.nan))


def attention_counts(rows: np.ndarray, tokens: Any, n_units: int, merged: bool) -> np.ndarray:
    """Book rows of attention under the units of the spikes that follow them.

    Parameters
    ----------
    rows : ndarray of shape (n_windows, n_prefixes, n_prefixes)
        Attention of each prefix of a window to itself and the shorter ones; the empty prefix comes first.
    tokens : WindowTokens
        Spikes of the windows.
    n_units : int
        Number of units.
    merged : bool
        Whether a token is a cell with its whole count.

    Returns
    -------
    ndarray of shape (2, n_units, n_units)
        ``[target, source]``: summed attention, and how many pairs of spikes it was summed over.
    """
    unit, bin_, count, length = (getattr(tokens, name).cpu().numpy() for name in ("unit", "bin", "count", "length"))
    n_tokens = unit.shape[1]
    there = np.arange(n_tokens) < length[:, None]
    # The prefix of t tokens is what token t follows; the prefix of s + 1 tokens ends in token s.
    looks = rows[:, :n_tokens, 1 : n_tokens + 1]
    pairs = there[:, :, None] & there[:, None, :] & (bin_[:, :, None] > bin_[:, None, :])
    window, target, source = np.nonzero(pairs)
    times = (count[window, target] * count[window, source]).astype(float) if merged else np.ones(len(window))
    cell = unit[window, target] * n_units + unit[window, source]
    summed = np.bincount(cell, times * looks[window, target, source], minlength=n_units**2)
    return np.stack([summed, np.bincount(cell, times, minlength=n_units**2)]).reshape(2, n_units, n_units)


def _chosen(what: str, wanted: Sequence[int] | None, there: int) -> list[int]:
    chosen = list(range(there)) if wanted is None else list(wanted)
    whole = all(isinstance(k, Integral) and not isinstance(k, bool) for k in chosen)
    if not chosen or not whole or not all(0 <= k < there for k in chosen):
        raise ValueError(
            f"attention_{what}s must be some of 0 to {there - 1}, those of the model's decoder. Got {chosen} instead."
        )
    return chosen


def _rows(block: Any, x: Any, tokens: Any, heads: list[int], value_norm: bool) -> np.ndarray:
    """Attention of one layer, mean over heads, (windows, prefixes, prefixes), from what went into the layer."""
    import torch

    from skneuro.nn.layers import split_heads

    padded = tokens.padded(block.qkv(block.norm(x)))
    q, k, v = (split_heads(part, block.n_heads)[:, heads] for part in padded.chunk(3, dim=-1))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
    weights = scores.masked_fill(later, float("-inf")).softmax(-1)
    if value_norm:
        weights = weights * v.norm(dim=-1)[:, :, None, :]
    return weights.mean(1).double().cpu().numpy()


def _joined(rows: list[np.ndarray], rollout: bool) -> np.ndarray:
    if not rollout:
        return np.mean(rows, axis=0)
    result = np.eye(rows[0].shape[1])
    for layer in rows:
        mixed = 0.5 * layer + 0.5 * np.eye(layer.shape[1])
        result = mixed / np.maximum(mixed.sum(axis=-1, keepdims=True), 1e-12) @ result
    return result
