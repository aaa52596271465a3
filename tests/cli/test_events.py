import numpy as np
import pytest

from skneuro.cli.events import Alignment, movement_onsets, population_events, population_rate
from skneuro.data import SpikeTrains, TimeSeries


def test_movement_begins_when_the_speed_rises_and_not_again_while_it_goes_on():
    t = np.arange(0, 20, 0.1)
    speed = np.where(((t > 4.95) & (t < 8)) | ((t > 11.95) & (t < 15)), 20.0, 0.2)
    speed[63] = 0.2  # one lost sample does not end a run
    series = TimeSeries.from_lists([speed[:, None]], timestamps=[t])
    (events,) = movement_onsets(series, np.array([0.0]), np.array([20.0]))
    np.testing.assert_allclose(events, [5.0, 12.0], atol=0.051)


def test_a_velocity_counts_by_its_length():
    t = np.arange(0, 10, 0.1)
    there_and_back = np.where(t < 5, 0.0, np.where((t * 2).astype(int) % 2 == 0, 10.0, -10.0))
    series = TimeSeries.from_lists([np.column_stack([there_and_back, np.zeros(t.size)])], timestamps=[t])
    (events,) = movement_onsets(series, np.array([0.0]), np.array([10.0]))
    np.testing.assert_allclose(events, [5.0], atol=0.051)


def onsets(speed, rate=20.0):
    series = TimeSeries.from_lists([speed], rate=rate)
    return movement_onsets(series, np.array([0.0]), np.array([len(speed) / rate]))[0]


def test_an_animal_that_hardly_ever_runs_begins_when_it_does_and_not_when_the_wheel_trembles():
    speed = np.abs(np.random.default_rng(0).normal(0, 0.05, 12_000))
    starts = np.arange(20, 580, 50)
    for start in starts:
        speed[start * 20 : start * 20 + 60] += 20  # 6 % of the time
    np.testing.assert_allclose(onsets(speed), starts, atol=0.051)


@pytest.mark.parametrize("draw", ["normal", "exponential", "lognormal", "uniform"])
def test_speeds_of_one_kind_have_no_onsets(draw):
    assert onsets(np.abs(getattr(np.random.default_rng(0), draw)(size=12_000))).size == 0


def test_tracking_that_is_found_again_is_no_onset():
    speed = np.full(4000, 20.0)
    speed[:1000] = 0.0
    for lost in range(1200, 4000, 200):
        speed[lost : lost + 10] = np.nan
    np.testing.assert_allclose(onsets(speed), [50.0], atol=0.051)
    speed[998] = np.nan  # nobody knows when it began
    assert onsets(speed).size == 0
    assert onsets(np.full(40, np.nan)).size == 0


def test_population_events_are_the_upward_crossings():
    burst = np.concatenate([np.linspace(3.01, 3.29, 40), np.linspace(7.01, 7.29, 40)])
    spikes = SpikeTrains.from_unit_times({0: burst, 1: burst}, epochs=[[0.0, 10.0]])
    (events,) = population_events(spikes, level=50.0)
    np.testing.assert_allclose(events, [3.0, 7.0])


def test_the_population_rate_is_per_unit():
    spikes = SpikeTrains.from_unit_times({0: [0.05, 0.06], 1: []}, epochs=[[0.0, 0.2]])
    rate, edges = population_rate(spikes, 0, 0.1)
    np.testing.assert_allclose(rate, [10.0, 0.0])
    np.testing.assert_allclose(edges, [0.0, 0.1, 0.2])


def test_time_that_was_not_observed_is_no_silence_from_which_the_rate_rises():
    steady = np.arange(0.025, 10, 0.05)
    seen = steady[(steady < 4) | (steady > 6)]
    observed = [[0.0, 4.0], [6.0, 10.0]]
    spikes = SpikeTrains.from_unit_times({0: seen, 1: seen}, epochs=[[0.0, 10.0]], observed=observed)
    assert population_events(spikes, level=10.0)[0].size == 0
    rate, _ = population_rate(spikes, 0, 0.1)
    np.testing.assert_allclose(rate, np.r_[np.full(40, 20.0), np.full(20, np.nan), np.full(40, 20.0)])
    lost = SpikeTrains.from_unit_times({0: steady, 1: []}, epochs=[[0.0, 10.0]], observed={1: np.empty((0, 2))})
    np.testing.assert_allclose(population_rate(lost, 0, 0.1)[0], 20.0)


@pytest.mark.parametrize("start", [0.0, 30.0])
def test_relative_events_move_with_the_start_of_the_trial(start):
    spikes = SpikeTrains.from_lists([[[start + 0.5]]], start, start + 1.0)
    alignment = Alignment("cue", (0.0, 0.5), 0.1, relative=[np.array([0.2])])
    assert alignment.events(spikes)[0] == pytest.approx([start + 0.2])
