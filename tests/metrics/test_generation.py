"""One table that judges simulations: the true process does well in it, wrong ones badly."""

import numpy as np
import pytest

from skneuro.baselines import HomogeneousPoisson, PSTHModel
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries, Video
from skneuro.datasets import make_stimulus_driven_population
from skneuro.metrics import evaluate_generation
from skneuro.metrics._simulated import simulate_trials
from skneuro.metrics.generation import _read

BIN = 0.1


class Oracle:
    """Draws from the rates that made the data."""

    bin_width = BIN

    def __init__(self, data):
        n_clips, n_frames, n_units = data.rates.shape
        self.mean = data.rates.reshape(n_clips, n_frames // 3, 3, n_units).mean(2) * BIN

    def sample(self, stimuli, n_samples=1, *, duration=None, random_state=None):
        (_, video), *_ = stimuli.items()
        clip = np.repeat(video.clip_ids, n_samples)
        counts = np.random.default_rng(random_state).poisson(self.mean[clip])
        return SpikeTrains.from_counts(counts, BIN, trial_ids=np.repeat(np.arange(len(video)), n_samples))


@pytest.fixture(scope="module")
def data():
    return make_stimulus_driven_population(
        n_units=5, n_clips=3, n_repeats=12, mean_rate=12.0, stimulus_gain=1.0, random_state=0
    )


@pytest.fixture(scope="module")
def halves(data):
    rows = np.arange(len(data.spikes))
    even, odd = rows[::2], rows[1::2]
    return Recording(data.spikes[even], Modalities(stimulus=data.video[even])), Recording(
        data.spikes[odd], Modalities(stimulus=data.video[odd])
    )


@pytest.fixture(scope="module")
def table(data, halves):
    train, test = halves
    constant = HomogeneousPoisson(bin_width=BIN).fit(train.spikes, train.modalities)
    return evaluate_generation(Oracle(data), test, train=train, baselines={"constant": constant}, n_samples=30)


def value(table, source, metric, column="value"):
    rows = table.query("source == @source and metric == @metric and unit.isna()")
    return rows[column].item()


def test_the_true_rates_reach_the_ceiling_and_a_constant_does_not(table):
    reached, ceiling = (value(table, "model", "psth_correlation", c) for c in ("value", "ceiling"))
    assert reached > 0.9 * ceiling
    assert value(table, "constant", "psth_correlation") < 0.3 * ceiling
    assert value(table, "model", "sampled_bits_per_spike") > 0.1 > value(table, "constant", "sampled_bits_per_spike")


def test_the_true_rates_are_as_near_as_training_data_and_a_constant_is_not(table):
    for metric in ("pairwise_correlation_rmse", "population_count_kl"):
        floor = value(table, "model", metric, "floor")
        assert value(table, "model", metric) < 2 * floor
        assert value(table, "constant", metric) > value(table, "model", metric)


def test_a_shuffle_keeps_rates_and_loses_what_units_do_together(table):
    assert value(table, "shuffled", "rate_rmse") == pytest.approx(0.0, abs=1e-9)
    metric = "pairwise_correlation_rmse"
    assert value(table, "shuffled", metric) > value(table, "model", metric)


def test_every_source_has_one_row_for_each_score_and_unit(table):
    assert not table.duplicated(["source", "metric", "unit"]).any()
    units = table.query("metric == 'psth_correlation' and source == 'model'")["unit"].dropna()
    assert units.tolist() == [0, 1, 2, 3, 4]
    assert set(table["source"]) == {"model", "constant", "shuffled"} and table.attrs["bin_width"] == BIN


def test_recorded_trials_with_a_common_variable_have_tuning(halves):
    train, test = halves
    speeds = [TimeSeries.from_lists([np.linspace(0, 3, 20)[:, None]] * len(part.spikes), rate=10.0) for part in halves]
    stimuli = [
        Modalities(stimulus=part.modalities["stimulus"], speed=s) for part, s in zip(halves, speeds, strict=True)
    ]
    model = PSTHModel(bin_width=BIN).fit(train.spikes, stimuli[0])
    table = evaluate_generation(
        model, test.spikes, stimuli[1], train=train.spikes, train_stimuli=stimuli[0], tuning={"speed": np.arange(4.0)}
    )
    row = table.query("source == 'model' and aspect == 'tuning' and unit.isna()")
    assert row["value"].item() > 0.8 and row["ceiling"].item() > 0.8


def test_without_a_stimulus_there_is_realism_alone():
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_counts([rng.poisson(0.5, (n, 3)) for n in (30, 40, 40, 30)], BIN, [0.0, 3.0, 8.0, 13.0])
    table = evaluate_generation(HomogeneousPoisson(bin_width=BIN).fit(spikes), spikes, window=BIN)
    assert set(table["aspect"]) == {"realism"}
    assert value(table, "model", "rate_ratio_error") < 0.2


def test_simulations_are_scored_where_their_trials_were_observed():
    """A unit was lost in most of the trials in which it is busy, and every trial begins with a past of 1 s."""
    cue = Modalities(cue=TimeSeries.from_lists([np.zeros((40, 1))] * 40, rate=10.0))
    rng, busy = np.random.default_rng(0), np.arange(40) % 2 == 1
    rate = np.where(busy, 3.0, 0.3)[:, None, None] * np.ones((40, 2))
    rate[:, :10] = 6.0
    observed = np.ones(rate.shape, dtype=bool)
    observed[np.flatnonzero(busy)[5:], 5:, 0] = False
    counts = np.where(observed, rng.poisson(rate), 0)
    spikes = SpikeTrains.from_counts(list(counts), BIN, observed=list(observed))
    spikes = spikes._with(context=1.0)

    class Truth:
        bin_width = BIN

        def sample(self, stimuli, n_samples=1, *, duration=None, random_state=None):
            n_bins = 40 if duration is None else round(duration / BIN)
            drawn = np.random.default_rng(random_state).poisson(rate.repeat(n_samples, axis=0)[:, :n_bins])
            return SpikeTrains.from_counts(drawn, BIN, trial_ids=np.arange(40).repeat(n_samples))

    table = evaluate_generation(Truth(), spikes, cue, n_samples=2, window=BIN, stimulus_ids=busy.astype(int))
    assert value(table, "model", "rate_ratio_error") < 0.05
    sampled, row = simulate_trials(Truth(), spikes, cue, 2, 0)
    for simulation in (0, 12, 79):
        mask = spikes[int(row[simulation])].bin(BIN).mask()
        np.testing.assert_array_equal(sampled[simulation].bin(BIN).mask(), mask)


def test_wrong_arguments_are_refused(data, halves):
    train, test = halves
    model = HomogeneousPoisson(bin_width=BIN).fit(train.spikes, train.modalities)
    with pytest.raises(ValueError, match="not a rate"):
        evaluate_generation(model, test, n_samples=1)
    with pytest.raises(TypeError, match="as_spike_trains"):
        evaluate_generation(model, [[0.1]])
    with pytest.raises(TypeError, match="Modalities"):
        evaluate_generation(model, test.spikes, np.zeros(3))
    with pytest.raises(ValueError, match="same 18 trials"):
        evaluate_generation(model, test.spikes, test.modalities[:3])
    with pytest.raises(ValueError, match="are taken"):
        evaluate_generation(model, test, baselines={"shuffled": model})
    with pytest.raises(ValueError, match="are taken"):
        evaluate_generation(model, test, baselines={"model": model})
    with pytest.raises(ValueError, match="'speed'"):
        evaluate_generation(model, test, tuning={"speed": [0, 1]})
    with pytest.raises(ValueError, match="same units"):
        evaluate_generation(model, test, train=train.spikes[:, [0, 1]])
    with pytest.raises(ValueError, match="one entry for each"):
        evaluate_generation(model, test, stimulus_ids=[1, 2])


def test_a_simulation_shorter_than_its_trial_is_refused(data, halves):
    class Short(Oracle):
        def sample(self, *args, **kwargs):
            return super().sample(*args, **kwargs).cut(1.0)[::2]

    with pytest.raises(ValueError, match="but its trial lasts"):
        evaluate_generation(Short(data), halves[1])


@pytest.mark.parametrize("lead", [0.0, 0.03, 0.17])
def test_a_stimulus_that_begins_before_the_trial_leaves_nothing_of_it_unsimulated(lead):
    """Its first sample is from before the trial, where it was held."""
    times = np.arange(25) * 0.1 - lead
    series = TimeSeries.from_lists([np.zeros((25, 1))] * 3, timestamps=[times + start for start in (4.0, 8.0, 20.0)])
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_counts(rng.poisson(5.0, (3, 20, 2)), BIN)
    spikes = SpikeTrains(
        spikes.times + np.repeat([4.0, 8.0, 20.0], np.diff(spikes.ptr)), spikes.units, spikes.ptr, [4.0, 8.0, 20.0],
        [6.0, 10.0, 22.0], unit_ids=[0, 1],
    )  # fmt: skip
    shown = Modalities(x=series)
    sampled, row = simulate_trials(HomogeneousPoisson(bin_width=BIN).fit(spikes, shown), spikes, shown, 4, 0)
    assert row.tolist() == np.repeat(np.arange(3), 4).tolist()
    np.testing.assert_array_equal(sampled.t_start, spikes.t_start[row])
    after = sampled.times - np.repeat(sampled.t_start, np.diff(sampled.ptr))
    counts = np.histogram(after, np.arange(21) * BIN)[0] / (4 * 3 * 2)
    assert counts == pytest.approx(5.0, rel=0.35)


def test_repeats_of_one_stimulus_are_told_apart_trial_by_trial(halves):
    """All trials in one group could not be divided into folds."""
    train, test = (Recording(half.spikes[:12], half.modalities[:12]) for half in halves)
    model = HomogeneousPoisson(bin_width=BIN).fit(train.spikes, train.modalities)
    table = evaluate_generation(model, test, train=train, n_samples=2, stimulus_ids=np.zeros(12, dtype=int))
    assert np.isfinite(value(table, "model", "two_sample_accuracy"))


class Shared:
    """Poisson counts; each pair of neighbouring units has a gain in common, that of later pairs is stronger."""

    bin_width = BIN

    def __init__(self, strength):
        self.strength = strength

    def counts(self, n_trials, rng):
        shared = rng.standard_normal((n_trials, 40, 3)) * self.strength * np.array([0.0, 0.4, 0.8])
        return rng.poisson(3 * np.exp(shared.repeat(2, axis=2)))

    def sample(self, stimuli, n_samples=1, *, duration=None, random_state=None):
        n_bins = 1 if duration is None else round(duration / BIN)
        counts = self.counts(len(stimuli) * n_samples, np.random.default_rng(random_state))[:, :n_bins]
        return SpikeTrains.from_counts(counts, BIN, trial_ids=np.repeat(np.arange(len(stimuli)), n_samples))


def test_noise_correlations_are_compared_pair_by_pair_below_their_ceiling():
    spikes = SpikeTrains.from_counts(Shared(1.0).counts(24, np.random.default_rng(0)), BIN)
    nothing = TimeSeries.from_lists([np.zeros((40, 1))] * 24, rate=10.0)
    table = evaluate_generation(
        Shared(1.0), spikes, nothing, stimulus_ids=np.arange(24) % 3, baselines={"independent": Shared(0.0)}
    )
    reached, ceiling = (value(table, "model", "noise_correlation", c) for c in ("value", "ceiling"))
    assert reached == pytest.approx(ceiling, abs=0.05) and 0.8 < ceiling <= 1
    assert abs(value(table, "independent", "noise_correlation")) < 0.6
    assert value(table, "model", "noise_correlation", "recorded") > 0.05
    assert value(table, "independent", "noise_correlation", "sampled") == pytest.approx(0.0, abs=0.02)


def test_noise_correlations_of_few_repeats_have_no_ceiling():
    """Halves of two repeats have none."""
    spikes = SpikeTrains.from_counts(Shared(1.0).counts(6, np.random.default_rng(0)), BIN)
    nothing = TimeSeries.from_lists([np.zeros((40, 1))] * 6, rate=10.0)
    table = evaluate_generation(Shared(1.0), spikes, nothing, stimulus_ids=np.arange(6) % 3)
    assert np.isnan(value(table, "model", "noise_correlation", "ceiling"))
    assert np.isfinite(value(table, "model", "noise_correlation"))
    alone = evaluate_generation(Shared(1.0), spikes, nothing, stimulus_ids=np.arange(6))
    assert "noise_correlation" not in set(alone["metric"])


def test_a_map_without_tuning_is_zero_and_not_a_unit_less():
    rng = np.random.default_rng(0)
    x = np.clip(np.cumsum(rng.normal(0, 0.3, (20, 200)), axis=1), -2, 1.99)
    rate = np.exp(np.stack([x, -x, x / 2, 0.8 * x], axis=-1) - 1)
    stimuli = Modalities(x=TimeSeries.from_lists(list(x[..., None]), rate=10.0))

    class Part:
        """Draws from the true rates, but for units that are silent."""

        bin_width = BIN

        def __init__(self, silent):
            self.silent = silent

        def sample(self, stimuli, n_samples=1, *, duration=None, random_state=None):
            n = np.arange(len(stimuli)).repeat(n_samples)
            counts = np.random.default_rng(random_state).poisson(rate[n % len(rate)])
            counts[..., self.silent] = 0
            return SpikeTrains.from_counts(counts, BIN, trial_ids=n)

    recorded, train = (SpikeTrains.from_counts(rng.poisson(rate), BIN) for _ in range(2))
    for reference in ({}, {"train": train, "train_stimuli": stimuli}):
        table = evaluate_generation(
            Part([1, 2, 3]), recorded, stimuli, baselines={"all": Part([])}, tuning={"x": np.linspace(-2, 2, 9)},
            n_samples=2, window=BIN, **reference,
        )  # fmt: skip
        assert value(table, "model", "tuning_correlation_x") == pytest.approx(0.25, abs=0.02)
        assert value(table, "all", "tuning_correlation_x") > 0.9


def test_named_training_stimuli_give_fano_factors_a_floor_of_their_own_kind():
    rng = np.random.default_rng(0)
    rate = np.repeat([0.02, 0.02, 0.6, 0.02], 5)[:, None] * np.ones(3)
    spikes = SpikeTrains.from_counts(rng.poisson(4 * rate, (60, 20, 3)), BIN)
    cue = Modalities(cue=TimeSeries.from_lists([np.arange(20.0)[:, None]] * 60, rate=10.0))
    model = PSTHModel(bin_width=BIN).fit(spikes[30:], cue[30:])
    ids = np.array(["a", "b"] * 15, dtype=object)
    settings = {"train": spikes[30:], "train_stimuli": cue[30:], "stimulus_ids": ids}
    named = evaluate_generation(model, spikes[:30], cue[:30], train_stimulus_ids=ids, **settings)
    assert value(named, "model", "fano_rmse", "floor") < 0.4
    assert value(named, "model", "noise_correlation_rmse", "floor") < 0.2
    unnamed = evaluate_generation(model, spikes[:30], cue[:30], **settings)
    assert np.isnan(value(unnamed, "model", "fano_rmse", "floor"))
    with pytest.raises(ValueError, match="give train="):
        evaluate_generation(model, spikes[:30], cue[:30], train_stimulus_ids=ids)
    with pytest.raises(ValueError, match="train_stimulus_ids must have"):
        evaluate_generation(model, spikes[:30], cue[:30], train_stimulus_ids=ids[:3], **settings)


def test_borders_are_given_by_the_name_of_a_modality(halves):
    train, test = halves
    model = HomogeneousPoisson(bin_width=BIN).fit(train.spikes, train.modalities)
    with pytest.raises(TypeError, match="dict of class borders"):
        evaluate_generation(model, test, tuning=["stimulus"])


def test_clips_of_training_are_not_taken_for_those_of_test_by_their_number():
    data = make_stimulus_driven_population(n_units=4, n_clips=4, n_repeats=3, random_state=0)
    first, last = data.video.clip_ids < 2, data.video.clip_ids >= 2
    ids = [_read(data.spikes[rows], data.video[rows], None, 0.05, "spikes").ids for rows in (first, last)]
    assert len(np.unique(ids[0])) == len(np.unique(ids[1])) == 2 and not set(ids[0]) & set(ids[1])
    blank = Video(np.zeros((2, 5, 2, 2)), fps=5.0, index=[0, 0, 1])  # equal pixels: by number
    assert len(np.unique(_read(data.spikes[:3], blank, None, 0.05, "spikes").ids)) == 2


def test_spikes_in_the_place_of_the_model_are_told(data):
    with pytest.raises(TypeError, match=r"the order is evaluate_generation\(model, spikes, stimuli\)"):
        evaluate_generation(data.spikes, HomogeneousPoisson(bin_width=BIN))


def test_a_clip_that_comes_on_late_is_no_repeat_of_one_that_does_not():
    """Units that follow a clip and nothing else would have noise correlations: what the onsets have in common."""
    rng = np.random.default_rng(0)
    late = np.repeat([0, 3, 6], 12)
    course = np.where(np.arange(40) % 6 < 3, 4.0, 0.2)
    drive = np.stack([np.concatenate([np.full(n, 0.5), course[: 40 - n]]) for n in late])
    spikes = SpikeTrains.from_counts(rng.poisson(drive[..., None] * np.ones(4)), BIN)
    times = np.arange(-10, 40) * BIN
    shown = Video(np.zeros((1, 50, 2, 2)), timestamps=times, index=np.zeros(36, dtype=int), t_start=late * BIN)
    model = HomogeneousPoisson(bin_width=BIN).fit(spikes, shown)
    with pytest.warns(UserWarning, match=r"0 to 0\.6 s after the start of its trials.*in the same bin are repeats"):
        table = evaluate_generation(model, spikes, shown, n_samples=2)
    assert value(table, "model", "noise_correlation", "recorded") == pytest.approx(0.0, abs=0.03)
    assert value(table, "model", "psth_correlation", "ceiling") > 0.9


def test_trials_whose_clips_come_on_within_half_a_bin_are_repeats(recwarn):
    """At whatever time in the trial: half a bin after its start, too, where some would be rounded up and some down."""
    shown = [0.05, 0.1, 0.14, 0.06, 0.4]
    video = Video(np.zeros((1, 5, 2, 2)), fps=5.0, index=[0] * 5, t_start=[10.0 + late for late in shown])
    spikes = SpikeTrains.from_counts(np.ones((5, 9, 1), dtype=int), BIN, 10.0)
    ids = [_read(spikes[rows], video[rows], None, BIN, "spikes").ids for rows in (slice(0, 4), [1])]
    assert len(set(ids[0])) == 1 and set(ids[0]) == set(ids[1]) and not recwarn
    with pytest.warns(UserWarning, match=r"0\.05 to 0\.4 s"):
        assert len(set(_read(spikes, video, None, BIN, "spikes").ids)) == 2
