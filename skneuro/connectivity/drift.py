"""Rates that drift: what a unit's log-intensity owes to changes over seconds and minutes.

Over a recording, slow changes of two units are correlated by chance, like any two random walks, and a coupling or a
shared factor would have to explain that. So where a unit drifts, its own slow rate is taken as known.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage, sparse

from skneuro.connectivity.glm import PerTarget
from skneuro.connectivity.lags import observed_counts
from skneuro.data import BinnedSpikes

__all__ = ["slow_rates"]

_STEP = 0.5  # s, in which the slow rate is constant
_SIGMA = 5.0  # s, of its smoothing: hundreds of times the reach of a kernel
_FEWEST_STEPS = 20  # 10 s: of less, a drift cannot be told from noise
_LEAST_SHARE = 0.5  # of the slow rate's variance that must be more than counting noise


def slow_rates(binned: BinnedSpikes, rows: np.ndarray, offset: PerTarget | None = None) -> PerTarget | None:
    """Return the slow log-rates of the units that drift.

    Counts in steps of half a second are smoothed (5 s), divided by what was expected, and shrunk by the share of their
    variance that is more than counting noise, of which the step-to-step differences tell. A unit drifts if that share
    is above one half; trials count in the order in which they stand.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    rows : ndarray of shape (n_rows,), int
        Bins that are explained.
    offset : callable, default=None
        Known log-intensity of some targets, (n_rows, n_targets), for an array of targets.

    Returns
    -------
    callable or None
        Gives, for an array of targets, the centred slow log-rate (n_rows, n_targets), 0 for units that do not drift.
        None where no unit drifts, or where there are less than ten seconds.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.drift import slow_rates
    >>> from skneuro.data import BinnedSpikes
    >>> rate = np.column_stack([np.full(60000, 0.05), 0.05 + 0.04 * np.sin(np.arange(60000) / 4000)])
    >>> counts = np.random.default_rng(0).poisson(rate)
    >>> binned = BinnedSpikes.from_counts(counts, np.array([0, 60000]), 0.01)
    >>> found = slow_rates(binned, np.arange(60000))(np.arange(2))
    >>> bool(found[:, 0].any()), bool(np.corrcoef(found[:, 1], rate[:, 1])[0, 1] > 0.95)
    (False, True)
    """
    step = np.unique(rows // max(1, round(_STEP / binned.bin_width)), return_inverse=True)[1]
    if len(step) == 0 or step[-1] + 1 < _FEWEST_STEPS:
        return None
    gather = sparse.csr_array((np.ones(len(rows)), (step, np.arange(len(rows)))))
    counts = np.asarray((gather @ observed_counts(binned)[rows]).todense())
    expected = _expected(binned, rows, gather, offset)
    expected *= counts.sum(axis=0) / np.maximum(expected.sum(axis=0), 1e-12)
    width = _SIGMA / _STEP
    mean = _smoothed(expected, width)
    weight = expected / np.maximum(expected.sum(axis=0), 1e-12)  # nothing is asked of what was not observed
    rate = np.where(mean > 0, _smoothed(counts, width) / np.maximum(mean, 1e-12), 1.0)
    # Noise of a weighted mean of counts; the square of a Gaussian is one, too, narrower by the root of two.
    jumps = np.diff(counts - expected, axis=0)
    fano = np.maximum((jumps**2).mean(axis=0) / np.maximum(2.0 * expected.mean(axis=0), 1e-12), 1.0)
    spread = _smoothed(expected, width / np.sqrt(2.0)) / (2.0 * np.sqrt(np.pi) * width)
    noise = fano * (weight * spread / np.maximum(mean, 1e-12) ** 2).sum(axis=0)
    share = 1.0 - noise / np.maximum((weight * (rate - 1.0) ** 2).sum(axis=0), 1e-12)
    share[(share < _LEAST_SHARE) | (counts.sum(axis=0) == 0)] = 0.0
    if not share.any():
        return None
    log_rate = np.log1p(share * (rate - 1.0))
    log_rate -= log_rate[step].mean(axis=0)
    log_rate = log_rate.astype(np.float32)
    return lambda targets: log_rate[:, targets][step]


def _expected(binned: BinnedSpikes, rows: np.ndarray, gather: sparse.csr_array, offset: PerTarget | None) -> np.ndarray:
    """Expectations of all steps and units, up to a factor for each unit."""
    result = np.empty((gather.shape[0], binned.n_units))
    group = max(1, 12_000_000 // max(len(rows), 1))
    for first in range(0, binned.n_units, group):
        targets = np.arange(first, min(first + group, binned.n_units))
        each = np.ones((len(rows), len(targets))) if offset is None else np.exp(offset(targets))
        if binned.cell_observed is not None:
            each = each * binned.cell_observed[rows][:, targets]
        result[:, targets] = gather @ each
    return result


def _smoothed(values: np.ndarray, width: float) -> np.ndarray:
    return ndimage.gaussian_filter1d(values, width, axis=0, mode="constant")
