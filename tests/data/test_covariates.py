"""Facts about covariates: a value a trial, from its first bin to its last."""

import numpy as np
import pandas as pd
import pytest

from skneuro.data import Covariates, SpikeTrains, TimeSeries, Video


def test_numbers_stay_and_categories_become_columns():
    table = {"contrast": [0.1, 0.5, 1.0], "choice": ["left", "right", "left"], "hit": [True, False, False]}
    for given in (table, pd.DataFrame(table)):
        found = Covariates(given)
        assert found.names == ("contrast", "choice=left", "choice=right", "hit=False", "hit=True")
        np.testing.assert_array_equal(found.values, [[0.1, 1, 0, 0, 1], [0.5, 0, 1, 1, 0], [1.0, 1, 0, 1, 0]])


def test_given_categories_make_the_same_columns_of_any_trials():
    kinds = {"choice": ["left", "right", "none"]}
    few, many = (Covariates({"choice": shown}, categories=kinds) for shown in (["none"], kinds["choice"]))
    assert few.names == many.names
    assert few == many[2:]
    numbers = Covariates({"angle": [90, 0]}, categories={"angle": [0, 90]})
    np.testing.assert_array_equal(numbers.values, [[0, 1], [1, 0]])


def test_a_trial_with_a_missing_value_knows_nothing():
    found = Covariates({"contrast": [0.1, np.nan], "choice": ["left", None]})
    binned = SpikeTrains([], [], [0, 0, 0], 0.0, [0.2, 0.3], unit_ids=[0]).bin(0.1)
    assert found.samples(binned).trial.tolist() == [0]
    np.testing.assert_array_equal(found.on_bins(binned)[:, 0], [0.1, 0.1, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pd.array([1, None, 2], dtype="Int64"), [[1], [np.nan], [2]]),
        (pd.array([0.5, None], dtype="Float64"), [[0.5], [np.nan]]),
        (pd.array([True, None, False], dtype="boolean"), [[0, 1], [np.nan] * 2, [1, 0]]),
        (pd.array(["left", None], dtype="string"), [[1], [np.nan]]),
        (pd.Categorical(["left", None]), [[1], [np.nan]]),
    ],
)
def test_what_pandas_calls_missing_is_missing(column, expected):
    for table in (pd.DataFrame({"x": column}), {"x": column}):
        np.testing.assert_array_equal(Covariates(table).values, expected)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Covariates([0.1, 0.2]), TypeError, r"DataFrame or a dict.*Covariates\({'contrast': array}\)"),
        (lambda: Covariates({}), ValueError, "one value a trial"),
        (lambda: Covariates({"a": [1, 2], "b": [1]}), ValueError, r"same length. Got {'a': \(2,\), 'b': \(1,\)}"),
        (lambda: Covariates({"a": [[1, 2]]}), ValueError, "one value a trial"),
        (lambda: Covariates({"a": [np.inf]}), ValueError, "finite, or NaN"),
        (lambda: Covariates({"a": ["x"]}, categories={"b": ["x"]}), ValueError, r"\['a'\]. Got \['b'\]"),
        (lambda: Covariates({"a": ["x"]}, categories={"a": ["y"]}), ValueError, r"not in \['y'\]: 'x'"),
        (lambda: Covariates({"a": [object()]}), ValueError, "numbers, strings or booleans"),
    ],
)
def test_what_are_no_covariates(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("constant", [0.1, 0.3, 1.1, -0.7])
@pytest.mark.parametrize("n_trials", [3, 6, 10, 100, 1000])
def test_the_rounding_of_a_constant_is_no_spread(constant, n_trials):
    values = [constant] * n_trials
    assert Covariates({"contrast": values}).moments()[1].tolist() == [1.0]
    assert TimeSeries.from_lists([[*values, np.nan]], rate=10.0).moments()[1].tolist() == [1.0]
    for dtype in (np.float64, np.float32):
        frames = np.full((1, n_trials, 2, 2), constant, dtype=dtype)
        assert Video(frames, fps=10.0).moments()[1].tolist() == [1.0]


def test_a_small_spread_is_one():
    assert Covariates({"time": [1e6, 1e6 + 0.002]}).moments()[1] == pytest.approx(0.001)
