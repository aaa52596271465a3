"""`TimeSeries`: speed, pupil, position, pose, LFP: values at their own, possibly irregular, timestamps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skneuro.data._rows import concatenated_ranges, consecutive, frozen, pointer
from skneuro.data._validation import TOLERANCE, as_times, check_width, own, own_times, per_trial
from skneuro.data.modality import (
    ROWS_AT_ONCE,
    Modality,
    Samples,
    extremes,
    known_moments,
    same_rows,
    share_beyond,
    unknown_columns,
)

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes

# Longer than this many median sampling intervals between two samples is a hole, not jitter.
_HOLE = 1.5


class TimeSeries(Modality):
    """Signals sampled at given times, one row per trial.

    A sample stands until the next one. Samples that are NaN (blinks, lost tracking) are missing, and so is
    the time in a hole between two samples (more than 1.5 times the trial's median sampling interval) from one
    interval after the last sample before it. Columns are missing one by one: where a sample has some of its values, a
    model takes the others for their means.

    Parameters
    ----------
    values : array-like of shape (n_samples, d) or (n_samples,)
        Samples of all trials, one trial after the other; NaN where missing. A float64 or float32 array that is mapped
        from a file for reading only (``np.load(path, mmap_mode="r")``) is not read into memory as a whole.
    timestamps : array-like of shape (n_samples,), in seconds
        Time of each sample, strictly ascending within a trial, on the clock of the spikes; float64 may be mapped, too.
    ptr : array-like of shape (n_trials + 1,)
        The samples of trial ``k`` are ``ptr[k]:ptr[k + 1]``.
    names : sequence of d str, default=None
        What the columns are.
    missing : {"mask", "hold"}, default="mask"
        What stands in for missing time: nothing (masked), or the last value that was there.

    Attributes
    ----------
    values, timestamps, ptr, names, missing
        As the parameters; `values` has shape (n_samples, d), float64 (float32 where mapped).
    interval : ndarray of shape (n_trials,), in seconds
        Median sampling interval of each trial; inf where a trial has fewer than two samples.

    Raises
    ------
    ValueError
        If lengths disagree, timestamps do not ascend, or values are infinite.

    Examples
    --------
    >>> from skneuro.data import TimeSeries
    >>> speed = TimeSeries([1.0, 2.0, 3.0], [0.0, 0.1, 0.2], [0, 3], names=["speed"])
    >>> speed
    TimeSeries(1 trials, 1 signals, 3 samples)
    """

    __slots__ = ("interval", "missing", "names", "ptr", "timestamps", "values")
    _array_remedy = "use .values with .ptr, or .on_bins(binned)"

    values: np.ndarray
    timestamps: np.ndarray
    ptr: np.ndarray
    names: tuple[str, ...] | None
    missing: str
    interval: np.ndarray

    def __init__(
        self,
        values: Any,
        timestamps: Any,
        ptr: Any,
        *,
        names: Sequence[str] | None = None,
        missing: str = "mask",
    ) -> None:
        values = own(values, np.float64, np.float32)
        if values.ndim == 1:
            values = values[:, None]
        times = own_times(timestamps, "timestamps")
        ptr = np.array(ptr, dtype=np.int64)
        if values.ndim != 2 or len(values) != len(times):
            raise ValueError(
                f"values must be of shape (n_samples, d) with one timestamp per sample. Got values of shape "
                f"{values.shape} and {len(times)} timestamps."
            )
        if ptr.ndim != 1 or len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != len(times) or (np.diff(ptr) < 0).any():
            raise ValueError(f"ptr must ascend from 0 to the number of samples, {len(times)}. Got {ptr!r:.80}.")
        if any(np.isinf(values[low : low + ROWS_AT_ONCE]).any() for low in range(0, len(values), ROWS_AT_ONCE)):
            raise ValueError("values must be finite, or NaN where missing. Got infinity.")
        if missing not in ("mask", "hold"):
            raise ValueError(f"missing must be 'mask' or 'hold'. Got {missing!r:.80} instead.")
        if names is not None and (isinstance(names, str) or len(names) != values.shape[1]):
            raise ValueError(f"names must have one name for each of {values.shape[1]} columns. Got {names!r:.80}.")
        if (steps_within(times, ptr) <= 0).any():
            raise ValueError("timestamps must ascend strictly within a trial. Sort the samples and drop duplicates.")
        self._set(
            values=frozen(values),
            timestamps=frozen(times),
            ptr=frozen(ptr),
            names=None if names is None else tuple(str(name) for name in names),
            missing=missing,
            interval=frozen(_median_steps(times, ptr)),
        )

    @classmethod
    def from_lists(
        cls,
        trials: Sequence[Any],
        rate: float | None = None,
        t_start: Any = 0.0,
        timestamps: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Make a series from one array per trial.

        Parameters
        ----------
        trials : sequence of n_trials arrays of shape (T_k, d) or (T_k,)
            Samples of each trial.
        rate : float, in hertz, default=None
            Sampling rate; give either this or `timestamps`.
        t_start : float or array-like of shape (n_trials,), in seconds, default=0.0
            Time of each trial's first sample; used with `rate`.
        timestamps : sequence of n_trials arrays of shape (T_k,), in seconds, default=None
            Time of each sample.
        **kwargs
            ``names`` and ``missing`` as in `TimeSeries`.

        Returns
        -------
        TimeSeries
            One row per trial.

        Raises
        ------
        ValueError
            If both or neither of `rate` and `timestamps` are given, or trials differ in their number of
            columns.

        Examples
        --------
        >>> from skneuro.data import TimeSeries
        >>> TimeSeries.from_lists([[1.0, 2.0], [3.0]], rate=10.0).timestamps
        array([0. , 0.1, 0. ])
        """
        if (rate is None) == (timestamps is None):
            raise ValueError("Exactly one of rate (hertz) and timestamps (seconds) must be given.")
        arrays = [_samples(trial, number) for number, trial in enumerate(trials)]
        if len({array.shape[1] for array in arrays}) > 1:
            columns = sorted({array.shape[1] for array in arrays})
            raise ValueError(f"Every trial must have the same columns. Got trials of {columns} columns.")
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        if timestamps is not None:
            if len(timestamps) != len(arrays):
                raise ValueError(f"timestamps must have one array per trial. Got {len(timestamps)} for {len(arrays)}.")
            stamps = [as_times(part, "timestamps") for part in timestamps]
            times = np.concatenate(stamps) if stamps else np.empty(0)
            if [len(part) for part in timestamps] != lengths.tolist():
                raise ValueError("timestamps must have one time per sample in every trial.")
        else:
            rate = check_width(rate, "rate", unit="hertz")
            start = per_trial(t_start, len(arrays), "t_start")
            times = np.repeat(start, lengths) + concatenated_ranges(np.zeros(len(arrays)), lengths) / rate
        values = np.concatenate(arrays) if arrays else np.empty((0, 1))
        return cls(values, times, pointer(lengths), **kwargs)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, d)."""
        return len(self.ptr) - 1, self.values.shape[1]

    @property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Time that the samples of each trial cover, two ndarrays (n_trials,), in seconds; NaN without any.

        The first sample is taken to be as early as one interval before its timestamp, the last to last one
        interval.
        """
        first, last = np.full(len(self), np.nan), np.full(len(self), np.nan)
        some = np.diff(self.ptr) > 0
        first[some] = self.timestamps[self.ptr[:-1][some]] - self.interval[some]
        last[some] = self.timestamps[self.ptr[1:][some] - 1] + self.interval[some]
        return first, last

    def __repr__(self) -> str:
        return f"TimeSeries({len(self):,} trials, {self.shape[1]} signals, {len(self.timestamps):,} samples)"

    @property
    def _static(self) -> bool:
        return bool((np.diff(self.ptr) <= 1).all())

    @property
    def _unknown_columns(self) -> list[int]:
        return unknown_columns(self.values)

    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        return extremes(self.values)

    def _scaled_values(self) -> np.ndarray:
        return self.values

    def _place(self, row: int) -> str:
        trial = int(np.searchsorted(self.ptr, row, side="right")) - 1
        return f"in trial {trial} at {round(float(self.timestamps[row]), 4)} s"

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return share_beyond(self.values, low, high)

    def _held(self, low: np.ndarray, high: np.ndarray) -> Self:
        new = self._take(np.arange(len(self)))
        new._set(values=frozen(np.clip(self.values, low, high).astype(self.values.dtype, copy=False)))
        return new

    def _identity(self) -> np.ndarray:
        if not self._static:
            return np.arange(len(self))
        held = np.full((len(self), self.shape[1]), np.inf)  # inf for nothing
        held[np.diff(self.ptr) == 1] = np.nan_to_num(self.values, nan=np.inf)
        return same_rows(held)

    def _take(self, rows: np.ndarray) -> Self:
        lengths = np.diff(self.ptr)[rows]
        samples: Any = consecutive(rows, self.ptr)
        if samples is None:
            samples = concatenated_ranges(self.ptr[rows], lengths)
        return self._gather(samples, lengths, self.interval[rows])

    def _gather(self, samples: Any, lengths: np.ndarray, interval: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(
            values=frozen(self.values[samples]),
            timestamps=frozen(self.timestamps[samples]),
            ptr=frozen(pointer(lengths)),
            names=self.names,
            missing=self.missing,
            interval=frozen(interval),
        )
        return new

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        """Samples of blocks [start, stop) of the trials `parent`, with one sample more on either side.

        Where the last value is held, as many before the block as hold what is known when it begins.
        """
        since = self._known_since() if self.missing == "hold" else np.arange(len(self.timestamps))
        lo, hi = np.empty(len(parent), dtype=np.int64), np.empty(len(parent), dtype=np.int64)
        for block, trial in enumerate(parent):
            times = self.timestamps[self.ptr[trial] : self.ptr[trial + 1]]
            first, last = np.searchsorted(times, [start[block], stop[block]], side="left")
            lo[block] = since[self.ptr[trial] + first - 1] if first else self.ptr[trial]
            hi[block] = self.ptr[trial] + min(last + 1, len(times))
        return self._gather(concatenated_ranges(lo, hi - lo), hi - lo, self.interval[parent])

    def _known_since(self) -> np.ndarray:
        """For each sample, the earliest that holds what is known then, each column's last value."""
        trial_start = np.repeat(self.ptr[:-1], np.diff(self.ptr))
        number = np.arange(len(self.timestamps))
        since = number
        for known in ~np.isnan(self.values).T:
            last = np.maximum.accumulate(np.where(known, number, -1))
            since = np.where(last >= trial_start, np.minimum(since, last), since)
        return since

    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Return the value in each bin: the mean of the samples in it, else the last sample before.

        Nothing after a bin's end enters it. The mean is over the samples that are there; a bin is missing
        where all its samples are, and with ``missing="hold"`` it takes the last value instead.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins, d)
            NaN where nothing is known.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains, TimeSeries
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> TimeSeries.from_lists([[1.0, 3.0, 5.0, 5.0]], rate=20.0).on_bins(binned).ravel()
        array([ 2.,  5., nan, nan])
        """
        self._same_trials(binned)
        n_bins = np.diff(binned.ptr)
        # One slot in front of each trial's bins takes the samples from before its start.
        slots = binned.ptr + np.arange(len(binned.ptr))
        lengths = np.diff(self.ptr)
        tick = np.floor((self.timestamps - np.repeat(binned.t_start, lengths)) / binned.bin_width + TOLERANCE)
        tick = np.clip(tick, -1, np.repeat(n_bins, lengths)).astype(np.int64)
        used = np.flatnonzero(tick < np.repeat(n_bins, lengths))
        slot = np.repeat(slots[:-1], lengths)[used] + tick[used] + 1
        slot_trial = np.repeat(np.arange(len(self)), n_bins + 1)
        own = np.arange(slots[-1]) != slots[slot_trial]
        result = np.empty((binned.n_bins, self.shape[1]))
        until = self.until()[used]
        for column in range(self.shape[1]):
            value = self.values[used, column]
            result[:, column] = _fill(value, until, slot, slot_trial, slots, binned, self.missing == "hold")[own]
        return result

    def until(self) -> np.ndarray:
        """Time until which each sample stands: the next sample, or one interval on where a hole follows.

        Returns
        -------
        ndarray of shape (n_samples,), in seconds
            One interval on for the last sample of a trial.

        Examples
        --------
        >>> from skneuro.data import TimeSeries
        >>> TimeSeries.from_lists([[1.0, 2.0, 3.0]], rate=2.0).until()
        array([0.5, 1. , 1.5])
        """
        lengths = np.diff(self.ptr)
        following = np.append(self.timestamps[1:], np.inf)
        some = self.ptr[1:][lengths > 0] - 1
        following[some] = np.inf
        interval = np.repeat(self.interval, lengths)
        hole = following - self.timestamps > (_HOLE + TOLERANCE) * interval  # wherever the clock began
        return np.where(hole, self.timestamps + interval, following)

    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return the samples that have a value; a series faster than the bins is averaged within them.

        So it is before a trial's start, in bins that end there.

        Each trial is read by its own sampling interval: what is known of it does not depend on the others.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            Those of all trials.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains, TimeSeries
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> TimeSeries.from_lists([[1.0, 3.0, 5.0, 5.0]], rate=20.0).samples(binned).values.ravel()
        array([2., 5.])
        """
        self._same_trials(binned)
        fast = self.interval < 0.999 * binned.bin_width
        trial = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        values, begin = self._standing(), binned.t_start[trial]
        onset, until = self.timestamps - begin, self._stands_until(trial) - begin
        if fast.any():
            grid, n_before = self._grid(binned, fast)
            trial_of_bin = np.repeat(np.arange(grid.n_trials), np.diff(grid.ptr))
            start = (np.arange(grid.n_bins) - (grid.ptr[:-1] + n_before)[trial_of_bin]) * grid.bin_width
            slow, averaged = ~fast[trial], fast[trial_of_bin]
            trial = np.concatenate([trial[slow], trial_of_bin[averaged]])
            order = np.argsort(trial, kind="stable")
            trial = trial[order]
            values = np.concatenate([values[slow], self.on_bins(grid)[averaged]])[order]
            onset = np.concatenate([onset[slow], start[averaged]])[order]
            until = np.concatenate([until[slow], start[averaged] + grid.bin_width])[order]
        known = ~np.isnan(values).all(1)
        return Samples(onset[known], until[known], values[known], trial[known])

    def _grid(self, binned: BinnedSpikes, fast: np.ndarray) -> tuple[BinnedSpikes, np.ndarray]:
        """Bins that reach back to the first sample of each fast trial, and how many of them lie before its start."""
        n_before = np.zeros(len(self), dtype=np.int64)
        first = self.timestamps[self.ptr[:-1][fast]]  # a fast trial has samples
        n_before[fast] = np.ceil((binned.t_start[fast] - first) / binned.bin_width - TOLERANCE)
        n_before = np.maximum(n_before, 0)
        return binned._from_earlier(n_before), n_before

    def _standing(self) -> np.ndarray:
        """The values, each column's last known one of its trial in place of missing ones where it is held."""
        unknown = np.isnan(self.values)
        partly = unknown.any(1) & ~unknown.all(1)
        if self.missing == "mask" or not partly.any():
            return self.values
        first = np.repeat(self.ptr[:-1], np.diff(self.ptr))[:, None]  # of the sample's trial
        last = np.maximum.accumulate(np.where(unknown, -1, np.arange(len(unknown))[:, None]))
        before = np.take_along_axis(self.values, np.maximum(last, 0), axis=0)
        return np.where(partly[:, None] & (last >= first), before, self.values)

    def _stands_until(self, trial: np.ndarray) -> np.ndarray:
        """Time until which each sample stands for a model; inf for the last one of a trial that is held."""
        if self.missing == "mask":
            return self.until()
        known = ~np.isnan(self.values).all(1)
        following = np.append(self.timestamps[known][1:], np.inf)
        same = np.append(np.diff(trial[known]) == 0, False)
        until = np.full(len(trial), np.inf)
        until[known] = np.where(same, following, np.inf)
        return until

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations of the samples that are not missing.

        Returns
        -------
        mean, sd : ndarray of shape (d,)
            1 for the sd of a constant.

        Examples
        --------
        >>> from skneuro.data import TimeSeries
        >>> TimeSeries.from_lists([[1.0, 3.0]], rate=10.0).moments()
        (array([2.]), array([1.]))
        """
        return known_moments(self.values)

    def _during(self, trial: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        """Samples in the stretches [start, stop), seconds, of some trials; all where there are none."""
        inside = np.zeros(len(self.timestamps), dtype=bool)
        for one, begin, end in zip(trial, start, stop, strict=True):
            low, high = self.ptr[one], self.ptr[one + 1]
            times = self.timestamps[low:high]
            inside[low:high] |= (times >= begin) & (times < end)
        if inside.all() or not inside.any():
            return self
        lengths = np.diff(np.concatenate([[0], np.cumsum(inside)])[self.ptr])
        return self._gather(np.flatnonzero(inside), lengths, self.interval)


def _samples(trial: Any, number: int) -> np.ndarray:
    """Samples of one trial, (T, d)."""
    wanted = f"Every trial must be an array of shape (T,) or (T, d) of numbers. Trial {number}"
    try:
        array = np.asarray(trial, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wanted} holds something else: {trial!r:.60}.") from error
    if array.ndim not in (1, 2):
        raise ValueError(f"{wanted} has {array.ndim} dimensions; a single trial is written [samples].")
    return array[:, None] if array.ndim == 1 else array


def steps_within(times: np.ndarray, ptr: np.ndarray) -> np.ndarray:
    """Times from sample to sample, of all trials one after the other, without the steps from trial to trial."""
    step = np.diff(times)
    within = np.ones(len(step), dtype=bool)
    borders = ptr[1:-1]
    within[borders[(borders > 0) & (borders < len(times))] - 1] = False
    return step[within]


def _median_steps(times: np.ndarray, ptr: np.ndarray) -> np.ndarray:
    medians = [np.median(np.diff(times[a:b])) if b - a > 1 else np.inf for a, b in zip(ptr[:-1], ptr[1:], strict=True)]
    return np.array(medians, dtype=np.float64)


def _fill(
    value: np.ndarray,
    until: np.ndarray,
    slot: np.ndarray,
    slot_trial: np.ndarray,
    slots: np.ndarray,
    binned: BinnedSpikes,
    hold: bool,
) -> np.ndarray:
    """Mean of the samples of each slot; where it has none, the last sample before it that still stands."""
    n_slots = slots[-1]
    good = ~np.isnan(value)
    n_good = np.bincount(slot[good], minlength=n_slots)
    n_any = np.bincount(slot, minlength=n_slots)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(slot[good], weights=value[good], minlength=n_slots) / n_good
    last = np.full(n_slots, -1, dtype=np.int64)
    kept = np.flatnonzero(good) if hold else np.arange(len(value))
    np.maximum.at(last, slot[kept], kept)
    before = np.maximum.accumulate(last) if n_slots else last
    # The slot in front of a trial keeps the past of the trial before from leaking in.
    if len(value):
        before[slot_trial[slot[np.maximum(before, 0)]] != slot_trial] = -1
    centre = binned.t_start[slot_trial] + (np.arange(n_slots) - slots[slot_trial] - 0.5) * binned.bin_width
    empty = n_good == 0 if hold else n_any == 0
    if len(value) == 0:
        return np.full(n_slots, np.nan)
    source = np.maximum(before, 0)
    stands = (before >= 0) & (hold | (centre < until[source]))
    return np.where(empty, np.where(stands, value[source], np.nan), mean)
