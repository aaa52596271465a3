"""Checks of what users hand to the containers: what was expected, what came, what to do."""

from __future__ import annotations

import datetime
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from skneuro._warn import warn_user
from skneuro.exceptions import NonIntegerCountsWarning

if TYPE_CHECKING:
    from skneuro.data.observation import Observation
    from skneuro.data.spike_trains import SpikeTrains

SPIKES_AT_ONCE = 2**18
# A border this close (in bins or blocks) counts as reached: 0.3 / 0.1 is three bins, 6.9999999 bins is bin 7.
TOLERANCE = 1e-6
# No unit has more spikes in a bin: such numbers are fluorescence, voltages or counts in another unit.
MOST_SPIKES = 10_000
# In seconds: the border of a block, whose bins are not known. 3 * 0.1 is not 0.3, and a spike at 0.3 lies behind it.
ROUNDING = 1e-9


def plain_float(value: Any) -> Any:
    """A number of less than 64 bits as the decimal that it stands for, all else as it is.

    ``np.float32(0.01)`` is 0.01, of which 100 fill a second, and not the 0.0099999998 of its bits.
    """
    return float(str(value)) if isinstance(value, np.floating) and value.dtype.itemsize < 8 else value


def check_width(value: Any, name: str, resolution: float | None = None, unit: str = "seconds") -> float:
    """Return a positive number that is a multiple of `resolution`, where there is one."""
    if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(float(value)) or float(value) <= 0:
        raise ValueError(f"{name} must be a positive number of {unit}. Got {value!r:.80} instead.")
    width = float(plain_float(value))
    if resolution is not None:
        ratio = width / resolution
        if round(ratio) < 1 or abs(ratio - round(ratio)) > 1e-6 * ratio:
            raise ValueError(
                f"These spikes come from counts in bins of {resolution:g} s, so {name} must be a whole multiple of "
                f"{resolution:g} s. Got {width:g} s instead."
            )
    return width


def check_precision(t_start: np.ndarray, t_stop: np.ndarray, bin_width: float) -> None:
    """Refuse times so far from 0 that their rounding may move a spike into another bin."""
    latest = max(np.abs(t_start).max(initial=0.0), np.abs(t_stop).max(initial=0.0))
    if np.spacing(latest) > TOLERANCE * bin_width:
        raise ValueError(
            f"Times around {latest:.9g} s are known to {np.spacing(latest):.1g} s only, too coarse for bins of "
            f"{bin_width:g} s. Times since 1970 are such: subtract the session's start from all times first, of "
            f"spikes, trials and modalities alike."
        )


def own(values: Any, *dtypes: type) -> np.ndarray:
    """A copy of the first of `dtypes`, so that later changes to the user's array do not reach into a container.

    What is mapped from a file for reading only stays there, if it is of any of them.
    """
    in_file = isinstance(values, np.memmap) and not values.flags.writeable and values.flags.c_contiguous
    return np.asarray(values) if in_file and values.dtype in dtypes else np.array(values, dtype=dtypes[0])


def as_times(values: Any, what: str) -> np.ndarray:
    """Return a 1-D float64 array of finite times."""
    times = seconds(values, what)
    if times.ndim != 1:
        raise ValueError(f"{what} must be a 1-D array. Got an array with {times.ndim} dimensions instead.")
    finite = np.isfinite(times)
    if not finite.all():
        raise ValueError(
            f"{what} must be finite. Got {times[~finite][0]} at position {np.flatnonzero(~finite)[0]} "
            f"({(~finite).sum()} such values in all); remove them first."
        )
    return times


# What numpy would take for numbers, by the kind of its type, and what to do about it.
_NO_TIMES = {
    "M": "subtract the session's start, which leaves durations: times - t0",
    "b": "a mask picks times: times[mask]",
    "U": "convert them: np.asarray(times, dtype=float)",
    "S": "convert them: np.asarray(times, dtype=float)",
    "c": "take their real part",
}


def seconds(values: Any, what: str) -> np.ndarray:
    """Return times as float64 seconds; durations of numpy, pandas and Python (timedelta) are converted.

    Raises
    ------
    TypeError
        If they are dates, truth values, strings or complex numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind == "O" and array.size and isinstance(array.flat[0], datetime.timedelta):
        array = array.astype("timedelta64[ns]")
    if array.dtype.kind == "m":
        return np.where(np.isnat(array), np.nan, array / np.timedelta64(1, "s"))
    dates = array.dtype.kind == "O" and array.size and isinstance(array.flat[0], datetime.date)
    remedy = _NO_TIMES.get("M" if dates else array.dtype.kind)
    if remedy is not None and array.size:
        raise TypeError(f"{what} must be numbers in seconds. Got {array.flat[0]!r:.60}; {remedy}.")
    try:
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{what} must be numbers in seconds. Got {type(values).__name__} instead.") from error


def own_times(values: Any, what: str) -> np.ndarray:
    """A copy of 1-D times, checked; what is mapped from a file for reading only stays there."""
    times = as_times(values, what)
    return own(values, np.float64) if isinstance(values, np.memmap) and values.dtype == np.float64 else np.array(times)


def per_trial(value: Any, n_trials: int, name: str) -> np.ndarray:
    """Return a number, or one number per trial, as an array of shape (n_trials,)."""
    array = as_times(np.atleast_1d(np.asarray(value)), name)
    if len(array) != n_trials and np.ndim(value) != 0:
        raise ValueError(f"{name} must be a number or one number for each of {n_trials} trials. Got {len(array)}.")
    return np.broadcast_to(array, (n_trials,)).copy()


def trial_borders(t_start: Any, t_stop: Any, n_trials: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the borders as arrays of shape (n_trials,), checked."""
    if t_stop is None:
        raise ValueError("t_stop must be given, in seconds: it cannot be told from the spikes without biasing rates.")
    start, stop = per_trial(t_start, n_trials, "t_start"), per_trial(t_stop, n_trials, "t_stop")
    wrong = np.flatnonzero(stop < start)
    if len(wrong):
        k = wrong[0]
        raise ValueError(f"Trial {k} must not stop before it starts. Got t_start={start[k]:g}, t_stop={stop[k]:g} s.")
    return start, stop


def whole_counts(array: np.ndarray, counts: str, owner: str) -> np.ndarray:
    """Return whole, non-negative counts; `counts` says whether others are rounded or refused."""
    if counts not in ("round", "strict"):
        raise ValueError(f"counts must be 'round' or 'strict'. Got {counts!r:.80} instead.")
    if array.dtype.kind not in "iufb":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError) as error:
            raise TypeError(f"counts must be numbers. Got an array of dtype {array.dtype} instead.") from error
    if array.size == 0:
        return array.astype(np.int64)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError("counts must be finite. Got NaN or infinity; mark missing bins with observed=... instead.")
    if array.min() < 0:
        # The beginning is scikit-learn's own sentence, which its check of non-negative input looks for.
        raise ValueError(
            f"Negative values in data passed to {owner}: spike counts are at least 0, got {array.min():g}. "
            "If this is dF/F, deconvolve it into events first (CalciumEvents)."
        )
    if array.max() > MOST_SPIKES:
        raise ValueError(
            f"counts must be spikes in a bin, at most {MOST_SPIKES:,}. Got {array.max():g}. Are these raw "
            f"fluorescence? Make events of them first (CalciumEvents); rates, multiply by the bin's width."
        )
    if array.dtype.kind == "f":
        whole = np.floor(array + 0.5)
        if (whole != array).any():
            message = "Counts are not whole numbers of spikes"
            if counts == "strict":
                raise ValueError(f"{message}. Round or deconvolve them first.")
            warn_user(f"{message}; they are rounded.", NonIntegerCountsWarning)
        array = whole
    return array.astype(np.int64, copy=False)


def check_layout(times: Any, units: Any, ptr: Any, t_start: Any, t_stop: Any) -> tuple[np.ndarray, ...]:
    """Check types and lengths of the flat arrays; returns them as arrays of the container's own."""
    if isinstance(times, dict):
        raise TypeError("times must be an array. Got a dict; use SpikeTrains.from_unit_times(dict, epochs=...).")
    times = own_times(times, "times")
    columns = np.asarray(units)
    units = own(units, np.int32 if columns.size == 0 else columns.dtype.type)
    if units.ndim != 1 or units.dtype.kind not in "iu":
        raise ValueError("units must be a 1-D array of column indices (ints). For unit ids use from_events.")
    ptr = np.array(ptr)
    if ptr.ndim != 1 or len(ptr) < 1 or not np.array_equal(ptr, ptr.astype(np.int64)):
        raise ValueError("ptr must be a 1-D array of n_trials + 1 ints.")
    ptr = ptr.astype(np.int64)
    if len(times) != len(units):
        raise ValueError(f"times and units must have the same length. Got {len(times)} times and {len(units)} units.")
    if ptr[0] != 0 or ptr[-1] != len(times) or (np.diff(ptr) < 0).any():
        raise ValueError(f"ptr must ascend from 0 to the number of spikes, {len(times)}. Got {ptr!r:.80}.")
    start, stop = trial_borders(t_start, t_stop, len(ptr) - 1)
    return times, units, ptr, start, stop


def check_spikes(
    times: np.ndarray,
    units: np.ndarray,
    ptr: np.ndarray,
    t_start: np.ndarray,
    t_stop: np.ndarray,
    unit_ids: np.ndarray,
) -> None:
    """Check order and borders of the spikes and the range of their columns."""
    n_units = len(unit_ids)
    if len(units) and not (0 <= units.min() and units.max() < n_units):
        raise ValueError(
            f"units must be column indices 0 .. {n_units - 1} ({n_units} unit ids). "
            f"Got {units.min()} .. {units.max()}; for unit ids use from_events."
        )
    outside, descends = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for low in range(0, len(times), SPIKES_AT_ONCE):
        part = times[low : low + SPIKES_AT_ONCE + 1]
        trial = np.searchsorted(ptr, np.arange(low, low + len(part)), side="right") - 1
        is_out = ((part < t_start[trial]) | (part >= t_stop[trial]))[:SPIKES_AT_ONCE]
        back = (np.diff(part) < 0) & (np.diff(trial) == 0)
        outside = np.append(outside, low + np.flatnonzero(is_out))
        descends = np.append(descends, low + np.flatnonzero(back))
    if len(outside):
        first = outside[0]
        k = np.searchsorted(ptr, first, side="right") - 1
        raise ValueError(
            f"{len(outside)} of {len(times)} spikes lie outside [t_start, t_stop) of their trial: first, unit "
            f"{unit_ids[units[first]]!s} at {times[first]:.9g} s in trial {k}, [{t_start[k]:.9g}, {t_stop[k]:.9g}) s. "
            "Correct the borders or the unit of time (seconds), or use from_events, which clips and reports."
        )
    if len(descends):
        first = descends[0]
        k = np.searchsorted(ptr, first, side="right") - 1
        raise ValueError(
            f"times must ascend within a trial. Trial {k} has {times[first + 1]:.9g} s after {times[first]:.9g} s; use "
            "SpikeTrains.from_events, which sorts."
        )


def check_context(context: Any, duration: np.ndarray) -> np.ndarray:
    """Return the context of each trial, which lies within it."""
    array = per_trial(context, len(duration), "context")
    if (array < 0).any() or (array > duration * (1 + TOLERANCE)).any():
        k = np.flatnonzero((array < 0) | (array > duration * (1 + TOLERANCE)))[0]
        raise ValueError(
            f"context must lie between 0 and the duration of its trial, in seconds. Got {array[k]:g} s for trial {k} "
            f"of {duration[k]:g} s."
        )
    return array


def check_unit_info(info: Any, unit_ids: np.ndarray) -> pd.DataFrame:
    """Return `info` with one row per unit, in column order."""
    index = pd.Index(unit_ids, name="unit_id")
    if info is None:
        return pd.DataFrame(index=index)
    if not isinstance(info, pd.DataFrame):
        raise TypeError(f"unit_info must be a DataFrame indexed by unit id. Got {type(info).__name__} instead.")
    missing = [unit_id for unit_id in unit_ids.tolist() if unit_id not in info.index]
    if missing or not info.index.is_unique:
        raise ValueError(
            f"unit_info must be indexed by unit id, each once. "
            f"{f'The unit {missing[0]!r} is missing' if missing else 'An id occurs twice'}; use .set_index(...)."
        )
    rows = info.loc[unit_ids.tolist()].copy()
    rows.index = index
    return rows


def check_observation(spikes: SpikeTrains, observation: Observation) -> None:
    """Refuse spikes of a unit at a time when it was not observed."""
    if len(observation) != len(spikes):
        raise ValueError(f"observed must cover {len(spikes)} trials. Got {len(observation)} instead.")
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    inside = np.flatnonzero(observation.in_gap(spikes.times, spikes.units, trial))
    if len(inside):
        first = inside[0]
        raise ValueError(
            f"{len(inside)} of {spikes.n_spikes} spikes lie in time that was not observed: first, unit "
            f"{spikes.unit_ids[spikes.units[first]]!s} at {spikes.times[first]:.9g} s in trial {trial[first]}. Correct "
            "the observed intervals, or use from_events, which leaves such spikes out and reports."
        )


def unit_columns(units: Any, unit_ids: np.ndarray) -> np.ndarray:
    """Return the columns of some unit ids, or of a boolean mask over the units."""
    wanted = np.asarray(units)
    if wanted.ndim != 1:
        raise ValueError("Units must be selected by a 1-D array of unit ids or a boolean mask.")
    if wanted.dtype == bool:
        if len(wanted) != len(unit_ids):
            raise ValueError(f"The mask must have one entry for each of {len(unit_ids)} units. Got {len(wanted)}.")
        return np.flatnonzero(wanted)
    columns = {unit_id: column for column, unit_id in enumerate(unit_ids.tolist())}
    unknown = [unit_id for unit_id in wanted.tolist() if unit_id not in columns]
    if unknown:
        raise ValueError(f"There is no unit {unknown[0]!r}. The unit ids are {unit_ids.tolist()!r:.200}.")
    return np.array([columns[unit_id] for unit_id in wanted.tolist()], dtype=np.int64)
