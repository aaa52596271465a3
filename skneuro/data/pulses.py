"""`Pulses`: light that is switched on and off: optogenetic pulses with target and power, and the time they spoil."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from skneuro.data._blanking import blanked
from skneuro.data._epochs import read_epochs, warn_of_none_left
from skneuro.data._rows import concatenated_ranges, frozen, pointer
from skneuro.data._validation import TOLERANCE, as_times, seconds, trial_borders
from skneuro.data.modality import Modality, Samples

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes
    from skneuro.data.spike_trains import SpikeTrains

LONGEST_BEFORE = 60.0  # s before a trial in which pulses are looked for; no model looks back so far


class Pulses(Modality):
    """Optogenetic (or electrical) pulses, one row per trial.

    A model sees in each bin how much power was on, target by target, and nothing of a pulse before it begins: neither
    that it comes nor how long it will last. Power beyond that of every pulse of its target in `fit` is taken for the
    most of them, and light on a target that had none is left out; an `UnseenStimulusWarning` says so. What a pulse
    spoils in the recording is taken out by `blank`.

    Parameters
    ----------
    onset : array-like of shape (n_pulses,), in seconds
        Start of each pulse, ascending within a trial, on the clock of the spikes. It may lie before the trial where
        the pulse reaches into it.
    duration : array-like of shape (n_pulses,), in seconds
        How long each lasts, above 0.
    ptr : array-like of shape (n_trials + 1,)
        The pulses of trial ``k`` are ``ptr[k]:ptr[k + 1]``.
    t_start, t_stop : float or array-like of shape (n_trials,), in seconds
        Time in which the light is known; it may begin before the trial of the spikes.
    names : sequence of str, default=("light",)
        The targets: opsins, sites, fibres, colours.
    target : array-like of shape (n_pulses,), int, default=None
        Which of the `names` each pulse goes to, counted from 0; all to the first by default.
    power : array-like of shape (n_pulses,), default=None
        Power of each, above 0, in any unit (mW); 1 by default.

    Attributes
    ----------
    onset, duration, ptr, t_start, t_stop, names, target, power
        As the parameters, read-only arrays.

    Raises
    ------
    ValueError
        If lengths disagree, onsets do not ascend, a pulse does not reach into its trial, a duration or power is not
        positive, or a target has no name.

    See Also
    --------
    Events : What has no duration and no strength.

    Examples
    --------
    >>> from skneuro.data import Pulses
    >>> pulses = Pulses([0.2, 0.6], [0.1, 0.1], [0, 2], 0.0, 1.0, power=[2.0, 5.0])
    >>> pulses
    Pulses(1 trials: 2 light)
    """

    __slots__ = ("duration", "names", "onset", "power", "ptr", "t_start", "t_stop", "target")
    _array_remedy = "use .onset with .duration and .ptr, or .on_bins(binned)"

    onset: np.ndarray
    duration: np.ndarray
    target: np.ndarray
    power: np.ndarray
    ptr: np.ndarray
    t_start: np.ndarray
    t_stop: np.ndarray
    names: tuple[str, ...]

    def __init__(
        self,
        onset: Any,
        duration: Any,
        ptr: Any,
        t_start: Any,
        t_stop: Any,
        *,
        names: Sequence[str] = ("light",),
        target: Any = None,
        power: Any = None,
    ) -> None:
        onset = as_times(onset, "onset").copy()
        n_pulses = len(onset)
        duration = _positive(seconds(duration, "duration"), n_pulses, "duration", "seconds")
        power = np.ones(n_pulses) if power is None else _positive(power, n_pulses, "power", "one unit of power")
        ptr = np.array(ptr, dtype=np.int64)
        if ptr.ndim != 1 or len(ptr) < 1 or ptr[0] != 0 or ptr[-1] != n_pulses or (np.diff(ptr) < 0).any():
            raise ValueError(f"ptr must ascend from 0 to the number of pulses, {n_pulses}. Got {ptr!r:.80}.")
        if isinstance(names, str) or not all(isinstance(n, str) for n in names) or len(set(names)) != len(names):
            raise ValueError(f"names must be different strings, one for each target. Got {names!r:.80}.")
        target = np.zeros(n_pulses, dtype=np.int64) if target is None else np.array(target)
        if target.shape != onset.shape or (n_pulses and target.dtype.kind not in "iu"):
            raise ValueError(
                f"target must be ints, one for each of {n_pulses} pulses. Got shape {target.shape} and dtype "
                f"{target.dtype}; for targets by name use Pulses.from_table."
            )
        if n_pulses and not (target.min() >= 0 and target.max() < len(names)):
            raise ValueError(f"target must be 0 .. {len(names) - 1}. Got {target.min()} .. {target.max()}.")
        start, stop = trial_borders(t_start, t_stop, len(ptr) - 1)
        trial = np.repeat(np.arange(len(ptr) - 1), np.diff(ptr))
        outside = np.flatnonzero((onset + duration <= start[trial]) | (onset > stop[trial]))
        if len(outside):
            first, k = outside[0], trial[outside[0]]
            raise ValueError(
                f"Every pulse must reach into its trial. Got one from {onset[first]:g} to "
                f"{onset[first] + duration[first]:g} s in trial {k}, which lasts [{start[k]:g}, {stop[k]:g}] s; "
                f"{len(outside)} such pulses in all."
            )
        if ((np.diff(onset) < 0) & (np.diff(trial) == 0)).any():
            raise ValueError("onset must ascend within a trial. Use Pulses.from_table, which sorts.")
        self._set(
            onset=frozen(onset), duration=frozen(duration), target=frozen(target.astype(np.int64)),
            power=frozen(power), ptr=frozen(ptr), t_start=frozen(start), t_stop=frozen(stop), names=tuple(names),
        )  # fmt: skip

    @classmethod
    def from_table(cls, table: Any, epochs: Any, *, before: float = 0.0, names: Sequence[str] | None = None) -> Self:
        """Make pulses from one table of a whole session, cut into epochs.

        Parameters
        ----------
        table : DataFrame or dict of columns
            ``onset`` and ``duration`` in seconds; ``target`` (str) and ``power`` where there are several.
        epochs : array-like of shape (n_trials, 2), in seconds, or a table of epochs
            Start and stop of each trial. They may overlap; a pulse then belongs to each.
        before : float, in seconds, default=0.0
            Time before each trial whose pulses are kept too: a model with a `stimulus_context` of that length knows in
            the first bin what was on just before.
        names : sequence of str, default=None
            All targets, in order. By default those of the table, sorted.

        Returns
        -------
        Pulses
            Times stay on the session's clock.

        Raises
        ------
        TypeError
            If `table` is neither a DataFrame nor a dict.
        ValueError
            If a column is missing or unknown, `epochs` is not of shape (n_trials, 2), `before` is negative, or a
            target is not among `names`.

        Warns
        -----
        UserWarning
            If none of the pulses lies in any epoch: they are on another clock, or in another unit.

        Examples
        --------
        >>> from skneuro.data import Pulses
        >>> table = {"onset": [0.5, 1.5], "duration": [0.01, 0.01], "target": ["ChR2", "Arch"]}
        >>> Pulses.from_table(table, [[0.0, 1.0], [1.0, 2.0]])
        Pulses(2 trials: 1 Arch, 1 ChR2)
        """
        if not isinstance(table, (pd.DataFrame, dict)):
            raise TypeError(f"table must be a DataFrame or a dict of columns. Got {type(table).__name__} instead.")
        table = pd.DataFrame(table)
        known = ("onset", "duration", "target", "power")
        if not {"onset", "duration"} <= set(table.columns) or not set(table.columns) <= set(known):
            raise ValueError(
                f"table must have the columns onset and duration, and may have target and power. Got "
                f"{list(table.columns)}."
            )
        borders, _ = read_epochs(epochs)
        if borders.ndim != 2 or borders.shape[1] != 2:
            raise ValueError(f"epochs must be of shape (n_trials, 2): start and stop, seconds. Got {borders.shape}.")
        if not before >= 0:
            raise ValueError(f"before must be at least 0 seconds. Got {before!r:.80} instead.")
        found = table["target"].astype(str).to_numpy() if "target" in table else np.full(len(table), "light")
        listed = tuple(sorted(set(found.tolist())) or ["light"]) if names is None else tuple(names)
        unknown = sorted(set(found.tolist()) - set(listed))
        if unknown:
            raise ValueError(f"names must hold every target. {unknown} is not in {list(listed)}.")
        onset = as_times(table["onset"].to_numpy(), "onset")
        duration = _positive(seconds(table["duration"].to_numpy(), "duration"), len(onset), "duration", "seconds")
        power = np.ones(len(onset)) if "power" not in table else table["power"].to_numpy()
        order = np.argsort(onset, kind="stable")
        start, stop = borders[:, 0] - before, borders[:, 1]
        rows, lengths = _reaching_into(onset[order], duration[order], start, stop)
        pulse = order[rows]
        warn_of_none_left("pulses", onset, start, stop, len(pulse))
        target = np.array([listed.index(name) for name in found], dtype=np.int64)
        return cls(
            onset[pulse], duration[pulse], pointer(lengths), start, stop,
            names=listed, target=target[pulse], power=np.asarray(power)[pulse],
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, n_targets)."""
        return len(self.ptr) - 1, len(self.names)

    @property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Time in which the light is known, two ndarrays (n_trials,), in seconds."""
        return self.t_start, self.t_stop

    def __repr__(self) -> str:
        number = np.bincount(self.target, minlength=len(self.names))
        return f"Pulses({len(self):,} trials: {', '.join(f'{n} {x}' for n, x in zip(number, self.names, strict=True))})"

    @property
    def trial(self) -> np.ndarray:
        """Trial of each pulse, ndarray of shape (n_pulses,)."""
        return np.repeat(np.arange(len(self)), np.diff(self.ptr))

    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        most = np.zeros(len(self.names))  # off is known too
        np.maximum.at(most, self.target, self.power)
        return np.zeros_like(most), most

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        n_beyond = np.bincount(self.target[self.power > high[self.target]], minlength=len(self.names))
        return n_beyond / np.maximum(np.bincount(self.target, minlength=len(self.names)), 1)

    def _held(self, low: np.ndarray, high: np.ndarray) -> Self:
        power = np.minimum(self.power, high[self.target])
        lit = np.flatnonzero(power > 0)
        new = self._gather(lit, np.bincount(self.trial[lit], minlength=len(self)), self.t_start, self.t_stop)
        new._set(power=frozen(power[lit]))
        return new

    def _take(self, rows: np.ndarray) -> Self:
        lengths = np.diff(self.ptr)[rows]
        return self._gather(
            concatenated_ranges(self.ptr[rows], lengths), lengths, self.t_start[rows], self.t_stop[rows]
        )

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        begin, end = np.maximum(start, self.t_start[parent]), np.minimum(stop, self.t_stop[parent])
        pulses, lengths = [np.empty(0, dtype=np.int64)], np.zeros(len(parent), dtype=np.int64)
        for block, trial in enumerate(parent):
            mine = slice(self.ptr[trial], self.ptr[trial + 1])
            inside = (self.onset[mine] < end[block]) & (self.onset[mine] + self.duration[mine] > begin[block])
            pulses.append(self.ptr[trial] + np.flatnonzero(inside))
            lengths[block] = inside.sum()
        return self._gather(np.concatenate(pulses), lengths, begin, end)

    def _during(self, trial: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        """Pulses that begin in the stretches [start, stop), seconds, of some trials; all where there are none."""
        inside = np.zeros(len(self.onset), dtype=bool)
        for one, begin, end in zip(trial, start, stop, strict=True):
            inside |= (self.trial == one) & (self.onset >= begin) & (self.onset < end)
        if not inside.any():
            return self
        lengths = np.bincount(self.trial[inside], minlength=len(self))
        return self._gather(np.flatnonzero(inside), lengths, self.t_start, self.t_stop)

    def _gather(self, pulses: np.ndarray, lengths: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(
            onset=frozen(self.onset[pulses]), duration=frozen(self.duration[pulses]),
            target=frozen(self.target[pulses]), power=frozen(self.power[pulses]), ptr=frozen(pointer(lengths)),
            t_start=frozen(start), t_stop=frozen(stop), names=self.names,
        )  # fmt: skip
        return new

    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Average the power over each bin.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins, n_targets), in the unit of `power`
            A pulse that is on for half a bin counts half there. NaN in bins that reach beyond the time in which the
            light is known.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Pulses, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Pulses([0.1], [0.15], [0, 1], 0.0, 0.4, power=[2.0]).on_bins(binned).ravel()
        array([0., 2., 1., 0.])
        """
        self._same_trials(binned)
        width, n_bins, trial = binned.bin_width, np.diff(binned.ptr), self.trial
        on = (self.onset - binned.t_start[trial]) / width
        off = on + self.duration / width
        first = np.clip(np.floor(on), 0, n_bins[trial]).astype(np.int64)
        last = np.clip(np.ceil(off), first, n_bins[trial]).astype(np.int64)
        pulse = np.repeat(np.arange(len(on)), last - first)
        bin_ = concatenated_ranges(first, last - first)
        share = np.minimum(off[pulse], bin_ + 1) - np.maximum(on[pulse], bin_)
        share[share < TOLERANCE] = 0.0
        share[share > 1 - TOLERANCE] = 1.0
        cell = (binned.ptr[trial[pulse]] + bin_) * len(self.names) + self.target[pulse]
        total = np.bincount(cell, share * self.power[pulse], binned.n_bins * len(self.names))
        power = total.astype(np.float64).reshape(binned.n_bins, len(self.names))
        owner = np.repeat(np.arange(len(self)), n_bins)
        start = binned.t_start[owner] + (np.arange(binned.n_bins) - binned.ptr[owner]) * width
        slack = TOLERANCE * width
        power[(start < self.t_start[owner] - slack) | (start + width > self.t_stop[owner] + slack)] = np.nan
        return power

    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return the mean power of each bin in which some light is on.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            One for each such bin, those of up to a minute before each trial too where the light is known there; a bin
            without light has none.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Pulses, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
        >>> Pulses([0.1], [0.15], [0, 1], 0.0, 0.4, power=[2.0]).samples(binned).onset
        array([0.1, 0.2])
        """
        self._same_trials(binned)
        known = np.floor((binned.t_start - self.t_start) / binned.bin_width + TOLERANCE)
        n_before = np.clip(known, 0, math.ceil(LONGEST_BEFORE / binned.bin_width)).astype(np.int64)
        grid = binned._from_earlier(n_before)
        power = np.nan_to_num(self.on_bins(grid))
        lit = np.flatnonzero((power > 0).any(1))
        trial = np.repeat(np.arange(len(self)), np.diff(grid.ptr))[lit]
        onset = (lit - grid.ptr[trial] - n_before[trial]) * grid.bin_width
        return Samples(onset, onset + binned.bin_width, power[lit], trial)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return zeros, and the root mean square power of each target's pulses.

        Returns
        -------
        mean, sd : ndarray of shape (n_targets,)
            1 for the sd of a target without a pulse.

        Examples
        --------
        >>> from skneuro.data import Pulses
        >>> Pulses([0.1], [0.1], [0, 1], 0.0, 0.4, power=[2.0]).moments()
        (array([0.]), array([2.]))
        """
        n_targets = len(self.names)
        number = np.bincount(self.target, minlength=n_targets)
        square = np.bincount(self.target, self.power**2, n_targets)
        return np.zeros(n_targets), np.where(number > 0, np.sqrt(square / np.maximum(number, 1)), 1.0)

    def blank(
        self,
        spikes: SpikeTrains,
        *,
        before: float = 0.0,
        after: float = 0.0,
        edges: bool = False,
        units: Any = None,
    ) -> SpikeTrains:
        """Take out of a recording what the pulses spoil: that time is not observed, and its spikes are left out.

        Blanked bins enter no likelihood, no null model, no rate and no model's past, whatever is fitted or scored;
        spikes that the artefact hid are not taken for silence.

        Parameters
        ----------
        spikes : SpikeTrains
            The same trials.
        before, after : float, in seconds, default=0.0
            How much time around each pulse, or around each edge, is spoilt too.
        edges : bool, default=False
            Blank the time around the switching on and off only, as for photoelectric artefacts, and keep the response
            in between.
        units : array-like of unit ids, default=None
            Units that are spoilt, such as those of one shank; None for all.

        Returns
        -------
        SpikeTrains
            With these gaps besides those that it has.

        Raises
        ------
        TypeError
            If `spikes` is no `SpikeTrains`.
        ValueError
            If the number of trials differs, a unit is unknown, `before` or `after` is negative or infinite, or nothing
            would be blanked because ``edges=True`` and both are 0.

        Examples
        --------
        >>> from skneuro.data import Pulses, SpikeTrains
        >>> spikes = SpikeTrains.from_lists([[[0.1, 0.201, 0.25]]], 0.0, 0.4)
        >>> blanked = Pulses([0.2], [0.1], [0, 1], 0.0, 0.4).blank(spikes, after=0.002, edges=True)
        >>> blanked.times, blanked.observed_intervals(0, 0)
        (array([0.1 , 0.25]), array([[0.   , 0.2  ],
               [0.202, 0.3  ],
               [0.302, 0.4  ]]))
        """
        return blanked(spikes, self.trial, len(self), self.onset, self.duration, before, after, edges, units)


def _positive(values: Any, n_pulses: int, name: str, unit: str) -> np.ndarray:
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be numbers, in {unit}. Got {values!r:.60}.") from error
    if array.shape != (n_pulses,):
        raise ValueError(f"{name} must be one number for each of {n_pulses} pulses. Got shape {array.shape}.")
    wrong = np.flatnonzero(~(np.isfinite(array) & (array > 0)))
    if len(wrong):
        raise ValueError(
            f"{name} must be positive, in {unit}. Got {array[wrong[0]]:g} for pulse {wrong[0]}; {len(wrong)} such in "
            f"all."
        )
    return array


def _reaching_into(
    onset: np.ndarray, duration: np.ndarray, start: np.ndarray, stop: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pulses (ascending) that are on in each of some stretches: their rows, and how many each stretch has."""
    found = [np.flatnonzero((onset < b) & (onset + duration > a)) for a, b in zip(start, stop, strict=True)]
    lengths = np.array([len(rows) for rows in found], dtype=np.int64)
    return np.concatenate([np.empty(0, dtype=np.int64), *found]), lengths
