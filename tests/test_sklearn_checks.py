"""scikit-learn's whole battery of checks on NeuroformerEstimator; an xfail is strict, and ends with its reason."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skneuro import NeuroformerClassifier, NeuroformerEstimator, NeuroformerRegressor
from skneuro.preprocessing import StimulusFeatures

# Rows of a 2-D X are consecutive bins of one recording, and a model with a past depends on their order.
SEQUENTIAL = {
    "check_methods_sample_order_invariance": "predictions depend on the order of the bins of a recording",
    "check_methods_subset_invariance": "predictions depend on the bins before",
}
SMALL = {"d_model": 8, "n_heads": 2, "max_epochs": 2, "device": "cpu"}
ROW_BY_ROW = NeuroformerEstimator(window_bins=1, context=0, recent_context=0, coupling=False, **SMALL)
# Decoders learn from fresh weights here: the checks come with units of their own.
BRIEF = {"mode": "scratch", "max_epochs": 2, "random_state": 0}


def expected_failures(estimator):
    if isinstance(estimator, StimulusFeatures):
        return SEQUENTIAL if "motion_energy" in estimator.kinds else {}
    sees_neighbours = estimator.lag > 0.01 if hasattr(estimator, "lag") else estimator.window_bins > 1
    return SEQUENTIAL if sees_neighbours else {}


@parametrize_with_checks(
    [
        ROW_BY_ROW,
        NeuroformerEstimator(**SMALL),
        NeuroformerEstimator(head="chained", **SMALL),
        NeuroformerEstimator(window_bins=1, context=0, recent_context=0, coupling=False, head="independent", **SMALL),
        StimulusFeatures(["luminance", "contrast", "pixels", "patch_pca"], random_state=0),
        StimulusFeatures(["motion_energy"], frame_rate=20.0),
        NeuroformerRegressor(ROW_BY_ROW, lag=0.01, **BRIEF),
        NeuroformerRegressor(NeuroformerEstimator(**SMALL), **BRIEF),
        NeuroformerClassifier(ROW_BY_ROW, lag=0.01, **BRIEF),
        NeuroformerClassifier(NeuroformerEstimator(**SMALL), causal=False, **BRIEF),
    ],
    expected_failed_checks=expected_failures,
)
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.NonIntegerCountsWarning")
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.MissingModalityWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)
