"""NWB: tables of units, and whole files as a `Recording`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import plain_columns, read_epochs
from skneuro.data._trial_samples import samples_of_trials
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries

_PER_SPIKE = ("spike_times", "obs_intervals", "electrodes", "waveforms")
_SHOWN = ("stimulus/", "processing/behavior/")  # where a series is looked for that nobody named
_SLACK = 1e-9  # seconds, of times that a rate gives


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
        there is just one. Where several have the same name, their containers tell them apart:
        ``"HeadPosition/SpatialSeries"``, ``"acquisition/running_speed"``.

    Returns
    -------
    Recording
        Times are seconds on the file's clock. Modalities are named as in `series`, else as in the file. Where a series
        begins late, ends early or was not recorded, it is NaN, also over whole trials.

    Raises
    ------
    ImportError
        If pynwb is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no NWB file, or has no units; if nothing says when trials begin and end; if there are several series
        and none is named, or several of the name, or none; if the timestamps of a series do not ascend.
    IncompatibleModalityError
        If a series does not reach into any trial.

    Warns
    -----
    DroppedSpikesWarning
        With the number of spikes outside every trial.
    UserWarning
        With the number of trials that a series does not reach over, and the time that is missing there.

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
        series_of = {name: _whole_series(name, one, path) for name, one in chosen.items()}
    named = {name: _cut_series(name, whole, spikes.t_start, spikes.t_stop) for name, whole in series_of.items()}
    return Recording(spikes, Modalities(**named) if named else None)


def _choose(nwb: Any, series: str | Sequence[str] | None, path: str | Path) -> dict[str, Any]:
    found = dict(_all_series(nwb))
    if series is None:
        shown = {place: one for place, one in found.items() if place.startswith(_SHOWN)}
        names = sorted({_shortest(place, found) for place in shown})
        if len({id(one) for one in shown.values()}) > 1:
            raise ValueError(
                f"{path} has several series: {names}. Name those to read: series='{names[0]}' or a "
                "list of names; series=[] reads none."
            )
        return {place.rpartition("/")[2]: one for place, one in shown.items()}
    names = [series] if isinstance(series, str) else list(series)
    places = {name: [place for place in found if _is_named(place, name)] for name in names}
    missing = [name for name in names if not places[name]]
    if missing:
        known = sorted({_shortest(place, found) for place in found})
        raise ValueError(f"{path} has no series of numbers named {missing}. There are {known}.")
    for name, meant in places.items():
        if len({id(found[place]) for place in meant}) > 1:
            raise ValueError(
                f"{path} has several series named {name!r}: {meant}. Name the one to read by as much of its place as "
                f"tells them apart: series='{_shortest(meant[0], found)}'."
            )
    return {name: found[places[name][0]] for name in names}


def _is_named(place: str, name: str) -> bool:
    return f"/{place}".endswith("/" + name.strip("/"))


def _shortest(place: str, found: dict[str, Any]) -> str:
    """The end of a place that names no other series."""
    parts = place.split("/")
    ends = ["/".join(parts[-n:]) for n in range(1, len(parts) + 1)]
    alone = (end for end in ends if all(one is found[place] for at, one in found.items() if _is_named(at, end)))
    return next(alone, place)


def _all_series(nwb: Any) -> Iterator[tuple[str, Any]]:
    yield from _plain_series(nwb.stimulus, "stimulus/presentation")
    yield from _plain_series(nwb.acquisition, "acquisition")
    for name, module in nwb.processing.items():
        yield from _plain_series(module.data_interfaces, f"processing/{name}")


def _plain_series(objects: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Places of series of one number or vector per sample, also those inside Position and other containers."""
    for name, one in objects.items():
        inner = getattr(one, "time_series", None) or getattr(one, "spatial_series", None)
        if hasattr(inner, "items"):
            yield from _plain_series(inner, f"{place}/{name}")
        elif getattr(one, "data", None) is not None and hasattr(one, "rate") and np.ndim(one.data) in (1, 2):
            yield f"{place}/{name}", one


def _whole_series(name: str, one: Any, path: str | Path) -> TimeSeries:
    values = np.asarray(one.data[:], dtype=np.float64) * (one.conversion or 1.0) + (getattr(one, "offset", 0.0) or 0.0)
    if one.timestamps is not None:
        times = np.asarray(one.timestamps[:], dtype=np.float64)
    else:
        times = (one.starting_time or 0.0) + np.arange(len(values)) / one.rate
    try:
        return TimeSeries(values, times, [0, len(times)])
    except ValueError as error:
        raise ValueError(f"{path}: the series {name!r} cannot be read. {error}") from error


def _cut_series(name: str, whole: TimeSeries, t_start: np.ndarray, t_stop: np.ndarray) -> TimeSeries:
    """Samples of each trial, and one more on either side where the series goes on beyond its borders."""
    times, until = whole.timestamps, whole.until()
    first = np.searchsorted(until, t_start, side="right")
    last = np.searchsorted(times, t_stop, side="left")
    reaches = np.append(-np.inf, until)[last] >= t_stop - _SLACK
    last = np.maximum(last + reaches, np.isinf(whole.interval[0]))  # a single sample is for all trials
    last = np.minimum(last, len(times))
    return samples_of_trials(name, whole, first, last, t_start, t_stop, slack=_SLACK)
