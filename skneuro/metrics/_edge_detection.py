"""How well an inferred adjacency matrix tells edges from other pairs; see `skneuro.metrics.connectivity`."""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats
from sklearn.metrics import average_precision_score

from skneuro.metrics._adjacency_pairs import pairs

__all__ = ["auprc", "auprc_by_sign", "auprc_chance", "auroc", "precision_at_k"]


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
    strength, weight = pairs(adjacency, true_adjacency)
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
    strength, weight = pairs(adjacency, true_adjacency)
    if not (weight != 0).any():
        return float("nan")
    return float(average_precision_score(weight != 0, np.abs(strength)))


def auprc_by_sign(adjacency: ArrayLike, true_adjacency: ArrayLike) -> tuple[float, float]:
    """Average precision of ``|adjacency|`` for the excitatory edges alone, and for the inhibitory ones.

    Edges of the other sign are left out, so that a method without signs can be judged. Chance is `auprc_chance` with
    these NaN in the truth.

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
    """Expected `auprc` of random strengths, a little more than the fraction of pairs that are edges.

    For ``m`` edges among ``N`` pairs, ``(m - 1) / (N - 1) + (N - m) H / (N (N - 1))``, where ``H`` is
    ``1 + 1/2 + ... + 1/N``: the mean over all orders of the pairs. With few edges it is far above ``m / N``.

    Parameters
    ----------
    adjacency : array-like of shape (n_units, n_units)
        Inferred strengths; only which of them are NaN matters.
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
    >>> from skneuro.metrics.connectivity import auprc_chance
    >>> round(auprc_chance(np.ones((3, 3)), [[0, 1, 0], [0, 0, 0], [1, 1, 0]]), 6)
    0.645
    """
    _, weight = pairs(adjacency, true_adjacency)
    n, n_edges = len(weight), int((weight != 0).sum())
    if n_edges == 0 or n_edges == n:
        return 1.0 if n_edges else float("nan")
    harmonic = special.digamma(n + 1) + np.euler_gamma
    return float((n_edges - 1) / (n - 1) + (n - n_edges) * harmonic / (n * (n - 1)))


def edge_share(adjacency: ArrayLike, true_adjacency: ArrayLike) -> float:
    """Fraction of the pairs that are edges: the precision of random strengths where many pairs are taken."""
    _, weight = pairs(adjacency, true_adjacency)
    return float((weight != 0).mean()) if len(weight) else float("nan")


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
        If the matrices are not square and of the same shape, or `k` is no whole number from 1 to the number of pairs.

    Examples
    --------
    >>> from skneuro.metrics.connectivity import precision_at_k
    >>> precision_at_k([[0, 0.3], [-0.9, 0]], [[0, 0], [-1, 0]], k=1)
    1.0
    """
    strength, weight = pairs(adjacency, true_adjacency)
    edge = weight != 0
    if k is None:
        k = int(edge.sum())
        if k == 0:
            return float("nan")
    if isinstance(k, bool) or not isinstance(k, Integral) or not 1 <= k <= len(edge):
        raise ValueError(f"k must be a whole number from 1 to the number of pairs, {len(edge)}. Got {k!r:.80} instead.")
    strength = np.abs(strength)
    border = np.partition(strength, -k)[-k]
    above, tied = strength > border, strength == border
    return float((edge[above].sum() + edge[tied].mean() * (k - above.sum())) / k)
