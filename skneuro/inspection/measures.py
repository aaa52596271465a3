"""Numbers that tell whether a recording is sound, one function a question."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skneuro.data import BinnedSpikes, SpikeTrains, TimeSeries, align_clocks

REFRACTORY = 1.5e-3  # s; shorter intervals do not come from one neuron
DUPLICATE = 0.1e-3  # s; shorter intervals are one spike detected twice


def _unit_clock(spikes: SpikeTrains) -> tuple[np.ndarray, np.ndarray]:
    """Each spike's place on its own unit's axis of observed time, and the seconds each unit was observed."""
    n_trials, n_units = spikes.shape
    trial = np.repeat(np.arange(n_trials), np.diff(spikes.ptr))
    position = spikes.times - spikes.t_start[trial]
    length = np.tile((spikes.t_stop - spikes.t_start)[:, None], (1, n_units))  # (n_trials, n_units), s observed
    for k in [] if spikes.observation is None else np.unique(spikes.observation.trial):
        rows = np.arange(spikes.ptr[k], spikes.ptr[k + 1])
        for u, unit in enumerate(spikes.unit_ids):
            start, stop = spikes.observed_intervals(int(k), unit).T
            before = np.concatenate([[0.0], np.cumsum(stop - start)])
            mine = rows[spikes.units[rows] == u]
            which = np.searchsorted(start, spikes.times[mine], side="right") - 1
            position[mine] = before[which] + spikes.times[mine] - start[which]
            length[k, u] = before[-1]
    offset = np.cumsum(length, axis=0) - length
    return position + offset[trial, spikes.units], length.sum(axis=0)


def own_intervals(spikes: SpikeTrains) -> tuple[np.ndarray, np.ndarray]:
    """Time since the last spike of the same unit and trial, in seconds, and the column of the unit."""
    order = np.argsort(spikes.units, kind="stable")
    unit = spikes.units[order].astype(np.int64)
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))[order]
    same = (np.diff(unit) == 0) & (np.diff(trial) == 0)
    return np.diff(spikes.times[order])[same], unit[1:][same]


def _contamination(violations: np.ndarray, n: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Share of foreign spikes that explains the violations, after Hill et al. (2011), Llobet et al. (2022).

    Two spikes drawn from a contaminated unit both belong to the neuron with probability (1 - c)^2 and can
    then not violate: violations = n^2 w / T (1 - (1 - c)^2) for a window of w seconds.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        share = violations * duration / (n**2 * (REFRACTORY - DUPLICATE))
    return 1 - np.sqrt(np.clip(1 - np.nan_to_num(share), 0, 1))


def unit_quality(spikes: SpikeTrains) -> pd.DataFrame:
    """Measure every unit by itself.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.

    Returns
    -------
    table : DataFrame of shape (n_units, 12)
        Indexed by unit id. `n_spikes`; `observed` (s); `rate` (Hz); `presence` (share of 100 equal stretches
        of observed time with a spike); `first_third`, `last_third` (Hz); `silence` (s, longest observed
        stretch without a spike), `silence_start` (s of observed time), `silence_next` (s, the second
        longest); `duplicated` (spikes within 0.1 ms of the unit's last); `violations` (intervals of 0.1 to
        1.5 ms); `contamination` (expected share of foreign spikes).

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import unit_quality
    >>> spikes = SpikeTrains.from_unit_times({7: [0.5, 0.5005, 3.0]}, epochs=[[0.0, 4.0]])
    >>> table = unit_quality(spikes)
    >>> float(table.loc[7, "rate"]), int(table.loc[7, "violations"]), round(float(table.loc[7, "silence"]), 4)
    (0.75, 1, 2.4995)
    """
    n_units = spikes.shape[1]
    position, observed = _unit_clock(spikes)
    order = np.argsort(spikes.units, kind="stable")
    unit, position = spikes.units[order].astype(np.int64), position[order]
    n = np.bincount(unit, minlength=n_units)

    interval, owner = own_intervals(spikes)
    duplicated = np.bincount(owner[interval < DUPLICATE], minlength=n_units)
    violations = np.bincount(owner[(interval >= DUPLICATE) & (interval < REFRACTORY)], minlength=n_units)

    share = np.minimum(position / np.maximum(observed[unit], 1e-12), 1 - 1e-9)
    presence = np.bincount(np.unique(unit * 100 + (share * 100).astype(np.int64)) // 100, minlength=n_units) / 100
    thirds = np.bincount(unit * 3 + (share * 3).astype(np.int64), minlength=3 * n_units).reshape(n_units, 3)

    # the edges of the observed time count as spikes, so that a unit lost early shows its silence to the end
    edges = np.concatenate([position, np.zeros(n_units), observed])
    owners = np.concatenate([unit, np.arange(n_units), np.arange(n_units)])
    sort = np.lexsort((edges, owners))
    edges, owners = edges[sort], owners[sort]
    gap, start, gap_owner = np.diff(edges), edges[:-1], owners[1:]
    inside = np.diff(owners) == 0
    gap, start, gap_owner = gap[inside], start[inside], gap_owner[inside]
    rank = np.lexsort((-gap, gap_owner))
    head = np.concatenate([[0], np.cumsum(np.bincount(gap_owner, minlength=n_units))[:-1]])
    second = np.where(n > 0, gap[rank][np.minimum(head + 1, gap.size - 1)], 0.0)

    with np.errstate(divide="ignore", invalid="ignore"):
        return pd.DataFrame(
            {
                "n_spikes": n,
                "observed": observed,
                "rate": np.nan_to_num(n / observed),
                "presence": presence,
                "first_third": np.nan_to_num(thirds[:, 0] * 3 / observed),
                "last_third": np.nan_to_num(thirds[:, 2] * 3 / observed),
                "silence": gap[rank][head],
                "silence_start": start[rank][head],
                "silence_next": second,
                "duplicated": duplicated,
                "violations": violations,
                "contamination": _contamination(violations, n.astype(float), observed),
            },
            index=pd.Index(spikes.unit_ids, name="unit"),
        )


def recording_gaps(spikes: SpikeTrains, min_expected: float = 50.0, min_ratio: float = 10.0) -> pd.DataFrame:
    """Find stretches in which no unit fired although many spikes were due.

    There the acquisition stopped, or a trial is longer than what was recorded of it.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    min_expected : float, default=50
        Spikes that the whole population would have fired in the stretch at its mean rate.
    min_ratio : float, default=10
        The stretch must be this many times longer than the pooled interval that 99.9 % of intervals do not
        exceed, so that pauses which belong to the activity are not gaps. The longest interval of each trial is not
        among these: every trial may end with the same dead time.

    Returns
    -------
    gaps : DataFrame
        One row a gap: `trial` (trial id), `start`, `stop` (s, on the trial's clock), `expected` (spikes).

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import recording_gaps
    >>> times = np.r_[np.arange(0, 40, 0.1), np.arange(80, 100, 0.1)]
    >>> gaps = recording_gaps(SpikeTrains.from_unit_times({0: times}, epochs=[[0.0, 100.0]]))
    >>> gaps[["start", "stop"]].round(1).to_numpy().tolist()
    [[39.9, 80.0]]
    """
    first, last = spikes.ptr[:-1], spikes.ptr[1:]
    edges = np.concatenate([spikes.times, spikes.t_start, spikes.t_stop])
    trials = np.arange(len(spikes))
    owners = np.concatenate([np.repeat(trials, last - first), trials, trials])
    sort = np.lexsort((edges, owners))
    edges, owners = edges[sort], owners[sort]
    inside = np.diff(owners) == 0
    gap, start, owner = np.diff(edges)[inside], edges[:-1][inside], owners[1:][inside]
    found = pd.DataFrame({"trial": [], "start": [], "stop": [], "expected": []})
    if spikes.times.size == 0:
        return found
    rate = spikes.times.size / max(gap.sum() - gap.max(), 1e-12)
    longest = np.lexsort((gap, owner))[np.cumsum(np.bincount(owner, minlength=len(spikes))) - 1]
    others = np.delete(gap, longest) if gap.size > len(spikes) else gap
    usual = np.quantile(others, 0.999, method="lower")
    if usual == others.max():  # few intervals: the longest must not be its own yardstick
        usual = np.quantile(others, 0.99, method="lower")
    long = np.flatnonzero((gap * rate >= min_expected) & (gap >= min_ratio * usual))
    seen = [_anyone_observed(spikes, owner[i], start[i], start[i] + gap[i]) for i in long]
    long = long[np.array(seen, dtype=bool)]
    return pd.DataFrame(
        {
            "trial": np.asarray(spikes.trial_ids)[owner[long]],
            "start": start[long],
            "stop": start[long] + gap[long],
            "expected": gap[long] * rate,
        }
    )


def _anyone_observed(spikes: SpikeTrains, trial: int, start: float, stop: float) -> bool:
    """Whether at least half of the stretch was observed in at least one unit."""
    if spikes.observation is None or trial not in spikes.observation.trial:
        return True
    for unit in spikes.unit_ids:
        lo, hi = spikes.observed_intervals(int(trial), unit).T
        if np.maximum(np.minimum(hi, stop) - np.maximum(lo, start), 0).sum() > 0.5 * (stop - start):
            return True
    return False


def running_modulation(spikes: SpikeTrains, speed: TimeSeries, bin_width: float | None = None) -> dict[str, float]:
    """Relate the population's rate to how fast the animal moves.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    speed : TimeSeries
        Speed, or velocity with several columns, whose length is then taken; of the same trials.
    bin_width : float, in seconds, default=None
        Width of the bins that are compared; a multiple of the bins that the spikes were counted in, where they were.
        By default 1 s, or less where most trials are shorter.

    Returns
    -------
    result : dict
        `correlation` (Spearman, rate against speed), `rate_still` and `rate_running` (Hz per unit, in the
        slowest and the fastest third of the bins; where both thirds would end at one speed, because so many bins have
        it, in the bins below and above it, or at it where none are), `n_bins` (those that were observed and have a
        sample of the speed), `bin_width`. The first three are NaN with fewer than 10 bins, and where nothing varies.
        Where only some units were observed, their rate is compared with their own mean.

    Raises
    ------
    ValueError
        If trials differ in number, or `bin_width` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains, TimeSeries
    >>> from skneuro.inspection import running_modulation
    >>> spikes = SpikeTrains.from_unit_times({0: np.arange(50.05, 100, 0.1)}, epochs=[[0.0, 100.0]])
    >>> running = TimeSeries.from_lists([np.repeat([[0.0], [20.0]], 50, axis=0)], rate=1.0)
    >>> float(running_modulation(spikes, running)["rate_running"])
    10.0
    """
    if len(speed) != len(spikes):
        raise ValueError(f"speed must have the same {len(spikes)} trials as the spikes. Got {len(speed)}.")
    bin_width = fitting_width(spikes) if bin_width is None else bin_width
    binned = spikes.bin(bin_width)
    rate = _population_rate(binned)
    speed_ = _mean_speed(speed, binned)
    both = np.isfinite(rate) & np.isfinite(speed_)
    rate, speed_ = rate[both], speed_[both]
    size = {"n_bins": int(rate.size), "bin_width": float(bin_width)}
    if rate.size < 10 or np.ptp(speed_) == 0 or np.ptp(rate) == 0:
        return {"correlation": np.nan, "rate_still": np.nan, "rate_running": np.nan, **size}
    slow, fast = _slow_and_fast(speed_)
    return {
        "correlation": float(stats.spearmanr(rate, speed_).statistic),
        "rate_still": float(rate[slow].mean()),
        "rate_running": float(rate[fast].mean()),
        **size,
    }


def _slow_and_fast(speed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slowest and the fastest third of speeds that vary; never the same bin in both, and none of them empty."""
    low, high = np.quantile(speed, [1 / 3, 2 / 3])
    if low < high:
        return speed <= low, speed >= high
    slow, fast = speed < low, speed > low  # a third or more has this speed
    return (slow if slow.any() else speed == low), (fast if fast.any() else speed == low)


def fitting_width(spikes: SpikeTrains, wanted: float = 1.0) -> float:
    """A width in seconds, or as long as most trials are; in whole bins of the spikes."""
    wanted, step = min(wanted, float(np.median(spikes.duration))), spikes.resolution
    return wanted if step is None else float(max(np.floor(wanted / step + 1e-6), 1) * step)


def _population_rate(binned: BinnedSpikes) -> np.ndarray:
    """Rate of a unit (Hz) in each bin, from the units that were observed in it, each beside its own mean."""
    seen, counts = binned.mask(), binned.dense()
    counts = np.where(seen, counts, 0)
    usual = counts.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    due = seen @ usual
    share = np.divide(counts.sum(axis=1), due, out=np.full(len(due), np.nan), where=due > 0)
    return share * usual.mean() / binned.bin_width


def _mean_speed(speed: TimeSeries, binned: BinnedSpikes) -> np.ndarray:
    """Mean speed in each bin, NaN without a sample."""
    speeds = []
    for k in range(len(speed)):
        n_bins = int(binned.ptr[k + 1] - binned.ptr[k])
        rows = slice(speed.ptr[k], speed.ptr[k + 1])
        values = np.asarray(speed.values[rows], dtype=float)  # (T, d)
        values = np.linalg.norm(values, axis=1) if values.shape[1] > 1 else np.abs(values[:, 0])
        within = np.asarray(speed.timestamps[rows]) - binned.t_start[k]
        bins = np.floor(within / binned.bin_width + 1e-6).astype(int)
        good = (bins >= 0) & (bins < n_bins) & np.isfinite(values)
        n = np.bincount(bins[good], minlength=n_bins)
        total = np.bincount(bins[good], weights=values[good], minlength=n_bins)
        speeds.append(np.where(n > 0, total / np.maximum(n, 1), np.nan))
    return np.concatenate(speeds)


def clock_quality(source_pulses: ArrayLike, target_pulses: ArrayLike) -> dict[str, Any]:
    """Compare two clocks by the synchronisation pulses that both recorded.

    Parameters
    ----------
    source_pulses : ndarray of shape (n_source,), in seconds
        Pulse times on one clock.
    target_pulses : ndarray of shape (n_target,), in seconds
        The same pulses on the other clock.

    Returns
    -------
    result : dict
        `n_pulses` (pairs found), `unmatched_source` and `unmatched_target` (times of pulses without a
        partner, s), `drift` (parts per million), `jitter` and `worst` (s, median and largest error when a
        pulse is predicted from its neighbours), `worst_at` (s, on the source's clock), `bend` (s, largest
        distance from one straight line).

    Raises
    ------
    ValueError
        If the pulses cannot be paired (`skneuro.data.align_clocks` says why).

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import clock_quality
    >>> pulses = np.arange(0.0, 100.0)
    >>> round(clock_quality(pulses, 3.0 + pulses * (1 + 50e-6))["drift"], 3)
    50.0
    """
    source_pulses, target_pulses = (
        np.asarray(source_pulses, dtype=float),
        np.asarray(target_pulses, dtype=float),
    )
    clock = align_clocks(source_pulses, target_pulses, drop_unmatched=True)
    error = np.nan_to_num(np.abs(clock.residuals))
    source, target = clock.source - clock.source[0], clock.target - clock.target[0]
    line = np.polyval(np.polyfit(source, target, 1), source)
    return {
        "n_pulses": source.size,
        "unmatched_source": source_pulses[clock.unmatched_source],
        "unmatched_target": target_pulses[clock.unmatched_target],
        "drift": clock.drift,
        "jitter": float(np.median(error)),
        "worst": float(error.max()),
        "worst_at": float(clock.source[np.argmax(error)]),
        "bend": float(np.abs(target - line).max()),
    }
