"""Levels of the hub network, and the wiring that they draw."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OUT_PROBABILITY, HUB_OUT_PROBABILITY = 0.05, 0.45
HUB_FRACTION, INHIBITORY_FRACTION = 0.075, 0.2
WEIGHT_LOG_SD, WEIGHT_CAP, INHIBITION = 0.6, 6.0, 3.0  # cap in medians, strength of inhibition in excitations
DELAY_STEPS = (2, 10)  # 1 to 5 ms
N_SHARED, LOADING_MEAN, LOADING_SD = 2, 0.6, 0.5


@dataclass(frozen=True)
class Level:
    """What hides the wiring."""

    psp_median: float  # mV
    noise_sd: float  # mV
    shared_gain: float = 0.0  # mV for an input of 1 and a loading of 1
    shared_tau: float = 1.0  # s
    shared_rate: float = 1000.0  # Hz, samples of the shared input, each held until the next
    hidden_per_unit: float = 0.0  # cells that are not recorded, per recorded one


LEVELS = {
    "easy": Level(psp_median=1.3, noise_sd=5.0),
    "medium": Level(psp_median=1.0, noise_sd=5.0, shared_gain=2.0, shared_tau=0.030),
    "hard": Level(psp_median=0.8, noise_sd=4.5, shared_gain=3.0, shared_tau=0.012, hidden_per_unit=26 / 80),
    "stimulus": Level(psp_median=1.0, noise_sd=5.0, shared_gain=2.0, shared_tau=0.050, shared_rate=60.0),
}


@dataclass(frozen=True)
class Wiring:
    """Synapses of all cells, seen or not."""

    weights: np.ndarray  # (target, source), mV
    delay_steps: np.ndarray  # (target, source)
    hubs: np.ndarray  # (n_cells,) bool
    inhibitory: np.ndarray  # (n_cells,) bool
    loadings: np.ndarray | None  # (n_cells, N_SHARED), mV


def draw_wiring(
    n_cells: int, setting: Level, rng: np.random.Generator, *, thinning: float = 1.0, dale: bool = True
) -> Wiring:
    """Draw hubs, signs, weights, delays and loadings.

    Parameters
    ----------
    n_cells : int
        Number of cells.
    setting : Level
        The level.
    rng : numpy.random.Generator
        Source of randomness.
    thinning : float
        Factor on all connection probabilities.
    dale : bool
        Whether all synapses of a cell have its sign; else each is inhibitory as often as cells are.

    Returns
    -------
    Wiring
    """
    n_hubs = max(1, round(HUB_FRACTION * n_cells))
    # Cells are exchangeable, so that the recorded ones (the first) are a random sample of the network.
    order = rng.permutation(n_cells)
    hubs = np.zeros(n_cells, dtype=bool)
    hubs[order[:n_hubs]] = True
    inhibitory = np.zeros(n_cells, dtype=bool)
    n_inhibitory_hubs = 1 if n_hubs > 1 else 0
    n_inhibitory = max(round(INHIBITORY_FRACTION * n_cells), n_inhibitory_hubs)
    inhibitory[order[:n_inhibitory_hubs]] = True
    inhibitory[order[n_hubs : n_hubs + n_inhibitory - n_inhibitory_hubs]] = True

    connected = rng.random((n_cells, n_cells)) < thinning * np.where(hubs, HUB_OUT_PROBABILITY, OUT_PROBABILITY)
    np.fill_diagonal(connected, False)
    size = np.minimum(np.exp(WEIGHT_LOG_SD * rng.standard_normal((n_cells, n_cells))), WEIGHT_CAP)
    sign = np.where(inhibitory, -INHIBITION, 1.0)
    delay_steps = rng.integers(DELAY_STEPS[0], DELAY_STEPS[1] + 1, (n_cells, n_cells))
    loadings = None
    if setting.shared_gain:
        loadings = setting.shared_gain * rng.normal(LOADING_MEAN, LOADING_SD, (n_cells, N_SHARED))
    if not dale:
        sign = np.where(rng.random((n_cells, n_cells)) < INHIBITORY_FRACTION, -INHIBITION, 1.0)
    return Wiring(connected * size * sign * setting.psp_median, delay_steps, hubs, inhibitory, loadings)
