"""`Events`: licks, rewards, cues, lever presses: labels with times and no duration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from skneuro.data._epochs import read_epochs, warn_of_none_left
from skneuro.data._rows import concatenated_ranges, frozen, pointer
from skneuro.data._validation import ROUNDING, TOLERANCE, as_times, trial_borders
from skneuro.data.modality import Modality, Samples

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes


class Events(Modality):
    """Labelled events, one row per trial.

    A model sees each event, with its label and age, for the time of its `stimulus_context`.

    Parameters
    ----------
    times : array-like of shape (n_events,), in seconds
        Time of each event, ascending within a trial, on the clock of the spikes.
    labels : array-like of shape (n_events,), int
        Which of the `names` each event is, counted from 0.
    ptr : array-like of shape (n_trials + 1,)
        The events of trial ``k`` are ``ptr[k]:ptr[k + 1]``.
    t_start, t_stop : float or array-like of shape (n_trials,), in seconds
        Time in which events were looked for; it may begin before the trial of the spikes.
    names : sequence of str
        What the labels are. Labels that do not occur are allowed: every split then has the same.

    Attributes
    ----------
    times, labels, ptr, t_start, t_stop, names
        As the parameters.

    Raises
    ------
    ValueError
        If lengths disagree, times do not ascend or lie outside their trial, or a label has no name.

    Examples
    --------
    >>> from skneuro.data import Events
    >>> events = Events.from_lists([{"lick": [0.2, 0.3], "reward": [0.25]}, {}], 0.0, 1.0)
    >>> events
    Events(2 trials: 2 lick, 1 reward)
    >>> events[0].times
    array([0.2 , 0.25, 0.3 ])
    """

    __slots__ = ("labels", "names", "ptr", "t_start", "t_stop", "times")
    _array_remedy = "use .times with .labels and .ptr, or .on_bins(binned)"

    times: np.ndarray
    labels: np.ndarray
    ptr: np.ndarray
    t_start: np.ndarray
    t_stop: np.ndarray
    names: tuple[str, ...]

    def __init__(self, times: Any, labels: Any, ptr: Any, t_start: Any, t_stop: Any, *, names: Sequence[str]) -> None:
        times = as_times(times, "times").copy()
        labels = np.array(labels)
        labels = labels.astype(np.int64) if labels.size == 0 else labels
        if labels.shape != times.shape or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be ints, one for each of {len(times)} times. Got shape {labels.shape} and dtype "
                f"{labels.dtype}; for labels by name use Events.from_lists."
            )
        ptr = np.array(ptr, dtype=np.int64)
        if ptr.ndim != 1 or len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != len(times) or (np.diff(ptr) < 0).any():
            raise ValueError(f"ptr must ascend from 0 to the number of events, {len(times)}. Got {ptr!r:.80}.")
        names = _checked_names(names)
        if len(labels) and not (labels.min() >= 0 and labels.max() < len(names)):
            raise ValueError(f"labels must be 0 .. {len(names) - 1}. Got {labels.min()} .. {labels.max()}.")
        start, stop = trial_borders(t_start, t_stop, len(ptr) - 1)
        trial = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        outside = np.flatnonzero((times < start[trial]) | (times > stop[trial]))
        if len(outside):
            k = trial[outside[0]]
            raise ValueError(
                f"Every event must lie in its trial. Got one at {times[outside[0]]:g} s in trial {k}, which lasts "
                f"[{start[k]:g}, {stop[k]:g}] s; {len(outside)} such events in all."
            )
        if ((np.diff(times) < 0) & (np.diff(trial) == 0)).any():
            raise ValueError("times must ascend within a trial. Sort the events with their labels.")
        self._set(
            times=frozen(times), labels=frozen(labels.astype(np.int64)), ptr=frozen(ptr),
            t_start=frozen(start), t_stop=frozen(stop), names=names,
        )  # fmt: skip

    @classmethod
    def from_lists(
        cls, trials: Sequence[Mapping[str, Any]], t_start: Any, t_stop: Any, *, names: Sequence[str] | None = None
    ) -> Self:
        """Make events from one ``{name: times}`` per trial.

        Parameters
        ----------
        trials : sequence of n_trials dicts of str to array-like, in seconds
            Times of each kind of event, in any order; what is not named in a trial did not happen in it.
        t_start, t_stop : float or array-like of shape (n_trials,), in seconds
            Time in which events were looked for.
        names : sequence of str, default=None
            All kinds, in order. By default those of all trials, sorted.

        Returns
        -------
        Events
            One row per trial.

        Raises
        ------
        TypeError
            If a trial is not a dict.
        ValueError
            If a trial has a name that is not among `names`, or as `Events`.

        Examples
        --------
        >>> from skneuro.data import Events
        >>> Events.from_lists([{"lick": [0.4, 0.1]}, {"lick": []}], 0.0, [1.0, 2.0], names=["lick", "reward"])
        Events(2 trials: 2 lick, 0 reward)
        """
        for number, trial in enumerate(trials):
            if not isinstance(trial, Mapping):
                raise TypeError(
                    f"Every trial must be a dict of name to times, such as {{'lick': [0.1, 0.3]}}. Trial {number} is a "
                    f"{type(trial).__name__}."
                )
        found = sorted({str(name) for trial in trials for name in trial})
        names = tuple(found) if names is None else _checked_names(names)
        unknown = [name for name in found if name not in names]
        if unknown:
            raise ValueError(f"names must hold every kind of event. {unknown} is not in {list(names)}.")
        times, labels, lengths = [np.empty(0)], [np.empty(0, dtype=np.int64)], []
        for trial in trials:
            parts = {str(name): as_times(one, f"the times of {name!r}") for name, one in trial.items()}
            flat = np.concatenate([np.empty(0), *parts.values()])
            label = np.repeat([names.index(name) for name in parts], [len(one) for one in parts.values()])
            order = np.lexsort((label, flat))
            times.append(flat[order])
            labels.append(label[order].astype(np.int64))
            lengths.append(len(flat))
        ptr = pointer(np.array(lengths, dtype=np.int64))
        return cls(np.concatenate(times), np.concatenate(labels), ptr, t_start, t_stop, names=names)

    @classmethod
    def from_times(cls, times: Mapping[str, Any], epochs: Any, *, before: float = 0.0) -> Self:
        """Make events from ``{name: times}`` over a whole session, cut into epochs.

        Parameters
        ----------
        times : dict of str to array-like, in seconds
            Times of each kind of event in the session.
        epochs : array-like of shape (n_trials, 2), in seconds, or a table of epochs
            Start and stop of each trial. They may overlap; an event then belongs to each.
        before : float, in seconds, default=0.0
            Time before each trial whose events are kept too: a model with a `stimulus_context` of that length knows
            in the first bin what happened just before.

        Returns
        -------
        Events
            Times stay on the session's clock.

        Raises
        ------
        TypeError
            If `times` is not a dict.
        ValueError
            If `epochs` is not of shape (n_trials, 2), or `before` is negative.

        Warns
        -----
        UserWarning
            If none of the events of a name lies in any epoch: they are on another clock, or in another unit.

        Examples
        --------
        >>> from skneuro.data import Events
        >>> Events.from_times({"lick": [0.5, 1.5, 1.6]}, [[0.0, 1.0], [1.0, 2.0]])
        Events(2 trials: 3 lick)
        """
        if not isinstance(times, Mapping):
            raise TypeError(f"times must be a dict of name to times. Got {type(times).__name__} instead.")
        borders, _ = read_epochs(epochs)
        if borders.ndim != 2 or borders.shape[1] != 2:
            raise ValueError(f"epochs must be of shape (n_trials, 2): start and stop, seconds. Got {borders.shape}.")
        if not before >= 0:
            raise ValueError(f"before must be at least 0 seconds. Got {before!r:.80} instead.")
        parts = {str(name): np.sort(as_times(one, f"the times of {name!r}")) for name, one in times.items()}
        flat = np.concatenate([np.empty(0), *parts.values()])
        label = np.repeat(np.arange(len(parts)), [len(one) for one in parts.values()])
        order = np.argsort(flat, kind="stable")
        flat, label = flat[order], label[order]
        first, last = np.searchsorted(flat, [borders[:, 0] - before, borders[:, 1]])
        picked = concatenated_ranges(first, last - first)
        left = np.bincount(label[picked], minlength=len(parts))
        for (name, one), n_left in zip(parts.items(), left, strict=True):
            warn_of_none_left(f"{name!r} events", one, borders[:, 0] - before, borders[:, 1], int(n_left))
        return cls(
            flat[picked], label[picked], pointer(last - first), borders[:, 0] - before, borders[:, 1],
            names=tuple(parts),
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, n_names)."""
        return len(self.ptr) - 1, len(self.names)

    @property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Time in which events were looked for, two ndarrays (n_trials,), in seconds."""
        return self.t_start, self.t_stop

    def __repr__(self) -> str:
        number = np.bincount(self.labels, minlength=len(self.names))
        return f"Events({len(self):,} trials: {', '.join(f'{n} {x}' for n, x in zip(number, self.names, strict=True))})"

    def _take(self, rows: np.ndarray) -> Self:
        lengths = np.diff(self.ptr)[rows]
        events = concatenated_ranges(self.ptr[rows], lengths)
        return self._gather(events, lengths, self.t_start[rows], self.t_stop[rows])

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        lo, hi = np.empty(len(parent), dtype=np.int64), np.empty(len(parent), dtype=np.int64)
        first, last = start - ROUNDING, np.where(stop < self.t_stop[parent], stop - ROUNDING, np.inf)
        for block, trial in enumerate(parent):
            mine = self.times[self.ptr[trial] : self.ptr[trial + 1]]
            lo[block], hi[block] = self.ptr[trial] + np.searchsorted(mine, [first[block], last[block]])
        begin, end = np.maximum(start, self.t_start[parent]), np.minimum(stop, self.t_stop[parent])
        some = hi > lo
        begin[some] = np.minimum(begin[some], self.times[lo[some]])
        return self._gather(concatenated_ranges(lo, hi - lo), hi - lo, begin, end)

    def _gather(self, events: np.ndarray, lengths: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(
            times=frozen(self.times[events]), labels=frozen(self.labels[events]), ptr=frozen(pointer(lengths)),
            t_start=frozen(start), t_stop=frozen(stop), names=self.names,
        )  # fmt: skip
        return new

    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Count the events in each bin.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins, n_names)
            NaN in bins that reach beyond the time in which events were looked for. An event at its very end is in the
            last bin.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Events, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Events.from_lists([{"lick": [0.1, 0.35, 0.38]}], 0.0, 0.4).on_bins(binned).ravel()
        array([0., 1., 0., 2.])
        """
        self._same_trials(binned)
        width, n_bins = binned.bin_width, np.diff(binned.ptr)
        trial = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        tick = np.floor((self.times - binned.t_start[trial]) / width + TOLERANCE).astype(np.int64)
        # An event within the tolerance of the trial's end, or at the end of all that was looked at, has no next bin.
        end = binned.t_start[trial] + n_bins[trial] * width
        in_time = (self.times < end - ROUNDING) | (self.times >= self.t_stop[trial] - ROUNDING)
        tick -= (tick == n_bins[trial]) & in_time
        inside = (tick >= 0) & (tick < n_bins[trial])
        cell = (binned.ptr[trial] + tick)[inside] * len(self.names) + self.labels[inside]
        counts = np.bincount(cell, minlength=binned.n_bins * len(self.names)).astype(np.float64)
        counts = counts.reshape(binned.n_bins, len(self.names))
        owner = np.repeat(np.arange(len(self)), n_bins)
        start = binned.t_start[owner] + (np.arange(binned.n_bins) - binned.ptr[owner]) * width
        slack = TOLERANCE * width
        counts[(start < self.t_start[owner] - slack) | (start + width > self.t_stop[owner] + slack)] = np.nan
        return counts

    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return the events as samples without duration; the value is 1 for the event's own label.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            One for each event.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Events, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Events.from_lists([{"lick": [0.1], "reward": [0.3]}], 0.0, 0.4).samples(binned).values
        array([[1., 0.],
               [0., 1.]])
        """
        self._same_trials(binned)
        trial = np.repeat(np.arange(len(self)), np.diff(self.ptr))
        onset = self.times - binned.t_start[trial]
        return Samples(onset, onset, np.eye(len(self.names))[self.labels], trial)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return zeros and ones: a label is not standardised.

        Returns
        -------
        mean, sd : ndarray of shape (n_names,)
            Zeros and ones.

        Examples
        --------
        >>> from skneuro.data import Events
        >>> Events.from_lists([{"lick": [0.1]}], 0.0, 1.0).moments()
        (array([0.]), array([1.]))
        """
        return np.zeros(len(self.names)), np.ones(len(self.names))


def _checked_names(names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not all(isinstance(name, str) for name in names) or len(set(names)) != len(names):
        raise ValueError(f"names must be different strings, one for each kind of event. Got {names!r:.80}.")
    return tuple(names)
