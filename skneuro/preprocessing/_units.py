"""Reading X with the same units in `fit` and afterwards."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro._sklearn_compat import check_feature_names, check_n_features
from skneuro.data import ModelInput, read_input


def read_units(estimator: Any, X: Any, *, bin_width: float, counts: str, reset: bool) -> ModelInput:
    """Read X and note its units (``reset=True``), or compare them with those seen in ``fit``.

    Parameters
    ----------
    estimator : estimator
        Gets or has ``n_features_in_``, ``unit_ids_`` and, for a DataFrame, ``feature_names_in_``.
    X : SpikeTrains, Recording or array of counts
        The input as the user gave it.
    bin_width : float, in seconds
        Width of the bins to count spikes in; the width of a row where X is counts.
    counts : {"round", "strict"}
        What becomes of counts that are not whole.
    reset : bool
        True in ``fit``, False in every other method.

    Returns
    -------
    ModelInput

    Raises
    ------
    ValueError
        If number, names or ids of the units differ from those seen in ``fit``.
    """
    name = type(estimator).__name__
    given = read_input(X, None, bin_width=bin_width, counts=counts, estimator=name)
    if given.layout != "trials":
        check_feature_names(estimator, X, reset=reset)
    elif reset and hasattr(estimator, "feature_names_in_"):
        del estimator.feature_names_in_
    check_n_features(estimator, given.spikes.n_units, reset=reset)
    if reset:
        estimator.unit_ids_ = np.array(given.spikes.unit_ids)
    elif given.trials is not None:
        check_unit_ids(given.spikes.unit_ids, estimator.unit_ids_)
    return given


def check_unit_ids(unit_ids: np.ndarray, fitted: np.ndarray) -> None:
    """Refuse units other than those seen in ``fit``, or in another order.

    Parameters
    ----------
    unit_ids, fitted : ndarray of shape (n_units,)
        Identities of the units now and in ``fit``.

    Raises
    ------
    ValueError
        If they differ.
    """
    if np.array_equal(unit_ids, fitted):
        return
    unknown = sorted(set(unit_ids.tolist()) - set(fitted.tolist()), key=str)
    if unknown:
        problem = f"Not seen in fit: {unknown[:5]}{' ...' if len(unknown) > 5 else ''}."
    else:
        problem = "The units are the same, in another order."
    raise ValueError(
        f"The unit ids should match those that were passed during fit. {problem} Select and order them with "
        "spikes.select_units(unit_ids)."
    )
