import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skneuro.baselines import HomogeneousPoisson
from skneuro.data import SpikeTrains
from skneuro.datasets import block_split, fetch_s1_reaching
from skneuro.metrics import (
    bits_per_spike,
    bits_per_spike_scorer,
    dead_time_score,
    homogeneous_rates,
    likelihood,
    null_log_likelihood,
    poisson_log_pmf,
    unit_null_log_likelihood,
)


@given(st.integers(0, 60), st.floats(1e-3, 50.0))
def test_poisson_log_pmf_is_that_of_scipy(count, mean):
    assert np.isclose(poisson_log_pmf(count, mean), stats.poisson.logpmf(count, mean), rtol=1e-9)


def test_a_mean_of_zero_makes_silence_certain_and_spikes_impossible():
    assert poisson_log_pmf([0, 1], 0.0).tolist() == [0.0, -np.inf]


def test_rates_are_spikes_and_a_half_over_observed_time():
    spikes = SpikeTrains.from_lists([[[0.1, 0.3], [0.6]], [[0.2], [0.7, 0.8]]], 0.0, 1.0, observed={1: [[0.5, 1.0]]})
    assert np.allclose(homogeneous_rates(spikes.bin(0.1)), [3.5 / 2.0, 3.5 / 1.0])


def test_a_unit_never_observed_has_the_mean_rate_of_the_others():
    spikes = SpikeTrains.from_lists([[[0.1], [0.1, 0.2], []]], 0.0, 1.0, observed={2: np.empty((0, 2))})
    assert np.allclose(homogeneous_rates(spikes.bin(0.5)), [1.5, 2.5, 2.0])


def test_rates_without_any_observed_bin_are_an_error():
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4)
    with pytest.raises(ValueError, match="smaller bin_width"):
        homogeneous_rates(spikes.bin(0.5))


def test_null_leaves_out_what_was_not_observed():
    spikes = SpikeTrains.from_lists([[[0.1], [0.7]]], 0.0, 1.0, observed={1: [[0.5, 1.0]]})
    null = null_log_likelihood(spikes.bin(0.5), np.array([2.0, 4.0]))
    expected = [[stats.poisson.logpmf(1, 1.0), 0.0], [stats.poisson.logpmf(0, 1.0), stats.poisson.logpmf(1, 2.0)]]
    assert np.allclose(null, expected)


def test_null_wants_one_rate_per_unit():
    with pytest.raises(ValueError, match="each of 1 units"):
        null_log_likelihood(SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0).bin(0.5), [1.0, 2.0])


def test_bits_per_spike_without_spikes_is_an_error():
    with pytest.raises(ValueError, match="at least one observed spike"):
        bits_per_spike(-1.0, -2.0, 0)


def test_doubling_the_probability_of_every_spike_is_one_bit_per_spike():
    assert np.isclose(bits_per_spike(-10.0 + 7 * np.log(2), -10.0, 7), 1.0)


def test_scorer_is_the_score():
    counts = np.random.default_rng(0).poisson(0.5, (50, 3))
    model = HomogeneousPoisson().fit(counts[:20])
    assert bits_per_spike_scorer(model, counts[20:]) == model.score(counts[20:])


def test_protocol_of_the_s1_recording(recordings):
    s1 = fetch_s1_reaching(data_home=recordings("s1_area2_reaching"), download_if_missing=False)
    split = block_split(s1.groups, s1.gap_mask)
    train, test = s1.spikes[split.train].bin(s1.bin_width), s1.spikes[split.test].bin(s1.bin_width)
    null = null_log_likelihood(test, homogeneous_rates(train))
    assert (train.n_bins, test.n_bins, test.unit_counts().sum()) == (20_549, 6_800, 161_559)
    assert np.isclose(null.sum() / test.n_bins, -39.790, atol=1e-3)


@pytest.mark.parametrize("cells", [1, 7, 10**6])
def test_the_null_of_a_unit_sums_its_cells_in_pieces(monkeypatch, cells):
    monkeypatch.setattr(likelihood, "CELLS_AT_ONCE", cells)
    spikes = SpikeTrains.from_lists([[[0.1, 0.2, 1.9], [0.7]], [[], [2.4]]], 0.0, 2.5)
    binned = spikes.bin(0.5)
    rates = np.array([1.5, 0.4])
    expected = null_log_likelihood(binned, rates).sum(axis=0)
    np.testing.assert_allclose(unit_null_log_likelihood(binned, rates), expected, rtol=1e-12)


def test_a_dead_time_needs_a_model_of_windows():
    counts = np.random.default_rng(0).poisson(0.5, (6, 40, 2))
    model = HomogeneousPoisson(bin_width=0.1).fit(counts[:4])
    with pytest.raises(TypeError, match="window_bins.*HomogeneousPoisson"):
        dead_time_score(model, counts[4:], dead_time=0.2)


def test_rates_are_of_binned_spikes():
    with pytest.raises(TypeError, match=r"Got SpikeTrains; use spikes.bin\(bin_width\)"):
        homogeneous_rates(SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0))
