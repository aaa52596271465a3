"""How well an inferred adjacency matrix agrees with a known one.

All functions take ``adjacency[target, source]`` and ``true_adjacency[target, source]``. The diagonal and
every pair that is NaN in either matrix are left out. An edge is a pair whose true weight is not zero. A
number that the pairs at hand cannot define (no edges, say) is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats
from sklearn.metrics import average_precision_score

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


def auroc(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Area under the ROC curve of ``|adjacency|`` for telling edges from other pairs; chance is 0.5.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    float
        NaN if all pairs are edges or none is.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.metrics.connectivity import auroc
    >>> truth = np.array([[0, 1, 0], [0, 0, 0], [-2, 0, 0]])
    >>> auroc([[0, 0.8, 0.1], [0.0, 0, 0.3], [-0.5, 0.2, 0]], truth)
    1.0
    """
    strength, weight = _pairs(adjacency, true_adjacency)
    edge = weight != 0
    n_edges, n_others = int(edge.sum()), int((~edge).sum())
    if n_edges == 0 or n_others == 0:
        return float("nan")
    # The Mann-Whitney statistic counts ties as one half, as the trapezoidal ROC area does.
    ranks = stats.rankdata(np.abs(strength))
    return float((ranks[edge].sum() - 0.5 * n_edges * (n_edges + 1)) / (n_edges * n_others))


def auprc(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Average precision of ``|adjacency|`` for finding edges; chance is `auprc_chance`.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.

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
    >>> import numpy as np
    >>> from skneuro.metrics.connectivity import auprc
    >>> truth = np.array([[0, 1, 0], [0, 0, 0], [-2, 0, 0]])
    >>> auprc([[0, 0.8, 0.1], [0.0, 0, 0.6], [-0.5, 0.2, 0]], truth)
    0.8333333333333333
    """
    strength, weight = _pairs(adjacency, true_adjacency)
    if not (weight != 0).any():
        return float("nan")
    return float(average_precision_score(weight != 0, np.abs(strength)))


def auprc_by_sign(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[float, float]:
    """Average precision of ``|adjacency|`` for the excitatory edges alone, and for the inhibitory ones.

    Edges of the other sign are left out, so that a method without signs can be judged.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True signed weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    excitatory, inhibitory : float
        NaN if there are no edges of the sign.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import auprc_by_sign
    >>> truth = [[0, 1, 0], [0, 0, 0], [-2, 0, 0]]
    >>> auprc_by_sign([[0, 0.2, 0.1], [0.0, 0, 0.3], [-0.5, 0.1, 0]], truth)
    (0.5, 1.0)
    """
    strength, weight = np.asarray(adjacency, dtype=np.float64), np.asarray(true_adjacency, dtype=np.float64)
    return (
        auprc(strength, np.where(weight < 0, np.nan, weight)),
        auprc(strength, np.where(weight > 0, np.nan, weight)),
    )


def auprc_chance(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Expected `auprc` of random strengths: the fraction of pairs that are edges.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths; only which of them are NaN matters.
    true_adjacency : array-like of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.

    Returns
    -------
    float
        NaN if no pair is left.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.metrics.connectivity import auprc_chance
    >>> auprc_chance(np.ones((3, 3)), [[0, 1, 0], [0, 0, 0], [1, 1, 0]])
    0.5
    """
    _, weight = _pairs(adjacency, true_adjacency)
    return float((weight != 0).mean()) if len(weight) else float("nan")


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
    strength, weight = _square(adjacency, true_adjacency)
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
    strength, weight = _pairs(adjacency, true_adjacency)
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
    strength, weight = _pairs(adjacency, true_adjacency)
    if len(weight) < 2 or np.ptp(strength) == 0 or np.ptp(weight) == 0:
        return float("nan")
    return float(np.corrcoef(strength, weight)[0, 1] ** 2)


def hub_recall(adjacency: ArrayLike, hubs: ArrayLike) -> float:
    """Fraction of the hubs among as many sources with the largest summed output.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``; NaN counts as none.
    hubs : array-like of int
        Columns of the true hubs.

    Returns
    -------
    float
        NaN if there are no hubs. Sources that tie at the border count in part.

    Raises
    ------
    ValueError
        If the matrix is not square.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import hub_recall
    >>> hub_recall([[0, 0.1, 0.2], [0.5, 0, 0.1], [-0.5, 0.0, 0]], [0])
    1.0
    """
    strength, _ = _square(adjacency, adjacency)
    hubs = np.asarray(hubs, dtype=np.int64)
    if not len(hubs):
        return float("nan")
    output = np.nansum(np.where(np.eye(len(strength), dtype=bool), 0.0, np.abs(strength)), axis=0)
    border = np.partition(output, -len(hubs))[-len(hubs)]
    is_hub = np.isin(np.arange(len(output)), hubs)
    above, tied = output > border, output == border
    return float((is_hub[above].sum() + is_hub[tied].mean() * (len(hubs) - above.sum())) / len(hubs))


def precision_at_k(adjacency: ArrayLike, true_adjacency: ArrayLike, k: int | None = None) -> float:
    """Fraction of edges among the `k` strongest pairs.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths, ``[target, source]``.
    true_adjacency : array-like of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.
    k : int, default=None
        How many pairs; the number of true edges if None. Pairs that tie at the border count in part, so that
        the result does not depend on the order of the units.

    Returns
    -------
    float
        NaN if there are no edges and `k` is None.

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape, or `k` is not between 1 and the number of pairs.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import precision_at_k
    >>> precision_at_k([[0, 0.3], [-0.9, 0]], [[0, 0], [-1, 0]], k=1)
    1.0
    """
    strength, weight = _pairs(adjacency, true_adjacency)
    edge = weight != 0
    if k is None:
        k = int(edge.sum())
        if k == 0:
            return float("nan")
    if not 1 <= k <= len(edge):
        raise ValueError(f"k must lie between 1 and the number of pairs, {len(edge)}. Got {k!r} instead.")
    strength = np.abs(strength)
    border = np.partition(strength, -k)[-k]
    above, tied = strength > border, strength == border
    return float((edge[above].sum() + edge[tied].mean() * (k - above.sum())) / k)


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
        With the keys ``auroc``, ``auprc``, ``auprc_excitatory``, ``auprc_inhibitory``, ``auprc_chance``,
        ``direction_rate``, ``sign_accuracy``, ``signed_r2``, ``precision_at_k`` (with as many pairs as there are
        edges), ``n_edges`` and ``n_pairs``.

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
    _, weight = _pairs(adjacency, true_adjacency)
    functions = (auroc, auprc, auprc_chance, direction_rate, sign_accuracy, signed_r2, precision_at_k)
    scores = {function.__name__: function(adjacency, true_adjacency) for function in functions}
    scores["auprc_excitatory"], scores["auprc_inhibitory"] = auprc_by_sign(adjacency, true_adjacency)
    return scores | {"n_edges": int((weight != 0).sum()), "n_pairs": len(weight)}


def _square(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    strength = np.asarray(adjacency, dtype=np.float64)
    weight = np.asarray(true_adjacency, dtype=np.float64)
    if strength.ndim != 2 or strength.shape[0] != strength.shape[1] or strength.shape != weight.shape:
        raise ValueError(
            "adjacency and true_adjacency must be square matrices [target, source] of the same shape. Got "
            f"{strength.shape} and {weight.shape} instead; select the same units in both."
        )
    return strength, weight


def _pairs(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Strength and true weight of the pairs that count."""
    strength, weight = _square(adjacency, true_adjacency)
    counts = ~(np.isnan(strength) | np.isnan(weight))
    np.fill_diagonal(counts, False)
    return strength[counts], weight[counts]
