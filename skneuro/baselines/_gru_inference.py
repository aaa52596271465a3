"""What a network of `GRUModel` says about given bins, and what it draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from skneuro.baselines._features import bin_in_trial
from skneuro.baselines._gru_inputs import GRUInputs, Sequences
from skneuro.baselines._gru_network import CountGRU, NonlinearTerm
from skneuro.baselines._heads import CountHead
from skneuro.baselines._same_bin import CellDrawer
from skneuro.baselines._simulation import Forced, State

# Bins that are evaluated together, which bounds memory; the state is carried over.
_BINS_AT_ONCE = 256
_TRIALS_AT_ONCE = 16


@torch.no_grad()
def encode(network: CountGRU, data: Sequences, trials: np.ndarray) -> np.ndarray:
    """Hidden state at every bin of some trials, (n_bins, n_hidden) float32; zeros elsewhere."""
    length = np.diff(data.ptr)
    hidden = np.zeros((len(data.last), network.config.n_hidden), dtype=np.float32)
    order = trials[np.argsort(-length[trials], kind="stable")]
    for begin in range(0, len(order), _TRIALS_AT_ONCE):
        batch = order[begin : begin + _TRIALS_AT_ONCE]
        state: torch.Tensor | None = None
        for offset in range(0, int(length[batch].max(initial=0)), _BINS_AT_ONCE):
            left = length[batch] - offset
            active, ahead = int((left > 0).sum()), int(min(_BINS_AT_ONCE, left.max()))
            # Bins after a trial's end repeat its last one: they come after everything that is kept.
            last = length[batch[:active], None] - 1
            rows = data.ptr[batch[:active], None] + np.minimum(offset + np.arange(ahead), last)
            if state is not None:
                state = state[:, :active].contiguous()
            part, state = network.encode(torch.from_numpy(data.last[rows]), torch.from_numpy(data.stimuli[rows]), state)
            kept = np.arange(ahead) < left[:active, None]
            hidden[rows[kept]] = part.numpy()[kept]
    return hidden


@torch.no_grad()
def evaluate(
    network: CountGRU, data: Sequences, trials: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-intensity with same-bin terms and dispersion of every cell, float64; what is not in `trials` is void."""
    trials = np.arange(len(data.ptr) - 1) if trials is None else trials
    hidden = encode(network, data, trials)
    z = np.zeros(data.now.shape)
    nu = np.zeros(data.now.shape) if network.config.uses_nu else None
    for trial in trials:
        for start in range(data.ptr[trial], data.ptr[trial + 1], _TRIALS_AT_ONCE * _BINS_AT_ONCE):
            rows = slice(start, min(start + _TRIALS_AT_ONCE * _BINS_AT_ONCE, data.ptr[trial + 1]))
            log_intensity, dispersion, context = network.decode(
                torch.from_numpy(hidden[rows]), torch.from_numpy(data.history[rows])
            )
            z[rows] = (log_intensity + network.same_bin(torch.from_numpy(data.now[rows]), context)).numpy()
            if nu is not None and dispersion is not None:
                nu[rows] = dispersion.numpy()
    return z, nu


def states_before(network: CountGRU, inputs: GRUInputs, data: Sequences) -> Callable[[np.ndarray], State]:
    """Return a callable that gives the states of a `GRUGenerator` in front of bins, after what was recorded."""
    number, past = bin_in_trial(data.ptr), inputs.past(data.now)
    hidden = encode(network, data, np.arange(len(data.ptr) - 1))
    lags = np.arange(1, len(inputs.kernels) + 1)

    def state_before(bins: np.ndarray) -> State:
        inside = (lags <= number[bins, None]) & inputs.past_spikes
        counts = np.where(inside[..., None], past[np.where(inside, bins[:, None] - lags, 0)], np.float32(0))
        started = (number[bins] > 0)[:, None]
        return np.where(started, hidden[np.maximum(bins - 1, 0)], np.float32(0)), counts

    return state_before


class GRUGenerator:
    """Draws from a fitted network; the state is the hidden state and the counts at each lag of the linear path."""

    def __init__(self, network: CountGRU, inputs: GRUInputs, head: CountHead, shape: np.ndarray):
        self.network, self.kernels = network, inputs.kernels.astype(np.float32)
        self.scale, self.past_spikes = inputs.scale, inputs.past_spikes
        self.drawer = CellDrawer(head, shape, self.scale)
        self.n_units = self.drawer.n_units
        self.term = NonlinearTerm(network) if network.config.same_bin is not None else None

    def start(self, n_rows: int) -> State:
        past = np.zeros((n_rows, len(self.kernels), self.n_units), dtype=np.float32)
        return np.zeros((n_rows, self.network.config.n_hidden), dtype=np.float32), past

    @torch.no_grad()
    def step(
        self, state: State, drive: np.ndarray, uniforms: np.ndarray, forced: Forced = None
    ) -> tuple[np.ndarray, np.ndarray, State]:
        hidden, past = state
        last = past[:, 0] * (self.scale.common_scale() / self.scale.deviation)
        history = np.einsum("rlu,lb->rbu", past, self.kernels).reshape(len(past), -1)
        encoded, _ = self.network.encode(
            torch.from_numpy(last.astype(np.float32))[:, None],
            torch.from_numpy(drive.astype(np.float32))[:, None],
            torch.from_numpy(hidden)[None],
        )  # (R, 1, H)
        z, nu, context = self.network.decode(encoded[:, 0], torch.from_numpy(history))
        if self.term is not None:
            self.term.context = context.numpy().astype(np.float64)
        dispersion = None if nu is None else nu.numpy().astype(np.float64)
        mean, counts = self.drawer.draw(z.numpy().astype(np.float64), dispersion, uniforms, self.term, forced)
        if self.past_spikes:
            newest = ((self.scale.within(counts) - self.scale.mean) / self.scale.common_scale()).astype(np.float32)
            past = np.concatenate([newest[:, None], past[:, :-1]], axis=1)
        return mean, counts, (encoded[:, 0].numpy(), past)
