import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skneuro.baselines import CoupledGLM, GRUModel
from skneuro.estimators import NeuroformerEstimator
from skneuro.inspection import TrainingCurveDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


class Model(BaseEstimator):
    def fit(self, X=None, y=None):
        self.loss_curve_ = [3.0, 2.0, 1.5]
        return self


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_curves_are_those_of_the_estimator_and_the_best_epoch_is_marked():
    model = Model().fit()
    model.validation_scores_ = [0.1, 0.3, 0.2]
    display = TrainingCurveDisplay.from_estimator(model)
    assert display.lines_[0].get_xydata().tolist() == [[1, 3.0], [2, 2.0], [3, 1.5]]
    assert display.axes_[1].lines[1].get_xydata().tolist() == [[2, 0.3]]


@pytest.mark.parametrize("scores", [None, []])
def test_without_validation_there_is_one_panel(scores):
    model = Model().fit()
    model.validation_scores_ = scores
    assert len(TrainingCurveDisplay.from_estimator(model).axes_) == 1


def test_a_model_that_was_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(Model())


def test_steps_are_epochs_only_of_a_model_that_counts_them():
    model = Model().fit()
    assert TrainingCurveDisplay.from_estimator(model).axes_[0].get_xlabel() == "check"
    model.max_epochs = 3
    assert TrainingCurveDisplay.from_estimator(model).axes_[0].get_xlabel() == "epoch"


def test_a_fitted_model_without_a_curve_is_not_called_unfitted():
    glm = CoupledGLM(bin_width=0.05, history=0.1, n_basis=2, alphas=1.0).fit(np.eye(2, dtype=int)[np.arange(60) % 2])
    with pytest.raises(TypeError, match="CoupledGLM has no training curve"):
        TrainingCurveDisplay.from_estimator(glm)
    with pytest.raises(NotFittedError):
        TrainingCurveDisplay.from_estimator(CoupledGLM(bin_width=0.05))


def test_one_epoch_is_a_point_that_can_be_seen():
    display = TrainingCurveDisplay(loss=[2.0], validation_scores=[0.1]).plot()
    assert [line.get_marker() for line in display.lines_] == ["o", "o"]
    assert TrainingCurveDisplay(loss=[2.0, 1.0]).plot().lines_[0].get_marker() == "none"


@pytest.mark.parametrize(
    ("kind", "loss", "step"),
    [(NeuroformerEstimator, "nats per token", "epoch"), (GRUModel, "nats per bin", "check (every 50 steps)")],
)
def test_the_loss_says_of_what_it_is_and_the_steps_what_they_are(kind, loss, step):
    model = kind(bin_width=0.05)
    model.loss_curve_ = [2.0, 1.0]
    model.n_features_in_ = 1
    ax = TrainingCurveDisplay.from_estimator(model).axes_[0]
    assert ax.get_ylabel() == f"training loss ({loss})"
    assert ax.get_xlabel() == step


def test_scores_that_are_all_unknown_have_no_best():
    display = TrainingCurveDisplay(loss=[2.0, 1.0], validation_scores=[float("nan")] * 2).plot()
    assert len(display.axes_[1].lines) == 1
