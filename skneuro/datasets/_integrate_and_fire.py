"""Leaky integrate-and-fire cells with delayed synapses, stepped on a fixed grid.

Numpy only. A step costs what its numpy calls cost, hardly what its cells cost, so the state has the form
that needs the fewest calls: the potential is the difference of two exponentials (``slow - fast``), both jump
when a spike arrives, and arrivals are written ahead into the rows of future steps, where the noise stands.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import lfilter

TIME_STEP = 0.5e-3  # s
MEMBRANE_TAU = 15e-3  # s
SYNAPSE_TAU = 3e-3  # s
REFRACTORY_STEPS = 6  # 3 ms
THRESHOLD = 20.0  # mV above rest
RESET = 5.0  # mV above rest
_STEPS_PER_BLOCK = 1000

_GRID = np.arange(200) * TIME_STEP
_PSP_PEAK = float(np.max(np.exp(-_GRID / MEMBRANE_TAU) - np.exp(-_GRID / SYNAPSE_TAU)))


def ornstein_uhlenbeck(
    n_samples: int, shape: tuple[int, ...], tau: float, step: float, rng: np.random.Generator
) -> np.ndarray:
    """Stationary Ornstein-Uhlenbeck processes of unit variance.

    Parameters
    ----------
    n_samples : int
        Number of samples.
    shape : tuple of int
        Shape of one sample: so many independent processes.
    tau : float, in seconds
        Correlation time.
    step : float, in seconds
        Time between two samples.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of shape (n_samples, ...)
        The processes, without unit.
    """
    decay = np.exp(-step / tau)
    innovations = rng.standard_normal((n_samples, *shape))
    innovations[1:] *= np.sqrt(1.0 - decay**2)  # the first sample is a draw from the stationary law
    return lfilter([1.0], [1.0, -decay], innovations, axis=0)


class LeakyNetwork:
    """Independent copies of one network, advanced together; the state is kept between calls of ``run``.

    Parameters
    ----------
    weights : ndarray of shape (n_cells, n_cells), in mV
        Peak of the postsynaptic potential, ``weights[target, source]``; 0 where there is no synapse.
    delay_steps : int ndarray of shape (n_cells, n_cells)
        Delay of each synapse, in steps of 0.5 ms, at least 1.
    noise_sd : float, in mV
        Standard deviation that the white noise alone gives to a membrane potential without a threshold.
    n_copies : int
        Number of copies, each with noise of its own.
    rng : numpy.random.Generator
        Source of the noise.
    """

    def __init__(
        self,
        weights: np.ndarray,
        delay_steps: np.ndarray,
        *,
        noise_sd: float,
        n_copies: int,
        rng: np.random.Generator,
    ):
        self.n_cells = weights.shape[0]
        self.n_copies = n_copies
        self._n_states = n_copies * self.n_cells
        self._rng = rng
        self._slow_decay = np.exp(-TIME_STEP / MEMBRANE_TAU)
        self._decay = np.repeat([self._slow_decay, np.exp(-TIME_STEP / SYNAPSE_TAU)], self._n_states)
        self._noise_scale = noise_sd * np.sqrt(1.0 - self._slow_decay**2)
        self._modes = np.zeros(2 * self._n_states)  # slow, then fast
        self._modes[: self._n_states] = rng.uniform(0.0, THRESHOLD, self._n_states)
        self._refractory: list[tuple[int, int]] = []  # (steps left, state), those that end first come first
        self._horizon = int(delay_steps.max(initial=1)) + 1
        self._pending = np.zeros((self._horizon, 2 * self._n_states))

        # Per source: where its arrivals land in the flat (step, mode, copy, cell) array and how far they jump
        self._landing, self._jumps = [], []
        for source in range(self.n_cells):
            targets = np.flatnonzero(weights[:, source])
            place = delay_steps[targets, source] * (2 * self._n_states) + targets
            self._landing.append(np.concatenate([place, place + self._n_states]))
            self._jumps.append(np.tile(weights[targets, source] / _PSP_PEAK, 2))

    def run(
        self,
        drive: np.ndarray,
        n_steps: int,
        shared: Callable[[int, int], np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Advance all copies and return their spikes.

        Parameters
        ----------
        drive : ndarray of shape (n_cells,), in mV
            Constant drive: the potential at which each cell would settle.
        n_steps : int
            Number of steps of 0.5 ms.
        shared : callable or None, default=None
            ``shared(start, stop)`` gives the further drive of these steps of the call, in mV, as an ndarray
            that broadcasts to (stop - start, n_copies, n_cells).

        Returns
        -------
        steps : int64 ndarray of shape (n_spikes,)
            Step of each spike, ascending.
        states : int64 ndarray of shape (n_spikes,)
            ``copy * n_cells + cell`` of each spike, ascending within a step.
        """
        steps: list[int] = []
        states: list[int] = []
        for start in range(0, n_steps, _STEPS_PER_BLOCK):
            n = min(_STEPS_PER_BLOCK, n_steps - start)
            potential_drive = np.broadcast_to(drive, (n, self.n_copies, self.n_cells))
            if shared is not None:
                potential_drive = potential_drive + shared(start, start + n)
            arrivals = np.zeros((n + self._horizon, 2 * self._n_states))
            arrivals[: self._horizon] = self._pending
            noise = self._rng.standard_normal((n, self._n_states))
            arrivals[:n, : self._n_states] += self._noise_scale * noise
            arrivals[:n, : self._n_states] += (1.0 - self._slow_decay) * potential_drive.reshape(n, -1)
            self._run_block(arrivals, n, start, steps, states)
            self._pending = arrivals[n:]
        return np.array(steps, dtype=np.int64), np.array(states, dtype=np.int64)

    def _run_block(self, arrivals: np.ndarray, n_steps: int, start: int, steps: list[int], states: list[int]) -> None:
        modes, decay = self._modes, self._decay
        slow, fast = modes[: self._n_states], modes[self._n_states :]
        potential = np.empty(self._n_states)
        flat, width = arrivals.reshape(-1), arrivals.shape[1]
        refractory = self._refractory
        held = np.array([state for _, state in refractory], dtype=np.intp)
        for k in range(n_steps):
            np.multiply(modes, decay, out=modes)
            np.add(modes, arrivals[k], out=modes)
            if refractory:
                if refractory[0][0] <= k:
                    refractory = [item for item in refractory if item[0] > k]
                    held = np.array([state for _, state in refractory], dtype=np.intp)
                slow[held] = fast[held] + RESET
            np.subtract(slow, fast, out=potential)
            fired = (potential >= THRESHOLD).nonzero()[0]
            if not fired.size:
                continue
            slow[fired] = fast[fired] + RESET
            held = np.concatenate([held, fired])
            for state in fired.tolist():
                steps.append(start + k)
                states.append(state)
                refractory.append((k + REFRACTORY_STEPS, state))
                copy, cell = divmod(state, self.n_cells)
                flat[self._landing[cell] + (k * width + copy * self.n_cells)] += self._jumps[cell]
        self._refractory = [(left - n_steps, state) for left, state in refractory]
