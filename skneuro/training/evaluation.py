"""A fitted model over whole trials: long ones in pieces with the recurrent state carried on, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from skneuro._memory import Holes
from skneuro.data import BinnedSpikes
from skneuro.nn import Neuroformer, NeuroformerConfig
from skneuro.nn.batch import Batch
from skneuro.nn.layout import Layout, latest_samples
from skneuro.nn.neuroformer import Output
from skneuro.training.segments import BatchBuilder, cut_segments
from skneuro.training.stretches import Segments

PIECE_BINS, SHORTEST_PIECE = 400, 100
TRUSTED = 0.999  # share of the training intensities that a ceiling leaves alone
CELLS_AT_ONCE = 50_000  # larger pieces leave the caches, and take more memory


def piece_bins(config: NeuroformerConfig) -> int:
    """Bins of a piece of a long trial, whole windows: shorter where the units are many."""
    wanted = min(PIECE_BINS, max(CELLS_AT_ONCE // config.n_units, SHORTEST_PIECE))
    return -(-max(wanted, config.history_bins) // config.window_bins) * config.window_bins


def pieces(builder: BatchBuilder, trials: np.ndarray) -> Iterator[list[Segments]]:
    """Groups of trials of similar length, each as the list of its consecutive pieces.

    A piece holds every trial of the group that is that long; the rows of a later piece are the first rows of
    the one before it, because the longest trials come first.
    """
    n_bins, piece = builder.n_bins, piece_bins(builder.config)
    trials = trials[np.argsort(-n_bins[trials], kind="stable")]
    trials = trials[n_bins[trials] > 0]
    cost = np.minimum(n_bins[trials], piece) * builder.binned.n_units
    low = 0
    while low < len(trials):
        rows = builder.rows_at_once or max(int(CELLS_AT_ONCE // max(cost[low], 1)), 1)
        group = trials[low : low + rows]
        low += rows
        found = []
        for start in range(0, int(n_bins[group[0]]), piece):
            going = group[n_bins[group] > start]
            begin = np.full(len(going), start)
            found.append(Segments(going, begin, np.minimum(begin + piece, n_bins[going])))
        yield found


def walk(
    model: Neuroformer,
    builder: BatchBuilder,
    trials: np.ndarray,
    visit: Callable[[Segments, Batch, Tensor | None], None],
    *,
    layout: bool = True,
    stimuli: bool = True,
) -> None:
    """Call ``visit(segments, batch, states)`` for every piece of every trial, in inference mode.

    `states` are the states of the long past of the batch's rows, exact from each trial's start on; `layout` says
    whether the batches are to be ready for a pass of the model, `stimuli` whether those enter the states that do so in
    this model, or the spikes alone.
    """
    history = model.config.history_bins
    was_training = model.training
    model.eval()
    try:
        holes = Holes()
        with torch.inference_mode():
            for group in pieces(builder, trials):
                states: Tensor | None = None
                row_start = np.empty(0, dtype=np.int64)
                for segments in group:
                    hidden = None
                    if states is not None:  # the row starts `first` bins before the segment
                        n_rows = len(segments)
                        now = segments.start - np.minimum(segments.start, history)
                        offset = now - row_start[:n_rows]
                        hidden = states[torch.arange(n_rows), torch.from_numpy(offset)]
                    batch = builder.build(segments, history, hidden, layout=layout)
                    batch = batch if stimuli else replace(batch, stimuli={})
                    states = model.past_states(batch)
                    row_start = segments.start - np.minimum(segments.start, history)
                    visit(segments, batch, states)
                    holes.after_batch()
    finally:
        model.train(was_training)


def cell_log_likelihood(
    model: Neuroformer,
    builder: BatchBuilder,
    trials: np.ndarray | None = None,
    target: BinnedSpikes | None = None,
) -> np.ndarray:
    """Log-likelihood of every cell, (n_bins, n_units) in nats; zeros where not observed, and for other trials.

    With a `target` (hazard head only) it is that of the target's counts, while the model sees those of the builder.
    """
    binned = builder.binned
    result = np.zeros((binned.n_bins, binned.n_units))
    other = None if target is None else BatchBuilder(target, {}, model.config, builder.device, builder.dtype)

    def visit(segments: Segments, batch: Batch, states: Tensor | None) -> None:
        if other is not None:
            scored = other.build(segments, model.config.history_bins, layout=False)
            batch = replace(batch, layout=Layout.of(batch, model.config, scored))
        cells = model(batch, states=states).cells.double().cpu().numpy()
        for row, (trial, start, stop) in enumerate(zip(segments.trial, segments.start, segments.stop, strict=True)):
            low = binned.ptr[trial] + start
            result[low : low + stop - start] = cells[row, : stop - start]

    trials = np.arange(binned.n_trials) if trials is None else trials
    walk(model, builder, trials, visit, layout=target is None)
    return result


def total_log_likelihood(model: Neuroformer, builder: BatchBuilder, trials: np.ndarray) -> float:
    """Sum of the log-likelihood over some trials, nats."""
    totals: list[float] = []
    walk(model, builder, trials, lambda _, batch, states: totals.append(float(model(batch, states=states).total)))
    return float(np.sum(totals))


def unit_log_likelihood(model: Neuroformer, builder: BatchBuilder) -> np.ndarray:
    """Log-likelihood of every unit, (n_units,) in nats, in memory that does not grow with the recording."""
    total = torch.zeros(builder.binned.n_units, dtype=torch.float64)

    def visit(segments: Segments, batch: Batch, states: Tensor | None) -> None:
        total.add_(model(batch, states=states).cells.double().sum((0, 1)).cpu())

    walk(model, builder, np.arange(builder.binned.n_trials), visit)
    return total.numpy()


def embedding_width(config: NeuroformerConfig) -> int:
    """Length of the vectors of :func:`neural_embedding`."""
    return config.context_width if config.context_bins and not config.aligned else config.d_model


def neural_embedding(model: Neuroformer, builder: BatchBuilder) -> np.ndarray:
    """Neural vector of the window that each bin lies in, (n_bins, width); projected where a modality was aligned."""

    def vectors(batch: Batch, states: Tensor | None) -> Tensor:
        found = model.neural_vectors(batch, states)
        return model.alignment.project(0, found) if model.config.aligned else found

    return _window_vectors(model, builder, vectors, embedding_width(model.config))


def modality_embedding(model: Neuroformer, builder: BatchBuilder, name: str) -> np.ndarray:
    """Aligned vector of what the window of each bin sees of a modality, (n_bins, D); NaN where it sees nothing."""
    config = model.config
    side = config.aligned.index(name) + 1

    def vectors(batch: Batch, states: Tensor | None) -> Tensor:
        n_rows, n_bins = batch.scored.shape
        window = torch.arange(n_rows * n_bins // config.window_bins, device=batch.first.device)
        tokens = model.fusion.encode({name: batch.modalities[name]})[name]
        found = model.alignment.project(side, model.modality_features(name, batch, tokens, window))
        seen = latest_samples(batch.modalities[name], window, config)[0].any(1)
        return torch.where(seen[:, None], found, torch.nan).reshape(n_rows, -1, config.d_model)

    return _window_vectors(model, builder, vectors, config.d_model)


def _window_vectors(
    model: Neuroformer, builder: BatchBuilder, vectors: Callable[[Batch, Tensor | None], Tensor], width: int
) -> np.ndarray:
    """Vectors of the windows of whole trials, (C, L / B, width), laid out by bins, (n_bins, width)."""
    binned = builder.binned
    result = np.zeros((binned.n_bins, width))

    def visit(segments: Segments, batch: Batch, states: Tensor | None) -> None:
        found = vectors(batch, states).repeat_interleave(model.config.window_bins, dim=1).double().cpu().numpy()
        for row, (trial, start, stop) in enumerate(zip(segments.trial, segments.start, segments.stop, strict=True)):
            low = binned.ptr[trial] + start
            result[low : low + stop - start] = found[row, : stop - start]

    walk(model, builder, np.arange(binned.n_trials), visit, layout=False, stimuli=False)
    return result


def stretch_outputs(
    model: Neuroformer, builder: BatchBuilder, stretches: Segments, *, slopes: bool = False
) -> Iterator[Output]:
    """One pass over some stretches of trials in eval mode, each piece warmed up on the bins before it.

    The recurrent state starts at the warm-up's beginning (exact where that is the trial's start), as in training;
    :func:`walk` carries it from the trial's start instead.
    """
    config = model.config
    warm_up = max(config.context_bins, config.history_bins)
    parts = cut_segments(stretches, piece_bins(config))
    parts = parts.take(np.argsort(parts.start - parts.stop, kind="stable"))
    rows = builder.rows_at_once or max(CELLS_AT_ONCE // (piece_bins(config) * config.n_units), 1)
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            holes = Holes()
            for low in range(0, len(parts), rows):
                batch = builder.build(parts.take(np.arange(low, min(low + rows, len(parts)))), warm_up)
                yield model(batch, slopes=slopes)
                holes.after_batch()
    finally:
        model.train(was_training)


def stretch_log_likelihood(model: Neuroformer, builder: BatchBuilder, stretches: Segments) -> float:
    """Log-likelihood of some stretches of trials, nats."""
    return sum(float(output.total) for output in stretch_outputs(model, builder, stretches))


def set_ceiling(model: Neuroformer, builder: BatchBuilder, stretches: Segments) -> None:
    """Put every unit's ceiling at its largest log intensity in training, but for a share of `TRUSTED`.

    Of every unit the bins count in which it was observed.

    Simulated trials leave what training saw: without a ceiling a few percent of them feed themselves ever more
    spikes. Held-out data are scored under the same ceiling, so that the model that is scored is the one that is
    sampled.
    """
    session = model.session
    most = _beyond(int((stretches.stop - stretches.start).sum()))
    largest = session.ceiling.new_full((most, model.config.n_units), float("-inf"))
    n_observed = torch.zeros(model.config.n_units, dtype=torch.long, device=largest.device)
    session.loosen()
    for output in stretch_outputs(model, builder, stretches):
        intensity = output.intensity.flatten(0, 1)
        n_observed += intensity.isfinite().sum(0)
        largest = torch.cat([largest, intensity]).topk(most, dim=0).values
    place = torch.tensor([_beyond(n) - 1 for n in n_observed.tolist()], device=largest.device)
    found = largest.gather(0, place[None])[0]
    session.ceiling.copy_(torch.where(found.isfinite(), found, session.ceiling))


def _beyond(n_bins: int) -> int:
    """How many of the largest intensities of so many bins are not trusted; the last of them is the ceiling."""
    return max(round((1 - TRUSTED) * n_bins), 1)
