"""Significance where it is hard: recordings whose units share much, and in which no unit drives another."""

import numpy as np
import pytest

from skneuro.connectivity import ConnectivityInference, significant_edges
from skneuro.data import SpikeTrains
from skneuro.datasets import make_hub_network

FDR = 0.05
N_UNITS, DURATION = 16, 150.0
# Those whose scores are of lags; what shared input does to correlations in the same bin is no false discovery.
METHODS = ("coupling", "glm", "ccg")


def poisson(log_rate, rng):
    """Spikes of independent units with rates (n_ms, n_units) about 8 Hz."""
    rate = 8e-3 * np.exp(log_rate)
    counts = rng.random(rate.shape) < rate
    step, unit = np.nonzero(counts)
    times = (step + rng.random(len(step))) * 1e-3
    order = np.argsort(times, kind="stable")
    n_units = rate.shape[1]
    return SpikeTrains(times[order], unit[order], [0, len(times)], [0.0], [DURATION], unit_ids=np.arange(n_units))


def wander(tau, rng, n=1):
    """Ornstein-Uhlenbeck processes with a correlation time of `tau` seconds, one value a millisecond."""
    from scipy.signal import lfilter

    decay = np.exp(-1e-3 / tau)
    noise = rng.standard_normal((int(DURATION * 1000), n)) * np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], noise, axis=0)


def stimulus(rng):
    return poisson(0.5 * wander(0.05, rng, 2) @ rng.normal(0.6, 0.5, (2, N_UNITS)), rng)


def running(rng):
    bouts = (wander(3.0, rng) > 0.5).astype(float)
    return poisson(bouts @ rng.normal(0.8, 0.4, (1, N_UNITS)), rng)


def drift(rng):
    return poisson(0.6 * wander(60.0, rng, N_UNITS) + 0.6 * wander(60.0, rng), rng)


def jittered(rng):
    """A coupled network whose spikes were moved by chance within intervals of 40 ms."""
    spikes = make_hub_network(N_UNITS, DURATION, "medium", 5).spikes
    times = (np.floor(spikes.times / 0.04) + rng.random(spikes.n_spikes)) * 0.04
    times = np.minimum(times, np.nextafter(DURATION, 0))
    order = np.argsort(times, kind="stable")
    return SpikeTrains(times[order], spikes.units[order], [0, len(times)], [0.0], [DURATION], unit_ids=spikes.unit_ids)


@pytest.mark.parametrize("make", [stimulus, running, drift, jittered])
def test_few_pairs_are_found_where_no_unit_drives_another(make):
    spikes = make(np.random.default_rng(0))
    # The units do share something: taken at face value, their correlations are significant.
    z = ConnectivityInference(method="pearson").fit(spikes).z_scores_
    assert (np.abs(z[~np.isnan(z)]) > 3).mean() > FDR
    for method in METHODS:
        inference = ConnectivityInference(method=method, fdr=FDR).fit(spikes)
        assert inference.significant_.sum() < FDR * N_UNITS * (N_UNITS - 1), method


def test_few_pairs_are_found_between_recordings_that_were_only_joined():
    """Pseudo-populations: within each half there are edges, between the halves there are none."""
    halves = [make_hub_network(N_UNITS // 2, DURATION, "easy", seed).spikes for seed in (1, 2)]
    times = np.concatenate([half.times for half in halves])
    units = np.concatenate([half.units + k * N_UNITS // 2 for k, half in enumerate(halves)])
    order = np.argsort(times, kind="stable")
    spikes = SpikeTrains(times[order], units[order], [0, len(times)], [0.0], [DURATION], unit_ids=np.arange(N_UNITS))
    half = np.arange(N_UNITS) // (N_UNITS // 2)
    between = half[:, None] != half
    for method in METHODS:
        found = ConnectivityInference(method=method, fdr=FDR).fit(spikes).significant_
        assert (found & between).sum() < FDR * between.sum(), method


def test_edges_are_found_where_there_are_some_and_few_of_those_found_are_false():
    network = make_hub_network(20, 300.0, "medium", 3)
    inference = ConnectivityInference(fdr=FDR).fit(network.spikes)
    found, edge = inference.significant_, network.weights != 0
    assert (found & edge).sum() > 0.5 * edge.sum()
    assert (found & ~edge).sum() <= 2 * FDR * found.sum()
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
