"""What skneuro takes from scikit-learn's private parts behaves as scikit-learn does."""

import ast
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.linear_model import Ridge

import skneuro
from skneuro._sklearn_compat import (
    CallbackSupportMixin,
    FitEvents,
    check_feature_names,
    check_n_features,
    fit_context,
)

PACKAGE = Path(skneuro.__file__).parent


class Epochs(CallbackSupportMixin, BaseEstimator):
    """Counts its epochs."""

    _parameter_constraints = {}

    def fit(self, X, y=None):
        return self._fit(X, y)

    @fit_context(prefer_skip_nested_validation=True)
    def _fit(self, X, y):
        events = FitEvents(self, 5, X, y)
        for n_epochs in range(1, 6):
            events.epoch_begins()
            self.n_epochs_ = n_epochs
            if events.epoch_ends(lambda: {"n_epochs_": self.n_epochs_}):
                break
        events.fit_ends(lambda: {"n_epochs_": self.n_epochs_})
        return self


def message_of(call):
    with pytest.raises(ValueError) as caught:
        call()
    return str(caught.value)


def test_another_number_of_units_is_refused_in_scikit_learns_words():
    ridge = Ridge().fit(np.zeros((4, 5)), np.zeros(4))
    ours = BaseEstimator()
    check_n_features(ours, 5, reset=True)
    assert ours.n_features_in_ == 5
    check_n_features(ours, 5, reset=False)
    expected = message_of(lambda: ridge.predict(np.zeros((4, 3))))
    assert message_of(lambda: check_n_features(ours, 3, reset=False)) == expected.replace("Ridge", "BaseEstimator")


def test_other_column_names_are_refused_in_scikit_learns_words():
    fitted, other = (
        pd.DataFrame(np.zeros((4, 2)), columns=["a", "b"]),
        pd.DataFrame(np.zeros((4, 2)), columns=["a", "c"]),
    )
    ridge = Ridge().fit(fitted, np.zeros(4))
    ours = BaseEstimator()
    check_feature_names(ours, fitted, reset=True)
    check_feature_names(ours, fitted, reset=False)
    assert message_of(lambda: check_feature_names(ours, other, reset=False)) == message_of(lambda: ridge.predict(other))


def test_without_callbacks_a_fit_runs_to_its_end():
    assert Epochs().fit([[0.0]]).n_epochs_ == 5


class Recorder:
    """A callback that notes what it is told and stops after two epochs."""

    def __init__(self):
        self.log = []

    def setup(self, estimator, context):
        self.log.append("setup")

    def on_fit_task_begin(self, estimator, context):
        self.log.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, fitted_estimator):
        self.log.append(f"end {context.task_name} {fitted_estimator.n_epochs_} {X}")
        return context.task_name == "epoch" and fitted_estimator.n_epochs_ == 2

    def teardown(self, estimator, context):
        self.log.append("teardown")


def test_callbacks_see_every_epoch_and_can_stop():
    pytest.importorskip("sklearn.callback", reason="scikit-learn before 1.9 has no callbacks")
    recorder = Recorder()
    assert Epochs().set_callbacks(recorder).fit("X").n_epochs_ == 2
    epoch = ["begin epoch", "end epoch {} X"]
    assert recorder.log == [
        "setup", "begin fit", *(line.format(1) for line in epoch), *(line.format(2) for line in epoch),
        "end fit 2 X", "teardown",
    ]  # fmt: skip


def imported_names(path):
    """Dotted names of everything that a module imports."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_private_names_of_scikit_learn_are_imported_in_one_place():
    users = {
        path.name
        for path in PACKAGE.rglob("*.py")
        for name in imported_names(path)
        if name.startswith("sklearn.") and "._" in name
    }
    assert users == {"_sklearn_compat.py"}
