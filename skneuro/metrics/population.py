"""What units do together: how many spikes in a bin, who varies with whom, in how many dimensions."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import (
    check_same_units,
    check_spikes,
    check_whole_bins,
    observed_counts,
    stimulus_numbers,
    trial_and_place,
)

__all__ = [
    "noise_correlations",
    "pairwise_correlations",
    "population_count_distribution",
    "population_count_kl",
    "shared_variance",
]


def population_count_distribution(spikes: SpikeTrains, bin_width: float) -> np.ndarray:
    """How often the population fires 0, 1, 2, ... spikes in a bin.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials. Bins in which a unit was not observed are left out.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    n_bins : ndarray of shape (largest count + 1,), int64
        Number of bins with 0, 1, ... spikes.

    Raises
    ------
    ValueError
        If no bin was observed for all units.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.7], [0.2]]], 0.0, 1.5)
    >>> population_count_distribution(spikes, 0.5)
    array([1, 1, 1])
    """
    binned = check_spikes(spikes).bin(bin_width)
    whole = np.ones(binned.n_bins, dtype=bool) if binned.bin_observed is None else binned.bin_observed.copy()
    if binned.cell_observed is not None:
        whole &= binned.cell_observed.all(axis=1)
    if not whole.any():
        raise ValueError("No bin was observed for all units at once; select units that were recorded together.")
    return np.bincount(np.asarray(binned.counts.sum(axis=1)).ravel()[whole])


def population_count_kl(recorded: SpikeTrains, sampled: SpikeTrains, bin_width: float) -> float:
    """Kullback-Leibler divergence of the simulated population counts from the recorded ones.

    Half a bin is added to every count up to the largest of either, so that the divergence is finite. Counts far beyond
    the usual, such as an artefact's, share one class (see Notes): otherwise a single bin of thousands of spikes would
    add so many half bins that any two distributions were alike. More data make the divergence smaller: compare it
    with that of two recordings of the same length.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        With the same units.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    divergence : float, in bits
        0 where the distributions are equal.

    Raises
    ------
    ValueError
        If the units differ.

    Notes
    -----
    Usual is the largest count when the fullest 0.1 % of the bins, three at least, are left out. Counts above twice
    the larger of the two usual ones plus 10, or above ten times the smaller plus 100, share a class.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.7], [0.2]]], 0.0, 1.5)
    >>> population_count_kl(spikes, spikes, 0.5)
    0.0
    """
    check_same_units(recorded, sampled)
    return histogram_kl(
        population_count_distribution(recorded, bin_width), population_count_distribution(sampled, bin_width)
    )


def histogram_kl(p: np.ndarray, q: np.ndarray) -> float:
    """Divergence of `q` from `p`, in bits, of two histograms with half an entry added to each class."""
    usual = _usual(p), _usual(q)
    largest = min(2 * max(usual) + 10, 10 * min(usual) + 100)
    p, q = (h if len(h) <= largest + 1 else np.append(h[: largest + 1], h[largest + 1 :].sum()) for h in (p, q))
    n = max(len(p), len(q))
    p, q = (np.pad(h, (0, n - len(h))) + 0.5 for h in (p, q))
    p, q = p / p.sum(), q / q.sum()
    return float((p * np.log2(p / q)).sum())


def _usual(n_bins: np.ndarray) -> int:
    """Largest count of a histogram without its 0.1 % fullest bins, three at least."""
    left_out = max(0.001 * n_bins.sum(), 3)
    with_more = np.cumsum(n_bins[::-1])[::-1]  # bins with at least so many spikes
    return max(int((with_more > left_out).sum()) - 1, 0)


def pairwise_correlations(spikes: SpikeTrains, bin_width: float) -> np.ndarray:
    """Pearson correlations of the counts of all pairs of units.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    correlations : ndarray of shape (n_units, n_units)
        Over the bins that both units of a pair observed; NaN on the diagonal, and for units that do not vary.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1], [0.2], [0.7]]], 0.0, 1.0)
    >>> pairwise_correlations(spikes, 0.5).round(6).tolist()
    [[nan, 1.0, -1.0], [1.0, nan, -1.0], [-1.0, -1.0, nan]]
    """
    return _correlations(observed_counts(check_spikes(spikes).bin(bin_width)))


def noise_correlations(spikes: SpikeTrains, stimulus_ids: Any, bin_width: float) -> np.ndarray:
    """Correlations of what the counts of two units have over their mean response to the stimulus.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    stimulus_ids : array-like of shape (n_trials,)
        Which stimulus each trial had. Trials whose stimulus was not repeated have no noise and are left out.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    correlations : ndarray of shape (n_units, n_units)
        NaN on the diagonal, and for units that do not vary.

    Raises
    ------
    ValueError
        If no stimulus was repeated, or no trial is as long as a bin.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1], [0.2]], [[], []], [[0.1], [0.3]]], 0.0, 0.5)
    >>> noise_correlations(spikes, [0, 0, 0], 0.5).round(6).tolist()
    [[nan, 1.0], [1.0, nan]]
    """
    ids = stimulus_numbers(stimulus_ids, len(check_spikes(spikes)))
    binned = spikes.bin(bin_width)
    trial, place = trial_and_place(binned)
    counts = observed_counts(binned)
    # One mean for each stimulus, bin of the trial and unit.
    cell = np.unique(np.stack([ids[trial], place]), axis=1, return_inverse=True)[1].ravel()
    seen = np.isfinite(counts)
    total = np.zeros((cell.max() + 1, binned.n_units))
    n = np.zeros_like(total)
    np.add.at(total, cell, np.where(seen, counts, 0.0))
    np.add.at(n, cell, seen)
    repeated = n[cell] > 1
    if not repeated.any():
        check_whole_bins(binned, "bin_width")
        raise ValueError("Noise correlations need a stimulus that was repeated. Got none.")
    return _correlations(np.where(repeated, counts - total[cell] / np.maximum(n[cell], 1), np.nan))


def _correlations(counts: np.ndarray) -> np.ndarray:
    """Correlations of the columns of an array with missing values, as if each pair had been taken alone."""
    seen = np.isfinite(counts).astype(np.float64)
    n = np.maximum(seen.T @ seen, 1)
    # Centred first, which leaves the correlations as they are and the sums small.
    centre = np.where(seen, counts, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    x = np.where(seen > 0, counts - centre, 0.0)
    mean = (x.T @ seen) / n
    power = ((x**2).T @ seen) / n - mean**2
    covariance = (x.T @ x) / n - mean * mean.T
    scale = np.sqrt(np.maximum(power * power.T, 0.0))
    varies = (power > 1e-12) & (power.T > 1e-12)
    correlations = np.where(varies, covariance / np.where(varies, scale, 1.0), np.nan)
    np.fill_diagonal(correlations, np.nan)
    return correlations


def shared_variance(spikes: SpikeTrains, bin_width: float, n_components: int = 10) -> tuple[float, float]:
    """In how many dimensions the units vary together, and how much of their variance that is.

    Factor analysis of the standardised counts. The dimensionality is the participation ratio
    ``(sum of eigenvalues)^2 / sum of squares`` of the shared covariance.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials. Bins in which a unit was not observed are left out.
    bin_width : float, in seconds
        Width of a bin; 50 to 100 ms is usual.
    n_components : int, default=10
        Most dimensions that can be found; at most one less than the units that vary.

    Returns
    -------
    dimensionality : float
        Between 1 and `n_components`.
    share : float
        Shared over total variance, mean over units.

    Raises
    ------
    ValueError
        If fewer than two units vary, or there are fewer bins than units.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> rng = np.random.default_rng(0)
    >>> together = rng.poisson(np.exp(rng.normal(0.0, 0.7, (2000, 1)) + np.zeros(6)))
    >>> dimensionality, share = shared_variance(SpikeTrains.from_counts(together, 0.1), 0.1)
    >>> round(dimensionality), bool(share > 0.3)
    (1, True)
    """
    from sklearn.decomposition import FactorAnalysis

    if isinstance(n_components, bool) or not isinstance(n_components, Integral) or n_components < 1:
        raise ValueError(f"n_components must be an int of at least 1. Got {n_components!r:.80} instead.")
    counts = observed_counts(check_spikes(spikes).bin(bin_width))
    counts = counts[np.isfinite(counts).all(axis=1)]
    counts = counts[:, counts.std(axis=0) > 0] if len(counts) else counts
    if counts.shape[1] < 2 or len(counts) <= counts.shape[1]:
        raise ValueError(
            f"Shared variance needs at least two units that vary and more bins than units. Got {counts.shape[0]} bins "
            f"and {counts.shape[1]} units."
        )
    z = (counts - counts.mean(axis=0)) / counts.std(axis=0)
    model = FactorAnalysis(n_components=min(int(n_components), z.shape[1] - 1), svd_method="lapack").fit(z)
    loadings = model.components_  # (n_components, n_units)
    eigenvalues = np.linalg.eigvalsh(loadings @ loadings.T)
    share = (loadings**2).sum(axis=0)
    return (
        float(eigenvalues.sum() ** 2 / (eigenvalues**2).sum()),
        float((share / (share + model.noise_variance_)).mean()),
    )
