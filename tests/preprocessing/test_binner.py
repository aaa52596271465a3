"""Binned counts as a table: scikit-learn's contract, trials, gaps and re-binning."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from skneuro.data import SpikeTrains
from skneuro.preprocessing import SpikeBinner

COUNTS = np.random.default_rng(0).poisson(0.5, (24, 3))


@parametrize_with_checks([SpikeBinner()])
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.NonIntegerCountsWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_trials_are_laid_end_to_end():
    spikes = SpikeTrains.from_counts([COUNTS[:10], COUNTS[10:]], 0.01)
    np.testing.assert_array_equal(SpikeBinner(0.01).fit_transform(spikes), COUNTS)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_rows_of_counts_merge_as_the_same_spikes_would(factor):
    spikes = SpikeTrains.from_counts(COUNTS, 0.01)
    merged = SpikeBinner(0.01 * factor, input_bin_width=0.01).fit_transform(COUNTS)
    np.testing.assert_array_equal(merged, SpikeBinner(0.01 * factor).fit_transform(spikes))
    np.testing.assert_array_equal(merged, COUNTS.reshape(-1, factor, 3).sum(axis=1))


def test_merged_rows_do_not_cross_trials_and_partial_ones_are_unknown():
    merged = SpikeBinner(0.03, input_bin_width=0.01).fit_transform(COUNTS.reshape(3, 8, 3))
    assert merged.shape == (9, 3)
    unknown = np.isnan(merged).any(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(unknown), [2, 5, 8])
    np.testing.assert_array_equal(merged[3], COUNTS[8:11].sum(axis=0))


def test_what_was_not_observed_is_nan():
    spikes = SpikeTrains.from_unit_times({"a": [0.01], "b": [0.012]}, [(0, 0.1)], observed={"b": [(0, 0.055)]})
    counts = SpikeBinner(0.01).fit_transform(spikes)
    np.testing.assert_array_equal(np.isnan(counts[:, 1]), np.arange(10) >= 5)
    assert not np.isnan(counts[:, 0]).any()


def test_columns_are_named_by_unit():
    spikes = SpikeTrains.from_counts(COUNTS, 0.01, unit_ids=["A1", "A2", "B7"])
    binner = SpikeBinner().set_output(transform="pandas").fit(spikes)
    assert list(binner.transform(spikes).columns) == ["A1", "A2", "B7"]
    table = pd.DataFrame(COUNTS, columns=["p", "q", "r"])
    assert SpikeBinner().fit(table).get_feature_names_out().tolist() == ["p", "q", "r"]
    assert SpikeBinner().fit(COUNTS).get_feature_names_out().tolist() == ["x0", "x1", "x2"]
    assert SpikeBinner().fit(COUNTS).get_feature_names_out(["a", "b", "c"]).tolist() == ["a", "b", "c"]


def test_wrong_names_are_refused():
    with pytest.raises(NotFittedError):
        SpikeBinner().get_feature_names_out()
    with pytest.raises(ValueError, match="should have length equal"):
        SpikeBinner().fit(COUNTS).get_feature_names_out(["a"])
    with pytest.raises(ValueError, match="not equal to feature_names_in_"):
        SpikeBinner().fit(pd.DataFrame(COUNTS, columns=["p", "q", "r"])).get_feature_names_out(["a", "b", "c"])


def test_bins_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="multiple of input_bin_width"):
        SpikeBinner(0.025, input_bin_width=0.01).fit(COUNTS)


def test_it_feeds_a_regression():
    spikes = SpikeTrains.from_counts(COUNTS, 0.01)
    behaviour = COUNTS @ [1.0, -2.0, 0.5]
    model = make_pipeline(SpikeBinner(0.01), Ridge(1e-6)).fit(spikes, behaviour)
    np.testing.assert_allclose(model.predict(spikes), behaviour, atol=1e-4)
