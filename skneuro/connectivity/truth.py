"""Reading a known adjacency matrix in the order of the units."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro._warn import warn_user
from skneuro.exceptions import TransposedTruthWarning
from skneuro.metrics.connectivity import auprc

__all__ = ["read_truth"]

# A transposed truth that scores this much better is likelier a mistake than an accident.
_CLEARLY_BETTER = 0.1
# Names of the axes of a table: who receives, and who sends.
_TARGETS = ("target", "post", "postsynaptic", "to")
_SOURCES = ("source", "pre", "presynaptic", "from")


def read_truth(truth: Any, unit_ids: np.ndarray, adjacency: np.ndarray) -> np.ndarray:
    """Return the true adjacency as an array in the order of `unit_ids`.

    Parameters
    ----------
    truth : array-like or DataFrame of shape (n_units, n_units)
        ``[target, source]``. A DataFrame may hold more units, in any order; axes named "target" and "source" (or "post"
        and "pre", "to" and "from") tell its orientation.
    unit_ids : ndarray of shape (n_units,)
        Identities of the units.
    adjacency : ndarray of shape (n_units, n_units)
        Inferred strengths, to tell whether a matrix without such names looks transposed.

    Returns
    -------
    ndarray of shape (n_units, n_units)

    Raises
    ------
    ValueError
        If the shape or the labels do not fit, or a table says that its rows are sources.
    TypeError
        If it is no matrix of numbers.

    Warns
    -----
    TransposedTruthWarning
        If the transpose of a matrix whose axes have no such names scores clearly better.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from skneuro.connectivity.truth import read_truth
    >>> table = pd.DataFrame([[0, 1], [0, 0]], index=["b", "a"], columns=["b", "a"])
    >>> read_truth(table, np.array(["a", "b"]), np.zeros((2, 2)))
    array([[0., 0.],
           [1., 0.]])
    """
    n_units = len(unit_ids)
    if isinstance(truth, pd.DataFrame):
        weights = _ordered(truth, unit_ids.tolist())
        if _names(truth.index, _TARGETS) or _names(truth.columns, _SOURCES):
            return weights
    else:
        weights = _as_numbers(truth)
    if weights.shape != (n_units, n_units):
        raise ValueError(
            f"The true adjacency must have shape ({n_units}, {n_units}), [target, source], in the order of "
            f"unit_ids_. Got {weights.shape} instead."
        )
    if auprc(adjacency, weights.T) > auprc(adjacency, weights) + _CLEARLY_BETTER:
        warn_user(
            "The transposed truth scores clearly better. Matrices here are [target, source]; if yours is "
            "[source, target], pass its transpose.",
            TransposedTruthWarning,
        )
    return weights


def _as_numbers(truth: Any) -> np.ndarray:
    try:
        return np.asarray(truth, dtype=np.float64)
    except (TypeError, ValueError) as error:
        there = " Pass its weights." if hasattr(truth, "weights") else ""
        raise TypeError(
            f"The true adjacency must be a matrix of numbers or a labelled table. Got {type(truth).__name__}.{there}"
        ) from error


def _ordered(truth: pd.DataFrame, unit_ids: list) -> np.ndarray:
    if _names(truth.index, _SOURCES) or _names(truth.columns, _TARGETS):
        raise ValueError("The table has sources in its rows; rows must be targets. Pass its transpose, truth.T.")
    for axis, labels in (("row", truth.index), ("column", truth.columns)):
        missing = [unit for unit in unit_ids if unit not in labels]
        if missing or not labels.is_unique:
            problem = f"Missing: {missing[:5]}." if missing else "Some ids occur twice."
            raise ValueError(f"The table must have one {axis} for each unit id. {problem}")
    return _as_numbers(truth.loc[unit_ids, unit_ids])


def _names(labels: pd.Index, known: tuple[str, ...]) -> bool:
    return isinstance(labels.name, str) and labels.name.lower() in known
