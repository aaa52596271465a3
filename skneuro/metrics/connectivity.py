"""How well an inferred adjacency matrix agrees with a known one.

All functions take ``adjacency[target, source]`` and ``true_adjacency[target, source]``. The diagonal and
every pair that is NaN in either matrix are left out. An edge is a pair whose true weight is not zero. A
number that the pairs at hand cannot define (no edges, say) is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skneuro.metrics._adjacency_pairs import pairs, square
from skneuro.metrics._edge_detection import auprc, auprc_by_sign, auprc_chance, auroc, precision_at_k

__all__ = [
    "adjacency_scores",
    "auprc",
    "auprc_by_sign",
    "auprc_chance",
    "auroc",
    "direction_rate",
    "hub_recall",
    "precision_at_k",
    "sign_accuracy",
    "signed_r2",
]


def direction_rate(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """How often the stronger direction of a one-way pair is the true one; chance is 0.5.

    A one-way pair has an edge in one direction only. Equal strengths count one half.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    float
        NaN if there is no one-way pair.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import direction_rate
    >>> direction_rate([[0, 0.3], [-0.9, 0]], [[0, 0], [-1, 0]])
    1.0
    """
    strength, weight = square(adjacency, true_adjacency)
    known = ~(np.isnan(strength) | np.isnan(weight))
    known &= known.T
    one_way = known & (weight != 0) & (weight.T == 0)
    np.fill_diagonal(one_way, False)
    if not one_way.any():
        return float("nan")
    forth, back = np.abs(strength)[one_way], np.abs(strength.T)[one_way]
    return float((forth > back).mean() + 0.5 * (forth == back).mean())


def sign_accuracy(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Fraction of true edges whose inferred sign is right.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred signed strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True signed weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    float
        NaN if there are no edges.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import sign_accuracy
    >>> sign_accuracy([[0, 0.3], [-0.9, 0]], [[0, -1], [-1, 0]])
    0.5
    """
    strength, weight = pairs(adjacency, true_adjacency)
    edge = weight != 0
    return float((np.sign(strength[edge]) == np.sign(weight[edge])).mean()) if edge.any() else float("nan")


def signed_r2(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Squared Pearson correlation of inferred and true signed weights over all pairs.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred signed strengths, ``[target, source]``, in any unit.
    true_adjacency : array-like of shape (n_units, n_units)
        True signed weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    float
        NaN if either side is constant.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.metrics.connectivity import signed_r2
    >>> truth = np.array([[0, 1.0, 0], [0, 0, 0], [-2, 0, 0]])
    >>> round(signed_r2(3 * truth, truth), 12)
    1.0
    """
    strength, weight = pairs(adjacency, true_adjacency)
    if len(weight) < 2 or np.ptp(strength) == 0 or np.ptp(weight) == 0:
        return float("nan")
    return float(np.corrcoef(strength, weight)[0, 1] ** 2)


def hub_recall(adjacency: ArrayLike, hubs: ArrayLike) -> float:
    """Fraction of the hubs among as many sources with the largest summed output.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``; NaN counts as none.
    hubs : array-like of int, or of bool of shape (n_units,)
        Columns of the true hubs.

    Returns
    -------
    float
        NaN if there are no hubs. Sources that tie at the border count in part.

    Raises
    ------
    ValueError
        If the matrix is not square, or `hubs` are no columns of it, each once.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import hub_recall
    >>> hub_recall([[0, 0.1, 0.2], [0.5, 0, 0.1], [-0.5, 0.0, 0]], [0])
    1.0
    """
    strength, _ = square(adjacency, adjacency)
    hubs = _columns(hubs, len(strength))
    if not len(hubs):
        return float("nan")
    output = np.nansum(np.where(np.eye(len(strength), dtype=bool), 0.0, np.abs(strength)), axis=0)
    border = np.partition(output, -len(hubs))[-len(hubs)]
    is_hub = np.isin(np.arange(len(output)), hubs)
    above, tied = output > border, output == border
    return float((is_hub[above].sum() + is_hub[tied].mean() * (len(hubs) - above.sum())) / len(hubs))


def adjacency_scores(adjacency: ArrayLike, true_adjacency: ArrayLike) -> dict[str, float]:
    """All scores of this module at once.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred signed strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True signed weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    dict of str to float
        With the keys ``auroc``, ``auprc``, ``auprc_excitatory``, ``auprc_inhibitory``, the chance of each of the
        three as ``auprc_chance``, ``auprc_chance_excitatory`` and ``auprc_chance_inhibitory``, ``direction_rate``,
        ``sign_accuracy``, ``signed_r2``, ``precision_at_k`` (with as many pairs as there are edges), ``n_edges`` and
        ``n_pairs``.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import adjacency_scores
    >>> scores = adjacency_scores([[0, 0.3], [-0.9, 0]], [[0, 0], [-1, 0]])
    >>> scores["auroc"], scores["sign_accuracy"], scores["n_pairs"]
    (1.0, 1.0, 2)
    """
    _, weight = pairs(adjacency, true_adjacency)
    functions = (auroc, auprc, auprc_chance, direction_rate, sign_accuracy, signed_r2, precision_at_k)
    scores = {function.__name__: function(adjacency, true_adjacency) for function in functions}
    scores["auprc_excitatory"], scores["auprc_inhibitory"] = auprc_by_sign(adjacency, true_adjacency)
    true = np.asarray(true_adjacency, dtype=np.float64)
    scores["auprc_chance_excitatory"] = auprc_chance(adjacency, np.where(true < 0, np.nan, true))
    scores["auprc_chance_inhibitory"] = auprc_chance(adjacency, np.where(true > 0, np.nan, true))
    return scores | {"n_edges": int((weight != 0).sum()), "n_pairs": len(weight)}


def _columns(hubs: ArrayLike, n_units: int) -> np.ndarray:
    columns = np.asarray(hubs)
    if columns.dtype == bool and columns.shape == (n_units,):
        return np.flatnonzero(columns)
    if columns.size == 0:
        return np.empty(0, dtype=np.int64)
    whole = columns.ndim == 1 and columns.dtype.kind in "iu"
    if not whole or columns.min() < 0 or columns.max() >= n_units or len(np.unique(columns)) < len(columns):
        raise ValueError(
            f"hubs must be columns of the adjacency, from 0 to {n_units - 1} and each once. Got {hubs!r:.80} instead."
        )
    return columns
