"""Other libraries' spikes as `SpikeTrains`: pynapple, neo, NWB, SpikeInterface, pandas.

Objects are recognised by what they offer, so that none of these libraries is imported here. What they know of
the units goes into `unit_info`, and what they know of observed time into the observation.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import read_epochs, require_epochs
from skneuro.data._neo import from_neo, is_neo
from skneuro.data._nwb import from_units_table, read_nwb
from skneuro.data._pynapple import from_ts_group, is_ts_group
from skneuro.data._spikeinterface import from_spikeinterface, is_sorting
from skneuro.data.recording import Recording
from skneuro.data.spike_trains import SpikeTrains

__all__ = ["as_spike_trains", "from_spikeinterface", "read_nwb"]


def as_spike_trains(
    obj: Any, epochs: Any = None, *, bin_width: float | None = None, trial_ids: Any = None
) -> SpikeTrains:
    """Convert spikes in any of the usual forms to `SpikeTrains`.

    Parameters
    ----------
    obj : object
        One of

        - `SpikeTrains`: returned as they are, or, if of one trial, cut into `epochs`;
        - a pynapple ``TsGroup``; its metadata become `unit_info`, and time outside its time support counts as not
          observed;
        - a neo ``Segment``, ``Block`` (each segment is a trial), list of segments, or list of ``SpikeTrain`` (one
          trial);
        - a DataFrame with a column ``spike_times`` and one row per unit, as NWB's ``nwb.units.to_dataframe()``;
          ``obs_intervals`` become the observation, other plain columns `unit_info`;
        - a SpikeInterface sorting, see `from_spikeinterface`;
        - a dict ``{unit_id: times}``;
        - counts: an array of shape (n_bins, n_units) or (n_trials, n_bins, n_units), a list of 2-D arrays, or a
          DataFrame with one column per unit. They need `bin_width`.
    epochs : array-like of shape (n_trials, 2) or (2,), IntervalSet, or DataFrame, in seconds, default=None
        Start and stop of each trial; a DataFrame has columns ``start_time`` and ``stop_time``, as NWB's
        trials, or ``start`` and ``end``. None where `obj` itself says when it begins and ends: it is never
        guessed.
    bin_width : float, in seconds, default=None
        Width of a bin, for counts only.
    trial_ids : array-like of shape (n_trials,), default=None
        Identities of the trials; the index of `epochs` where it is a DataFrame, else their number.

    Returns
    -------
    SpikeTrains
        Times stay on the clock of `obj`.

    Raises
    ------
    TypeError
        If the form of `obj` is not known.
    ValueError
        If epochs are needed and missing, or `bin_width` is.

    Warns
    -----
    DroppedSpikesWarning
        With the number of spikes outside every epoch or in time that was not observed.

    Examples
    --------
    >>> import pandas as pd
    >>> from skneuro.data import as_spike_trains
    >>> units = pd.DataFrame({"spike_times": [[0.1, 0.7], [0.4]], "area": ["V1", "LM"]}, index=[4, 9])
    >>> trials = pd.DataFrame({"start_time": [0.0, 0.5], "stop_time": [0.5, 1.0]})
    >>> spikes = as_spike_trains(units, trials)
    >>> spikes
    SpikeTrains(2 trials, 2 units, 3 spikes, 1 s)
    >>> spikes.unit_info.loc[9, "area"]
    'LM'
    >>> as_spike_trains([[0, 1], [2, 0]], bin_width=0.1).times
    array([0.05, 0.15, 0.15])
    """
    if isinstance(obj, Recording):
        raise TypeError("obj is a Recording, whose spikes are SpikeTrains already: use obj.spikes.")
    counts = _as_counts(obj)
    if counts is not None:
        return _from_counts(obj, counts, epochs, bin_width, trial_ids)
    if bin_width is not None and not isinstance(obj, np.ndarray):
        raise ValueError(
            f"bin_width is the width of counts, but obj is {type(obj).__name__} and holds spike times. Leave it out; "
            "bin afterwards with .bin(bin_width)."
        )
    return _from_times(obj, epochs, trial_ids)


def _from_times(obj: Any, epochs: Any, trial_ids: Any) -> SpikeTrains:
    """Spikes in whichever form that holds their times."""
    if isinstance(obj, SpikeTrains):
        return _recut(obj, epochs, trial_ids)
    if is_ts_group(obj):
        return from_ts_group(obj, epochs, trial_ids)
    if is_sorting(obj):
        return from_spikeinterface(obj, epochs, trial_ids=trial_ids)
    if is_neo(obj):
        return from_neo(obj, epochs, trial_ids)
    if isinstance(obj, pd.DataFrame):
        return from_units_table(obj, epochs, trial_ids)
    if isinstance(obj, Mapping):
        table, ids = require_epochs(epochs, trial_ids, "a dict of spike times")
        return SpikeTrains.from_unit_times(obj, table, trial_ids=ids)
    raise TypeError(_unknown(obj))


def _as_counts(obj: Any) -> Any:
    """`obj` as counts, or None if it is something else."""
    if isinstance(obj, pd.DataFrame):
        return None if "spike_times" in obj.columns else obj.to_numpy()
    if isinstance(obj, np.ndarray):
        return obj if obj.ndim in (2, 3) and obj.dtype.kind in "biuf" else None
    if isinstance(obj, (list, tuple)) and len(obj):
        if all(isinstance(part, np.ndarray) and part.ndim == 2 for part in obj):
            return obj
        if isinstance(obj[0], (list, tuple)):
            try:
                array = np.asarray(obj)
            except ValueError:
                return None
            return array if array.ndim in (2, 3) and array.dtype.kind in "biu" else None
    return None


def _from_counts(obj: Any, counts: Any, epochs: Any, bin_width: float | None, trial_ids: Any) -> SpikeTrains:
    if bin_width is None:
        message = "Counts need bin_width, in seconds: as_spike_trains(counts, bin_width=...)."
        if isinstance(obj, pd.DataFrame):
            message += " A table without a column spike_times is read as counts."
        raise ValueError(message)
    if epochs is not None:
        raise ValueError(
            "Counts are cut into trials already, so epochs must be None; say when the trials start with "
            "SpikeTrains.from_counts(counts, bin_width, t_start=...)."
        )
    unit_ids = None
    if isinstance(obj, pd.DataFrame):
        unit_ids = obj.columns.to_numpy()
    return SpikeTrains.from_counts(counts, bin_width, unit_ids=unit_ids, trial_ids=trial_ids)


def _recut(spikes: SpikeTrains, epochs: Any, trial_ids: Any) -> SpikeTrains:
    if epochs is None:
        if trial_ids is not None:
            raise ValueError("These SpikeTrains have trial_ids already; trial_ids goes with epochs only.")
        return spikes
    if len(spikes) != 1 or spikes.context.any():
        raise ValueError(
            f"epochs cut one continuous trial, and these SpikeTrains have {len(spikes)}. Convert the recording before "
            "it is cut, or use .cut(duration)."
        )
    if spikes.resolution is not None:
        raise ValueError(
            "These SpikeTrains were made from counts, whose bins need not begin where an epoch does. Slice the counts "
            "and convert the slices."
        )
    table, ids = read_epochs(epochs, trial_ids)
    unit_ids = spikes.unit_ids
    # Epochs may reach beyond the trial, where nothing was observed.
    observed = {unit: spikes.observed_intervals(0, unit) for unit in unit_ids.tolist()}
    return SpikeTrains.from_events(
        spikes.times,
        unit_ids[spikes.units],
        epochs=table,
        unit_ids=unit_ids,
        observed=observed,
        unit_info=spikes.unit_info,
        trial_ids=ids,
    )


def _unknown(obj: Any) -> str:
    package = type(obj).__module__.split(".")[0]
    kind = type(obj).__name__ if package == "builtins" else f"{package} {type(obj).__name__}"
    if isinstance(obj, (str, os.PathLike)):
        return (
            f"Got the path {os.fspath(obj)!r}. An NWB file is read by read_nwb(path), others by neo or SpikeInterface."
        )
    if isinstance(obj, np.ndarray):
        return (
            "An array is converted if it holds counts, of shape (n_bins, n_units) or (n_trials, n_bins, n_units). "
            f"Got shape {obj.shape} of {obj.dtype}. For spike times use SpikeTrains.from_events."
        )
    if isinstance(obj, (list, tuple)):
        return (
            "A list is converted if it holds counts (2-D arrays), neo segments or neo spike trains. For spike times of "
            "trials and units use SpikeTrains.from_lists(trials, t_start, t_stop)."
        )
    return (
        "Spikes are converted from a pynapple TsGroup, a neo Segment or Block, a DataFrame with spike_times, a "
        f"SpikeInterface sorting, a dict of spike times, or counts. Got {kind} instead; gather its spike times in a "
        "dict {unit_id: times} and give epochs."
    )
