"""L-BFGS for many targets side by side: the convex core of the coupled GLM.

Cells are held in float32, sums over bins in float64: a recording has millions of cells, and what is summed has
three digits of its own at best.
"""

from __future__ import annotations

import numpy as np

from skneuro.connectivity.lags import LaggedCounts
from skneuro.data import BinnedSpikes

__all__ = ["TargetFit"]

_MEMORY = 8
_MAX_HALVINGS = 30
_LARGEST = 60.0  # nats, of an influence
_ROWS_AT_ONCE = 256
_COVARIATE_PENALTY = 1.0  # covariates have unit variance: a prior of one nat, hardly felt


class TargetFit:
    """Poisson regressions on a shared past, one per target; a target that is done no longer moves.

    The intercept is profiled out: with ``f`` the influence on a target and ``w`` the mask of its observed cells, the
    loss of a target with ``n`` spikes is ``n log(sum_t w_t exp(f_t)) - sum_t n_t f_t`` plus the penalty.

    Parameters
    ----------
    past : LaggedCounts
        The shared design.
    basis : ndarray of shape (n_lags, n_basis)
        Functions of the lag.
    binned : BinnedSpikes
        Counts of all trials.
    targets : ndarray of shape (n_targets,), int
        Columns of the counts.
    alpha : float
        Ridge penalty on the coefficients of the past.
    spectrum : tuple of ndarray
        Eigenvalues and eigenvectors of the Gram matrix of the past: the preconditioner.
    covariates : ndarray of shape (n_rows, n_targets, n_covariates), float32, or None
        Regressors of their own for every target, centred and of about unit variance.
    offset : ndarray of shape (n_rows, n_targets), float32, or None
        Known part of the log-intensity.
    start : ndarray of shape (n_basis * n_units, n_targets) or None
        Coefficients of the past to start from.
    """

    def __init__(
        self,
        past: LaggedCounts,
        basis: np.ndarray,
        binned: BinnedSpikes,
        targets: np.ndarray,
        alpha: float,
        spectrum: tuple[np.ndarray, np.ndarray],
        covariates: np.ndarray | None = None,
        offset: np.ndarray | None = None,
        start: np.ndarray | None = None,
    ) -> None:
        self.past, self.basis = past, basis
        self.eigenvalues, self.vectors = spectrum
        self.observed = None
        counts = binned.counts[past.rows][:, targets].tocoo()
        self.row, self.column = counts.coords
        self.count = counts.data.astype(np.float64)
        if binned.cell_observed is not None:
            self.observed = binned.cell_observed[past.rows][:, targets]
            self.count = self.count * self.observed[self.row, self.column]
        self.n_targets = len(targets)
        self.n_spikes = np.bincount(self.column, self.count, minlength=self.n_targets)
        self.covariates, self.offset = covariates, offset
        self.n_past = basis.shape[1] * binned.n_units
        n_covariates = 0 if covariates is None else covariates.shape[2]
        self.penalty = np.full((self.n_past + n_covariates, 1), alpha)
        self.penalty[self.n_past :] = _COVARIATE_PENALTY
        self.weights = np.zeros((self.n_past + n_covariates, self.n_targets))
        if start is not None:
            self.weights[: self.n_past] = start
        self.active = self.n_spikes > 0
        self.n_iter = 0
        influence = self._influence(self.weights)
        if offset is not None:
            influence += offset
        self._accept(self.weights, influence, *self._evaluate(self.weights, influence))

    def run(self, max_iter: int, tol: float) -> None:
        """Go on until the gain that the quadratic model promises each target is below `tol` nats."""
        gradient = self._gradient()
        steps: list[np.ndarray] = []
        changes: list[np.ndarray] = []
        for self.n_iter in range(1, max_iter + 1):
            direction = -self._two_loop(gradient, steps, changes)
            gain = -0.5 * (direction * gradient).sum(axis=0)
            self.active &= gain > tol
            if not self.active.any():
                break
            direction *= self.active
            before = self.weights
            self._line_search(direction)
            previous, gradient = gradient, self._gradient()
            steps = [*steps, self.weights - before][-_MEMORY:]
            changes = [*changes, gradient - previous][-_MEMORY:]

    def slope(self) -> np.ndarray:
        """Return the gradient of the log-likelihood alone, (n_coefficients, n_targets)."""
        return self.penalty * self.weights - self._gradient()

    def covariance_with_past(self) -> np.ndarray:
        """Return covariances of coefficients' regressors with the covariates, (n_past, n_targets, n_covariates)."""
        covariates = self.covariates
        if covariates is None:
            return np.zeros((self.n_past, self.n_targets, 0))
        parts = [self._shared_slope(covariates[:, :, k]) for k in range(covariates.shape[2])]
        return np.stack(parts, axis=2) / len(self.past.rows)

    def _influence(self, weights: np.ndarray) -> np.ndarray:
        shaped = weights[: self.n_past].reshape(self.basis.shape[1], -1, self.n_targets)
        influence = self.past.forward(np.einsum("lk,kji->lji", self.basis, shaped))
        for k, weight in enumerate(weights[self.n_past :]):
            influence += self.covariates[:, :, k] * weight.astype(np.float32)  # type: ignore[index]
        return influence

    def _shared_slope(self, values: np.ndarray) -> np.ndarray:
        back = self.past.backward(values)
        return np.einsum("lk,lji->kji", self.basis, back).reshape(self.n_past, self.n_targets)

    def _line_search(self, direction: np.ndarray) -> None:
        """Step along each target's direction, halved until its loss falls."""
        # The influence is linear in the weights: no step length needs the design again.
        move = self._influence(direction)
        length = self.active.astype(np.float64)
        weights, influence = self._at(length, direction, move)
        loss, expected = self._evaluate(weights, influence)
        worse = np.flatnonzero(self.active & ~(loss <= self.loss))
        if not len(worse):
            self._accept(weights, influence, loss, expected)
            return
        del expected
        for _ in range(_MAX_HALVINGS):
            length[worse] *= 0.5
            columns = self._at(length[worse], direction[:, worse], move[:, worse], worse)
            worse = worse[~(self._evaluate(*columns, worse)[0] <= self.loss[worse])]
            if not len(worse):
                break
        # Those that no step takes lower in floating point are where they will get.
        self.active[worse] = False
        length[worse] = 0.0
        weights, influence = self._at(length, direction, move)
        self._accept(weights, influence, *self._evaluate(weights, influence))

    def _at(
        self, length: np.ndarray, direction: np.ndarray, move: np.ndarray, columns: slice | np.ndarray = slice(None)
    ) -> tuple[np.ndarray, np.ndarray]:
        influence = move * length.astype(np.float32)
        influence += self.influence[:, columns]
        return self.weights[:, columns] + length * direction, influence

    def _evaluate(
        self, weights: np.ndarray, influence: np.ndarray, columns: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each target (or of some), and the expected counts that go with it."""
        of = np.arange(self.n_targets) if columns is None else columns
        # Influences are about zero on average: only a step that was too long would make exp overflow.
        top = np.zeros(len(of), dtype=np.float32)
        if influence.max(initial=0.0) > _LARGEST:
            top = influence.max(axis=0)
            expected = np.exp(influence - top)
        else:
            expected = np.exp(influence)
        if self.observed is not None:
            expected *= self.observed[:, of]
        total = np.maximum(_column_sums(expected), np.finfo(float).tiny)
        expected *= (self.n_spikes[of] / total).astype(np.float32)
        place = np.full(self.n_targets, -1)
        place[of] = np.arange(len(of))
        column = place[self.column]
        mine = slice(None) if columns is None else column >= 0
        at_spikes = self.count[mine] * influence[self.row[mine], column[mine]]
        fit = self.n_spikes[of] * (top + np.log(total)) - np.bincount(column[mine], at_spikes, minlength=len(of))
        return fit + 0.5 * (self.penalty * weights**2).sum(axis=0), expected

    def _accept(self, weights: np.ndarray, influence: np.ndarray, loss: np.ndarray, expected: np.ndarray) -> None:
        self.weights, self.influence, self.loss, self.expected = weights, influence, loss, expected

    def _gradient(self) -> np.ndarray:
        excess = self.expected.copy()
        excess[self.row, self.column] -= self.count.astype(np.float32)
        gradient = self.penalty * self.weights
        gradient[: self.n_past] += self._shared_slope(excess)
        if self.covariates is not None:
            gradient[self.n_past :] += np.einsum("tik,ti->ki", self.covariates, excess)
        return gradient

    def _precondition(self, gradient: np.ndarray) -> np.ndarray:
        result = gradient / (self.n_spikes + self.penalty)  # covariates have unit variance
        curvature = self.n_spikes * self.eigenvalues[:, None] + self.penalty[0]
        result[: self.n_past] = self.vectors @ ((self.vectors.T @ gradient[: self.n_past]) / curvature)
        return result

    def _two_loop(self, gradient: np.ndarray, steps: list, changes: list) -> np.ndarray:
        """Inverse Hessian times gradient; a target that has not moved keeps the preconditioner alone."""
        result, shares = gradient.copy(), []
        for step, change in zip(reversed(steps), reversed(changes), strict=True):
            curvature = (step * change).sum(axis=0)
            inverse = np.where(curvature > 0, 1.0 / np.where(curvature > 0, curvature, 1.0), 0.0)
            share = inverse * (step * result).sum(axis=0)
            result -= share * change
            shares.append((inverse, share))
        result = self._precondition(result)
        for step, change, (inverse, share) in zip(steps, changes, reversed(shares), strict=True):
            result += step * (share - inverse * (change * result).sum(axis=0))
        return result


def _column_sums(values: np.ndarray) -> np.ndarray:
    """Sums over the rows, blocks in float32 and their sum in float64: as fast as BLAS, and exact enough."""
    ones, total = np.ones(_ROWS_AT_ONCE, dtype=np.float32), np.zeros(values.shape[1])
    for start in range(0, len(values), _ROWS_AT_ONCE):
        block = values[start : start + _ROWS_AT_ONCE]
        total += ones[: len(block)] @ block
    return total
