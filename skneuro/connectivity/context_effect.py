"""Effects in a Neuroformer, in real contexts: what its log intensities owe to each spike of the recent past."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Estimate
from skneuro.connectivity.lags import whole_past
from skneuro.data import ModelInput
from skneuro.exceptions import ShortenedLagWarning

if TYPE_CHECKING:
    from torch import Tensor

    from skneuro.nn import Neuroformer
    from skneuro.nn.batch import Batch

__all__ = ["context_effects"]

_FEWEST_OTHERS = 4  # the median over fewer targets would be an edge itself
# Counts a shade below whole: what is clipped from some count on has a slope on either side of it.
_SHADE = 1e-6


def context_effects(
    model: Any, X: Any, stimuli: Any, given: ModelInput, n_lags: int, *, gradient: bool, n_contexts: int
) -> Estimate:
    """Ask a fitted Neuroformer, in contexts of the recording, what a spike does to every unit's log-odds of firing.

    A context is a bin together with all that came before it. The log-odds are those of the bin's first spike. The
    effect of a unit's spikes at a lag is the mean change per spike, over the contexts in which they were fired; effects
    are summed over the lags. Of what a source does, the median over the other targets is subtracted: what all units do
    alike is their common rate (and the normaliser of a softmax), not an edge. For a log-linear model both kinds are its
    kernels.

    Parameters
    ----------
    model : NeuroformerEstimator
        Fitted.
    X, stimuli : object
        As in the ``fit`` of the model.
    given : ModelInput
        X in the bins of the model.
    n_lags : int
        Lags that are read.
    gradient : bool
        Gradient times input (all spikes of a context by one backward pass for each target), or deletion (one forward
        pass for each spike of a context).
    n_contexts : int
        Bins to ask in, evenly spaced among those with `n_lags` observed bins before them.

    Returns
    -------
    Estimate
        NaN for sources of which no spike precedes a context.

    Warns
    -----
    ShortenedLagWarning
        If at some of the lags no spike of a source precedes a context: its effects are summed over the others.
    """
    from skneuro.training.contexts import context_batches

    fitted = model._working_model()
    network, inp = fitted.network, model._read(X, stimuli, reset=False)
    builder, binned = fitted.builder(inp), given.spikes
    rows = whole_past(binned, n_lags)
    rows = rows[np.unique(np.linspace(0, len(rows) - 1, min(n_contexts, len(rows))).round().astype(np.int64))]
    n_units, per_context = binned.n_units, _by_gradient if gradient else _by_deletion
    total, spikes = np.zeros((n_lags, n_units, n_units)), np.zeros((n_lags, n_units))
    network.eval()
    for _, batch in context_batches(builder, rows):
        for lag, source, count, change in per_context(network, batch, n_lags):
            np.add.at(total, (lag, source), change)
            np.add.at(spikes, (lag, source), count)
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = (total / spikes[:, :, None]).transpose(0, 2, 1)  # [lag, target, source]
    partly = (spikes == 0).any(axis=0) & (binned.unit_counts() > 0)
    if partly.any():
        warn_user(
            f"{len(rows)} contexts are few: {partly.sum()} of {n_units} units have no spike at some of the {n_lags} "
            f"lags before them, and their effects leave these lags out, such as those of units "
            f"{binned.unit_ids[partly][:5].tolist()}. Raise n_contexts.",
            ShortenedLagWarning,
        )
    strength = np.where(np.isnan(effect).all(axis=0), np.nan, np.nansum(effect, axis=0))
    if n_units > _FEWEST_OTHERS:
        others = np.where(np.eye(n_units, dtype=bool), np.nan, strength)
        known = ~np.isnan(others).all(axis=0)
        strength[:, known] -= np.nanmedian(others[:, known], axis=0)
    return Estimate(strength * binned.bin_width)


def _recent(batch: Batch, values: Tensor, n_lags: int) -> Tensor:
    """Values (C, T, N) of the last bins before the context, (C, lags, N)."""
    import torch

    rows = torch.arange(len(values), device=values.device)[:, None]
    back = batch.first[:, None] - torch.arange(1, n_lags + 1, device=values.device)
    return values[rows, back.clamp_min(0)] * (back >= 0)[..., None]


def _by_deletion(network: Neuroformer, batch: Batch, n_lags: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Lag, source and count of each recent cell with spikes, and what they add to every target, (cells, N)."""
    import torch

    from skneuro.training.contexts import ROWS, batch_rows, log_odds

    with torch.inference_mode():
        encoded = network.fusion.encode(batch.modalities)
        usual = log_odds(network, batch, encoded)
        row, lag, source = _recent(batch, batch.counts, n_lags).nonzero(as_tuple=True)
        for low in range(0, len(row), ROWS):
            part = slice(low, low + ROWS)
            r, k, j = row[part], lag[part], source[part]
            without = batch_rows(batch, r)
            cell = torch.arange(len(r), device=r.device), without.first - k - 1, j
            count = without.counts[cell].clone()
            without.counts[cell] = 0.0
            change = usual[r] - log_odds(network, without, encoded)
            yield tuple(value.cpu().numpy() for value in (k, j, count.double(), change.double()))


def _by_gradient(network: Neuroformer, batch: Batch, n_lags: int) -> Iterator[tuple[np.ndarray, ...]]:
    """Lag, source and count of each recent cell with spikes, and their gradient times input, (cells, N)."""
    import torch

    from skneuro.training.contexts import log_odds

    counts = (batch.counts * (1 - _SHADE)).requires_grad_()
    # The recurrent kernels of cuDNN have no backward pass in eval mode.
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        odds = log_odds(network, replace(batch, counts=counts))
        row, lag, source = _recent(batch, batch.counts, n_lags).nonzero(as_tuple=True)
        cell = row, batch.first[row] - lag - 1, source
        slopes = []
        for target in range(odds.shape[1]):
            last = target == odds.shape[1] - 1
            slopes.append(torch.autograd.grad(odds[:, target].sum(), counts, retain_graph=not last)[0][cell])
    count = batch.counts[cell]
    change = torch.stack(slopes, dim=1) * count[:, None]
    yield tuple(value.cpu().numpy() for value in (lag, source, count.double(), change.double()))

