"""What the other units say of the state of the population: their mean rate, or a few latent factors."""

from __future__ import annotations

import warnings

import numpy as np
from scipy.ndimage import gaussian_filter1d
from sklearn.decomposition import FactorAnalysis
from sklearn.exceptions import ConvergenceWarning

from skneuro.data.binning import BinnedSpikes
from skneuro.data.time_series import TimeSeries

SMOOTHING = 0.05  # s, of the counts that factors are found in
MAX_ITER = 200


def population_rate(binned: BinnedSpikes, unit: int) -> np.ndarray:
    """Mean count of the other units that were observed, (n_bins, 1); NaN where none was."""
    seen = binned.mask()
    seen[:, unit] = False
    n_seen = seen.sum(axis=1)
    total = np.where(seen, binned.dense(), 0).sum(axis=1)
    return np.where(n_seen > 0, total / np.maximum(n_seen, 1), np.nan)[:, None]


def latent_factors(binned: BinnedSpikes, unit: int, training: np.ndarray, n_latents: int) -> np.ndarray:
    """Factors of the other units' counts, (n_bins, n_latents), found in some trials and computed in all.

    Square roots of the counts, smoothed within trials, go into a factor analysis, which tells what units share from
    what each does by itself.

    Parameters
    ----------
    binned : BinnedSpikes
    unit : int
        Column that is left out.
    training : ndarray of int
        Trials in which the factors are found.
    n_latents : int
    """
    others = np.arange(binned.n_units) != unit
    seen = binned.mask()[:, others]
    roots = np.sqrt(binned.dense()[:, others])
    mean = np.where(seen, roots, 0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    roots = np.where(seen, roots, mean)  # what was not observed says nothing
    width = max(SMOOTHING / binned.bin_width, 1e-6)
    trials = zip(binned.ptr[:-1], binned.ptr[1:], strict=True)
    smooth = np.concatenate([gaussian_filter1d(roots[a:b], width, axis=0) for a, b in trials])
    trial = np.repeat(np.arange(binned.n_trials), np.diff(binned.ptr))
    model = FactorAnalysis(n_latents, max_iter=MAX_ITER, svd_method="lapack")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a nuisance model: near its optimum will do
        model.fit(smooth[np.isin(trial, training)])
    return model.transform(smooth)


def as_series(values: np.ndarray, binned: BinnedSpikes) -> TimeSeries:
    """Values of bins as a series; the last one of a trial stands a bin longer, so that every trial is covered."""
    row = np.concatenate(
        [np.append(np.arange(a, b), max(b - 1, a)) for a, b in zip(binned.ptr[:-1], binned.ptr[1:], strict=True)]
    )
    n_bins = np.diff(binned.ptr) + 1
    ptr = np.concatenate([[0], np.cumsum(n_bins)])
    place = np.arange(ptr[-1]) - np.repeat(ptr[:-1], n_bins)
    times = np.repeat(binned.t_start, n_bins) + place * binned.bin_width
    return TimeSeries(values[np.minimum(row, len(values) - 1)], times, ptr)
