"""`SpikeTrains` from and to lists, counts, unit times, events, bins; `_flatten` does the work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, cast

import numpy as np

from skneuro.data import _flatten
from skneuro.data._rows import RowContainer, row_indices
from skneuro.data.binning import BinnedSpikes, bin_spikes

if TYPE_CHECKING:
    from skneuro.data.spike_trains import SpikeTrains


class SpikeTrainsForms(RowContainer):
    """Constructors and conversions of `SpikeTrains` (private base class; see there)."""

    __slots__ = ()

    times: np.ndarray
    units: np.ndarray
    ptr: np.ndarray
    t_start: np.ndarray
    t_stop: np.ndarray
    unit_ids: np.ndarray

    @classmethod
    def from_lists(
        cls,
        trials: Sequence[Sequence[Any]],
        t_start: Any,
        t_stop: Any,
        *,
        unit_ids: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Make spike trains from ``trials[k][j]``, the sorted spike times of unit ``j`` in trial ``k``.

        Parameters
        ----------
        trials : sequence of n_trials sequences of n_units arrays, in seconds
            Spike times; every trial lists all units, empty where a unit was silent.
        t_start, t_stop : float or array-like of shape (n_trials,), in seconds
            Borders of the trials.
        unit_ids : array-like of shape (n_units,), default=None
            Identities of the units.
        **kwargs
            ``trial_ids``, ``unit_info``, ``observed``, ``resolution`` as in `SpikeTrains`.

        Returns
        -------
        SpikeTrains
            One row per entry of `trials`.

        Raises
        ------
        ValueError
            If trials list different numbers of units, or times are unsorted, not finite or outside their
            trial.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1, 0.5], []], [[], [0.3]]], t_start=0.0, t_stop=1.0)
        SpikeTrains(2 trials, 2 units, 3 spikes, 2 s)
        """
        return cls(**_flatten.from_lists(trials, t_start, t_stop, unit_ids), **kwargs)

    @classmethod
    def from_counts(
        cls,
        counts: Any,
        bin_width: float,
        t_start: Any = 0.0,
        *,
        unit_ids: Any = None,
        observed: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Make spike trains from spike counts; each spike is put at the centre of its bin.

        Parameters
        ----------
        counts : array of shape (n_bins, n_units) or (n_trials, n_bins, n_units), or list of 2-D arrays
            Whole, non-negative numbers. A 2-D array, sparse matrix or DataFrame is one trial; trials in a list may
            differ in length.
        bin_width : float, in seconds
            Width of a bin; becomes the `resolution`.
        t_start : float or array-like of shape (n_trials,), in seconds, default=0.0
            Start of each trial.
        unit_ids : array-like of shape (n_units,), default=None
            Identities of the units; None takes the columns of a DataFrame, else positions.
        observed : bool array (or list of them), or intervals as in `SpikeTrains`, default=None
            Booleans have the shape of `counts`, or of its bins where all units share them; trials may stand one after
            the other. True (or inside an
            interval) where the bin was observed; counts elsewhere must be 0.
        **kwargs
            ``trial_ids``, ``unit_info`` as in `SpikeTrains`.

        Returns
        -------
        SpikeTrains
            With ``resolution=bin_width``.

        Raises
        ------
        ValueError
            If counts are negative, NaN, not whole or above 10,000, or trials differ in their number of units.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import SpikeTrains
        >>> spikes = SpikeTrains.from_counts(np.array([[1, 0], [0, 2]]), bin_width=0.1)
        >>> spikes.times
        array([0.05, 0.15, 0.15])
        """
        return cls(**_flatten.from_counts(counts, bin_width, t_start, unit_ids, observed), **kwargs)

    @classmethod
    def from_unit_times(cls, unit_times: Mapping[Any, Any], epochs: Any, **kwargs: Any) -> Self:
        """Make spike trains from ``{unit_id: times}`` over a whole session, cut into epochs.

        Parameters
        ----------
        unit_times : dict of unit id to array of shape (n_spikes,), in seconds
            Spike times of each unit, in any order.
        epochs : array of shape (n_trials, 2), in seconds
            Start and stop of each trial. They may overlap; a spike then belongs to each.
        **kwargs
            ``trial_ids``, ``unit_info``, ``observed`` as in `SpikeTrains`.

        Returns
        -------
        SpikeTrains
            Times stay on the session's clock.

        Raises
        ------
        ValueError
            If times are not finite or an epoch ends before it starts.

        Warns
        -----
        DroppedSpikesWarning
            If spikes lie outside every epoch or in time that was not observed.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_unit_times({7: [0.2, 1.4], 9: [0.7]}, epochs=[[0.0, 1.0], [1.0, 2.0]])
        SpikeTrains(2 trials, 2 units, 3 spikes, 2 s)
        """
        times, labels, unit_ids = _flatten.flatten_unit_times(unit_times)
        observed = kwargs.pop("observed", None)
        return cls(**_flatten.from_events(times, labels, epochs, unit_ids, observed), **kwargs)

    @classmethod
    def from_events(
        cls, times: Any, units: Any, *, epochs: Any, unit_ids: Any = None, observed: Any = None, **kwargs: Any
    ) -> Self:
        """Make spike trains from one unsorted list of events, as spike sorters write it.

        Parameters
        ----------
        times : array-like of shape (n_events,), in seconds
            Spike times, in any order.
        units : array-like of shape (n_events,), int or str
            Unit id of each spike.
        epochs : array of shape (n_trials, 2), in seconds
            Start and stop of each trial; ``[(0.0, duration)]`` for one continuous recording.
        unit_ids : array-like of shape (n_units,), default=None
            Units to keep, in this order; all that occur, sorted, if None.
        observed : intervals as in `SpikeTrains`, default=None
            Observed time.
        **kwargs
            ``trial_ids``, ``unit_info`` as in `SpikeTrains`.

        Returns
        -------
        SpikeTrains
            Times stay on the events' clock.

        Raises
        ------
        ValueError
            If times are not finite, lengths differ or an epoch ends before it starts.

        Warns
        -----
        DroppedSpikesWarning
            With the number of spikes outside every epoch, of other units, or in time that was not observed.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_events([0.9, 0.1, 0.5], [4, 2, 2], epochs=[(0.0, 1.0)]).times
        array([0.1, 0.5, 0.9])
        """
        return cls(**_flatten.from_events(times, units, epochs, unit_ids, observed), **kwargs)

    @classmethod
    def concatenate(cls, parts: Iterable[SpikeTrains]) -> Self:
        """Stack the trials of several containers with the same units.

        Parameters
        ----------
        parts : iterable of SpikeTrains
            Same unit ids in the same order and same resolution; unit_info is taken from the first.

        Returns
        -------
        SpikeTrains
            All trials, in order, with their trial ids.

        Raises
        ------
        ValueError
            If there are no parts, or units or resolution differ.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> spikes = SpikeTrains.from_lists([[[0.1]], [[0.2]]], 0.0, 1.0)
        >>> SpikeTrains.concatenate([spikes[1], spikes[0]]).times
        array([0.2, 0.1])
        """
        return cls(**_flatten.concatenate(list(parts)))

    def trial(self, trial: int) -> list[np.ndarray]:
        """Return one trial as a list of spike times per unit.

        Parameters
        ----------
        trial : int
            Row of the trial.

        Returns
        -------
        list of n_units ndarrays, in seconds
            Spike times of each unit, ascending.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1, 0.5], []]], 0.0, 1.0).trial(0)
        [array([0.1, 0.5]), array([], dtype=float64)]
        """
        row = row_indices(trial, len(self), "SpikeTrains")[0]
        rows = slice(self.ptr[row], self.ptr[row + 1])
        order = np.argsort(self.units[rows], kind="stable")
        counts = np.bincount(self.units[rows], minlength=self.shape[1])
        return np.split(self.times[rows][order], np.cumsum(counts)[:-1]) if self.shape[1] else []

    def bin(self, bin_width: float) -> BinnedSpikes:
        """Count the spikes in bins that start at each trial's `t_start`.

        Times are binned by integer ticks: a spike at 6.9999999 bins is in bin 7. A bin that was not observed
        over its whole width (a gap, the partial last bin of a trial) is masked.

        Parameters
        ----------
        bin_width : float, in seconds
            Width of a bin; a multiple of `resolution` where there is one.

        Returns
        -------
        BinnedSpikes
            Sparse counts of all trials.

        Raises
        ------
        ValueError
            If `bin_width` is not positive or not a multiple of the resolution, makes more than half a billion bins, or
            times are so far from 0 (as those since 1970) that their rounding may move spikes into other bins.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1, 0.15], [0.69999999]]], 0.0, 1.0).bin(0.1).dense()[[1, 7]]
        array([[2, 0],
               [0, 1]], dtype=int32)
        """
        return bin_spikes(cast("SpikeTrains", self), bin_width)

    def to_counts(self, bin_width: float) -> np.ndarray | list[np.ndarray]:
        """Return spike counts as arrays.

        Parameters
        ----------
        bin_width : float, in seconds
            Width of a bin.

        Returns
        -------
        ndarray of shape (n_trials, n_bins, n_units), or list of (n_bins_k, n_units) ndarrays, int32
            A list where trials differ in their number of bins. Bins that were not observed hold the spikes
            that were seen in them; ``bin(bin_width).mask()`` tells which they are.

        Raises
        ------
        ValueError
            If `bin_width` is not positive or not a multiple of the resolution.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1], [0.6]]], 0.0, 1.0).to_counts(0.5)
        array([[[1, 0],
                [0, 1]]], dtype=int32)
        """
        binned = self.bin(bin_width)
        lengths = np.diff(binned.ptr)
        if len(lengths) and (lengths == lengths[0]).all():
            return binned.dense().reshape(len(lengths), lengths[0], self.shape[1])
        return [binned.dense(start, stop) for start, stop in zip(binned.ptr[:-1], binned.ptr[1:], strict=True)]
