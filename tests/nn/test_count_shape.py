"""Facts about where a unit's count distribution starts: its own counts, and the population's where those say little."""

import numpy as np
import pytest
import torch
from scipy import stats

from skneuro.nn import count_shape
from skneuro.nn import counts as cell_counts


def distribution(bias, row, n=60):
    """Probabilities of 0 .. n - 1 spikes in a cell."""
    rate, k = bias.double().expand(n), torch.arange(1, n + 1)
    shifts = cell_counts.table_shift(row[None].double(), torch.zeros(n, dtype=torch.long), k)
    again = torch.sigmoid(cell_counts.counted_repeat_log_odds(rate, k.double(), shifts, len(row)))
    alive = cell_counts.fired_log_probability(rate[0]).exp() * torch.cat([torch.ones(1), again.cumprod(0)[:-1]])
    silent = cell_counts.silent_log_probability(rate[0]).exp()
    return torch.cat([silent[None], (alive * (1 - again))[:-1]]).numpy()


def histogram_of(counts):
    """Of counts (units, bins)."""
    return torch.from_numpy(np.stack([np.bincount(row, minlength=counts.max() + 1) for row in counts]))


def bursting(rng, rate, again, n):
    """Counts of n bins: occupied with probability `rate`, then geometric."""
    return (rng.random(n) < rate) * rng.geometric(1 - again, n)


def test_a_model_starts_from_the_count_distributions_of_training():
    """Overdispersed, regular, rare and silent units."""
    rng = np.random.default_rng(0)
    n = 20_000
    counts = np.stack(
        [rng.negative_binomial(0.5, 0.3, n), rng.binomial(3, 0.6, n), rng.poisson(0.01, n), np.zeros(n, dtype=int)]
    )
    bias, table = count_shape.marginal_start(histogram_of(counts))
    for unit, row in enumerate(counts):
        p = distribution(bias[unit], table[unit])
        assert p.sum() == pytest.approx(1.0, abs=1e-9)
        np.testing.assert_allclose(p[:4], np.bincount(row, minlength=4)[:4] / n, atol=2e-3)
    assert bool(torch.isfinite(bias).all())


def test_a_unit_with_few_spikes_bursts_as_the_population_does():
    rng = np.random.default_rng(1)
    n = 2_000
    counts = np.stack([bursting(rng, 0.05, 0.3, n) for _ in range(20)])
    counts[0] = 0
    counts[0, :2] = 1  # two spikes, by chance both alone
    bias, table = count_shape.marginal_start(histogram_of(counts))
    p = distribution(bias[0], table[0])
    assert p[2:].sum() / p[1:].sum() == pytest.approx(0.3, abs=0.08)
    assert p[4:].sum() / p[3:].sum() == pytest.approx(0.3, abs=0.12)


def test_a_unit_keeps_its_own_shape_where_units_differ():
    rng = np.random.default_rng(2)
    n = 2_000
    counts = np.stack([bursting(rng, 0.05, again, n) for again in [0.02, 0.8] * 10])
    counts[0] = 0
    counts[0, :30] = 1  # thirty spikes, all alone
    bias, table = count_shape.marginal_start(histogram_of(counts))
    p = distribution(bias[0], table[0])
    assert p[2:].sum() / p[1:].sum() < 0.05


def test_the_populations_worth_is_the_likeliest_under_a_beta_binomial_distribution():
    rng = np.random.default_rng(3)
    for spread in (0.5, 6.0, 100.0):
        trials = rng.integers(0, 40, (30, 2))
        usual = np.array([0.3, 0.1])
        again = rng.binomial(trials, rng.beta(spread * usual, spread * (1 - usual), trials.shape))
        found = count_shape.worth_of(*(torch.from_numpy(x).double() for x in (usual, again, trials - again)))
        oracle = [stats.betabinom.logpmf(again, trials, w * usual, w * (1 - usual)).sum() for w in count_shape.WORTH]
        assert found == count_shape.WORTH[int(np.argmax(oracle))]


@pytest.mark.parametrize("mean", [15, 60, 250, 400])
def test_a_unit_that_is_hardly_ever_silent_starts_at_its_mean(mean):
    rng = np.random.default_rng(4)
    counts = rng.poisson([[mean], [0.3]], (2, 800))
    counts[0, 0] = 0  # one artefact, of a shutter
    bias, table = count_shape.marginal_start(histogram_of(counts))
    p = distribution(bias[0], table[0], 1000)
    assert (np.arange(len(p)) * p).sum() == pytest.approx(counts[0].mean(), rel=0.01)


@pytest.mark.parametrize("mean", [0.5, 4.0, 8.0])
def test_units_of_ordinary_counts_start_at_their_silent_bins(mean):
    counts = np.random.default_rng(5).poisson(mean, (3, 3000))
    bias, _ = count_shape.marginal_start(histogram_of(counts))
    silent = torch.from_numpy(((counts == 0).sum(1) + 0.5) / 3001)
    assert torch.equal(bias, (-silent.log()).log())


def test_a_single_spike_in_all_is_enough():
    bias, table = count_shape.marginal_start(torch.tensor([[99, 1], [100, 0]]))
    assert bool(torch.isfinite(bias).all()) and bool(torch.isfinite(table).all())
    assert distribution(bias[0], table[0])[1] == pytest.approx(0.01, abs=0.006)
