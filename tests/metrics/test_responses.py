"""Scores of mean responses against populations whose true rates are known."""

import numpy as np
import pandas as pd
import pytest

from skneuro.data import SpikeTrains
from skneuro.metrics import (
    explainable_variance,
    noise_ceiling,
    psth_correlation,
    response_table,
    responses_by_stimulus,
    sampled_bits_per_spike,
)

N_BINS, N_UNITS = 600, 3


@pytest.fixture(scope="module")
def truth():
    rng = np.random.default_rng(0)
    rate = rng.gamma(2.0, [0.1, 0.5, 2.0], (N_BINS, N_UNITS))
    return rate, rng.poisson(rate, (12, N_BINS, N_UNITS)), rng


def test_the_true_rate_reaches_the_ceiling(truth):
    rate, recorded, _ = truth
    np.testing.assert_allclose(psth_correlation(recorded, rate), noise_ceiling(recorded), atol=0.04)


def test_simulations_at_the_true_rate_reach_the_ceiling_for_their_number(truth):
    rate, recorded, rng = truth
    sampled = rng.poisson(rate, (5, N_BINS, N_UNITS))
    np.testing.assert_allclose(psth_correlation(recorded, sampled), noise_ceiling(recorded, n_samples=5), atol=0.05)
    assert (noise_ceiling(recorded, n_samples=5) < noise_ceiling(recorded)).all()


def test_the_ceiling_of_an_odd_number_of_repeats_is_that_of_theory(truth):
    rate, recorded, _ = truth
    theory = np.sqrt(rate.var(0) / (rate.var(0) + rate.mean(0) / 11))
    np.testing.assert_allclose(noise_ceiling(recorded[:11]), theory, atol=0.05)


def test_explainable_variance_is_signal_over_signal_and_poisson_noise(truth):
    rate, recorded, _ = truth
    np.testing.assert_allclose(explainable_variance(recorded), rate.var(0) / (rate.var(0) + rate.mean(0)), atol=0.04)


def test_explainable_variance_of_whole_repeats_is_the_formula_of_sahani_and_linden(truth):
    _, recorded, rng = truth
    n = len(recorded)
    of_mean, of_repeats = recorded.mean(0).var(0), recorded.var(1).mean(0)
    expected = (n * of_mean - of_repeats) / (n - 1) / of_repeats
    np.testing.assert_allclose(explainable_variance(recorded), expected, rtol=1e-12)
    np.testing.assert_allclose(explainable_variance([recorded, recorded]), expected, rtol=1e-12)


def test_an_aborted_repeat_does_not_cost_the_explainable_variance_of_the_others(truth):
    _, recorded, rng = truth
    aborted = recorded.astype(float)
    aborted[7, 10:] = np.nan
    whole = explainable_variance(np.delete(recorded, 7, axis=0))
    np.testing.assert_allclose(explainable_variance(aborted), whole, atol=0.01)
    patchy = np.where(rng.random(recorded.shape) < 0.6, recorded, np.nan)  # no bin that all observed
    np.testing.assert_allclose(explainable_variance(patchy), explainable_variance(recorded), atol=0.04)


def test_without_a_response_nothing_is_explainable():
    counts = np.random.default_rng(1).poisson(1.0, (10, 2000, 4))
    assert np.abs(explainable_variance(counts)).max() < 0.02
    seen = np.repeat(np.random.default_rng(2).random((10, 400, 4)) < 0.5, 5, axis=1)
    assert np.abs(explainable_variance(np.where(seen, counts, np.nan))).max() < 0.02


def test_what_does_not_vary_or_is_never_seen_twice_has_no_explainable_variance():
    levels = np.tile([[[1.0]], [[2.0]], [[3.0]]], (1, 7, 2))
    assert np.isnan(explainable_variance(levels)).all()
    once = np.full((2, 8, 1), np.nan)
    once[0, :4], once[1, 4:] = np.arange(4)[:, None], np.arange(4)[:, None]
    assert np.isnan(explainable_variance(once)).all()


def test_several_stimuli_are_one_long_one(truth):
    rate, recorded, _ = truth
    cut = [recorded[:, :100], recorded[:, 100:]]
    np.testing.assert_allclose(psth_correlation(cut, [rate[:100], rate[100:]]), psth_correlation(recorded, rate))


def test_cells_that_were_not_observed_do_not_count(truth):
    rate, recorded, _ = truth
    gaps = recorded.astype(float)
    gaps[3:] = np.nan
    np.testing.assert_allclose(psth_correlation(gaps, rate), psth_correlation(recorded[:3], rate))


def test_bits_of_many_simulations_approach_those_of_the_true_rates(truth):
    rate, recorded, rng = truth
    null = recorded.mean((0, 1)) / 0.1
    gain = recorded.mean(0) * np.log(rate / (null * 0.1)) - (rate - null * 0.1)
    true = 12 * gain.sum() / (recorded.sum() * np.log(2))
    scores = [
        sampled_bits_per_spike(recorded, rng.poisson(rate, (n, N_BINS, N_UNITS)), null, 0.1) for n in (5, 50, 1000)
    ]
    assert scores[0] < scores[1] < scores[2]
    assert scores[2] == pytest.approx(true, abs=0.01)


def test_simulations_without_a_response_score_as_constant_rates(truth):
    _, recorded, rng = truth
    mean = recorded.mean((0, 1))
    constant = rng.poisson(mean, (2, N_BINS, N_UNITS))
    assert abs(sampled_bits_per_spike(recorded, constant, mean / 0.1, 0.1)) < 0.02


def test_shrinkage_is_the_best_mixture_of_a_cells_mean_and_the_units():
    """Against all fixed mixtures, scored on the true rates."""
    rng = np.random.default_rng(1)
    rate = rng.gamma(2.0, 0.2, (2000, 1))
    sampled, recorded = rng.poisson(rate, (6, 2000, 1)), rng.poisson(rate, (40, 2000, 1))
    null = rate.mean(0)

    def bits(expected):
        gain = (recorded * np.log(expected / null) - expected + null).sum()
        return gain / (recorded.sum() * np.log(2))

    mixtures = [bits(w * sampled.mean(0) + (1 - w) * sampled.mean()) for w in np.linspace(0, 0.99, 100)]
    found = sampled_bits_per_spike(recorded, sampled, null / 0.1, 0.1)
    assert max(mixtures) - 0.01 < found <= max(mixtures) + 1e-9
    assert found > mixtures[85] + 0.02  # w = n / (n + 1), one more simulation at the mean rate


def test_simulations_that_never_fire_where_a_spike_was_recorded_have_a_finite_score():
    bits = sampled_bits_per_spike(np.ones((1, 4, 1)), np.zeros((3, 4, 1)), [10.0], 0.1)
    assert np.isfinite(bits) and bits < 0


@pytest.mark.parametrize("metric", [psth_correlation, lambda r, p: sampled_bits_per_spike(r, p, np.ones(2), 0.1)])
def test_one_simulated_train_is_not_a_rate(metric):
    with pytest.raises(ValueError, match="n_samples=1"):
        metric(np.ones((4, 5, 2)), np.ones((1, 5, 2)))


def test_responses_are_the_counts_of_each_trial_of_the_stimulus():
    trials = [[[0.1, 0.9], [0.3]], [[1.1], []], [[], [0.2, 0.25]]]
    spikes = SpikeTrains.from_lists(trials, 0.0, [1.0, 1.5, 1.0])
    responses = responses_by_stimulus(spikes, [7, 7, 8], 0.5)
    nan = np.nan
    np.testing.assert_array_equal(responses[7], [[[1, 1], [1, 0], [nan, nan]], [[0, 0], [0, 0], [1, 0]]])
    np.testing.assert_array_equal(responses[8], [[[0, 2], [0, 0]]])


def test_table_has_a_row_for_each_stimulus_and_unit(truth):
    rate, recorded, rng = truth
    table = response_table(
        {"a": recorded[:, :300], "b": recorded[:1, 300:]},
        {k: rng.poisson(rate[s], (6, 300, 3)) for k, s in (("a", slice(300)), ("b", slice(300, 600)))},
        0.1,
        unit_ids=["x", "y", "z"],
    )
    assert table.groupby("stimulus")["unit"].apply(list).to_dict() == {"a": ["x", "y", "z"], "b": ["x", "y", "z"]}
    assert table.query("stimulus == 'b'")["noise_ceiling"].isna().all()
    np.testing.assert_allclose(table["rate"][:3], recorded[:, :300].mean((0, 1)) / 0.1)


@pytest.mark.parametrize(
    ("recorded", "predicted", "match"),
    [
        (np.ones((4, 5)), np.ones((5, 2)), "shape"),
        (np.ones((4, 5, 2)), np.ones((6, 2)), "bins and units"),
        (np.ones((4, 5, 2)), np.ones((5, 3)), "bins and units"),
        (np.full((4, 5, 2), np.inf), np.ones((5, 2)), "finite"),
        ([], [], "at least one"),
        ([np.ones((4, 5, 2))], [np.ones((5, 2))] * 2, "one prediction a stimulus"),
        ([np.ones((4, 5, 2)), np.ones((4, 5, 3))], [np.ones((5, 2))] * 2, "same units"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(recorded, predicted, match):
    with pytest.raises(ValueError, match=match):
        psth_correlation(recorded, predicted)


def test_other_wrong_arguments_are_refused():
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)
    with pytest.raises(ValueError, match="one entry for each of 1 trials"):
        responses_by_stimulus(spikes, [1, 2], 0.5)
    with pytest.raises(TypeError, match="as_spike_trains"):
        responses_by_stimulus([[0.1]], [1], 0.5)
    with pytest.raises(ValueError, match="two repeats"):
        noise_ceiling(np.ones((1, 5, 2)))
    with pytest.raises(ValueError, match="two repeats"):
        explainable_variance(np.ones((1, 5, 2)))
    with pytest.raises(ValueError, match="n_splits"):
        noise_ceiling(np.ones((3, 5, 2)), n_splits=0)
    with pytest.raises(ValueError, match="n_samples"):
        noise_ceiling(np.ones((3, 5, 2)), n_samples=-2)
    with pytest.raises(ValueError, match="null_rates"):
        sampled_bits_per_spike(np.ones((3, 5, 2)), np.ones((3, 5, 2)), [1.0], 0.1)
    with pytest.raises(ValueError, match="same stimuli"):
        response_table({1: np.ones((3, 5, 2))}, {2: np.ones((3, 5, 2))}, 0.1)
    with pytest.raises(TypeError, match="dict"):
        psth_correlation({1: np.ones((3, 5, 2))}, np.ones((5, 2)))


def test_text_in_a_column_of_pandas_names_stimuli():
    spikes = SpikeTrains.from_lists([[[0.1]], [[0.6]], [[0.2, 0.3]]], 0.0, 1.0)
    responses = responses_by_stimulus(spikes, pd.Series(["a", "a", "b"], dtype=object), 0.5)
    assert [type(stimulus) for stimulus in responses] == [str, str]
    assert responses["a"][..., 0].tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize("missing", [np.nan, None])
def test_trials_of_unknown_stimulus_are_not_repeats_of_one(missing):
    spikes = SpikeTrains.from_lists([[[0.1]]] * 4, 0.0, 1.0)
    with pytest.raises(ValueError, match="2 such trials"):
        responses_by_stimulus(spikes, [0, 0, missing, missing], 0.5)
