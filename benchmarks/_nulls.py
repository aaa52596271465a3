"""Recordings whose units share much, and in which no unit drives another: every edge found there is false."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

from skneuro.data import SpikeTrains
from skneuro.datasets import make_hub_network


def poisson(log_rate: np.ndarray, rng: np.random.Generator) -> SpikeTrains:
    """Spikes of independent units with log rates (n_ms, n_units) about that of 8 Hz."""
    step, unit = np.nonzero(rng.random(log_rate.shape) < 8e-3 * np.exp(log_rate))
    return _recording((step + rng.random(len(step))) * 1e-3, unit, len(log_rate) * 1e-3, log_rate.shape[1])


def wander(tau: float, duration: float, rng: np.random.Generator, n: int = 1) -> np.ndarray:
    """Ornstein-Uhlenbeck processes with a correlation time of `tau` seconds, one value a millisecond."""
    decay = np.exp(-1e-3 / tau)
    noise = rng.standard_normal((round(duration * 1000), n)) * np.sqrt(1 - decay**2)
    return lfilter([1.0], [1.0, -decay], noise, axis=0)


def stimulus(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """Two components of a stimulus (50 ms) drive every unit by loadings of its own."""
    return poisson(0.5 * wander(0.05, duration, rng, 2) @ rng.normal(0.6, 0.5, (2, n_units)), rng)


def running(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """Bouts of seconds change all rates by a gain of each unit's own."""
    bouts = (wander(3.0, duration, rng) > 0.5).astype(float)
    return poisson(bouts @ rng.normal(0.8, 0.4, (1, n_units)), rng)


def drift(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """Rates drift within a minute, each by itself and all together."""
    return poisson(0.6 * wander(60.0, duration, rng, n_units) + 0.6 * wander(60.0, duration, rng), rng)


def jittered(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """A coupled network with shared input, whose spikes were moved by chance within intervals of 40 ms."""
    spikes = make_hub_network(n_units, duration, "medium", rng).spikes
    times = (np.floor(spikes.times / 0.04) + rng.random(spikes.n_spikes)) * 0.04
    return _recording(np.minimum(times, np.nextafter(duration, 0)), spikes.units, duration, n_units)


def joined(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """A pseudo-population: two networks recorded one by one, as if at once. Between the halves there is no edge."""
    halves = [make_hub_network(n_units // 2, duration, "easy", rng).spikes for _ in range(2)]
    units = np.concatenate([half.units + k * (n_units // 2) for k, half in enumerate(halves)])
    return _recording(np.concatenate([half.times for half in halves]), units, duration, n_units)


def rare(n_units: int, duration: float, rng: np.random.Generator) -> SpikeTrains:
    """Independent units of constant rates from 0.05 to 5 Hz: most pairs meet a few times, or never."""
    rate = np.exp(rng.uniform(np.log(0.05), np.log(5.0), n_units))
    count = rng.poisson(rate * duration)
    return _recording(rng.uniform(0.0, duration, count.sum()), np.repeat(np.arange(n_units), count), duration, n_units)


NULLS: dict[str, Callable[[int, float, np.random.Generator], SpikeTrains]] = {
    "shared stimulus": stimulus,
    "running gain": running,
    "slow drift": drift,
    "interval jitter": jittered,
    "pseudo-population": joined,
    "rare units": rare,
}


def no_edge(name: str, n_units: int) -> np.ndarray:
    """Which pairs are known to have no edge."""
    if name == "pseudo-population":
        half = np.arange(n_units) // (n_units // 2)
        return half[:, None] != half
    return ~np.eye(n_units, dtype=bool)


def _recording(times: np.ndarray, units: np.ndarray, duration: float, n_units: int) -> SpikeTrains:
    order = np.argsort(times, kind="stable")
    ids = np.arange(n_units)
    return SpikeTrains(times[order], units[order], [0, len(times)], [0.0], [duration], unit_ids=ids)
