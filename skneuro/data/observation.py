"""Which time of each trial and unit was observed. What was not observed is masked everywhere, never zero.

Stored as gaps (the complement), because gaps are few: a recording without any costs nothing, one that all
units share costs one row, and one of a single unit does not need rows for the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skneuro.data._rows import RowContainer, concatenated_ranges, frozen, pointer
from skneuro.data._validation import seconds

ALL_UNITS = -1
# Shorter gaps come from rounding of interval borders (0.1 * 3 is not 0.3), not from the recording.
_SHORTEST_GAP = 1e-9


class Observation(RowContainer):
    """Time of each trial and unit that was not observed (gaps). Made by `SpikeTrains`, rarely by hand.

    Parameters
    ----------
    start, stop : ndarray of shape (n_gaps,), in seconds
        Half-open gaps ``[start, stop)``, inside their trial.
    unit : ndarray of shape (n_gaps,)
        Column of the unit, or -1 for a gap of all units.
    ptr : ndarray of shape (n_trials + 1,)
        The gaps of trial ``k`` are rows ``ptr[k]:ptr[k + 1]``.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import Observation
    >>> borders = np.array([0.0]), np.array([10.0])
    >>> gaps = Observation.from_intervals([[0.0, 4.0], [5.0, 10.0]], *borders, unit_ids=np.array([7]))
    >>> gaps
    Observation(1 trials, 1 gaps)
    >>> gaps.start, gaps.stop
    (array([4.]), array([5.]))
    """

    __slots__ = ("ptr", "start", "stop", "unit")
    _array_remedy = "use SpikeTrains.observed_intervals(trial, unit)."

    start: np.ndarray
    stop: np.ndarray
    unit: np.ndarray
    ptr: np.ndarray

    def __init__(self, start: Any, stop: Any, unit: Any, ptr: Any) -> None:
        self._set(
            start=frozen(np.asarray(start, dtype=np.float64)),
            stop=frozen(np.asarray(stop, dtype=np.float64)),
            unit=frozen(np.asarray(unit, dtype=np.int32)),
            ptr=frozen(np.asarray(ptr, dtype=np.int64)),
        )
        if not len(self.start) == len(self.stop) == len(self.unit) == self.ptr[-1]:
            raise ValueError("start, stop and unit must have ptr[-1] entries each.")

    @classmethod
    def from_intervals(
        cls, observed: Any, t_start: np.ndarray, t_stop: np.ndarray, unit_ids: np.ndarray
    ) -> Observation | None:
        """Read observed intervals in any of the forms that `SpikeTrains` takes.

        Parameters
        ----------
        observed : array of shape (n, 2), dict, or sequence of either, in seconds
            One table of intervals for all trials and units; ``{unit_id: table}`` for single units (a unit
            that is not named was always observed); or a sequence with one table or dict for each trial.
        t_start, t_stop : ndarray of shape (n_trials,), in seconds
            Trial borders.
        unit_ids : ndarray of shape (n_units,)
            Unit identities, in column order.

        Returns
        -------
        Observation or None
            None where everything was observed.

        Raises
        ------
        ValueError
            If a table is not made of rows ``start < stop``, a unit is unknown or the number of trials
            differs.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Observation
        >>> borders = np.zeros(1), np.full(1, 5.0)
        >>> Observation.from_intervals({"a": [[0, 2]]}, *borders, unit_ids=np.array(["a", "b"])).unit
        array([0], dtype=int32)
        """
        n_trials = len(t_start)
        columns = {unit_id: column for column, unit_id in enumerate(unit_ids.tolist())}
        if isinstance(observed, str) or not hasattr(observed, "__len__") or _is_flat(observed):
            raise ValueError(
                "observed must be one (n, 2) table of intervals, as [(0.0, 10.0)], a dict of tables by unit id, or one "
                f"of these for each trial. Got {observed!r:.80} instead."
            )
        per_trial = not isinstance(observed, Mapping) and not _is_table(observed)
        if per_trial and len(observed) != n_trials:
            raise ValueError(
                "observed must be one (n, 2) table of intervals, a dict of tables by unit id, or one of these for "
                f"each of the {n_trials} trials. Got a sequence of {len(observed)} instead."
            )
        parts = []
        for number, entry in enumerate(observed if per_trial else [observed]):
            trials = np.array([number]) if per_trial else np.arange(n_trials)
            tables = _by_unit(entry, columns)
            for column, table in tables:
                parts.append(_gaps_of(table, trials, t_start, t_stop, column))
        return cls._from_parts(parts, n_trials)

    @classmethod
    def _from_parts(cls, parts: Sequence[tuple[np.ndarray, ...]], n_trials: int) -> Observation | None:
        if not parts or sum(len(part[0]) for part in parts) == 0:
            return None
        trial, start, stop, unit = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((start, unit, trial))
        return cls(start[order], stop[order], unit[order], pointer(np.bincount(trial, minlength=n_trials)))

    @classmethod
    def from_mask(cls, mask: np.ndarray, bins: np.ndarray, t_start: np.ndarray, bin_width: float) -> Observation | None:
        """Read the gaps from a boolean array of bins, True where observed.

        Parameters
        ----------
        mask : ndarray of shape (n_bins,) or (n_bins, n_units), bool
            Bins of all trials, one trial after the other.
        bins : ndarray of shape (n_trials + 1,)
            The bins of trial ``k`` are rows ``bins[k]:bins[k + 1]``.
        t_start : ndarray of shape (n_trials,), in seconds
            Start of each trial.
        bin_width : float, in seconds
            Width of a bin.

        Returns
        -------
        Observation or None
            None where everything was observed.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Observation
        >>> gaps = Observation.from_mask(np.array([True, False, False]), np.array([0, 3]), np.zeros(1), 0.5)
        >>> gaps.start, gaps.stop
        (array([0.5]), array([1.5]))
        """
        n_trials = len(t_start)
        trial_of_bin = np.repeat(np.arange(n_trials), np.diff(bins))
        flat = mask if mask.ndim == 2 else mask[:, None]
        parts = []
        for column in range(flat.shape[1]):
            missing = ~flat[:, column]
            if not missing.any():
                continue
            # A run ends where observation resumes and at every trial border.
            previous = np.concatenate([[False], missing[:-1] & (trial_of_bin[:-1] == trial_of_bin[1:])])
            following = np.concatenate([missing[1:] & (trial_of_bin[:-1] == trial_of_bin[1:]), [False]])
            first = np.flatnonzero(missing & ~previous)
            last = np.flatnonzero(missing & ~following)
            trial = trial_of_bin[first]
            start = t_start[trial] + (first - bins[trial]) * bin_width
            stop = t_start[trial] + (last + 1 - bins[trial]) * bin_width
            parts.append((trial, start, stop, np.full(len(trial), column if mask.ndim == 2 else ALL_UNITS)))
        return cls._from_parts(parts, n_trials)

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_trials,)."""
        return (len(self.ptr) - 1,)

    @property
    def trial(self) -> np.ndarray:
        """Trial of each gap, ndarray of shape (n_gaps,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    def __repr__(self) -> str:
        return f"Observation({len(self)} trials, {len(self.start)} gaps)"

    def _take(self, rows: np.ndarray) -> Observation:
        lengths = np.diff(self.ptr)[rows]
        flat = concatenated_ranges(self.ptr[rows], lengths)
        return Observation(self.start[flat], self.stop[flat], self.unit[flat], pointer(lengths))

    def _take_units(self, columns: np.ndarray, n_units: int) -> Observation:
        new_column = np.full(n_units + 1, -2)
        new_column[columns] = np.arange(len(columns))
        new_column[ALL_UNITS] = ALL_UNITS
        unit = new_column[self.unit]
        keep = unit > -2
        lengths = np.bincount(self.trial[keep], minlength=len(self))
        return Observation(self.start[keep], self.stop[keep], unit[keep], pointer(lengths))

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Observation | None:
        """Gaps of blocks ``[start, stop)`` of the trials `parent`."""
        lengths = np.diff(self.ptr)[parent]
        flat = concatenated_ranges(self.ptr[parent], lengths)
        block = np.repeat(np.arange(len(parent)), lengths)
        lo = np.maximum(self.start[flat], start[block])
        hi = np.minimum(self.stop[flat], stop[block])
        keep = hi > lo
        return self._from_parts([(block[keep], lo[keep], hi[keep], self.unit[flat][keep])], len(parent))

    def intervals(self, trial: int, column: int, t_start: float, t_stop: float) -> np.ndarray:
        """Return the observed intervals of one trial and unit.

        Parameters
        ----------
        trial, column : int
            Row of the trial and column of the unit.
        t_start, t_stop : float, in seconds
            Borders of the trial.

        Returns
        -------
        ndarray of shape (n, 2), in seconds
            Half-open intervals, ascending.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Observation
        >>> Observation([2.0], [3.0], [-1], [0, 1]).intervals(0, 0, 0.0, 10.0)
        array([[ 0.,  2.],
               [ 3., 10.]])
        """
        rows = slice(self.ptr[trial], self.ptr[trial + 1])
        mine = (self.unit[rows] == ALL_UNITS) | (self.unit[rows] == column)
        gaps = _union(np.column_stack([self.start[rows][mine], self.stop[rows][mine]]))
        edges = np.concatenate([[t_start], gaps.ravel(), [t_stop]]).reshape(-1, 2)
        return edges[edges[:, 1] - edges[:, 0] > 0]

    def in_gap(self, times: np.ndarray, units: np.ndarray, trial: np.ndarray) -> np.ndarray:
        """Tell which spikes lie in time that was not observed.

        Parameters
        ----------
        times : ndarray of shape (n_spikes,), in seconds
            Spike times.
        units, trial : ndarray of shape (n_spikes,)
            Column of the unit and row of the trial of each spike.

        Returns
        -------
        ndarray of shape (n_spikes,), bool
            True for a spike in a gap.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Observation
        >>> gaps = Observation([2.0], [3.0], [-1], [0, 1])
        >>> gaps.in_gap(np.array([2.0, 3.0]), np.zeros(2, int), np.zeros(2, int))
        array([ True, False])
        """
        result = np.zeros(len(times), dtype=bool)
        shared = self.unit == ALL_UNITS
        n_keys = 1 + int(max(self.unit.max(initial=0), units.max(initial=0)))
        for rows, own in ((shared, False), (~shared, True)):
            if rows.any():
                group = self.trial[rows] * n_keys + (self.unit[rows] if own else 0)
                spike_group = trial * n_keys + (units if own else 0)
                result |= _covered(self.start[rows], self.stop[rows], group, times, spike_group)
        return result

    def bin_masks(
        self, t_start: np.ndarray, bins: np.ndarray, bin_width: float, n_units: int, tolerance: float
    ) -> tuple[np.ndarray | None, np.ndarray | None]:
        """Return which bins were observed over their whole width.

        Parameters
        ----------
        t_start : ndarray of shape (n_trials,), in seconds
            Start of each trial.
        bins : ndarray of shape (n_trials + 1,)
            The bins of trial ``k`` are ``bins[k]:bins[k + 1]``.
        bin_width : float, in seconds
            Width of a bin.
        n_units : int
            Number of units.
        tolerance : float, in bins
            A gap that reaches less than this into a bin does not mask it.

        Returns
        -------
        bin_observed : ndarray of shape (n_bins,), bool, or None
            False where all units have a gap; None where no gap is shared by all units.
        cell_observed : ndarray of shape (n_bins, n_units), bool, or None
            False where the unit has a gap of its own; None where none has.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import Observation
        >>> Observation([2.5], [3.0], [-1], [0, 1]).bin_masks(np.zeros(1), np.array([0, 5]), 1.0, 2, 1e-6)[0]
        array([ True,  True, False,  True,  True])
        """
        trial = self.trial
        n_of_trial = np.diff(bins)[trial]
        lo = np.floor((self.start - t_start[trial]) / bin_width + tolerance).astype(np.int64)
        hi = np.ceil((self.stop - t_start[trial]) / bin_width - tolerance).astype(np.int64)
        lo = np.clip(lo, 0, n_of_trial) + bins[trial]
        hi = np.maximum(np.clip(hi, 0, n_of_trial) + bins[trial], lo)
        shared = self.unit == ALL_UNITS
        bin_observed = _uncovered(lo[shared], hi[shared], bins[-1]) if shared.any() else None
        if shared.all():
            return bin_observed, None
        cell_observed = np.ones((bins[-1], n_units), dtype=bool)
        for column in np.unique(self.unit[~shared]):
            own = self.unit == column
            cell_observed[:, column] = _uncovered(lo[own], hi[own], bins[-1])
        return bin_observed, cell_observed


def _is_flat(value: Any) -> bool:
    """Tell numbers without brackets around each pair."""
    return isinstance(value, (list, tuple, np.ndarray)) and len(value) > 0 and all(isinstance(x, Real) for x in value)


def _is_table(value: Any) -> bool:
    """Tell one table of intervals, whose rows are pairs of numbers, from a sequence of tables."""
    if isinstance(value, (list, tuple)):
        return len(value) > 0 and all(not isinstance(row, Mapping) and np.ndim(row) == 1 for row in value)
    return np.ndim(value) == 2


def _by_unit(entry: Any, columns: dict[Any, int]) -> list[tuple[int, np.ndarray]]:
    if not isinstance(entry, Mapping):
        return [(ALL_UNITS, _table(entry))]
    unknown = [unit_id for unit_id in entry if unit_id not in columns]
    if unknown:
        raise ValueError(f"observed names the unit {unknown[0]!r}, which is not among the unit ids.")
    return [(columns[unit_id], _table(table)) for unit_id, table in entry.items()]


def _table(value: Any) -> np.ndarray:
    table = seconds(value, "Observed intervals")
    if table.size == 0:
        return np.empty((0, 2))
    if table.ndim != 2 or table.shape[1] != 2 or not (table[:, 0] < table[:, 1]).all():
        raise ValueError(
            f"Observed intervals must be rows (start, stop) in seconds with start < stop. Got {value!r:.80} instead."
        )
    return _union(table)


def _union(intervals: np.ndarray) -> np.ndarray:
    """Merge overlapping and touching intervals, ascending."""
    if len(intervals) == 0:
        return intervals.reshape(0, 2)
    intervals = intervals[np.argsort(intervals[:, 0], kind="stable")]
    reach = np.maximum.accumulate(intervals[:, 1])
    first = np.concatenate([[True], intervals[1:, 0] > reach[:-1]])
    last = np.concatenate([first[1:], [True]])
    return np.column_stack([intervals[first, 0], reach[last]])


def _gaps_of(
    table: np.ndarray, trials: np.ndarray, t_start: np.ndarray, t_stop: np.ndarray, column: int
) -> tuple[np.ndarray, ...]:
    """Gaps (trial, start, stop, unit) that a table of observed intervals leaves in each of `trials`."""
    gaps = np.concatenate([[-np.inf], table.ravel(), [np.inf]]).reshape(-1, 2)
    lo = np.searchsorted(gaps[:, 1], t_start[trials], side="right")
    hi = np.searchsorted(gaps[:, 0], t_stop[trials], side="left")
    lengths = np.maximum(hi - lo, 0)
    flat = concatenated_ranges(lo, lengths)
    trial = np.repeat(trials, lengths)
    start = np.maximum(gaps[flat, 0], t_start[trial])
    stop = np.minimum(gaps[flat, 1], t_stop[trial])
    keep = stop - start > _SHORTEST_GAP
    return trial[keep], start[keep], stop[keep], np.full(keep.sum(), column)


def _covered(
    start: np.ndarray, stop: np.ndarray, group: np.ndarray, times: np.ndarray, time_group: np.ndarray
) -> np.ndarray:
    """Tell which points lie in an interval [start, stop) of their group, by one sweep over sorted edges."""
    candidate = np.flatnonzero(np.isin(time_group, np.unique(group)))
    keys = np.concatenate([group, group, time_group[candidate]])
    when = np.concatenate([start, stop, times[candidate]])
    step = np.concatenate([np.ones(len(start)), -np.ones(len(stop)), np.zeros(len(candidate))]).astype(np.int64)
    is_point = np.repeat([0, 0, 1], [len(start), len(stop), len(candidate)])
    order = np.lexsort((is_point, when, keys))
    depth = np.empty(len(order), dtype=np.int64)
    depth[order] = np.cumsum(step[order])
    result = np.zeros(len(times), dtype=bool)
    result[candidate] = depth[2 * len(start) :] > 0
    return result


def _uncovered(lo: np.ndarray, hi: np.ndarray, n: int) -> np.ndarray:
    """Boolean (n,): False inside any of the ranges [lo, hi)."""
    step = np.bincount(lo, minlength=n + 1) - np.bincount(hi, minlength=n + 1)
    return np.cumsum(step)[:n] == 0
