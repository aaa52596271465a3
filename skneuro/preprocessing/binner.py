"""`SpikeBinner`: spikes to a table of counts that any scikit-learn estimator reads."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin

from skneuro._sklearn_compat import Interval, StrOptions, check_is_fitted, fit_context
from skneuro.data import ModelInput
from skneuro.preprocessing._units import read_units

__all__ = ["SpikeBinner"]


class SpikeBinner(TransformerMixin, BaseEstimator):
    """Count spikes in bins: one row per bin, all trials one after the other, one column per unit.

    Cells that were not observed over their whole width, such as the partial last bin of a trial, are NaN,
    never zero: ``counts[~np.isnan(counts).any(axis=1)]`` leaves these rows out.

    Parameters
    ----------
    bin_width : float, default=0.01, in seconds
        Width of a bin.
    input_bin_width : float, default=None, in seconds
        Where X is an array of counts, the width of its rows, of which `bin_width` must be a multiple; None
        means `bin_width`, and the counts pass unchanged. Containers know their own times and do not need it.
    counts : {"round", "strict"}, default="round"
        Whether counts that are not whole are rounded, with a `NonIntegerCountsWarning`, or refused.

    Attributes
    ----------
    n_features_in_ : int
        Number of units.
    feature_names_in_ : ndarray of shape (n_units,)
        Column names of X, where X is a DataFrame with names.
    unit_ids_ : ndarray of shape (n_units,)
        Identities of the units.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.preprocessing import SpikeBinner
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.2], [0.7]]], t_start=0.0, t_stop=1.0, unit_ids=["A1", "A2"])
    >>> SpikeBinner(bin_width=0.5).set_output(transform="pandas").fit_transform(spikes)
        A1   A2
    0  2.0  0.0
    1  0.0  1.0
    """

    _parameter_constraints: dict = {
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "input_bin_width": [None, Interval(Real, 0, None, closed="neither")],
        "counts": [StrOptions({"round", "strict"})],
    }

    def __init__(self, bin_width: float = 0.01, *, input_bin_width: float | None = None, counts: str = "round") -> None:
        self.bin_width = bin_width
        self.input_bin_width = input_bin_width
        self.counts = counts

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> SpikeBinner:
        """Note the units of X.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the population.
        y : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        SpikeBinner
            The binner itself.

        Raises
        ------
        ValueError
            If X is not spikes, or its own bins do not divide `bin_width`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeBinner
        >>> SpikeBinner().fit(np.zeros((20, 3), dtype=int)).n_features_in_
        3
        """
        self._read(X, reset=True)
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Count the spikes.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the units seen in `fit`.

        Returns
        -------
        ndarray of shape (n_bins_total, n_units), float64
            Whole counts; NaN where not observed.

        Raises
        ------
        ValueError
            If the units differ from those seen in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeBinner
        >>> counts = np.array([[1, 0], [2, 0], [0, 1], [0, 0], [5, 5]])
        >>> SpikeBinner(0.02, input_bin_width=0.01).fit_transform(counts)
        array([[ 3.,  0.],
               [ 0.,  1.],
               [nan, nan]])
        """
        check_is_fitted(self)
        given, factor = self._read(X, reset=False)
        counts, mask = given.spikes.dense(), given.spikes.mask()
        if factor > 1:
            counts, mask = _merge_rows(counts, mask, given.spikes.ptr, factor)
        return np.where(mask, counts, np.nan)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: the unit ids, or the column names of the DataFrame seen in `fit`.

        Parameters
        ----------
        input_features : array-like of shape (n_units,), default=None
            Names to use instead; they must equal the column names seen in `fit`, where there were any.

        Returns
        -------
        ndarray of shape (n_units,), object

        Raises
        ------
        ValueError
            If `input_features` has another length or other names than those seen in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeBinner
        >>> SpikeBinner().fit(np.zeros((20, 2), dtype=int)).get_feature_names_out()
        array(['x0', 'x1'], dtype=object)
        """
        check_is_fitted(self)
        seen = getattr(self, "feature_names_in_", None)
        if input_features is None:
            return self._unit_names() if seen is None else np.asarray(seen, dtype=object)
        names = np.asarray(input_features, dtype=object)
        if seen is not None and not np.array_equal(names, seen):
            raise ValueError("input_features is not equal to feature_names_in_")
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"input_features should have length equal to number of features ({self.n_features_in_}), "
                f"got {len(names)}"
            )
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.requires_fit = True
        return tags

    def _unit_names(self) -> np.ndarray:
        prefix = "" if self._has_unit_ids else "x"
        return np.array([f"{prefix}{unit_id}" for unit_id in self.unit_ids_.tolist()], dtype=object)

    def _read(self, X: Any, *, reset: bool) -> tuple[ModelInput, int]:
        """Read X at `bin_width`, or, for counts, at their own width with the factor to merge rows by."""
        own_width = self.bin_width if self.input_bin_width is None else self.input_bin_width
        ratio = self.bin_width / own_width
        factor = round(ratio)
        if factor < 1 or abs(ratio - factor) > 1e-6 * ratio:
            raise ValueError(
                f"bin_width must be a multiple of input_bin_width; got bin_width={self.bin_width:g} s and "
                f"input_bin_width={own_width:g} s."
            )
        given = read_units(self, X, bin_width=self.bin_width, counts=self.counts, reset=reset)
        if reset:
            self._has_unit_ids = given.layout == "trials"
        return given, (1 if given.layout == "trials" else factor)


def _merge_rows(counts: np.ndarray, mask: np.ndarray, ptr: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum `factor` rows into one within each trial; a bin without all of its rows is not observed."""
    lengths = np.diff(ptr)
    merged_before = np.concatenate([[0], np.cumsum(-(-lengths // factor))])
    trial = np.repeat(np.arange(len(lengths)), lengths)
    merged = merged_before[trial] + (np.arange(len(counts)) - ptr[trial]) // factor
    shape = (merged_before[-1], len(counts))
    sum_rows = sparse.csr_array((np.ones(len(counts), dtype=np.int64), (merged, np.arange(len(counts)))), shape)
    return sum_rows @ counts, (sum_rows @ mask.astype(np.int64)) == factor
