"""Slow rates: found where units drift, absent where they do not, and no obstacle to couplings."""

import numpy as np
import pytest

from skneuro.connectivity import ConnectivityInference
from skneuro.connectivity.drift import slow_rates
from skneuro.data import BinnedSpikes, SpikeTrains

N_BINS, WIDTH = 60_000, 0.005  # 300 s


def binned(counts, **kwargs):
    return BinnedSpikes.from_counts(counts, np.array([0, len(counts)]), WIDTH, **kwargs)


def wave(period, depth):
    return np.exp(depth * np.sin(2 * np.pi * WIDTH * np.arange(N_BINS) / period))


@pytest.mark.parametrize("modulation", [1.0, wave(0.1, 0.8), wave(1.0, 0.8)])
def test_a_rate_that_changes_fast_or_not_at_all_is_no_drift(modulation):
    counts = np.random.default_rng(0).poisson(np.full((N_BINS, 5), 0.04) * np.reshape(modulation, (-1, 1)))
    assert slow_rates(binned(counts), np.arange(N_BINS)) is None


def test_silence_and_a_few_seconds_are_no_drift():
    counts = np.random.default_rng(0).poisson(np.full((N_BINS, 2), 0.04)) * [1, 0]
    assert slow_rates(binned(counts), np.arange(N_BINS)) is None
    assert slow_rates(binned(counts[:1000]), np.arange(1000)) is None


def test_bursts_are_no_drift():
    rng = np.random.default_rng(0)
    counts = np.zeros((N_BINS, 3), dtype=int)
    starts = np.argwhere(rng.random(counts.shape) < 0.004)
    for lag in range(8):
        np.add.at(counts, (np.minimum(starts[:, 0] + lag, N_BINS - 1), starts[:, 1]), 1)
    assert slow_rates(binned(counts), np.arange(N_BINS)) is None


def test_the_drift_of_a_unit_is_found_and_only_of_that_one():
    truth = wave(120.0, 0.7)
    counts = np.random.default_rng(0).poisson(0.04 * np.column_stack([truth, np.ones(N_BINS)]))
    found = slow_rates(binned(counts), np.arange(N_BINS))(np.array([0, 1]))
    assert not found[:, 1].any()
    expected = np.log(truth) - np.log(truth).mean()
    assert np.sqrt(np.mean((found[:, 0] - expected) ** 2)) < 0.3 * expected.std()


def test_what_is_known_already_is_not_drift():
    truth = wave(120.0, 0.7)
    counts = np.random.default_rng(0).poisson(0.04 * np.column_stack([truth, truth]))
    known = np.column_stack([np.log(truth)] * 2)
    assert slow_rates(binned(counts), np.arange(N_BINS), lambda targets: known[:, targets]) is None


def test_time_in_which_a_unit_was_not_observed_is_no_drift():
    counts = np.random.default_rng(0).poisson(np.full((N_BINS, 2), 0.04))
    seen = np.ones(counts.shape, dtype=bool)
    seen[: N_BINS // 2, 0] = False
    masked = SpikeTrains.from_counts(counts * seen, WIDTH, observed=seen).bin(WIDTH)
    assert slow_rates(masked, np.arange(N_BINS)) is None


def test_units_that_drift_apart_are_not_connected_by_it():
    """Slow changes of two units are correlated by chance; taken for shared input they would use up its factors."""
    rng = np.random.default_rng(0)
    walk = np.repeat(rng.standard_normal((300, 12)).cumsum(axis=0), N_BINS // 300, axis=0)
    counts = rng.poisson(0.05 * np.exp(0.6 * (walk - walk.mean(axis=0)) / walk.std(axis=0)))
    counts[2:, 1] += rng.binomial(counts[:-2, 0], 0.3)
    inference = ConnectivityInference(bin_width=WIDTH).fit(counts)
    assert inference.shared_loadings_.shape[1] == 0
    assert np.argwhere(inference.significant_).tolist() == [[1, 0]]
