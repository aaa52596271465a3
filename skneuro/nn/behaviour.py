"""From the neural state to behaviour: the encoder of the long past, features at several lags, and a readout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.batch import Batch
from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.layers import Dropout, RandomSource
from skneuro.nn.neuroformer import Neuroformer

COUNT_WEIGHT = 0.3
TRIAL_WEIGHTS = ((COUNT_WEIGHT, 1.0), (1.0, 1.0), (1.0, 0.3), (1.0, 0.1))  # of counts and state
N_SLOTS = 10  # counts are averaged so that each side of a bin has at most so many values a unit
STATE_STEP, STATES_BACK = 2, 4  # slots between the states that are read, and how far back they go


@dataclass(frozen=True)
class Lags:
    """Bins that a readout sees, as lags in bins from its own; 0 is the bin itself.

    Attributes
    ----------
    counts : tuple of tuple of int
        Each slot's lags, whose counts are averaged.
    states : tuple of int
        Lags of the neural states; the state of a bin knows the bin's own spikes and all before.
    """

    counts: tuple[tuple[int, ...], ...]
    states: tuple[int, ...]

    @classmethod
    def of(cls, n_bins: int, causal: bool) -> Lags:
        """Lags of `n_bins` bins, the own one included, into the past, and into the future too unless `causal`."""
        n_bins = max(n_bins, 1)
        width = -(-n_bins // N_SLOTS)
        past = [tuple(range(-min(k + width, n_bins) + 1, -k + 1)) for k in range(0, n_bins, width)]
        reach = width * STATE_STEP
        back = list(range(0, min(n_bins, STATES_BACK * width + 1), reach))
        ahead = [] if causal else list(range(reach, n_bins, reach))
        future = [] if causal else [tuple(-lag for lag in slot if lag) for slot in past]
        return cls(tuple(slot for slot in past + future if slot), tuple(-lag for lag in back) + tuple(ahead))

    @property
    def reach(self) -> tuple[int, int]:
        """Bins before and after the own one that are seen."""
        seen = [lag for slot in self.counts for lag in slot] + list(self.states)
        return -min(seen), max(seen)


def at_lags(x: Tensor, index: Tensor, low: Tensor, high: Tensor, slots: tuple[tuple[int, ...], ...]) -> Tensor:
    """Rows of `x` at some lags from others, averaged in slots; zeros beyond a row's trial.

    Parameters
    ----------
    x : Tensor of shape (M, F)
    index : Tensor of shape (P,), long
        Rows from which lags are counted.
    low, high : Tensor of shape (P,), long
        First row of the trial, and the one after its last.

    Returns
    -------
    Tensor of shape (P, slots * F)
    """
    parts = []
    for slot in slots:
        total = x.new_zeros(len(index), x.shape[1])
        for lag in slot:
            row = index + lag
            inside = (row >= low) & (row < high)
            total = total + torch.where(inside[:, None], x[torch.where(inside, row, 0)], 0.0)
        parts.append(total / len(slot))
    return torch.cat(parts, dim=1)


class NeuralState(nn.Module):
    """What a Neuroformer makes of spikes alone: standardised counts, and the state of the long past.

    A copy of these parts of a network; training it leaves the network as it was.

    Parameters
    ----------
    config : NeuroformerConfig
    """

    def __init__(self, config: NeuroformerConfig) -> None:
        super().__init__()
        self.config = config
        self.random = RandomSource()
        self.width = config.context_width if config.context_bins else 0
        for name in ("mean", "sd", "most"):
            self.register_buffer(name, torch.zeros(config.n_units))
        if self.width:
            self.input = nn.Parameter(torch.zeros(config.n_units, self.width))
            self.bias = nn.Parameter(torch.zeros(self.width))
            self.recurrent = nn.GRU(self.width, self.width, batch_first=True)
            self.dropout = Dropout(config.dropout, self.random)

    def copy_from(self, network: Neuroformer) -> None:
        """Take over the weights of a network of the same configuration."""
        weights = {name: getattr(network.session, name) for name in ("mean", "sd", "most")}
        if self.width:
            weights |= {"input": network.session.input, "bias": network.past.bias}
            weights |= {f"recurrent.{k}": v for k, v in network.past.recurrent.state_dict().items()}
        self.load_state_dict(weights)

    def standardise(self, counts: Tensor, observed: Tensor) -> Tensor:
        """Counts (..., N) in standard deviations from the mean of training; 0 where not observed."""
        return (torch.minimum(counts, self.most) - self.mean) / self.sd * observed

    def past_states(self, batch: Batch) -> Tensor | None:
        """States before each bin of the rows and after the last, (C, T + 1, S); None without a long past."""
        if not self.width:
            return None
        x = self.standardise(batch.counts, batch.observed)
        x = self.dropout(F.gelu(x @ self.input + self.bias))
        states, _ = self.recurrent(x, batch.hidden[None])
        return torch.cat([batch.hidden[:, None], states], dim=1)


class Readout(nn.Module):
    """Behaviour from features: a linear part, and a small network beside it that starts at nothing.

    Parameters
    ----------
    n_features, n_outputs, n_hidden : int
    dropout : float
    source : RandomSource
    """

    def __init__(self, n_features: int, n_outputs: int, n_hidden: int, dropout: float, source: RandomSource) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.linear = nn.Linear(n_features, n_outputs)
        self.hidden = nn.Linear(n_features, n_hidden)
        self.output = nn.Linear(n_hidden, n_outputs)
        self.dropout = Dropout(dropout, source)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Features (P, n_features) to outputs (P, n_outputs)."""
        x = (features - self.centre) / self.scale
        return self.linear(x) + self.output(self.dropout(F.gelu(self.hidden(self.dropout(x)))))


class BehaviourNetwork(nn.Module):
    """Neural state and readout.

    Parameters
    ----------
    state : NeuralState
    lags : Lags
    n_outputs, n_hidden : int
    """

    def __init__(self, state: NeuralState, lags: Lags, n_outputs: int, n_hidden: int) -> None:
        super().__init__()
        self.state, self.lags = state, lags
        n_features = state.config.n_units * len(lags.counts) + state.width * len(lags.states)
        self.readout = Readout(n_features, n_outputs, n_hidden, state.config.dropout, state.random)

    def feature_weights(self, per_trial: bool) -> np.ndarray:
        """How much a linear readout is to use each feature, one row a candidate, (n_candidates, n_features).

        In a bin, counts less than the state, if there is one: one penalty for both would spend few labels on the many
        counts. Chosen on validation blocks of S1, where it helps most with one percent of the labels and never hurts.
        Over a trial counts add up, and may tell more than the state: there it is one of several candidates.
        """
        n_counts = self.state.config.n_units * len(self.lags.counts)
        n_states = self.state.width * len(self.lags.states)
        if not n_states:
            return np.ones((1, n_counts))
        candidates = TRIAL_WEIGHTS if per_trial else TRIAL_WEIGHTS[:1]
        return np.array([[counts] * n_counts + [states] * n_states for counts, states in candidates])

    def features(self, counts: Tensor, states: Tensor | None, index: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Features of some bins.

        Parameters
        ----------
        counts : Tensor of shape (M, N)
            Standardised counts of consecutive bins.
        states : Tensor of shape (M, S) or None
            State after each bin.
        index, low, high : Tensor of shape (P,), long
            The bins, and the borders of their trials.

        Returns
        -------
        Tensor of shape (P, n_features)
        """
        parts = [at_lags(counts, index, low, high, self.lags.counts)]
        if states is not None:
            parts.append(at_lags(states, index, low, high, tuple((lag,) for lag in self.lags.states)))
        return torch.cat(parts, dim=1)

    def batch_features(self, batch: Batch, row: Tensor, bin_: Tensor) -> Tensor:
        """Features of the bins `bin_` of the batch's rows `row`, (P, n_features), with gradients to the encoder."""
        n_rows, n_bins = batch.counts.shape[:2]
        counts = self.state.standardise(batch.counts, batch.observed).reshape(n_rows * n_bins, -1)
        states = self.state.past_states(batch)
        if states is not None:
            states = states[:, 1:].reshape(n_rows * n_bins, -1)
        low = row * n_bins
        return self.features(counts, states, low + bin_, low, low + batch.length[row])
