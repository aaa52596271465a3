"""How a `NeuroformerEstimator` learns: fit, partial_fit, going on from an earlier fit, and what is kept of it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skneuro._base import SpikeModel, as_before_on_failure
from skneuro._random import random_numbers
from skneuro._sklearn_compat import CallbackSupportMixin, FitEvents, fit_context
from skneuro._threads import torch_threads
from skneuro._warn import warn_user
from skneuro.data import ModelInput
from skneuro.data._simulated import constant_over_trials
from skneuro.estimators import _fitting
from skneuro.estimators._choices import Choices
from skneuro.estimators._parameters import check_together, take_device_of_machine
from skneuro.estimators._search import Attempt, Search
from skneuro.estimators._told import behaviour_names, behaviour_on_bins, check_told, without_behaviour
from skneuro.exceptions import NonFiniteLossError
from skneuro.metrics.likelihood import homogeneous_rates
from skneuro.nn import NeuroformerConfig
from skneuro.training.evaluation import set_ceiling
from skneuro.training.fitted import FittedModel, count_statistics
from skneuro.training.known import as_in_training
from skneuro.training.loop import FINAL_RATE, FINISHED, TrainingState, train
from skneuro.training.refit import refit_units
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments


class Learner(CallbackSupportMixin, SpikeModel):
    """The half of `NeuroformerEstimator` that learns; the other half, with the parameters, uses what was learned."""

    def _validate_params(self) -> None:
        super()._validate_params()
        check_together(self)

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the model; a fit that fails leaves the estimator as it was.

        Ctrl-C ends training and keeps the best model so far, with a warning; a further cycle (`max_cycles`) that it
        ends counts where held-out data gained, and not where nothing is held out.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes. Rows of arrays are bins of `bin_width`; 2-D counts are one trial.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli, and whatever else was recorded; what `behaviour` names is told and not seen.

        Returns
        -------
        NeuroformerEstimator
            The estimator itself.

        Raises
        ------
        InvalidParameterError
            If a parameter is out of its range, or gamma + mu >= 1, or ``compile=True`` where nothing can be compiled.
        ValueError
            If X holds no spikes, or a window more than `max_tokens`; if counts are negative or not finite; if
            `behaviour` names what y does not have.
        NonFiniteLossError
            If the loss became NaN or infinite: the model is then that of the last whole epoch, or as it was before if
            there was none; in a refit, or in a further cycle where nothing is held out, it is what came before that.

        Warns
        -----
        UserWarning
            If gamma has no effect, or units have more than 100 spikes a bin; where training goes on, as `partial_fit`.
        ConvergenceWarning
            If training was interrupted.
        ArtefactWarning
            If a value of a series or of covariates lies so far from the others that it sets their scale.
        """
        return self._fit(X, y, going_on=self.warm_start and hasattr(self, "model_"), one_epoch=False)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None) -> Self:
        """Train for one epoch on all of X, without early stopping.

        ``max_epochs`` calls on the same data train as a `fit` with ``early_stopping=False`` does, to the bit, but for
        its end: `fit` fits rates and count shapes of the units once more, which a part of the data must not decide. (In
        the null model data count as often as they are given, which differs by a fraction of a spike.) Where the
        data come in parts, set `max_epochs` to the number of calls that you will make: the learning rate falls over so
        many, and stays at 2 % of its peak afterwards. The stimuli are scaled by those of the first call, whose data
        should be like the whole; what is "auto" by the number of spikes goes by those of the first call, too. The null
        model of `score` is of the data of all calls together, and a unit's ceiling is the highest that the data of any
        call have set.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the same units as before.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            The same modalities as before.

        Returns
        -------
        NeuroformerEstimator
            The estimator itself.

        Raises
        ------
        ValueError
            As `fit`, or if units, modalities or a parameter that shapes the network differ from before.

        Warns
        -----
        ConvergenceWarning
            At the first call after epoch `max_epochs`.
        UserWarning
            If a column of a modality varies over five times as much as in the data of the first call, which scale it
            for good, or varies where it did not vary then and is far from a standard deviation of 1.
        ArtefactWarning
            As `fit`.
        """
        return self._fit(X, y, going_on=hasattr(self, "model_"), one_epoch=True)

    def _fit(self, X: Any, y: Any, *, going_on: bool, one_epoch: bool) -> Self:
        with as_before_on_failure(self) as keep, torch_threads(self.n_threads):
            self._train(X, y, going_on, one_epoch, keep)
        return self

    def _train(self, X: Any, y: Any, going_on: bool, one_epoch: bool, keep: Callable[[], None]) -> None:
        before = getattr(self, "stimulus_range_", {}) if going_on else {}
        inp = self._read(X, y, reset=not going_on, learning=True)
        self.max_tokens_ = self._check_tokens(inp)
        _fitting.check_compiler(self)
        if going_on:
            self._check_spikes(inp)
            _fitting.check_same_structure(self, inp, self.model_.network.config)
            check_told(self, inp)
            self._remember_more(inp, all_new=not one_epoch)
            if one_epoch:
                self._warn_of_the_end()
        else:
            check_told(self, inp)
            _fitting.warn_about_gamma(self, inp)
            _fitting.warn_about_wide_bins(self, inp)
            self._remember(inp)
            seed = int(random_numbers(self.random_state).randint(2**31 - 1))
            self._seed, self._told_of_the_end, self._told_of_scales = seed, False, set[str]()
        self._remember_ceiling(inp, going_on)
        if inp.modalities is not None or not going_on:
            self.stimulus_per_trial_ = constant_over_trials(inp, y)
        if one_epoch:
            training, held = _fitting.whole_trials(np.diff(inp.spikes.ptr)), None
        else:
            training, held = _fitting.split(self, inp, self._seed, going_on)
        known, seen = (inp, None) if held is None else as_in_training(inp, training, before)
        if going_on:
            self._told_of_scales = set(getattr(self, "_told_of_scales", ()))
            _fitting.warn_about_scales(known, training, self.model_.scales, before, self._told_of_scales)
        attempt = self._going_on(known, training) if going_on else self._attempt(known, training)
        attempt.seen = seen
        validate = None
        if one_epoch:
            attempt.best_score = getattr(self, "best_validation_score_", None)
            attempt.n_cycles = getattr(self, "n_cycles_", 1)  # of the fit before
        if held is not None:
            mean = attempt.state.model.session.mean.double().cpu().numpy()
            if going_on:  # the network keeps that of its first data
                mean = count_statistics(inp.spikes, training)[0]
            validate = _fitting.Validation(attempt.builder, held, mean)
        chooses = not going_on and not one_epoch and (validate is not None or self.max_cycles > 1)
        search = Search(self, self._attempt, inp, validate, attempt)
        self._run(search, one_epoch, (X, y), chooses, keep)

    def _run(self, search: Search, one_epoch: bool, data: tuple, chooses: bool, keep: Callable[[], None]) -> None:
        first = search.found
        n_epochs = 1 if one_epoch else first.plan.max_epochs
        events = FitEvents(self, n_epochs, *data)

        def fitted() -> dict[str, Any]:
            return {**{k: v for k, v in vars(self).items() if k.endswith("_")}, **self._results(search.found)}

        n_before = first.state.n_epochs
        origin = 0 if one_epoch else n_before
        try:
            reason = train(
                first.state, first.builder, first.training, first.plan, search.validate, n_epochs, origin,
                events.epoch_begins, lambda: events.epoch_ends(fitted),
            )  # fmt: skip
            if chooses and reason in FINISHED:
                reason = search.run(reason)
        except NonFiniteLossError as error:
            left = "is as it was"
            if search.found.state.n_epochs > n_before:
                self._keep(search.found, to_the_end=False)
                keep()
                left = "holds the last good weights"
            raise NonFiniteLossError(
                f"{error}. Training stopped; the estimator {left}. A lower learning_rate (now {self.learning_rate}) "
                f"usually helps."
            ) from None
        self._keep(search.found, to_the_end=not one_epoch)
        events.fit_ends(fitted)
        if reason == "interrupted":
            warn_user(
                f"Training was interrupted after {self.n_iter_} epochs; the best model so far is kept.",
                ConvergenceWarning,
            )

    def _attempt(self, inp: ModelInput, training: Segments, how: Choices | None = None) -> Attempt:
        """An untrained network, made in one of the ways that may be chosen, as usual by default."""
        state, scales, plan = _fitting.fresh_state(self, inp, training, self._seed, how)
        return Attempt(state, scales, self._builder(state, scales, inp), training, plan, inp)

    def _builder(self, state: TrainingState, scales: dict, inp: ModelInput) -> BatchBuilder:
        """Batches to train on, with the behaviour that is told."""
        builder = FittedModel(state.model, scales, self.device, self.precision, self._rows_at_once()).builder(inp)
        if inp.behaviour is not None and self.behaviour_weight > 0:
            mean, sd = (part.double().cpu().numpy() for part in (state.model.told.mean, state.model.told.sd))
            builder.behaviour = (behaviour_on_bins(inp) - mean) / sd
        return builder

    def _set_apart(self, inp: ModelInput, reset: bool) -> ModelInput:
        if reset:
            return without_behaviour(inp, behaviour_names(self))
        return without_behaviour(inp, [name for name, _ in self.model_.network.config.behaviour])

    def _keep(self, attempt: Attempt, to_the_end: bool) -> None:
        """Take over what was learned, under the ceilings of all its training data; units once more `to_the_end`.

        Not where training goes on from an earlier fit: its data are not all there were.
        """
        session = attempt.state.average.session
        set_ceiling(attempt.state.average, attempt.builder, attempt.training)
        if attempt.least_ceiling is not None:
            session.ceiling.copy_(torch.maximum(session.ceiling, attempt.least_ceiling))
        elif to_the_end and self.head == "hazard":
            self._refit_units(attempt)
        self.__dict__.update(self._results(attempt))
        if attempt.seen is not None:  # what was held out is not known of
            self.stimulus_range_ = {**self.stimulus_range_, **attempt.seen}

    @staticmethod
    def _refit_units(attempt: Attempt) -> None:
        """Rates and count shapes to the end; the raw weights, from which training may go on, move as far."""
        with torch.no_grad():
            raw = attempt.state.model.session
            changes = refit_units(attempt.state.average, attempt.builder, attempt.training)
            for parameter, change in zip((raw.bias, raw.repeat_table), changes, strict=True):
                parameter += change

    def _rows_at_once(self) -> int | None:
        return None if self.inference_batch_size == "auto" else self.inference_batch_size

    def _results(self, attempt: Attempt) -> dict[str, Any]:
        state, scores = attempt.state, list(attempt.state.validation_scores)
        config = state.average.config
        return {
            "model_": FittedModel(state.average, attempt.scales, self.device, self.precision),
            "_state": state,
            "weight_decay_": attempt.plan.weight_decay,
            "dropout_": config.dropout,
            "unit_dropout_": config.unit_dropout,
            "coupling_prior_": attempt.plan.coupling_prior,
            "stimuli_in_context_": config.stimuli_in_context,
            "n_iter_": state.n_epochs,
            "n_cycles_": attempt.n_cycles,
            "loss_curve_": list(state.loss_curve),
            "validation_scores_": scores,
            "best_validation_score_": max(scores[attempt.n_scored :], default=attempt.best_score),
        }

    def _going_on(self, inp: ModelInput, training: Segments) -> Attempt:
        """What training goes on from; a loaded model starts a new optimiser at its weights.

        A copy: should training fail, the fitted model is as it was.
        """
        network = copy.deepcopy(self.model_.network)
        decay = self.weight_decay_ if self.weight_decay == "auto" else float(self.weight_decay)
        prior = self.coupling_prior_ if self.coupling_prior == "auto" else self.coupling_prior
        plan = _fitting.settings(self, decay, prior)
        before = getattr(self, "_state", None)
        if before is None:
            state = TrainingState.resume(network, plan, self._seed, self.n_iter_)
            state.loss_curve, state.validation_scores = list(self.loss_curve_), list(self.validation_scores_)
        else:
            arrays = before if isinstance(before, dict) else before.to_arrays()  # a dict where it was unpickled
            state = TrainingState.from_arrays(arrays, network, plan)
        scales = self.model_.scales
        largest = inp.spikes.counts.max(axis=0).toarray()
        state.model.session.go_on_with(largest)
        state.average.session.go_on_with(largest)
        least = torch.from_numpy(self._least_ceiling).to(state.average.session.ceiling)
        return Attempt(
            state, scales, self._builder(state, scales, inp), training, plan, inp,
            least_ceiling=least, n_scored=len(state.validation_scores),
        )  # fmt: skip

    def _remember_ceiling(self, inp: ModelInput, going_on: bool) -> None:
        """Ceilings that are not to be lowered: those before these data came, nothing where training begins.

        The same data again, one call after the other, set theirs anew, as the epochs of one `fit` do.
        """
        data = _fitting.digest(inp.spikes)
        if not going_on:
            self._least_ceiling = np.full(inp.spikes.n_units, -np.inf)
        elif data != getattr(self, "_digest", None):  # or the model comes from a file
            self._least_ceiling = self.model_.network.session.ceiling.cpu().numpy().copy()
        self._digest = data

    def _warn_of_the_end(self) -> None:
        """Say once that the learning rate has come to its end."""
        if self.n_iter_ < self.max_epochs or getattr(self, "_told_of_the_end", False):
            return
        self._told_of_the_end = True
        warn_user(
            f"partial_fit goes on after epoch {self.n_iter_}, and the learning rate falls over "
            f"max_epochs={self.max_epochs} epochs: it stays at {FINAL_RATE:.0%} of its peak. Set max_epochs to the "
            f"number of calls that you will make.",
            ConvergenceWarning,
        )

    def _remember(self, inp: ModelInput) -> None:
        n_bins = np.diff(inp.spikes.ptr)
        self.trial_duration_ = float(np.median(n_bins[n_bins > 0])) * self.bin_width
        self.unit_info_ = None if inp.trials is None else inp.trials.unit_info
        self.exposure_ = inp.spikes.exposure()

    def _remember_more(self, inp: ModelInput, all_new: bool) -> None:
        """The constant rates of the data of a further `fit` (`all_new`), or of all that `partial_fit` was given."""
        if all_new:
            self._remember(inp)
            self.base_rate_ = homogeneous_rates(inp.spikes)
            return
        # What `homogeneous_rates` gives for all data at once: its half a spike is in the rates, and is added once.
        before = np.where(self.exposure_ > 0, np.rint(self.base_rate_ * self.exposure_ - 0.5), 0.0)
        self.exposure_ = self.exposure_ + inp.spikes.exposure()
        seen = self.exposure_ > 0
        rates = (before + inp.spikes.unit_counts() + 0.5) / np.where(seen, self.exposure_, 1.0)
        self.base_rate_ = np.where(seen, rates, rates[seen].mean())

    def _check_tokens(self, inp: ModelInput) -> int:
        largest = _fitting.largest_window(inp.spikes, self.window_bins)
        if self.max_tokens is not None and largest > self.max_tokens:
            raise ValueError(
                f"A window of {self.window_bins} bins holds {largest} spikes, more than max_tokens={self.max_tokens}. "
                f"Raise max_tokens (memory grows with it), or lower window_bins or bin_width; nothing is cut off."
            )
        return largest if self.max_tokens is None else self.max_tokens

    # ---- what is kept ----------------------------------------------------------------------------------------

    def _to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        kept = {k: v for k, v in vars(self).items() if k.endswith("_") and k != "model_" and not k.startswith("_")}
        return self.model_.arrays(), {
            "config": self.model_.network.config.to_dict(),
            "precision": self.model_.precision,
            "seed": self._seed,
            "fitted": kept,
        }

    def _from_state(self, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        config = NeuroformerConfig.from_dict(state["config"])
        precision = str(state.get("precision", self.precision))  # not there in files of an earlier version
        self.model_ = FittedModel.from_arrays(config, tensors, self.device, precision)
        self._seed, self._fitted_bin_width = state["seed"], config.bin_width
        for name, value in state["fitted"].items():
            if not name.endswith("_") or name.startswith("_"):
                raise ValueError(f"{name!r} is not the name of a fitted attribute")
            setattr(self, name, value)

    def _fit_to_machine(self) -> None:
        take_device_of_machine(self)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if isinstance(state.get("_state"), TrainingState):
            state = {**state, "_state": state["_state"].to_arrays()}
        return state
