"""Arguments of `sample`: what is simulated, for how long, and how it is drawn."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from skneuro.data import Modalities, Modality, ModelInput, Recording, SpikeTrains
from skneuro.data._simulated import read_array, silent_trials, trial_starts
from skneuro.data.interventions import check_history_end
from skneuro.data.recording import common_span

_NUMBER = (int, float, np.integer, np.floating)


def positive_integer(name: str, value: Any) -> int:
    """`value` as an int.

    Raises
    ------
    ValueError
        If it is not a positive whole number.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"The '{name}' parameter must be an int >= 1. Got {value!r:.80} instead.")
    return int(value)


def check_draw(temperature: Any, top_p: Any, duration: Any) -> None:
    """Check the numbers that `sample` is given.

    Raises
    ------
    ValueError
        If one is out of range.
    """
    problems = []
    for name, value in (("temperature", temperature), ("top_p", top_p), ("duration", duration)):
        if isinstance(value, bool):
            problems.append(f"'{name}' must be a number, got {value!r}")
    if not isinstance(temperature, _NUMBER) or not 0 < temperature < np.inf:
        problems.append(f"'temperature' must be a positive number, got {temperature!r}")
    if not isinstance(top_p, _NUMBER) or not 0 < top_p <= 1:
        problems.append(f"'top_p' must be in (0, 1], got {top_p!r}")
    if duration is not None and (not isinstance(duration, _NUMBER) or not 0 < duration < np.inf):
        problems.append(f"'duration' must be a positive number of seconds or None, got {duration!r}")
    if problems:
        raise ValueError("Cannot sample: " + "; ".join(problems) + ".")


def sampling_input(est: Any, stimuli: Any, duration: float | None, starts_at: np.ndarray | None = None) -> ModelInput:
    """Trials without spikes, as long as what is to be simulated, with their stimuli.

    They start where :func:`trial_starts` says, or at `starts_at`: one time for each trial, or one for all. Those of a
    `Recording` start and end as its trials.

    Raises
    ------
    ValueError
        If the stimuli are shorter than `duration`.
    """
    trials = None
    if isinstance(stimuli, Recording):
        trials, stimuli = stimuli.spikes, stimuli.modalities
    if isinstance(stimuli, Modality):
        stimuli = Modalities(stimulus=stimuli)
    if stimuli is not None and not isinstance(stimuli, Modalities):
        if starts_at is not None:
            raise ValueError("With a history, stimuli must be Modalities, a Video or a TimeSeries, which have times.")
        return est._read(*_read_array(est, stimuli, duration), reset=False)
    if stimuli is not None:
        first, last = common_span(stimuli)
    else:
        n_trials = len(trials) if trials is not None else 1 if starts_at is None else len(starts_at)
        first, last = np.full(n_trials, -np.inf), np.full(n_trials, np.inf)
    start, stop = (first, last) if trials is None else (trials.t_start, trials.t_stop)
    if starts_at is not None:
        start = check_history_end(starts_at, start, stop)
    elif trials is None:
        start = trial_starts(stimuli, len(start), usual_start(est))
    if duration is not None:
        short = np.flatnonzero(last - start < duration * (1 - 1e-9))
        if len(short):
            raise ValueError(
                f"The stimuli of {len(short)} trials are shorter than duration={duration} s: trial {short[0]} has "
                f"{last[short[0]] - start[short[0]]:.6g} s. Ask for less, or give longer stimuli."
            )
        stop = start + duration
    stop = np.where(np.isfinite(stop), stop, start + est.trial_duration_)
    # Whole bins, as many as hold the duration; a bin that the stimuli cover in part is not simulated.
    n_bins = np.floor((stop - start) / est.bin_width + 1e-6)
    if duration is not None:
        more = np.ceil((stop - start) / est.bin_width - 1e-6)
        n_bins = np.where(start + more * est.bin_width <= last + 1e-6 * est.bin_width, more, n_bins)
    nothing = silent_trials(start, n_bins, est.bin_width, est.unit_ids_)
    return est._read(nothing, stimuli, reset=False)


def usual_start(est: Any) -> float | None:
    """Common start of the training trials; None where they differ, and in files of an earlier version."""
    return getattr(est, "trial_start_", None)


def _read_array(est: Any, stimuli: Any, duration: float | None) -> tuple[SpikeTrains, Modalities]:
    return read_array(
        stimuli,
        per_trial=getattr(est, "stimulus_per_trial_", False),  # not there in files of an earlier version
        start=usual_start(est),
        bin_width=est.bin_width,
        duration=duration,
        usual_duration=est.trial_duration_,
        unit_ids=est.unit_ids_,
    )
