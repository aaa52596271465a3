"""The recent past of all units in a lag basis, with the Gram matrix that follows from the cross-correlograms."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.connectivity.lags import LaggedCounts, lagged_moments, mean_counts
from skneuro.data import BinnedSpikes

__all__ = ["Past", "lag_basis"]


@dataclass(frozen=True, eq=False)
class Past:
    """The recent past of all units in a lag basis, and its Gram matrix.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    lagged : LaggedCounts
        The bins with a whole past, and their past.
    basis : ndarray of shape (n_lags, n_basis)
        Functions of the lag.
    gram : ndarray of shape (n_basis * n_units, n_basis * n_units)
        Covariance of the past per bin, basis function by basis function. Read from the cross-correlograms, which
        ignores what edges and gaps change.
    spectrum : tuple of ndarray
        Its eigenvalues and eigenvectors.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.past import Past
    >>> from skneuro.data import BinnedSpikes
    >>> counts = np.random.default_rng(0).poisson(0.1, (100, 2))
    >>> Past.of(BinnedSpikes.from_counts(counts, np.array([0, 100]), 0.005), 8, 3).gram.shape
    (6, 6)
    """

    binned: BinnedSpikes
    lagged: LaggedCounts
    basis: np.ndarray
    gram: np.ndarray
    spectrum: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, binned: BinnedSpikes, n_lags: int, n_basis: int) -> Past:
        """Lay out the past.

        Parameters
        ----------
        binned : BinnedSpikes
            Counts of all trials.
        n_lags : int
            Reach, in bins.
        n_basis : int
            Number of basis functions.

        Returns
        -------
        Past

        Raises
        ------
        ValueError
            If no bin has `n_lags` observed bins before it in its trial.
        """
        lagged, basis = LaggedCounts.of(binned, n_lags), lag_basis(n_lags, n_basis)
        if not len(lagged.rows):
            raise ValueError(
                f"No bin has {n_lags} observed bins before it in its trial. Give longer trials, or lower max_lag."
            )
        values, vectors = np.linalg.eigh(_gram(binned, basis))
        values = np.maximum(values, 0.0)
        return cls(binned, lagged, basis, (vectors * values) @ vectors.T, (values, vectors))

    def kernels(self, weights: np.ndarray) -> np.ndarray:
        """Return coefficients as kernels.

        Parameters
        ----------
        weights : ndarray of shape (n_basis * n_units, n_targets)
            Coefficients.

        Returns
        -------
        ndarray of shape (n_targets, n_units, n_lags), in nats per spike
        """
        shaped = weights.reshape(self.basis.shape[1], self.binned.n_units, -1)
        return np.einsum("lk,kji->ijl", self.basis, shaped)

    def drive(self, weights: np.ndarray) -> np.ndarray:
        """Return the influence of the past on every bin.

        Parameters
        ----------
        weights : ndarray of shape (n_basis * n_units, n_targets)
            Coefficients.

        Returns
        -------
        ndarray of shape (n_rows, n_targets), float32, in nats
        """
        return self.lagged.forward(self.kernels(weights).transpose(2, 1, 0))


def lag_basis(n_lags: int, n_functions: int) -> np.ndarray:
    """Return raised cosines that tile the lags, narrow at short lags and wide at long ones.

    Parameters
    ----------
    n_lags : int
        Number of lags, in bins.
    n_functions : int
        Number of functions; `n_lags` or more gives one function per lag.

    Returns
    -------
    ndarray of shape (n_lags, n_functions)
        Each function peaks at 1.

    Examples
    --------
    >>> from skneuro.connectivity.past import lag_basis
    >>> lag_basis(10, 4).shape
    (10, 4)
    """
    if n_functions >= n_lags:
        return np.eye(n_lags)
    position = np.log(np.arange(n_lags) + 2.0)
    centres = np.linspace(position[0], position[-1], n_functions)
    spacing = (position[-1] - position[0]) / max(n_functions - 1, 1)
    phase = np.clip((position[:, None] - centres) * np.pi / (2 * max(spacing, 1e-12)), -np.pi, np.pi)
    basis = 0.5 * (1.0 + np.cos(phase))
    return basis / basis.max(axis=0)


def _gram(binned: BinnedSpikes, basis: np.ndarray) -> np.ndarray:
    n_lags, n_basis = basis.shape
    mean, n_units = mean_counts(binned), binned.n_units
    gram = np.zeros((n_basis, n_units, n_basis, n_units))
    for lag in range(n_lags):
        moments = lagged_moments(binned, lag)
        covariance = moments.product / np.maximum(moments.n, 1.0) - mean[:, None] * mean
        # overlap[k, m] = sum over lags l of basis[l, k] * basis[l + lag, m]
        overlap = basis[: n_lags - lag].T @ basis[lag:]
        part = overlap[:, None, :, None] * covariance[None, :, None, :]
        gram += part if lag == 0 else part + part.transpose(2, 3, 0, 1)
    size = n_basis * n_units
    return gram.reshape(size, size)
