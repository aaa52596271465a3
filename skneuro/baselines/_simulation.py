"""`SpikeGenerator`: what a baseline does when it draws spikes, in closed loop or ahead of a window."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Protocol, Self

import numpy as np

from skneuro.baselines._features import bin_in_trial
from skneuro.data._simulated import common_start, constant_over_trials, read_array, silent_trials, trial_starts
from skneuro.data._validation import check_width
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import Layout, ModelInput
from skneuro.data.interventions import Interventions, check_history_end
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, Recording, check_coverage, common_span
from skneuro.data.spike_trains import SpikeTrains

# The past of a row, as arrays whose first axis are the rows.
State = tuple[np.ndarray, ...]

# Given counts (NaN where a unit is free) and counts to add, (n_rows, n_units) each: see `interventions.apply`.
Forced = tuple[np.ndarray, np.ndarray] | None

# One fixed stream of random numbers for every window, so that a prediction depends on its inputs only.
_PREDICT_SEED = 20150101
_ROWS_AT_ONCE = 256
_CELLS_AT_ONCE = 2_000_000
_BINS_OF_UNIFORMS = 64


class SpikeGenerator(Protocol):
    """Draws the counts of one bin after another, for many rows at once."""

    n_units: int

    def start(self, n_rows: int) -> State:
        """State at the start of a trial."""

    def step(
        self, state: State, drive: np.ndarray, uniforms: np.ndarray, forced: Forced = None
    ) -> tuple[np.ndarray, np.ndarray, State]:
        """Expected and drawn counts of the next bin, (n_rows, n_units) each, and the state after it.

        Units that `forced` names have its counts whatever is drawn.

        Where units of a bin depend on each other, the expected count of a unit is given the draws of those before
        it. `drive` holds what is known of the bin beforehand, (n_rows, d).
        """


@dataclass(frozen=True)
class TrainingTrials:
    """What the training trials were like, in seconds.

    Attributes
    ----------
    layout : {"bins", "array", "trials"}
        What a row of X was, which says how an array of stimuli is read.
    start : float or None
        Common start of the trials; None where they differ.
    median_duration, longest : float
        Of the trials.
    stimulus_per_trial : bool or None
        Whether y was an array with one row a trial, constant over it. None in files of an earlier version, which read
        every array so where a row of X was a trial.
    """

    layout: Layout
    start: float | None
    median_duration: float
    longest: float
    stimulus_per_trial: bool | None = None

    @classmethod
    def from_input(cls, inp: ModelInput, y: Any) -> Self:
        """Look at the training data, and at the y that `fit` was given."""
        durations = np.diff(inp.spikes.ptr) * inp.spikes.bin_width
        if inp.trials is not None:
            durations = inp.trials.duration
        return cls(
            inp.layout, common_start(inp.spikes.t_start), float(np.median(durations)), float(durations.max()),
            constant_over_trials(inp, y),
        )  # fmt: skip

    @property
    def reads_rows_as_trials(self) -> bool:
        """Whether a row of a 1-D or 2-D array of stimuli is a trial, and not a bin."""
        return self.layout != "bins" if self.stimulus_per_trial is None else self.stimulus_per_trial


@dataclass(frozen=True)
class Plan:
    """Trials to simulate: empty bins, and the modalities that go with them."""

    bins: BinnedSpikes
    modalities: Modalities | None


def make_plan(
    stimuli: Any,
    training: TrainingTrials,
    unit_ids: np.ndarray,
    *,
    bin_width: float,
    duration: float | None,
    history: SpikeTrains | None = None,
) -> Plan:
    """Lay out the trials of a simulation, one per row of the stimuli.

    A trial starts where the training trials did, or else with its stimulus. It lasts `duration`; without one, as long
    as its stimulus but not longer than the longest training trial, and without a stimulus as long as the median one.
    Those of a `Recording` start and end as its trials.

    Parameters
    ----------
    stimuli : Modalities, Recording, Video, TimeSeries, array-like or None
        One row per trial; None makes one trial without.
    training : TrainingTrials
        What the training trials were like.
    unit_ids : ndarray of shape (n_units,)
        Units that will fire.
    bin_width : float, in seconds
        Width of a bin.
    duration : float, in seconds, or None
        Length of the simulated trials.
    history : SpikeTrains or None
        Recorded past. The trials then start where it ends.
    """
    if duration is not None:
        duration = check_width(duration, "duration")
    recorded = stimuli.spikes if isinstance(stimuli, Recording) else None
    if isinstance(stimuli, Recording):
        stimuli = stimuli.modalities
    if isinstance(stimuli, Modality):
        stimuli = Modalities(stimulus=stimuli)
    if stimuli is not None and not isinstance(stimuli, Modalities):
        trials, stimuli = read_array(
            stimuli, per_trial=training.reads_rows_as_trials, start=training.start, bin_width=bin_width,
            duration=duration, usual_duration=training.longest, unit_ids=unit_ids,
        )  # fmt: skip
        if history is None:
            return Plan(trials.bin(bin_width), stimuli)
    modalities: Modalities | None = stimuli
    if recorded is not None:
        start, last = recorded.t_start, recorded.t_stop
        if history is not None:
            start = check_history_end(history.t_stop, start, last)
        length = last - start
    elif modalities is None:
        start = trial_starts(None, 1, training.start) if history is None else np.array(history.t_stop)
        length = np.full(len(start), training.median_duration)
    else:
        first, last = common_span(modalities)
        start = trial_starts(modalities, len(modalities), training.start)
        if history is not None:
            start = check_history_end(history.t_stop, first, last)
        length = np.minimum(last - start, training.longest)
    if recorded is not None or modalities is not None:
        length = np.floor(length / bin_width + 1e-6) * bin_width  # a part of a bin is not simulated
    if duration is not None:
        length = np.full(len(start), duration)
    n_bins = np.maximum(np.ceil(length / bin_width - 1e-6), 1).astype(np.int64)
    if modalities is not None and duration is not None:
        check_coverage(modalities, start, start + n_bins * bin_width)
    return Plan(silent_trials(start, n_bins, bin_width, unit_ids).bin(bin_width), modalities)


@dataclass(frozen=True)
class Past:
    """Recorded counts in which the simulations of each trial start.

    Attributes
    ----------
    counts : ndarray of shape (n_trials, n_longest, n_units)
        The first bins of each trial; nothing beyond its own.
    n_bins : ndarray of shape (n_trials,)
        Bins of each.
    """

    counts: np.ndarray
    n_bins: np.ndarray


def past_counts(history: SpikeTrains, n_trials: int, bin_width: float) -> Past:
    """Counts of the whole bins that a history has before its end, of each of `n_trials` trials."""
    n_past = np.floor(history.duration / bin_width + 1e-6).astype(np.int64)
    trial = np.repeat(np.arange(len(history)), np.diff(history.ptr))
    tick = n_past[trial] - np.ceil((history.t_stop[trial] - history.times) / bin_width - 1e-6).astype(np.int64)
    inside = (tick >= 0) & (tick < n_past[trial])
    counts = np.zeros((len(history), int(n_past.max()), history.shape[1]), dtype=np.int32)
    np.add.at(counts, (trial[inside], tick[inside], history.units[inside]), 1)
    return Past(np.broadcast_to(counts, (n_trials, *counts.shape[1:])), np.broadcast_to(n_past, (n_trials,)))


def with_past(plan: Plan, n_past: np.ndarray) -> Plan:
    """The plan with so many bins more in front of each trial, which the stimuli must cover."""
    bins = plan.bins
    start = bins.t_start - n_past * bins.bin_width
    stop = bins.t_start + np.diff(bins.ptr) * bins.bin_width
    if plan.modalities is not None:
        check_coverage(plan.modalities, start, stop)
    return Plan(bins._from_earlier(n_past), plan.modalities)


def simulate(
    generator: SpikeGenerator,
    plan: Plan,
    drive: np.ndarray,
    n_samples: int,
    random_state: Any,
    past: Past | None = None,
    interventions: Interventions | None = None,
) -> list[np.ndarray]:
    """Closed loop: the drawn spikes of a row are its past. One random stream per row.

    Parameters
    ----------
    generator : SpikeGenerator
        The model.
    plan : Plan
        Trials to simulate.
    drive : ndarray of shape (n_bins, d)
        What is known of each bin of the plan.
    n_samples : int
        Simulations of each trial.
    random_state : int, RandomState instance or None
        Source of the streams.
    past : Past or None, default=None
        Recorded counts of the first bins of the plan's trials, which are not simulated and not returned.
    interventions : Interventions or None, default=None
        What is done to units in the bins after these.

    Returns
    -------
    list of (n_bins_k, n_units) ndarrays, int32
        ``n_samples`` simulations of the first trial, then of the second, ...
    """
    if not isinstance(n_samples, Integral) or isinstance(n_samples, bool) or n_samples < 1:
        raise ValueError(f"n_samples must be an int of at least 1. Got {n_samples!r:.80} instead.")
    trial = np.repeat(np.arange(plan.bins.n_trials), n_samples)
    seeds = entropy(random_state).spawn(len(trial))
    length = np.diff(plan.bins.ptr)[trial]
    # Longest first: the rows that are finished are then at the end of a batch and leave it.
    order = np.argsort(-length, kind="stable")
    n_past = np.zeros(len(trial), dtype=np.int64) if past is None else past.n_bins[trial]
    counts: list[np.ndarray] = [np.empty(0)] * len(trial)
    for rows in _batches(order, n_past):
        first = plan.bins.ptr[trial[rows]]
        streams = [np.random.default_rng(seeds[row]) for row in rows]
        forced = _forced(generator.n_units, trial[rows], [seeds[row] for row in rows], past, interventions)
        for row, drawn in zip(rows, _run(generator, drive, first, length[rows], streams, forced), strict=True):
            counts[row] = drawn[n_past[row] :]
    return counts


def _batches(order: np.ndarray, n_past: np.ndarray) -> Iterator[np.ndarray]:
    """Rows that are simulated together, in their order: those of one batch have a past of the same length."""
    for length in np.unique(n_past):
        rows = order[n_past[order] == length]
        for begin in range(0, len(rows), _ROWS_AT_ONCE):
            yield rows[begin : begin + _ROWS_AT_ONCE]


def _forced(
    n_units: int,
    trial: np.ndarray,
    seeds: list[np.random.SeedSequence],
    past: Past | None,
    interventions: Interventions | None,
) -> Callable[[int, int], Forced]:
    """What the first rows of a batch do in a bin whatever is drawn: ``forced(bin, n_rows)``."""
    n_past = 0 if past is None else int(past.n_bins[trial[0]])
    after = None if interventions is None else interventions.rows(trial, seeds)

    def forced(t: int, active: int) -> Forced:
        if past is not None and t < n_past:
            return past.counts[trial[:active], t].astype(np.float64), np.zeros((active, n_units))
        return None if after is None else after.at(t - n_past, np.arange(active))

    return forced


def _run(generator, drive, first, length, streams, forced) -> Iterator[np.ndarray]:
    """Simulate one batch of rows, ordered by descending length."""
    state = generator.start(len(length))
    n_units = generator.n_units
    counts = np.zeros((len(length), length[0], n_units), dtype=np.int32)
    for t in range(length[0]):
        active = int((length > t).sum())
        if t % _BINS_OF_UNIFORMS == 0:
            ahead = min(_BINS_OF_UNIFORMS, length[0] - t)
            uniforms = np.stack([stream.random((ahead, n_units)) for stream in streams[:active]])
        state = tuple(array[:active] for array in state)
        now = uniforms[:active, t % _BINS_OF_UNIFORMS]
        _, drawn, state = generator.step(state, drive[first[:active] + t], now, forced(t, active))
        counts[:active, t] = drawn
    return (counts[row, : length[row]] for row in range(len(length)))


def entropy(random_state: Any) -> np.random.SeedSequence:
    """Seeds that leave the global random state alone."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.SeedSequence(random_state.randint(2**31, size=4).tolist())
    if random_state is None:
        return np.random.SeedSequence()
    if isinstance(random_state, bool) or not isinstance(random_state, Integral) or random_state < 0:
        raise ValueError(
            f"random_state must be an int of at least 0, a RandomState instance or None. Got {random_state!r} instead."
        )
    return np.random.SeedSequence(int(random_state))


def predict_windows(
    generator: SpikeGenerator,
    state_before: Any,
    drive: np.ndarray,
    ptr: np.ndarray,
    window_bins: int,
    n_draws: int,
) -> np.ndarray:
    """Expected counts of each bin from what came before its window.

    Windows tile each trial from its start. Inside a window the generator runs on its own draws, of which it makes
    `n_draws`, the same random numbers for every window.

    Parameters
    ----------
    generator : SpikeGenerator
        The model.
    state_before : callable
        ``state_before(bins)`` returns the true state in front of these bins.
    drive : ndarray of shape (n_bins, d)
        What is known of each bin beforehand.
    ptr : ndarray of shape (n_trials + 1,)
        Bins of each trial.
    window_bins : int
        Bins of a window.
    n_draws : int
        Draws to average over.

    Returns
    -------
    ndarray of shape (n_bins, n_units)
        Expected counts.
    """
    n_units = generator.n_units
    stream = np.random.default_rng(_PREDICT_SEED)
    # Stratified: the draws of a cell cover its distribution evenly.
    strata = stream.permuted(np.tile(np.arange(n_draws), (window_bins, n_units, 1)), axis=-1)
    uniforms = ((strata + stream.random(strata.shape)) / n_draws).transpose(0, 2, 1)  # (window, draw, unit)
    expected = np.zeros((int(ptr[-1]), n_units))
    first = np.flatnonzero(bin_in_trial(ptr) % window_bins == 0)
    end = ptr[np.searchsorted(ptr, first, side="right")]
    at_once = max(1, _CELLS_AT_ONCE // (n_draws * n_units))
    for begin in range(0, len(first), at_once):
        bins, stop = first[begin : begin + at_once], end[begin : begin + at_once]
        state = tuple(np.repeat(array, n_draws, axis=0) for array in state_before(bins))
        for ahead in range(window_bins):
            inside = bins + ahead < stop
            if not inside.all():
                state = tuple(array[np.repeat(inside, n_draws)] for array in state)
                bins, stop = bins[inside], stop[inside]
            if not len(bins):
                break
            mean, _, state = generator.step(
                state, np.repeat(drive[bins + ahead], n_draws, axis=0), np.tile(uniforms[ahead], (len(bins), 1))
            )
            expected[bins + ahead] = mean.reshape(len(bins), n_draws, n_units).mean(axis=1)
    return expected
