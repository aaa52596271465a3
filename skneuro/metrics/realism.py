"""How far simulated trials are from recorded ones, in many respects at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import bins_of_window, check_same_units, check_spikes, check_stimulus_ids, rmse
from skneuro.metrics._responses import observed_rates
from skneuro.metrics._simulated import rank_within
from skneuro.metrics.distances import distances_available, spike_train_distance, wholly_observed
from skneuro.metrics.population import (
    histogram_kl,
    noise_correlations,
    pairwise_correlations,
    population_count_distribution,
    shared_variance,
)
from skneuro.metrics.two_sample import two_sample_accuracy
from skneuro.metrics.variability import autocorrelation, fano_factors, interval_table

__all__ = ["realism_table", "shuffled_trials"]

MOST_DISTANCE_TRIALS = 20
_GIVEN = "given_stimulus"
_DISTANCES = ("victor_purpura", "van_rossum")
_Trials = tuple[SpikeTrains, np.ndarray | None]  # with the stimulus of each, where it is known


@dataclass(frozen=True)
class Statistics:
    """What `realism_table` compares, of one set of trials."""

    rate: np.ndarray
    population: np.ndarray
    pairs: np.ndarray
    noise_pairs: np.ndarray | None
    intervals: pd.DataFrame
    fano: np.ndarray
    autocorrelation: np.ndarray
    dimensionality: float
    shared: float
    short_share: float

    @property
    def given_stimulus(self) -> bool:
        """Whether Fano factors and correlations leave out the variance that the stimulus causes."""
        return self.noise_pairs is not None


def pair_statistics(
    a: _Trials, b: _Trials, bin_width: float, window: float, min_intervals: int = 0
) -> tuple[Statistics, Statistics]:
    """Compute them of both sets; given the stimulus only where it is known and repeats in both.

    Intervals are those of units with at least `min_intervals` of them in both.
    """
    repeated = all(ids is not None and len(np.unique(ids)) < len(ids) for _, ids in (a, b))
    of_a, of_b = (statistics(spikes, ids if repeated else None, bin_width, window) for spikes, ids in (a, b))
    few = np.minimum(of_a.intervals["n"].to_numpy(), of_b.intervals["n"].to_numpy()) < min_intervals
    if few.any():
        of_a, of_b = (replace(s, intervals=s.intervals.assign(**_without(s.intervals, few))) for s in (of_a, of_b))
    return of_a, of_b


def _without(intervals: pd.DataFrame, units: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.where(units, np.nan, intervals[name]) for name in ("mean", "sd")}


def statistics(spikes: SpikeTrains, stimulus_ids: np.ndarray | None, bin_width: float, window: float) -> Statistics:
    """Compute them, Fano factors and noise correlations given the stimulus where it is named."""
    binned = spikes.bin(bin_width)
    exact = interval_table(spikes)
    # Too short, or hardly a spike: there is no number, and the table says NaN.
    dimensionality, shared = _or_nan(lambda: shared_variance(spikes, window), (np.nan, np.nan))
    fano = _or_nan(lambda: fano_factors(spikes, window, stimulus_ids), np.full(spikes.shape[1], np.nan))
    n = exact["n"].sum()
    return Statistics(
        rate=observed_rates(binned),
        population=population_count_distribution(spikes, bin_width),
        pairs=pairwise_correlations(spikes, bin_width)[np.triu_indices(spikes.shape[1], 1)],
        noise_pairs=noise_correlations(spikes, stimulus_ids, bin_width)[np.triu_indices(spikes.shape[1], 1)]
        if stimulus_ids is not None
        else None,
        intervals=interval_table(spikes, bin_width=bin_width),
        fano=fano,
        autocorrelation=autocorrelation(spikes, bin_width),
        dimensionality=dimensionality,
        shared=shared,
        short_share=float((exact["n"] * exact["short_share"].fillna(0.0)).sum() / n) if n else float("nan"),
    )


def _or_nan(measure: Callable[[], Any], nothing: Any) -> Any:
    """What is measured, or `nothing` where it cannot be had."""
    try:
        return measure()
    except ValueError:
        return nothing


def differences(a: Statistics, b: Statistics) -> dict[str, float]:
    """How far `b` is from `a`, by metric; 0 is no difference."""
    noise = float("nan")
    if a.noise_pairs is not None and b.noise_pairs is not None:
        noise = rmse(a.noise_pairs, b.noise_pairs)
    both = np.isfinite(a.rate) & np.isfinite(b.rate)
    total = a.rate[both].sum()
    return {
        "rate_ratio_error": abs(b.rate[both].sum() / total - 1) if total > 0 else float("nan"),
        "rate_rmse": rmse(a.rate, b.rate),
        "population_count_kl": histogram_kl(a.population, b.population),
        "pairwise_correlation_rmse": rmse(a.pairs, b.pairs),
        "noise_correlation_rmse": noise,
        "isi_mean_rmse": rmse(a.intervals["mean"].to_numpy(), b.intervals["mean"].to_numpy()),
        "isi_sd_rmse": rmse(a.intervals["sd"].to_numpy(), b.intervals["sd"].to_numpy()),
        "fano_rmse": rmse(a.fano, b.fano),
        "autocorrelation_rmse": rmse(a.autocorrelation, b.autocorrelation),
        "dimensionality_difference": abs(a.dimensionality - b.dimensionality),
        "shared_variance_difference": abs(a.shared - b.shared),
        "short_isi_share_difference": abs(a.short_share - b.short_share),
    }


def realism_table(
    recorded: SpikeTrains,
    sampled: SpikeTrains,
    bin_width: float,
    *,
    reference: SpikeTrains | None = None,
    window: float = 0.5,
    min_intervals: int = 0,
    stimulus_ids: Any = None,
    sampled_stimulus_ids: Any = None,
    reference_stimulus_ids: Any = None,
) -> pd.DataFrame:
    """Differences of simulated from recorded trials, each beside the floor that the recording itself sets.

    The floor is the same difference between the recording and other trials of it, such as the training trials: no
    model of it can be expected to come closer. Differences shrink with the amount of data, so give as many simulated
    trials as recorded ones, and of the `reference` no more than about that time is used. Without a reference the
    floor is between the two halves (every other trial) of the recording, which have less data: it is then too high.
    Distances between trials of one stimulus have theirs between repeats in the recording where the reference shares no
    stimulus with it.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        Held-out trials, and simulated ones, of the same units.
    bin_width : float, in seconds
        Bins of the model. Nothing below it is modelled, and so nothing below it is compared, but for the share of
        intervals under 3 ms: that is a number about the recording, and about what spikes in one bin make of it.
    reference : SpikeTrains, default=None
        Other trials of the recording.
    window : float, in seconds, default=0.5
        For Fano factors, shared variance and the classifier; a multiple of `bin_width`.
    min_intervals : int, default=0
        Units with fewer inter-spike intervals on either side are left out where intervals are compared. With 0 all
        units that have any weigh the same, so that a nearly silent one, with one interval on each side, can be all
        of ``isi_mean_rmse``: give 5 or more where units fire rarely. The floor may then be of other units.
    stimulus_ids, sampled_stimulus_ids, reference_stimulus_ids : array-like of shape (n_trials,), default=None
        Which stimulus each trial had. With them and repeats in both sets that are compared there are noise
        correlations, and Fano factors without the variance that the stimulus causes; name those of the reference,
        too, or neither has a floor. Trials with one stimulus are also kept together by the classifier.

    Returns
    -------
    table : DataFrame, one row a metric
        ``metric``, ``value`` (0 is best, but for ``two_sample_accuracy``, where 0.5 is), ``floor``, ``recorded`` and
        ``sampled``: the mean over units or pairs of what is compared, where that is a number. NaN where it cannot be
        had, such as distances without elephant, or Fano factors of trials shorter than the window.

    Raises
    ------
    ValueError
        If units differ, or a parameter is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> counts = np.random.default_rng(0).poisson(0.3, (3, 20, 100, 4))
    >>> recorded, reference, sampled = (SpikeTrains.from_counts(c, 0.02) for c in counts)
    >>> table = realism_table(recorded, sampled, 0.02, reference=reference).set_index("metric")
    >>> bool(table.loc["rate_ratio_error", "value"] < 0.1)
    True
    """
    check_same_units(recorded, sampled)
    bins_of_window(window, bin_width)
    check_min_intervals(min_intervals)
    real = recorded, _ids(stimulus_ids, recorded, "stimulus_ids")
    drawn = sampled, _ids(sampled_stimulus_ids, sampled, "sampled_stimulus_ids")
    other = None
    if reference is not None:
        check_same_units(recorded, reference)
        other = reference, _ids(reference_stimulus_ids, reference, "reference_stimulus_ids")
    floors = floor_of(real, other, bin_width, window, min_intervals)
    return compare(real, drawn, bin_width, window, floors, min_intervals)


def check_min_intervals(min_intervals: Any) -> None:
    """Raise where it is no number of intervals."""
    if isinstance(min_intervals, bool) or not isinstance(min_intervals, Integral) or min_intervals < 0:
        raise ValueError(f"min_intervals must be an int of at least 0. Got {min_intervals!r:.80} instead.")


def floor_of(
    recorded: _Trials, reference: _Trials | None, bin_width: float, window: float, min_intervals: int = 0
) -> dict[str, float]:
    """Every difference between two sets of recorded trials, and whether its Fano factors are given the stimulus."""
    a, b = _floor_pair(recorded, reference)
    first, second = pair_statistics(a, b, bin_width, window, min_intervals)
    by_trial = _by_trial(a, b, bin_width, window)
    if reference is not None and _partners(a, b) is None and len(recorded[0]) > 1:
        # No trial of the reference is of the same stimulus: distances between repeats of the recording instead.
        by_trial |= _distances(*_floor_pair(recorded, None))
    return differences(first, second) | by_trial | {_GIVEN: first.given_stimulus}


def compare(
    recorded: _Trials,
    sampled: _Trials,
    bin_width: float,
    window: float,
    floors: dict[str, float],
    min_intervals: int = 0,
) -> pd.DataFrame:
    """The table of `realism_table`."""
    real, drawn = pair_statistics(recorded, sampled, bin_width, window, min_intervals)
    values = differences(real, drawn) | _by_trial(recorded, sampled, bin_width, window)
    if real.given_stimulus != floors[_GIVEN]:  # no floor is better than that of another quantity
        floors = floors | {"fano_rmse": float("nan")}
    return pd.DataFrame(
        [(name, value, floors[name], _mean(real, name), _mean(drawn, name)) for name, value in values.items()],
        columns=["metric", "value", "floor", "recorded", "sampled"],
    )


def _ids(stimulus_ids: Any, spikes: SpikeTrains, name: str) -> np.ndarray | None:
    return None if stimulus_ids is None else check_stimulus_ids(stimulus_ids, len(spikes), name)


def _floor_pair(recorded: _Trials, reference: _Trials | None) -> tuple[_Trials, _Trials]:
    """Two sets of recorded trials: the recording and as much of the reference, or two halves of it."""
    spikes, ids = recorded
    if reference is None:
        if len(spikes) < 2:
            raise ValueError(
                "A floor needs a reference, or at least two trials of the recording. Give reference=, or cut the "
                "trial: recorded.cut(10.0)."
            )
        order = np.argsort(np.arange(len(spikes)) if ids is None else ids, kind="stable")
        even, odd = ((spikes[rows], None if ids is None else ids[rows]) for rows in (order[::2], order[1::2]))
        return even, odd
    other, other_ids = reference
    enough = np.cumsum(other.duration) <= spikes.duration.sum() + other.duration.max()
    rows = np.flatnonzero(enough)
    return recorded, (other[rows], None if other_ids is None else other_ids[rows])


def _by_trial(a: _Trials, b: _Trials, bin_width: float, window: float) -> dict[str, float]:
    """What compares trials, not averages over them: the classifier and the distances."""
    known = a[1] is not None and b[1] is not None
    groups = (a[1], b[1]) if known and len(np.unique(np.concatenate([a[1], b[1]]))) > 1 else None
    nothing = float("nan")
    enough = min(len(a[0]), len(b[0])) >= 2 and min(a[0].duration.max(), b[0].duration.max()) >= window
    result = {
        "two_sample_accuracy": _or_nan(
            lambda: two_sample_accuracy(a[0], b[0], bin_width, window=window, groups=groups), nothing
        )
        if enough
        else nothing,
    }
    return result | _distances(a, b)


def _distances(a: _Trials, b: _Trials) -> dict[str, float]:
    """Mean distances between trials of the same stimulus; NaN without such."""
    rows = _partners(a, b)
    if rows is None or not distances_available():
        return dict.fromkeys(_DISTANCES, float("nan"))
    pair = a[0][rows[0]], b[0][rows[1]]
    return {kind: float(spike_train_distance(*pair, kind=kind).mean()) for kind in _DISTANCES}


def _partners(a: _Trials, b: _Trials) -> tuple[np.ndarray, np.ndarray] | None:
    """Trials of equal length, observed in whole, and, where stimuli are known, of the same stimulus."""
    n = min(len(a[0]), len(b[0]))
    if a[1] is None or b[1] is None:
        rows = np.arange(n), np.arange(n)
    else:
        pairs = np.argwhere(a[1][:, None] == b[1][None, :])
        # Each trial once: the k-th trial of a stimulus with the k-th of the other set.
        rank_a, rank_b = rank_within(a[1]), rank_within(b[1])
        pairs = pairs[rank_a[pairs[:, 0]] == rank_b[pairs[:, 1]]]
        rows = pairs[:, 0], pairs[:, 1]
    equal = np.abs(a[0].duration[rows[0]] - b[0].duration[rows[1]]) < 1e-6
    fit = equal & wholly_observed(a[0])[rows[0]] & wholly_observed(b[0])[rows[1]]
    rows = rows[0][fit][:MOST_DISTANCE_TRIALS], rows[1][fit][:MOST_DISTANCE_TRIALS]
    return rows if len(rows[0]) else None


def _mean(s: Statistics, metric: str) -> float:
    """What a metric compares, as one number."""
    values = {
        "rate_ratio_error": s.rate,
        "rate_rmse": s.rate,
        "pairwise_correlation_rmse": s.pairs,
        "noise_correlation_rmse": s.noise_pairs,
        "isi_mean_rmse": s.intervals["mean"].to_numpy(),
        "isi_sd_rmse": s.intervals["sd"].to_numpy(),
        "fano_rmse": s.fano,
        "autocorrelation_rmse": s.autocorrelation[:, 0],
        "dimensionality_difference": np.array([s.dimensionality]),
        "shared_variance_difference": np.array([s.shared]),
        "short_isi_share_difference": np.array([s.short_share]),
    }.get(metric)
    if values is None or not np.isfinite(values).any():
        return float("nan")
    return float(values[np.isfinite(values)].mean())


def shuffled_trials(spikes: SpikeTrains, random_state: int = 0) -> SpikeTrains:
    """Shift every unit of every trial by a random time around the trial.

    Rates and most intervals stay as they are; what units do together, and when in the trial they do it, is lost. What
    is a trial's past only (`context`) stays as it is, and is nothing that spikes are shifted into.

    Parameters
    ----------
    spikes : SpikeTrains
        Fully observed trials.
    random_state : int, default=0
        Of the shifts.

    Returns
    -------
    shuffled : SpikeTrains
        With the same units, trials and numbers of spikes.

    Raises
    ------
    ValueError
        If there is time that was not observed, which a shift would fill with spikes.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.2], [0.15]]], 0.0, 1.0)
    >>> shuffled_trials(spikes).n_spikes
    3
    """
    check_spikes(spikes)
    if spikes.observation is not None:
        raise ValueError("Trials with time that was not observed cannot be shuffled; cut them into observed pieces.")
    rng = np.random.default_rng(random_state)
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    scored, length = spikes.t_start + spikes.context, spikes.duration - spikes.context
    shift = rng.uniform(size=spikes.shape) * length[:, None]
    if spikes.resolution is not None:  # spikes of bins stay in bins
        shift = np.floor(shift / spikes.resolution) * spikes.resolution
    past = spikes.times < scored[trial]
    start, duration = scored[trial], np.where(past, 1.0, length[trial])
    moved = (spikes.times - start + shift[trial, spikes.units]) % duration
    moved = np.minimum(moved, np.nextafter(duration, 0.0))
    times = np.where(past, spikes.times, np.minimum(start + moved, np.nextafter(spikes.t_stop[trial], -np.inf)))
    order = np.lexsort((times, trial))
    return spikes._with(times=times[order], units=spikes.units[order])
