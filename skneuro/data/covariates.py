"""`Covariates`: what is one value a trial: condition, contrast, reward size, the choice before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd

from skneuro.data._rows import frozen
from skneuro.data.modality import Modality, Samples, extremes, known_moments, same_rows, share_beyond, unknown_columns

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes


class Covariates(Modality):
    """Values that hold for a whole trial and are known from its start, one row per trial.

    Parameters
    ----------
    table : DataFrame, or dict of str to array-like of shape (n_trials,)
        Numbers enter as they are; strings and booleans as one column for each category, 1 where it holds. NaN is
        missing, and taken for the column's mean; of a trial without any value nothing is known.
    categories : dict of str to sequence, default=None
        Categories of a column, in order. By default those that occur, sorted; give them where a table need not hold
        them all (new trials), so that its columns are the same.

    Attributes
    ----------
    values : ndarray of shape (n_trials, d), read-only
        The columns that a model sees.
    names : tuple of d str
        What they are, such as ``"contrast"`` and ``"choice=left"``.

    Raises
    ------
    TypeError
        If `table` is neither a DataFrame nor a dict.
    ValueError
        If columns differ in length, hold neither numbers nor strings, or have a category that is not in `categories`.

    Examples
    --------
    >>> from skneuro.data import Covariates
    >>> trials = Covariates({"contrast": [0.1, 0.5, 1.0], "choice": ["left", "right", "left"]})
    >>> trials
    Covariates(3 trials: contrast, choice=left, choice=right)
    >>> trials[1].values
    array([[0.5, 0. , 1. ]])
    """

    __slots__ = ("names", "values")
    _array_remedy = "use .values"

    values: np.ndarray
    names: tuple[str, ...]

    def __init__(self, table: Any, *, categories: Mapping[str, Sequence[Any]] | None = None) -> None:
        if not isinstance(table, (pd.DataFrame, Mapping)):
            raise TypeError(
                f"table must be a DataFrame or a dict of column to values. Got {type(table).__name__} instead; for an "
                "array use Covariates({'contrast': array})."
            )
        columns = {str(name): _plain(table[name]) for name in table}
        given = {} if categories is None else dict(categories)
        unknown = [name for name in given if name not in columns]
        lengths = {name: column.shape for name, column in columns.items()}
        if not columns or len(set(lengths.values())) > 1 or next(iter(lengths.values())).__len__() != 1:
            raise ValueError(f"table must have columns of one value a trial, all of the same length. Got {lengths}.")
        if unknown:
            raise ValueError(f"categories must name columns of the table, {list(columns)}. Got {unknown}.")
        parts, names = [], []
        for name, column in columns.items():
            if name not in given and column.dtype.kind in "iuf":
                parts.append(column.astype(np.float64)[:, None])
                names.append(name)
                continue
            shown, coded = _one_hot(name, column, given.get(name))
            parts.append(coded)
            names.extend(shown)
        values = np.concatenate(parts, axis=1)
        if np.isinf(values).any():
            raise ValueError("Covariates must be finite, or NaN where missing. Got infinity.")
        self._set(values=frozen(values), names=tuple(names))

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, d)."""
        n_trials, width = self.values.shape
        return n_trials, width

    @property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """All time, two ndarrays (n_trials,): what holds for a trial covers it."""
        return np.full(len(self), -np.inf), np.full(len(self), np.inf)

    def __repr__(self) -> str:
        return f"Covariates({len(self):,} trials: {', '.join(self.names)})"

    def _take(self, rows: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(values=frozen(self.values[rows]), names=self.names)
        return new

    @property
    def _static(self) -> bool:
        return True

    @property
    def _unknown_columns(self) -> list[int]:
        return unknown_columns(self.values)

    def _extremes(self) -> tuple[np.ndarray, np.ndarray]:
        return extremes(self.values)

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        return share_beyond(self.values, low, high)

    def _held(self, low: np.ndarray, high: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(values=frozen(np.clip(self.values, low, high)), names=self.names)
        return new

    def _scaled_values(self) -> np.ndarray:
        return self.values

    def _place(self, row: int) -> str:
        return f"in trial {row}"

    def _identity(self) -> np.ndarray:
        return same_rows(np.nan_to_num(self.values, nan=np.inf))

    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        return self._take(parent)

    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Repeat each trial's values in its bins.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins, d)
            NaN where missing.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Covariates, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[]], [[]]], 0.0, [0.1, 0.2]).bin(0.1)
        >>> Covariates({"contrast": [0.1, 0.5]}).on_bins(binned).ravel()
        array([0.1, 0.5, 0.5])
        """
        self._same_trials(binned)
        return self.values[np.repeat(np.arange(len(self)), np.diff(binned.ptr))]

    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return one sample a trial, from its start to its end; none where every value is missing.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            One for each trial.

        Raises
        ------
        ValueError
            If the number of trials differs.

        Examples
        --------
        >>> from skneuro.data import Covariates, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[]], [[]]], 0.0, [0.1, 0.2]).bin(0.1)
        >>> Covariates({"contrast": [0.1, 0.5]}).samples(binned).until
        array([inf, inf])
        """
        self._same_trials(binned)
        trial = np.flatnonzero(~np.isnan(self.values).all(1))
        return Samples(np.zeros(len(trial)), np.full(len(trial), np.inf), self.values[trial], trial)

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and standard deviations over trials.

        Returns
        -------
        mean, sd : ndarray of shape (d,)
            1 for the sd of a constant.

        Examples
        --------
        >>> from skneuro.data import Covariates
        >>> Covariates({"contrast": [0.0, 2.0]}).moments()
        (array([1.]), array([1.]))
        """
        return known_moments(self.values)


def _plain(column: Any) -> np.ndarray:
    """A column as an array; pandas' own kinds of numbers as floats, with NaN where missing."""
    array = np.asarray(column)
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column) and array.dtype.kind == "O":
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    return array


def _one_hot(name: str, column: np.ndarray, categories: Any) -> tuple[list[str], np.ndarray]:
    """Names and columns (n_trials, n_categories) of a column of categories."""
    missing = pd.isna(column).tolist()
    entries: list[Any] = [None if gone else entry for entry, gone in zip(column.tolist(), missing, strict=True)]
    there = [entry for entry, gone in zip(entries, missing, strict=True) if not gone]
    if categories is None and not all(isinstance(entry, (str, bool)) for entry in there):
        raise ValueError(
            f"The column {name!r} must hold numbers, strings or booleans. Got dtype {column.dtype}; for others give "
            f"categories={{{name!r}: [...]}}."
        )
    known = sorted(set(there)) if categories is None else list(categories)
    unseen = sorted({repr(entry) for entry in there if entry not in known})
    if unseen:
        raise ValueError(f"The column {name!r} has categories that are not in {known}: {', '.join(unseen)}.")
    coded = np.array([[float(entry == one) for one in known] for entry in entries]).reshape(len(entries), len(known))
    coded[np.array(missing, dtype=bool)] = np.nan
    return [f"{name}={one}" for one in known], coded
