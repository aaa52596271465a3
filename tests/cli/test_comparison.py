import numpy as np
import pytest
from scipy import stats

from skneuro.cli.comparison import Held, Score, difference, held_out, score_cells, table, verdict
from skneuro.data import SpikeTrains


def made_up_held(n_bins=2000, n_units=6, seed=0):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.5, (n_bins, n_units))
    null = stats.poisson.logpmf(counts, 0.5)
    return Held(counts, null, np.arange(n_bins) // 100, np.arange(n_units))


def better(held, name, bits, units=None, noise=0.0, seed=0):
    """A model that is better than the null by so many bits per spike of each unit."""
    rng = np.random.default_rng(seed)
    gain = held.counts * np.log(2) * np.broadcast_to(bits, held.counts.shape)
    return score_cells(name, held.null + gain + noise * rng.standard_normal(held.counts.shape), held)


def test_the_null_of_two_constant_rates_is_their_poisson_likelihood():
    rng = np.random.default_rng(1)
    train, test = (SpikeTrains.from_counts(rng.poisson([0.3, 2.0], (500, 2)), 0.1) for _ in range(2))
    held = held_out(train, test, 0.1)
    mean = (train.to_counts(0.1)[0].sum(axis=0) + 0.5) / 500
    np.testing.assert_allclose(held.null, stats.poisson.logpmf(test.to_counts(0.1)[0], mean))
    np.testing.assert_array_equal(held.counts, test.to_counts(0.1)[0])
    assert len(np.unique(held.block)) == 8


@pytest.mark.parametrize(("seconds", "n_blocks"), [(3, 3), (10, 8), (60, 8), (80, 8), (200, 20)])
def test_blocks_are_ten_seconds_or_short_enough_to_be_eight(seconds, n_blocks):
    spikes = SpikeTrains.from_counts(np.random.default_rng(0).poisson(0.3, (10 * seconds, 2)), 0.1)
    assert len(np.unique(held_out(spikes, spikes, 0.1).block)) == n_blocks


def test_cells_that_were_not_observed_do_not_count():
    spikes = SpikeTrains.from_lists([[[0.1, 0.9]]], 0.0, 1.0, observed=[[0.0, 0.5], [0.8, 1.0]])
    held = held_out(spikes, spikes, 0.1)
    assert (held.null[5:8] == 0).all()
    assert held.counts.sum() == 2


def test_bits_per_spike_are_recovered_pooled_and_unit_by_unit():
    held = made_up_held()
    score = better(held, "model", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    np.testing.assert_allclose(score.units, [0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    n = held.counts.sum(axis=0)
    assert score.pooled == pytest.approx((n * score.units).sum() / n.sum())


def test_a_unit_without_a_held_out_spike_has_no_score():
    held = made_up_held()
    held.counts[:, 2] = 0
    assert np.flatnonzero(np.isnan(better(held, "model", 0.1).units)).tolist() == [2]


def test_the_standard_error_is_the_scatter_over_repetitions():
    """Blocks are independent here, so many simulated recordings scatter by what one of them states."""
    rng = np.random.default_rng(3)
    totals, errors = [], []
    for _ in range(200):
        held = Held(np.ones((1000, 1)), np.zeros((1000, 1)), np.arange(1000) // 20, np.arange(1))
        score = score_cells("m", np.repeat(rng.standard_normal((50, 1)), 20, axis=0), held)
        totals.append(score.pooled)
        errors.append(score.error)
    assert np.mean(errors) == pytest.approx(np.std(totals), rel=0.1)


def test_a_difference_of_paired_scores_has_its_own_smaller_error():
    held = made_up_held()
    a, b = better(held, "a", 0.3, noise=0.5, seed=4), better(held, "b", 0.2, noise=0.5, seed=4)
    total, error = difference(a, b, held)
    assert total == pytest.approx(0.1)
    assert error < 0.2 * a.error


def test_the_table_compares_with_the_best_baseline():
    held = made_up_held()
    base, model = better(held, "GLM", 0.2), better(held, "Neuroformer", [0.1, 0.3, 0.3, 0.3, 0.3, 0.3])
    rows = table([base, model], base)
    assert rows.loc["Neuroformer", "median_difference"] == pytest.approx(0.1)
    assert rows.loc["Neuroformer", "units_improved"] == pytest.approx(5 / 6)
    assert np.isnan(rows.loc["GLM", "median_difference"])


@pytest.mark.parametrize(
    ("gain", "noise", "ending"),
    [
        (0.4, 0.0, "use the Neuroformer."),
        (0.1, 0.0, "use the GLM."),
        (0.2002, 0.3, "use the GLM, the simpler one."),
    ],
)
def test_the_verdict_follows_from_the_numbers(gain, noise, ending):
    held = made_up_held()
    sentence = verdict(
        better(held, "Neuroformer", gain, noise=noise, seed=5), better(held, "GLM", 0.2, noise=noise), held
    )
    assert sentence.endswith(ending)
    assert sentence.count(". ") == 0  # one sentence


def test_the_verdict_counts_the_units_and_gives_the_median():
    held = made_up_held()
    sentence = verdict(better(held, "Neuroformer", [0.1, 0.1, 0.5, 0.5, 0.5, 0.5]), better(held, "GLM", 0.2), held)
    assert "on 4 of 6 units" in sentence
    assert "median difference of +0.300 bits per spike" in sentence


def test_one_block_of_time_cannot_tell_models_apart():
    held = made_up_held(100)
    sentence = verdict(better(held, "Neuroformer", 0.4), better(held, "GLM", 0.2), held)
    assert "cannot tell them apart, so use the GLM" in sentence
    assert "nan" not in sentence and "±" not in sentence


def test_the_fewer_blocks_the_more_a_difference_must_be():
    """The same three standard errors: Student's t asks for 4.3 of them with three blocks, and 2.3 with ten."""

    def sentence(n_blocks):
        gain = np.arange(n_blocks) - (n_blocks - 1) / 2
        gain += 3 * np.std(gain, ddof=1) / np.sqrt(n_blocks)
        held = Held(np.ones((n_blocks, 1)), np.zeros((n_blocks, 1)), np.arange(n_blocks), np.arange(1))
        surely = np.full((n_blocks, 1), 50.0)  # both are better than constant rates
        return verdict(score_cells("Neuroformer", surely + gain[:, None], held), score_cells("GLM", surely, held), held)

    assert sentence(3).endswith("cannot tell them apart, so use the GLM, the simpler one.")
    assert sentence(10).endswith("use the Neuroformer.")


def test_where_nothing_is_predictable_neither_is_recommended():
    held = made_up_held()
    sentence = verdict(better(held, "Neuroformer", -0.1), better(held, "GLM", -0.2), held)
    assert "use neither" in sentence


def test_scores_are_kept_out_of_the_repr():
    assert "cells" not in repr(Score("m", 0.1, 0.01, np.zeros(1), np.zeros((1000, 1))))
