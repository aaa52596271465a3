"""`method="coupling"` without a model: a coupled GLM, its shared input and its edges, in turns.

A plain GLM spreads shared input over many small couplings. Each round here keeps the edges alone, reads the shared
input from what they leave unexplained, and fits the GLM again with it: edges and shared input sort themselves out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.connectivity.drift import slow_rates
from skneuro.connectivity.edges import Edges, infer_edges
from skneuro.connectivity.glm import Evidence, PerTarget, fit_targets
from skneuro.connectivity.innovations import SharedInput, shared_input
from skneuro.connectivity.lags import mean_counts
from skneuro.connectivity.past import Past
from skneuro.data import BinnedSpikes

__all__ = ["CouplingFit", "fit_coupling"]

_ROUNDS = 4
_MAX_ITER, _TOL = 50, 0.1  # nats: what is left to gain of a target's log-likelihood, far below its own noise
# Until the shared input is accounted for it looks like many weak edges; this keeps most of it for the factors.
_FIRST_EDGE_RATE = 0.15


@dataclass(frozen=True, eq=False)
class CouplingFit:
    """Edges of a population.

    Parameters
    ----------
    edges : Edges
        Posterior of all pairs.
    kernels : ndarray of shape (n_units, n_units, n_lags), in nats per spike
        ``[target, source, lag]``: ridge estimate, not shrunk.
    shared : SharedInput or None
        Shared input of the last round.
    converged : bool
        Whether the GLM of the last round did.
    """

    edges: Edges
    kernels: np.ndarray
    shared: SharedInput | None
    converged: bool


def fit_coupling(
    binned: BinnedSpikes,
    n_lags: int,
    *,
    n_basis: int = 5,
    alpha: float = 20.0,
    innovations: bool = True,
    n_factors: int | None = None,
    dale: bool | str = "auto",
    offset: PerTarget | None = None,
) -> CouplingFit:
    """Infer the edges of a population from its spikes.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Reach of the kernels, in bins.
    n_basis : int, default=5
        Basis functions of a kernel.
    alpha : float, default=20.0
        Ridge penalty of the GLM, in nats^-2.
    innovations : bool, default=True
        Whether shared input is read from the residuals and taken into account, and so are the slow rates of units that
        drift.
    n_factors : int, default=None
        Number of its factors; None lets the residuals decide.
    dale : bool or "auto", default="auto"
        Whether a source has one sign.
    offset : callable, default=None
        Known log-intensity of some targets, (n_rows, n_targets), for an array of targets.

    Returns
    -------
    CouplingFit

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.coupling import fit_coupling
    >>> from skneuro.data import BinnedSpikes
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.02, (60000, 3))
    >>> counts[2:, 1] += rng.binomial(counts[:-2, 0], 0.3)
    >>> fit = fit_coupling(BinnedSpikes.from_counts(counts, np.array([0, 60000]), 0.002), 10)
    >>> np.argwhere(fit.edges.probability > 0.5).tolist()
    [[1, 0]]
    """
    past = Past.of(binned, n_lags, n_basis)
    if innovations:
        offset = _together(offset, slow_rates(binned, past.lagged.rows, offset))
    evidence = fit_targets(past, alpha=alpha, max_iter=_MAX_ITER, tol=_TOL, offset=offset)
    shared = None
    for number in range(_ROUNDS if innovations else 0):
        edges = infer_edges(past, evidence, dale=dale, alpha=alpha, n_sweeps=15, most=_FIRST_EDGE_RATE)
        shared = shared_input(_residual(past, edges, offset), past.lagged.rows, binned.bin_width, n_factors)
        if shared is None:
            break
        last = number == _ROUNDS - 1
        evidence = _refit(past, evidence, shared, alpha, offset, max_iter=_MAX_ITER if last else 3)
    edges = infer_edges(past, evidence, dale=dale, alpha=alpha)
    return CouplingFit(edges, past.kernels(evidence.weights), shared, evidence.converged)


def _together(one: PerTarget | None, other: PerTarget | None) -> PerTarget | None:
    if one is None or other is None:
        return other if one is None else one
    return lambda targets: one(targets) + other(targets)


def _refit(
    past: Past, evidence: Evidence, shared: SharedInput, alpha: float, offset: PerTarget | None, max_iter: int
) -> Evidence:
    return fit_targets(
        past,
        alpha=alpha,
        max_iter=max_iter,
        tol=_TOL,
        covariates=shared.without,
        offset=offset,
        start=evidence.weights,
    )


def _residual(past: Past, edges: Edges, offset: PerTarget | None) -> np.ndarray:
    """What the edges and each unit's own past leave of the counts, in standard deviations of the noise."""
    binned, rows = past.binned, past.lagged.rows
    mean = mean_counts(binned)
    result = np.empty((len(rows), binned.n_units), dtype=np.float32)
    step = max(1, 12_000_000 // max(len(rows), 1))
    for first in range(0, binned.n_units, step):
        targets = np.arange(first, min(first + step, binned.n_units))
        drive = past.drive(edges.weights[:, targets])
        if offset is not None:
            drive += offset(targets)
        np.exp(drive - drive.max(axis=0), out=drive)
        counts = binned.counts[rows][:, targets].toarray().astype(np.float32)
        if binned.cell_observed is not None:
            seen = binned.cell_observed[rows][:, targets]
            drive *= seen
            counts *= seen
        drive *= counts.sum(axis=0) / np.maximum(drive.sum(axis=0), 1e-12)
        result[:, targets] = (counts - drive) / np.sqrt(np.maximum(mean[targets], 1e-12))
    return result
