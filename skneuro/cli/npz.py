"""Recordings in an .npz file: the simplest file that a user of another tool can write."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import is_zipfile

import numpy as np

from skneuro.cli.errors import CommandError, as_command_error
from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.data._trial_samples import samples_of_trials

NPZ_KEYS = (
    "An .npz holds times (s) and units (an id for each spike), t_start and t_stop (s, one for each trial) and, where "
    "wanted, trial (row of each spike's trial), NAME with NAME_times for a series, sync_source with sync_target for "
    "clock pulses"
)
_OWN = {"times", "units", "t_start", "t_stop", "trial", "sync_source", "sync_target"}
Pulses = tuple[np.ndarray, np.ndarray]


class NpzContent(NamedTuple):
    """What an .npz file holds.

    Attributes
    ----------
    spikes : SpikeTrains
        All trials. Without ``trial``, times are on one clock and spikes outside the trials were dropped with a
        warning.
    modalities : Modalities or None
        The series. Where one does not reach over the whole of a trial, it is NaN there, with a warning; one that
        reaches into no trial at all has no samples.
    pulses : tuple of two ndarrays or None
        Clock pulses.
    outside : float
        Share of the spikes that lie before the first trial or after the last.
    """

    spikes: SpikeTrains
    modalities: Modalities | None
    pulses: Pulses | None
    outside: float


def read_npz(path: Path) -> NpzContent:
    """Read spikes, series and clock pulses.

    Parameters
    ----------
    path : Path
        The file, see `NPZ_KEYS`.

    Returns
    -------
    NpzContent

    Raises
    ------
    CommandError
        If something is missing or does not fit together.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from skneuro.cli.npz import read_npz
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "rat.npz"
    >>> np.savez(path, times=[0.2, 0.7], units=["a", "b"], t_start=0.0, t_stop=1.0)
    >>> read_npz(path).spikes
    SpikeTrains(1 trials, 2 units, 2 spikes, 1 s)
    """
    arrays = _arrays(path)
    missing = [key for key in ("times", "units", "t_start", "t_stop") if key not in arrays]
    if missing:
        found = ", ".join(sorted(arrays)) or "nothing"
        raise CommandError(f"{path}: {' and '.join(missing)} missing, found {found}. {NPZ_KEYS}")
    with as_command_error(str(path)):
        pulses = _pulses(arrays)
        spikes = _spikes(arrays)
        modalities = _series(arrays, spikes)
    _warn_about_the_rest(path, arrays, modalities)
    return NpzContent(spikes, modalities, pulses, _outside(arrays, spikes))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not is_zipfile(path):
        raise CommandError(f"{path}: not a readable .npz file: numpy.savez did not write it, or it was cut short")
    arrays = {}
    with as_command_error(f"{path}: not a readable .npz file"), np.load(path, allow_pickle=False) as file:
        for key in file.files:
            with as_command_error(f"{path}: {key} is not a plain array of numbers or text and is not read"):
                arrays[key] = np.asarray(file[key])
    return arrays


def _pulses(arrays: dict[str, np.ndarray]) -> Pulses | None:
    found = [key for key in ("sync_source", "sync_target") if key in arrays]
    if len(found) == 1:
        raise ValueError(f"found {found[0]} alone; clocks are compared by sync_source with sync_target")
    return (arrays["sync_source"], arrays["sync_target"]) if found else None


def _warn_about_the_rest(path: Path, arrays: dict[str, np.ndarray], modalities: Modalities | None) -> None:
    names = () if modalities is None else modalities.names
    rest = sorted(set(arrays) - _OWN - set(names) - {f"{name}_times" for name in names})
    if rest:
        warnings.warn(f"{path}: {', '.join(rest)} not used; a series is NAME with NAME_times", stacklevel=3)


def _spikes(arrays: dict[str, np.ndarray]) -> SpikeTrains:
    times, units = _column(arrays, "times").astype(float), _column(arrays, "units")
    if units.dtype.kind == "f" and np.all(units == np.round(units)):  # ids that passed through MATLAB
        units = units.astype(np.int64)
    t_start, t_stop = (np.atleast_1d(arrays[key]).astype(float) for key in ("t_start", "t_stop"))
    _same_length(times=times, units=units)
    _same_length(t_start=t_start, t_stop=t_stop)
    if "trial" not in arrays:
        return SpikeTrains.from_events(times, units, epochs=np.column_stack([t_start, t_stop]))
    rows = _column(arrays, "trial")
    if rows.dtype.kind not in "iuf" or not np.array_equal(rows, np.round(rows)):
        raise ValueError("trial must hold whole numbers, the row of each spike's trial, got others")
    trial = rows.astype(np.int64)
    _same_length(times=times, trial=trial)
    if trial.size and not (trial.min() >= 0 and trial.max() < len(t_start)):
        raise ValueError(f"trial must number the {len(t_start)} trials from 0, got {trial.min()} to {trial.max()}")
    ids, columns = np.unique(units, return_inverse=True)
    order = np.lexsort((times, trial))
    ptr = np.concatenate([[0], np.cumsum(np.bincount(trial, minlength=len(t_start)))])
    return SpikeTrains(times[order], columns[order], ptr, t_start, t_stop, unit_ids=ids)


def _outside(arrays: dict[str, np.ndarray], spikes: SpikeTrains) -> float:
    if "trial" in arrays or not arrays["times"].size or not len(spikes):
        return 0.0
    times = arrays["times"].astype(float)
    return float(np.mean((times < spikes.t_start.min()) | (times >= spikes.t_stop.max())))


def _column(arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    """A list of values; MATLAB writes it as a matrix of one row or column."""
    array = arrays[key]
    if array.size != max(array.shape, default=1):
        raise ValueError(f"{key} must be a list with one entry for each spike, got an array of shape {array.shape}")
    return array.ravel()


def _series(arrays: dict[str, np.ndarray], spikes: SpikeTrains) -> Modalities | None:
    names = [key for key in arrays if f"{key}_times" in arrays and key not in _OWN]
    if not names:
        return None
    if "trial" in arrays:
        raise ValueError(
            f"{' and '.join(names)}: a series needs all trials on one clock; leave out trial and give absolute times"
        )
    parts = {name: _cut(name, arrays[name], arrays[f"{name}_times"], spikes) for name in names}
    return Modalities(**parts)


def _cut(name: str, values: np.ndarray, stamps: np.ndarray, spikes: SpikeTrains) -> TimeSeries:
    """The samples inside each trial and the one that holds at its start, between NaN where the series is shorter."""
    values, stamps = np.atleast_1d(values), stamps.ravel().astype(float)
    values = values.astype(float).reshape(len(values), -1)
    _same_length(**{name: values, f"{name}_times": stamps})
    if not (np.diff(stamps) > 0).all() or not np.isfinite(stamps).all():
        raise ValueError(f"{name}_times must ascend and be finite; sort {name} and its times, without duplicates")
    whole = TimeSeries(values, stamps, [0, len(stamps)])
    first = np.searchsorted(whole.until(), spikes.t_start + 1e-9)
    last = np.searchsorted(stamps, spikes.t_stop)
    last = np.maximum(last, np.isinf(whole.interval[0]))  # a single sample is for all trials
    return samples_of_trials(name, whole, first, last, spikes.t_start, spikes.t_stop)


def _same_length(**arrays: Any) -> None:
    if len({len(a) for a in arrays.values()}) > 1:
        raise ValueError(
            f"expected as many {' as '.join(arrays)}, got {' and '.join(str(len(a)) for a in arrays.values())}"
        )
