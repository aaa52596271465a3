"""Simulated against recorded trials: equal processes are at the floor, others above it."""

import numpy as np
import pytest

from skneuro.data import SpikeTrains, TimeSeries
from skneuro.metrics import (
    map_correlation,
    pairwise_correlations,
    realism_table,
    shuffled_trials,
    spike_train_distance,
    tuning_maps,
    two_sample_accuracy,
)

BIN = 0.05


def population(seed, shared=0.5, n_trials=30, n_units=5, rate=0.6):
    rng = np.random.default_rng(seed)
    drive = np.exp(shared * rng.normal(size=(n_trials, 80, 1)) - shared**2 / 2)
    return SpikeTrains.from_counts(rng.poisson(rate * drive, (n_trials, 80, n_units)), BIN)


@pytest.fixture(scope="module")
def recorded():
    return population(0)


def test_a_simulation_of_the_same_process_is_about_at_the_floor(recorded):
    table = realism_table(recorded, population(1), BIN, reference=population(2)).set_index("metric")
    for metric in ("population_count_kl", "pairwise_correlation_rmse", "fano_rmse", "autocorrelation_rmse"):
        assert table.loc[metric, "value"] < 2.5 * table.loc[metric, "floor"] + 1e-3
    assert abs(table.loc["two_sample_accuracy", "value"] - 0.5) < 0.08
    assert abs(table.loc["two_sample_accuracy", "floor"] - 0.5) < 0.08


def test_independent_units_are_found_out(recorded):
    table = realism_table(recorded, population(1, shared=0.0), BIN, reference=population(2)).set_index("metric")
    for metric in ("population_count_kl", "pairwise_correlation_rmse", "shared_variance_difference"):
        assert table.loc[metric, "value"] > 3 * table.loc[metric, "floor"]
    assert table.loc["two_sample_accuracy", "value"] > table.loc["two_sample_accuracy", "floor"] + 0.1
    assert table.loc["pairwise_correlation_rmse", "recorded"] == pytest.approx(
        np.nanmean(pairwise_correlations(recorded, BIN))
    )


def test_a_recording_does_not_differ_from_itself(recorded):
    table = realism_table(recorded, recorded, BIN).set_index("metric")
    apart = table["value"].drop(["two_sample_accuracy", "noise_correlation_rmse", "victor_purpura", "van_rossum"])
    np.testing.assert_allclose(apart, 0.0, atol=1e-12)


def test_noise_correlations_appear_with_repeats(recorded):
    ids = np.repeat([0, 1], 15)
    table = realism_table(recorded, population(1, shared=0.0), BIN, stimulus_ids=ids, sampled_stimulus_ids=ids)
    row = table.set_index("metric").loc["noise_correlation_rmse"]
    assert row["value"] > 2 * row["floor"] and row["recorded"] > 0.05 > abs(row["sampled"])


def test_one_long_trial_needs_a_reference():
    one = SpikeTrains.from_counts(np.random.default_rng(0).poisson(1.0, (200, 3)), BIN)
    with pytest.raises(ValueError, match="reference"):
        realism_table(one, one, BIN)
    assert np.isnan(realism_table(one, one, BIN, reference=one).set_index("metric").loc["two_sample_accuracy", "value"])


def test_other_units_and_wrong_labels_are_refused(recorded):
    with pytest.raises(ValueError, match="same units"):
        realism_table(recorded, population(1, n_units=4), BIN)
    with pytest.raises(ValueError, match="sampled_stimulus_ids"):
        realism_table(recorded, recorded, BIN, sampled_stimulus_ids=[1, 2])
    with pytest.raises(ValueError, match="bin_width"):
        realism_table(recorded, recorded, -1.0)
    with pytest.raises(ValueError, match="window must be a multiple"):
        realism_table(recorded, recorded, BIN, window=0.12)


# ------------------------------------------------------------------------------------------ the shuffle


def test_shuffling_keeps_every_spike_and_ends_correlations(recorded):
    shuffled = shuffled_trials(recorded)
    for trial in range(3):
        assert [len(t) for t in shuffled.trial(trial)] == [len(t) for t in recorded.trial(trial)]
    assert np.nanmean(pairwise_correlations(recorded, BIN)) > 0.05
    assert abs(np.nanmean(pairwise_correlations(shuffled, BIN))) < 0.03
    assert shuffled.n_spikes == recorded.n_spikes


def test_trials_with_gaps_are_not_shuffled():
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0, observed=[[0.0, 0.5]])
    with pytest.raises(ValueError, match="not observed"):
        shuffled_trials(spikes)


# ----------------------------------------------------------------------------------------- the classifier


def test_the_classifier_cannot_learn_a_stimulus_by_heart():
    """Each trial has a rate of its own; whoever saw a trial of it in training would know which set it is from."""
    rng = np.random.default_rng(6)
    rate = rng.gamma(4.0, 0.5, (24, 1, 3))
    a, b = (SpikeTrains.from_counts(rng.poisson(rate, (24, 80, 3)), BIN) for _ in range(2))
    assert abs(two_sample_accuracy(a, b, BIN) - 0.5) < 0.08


def test_the_classifier_sees_refractoriness_in_the_bins_it_is_given():
    rng = np.random.default_rng(7)
    poisson = SpikeTrains.from_counts(rng.poisson(0.5, (20, 200, 3)), BIN)
    binary = SpikeTrains.from_counts(rng.random((20, 200, 3)) < 0.5, BIN)
    assert two_sample_accuracy(poisson, binary, BIN) > 0.85


def test_wrong_arguments_of_the_classifier_are_refused(recorded):
    with pytest.raises(ValueError, match="at least two groups"):
        two_sample_accuracy(recorded[:1], recorded[:1], BIN)
    with pytest.raises(ValueError, match="n_folds"):
        two_sample_accuracy(recorded, recorded, BIN, n_folds=1)
    with pytest.raises(ValueError, match="shorter window"):
        two_sample_accuracy(recorded, recorded, BIN, window=50.0)
    with pytest.raises(ValueError, match="groups must have one entry"):
        two_sample_accuracy(recorded, recorded, BIN, groups=([0], [1]))


# ------------------------------------------------------------------------------------------------- tuning


def test_tuning_is_the_rate_at_each_value():
    rng = np.random.default_rng(8)
    speed = rng.uniform(0, 3, (10, 400))
    rate = 5.0 * np.floor(speed) + 2.0
    spikes = SpikeTrains.from_counts(rng.poisson(rate * BIN)[..., None], BIN)
    series = TimeSeries.from_lists(list(speed[..., None]), rate=1 / BIN)
    maps = tuning_maps(spikes, series, [0.0, 1.0, 2.0, 3.0, 4.0], BIN)
    np.testing.assert_allclose(maps[0, :3], [2, 7, 12], atol=0.9)
    assert np.isnan(maps[0, 3])


def test_a_place_field_is_where_the_unit_fires():
    rng = np.random.default_rng(9)
    position = rng.uniform(0, 4, (4, 2000, 2))
    inside = (position[..., 0] < 1) & (position[..., 1] >= 3)
    spikes = SpikeTrains.from_counts(rng.poisson(np.where(inside, 1.0, 0.05))[..., None], BIN)
    maps = tuning_maps(spikes, TimeSeries.from_lists(list(position), rate=1 / BIN), [np.arange(5.0)] * 2, BIN)
    assert maps.shape == (1, 4, 4) and np.unravel_index(maps[0].argmax(), (4, 4)) == (0, 3)
    assert map_correlation(maps, maps + 1.0)[0] == pytest.approx(1.0)


def test_wrong_arguments_of_tuning_are_refused(recorded):
    series = TimeSeries.from_lists([np.zeros((80, 1))] * 30, rate=1 / BIN)
    with pytest.raises(TypeError, match="TimeSeries"):
        tuning_maps(recorded, np.zeros(80), [0, 1], BIN)
    with pytest.raises(ValueError, match="same 30 trials"):
        tuning_maps(recorded, series[:3], [0, 1], BIN)
    with pytest.raises(ValueError, match="ascend"):
        tuning_maps(recorded, series, [1, 0], BIN)
    with pytest.raises(ValueError, match="borders of 1 signals"):
        tuning_maps(recorded, series, [[0, 1], [0, 1]], BIN)
    with pytest.raises(ValueError, match="one shape"):
        map_correlation(np.ones((2, 3)), np.ones((2, 4)))


# ----------------------------------------------------------------------------------------------- distances


def test_distances_are_the_textbooks():
    pytest.importorskip("elephant")
    a = SpikeTrains.from_lists([[[0.1, 0.5], [0.2], []]], 0.0, 1.0)
    b = SpikeTrains.from_lists([[[10.11, 10.5], [], []]], 10.0, 11.0)
    # moving a spike by 10 ms at 20 ms costs a half, deleting one costs 1
    np.testing.assert_allclose(spike_train_distance(a, b), [0.5, 1.0, 0.0], atol=1e-9)
    van_rossum = spike_train_distance(a, b, kind="van_rossum")
    np.testing.assert_allclose(van_rossum, [np.sqrt(2 * (1 - np.exp(-0.5))), 1.0, 0.0], atol=1e-6)


def test_wrong_arguments_of_distances_are_refused(recorded):
    with pytest.raises(ValueError, match="victor_purpura"):
        spike_train_distance(recorded, recorded, kind="victor")
    with pytest.raises(ValueError, match="same number of trials"):
        spike_train_distance(recorded, recorded[:3])
    with pytest.raises(ValueError, match="time_scale"):
        spike_train_distance(recorded, recorded, time_scale=0)
