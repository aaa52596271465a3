"""Which couplings are more than chance, at a stated rate of false discoveries."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy import special, stats

from skneuro._sklearn_compat import Interval, validate_parameter_constraints
from skneuro.metrics._adjacency_pairs import square

__all__ = ["normal_score", "significant_edges"]

_MANY = 1e4  # events, from which on gamma functions lose digits and skewness does not matter


def significant_edges(
    z: np.ndarray, fdr: float, *, n_looks: int = 1, probability: np.ndarray | None = None
) -> np.ndarray:
    """Choose edges so that at most a fraction `fdr` of them is expected to be false.

    The scores are first put on an empirical scale (Efron, J. Am. Stat. Assoc. 2004): most pairs of neurons are not
    connected, so the median of ``|z|`` must be that of noise, and where it is larger (shared input, drift, counts that
    are more variable than assumed) all scores are divided by the excess. Then Benjamini & Hochberg's procedure, on
    two-sided p-values. Where posterior probabilities are known, those chosen must also have an expected fraction of
    false edges of at most `fdr` by them.

    Parameters
    ----------
    z : ndarray of shape (n_units, n_units)
        Scores, standard normal where there is no edge; NaN is never chosen.
    fdr : float
        Rate of false discoveries, between 0 and 1.
    n_looks : int, default=1
        Of how many (independent) looks, at different lags, each score is the most extreme.
    probability : ndarray of shape (n_units, n_units), default=None
        Posterior probability of an edge.

    Returns
    -------
    ndarray of shape (n_units, n_units), bool

    Raises
    ------
    ValueError
        If the matrices are not square and of the same shape, or a number is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.significance import significant_edges
    >>> z = np.random.default_rng(2).standard_normal((20, 20))
    >>> z[3, 5] = 9.0
    >>> np.argwhere(significant_edges(z, 0.05)).tolist()
    [[3, 5]]
    """
    validate_parameter_constraints(
        {"fdr": [Interval(Real, 0, 1, closed="neither")], "n_looks": [Interval(Integral, 1, None, closed="left")]},
        {"fdr": fdr, "n_looks": n_looks},
        caller_name="significant_edges",
    )
    weighed = probability is not None
    z, probability = square(z, z if probability is None else probability)
    known = np.isfinite(z)
    np.fill_diagonal(known, False)
    chosen = np.zeros(z.shape, dtype=bool)
    if not known.any():
        return chosen
    size = np.abs(z[known])
    noise_median = stats.norm.isf(0.5 * (1.0 - 0.5 ** (1.0 / n_looks)))
    size /= max(float(np.median(size)) / noise_median, 1.0)
    p = -np.expm1(n_looks * np.log1p(-np.minimum(2.0 * stats.norm.sf(size), 1.0 - 1e-12)))
    passed = _step_up(p, fdr)
    if weighed:
        passed &= _expected_false(1.0 - probability[known], fdr)
    chosen[known] = passed
    return chosen


def normal_score(z: np.ndarray, n_expected: np.ndarray) -> np.ndarray:
    """Standard normal scores of counts whose deviation from few expected events is known in standard deviations.

    A count of Poisson's distribution is skewed: with one event expected, five are 4 standard deviations off, and
    happen once in 270 times. The score is the normal deviate of the count's own mid-p, which is `z` again where many
    are expected.

    Parameters
    ----------
    z : ndarray
        Deviations, ``(n - n_expected) / sqrt(n_expected)``.
    n_expected : ndarray of the same shape
        Events expected, as many as make the sum of weighted events as skewed as it is.

    Returns
    -------
    ndarray of the same shape

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.significance import normal_score
    >>> normal_score(np.array([4.0, 4.0]), np.array([1.0, 1e6])).round(2)
    array([2.97, 4.  ])
    """
    n_expected = np.maximum(n_expected, 1e-12)
    n = np.maximum(n_expected + z * np.sqrt(n_expected), 0.0) + 0.5  # by half an event: mid-p of a lattice
    more, fewer = special.gammainc(n, n_expected), special.gammaincc(n, n_expected)
    score = np.where(more < fewer, stats.norm.isf(more), -stats.norm.isf(fewer))
    # The signed root of the deviance where probabilities are less than doubles hold, or events too many for them.
    root = np.sign(z) * np.sqrt(2.0 * np.maximum(special.kl_div(n - 0.5, n_expected), 0.0))
    return np.where(np.isfinite(score) & (n_expected < _MANY), score, root)


def _step_up(p: np.ndarray, fdr: float) -> np.ndarray:
    order = np.argsort(p, kind="stable")
    below = p[order] <= fdr * np.arange(1, len(p) + 1) / len(p)
    passed = np.zeros(len(p), dtype=bool)
    if below.any():
        passed[order[: np.flatnonzero(below)[-1] + 1]] = True
    return passed


def _expected_false(local: np.ndarray, fdr: float) -> np.ndarray:
    """Those of lowest local false-discovery rate, as long as their mean is at most `fdr`."""
    order = np.argsort(local, kind="stable")
    mean = np.cumsum(local[order]) / np.arange(1, len(local) + 1)
    passed = np.zeros(len(local), dtype=bool)
    passed[order[mean <= fdr]] = True
    return passed
