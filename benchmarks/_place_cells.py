"""A simulated population of place cells, of more than 100,000 spikes: fields of one direction, theta, a shared gain."""

from __future__ import annotations

import numpy as np

from skneuro.cli.recordings import speed_of
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.datasets._integrate_and_fire import ornstein_uhlenbeck

STEP = 0.005  # s
LENGTH, SPEED, REST = 150.0, 45.0, 4.0  # of the track, cm; mean running speed, cm/s; mean rest at its ends, s
THETA = 8.0  # Hz
GAIN_TIME, GAIN = 1.5, 0.4  # s; standard deviation of a unit's log rate whose loading is 1
TRACKED = 8  # steps between two samples of the tracking


def place_cells(n_units: int = 60, duration: float = 2400.0, seed: int = 0) -> Recording:
    """Spikes, position (cm) and speed of an animal that runs to and fro on a track and rests at its ends."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(duration / STEP)) * STEP
    position, velocity = _run(time, rng)
    theta = 2 * np.pi * np.cumsum(STEP * (THETA + 0.4 * np.abs(velocity) / SPEED))
    gain = ornstein_uhlenbeck(len(time), (), GAIN_TIME, STEP, rng)
    burst = ornstein_uhlenbeck(len(time), (), 0.1, STEP, rng)  # of rest
    centre, width = rng.uniform(-10, LENGTH + 10, (n_units, 2)), rng.uniform(8, 20, (n_units, 2))
    peak = rng.lognormal(np.log(12), 0.6, (n_units, 2)) * (rng.random((n_units, 2)) < 0.7)
    base, loading = rng.lognormal(np.log(0.4), 0.7, n_units), rng.uniform(0.3, 1.5, n_units)
    times = {}
    for unit in range(n_units):
        rate = np.full(len(time), base[unit])
        for field, direction in enumerate((1.0, -1.0)):
            passed = direction * (position - centre[unit, field]) / width[unit, field]
            phase = theta - np.pi * np.clip(passed / 2, -1, 1)  # earlier in the cycle as the animal passes
            inside = np.exp(-0.5 * passed**2) * (np.sign(velocity) == direction)
            rate += peak[unit, field] * inside * (1 + 0.8 * np.cos(phase))
        rate *= np.exp(loading[unit] * GAIN * gain)
        rate += 0.4 * (velocity == 0) * np.exp(1.2 * loading[unit] * burst)
        fired = np.flatnonzero(rng.random(len(time)) < -np.expm1(-rate * STEP))
        fired = fired[np.diff(fired, prepend=-2) > 1]  # a refractory step
        times[unit] = time[fired] + STEP * rng.random(len(fired))
    spikes = SpikeTrains.from_unit_times(times, epochs=[[0.0, duration]])
    tracked = TimeSeries.from_lists([position[::TRACKED, None]], rate=1 / (TRACKED * STEP), t_start=[0.0])
    return Recording(spikes, Modalities(position=tracked, speed=speed_of(tracked)))


def _run(time: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Position and velocity at given times: laps, each of its own speed, and rests."""
    n_laps = int(time[-1] * SPEED / LENGTH) + 2
    lap = LENGTH / rng.normal(SPEED, SPEED / 5, n_laps).clip(SPEED / 3)
    parts = np.stack([rng.exponential(REST, n_laps), lap], axis=1).ravel()
    ends = np.cumsum(parts)  # of a rest, of a lap, of a rest, ...
    side = LENGTH * (np.arange(n_laps) % 2)
    position = np.interp(time, ends, np.stack([side, LENGTH - side], axis=1).ravel())
    velocity = np.gradient(position, STEP)
    velocity[np.searchsorted(ends, time) % 2 == 0] = 0.0
    return position, velocity
