"""Which pairs of units count where an inferred adjacency is compared with a known one."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["pairs", "square"]


def square(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Return both matrices as floats.

    Parameters
    ----------
    adjacency, true_adjacency : array-like of shape (n_units, n_units)
        NaN where something is not known.

    Returns
    -------
    strength, weight : ndarray of shape (n_units, n_units)

    Raises
    ------
    ValueError
        If they are not square and of the same shape, or hold infinite numbers.

    Examples
    --------
    >>> from skneuro.metrics._adjacency_pairs import square
    >>> square([[0, 1], [2, 0]], [[0, 1], [0, 0]])[1].dtype
    dtype('float64')
    """
    strength = np.asarray(adjacency, dtype=np.float64)
    weight = np.asarray(true_adjacency, dtype=np.float64)
    if strength.ndim != 2 or strength.shape[0] != strength.shape[1] or strength.shape != weight.shape:
        raise ValueError(
            "adjacency and true_adjacency must be square matrices [target, source] of the same shape. Got "
            f"{strength.shape} and {weight.shape} instead; select the same units in both."
        )
    for name, matrix in (("adjacency", strength), ("true_adjacency", weight)):
        if np.isinf(matrix).any():
            raise ValueError(f"{name} must be finite, or NaN where it is not known. Got infinite numbers instead.")
    return strength, weight


def pairs(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Strength and true weight of the pairs that count: of two units, and known in both matrices.

    Parameters
    ----------
    adjacency, true_adjacency : array-like of shape (n_units, n_units)
        NaN where something is not known.

    Returns
    -------
    strength, weight : ndarray of shape (n_pairs,)

    Raises
    ------
    ValueError
        As `square`.

    Examples
    --------
    >>> from skneuro.metrics._adjacency_pairs import pairs
    >>> pairs([[0, 0.5], [0.1, 0]], [[0, 1], [float("nan"), 0]])
    (array([0.5]), array([1.]))
    """
    strength, weight = square(adjacency, true_adjacency)
    counts = ~(np.isnan(strength) | np.isnan(weight))
    np.fill_diagonal(counts, False)
    return strength[counts], weight[counts]
