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


def test_shuffling_leaves_the_past_of_a_block_as_it_was(recorded):
    blocks = recorded.cut(2.0, context=0.5)
    shuffled = shuffled_trials(blocks)
    np.testing.assert_array_equal(shuffled.context, blocks.context)
    before, after = blocks.bin(BIN), shuffled.bin(BIN)
    np.testing.assert_array_equal(after.mask(), before.mask())
    past = ~before.mask().all(axis=1)
    assert past.sum() == 30 * 10  # the second block of each trial carries half a second of the first
    np.testing.assert_array_equal(after.dense()[past], before.dense()[past])
    np.testing.assert_array_equal(after.unit_counts(), before.unit_counts())
    assert abs(np.nanmean(pairwise_correlations(shuffled, BIN))) < 0.03


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


def test_a_class_that_was_hardly_visited_does_not_decide_over_the_correlation():
    """One glitch of the tracking, with two spikes in it, in 16 minutes."""
    rng = np.random.default_rng(10)
    position = np.abs(np.linspace(0, 40, 20_000) % 2 - 1)
    edges = np.linspace(0, 1.5, 31)

    def maps(glitch, **settings):
        counts, at = rng.poisson(0.5 * np.exp(-0.5 * ((position - 0.5) / 0.15) ** 2) + 0.01), position.copy()
        at[500] = 1.3
        counts[500] = glitch
        series = TimeSeries.from_lists([at], rate=1 / BIN)
        return tuning_maps(SpikeTrains.from_counts(counts[None, :, None], BIN), series, edges, BIN, **settings)

    assert map_correlation(maps(2), maps(0))[0] < 0.5
    assert map_correlation(maps(2, min_occupancy=0.5), maps(0, min_occupancy=0.5))[0] > 0.98
    assert np.isfinite(maps(2, min_occupancy=BIN)[0, 26]) and np.isnan(maps(2, min_occupancy=1.01 * BIN)[0, 26])


def test_a_nearly_silent_unit_can_be_left_out_of_the_intervals():
    counts = np.random.default_rng(11).poisson(0.3, (3, 20, 500, 5))
    counts[..., 4] = 0
    plain = [SpikeTrains.from_counts(c, BIN) for c in counts]
    counts[0, 3, [0, 499], 4] = 1  # one interval of 25 s
    counts[1, 3, [0, 3], 4] = 1  # one of 0.15 s
    rare = [SpikeTrains.from_counts(c, BIN) for c in counts]

    def row(trains, metric="isi_mean_rmse", **settings):
        table = realism_table(trains[0], trains[1], BIN, reference=trains[2], **settings).set_index("metric")
        return table.loc[metric, ["value", "floor", "recorded", "sampled"]].astype(float)

    assert row(rare)["value"] > 10
    for metric in ("isi_mean_rmse", "isi_sd_rmse", "rate_rmse"):
        np.testing.assert_allclose(row(rare, metric, min_intervals=5), row(plain, metric), atol=1e-3)
    with pytest.raises(ValueError, match="min_intervals must be an int"):
        realism_table(rare[0], rare[1], BIN, min_intervals=2.5)


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
    with pytest.raises(ValueError, match="at least 0 s"):
        tuning_maps(recorded, series, [0, 1], BIN, min_occupancy=-1.0)


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


def test_spikes_that_were_not_seen_have_no_distance():
    pytest.importorskip("elephant")
    times = np.arange(0.01, 1.0, 0.02)
    whole = SpikeTrains.from_lists([[times]] * 4, 0.0, 1.0)
    gaps = [[[0.0, 0.5]], [[0.0, 1.0]], [[0.0, 1.0]], [[0.0, 1.0]]]
    half = SpikeTrains.from_lists([[times[times < 0.5]]] + [[times]] * 3, 0.0, 1.0, observed=gaps)
    with pytest.raises(ValueError, match="observed in whole"):
        spike_train_distance(half, whole)
    table = realism_table(half, whole, BIN, reference=whole).set_index("metric")
    assert table.loc[["victor_purpura", "van_rossum"], "value"].tolist() == [0.0, 0.0]


# ------------------------------------------------------------------------------- what is known of the stimulus


def responsive(seed, n_trials=40):
    """Poisson trials with one strong response: given the stimulus the Fano factor is 1, over all windows it is 10."""
    rate = np.repeat([0.02, 0.02, 0.6, 0.02], 25)[:, None] * np.ones(4)
    return SpikeTrains.from_counts(np.random.default_rng(seed).poisson(rate, (n_trials, 100, 4)), 0.02)


def test_both_sides_of_a_difference_are_given_the_stimulus_or_neither_is():
    recorded, sampled, reference = (responsive(seed) for seed in range(3))
    same = np.zeros(40, dtype=int)
    named = realism_table(
        recorded, sampled, 0.02, reference=reference, stimulus_ids=same, sampled_stimulus_ids=same,
        reference_stimulus_ids=same,
    ).set_index("metric")  # fmt: skip
    assert named.loc["fano_rmse", "value"] < 0.3 and named.loc["fano_rmse", "floor"] < 0.3
    assert named.loc["fano_rmse", "recorded"] == pytest.approx(1.0, abs=0.1)
    unnamed = realism_table(recorded, sampled, 0.02, reference=reference, stimulus_ids=same).set_index("metric")
    nothing = realism_table(recorded, sampled, 0.02, reference=reference).set_index("metric")
    assert unnamed.loc["fano_rmse"].equals(nothing.loc["fano_rmse"])
    assert nothing.loc["fano_rmse", ["recorded", "sampled"]].min() > 8
    floorless = realism_table(
        recorded, sampled, 0.02, reference=reference, stimulus_ids=same, sampled_stimulus_ids=same
    ).set_index("metric")
    assert floorless.loc["fano_rmse", "value"] == named.loc["fano_rmse", "value"]
    assert np.isnan(floorless.loc[["fano_rmse", "noise_correlation_rmse"], "floor"].to_numpy(dtype=float)).all()


def test_trials_shorter_than_the_window_have_every_other_number():
    recorded, sampled = (population(seed)[:20].cut(8 * BIN) for seed in range(2))  # 0.4 s
    table = realism_table(recorded, sampled, BIN, window=10 * BIN).set_index("metric")
    assert np.isnan(table.loc["fano_rmse", "value"])
    assert np.isfinite(table.loc["rate_rmse", "value"])


def test_what_the_classifier_never_saw_is_no_accuracy(recorded):
    sampled = population(1)
    ones = np.ones(30, dtype=int)
    with pytest.raises(ValueError, match="at least two folds"):
        two_sample_accuracy(recorded, sampled, BIN, groups=(0 * ones, ones))
    table = realism_table(recorded, sampled, BIN, stimulus_ids=0 * ones, sampled_stimulus_ids=ones)
    assert np.isnan(table.set_index("metric").loc["two_sample_accuracy", "value"])


def test_the_last_class_holds_its_upper_border_as_in_numpy():
    values = np.array([0.0, 0.5, 1.0, 1.0])
    spikes = SpikeTrains.from_lists([[[0.6, 0.7, 0.8]]], 0.0, 1.0)  # two spikes in the third bin, one in the last
    edges = np.linspace(0, 1, 3)
    maps = tuning_maps(spikes, TimeSeries.from_lists([values], rate=4.0), edges, 0.25)
    counts = np.histogram(values, edges, weights=[0, 0, 2, 1])[0] / np.histogram(values, edges)[0]
    np.testing.assert_allclose(maps[0], counts / 0.25)


@pytest.mark.parametrize("edges", [10, [], "ab"])
def test_edges_are_borders_and_no_number_of_them(recorded, edges):
    series = TimeSeries.from_lists([np.zeros((80, 1))] * 30, rate=1 / BIN)
    with pytest.raises(ValueError, match="borders of the classes"):
        tuning_maps(recorded, series, edges, BIN)


def test_trials_of_other_stimuli_are_no_floor_of_distances():
    """The training trials showed another stimulus: how far they are from the held-out ones says what stimuli do."""
    rng = np.random.default_rng(0)
    on = np.repeat([1.0, 0.02], 40)[:, None]
    rate = {"first": on, "other": on[::-1]}

    def draw(stimulus, n=8):
        return SpikeTrains.from_counts(rng.poisson(rate[stimulus], (n, 80, 3)), BIN)

    recorded, sampled, reference = draw("first"), draw("first"), draw("other")
    table = realism_table(
        recorded, sampled, BIN, reference=reference, stimulus_ids=["first"] * 8, sampled_stimulus_ids=["first"] * 8,
        reference_stimulus_ids=["other"] * 8,
    ).set_index("metric")  # fmt: skip
    for metric in ("victor_purpura", "van_rossum"):
        value, floor = table.loc[metric, ["value", "floor"]]
        assert 0.8 < value / floor < 1.25
        assert floor < 0.8 * spike_train_distance(recorded, reference, kind=metric).mean()
