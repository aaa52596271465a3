"""Events around which recorded and simulated activity are averaged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.data import SpikeTrains, TimeSeries
from skneuro.inspection import aligned_counts

_APART = 6.0  # spreads of the quiet speeds by which the fast ones differ at least; of one kind halved it is 2 to 4


@dataclass(frozen=True)
class Alignment:
    """What mean rates are aligned to.

    Parameters
    ----------
    name : str
        What the events are.
    window : tuple of float, in seconds
        Before (negative) and after an event.
    bin_width : float, in seconds
        Of the mean rate.
    relative : list of ndarrays or None, in seconds
        Events of each trial from the trial's start.
    level : float or None, in Hz per unit
        Where events are the rises of the population's rate in bins of `bin_width`, the level that it crosses.
    """

    name: str
    window: tuple[float, float]
    bin_width: float
    relative: list[np.ndarray] | None = None
    level: float | None = None

    def events(self, spikes: SpikeTrains) -> list[np.ndarray]:
        """Times of the events in recorded or simulated trials.

        Parameters
        ----------
        spikes : SpikeTrains
            Trials in the order of those that the alignment was made for.

        Returns
        -------
        events : list of n_trials ndarrays, in seconds
            On each trial's clock.
        """
        if self.relative is not None:
            return [start + at for start, at in zip(spikes.t_start, self.relative, strict=True)]
        return population_events(spikes, self.level or 0.0, self.bin_width)


def movement_onsets(
    series: TimeSeries, t_start: np.ndarray, t_stop: np.ndarray, quiet: float = 0.3
) -> list[np.ndarray]:
    """Moments at which a speed rises through the middle between its quiet and its fast level.

    The levels are the 20 % and the 90 % quantile; where the animal was quiet or fast too rarely for one of these, the
    median of the quiet or of the fast speeds. Speeds that are not of two kinds, well apart, have no onsets.

    Parameters
    ----------
    series : TimeSeries
        Speed, or velocity with several columns, whose length is then taken.
    t_start, t_stop : ndarray of shape (n_trials,), in seconds
        The trials.
    quiet : float, default=0.3
        Seconds for which the speed must have been known, and below, before.

    Returns
    -------
    events : list of n_trials ndarrays, in seconds
    """
    speeds = np.linalg.norm(np.asarray(series.values, dtype=float).reshape(len(series.values), -1), axis=1)
    known = np.isfinite(speeds)
    middle = _between_quiet_and_fast(speeds[known])
    events = []
    for k, (start, stop) in enumerate(zip(t_start, t_stop, strict=True)):
        rows = slice(series.ptr[k], series.ptr[k + 1])
        at = np.asarray(series.timestamps[rows])
        at, lost = at[known[rows]], at[~known[rows]]
        fast = speeds[rows][known[rows]] > middle
        rises = at[1:][fast[1:] & ~fast[:-1]]
        not_quiet = np.sort(np.concatenate([[-np.inf], at[:-1][fast[:-1] & ~fast[1:]], lost]))
        since = rises - not_quiet[np.searchsorted(not_quiet, rises) - 1]
        events.append(rises[(since > quiet) & (rises >= start) & (rises < stop)])
    return events


def _between_quiet_and_fast(speeds: np.ndarray) -> float:
    """Speed in the middle between the quiet and the fast level; infinite where speeds are not of two kinds."""
    if not speeds.size:
        return np.inf
    root = np.sqrt(speeds)  # of like spread at all speeds, with a short tail
    border = _border_of_two(np.minimum(root, np.quantile(root, 0.995)))  # a few jumps of the tracking are no kind
    quiet, fast = root[root <= border], root[root > border]
    if not fast.size:
        return np.inf
    level = np.median(quiet)
    spread = np.median(np.abs(quiet - level)) / 0.6745
    if np.median(fast) - level < _APART * spread:
        return np.inf
    low, high = np.quantile(speeds, [0.2, 0.9])
    low = low if np.sqrt(low) <= border else level**2
    high = high if np.sqrt(high) > border else np.median(fast) ** 2
    return float(0.5 * (low + high))


def _border_of_two(values: np.ndarray) -> float:
    """Largest value of the lower of the two groups that differ most between and least within (Otsu 1979)."""
    values = np.sort(values)
    n = np.arange(1, len(values))
    total = np.cumsum(values)
    below, above = total[:-1] / n, (total[-1] - total[:-1]) / (len(values) - n)
    between = np.where(np.diff(values) > 0, n * (len(values) - n) * (above - below) ** 2, 0.0)
    return float(values[between.argmax()]) if between.any() else float(values[-1])


def population_events(spikes: SpikeTrains, level: float, width: float = 0.1, apart: float = 0.5) -> list[np.ndarray]:
    """Moments at which the whole population's rate rises through a level.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated.
    level : float
        In Hz per unit.
    width : float, default=0.1
        Width of the bins in which the rate is counted, in seconds.
    apart : float, default=0.5
        Least time between two events, in seconds.

    Returns
    -------
    events : list of n_trials ndarrays, in seconds
    """
    events = []
    for k in range(len(spikes)):
        rate, edges = population_rate(spikes, k, width)
        up = 1 + np.flatnonzero((rate[1:] > level) & (rate[:-1] <= level))
        kept, last = [], -np.inf
        for t in edges[up]:
            if t - last >= apart:
                kept.append(t)
                last = t
        events.append(np.array(kept))
    return events


def population_rate(spikes: SpikeTrains, trial: int, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Rate per unit (Hz) of one trial in bins of `width` seconds, and the edges of the bins.

    Of the units that were observed in the trial; NaN in bins in which one of these was not, which is no silence.
    """
    n_bins = max(int((spikes.t_stop[trial] - spikes.t_start[trial]) / width + 1e-6), 1)
    edges = spikes.t_start[trial] + width * np.arange(n_bins + 1)
    if spikes.observation is None:
        counts = np.histogram(spikes.times[spikes.ptr[trial] : spikes.ptr[trial + 1]], edges)[0]
        return counts / width / spikes.shape[1], edges
    try:
        _, (by_unit,) = aligned_counts(spikes[trial], window=(0.0, n_bins * width), bin_width=width)
    except ValueError:  # nothing was observed, or the trial is shorter than a bin
        return np.full(n_bins, np.nan), edges
    seen = by_unit[np.isfinite(by_unit).any(axis=1)]
    return seen.mean(axis=0) / width, edges
