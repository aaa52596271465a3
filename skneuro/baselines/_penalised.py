"""Fit every unit's penalised generalised linear model at once, on one design matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.baselines._heads import CountHead
from skneuro.baselines._solver import minimise_columns

_OWN_PENALTY = 2.0  # nats: what Akaike's criterion asks of two parameters


@dataclass
class Weights:
    """What the GLM of each unit has learned.

    Attributes
    ----------
    features : ndarray of shape (n_features, n_units), weight of every column of the design matrix
    intercept : ndarray of shape (n_units,)
    shape : ndarray of shape (n_shape, n_units), shape parameters of the count head
    """

    features: np.ndarray
    intercept: np.ndarray
    shape: np.ndarray


class Problem:
    """Sum over cells of minus the log-probability, plus ``alpha / 2`` times the squared weights of each unit.

    Parameters
    ----------
    design : ndarray of shape (n_bins, n_features), float32
        What the log-intensity is linear in.
    relative_penalty : ndarray of shape (n_features,)
        Penalty of each column relative to alpha.
    allowed : ndarray of shape (n_features, n_units), bool
        Columns that each unit may use.
    counts : ndarray of shape (n_bins, n_units), int
        What is explained.
    head : CountHead
        Distribution of a count.
    """

    def __init__(
        self,
        design: np.ndarray,
        relative_penalty: np.ndarray,
        allowed: np.ndarray,
        counts: np.ndarray,
        head: CountHead,
    ):
        self.head, self.counts, self.allowed = head, counts, allowed
        self.root = np.sqrt(relative_penalty).astype(np.float32)
        self.design = design
        self.shared = allowed.all(axis=1)
        # In the eigenvectors of the shared columns the Hessian of every unit is nearly diagonal, under every penalty:
        # a handful of steps then suffices.
        shared = design[:, self.shared] / self.root[self.shared]
        spread, self.rotation = np.linalg.eigh(shared.T @ shared / len(design))
        own = (design[:, ~self.shared] ** 2).mean(axis=0) / self.root[~self.shared] ** 2
        self.curvature = np.concatenate([np.maximum(spread, 0.0), own]).astype(np.float64)

    def solve(
        self, mask: np.ndarray, alpha: np.ndarray, start: Weights | None, *, max_iter: int, tol: float
    ) -> tuple[Weights, np.ndarray]:
        """Minimise under one alpha per unit, over the cells where `mask` is True.

        Returns
        -------
        weights : Weights
            The minimum.
        converged : ndarray of shape (n_units,), bool
            False where `max_iter` iterations were not enough.
        """
        head, n_features = self.head, len(self.allowed)
        weight = mask.astype(np.float64)
        n_seen = np.maximum(weight.sum(axis=0), 1.0)
        if start is None:
            start = Weights(np.zeros((n_features, len(alpha))), head.z_start, head.shape_start)

        def function(x, units):
            z, shape = self._inner_log_intensity(x[: n_features + 1]), x[n_features + 1 :]
            part = head if len(units) == len(alpha) else head.take(units)
            found = part.evaluate(z, self.counts[:, units], weight[:, units], shape)
            prior, prior_slope = part.shape_prior(shape)
            penalty = 0.5 * alpha[units] * (x[:n_features] ** 2).sum(axis=0) + prior
            slope = np.concatenate([-self._back(found.z, units), prior_slope - found.shape])
            slope[:n_features] += alpha[units] * x[:n_features]
            return (penalty - found.log_pmf.sum(axis=0)) / n_seen[units], slope / n_seen[units]

        mean = np.exp(head.z_start)
        scale = np.concatenate(
            [
                self._inner_allowed() / (self.curvature[:, None] * mean + alpha / n_seen),
                1.0 / mean[None],
                1.0 / (head.shape_information() + 1.0 / n_seen),
            ]
        )
        inner = np.concatenate([self._inner(start.features), start.intercept[None], start.shape])
        x, _, converged = minimise_columns(function, inner, scale, max_iter=max_iter, tol=tol)
        return Weights(self._outer(x[:n_features]), x[n_features], x[n_features + 1 :]), converged

    def log_intensity(self, weights: Weights) -> np.ndarray:
        """Log-intensity of each cell, (n_bins, n_units)."""
        return (self.design @ weights.features.astype(np.float32)).astype(np.float64) + weights.intercept

    def log_likelihood(self, weights: Weights, mask: np.ndarray) -> np.ndarray:
        """Log-likelihood of each unit over the cells where `mask` is True, (n_units,) in nats."""
        return self.head.log_pmf(self.log_intensity(weights), self.counts, mask, weights.shape).sum(axis=0)

    # Inner parameters: columns scaled by their penalty, the shared ones rotated.

    def _inner_allowed(self) -> np.ndarray:
        return np.concatenate([np.ones((self.shared.sum(), self.allowed.shape[1])), self.allowed[~self.shared]])

    def _inner(self, features: np.ndarray) -> np.ndarray:
        scaled = features * self.root[:, None]
        return np.concatenate([self.rotation.T @ scaled[self.shared], scaled[~self.shared]])

    def _outer(self, inner: np.ndarray) -> np.ndarray:
        features = np.empty(inner.shape)
        n_shared = int(self.shared.sum())
        features[self.shared] = self.rotation @ inner[:n_shared]
        features[~self.shared] = inner[n_shared:]
        return features / self.root[:, None]

    def _inner_log_intensity(self, x: np.ndarray) -> np.ndarray:
        return (self.design @ self._outer(x[:-1]).astype(np.float32)).astype(np.float64) + x[-1]

    def _back(self, slope_z: np.ndarray, units: np.ndarray) -> np.ndarray:
        """Gradient by the inner features and the intercept, from that by the log-intensity."""
        features = (self.design.T @ slope_z.astype(np.float32)).astype(np.float64) / self.root[:, None]
        inner = np.concatenate([self.rotation.T @ features[self.shared], features[~self.shared]])
        return np.concatenate([inner * self._inner_allowed()[:, units], slope_z.sum(axis=0)[None]])


def choose_penalty(
    problem: Problem, train: np.ndarray, held_out: np.ndarray, alphas: np.ndarray, *, max_iter: int, tol: float
) -> tuple[np.ndarray, Weights | None, np.ndarray]:
    """Pick the penalty under which the held-out cells are most probable, for each unit.

    One penalty serves all units, but those whose own best is better there by more than `_OWN_PENALTY` nats: what a few
    dozen held-out spikes prefer is chance, and a choice for each unit alone was worse on new trials.

    Parameters
    ----------
    problem : Problem
        The design, and the counts.
    train, held_out : ndarray of shape (n_bins, n_units), bool
        Cells to fit and to judge on.
    alphas : ndarray of shape (n_alphas,)
        Candidates, descending: each fit begins where the one before ended.

    Returns
    -------
    alpha : ndarray of shape (n_units,)
        The choice.
    weights : Weights or None
        Weights of each unit at its own best, for the fit on all cells to begin from; None without a candidate.
    gained : ndarray of shape (n_alphas, n_units), in nats
        Log-likelihood of the held-out cells under each candidate.
    """
    best = np.full(train.shape[1], -np.inf)
    gained = np.zeros((len(alphas), train.shape[1]))
    kept = weights = None
    for row, alpha in zip(gained, alphas, strict=True):
        weights, _ = problem.solve(train, np.full(train.shape[1], alpha), weights, max_iter=max_iter, tol=tol)
        row[:] = problem.log_likelihood(weights, held_out)
        better = row > best
        if kept is None:
            kept = Weights(weights.features.copy(), weights.intercept.copy(), weights.shape.copy())
        kept.features[:, better] = weights.features[:, better]
        kept.intercept[better], kept.shape[:, better] = weights.intercept[better], weights.shape[:, better]
        best[better] = row[better]
    shared = gained.sum(axis=1).argmax()
    own = best > gained[shared] + _OWN_PENALTY
    return np.where(own, alphas[gained.argmax(axis=0)], alphas[shared]), kept, gained
