"""Single bins with all that came before them, and what a model says of every unit there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skneuro.nn import Neuroformer
from skneuro.nn.batch import Batch
from skneuro.nn.keys import ModalityKeys, TimedKeys
from skneuro.nn.layout import known_until
from skneuro.nn.softmax_heads import all_prefixes
from skneuro.nn.windows import window_tokens
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

ROWS = 256  # contexts at once


def context_batches(builder: BatchBuilder, bins: np.ndarray, rows: int = ROWS) -> Iterator[tuple[Segments, Batch]]:
    """Contexts with what a model knew in training of what came before them.

    Parameters
    ----------
    builder : BatchBuilder
    bins : ndarray of shape (n_contexts,)
        Bins that are asked for, counted over all trials.
    rows : int
        Contexts of a batch.
    """
    ptr, config = builder.binned.ptr, builder.config
    trial = np.searchsorted(ptr, bins, side="right") - 1
    start = bins - ptr[trial]
    for low in range(0, len(bins), rows):
        part = slice(low, low + rows)
        segments = Segments(trial[part], start[part], start[part] + 1)
        warm_up = max(config.context_bins, config.history_bins, 1)
        batch = builder.build(segments, warm_up, layout=False)
        # One window is enough; the blocks of bins that share their keys are longer.
        end = config.window_bins * config.bin_width
        keys = {name: _until(modality, end) for name, modality in batch.modalities.items()}
        yield segments, replace(batch, scored=batch.scored[:, : config.window_bins], modalities=keys)


def _until(keys: ModalityKeys, end: float) -> ModalityKeys:
    """Keys without the columns in which nothing comes up before `end`, seconds from the block's start."""
    tubelets = keys.tubelets
    if tubelets is not None:
        tubelets = replace(tubelets, **_columns_until(tubelets, end))
    return replace(keys, tubelets=tubelets, **_columns_until(keys, end))


def _columns_until(keys: TimedKeys, end: float) -> dict[str, Tensor]:
    n = max(int(((keys.time < end) & keys.present).sum(1).max()), 1)  # times ascend
    return {name: getattr(keys, name)[:, :n] for name in ("time", "present", "sample")}


def states_at(network: Neuroformer, batch: Batch) -> Tensor | None:
    """States of the long past where the knowledge of each scored bin ends, (C, L, 2 D)."""
    states = network.past_states(batch)
    if states is None:
        return None
    rows = torch.arange(len(batch.counts), device=batch.counts.device)[:, None]
    return states[rows, known_until(batch.bins, network.config).clamp_max(batch.counts.shape[1])]


def log_odds(
    network: Neuroformer,
    batch: Batch,
    encoded: dict[str, Tensor] | None = None,
    states: Tensor | None = None,
) -> Tensor:
    """Log-odds of every unit to fire first in the first scored bin of each row, given all that came before it.

    Parameters
    ----------
    network : Neuroformer
        In eval mode.
    batch : Batch
        Rows whose scored part begins with the bin that is asked for; its own spikes are not looked at.
    encoded : dict of Tensor, optional
        Encoded modality tokens, where they are at hand.
    states : Tensor, optional
        :func:`states_at` of the same batch, where it is at hand.

    Returns
    -------
    Tensor of shape (C, N)
        Log intensity for a hazard, log probability of the token for a softmax.
    """
    n_bins, session = network.config.window_bins, network.session
    context = network.context(batch, states_at(network, batch) if states is None else states, encoded)
    base, state = context.base[:, :n_bins].to(batch.counts.dtype), context.state[:, :n_bins]
    silence = torch.zeros_like(base)
    seen = torch.ones_like(silence, dtype=torch.bool)
    tokens = window_tokens(silence, merged=network.config.bin_clock)
    hidden = network.decoder(session, tokens, state)  # of the empty prefix alone, (C, D)
    if network.config.bin_clock:
        log_intensity = base[:, 0] + hidden @ session.embedding.T
        if session.coupled:
            log_intensity = log_intensity + session.same_bin_drive(session.standardise(silence, seen), state)[:, 0]
        return session.bounded(log_intensity)
    prefix = all_prefixes(session, tokens, session.bounded(base), state)
    return network.head(session, prefix, tokens.padded(hidden), seen)[:, 0, : base.shape[2]]


def batch_rows(batch: Batch, index: Tensor) -> Batch:
    """Some rows of a batch of single blocks, some of them several times."""
    of_row = ("counts", "observed", "first", "scored", "length", "hidden", "clip", "clip_time")
    keys = {name: modality.rows(index) for name, modality in batch.modalities.items()}
    stimuli = {name: values[index] for name, values in batch.stimuli.items()}
    return replace(batch, modalities=keys, stimuli=stimuli, **{name: getattr(batch, name)[index] for name in of_row})
