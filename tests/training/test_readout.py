"""The readouts are scikit-learn's, with the penalty that cross-validation on the given folds finds best."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skneuro.training.readout import contiguous_folds, logistic, ridge

PENALTIES = (0.1, 1.0, 10.0, 100.0, 1000.0)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    x = 2 * rng.standard_normal((90, 12)) + 5
    y = x @ rng.standard_normal((12, 2)) + 9 * rng.standard_normal((90, 2)) + 100
    return x, y, np.repeat(np.arange(5), 18)


def test_ridge_in_chunks_is_scikit_learns_with_the_penalty_of_a_grid_search(data):
    x, y, fold = data
    search = GridSearchCV(
        make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": PENALTIES}, cv=PredefinedSplit(fold),
        scoring="neg_mean_squared_error",
    ).fit(x, y)  # fmt: skip
    chunks = [(x[k : k + 7], y[k : k + 7], fold[k : k + 7]) for k in range(0, 90, 7)]
    centre, scale, coef, intercept, penalty = ridge(chunks, PENALTIES, np.ones(12))
    assert penalty == search.best_params_["ridge__alpha"]
    assert PENALTIES[0] < penalty < PENALTIES[-1]
    np.testing.assert_allclose((x - centre) / scale @ coef.T + intercept, search.predict(x), rtol=1e-9)


def test_a_feature_of_small_weight_is_used_less(data):
    x, y, fold = data
    weight = np.r_[np.full(6, 1e-4), np.ones(6)]
    centre, scale, coef, intercept, _ = ridge([(x, y, fold)], (1.0,), weight)
    z = StandardScaler().fit_transform(x[:, 6:])
    alone = Ridge(alpha=1.0).fit(z, y)
    np.testing.assert_allclose((x - centre) / scale @ coef.T + intercept, alone.predict(z), atol=1e-3)


@pytest.mark.parametrize("useful", [0, 1])
def test_of_several_weights_the_one_that_predicts_left_out_folds_is_taken(useful):
    """Half of the features say everything; the readout is that of the candidate that uses these alone."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 40))
    y = x[:, 20 * useful : 20 * useful + 1] + 0.3 * rng.standard_normal((60, 1))
    fold = np.repeat(np.arange(5), 12)
    candidates = np.array([[1.0] * 20 + [0.01] * 20, [0.01] * 20 + [1.0] * 20])
    chosen, alone = (ridge([(x, y, fold)], (3.0,), weight) for weight in (candidates, candidates[useful]))
    for a, b in zip(chosen, alone, strict=True):
        np.testing.assert_allclose(a, b)
    classes = (y[:, 0] > 0).astype(int)
    chosen, alone = (logistic(x, classes, fold, 2, (3.0,), weight) for weight in (candidates, candidates[useful]))
    read = [(x - centre) / scale @ coef.T + intercept for centre, scale, coef, intercept, _ in (chosen, alone)]
    np.testing.assert_allclose(*read, atol=0.02)


def test_a_feature_that_hardly_varies_is_not_blown_up():
    x = np.c_[np.linspace(-1, 1, 20), 1e-6 * (np.arange(20) == 3)]
    centre, scale, coef, intercept, _ = ridge([(x, x[:, :1], np.zeros(20, int))], (0.1,), np.ones(2))
    far = np.array([[0.0, 1.0]])
    assert abs(float(((far - centre) / scale @ coef.T + intercept)[0, 0])) < 0.01


@pytest.mark.parametrize("n_classes", [2, 3])
def test_logistic_is_scikit_learns(data, n_classes):
    x, y, fold = data
    classes = np.digitize(y[:, 0], np.quantile(y[:, 0], np.arange(1, n_classes) / n_classes))
    centre, scale, coef, intercept, penalty = logistic(x, classes, fold, n_classes, PENALTIES, np.ones(12))
    z = StandardScaler().fit_transform(x)
    found = np.exp(z @ coef.T + intercept)
    assert penalty in PENALTIES
    expected = LogisticRegression(C=1 / penalty, max_iter=500, tol=1e-3).fit(z, classes).predict_proba(z)
    np.testing.assert_allclose(found / found.sum(1, keepdims=True), expected, atol=1e-9)
    np.testing.assert_allclose((centre, scale), (x.mean(0), x.std(0)))


def test_a_class_that_a_fold_lacks_is_no_error(data):
    x, _, fold = data
    classes = (np.arange(90) >= 72).astype(int) + (np.arange(90) >= 80)  # only in the last fold
    coef, intercept, _ = logistic(x, classes, fold, 3, PENALTIES, np.ones(12))[2:]
    assert np.isfinite(coef).all() and np.isfinite(intercept).all()


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        (np.repeat(np.arange(10), 3), np.repeat(np.arange(5), 6)),
        (np.repeat([4, 9], 10), np.repeat(np.arange(5), 4)),  # too few trials: runs of bins
        ([3], [0]),
        ([1, 2], [0, 1]),
    ],
)
def test_folds_are_runs_of_whole_trials(group, expected):
    assert contiguous_folds(np.asarray(group)).tolist() == list(expected)
