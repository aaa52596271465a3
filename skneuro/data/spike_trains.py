"""`SpikeTrains`: the spikes of a population, one row per trial, immutable and flat.

Flat (CSR-like) storage keeps a session in a handful of large arrays: slicing trials is fast, pickling to a
worker takes milliseconds, and joblib can memory-map it.
"""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd

from skneuro.data._flatten import block_edges, spikes_between
from skneuro.data._forms import SpikeTrainsForms
from skneuro.data._rows import check_ids, concatenated_ranges, consecutive, frozen, pointer, row_indices
from skneuro.data._validation import (
    check_context,
    check_layout,
    check_observation,
    check_spikes,
    check_unit_info,
    check_width,
    unit_columns,
)
from skneuro.data.observation import Observation


class SpikeTrains(SpikeTrainsForms):
    """Spike trains of a population, one row per trial.

    Immutable. Behaves as a sequence of trials that every scikit-learn splitter can index: an int gives one
    trial (as a `SpikeTrains` of length 1), slices, integer arrays and boolean masks give several. Most users
    build one with `from_lists`, `from_events`, `from_unit_times`, `from_counts` or
    `skneuro.data.as_spike_trains`.

    Parameters
    ----------
    times : array-like of shape (n_spikes,), in seconds
        Spike times, ascending within a trial; trials one after the other. A float64 array that is mapped from a
        file for reading only (``np.load(path, mmap_mode="r")``) is not read into memory as a whole.
    units : array-like of shape (n_spikes,)
        Column index of the unit, ``0 .. n_units - 1``; int32 may be mapped, too.
    ptr : array-like of shape (n_trials + 1,)
        The spikes of trial ``k`` are ``ptr[k]:ptr[k + 1]``.
    t_start, t_stop : float or array-like of shape (n_trials,), in seconds
        Borders of the trials; spikes lie in ``[t_start, t_stop)``. Never guessed from the spikes.
    unit_ids : array-like of shape (n_units,), int or str, default=None
        Identities of the units; ``0, 1, ...`` if None, where n_units is the largest column plus one.
    trial_ids : array-like of shape (n_trials,), int or str, default=None
        Identities of the trials, which survive splitting; need not be unique (blocks of a trial share its
        id).
    unit_info : DataFrame indexed by unit id, default=None
        Area, probe, depth, quality, ...: whatever is known of the units.
    observed : array of shape (n, 2), dict, or sequence of either, in seconds, default=None
        Intervals that were observed: one table for all, ``{unit_id: table}`` for single units, or one table
        or dict for each trial. None: everything was.
    resolution : float, in seconds, default=None
        Bin width of the counts that the spikes were made from; they cannot be binned finer than that.
    context : float or array-like of shape (n_trials,), in seconds, default=0.0
        Time at the start of each trial that is past only: models see its spikes, its bins are masked. See
        `cut`.

    Attributes
    ----------
    times, units, ptr, t_start, t_stop, unit_ids, trial_ids, resolution, context
        As the parameters, read-only arrays.

    Raises
    ------
    ValueError
        If times are not finite, not ascending, outside their trial or in time that was not observed; if
        lengths or ids disagree.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains([0.1, 0.4, 0.2], [0, 1, 1], [0, 2, 3], 0.0, 1.0, unit_ids=["a", "b"])
    >>> spikes
    SpikeTrains(2 trials, 2 units, 3 spikes, 2 s)
    >>> spikes.shape
    (2, 2)
    >>> spikes[1].times
    array([0.2])
    """

    __slots__ = (
        "_info",
        "_observation",
        "context",
        "ptr",
        "resolution",
        "t_start",
        "t_stop",
        "times",
        "trial_ids",
        "unit_ids",
        "units",
    )
    _array_remedy = "use .to_counts(bin_width)"

    times: np.ndarray
    units: np.ndarray
    ptr: np.ndarray
    t_start: np.ndarray
    t_stop: np.ndarray
    unit_ids: np.ndarray
    trial_ids: np.ndarray
    resolution: float | None
    context: np.ndarray
    _info: pd.DataFrame
    _observation: Observation | None

    def __init__(
        self,
        times: Any,
        units: Any,
        ptr: Any,
        t_start: Any,
        t_stop: Any,
        *,
        unit_ids: Any = None,
        trial_ids: Any = None,
        unit_info: pd.DataFrame | None = None,
        observed: Any = None,
        resolution: float | None = None,
        context: Any = 0.0,
    ) -> None:
        times, units, ptr, t_start, t_stop = check_layout(times, units, ptr, t_start, t_stop)
        n_trials = len(t_start)
        if unit_ids is None:
            n_units = int(units.max(initial=-1)) + 1
        else:
            n_units = len(unit_ids)
        ids = check_ids(unit_ids, n_units, "unit_ids", unique=True)
        trials = check_ids(trial_ids, n_trials, "trial_ids", unique=False)
        check_spikes(times, units, ptr, t_start, t_stop, ids)
        if observed is None or isinstance(observed, Observation):
            observation = observed
        else:
            observation = Observation.from_intervals(observed, t_start, t_stop, ids)
        self._set(
            times=frozen(times),
            units=frozen(units.astype(np.int32, copy=False)),
            ptr=frozen(ptr),
            t_start=frozen(t_start),
            t_stop=frozen(t_stop),
            unit_ids=ids,
            trial_ids=trials,
            resolution=None if resolution is None else check_width(resolution, "resolution"),
            context=frozen(check_context(context, t_stop - t_start)),
            _info=check_unit_info(unit_info, ids),
            _observation=observation,
        )
        if observation is not None:
            check_observation(self, observation)

    # Size.

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, n_units)."""
        return len(self.t_start), len(self.unit_ids)

    @property
    def n_spikes(self) -> int:
        """Number of spikes."""
        return len(self.times)

    @property
    def duration(self) -> np.ndarray:
        """Length of each trial, ndarray of shape (n_trials,), in seconds."""
        return self.t_stop - self.t_start

    @property
    def unit_info(self) -> pd.DataFrame:
        """What is known of the units, a DataFrame indexed by unit id (a copy)."""
        return self._info.copy()

    @property
    def observation(self) -> Observation | None:
        """Gaps of each trial and unit, or None where everything was observed."""
        return self._observation

    def __repr__(self) -> str:
        n_trials, n_units = self.shape
        return (
            f"SpikeTrains({n_trials:,} trials, {n_units:,} units, {self.n_spikes:,} spikes, "
            f"{self.duration.sum():.6g} s)"
        )

    # Selection.

    def __getitem__(self, key: Any) -> Self:
        if isinstance(key, tuple) and len(key) == 2 and key[1] is not Ellipsis:
            columns = row_indices(key[1], self.shape[1], "SpikeTrains", "unit column")
            return super().__getitem__(key[0])._take_units(columns)
        return super().__getitem__(key)

    def _take(self, rows: np.ndarray) -> Self:
        lengths = np.diff(self.ptr)[rows]
        flat: Any = consecutive(rows, self.ptr)
        if flat is None:
            flat = concatenated_ranges(self.ptr[rows], lengths)
        observation = None if self._observation is None else self._observation._take(rows)
        return self._replace(
            times=self.times[flat],
            units=self.units[flat],
            ptr=pointer(lengths),
            t_start=self.t_start[rows],
            t_stop=self.t_stop[rows],
            trial_ids=self.trial_ids[rows],
            context=self.context[rows],
            _observation=observation,
        )

    def _take_units(self, columns: np.ndarray) -> Self:
        if len(np.unique(columns)) != len(columns):
            raise ValueError("A unit can be selected only once.")
        n_units = self.shape[1]
        new_column = np.full(n_units, -1, dtype=np.int32)
        new_column[columns] = np.arange(len(columns))
        units = new_column[self.units]
        keep = units >= 0
        kept_before = np.concatenate([[0], np.cumsum(keep)])
        observation = self._observation
        return self._replace(
            times=self.times[keep],
            units=units[keep],
            ptr=kept_before[self.ptr],
            unit_ids=self.unit_ids[columns],
            _info=self._info.iloc[columns],
            _observation=None if observation is None else observation._take_units(columns, n_units),
        )

    def _replace(self, **changes: Any) -> Self:
        """Copy with other fields, without checking again what was checked before."""
        new = object.__new__(type(self))
        observation = changes.get("_observation")
        if observation is not None and len(observation.start) == 0:
            changes["_observation"] = None
        fields = {name: changes[name] if name in changes else getattr(self, name) for name in self.__slots__}
        new._set(**{name: frozen(x) if isinstance(x, np.ndarray) else x for name, x in fields.items()})
        return new

    def _with(self, **changes: Any) -> Self:
        """Copy with other arguments of the constructor, which checks them."""
        same = ("times", "units", "ptr", "t_start", "t_stop", "unit_ids", "trial_ids", "unit_info")
        kept = {name: getattr(self, name) for name in (*same, "resolution", "context")}
        return type(self)(**{**kept, "observed": self.observation, **changes})

    def select_units(self, units: Any) -> Self:
        """Keep some units.

        Parameters
        ----------
        units : array-like of unit ids, or bool array of shape (n_units,)
            Units to keep; ids give the order of the columns.

        Returns
        -------
        SpikeTrains
            The same trials with these units; `unit_info` and observation follow.

        Raises
        ------
        ValueError
            If an id is unknown or occurs twice, or the mask has another length.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> spikes = SpikeTrains.from_lists([[[0.1], [0.2], [0.3]]], 0.0, 1.0, unit_ids=[4, 7, 9])
        >>> spikes.select_units([9, 4]).unit_ids
        array([9, 4])
        """
        return self._take_units(unit_columns(units, self.unit_ids))

    def observed_intervals(self, trial: int, unit: Any) -> np.ndarray:
        """Return the time of one trial in which one unit was observed.

        Parameters
        ----------
        trial : int
            Row of the trial.
        unit : int or str
            Unit id.

        Returns
        -------
        ndarray of shape (n, 2), in seconds
            Half-open intervals, ascending.

        Raises
        ------
        ValueError
            If the unit is unknown.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> spikes = SpikeTrains.from_lists([[[0.1], [0.2]]], 0.0, 1.0, observed={1: [[0.0, 0.5]]})
        >>> spikes.observed_intervals(0, 0), spikes.observed_intervals(0, 1)
        (array([[0., 1.]]), array([[0. , 0.5]]))
        """
        row = row_indices(trial, len(self), "SpikeTrains")[0]
        column = unit_columns([unit], self.unit_ids)[0]
        observation = self._observation or Observation([], [], [], np.zeros(len(self) + 1))
        return observation.intervals(row, column, self.t_start[row], self.t_stop[row])

    def cut(self, duration: float, context: float = 0.0) -> Self:
        """Cut every trial into consecutive blocks, for instance to cross-validate one long recording.

        Blocks keep absolute time, the trial's id and its observation; the last block of a trial may be
        shorter.

        Parameters
        ----------
        duration : float, in seconds
            Length of a block; a multiple of `resolution` where there is one.
        context : float, in seconds, default=0.0
            How much of the time before a block it carries in front, as far as its trial reaches. Models see
            these spikes as the past of the block; the bins are masked, so that nothing is scored twice.

        Returns
        -------
        SpikeTrains
            One row per block.

        Raises
        ------
        ValueError
            If `duration` is not positive, `context` is negative, or one is not a multiple of the resolution.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> spikes = SpikeTrains.from_lists([[[0.1, 0.9, 1.2]]], 0.0, 2.5, trial_ids=[5])
        >>> blocks = spikes.cut(1.0, context=0.25)
        >>> blocks.t_start, blocks.t_stop, blocks.trial_ids
        (array([0.  , 0.75, 1.75]), array([1. , 2. , 2.5]), array([5, 5, 5]))
        >>> blocks[1].times, blocks[1].bin(0.25).mask().ravel()
        (array([0.9, 1.2]), array([False,  True,  True,  True,  True]))
        """
        parent, start, scored, stop = block_edges(self, duration, context)
        first, last = spikes_between(self, parent, start, stop)
        flat = concatenated_ranges(first, last - first)
        observation = self._observation
        return self._replace(
            times=self.times[flat],
            units=self.units[flat],
            ptr=pointer(last - first),
            t_start=start,
            t_stop=stop,
            trial_ids=self.trial_ids[parent],
            context=scored - start,
            _observation=None if observation is None else observation._cut(parent, start, stop),
        )
