"""What `NeuroformerRegressor` and `NeuroformerClassifier` share: the encoder they read from, training, results."""

from __future__ import annotations

from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skneuro._base import as_before_on_failure, check_unit_ids, refuse_booleans, warn_of_long_past
from skneuro._random import random_numbers
from skneuro._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    check_feature_names,
    check_is_fitted,
    check_n_features,
    fit_context,
)
from skneuro._threads import torch_threads
from skneuro.data import ModelInput, Recording, read_input
from skneuro.data._validation import check_width
from skneuro.estimators._fitting import bins_of, fresh_state
from skneuro.estimators._targets import Targets, in_order, read_targets
from skneuro.estimators.neuroformer import NeuroformerEstimator
from skneuro.nn import NeuroformerConfig
from skneuro.nn.behaviour import BehaviourNetwork, Lags
from skneuro.training import behaviour, readout
from skneuro.training.fitted import pick_device
from skneuro.training.split import whole_trials

FINE_TUNING_RATE = 0.3  # of the pretrained encoder, relative to the readout's
SINGLE_RECORDING = 5  # fewer labelled trials than this are held out in part, with a gap


@dataclass(frozen=True)
class Source:
    """The encoder that decoding starts from: a fitted estimator, or the parameters of a fresh one."""

    estimator: NeuroformerEstimator
    fitted: bool


class BehaviourDecoder(BaseEstimator):
    """Base of the two decoders; a subclass turns labels into values and outputs into predictions."""

    _numeric: ClassVar[bool]
    _parameter_constraints: ClassVar[dict] = {
        "estimator": [HasMethods("fit"), None],
        "mode": [StrOptions({"frozen", "finetune", "scratch"})],
        "causal": ["boolean"],
        "lag": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 0.5, closed="right")],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        mode: str = "frozen",
        causal: bool = True,
        lag: float = 0.5,
        alpha: float | str = "auto",
        n_hidden: int = 64,
        max_epochs: int = 30,
        batch_size: int = 8,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.1,
        validation_fraction: float = 0.125,
        n_iter_no_change: int = 6,
        tol: float = 1e-4,
        random_state: Any = None,
        n_threads: int | None = 1,
    ) -> None:
        self.estimator = estimator
        self.mode = mode
        self.causal = causal
        self.lag = lag
        self.alpha = alpha
        self.n_hidden = n_hidden
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.random_state = random_state
        self.n_threads = n_threads

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any) -> Self:
        """Learn to read behaviour from spikes; the pretrained estimator is left as it was.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes. Modalities of a `Recording` are not looked at.
        y : TimeSeries, Modalities, list of arrays or array-like
            Behaviour. One value (or row of values) a bin: a `TimeSeries`, `Modalities` of several, a list with one
            array (or list, or Series) for each trial, (n_bins,) or (n_bins, d) for 2-D counts. Or one row a trial:
            (n_trials,) or (n_trials, d).

        Returns
        -------
        estimator
            Itself, fitted.

        Raises
        ------
        NotFittedError
            If `mode` needs a pretrained estimator and there is none in a ``FrozenEstimator``.
        TypeError
            If X or y is of another kind.
        ValueError
            If units differ from those of the pretrained estimator, lengths disagree, or labels cannot be used.
        """
        with as_before_on_failure(self):  # old weights must not be read with new labels
            self._fit(X, y)
        return self

    def _fit(self, X: Any, y: Any) -> None:
        self.__dict__.pop("alpha_", None)
        source = self._source()
        if self.estimator is None:
            self._check_default_width(X, source.estimator.bin_width)
        inp = self._read(X, source.estimator)
        warn_of_long_past(inp.spikes, lag=float(self.lag))
        if source.fitted:
            self._check_units(X, inp, source.estimator)
        targets = read_targets(y, inp, numeric=self._numeric, estimator=type(self).__name__)
        self._warn_of_labels(targets, inp)
        values = self._encode(targets)
        check_n_features(self, inp.spikes.n_units, reset=True)
        check_feature_names(self, X if inp.layout != "trials" else None, reset=True)
        with torch_threads(self.n_threads):
            self._learn(source, inp, behaviour.Labels(values, targets.place, targets.per_trial))
        self.unit_ids_ = np.array(inp.spikes.unit_ids)
        self.per_trial_, self._flat, self.target_names_ = targets.per_trial, targets.flat, targets.names
        self._encoder_bin_width, self._rounding = float(source.estimator.bin_width), source.estimator.counts

    def _validate_params(self) -> None:
        super()._validate_params()
        refuse_booleans(self)

    # ---- the parts of fit ------------------------------------------------------------------------------------

    def _source(self) -> Source:
        given = self.estimator
        inner = given.estimator if isinstance(given, FrozenEstimator) else given
        if inner is not None and not isinstance(inner, NeuroformerEstimator):
            raise TypeError(
                f"The 'estimator' parameter of {type(self).__name__} must be a NeuroformerEstimator, in a "
                f"FrozenEstimator where it is fitted. Got {type(inner).__name__} instead."
            )
        if self.mode == "scratch":
            inner = NeuroformerEstimator() if inner is None else inner
            inner._validate_params()
            return Source(inner, fitted=False)
        if not isinstance(given, FrozenEstimator):
            raise NotFittedError(
                f"{type(self).__name__} with mode={self.mode!r} reads from a fitted estimator that no clone can unfit: "
                f"estimator=FrozenEstimator(model), after model.fit(spikes). Got {given!r:.60}. Use mode='scratch' to "
                f"train an encoder on the labels alone."
            )
        check_is_fitted(inner)
        given.estimator._check_bin_width()
        return Source(given.estimator, fitted=True)

    def _read(self, X: Any, source: NeuroformerEstimator | None = None) -> ModelInput:
        bin_width = self._encoder_bin_width if source is None else source.bin_width
        counts = self._rounding if source is None else source.counts
        inp = read_input(X, bin_width=bin_width, counts=counts, estimator=type(self).__name__)
        return replace(inp, modalities=None)

    def _check_default_width(self, X: Any, bin_width: float) -> None:
        """Say how to give another width than the default, where the counts of X do not fit into it."""
        resolution = getattr(X.spikes if isinstance(X, Recording) else X, "resolution", None)
        try:
            check_width(bin_width, "bin_width", resolution)
        except ValueError as error:
            raise ValueError(
                f"{error} Without an estimator {type(self).__name__} takes bins of {bin_width:g} s: give "
                f"estimator=NeuroformerEstimator(bin_width={resolution:g})."
            ) from error

    def _check_units(self, X: Any, inp: ModelInput, source: NeuroformerEstimator) -> None:
        if inp.spikes.n_units != source.n_features_in_:
            raise ValueError(
                f"X has {inp.spikes.n_units} units, but the pretrained estimator was fitted with "
                f"{source.n_features_in_}. Use its units: spikes.select_units(model.unit_ids_)."
            )
        if inp.trials is not None:
            check_unit_ids(inp.spikes.unit_ids, source.unit_ids_)
        else:
            check_feature_names(source, X, reset=False)

    def _learn(self, source: Source, inp: ModelInput, labels: behaviour.Labels) -> None:
        random = random_numbers(self.random_state)
        seed = int(random.randint(2**31 - 1))
        binned = inp.spikes
        if source.fitted:
            network = source.estimator.model_.network
        else:
            if not binned.counts.nnz:
                raise ValueError(f"{type(self).__name__} needs at least one spike to fit. Got none.")
            network = fresh_state(source.estimator, inp, whole_trials(np.diff(binned.ptr)), seed)[0].average
        lags = Lags.of(bins_of(self.lag, source.estimator.bin_width), bool(self.causal))
        decoder = behaviour.build_network(network.config, lags, self._n_outputs(labels), self.n_hidden, seed)
        decoder.to(network.session.mean).state.copy_from(network)
        trial = labels.place if labels.per_trial else np.searchsorted(binned.ptr, labels.place, side="right") - 1
        self.loss_curve_: list[float] = []
        self.validation_loss_curve_: list[float] = []
        if self.mode != "frozen":
            training, held = self._hold_out(labels, trial, sum(lags.reach), seed)
            self._fit_readout(decoder, binned, labels.take(training), trial[training])
            curves = behaviour.train_behaviour(
                decoder, binned, labels, training, held, self._loss, self._settings(source.fitted, seed)
            )
            self.loss_curve_, self.validation_loss_curve_ = curves
        self.n_iter_ = len(self.loss_curve_)
        if not self.n_iter_ or int(np.argmin(self.validation_loss_curve_)) == 0:
            # Nothing was gained on held-out labels: the linear readout of all of them is better.
            self.alpha_ = self._fit_readout(decoder, binned, labels, trial)
        self.network_ = decoder

    def _hold_out(self, labels: Any, trial: np.ndarray, reach: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the labels to train on and a contiguous block to stop on."""
        fold = readout.contiguous_folds(trial, max(round(1 / self.validation_fraction), 2))
        chosen = int(np.random.default_rng([seed, 1]).integers(fold.max() + 1))
        held = np.flatnonzero(fold == chosen)
        far = fold != chosen
        if len(np.unique(trial)) < SINGLE_RECORDING and not labels.per_trial:
            low, high = labels.place[held[0]] - reach, labels.place[held[-1]] + reach
            apart = far & ((labels.place < low) | (labels.place > high))
            far = apart if apart.any() else far
        return (np.flatnonzero(far), held) if far.any() else (held, held)

    def _settings(self, fitted: bool, seed: int) -> behaviour.BehaviourSettings:
        return behaviour.BehaviourSettings(
            max_epochs=self.max_epochs, batch_size=self.batch_size, learning_rate=float(self.learning_rate),
            encoder_rate=FINE_TUNING_RATE if fitted else 1.0, weight_decay=float(self.weight_decay),
            n_iter_no_change=self.n_iter_no_change, tol=float(self.tol), seed=seed,
        )  # fmt: skip

    def _fit_readout(self, decoder: BehaviourNetwork, binned: Any, labels: Any, trial: np.ndarray) -> Any:
        """Fit the linear readout to labels, and return its penalty, or one for each output."""
        penalties = readout.PENALTIES if self.alpha == "auto" else (float(self.alpha),)
        fold = readout.contiguous_folds(trial)
        chunks = (
            (features.double().cpu().numpy(), labels.values[rows], fold[rows])
            for rows, features in behaviour.feature_chunks(decoder, binned, labels.place, labels.per_trial)
        )
        centre, scale, coef, intercept, penalty = self._linear(
            chunks, penalties, decoder.feature_weights(labels.per_trial)
        )
        with torch.no_grad():
            part = decoder.readout
            for tensor, value in (
                (part.centre, centre), (part.scale, scale), (part.linear.weight, coef), (part.linear.bias, intercept),
            ):  # fmt: skip
                tensor.copy_(torch.from_numpy(np.ascontiguousarray(value)))
        return penalty

    # ---- what a subclass knows -------------------------------------------------------------------------------

    def _warn_of_labels(self, targets: Targets, inp: ModelInput) -> None:
        """Say which labels decide everything; classes cannot."""

    def _encode(self, targets: Targets) -> np.ndarray:
        raise NotImplementedError

    def _n_outputs(self, labels: behaviour.Labels) -> int:
        raise NotImplementedError

    def _linear(self, chunks: Any, penalties: tuple[float, ...], weight: np.ndarray) -> tuple:
        raise NotImplementedError

    def _loss(self, found: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    # ---- use -------------------------------------------------------------------------------------------------

    def _outputs(self, X: Any) -> tuple[ModelInput, np.ndarray]:
        """Read X, and give the readout's outputs for all its bins or trials."""
        check_is_fitted(self)
        inp = self._read(X)
        check_feature_names(self, X if inp.layout != "trials" else None, reset=False)
        check_n_features(self, inp.spikes.n_units, reset=False)
        if inp.trials is not None:
            check_unit_ids(inp.spikes.unit_ids, self.unit_ids_)
        if self.per_trial_ and inp.layout == "bins":
            raise ValueError(
                f"{type(self).__name__} was fitted on one label a trial, and X is one recording of bins. Give trials: "
                f"counts of shape (n_trials, n_bins, n_units), or SpikeTrains."
            )
        place = np.arange(inp.spikes.n_trials if self.per_trial_ else inp.spikes.n_bins)
        with torch_threads(self.n_threads):
            return inp, behaviour.outputs(self.network_, inp.spikes, place, self.per_trial_)

    def _rows(self, inp: ModelInput, values: np.ndarray) -> np.ndarray:
        return values if self.per_trial_ else inp.rows(values)

    def _targets_like_fit(self, inp: ModelInput, y: Any) -> Targets:
        y = in_order(y, self.target_names_)
        targets = read_targets(y, inp, numeric=self._numeric, estimator=type(self).__name__)
        if targets.per_trial != self.per_trial_:
            kinds = ("one a bin", "one a trial")
            raise ValueError(
                f"{type(self).__name__} was fitted on labels {kinds[self.per_trial_]}, and y has "
                f"{kinds[targets.per_trial]}."
            )
        return targets

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags

    # ---- what is kept ----------------------------------------------------------------------------------------

    def _to_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        tensors, sizes = _packed(self.network_)
        kept = {k: v for k, v in vars(self).items() if k.endswith("_") and k != "network_"}
        private = {name: getattr(self, name) for name in ("_flat", "_encoder_bin_width", "_rounding")}
        return tensors, {"sizes": sizes, "fitted": kept, "private": private}

    def _from_state(self, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        self.network_ = _unpacked(tensors, state["sizes"])
        if set(state["private"]) != {"_flat", "_encoder_bin_width", "_rounding"}:
            raise ValueError(f"unknown private state {sorted(state['private'])}")
        for name, value in state["private"].items():
            setattr(self, name, value)
        for name, value in state["fitted"].items():
            if not name.endswith("_") or name.startswith("_"):
                raise ValueError(f"{name!r} is not the name of a fitted attribute")
            setattr(self, name, value)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "network_" in state:
            state = {**state, "network_": _packed(state["network_"])}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "network_" in state:
            weights, sizes = state["network_"]
            self.network_ = _unpacked(weights, sizes)


def _packed(network: BehaviourNetwork) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Weights as numpy arrays, and the sizes that are needed to build the network again."""
    sizes = {
        "config": network.state.config.to_dict(), "counts": network.lags.counts, "states": network.lags.states,
        "n_outputs": network.readout.linear.out_features, "n_hidden": network.readout.hidden.out_features,
    }  # fmt: skip
    return {name: value.cpu().numpy() for name, value in network.state_dict().items()}, sizes


def _unpacked(tensors: dict[str, np.ndarray], sizes: dict[str, Any]) -> BehaviourNetwork:
    config = NeuroformerConfig.from_dict(sizes["config"])
    lags = Lags(tuple(tuple(slot) for slot in sizes["counts"]), tuple(sizes["states"]))
    n_features = config.n_units * len(lags.counts)
    n_features += (config.context_width if config.context_bins else 0) * len(lags.states)
    expected = {
        "state.mean": (config.n_units,), "readout.linear.weight": (sizes["n_outputs"], n_features),
        "readout.hidden.weight": (sizes["n_hidden"], n_features),
    }  # fmt: skip
    wrong = {name: np.shape(tensors.get(name, ())) for name, size in expected.items()}
    if wrong != expected:  # before memory is taken for what a file only claims
        raise ValueError(f"the sizes of the decoder are not those of its weights (expected {expected}, got {wrong})")
    network = behaviour.build_network(config, lags, sizes["n_outputs"], sizes["n_hidden"], 0)
    weights = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
    if not all(bool(torch.isfinite(weight).all()) for weight in weights.values()):
        raise ValueError("the weights must be finite, got NaN or infinity")
    dtype = weights["state.mean"].dtype
    try:
        network.to(dtype).load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"the weights do not fit the decoder: {error}") from error
    return network.to(pick_device("auto")).eval()
