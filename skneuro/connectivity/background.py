"""What a fitted model expects of every unit from the stimuli alone, as a known part of its log-intensity."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro.connectivity.glm import PerTarget
from skneuro.connectivity.lags import whole_past
from skneuro.data import ModelInput, Recording, SpikeTrains
from skneuro.preprocessing._units import check_unit_ids

__all__ = ["model_background"]

_LEAST = 1e-3  # of a unit's mean count: an expectation of nothing would forbid spikes


def model_background(model: Any, X: Any, stimuli: Any, given: ModelInput, n_lags: int) -> PerTarget:
    """Return the log of what a model expects when it is shown the stimuli and none of the spikes.

    The model predicts trials of which no spike was observed, so that nothing of the couplings to be found, nor of what
    a target does itself, is in the expectation.

    Parameters
    ----------
    model : fitted estimator
        With ``predict(X, stimuli)``, ``bin_width`` and ``unit_ids_``.
    X : SpikeTrains or Recording
        The recording.
    stimuli : Modalities, Video, TimeSeries, array-like or None
        As in the ``fit`` of the model; None where X is a `Recording` with modalities.
    given : ModelInput
        X in the bins of the inference.
    n_lags : int
        Lags of the past: bins without that much of a past are left out.

    Returns
    -------
    callable
        Gives, for an array of targets, the centred log expectation of the bins with a whole past.

    Raises
    ------
    ValueError
        If X is not a container, its units are not those of the model, or stimuli are given twice.
    """
    if given.trials is None:
        raise ValueError("background='model' needs spike times: give X as SpikeTrains or a Recording, not as counts.")
    check_unit_ids(given.spikes.unit_ids, np.asarray(model.unit_ids_))
    spikes = given.trials
    blank = SpikeTrains(
        np.empty(0),
        np.empty(0, dtype=np.int64),
        np.zeros(len(spikes) + 1, dtype=np.int64),
        spikes.t_start,
        spikes.t_stop,
        unit_ids=spikes.unit_ids,
        trial_ids=spikes.trial_ids,
        observed=[np.empty((0, 2))] * len(spikes),
    )
    per_trial = model.predict(blank, _stimuli(X, stimuli))
    binned = given.spikes
    expected = np.empty((binned.n_bins, binned.n_units), dtype=np.float32)
    for trial, counts in enumerate(per_trial):
        low, high = binned.ptr[trial : trial + 2]
        # The model's bins are wider as a rule: every bin takes the value of the one that its middle lies in.
        middle = (np.arange(high - low) + 0.5) * binned.bin_width
        at = np.minimum((middle / model.bin_width).astype(int), len(counts) - 1)
        expected[low:high] = np.asarray(counts, dtype=np.float64)[at]
    np.maximum(expected, _LEAST * expected.mean(axis=0) + 1e-12, out=expected)
    log_expected = np.log(expected)[whole_past(binned, n_lags)]
    log_expected -= log_expected.mean(axis=0)
    return lambda targets: log_expected[:, targets]


def _stimuli(X: Any, given: Any) -> Any:
    own = X.modalities if isinstance(X, Recording) else None
    if own is not None and given is not None:
        raise ValueError("stimuli given twice: X is a Recording with modalities, and y is not None. Give one.")
    return given if own is None else own
