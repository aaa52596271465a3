"""Flatten lists, counts, events and blocks into the arrays of `SpikeTrains`.

The functions named after a constructor return the arguments of ``SpikeTrains.__init__``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.sparse import issparse

from skneuro._warn import warn_user
from skneuro.data._epochs import EPOCHS, epoch_table
from skneuro.data._rows import check_ids, concatenated_ranges, pointer
from skneuro.data._validation import (
    ROUNDING,
    TOLERANCE,
    as_times,
    check_width,
    per_trial,
    trial_borders,
    whole_counts,
)
from skneuro.data.observation import Observation
from skneuro.exceptions import DroppedSpikesWarning

if TYPE_CHECKING:
    from skneuro.data.spike_trains import SpikeTrains


def from_lists(trials: Sequence[Sequence[Any]], t_start: Any, t_stop: Any, unit_ids: Any) -> dict[str, Any]:
    """Flatten ``trials[k][j]``."""
    if isinstance(trials, Mapping):
        raise TypeError("trials must be a list of trials. Got a dict; use SpikeTrains.from_unit_times(dict, epochs).")
    _check_nesting(trials)
    n_units = len(unit_ids) if unit_ids is not None else (len(trials[0]) if len(trials) else 0)
    for number, trial in enumerate(trials):
        if len(trial) != n_units:
            whose = "that unit_ids names" if unit_ids is not None else "that trial 0 lists"
            raise ValueError(
                f"Every trial must list the spike times of the same units, empty where a unit was silent. Trial "
                f"{number} lists {len(trial)} units, not the {n_units} {whose}."
            )
    cells = [as_times(cell, f"Spike times of unit {j}") for trial in trials for j, cell in enumerate(trial)]
    lengths = np.array([len(cell) for cell in cells], dtype=np.int64)
    times = np.concatenate(cells) if cells else np.empty(0)
    cell = np.repeat(np.arange(len(cells)), lengths)
    wrong = np.flatnonzero((np.diff(times) < 0) & (np.diff(cell) == 0))
    if len(wrong):
        trial, unit = divmod(cell[wrong[0]], n_units)
        raise ValueError(
            f"times must ascend within a trial. Unit {unit} of trial {trial} has {times[wrong[0] + 1]:.9g} s after "
            f"{times[wrong[0]]:.9g} s; sort them (np.sort), or use SpikeTrains.from_events, which sorts."
        )
    trial_of = cell // max(n_units, 1)
    units = cell % max(n_units, 1)
    order = np.lexsort((units, times, trial_of))
    start, stop = trial_borders(t_start, t_stop, len(trials))
    return {
        "times": times[order],
        "units": units[order].astype(np.int32),
        "ptr": pointer(np.bincount(trial_of, minlength=len(trials))),
        "t_start": start,
        "t_stop": stop,
        "unit_ids": np.arange(n_units) if unit_ids is None else unit_ids,
    }


def _check_nesting(trials: Any) -> None:
    wanted = "trials[k][j] must be the spike times of unit j in trial k: a list of trials, each a list of units"
    if isinstance(trials, str) or not hasattr(trials, "__len__"):
        raise TypeError(f"{wanted}. Got {type(trials).__name__} instead.")
    for number, trial in enumerate(trials):
        if isinstance(trial, (Mapping, str)) or not hasattr(trial, "__len__"):
            raise ValueError(f"{wanted}. Trial {number} is {trial!r:.80}.")
        if not all(hasattr(cell, "__len__") for cell in trial):
            raise ValueError(
                f"{wanted}. Trial {number} is {trial!r:.80}; times of one unit stand in brackets of their own."
            )


def stack_counts(counts: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return counts of all trials as one (n_bins_total, n_units) array and the row pointer of the trials."""
    if isinstance(counts, (list, tuple)):
        counts = [part.toarray() if issparse(part) else part for part in counts]
    elif issparse(counts):
        counts = counts.toarray()
    if isinstance(counts, (list, tuple)) and len(counts) and all(np.ndim(part) == 2 for part in counts):
        trials = [np.asarray(part) for part in counts]
        widths = sorted({part.shape[1] for part in trials})
        if len(widths) > 1:
            raise ValueError(f"All trials must have counts of the same units. Got {widths} columns.")
    else:
        array = np.asarray(counts)
        if array.ndim not in (2, 3):
            raise ValueError(
                f"counts must be of shape (n_bins, n_units) or (n_trials, n_bins, n_units), or a list of "
                f"(n_bins, n_units) arrays. Got {array.ndim} dimensions instead."
            )
        trials = [array] if array.ndim == 2 else list(array)
        if len(trials) == 0:
            return np.zeros((0, array.shape[-1]), dtype=np.int64), pointer(np.empty(0))
    flat = np.concatenate(trials)
    return whole_counts(flat, "strict", "SpikeTrains.from_counts"), pointer(np.array([len(part) for part in trials]))


def from_counts(counts: Any, bin_width: float, t_start: Any, unit_ids: Any, observed: Any) -> dict[str, Any]:
    """Put each counted spike at the centre of its bin."""
    unit_ids = _column_names(counts) if unit_ids is None else unit_ids
    bin_width = check_width(bin_width, "bin_width")
    flat, bins = stack_counts(counts)
    lengths = np.diff(bins)
    start = per_trial(t_start, len(lengths), "t_start")
    if _is_bool(observed):
        mask = _stack_mask(observed, bins, flat.shape[1])
        if flat[~mask].any():
            raise ValueError("counts must be 0 in bins that were not observed; correct counts or observed.")
        observed = Observation.from_mask(mask, bins, start, bin_width)
    row, units = np.nonzero(flat)
    n = flat[row, units].astype(np.int64)
    trial = np.repeat(np.arange(len(lengths)), lengths)[row]
    times = start[trial] + (row - bins[trial] + 0.5) * bin_width
    return {
        "times": np.repeat(times, n),
        "units": np.repeat(units, n).astype(np.int32),
        "ptr": pointer(np.bincount(trial, weights=n, minlength=len(lengths))),
        "t_start": start,
        "t_stop": start + lengths * bin_width,
        "observed": observed,
        "resolution": bin_width,
        "unit_ids": check_ids(unit_ids, flat.shape[1], "unit_ids", unique=True),
    }


def _column_names(counts: Any) -> np.ndarray | None:
    """Names of the columns of a table of counts, or of several with the same; None of an array, or of other names."""
    tables = counts if isinstance(counts, (list, tuple)) else [counts]
    if not tables or not all(isinstance(table, pd.DataFrame) for table in tables):
        return None
    if any(not table.columns.equals(tables[0].columns) for table in tables):
        raise ValueError("Tables of counts must have the same columns, in the same order.")
    names = tables[0].columns
    return names.to_numpy() if all(isinstance(name, (str, int, np.integer)) for name in names) else None


def _stack_mask(observed: Any, bins: np.ndarray, n_units: int) -> np.ndarray:
    """Booleans of all trials as one array, (n_bins,) or (n_bins, n_units)."""
    if isinstance(observed, np.ndarray) and observed.shape in ((bins[-1],), (bins[-1], n_units)):
        return observed
    shapes, lengths = [np.shape(trial) for trial in observed], np.diff(bins).tolist()
    if shapes not in ([(n,) for n in lengths], [(n, n_units) for n in lengths]):
        got = f"shape {observed.shape}" if isinstance(observed, np.ndarray) else f"arrays of shapes {shapes!r:.80}"
        raise ValueError(
            f"observed must be boolean, of the shape of counts or of its bins: there are {len(lengths)} trials of "
            f"{sorted(set(lengths))!r:.60} bins, and {n_units} units. Got {got}; transpose a mask of units by bins."
        )
    return np.concatenate(observed) if shapes else np.ones(0, dtype=bool)


def _is_bool(observed: Any) -> bool:
    first = observed[0] if isinstance(observed, (list, tuple)) and len(observed) else observed
    return isinstance(first, np.ndarray) and first.dtype == bool


def flatten_unit_times(unit_times: Mapping[Any, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return times, unit id of each, and the unit ids of ``{unit_id: times}``."""
    if not isinstance(unit_times, Mapping):
        raise TypeError(
            f"unit_times must be a dict {{unit_id: times}}. Got {type(unit_times).__name__} instead; "
            f"as_spike_trains reads other forms."
        )
    unit_ids = check_ids(list(unit_times), len(unit_times), "unit_ids", unique=True)
    trains = [as_times(train, f"Times of unit {unit_id!r}") for unit_id, train in unit_times.items()]
    times = np.concatenate(trains) if trains else np.empty(0)
    return times, np.repeat(unit_ids, [len(train) for train in trains]), unit_ids


def from_events(times: Any, units: Any, epochs: Any, unit_ids: Any, observed: Any) -> dict[str, Any]:
    """Sort events, cut them into epochs and report those that fall out."""
    times = as_times(times, "times")
    labels = np.asarray(units)
    if labels.dtype == np.uint64:  # which numpy joins with int64, the type of ids, to floats
        labels = labels.astype(np.int64)
    if labels.shape != times.shape:
        raise ValueError(f"times and units must have the same length. Got {len(times)} and {labels.shape}.")
    if unit_ids is None:
        # Goes through check_ids, so that float or mixed labels are refused.
        found = _unique(labels)
        unit_ids = check_ids(found, len(found), "unit_ids", unique=True)
    else:
        unit_ids = check_ids(unit_ids, len(unit_ids), "unit_ids", unique=True)
    start, stop = epoch_borders(epochs)
    columns = _columns_of(labels, unit_ids)
    known = columns >= 0
    reasons = {"of units that are not among unit_ids": int((~known).sum())}
    if not known.all():
        times, columns = times[known], columns[known]
    times, columns = _sorted(times, columns)
    lo = np.searchsorted(times, start, side="left")
    lengths = np.maximum(np.searchsorted(times, stop, side="left") - lo, 0)
    kept = np.zeros(len(times) + 1, dtype=np.int64)
    np.add.at(kept, lo, 1)
    np.add.at(kept, lo + lengths, -1)
    reasons["outside every epoch"] = int((np.cumsum(kept)[:-1] == 0).sum())
    if len(lengths) == 1:
        times, columns = times[lo[0] : lo[0] + lengths[0]], columns[lo[0] : lo[0] + lengths[0]]
    else:
        flat = concatenated_ranges(lo, lengths)
        times, columns = times[flat], columns[flat]
    if observed is not None and not isinstance(observed, Observation):
        observed = Observation.from_intervals(observed, start, stop, unit_ids)
    if observed is not None:
        trial = np.repeat(np.arange(len(start)), lengths)
        gap = observed.in_gap(times, columns, trial)
        reasons["in time that was not observed"] = int(gap.sum())
        times, columns = times[~gap], columns[~gap]
        lengths = np.bincount(trial[~gap], minlength=len(start))
    _report(reasons, len(labels))
    return {
        "times": times,
        "units": columns,
        "ptr": pointer(lengths),
        "t_start": start,
        "t_stop": stop,
        "unit_ids": unit_ids,
        "observed": observed,
    }


def epoch_borders(epochs: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and stops of a table of epochs."""
    table = epoch_table(epochs)
    if table.size == 0:
        table = table.reshape(0, 2)
    if table.ndim != 2 or table.shape[1] != 2:
        raise ValueError(f"{EPOCHS}. Got shape {table.shape} instead.")
    return trial_borders(table[:, 0], table[:, 1], len(table))


def _unique(labels: np.ndarray) -> np.ndarray:
    if labels.dtype.kind in "iu" and len(labels) and 0 <= labels.min() and labels.max() < 1_000_000:
        return np.flatnonzero(np.bincount(labels))
    return np.unique(labels)


def _columns_of(labels: np.ndarray, unit_ids: np.ndarray) -> np.ndarray:
    """Column of each label, -1 where it is not among the unit ids."""
    if len(unit_ids) == 0 or len(labels) == 0:
        return np.full(len(labels), -1, dtype=np.int32)
    if labels.dtype.kind in "iu" and unit_ids.dtype.kind == "i" and np.ptp(unit_ids) < 10 * len(labels) + 1000:
        # A table is several times faster than a search where ids are small, as sorters' cluster numbers are.
        low = unit_ids.min()
        table = np.full(np.ptp(unit_ids) + 1, -1, dtype=np.int32)
        table[unit_ids - low] = np.arange(len(unit_ids))
        inside = (labels >= low) & (labels <= unit_ids.max())
        return np.where(inside, table[np.where(inside, labels - low, 0)], np.int32(-1))
    if labels.dtype.kind == "O":
        labels = labels.astype(unit_ids.dtype) if unit_ids.dtype.kind != "U" else labels.astype(str)
    order = np.argsort(unit_ids)
    place = np.minimum(np.searchsorted(unit_ids[order], labels), len(unit_ids) - 1)
    found = order[place]
    return np.where(unit_ids[found] == labels, found, -1).astype(np.int32)


def _sorted(times: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sort by time, and by unit where times are equal."""
    if (times[1:] < times[:-1]).any():
        # An ordinary sort and a second one of the ties take half the time of sorting by both keys.
        order = np.argsort(times)
        times, columns = times[order], columns[order]
    equal = times[1:] == times[:-1]
    if (columns[1:] < columns[:-1])[equal].any():
        tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        columns = columns.copy()
        columns[tied] = columns[tied[np.lexsort((columns[tied], times[tied]))]]
    return times, columns


def _report(reasons: dict[str, int], total: int) -> None:
    dropped = {reason: n for reason, n in reasons.items() if n}
    if dropped:
        parts = ", ".join(f"{n:,} {reason}" for reason, n in dropped.items())
        warn_user(f"{sum(dropped.values()):,} of {total:,} spikes were left out: {parts}.", DroppedSpikesWarning)


def concatenate(parts: list[SpikeTrains]) -> dict[str, Any]:
    """Stack the trials of containers with the same units."""
    if not parts:
        raise ValueError("concatenate needs at least one SpikeTrains. Got none.")
    first = parts[0]
    for number, part in enumerate(parts):
        if not hasattr(part, "unit_ids"):
            raise TypeError(f"All parts must be SpikeTrains. Part {number} is {type(part).__name__}.")
        if not np.array_equal(part.unit_ids, first.unit_ids):
            raise ValueError(
                f"All parts must have the same unit ids in the same order. Part {number} differs from part 0; bring "
                "them in order with .select_units(ids)."
            )
        if part.resolution != first.resolution:
            raise ValueError(
                f"All parts must have the same resolution. Part {number} has {part.resolution}, part 0 has "
                f"{first.resolution}."
            )
    ptr = pointer(np.concatenate([np.diff(part.ptr) for part in parts]))
    observed = None
    if any(part.observation is not None for part in parts):
        gaps = [part.observation or Observation([], [], [], np.zeros(len(part) + 1)) for part in parts]
        observed = Observation(
            np.concatenate([gap.start for gap in gaps]),
            np.concatenate([gap.stop for gap in gaps]),
            np.concatenate([gap.unit for gap in gaps]),
            pointer(np.concatenate([np.diff(gap.ptr) for gap in gaps])),
        )
    return {
        "times": np.concatenate([part.times for part in parts]),
        "units": np.concatenate([part.units for part in parts]),
        "ptr": ptr,
        "t_start": np.concatenate([part.t_start for part in parts]),
        "t_stop": np.concatenate([part.t_stop for part in parts]),
        "unit_ids": first.unit_ids,
        "trial_ids": _joined_ids([part.trial_ids for part in parts]),
        "unit_info": first.unit_info,
        "observed": observed,
        "resolution": first.resolution,
        "context": np.concatenate([part.context for part in parts]),
    }


def _joined_ids(ids: list[np.ndarray]) -> np.ndarray:
    if len({part.dtype.kind for part in ids}) > 1:
        raise ValueError("trial_ids must be all ints or all strings over the parts.")
    return np.concatenate(ids)


def block_edges(spikes: SpikeTrains, duration: float, context: float) -> tuple[np.ndarray, ...]:
    """Trial, start, start of what is scored, and stop of consecutive blocks of every trial."""
    duration = check_width(duration, "duration", spikes.resolution)
    if isinstance(context, Real) and context < 0:
        raise ValueError(f"context must be 0 or more seconds. Got {context!r:.80} instead.")
    if context != 0:
        context = check_width(context, "context", spikes.resolution)
    t_start, t_stop = spikes.t_start, spikes.t_stop
    n_blocks = np.maximum(np.ceil(spikes.duration / duration - TOLERANCE), 1).astype(np.int64)
    parent = np.repeat(np.arange(len(spikes)), n_blocks)
    number = concatenated_ranges(np.zeros(len(spikes)), n_blocks)
    block = _to_spikes(spikes, parent, t_start[parent] + number * duration)
    stop = _to_spikes(spikes, parent, t_start[parent] + (number + 1) * duration)
    stop = np.where(number == n_blocks[parent] - 1, t_stop[parent], stop)
    start = np.maximum(_to_spikes(spikes, parent, block - context), t_start[parent])
    scored = np.minimum(np.maximum(block, t_start[parent] + spikes.context[parent]), stop)
    return parent, start, scored, stop


def _to_spikes(spikes: SpikeTrains, trial: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Borders moved onto a spike that lies less than `ROUNDING` before: `bin` has it in the bin that begins there."""
    first, last = spikes_between(spikes, trial, border - ROUNDING, border)
    near = np.flatnonzero(last > first)
    border[near] = spikes.times[first[near]]
    return border


def spikes_between(
    spikes: SpikeTrains, trial: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """First spike and the one after the last of each of the spans [start, stop) of the (ascending) trials."""
    first, last = np.empty(len(trial), dtype=np.int64), np.empty(len(trial), dtype=np.int64)
    spans = np.searchsorted(trial, np.arange(len(spikes) + 1))
    for row, (a, b) in enumerate(zip(spans[:-1], spans[1:], strict=True)):
        times = spikes.times[spikes.ptr[row] : spikes.ptr[row + 1]]
        first[a:b] = spikes.ptr[row] + np.searchsorted(times, start[a:b], side="left")
        last[a:b] = spikes.ptr[row] + np.searchsorted(times, stop[a:b], side="left")
    return first, last
