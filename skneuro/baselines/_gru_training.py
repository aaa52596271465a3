"""Training of the recurrent baseline: chunks of trials, averaged weights, early stopping on held-out blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from skneuro.baselines._features import bin_in_trial
from skneuro.baselines._gru_inference import evaluate
from skneuro.baselines._gru_inputs import Sequences
from skneuro.baselines._gru_network import CountGRU, Emission
from skneuro.baselines._heads import CountHead
from skneuro.baselines._split import runs
from skneuro.exceptions import NonFiniteLossError
from skneuro.metrics.likelihood import bits_per_spike

# Bins in front of a chunk that begins in mid-trial: they bring the state up to date and are not scored.
_WARM_UP = 20
_EMA = 0.99
_MAX_NORM = 5.0
_LEARNING_RATE_WARM_UP = 30


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train; the learning rate falls over `max_steps`, of which `stop_after` are taken."""

    max_steps: int
    stop_after: int
    batch_size: int
    chunk_bins: int
    learning_rate: float
    weight_decay: float
    alpha: np.ndarray
    steps_per_check: int
    n_iter_no_change: int
    tol: float


@dataclass
class History:
    """What training went through.

    Attributes
    ----------
    loss : list of float, training loss in nats per bin, averaged between checks
    validation : list of float, held-out score at each check
    n_steps : int, steps that were taken
    best_step : int, steps that had been taken at the best check
    weights : dict of str to ndarray, averaged weights at the best check
    """

    loss: list[float]
    validation: list[float]
    n_steps: int
    best_step: int
    weights: dict[str, np.ndarray]


def train_network(
    network: CountGRU,
    head: CountHead,
    data: Sequences,
    train: np.ndarray,
    schedule: Schedule,
    rng: np.random.Generator,
    validate: Callable[[CountGRU, np.ndarray], float] | None,
    report: Callable[[int, float, float], None],
) -> History:
    """Train in place and return the averaged weights that predict held-out bins best.

    Parameters
    ----------
    network : CountGRU
        Initialised; its weights are changed.
    head : CountHead
        Distribution of a count.
    data : Sequences
        Training data.
    train : ndarray of shape (n_bins,), bool
        Bins to learn from.
    schedule : Schedule
        How long and how fast.
    rng : Generator
        Order and phase of the chunks.
    validate : callable or None
        ``validate(network, shape)`` scores the held-out bins, higher is better. Without it training runs to the end.
    report : callable
        ``report(step, loss, score)`` is told of every check; the score is NaN where nothing is held out.

    Raises
    ------
    NonFiniteLossError
        If the loss becomes NaN or infinite.
    """
    shape = torch.nn.Parameter(torch.from_numpy(head.shape_start.astype(np.float32)))
    alpha = torch.from_numpy(schedule.alpha.astype(np.float32))
    average = _Average(network, shape)
    optimiser = _optimiser(network, shape, schedule)
    history = History([], [], 0, 0, {})
    losses: list[float] = []
    n_train = max(int(train.sum()), 1)
    best, waited = -np.inf, 0
    for chunks in _batches(train, data.ptr, schedule, rng):
        rate = schedule.learning_rate * _rate(history.n_steps, schedule.max_steps)
        for group in optimiser.param_groups:
            group["lr"] = rate
        loss = _loss(network.train(), shape, head, data, chunks)
        prior = ((shape - torch.from_numpy(head.shape_start.astype(np.float32))) ** 2).sum()
        total = loss + 0.5 * ((alpha * network.ridge()).sum() + prior) / n_train
        if not torch.isfinite(total):
            raise NonFiniteLossError(
                f"Training of GRUModel became non-finite after {history.n_steps} steps. Lower learning_rate="
                f"{schedule.learning_rate:g}."
            )
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_([*network.parameters(), shape], _MAX_NORM)
        optimiser.step()
        history.n_steps += 1
        average.update(network, shape, history.n_steps)
        losses.append(float(loss.detach()))
        last = history.n_steps == schedule.stop_after
        if history.n_steps % schedule.steps_per_check and not last:
            continue
        history.loss.append(float(np.mean(losses)))
        losses.clear()
        score = average.score(network, validate)
        history.validation.append(score)
        report(history.n_steps, history.loss[-1], score)
        if validate is None or score > best:
            history.best_step, history.weights = history.n_steps, average.arrays()
        waited = 0 if score > best + schedule.tol else waited + 1
        best = max(best, score)
        if last or (validate is not None and waited >= schedule.n_iter_no_change):
            break
    return history


def held_out_score(
    data: Sequences, head: CountHead, null: np.ndarray, held_out: np.ndarray
) -> Callable[[CountGRU, np.ndarray], float] | None:
    """Score of the held-out bins, or None where there are no spikes in any.

    Parameters
    ----------
    data : Sequences
        All bins, of which some are held out.
    head : CountHead
        Distribution of a count.
    null : ndarray of shape (n_bins, n_units), in nats
        Log-likelihood of the null model.
    held_out : ndarray of shape (n_bins,), bool
        Bins to score.

    Returns
    -------
    callable or None
        ``validate(network, shape)``, in bits per spike.
    """
    mask = data.mask & held_out[:, None]
    n_spikes = int(np.where(mask, data.counts, 0).sum())
    if n_spikes == 0:
        return None
    null_total = null[held_out].sum()
    # Whole trials, so that every held-out bin has its true past.
    trials = np.flatnonzero(np.add.reduceat(held_out, data.ptr[:-1]) > 0)

    def validate(network: CountGRU, shape: np.ndarray) -> float:
        z, nu = evaluate(network, data, trials)
        found = head.log_pmf(z, data.counts, mask, shape.astype(np.float64), nu)
        return bits_per_spike(found.sum(), null_total, n_spikes)

    return validate


def _rate(step: int, max_steps: int) -> float:
    """Share of the learning rate: a short linear rise, then half a cosine down to zero."""
    return min(1.0, (step + 1) / _LEARNING_RATE_WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * step / max_steps))


def _optimiser(network: CountGRU, shape: torch.nn.Parameter, schedule: Schedule) -> torch.optim.Optimizer:
    # Biases and the count distribution are levels, not slopes; the linear paths have their own penalty.
    free = {id(shape), *(id(weight) for weight in network.linear_weights())}
    free.update(id(p) for name, p in network.named_parameters() if "bias" in name)
    decayed = [p for p in network.parameters() if id(p) not in free]
    others = [shape, *(p for p in network.parameters() if id(p) in free)]
    groups = [
        {"params": decayed, "weight_decay": schedule.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate)


class _Average:
    """Exponential average of the weights, which is what is evaluated and kept."""

    def __init__(self, network: CountGRU, shape: torch.nn.Parameter):
        self.values = {name: tensor.detach().clone() for name, tensor in self._named(network, shape)}

    @staticmethod
    def _named(network, shape) -> Iterator[tuple[str, torch.Tensor]]:
        yield from network.state_dict().items()
        yield "shape", shape.detach()

    def update(self, network: CountGRU, shape: torch.nn.Parameter, n_steps: int) -> None:
        # At first the average follows closely, or it would remember the untrained weights.
        share = 1.0 - min(_EMA, (1.0 + n_steps) / (10.0 + n_steps))
        for name, tensor in self._named(network, shape):
            self.values[name].lerp_(tensor, share)

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: tensor.numpy().copy() for name, tensor in self.values.items()}

    def score(self, network: CountGRU, validate: Callable[[CountGRU, np.ndarray], float] | None) -> float:
        if validate is None:
            return float("nan")
        current = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        network.load_state_dict({name: tensor for name, tensor in self.values.items() if name != "shape"})
        score = validate(network.eval(), self.values["shape"].numpy())
        network.load_state_dict(current)
        return score


def _batches(
    train: np.ndarray, ptr: np.ndarray, schedule: Schedule, rng: np.random.Generator
) -> Iterator[list[tuple[int, int, int]]]:
    """Batches of chunks (first bin, first scored bin, bin after the last), epoch after epoch without end."""
    stretches = runs(train, ptr)
    number = bin_in_trial(ptr)
    while True:
        chunks = [chunk for first, stop in stretches for chunk in _cut(first, stop, number, schedule.chunk_bins, rng)]
        # Chunks of similar length go together, so that little of a batch is padding.
        length = np.array([stop - first for first, _, stop in chunks])
        order = np.argsort(length + rng.uniform(0.0, 0.25 * schedule.chunk_bins, len(length)))
        batches = [order[k : k + schedule.batch_size] for k in range(0, len(order), schedule.batch_size)]
        for batch in rng.permutation(len(batches)):
            yield [chunks[k] for k in batches[batch]]


def _cut(
    start: int, stop: int, number: np.ndarray, size: int, rng: np.random.Generator
) -> Iterator[tuple[int, int, int]]:
    """Cut one stretch into chunks of about `size` scored bins, at a random phase."""
    # Where a stretch begins in mid-trial, the state there is not known.
    begin = start if number[start] == 0 else min(start + _WARM_UP, stop - 1)
    edges = [begin, *range(begin + int(rng.integers(size // 4, size + 1)), stop, size), stop]
    if stop - begin <= size:
        edges = [begin, stop]
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        yield max(start, first - _WARM_UP), first, last


def _loss(
    network: CountGRU, shape: torch.Tensor, head: CountHead, data: Sequences, chunks: list[tuple[int, int, int]]
) -> torch.Tensor:
    """Minus the log-likelihood of the scored bins of a batch, in nats per bin."""
    length = max(stop - first for first, _, stop in chunks)

    def gather(values):
        out = np.zeros((len(chunks), length, values.shape[1]), dtype=values.dtype)
        for row, (first, _, stop) in enumerate(chunks):
            out[row, : stop - first] = values[first:stop]
        return out

    scored = np.zeros((len(chunks), length, 1), dtype=np.float32)
    for row, (first, begin, stop) in enumerate(chunks):
        scored[row, begin - first : stop - first] = 1.0
    hidden, _ = network.encode(torch.from_numpy(gather(data.last)), torch.from_numpy(gather(data.stimuli)))
    z, nu, context = network.decode(hidden, torch.from_numpy(gather(data.history)))  # (B, T, U)
    z = z + network.same_bin(torch.from_numpy(gather(data.now)), context)
    weight = gather(data.mask) * (scored / scored.sum())
    n_units = z.shape[-1]
    flat = z.reshape(-1, n_units), None if nu is None else nu.reshape(-1, n_units)
    counts = gather(data.counts).reshape(-1, n_units)
    return Emission.apply(*flat, shape, head, counts, weight.reshape(-1, n_units))
