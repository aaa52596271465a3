"""Which trials `sample` simulates, of every model: where they start, and how an array of stimuli is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from skneuro.data.inputs import ModelInput, array_series
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, common_span
from skneuro.data.spike_trains import SpikeTrains


def common_start(t_start: np.ndarray) -> float | None:
    """Start that trials have in common, in seconds; None where they differ."""
    return float(t_start[0]) if (np.abs(t_start - t_start[0]) < 1e-9).all() else None


def constant_over_trials(inp: ModelInput, y: Any) -> bool:
    """Whether `y` of `fit` is an array with one row for each trial, constant over it, and not one for each bin."""
    return inp.layout != "bins" and y is not None and not isinstance(y, (Modalities, Modality)) and np.ndim(y) < 3


def trial_starts(modalities: Modalities | None, n_trials: int, usual: float | None) -> np.ndarray:
    """Where simulated trials start, (n_trials,), in seconds.

    At the `usual` start, that of the training trials, if the stimuli are on by then; else where the stimuli begin; else
    at 0.
    """
    if modalities is None:
        return np.full(n_trials, 0.0 if usual is None else usual)
    first, last = common_span(modalities)
    start = np.where(np.isfinite(first), first, 0.0)
    if usual is None:
        return start
    # As `fit` sees it: a trial may begin up to one sample before the first.
    on = np.max([modality.span[0] for _, modality in modalities.items()], axis=0)
    return np.where((on <= usual + 1e-9) & (usual < last), usual, start)


def silent_trials(start: np.ndarray, n_bins: np.ndarray, bin_width: float, unit_ids: np.ndarray) -> SpikeTrains:
    """Trials of so many bins each, without a spike."""
    none = np.zeros(len(start) + 1, dtype=np.int64)
    return SpikeTrains([], [], none, start, start + n_bins * bin_width, unit_ids=unit_ids)


def read_array(
    stimuli: Any,
    *,
    per_trial: bool,
    start: float | None,
    bin_width: float,
    duration: float | None,
    usual_duration: float,
    unit_ids: np.ndarray,
) -> tuple[SpikeTrains, Modalities]:
    """Silent trials and their stimuli, of an array: (n_trials, n_bins, d), or less.

    (n_bins,) or (n_bins, d) are one trial, but with `per_trial`, where `fit` had such, (n_trials,) or (n_trials, d) are
    constant over trials of the usual duration.

    Raises
    ------
    TypeError
        If it is no array of numbers of such a shape.
    ValueError
        If it has fewer bins than `duration`.
    """
    values = _numbers(stimuli)
    constant = per_trial and values.ndim < 3
    wanted = None if duration is None else max(int(np.ceil(duration / bin_width - 1e-6)), 1)
    if constant:
        n_bins = int(np.floor(usual_duration / bin_width + 1e-6)) if wanted is None else wanted
    else:
        values = values if values.ndim == 3 else values.reshape(1, len(values), -1)
        n_bins = values.shape[1] if wanted is None else wanted
        if values.shape[1] < n_bins:
            raise ValueError(
                f"The stimuli have {values.shape[1]} bins, fewer than duration={duration} s needs ({n_bins}). Ask "
                f"for less, or give longer stimuli."
            )
        values = values[:, :n_bins]
    starts = np.full(len(values), 0.0 if start is None else start)
    trials = silent_trials(starts, np.full(len(values), n_bins), bin_width, unit_ids)
    return trials, Modalities(stimulus=array_series(values, trials.bin(bin_width), "trials", told=True))


def _numbers(stimuli: Any) -> np.ndarray:
    if isinstance(stimuli, SpikeTrains):
        raise TypeError(
            "stimuli must be what was seen and done. Got SpikeTrains: spikes are no stimuli. Recording(spikes) "
            "simulates trials as long as these; history= starts from recorded spikes, clamp= fixes those of some units."
        )
    if isinstance(stimuli, Mapping):
        raise TypeError(
            "stimuli must be Modalities, a Video, a TimeSeries or an array. Got a dict; use Modalities(**stimuli)."
        )
    values = np.asarray(stimuli)
    if values.dtype.kind not in "fiub" or values.ndim not in (1, 2, 3):
        raise TypeError(
            f"stimuli must be Modalities, a Video, a TimeSeries, or numbers of the shape that fit had as y: (n_bins, "
            f"d), (n_trials, n_bins, d), or (n_trials, d) for what is constant over trials. Got "
            f"{type(stimuli).__name__} of shape {values.shape}."
        )
    return values
