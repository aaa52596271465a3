"""What is done to units while they are simulated: clamped to given spikes, silenced, stimulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from skneuro.data._validation import check_width
from skneuro.data.spike_trains import SpikeTrains

_BINS_AT_ONCE = 64


@dataclass(frozen=True)
class Interventions:
    """What is done to the units of some trials.

    Parameters
    ----------
    fixed_units : ndarray of shape (n_fixed,)
        Columns of the units whose counts are given.
    fixed : ndarray of shape (n_trials or 1, n_bins, n_fixed), int32
        Their counts.
    extra_units : ndarray of shape (n_extra,)
        Columns of the units that get spikes besides their own.
    extra : ndarray of shape (n_extra,)
        Mean number of these in a bin.
    n_units : int
        Number of units.
    """

    fixed_units: np.ndarray
    fixed: np.ndarray
    extra_units: np.ndarray
    extra: np.ndarray
    n_units: int

    def rows(self, trial: np.ndarray, seeds: list[np.random.SeedSequence]) -> RowInterventions:
        """For rows that simulate these trials, each with a stream of its own."""
        return RowInterventions(self, trial, seeds)


class RowInterventions:
    """What is done to the units of rows that advance bin by bin."""

    def __init__(self, plan: Interventions, trial: np.ndarray, seeds: list[np.random.SeedSequence]) -> None:
        self._plan = plan
        self._trial = np.zeros(len(trial), dtype=np.int64) if len(plan.fixed) == 1 else trial
        # A stream beside that of the model's own draws, which stay what they are without interventions.
        self._streams = [np.random.default_rng([1, *seed.generate_state(4).tolist()]) for seed in seeds]
        self._extra: np.ndarray | None = None

    def at(self, step: int, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Given counts of the `step`-th bin (NaN where a unit is free) and further ones, (r, n_units) each.

        Steps are asked for in order.
        """
        plan = self._plan
        fixed, extra = np.full((len(rows), plan.n_units), np.nan), np.zeros((len(rows), plan.n_units))
        if len(plan.fixed_units):
            if step < plan.fixed.shape[1]:
                fixed[:, plan.fixed_units] = plan.fixed[self._trial[rows], step]
            else:  # bins that a window has beyond the end of the trial
                fixed[:, plan.fixed_units] = 0
        if len(plan.extra_units):
            place = step % _BINS_AT_ONCE
            if place == 0 or self._extra is None:
                size = (_BINS_AT_ONCE, len(plan.extra))
                self._extra = np.stack([stream.poisson(plan.extra, size) for stream in self._streams])
            extra[:, plan.extra_units] = self._extra[rows, place]
        return fixed, extra


def apply(counts: np.ndarray, forced: tuple[np.ndarray, np.ndarray] | None, units: slice = slice(None)) -> np.ndarray:
    """Counts of some units, as an intervention has them, (r, n)."""
    if forced is None:
        return counts
    fixed, extra = forced[0][:, units], forced[1][:, units]
    return (np.where(np.isnan(fixed), counts, fixed) + extra).astype(counts.dtype)


def read_interventions(
    clamp: Any,
    silence: Any,
    stimulate: Any,
    *,
    unit_ids: np.ndarray,
    t_start: np.ndarray,
    n_bins: np.ndarray,
    bin_width: float,
) -> Interventions | None:
    """Check what `sample` was given; None where nothing is done.

    Parameters
    ----------
    clamp : SpikeTrains or None
        Trains of some units, one row a trial, or one for all.
    silence : sequence of unit ids, or None
        Units that never fire.
    stimulate : dict of unit id to rate in hertz, or None
        Units that get Poisson spikes besides their own.
    unit_ids : ndarray of shape (n_units,)
        Units of the model.
    t_start : ndarray of shape (n_trials,), in seconds
        Where the simulated trials start.
    n_bins : ndarray of shape (n_trials,)
        Their lengths.
    bin_width : float, in seconds
        Width of a bin.

    Raises
    ------
    TypeError
        If `clamp` is no SpikeTrains or `stimulate` no dict.
    ValueError
        If a unit is unknown or named twice, a rate is negative, or `clamp` does not cover the trials or was made of
        counts in bins that do not fit into `bin_width`.
    """
    if clamp is None and silence is None and stimulate is None:
        return None
    column = {unit: k for k, unit in enumerate(unit_ids.tolist())}
    if clamp is not None and not isinstance(clamp, SpikeTrains):
        raise TypeError(f"clamp must be SpikeTrains of the units to clamp. Got {type(clamp).__name__}.")
    if silence is not None and (isinstance(silence, (str, bytes)) or np.ndim(silence) != 1):
        raise ValueError(f"silence must be a list of unit ids. Got {silence!r:.80}.")
    if stimulate is not None and not isinstance(stimulate, Mapping):
        raise TypeError(f"stimulate must be a dict of unit id to rate in hertz. Got {type(stimulate).__name__}.")
    clamped = [] if clamp is None else clamp.unit_ids.tolist()
    silent = [] if silence is None else np.asarray(silence).tolist()
    driven = [] if stimulate is None else list(stimulate)
    for name, units in (("clamp", clamped), ("silence", silent), ("stimulate", driven)):
        unknown = [unit for unit in units if unit not in column or isinstance(unit, bool)]
        if unknown:
            raise ValueError(f"{name} names units that were not seen in fit: {unknown[:5]}. Give ids of unit_ids_.")
    every = [*clamped, *silent, *driven]
    twice = sorted({str(unit) for unit in every if every.count(unit) > 1})
    if twice:
        raise ValueError(f"A unit can be clamped, silenced or stimulated, once. Named twice: {twice[:5]}.")
    rates = np.array([] if stimulate is None else [_rate(unit, rate) for unit, rate in stimulate.items()])
    longest = int(n_bins.max(initial=0))
    fixed = np.zeros((1, longest, len(silent)), dtype=np.int32)
    if clamp is not None:
        given = _clamped_counts(clamp, t_start, n_bins, bin_width)
        fixed = np.concatenate([given, np.broadcast_to(fixed, (len(given), longest, len(silent)))], axis=2)
    return Interventions(
        fixed_units=np.array([column[unit] for unit in (*clamped, *silent)], dtype=np.int64),
        fixed=fixed,
        extra_units=np.array([column[unit] for unit in driven], dtype=np.int64),
        extra=rates * bin_width,
        n_units=len(unit_ids),
    )


def _rate(unit: Any, rate: Any) -> float:
    if isinstance(rate, bool) or not isinstance(rate, Real) or not 0 <= float(rate) < np.inf:
        raise ValueError(f"stimulate must give a rate of at least 0 Hz. Got {rate!r:.80} for unit {unit!r}.")
    return float(rate)


def _clamped_counts(clamp: SpikeTrains, t_start: np.ndarray, n_bins: np.ndarray, bin_width: float) -> np.ndarray:
    n_trials = len(t_start)
    if len(clamp) not in (1, n_trials):
        raise ValueError(f"clamp must have one trial, or one for each of the {n_trials} simulated. Got {len(clamp)}.")
    if clamp.observation is not None:
        raise ValueError("clamp must be observed all the time: what a unit did in a gap is not known.")
    check_width(bin_width, "bin_width", clamp.resolution)
    row = np.arange(n_trials) if len(clamp) == n_trials else np.zeros(n_trials, dtype=np.int64)
    stop = t_start + n_bins * bin_width
    short = (clamp.t_start[row] > t_start + 1e-6) | (clamp.t_stop[row] < stop - 1e-6)
    if short.any():
        k = int(np.flatnonzero(short)[0])
        raise ValueError(
            f"clamp must cover the simulated trials. Trial {k} is simulated from {t_start[k]:g} to {stop[k]:g} s, the "
            f"clamp has {clamp.t_start[row[k]]:g} to {clamp.t_stop[row[k]]:g} s."
        )
    counts = np.zeros((n_trials, int(n_bins.max(initial=0)), clamp.shape[1]), dtype=np.int32)
    for k, of in enumerate(row):
        part = slice(clamp.ptr[of], clamp.ptr[of + 1])
        tick = np.floor((clamp.times[part] - t_start[k]) / bin_width + 1e-6).astype(np.int64)
        inside = (tick >= 0) & (tick < n_bins[k])
        np.add.at(counts[k], (tick[inside], clamp.units[part][inside]), 1)
    return counts


def check_history(
    history: Any, unit_ids: np.ndarray, n_trials: int | None, needed: float, *, gaps: bool = False
) -> SpikeTrains:
    """The recorded past in which simulations start: one row a trial, or one for all; with `gaps`, observed in part.

    Raises
    ------
    TypeError
        If it is no SpikeTrains.
    ValueError
        If its units or trials differ, it is shorter than `needed` seconds, or has gaps that the model cannot leave out.
    """
    if not isinstance(history, SpikeTrains):
        raise TypeError(f"history must be SpikeTrains. Got {type(history).__name__}; convert with as_spike_trains.")
    if not np.array_equal(history.unit_ids, unit_ids):
        raise ValueError("history must have the units seen in fit. Use history.select_units(model.unit_ids_).")
    if len(history) == 0 or (n_trials is not None and len(history) not in (1, n_trials)):
        others = "" if n_trials is None else f", or one for each of {n_trials} trials"
        raise ValueError(f"history must have one trial{others}. Got {len(history)}.")
    if history.observation is not None and not gaps:
        raise ValueError("history must have been observed all the time. Begin it after its last gap.")
    short = history.duration < needed - 1e-6
    if short.any():
        raise ValueError(
            f"history must be at least {needed:g} s long, which is what the model looks back at. Got "
            f"{history.duration.min():g} s; give more of the recording."
        )
    return history


def check_history_end(ends: np.ndarray, start: np.ndarray, stop: np.ndarray) -> np.ndarray:
    """Where simulations start that have a past: the ends of their histories, one a trial.

    Raises
    ------
    ValueError
        If there are neither one nor as many histories as trials, or one ends while the stimuli (or, without any, the
        trial) are not on.
    """
    if len(ends) not in (1, len(start)):
        raise ValueError(f"history must have one trial, or one for each of {len(start)} trials. Got {len(ends)}.")
    at = np.broadcast_to(ends, start.shape).astype(np.float64)
    outside = np.flatnonzero((at < start - 1e-6) | (at >= stop))
    if len(outside):
        k = outside[0]
        raise ValueError(
            f"A simulation starts where its history ends, and the stimuli must be on then. Trial {k}: the history ends "
            f"at {at[k]:g} s, the stimuli (or the trial) last from {start[k]:g} to {stop[k]:g} s."
        )
    return at
