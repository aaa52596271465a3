"""Time around pulses that is taken out of a recording."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from skneuro.data._validation import unit_columns
from skneuro.data.observation import ALL_UNITS, Observation
from skneuro.data.spike_trains import SpikeTrains


def blanked(
    spikes: Any,
    trial: np.ndarray,
    n_trials: int,
    onset: np.ndarray,
    duration: np.ndarray,
    before: Any,
    after: Any,
    edges: bool,
    units: Any,
) -> SpikeTrains:
    """The spikes without the time around pulses; see `Pulses.blank`."""
    if not isinstance(spikes, SpikeTrains):
        raise TypeError(f"spikes must be SpikeTrains. Got {type(spikes).__name__}; convert with as_spike_trains.")
    if len(spikes) != n_trials:
        raise ValueError(f"The spikes must be of the same {n_trials} trials as the pulses. Got {len(spikes)} trials.")
    for name, value in (("before", before), ("after", after)):
        if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
            raise ValueError(f"{name} must be a number of seconds, at least 0. Got {value!r:.80} instead.")
    if not isinstance(edges, (bool, np.bool_)):
        raise ValueError(f"edges must be True or False. Got {edges!r:.80} instead.")
    if edges and before == 0 and after == 0:
        raise ValueError("With edges=True, before or after must be above 0 seconds, or nothing is blanked.")
    if edges:
        trial = np.concatenate([trial, trial])
        onset, duration = np.concatenate([onset, onset + duration]), np.zeros(2 * len(onset))
    start = np.maximum(onset - before, spikes.t_start[trial])
    stop = np.minimum(onset + duration + after, spikes.t_stop[trial])
    inside = stop > start
    trial, start, stop = trial[inside], start[inside], stop[inside]
    columns = np.array([ALL_UNITS]) if units is None else unit_columns(units, spikes.unit_ids)
    parts = [
        (np.tile(trial, len(columns)), np.tile(start, len(columns)), np.tile(stop, len(columns)),
         np.repeat(columns, len(trial)))
    ]  # fmt: skip
    old = spikes.observation
    if old is not None:
        parts.append((old.trial, old.start, old.stop, old.unit))
    observation = Observation._from_parts(parts, n_trials)
    if observation is None:
        return spikes
    of_spike = np.repeat(np.arange(n_trials), np.diff(spikes.ptr))
    kept = ~observation.in_gap(spikes.times, spikes.units, of_spike)
    ptr = np.concatenate([[0], np.cumsum(kept)])[spikes.ptr]
    return spikes._replace(times=spikes.times[kept], units=spikes.units[kept], ptr=ptr, _observation=observation)
