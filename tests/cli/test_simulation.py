import numpy as np
import pytest

from skneuro.cli.events import Alignment
from skneuro.cli.names import written
from skneuro.cli.recordings import Loaded
from skneuro.cli.simulation import (
    align_to_starts,
    choose_alignment,
    n_usable,
    pieces,
    psth_agreement,
    simulate,
)
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.inspection import aligned_counts


class Echo:
    """Stands for a model: fires once a trial, at a time that tells which stimulus it was given."""

    def sample(self, stimuli=None, n_samples=1, *, duration=None, random_state=None):
        values = [0.1] * n_samples if stimuli is None else [s.values[0, 0] for s in stimuli["cue"]]
        return SpikeTrains.from_lists([[[v]] for v in values], 0.0, duration)


def trials(durations, cue=True):
    spikes = SpikeTrains.from_lists([[[0.01]] for _ in durations], 0.0, np.asarray(durations, dtype=float))
    if not cue:
        return Recording(spikes)
    values = [np.full((round(20 * d), 1), 0.01 * k) for k, d in enumerate(durations)]
    return Recording(spikes, Modalities(cue=TimeSeries.from_lists(values, rate=20.0)))


def test_every_trial_is_simulated_under_its_own_stimulus():
    recorded = trials([2.0, 2.0, 2.0])
    simulated = simulate(Echo(), recorded, seed=0)
    np.testing.assert_allclose(simulated.duration, 2.0)
    np.testing.assert_allclose(simulated.times, [0.0, 0.01, 0.02])


def test_without_a_stimulus_there_is_one_simulation_for_each_trial():
    assert simulate(Echo(), trials([2.0, 2.0], cue=False), seed=0).duration.tolist() == [2.0, 2.0]


def test_trials_of_one_length_are_shown_whole_and_spread_over_the_session():
    chosen = pieces(trials([2.0] * 30), most=3)
    assert chosen.modalities["cue"].values.min() == 0.0
    assert chosen.spikes.duration.tolist() == [2.0] * 3


def test_trials_of_several_lengths_are_cut_to_one():
    chosen = pieces(trials([1.0, 2.0, 2.0, 5.0, 7.0], cue=False), most=40)
    np.testing.assert_allclose(chosen.spikes.duration, 2.0)
    assert len(chosen) == 1 + 1 + 2 + 3


def test_a_population_that_fires_much_is_shown_for_less_time():
    times = np.arange(0.005, 20, 0.01)
    busy = Recording(SpikeTrains.from_unit_times({k: times for k in range(5)}, epochs=[[0.0, 20.0]]))
    assert pieces(busy, most=2, n_steps=1000).spikes.duration == pytest.approx(2.0)  # 500 spikes a second


def test_agreement_is_one_for_the_same_rates_and_nothing_for_others():
    rng = np.random.default_rng(0)

    def draw(rates):
        return SpikeTrains.from_counts(rng.poisson(np.broadcast_to(rates, (200, 50, 2))), 0.02)

    rates = np.exp(rng.standard_normal((50, 2)))
    alignment = Alignment("onset", (0.0, 1.0), 0.02, relative=[np.zeros(1)] * 200)
    same, halves = psth_agreement(draw(rates), draw(rates), alignment)
    other, _ = psth_agreement(draw(rates), draw(rates[::-1]), alignment)
    assert same == pytest.approx(halves, abs=0.03)
    assert same > 0.95
    assert abs(other) < 0.4


def test_what_is_averaged_around_follows_from_the_recording():
    rng = np.random.default_rng(1)
    spikes = SpikeTrains.from_lists([[np.sort(rng.uniform(0, 8, 80))] for _ in range(12)], 0.0, 8.0)
    t = np.arange(0, 8, 0.05)
    run = [np.where((t > 2) & (t < 5), 15.0, 0.0)[:, None]] * 12
    speed = Modalities(speed=TimeSeries.from_lists(run, timestamps=[t] * 12))
    assert choose_alignment(Loaded("a", spikes, repeats=True), Recording(spikes)).name == "stimulus onset"
    moving = choose_alignment(Loaded("b", spikes), Recording(spikes, speed))
    assert moving.name == "onset of movement"
    np.testing.assert_allclose(np.concatenate(moving.relative), 2.05, atol=0.051)
    assert choose_alignment(Loaded("c", spikes), Recording(spikes)).name == "rise of the population rate"


def test_only_events_with_their_whole_window_inside_the_trial_are_usable():
    spikes = SpikeTrains.from_lists([[[0.5]], [[5.5]]], t_start=0.0, t_stop=6.0)
    relative = [np.array([0.2, 1.0]), np.array([3.0, 5.5])]
    alignment = Alignment("cue", (-0.5, 1.0), 0.1, relative=relative)
    assert n_usable(spikes, alignment) == 2
    time, counts = aligned_counts(spikes, alignment.events(spikes), window=(-0.5, 1.0), bin_width=0.1)
    assert len(counts) == 2


def test_a_steady_population_is_averaged_around_the_start_of_each_piece():
    steady = SpikeTrains.from_lists([[np.arange(0.005, 4, 0.01)]] * 3, 0.0, 4.0)
    alignment = choose_alignment(Loaded("a", steady), Recording(steady))
    assert n_usable(steady, alignment) == 3
    assert alignment.name == "start of the piece"


def test_a_single_event_has_no_agreement():
    one = SpikeTrains.from_lists([[[0.5]]], 0.0, 1.0)
    assert np.isnan(psth_agreement(one, one, align_to_starts(one))).all()


def test_metrics_are_written_as_one_writes_them():
    assert written("isi_sd_rmse") == "ISI sd RMSE"
    assert written("victor_purpura") == "Victor Purpura"
    assert written("population_count_kl") == "population count KL"
