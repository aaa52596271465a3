"""Adjacency from counts alone, without a fitted model: correlations and cross-correlograms.

Every function takes binned spikes and returns ``adjacency[target, source]``; the diagonal means nothing.
"""

from __future__ import annotations

import numpy as np

from skneuro.connectivity.lags import lagged_moments
from skneuro.data import BinnedSpikes

__all__ = ["cross_correlogram_z", "lagged_correlation", "partial_correlation", "pearson"]

_HOLLOW_FRACTION = 0.6  # Stark & Abeles (2009)
_SYNAPSE = 0.001  # s, the shortest delay of a synapse: in wider bins, part of a peak stands at lag 0
_SHRINKAGE = 0.01


def pearson(binned: BinnedSpikes) -> np.ndarray:
    """Pearson's correlation of counts in the same bin. It is symmetric: it knows no direction.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.

    Returns
    -------
    ndarray of shape (n_units, n_units)
        NaN for a unit whose count does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.baselines import pearson
    >>> from skneuro.data import BinnedSpikes
    >>> counts = np.array([[1, 2], [0, 0], [2, 4], [1, 2]])
    >>> bool(np.isclose(pearson(BinnedSpikes.from_counts(counts, np.array([0, 4]), 0.01))[0, 1], 1.0))
    True
    """
    return lagged_moments(binned, 0).correlation()


def partial_correlation(binned: BinnedSpikes) -> np.ndarray:
    """Correlation of two units' counts given all other units' counts in the same bin. It is symmetric.

    The correlation matrix is shrunk by 1 % towards the identity before it is inverted, and made positive
    definite where gaps of single units have made it indefinite.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.

    Returns
    -------
    ndarray of shape (n_units, n_units)
        NaN for a unit whose count does not vary.

    Examples
    --------
    Two units that a third one drives are correlated, but not given the third:

    >>> import numpy as np
    >>> from skneuro.connectivity.baselines import partial_correlation, pearson
    >>> from skneuro.data import BinnedSpikes
    >>> rng = np.random.default_rng(0)
    >>> driver = rng.poisson(1.0, 20000)
    >>> counts = np.column_stack([driver, driver + rng.poisson(1.0, 20000), driver + rng.poisson(1.0, 20000)])
    >>> binned = BinnedSpikes.from_counts(counts, np.array([0, 20000]), 0.01)
    >>> bool(pearson(binned)[1, 2] > 0.45), bool(abs(partial_correlation(binned)[1, 2]) < 0.05)
    (True, True)
    """
    correlation = pearson(binned)
    result = np.full_like(correlation, np.nan)
    varies = ~np.isnan(np.diag(correlation))
    if varies.any():
        known = np.nan_to_num(correlation[np.ix_(varies, varies)])
        np.fill_diagonal(known, 1.0)
        values, vectors = np.linalg.eigh((1 - _SHRINKAGE) * known + _SHRINKAGE * np.eye(len(known)))
        root = vectors / np.sqrt(np.maximum(values, _SHRINKAGE))
        precision = root @ root.T
        scale = np.sqrt(np.diag(precision))
        result[np.ix_(varies, varies)] = -precision / np.outer(scale, scale)
    return result


def lagged_correlation(binned: BinnedSpikes, n_lags: int) -> np.ndarray:
    """Strongest correlation of the target's count with the source's count 1 .. `n_lags` bins before.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Number of lags, in bins.

    Returns
    -------
    ndarray of shape (n_units, n_units)
        Signed; NaN where a count does not vary.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.baselines import lagged_correlation
    >>> from skneuro.data import BinnedSpikes
    >>> source = np.random.default_rng(0).poisson(0.5, 1000)
    >>> counts = np.column_stack([source, np.roll(source, 2)])
    >>> strongest = lagged_correlation(BinnedSpikes.from_counts(counts, np.array([0, 1000]), 0.01), 3)
    >>> bool(strongest[1, 0] > 0.99), bool(abs(strongest[0, 1]) < 0.2)
    (True, True)
    """
    result = np.full((binned.n_units, binned.n_units), np.nan)
    for lag in range(1, n_lags + 1):
        correlation = lagged_moments(binned, lag).correlation()
        stronger = np.abs(correlation) > np.nan_to_num(np.abs(result), nan=-1.0)
        result = np.where(stronger, correlation, result)
    return result


def cross_correlogram_z(binned: BinnedSpikes, n_lags: int, n_peak_lags: int, n_wide: int = 1) -> np.ndarray:
    """Strongest deviation of the cross-correlogram from its own smooth trend, as a z score.

    The trend is the correlogram smoothed with a Gaussian whose centre is partly cut out, so that a narrow
    peak does not raise its own baseline (Stark & Abeles, J. Neurosci. Methods 2009). Slow common input is
    part of the trend; a fast, delayed effect is not.

    A strong peak would bend the trend on the other side of lag 0 too, and fake an opposite effect from the target back
    to the source. So the weaker direction of two is also judged over a trend without lags 1 .. `n_peak_lags` of the
    stronger one, and the smaller deviation counts. In bins wider than 1 ms part of a peak stands at lag 0, where it has
    no direction and would fake inhibition both ways: there lag 0 has no part in the trend.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Half-width of the smoothing in bins: two standard deviations of the Gaussian.
    n_peak_lags : int
        The peak or trough is looked for at lags 1 .. `n_peak_lags`, in bins.
    n_wide : int, default=1
        Neighbouring lags that are summed before they are judged: the width of a peak, in bins.

    Returns
    -------
    ndarray of shape (n_units, n_units)
        ``(count - trend) / sqrt(trend)`` where it is largest in absolute value; NaN where no pair of spikes
        is expected.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.baselines import cross_correlogram_z
    >>> from skneuro.data import BinnedSpikes
    >>> source = np.random.default_rng(0).poisson(0.5, 1000)
    >>> counts = np.column_stack([source, np.roll(source, 2)])
    >>> z = cross_correlogram_z(BinnedSpikes.from_counts(counts, np.array([0, 1000]), 0.005), 6, 3)
    >>> bool(z[1, 0] > 5), bool(abs(z[0, 1]) < 4)
    (True, True)
    """
    reach = n_peak_lags + 2 * n_lags
    moments = [lagged_moments(binned, lag) for lag in range(reach + 1)]
    product = np.stack([m.product.T for m in moments[:0:-1]] + [m.product for m in moments])
    pairs = np.stack([m.n.T for m in moments[:0:-1]] + [m.n for m in moments])
    lag, looked_at = np.arange(-reach, reach + 1), np.arange(1, n_peak_lags + 1)
    offset = looked_at[:, None] - lag
    kernel = np.exp(-0.5 * (offset / max(n_lags / 2.0, 0.5)) ** 2) * (np.abs(offset) <= 2 * n_lags)
    kernel[offset == 0] *= 1.0 - _HOLLOW_FRACTION
    if binned.bin_width > _SYNAPSE * (1 + 1e-9):
        kernel = kernel * (lag != 0)
    n_wide = min(n_wide, n_peak_lags)
    z = _strongest_peak(product, pairs, kernel, n_wide)
    one_sided = _strongest_peak(product, pairs, kernel * ((lag < -n_peak_lags) | (lag >= 0)), n_wide)
    artefact = (np.abs(z) < np.abs(z.T)) & (np.abs(one_sided) < np.abs(z))
    return np.where(artefact, one_sided, z)


def _strongest_peak(product: np.ndarray, pairs: np.ndarray, kernel: np.ndarray, n_wide: int) -> np.ndarray:
    """Score of the strongest deviation from the trend: `kernel` (lags looked at, all lags) times the counts."""
    smooth_product, smooth_pairs = (np.tensordot(kernel, series, axes=1) for series in (product, pairs))
    first = len(product) // 2 + 1
    product, pairs = (series[first : first + len(kernel)] for series in (product, pairs))
    # Long lags have fewer pairs of bins where trials are short: the trend is that of the rate, not of the
    # counts.
    trend = pairs * smooth_product / np.maximum(smooth_pairs, np.finfo(float).tiny)
    product, trend = (
        np.lib.stride_tricks.sliding_window_view(series, n_wide, axis=0).sum(-1) for series in (product, trend)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        z = np.where(trend > 0, (product - trend) / np.sqrt(trend), np.nan)
    strongest = np.argmax(np.nan_to_num(np.abs(z), nan=-1.0), axis=0)
    return np.take_along_axis(z, strongest[None], axis=0)[0]
