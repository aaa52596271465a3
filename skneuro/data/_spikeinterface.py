"""SpikeInterface sortings (Kilosort, Phy and whatever else it reads) as `SpikeTrains`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import plain_columns, read_epochs
from skneuro.data.spike_trains import SpikeTrains


def is_sorting(obj: Any) -> bool:
    """Whether `obj` looks like a SpikeInterface sorting."""
    return all(hasattr(obj, name) for name in ("get_unit_spike_train", "unit_ids", "get_num_segments"))


def from_spikeinterface(sorting: Any, epochs: Any = None, *, trial_ids: Any = None) -> SpikeTrains:
    """Convert a SpikeInterface sorting; properties of the units become `unit_info`.

    Parameters
    ----------
    sorting : spikeinterface.BaseSorting
        For instance ``spikeinterface.extractors.read_phy(folder)`` or ``read_kilosort(folder)``.
    epochs : array-like of shape (n_trials, 2) or (2,), IntervalSet, or DataFrame, in seconds, default=None
        Trials of a sorting of one segment. None takes each segment as a trial, which needs a registered
        recording (``sorting.register_recording(recording)``): without it, nothing says when a segment ends.
    trial_ids : array-like of shape (n_trials,), default=None
        Identities of the trials; their number if None.

    Returns
    -------
    SpikeTrains
        Times are those of the sorting, with the recording's time vector where it has one.

    Raises
    ------
    TypeError
        If `sorting` is no SpikeInterface sorting.
    ValueError
        If `epochs` is None and no recording is registered, or epochs are given for several segments.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import from_spikeinterface
    >>> from spikeinterface.core import NumpySorting
    >>> samples = {"a": np.array([30, 900]), "b": np.array([450])}
    >>> sorting = NumpySorting.from_unit_dict(samples, sampling_frequency=1000.0)
    >>> from_spikeinterface(sorting, epochs=[(0.0, 1.0)])
    SpikeTrains(1 trials, 2 units, 3 spikes, 1 s)
    """
    if not is_sorting(sorting):
        raise TypeError(f"sorting must be a SpikeInterface sorting. Got {type(sorting).__name__} instead.")
    n_segments, unit_ids = int(sorting.get_num_segments()), np.asarray(sorting.unit_ids)
    if epochs is not None:
        if n_segments > 1:
            raise ValueError(
                f"epochs cut one segment, and this sorting has {n_segments}, which are trials already. Select one with "
                "sorting.select_segments([k]), or leave epochs out."
            )
        table, trial_ids = read_epochs(epochs, trial_ids)
        tables = [table]
    else:
        tables = [_segment_borders(sorting, segment) for segment in range(n_segments)]
    info = _unit_info(sorting, unit_ids)
    parts = []
    for segment, table in enumerate(tables):
        ids = trial_ids if n_segments == 1 else [segment if trial_ids is None else trial_ids[segment]]
        times = {
            unit.item(): sorting.get_unit_spike_train(unit_id=unit, segment_index=segment, return_times=True)
            for unit in unit_ids
        }
        parts.append(SpikeTrains.from_unit_times(times, table, trial_ids=ids, unit_info=info))
    return SpikeTrains.concatenate(parts)


def _segment_borders(sorting: Any, segment: int) -> np.ndarray:
    if not sorting.has_recording():
        raise ValueError(
            "epochs must be given: a sorting without a recording does not say when a segment ends. Pass "
            "epochs=[(0.0, duration)] in seconds, or call sorting.register_recording(recording) first."
        )
    # The end time is that of the last sample, which itself lasts one sampling interval.
    stop = sorting.get_end_time(segment_index=segment) + 1.0 / sorting.get_sampling_frequency()
    return np.array([[sorting.get_start_time(segment_index=segment), stop]])


def _unit_info(sorting: Any, unit_ids: np.ndarray) -> pd.DataFrame:
    values = {key: np.asarray(sorting.get_property(key)) for key in sorting.get_property_keys()}
    single = {key: value for key, value in values.items() if value.ndim == 1}
    return plain_columns(pd.DataFrame(single, index=unit_ids))
