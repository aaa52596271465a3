"""Pictures of inferred wiring show what the matrices say."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from skneuro.connectivity import ConnectivityInference
from skneuro.data import SpikeTrains
from skneuro.exceptions import TransposedTruthWarning
from skneuro.inspection import AdjacencyDisplay, ConnectivityCurveDisplay, NetworkDisplay
from skneuro.metrics.connectivity import auprc, auroc

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def network():
    """Unit 2 drives units 0, 3 and 5; unit 4 inhibits unit 1."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.15, (8000, 6))
    truth = np.zeros((6, 6))
    for target in (0, 3, 5):
        counts[1:, target] += rng.binomial(counts[:-1, 2], 0.4)
        truth[target, 2] = 1.0
    counts[1:, 1] *= counts[:-1, 4] == 0
    truth[1, 4] = -2.0
    return ConnectivityInference(method="glm").fit(counts), truth


def test_truth_inferred_and_difference_stand_side_by_side(network):
    inference, truth = network
    display = AdjacencyDisplay.from_estimator(inference, truth)
    images = [ax.images[0].get_array().filled(np.nan) for ax in display.axes_]
    np.testing.assert_array_equal(images[0], truth)
    np.testing.assert_array_equal(images[1], inference.adjacency_)
    left = images[2][~np.eye(6, dtype=bool)]
    assert (left**2).sum() < (truth**2).sum()  # the scale is the best one
    slope = (truth - images[2])[0, 2] / inference.adjacency_[0, 2]
    off = ~np.eye(6, dtype=bool)
    np.testing.assert_allclose(slope, np.linalg.lstsq(inference.adjacency_[off][:, None], truth[off])[0][0])


def test_hubs_come_first_and_modules_stand_together(network):
    inference, truth = network
    assert AdjacencyDisplay.from_estimator(inference, truth, order="hubs").order_[0] == 2
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    shuffled = np.array([0, 3, 1, 4, 2, 5])
    display = AdjacencyDisplay(adjacency=blocks[np.ix_(shuffled, shuffled)]).plot(order="modules")
    np.testing.assert_array_equal(np.sort(np.abs(np.diff(shuffled[display.order_] // 3))), [0, 0, 0, 0, 1])
    display = AdjacencyDisplay(adjacency=truth, unit_ids=list("abcdef")).plot(order=[5, 4, 3, 2, 1, 0])
    assert [t.get_text() for t in display.ax_.get_xticklabels()] == list("fedcba")


def test_orders_and_truths_that_do_not_fit_are_refused(network):
    inference, truth = network
    with pytest.raises(ValueError, match="'order' parameter"):
        AdjacencyDisplay.from_estimator(inference, order="size")
    with pytest.raises(ValueError, match="every position from 0 to 5"):
        AdjacencyDisplay.from_estimator(inference, order=[0, 0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"must have shape \(6, 6\)"):
        AdjacencyDisplay.from_estimator(inference, truth[:3, :3])
    with pytest.raises(ValueError, match="shape of adjacency"):
        AdjacencyDisplay(adjacency=inference.adjacency_, true_adjacency=truth[:3, :3]).plot()
    with pytest.raises(ValueError, match="three axes"):
        AdjacencyDisplay.from_estimator(inference, truth, ax=matplotlib.pyplot.subplots()[1])


def test_curves_have_the_areas_of_the_metrics(network):
    inference, truth = network
    noise = np.random.default_rng(0).standard_normal((6, 6))
    display = ConnectivityCurveDisplay(adjacencies={"GLM": inference.adjacency_, "noise": noise}, true_adjacency=truth)
    display.plot()
    for name, adjacency in (("GLM", inference.adjacency_), ("noise", noise)):
        curve = display.curves_[name]
        assert np.trapezoid(curve["tpr"], curve["fpr"]) == pytest.approx(auroc(adjacency, truth))
        steps = -np.diff(curve["recall"]) @ curve["precision"][:-1]
        assert steps == pytest.approx(auprc(adjacency, truth))
    assert len(display.axes_[0].lines) == 3  # two methods and chance
    share = (truth != 0).sum() / 30
    np.testing.assert_allclose(display.axes_[1].lines[-1].get_ydata(), share)
    again = ConnectivityCurveDisplay.from_estimators({"GLM": inference}, truth)
    np.testing.assert_array_equal(again.curves_["GLM"]["tpr"], display.curves_["GLM"]["tpr"])


def test_a_truth_without_edges_has_no_curve(network):
    with pytest.raises(ValueError, match="must have edges"):
        ConnectivityCurveDisplay.from_estimators({"GLM": network[0]}, np.zeros((6, 6)))


def test_the_drawing_has_an_arrow_for_each_significant_edge_in_the_colour_of_its_sign(network):
    inference, truth = network
    np.testing.assert_array_equal(inference.significant_, truth != 0)
    display = NetworkDisplay.from_estimator(inference)
    assert len(display.arrows_) == 4
    colours = [matplotlib.colors.to_hex(arrow.get_edgecolor()) for arrow in display.arrows_]
    assert sorted(colours) == ["#1f77b4"] + 3 * ["#d62728"]
    assert len(NetworkDisplay(adjacency=truth).plot(max_edges=2).arrows_) == 2
    assert "2 of 4 edges" in NetworkDisplay(adjacency=truth).plot(max_edges=2).ax_.get_title()
    assert NetworkDisplay(adjacency=np.zeros((3, 3))).plot().arrows_ == []


def test_few_strong_couplings_do_not_hide_the_others_and_the_difference_has_the_scale_of_the_truth():
    truth = np.zeros((20, 20))
    truth[0, 1:9] = 1.0
    truth[3, 4] = 50.0
    display = AdjacencyDisplay(adjacency=truth + 0.01, true_adjacency=truth).plot()
    limits = [ax.images[0].get_clim() for ax in display.axes_]
    assert limits[0] == limits[2] == (-1.0, 1.0)
    assert AdjacencyDisplay(adjacency=np.zeros((3, 3))).plot().im_.get_clim() == (-1.0, 1.0)


def test_a_labelled_truth_is_brought_into_the_order_of_the_units(network):
    inference, truth = network
    order = [3, 1, 0, 2, 5, 4]
    labelled = pd.DataFrame(truth).iloc[order, order]
    image = AdjacencyDisplay.from_estimator(inference, labelled).axes_[0].images[0]
    np.testing.assert_array_equal(image.get_array().filled(np.nan), truth)
    curves = ConnectivityCurveDisplay.from_estimators({"GLM": inference}, labelled).curves_
    assert curves["GLM"]["auprc"] == auprc(inference.adjacency_, truth)
    with pytest.warns(TransposedTruthWarning) as found:
        AdjacencyDisplay.from_estimator(inference, truth.T)
        ConnectivityCurveDisplay.from_estimators({"GLM": inference}, truth.T)
    assert [warning.filename for warning in found] == [__file__] * 2


def test_curves_are_of_the_same_units_in_the_same_order():
    spikes = SpikeTrains.from_counts(np.random.default_rng(0).poisson(0.2, (500, 3)), 0.05, unit_ids=list("abc"))
    one = ConnectivityInference(method="pearson").fit(spikes)
    other = ConnectivityInference(method="pearson").fit(spikes.select_units(["c", "b", "a"]))
    with pytest.raises(ValueError, match="in another order"):
        ConnectivityCurveDisplay.from_estimators({"one": one, "other": other}, np.eye(3)[[1, 2, 0]])


@pytest.mark.parametrize(
    ("settings", "plot", "message"),
    [
        ({"adjacency": np.ones((3, 2))}, {}, "square matrix"),
        ({"drawn": np.ones((2, 2))}, {}, r"Got \(3, 3\), \(2, 2\)"),
        ({"unit_ids": ["a"]}, {}, "and 1"),
        ({}, {"max_edges": -1}, "'max_edges' parameter must be 0 or more"),
    ],
)
def test_a_drawing_of_nothing_sensible_is_refused(settings, plot, message):
    with pytest.raises(ValueError, match=message):
        NetworkDisplay(**{"adjacency": np.ones((3, 3))} | settings).plot(**plot)


@pytest.mark.parametrize("estimators", [[], {}, ConnectivityInference()])
def test_curves_need_named_estimators(estimators):
    with pytest.raises(TypeError, match="a dict of names and fitted estimators"):
        ConnectivityCurveDisplay.from_estimators(estimators, np.eye(2))


def test_a_fitted_model_without_couplings_is_not_called_unfitted(network):
    class Model(BaseEstimator):
        def fit(self, X=None, y=None):
            self.n_iter_ = 1
            return self

    for draw in (
        AdjacencyDisplay.from_estimator,
        NetworkDisplay.from_estimator,
        lambda model: ConnectivityCurveDisplay.from_estimators({"model": model}, np.eye(2)),
    ):
        with pytest.raises(TypeError, match="Model has no couplings.* Give a fitted ConnectivityInference"):
            draw(Model().fit())
        with pytest.raises(NotFittedError):
            draw(Model())


def boxes_of(texts):
    texts[0].figure.canvas.draw()
    return [text.get_window_extent() for text in texts]


@pytest.mark.parametrize("n_units", [12, 60, 150])
def test_ids_on_the_axes_of_a_matrix_do_not_touch(n_units):
    ids = [f"probe0_{k:03d}" for k in range(n_units)]
    adjacency = np.random.default_rng(0).standard_normal((n_units, n_units))
    display = AdjacencyDisplay(adjacency=adjacency, unit_ids=ids).plot(order="hubs")
    across, down = boxes_of(display.ax_.get_xticklabels()), boxes_of(display.ax_.get_yticklabels())
    assert all(a.x1 <= b.x0 for a, b in zip(across[:-1], across[1:], strict=True))
    assert all(a.y0 >= b.y1 for a, b in zip(down[:-1], down[1:], strict=True))
    assert n_units > 12 or len(across) == 12  # few are all named


def test_the_colour_scale_has_its_unit(network):
    display = AdjacencyDisplay.from_estimator(network[0])
    assert display.im_.colorbar.ax.get_ylabel() == "coupling (nats x s)"
    assert AdjacencyDisplay.from_estimator(network[0], label="mine").im_.colorbar.ax.get_ylabel() == "mine"


@pytest.mark.parametrize(
    ("adjacency", "unit_ids", "message"),
    [
        (np.zeros((2, 3)), None, r"square matrix .*Got shape \(2, 3\)"),
        (np.zeros((3, 3)), ["a", "b"], "each of 3 units"),
    ],
)
def test_a_matrix_that_is_not_of_the_units_is_refused(adjacency, unit_ids, message):
    with pytest.raises(ValueError, match=message):
        AdjacencyDisplay(adjacency=adjacency, unit_ids=unit_ids).plot()


@pytest.mark.parametrize(("n_units", "n_named"), [(30, 30), (60, 15), (150, 15)])
def test_of_many_units_the_drawing_names_the_most_connected(n_units, n_named):
    adjacency = np.zeros((n_units, n_units))
    adjacency[:, 7] = 1.0
    adjacency[3, 5] = -1.0
    display = NetworkDisplay(adjacency=adjacency).plot()
    assert len(display.labels_) == n_named
    assert "7" in [label.get_text() for label in display.labels_]
    boxes = boxes_of(display.labels_)
    assert n_units == 30 or not any(a.overlaps(b) for k, a in enumerate(boxes) for b in boxes[:k])


def test_the_colours_of_the_drawing_are_explained_where_both_are_there():
    adjacency = np.array([[0, 1.0, 0], [0, 0, -1.0], [0, 0, 0]])
    legend = NetworkDisplay(adjacency=adjacency).plot().ax_.get_legend()
    assert [t.get_text() for t in legend.get_texts()] == ["excitation", "inhibition"]
    # a method without signs has positive numbers alone, which say nothing of excitation
    assert NetworkDisplay(adjacency=np.abs(adjacency)).plot().ax_.get_legend() is None


def test_the_legend_of_the_curves_lies_over_none_of_them(network):
    inference, truth = network
    display = ConnectivityCurveDisplay.from_estimators({"GLM": inference}, truth)
    display.figure_.canvas.draw()
    for ax in display.axes_:
        assert ax.get_legend().get_window_extent().y1 < ax.get_window_extent().y0
