"""The triangle shows every searched point at its weights, and rings the best."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV

from skneuro.inspection import LossWeightDisplay
from skneuro.model_selection import loss_weight_grid

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


class Weighted(BaseEstimator):
    """Its score is known: best at gamma 0.2 and mu 0.4, and better with more epochs."""

    def __init__(self, gamma=0.0, mu=0.5, max_epochs=1, depth=1):
        self.gamma, self.mu, self.max_epochs, self.depth = gamma, mu, max_epochs, depth

    def fit(self, X, y=None):
        if self.mu > 0.7:
            raise ValueError("does not converge")
        self.fitted_ = True
        return self

    def score(self, X, y=None):
        return -((self.gamma - 0.2) ** 2) - (self.mu - 0.4) ** 2 + self.max_epochs + self.depth


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.mark.filterwarnings("ignore:.*:sklearn.exceptions.FitFailedWarning")
@pytest.mark.filterwarnings("ignore:One or more of the test scores are non-finite:UserWarning")
def test_a_point_shows_the_best_of_what_else_was_searched_and_failures_are_crosses():
    grid = [{**point, "depth": [1, 3]} for point in loss_weight_grid(5)]
    search = GridSearchCV(Weighted(), grid, cv=2).fit(np.zeros((4, 1)))
    display = LossWeightDisplay.from_search(search)
    assert (display.gamma[display.best_], display.mu[display.best_]) == (0.2, 0.4)
    assert len(display.gamma) == 10 and np.isnan(display.score).sum() == 1
    # A dot's height above the base is gamma, its distance from the left side is mu.
    x, y = display.scatter_.get_offsets().T
    known = np.isfinite(display.score)
    np.testing.assert_allclose(y / np.sqrt(0.75), display.gamma[known], atol=1e-12)
    np.testing.assert_allclose(x - display.gamma[known] / 2, display.mu[known], atol=1e-12)
    np.testing.assert_allclose(display.scatter_.get_array(), display.score[known])
    assert display.score[known].min() > 3  # of depth 3


def test_of_a_halving_search_the_last_round_of_each_point_is_shown():
    search = HalvingGridSearchCV(
        Weighted(), loss_weight_grid(3), resource="max_epochs", min_resources=1, max_resources=3, cv=2
    ).fit(np.zeros((8, 1)))
    display = LossWeightDisplay.from_search(search)
    assert len(display.score) == 3
    assert sorted(np.floor(display.score)) == [1, 1, 3]  # depth 1, of 1 or 3 epochs, minus something small


def test_what_cannot_be_drawn_says_why():
    with pytest.raises(NotFittedError):
        LossWeightDisplay.from_search(GridSearchCV(Weighted(), loss_weight_grid()))
    search = GridSearchCV(Weighted(), {"gamma": [0.1]}, cv=2).fit(np.zeros((4, 1)))
    with pytest.raises(ValueError, match="loss_weight_grid"):
        LossWeightDisplay.from_search(search)
    with pytest.raises(ValueError, match=r"'metric' parameter must be one of \['score'\]. Got 'bits'"):
        LossWeightDisplay.from_search(search, metric="bits")
    with pytest.raises(ValueError, match="one value a point"):
        LossWeightDisplay(gamma=[0.1], mu=[0.1, 0.2], score=[1.0]).plot()
    with pytest.raises(ValueError, match="must not be negative"):
        LossWeightDisplay(gamma=[0.8], mu=[0.4], score=[1.0]).plot()
