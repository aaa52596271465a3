"""Arguments of `sample`: what is simulated, for how long, and how it is drawn."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any

import numpy as np

from skneuro.data import Modalities, Modality, ModelInput, Recording, SpikeTrains
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

    They start where the stimuli do, or else at `starts_at`: one time for each trial, or one for all. Those of a
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
        return _array_input(est, stimuli, duration)
    if stimuli is not None:
        first, last = common_span(stimuli)
    else:
        n_trials = len(trials) if trials is not None else 1 if starts_at is None else len(starts_at)
        first, last = np.full(n_trials, -np.inf), np.full(n_trials, np.inf)
    start, stop = (first, last) if trials is None else (trials.t_start, trials.t_stop)
    start = np.where(np.isfinite(start), start, 0.0) if starts_at is None else check_history_end(starts_at, start, stop)
    if duration is not None:
        short = np.flatnonzero(last - start < duration * (1 - 1e-9))
        if len(short):
            raise ValueError(
                f"The stimuli of {len(short)} trials are shorter than duration={duration} s: trial {short[0]} has "
                f"{last[short[0]] - start[short[0]]:.6g} s. Ask for less, or give longer stimuli."
            )
        stop = start + duration
    stop = np.where(np.isfinite(stop), stop, start + est.trial_duration_)
    # Whole bins: a bin that the stimuli cover in part is not simulated.
    n_bins = np.floor((stop - start) / est.bin_width + 1e-6)
    if stimuli is None and duration is not None:
        n_bins = np.ceil((stop - start) / est.bin_width - 1e-6)
    nothing = SpikeTrains(
        [], [], np.zeros(len(start) + 1, dtype=int), start, start + n_bins * est.bin_width, unit_ids=est.unit_ids_
    )
    return est._read(nothing, stimuli, reset=False)


def constant_over_trials(inp: ModelInput, y: Any) -> bool:
    """Whether `y` of `fit` is an array with one row for each trial, constant over it, and not one for each bin."""
    return inp.layout != "bins" and y is not None and not isinstance(y, (Modalities, Modality)) and np.ndim(y) < 3


def _array_input(est: Any, stimuli: Any, duration: float | None) -> ModelInput:
    """Stimuli as an array: (n_trials, n_bins, d), or less.

    (n_bins,) or (n_bins, d) are one trial, but (n_trials,) or (n_trials, d), constant over trials, where `fit` had
    these.
    """
    values = np.asarray(stimuli)
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2, 3):
        raise TypeError(
            f"stimuli must be Modalities, a Video, a TimeSeries, or numbers of the shape that fit had as y: (n_bins, "
            f"d), (n_trials, n_bins, d), or (n_trials, d) for what is constant over trials. Got "
            f"{type(stimuli).__name__} of shape {values.shape}."
        )
    wanted = None if duration is None else int(np.ceil(duration / est.bin_width - 1e-6))
    if values.ndim < 3 and getattr(est, "stimulus_per_trial_", False):  # not there in files of an earlier version
        usual = int(np.floor(est.trial_duration_ / est.bin_width + 1e-6))
        return _without_spikes(est, (len(values), wanted or usual), values)
    axis = 1 if values.ndim == 3 else 0
    if wanted is not None:
        if values.shape[axis] < wanted:
            raise ValueError(
                f"The stimuli have {values.shape[axis]} bins, fewer than duration={duration} s needs ({wanted}). Ask "
                f"for less, or give longer stimuli."
            )
        values = values[:, :wanted] if axis else values[:wanted]
    return _without_spikes(est, values.shape[: axis + 1], values)


def _without_spikes(est: Any, shape: tuple[int, ...], stimuli: np.ndarray) -> ModelInput:
    """Silent bins, or trials of bins, with their stimuli."""
    nothing = np.zeros((*shape, len(est.unit_ids_)), dtype=int)
    with warnings.catch_warnings():  # a model of a DataFrame misses its columns in the zeros
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        return est._read(nothing, stimuli, reset=False)
