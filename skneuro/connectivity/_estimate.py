"""From binned spikes to an estimate: one function for each method of `ConnectivityInference`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats
from sklearn.exceptions import ConvergenceWarning

from skneuro._warn import warn_user
from skneuro.connectivity.baselines import cross_correlogram_z, lagged_correlation, partial_correlation, pearson
from skneuro.connectivity.coupling import CouplingFit, fit_coupling
from skneuro.connectivity.glm import PerTarget
from skneuro.connectivity.lags import pair_observations
from skneuro.connectivity.transfer_entropy import transfer_entropy
from skneuro.data import BinnedSpikes

__all__ = ["Estimate", "Reach", "estimate_convex", "estimate_pairwise"]


_PEAK = 0.007  # s, width of a peak of the cross-correlogram


@dataclass(frozen=True)
class Reach:
    """Lags in bins: how far the past is modelled, and how far it is read.

    Parameters
    ----------
    modelled, read : int
        Number of lags.
    """

    modelled: int
    read: int


@dataclass(frozen=True, eq=False)
class Estimate:
    """What a method found.

    Parameters
    ----------
    strength : ndarray of shape (n_units, n_units)
        ``[target, source]``.
    z : ndarray of shape (n_units, n_units) or None
        Standard normal scores where there is no edge, most extreme of `n_looks`.
    n_looks : int
        See `z`.
    probability : ndarray of shape (n_units, n_units) or None
        Posterior probability of an edge.
    kernels : ndarray of shape (n_units, n_units, n_lags) or None
        Kernels in nats per spike.
    attributes : dict
        Further attributes of the inference, by name.
    controlled : bool
        Whether false discoveries by `z` are at the stated rate where units share input; else none are named.
    """

    strength: np.ndarray
    z: np.ndarray | None = None
    n_looks: int = 1
    probability: np.ndarray | None = None
    kernels: np.ndarray | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    controlled: bool = True


def estimate_pairwise(method: str, binned: BinnedSpikes, reach: Reach) -> Estimate:
    """Estimate by a method that looks at pairs of units.

    Parameters
    ----------
    method : {"pearson", "partial_correlation", "lagged_correlation", "ccg", "transfer_entropy"}
        Which.
    binned : BinnedSpikes
        Counts of all trials.
    reach : Reach
        Lags.

    Returns
    -------
    Estimate
    """
    n = np.sqrt(np.maximum(pair_observations(binned, reach.read), 1))
    if method == "pearson":
        strength = pearson(binned)
        return Estimate(strength, strength * n, controlled=False)
    if method == "partial_correlation":
        strength = partial_correlation(binned)
        return Estimate(strength, strength * n, controlled=False)
    if method == "lagged_correlation":
        strength = lagged_correlation(binned, reach.read)
        return Estimate(strength * _knowledge(strength**2, n**2), strength * n, reach.read, controlled=False)
    if method == "ccg":
        n_wide = max(1, round(_PEAK / binned.bin_width))
        strength = cross_correlogram_z(binned, max(1, reach.modelled // 2), reach.read, n_wide)
        return Estimate(strength, strength, max(1, reach.read // n_wide))
    bits = transfer_entropy(binned, reach.read)
    # 2 n ln 2 times the transfer entropy is chi-squared with two degrees of freedom where nothing flows.
    log_p = stats.chi2.logsf(2.0 * np.log(2.0) * n**2 * bits, 2)
    z = -stats.norm.ppf(np.maximum(0.5 * np.exp(log_p), 1e-300))
    # Of normal variables with a correlation r they are r^2 / (2 ln 2), where that is small.
    return Estimate(bits * _knowledge(2.0 * np.log(2.0) * bits, n**2) ** 2, z, reach.read, controlled=False)


def _knowledge(square: np.ndarray, n: np.ndarray) -> np.ndarray:
    """What is left of each correlation in its posterior mean, as a part of what is left where `n` is largest.

    The prior is normal, and its variance what the squared correlations exceed those of noise by, which are 1 / n: a
    pair that was hardly observed together has large ones by chance. 1 where all pairs were observed alike.
    """
    known = np.isfinite(square) & ~np.eye(len(square), dtype=bool)
    excess = n[known] @ (square[known] - 1.0 / n[known])
    variance = max(excess / max(n[known].sum(), 1.0), 0.0)
    return (variance + 1.0 / n.max()) / (variance + 1.0 / n)


def estimate_convex(
    binned: BinnedSpikes,
    reach: Reach,
    *,
    n_basis: int,
    alpha: float,
    innovations: bool,
    n_factors: int | None,
    dale: bool | str,
    edges: bool,
    offset: PerTarget | None = None,
) -> Estimate:
    """Estimate by the coupled GLM, with or without shared input and empirical-Bayes edges.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    reach : Reach
        Lags.
    n_basis, alpha, innovations, n_factors, dale, offset
        As in `fit_coupling`.
    edges : bool
        Whether the adjacency is the posterior mean of the edges, or the ridge estimate summed over the lags read.

    Returns
    -------
    Estimate
    """
    fit = fit_coupling(
        binned,
        reach.modelled,
        n_basis=n_basis,
        alpha=alpha,
        innovations=innovations,
        n_factors=n_factors,
        dale=dale,
        offset=offset,
    )
    if not fit.converged:
        warn_user(
            "The coupled GLM did not converge: some units fire in a way that a log-linear model cannot follow, or too "
            "rarely. Raise alpha.",
            ConvergenceWarning,
        )
    attributes = _attributes(fit, binned)
    if edges:
        return Estimate(fit.edges.area, fit.edges.z, 1, fit.edges.probability, fit.kernels, attributes)
    attributes.pop("dale_")
    attributes.pop("dale_evidence_")
    strength = fit.kernels[:, :, : reach.read].sum(axis=2) * binned.bin_width
    return Estimate(strength, fit.edges.z, 1, None, fit.kernels, attributes)


def _attributes(fit: CouplingFit, binned: BinnedSpikes) -> dict[str, Any]:
    loadings = np.zeros((binned.n_units, 0)) if fit.shared is None else fit.shared.loadings
    return {
        "shared_loadings_": loadings,
        "dale_": fit.edges.dale,
        "dale_evidence_": fit.edges.dale_evidence,
    }
