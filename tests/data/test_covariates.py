"""Facts about covariates: a value a trial, from its first bin to its last."""

import numpy as np
import pandas as pd
import pytest

from skneuro.data import Covariates, SpikeTrains


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
