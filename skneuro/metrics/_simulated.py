"""Simulations that lie over the recorded trials they stand in for."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains


def simulate_trials(
    model: Any, recorded: SpikeTrains, stimuli: Modalities | None, n_samples: int, random_state: int
) -> tuple[SpikeTrains, np.ndarray]:
    """Draw `n_samples` simulations of each recorded trial, over the same time and with its gaps.

    What was not observed of a unit is not observed of its simulations either, and what is past only in the recording
    is past only in them: rates and responses are compared over the same bins.

    Parameters
    ----------
    model : SpikeModel, or anything else with `sample`
        Fitted.
    recorded : SpikeTrains
        Trials to simulate.
    stimuli : Modalities or None
        Of the same trials.
    n_samples : int
        Simulations of each trial.
    random_state : int
        Of the draws.

    Returns
    -------
    sampled : SpikeTrains
        The simulations of the first trial, then of the second, ...
    row : ndarray of shape (n_simulations,)
        Row of the recorded trial that each simulates.
    """
    from skneuro._base import SpikeModel  # which imports the metrics itself

    row = np.repeat(np.arange(len(recorded)), n_samples)
    shift = np.zeros(len(row))
    if isinstance(model, SpikeModel):
        sampled = model.sample(Recording(recorded, stimuli), n_samples=n_samples, random_state=random_state)
    elif stimuli is None:
        n, duration = n_samples * len(recorded), float(recorded.duration.max())
        sampled = model.sample(None, n_samples=n, duration=duration, random_state=random_state)
        shift = recorded.t_start[row] - sampled.t_start  # it has no place in time: it begins with its trial
    else:
        sampled = _from_stimuli(model, recorded, stimuli, n_samples, random_state)
    return _over(sampled, shift, recorded, row, model.bin_width), row


def _from_stimuli(
    model: Any, recorded: SpikeTrains, stimuli: Modalities, n_samples: int, random_state: int
) -> SpikeTrains:
    """Simulations by something that is no model of ours, and takes stimuli but no trials."""
    settings: dict[str, Any] = {"random_state": random_state}
    durations = recorded.duration
    if np.ptp(durations) < 1e-6:
        # A simulation begins with its stimulus, which may have a sample from before the trial.
        first = model.sample(stimuli, n_samples=1, duration=model.bin_width, random_state=random_state).t_start
        wanted = float(durations[0] + np.max(recorded.t_start - first))
        settings["duration"] = max(np.floor(wanted / model.bin_width + 1e-6), 1.0) * model.bin_width
    return model.sample(stimuli, n_samples=n_samples, **settings)


def _over(
    sampled: SpikeTrains, shift: np.ndarray, recorded: SpikeTrains, row: np.ndarray, bin_width: float
) -> SpikeTrains:
    """Cut each simulation, moved by `shift`, to what was observed of its trial.

    Whole bins may end a part of one before the trial does.
    """
    start, stop = recorded.t_start[row], recorded.t_stop[row]
    begin, end = sampled.t_start + shift, sampled.t_stop + shift
    short = (begin > start + 1e-6) | (end < stop - bin_width - 1e-6)
    if short.any():
        first = int(np.flatnonzero(short)[0])
        raise ValueError(
            f"A simulation covers {begin[first]:g} to {end[first]:g} s, but its trial lasts from {start[first]:g} to "
            f"{stop[first]:g} s. The stimulus must cover the trial, and trials of unequal length must not be longer "
            f"than the longest training trial; cut them (Recording.cut)."
        )
    trial = np.repeat(np.arange(len(sampled)), np.diff(sampled.ptr))
    times = sampled.times + shift[trial]
    keep = (times >= start[trial]) & (times < stop[trial])
    observation = None if recorded.observation is None else recorded.observation._take(row)
    if observation is not None:
        keep &= ~observation.in_gap(times, sampled.units, trial)
    kept_before = np.concatenate([[0], np.cumsum(keep)])
    return SpikeTrains(
        times[keep],
        sampled.units[keep],
        kept_before[sampled.ptr],
        start,
        stop,
        unit_ids=sampled.unit_ids,
        trial_ids=sampled.trial_ids,
        observed=observation,
        resolution=bin_width,
        context=recorded.context[row],
    )


def rank_within(ids: np.ndarray) -> np.ndarray:
    """How many entries before each one have the same id."""
    codes = np.unique(ids, return_inverse=True)[1]
    order = np.argsort(codes, kind="stable")
    rank = np.empty(len(ids), dtype=np.int64)
    rank[order] = np.arange(len(ids)) - np.searchsorted(codes[order], codes[order])
    return rank
