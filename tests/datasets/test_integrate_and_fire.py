"""The cells against closed forms: firing without noise, size and time of a synaptic potential."""

import numpy as np
import pytest

from skneuro.datasets._integrate_and_fire import LeakyNetwork, ornstein_uhlenbeck

STEP = 0.5e-3


def _run(weights, delay_steps, drive, n_steps, noise_sd=0.0, n_copies=1, seed=0, **kwargs):
    network = LeakyNetwork(
        np.array(weights, dtype=float),
        np.array(delay_steps),
        noise_sd=noise_sd,
        n_copies=n_copies,
        rng=np.random.default_rng(seed),
    )
    return network.run(np.array(drive, dtype=float), n_steps, **kwargs)


@pytest.mark.parametrize("drive", [21.0, 25.0, 40.0])
def test_a_noiseless_cell_fires_at_the_rate_of_the_closed_form(drive):
    steps, _ = _run([[0.0]], [[1]], [drive], 4000)
    expected = 3e-3 + 15e-3 * np.log((drive - 5.0) / (drive - 20.0))  # refractory period, then 5 mV to 20 mV
    intervals = np.diff(steps) * STEP
    assert np.all(np.abs(intervals - expected) <= STEP)


def test_a_cell_below_threshold_is_silent():
    steps, _ = _run([[0.0]], [[1]], [19.9], 4000)
    assert len(steps) == 0


@pytest.mark.parametrize("delay_steps", [2, 7, 10])
def test_a_weight_is_the_peak_of_its_potential_and_arrives_after_the_delay(delay_steps):
    # The target rests 5 mV below threshold and the source is slow, so that only a peak above 5 mV fires it.
    delays = np.full((2, 2), delay_steps)
    steps, cells = _run([[0.0, 0.0], [4.5, 0.0]], delays, [20.5, 15.0], 10_000)
    assert not np.any(cells[steps > 400] == 1)
    steps, cells = _run([[0.0, 0.0], [5.5, 0.0]], delays, [20.5, 15.0], 10_000)
    late = steps > 400
    source, target = steps[late & (cells == 0)], steps[late & (cells == 1)]
    latency = target - source[np.searchsorted(source, target) - 1]
    assert len(target) >= len(source) - 1
    peak_steps = 15 * 3 / (15 - 3) * np.log(15 / 3) / 0.5  # of a difference of exponentials, 6 ms
    assert np.all(latency > delay_steps) and np.all(latency <= delay_steps + peak_steps + 1)


def test_an_inhibitory_weight_delays_the_next_spike():
    _, cells = _run([[0.0, 0.0], [0.0, 0.0]], [[1, 1], [2, 1]], [21.0, 22.0], 20_000)
    _, held_cells = _run([[0.0, 0.0], [-3.0, 0.0]], [[1, 1], [2, 1]], [21.0, 22.0], 20_000)
    assert (held_cells == 1).sum() < (cells == 1).sum()
    assert (held_cells == 0).sum() == (cells == 0).sum()


def test_running_in_pieces_is_running_at_once():
    rng = np.random.default_rng(5)
    weights = rng.normal(0.0, 2.0, (6, 6)) * (rng.random((6, 6)) < 0.5)
    delays = rng.integers(2, 11, (6, 6))

    def make():
        return LeakyNetwork(weights, delays, noise_sd=5.0, n_copies=1, rng=np.random.default_rng(1))

    steps, cells = make().run(np.full(6, 14.0), 5000)
    network = make()
    pieces = [network.run(np.full(6, 14.0), n) for n in (1000, 1, 2999, 1000)]
    starts = [0, 1000, 1001, 4000]
    assert len(steps) > 20
    assert np.array_equal(np.concatenate([s + start for (s, _), start in zip(pieces, starts, strict=True)]), steps)
    assert np.array_equal(np.concatenate([c for _, c in pieces]), cells)


def test_copies_do_not_touch_each_other():
    # One source in the first copy only: with noise of its own each copy differs, without any all are equal.
    weights, delays = [[0.0, 0.0], [6.0, 0.0]], [[1, 1], [4, 1]]
    alone = _run(weights, delays, [24.0, 12.0], 6000)
    steps, states = _run(weights, delays, [24.0, 12.0], 6000, n_copies=3)
    for copy in range(3):
        counts = [np.sum((states == 2 * copy + cell) & (steps > 500)) for cell in (0, 1)]
        expected = [np.sum((alone[1] == cell) & (alone[0] > 500)) for cell in (0, 1)]
        assert np.all(np.abs(np.subtract(counts, expected)) <= 1)


def test_shared_drive_adds_to_the_constant_one():
    steps, _ = _run([[0.0]], [[1]], [22.0], 4000)
    shared, _ = _run([[0.0]], [[1]], [2.0], 4000, shared=lambda start, stop: np.full((stop - start, 1, 1), 20.0))
    assert np.array_equal(steps, shared)


def test_ornstein_uhlenbeck_is_stationary_with_its_correlation_time():
    values = ornstein_uhlenbeck(20_000, (40,), 0.03, 0.01, np.random.default_rng(0))
    assert values.shape == (20_000, 40)
    assert values.var() == pytest.approx(1.0, rel=0.02)
    assert values[0].std() == pytest.approx(1.0, rel=0.4)
    lagged = np.mean(values[6:] * values[:-6]) / values.var()
    assert lagged == pytest.approx(np.exp(-2.0), abs=0.02)
