"""scikit-learn's whole check battery on the baselines."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson, PSTHModel

SEQUENTIAL = {
    "check_methods_sample_order_invariance": "rows of a 2-D X are consecutive bins: predictions depend on their order",
    "check_methods_subset_invariance": "predictions depend on the bins before",
}

ROWS_APART = [HomogeneousPoisson(), ConstantMarginal(), CoupledGLM(history=0.0, stimulus_history=0.0, n_draws=2)]
ROWS_IN_ORDER = [
    PSTHModel(min_repeats=1),
    CoupledGLM(window_bins=3, same_bin="linear", counts="categorical", history=0.03, n_draws=2),
    GRUModel(max_steps=2, n_hidden=4, n_draws=2),
    GRUModel(max_steps=2, n_hidden=4, counts="poisson", same_bin=None, recurrent=False),
]


def expected_failures(estimator):
    return SEQUENTIAL if any(estimator is other for other in ROWS_IN_ORDER) else {}


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks([*ROWS_APART, *ROWS_IN_ORDER], expected_failed_checks=expected_failures, xfail_strict=True)
def test_check_battery(estimator, check):
    check(estimator)
