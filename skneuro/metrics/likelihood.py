"""Bits per spike, and the homogeneous Poisson model that they are measured against."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from skneuro.data.binning import BinnedSpikes

__all__ = [
    "bits_per_spike",
    "bits_per_spike_scorer",
    "homogeneous_rates",
    "null_log_likelihood",
    "poisson_log_pmf",
    "unit_null_log_likelihood",
]

CELLS_AT_ONCE = 2**17


def homogeneous_rates(binned: BinnedSpikes) -> np.ndarray:
    """Constant rate of each unit, ``(n + 1/2) / T`` over the time it was observed.

    Half a spike keeps the rate of a silent unit positive, so that a later spike of it is unlikely but
    not impossible. A unit that was never observed gets the mean rate of the others.

    Parameters
    ----------
    binned : BinnedSpikes
        Training data.

    Returns
    -------
    rates : ndarray of shape (n_units,), in hertz
        All positive.

    Raises
    ------
    TypeError
        If the spikes are not binned.
    ValueError
        If no unit was observed at all.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.7], []]], 0.0, 1.0)
    >>> homogeneous_rates(spikes.bin(0.5))
    array([2.5, 0.5])
    """
    if not isinstance(binned, BinnedSpikes):
        raise TypeError(f"binned must be BinnedSpikes. Got {type(binned).__name__}; use spikes.bin(bin_width).")
    seconds = binned.exposure()
    seen = seconds > 0
    if not seen.any():
        raise ValueError(
            f"Rates need observed time. Got {binned.n_bins} bins of {binned.bin_width:g} s, none of which was "
            f"observed over its whole width; check the observed intervals, or use a smaller bin_width."
        )
    rates = (binned.unit_counts() + 0.5) / np.where(seen, seconds, 1.0)
    return np.where(seen, rates, rates[seen].mean())


def poisson_log_pmf(counts: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Log-probability of Poisson counts, ``k log m - m - log k!``.

    Parameters
    ----------
    counts : array-like of int
        Spikes in each cell.
    mean : array-like, in spikes per cell, broadcast with `counts`
        Positive; 0 is legal and makes any spike impossible.

    Returns
    -------
    ndarray, in nats
        Log-probability of each count.

    Examples
    --------
    >>> poisson_log_pmf([0, 1, 2], 1.0).round(3)
    array([-1.   , -1.   , -1.693])
    """
    counts, mean = np.asarray(counts), np.asarray(mean, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        spikes = np.where(counts == 0, 0.0, counts * np.log(mean))
    return spikes - mean - gammaln(counts + 1.0)


def null_log_likelihood(binned: BinnedSpikes, rates: np.ndarray) -> np.ndarray:
    """Log-likelihood of each cell under constant Poisson rates.

    Parameters
    ----------
    binned : BinnedSpikes
        Data to score.
    rates : array-like of shape (n_units,), in hertz
        Constant rates, as `homogeneous_rates` of the training data gives them.

    Returns
    -------
    ndarray of shape (n_bins, n_units), in nats
        0 where a cell was not observed.

    Raises
    ------
    ValueError
        If there is not one rate per unit.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0).bin(0.5)
    >>> null_log_likelihood(binned, [2.0])
    array([[-1.],
           [-1.]])
    """
    return _null_cells(binned, _mean_counts(binned, rates), 0, binned.n_bins)


def unit_null_log_likelihood(binned: BinnedSpikes, rates: np.ndarray) -> np.ndarray:
    """Log-likelihood of each unit under constant Poisson rates, in memory that does not grow with the recording.

    Parameters
    ----------
    binned : BinnedSpikes
        Data to score.
    rates : array-like of shape (n_units,), in hertz
        Constant rates, as `homogeneous_rates` of the training data gives them.

    Returns
    -------
    ndarray of shape (n_units,), in nats
        Over the observed cells: the sum of `null_log_likelihood` over the bins.

    Raises
    ------
    ValueError
        If there is not one rate per unit.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0).bin(0.5)
    >>> unit_null_log_likelihood(binned, [2.0])
    array([-2.])
    """
    mean = _mean_counts(binned, rates)
    total, step = np.zeros(binned.n_units), max(CELLS_AT_ONCE // max(binned.n_units, 1), 1)
    for start in range(0, binned.n_bins, step):
        total += _null_cells(binned, mean, start, min(start + step, binned.n_bins)).sum(axis=0)
    return total


def _mean_counts(binned: BinnedSpikes, rates: np.ndarray) -> np.ndarray:
    rates = np.asarray(rates, dtype=np.float64)
    if rates.shape != (binned.n_units,):
        raise ValueError(f"rates must have one value for each of {binned.n_units} units. Got shape {rates.shape}.")
    return rates * binned.bin_width


def _null_cells(binned: BinnedSpikes, mean: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.where(binned.mask(start, stop), poisson_log_pmf(binned.dense(start, stop), mean), 0.0)


def bits_per_spike(log_likelihood: float, null_log_likelihood: float, n_spikes: int) -> float:
    """Gain over the null model per spike, ``(LL - LL_null) / (n_spikes ln 2)``.

    Numbers compare only on the same spikes at the same bin width: the null's likelihood depends on both.

    Parameters
    ----------
    log_likelihood, null_log_likelihood : float, in nats
        Totals over the same cells, ``log k!`` included in both.
    n_spikes : int
        Number of spikes in these cells.

    Returns
    -------
    float, in bits per spike
        0 for the null model itself.

    Raises
    ------
    ValueError
        If there are no spikes.

    Examples
    --------
    >>> import numpy as np
    >>> round(bits_per_spike(-10.0, -10.0 - 4 * np.log(2), 8), 6)
    0.5
    """
    if not n_spikes > 0:
        raise ValueError(
            f"Bits per spike need at least one observed spike in the data that are scored. Got {n_spikes}."
        )
    return float((log_likelihood - null_log_likelihood) / (n_spikes * np.log(2)))


def bits_per_spike_scorer(estimator: Any, X: Any, y: Any = None) -> float:
    """Score a fitted model in bits per spike; a ``scoring`` for scikit-learn's tools.

    Parameters
    ----------
    estimator : estimator
        A fitted model of spikes.
    X : SpikeTrains, Recording or array-like
        Held-out spikes.
    y : Modalities, Video, TimeSeries, array-like or None, default=None
        Stimuli of the same trials.

    Returns
    -------
    float, in bits per spike
        ``estimator.score(X, y)``.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skneuro.baselines import HomogeneousPoisson
    >>> counts = [[0, 2], [1, 0], [0, 1], [1, 1], [0, 2], [1, 1]]
    >>> scores = cross_val_score(HomogeneousPoisson(), counts, cv=2, scoring=bits_per_spike_scorer)
    >>> scores.round(6).tolist()
    [0.0, 0.0]
    """
    return float(estimator.score(X, y))
