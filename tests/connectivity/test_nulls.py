"""Significance where it is hard: recordings whose units share much, and in which no unit drives another."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from skneuro.connectivity import ConnectivityInference, significant_edges
from skneuro.connectivity.significance import normal_score
from skneuro.datasets import make_hub_network

FDR = 0.05
N_UNITS, DURATION = 16, 150.0
# Those that name significant edges; the others do not, because on these very recordings they would name false ones.
METHODS = ("coupling", "glm", "ccg")

spec = importlib.util.spec_from_file_location("nulls", Path(__file__).parents[2] / "benchmarks" / "_nulls.py")
nulls = importlib.util.module_from_spec(spec)
spec.loader.exec_module(nulls)


@pytest.fixture(scope="module")
def recordings():
    return {name: make(N_UNITS, DURATION, np.random.default_rng(0)) for name, make in nulls.NULLS.items()}


@pytest.fixture(scope="module")
def network():
    return make_hub_network(20, 300.0, "medium", 3)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", nulls.NULLS)
def test_few_pairs_are_found_where_no_unit_drives_another(recordings, name, method):
    found = ConnectivityInference(method=method, fdr=FDR).fit(recordings[name]).significant_
    false = nulls.no_edge(name, N_UNITS)
    assert (found & false).sum() < FDR * false.sum()


def test_a_method_that_shared_input_fools_would_fail(recordings):
    """The same procedure with the lagged correlation, which has no `significant_` for that reason."""
    inference = ConnectivityInference(method="lagged_correlation", fdr=FDR).fit(recordings["shared stimulus"])
    found = significant_edges(inference.z_scores_, FDR, n_looks=len(inference.lags_))
    assert found.sum() > FDR * N_UNITS * (N_UNITS - 1)


@pytest.mark.parametrize("name", ["shared stimulus", "running gain", "slow drift", "interval jitter"])
def test_the_units_do_share_something(recordings, name):
    """Taken at face value, their correlations are significant."""
    z = ConnectivityInference(method="pearson").fit(recordings[name]).z_scores_
    assert (np.abs(z[~np.isnan(z)]) > 3).mean() > FDR


def test_all_methods_that_name_edges_are_tested():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.2, (500, 4))
    naming = []
    for method in (*METHODS, "lagged_correlation", "transfer_entropy", "partial_correlation", "pearson"):
        if hasattr(ConnectivityInference(method=method).fit(counts), "significant_"):
            naming.append(method)
    assert naming == list(METHODS)


@pytest.mark.parametrize(("method", "share"), [("coupling", 0.5), ("glm", 0.2), ("ccg", 0.2)])
def test_edges_are_found_where_there_are_some_and_few_of_those_found_are_false(network, method, share):
    inference = ConnectivityInference(method=method, fdr=FDR).fit(network.spikes)
    found, edge = inference.significant_, network.weights != 0
    assert (found & edge).sum() > share * edge.sum()
    assert (found & ~edge).sum() <= FDR * found.sum()
    if method == "coupling":
        np.testing.assert_array_equal(inference.dale_, inference.dale_evidence_ > 0)


def test_independent_scores_are_chosen_at_the_stated_rate():
    """Benjamini and Hochberg against their definition, with effects large enough to be found."""
    rng = np.random.default_rng(0)
    false = []
    for _ in range(200):
        z = rng.standard_normal((20, 20))
        effect = rng.random((20, 20)) < 0.1
        z[effect] += 5.0
        found = significant_edges(z, 0.2)
        effect |= np.eye(20, dtype=bool)
        false.append((found & ~effect).sum() / max(found.sum(), 1))
    assert 0.05 < np.mean(false) < 0.21


def test_scores_that_are_too_wide_for_noise_are_put_on_its_scale():
    z = 3.0 * np.random.default_rng(0).standard_normal((40, 40))
    assert significant_edges(z, 0.05).mean() < 0.002
    assert not significant_edges(np.full((3, 3), np.nan), 0.05).any()


def test_the_most_extreme_of_many_looks_is_no_discovery():
    z = np.random.default_rng(0).standard_normal((15, 40, 40))
    most = np.take_along_axis(z, np.abs(z).argmax(axis=0)[None], axis=0)[0]
    assert significant_edges(most, 0.05, n_looks=15).sum() <= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fdr": 5}, "'fdr' parameter of significant_edges"),
        ({"n_looks": 0}, "'n_looks' parameter of significant_edges"),
        ({"z": np.zeros(3)}, "square matrices"),
        ({"probability": np.zeros((2, 2))}, "square matrices"),
    ],
)
def test_significance_of_nothing_sensible_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        significant_edges(**{"z": np.zeros((3, 3)), "fdr": 0.05} | arguments)


@pytest.mark.parametrize("method", ["coupling", "glm"])
def test_units_that_fire_rarely_have_scores_of_noise_and_no_edges(method):
    """Their pairs meet once or never, and their evidence is skewed: a normal law found edges in 4 of 5 recordings."""
    scores, believed, found = [], [], 0
    for seed in range(4):
        spikes = nulls.rare(N_UNITS, 240.0, np.random.default_rng(seed))
        inference = ConnectivityInference(method=method, fdr=FDR).fit(spikes)
        known = ~np.isnan(inference.z_scores_)
        scores.append(inference.z_scores_[known])
        found += int(inference.significant_.any())
        if method == "coupling":
            believed.append(inference.posterior_[known] > 0.5)
    z = np.concatenate(scores)
    assert (np.abs(z) > 3).mean() < 0.008  # 0.0027 of a normal law's
    assert found == 0
    assert not believed or not np.concatenate(believed).any()


@pytest.mark.parametrize("n_expected", [0.3, 2.0, 40.0])
def test_a_score_is_the_normal_deviate_of_the_mid_p_of_a_count(n_expected):
    n = np.arange(0, int(2 * n_expected) + 8)
    z = (n - n_expected) / np.sqrt(n_expected)
    found = stats.norm.sf(normal_score(z, np.full(len(n), n_expected)))
    law = stats.poisson(n_expected)
    between = (law.sf(n), law.sf(n - 1))  # more than n, and n or more
    assert ((found >= between[0]) & (found <= between[1])).all()


def test_a_score_is_the_deviation_itself_where_many_events_are_expected():
    z = np.array([-60.0, -3.0, 0.0, 0.5, 4.0, 60.0])
    np.testing.assert_allclose(normal_score(z, np.full(6, 1e9)), z, rtol=2e-3, atol=1e-3)
    far = normal_score(np.array([-80.0, 80.0]), np.full(2, 8e3))  # beyond what a double holds
    assert far[0] < -80 < 0 < far[1] < 80
