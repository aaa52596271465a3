import numpy as np
import pytest

from skneuro.baselines import HomogeneousPoisson
from skneuro.cli.events import Alignment
from skneuro.cli.figures import statistics_figure
from skneuro.cli.names import written
from skneuro.cli.recordings import Loaded
from skneuro.cli.simulation import (
    align_to_starts,
    choose_alignment,
    judge,
    n_usable,
    pieces,
    psth_agreement,
    simulate,
)
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.inspection import aligned_counts


class Echo:
    """Stands for a model: fires once a trial, at a time that tells which stimulus it was given."""

    bin_width = 0.05

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
    assert choose_alignment(Loaded("a", spikes, repeats=True), Recording(spikes), 0.02).name == "stimulus onset"
    moving = choose_alignment(Loaded("b", spikes), Recording(spikes, speed), 0.02)
    assert moving.name == "onset of movement"
    np.testing.assert_allclose(np.concatenate(moving.relative), 2.05, atol=0.051)
    assert choose_alignment(Loaded("c", spikes), Recording(spikes), 0.02).name == "rise of the population rate"


def test_only_events_with_their_whole_window_inside_the_trial_are_usable():
    spikes = SpikeTrains.from_lists([[[0.5]], [[5.5]]], t_start=0.0, t_stop=6.0)
    relative = [np.array([0.2, 1.0]), np.array([3.0, 5.5])]
    alignment = Alignment("cue", (-0.5, 1.0), 0.1, relative=relative)
    assert n_usable(spikes, alignment) == 2
    time, counts = aligned_counts(spikes, alignment.events(spikes), window=(-0.5, 1.0), bin_width=0.1)
    assert len(counts) == 2


def test_a_steady_population_is_averaged_around_the_start_of_each_piece():
    steady = SpikeTrains.from_lists([[np.arange(0.005, 4, 0.01)]] * 3, 0.0, 4.0)
    alignment = choose_alignment(Loaded("a", steady), Recording(steady), 0.02)
    assert n_usable(steady, alignment) == 3
    assert alignment.name == "start of the piece"


def test_a_single_event_has_no_agreement():
    one = SpikeTrains.from_lists([[[0.5]]], 0.0, 1.0)
    assert np.isnan(psth_agreement(one, one, align_to_starts(one, 0.05))).all()


def test_metrics_are_written_as_one_writes_them():
    assert written("isi_sd_rmse") == "ISI sd RMSE"
    assert written("victor_purpura") == "Victor Purpura"
    assert written("population_count_kl") == "population count KL"


def test_a_simulation_has_the_clock_of_its_trial():
    spikes = SpikeTrains.from_lists([[[5.5]], [[21.0]]], [5.0, 20.0], [7.0, 22.0])
    simulated = simulate(Echo(), Recording(spikes), seed=0)
    assert simulated.t_start.tolist() == [5.0, 20.0]
    np.testing.assert_allclose(simulated.times, [5.1, 20.1])


@pytest.mark.parametrize("bin_width", [0.01, 0.03, 0.0625])
def test_mean_rates_are_in_whole_bins_of_the_model(bin_width):
    """A constant rate drawn in bins of the model has no response."""
    spikes = SpikeTrains.from_counts(np.ones((25, round(6 / bin_width), 1), dtype=int), bin_width)
    t = np.arange(0, 6, 0.05)
    speed = TimeSeries.from_lists([np.where((t > 2) & (t < 3), 15.0, 0.0)[:, None]] * 25, rate=20.0)
    moving = Recording(spikes, Modalities(speed=speed))
    found = [
        choose_alignment(Loaded("a", spikes, repeats=True), Recording(spikes), bin_width),
        choose_alignment(Loaded("b", spikes), moving, bin_width),
        choose_alignment(Loaded("c", spikes), Recording(spikes), bin_width),
    ]
    assert [a.name for a in found] == ["stimulus onset", "onset of movement", "start of the piece"]
    for alignment in found:
        _, counts = aligned_counts(
            spikes, alignment.events(spikes), window=alignment.window, bin_width=alignment.bin_width
        )
        np.testing.assert_allclose(counts / alignment.bin_width, 1 / bin_width)


def test_pieces_shorter_than_half_a_second_are_judged_in_shorter_windows():
    rng = np.random.default_rng(2)
    spikes = SpikeTrains.from_counts(rng.poisson(0.3, (40, 20, 3)), 0.02)  # 0.4 s
    model = HomogeneousPoisson(bin_width=0.02).fit(spikes[20:])
    judged = judge(model, {}, Recording(spikes[:20]), Recording(spikes[20:]), True, 0)
    fano = judged.query("source == 'model' and metric == 'fano_rmse'").iloc[0]
    assert np.isfinite(fano["value"]) and np.isfinite(fano["floor"])


def test_repeated_trials_are_judged_given_the_stimulus_and_so_is_their_floor():
    rng = np.random.default_rng(3)
    rate = np.repeat([0.02, 0.6, 0.02, 0.02], 25)[:, None] * np.ones(3)
    spikes = SpikeTrains.from_counts(rng.poisson(rate, (60, 100, 3)), 0.02)
    model = HomogeneousPoisson(bin_width=0.02).fit(spikes[30:])
    judged = judge(model, {}, Recording(spikes[:30]), Recording(spikes[30:]), True, 0)
    floors = judged.query("source == 'model'").set_index("metric")["floor"]
    assert floors["fano_rmse"] < 0.5 and floors["noise_correlation_rmse"] < 0.1


def test_figures_count_observed_time_alone():
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(4)
    observed = np.ones((10, 200, 3), dtype=bool)
    observed[5:] = False
    counts = rng.poisson(1, observed.shape)
    recorded = SpikeTrains.from_counts(counts * observed, 0.05, observed=observed)
    figure = statistics_figure(recorded, SpikeTrains.from_counts(counts, 0.05), 0.05)
    rates, pairs = (ax.collections[0].get_offsets()[:, 0] for ax in figure.axes[:2])
    np.testing.assert_allclose(rates, counts[:5].mean(axis=(0, 1)) / 0.05)
    np.testing.assert_allclose(pairs, np.corrcoef(counts[:5].reshape(-1, 3).T)[np.triu_indices(3, 1)])
    share = figure.axes[2].lines[0].get_ydata()
    assert share[0] == pytest.approx((counts[:5].sum(axis=2) == 0).mean())
