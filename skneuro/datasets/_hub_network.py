"""A spiking network with hubs whose wiring is known: the test bed for connectivity."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skneuro._sklearn_compat import Interval, StrOptions, validate_parameter_constraints
from skneuro.data import SpikeTrains, TimeSeries
from skneuro.datasets._integrate_and_fire import TIME_STEP, LeakyNetwork, ornstein_uhlenbeck
from skneuro.datasets._random import as_generator

OUT_PROBABILITY, HUB_OUT_PROBABILITY = 0.05, 0.45
HUB_FRACTION, INHIBITORY_FRACTION = 0.075, 0.2
WEIGHT_LOG_SD, WEIGHT_CAP, INHIBITION = 0.6, 6.0, 3.0  # cap in medians, strength of inhibition in excitations
DELAY_STEPS = (2, 10)  # 1 to 5 ms
TARGET_RATES = (3.0, 7.5)  # Hz; the margin to 2.5 and 9 Hz takes up the error of the tuning
N_SHARED, LOADING_MEAN, LOADING_SD = 2, 0.6, 0.5
CALIBRATION_RUNS, CALIBRATION_COPIES, CALIBRATION_STEPS = 14, 10, 2000
BURN_IN_STEPS = 2000


@dataclass(frozen=True)
class _Level:
    psp_median: float  # mV
    noise_sd: float  # mV
    shared_gain: float = 0.0  # mV for an input of 1 and a loading of 1
    shared_tau: float = 1.0  # s
    shared_rate: float = 1000.0  # Hz, samples of the shared input, each held until the next
    hidden_per_unit: float = 0.0  # cells that are not recorded, per recorded one


LEVELS = {
    "easy": _Level(psp_median=1.3, noise_sd=5.0),
    "medium": _Level(psp_median=1.0, noise_sd=5.0, shared_gain=2.0, shared_tau=0.030),
    "hard": _Level(psp_median=0.8, noise_sd=4.5, shared_gain=3.0, shared_tau=0.012, hidden_per_unit=26 / 80),
    "stimulus": _Level(psp_median=1.0, noise_sd=5.0, shared_gain=2.0, shared_tau=0.050, shared_rate=60.0),
}


@dataclass(frozen=True)
class _Wiring:
    weights: np.ndarray  # (target, source), mV
    delay_steps: np.ndarray  # (target, source)
    hubs: np.ndarray  # (n_cells,) bool
    inhibitory: np.ndarray  # (n_cells,) bool
    loadings: np.ndarray | None  # (n_cells, N_SHARED), mV


def make_hub_network(
    n_units: int = 80,
    duration: float = 600.0,
    level: str = "easy",
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    *,
    stimulus_period: float | None = None,
) -> Bunch:
    """Simulate a leaky integrate-and-fire network with hubs and return its spikes and its wiring.

    Some 7.5 % of the cells are hubs, which project to 45 % of the others (the rest to 5 %). A fifth of the
    cells, one hub among them where there are two, are inhibitory, and all synapses of a cell have its sign.
    Weights are log-normal (sigma 0.6, at most 6 medians, inhibition three times as strong), delays lie
    between 1 and 5 ms. Membranes have a time constant of 15 ms, synapses of 3 ms, the threshold is 20 mV and
    the reset 5 mV above rest, the refractory period 3 ms; each cell has white noise of its own. The constant
    drive of every cell is tuned so that it fires at 2.5 to 9 Hz over a long recording.

    ======== ====== ====== ============================================== =========
    level    PSP    noise  shared input (two OU processes)                unseen
    ======== ====== ====== ============================================== =========
    easy     1.3 mV 5 mV   none                                           none
    medium   1.0 mV 5 mV   not given, correlation time 30 ms, 2 mV        none
    hard     0.8 mV 4.5 mV not given, correlation time 12 ms, 3 mV        26 per 80
    stimulus 1.0 mV 5 mV   given as ``stimuli``, 60 a second, 50 ms, 2 mV none
    ======== ====== ====== ============================================== =========

    The recording is one continuous trial, integrated in steps of 0.5 ms, and spikes stand in the middle of
    their step. The second before time 0 is simulated and left out. A longer ``duration`` with the same seed
    continues the same recording. Simulating a minute of 80 units takes about a second.

    Parameters
    ----------
    n_units : int, default=80
        Number of recorded units, at least 2.
    duration : float, in seconds, default=600.0
        Length of the recording.
    level : {"easy", "medium", "hard", "stimulus"}, default="easy"
        How much hides the wiring, see above.
    random_state : int, RandomState, Generator or None, default=None
        Seed: the same int gives the same network and the same spikes.
    stimulus_period : float, in seconds, or None, default=None
        Only with ``level="stimulus"``: the stimulus repeats after this time, a multiple of its 1/60 s, so
        that ``spikes.cut(stimulus_period)`` gives repeats of one trial. None: it never repeats.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (1, n_units)
            The recording; ``unit_info`` has the columns ``type`` ("excitatory", "inhibitory"), ``hub`` and
            ``target_rate`` (Hz).
        stimuli : TimeSeries of shape (1, 2) or None
            The shared input where it is a stimulus, 60 values a second, each held until the next.
        shared_input : TimeSeries of shape (1, 2) or None
            The shared input, seen or not; None for ``level="easy"``.
        weights : ndarray of shape (n_units, n_units), in mV
            Peak of the postsynaptic potential, ``weights[target, source]``, negative for inhibition, 0 where
            there is no synapse.
        delays : ndarray of shape (n_units, n_units), in seconds
            Delay of every synapse, NaN where there is none.
        hubs : int ndarray of shape (n_hubs,)
            Columns of the hubs among the recorded units.
        unit_types : str ndarray of shape (n_units,)
            "excitatory" or "inhibitory".
        loadings : ndarray of shape (n_units, 2), in mV, or None
            Drive of every unit for a shared input of 1.
        drive : ndarray of shape (n_units,), in mV
            Constant drive of every unit.
        target_rates : ndarray of shape (n_units,), in hertz
            The rates that the drive was tuned to.
        hidden_weights : ndarray of shape (n_units, n_hidden), in mV
            Weights from the cells that are not recorded to the units.

    Raises
    ------
    ValueError
        If a parameter is out of its range, ``stimulus_period`` is given without a stimulus, or it is not a
        multiple of 1/60 s.

    Examples
    --------
    >>> from skneuro.datasets import make_hub_network
    >>> network = make_hub_network(n_units=20, duration=10.0, random_state=0)
    >>> network.spikes.shape
    (1, 20)
    >>> network.weights.shape  # weights[3, 7] is the effect of unit 7 on unit 3
    (20, 20)
    """
    _check_parameters(n_units, duration, level, random_state, stimulus_period)
    setting = LEVELS[level]
    wiring_rng, tuning_rng, shared_rng, noise_rng = as_generator(random_state).spawn(4)
    n_cells = n_units + round(n_units * setting.hidden_per_unit)
    wiring = _draw_wiring(n_cells, setting, wiring_rng)
    low, high = np.log(TARGET_RATES)
    targets = np.exp(wiring_rng.uniform(low, high, n_cells))
    drive = _tune_drive(wiring, setting, targets, tuning_rng)

    n_steps = round(duration / TIME_STEP)
    shared = _draw_shared_input(setting, n_steps, (), shared_rng, stimulus_period)
    network = LeakyNetwork(wiring.weights, wiring.delay_steps, noise_sd=setting.noise_sd, n_copies=1, rng=noise_rng)
    network.run(drive, BURN_IN_STEPS)
    steps, cells = network.run(drive, n_steps, _as_drive(shared, wiring.loadings, setting.shared_rate))
    return _bunch(steps, cells, n_units, duration, level, wiring, targets, drive, shared)


def _check_parameters(
    n_units: object, duration: object, level: object, random_state: object, stimulus_period: object
) -> None:
    validate_parameter_constraints(
        {
            "n_units": [Interval(Integral, 2, None, closed="left")],
            "duration": [Interval(Real, TIME_STEP, None, closed="left")],
            "level": [StrOptions(set(LEVELS))],
            "random_state": ["random_state", np.random.Generator],
            "stimulus_period": [Interval(Real, 0, None, closed="neither"), None],
        },
        {
            "n_units": n_units,
            "duration": duration,
            "level": level,
            "random_state": random_state,
            "stimulus_period": stimulus_period,
        },
        caller_name="make_hub_network",
    )
    if stimulus_period is None:
        return
    if level != "stimulus":
        raise ValueError(
            f"'stimulus_period' needs level='stimulus': level={level!r} has no stimulus that could repeat. "
            "Leave it out or change the level."
        )
    frames = stimulus_period * LEVELS[level].shared_rate  # type: ignore[operator]
    if abs(frames - round(frames)) > 1e-6 or round(frames) < 1:
        raise ValueError(
            f"'stimulus_period' must be a multiple of 1/{LEVELS[level].shared_rate:.0f} s, one step of the "
            f"stimulus; got {stimulus_period!r} s."
        )


def _draw_wiring(n_cells: int, setting: _Level, rng: np.random.Generator) -> _Wiring:
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

    connected = rng.random((n_cells, n_cells)) < np.where(hubs, HUB_OUT_PROBABILITY, OUT_PROBABILITY)
    np.fill_diagonal(connected, False)
    size = np.minimum(np.exp(WEIGHT_LOG_SD * rng.standard_normal((n_cells, n_cells))), WEIGHT_CAP)
    sign = np.where(inhibitory, -INHIBITION, 1.0)
    delay_steps = rng.integers(DELAY_STEPS[0], DELAY_STEPS[1] + 1, (n_cells, n_cells))
    loadings = None
    if setting.shared_gain:
        loadings = setting.shared_gain * rng.normal(LOADING_MEAN, LOADING_SD, (n_cells, N_SHARED))
    return _Wiring(connected * size * sign * setting.psp_median, delay_steps, hubs, inhibitory, loadings)


def _draw_shared_input(
    setting: _Level,
    n_steps: int,
    shape: tuple[int, ...],
    rng: np.random.Generator,
    period: float | None = None,
) -> np.ndarray | None:
    """Values of the shared input, (n_samples, *shape, N_SHARED), ``shared_rate`` of them a second."""
    if not setting.shared_gain:
        return None
    n_samples = int(np.ceil(n_steps * TIME_STEP * setting.shared_rate - 1e-6))
    n_drawn = n_samples if period is None else min(n_samples, round(period * setting.shared_rate))
    values = ornstein_uhlenbeck(n_drawn, (*shape, N_SHARED), setting.shared_tau, 1.0 / setting.shared_rate, rng)
    return values[np.arange(n_samples) % n_drawn]


def _as_drive(
    shared: np.ndarray | None, loadings: np.ndarray | None, rate: float
) -> Callable[[int, int], np.ndarray] | None:
    """The shared input as :class:`LeakyNetwork` reads it: each sample held until the next."""
    if shared is None or loadings is None:
        return None

    def drive(start: int, stop: int) -> np.ndarray:
        sample = ((np.arange(start, stop) + 0.5) * (TIME_STEP * rate)).astype(int)
        values = shared[sample] @ loadings.T
        return values.reshape(stop - start, -1, loadings.shape[0])

    return drive


def _tune_drive(wiring: _Wiring, setting: _Level, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Find the constant drive of every cell by short runs of copies, with shrinking steps in log rate."""
    n_cells = len(targets)
    seconds = CALIBRATION_COPIES * CALIBRATION_STEPS * TIME_STEP
    drive = np.full(n_cells, 10.0)
    network = LeakyNetwork(
        wiring.weights,
        wiring.delay_steps,
        noise_sd=setting.noise_sd,
        n_copies=CALIBRATION_COPIES,
        rng=rng,
    )
    for k in range(CALIBRATION_RUNS):
        shared = _draw_shared_input(setting, CALIBRATION_STEPS, (CALIBRATION_COPIES,), rng)
        _, states = network.run(drive, CALIBRATION_STEPS, _as_drive(shared, wiring.loadings, setting.shared_rate))
        rates = (np.bincount(states % n_cells, minlength=n_cells) + 0.5) / seconds
        drive = drive + 4.0 / (1.0 + k) ** 0.7 * np.clip(np.log(targets / rates), -1.5, 1.5)
    return drive


def _bunch(
    steps: np.ndarray,
    cells: np.ndarray,
    n_units: int,
    duration: float,
    level: str,
    wiring: _Wiring,
    targets: np.ndarray,
    drive: np.ndarray,
    shared: np.ndarray | None,
) -> Bunch:
    seen = cells < n_units
    types = np.where(wiring.inhibitory[:n_units], "inhibitory", "excitatory")
    spikes = SpikeTrains(
        (steps[seen] + 0.5) * TIME_STEP,
        cells[seen],
        [0, int(seen.sum())],
        [0.0],
        [duration],
        unit_ids=np.arange(n_units),
        unit_info=pd.DataFrame({"type": types, "hub": wiring.hubs[:n_units], "target_rate": targets[:n_units]}),
    )
    shared_input = None
    if shared is not None:
        shared_input = TimeSeries.from_lists([shared], rate=LEVELS[level].shared_rate)
    weights = wiring.weights[:n_units]
    recorded = weights[:, :n_units]
    return Bunch(
        spikes=spikes,
        stimuli=shared_input if level == "stimulus" else None,
        shared_input=shared_input,
        weights=recorded,
        delays=np.where(recorded != 0, wiring.delay_steps[:n_units, :n_units] * TIME_STEP, np.nan),
        hubs=np.flatnonzero(wiring.hubs[:n_units]),
        unit_types=types,
        loadings=None if wiring.loadings is None else wiring.loadings[:n_units],
        drive=drive[:n_units],
        target_rates=targets[:n_units],
        hidden_weights=weights[:, n_units:],
    )
