"""From an estimate to the attributes of a fitted `ConnectivityInference`."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Estimate, Reach
from skneuro.connectivity.lags import pair_observations
from skneuro.connectivity.significance import significant_edges
from skneuro.data import BinnedSpikes
from skneuro.exceptions import SilentUnitsWarning


def keep(inference: Any, found: Estimate, binned: BinnedSpikes, reach: Reach) -> None:
    """Set the attributes that an estimate has, and forget those of an earlier fit by another method.

    Parameters
    ----------
    inference : ConnectivityInference
        Gets the attributes.
    found : Estimate
        What was found.
    binned : BinnedSpikes
        The spikes.
    reach : Reach
        Lags.

    Warns
    -----
    SilentUnitsWarning
        If units were silent.
    """
    optional = ("z_scores_", "posterior_", "significant_", "lag_kernels_", "dale_", "dale_evidence_")
    for name in (*optional, "shared_loadings_"):
        inference.__dict__.pop(name, None)
    inference.n_observations_ = pair_observations(binned, reach.read)
    silent = binned.unit_counts() == 0
    inference.adjacency_ = _without_unknown(found.strength, silent)
    _warn_of_silence(silent, binned.unit_ids)
    if found.z is not None:
        inference.z_scores_ = _without_unknown(found.z, silent)
        probability = None if found.probability is None else _without_unknown(found.probability, silent)
        if probability is not None:
            inference.posterior_ = probability
        if found.controlled:
            inference.significant_ = significant_edges(
                inference.z_scores_, float(inference.fdr), n_looks=found.n_looks, probability=probability
            )
    n_lags = reach.read
    if found.kernels is not None:
        inference.lag_kernels_ = found.kernels
        n_lags = found.kernels.shape[2]
    inference.lags_ = np.arange(1, n_lags + 1) * inference._bin_width if n_lags else np.zeros(1)
    for name, value in found.attributes.items():
        setattr(inference, name, value)


def _without_unknown(values: np.ndarray, silent: np.ndarray) -> np.ndarray:
    """Put NaN where nothing can be known: on the diagonal and for units without spikes."""
    result = np.array(values, dtype=np.float64)
    np.fill_diagonal(result, np.nan)
    result[silent, :] = np.nan
    result[:, silent] = np.nan
    return result


def _warn_of_silence(silent: np.ndarray, unit_ids: np.ndarray) -> None:
    if silent.any():
        names = unit_ids[silent].tolist()
        warn_user(
            f"{silent.sum()} of {len(silent)} units have no spike in observed time; their rows and columns are NaN: "
            f"{names[:5]}{' ...' if len(names) > 5 else ''}.",
            SilentUnitsWarning,
        )
