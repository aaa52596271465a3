"""NWB: tables of units, and whole files as a `Recording`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import plain_columns, read_epochs
from skneuro.data._rows import concatenated_ranges, pointer
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries

_PER_SPIKE = ("spike_times", "obs_intervals", "electrodes", "waveforms")


def from_units_table(units: pd.DataFrame, epochs: Any, trial_ids: Any) -> SpikeTrains:
    """Convert a table with one row per unit and a column ``spike_times``."""
    if "spike_times" not in units.columns:
        raise ValueError(f"A table of units needs a column spike_times. Got {list(units.columns)} instead.")
    unit_times = {unit: np.asarray(times, dtype=np.float64) for unit, times in units["spike_times"].items()}
    observed = None
    if "obs_intervals" in units.columns:
        observed = {
            unit: np.asarray(table, dtype=np.float64).reshape(-1, 2) for unit, table in units["obs_intervals"].items()
        }
    if epochs is not None:
        table, trial_ids = read_epochs(epochs, trial_ids)
    elif observed and any(len(intervals) for intervals in observed.values()):
        edges = np.concatenate(list(observed.values()))
        table = np.array([[edges[:, 0].min(), edges[:, 1].max()]])
    else:
        raise ValueError(
            "epochs must be given: a table of units without any obs_intervals does not say when the recording began "
            "and ended. Pass the trials (nwb.trials.to_dataframe()) or epochs=[(start, stop)] in seconds."
        )
    return SpikeTrains.from_unit_times(
        unit_times,
        table,
        observed=observed,
        trial_ids=trial_ids,
        unit_info=plain_columns(units, leave_out=_PER_SPIKE),
    )


def read_nwb(path: str | Path, *, epochs: Any = None, series: str | Sequence[str] | None = None) -> Recording:
    """Read units, trials and one or more stimulus or behaviour series from an NWB file.

    Parameters
    ----------
    path : str or Path
        The file.
    epochs : array-like of shape (n_trials, 2) or (2,), IntervalSet, or DataFrame, in seconds, default=None
        Trials. None takes the file's trials table; without one, the span of the units' ``obs_intervals`` is
        one trial.
    series : str or sequence of str, default=None
        Names of the time series to read. None takes the one in ``stimulus`` or the ``behavior`` module, if
        there is just one.

    Returns
    -------
    Recording
        Times are seconds on the file's clock. Modalities are named as in the file.

    Raises
    ------
    ImportError
        If pynwb is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no NWB file, or has no units; if nothing says when trials begin and end; if there are several series
        and none is named, or the named one is not there.
    IncompatibleModalityError
        If a series does not cover every trial.

    Warns
    -----
    DroppedSpikesWarning
        With the number of spikes outside every trial.

    Examples
    --------
    >>> from skneuro.data import read_nwb
    >>> recording = read_nwb("session.nwb", series="running_speed")  # doctest: +SKIP
    >>> recording.spikes.unit_info  # doctest: +SKIP
    """
    try:
        from pynwb import NWBHDF5IO
    except ImportError as error:
        raise ImportError('Reading NWB files needs pynwb: pip install "skneuro[io]"') from error
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    with ExitStack() as stack:
        try:
            nwb = stack.enter_context(NWBHDF5IO(str(path), mode="r")).read()
        except Exception as error:  # of h5py, hdmf or pynwb, which do not name the file
            raise ValueError(f"{path} is no NWB file that pynwb can read. {type(error).__name__}: {error}") from error
        if nwb.units is None or "spike_times" not in nwb.units.colnames:
            raise ValueError(f"{path} has no sorted units (nwb.units with spike_times).")
        if epochs is None and nwb.trials is not None:
            epochs = nwb.trials.to_dataframe()
        chosen = _choose(nwb, series, path)
        spikes = from_units_table(nwb.units.to_dataframe(), epochs, None)
        named = {name: _cut_series(one, spikes.t_start, spikes.t_stop) for name, one in chosen.items()}
    return Recording(spikes, Modalities(**named) if named else None)


def _choose(nwb: Any, series: str | Sequence[str] | None, path: str | Path) -> dict[str, Any]:
    if series is None:
        found = dict(_plain_series(nwb.stimulus))
        if "behavior" in nwb.processing:
            found |= dict(_plain_series(nwb.processing["behavior"].data_interfaces))
        if len(found) > 1:
            raise ValueError(
                f"{path} has several series: {sorted(found)}. Name those to read: series='{sorted(found)[0]}' or a "
                "list of names; series=[] reads none."
            )
        return found
    names = [series] if isinstance(series, str) else list(series)
    found = dict(_plain_series(nwb.stimulus)) | dict(_plain_series(nwb.acquisition))
    for module in nwb.processing.values():
        found |= dict(_plain_series(module.data_interfaces))
    missing = [name for name in names if name not in found]
    if missing:
        raise ValueError(f"{path} has no series of numbers named {missing}. There are {sorted(found)}.")
    return {name: found[name] for name in names}


def _plain_series(objects: Any) -> Iterator[tuple[str, Any]]:
    """Series of one number or vector per sample, also those inside Position and other containers."""
    for name, one in objects.items():
        inner = getattr(one, "time_series", None) or getattr(one, "spatial_series", None)
        if hasattr(inner, "items"):
            yield from _plain_series(inner)
        elif getattr(one, "data", None) is not None and hasattr(one, "rate") and np.ndim(one.data) in (1, 2):
            yield name, one


def _cut_series(one: Any, t_start: np.ndarray, t_stop: np.ndarray) -> TimeSeries:
    """Samples of each trial, and one more on either side, which stand at its borders."""
    values = np.asarray(one.data[:], dtype=np.float64) * (one.conversion or 1.0) + (getattr(one, "offset", 0.0) or 0.0)
    if one.timestamps is not None:
        times = np.asarray(one.timestamps[:], dtype=np.float64)
    else:
        times = (one.starting_time or 0.0) + np.arange(len(values)) / one.rate
    first = np.maximum(np.searchsorted(times, t_start, side="right") - 1, 0)
    last = np.minimum(np.searchsorted(times, t_stop, side="left") + 1, len(times))
    lengths = np.maximum(last - first, 0)
    rows = concatenated_ranges(first, lengths)
    return TimeSeries(values[rows], times[rows], pointer(lengths))
