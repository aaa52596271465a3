"""`BinnedSpikes`: spike counts of all trials in one sparse matrix, with the mask of what was observed.

The order of the stored counts (bin ascending, unit ascending within a bin) is the canonical order of tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from skneuro.data._rows import check_ids, concatenated_ranges, frozen, pointer, row_indices
from skneuro.data._validation import TOLERANCE, check_precision, check_width

if TYPE_CHECKING:
    from skneuro.data.spike_trains import SpikeTrains


BINS_AT_ONCE, SPIKES_AT_ONCE = 2**16, 2**18
MOST_BINS = 5e8  # each takes 16 bytes, whatever it holds


@dataclass(frozen=True, eq=False, repr=False)
class BinnedSpikes:
    """Spike counts in bins, one trial after the other. Made by `SpikeTrains.bin`.

    Parameters
    ----------
    counts : scipy.sparse.csr_array of shape (n_bins, n_units), int32
        Spikes per bin and unit; sorted indices, no explicit zeros.
    ptr : ndarray of shape (n_trials + 1,)
        The bins of trial ``k`` are rows ``ptr[k]:ptr[k + 1]``.
    t_start : ndarray of shape (n_trials,), in seconds
        Start of each trial, which is the start of its first bin.
    bin_width : float, in seconds
        Width of a bin.
    unit_ids : ndarray of shape (n_units,)
        Identities of the units.
    trial_ids : ndarray of shape (n_trials,)
        Identities of the trials.
    bin_observed : ndarray of shape (n_bins,), bool, or None
        False for a bin that was not observed over its whole width, or is only the past of its trial
        (`context` of `SpikeTrains`); None where there is no such bin.
    cell_observed : ndarray of shape (n_bins, n_units), bool, or None
        False where one unit was not observed over the whole bin; None where no unit has gaps of its own.
    bin_recorded : ndarray of shape (n_bins,), bool, or None
        False in gaps only: a model's past may use the other bins, scored or not. None where there is no gap.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> binned = SpikeTrains.from_lists([[[0.1, 0.15], [0.7]]], 0.0, 1.0).bin(0.25)
    >>> binned
    BinnedSpikes(1 trials, 4 bins of 0.25 s, 2 units, 3 spikes)
    >>> binned.dense()
    array([[2, 0],
           [0, 0],
           [0, 1],
           [0, 0]], dtype=int32)
    """

    counts: sparse.csr_array
    ptr: np.ndarray
    t_start: np.ndarray
    bin_width: float
    unit_ids: np.ndarray
    trial_ids: np.ndarray
    bin_observed: np.ndarray | None = None
    cell_observed: np.ndarray | None = None
    bin_recorded: np.ndarray | None = None

    @classmethod
    def from_counts(cls, counts: np.ndarray, bins: np.ndarray, bin_width: float, unit_ids: Any = None) -> BinnedSpikes:
        """Wrap an array of whole, non-negative counts whose every bin was observed.

        Parameters
        ----------
        counts : ndarray of shape (n_bins, n_units)
            Counts of all trials, one after the other.
        bins : ndarray of shape (n_trials + 1,)
            Row pointer of the trials.
        bin_width : float, in seconds
            Width of a bin. Every trial starts at 0 s.
        unit_ids : array-like of shape (n_units,), default=None
            Identities of the units; their positions if None.

        Returns
        -------
        BinnedSpikes
            The same counts.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import BinnedSpikes
        >>> BinnedSpikes.from_counts(np.array([[0, 2], [1, 0]]), np.array([0, 2]), 0.1)
        BinnedSpikes(1 trials, 2 bins of 0.1 s, 2 units, 3 spikes)
        """
        n_trials = len(bins) - 1
        matrix = sparse.csr_array(np.asarray(counts).astype(np.int32))
        return cls(
            counts=matrix,
            ptr=frozen(np.asarray(bins, dtype=np.int64)),
            t_start=frozen(np.zeros(n_trials)),
            bin_width=check_width(bin_width, "bin_width"),
            unit_ids=check_ids(unit_ids, matrix.shape[1], "unit_ids", unique=True),
            trial_ids=check_ids(None, n_trials, "trial_ids", unique=False),
        )

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return len(self.ptr) - 1

    @property
    def n_units(self) -> int:
        """Number of units."""
        return int(self.counts.shape[1])

    @property
    def n_bins(self) -> int:
        """Number of bins of all trials."""
        return int(self.counts.shape[0])

    @property
    def n_spikes(self) -> int:
        """Number of spikes, those in masked bins included; `unit_counts` leaves these out."""
        return int(self.counts.data.sum(dtype=np.int64))

    def __repr__(self) -> str:
        return (
            f"BinnedSpikes({self.n_trials:,} trials, {self.n_bins:,} bins of {self.bin_width:g} s, "
            f"{self.n_units:,} units, {self.n_spikes:,} spikes)"
        )

    def _from_earlier(self, n_before: np.ndarray) -> BinnedSpikes:
        """The same bins behind (n_trials,) more of each trial, without spikes: a grid to read modalities on."""
        n_bins = np.diff(self.ptr) + n_before
        return BinnedSpikes(
            counts=sparse.csr_array((int(n_bins.sum()), self.n_units), dtype=np.int32),
            ptr=frozen(pointer(n_bins)),
            t_start=frozen(self.t_start - n_before * self.bin_width),
            bin_width=self.bin_width,
            unit_ids=self.unit_ids,
            trial_ids=self.trial_ids,
        )

    def dense(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return the counts of some bins as an array.

        Parameters
        ----------
        start, stop : int
            First bin and the one after the last; all bins by default.

        Returns
        -------
        ndarray of shape (stop - start, n_units), int32
            Spikes that were seen, also in bins that are masked.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 1.0).bin(0.5).dense(1, 2)
        array([[0, 1]], dtype=int32)
        """
        return self.counts[start:stop].toarray()

    def mask(self, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Return which cells were observed over their whole width.

        Parameters
        ----------
        start, stop : int
            First bin and the one after the last; all bins by default.

        Returns
        -------
        ndarray of shape (stop - start, n_units), bool
            True where observed. Everything else must be left out of likelihoods and averages.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 0.9).bin(0.5).mask()
        array([[ True,  True],
               [False, False]])
        """
        start, stop, _ = slice(start, stop).indices(self.n_bins)
        result = np.ones((max(stop - start, 0), self.n_units), dtype=bool)
        if self.bin_observed is not None:
            result &= self.bin_observed[start:stop, None]
        if self.cell_observed is not None:
            result &= self.cell_observed[start:stop]
        return result

    def exposure(self) -> np.ndarray:
        """Return the observed time of each unit.

        Returns
        -------
        ndarray of shape (n_units,), in seconds
            Number of observed bins times the bin width.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 0.9).bin(0.5).exposure()
        array([0.5, 0.5])
        """
        if self.cell_observed is None:
            n_bins = self.n_bins if self.bin_observed is None else self.bin_observed.sum()
            return np.full(self.n_units, n_bins * self.bin_width)
        cells = self.cell_observed if self.bin_observed is None else self.cell_observed[self.bin_observed]
        return cells.sum(axis=0) * self.bin_width

    def unit_counts(self) -> np.ndarray:
        """Return the number of spikes of each unit in observed bins; divided by `exposure` it is the rate.

        Returns
        -------
        ndarray of shape (n_units,), int64
            Spikes in cells where `mask` is True.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 0.9).bin(0.5).unit_counts()
        array([1, 0])
        """
        total = np.zeros(self.n_units, dtype=np.int64)
        for _, column, n in self._observed_cells():
            total += np.bincount(column, weights=n, minlength=self.n_units).astype(np.int64)
        return total

    def _largest_counts(self) -> np.ndarray:
        """Most spikes of each unit in an observed bin, (n_units,) int64."""
        largest = np.zeros(self.n_units, dtype=np.int64)
        for _, column, n in self._observed_cells():
            np.maximum.at(largest, column, n)
        return largest

    def _observed_cells(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Bin, unit and spikes of every observed cell that has any, some bins at a time."""
        counts = self.counts
        for start in range(0, self.n_bins, BINS_AT_ONCE):
            stop = min(start + BINS_AT_ONCE, self.n_bins)
            low, high = counts.indptr[start], counts.indptr[stop]
            row = np.repeat(np.arange(start, stop), np.diff(counts.indptr[start : stop + 1]))
            column, n = counts.indices[low:high], counts.data[low:high]
            if self.bin_observed is not None or self.cell_observed is not None:
                seen = np.ones(len(n), dtype=bool) if self.bin_observed is None else self.bin_observed[row]
                if self.cell_observed is not None:
                    seen = seen & self.cell_observed[row, column]
                row, column, n = row[seen], column[seen], n[seen]
            yield row, column, n

    def select(self, trials: Any) -> BinnedSpikes:
        """Return some of the trials.

        Parameters
        ----------
        trials : array-like of int, or bool array of shape (n_trials,)
            Rows of the trials.

        Returns
        -------
        BinnedSpikes
            The bins of these trials, in this order.

        Examples
        --------
        >>> from skneuro.data import SpikeTrains
        >>> SpikeTrains.from_lists([[[0.1]], [[0.2]]], 0.0, [1.0, 2.0]).bin(0.5).select([1])
        BinnedSpikes(1 trials, 4 bins of 0.5 s, 1 units, 1 spikes)
        """
        rows = row_indices(trials, self.n_trials, "BinnedSpikes")
        lengths = np.diff(self.ptr)[rows]
        bins = concatenated_ranges(self.ptr[rows], lengths)
        return BinnedSpikes(
            counts=self.counts[bins],
            ptr=frozen(pointer(lengths)),
            t_start=frozen(self.t_start[rows]),
            bin_width=self.bin_width,
            unit_ids=self.unit_ids,
            trial_ids=frozen(self.trial_ids[rows]),
            bin_observed=None if self.bin_observed is None else frozen(self.bin_observed[bins]),
            cell_observed=None if self.cell_observed is None else frozen(self.cell_observed[bins]),
            bin_recorded=None if self.bin_recorded is None else frozen(self.bin_recorded[bins]),
        )

    def hide(self, units: np.ndarray) -> BinnedSpikes:
        """Return these spikes with some units not observed at all.

        Parameters
        ----------
        units : bool array of shape (n_units,)
            True where a unit is to be hidden.

        Returns
        -------
        BinnedSpikes
            The same units; those that are hidden have no spikes, and no cell of theirs was observed.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 1.0).bin(0.5).hide(np.array([True, False]))
        >>> binned.dense().tolist(), binned.mask().tolist()
        ([[0, 0], [0, 1]], [[False, True], [False, True]])
        """
        kept = ~np.asarray(units, dtype=bool)
        counts = sparse.csr_array(self.counts.multiply(kept.astype(np.int32)[None]))
        counts.eliminate_zeros()
        counts.sort_indices()
        seen = np.broadcast_to(kept, (self.n_bins, self.n_units))
        seen = seen.copy() if self.cell_observed is None else seen & self.cell_observed
        return replace(self, counts=counts, cell_observed=frozen(seen))


def bin_spikes(spikes: SpikeTrains, bin_width: float) -> BinnedSpikes:
    """Count spikes in bins; see `SpikeTrains.bin`."""
    bin_width = check_width(bin_width, "bin_width", spikes.resolution)
    check_precision(spikes.t_start, spikes.t_stop, bin_width)
    n_trials, n_units = spikes.shape
    width_in_bins = spikes.duration / bin_width
    if width_in_bins.sum() > MOST_BINS:
        raise ValueError(
            f"Bins of {bin_width:g} s cut {spikes.duration.sum():g} s into {width_in_bins.sum():.2g} bins, more than "
            f"fit into memory. bin_width is in seconds, and so are the trials: check both."
        )
    n_bins = np.ceil(width_in_bins - TOLERANCE).astype(np.int64)
    bins = pointer(n_bins)
    counts = _count(spikes, bins, bin_width)
    bin_observed = cell_observed = None
    if spikes.observation is not None:
        bin_observed, cell_observed = spikes.observation.bin_masks(spikes.t_start, bins, bin_width, n_units, TOLERANCE)
    bin_recorded = None if bin_observed is None else frozen(bin_observed.copy())
    partial = n_bins > np.floor(width_in_bins + TOLERANCE)
    past = np.minimum(np.ceil(spikes.context / bin_width - TOLERANCE).astype(np.int64), n_bins)
    if partial.any() or past.any():
        bin_observed = np.ones(bins[-1], dtype=bool) if bin_observed is None else bin_observed
        bin_observed[bins[1:][partial] - 1] = False
        bin_observed[concatenated_ranges(bins[:-1], past)] = False
    return BinnedSpikes(
        counts=counts,
        ptr=frozen(bins),
        t_start=spikes.t_start,
        bin_width=bin_width,
        unit_ids=spikes.unit_ids,
        trial_ids=spikes.trial_ids,
        bin_observed=None if bin_observed is None else frozen(bin_observed),
        cell_observed=None if cell_observed is None else frozen(cell_observed),
        bin_recorded=bin_recorded,
    )


def _count(spikes: SpikeTrains, bins: np.ndarray, bin_width: float) -> sparse.csr_array:
    """Sparse counts of all trials. Times ascend, so the rows come out in order and need no sort."""
    last, per_bin = np.diff(bins) - 1, np.zeros(bins[-1], dtype=np.int64)
    for low in range(0, spikes.n_spikes, SPIKES_AT_ONCE):
        high = min(low + SPIKES_AT_ONCE, spikes.n_spikes)
        trial = np.searchsorted(spikes.ptr, np.arange(low, high), side="right") - 1
        ticks = ((spikes.times[low:high] - spikes.t_start[trial]) / bin_width + TOLERANCE).astype(np.int64)
        # A spike within the tolerance of the trial's end has no next bin to go to.
        row = np.minimum(ticks, last[trial]) + bins[trial]
        per_bin[row[0] : row[-1] + 1] += np.bincount(row - row[0])
    indptr = pointer(per_bin)
    ones = np.ones(spikes.n_spikes, dtype=np.int32)
    counts = sparse.csr_array((ones, spikes.units.copy(), indptr), shape=(bins[-1], spikes.shape[1]))
    counts.sum_duplicates()
    return counts
