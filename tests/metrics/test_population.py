"""What units do together, against networks of known correlation."""

import numpy as np
import pytest

from skneuro.data import SpikeTrains
from skneuro.metrics import (
    noise_correlations,
    pairwise_correlations,
    population_count_distribution,
    population_count_kl,
    shared_variance,
)

BIN = 0.05


def trains(counts, **kwargs):
    return SpikeTrains.from_counts(counts, BIN, **kwargs)


def test_population_counts_are_those_of_numpy():
    counts = np.random.default_rng(0).poisson(0.4, (5, 40, 7))
    np.testing.assert_array_equal(
        population_count_distribution(trains(counts), BIN), np.bincount(counts.sum(2).ravel())
    )


def test_bins_that_a_unit_did_not_observe_are_left_out():
    counts = np.ones((4, 2), dtype=int)
    counts[2:, 1] = 0
    observed = np.ones((4, 2), dtype=bool)
    observed[2:, 1] = False
    np.testing.assert_array_equal(population_count_distribution(trains(counts, observed=observed), BIN), [0, 0, 2])
    with pytest.raises(ValueError, match="recorded together"):
        disjoint = np.array([[True, False], [True, False]])
        population_count_distribution(trains(np.zeros((2, 2), dtype=int), observed=disjoint), BIN)


def test_divergence_of_poisson_counts_is_the_closed_form():
    rng = np.random.default_rng(1)
    a, b = rng.poisson(2.0, (60_000, 1)), rng.poisson(3.0, (60_000, 1))
    closed = (2.0 * np.log(2 / 3) - 2.0 + 3.0) / np.log(2)
    assert population_count_kl(trains(a), trains(b), BIN) == pytest.approx(closed, abs=0.02)


@pytest.mark.parametrize("spoilt", ["recorded", "sampled"])
@pytest.mark.parametrize("n_bins", [1, 2])
def test_a_single_bin_of_thousands_of_spikes_does_not_make_a_bad_model_good(spoilt, n_bins):
    rng = np.random.default_rng(2)
    counts = {"recorded": rng.poisson(0.5, (400, 10)), "sampled": rng.poisson(0.8, (400, 10))}
    clean = population_count_kl(trains(counts["recorded"]), trains(counts["sampled"]), BIN)
    counts[spoilt][100 : 100 + n_bins, 0] = 3000
    assert population_count_kl(trains(counts["recorded"]), trains(counts["sampled"]), BIN) > 0.9 * clean


def test_a_model_that_often_runs_away_is_far_from_the_recording():
    rng = np.random.default_rng(3)
    recorded, sampled = rng.poisson(0.5, (2000, 10)), rng.poisson(0.8, (2000, 10))
    clean = population_count_kl(trains(recorded), trains(sampled), BIN)
    sampled[::20, 0] = 3000
    assert population_count_kl(trains(recorded), trains(sampled), BIN) > 0.8 * clean


def test_ordinary_counts_each_have_a_class():
    rng = np.random.default_rng(4)
    a, b = rng.poisson(2.0, (500, 1)), rng.poisson(3.0, (500, 1))
    n = max(a.max(), b.max()) + 1
    p, q = (np.bincount(x.ravel(), minlength=n) + 0.5 for x in (a, b))
    expected = (p / p.sum() * np.log2(p / p.sum() * q.sum() / q)).sum()
    assert population_count_kl(trains(a), trains(b), BIN) == pytest.approx(expected, rel=1e-12)


def test_correlations_are_those_of_numpy():
    counts = np.random.default_rng(2).poisson([1.0, 2.0, 3.0], (4, 50, 3))
    counts[..., 2] += counts[..., 0]
    expected = np.corrcoef(counts.reshape(-1, 3), rowvar=False)
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(pairwise_correlations(trains(counts), BIN), expected)


def test_correlations_of_pairs_with_gaps_are_those_of_the_bins_both_observed():
    rng = np.random.default_rng(3)
    observed = rng.random((300, 2)) < 0.8
    counts = np.where(observed, rng.poisson(2.0, (300, 1)) + rng.poisson(1.0, (300, 2)), 0)
    both = observed.all(1)
    expected = np.corrcoef(counts[both], rowvar=False)[0, 1]
    assert pairwise_correlations(trains(counts, observed=observed), BIN)[0, 1] == pytest.approx(expected)


def test_noise_correlations_do_not_see_the_stimulus():
    rng = np.random.default_rng(4)
    rate = np.repeat(rng.gamma(1.0, 4.0, (2, 200, 1)), 30, axis=0)  # two stimuli of 30 repeats drive all units
    counts = rng.poisson(rate, (60, 200, 3))
    common = rng.poisson(4.0, (60, 200))
    counts[..., 0] += common
    counts[..., 1] += common
    noise = noise_correlations(trains(counts), np.repeat([5, 9], 30), BIN)
    assert noise[0, 1] == pytest.approx(0.5, abs=0.03)  # 4 of the 8 in variance are common
    assert abs(noise[0, 2]) < 0.03
    assert pairwise_correlations(trains(counts), BIN)[0, 2] > 0.5
    with pytest.raises(ValueError, match="repeated"):
        noise_correlations(trains(counts), np.arange(60), BIN)


@pytest.mark.parametrize("d", [1, 3])
def test_shared_variance_finds_the_dimensions_that_drive_the_units(d):
    rng = np.random.default_rng(5)
    direction = np.kron(np.eye(d), np.ones((1, 8)))  # each latent drives its own eight units
    counts = rng.poisson(np.exp(1.0 + 0.6 * rng.normal(size=(4000, d)) @ direction))
    dimensionality, share = shared_variance(trains(counts), BIN)
    assert dimensionality == pytest.approx(d, abs=0.25)
    mean = np.exp(1.0 + 0.18)
    spread = mean**2 * (np.exp(0.36) - 1)
    assert share == pytest.approx(spread / (spread + mean), abs=0.05)


def test_wrong_arguments_are_refused():
    spikes = trains(np.ones((3, 2), dtype=int))
    with pytest.raises(TypeError, match="as_spike_trains"):
        pairwise_correlations(np.ones((3, 2)), BIN)
    with pytest.raises(ValueError, match="same units"):
        population_count_kl(spikes, trains(np.ones((3, 3), dtype=int)), BIN)
    with pytest.raises(ValueError, match="n_components"):
        shared_variance(spikes, BIN, n_components=0)
    with pytest.raises(ValueError, match="at least two units that vary"):
        shared_variance(spikes, BIN)
    with pytest.raises(ValueError, match="at least one trial"):
        pairwise_correlations(spikes[:0], BIN)
