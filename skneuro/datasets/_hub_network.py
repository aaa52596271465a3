"""A spiking network with hubs whose wiring is known: the test bed for connectivity."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skneuro.data import SpikeTrains, TimeSeries
from skneuro.datasets._hub_checks import check_extra_drive, check_faults, check_parameters
from skneuro.datasets._hub_wiring import LEVELS, N_SHARED, Level, Wiring, draw_wiring
from skneuro.datasets._integrate_and_fire import TIME_STEP, LeakyNetwork, ornstein_uhlenbeck
from skneuro.datasets._random import as_generator
from skneuro.datasets._recording_faults import Sorting, heard, pool, sort_cells, units_of_spikes

TARGET_RATES = (3.0, 7.5)  # Hz; the margin to 2.5 and 9 Hz takes up the error of the tuning
CALIBRATION_RUNS, CALIBRATION_COPIES, CALIBRATION_STEPS = 14, 10, 2000
BURN_IN_STEPS = 2000
DRIFT_TAU = 100.0  # s


def make_hub_network(
    n_units: int = 80,
    duration: float = 600.0,
    level: str = "easy",
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    *,
    stimulus_period: float | None = None,
    observed_fraction: float = 1.0,
    n_merged: int = 0,
    n_split: int = 0,
    dead_time: float = 0.0,
    rate_drift: float = 0.0,
    dale: bool = True,
    extra_drive: Mapping[int, float] | None = None,
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
    observed_fraction : float, default=1.0
        Share of the cells that are recorded; the others come on top of those that a level hides. Connection
        probabilities are multiplied by it, so that a cell keeps its number of inputs.
    n_merged : int, default=0
        Units that hold the spikes of two cells, as if sorted together. The truth of such a unit is the mean of its
        cells', weighted by their rates.
    n_split : int, default=0
        Cells whose spikes are spread over two units by chance. What the two do to each other is NaN in ``weights``.
    dead_time : float, in seconds, default=0.0
        After a detected spike, of whatever unit, no other is detected for so long.
    rate_drift : float, in mV, default=0.0
        Standard deviation of a slow wander (100 s) of every cell's drive, of its own.
    dale : bool, default=True
        False: every synapse has a sign of its own, inhibitory for one in five.
    extra_drive : dict of unit to float, in mV, or None, default=None
        Constant drive on top of what units are tuned to, which shows what a network does when some of its units are
        driven or silenced (-100 mV is enough). The wiring, and the noise of every cell, stay what the seed makes them.
        Only without merged and split units.

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
            Delay of every synapse, NaN where there is none; of merged units that of their first cells.
        hubs : int ndarray of shape (n_hubs,)
            Columns of the hubs among the recorded units.
        unit_types : str ndarray of shape (n_units,)
            "excitatory" or "inhibitory" (of the cell, whatever its synapses without Dale's law); "mixed" for a unit
            that holds one of each.
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
    check_parameters(n_units, duration, level, random_state, stimulus_period)
    check_extra_drive(extra_drive, n_units, n_merged or n_split)
    check_faults(n_units, observed_fraction, n_merged, n_split, dead_time, rate_drift, dale)
    setting = LEVELS[level]
    wiring_rng, tuning_rng, shared_rng, noise_rng, fault_rng = as_generator(random_state).spawn(5)
    n_recorded = n_units + n_merged - n_split
    n_cells = round((n_recorded + round(n_recorded * setting.hidden_per_unit)) / observed_fraction)
    wiring = draw_wiring(n_cells, setting, wiring_rng, thinning=observed_fraction, dale=dale)
    low, high = np.log(TARGET_RATES)
    targets = np.exp(wiring_rng.uniform(low, high, n_cells))
    drive = _tune_drive(wiring, setting, targets, tuning_rng)

    for unit, millivolts in (extra_drive or {}).items():
        drive[unit] += millivolts
    n_steps = round(duration / TIME_STEP)
    shared = _draw_shared_input(setting, n_steps, (), shared_rng, stimulus_period)
    network = LeakyNetwork(wiring.weights, wiring.delay_steps, noise_sd=setting.noise_sd, n_copies=1, rng=noise_rng)
    network.run(drive, BURN_IN_STEPS)
    drift_rng, sorting_rng, splitting_rng = fault_rng.spawn(3)  # how long the recording is changes none of them
    wander = None
    if rate_drift:
        wander = rate_drift * ornstein_uhlenbeck(int(np.ceil(duration)) + 1, (n_cells,), DRIFT_TAU, 1.0, drift_rng)
    steps, cells = network.run(drive, n_steps, _as_drive(shared, wiring.loadings, setting.shared_rate, wander))
    sorting = sort_cells(n_units, n_merged, n_split, sorting_rng)
    kept = np.flatnonzero(cells < n_recorded)
    if dead_time:
        kept = kept[heard((steps[kept] + 0.5) * TIME_STEP, dead_time)]
    units = units_of_spikes(cells[kept], sorting, splitting_rng)
    times = (steps[kept] + 0.5) * TIME_STEP
    return _bunch(times, units, sorting, duration, level, wiring, targets, drive, shared)


def _draw_shared_input(
    setting: Level,
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
    shared: np.ndarray | None, loadings: np.ndarray | None, rate: float, wander: np.ndarray | None = None
) -> Callable[[int, int], np.ndarray] | None:
    """What is added to the drive, as :class:`LeakyNetwork` reads it: samples held until the next, wander joined up."""
    if wander is None and (shared is None or loadings is None):
        return None

    def drive(start: int, stop: int) -> np.ndarray:
        middle = (np.arange(start, stop) + 0.5) * TIME_STEP
        values = np.zeros((stop - start, 1, 1))
        if shared is not None and loadings is not None:
            inputs = shared[(middle * rate).astype(int)] @ loadings.T
            values = values + inputs.reshape(stop - start, -1, loadings.shape[0])
        if wander is not None:
            second = middle.astype(int)
            share = (middle - second)[:, None]
            values = values + ((1 - share) * wander[second] + share * wander[second + 1])[:, None, :]
        return values

    return drive


def _tune_drive(wiring: Wiring, setting: Level, targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
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
    times: np.ndarray,
    units: np.ndarray,
    sorting: Sorting,
    duration: float,
    level: str,
    wiring: Wiring,
    targets: np.ndarray,
    drive: np.ndarray,
    shared: np.ndarray | None,
) -> Bunch:
    n_units = len(sorting.members)
    n_recorded = 1 + max(int(member.max()) for member in sorting.members)
    inhibitory = pool(wiring.inhibitory[:n_recorded].astype(float), sorting, targets, 0)
    types = np.where(inhibitory == 0, "excitatory", np.where(inhibitory == 1, "inhibitory", "mixed"))
    hubs = np.array([bool(wiring.hubs[member].any()) for member in sorting.members])
    rates = np.array([targets[member].sum() for member in sorting.members])
    rates[sorting.split] /= 2
    spikes = SpikeTrains(
        times,
        units,
        [0, len(times)],
        [0.0],
        [duration],
        unit_ids=np.arange(n_units),
        unit_info=pd.DataFrame({"type": types, "hub": hubs, "target_rate": rates}),
    )
    shared_input = None
    if shared is not None:
        shared_input = TimeSeries.from_lists([shared], rate=LEVELS[level].shared_rate)
    inputs = pool(wiring.weights[:n_recorded], sorting, targets, 0)
    weights = pool(inputs[:, :n_recorded], sorting, targets, 1)
    first, second = sorting.split.T
    weights[first, second] = weights[second, first] = np.nan
    np.fill_diagonal(weights, 0.0)
    lead = np.array([member[0] for member in sorting.members])
    delays = wiring.delay_steps[np.ix_(lead, lead)] * TIME_STEP
    return Bunch(
        spikes=spikes,
        stimuli=shared_input if level == "stimulus" else None,
        shared_input=shared_input,
        weights=weights,
        delays=np.where(np.nan_to_num(weights) != 0, delays, np.nan),
        hubs=np.flatnonzero(hubs),
        unit_types=types,
        loadings=None if wiring.loadings is None else pool(wiring.loadings[:n_recorded], sorting, targets, 0),
        drive=pool(drive[:n_recorded], sorting, targets, 0),
        target_rates=rates,
        hidden_weights=inputs[:, n_recorded:],
    )
