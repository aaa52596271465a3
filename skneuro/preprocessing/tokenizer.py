"""`SpikeTokenizer`: spikes to token sequences and back, without loss at the chosen bin width."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skneuro._sklearn_compat import Interval, StrOptions, check_is_fitted, fit_context
from skneuro.data import SpikeTrains
from skneuro.preprocessing._units import read_units
from skneuro.preprocessing.tokens import Tokens, tokenize

__all__ = ["SpikeTokenizer"]


class SpikeTokenizer(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Turn spikes into sequences of (dt, unit) tokens, one sequence per window.

    Windows of `window_bins` bins tile each trial from its start and never cross its end; bins of the last
    window beyond the end are masked. Within a window tokens ascend in ``dt`` (the bin) and, within a bin, in
    unit; a unit that fires twice in a bin appears twice in a row; EOS ends the sequence. Nothing is cut: at
    this bin width, counts and sequences are one to one.

    The output is ragged, so that `set_output` does not apply to it.

    Parameters
    ----------
    bin_width : float, default=0.01, in seconds
        Width of a bin. Where X is an array of counts, its rows are bins of this width.
    window_bins : int, default=5
        Bins in a window.
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
    >>> from skneuro.preprocessing import SpikeTokenizer
    >>> spikes = SpikeTrains.from_lists([[[0.003, 0.031], [0.035]]], t_start=0.0, t_stop=0.08)
    >>> tokenizer = SpikeTokenizer(bin_width=0.01, window_bins=5).fit(spikes)
    >>> tokens = tokenizer.transform(spikes)
    >>> tokens.dt, tokens.unit, tokens.window_ptr
    (array([0, 3, 3, 5, 5], dtype=int32), array([ 0,  0,  1, -1, -1], dtype=int32), array([0, 4, 5]))
    """

    _parameter_constraints: dict = {
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "window_bins": [Interval(Integral, 1, None, closed="left")],
        "counts": [StrOptions({"round", "strict"})],
    }

    def __init__(self, bin_width: float = 0.01, window_bins: int = 5, *, counts: str = "round") -> None:
        self.bin_width = bin_width
        self.window_bins = window_bins
        self.counts = counts

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> SpikeTokenizer:
        """Note the units of X.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the population.
        y : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        SpikeTokenizer
            The tokenizer itself.

        Raises
        ------
        ValueError
            If X is not spikes, or its own bins do not divide `bin_width`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> SpikeTokenizer().fit(np.zeros((20, 3), dtype=int)).n_features_in_
        3
        """
        read_units(self, X, bin_width=self.bin_width, counts=self.counts, reset=True)
        return self

    def transform(self, X: Any) -> Tokens:
        """Turn spikes into tokens.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the units seen in `fit`.

        Returns
        -------
        Tokens
            Sequences of all windows, flat.

        Raises
        ------
        ValueError
            If the units differ from those seen in `fit`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> SpikeTokenizer(window_bins=4).fit_transform(np.eye(6, dtype=int)).window_ptr
        array([0, 5, 8])
        """
        check_is_fitted(self)
        given = read_units(self, X, bin_width=self.bin_width, counts=self.counts, reset=False)
        frame = None if given.trials is None else _without_spikes(given.trials)
        return tokenize(given.spikes, self.window_bins, layout=given.layout, frame=frame)

    def inverse_transform(self, X: Tokens) -> np.ndarray | SpikeTrains:
        """Turn tokens back into spikes, in the form that they came from.

        Parameters
        ----------
        X : Tokens
            As returned by `transform`.

        Returns
        -------
        ndarray of shape (n_bins, n_units) or (n_trials, n_bins, n_units), int32, or SpikeTrains
            The counts, exactly; for a container, spikes at the centres of their bins, so that binning them
            again gives the same counts. Trials, units and observation are those of the input.

        Raises
        ------
        TypeError
            If X is not `Tokens`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> counts = np.array([[2, 0], [0, 1], [1, 3]])
        >>> tokenizer = SpikeTokenizer(window_bins=2).fit(counts)
        >>> tokenizer.inverse_transform(tokenizer.transform(counts))
        array([[2, 0],
               [0, 1],
               [1, 3]], dtype=int32)
        """
        check_is_fitted(self)
        if not isinstance(X, Tokens):
            raise TypeError(f"inverse_transform expects the Tokens that transform returned; got {type(X).__name__}.")
        if X.frame is not None:
            return _put_spikes(X, X.frame)
        counts = X.counts().toarray()
        if X.layout == "array":
            return counts.reshape(X.n_trials, -1, X.n_units)
        return counts

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        return tags


def _without_spikes(trials: SpikeTrains) -> SpikeTrains:
    """Borders, identities and observation of the trials only: the spikes are in the tokens."""
    return trials._with(times=[], units=[], ptr=np.zeros(len(trials) + 1, dtype=np.int64), resolution=None)


def _put_spikes(tokens: Tokens, frame: SpikeTrains) -> SpikeTrains:
    """Put each spike at the centre of its bin, or of the part of it that was observed."""
    spike = ~tokens.is_eos
    window = tokens.token_window[spike]
    trial, units = tokens.window_trial[window], tokens.unit[spike]
    start = frame.t_start[trial] + (tokens.window_start[window] + tokens.dt[spike]) * tokens.bin_width
    stop = np.minimum(start + tokens.bin_width, frame.t_stop[trial])
    times = 0.5 * (start + stop)
    if frame.observation is not None:
        # Rare: a gap of the unit covers the centre of a bin in which it also fired.
        for k in np.flatnonzero(frame.observation.in_gap(times, units, trial)):
            seen = frame.observed_intervals(trial[k], frame.unit_ids[units[k]])
            inside = np.column_stack([np.maximum(seen[:, 0], start[k]), np.minimum(seen[:, 1], stop[k])])
            widths = inside[:, 1] - inside[:, 0]
            if widths.max(initial=0.0) <= 0:
                raise ValueError(
                    f"A token puts a spike of unit {frame.unit_ids[units[k]]!s} between {start[k]:g} and "
                    f"{stop[k]:g} s of trial {trial[k]}, where it was not observed."
                )
            times[k] = inside[np.argmax(widths)].mean()
    order = np.lexsort((units, times, trial))
    return frame._with(
        times=times[order],
        units=units[order],
        ptr=np.searchsorted(trial, np.arange(len(frame) + 1)),
        resolution=tokens.bin_width,
    )
