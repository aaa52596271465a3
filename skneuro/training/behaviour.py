"""A behaviour network over whole recordings, and how its encoder and readout are trained on labels."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from skneuro.data import BinnedSpikes
from skneuro.exceptions import NonFiniteLossError
from skneuro.nn import NeuroformerConfig
from skneuro.nn.batch import Batch
from skneuro.nn.behaviour import BehaviourNetwork, Lags, NeuralState
from skneuro.training.evaluation import walk
from skneuro.training.fitted import BUILDING
from skneuro.training.segments import BatchBuilder, cut_segments, segment_bins, shuffled_batches
from skneuro.training.stretches import Segments

CHUNK_BINS = 4_000
AVERAGE_DECAY = 0.98
CLIP_NORM = 1.0
LINEAR_RATE = 0.03
FINAL_RATE = 0.05


@dataclass(frozen=True)
class Labels:
    """What is to be decoded.

    Attributes
    ----------
    values : ndarray of shape (n_places, n_outputs) or (n_places,)
        Standardised values, or positions of classes.
    place : ndarray of shape (n_places,)
        Bin (counted over all trials) or trial of each.
    per_trial : bool
        Which of the two.
    """

    values: np.ndarray
    place: np.ndarray
    per_trial: bool

    def take(self, rows: np.ndarray) -> Labels:
        """Some of them."""
        return Labels(self.values[rows], self.place[rows], self.per_trial)


@dataclass(frozen=True)
class BehaviourSettings:
    """How to train; the names are the estimators' parameters."""

    max_epochs: int
    batch_size: int
    learning_rate: float
    encoder_rate: float
    weight_decay: float
    n_iter_no_change: int
    tol: float
    seed: int


def build_network(
    config: NeuroformerConfig, lags: Lags, n_outputs: int, n_hidden: int, seed: int
) -> BehaviourNetwork:
    """A behaviour network with fresh weights in its readout; torch's global generator is left as it was."""
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return BehaviourNetwork(NeuralState(config), lags, n_outputs, n_hidden).eval()


def builder_of(network: BehaviourNetwork, binned: BinnedSpikes) -> BatchBuilder:
    """Batches of spikes for a network."""
    weight = network.state.mean
    return BatchBuilder(binned, {}, network.state.config, weight.device, weight.dtype)


def trial_bins(binned: BinnedSpikes, trial: int) -> np.ndarray:
    """Bins of a trial that were observed."""
    bins = np.arange(binned.ptr[trial], binned.ptr[trial + 1])
    return bins if binned.bin_observed is None else bins[binned.bin_observed[bins]]


def neural_states(network: BehaviourNetwork, binned: BinnedSpikes) -> np.ndarray | None:
    """State of the long past after each bin, (n_bins, S) float32, exact from each trial's start on."""
    state = network.state
    if not state.width:
        return None
    result = np.zeros((binned.n_bins, state.width), dtype=np.float32)

    def visit(segments: Segments, batch: Batch, states: Tensor | None) -> None:
        after = cast(Tensor, states).float().cpu().numpy()
        first = batch.first.cpu().numpy()
        for row, (trial, start, stop) in enumerate(zip(segments.trial, segments.start, segments.stop, strict=True)):
            low = binned.ptr[trial] + start
            begin = first[row] + 1
            result[low : low + stop - start] = after[row, begin : begin + stop - start]

    walk(cast(Any, state), builder_of(network, binned), np.arange(binned.n_trials), visit, layout=False)
    return result


def feature_chunks(
    network: BehaviourNetwork, binned: BinnedSpikes, place: np.ndarray, per_trial: bool
) -> Iterator[tuple[slice, Tensor]]:
    """Features of bins, or their means over trials, a chunk of places at a time, without gradients."""
    network.eval()
    states = neural_states(network, binned)
    if per_trial:
        for number, trial in enumerate(place):
            bins = trial_bins(binned, trial)
            parts = [_features(network, binned, states, part) for part in _parts(bins)]
            mean = torch.cat(parts).mean(0) if len(bins) else network.readout.centre
            yield slice(number, number + 1), mean[None]
        return
    start = 0
    for part in _parts(place):
        yield slice(start, start + len(part)), _features(network, binned, states, part)
        start += len(part)


def _parts(bins: np.ndarray) -> list[np.ndarray]:
    return [bins[k : k + CHUNK_BINS] for k in range(0, len(bins), CHUNK_BINS)]


@torch.no_grad()
def _features(network: BehaviourNetwork, binned: BinnedSpikes, states: np.ndarray | None, bins: np.ndarray) -> Tensor:
    """Features of some bins, ascending, (P, n_features)."""
    back, ahead = network.lags.reach
    like = network.state.mean
    low, high = max(int(bins[0]) - back, 0), min(int(bins[-1]) + ahead + 1, binned.n_bins)
    observed = torch.from_numpy(np.ascontiguousarray(_recorded(binned, low, high)))
    counts = torch.from_numpy(binned.dense(low, high)).to(like)
    counts = network.state.standardise(counts, observed.to(like.device))
    trial = np.searchsorted(binned.ptr, bins, side="right") - 1
    index, first, last = (
        torch.from_numpy(np.ascontiguousarray(v)).to(like.device)
        for v in (bins - low, np.maximum(binned.ptr[trial], low) - low, np.minimum(binned.ptr[trial + 1], high) - low)
    )
    near = None if states is None else torch.from_numpy(states[low:high]).to(like)
    return network.features(counts, near, index, first, last)


def _recorded(binned: BinnedSpikes, low: int, high: int) -> np.ndarray:
    """Cells whose counts are known, those that only serve as past included."""
    known = np.ones((high - low, binned.n_units), dtype=bool)
    if binned.bin_recorded is not None:
        known &= binned.bin_recorded[low:high, None]
    if binned.cell_observed is not None:
        known &= binned.cell_observed[low:high]
    return known


def outputs(network: BehaviourNetwork, binned: BinnedSpikes, place: np.ndarray, per_trial: bool) -> np.ndarray:
    """Outputs of the readout at bins or trials, (n_places, n_outputs) float64."""
    result = np.zeros((len(place), network.readout.linear.out_features))
    with torch.no_grad():
        for rows, features in feature_chunks(network, binned, place, per_trial):
            result[rows] = network.readout(features).double().cpu().numpy()
    return result


# ---- training ------------------------------------------------------------------------------------------------


def train_behaviour(
    network: BehaviourNetwork,
    binned: BinnedSpikes,
    labels: Labels,
    training: np.ndarray,
    held: np.ndarray,
    loss: Callable[[Tensor, Tensor], Tensor],
    settings: BehaviourSettings,
) -> tuple[list[float], list[float]]:
    """Train encoder and readout; the weights of the best epoch on the held-out labels are kept, the first included.

    Parameters
    ----------
    training, held : ndarray of int
        Rows of `labels`.
    loss : callable
        From outputs and values to a mean.

    Returns
    -------
    loss_curve, held_curve : list of float
        Training loss of each epoch; held-out loss before the first and after each epoch.

    Raises
    ------
    NonFiniteLossError
        If the loss became NaN or infinite; the best weights so far are in `network`.
    """
    builder = builder_of(network, binned)
    average = copy.deepcopy(network)
    optimizer = _optimizer(network, settings)
    train_labels, held_labels = labels.take(training), labels.take(held)
    kept = {name: value.clone() for name, value in network.state_dict().items()}
    curve, held_curve = [], [_held_loss(network, binned, held_labels, loss)]
    best, since_best, n_steps = held_curve[0], 0, 0
    try:
        for epoch in range(settings.max_epochs):
            rate = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * epoch / settings.max_epochs))
            rng = np.random.default_rng([settings.seed, epoch])
            network.state.random.generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            network.train()
            losses = []
            for batch, row, bin_, owner, values in _batches(network, builder, train_labels, settings, rng):
                features = network.batch_features(batch, row, bin_)
                if labels.per_trial:
                    features = _means(features, owner, len(values))
                value = loss(network.readout(features), values)
                if not math.isfinite(float(value.detach())):
                    raise NonFiniteLossError(f"the training loss became {float(value)} in epoch {epoch + 1}")
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)
                for group in optimizer.param_groups:
                    group["lr"] = group["highest"] * rate
                optimizer.step()
                n_steps += 1
                _follow(average, network, n_steps)
                losses.append(float(value.detach()))
            curve.append(float(np.mean(losses)))
            held_curve.append(_held_loss(average, binned, held_labels, loss))
            since_best += 1
            if held_curve[-1] < best - settings.tol:
                best, since_best = held_curve[-1], 0
                kept = {name: value.clone() for name, value in average.state_dict().items()}
            if since_best >= settings.n_iter_no_change:
                break
    finally:
        network.load_state_dict(kept)
        network.eval()
    return curve, held_curve


def _held_loss(network: BehaviourNetwork, binned: BinnedSpikes, labels: Labels, loss: Any) -> float:
    with torch.no_grad():
        found = torch.from_numpy(outputs(network, binned, labels.place, labels.per_trial))
        return float(loss(found, torch.from_numpy(labels.values)))


def _optimizer(network: BehaviourNetwork, settings: BehaviourSettings) -> torch.optim.Optimizer:
    """AdamW with a rate of its own for the encoder; decay acts on the matrices of the encoder and the network."""
    encoder = dict(network.state.named_parameters())
    matrices = [p for p in encoder.values() if p.dim() >= 2]
    vectors = [p for p in encoder.values() if p.dim() < 2]
    slow, fast = settings.learning_rate * settings.encoder_rate, settings.learning_rate
    readout = network.readout
    return torch.optim.AdamW(
        [
            {"params": matrices, "highest": slow, "weight_decay": settings.weight_decay},
            {"params": vectors, "highest": slow, "weight_decay": 0.0},
            {"params": [readout.hidden.weight, readout.output.weight], "highest": fast,
             "weight_decay": settings.weight_decay},
            {"params": [readout.hidden.bias, readout.output.bias], "highest": fast, "weight_decay": 0.0},
            {"params": list(readout.linear.parameters()), "highest": fast * LINEAR_RATE, "weight_decay": 0.0},
        ],
        lr=fast,
    )  # fmt: skip


@torch.no_grad()
def _follow(average: BehaviourNetwork, network: BehaviourNetwork, n_steps: int) -> None:
    """Move the averaged weights towards the raw ones; early on the average is short."""
    decay = min(AVERAGE_DECAY, (1 + n_steps) / (10 + n_steps))
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1.0 - decay)


def _means(features: Tensor, owner: Tensor, n_owners: int) -> Tensor:
    """Mean of the rows of each owner."""
    total = features.new_zeros(n_owners, features.shape[1]).index_add(0, owner, features)
    return total / torch.bincount(owner, minlength=n_owners).clamp_min(1)[:, None]


def _batches(
    network: BehaviourNetwork, builder: BatchBuilder, labels: Labels, settings: BehaviourSettings, rng: Any
) -> Iterator[tuple[Batch, Tensor, Tensor, Tensor, Tensor]]:
    """Segments in random order with their labelled bins: (batch, row, bin in row, label of the bin, values)."""
    binned, config = builder.binned, network.state.config
    back, ahead = network.lags.reach
    n_bins = np.diff(binned.ptr)
    if labels.per_trial:
        trials = labels.place
        segments = Segments(trials, np.zeros(len(trials), dtype=np.int64), n_bins[trials])
    else:
        trials = np.unique(np.searchsorted(binned.ptr, labels.place, side="right") - 1)
        stretches = Segments(trials, np.zeros(len(trials), dtype=np.int64), n_bins[trials])
        segments = cut_segments(stretches, segment_bins(config), rng)
    label_of_bin = np.full(binned.n_bins, -1)
    label_of_bin[labels.place if not labels.per_trial else []] = np.arange(len(labels.place) * (not labels.per_trial))
    label_of_trial = np.full(binned.n_trials, -1)
    label_of_trial[labels.place if labels.per_trial else []] = np.arange(len(labels.place) * labels.per_trial)
    device, dtype = network.state.mean.device, network.state.mean.dtype
    for part in shuffled_batches(segments, settings.batch_size, rng):
        length = part.stop - part.start
        row = np.repeat(np.arange(len(part)), length)
        step = np.arange(len(row)) - np.repeat(np.cumsum(length) - length, length)
        flat = binned.ptr[part.trial[row]] + part.start[row] + step
        if labels.per_trial:
            owner = label_of_trial[part.trial[row]]
            keep = np.ones(len(row), dtype=bool) if binned.bin_observed is None else binned.bin_observed[flat]
        else:
            owner = label_of_bin[flat]
            keep = owner >= 0
        if not keep.any():
            continue
        used, owner = owner[keep], np.arange(keep.sum())
        if labels.per_trial:
            used, owner = np.unique(used, return_inverse=True)
        extended = Segments(part.trial, part.start, np.minimum(part.stop + ahead, n_bins[part.trial]))
        batch = builder.build(extended, max(config.context_bins, back), layout=False)
        values = torch.from_numpy(labels.values[used]).to(device)
        if values.is_floating_point():
            values = values.to(dtype)
        rows = torch.from_numpy(row[keep]).to(device)
        bin_ = torch.from_numpy(step[keep]).to(device) + batch.first[rows]
        yield batch, rows, bin_, torch.from_numpy(owner).to(device), values


def squared_error(found: Tensor, values: Tensor) -> Tensor:
    """Mean squared error over outputs."""
    return F.mse_loss(found, values)


def cross_entropy(found: Tensor, values: Tensor) -> Tensor:
    """Mean of the negative log-probability of the classes."""
    return F.cross_entropy(found, values)
