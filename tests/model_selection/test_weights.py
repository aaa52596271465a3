"""The grid holds what the estimator takes, and searches over it work."""

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, ParameterGrid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skneuro import NeuroformerEstimator
from skneuro.model_selection import TrialBlockSplit, loss_weight_grid


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    signal = rng.standard_normal((12, 20, 1))
    return rng.poisson(np.exp(0.5 * signal - 1).repeat(3, axis=2)), signal


def tiny(**changes):
    return NeuroformerEstimator(
        bin_width=0.05, window_bins=2, recent_context=0, context=0.1, coupling=False, stimulus_context=0.1, d_model=8,
        n_heads=2, max_epochs=1, early_stopping=False, random_state=0, device="cpu", **changes,
    )  # fmt: skip


@pytest.mark.parametrize("n_steps", [2, 3, 10])
def test_every_point_is_legal_and_no_legal_multiple_is_missing(n_steps):
    points = {(p["gamma"], p["mu"]) for p in ParameterGrid(loss_weight_grid(n_steps))}
    for gamma, mu in points:
        NeuroformerEstimator(gamma=gamma, mu=mu)._validate_params()
    multiples = np.arange(n_steps + 1) / n_steps
    legal = {(g, m) for g in multiples for m in multiples if m > 0 and g + m < 1 - 1e-9}
    assert points == legal


def test_gamma_can_be_bounded_and_names_prefixed():
    grid = loss_weight_grid(5, gamma_max=0.2, prefix="model__")
    assert {p["model__gamma"] for p in ParameterGrid(grid)} == {0.0, 0.2}
    assert {p["gamma"] for p in ParameterGrid(loss_weight_grid(5, gamma_max=0))} == {0.0}


@pytest.mark.parametrize(
    ("arguments", "named"), [({"n_steps": 1}, "n_steps"), ({"gamma_max": 2}, "gamma_max"), ({"prefix": None}, "prefix")]
)
def test_a_parameter_out_of_range_is_named(arguments, named):
    with pytest.raises(ValueError, match=f"The '{named}' parameter of loss_weight_grid must be"):
        loss_weight_grid(**arguments)


def test_a_search_tries_every_point_by_a_score_that_does_not_depend_on_them(data):
    counts, signal = data
    grid = loss_weight_grid(3, prefix="neuroformerestimator__")
    pipeline = make_pipeline(FunctionTransformer(), tiny())
    search = GridSearchCV(pipeline, grid, cv=TrialBlockSplit(2), error_score="raise").fit(counts, signal)
    assert len(search.cv_results_["params"]) == 3
    fitted = search.best_estimator_[-1]
    before = fitted.score(counts, signal)
    assert fitted.set_params(gamma=0.7, mu=0.1).score(counts, signal) == before


def test_halving_gives_more_epochs_to_the_best_points(data):
    counts, signal = data
    search = HalvingGridSearchCV(
        tiny(), loss_weight_grid(3), resource="max_epochs", min_resources=1, max_resources=3, factor=3, cv=2
    ).fit(counts, signal)
    results = search.cv_results_
    assert search.n_candidates_ == [3, 1] and search.n_resources_ == [1, 3]
    first = results["iter"] == 0
    best_of_first = np.array(results["params"])[first][np.argmax(results["mean_test_score"][first])]
    assert {k: search.best_params_[k] for k in ("gamma", "mu")} == {k: best_of_first[k] for k in ("gamma", "mu")}
    assert search.best_estimator_.n_iter_ == 3
