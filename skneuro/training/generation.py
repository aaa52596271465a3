"""Predictions and samples of a fitted model for containers: where the closed loop starts and where its spikes go."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from skneuro.data import BinnedSpikes, ModelInput, SpikeTrains
from skneuro.data._rows import pointer
from skneuro.data._validation import TOLERANCE
from skneuro.data.interventions import Interventions, RowInterventions
from skneuro.nn import Neuroformer
from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.sampling import ClosedLoop, ModalityView, StimulusView, Streams
from skneuro.training.evaluation import walk
from skneuro.training.fitted import FittedModel
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

CELLS_AT_ONCE = 50_000
HISTORY_CELLS = 2_000_000  # (row, bin, unit) cells of the past that rows which are simulated together may hold
PREDICTION_SEED = 20_230


def predict(fitted: FittedModel, inp: ModelInput, n_samples: int) -> np.ndarray:
    """Expected count of every cell from what came before its window, (n_bins, n_units).

    Each window is drawn `n_samples` times from the state in which the recording reaches it; every window uses the
    same random numbers, so that a result depends on its own inputs only.
    """

    def expected(loop: ClosedLoop, counts: Tensor, observed: Tensor) -> Tensor:
        return loop.window()[1]

    return _draw_windows(fitted, inp, n_samples, expected, lambda draws: draws.mean(1))


def past_log_likelihood(fitted: FittedModel, inp: ModelInput, n_samples: int) -> np.ndarray:
    """Log-likelihood of every cell given earlier bins only, (n_bins, n_units) in nats; 0 where nothing is scored.

    The mean over `n_samples` draws of the other units of the bin. Its logarithm is low by about half the relative
    variance of that mean, which is added.
    """

    def likelihood(loop: ClosedLoop, counts: Tensor, observed: Tensor) -> Tensor:
        return loop.past_window(counts, observed)

    found = _draw_windows(fitted, inp, n_samples, likelihood, log_of_mean, turned=True)
    return found * inp.spikes.mask()  # the past of a block, and a bin that is not whole, were recorded all the same


def log_of_mean(logs: Tensor) -> Tensor:
    """Logarithm of the expectation of which axis 1 holds draws, as logarithms: corrected for its bias to first order.

    The logarithm of a mean of n draws is low by half the relative variance of a draw over n (the delta method); one
    draw tells no variance, and is left as it is.
    """
    n = logs.shape[1]
    result = logs.logsumexp(1) - math.log(n)
    if n == 1:
        return result
    return result + (logs - result[:, None]).exp().var(1) / (2 * n)


def _draw_windows(
    fitted: FittedModel,
    inp: ModelInput,
    n_samples: int,
    draw: Callable[[ClosedLoop, Tensor, Tensor], Tensor],
    summarise: Callable[[Tensor], Tensor],
    *,
    turned: bool = False,
) -> np.ndarray:
    """A number for every cell, (n_bins, n_units), from `n_samples` draws of its window.

    Parameters
    ----------
    draw : callable
        Takes a loop that stands before some windows, each `n_samples` times, with their counts and what was observed
        of them, (R, B, N); gives (R, B, N).
    summarise : callable
        Draws (windows, n_samples, B, N) to (windows, B, N).
    turned : bool
        Whether windows that begin in different bins of their trials have different random numbers. Common ones make
        windows comparable, but their error is one and the same in all.
    """
    network, builder = fitted.network, fitted.builder(inp)
    binned = inp.spikes
    result = np.zeros((binned.n_bins, binned.n_units))
    width = network.config.window_bins

    def visit(segments: Segments, batch: Batch, states: Tensor | None) -> None:
        n_windows = -(-(segments.stop - segments.start) // width)
        row = np.repeat(np.arange(len(segments)), n_windows)
        number = np.arange(len(row)) - np.repeat(np.cumsum(n_windows) - n_windows, n_windows)
        at_once = builder.rows_at_once or max(CELLS_AT_ONCE // (n_samples * binned.n_units), 1)
        for low in range(0, len(row), at_once):
            part = slice(low, low + at_once)
            loop = _loop_before(network, builder, segments, batch, states, row[part], number[part], n_samples, turned)
            again = np.repeat(row[part], n_samples), np.repeat(number[part], n_samples)
            drawn = draw(loop, *_windows(batch, *again, width))
            found = summarise(drawn.reshape(-1, n_samples, *drawn.shape[1:]).double()).cpu().numpy()
            for r, k, window in zip(row[part], number[part], found, strict=True):
                start = segments.start[r] + k * width
                stop = min(start + width, segments.stop[r])
                origin = binned.ptr[segments.trial[r]]
                result[origin + start : origin + stop] = window[: stop - start]

    walk(network, builder, np.arange(binned.n_trials), visit, layout=False)
    return result


def _loop_before(
    network: Neuroformer,
    builder: BatchBuilder,
    segments: Segments,
    batch: Batch,
    states: Tensor | None,
    row: np.ndarray,
    number: np.ndarray,
    n_samples: int,
    turned: bool,
) -> ClosedLoop:
    """A closed loop before window `number` of some rows of a batch, each `n_samples` times."""
    width = network.config.window_bins
    row_, start = torch.from_numpy(row), batch.first.cpu()[row] + torch.from_numpy(number) * width
    row_, start = row_.to(batch.first.device), start.to(batch.first.device)
    counts, observed = _history(batch, row_, start, max(network.config.history_bins, 1))
    hidden = None if states is None else states[row_, start]
    begin = segments.trial[row], segments.start[row] + number * width
    n_bins = torch.from_numpy(segments.stop[row] - begin[1]).to(row_.device)
    keys = builder.modality_keys(*begin, width)
    encoded = network.fusion.encode(keys)
    again = torch.arange(len(row), device=row_.device).repeat_interleave(n_samples)
    timed = {name: value.rows(again) for name, value in keys.items()}
    seeds = np.random.SeedSequence(PREDICTION_SEED).spawn(n_samples)
    turn = np.repeat(begin[1], n_samples) if turned else None
    streams = Streams(seeds, np.tile(np.arange(n_samples), len(row)), turn)
    return ClosedLoop(
        network, counts[again], observed[again], None if hidden is None else hidden[again],
        lambda step, rows: (step, timed, encoded), streams, n_bins[again],
        stimuli=_stimuli(builder, *(np.repeat(part, n_samples) for part in begin)),
    )  # fmt: skip


def _windows(batch: Batch, row: np.ndarray, number: np.ndarray, width: int) -> tuple[Tensor, Tensor]:
    """Counts of some windows of a batch, and what was observed of them, (R, B, N)."""
    device = batch.first.device
    row_ = torch.from_numpy(row).to(device)
    index = batch.first[row_][:, None] + torch.from_numpy(number).to(device)[:, None] * width
    index = index + torch.arange(width, device=device)
    inside = index < batch.length[row_][:, None]
    index = index.clamp_max(batch.counts.shape[1] - 1)
    observed = batch.observed[row_[:, None], index] & inside[..., None]
    return batch.counts[row_[:, None], index] * observed, observed


def _history(batch: Batch, row: Tensor, start: Tensor, n_bins: int) -> tuple[Tensor, Tensor]:
    """The `n_bins` bins before `start` of some rows; not observed before the row's first bin."""
    index = start[:, None] - torch.arange(n_bins, 0, -1, device=start.device)
    there = index >= 0
    index = index.clamp_min(0)
    observed = batch.observed[row[:, None], index] & there[..., None]
    return batch.counts[row[:, None], index] * observed, observed


def sample(
    fitted: FittedModel,
    inp: ModelInput,
    n_samples: int,
    seed: np.random.SeedSequence,
    temperature: float,
    top_p: float,
    *,
    history: SpikeTrains | None = None,
    interventions: Interventions | None = None,
) -> BinnedSpikes:
    """Closed-loop trials: `n_samples` for every trial of an input whose spikes are ignored.

    The trials of the result are ordered as the input's, the samples of one after the other. They start from silence,
    or from `history`, which ends where they start.
    """
    network, builder = fitted.network, fitted.builder(inp)
    binned = inp.spikes
    row_trial = np.repeat(np.arange(binned.n_trials), n_samples)
    seeds = seed.spawn(len(row_trial))
    row_cells = max(network.config.history_bins, 1) * binned.n_units
    at_once = builder.rows_at_once or max(HISTORY_CELLS // row_cells, 1)
    found: list[tuple[np.ndarray, ...]] = []
    for low in range(0, len(row_trial), at_once):
        part = slice(low, low + at_once)
        past = None if history is None else _past(history, row_trial[part], binned.bin_width)
        done = None if interventions is None else interventions.rows(row_trial[part], seeds[part])
        for row, *event in _sample_rows(network, builder, row_trial[part], seeds[part], temperature, top_p, past, done):
            found.append((row + low, *event))
    return _gather(found, binned, row_trial)


def _sample_rows(
    network: Neuroformer,
    builder: BatchBuilder,
    row_trial: np.ndarray,
    seeds: list[np.random.SeedSequence],
    temperature: float,
    top_p: float,
    past: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
    interventions: RowInterventions | None,
) -> Iterator[tuple[np.ndarray, ...]]:
    """Row, bin, unit and count of the occupied cells of each window of some rows that advance together."""
    device, dtype, n_rows = builder.device, builder.dtype, len(row_trial)
    row_bins = torch.from_numpy(np.diff(builder.binned.ptr)[row_trial]).to(device)
    blank = torch.zeros(n_rows, max(network.config.history_bins, 1), builder.binned.n_units, device=device, dtype=dtype)
    hidden = None
    if network.config.context_bins:
        hidden = torch.zeros(n_rows, network.config.context_width, device=device, dtype=dtype)
    with torch.inference_mode():
        loop = ClosedLoop(
            network, blank, torch.zeros_like(blank, dtype=torch.bool), hidden,
            _trial_view(network, builder, row_trial), Streams(seeds), row_bins, temperature, top_p,
            None if interventions is None else _forced(interventions, device, dtype),
            _stimuli(builder, row_trial, np.zeros(n_rows, dtype=np.int64)),
        )  # fmt: skip
        if past is not None:
            counts, observed, length = (torch.from_numpy(part).to(device) for part in past)
            loop.remember(counts.to(dtype), observed, length)
        loop.keep(loop.n_bins > 0)
        while len(loop.rows):
            first = loop.step
            counts, _ = loop.window(expectations=False)
            row, bin_, unit = counts.nonzero(as_tuple=True)
            count = counts[row, bin_, unit]
            yield tuple(v.cpu().numpy() for v in (loop.rows[row], bin_ + first, unit, count))
            loop.keep(loop.n_bins > loop.step)


def _stimuli(builder: BatchBuilder, trial: np.ndarray, start: np.ndarray) -> StimulusView | None:
    """What enters the long past of rows that begin at bin `start` of a trial; None in a model without."""
    if not builder.config.stimuli_in_context:
        return None

    def view(step: int, n_bins: int, rows: Tensor) -> dict[str, Tensor]:
        index = rows.cpu().numpy()
        return builder.stimuli(trial[index], (start[index] + step)[:, None] + np.arange(n_bins))

    return view


def _past(history: SpikeTrains, row_trial: np.ndarray, bin_width: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of the rows' recorded past and what was observed of it, (R, T, N), and its bins (R,).

    It ends where the rows begin, and is not observed before its own beginning.
    """
    # Bins count back from the end, so that the last one is whole.
    n_bins = np.floor(history.duration / bin_width + 1e-6).astype(np.int64)
    longest = int(n_bins.max())
    counts = np.zeros((len(history), longest, history.shape[1]), dtype=np.float32)
    trial = np.repeat(np.arange(len(history)), np.diff(history.ptr))
    tick = longest - np.ceil((history.t_stop[trial] - history.times) / bin_width - 1e-6).astype(np.int64)
    inside = (tick >= 0) & (tick < longest)
    np.add.at(counts, (trial[inside], tick[inside], history.units[inside]), 1)
    there = np.arange(longest) >= longest - n_bins[:, None]
    observed = np.broadcast_to(there[..., None], counts.shape).copy()
    if history.observation is not None:
        start, n_units = history.t_stop - n_bins * bin_width, history.shape[1]
        masks = history.observation.bin_masks(start, pointer(n_bins), bin_width, n_units, TOLERANCE)
        for mask in masks:
            if mask is not None:
                observed[there] &= mask.reshape(len(mask), -1)
    rows = row_trial if len(history) > 1 else np.zeros(len(row_trial), dtype=np.int64)
    return counts[rows] * observed[rows], observed[rows], n_bins[rows]


def _forced(
    interventions: RowInterventions, device: torch.device, dtype: torch.dtype
) -> Callable[[int, Tensor], tuple[Tensor, Tensor]]:
    def forced(step: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        fixed, extra = interventions.at(step, rows.cpu().numpy())
        return torch.from_numpy(fixed).to(device, dtype), torch.from_numpy(extra).to(device, dtype)

    return forced


def _trial_view(network: Neuroformer, builder: BatchBuilder, row_trial: np.ndarray) -> ModalityView:
    """Modality tokens of the rows' trials, encoded once for each trial and block of bins."""
    size = block_bins(network.config.window_bins)
    held: dict[int, tuple] = {}

    def view(step: int, rows: Tensor) -> tuple[int, dict, dict]:
        block = step // size
        if block not in held:
            held.clear()
            trials = np.unique(row_trial[rows.cpu().numpy()])
            keys = builder.modality_keys(trials, np.full(len(trials), block * size), size)
            held[block] = (trials, keys, network.fusion.encode(keys))
        trials, keys, encoded = held[block]
        index = torch.from_numpy(np.searchsorted(trials, row_trial[rows.cpu().numpy()])).to(builder.device)
        return step - block * size, {name: value.rows(index) for name, value in keys.items()}, encoded

    return view


def _gather(found: list[tuple[np.ndarray, ...]], binned: BinnedSpikes, row_trial: np.ndarray) -> BinnedSpikes:
    """Events of all windows to the binned spikes of all rows, without the bins beyond a trial's end."""
    from scipy import sparse

    n_bins = np.diff(binned.ptr)[row_trial]
    ptr = np.concatenate([[0], np.cumsum(n_bins)])
    if found:
        row, bin_, unit, count = (np.concatenate(part) for part in zip(*found, strict=True))
    else:
        row, bin_, unit, count = (np.empty(0, dtype=np.int64) for _ in range(4))
    inside = bin_ < n_bins[row]
    row, bin_, unit, count = (part[inside] for part in (row, bin_, unit, count))
    table = sparse.coo_array(
        (count.astype(np.int32), (ptr[row] + bin_, unit)), shape=(int(ptr[-1]), binned.n_units)
    ).tocsr()
    table.sort_indices()
    return BinnedSpikes(
        counts=table, ptr=ptr, t_start=binned.t_start[row_trial], bin_width=binned.bin_width,
        unit_ids=binned.unit_ids, trial_ids=row_trial,
    )  # fmt: skip


def to_spike_trains(binned: BinnedSpikes, unit_info) -> SpikeTrains:
    """Spikes at the centres of their bins; `resolution` says that nothing finer was generated."""
    coo = binned.counts.tocoo()
    bins = np.repeat(coo.coords[0], coo.data)
    order = np.argsort(bins, kind="stable")
    bins, units = bins[order], np.repeat(coo.coords[1], coo.data)[order]
    trial = np.searchsorted(binned.ptr, bins, side="right") - 1
    times = binned.t_start[trial] + (bins - binned.ptr[trial] + 0.5) * binned.bin_width
    ptr = np.searchsorted(bins, binned.ptr)
    return SpikeTrains(
        times, units, ptr, binned.t_start, binned.t_start + np.diff(binned.ptr) * binned.bin_width,
        unit_ids=binned.unit_ids, trial_ids=binned.trial_ids, unit_info=unit_info, resolution=binned.bin_width,
    )  # fmt: skip
