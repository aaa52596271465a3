"""scikit-learn's whole battery of checks on NeuroformerEstimator; an xfail is strict, and ends with its reason."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skneuro import NeuroformerEstimator

# Rows of a 2-D X are consecutive bins of one recording, and a model with a past depends on their order.
SEQUENTIAL = {
    "check_methods_sample_order_invariance": "predictions depend on the order of the bins of a recording",
    "check_methods_subset_invariance": "predictions depend on the bins before",
}
SMALL = {"d_model": 8, "n_heads": 2, "max_epochs": 2, "device": "cpu"}
ROW_BY_ROW = NeuroformerEstimator(window_bins=1, context=0, recent_context=0, coupling=False, **SMALL)


def expected_failures(estimator):
    return SEQUENTIAL if estimator.window_bins > 1 else {}


@parametrize_with_checks(
    [
        ROW_BY_ROW,
        NeuroformerEstimator(**SMALL),
        NeuroformerEstimator(head="chained", **SMALL),
        NeuroformerEstimator(window_bins=1, context=0, recent_context=0, coupling=False, head="independent", **SMALL),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.NonIntegerCountsWarning")
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.MissingModalityWarning")
@pytest.mark.filterwarnings("ignore:gamma=:UserWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)
