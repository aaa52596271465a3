import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skneuro.inspection import AdjacencyDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


class Inference(BaseEstimator):
    def fit(self, X=None, y=None):
        self.adjacency_ = np.array([[np.nan, 2.0], [-3.0, np.nan]])
        self.unit_ids_ = np.array(["a", "b"])
        return self


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def test_rows_are_targets_and_zero_is_in_the_middle_of_the_colours():
    display = AdjacencyDisplay.from_estimator(Inference().fit())
    assert display.im_.get_clim() == (-3.0, 3.0)
    assert display.ax_.get_ylabel().startswith("target")
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["a", "b"]
    np.testing.assert_array_equal(display.im_.get_array().filled(np.nan), Inference().fit().adjacency_)


def test_a_matrix_of_zeros_can_be_drawn():
    assert AdjacencyDisplay(adjacency=np.zeros((3, 3))).plot().im_.get_clim() == (-1.0, 1.0)


def test_an_inference_that_was_not_fitted_is_refused():
    with pytest.raises(NotFittedError):
        AdjacencyDisplay.from_estimator(Inference())
