"""`SpikeModel`: what every generative model of spikes shares, the Neuroformer and the baselines alike.

A model says how probable the count in each cell (a unit in a bin) is, given what it may see. Reading the
input, the null model and the scores are the same for all of them, so that their numbers compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, DensityMixin

from skneuro._artefacts import warn_of_deciding_cell, warn_of_far_stimuli
from skneuro._sklearn_compat import (
    Interval,
    InvalidParameterError,
    check_feature_names,
    check_is_fitted,
    check_n_features,
)
from skneuro._stimulus_range import column_name, stimulus_range, within_range
from skneuro._warn import warn_user
from skneuro.data._lookahead import lookahead
from skneuro.data._validation import plain_float
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput, read_input
from skneuro.data.recording import Modalities
from skneuro.exceptions import (
    AcausalEventsWarning,
    IncompatibleModalityError,
    MissingModalityWarning,
    ShortenedLagWarning,
)
from skneuro.metrics.likelihood import bits_per_spike, homogeneous_rates, unit_null_log_likelihood

# In seconds. Nobody looks back so far in trials that are shorter, or so very far in any.
LONG_PAST, VERY_LONG_PAST = 10.0, 60.0


def check_unit_ids(unit_ids: np.ndarray, seen: np.ndarray) -> None:
    """Compare units with those seen in `fit`.

    Raises
    ------
    ValueError
        If they differ, or stand in another order.
    """
    if np.array_equal(unit_ids, seen):
        return
    if set(unit_ids.tolist()) == set(seen.tolist()):
        problem = "The units are the same, in another order."
    else:
        unknown = [unit for unit in unit_ids.tolist() if unit not in set(seen.tolist())]
        problem = f"Not seen in fit: {unknown[:5]}{' ...' if len(unknown) > 5 else ''}."
    raise ValueError(
        f"The unit ids should match those that were passed during fit. {problem} Use "
        f"spikes.select_units(model.unit_ids_)."
    )


def held_out_units(held_out: Any, unit_ids: np.ndarray) -> np.ndarray:
    """Which of the units are named, (n_units,) bool.

    Raises
    ------
    ValueError
        If none or all are, or one that is not there.
    """
    given = np.atleast_1d(np.asarray(held_out))
    if given.dtype == bool:  # a mask, as `select_units` takes it; True is not unit 1
        if len(given) != len(unit_ids):
            raise ValueError(f"held_out should name units, or be a mask of {len(unit_ids)}. Got one of {len(given)}.")
        given = unit_ids[given]
    named = given.tolist()
    unknown = [unit for unit in named if unit not in set(unit_ids.tolist())]
    if unknown:
        raise ValueError(f"held_out should name units that were seen in fit. Got {unknown[:5]}, which were not.")
    found = np.isin(unit_ids, named)
    if not named or found.all():
        raise ValueError(
            f"held_out should name at least one unit and leave at least one. Got {found.sum()} of {len(found)}."
        )
    return found


def warn_of_lookahead(inp: ModelInput) -> None:
    """Say that a score counts what events know of their signal's future."""
    if ahead := lookahead(inp.trials):
        warn_user(
            f"The events of X know up to {ahead:.3g} s of the future, and this score counts what they know. Use "
            f"skneuro.metrics.dead_time_score, which keeps away from it.",
            AcausalEventsWarning,
        )


def warn_of_long_past(binned: BinnedSpikes, **pasts: float) -> None:
    """Say which of some times, in seconds, were likely meant in milliseconds."""
    longest = float(np.diff(binned.ptr).max(initial=0)) * binned.bin_width
    for name, past in pasts.items():
        remedy = f"It is in seconds: for {past:g} ms give {name}={past / 1000:g}."
        if past > max(LONG_PAST, longest):
            warn_user(
                f"{name}={past:g} s is longer than every trial, of which the longest has {longest:g} s. {remedy}",
                ShortenedLagWarning,
            )
        elif past >= VERY_LONG_PAST:
            warn_user(f"{name}={past:g} s is a very long past. {remedy}")


def refuse_booleans(estimator: Any) -> None:
    """Refuse True for a number, which scikit-learn takes for 1.

    Raises
    ------
    InvalidParameterError
        If a parameter that is a number and no switch is one.
    """
    for name, kinds in estimator._parameter_constraints.items():
        value = getattr(estimator, name)
        if isinstance(value, (bool, np.bool_)) and any(isinstance(kind, Interval) for kind in kinds):
            if "boolean" not in kinds:
                raise InvalidParameterError(
                    f"The {name!r} parameter of {type(estimator).__name__} must be a number. Got {value!r} instead."
                )


@contextmanager
def as_before_on_failure(estimator: Any) -> Iterator[Callable[[], None]]:
    """Put an estimator back as it was where its fit fails or is interrupted: what is half fitted gives wrong numbers.

    Gives a function to call where what the estimator has become is to be kept, whatever fails then.
    """
    before = dict(vars(estimator))

    def keep() -> None:
        before.clear()
        before.update(vars(estimator))

    try:
        yield keep
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class SpikeModel(DensityMixin, BaseEstimator):
    """Base class of models that give a probability to the spikes of a population.

    A subclass has the parameter ``bin_width`` (seconds), calls ``_read(X, y, reset=True)`` in `fit` and
    implements ``_cell_log_likelihood``. Its methods `predict` and `sample` are its own.

    Attributes
    ----------
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    base_rate_ : ndarray of shape (n_units,), in hertz
        Constant rates of the training data: the null model of `score`.
    modalities_ : tuple of str
        Modalities seen in `fit`.
    stimulus_range_ : dict of str to tuple of two ndarray of shape (d,)
        Lowest and highest value of each column of the series and covariates seen in `fit`, of the power of each target
        of light, and of a video's pixels; NaN where none was known. Values that lie beyond are taken for the nearest of
        them, but for pixels.
    largest_count_ : ndarray of shape (n_units,)
        Most spikes of each unit in a bin of the training data.
    n_features_in_ : int
        Number of units seen in `fit`.
    """

    @property
    def bin_width(self) -> Any:
        """Width of a bin, in seconds."""
        return self.__dict__["bin_width"]

    @bin_width.setter
    def bin_width(self, value: Any) -> None:
        # Parameters are stored untouched, but for this one: np.float32(0.02) in every division makes bins of its own.
        self.__dict__["bin_width"] = plain_float(value)

    # A model that makes nothing of the stimuli does not warn when they are missing.
    _uses_modalities = True

    def _validate_params(self) -> None:
        super()._validate_params()
        refuse_booleans(self)

    @property
    def _rounding(self) -> str:
        """Whether counts that are not whole are rounded or refused, as in `read_input`."""
        return getattr(self, "counts", "round")

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        """Log-likelihood of each cell by the chain rule, (n_bins, n_units) in nats, 0 where not observed.

        With a `target` it is the chance of the target's counts, each given what `inp` shows.
        """
        raise NotImplementedError

    def score(self, X: Any, y: Any = None) -> float:
        """Bits per spike above constant rates fitted on the training data.

        The log-likelihood of the whole count pattern (``log k!`` included) minus that of homogeneous
        Poisson units of rate `base_rate_`, over the number of spikes times ln 2. Only observed cells
        count. Scores compare only at equal `bin_width`.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.

        Returns
        -------
        float, in bits per spike
            Higher is better, 0 is the null model.

        Raises
        ------
        ValueError
            If X holds no observed spike, or its units differ from those seen in `fit`.

        Warns
        -----
        AcausalEventsWarning
            If X holds events that know their signal's future (`CalciumEvents`).
        ArtefactWarning
            If a single cell holds more than 1 % of the spikes, and more than twice the most of its unit in a bin of
            training plus 10: it can decide the score.
        UnseenStimulusWarning
            If more than 1 % of a column of the stimuli lie beyond all that `fit` saw (`stimulus_range_`).
        """
        inp = self._read(X, y, reset=False)
        self._warn_of_score(inp)
        total = self._unit_log_likelihood(inp).sum()
        null = unit_null_log_likelihood(inp.spikes, self.base_rate_).sum()
        return bits_per_spike(total, null, int(inp.spikes.unit_counts().sum()))

    def unit_score(self, X: Any, y: Any = None) -> np.ndarray:
        """Bits per spike of each unit.

        The units' log-likelihoods are the terms of the chain rule: where the model sees other units of
        the same bin, a unit's term is conditional on those before it.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.

        Returns
        -------
        ndarray of shape (n_units,), in bits per spike
            NaN for a unit without an observed spike.

        Warns
        -----
        AcausalEventsWarning, ArtefactWarning, UnseenStimulusWarning
            As `score`.
        """
        inp = self._read(X, y, reset=False)
        self._warn_of_score(inp)
        gain = self._unit_log_likelihood(inp) - unit_null_log_likelihood(inp.spikes, self.base_rate_)
        n_spikes = inp.spikes.unit_counts()
        bits = gain / (np.maximum(n_spikes, 1) * np.log(2))
        return np.where(n_spikes > 0, bits, np.nan)

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Log-likelihood of each row of X.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.

        Returns
        -------
        ndarray of shape (n_rows,), in nats
            A row is a bin for 2-D counts and a trial otherwise.
        """
        inp = self._read(X, y, reset=False)
        return inp.samples(self._cell_log_likelihood(inp).sum(axis=1))

    def co_smoothing_score(self, X: Any, y: Any = None, *, held_out: Any) -> float:
        """Bits per spike of units whose spikes the model is not shown, given those of the others.

        The co-smoothing of the Neural Latents Benchmark (Pei et al. 2021, arXiv:2109.04463), made causal: a held-out
        unit's count is explained by the other units' past and, where the model has same-bin terms, by the units before
        it in the same bin. Neither its own past nor that of another held-out unit is seen. The model itself was fitted
        with all units, on other trials.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Held-out trials, with the spikes of all units.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.
        held_out : array-like of unit ids, or boolean mask of the units
            Units to be explained; at least one, and not all.

        Returns
        -------
        float, in bits per spike
            Against the constant rates of the held-out units; the spikes are theirs.

        Raises
        ------
        ValueError
            If `held_out` names no unit, all units, or one that was not seen in `fit`; if those units have no spikes in
            X.

        Warns
        -----
        AcausalEventsWarning, ArtefactWarning, UnseenStimulusWarning
            As `score`.
        """
        inp = self._read(X, y, reset=False)
        hidden = held_out_units(held_out, self.unit_ids_)
        self._warn_of_score(inp, hidden)
        cells = self._cell_log_likelihood(replace(inp, spikes=inp.spikes.hide(hidden)), inp.spikes)
        null = unit_null_log_likelihood(inp.spikes, self.base_rate_)[hidden].sum()
        return bits_per_spike(cells[:, hidden].sum(), null, int(inp.spikes.unit_counts()[hidden].sum()))

    def _warn_of_score(self, inp: ModelInput, scored: np.ndarray | None = None) -> None:
        """Say what a score of these data, or of some of the units, would hide."""
        warn_of_lookahead(inp)
        if hasattr(self, "largest_count_"):  # files of an earlier version do not say
            warn_of_deciding_cell(inp.spikes, self.largest_count_, scored)

    def _shift_log_rates(self, offset: np.ndarray) -> None:
        """Add (n_units,) numbers to the log intensities, for good."""
        raise TypeError(
            f"The rates of {type(self).__name__} are those of its training trials and cannot be shifted. Give a "
            f"NeuroformerEstimator, a CoupledGLM or a GRUModel."
        )

    def _unit_log_likelihood(self, inp: ModelInput) -> np.ndarray:
        """(n_units,), nats; a model that can sums piece by piece, in memory that does not grow with the recording."""
        return self._cell_log_likelihood(inp).sum(axis=0)

    def _read(self, X: Any, y: Any = None, *, reset: bool, learning: bool = False) -> ModelInput:
        """Read input; with ``reset=True`` remember what it is like, otherwise compare with what `fit` saw.

        With `learning` a fitted model is to learn from the input, too, which widens what it has seen.
        """
        if not reset:
            check_is_fitted(self)
            self._check_bin_width()
        inp = read_input(X, y, bin_width=self.bin_width, counts=self._rounding, estimator=type(self).__name__)
        inp = self._set_apart(inp, reset)
        if inp.layout != "trials":
            check_feature_names(self, X, reset=reset)
        elif reset and hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        check_n_features(self, inp.spikes.n_units, reset=reset)
        names = () if inp.modalities is None else inp.modalities.names
        if self._uses_modalities:
            self._warn_of_nothing_known(inp)
        if reset or learning:
            self._warn_of_far_stimuli(inp)
        if reset:
            self._check_spikes(inp)
            self._fitted_bin_width = float(self.bin_width)
            self.unit_ids_ = np.array(inp.spikes.unit_ids)
            self.modalities_ = names
            self.base_rate_ = homogeneous_rates(inp.spikes)
            self.stimulus_range_ = stimulus_range(inp.modalities, {})
            self.largest_count_ = inp.spikes._largest_counts()
            return inp
        if inp.trials is not None:
            check_unit_ids(inp.spikes.unit_ids, self.unit_ids_)
        self._check_modalities(names)
        if learning:
            self.stimulus_range_ = stimulus_range(inp.modalities, getattr(self, "stimulus_range_", {}))
            self.largest_count_ = np.maximum(getattr(self, "largest_count_", 0), inp.spikes._largest_counts())
            return inp
        return replace(inp, modalities=self._within_range(inp.modalities))

    def _within_range(self, modalities: Modalities | None) -> Modalities | None:
        """Stimuli held within what `fit` saw, where that is known: files of an earlier version do not say."""
        return within_range(modalities, getattr(self, "stimulus_range_", {})) if self._uses_modalities else modalities

    def _warn_of_nothing_known(self, inp: ModelInput) -> None:
        for name, modality in () if inp.modalities is None else inp.modalities.items():
            unknown = modality._unknown_columns
            if unknown:
                where = column_name(modality, unknown[0]) + (f" and {len(unknown) - 1} more" if unknown[1:] else "")
                warn_user(
                    f"Every sample of the modality {name!r} lacks a value (NaN){where}: {type(self).__name__} can make "
                    f"nothing of that. Leave out what is always missing.",
                    MissingModalityWarning,
                )

    def _warn_of_far_stimuli(self, inp: ModelInput) -> None:
        if self._uses_modalities:
            warn_of_far_stimuli(inp.modalities)
            warn_of_far_stimuli(inp.behaviour)

    def _check_bin_width(self) -> None:
        """Refuse a width that was set after `fit`: the model knows nothing of other bins."""
        if not math.isclose(self.bin_width, self._fitted_bin_width):
            raise ValueError(
                f"{type(self).__name__} was fitted with bin_width={self._fitted_bin_width!r} s, and it is "
                f"{float(self.bin_width)!r} s now. Fit again, or set it back."
            )

    def _check_spikes(self, inp: ModelInput) -> None:
        """Refuse to learn from nothing."""
        if not inp.spikes.unit_counts().any():
            wide = inp.trials is not None and bool((inp.trials.duration < self.bin_width).all())
            why = f" Every bin is wider than its trial: bin_width={self.bin_width:g} is in seconds." if wide else ""
            raise ValueError(
                f"{type(self).__name__} needs at least one observed spike to fit. Got none in "
                f"{inp.spikes.n_bins} bins of {inp.spikes.n_units} units.{why}"
            )

    def _set_apart(self, inp: ModelInput, reset: bool) -> ModelInput:
        """The input without what the model is not to see; with ``reset=True`` in `fit`."""
        return inp

    def _check_modalities(self, names: tuple[str, ...]) -> None:
        new = [name for name in names if name not in self.modalities_]
        if new:
            seen = list(self.modalities_) or "none"
            raise IncompatibleModalityError(
                f"Modalities given now but not in fit: {new}; {type(self).__name__} was fitted with {seen}. "
                f"Leave them out, or fit again with them."
            )
        missing = [name for name in self.modalities_ if name not in names]
        if missing and self._uses_modalities:
            warn_user(
                f"{type(self).__name__} was fitted with the modalities {missing}, which are missing now; it "
                f"does without them, and predicts less well than it could.",
                MissingModalityWarning,
            )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags
