"""How well a model predicts the mean response to a stimulus, and how well any model could.

Responses to one stimulus are an array (n_repeats, n_bins, n_units) of counts, NaN where a cell was not observed;
`responses_by_stimulus` makes them from spikes. Several stimuli are a list of such arrays. A model's prediction is
either its expected counts or many simulations. One simulation is never a prediction: its noise would be scored as a
rate.
"""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import check_spikes, check_stimulus_ids, observed_counts, trial_and_place
from skneuro.metrics._responses import as_list, check_pair, mean_over, stacked, unit_correlation
from skneuro.metrics.likelihood import bits_per_spike, poisson_log_pmf

__all__ = [
    "explainable_variance",
    "noise_ceiling",
    "psth_correlation",
    "response_table",
    "responses_by_stimulus",
    "sampled_bits_per_spike",
]


def responses_by_stimulus(spikes: SpikeTrains, stimulus_ids: Any, bin_width: float) -> dict[Any, np.ndarray]:
    """Counts of the trials of each stimulus, from its start.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    stimulus_ids : array-like of shape (n_trials,)
        Which stimulus each trial had, such as `Video.clip_ids`. For simulated trials:
        ``stimulus_ids[simulated.trial_ids]``.
    bin_width : float, in seconds
        Width of the bins of the mean response.

    Returns
    -------
    responses : dict of stimulus id to ndarray of shape (n_repeats, n_bins, n_units)
        Spikes per bin, NaN where a cell was not observed. A shorter trial is NaN at its end.

    Raises
    ------
    ValueError
        If there is not one stimulus for each trial, or one is missing (NaN, None).

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1]], [[0.6]], [[0.2, 0.3]]], 0.0, 1.0)
    >>> responses = responses_by_stimulus(spikes, ["a", "a", "b"], bin_width=0.5)
    >>> responses["a"][..., 0].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    check_spikes(spikes)
    ids = check_stimulus_ids(stimulus_ids, len(spikes))
    binned = spikes.bin(bin_width)
    lengths, counts = np.diff(binned.ptr), observed_counts(binned)
    trial, place = trial_and_place(binned)
    responses = {}
    for stimulus in np.unique(ids):
        rows = np.flatnonzero(ids == stimulus)
        longest = int(lengths[rows].max())
        full = np.full((len(spikes), longest, binned.n_units), np.nan)
        mine = np.isin(trial, rows)
        full[trial[mine], place[mine]] = counts[mine]
        responses[stimulus.item()] = full[rows]
    return responses


def psth_correlation(recorded: Any, predicted: Any) -> np.ndarray:
    """Correlation of the predicted with the recorded mean response, unit by unit.

    Parameters
    ----------
    recorded : array-like of shape (n_repeats, n_bins, n_units), or list of these
        Recorded counts; one array for each stimulus. The stimuli are put behind one another.
    predicted : array-like of shape (n_bins, n_units) or (n_samples, n_bins, n_units), or list of these
        Expected counts, or simulations, of which the mean is taken. At least two simulations.

    Returns
    -------
    correlation : ndarray of shape (n_units,)
        Pearson's; NaN for a unit whose recorded or predicted response is constant.

    Raises
    ------
    ValueError
        If shapes disagree, or only one simulation is given.

    Examples
    --------
    >>> import numpy as np
    >>> recorded = np.array([[[0.0], [2.0], [4.0]], [[2.0], [2.0], [4.0]]])
    >>> psth_correlation(recorded, [[1.0], [2.0], [4.0]]).round(6)
    array([1.])
    """
    recorded, predicted = check_pair(recorded, predicted)
    pieces = zip(recorded, predicted, strict=True)
    pairs = [(mean_over(r), p if p.ndim == 2 else mean_over(p)) for r, p in pieces]
    return unit_correlation(np.concatenate([r for r, _ in pairs]), np.concatenate([p for _, p in pairs]))


def noise_ceiling(
    recorded: Any, *, n_samples: int | None = None, n_splits: int = 50, random_state: int = 0
) -> np.ndarray:
    """Correlation with the recorded mean response that a model would reach if its rates were the true ones.

    The correlation ``r`` of the mean responses of two random halves of the repeats, averaged over splits, gives by
    Spearman and Brown the reliability ``k r / (1 + (k - 1) r)`` of a mean over ``k`` times as many repeats. The
    ceiling is the square root of the reliability of the mean over all repeats, times, for a prediction that is the
    mean of `n_samples` simulations, the square root of its own reliability.

    Parameters
    ----------
    recorded : array-like of shape (n_repeats, n_bins, n_units), or list of these
        Recorded counts; one array for each stimulus, each of at least two repeats. Stimuli are put behind one another.
    n_samples : int, default=None
        Simulations of each stimulus that the prediction is the mean of; None for expected counts.
    n_splits : int, default=50
        Random splits into halves.
    random_state : int, default=0
        Of the splits.

    Returns
    -------
    ceiling : ndarray of shape (n_units,)
        NaN for a unit without a reproducible response (whose halves do not correlate): it has no ceiling.

    Raises
    ------
    ValueError
        If a stimulus has fewer than two repeats, or a number is not an int of at least 1.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rate = rng.gamma(2.0, size=(400, 1))
    >>> ceiling = noise_ceiling(rng.poisson(rate, (10, 400, 1)))
    >>> bool(abs(ceiling - np.corrcoef(rate[:, 0], rng.poisson(rate, (10, 400, 1)).mean(0)[:, 0])[0, 1]) < 0.03)
    True
    """
    recorded = as_list(recorded, "recorded")
    _check_int(n_splits, "n_splits")
    if n_samples is not None:
        _check_int(n_samples, "n_samples")
    fewest = min(len(r) for r in recorded)
    if fewest < 2:
        raise ValueError(
            f"A noise ceiling needs at least two repeats of every stimulus. Got a stimulus with {fewest}; leave it out."
        )
    rng = np.random.default_rng(random_state)
    halves = np.array([_split_half(recorded, rng) for _ in range(n_splits)])
    known = np.isfinite(halves)
    half = np.where(known, halves, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    half = np.where(known.any(axis=0) & (half > 0), half, np.nan)
    n_repeats = np.array([len(r) for r in recorded])
    in_half = np.array([len(r) // 2 for r in recorded])
    lengths = np.array([r.shape[1] for r in recorded])
    ceiling = np.sqrt(spearman_brown(half, np.average(n_repeats / in_half, weights=lengths)))
    if n_samples is not None:
        ceiling = ceiling * np.sqrt(spearman_brown(half, np.average(n_samples / in_half, weights=lengths)))
    return ceiling


def _split_half(recorded: list[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    first, second = [], []
    for counts in recorded:
        order, size = rng.permutation(len(counts)), len(counts) // 2
        first.append(mean_over(counts[order[:size]]))
        second.append(mean_over(counts[order[size : 2 * size]]))
    return unit_correlation(np.concatenate(first), np.concatenate(second))


def spearman_brown(reliability: Any, factor: float) -> Any:
    """Reliability of a mean over `factor` times as many repeats."""
    return factor * reliability / (1 + (factor - 1) * reliability)


def _check_int(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1. Got {value!r:.80} instead.")


def explainable_variance(recorded: Any) -> np.ndarray:
    """Share of a unit's variance over time that the stimulus explains, in single trials.

    Signal power over total power, with the unbiased signal power of Sahani and Linden (2003): of the variance of
    the mean over repeats, the part that noise leaves in it is taken off. That is the covariance of two repeats,
    averaged over all pairs, over their variance; each pair counts in the bins that both observed.

    Parameters
    ----------
    recorded : array-like of shape (n_repeats, n_bins, n_units), or list of these
        Recorded counts; one array for each stimulus, each of at least two repeats.

    Returns
    -------
    share : ndarray of shape (n_units,)
        1 for a response without noise, about 0 (it may be a little below) without a response, NaN for a constant, and
        where no two repeats share bins. Averaged over stimuli, weighted by their bins.

    Raises
    ------
    ValueError
        If a stimulus has fewer than two repeats.

    Examples
    --------
    >>> import numpy as np
    >>> explainable_variance(np.tile([[0.0], [1.0], [3.0]], (4, 1, 1))).round(6)
    array([1.])
    """
    recorded = as_list(recorded, "recorded")
    if min(len(r) for r in recorded) < 2:
        raise ValueError("Explainable variance needs at least two repeats of every stimulus; leave out the others.")
    signal = total = np.zeros(recorded[0].shape[2])
    for counts in recorded:
        covariance, variance = _of_pairs(counts)
        signal, total = signal + covariance, total + variance
    return np.divide(signal, total, out=np.full(len(total), np.nan), where=total > 0)


def _of_pairs(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Covariance and variance over time of two repeats, mean over pairs, times the bins that two repeats observed."""
    seen = np.isfinite(counts)
    n_bins = (seen.sum(axis=0) > 1).sum(axis=0)
    mask = seen.astype(np.float64).transpose(2, 0, 1)  # (n_units, n_repeats, n_bins)
    x = np.where(seen, counts, 0.0).transpose(2, 0, 1)
    n = mask @ mask.swapaxes(1, 2)  # (n_units, n_repeats, n_repeats), bins of each pair
    sums = x @ mask.swapaxes(1, 2)  # of the first repeat, over the bins of the pair
    mean = np.divide(sums, n, out=np.zeros_like(sums), where=n > 0)
    covariance = x @ x.swapaxes(1, 2) - sums * mean.swapaxes(1, 2)
    power = (x**2) @ mask.swapaxes(1, 2)
    variance = power - sums * mean
    variance[variance < 1e-12 * power] = 0.0  # a constant
    other = ~np.eye(len(counts), dtype=bool)
    scale = n_bins / np.maximum(n[:, other].sum(axis=1), 1)
    return covariance[:, other].sum(axis=1) * scale, variance[:, other].sum(axis=1) * scale


def sampled_bits_per_spike(recorded: Any, sampled: Any, null_rates: Any, bin_width: float) -> float:
    """Bits per spike of the rates that many simulations give, as Poisson rates, above constant rates.

    The mean of a few simulations is mostly noise, and noise scored as a rate gives far less than 0. So the rate of a
    cell is the mean over its simulations drawn towards the mean rate of the unit in all simulations, by as much as
    predicts new simulations best (James and Stein's shrinkage): the weight of a cell's own mean is ``S / (S + N)``,
    with ``N`` the noise of the means, from the spread of simulations within cells, and ``S`` the variance of the means
    over cells without it. At most ``n / (n + 1)`` for ``n`` simulations, so that a cell in which none fired does not
    make a recorded spike impossible. A response that the simulations do not show reproducibly counts as none (0, but
    for a wrong mean rate); the score still grows with the number of simulations: compare models at the same number.
    It scores the mean response; `score` of a model scores its whole distribution given the true past, and is not
    comparable.

    Parameters
    ----------
    recorded : array-like of shape (n_repeats, n_bins, n_units), or list of these
        Recorded counts; one array for each stimulus.
    sampled : array-like of shape (n_samples, n_bins, n_units), or list of these
        Simulated counts of the same stimuli, at least two simulations of each.
    null_rates : array-like of shape (n_units,), in hertz
        Constant rates, as `homogeneous_rates` of the training data gives them.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    bits : float, in bits per spike
        0 for the constant rates themselves.

    Raises
    ------
    ValueError
        If there is only one simulation (one spike train is not a rate), shapes disagree or no spike was recorded.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rate = np.tile([[0.1], [1.9]], (100, 1))
    >>> recorded, sampled = rng.poisson(rate, (5, 200, 1)), rng.poisson(rate, (200, 200, 1))
    >>> bool(sampled_bits_per_spike(recorded, sampled, [10.0], bin_width=0.1) > 0.5)
    True
    """
    recorded, sampled = check_pair(recorded, sampled)
    if any(s.ndim != 3 for s in sampled):
        raise ValueError("sampled must be simulations, of shape (n_samples, n_bins, n_units). Got expected counts.")
    null = np.asarray(null_rates, dtype=np.float64) * bin_width
    n_units = recorded[0].shape[2]
    if null.shape != (n_units,) or not (null > 0).all():
        raise ValueError(
            f"null_rates must be one positive rate for each of {n_units} units. Got shape {null.shape}; take "
            f"homogeneous_rates of the training data."
        )
    gain, n_spikes = 0.0, 0.0
    for r, rate in zip(recorded, _shrunken_rates(sampled, null), strict=True):
        counts = np.where(np.isfinite(r), r, 0.0)
        terms = poisson_log_pmf(counts, rate) - poisson_log_pmf(counts, null)
        gain += float(np.where(np.isfinite(r), terms, 0.0).sum())
        n_spikes += float(counts.sum())
    return bits_per_spike(gain, 0.0, int(n_spikes))


def _shrunken_rates(sampled: list[np.ndarray], null: np.ndarray) -> list[np.ndarray]:
    """Expected counts of each cell from simulations, (n_bins, n_units): its own mean, drawn to the unit's."""
    n = [np.isfinite(s).sum(axis=0) for s in sampled]
    means = [np.nan_to_num(mean_over(s)) for s in sampled]
    squares = [np.where(np.isfinite(s), (s - m) ** 2, 0.0).sum(axis=0) for s, m in zip(sampled, means, strict=True)]
    number, mean = np.concatenate(n), np.concatenate(means)
    overall = (number * mean).sum(axis=0) / np.maximum(number.sum(axis=0), 1)
    # The spread within cells is pooled: a single cell has too few simulations to tell its own.
    within = np.concatenate(squares).sum(axis=0) / np.maximum((number - 1).clip(min=0).sum(axis=0), 1)
    seen = number > 0
    cells = np.maximum(seen.sum(axis=0), 1)
    noise = within * np.where(seen, 1 / np.maximum(number, 1), 0.0).sum(axis=0) / cells
    signal = np.where(seen, (mean - overall) ** 2, 0.0).sum(axis=0) / np.maximum(cells - 1, 1) - noise
    weight = np.divide(signal, signal + noise, out=np.zeros_like(signal), where=signal > 0)
    overall = np.maximum(overall, null * 1e-3)
    rates = []
    for k, m in zip(n, means, strict=True):
        own = np.minimum(weight, k / (k + 1.0))
        rates.append(own * m + (1 - own) * overall)
    return rates


def response_table(
    recorded: dict[Any, np.ndarray], sampled: dict[Any, np.ndarray], bin_width: float, unit_ids: Any = None
) -> pd.DataFrame:
    """Recorded against simulated mean responses: one row for each stimulus and unit.

    Parameters
    ----------
    recorded, sampled : dict of stimulus id to ndarray of shape (n_repeats, n_bins, n_units)
        What `responses_by_stimulus` gives for recorded and for simulated trials; at least two simulations of each
        stimulus.
    bin_width : float, in seconds
        Width of a bin.
    unit_ids : array-like of shape (n_units,), default=None
        Identities of the units; their positions if None.

    Returns
    -------
    table : DataFrame
        ``stimulus``, ``unit``, ``n_repeats``, ``rate`` and ``sampled_rate`` (hertz), ``psth_correlation``, its
        ``noise_ceiling`` for that many simulations, and ``explainable_variance``; the last two NaN without repeats.

    Raises
    ------
    ValueError
        If the stimuli or shapes disagree.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> rate = rng.gamma(1.0, size=(50, 2))
    >>> table = response_table({"a": rng.poisson(rate, (8, 50, 2))}, {"a": rng.poisson(rate, (8, 50, 2))}, 0.1)
    >>> table[["stimulus", "unit", "n_repeats"]].values.tolist()
    [['a', 0, 8], ['a', 1, 8]]
    """
    if set(recorded) != set(sampled):
        raise ValueError(
            f"recorded and sampled must hold the same stimuli. Got {list(recorded)[:5]} and {list(sampled)[:5]}."
        )
    rows = []
    for stimulus, counts in recorded.items():
        (r,), (s,) = check_pair(counts, sampled[stimulus])
        n_units = r.shape[2]
        repeats = len(r) > 1
        unknown = np.full(n_units, np.nan)
        rows.append(
            pd.DataFrame(
                {
                    "stimulus": [stimulus] * n_units,
                    "unit": np.arange(n_units) if unit_ids is None else np.asarray(unit_ids),
                    "n_repeats": len(r),
                    "rate": mean_over(stacked([r])) / bin_width,
                    "sampled_rate": mean_over(stacked([s])) / bin_width,
                    "psth_correlation": psth_correlation(r, s),
                    "noise_ceiling": noise_ceiling(r, n_samples=len(s)) if repeats else unknown,
                    "explainable_variance": explainable_variance(r) if repeats else unknown,
                }
            )
        )
    return pd.concat(rows, ignore_index=True)
