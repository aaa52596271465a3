"""Count distributions of one cell (a unit in a bin), shared by the GLM and the GRU.

A head turns the log-intensity ``z`` of a cell, and the shape parameters of its unit, into a distribution over
spike counts 0, 1, 2, ... Everything is plain numpy with its gradient, so that the GLM needs no autograd and both
models score a count in exactly the same way.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import special, stats

# The ratio of successive probabilities beyond the largest count of the training data.
TAIL_RATIO = 0.5
CLIP_QUANTILE = 0.999
# Beyond this mean, exp(-mean) is too close to underflow to start a cumulative sum from zero.
_LARGE_MEAN = 100.0
# Cells that are evaluated together; the class-by-cell arrays of a block then stay in the cache.
_BLOCK_CELLS = 8192
_LOG_SIZE_RANGE = (-5.0, 9.0)


@dataclass
class Evaluation:
    """Weighted log-probability of counts, and its gradient.

    Attributes
    ----------
    log_pmf : ndarray of shape (n_bins, n_units), in nats, times the weight of the cell
    z : ndarray of shape (n_bins, n_units), the derivative by the log-intensity
    shape : ndarray of shape (n_shape, n_units), the derivative by the shape parameters
    nu : ndarray of shape (n_bins, n_units) or None, the derivative by the dispersion
    """

    log_pmf: np.ndarray
    z: np.ndarray
    shape: np.ndarray
    nu: np.ndarray | None = None


class CountHead(ABC):
    """Distribution of a count given its log-intensity ``z``.

    Parameters
    ----------
    largest : ndarray of shape (n_units,), int
        Largest count of each unit in the training data.
    z_start : ndarray of shape (n_units,)
        Log-intensity of the constant model.
    shape_start : ndarray of shape (n_shape, n_units)
        Shape parameters of the constant model.
    z_max : ndarray of shape (n_units,), default=None
        Where the log-intensity is clipped, except in training. None does not clip.
    """

    uses_nu = False

    def __init__(
        self,
        largest: np.ndarray,
        z_start: np.ndarray,
        shape_start: np.ndarray,
        z_max: np.ndarray | None = None,
    ):
        self.largest = largest
        self.z_start = z_start
        self.shape_start = shape_start
        self.z_max = np.full(len(z_start), np.inf) if z_max is None else z_max

    @classmethod
    def from_counts(cls, counts: np.ndarray, mask: np.ndarray) -> Self:
        """Head that starts at each unit's constant model.

        Parameters
        ----------
        counts : ndarray of shape (n_bins, n_units), int
            Training data.
        mask : ndarray of shape (n_bins, n_units), bool
            True where observed.
        """
        seen = np.where(mask, counts, 0)
        z_start = np.log((seen.sum(axis=0) + 0.5) / np.maximum(mask.sum(axis=0), 1))
        largest = seen.max(axis=0, initial=0).astype(np.int64)
        return cls(largest, z_start, cls._start(counts, mask, largest, z_start))

    @staticmethod
    def _start(counts, mask, largest, z_start) -> np.ndarray:
        return np.zeros((0, counts.shape[1]))

    def to_arrays(self) -> dict[str, np.ndarray]:
        """What the head is made of, for an estimator to keep."""
        return {
            "largest": self.largest,
            "z_start": self.z_start,
            "shape_start": self.shape_start,
            "z_max": self.z_max,
        }

    def clip_at(self, z: np.ndarray) -> None:
        """Clip from now on at the log-intensity that one in a thousand of `z`, (n_bins, n_units), exceeds.

        A model that feeds on its own spikes can talk itself into rates that no recording has shown. This keeps the
        closed loop near them, and held-out scores do not suffer: extrapolation beyond the data is seldom right.
        """
        self.z_max = np.quantile(z, CLIP_QUANTILE, axis=0)

    def take(self, units: Any) -> Self:
        """Head of some of the units."""
        return type(self)(self.largest[units], self.z_start[units], self.shape_start[:, units], self.z_max[units])

    @abstractmethod
    def evaluate(self, z, counts, weight, shape, nu=None) -> Evaluation:
        """Log-probability of ``counts`` times ``weight``, with its gradient."""

    @abstractmethod
    def mean(self, z, shape, nu=None) -> np.ndarray:
        """Expected count of each cell."""

    @abstractmethod
    def draw(self, z, shape, uniforms, nu=None) -> np.ndarray:
        """Counts at the quantiles ``uniforms``: the inverse of the distribution function."""

    def log_pmf(self, z, counts, mask, shape, nu=None) -> np.ndarray:
        """Log-probability in nats, shape (n_bins, n_units), 0 where ``mask`` is False."""
        return self.evaluate(np.minimum(z, self.z_max), counts, mask.astype(z.dtype), shape, nu).log_pmf

    def shape_information(self) -> np.ndarray:
        """Rough information per bin about each shape parameter, (n_shape, n_units): scales the solver's steps."""
        return np.zeros_like(self.shape_start)

    def shape_prior(self, shape: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Penalty of each unit's shape parameters, (n_units,) in nats, and its gradient.

        A unit's belief in its starting shape, worth one observation: it keeps parameters about which the data say
        nothing (probabilities of counts that never occur) from drifting to infinity.
        """
        away = shape - self.shape_start
        return 0.5 * (away**2).sum(axis=0), away


class PoissonHead(CountHead):
    """Poisson counts of mean ``exp(z)``."""

    def evaluate(self, z, counts, weight, shape, nu=None) -> Evaluation:
        mean = np.exp(z)
        log_pmf = counts * z - mean - _of_counts(lambda k: special.gammaln(k + 1.0), counts)
        return Evaluation(weight * log_pmf, weight * (counts - mean), np.zeros_like(shape))

    def mean(self, z, shape, nu=None) -> np.ndarray:
        return np.exp(np.minimum(z, self.z_max))

    def draw(self, z, shape, uniforms, nu=None) -> np.ndarray:
        mean = self.mean(z, shape)
        return _invert(
            uniforms,
            mean,
            first=np.exp(-mean),
            ratio=lambda k, cells: mean.ravel()[cells] / (k + 1.0),
            quantile=lambda cells: stats.poisson.ppf(uniforms[cells], mean[cells]),
        )


class NegativeBinomialHead(CountHead):
    """Negative binomial counts of mean ``exp(z)`` and variance ``mean + mean**2 / size``.

    The one shape parameter of a unit is ``log(size)``.
    """

    @staticmethod
    def _start(counts, mask, largest, z_start) -> np.ndarray:
        mean = np.exp(z_start)
        variance = np.where(mask, (counts - mean) ** 2, 0.0).sum(axis=0) / np.maximum(mask.sum(axis=0), 1)
        # A unit that is not over-dispersed starts near Poisson.
        size = mean**2 / np.maximum(variance - mean, 1e-2 * mean)
        return np.clip(np.log(size), *_LOG_SIZE_RANGE)[None]

    def evaluate(self, z, counts, weight, shape, nu=None) -> Evaluation:
        log_size = np.clip(shape, *_LOG_SIZE_RANGE)
        size = np.exp(log_size)
        log_total = np.logaddexp(z, log_size)
        share = np.exp(z - log_total)  # mean / (mean + size)
        log_pmf = (
            _of_counts(lambda k: special.gammaln(k + size) - special.gammaln(k + 1.0), counts)
            - special.gammaln(size)
            + size * (log_size - log_total)
            + counts * (z - log_total)
        )
        slope = counts - share * (counts + size)
        by_size = (
            size * (_of_counts(lambda k: special.digamma(k + size), counts) - special.digamma(size))
            + size * (log_size - log_total)
            - slope
        )
        inside = (shape > _LOG_SIZE_RANGE[0]) & (shape < _LOG_SIZE_RANGE[1])
        by_shape = (weight * by_size).sum(axis=0, keepdims=True) * inside
        return Evaluation(weight * log_pmf, weight * slope, by_shape)

    def mean(self, z, shape, nu=None) -> np.ndarray:
        return np.exp(np.minimum(z, self.z_max))

    def draw(self, z, shape, uniforms, nu=None) -> np.ndarray:
        mean = self.mean(z, shape)
        size = np.exp(np.clip(shape[0], *_LOG_SIZE_RANGE)) * np.ones_like(mean)
        failure = size / (size + mean)
        return _invert(
            uniforms,
            mean,
            first=failure**size,
            ratio=lambda k, cells: (k + size.ravel()[cells]) / (k + 1.0) * (1.0 - failure.ravel()[cells]),
            quantile=lambda cells: stats.nbinom.ppf(uniforms[cells], size[cells], failure[cells]),
        )

    def shape_information(self) -> np.ndarray:
        mean, size = np.exp(self.z_start), np.exp(self.shape_start)
        return (mean / (mean + size)) ** 2 * size


class CategoricalHead(CountHead):
    """Free probabilities for each count, tilted by the log-intensity.

    ``logits_k = k z - nu log k! + s_k`` for k = 0..K+1, where K is the unit's largest count in the training data.
    Class K+1 stands for every larger count and is spread over them by a geometric distribution of ratio
    `TAIL_RATIO`, so every count has positive probability. The Poisson distribution is ``nu = 1, s = 0`` (up to its
    tail); at the start the head is the unit's empirical count distribution with half a count added to each class.
    """

    uses_nu = True

    def __init__(self, largest, z_start, shape_start, z_max=None):
        super().__init__(largest, z_start, shape_start, z_max)
        self.classes = np.arange(len(shape_start))
        self.log_factorial = special.gammaln(self.classes + 1.0)
        self.valid = self.classes[:, None] <= largest + 1
        # Units of similar support are evaluated together: padding all of them to the busiest unit would double
        # the work.
        size = (largest + 1) // 4
        self._groups = [np.flatnonzero(size == value) for value in np.unique(size)]

    @staticmethod
    def _start(counts, mask, largest, z_start) -> np.ndarray:
        n_classes = int(largest.max(initial=0)) + 2
        classes = np.arange(n_classes)[:, None]
        histogram = np.stack(
            [np.bincount(counts[mask[:, u], u], minlength=n_classes) for u in range(counts.shape[1])], axis=1
        )
        valid = classes <= largest + 1
        smoothed = np.where(valid, histogram + 0.5, 1.0)
        probability = smoothed / np.where(valid, smoothed, 0.0).sum(axis=0)
        return np.where(valid, np.log(probability) + special.gammaln(classes + 1.0) - classes * z_start, 0.0)

    def evaluate(self, z, counts, weight, shape, nu=None) -> Evaluation:
        result = Evaluation(
            np.empty_like(z),
            np.empty_like(z),
            np.zeros(shape.shape, dtype=z.dtype),
            None if nu is None else np.empty_like(z),
        )
        for units in self._groups:
            n_rows = max(1, _BLOCK_CELLS // len(units))
            for start in range(0, len(z), n_rows):
                block = (slice(start, start + n_rows), units)
                self._evaluate_block(
                    result, block, z[block], counts[block], weight[block], shape, None if nu is None else nu[block]
                )
        return result

    def _evaluate_block(self, result, block, z, counts, weight, shape, nu):
        units = block[1]
        logits = self._logits(z, shape, nu, units)  # (n_classes, rows, units)
        n_classes, top = len(logits), self.largest[units] + 1
        category = np.minimum(counts, top)
        chosen = np.take_along_axis(logits, category[None], axis=0)[0]
        probability, log_total = _softmax(logits)
        tail = np.where(counts >= top, np.log1p(-TAIL_RATIO) + (counts - top) * np.log(TAIL_RATIO), 0.0)
        result.log_pmf[block] = weight * (chosen - log_total + tail)
        result.z[block] = weight * (category - _average(self.classes, probability))
        if result.nu is not None:
            expected = _average(self.log_factorial, probability)
            result.nu[block] = weight * (expected - self.log_factorial[category])
        observed = np.stack([np.where(category == k, weight, 0.0).sum(axis=0) for k in range(n_classes)])
        result.shape[:n_classes, units] += observed - np.einsum("kru,ru->ku", probability, weight)

    def _logits(self, z, shape, nu, units) -> np.ndarray:
        n_classes = int(self.largest[units].max()) + 2
        offset = np.where(self.valid[:n_classes, units], shape[:n_classes, units], -np.inf)
        factorial = self.log_factorial[:n_classes, None, None].astype(z.dtype)
        logits = self.classes[:n_classes, None, None].astype(z.dtype) * z
        logits -= factorial if nu is None else factorial * nu
        logits += offset.astype(z.dtype)[:, None]
        return logits

    def _probability(self, z, shape, nu) -> np.ndarray:
        return _softmax(self._logits(np.minimum(z, self.z_max), shape, nu, slice(None)))[0]

    def mean(self, z, shape, nu=None) -> np.ndarray:
        probability = self._probability(z, shape, nu)
        expected = _average(self.classes, probability)
        p_tail = np.take_along_axis(probability, np.broadcast_to(self.largest + 1, (1, *z.shape)), axis=0)[0]
        return expected + p_tail * TAIL_RATIO / (1.0 - TAIL_RATIO)

    def draw(self, z, shape, uniforms, nu=None) -> np.ndarray:
        probability = self._probability(z, shape, nu)
        top = np.broadcast_to(self.largest + 1, z.shape)
        category = np.minimum((np.cumsum(probability, axis=0) <= uniforms).sum(axis=0), top)
        p_tail = np.take_along_axis(probability, top[None], axis=0)[0]
        # What is left of the uniform inside the tail class is uniform again.
        left = np.clip((1.0 - uniforms) / np.maximum(p_tail, 1e-300), 1e-300, 1.0)
        beyond = np.floor(np.log(left) / np.log(TAIL_RATIO)).astype(np.int64)
        return np.where(category == top, top + beyond, category)

    def shape_information(self) -> np.ndarray:
        logits = self._logits(self.z_start[None], self.shape_start, None, slice(None))
        probability = _softmax(logits)[0][:, 0]
        return probability * (1.0 - probability)


HEADS: dict[str, type[CountHead]] = {
    "poisson": PoissonHead,
    "negative_binomial": NegativeBinomialHead,
    "categorical": CategoricalHead,
}


def _of_counts(function: Callable[[np.ndarray], np.ndarray], counts: np.ndarray) -> np.ndarray:
    """Evaluate a slow function of (count, unit) once per distinct value, then look it up."""
    values = np.arange(counts.max(initial=0) + 1, dtype=float)[:, None]
    if len(values) > counts.size:
        return function(counts)
    table = np.broadcast_to(function(values), (len(values), counts.shape[1]))
    return np.take_along_axis(table, counts, axis=0)


def _average(values: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Mean of one value per class, under probabilities whose first axis are the classes."""
    return np.tensordot(values[: len(probability)].astype(probability.dtype), probability, axes=1)


def _softmax(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Softmax over the first axis, and the log of its normaliser."""
    top = logits.max(axis=0)
    probability = np.exp(logits - top)
    total = probability.sum(axis=0)
    probability /= total
    return probability, top + np.log(total)


def _invert(uniforms, mean, first, ratio, quantile) -> np.ndarray:
    """Smallest count whose distribution function reaches the uniform, cell by cell."""
    counts = np.zeros(mean.shape, dtype=np.int64)
    large = mean > _LARGE_MEAN
    if large.any():
        counts[large] = quantile(large).astype(np.int64)
    cells = np.flatnonzero(~large & (uniforms > first))
    target, probability = uniforms.ravel()[cells], first.ravel()[cells]
    below, flat = probability.copy(), counts.ravel()
    k = 0
    # Rounding can leave a distribution function a little below one: stop when it no longer grows.
    while len(cells):
        probability = probability * ratio(k, cells)
        k += 1
        grown = below + probability
        flat[cells] = k
        open_ = (target > grown) & (grown > below)
        cells, target, below, probability = cells[open_], target[open_], grown[open_], probability[open_]
    return flat.reshape(mean.shape)
