"""`NeuroformerRegressor` and `NeuroformerClassifier`: decode behaviour from a population, by few labels if need be."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.multiclass import check_classification_targets

from skneuro.data import ModelInput
from skneuro.estimators._decoder import BehaviourDecoder
from skneuro.estimators._targets import Targets, warn_of_far_labels
from skneuro.training import behaviour, readout


class NeuroformerRegressor(RegressorMixin, BehaviourDecoder):
    """Decode continuous behaviour from spikes, from the neural state of a (pretrained) Neuroformer.

    A bin is read from the spike counts around it and from the encoder's state, which knows the long past, also where
    the bins around are silent. Modalities are never looked at: what is decoded comes from spikes alone.

    Parameters
    ----------
    estimator : FrozenEstimator of a fitted NeuroformerEstimator, or NeuroformerEstimator, default=None
        The pretrained model, frozen so that no clone unfits it; fit it on the training trials only. With
        ``mode="scratch"`` only its parameters are used, the defaults where None.
    mode : {"frozen", "finetune", "scratch"}, default="frozen"
        Ridge regression from the state as it is; gradient training of the encoder and a small network beside the
        linear readout, from the pretrained weights; or the same from fresh weights.
    causal : bool, default=True
        True reads a bin from itself and what came before: what a brain-machine interface could do. False reads from
        both sides. They answer different questions, so do not compare their scores.
    lag : float, in seconds, default=0.5
        Counts that are read: from so long before a bin's end, and with ``causal=False`` as long after. The state
        knows more of the past.
    alpha : float or "auto", default="auto"
        Ridge penalty on the standardised features; "auto" chooses on contiguous blocks of trials. How much counts and
        state are used is fixed for labels of bins, and chosen in the same way for labels of trials.
    n_hidden : int, default=64
        Width of the network beside the linear readout. This and all that follow do nothing with ``mode="frozen"``.
    max_epochs : int, default=30
        Most passes over the labels.
    batch_size : int, default=8
        Stretches of about 100 bins in a step, or trials.
    learning_rate : float, default=3e-3
        Highest rate; a pretrained encoder learns at 0.3 of it.
    weight_decay : float, default=0.1
        Of AdamW.
    validation_fraction : float, default=0.125
        Share of the labels, one contiguous block of trials, on which training is stopped. Where training gains nothing
        on them, the linear readout of all labels is kept.
    n_iter_no_change : int, default=6
        Epochs without gain after which training stops.
    tol : float, default=1e-4
        Least gain, of the mean squared error of standardised outputs.
    random_state : int, RandomState or None, default=None
        Seed of fresh weights, dropout and the held-out block.
    n_threads : int or None, default=1
        Torch threads; None leaves the number alone.

    Attributes
    ----------
    target_mean_, target_sd_ : ndarray of shape (n_outputs,), in the units of y
        Mean and standard deviation of the labels.
    per_trial_ : bool
        Whether labels were one a trial, and not one a bin.
    target_names_ : tuple of str or None
        Parts of the labels, in the order of the columns, where y was `Modalities`.
    alpha_ : float
        Penalty of the linear readout; not there where training went on from it.
    loss_curve_, validation_loss_curve_ : list of float
        Mean squared error of standardised outputs of each epoch; on held-out labels also before the first.
    n_iter_ : int
        Epochs; 0 with ``mode="frozen"``.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    NeuroformerClassifier : For labels.

    Notes
    -----
    NaN in a `TimeSeries` is missing and left out, in fit and score. A label of a trial is read from the mean of the
    features over the trial's observed bins.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skneuro import NeuroformerEstimator, NeuroformerRegressor, SpikeTrains, TimeSeries
    >>> rng = np.random.default_rng(0)
    >>> speed = 1 + np.sin(np.arange(60) / 5 + rng.uniform(0, 6, (20, 1)))  # (trials, bins)
    >>> spikes = SpikeTrains.from_counts(rng.poisson(speed[:, :, None] * [0.5, 1.0, 1.5]), bin_width=0.05)
    >>> speed = TimeSeries.from_lists(list(speed), rate=20.0)
    >>> model = NeuroformerEstimator(bin_width=0.05, window_bins=1, max_epochs=2, random_state=0)
    >>> decoder = NeuroformerRegressor(FrozenEstimator(model.fit(spikes[:15])))
    >>> decoder.fit(spikes[:5], speed[:5]).score(spikes[15:], speed[15:]) > 0.5
    True
    """

    _numeric = True

    def _warn_of_labels(self, targets: Targets, inp: ModelInput) -> None:
        warn_of_far_labels(targets, inp)

    def _encode(self, targets: Targets) -> np.ndarray:
        self.target_mean_ = targets.values.mean(0)
        sd = targets.values.std(0)
        self.target_sd_ = np.where(sd > 1e-12 * (1 + np.abs(self.target_mean_)), sd, 1.0)
        return (targets.values - self.target_mean_) / self.target_sd_

    def _n_outputs(self, labels: behaviour.Labels) -> int:
        return labels.values.shape[1]

    def _linear(self, chunks: Any, penalties: tuple[float, ...], weight: np.ndarray) -> tuple:
        return readout.ridge(chunks, penalties, weight)

    def _loss(self, found: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        return behaviour.squared_error(found, values)

    def predict(self, X: Any) -> np.ndarray:
        """Behaviour in every bin, or of every trial.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the units seen in `fit`.

        Returns
        -------
        ndarray, in the units of y
            For labels of bins: (n_bins, d) for 2-D counts, (n_trials, n_bins, d) for 3-D counts, and an object array
            of (n_bins_k, d) arrays for containers. For labels of trials (n_trials, d). Without the last axis where y
            had none.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If units differ from those seen in `fit`.
        """
        inp, found = self._outputs(X)
        values = found * self.target_sd_ + self.target_mean_
        return self._rows(inp, values[:, 0] if self._flat else values)

    def score(self, X: Any, y: Any) -> float:
        """Coefficient of determination R2 over all labelled bins (or trials), the mean over outputs.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : TimeSeries, Modalities, list of arrays or array-like
            Behaviour, as in `fit`.

        Returns
        -------
        float
            1 is perfect, 0 the mean of y.

        Raises
        ------
        ValueError
            If y has other outputs than in `fit`, or nothing is labelled.

        Warns
        -----
        ArtefactWarning
            If a label lies so far from the others that it decides the score; `fit` warns so, too.
        """
        inp, found = self._outputs(X)
        targets = self._targets_like_fit(inp, y)
        if targets.values.shape[1] != found.shape[1]:
            raise ValueError(f"y has {targets.values.shape[1]} outputs, and had {found.shape[1]} in fit.")
        self._warn_of_labels(targets, inp)
        return float(r2_score(targets.values, (found * self.target_sd_ + self.target_mean_)[targets.place]))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        tags.regressor_tags.poor_score = True
        return tags


class NeuroformerClassifier(ClassifierMixin, BehaviourDecoder):
    """Decode labels (direction, choice, licking or not) from spikes, from the state of a (pretrained) Neuroformer.

    As `NeuroformerRegressor`, with logistic regression for ridge regression and cross-entropy for squared error.

    Parameters
    ----------
    estimator : FrozenEstimator of a fitted NeuroformerEstimator, or NeuroformerEstimator, default=None
        The pretrained model, frozen so that no clone unfits it; fit it on the training trials only. With
        ``mode="scratch"`` only its parameters are used, the defaults where None.
    mode : {"frozen", "finetune", "scratch"}, default="frozen"
        Logistic regression from the state as it is; gradient training of the encoder and a small network beside the
        linear readout, from the pretrained weights; or the same from fresh weights.
    causal : bool, default=True
        Whether a bin is read from itself and what came before only, or from both sides.
    lag : float, in seconds, default=0.5
        Counts that are read: from so long before a bin's end, and with ``causal=False`` as long after.
    alpha : float or "auto", default="auto"
        Penalty on the standardised features, ``1 / C`` of scikit-learn's LogisticRegression; "auto" chooses on
        contiguous blocks of trials. How much counts and state are used is fixed for labels of bins, and chosen in the
        same way for labels of trials.
    n_hidden : int, default=64
        Width of the network beside the linear readout. This and all that follow do nothing with ``mode="frozen"``.
    max_epochs : int, default=30
        Most passes over the labels.
    batch_size : int, default=8
        Stretches of about 100 bins in a step, or trials.
    learning_rate : float, default=3e-3
        Highest rate; a pretrained encoder learns at 0.3 of it.
    weight_decay : float, default=0.1
        Of AdamW.
    validation_fraction : float, default=0.125
        Share of the labels, one contiguous block of trials, on which training is stopped.
    n_iter_no_change : int, default=6
        Epochs without gain after which training stops.
    tol : float, default=1e-4
        Least gain, in nats a label.
    random_state : int, RandomState or None, default=None
        Seed of fresh weights, dropout and the held-out block.
    n_threads : int or None, default=1
        Torch threads; None leaves the number alone.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,), or list of them
        Labels seen in `fit`, sorted; a list with an entry for each output where y had several.
    per_trial_ : bool
        Whether labels were one a trial, and not one a bin.
    target_names_ : tuple of str or None
        Parts of the labels, in the order of the columns, where y was `Modalities`.
    alpha_ : float, or ndarray of shape (n_outputs,)
        Penalty of the linear readout, of each output's where y had several; not there where training went on from it.
    loss_curve_, validation_loss_curve_ : list of float, in nats a label
        Of each epoch; on held-out labels also before the first.
    n_iter_ : int
        Epochs; 0 with ``mode="frozen"``.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    n_features_in_ : int
        Number of units.

    See Also
    --------
    NeuroformerRegressor : For continuous behaviour.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import NeuroformerClassifier, NeuroformerEstimator
    >>> rng = np.random.default_rng(0)
    >>> side = np.arange(20) % 2
    >>> counts = rng.poisson(1 + side[:, None, None], size=(20, 10, 3))
    >>> settings = NeuroformerEstimator(bin_width=0.05, window_bins=1, d_model=8, n_heads=2)
    >>> decoder = NeuroformerClassifier(settings, mode="scratch", max_epochs=2, random_state=0)
    >>> decoder.fit(counts[:12], np.array(["left", "right"])[side[:12]]).predict(counts[12:16])
    array(['left', 'right', 'left', 'right'], dtype='<U5')
    """

    _numeric = False

    def _encode(self, targets: Targets) -> np.ndarray:
        classes, positions = [], []
        for output, labels in enumerate(targets.values.T):
            which = "" if targets.flat else f" in output {output}"
            check_classification_targets(labels)
            found, position = np.unique(labels, return_inverse=True)
            if len(found) < 2:
                only = found.tolist()[0]
                raise ValueError(
                    f"NeuroformerClassifier needs labels of at least 2 classes. Got only one class{which}, {only!r}."
                )
            classes.append(found)
            positions.append(position)
        self.classes_ = classes[0] if targets.flat else classes
        return np.stack(positions, axis=1).astype(np.int64)

    def _class_list(self) -> list[np.ndarray]:
        """Classes of each output, also where there is one."""
        return self.classes_ if isinstance(self.classes_, list) else [self.classes_]

    def _n_outputs(self, labels: behaviour.Labels) -> int:
        return sum(map(len, self._class_list()))

    def _split(self, found: Any) -> list[Any]:
        """Columns of the readout that belong to each output."""
        ends = np.cumsum([len(classes) for classes in self._class_list()]).tolist()
        return [found[:, start:stop] for start, stop in zip([0, *ends[:-1]], ends, strict=True)]

    def _linear(self, chunks: Any, penalties: tuple[float, ...], weight: np.ndarray) -> tuple:
        features, position, fold = (np.concatenate(part) for part in zip(*chunks, strict=True))
        fits = [
            readout.logistic(features, position[:, output], fold, len(classes), penalties, weight)
            for output, classes in enumerate(self._class_list())
        ]
        centre, scale, coef, intercept, penalty = zip(*fits, strict=True)
        several = isinstance(self.classes_, list)
        return (
            centre[0], scale[0], np.concatenate(coef), np.concatenate(intercept),
            np.array(penalty) if several else penalty[0],
        )  # fmt: skip

    def _loss(self, found: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        losses = [behaviour.cross_entropy(part, values[:, output]) for output, part in enumerate(self._split(found))]
        return torch.stack(losses).mean()

    def predict_proba(self, X: Any) -> np.ndarray | list[np.ndarray]:
        """Probability of each class in every bin, or of every trial.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the units seen in `fit`.

        Returns
        -------
        ndarray, or list of them
            As `predict` of one output, with a last axis of n_classes in the order of `classes_`; a list with an entry
            for each output where y had several.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If units differ from those seen in `fit`.
        """
        inp, found = self._outputs(X)
        probabilities = [self._rows(inp, softmax(part, axis=1)) for part in self._split(found)]
        return probabilities if isinstance(self.classes_, list) else probabilities[0]

    def predict(self, X: Any) -> np.ndarray:
        """Likeliest class in every bin, or of every trial.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes of the units seen in `fit`.

        Returns
        -------
        ndarray
            For labels of bins: (n_bins,) for 2-D counts, (n_trials, n_bins) for 3-D counts, and an object array of
            (n_bins_k,) arrays for containers. For labels of trials (n_trials,). With a last axis of n_outputs where y
            had several.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If units differ from those seen in `fit`.
        """
        inp, found = self._outputs(X)
        labels = self._likeliest(found)
        return self._rows(inp, labels if isinstance(self.classes_, list) else labels[:, 0])

    def _likeliest(self, found: np.ndarray) -> np.ndarray:
        """(n_rows, n_outputs)."""
        parts = zip(self._class_list(), self._split(found), strict=True)
        return np.stack([classes[part.argmax(axis=1)] for classes, part in parts], axis=1)

    def score(self, X: Any, y: Any) -> float:
        """Share of labelled bins (or trials) whose class is the predicted one, or with several outputs all classes.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : TimeSeries, Modalities, list of arrays or array-like
            Labels, as in `fit`.

        Returns
        -------
        float
            Accuracy.

        Raises
        ------
        ValueError
            If y has other outputs than in `fit`, holds a label that `fit` has not seen, or nothing is labelled.
        """
        inp, found = self._outputs(X)
        targets = self._targets_like_fit(inp, y)
        class_list = self._class_list()
        if targets.values.shape[1] != len(class_list):
            raise ValueError(f"y has {targets.values.shape[1]} outputs, and had {len(class_list)} in fit.")
        for labels, classes in zip(targets.values.T, class_list, strict=True):
            unseen = np.setdiff1d(labels, classes)
            if len(unseen):
                raise ValueError(
                    f"y holds labels that were not seen in fit: {unseen[:5].tolist()}; the classes are "
                    f"{classes[:10].tolist()}. Leave them out, or fit on trials of every class (StratifiedKFold)."
                )
        return float((self._likeliest(found[targets.place]) == targets.values).all(axis=1).mean())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.classifier_tags.multi_label = True
        tags.classifier_tags.poor_score = True
        return tags
