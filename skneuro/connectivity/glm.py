"""The coupled Poisson GLM: every unit's log-intensity is a sum of kernels over all units' past spikes.

It is convex, so that the result does not depend on a start or on a random number. All targets share the sparse design
and one preconditioner, the Gram matrix of the past, which follows from the cross-correlograms; each has its own L-BFGS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from skneuro.connectivity._target_fit import TargetFit
from skneuro.connectivity.past import Past
from skneuro.data import BinnedSpikes

__all__ = ["CoupledGLM", "Evidence", "fit_coupled_glm", "fit_targets"]

# Targets are fitted in groups of this many bins times targets, so that memory does not grow with their number.
_CELLS_AT_ONCE = 12_000_000

PerTarget = Callable[[np.ndarray], np.ndarray]


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

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.glm import CoupledGLM
    >>> CoupledGLM(np.zeros((2, 2, 3)), 4, True).kernels.shape
    (2, 2, 3)
    """

    kernels: np.ndarray
    n_iter: int
    converged: bool


@dataclass(frozen=True, eq=False)
class Evidence:
    """What a fit knows: each target's log-likelihood as a quadratic function of its coefficients.

    ``log L_i(w) = linear[:, i] w - w (n_spikes[i] gram - cross[i] cross[i]') w / 2``, with the covariates at their
    best for every ``w``.

    Parameters
    ----------
    weights : ndarray of shape (n_coefficients, n_targets)
        Ridge estimate, where the log-likelihood was expanded.
    linear : ndarray of shape (n_coefficients, n_targets)
        Linear term.
    cross : ndarray of shape (n_targets, n_coefficients, n_covariates)
        What the covariates explain of the past.
    n_spikes : ndarray of shape (n_targets,)
        Spikes of the targets.
    n_iter : int
        Iterations of the slowest target.
    converged : bool
        Whether every target reached the tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.glm import fit_targets
    >>> from skneuro.connectivity.past import Past
    >>> from skneuro.data import BinnedSpikes
    >>> counts = np.random.default_rng(0).poisson(0.1, (1000, 2))
    >>> past = Past.of(BinnedSpikes.from_counts(counts, np.array([0, 1000]), 0.005), 4, 4)
    >>> fit_targets(past).linear.shape
    (8, 2)
    """

    weights: np.ndarray
    linear: np.ndarray
    cross: np.ndarray
    n_spikes: np.ndarray
    n_iter: int
    converged: bool


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
    past = Past.of(binned, n_lags, n_basis)
    fit = fit_targets(past, alpha=alpha, max_iter=max_iter, tol=tol)
    return CoupledGLM(past.kernels(fit.weights), fit.n_iter, fit.converged)


def fit_targets(
    past: Past,
    *,
    alpha: float = 20.0,
    max_iter: int = 100,
    tol: float = 1e-4,
    covariates: PerTarget | None = None,
    offset: PerTarget | None = None,
    start: np.ndarray | None = None,
) -> Evidence:
    """Fit all targets, group by group, and expand their log-likelihoods at the result.

    Parameters
    ----------
    past : Past
        The shared design.
    alpha, max_iter, tol : float, int, float
        As in `fit_coupled_glm`.
    covariates : callable, default=None
        Gives, for an array of targets, their own regressors: (n_rows, n_targets, n_covariates), float32.
    offset : callable, default=None
        Gives, for an array of targets, the known part of their log-intensity: (n_rows, n_targets), float32.
    start : ndarray of shape (n_coefficients, n_targets), default=None
        Coefficients to start from.

    Returns
    -------
    Evidence

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.glm import fit_targets
    >>> from skneuro.connectivity.past import Past
    >>> from skneuro.data import BinnedSpikes
    >>> counts = np.random.default_rng(0).poisson(0.1, (1000, 2))
    >>> past = Past.of(BinnedSpikes.from_counts(counts, np.array([0, 1000]), 0.005), 4, 4)
    >>> fit_targets(past).converged
    True
    """
    binned, parts = past.binned, []
    step = max(1, _CELLS_AT_ONCE // max(binned.n_bins, 1))
    for first in range(0, binned.n_units, step):
        targets = np.arange(first, min(first + step, binned.n_units))
        fit = TargetFit(
            past.lagged,
            past.basis,
            binned,
            targets,
            alpha,
            past.spectrum,
            None if covariates is None else covariates(targets),
            None if offset is None else offset(targets),
            None if start is None else start[:, targets],
        )
        fit.run(max_iter, tol)
        parts.append(_expand(fit, past))
    return Evidence(
        weights=np.concatenate([part.weights for part in parts], axis=1),
        linear=np.concatenate([part.linear for part in parts], axis=1),
        cross=np.concatenate([part.cross for part in parts]),
        n_spikes=np.concatenate([part.n_spikes for part in parts]),
        n_iter=max(part.n_iter for part in parts),
        converged=all(part.converged for part in parts),
    )


def _expand(fit: TargetFit, past: Past) -> Evidence:
    """The log-likelihood to second order, the covariates profiled out.

    The curvature is that of a constant rate: it holds for low counts a bin, and what matters more, the slope at the
    expansion point, is exact.
    """
    weights, slope = fit.weights[: fit.n_past], fit.slope()
    between = fit.covariance_with_past() * fit.n_spikes[:, None]  # (n_past, n_targets, n_covariates)
    linear = slope[: fit.n_past].copy()
    cross = np.zeros((fit.n_targets, fit.n_past, between.shape[2]))
    if fit.covariates is not None:
        for i in range(fit.n_targets):
            own = fit.covariates[:, i].astype(np.float64)
            within = fit.n_spikes[i] * np.atleast_2d(np.cov(own.T, bias=True)) + fit.penalty[-1] * np.eye(own.shape[1])
            inverse = np.linalg.inv(within)
            cross[i] = between[:, i] @ np.linalg.cholesky(inverse)
            linear[:, i] -= between[:, i] @ (inverse @ slope[fit.n_past :, i])
    linear += fit.n_spikes * (past.gram @ weights)
    linear -= np.einsum("ifk,ki->fi", cross, np.einsum("ifk,fi->ki", cross, weights))
    return Evidence(weights, linear, cross, fit.n_spikes, fit.n_iter, not fit.active.any())
