"""The coupled Poisson GLM: every unit's log-intensity is a sum of kernels over all units' past spikes.

It is convex, so that the result does not depend on a start or on a random number. All targets are fitted side
by side: each has its own L-BFGS, and all share the sparse design and one preconditioner, the Gram matrix of
the past, which follows from the cross-correlograms.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data import BinnedSpikes
from .lags import LaggedCounts, lagged_moments, mean_counts

__all__ = ["CoupledGLM", "fit_coupled_glm", "lag_basis"]

_MEMORY = 8
_MAX_HALVINGS = 30
# Targets are fitted in groups of this many bins times targets, so that memory does not grow with their
# number.
_CELLS_AT_ONCE = 12_000_000


@dataclass(frozen=True, eq=False)
class CoupledGLM:
    """A fitted coupled GLM.

    Parameters
    ----------
    kernels : ndarray of shape (n_units, n_units, n_lags), in nats per spike
        ``[target, source, lag]``: change of the target's log-intensity at lags of 1, 2, ... bins.
    n_iter : int
        Iterations of the slowest target.
    converged : bool
        Whether every target reached the tolerance.
    """

    kernels: np.ndarray
    n_iter: int
    converged: bool


def lag_basis(n_lags: int, n_functions: int) -> np.ndarray:
    """Return raised cosines that tile the lags, narrow at short lags and wide at long ones.

    Parameters
    ----------
    n_lags : int
        Number of lags, in bins.
    n_functions : int
        Number of functions; `n_lags` or more gives one function per lag.

    Returns
    -------
    ndarray of shape (n_lags, n_functions)
        Each function peaks at 1.

    Examples
    --------
    >>> from skneuro.connectivity.glm import lag_basis
    >>> lag_basis(10, 4).shape
    (10, 4)
    """
    if n_functions >= n_lags:
        return np.eye(n_lags)
    position = np.log(np.arange(n_lags) + 2.0)
    centres = np.linspace(position[0], position[-1], n_functions)
    spacing = (position[-1] - position[0]) / max(n_functions - 1, 1)
    phase = np.clip((position[:, None] - centres) * np.pi / (2 * max(spacing, 1e-12)), -np.pi, np.pi)
    basis = 0.5 * (1.0 + np.cos(phase))
    return basis / basis.max(axis=0)


def fit_coupled_glm(
    binned: BinnedSpikes,
    n_lags: int,
    *,
    n_basis: int = 4,
    alpha: float = 20.0,
    max_iter: int = 100,
    tol: float = 1e-4,
) -> CoupledGLM:
    """Fit the coupled Poisson GLM with a ridge penalty.

    Maximises, for each target, the Poisson log-likelihood of its counts minus ``alpha / 2`` times the squared
    norm of its coefficients on the lag basis. The intercept is not penalised.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Reach of the kernels, in bins.
    n_basis : int, default=4
        Number of basis functions per kernel.
    alpha : float, default=20.0
        Ridge penalty: the inverse variance of the prior on a coefficient, in nats^-2.
    max_iter : int, default=100
        Largest number of iterations.
    tol : float, default=1e-4
        A target is done when the log-likelihood to be gained, as the quadratic model sees it, is below this
        many nats.

    Returns
    -------
    CoupledGLM

    Raises
    ------
    ValueError
        If no bin has `n_lags` observed bins before it in its trial.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.glm import fit_coupled_glm
    >>> from skneuro.data import BinnedSpikes
    >>> source = np.random.default_rng(0).poisson(0.1, 5000)
    >>> follower = np.roll(source, 2)
    >>> binned = BinnedSpikes.from_counts(np.column_stack([source, follower]), np.array([0, 5000]), 0.005)
    >>> fit = fit_coupled_glm(binned, n_lags=4)
    >>> bool(fit.kernels[1, 0, 1] > 2.0)
    True
    """
    past, basis = LaggedCounts.of(binned, n_lags), lag_basis(n_lags, n_basis)
    if not len(past.rows):
        raise ValueError(
            f"No bin has {n_lags} observed bins before it in its trial. Give longer trials, or lower max_lag."
        )
    spectrum = _past_spectrum(binned, basis)
    kernels = np.zeros((binned.n_units, binned.n_units, n_lags))
    n_iter, converged = 0, True
    step = max(1, _CELLS_AT_ONCE // max(binned.n_bins, 1))
    for start in range(0, binned.n_units, step):
        targets = np.arange(start, min(start + step, binned.n_units))
        fit = _TargetFit(past, basis, binned, targets, alpha, spectrum)
        fit.run(max_iter, tol)
        kernels[targets] = np.einsum("lk,kji->ijl", basis, fit.shaped(fit.weights))
        n_iter, converged = max(n_iter, fit.n_iter), converged and not fit.active.any()
    return CoupledGLM(kernels, n_iter, converged)


def _past_spectrum(binned: BinnedSpikes, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the centred Gram matrix of the past, per bin, in the lag basis.

    Read from the cross-correlograms, which ignores what edges and gaps change: as a preconditioner it need
    not be exact.
    """
    n_lags, n_basis = basis.shape
    mean, n_units = mean_counts(binned), binned.n_units
    gram = np.zeros((n_basis, n_units, n_basis, n_units))
    for lag in range(n_lags):
        moments = lagged_moments(binned, lag)
        covariance = moments.product / np.maximum(moments.n, 1.0) - mean[:, None] * mean
        # overlap[k, m] = sum over lags l of basis[l, k] * basis[l + lag, m]
        overlap = basis[: n_lags - lag].T @ basis[lag:]
        part = overlap[:, None, :, None] * covariance[None, :, None, :]
        gram += part if lag == 0 else part + part.transpose(2, 3, 0, 1)
    size = n_basis * n_units
    values, vectors = np.linalg.eigh(gram.reshape(size, size))
    return np.maximum(values, 0.0), vectors


class _TargetFit:
    """L-BFGS for several targets side by side; a target that is done no longer moves.

    The intercept is profiled out: with ``f`` the influence of the past and ``w`` the mask of observed cells,
    the loss of a target with ``n`` spikes is ``n log(sum_t w_t exp(f_t)) - sum_t n_t f_t`` plus the penalty.
    """

    def __init__(
        self,
        past: LaggedCounts,
        basis: np.ndarray,
        binned: BinnedSpikes,
        targets: np.ndarray,
        alpha: float,
        spectrum: tuple[np.ndarray, np.ndarray],
    ) -> None:
        self.past, self.basis, self.alpha = past, basis, alpha
        self.eigenvalues, self.vectors = spectrum
        self.observed = np.ones((len(past.rows), 1))
        if binned.cell_observed is not None:
            self.observed = binned.cell_observed[past.rows][:, targets].astype(np.float64)
        self.counts = binned.counts[past.rows][:, targets].toarray() * self.observed
        self.n_spikes = self.counts.sum(axis=0)
        self.weights = np.zeros((basis.shape[1] * binned.n_units, len(targets)))
        self.influence = np.zeros((len(past.rows), len(targets)))
        self.active = self.n_spikes > 0
        self.n_iter = 0
        self._accept(self.weights, self.influence, *self._evaluate(self.weights, self.influence))

    def shaped(self, weights: np.ndarray) -> np.ndarray:
        return weights.reshape(self.basis.shape[1], -1, weights.shape[1])

    def run(self, max_iter: int, tol: float) -> None:
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

    def _line_search(self, direction: np.ndarray) -> None:
        """Step along each target's direction, halved until its loss falls."""
        # The influence is linear in the weights: no step length needs the design again.
        move = self.past.forward(np.einsum("lk,kji->lji", self.basis, self.shaped(direction)))
        length = self.active.astype(np.float64)
        for _ in range(_MAX_HALVINGS):
            weights, influence = self.weights + length * direction, self.influence + length * move
            loss, expected = self._evaluate(weights, influence)
            worse = self.active & ~(loss <= self.loss)
            if not worse.any():
                self._accept(weights, influence, loss, expected)
                return
            length[worse] *= 0.5
        # No step of these lowers the loss in floating point: they are where they will get.
        self.active &= ~worse
        length[worse] = 0.0
        weights, influence = self.weights + length * direction, self.influence + length * move
        self._accept(weights, influence, *self._evaluate(weights, influence))

    def _evaluate(self, weights: np.ndarray, influence: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss of each target, and the expected counts that go with it."""
        top = influence.max(axis=0, initial=0.0)
        expected = np.exp(influence - top)
        expected *= self.observed
        total = np.maximum(expected.sum(axis=0), np.finfo(float).tiny)
        expected *= self.n_spikes / total
        fit = self.n_spikes * (top + np.log(total)) - np.einsum("ti,ti->i", self.counts, influence)
        return fit + 0.5 * self.alpha * (weights**2).sum(axis=0), expected

    def _accept(
        self, weights: np.ndarray, influence: np.ndarray, loss: np.ndarray, expected: np.ndarray
    ) -> None:
        self.weights, self.influence, self.loss, self.expected = weights, influence, loss, expected

    def _gradient(self) -> np.ndarray:
        back = self.past.backward(self.expected - self.counts)
        return (
            np.einsum("lk,lji->kji", self.basis, back).reshape(self.weights.shape) + self.alpha * self.weights
        )

    def _precondition(self, gradient: np.ndarray) -> np.ndarray:
        curvature = self.n_spikes * self.eigenvalues[:, None] + self.alpha
        return self.vectors @ ((self.vectors.T @ gradient) / curvature)

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
