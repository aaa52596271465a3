"""`read_input`: any legal X and y as binned spikes and modalities, and results back as the rows of X."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_array, check_consistent_length

from skneuro._warn import warn_user
from skneuro.data._rows import pointer
from skneuro.data._validation import check_width, whole_counts
from skneuro.data.binning import BinnedSpikes
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, Recording, check_coverage
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries

Layout = Literal["bins", "array", "trials"]


@dataclass(frozen=True, eq=False)
class ModelInput:
    """What a model reads: binned spikes, modalities, and how the rows of X were laid out.

    Parameters
    ----------
    spikes : BinnedSpikes
        Spikes of all trials.
    modalities : Modalities or None
        What else was given, one row per trial.
    layout : {"bins", "array", "trials"}
        A row of X is a bin (2-D counts), a trial of equal length (3-D counts) or a trial (containers).
    trials : SpikeTrains or None
        The spikes themselves, where X was a container.
    behaviour : Modalities or None
        What a model is to learn to tell from the spikes, and does not see.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import read_input
    >>> read_input(np.array([[0, 1], [2, 0], [1, 1]]), bin_width=0.01).spikes
    BinnedSpikes(1 trials, 3 bins of 0.01 s, 2 units, 5 spikes)
    """

    spikes: BinnedSpikes
    modalities: Modalities | None
    layout: Layout
    trials: SpikeTrains | None = None
    behaviour: Modalities | None = None

    @property
    def n_rows(self) -> int:
        """Number of rows of X."""
        return self.spikes.n_bins if self.layout == "bins" else self.spikes.n_trials

    def rows(self, per_bin: np.ndarray) -> np.ndarray:
        """Lay out one value (or vector) per bin as the rows of X.

        Parameters
        ----------
        per_bin : ndarray of shape (n_bins, ...)
            Values of the bins of all trials.

        Returns
        -------
        ndarray
            Of shape (n_bins, ...) for 2-D counts, (n_trials, n_bins_per_trial, ...) for 3-D counts, and a 1-D
            object array of one (n_bins_k, ...) array per trial for containers.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import read_input
        >>> inp = read_input(np.zeros((2, 3, 4), dtype=int), bin_width=0.01)
        >>> inp.rows(np.zeros((6, 4))).shape
        (2, 3, 4)
        """
        per_bin = np.asarray(per_bin)
        if len(per_bin) != self.spikes.n_bins:
            raise ValueError(f"per_bin must have one row for each of {self.spikes.n_bins} bins. Got {len(per_bin)}.")
        if self.layout == "bins":
            return per_bin
        ptr = self.spikes.ptr
        if self.layout == "array":
            length = self.spikes.n_bins // max(self.spikes.n_trials, 1)
            return per_bin.reshape(self.spikes.n_trials, length, *per_bin.shape[1:])
        result = np.empty(self.spikes.n_trials, dtype=object)
        for trial in range(self.spikes.n_trials):
            result[trial] = per_bin[ptr[trial] : ptr[trial + 1]]
        return result

    def samples(self, per_bin: np.ndarray) -> np.ndarray:
        """Sum one value per bin over each row of X.

        Parameters
        ----------
        per_bin : ndarray of shape (n_bins,)
            Values of the bins of all trials.

        Returns
        -------
        ndarray of shape (n_rows,)
            The values themselves for 2-D counts, else the sum over each trial.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import read_input
        >>> read_input(np.zeros((2, 3, 4), dtype=int), bin_width=0.01).samples(np.arange(6.0))
        array([ 3., 12.])
        """
        per_bin = np.asarray(per_bin)
        if per_bin.shape != (self.spikes.n_bins,):
            raise ValueError(f"per_bin must have shape ({self.spikes.n_bins},). Got {per_bin.shape} instead.")
        if self.layout == "bins":
            return per_bin
        ptr = self.spikes.ptr
        # Trial by trial: from one cumulative sum, a trial's result would depend on the trials before it.
        return np.array([per_bin[a:b].sum() for a, b in zip(ptr[:-1], ptr[1:], strict=True)], dtype=np.float64)

    def row_means(self, per_bin: np.ndarray) -> np.ndarray:
        """Average vectors of bins over each row of X, without those that hold NaN.

        Parameters
        ----------
        per_bin : ndarray of shape (n_bins, d)
            Vectors of the bins of all trials.

        Returns
        -------
        ndarray of shape (n_rows, d)
            The vectors themselves for 2-D counts; NaN for a row of which nothing is known.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.data import read_input
        >>> inp = read_input(np.zeros((2, 3, 4), dtype=int), bin_width=0.01)
        >>> inp.row_means(np.array([[0.0], [1], [2], [3], [np.nan], [5]])).ravel()
        array([1., 4.])
        """
        if self.layout == "bins":
            return per_bin
        rows = []
        for low, high in zip(self.spikes.ptr[:-1], self.spikes.ptr[1:], strict=True):
            known = per_bin[low:high][~np.isnan(per_bin[low:high]).any(1)]
            rows.append(known.mean(0) if len(known) else np.full(per_bin.shape[1], np.nan))
        return np.array(rows).reshape(self.n_rows, per_bin.shape[1])


def read_input(
    X: Any, y: Any = None, *, bin_width: float, counts: str = "round", estimator: str = "the estimator"
) -> ModelInput:
    """Read spikes and modalities in any of the legal forms.

    Parameters
    ----------
    X : SpikeTrains, Recording, or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
        The spikes. 2-D counts are one trial, whose rows are bins of `bin_width`.
    y : Modalities, Video, TimeSeries, array-like, or None, default=None
        What was seen and done. A single one is called ``"stimulus"``. An array has one row per bin for 2-D
        counts; is of shape (n_trials, n_bins, d), or (n_trials,) or (n_trials, d) and constant over the
        trial, otherwise. NaN in an array is missing.
    bin_width : float, in seconds
        Width of a bin.
    counts : {"round", "strict"}, default="round"
        Whether counts that are not whole are rounded with a warning or refused.
    estimator : str, default="the estimator"
        Name for error messages.

    Returns
    -------
    ModelInput
        Binned spikes and modalities.

    Raises
    ------
    TypeError
        If X or y is a dict, a pynapple object or a list of spike times; the message names the call that
        converts it.
    ValueError
        If counts are negative, NaN or (with ``counts="strict"``) not whole; if X is a Recording and y is
        given too.
    IncompatibleModalityError
        If a modality has another number of trials than X, or does not cover one.

    Warns
    -----
    NonIntegerCountsWarning
        If counts were rounded.
    UserWarning
        If y of shape (n_trials, d) has as many columns as trials have bins: it may be meant as one value a bin.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains, read_input
    >>> inp = read_input(SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 1.0), bin_width=0.25)
    >>> inp.layout, inp.spikes.n_bins
    ('trials', 4)
    """
    bin_width = check_width(bin_width, "bin_width")
    layout: Layout
    if isinstance(X, Recording):
        if y is not None and X.modalities is not None:
            raise ValueError("stimuli given twice: X is a Recording with modalities, and y is not None. Give one.")
        if X.modalities is not None:
            y = X.modalities
        X = X.spikes
    if isinstance(X, SpikeTrains):
        binned, layout = X.bin(bin_width), "trials"
        t_stop = X.t_stop
    else:
        binned, layout = _read_counts(X, bin_width, counts, estimator)
        t_stop = np.diff(binned.ptr) * bin_width
    modalities = _read_modalities(y, binned, layout)
    if modalities is not None:
        check_coverage(modalities, binned.t_start, t_stop)
    return ModelInput(binned, modalities, layout, X if layout == "trials" else None)


def _read_counts(X: Any, bin_width: float, counts: str, estimator: str) -> tuple[BinnedSpikes, Layout]:
    if not issparse(X):  # which check_array refuses; one kind of it is a dict
        _refuse_other_forms(X)
    columns = getattr(X, "columns", None)
    array = check_array(X, allow_nd=True, input_name="X", estimator=estimator)
    if array.ndim > 3:
        raise ValueError(
            f"Found array with dim {array.ndim}, while X must be of shape (n_bins, n_units) or "
            f"(n_trials, n_bins, n_units)."
        )
    if isinstance(X, (list, tuple)) and array.ndim == 3 and (array != np.floor(array)).any():
        raise TypeError(_LISTS)
    array = whole_counts(array, counts, estimator)
    unit_ids = None
    if columns is not None and array.ndim == 2 and all(isinstance(name, str) for name in columns):
        unit_ids = np.array(list(columns), dtype=str)
    lengths = np.array([len(array)]) if array.ndim == 2 else np.full(len(array), array.shape[1])
    flat = array.reshape(-1, array.shape[-1])
    return BinnedSpikes.from_counts(flat, pointer(lengths), bin_width, unit_ids), "bins" if array.ndim == 2 else "array"


_LISTS = (
    "X is a list of spike times, which does not say when the trials end. Use SpikeTrains.from_lists(X, t_start=..., "
    "t_stop=...), or SpikeTrains.from_counts(X, bin_width) for a list of counts."
)


def _refuse_other_forms(X: Any) -> None:
    # Before Mapping: a pynapple TsGroup is one, and its rows would be units.
    kind = type(X).__module__.split(".")[0]
    if kind in ("neo", "spikeinterface") or (kind == "pynapple" and not type(X).__name__.startswith("Tsd")):
        raise TypeError(
            f"X must be SpikeTrains, a Recording or an array of counts. Got a {kind} {type(X).__name__}; use "
            f"as_spike_trains(X, epochs=...)."
        )
    if isinstance(X, Mapping):
        raise TypeError(
            "X must be SpikeTrains, a Recording or an array of counts. Got a dict; use "
            "SpikeTrains.from_unit_times(X, epochs=...) for {unit: times}, or "
            "Recording(spikes, Modalities(**others))."
        )
    if isinstance(X, (Modalities, Modality)):
        raise TypeError(f"X must be the spikes. Got {type(X).__name__}, which belongs in y: fit(spikes, stimuli).")
    if isinstance(X, (list, tuple)) and any(isinstance(part, (SpikeTrains, Recording)) for part in X):
        raise TypeError(
            "X is a list of SpikeTrains or Recordings. Give the trials of all as one: SpikeTrains.concatenate(X), of "
            "Recordings SpikeTrains.concatenate([part.spikes for part in X])."
        )
    if isinstance(X, (list, tuple)) and len(X) and isinstance(X[0], (list, tuple, np.ndarray)):
        try:
            np.asarray(X, dtype=np.float64)
        except (ValueError, TypeError):
            # Ragged, or not numbers; only the first is a list of spike times.
            if any(np.ndim(cell) == 1 or hasattr(cell, "__len__") and not isinstance(cell, str) for cell in X[0]):
                raise TypeError(_LISTS) from None


def _read_modalities(y: Any, binned: BinnedSpikes, layout: Layout) -> Modalities | None:
    if y is None or isinstance(y, Modalities):
        return y
    if isinstance(y, Modality):
        return Modalities(stimulus=y)
    kind = type(y).__module__.split(".")[0]
    if kind in ("pynapple", "neo"):
        raise TypeError(
            f"y must be Modalities, a Video, a TimeSeries or an array. Got a {kind} {type(y).__name__}; use "
            f"TimeSeries(values, timestamps, ptr)."
        )
    if isinstance(y, str):
        raise TypeError(f"y must be Modalities, a Video, a TimeSeries or an array. Got {y!r:.60}; read the file first.")
    if isinstance(y, Mapping):
        raise TypeError("y must be Modalities, a Video, a TimeSeries or an array. Got a dict; use Modalities(**y).")
    if isinstance(y, (SpikeTrains, Recording)):
        raise TypeError(f"y must be the stimuli or behaviour. Got {type(y).__name__}, which belongs in X.")
    if isinstance(y, (list, tuple)) and any(isinstance(part, (Modalities, Modality)) for part in y):
        raise TypeError(
            f"y is a list of {type(y[0]).__name__}. Give one with a row for each trial (TimeSeries.from_lists, Video "
            f"with index), and several kinds as Modalities(name=..., other=...)."
        )
    if _holds_strings(y):
        raise TypeError(
            "y holds strings. What holds for whole trials, as a condition does, is Covariates({'condition': y}); "
            "numbers that are written as text, convert: np.asarray(y, dtype=float)."
        )
    if isinstance(y, (list, tuple)) and len({len(row) for row in y if isinstance(row, (list, np.ndarray))}) > 1:
        raise ValueError(
            "y is a list of arrays of different lengths. Where it has one value a bin, use "
            "TimeSeries.from_lists(y, rate=1 / bin_width, t_start=spikes.t_start), which takes trials of any length."
        )
    array = check_array(
        y, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_all_finite="allow-nan", input_name="y"
    )
    return Modalities(stimulus=array_series(array, binned, layout))


def _holds_strings(y: Any) -> bool:
    try:
        array = np.asarray(y)
    except ValueError:  # of unequal lengths
        return False
    return array.dtype.kind in "US" or (array.dtype.kind == "O" and array.size > 0 and isinstance(array.flat[0], str))


def array_series(y: np.ndarray, binned: BinnedSpikes, layout: Layout, *, told: bool = False) -> TimeSeries:
    """Series of an array: a row per bin, or one constant row per trial.

    The user is warned where a row per trial may be meant as one per bin, unless `told` before.
    """
    lengths = np.diff(binned.ptr)
    centres = (np.arange(binned.n_bins) - np.repeat(binned.ptr[:-1], lengths) + 0.5) * binned.bin_width
    times = np.repeat(binned.t_start, lengths) + centres
    if layout == "bins":
        check_consistent_length(binned.counts, y)
        if y.ndim > 2:
            raise ValueError(f"y must be of shape (n_bins,) or (n_bins, d). Got {y.shape}; for frames use Video.")
        return TimeSeries(y, times, binned.ptr)
    if len(y) != binned.n_trials:
        raise ValueError(
            f"Found input variables with inconsistent numbers of samples: {[binned.n_trials, len(y)]}. y must have one "
            "row per trial."
        )
    if y.ndim <= 2:
        if not told and y.ndim == 2 and y.shape[1] > 1 and (lengths == y.shape[1]).all():
            warn_user(
                f"y of shape {y.shape} is read as {y.shape[1]} values of each trial, as many as its bins. If it has "
                f"one value a bin, give y[:, :, None]."
            )
        return TimeSeries(y, binned.t_start, np.arange(binned.n_trials + 1))
    if y.ndim != 3 or (lengths != y.shape[1]).any():
        raise ValueError(
            "y must be of shape (n_trials, n_bins, d), or (n_trials,) or (n_trials, d) where it is constant over a "
            f"trial. Got {y.shape} for trials of {np.unique(lengths)} bins."
        )
    return TimeSeries(y.reshape(-1, y.shape[2]), times, binned.ptr)
