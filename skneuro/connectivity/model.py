"""Adjacency out of a fitted model: the coupling kernels that it learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skneuro._base import SpikeModel
from skneuro._sklearn_compat import check_is_fitted
from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Estimate, Reach
from skneuro.data import ModelInput
from skneuro.preprocessing._units import check_unit_ids

__all__ = ["estimate_from_kernels", "fitted_coupling", "unwrap"]


def unwrap(estimator: Any) -> Any:
    """Return the fitted estimator, out of its `FrozenEstimator` where it is in one.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator with coupling, wrapped or not.

    Returns
    -------
    estimator

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    TypeError
        If it is a class.

    Examples
    --------
    >>> from sklearn.frozen import FrozenEstimator
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skneuro.connectivity.model import unwrap
    >>> unwrap(FrozenEstimator(StandardScaler().fit([[0.0], [1.0]])))
    StandardScaler()
    """
    inner = estimator.estimator if isinstance(estimator, FrozenEstimator) else estimator
    if isinstance(inner, type):
        raise TypeError(f"The 'estimator' parameter must be a fitted estimator. Got the class {inner.__name__}.")
    try:
        check_is_fitted(inner)
    except NotFittedError as error:
        raise NotFittedError(
            f"ConnectivityInference reads a fitted {type(inner).__name__}, and this one is not fitted. Fit "
            "it first, and wrap it in sklearn.frozen.FrozenEstimator: cloning (GridSearchCV, cross_validate) unfits an "
            "estimator that is not wrapped."
        ) from error
    return inner


def fitted_coupling(estimator: Any) -> np.ndarray:
    """Return the coupling kernels of a fitted estimator.

    Parameters
    ----------
    estimator : fitted estimator
        With ``coupling_kernels_``.

    Returns
    -------
    ndarray of shape (n_units, n_units, n_lags), in nats per spike
        ``[target, source, lag]``, at lags of 1, 2, ... of the estimator's bins.

    Raises
    ------
    ValueError
        If the estimator has no coupling.
    """
    if isinstance(estimator, SpikeModel) and not hasattr(type(estimator), "coupling_kernels_"):  # a baseline
        raise ValueError(
            f"method='coupling' reads the coupling kernels of a NeuroformerEstimator, and a {type(estimator).__name__} "
            f"has none. Use method='effect', which asks any fitted model, or fit couplings to the spikes with "
            f"estimator=None and method='coupling' or method='glm'."
        )
    kernels = getattr(estimator, "coupling_kernels_", None)
    if kernels is None:
        raise ValueError(
            f"This {type(estimator).__name__} has no coupling kernels to read. Fit it with coupling=True, or leave "
            "estimator=None to fit a coupled GLM directly."
        )
    kernels = np.asarray(kernels, dtype=np.float64)
    if kernels.ndim != 3 or kernels.shape[0] != kernels.shape[1] or kernels.shape[2] == 0:
        raise ValueError(
            "coupling_kernels_ must have shape (n_units, n_units, n_lags) with at least one lag. Got "
            f"{kernels.shape} instead."
        )
    return kernels


def estimate_from_kernels(model: Any, given: ModelInput, reach: Reach) -> Estimate:
    """Sum the coupling kernels of a fitted model over the lags read.

    Parameters
    ----------
    model : fitted estimator
        With ``coupling_kernels_``, ``unit_ids_`` and ``bin_width``.
    given : ModelInput
        Spikes of the same units.
    reach : Reach
        Lags.

    Returns
    -------
    Estimate

    Raises
    ------
    ValueError
        If the units are not those of the model.

    Warns
    -----
    UserWarning
        If the model's couplings had the dense prior.
    """
    kernels, n_units = fitted_coupling(model), given.spikes.n_units
    if len(kernels) != n_units:
        raise ValueError(f"X has {n_units} units, but the estimator was fitted on {len(kernels)}.")
    if given.trials is not None:
        check_unit_ids(given.spikes.unit_ids, np.asarray(model.unit_ids_))
    if getattr(model, "coupling_prior_", "sparse") == "dense":
        warn_user(
            "The couplings of this model had the dense prior, under which none is zero and all are small: where data "
            "are few it can predict better. To read who is connected, fit the model with coupling_prior='sparse', or "
            "leave estimator=None.",
            UserWarning,
        )
    kernels = kernels[:, :, : reach.modelled]
    return Estimate(kernels[:, :, : reach.read].sum(axis=2) * given.spikes.bin_width, kernels=kernels)
