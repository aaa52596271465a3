"""Baselines against numpy, and against what is known of the generating process."""

import numpy as np
import pytest

from skneuro.connectivity.baselines import (
    cross_correlogram_z,
    lagged_correlation,
    partial_correlation,
    pearson,
)
from skneuro.data import BinnedSpikes, SpikeTrains


def binned(counts, bin_width=0.005):
    return BinnedSpikes.from_counts(counts, np.array([0, len(counts)]), bin_width)


@pytest.fixture(scope="module")
def chain():
    """Unit 0 drives unit 1 two bins later, unit 1 drives unit 2 two bins later."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.1, (30000, 3))
    counts[2:, 1] += rng.binomial(counts[:-2, 0], 0.3)
    counts[2:, 2] += rng.binomial(counts[:-2, 1], 0.3)
    return counts


def test_pearson_is_numpys(chain):
    np.testing.assert_allclose(pearson(binned(chain)), np.corrcoef(chain.T), atol=1e-12)


def test_partial_correlation_is_that_of_regression_residuals():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (5000, 4)) + rng.poisson(0.5, 5000)[:, None]
    others = np.column_stack([np.ones(5000), counts[:, 2:]])
    left = [counts[:, k] - others @ np.linalg.lstsq(others, counts[:, k], rcond=None)[0] for k in (0, 1)]
    expected = np.corrcoef(*left)[0, 1]
    # Shrinkage by 1 % moves it a little.
    assert partial_correlation(binned(counts))[0, 1] == pytest.approx(expected, abs=0.01)


def test_partial_correlation_leaves_out_units_that_do_not_vary(chain):
    counts = chain.copy()
    counts[:, 1] = 0
    result = partial_correlation(binned(counts))
    assert np.isnan(result[1]).all()
    assert np.isnan(result[:, 1]).all()
    assert np.isfinite(result[0, 2])


@pytest.mark.parametrize("infer", [lambda b: lagged_correlation(b, 3), lambda b: cross_correlogram_z(b, 10, 3)])
def test_delayed_influence_has_a_direction(chain, infer):
    strength = infer(binned(chain))
    for source, target in [(0, 1), (1, 2)]:
        assert strength[target, source] > 4 * abs(strength[source, target])


def test_inhibition_is_a_trough():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, (30000, 2))
    counts[1:, 1] *= counts[:-1, 0] == 0
    assert cross_correlogram_z(binned(counts), 10, 3)[1, 0] < -8
    assert lagged_correlation(binned(counts), 3)[1, 0] < -0.2


def test_slow_common_input_is_no_peak():
    rng = np.random.default_rng(0)
    slow = np.exp(np.convolve(rng.standard_normal(30199), np.ones(200) / 14, mode="valid"))
    counts = rng.poisson(0.1 * slow[:, None], (30000, 8))
    z = cross_correlogram_z(binned(counts), 10, 3)[~np.eye(8, dtype=bool)]
    assert pearson(binned(counts))[0, 1] > 0.05
    # The largest of 3 lags of noise; it would be above 10 if the common input counted as a peak.
    assert np.median(np.abs(z)) < 2.5


def test_a_strong_wide_peak_fakes_no_effect_back():
    """Unit 0 drives 1; units 2 and 3 drive each other. A peak as wide as the trend bends it on its other side too."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.005, (300_000, 4))
    for source, target in [(0, 1), (2, 3), (3, 2)]:
        spikes = np.flatnonzero((counts[:-20, source] > 0) & (rng.random(len(counts) - 20) < 0.3))
        np.add.at(counts, (spikes + rng.integers(1, 16, len(spikes)), target), 1)
    z = cross_correlogram_z(binned(counts, 0.001), 20, 15, 7)
    assert min(z[1, 0], z[3, 2], z[2, 3]) > 3.5
    assert abs(z[0, 1]) < 2.5


@pytest.mark.parametrize("delay", [0.001, 0.002, 0.0035])
@pytest.mark.parametrize("bin_width", [0.001, 0.002, 0.003, 0.004, 0.005])
def test_a_fast_synapse_in_wide_bins_is_neither_inhibition_nor_an_effect_back(delay, bin_width):
    """The part of the peak within the spike's own bin has no direction; a trend that holds it would show troughs."""
    rng = np.random.default_rng(0)
    source = np.sort(rng.uniform(0, 119.9, 720))
    follower = np.sort(np.concatenate([rng.uniform(0, 119.9, 720), source[rng.random(720) < 0.5] + delay]))
    spikes = SpikeTrains.from_unit_times({0: source, 1: follower}, epochs=[(0.0, 120.0)])
    n_lags, n_peak, n_wide = int(0.02 / bin_width + 1e-6), int(0.015 / bin_width + 1e-6), round(0.007 / bin_width)
    z = cross_correlogram_z(spikes.bin(bin_width), n_lags, n_peak, n_wide)
    assert z[1, 0] > 5
    assert abs(z[0, 1]) < 3


def test_z_of_independent_units_is_of_order_one():
    counts = np.random.default_rng(0).poisson(0.1, (30000, 10))
    z = cross_correlogram_z(binned(counts), 10, 1)[~np.eye(10, dtype=bool)]
    assert 0.7 < z.std() < 1.3
    assert abs(z.mean()) < 0.3


def test_short_trials_do_not_bend_the_trend():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.2, (600 * 50, 6))
    trials = BinnedSpikes.from_counts(counts, np.arange(0, len(counts) + 1, 50), 0.005)
    z = cross_correlogram_z(trials, 10, 3)[~np.eye(6, dtype=bool)]
    assert np.abs(z).max() < 5
