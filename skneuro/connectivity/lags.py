"""Spike counts of the recent past, bin by bin, without ever crossing the edge of a trial or a gap.

Bins without a whole past are left out. Where only a single unit was not observed, it is put at its mean
count, which after centring is zero: it then speaks neither for an influence nor against it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skneuro.data import BinnedSpikes

__all__ = [
    "LaggedCounts",
    "LaggedMoments",
    "lagged_moments",
    "mean_counts",
    "observed_counts",
    "pair_observations",
    "whole_past",
]


def observed_counts(binned: BinnedSpikes) -> sparse.csr_array:
    """Return the counts as float64, without the spikes of cells that are masked.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.

    Returns
    -------
    scipy.sparse.csr_array of shape (n_bins, n_units), float64

    Examples
    --------
    >>> from skneuro.connectivity.lags import observed_counts
    >>> from skneuro.data import SpikeTrains
    >>> binned = SpikeTrains.from_lists([[[0.1, 0.95]]], 0.0, 0.98).bin(0.1)
    >>> binned.n_spikes, int(observed_counts(binned).sum())
    (2, 1)
    """
    counts = binned.counts.astype(np.float64)
    if binned.bin_observed is None and binned.cell_observed is None:
        return counts
    row, column = np.repeat(np.arange(binned.n_bins), np.diff(counts.indptr)), counts.indices
    seen = np.ones(len(row), dtype=bool)
    if binned.bin_observed is not None:
        seen &= binned.bin_observed[row]
    if binned.cell_observed is not None:
        seen &= binned.cell_observed[row, column]
    kept = (counts.data[seen], (row[seen], column[seen]))
    return sparse.csr_array(kept, shape=counts.shape)


def _bins_into_trial(binned: BinnedSpikes) -> np.ndarray:
    """How many bins of the trial come before each bin."""
    return np.arange(binned.n_bins) - np.repeat(binned.ptr[:-1], np.diff(binned.ptr))


def _bin_seen(binned: BinnedSpikes) -> np.ndarray:
    return np.ones(binned.n_bins, dtype=bool) if binned.bin_observed is None else binned.bin_observed


def whole_past(binned: BinnedSpikes, n_lags: int) -> np.ndarray:
    """Return the bins whose past, `n_lags` bins long, lies in the same trial and was observed, as they were.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Number of past bins, 0 or more.

    Returns
    -------
    ndarray of shape (n_rows,), int64
        Rows of the counts. Gaps of single units do not matter here.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.lags import whole_past
    >>> from skneuro.data import BinnedSpikes
    >>> whole_past(BinnedSpikes.from_counts(np.zeros((7, 1)), np.array([0, 4, 7]), 0.01), 2)
    array([2, 3, 6])
    """
    seen = _bin_seen(binned)
    rows = np.flatnonzero(seen & (_bins_into_trial(binned) >= n_lags))
    return rows[np.all([seen[rows - lag] for lag in range(n_lags + 1)], axis=0)]


@dataclass(frozen=True, eq=False)
class LaggedCounts:
    """The linear map from coupling kernels to the log-intensity of bins with a whole past, and back.

    Made by `of`. Counts are centred on each unit's mean.

    Parameters
    ----------
    rows : ndarray of shape (n_rows,), int64
        Which bins.
    design : scipy.sparse.csr_array of shape (n_rows, n_lags * n_units), float32
        Counts at lags 1 .. n_lags; lag by lag, unit by unit within a lag.
    mean : ndarray of shape (n_units,)
        Mean count per observed bin.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.lags import LaggedCounts
    >>> from skneuro.data import BinnedSpikes
    >>> past = LaggedCounts.of(BinnedSpikes.from_counts(np.array([[2], [0], [1]]), np.array([0, 3]), 0.01), 1)
    >>> past.forward(np.ones((1, 1, 1)))
    array([[ 1.],
           [-1.]], dtype=float32)
    """

    rows: np.ndarray
    design: sparse.csr_array
    mean: np.ndarray

    @classmethod
    def of(cls, binned: BinnedSpikes, n_lags: int) -> LaggedCounts:
        """Lay out the past.

        Parameters
        ----------
        binned : BinnedSpikes
            Counts of all trials.
        n_lags : int
            Number of past bins.

        Returns
        -------
        LaggedCounts
        """
        counts, mean, rows = observed_counts(binned), mean_counts(binned), whole_past(binned, n_lags)
        if binned.cell_observed is not None:
            row, column = np.nonzero(~binned.cell_observed & _bin_seen(binned)[:, None])
            counts = counts + sparse.csr_array((mean[column], (row, column)), shape=counts.shape)
        past = [counts[rows - lag] for lag in range(1, n_lags + 1)]
        return cls(rows, sparse.hstack(past, format="csr").astype(np.float32), mean)

    def forward(self, kernels: np.ndarray) -> np.ndarray:
        """Return the summed influence of the past on every bin.

        Parameters
        ----------
        kernels : ndarray of shape (n_lags, n_units, n_targets), in nats per spike
            Influence of one spike of a unit at each lag.

        Returns
        -------
        ndarray of shape (n_rows, n_targets), float32, in nats
            Zero on average.
        """
        centre = np.einsum("j,lji->i", self.mean, kernels)
        influence = self.design @ kernels.reshape(-1, kernels.shape[2]).astype(np.float32)
        influence -= centre.astype(np.float32)
        return influence

    def backward(self, values: np.ndarray) -> np.ndarray:
        """Return the transpose of `forward`: the sum over bins of `values` times the past.

        Parameters
        ----------
        values : ndarray of shape (n_rows, n_targets), float32
            One number per bin and target.

        Returns
        -------
        ndarray of shape (n_lags, n_units, n_targets)
        """
        raw = (self.design.T @ values).reshape(-1, len(self.mean), values.shape[1])
        return raw - values.sum(axis=0, dtype=np.float64) * self.mean[:, None]


def mean_counts(binned: BinnedSpikes) -> np.ndarray:
    """Return each unit's mean count per observed bin, 0 for a unit that was never observed.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.

    Returns
    -------
    ndarray of shape (n_units,)
    """
    n_bins = binned.exposure() / binned.bin_width
    return binned.unit_counts() / np.maximum(n_bins, 1.0)


@dataclass(frozen=True, eq=False)
class LaggedMoments:
    """Sums over the bins in which both units of a pair were observed, the source some bins earlier.

    All are ndarrays of shape (n_units, n_units), ``[target, source]``.

    Parameters
    ----------
    n : ndarray
        Number of such bins.
    target, source, product : ndarray
        Sums of the target's counts, the source's counts and their product.
    target_square, source_square : ndarray
        Sums of squared counts.
    """

    n: np.ndarray
    target: np.ndarray
    source: np.ndarray
    product: np.ndarray
    target_square: np.ndarray
    source_square: np.ndarray

    def correlation(self) -> np.ndarray:
        """Return Pearson's correlation of each pair, NaN where a count does not vary.

        Returns
        -------
        ndarray of shape (n_units, n_units)
        """
        covariance = self.n * self.product - self.target * self.source
        scale = (self.n * self.target_square - self.target**2) * (self.n * self.source_square - self.source**2)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(scale > 0, covariance / np.sqrt(scale), np.nan)


def lagged_moments(binned: BinnedSpikes, lag: int) -> LaggedMoments:
    """Sum counts and products of all pairs at one lag.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    lag : int, in bins
        How long before the target the source is read, 0 or more.

    Returns
    -------
    LaggedMoments

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.lags import lagged_moments
    >>> from skneuro.data import BinnedSpikes
    >>> counts = np.array([[1, 0], [0, 2], [1, 0], [0, 1]])
    >>> binned = BinnedSpikes.from_counts(counts, np.array([0, 2, 4]), 0.01)
    >>> lagged_moments(binned, 1).product
    array([[0., 0.],
           [3., 0.]])
    """
    n_units = binned.n_units
    seen = _bin_seen(binned)
    rows = np.flatnonzero(seen & (_bins_into_trial(binned) >= lag))
    rows = rows[seen[rows - lag]]
    counts = observed_counts(binned)
    target, source = counts[rows], counts[rows - lag]
    if binned.cell_observed is None:
        ones = np.ones((n_units, n_units))
        sums = [
            len(rows) * ones,
            target.sum(axis=0)[:, None] * ones,
            source.sum(axis=0)[None, :] * ones,
            (target.T @ source).toarray(),
            target.power(2).sum(axis=0)[:, None] * ones,
            source.power(2).sum(axis=0)[None, :] * ones,
        ]
    else:
        target_seen = binned.cell_observed[rows].astype(np.float64)
        source_seen = binned.cell_observed[rows - lag].astype(np.float64)
        sums = [
            target_seen.T @ source_seen,
            target.T @ source_seen,
            (source.T @ target_seen).T,
            (target.T @ source).toarray(),
            target.power(2).T @ source_seen,
            (source.power(2).T @ target_seen).T,
        ]
    return LaggedMoments(*sums)


def pair_observations(binned: BinnedSpikes, n_lags: int) -> np.ndarray:
    """Count the bins in which the target and the whole past of the source were observed.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    n_lags : int
        Number of past bins; 0 for the source in the same bin.

    Returns
    -------
    ndarray of shape (n_units, n_units), int64
        ``[target, source]``.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.lags import pair_observations
    >>> from skneuro.data import BinnedSpikes
    >>> binned = BinnedSpikes.from_counts(np.zeros((10, 1)), np.array([0, 10]), 0.01)
    >>> pair_observations(binned, 3)
    array([[7]])
    """
    rows = whole_past(binned, n_lags)
    lags = range(1, n_lags + 1) if n_lags else range(1)
    if binned.cell_observed is None:
        return np.full((binned.n_units, binned.n_units), len(rows), dtype=np.int64)
    cells = binned.cell_observed
    past = np.all([cells[rows - lag] for lag in lags], axis=0)
    return np.rint(cells[rows].astype(np.float64).T @ past.astype(np.float64)).astype(np.int64)
