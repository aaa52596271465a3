"""The recurrent network of `GRUModel` (torch). B sequences, T bins, U units, S stimuli, H hidden, E embedding."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import erf
from torch import Tensor, nn
from torch.nn.functional import gelu

from skneuro.baselines._heads import CountHead


@dataclass(frozen=True)
class GRUConfig:
    """Sizes and parts of a `CountGRU`."""

    n_units: int
    n_stimuli: int
    n_history: int
    n_hidden: int
    recurrent: bool
    same_bin: str | None
    uses_nu: bool
    dropout: float
    history_scale: float
    n_embedding: int = 24


class CountGRU(nn.Module):
    """Log-intensity and dispersion of every cell, from the counts before its bin and the stimuli until its end."""

    def __init__(self, config: GRUConfig):
        super().__init__()
        self.config = config
        n_units, n_hidden = config.n_units, config.n_hidden
        self.input = nn.Linear(n_units + config.n_stimuli, n_hidden)
        self.recurrence = nn.GRU(n_hidden, n_hidden, batch_first=True) if config.recurrent else None
        self.hidden = nn.Linear(n_hidden, n_hidden)
        self.log_intensity = nn.Linear(n_hidden, n_units)
        self.dispersion = nn.Linear(n_hidden, n_units) if config.uses_nu else None
        self.history = nn.Linear(config.n_history, n_units, bias=False)
        self.dropout = SeededDropout(config.dropout)
        if config.same_bin is not None:
            self.same_bin_linear = nn.Parameter(torch.zeros(n_units, n_units))  # source by target
            self.register_buffer("lower", torch.triu(torch.ones(n_units, n_units), 1), persistent=False)
        if config.same_bin == "nonlinear":
            self.embedding = nn.Parameter(torch.zeros(n_units, config.n_embedding))
            self.context = nn.Linear(n_hidden, config.n_embedding)
            self.readout = nn.Parameter(torch.zeros(n_units, config.n_embedding))

    def encode(self, last: Tensor, stimuli: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Hidden state of every bin, from the standardised counts of the bin before it and its stimuli."""
        x = self.dropout(gelu(self.input(torch.cat([last, stimuli], dim=-1))))  # (B, T, H)
        if self.recurrence is None:
            return x, None
        return self.recurrence(x, state)  # (B, T, H), (1, B, H)

    def decode(self, hidden: Tensor, history: Tensor) -> tuple[Tensor, Tensor | None, Tensor]:
        """Log-intensity and dispersion before same-bin terms, (..., U), and what these terms see of the state."""
        features = self.dropout(gelu(self.hidden(self.dropout(hidden))))  # (..., H)
        # Adam's steps are the same for all weights: features of unit variance let the linear path keep pace.
        z = self.log_intensity(features) + self.history(history / self.config.history_scale)  # (..., U)
        nu = None if self.dispersion is None else 1.0 + self.dispersion(features)  # (..., U)
        context = self.context(features) if self.config.same_bin == "nonlinear" else features[..., :0]  # (..., E)
        return z, nu, context

    def same_bin(self, residuals: Tensor, context: Tensor) -> Tensor | float:
        """Addition to the log-intensity of each unit from the lower units of its bin, (..., U)."""
        if self.config.same_bin is None:
            return 0.0
        offset = residuals @ (self.same_bin_linear * self.lower)
        if self.config.same_bin == "nonlinear":
            own = residuals[..., None] * self.embedding  # (..., U, E)
            before = torch.cumsum(own, dim=-2) - own
            offset = offset + (gelu(before + context[..., None, :]) * self.readout).sum(dim=-1)
        return offset

    def linear_weights(self) -> list[Tensor]:
        """Weights of the linear paths, which have a ridge penalty of their own."""
        return [self.history.weight] + ([self.same_bin_linear] if self.config.same_bin else [])

    def ridge(self) -> Tensor:
        """Sum of squares of each unit's linear weights, per standard deviation of the counts, (U,)."""
        total = (self.history.weight**2).sum(dim=1) / self.config.history_scale**2
        return total + (self.same_bin_linear**2).sum(dim=0) if self.config.same_bin else total


class SeededDropout(nn.Module):
    """Dropout that draws from a generator of its own, so that the user's random state is left alone."""

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0.0:
            return x
        kept = torch.rand(x.shape, generator=self.generator) >= self.p
        return x * kept / (1.0 - self.p)


def new_network(config: GRUConfig, head: CountHead, generator: torch.Generator) -> CountGRU:
    """Network that begins as the constant model of `head`, with all random numbers from `generator`."""
    network = empty_network(config)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, (nn.Linear, nn.GRU)):
                size = module.in_features if isinstance(module, nn.Linear) else module.hidden_size
                for parameter in module.parameters():
                    parameter.uniform_(-1.0, 1.0, generator=generator).div_(np.sqrt(max(size, 1)))
        for output in (network.log_intensity, network.dispersion, network.history):
            for parameter in () if output is None else output.parameters():
                parameter.zero_()
        network.log_intensity.bias.copy_(torch.from_numpy(head.z_start))
        if config.same_bin is not None:
            network.same_bin_linear.zero_()
        if config.same_bin == "nonlinear":
            network.embedding.normal_(std=0.3, generator=generator)
            network.readout.zero_()
    network.dropout.generator = generator
    return network


def empty_network(config: GRUConfig) -> CountGRU:
    """Network whose weights are still to be filled; it takes no random numbers."""
    with torch.device("meta"):
        network = CountGRU(config)
    network.to_empty(device="cpu")
    if config.same_bin is not None:
        network.lower.copy_(torch.triu(torch.ones(config.n_units, config.n_units), 1))
    return network


def load_network(config: GRUConfig, weights: dict[str, np.ndarray]) -> CountGRU:
    """Network with given weights, ready to predict."""
    network = empty_network(config)
    network.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.items()})
    return network.eval()


class NonlinearTerm:
    """The same-bin terms of a `CountGRU`, one unit after the other, in numpy.

    Parameters
    ----------
    network : CountGRU
        With ``same_bin`` set.
    """

    def __init__(self, network: CountGRU):
        self.linear = (network.same_bin_linear * network.lower).detach().numpy().astype(np.float64)
        self.nonlinear = network.config.same_bin == "nonlinear"
        if self.nonlinear:
            self.embedding = network.embedding.detach().numpy().astype(np.float64)
            self.readout = network.readout.detach().numpy().astype(np.float64)
        self.context = np.zeros((0, network.config.n_embedding))

    def begin(self, n_rows: int) -> None:
        """Forget the bin before."""
        self.residuals = np.zeros((n_rows, len(self.linear)))
        self.before = np.zeros((n_rows, self.context.shape[1]))

    def offset(self, unit: int) -> np.ndarray:
        """Addition to the log-intensity of a unit, (n_rows,)."""
        offset = self.residuals[:, :unit] @ self.linear[:unit, unit]
        if self.nonlinear:
            x = self.before + self.context
            offset = offset + (0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))) @ self.readout[unit]
        return offset

    def see(self, unit: int, residual: np.ndarray) -> None:
        """Take note of a unit's standardised count, (n_rows,)."""
        self.residuals[:, unit] = residual
        if self.nonlinear:
            self.before += residual[:, None] * self.embedding[unit]


class Emission(torch.autograd.Function):
    """Minus the weighted log-probability of counts, with the gradient that the numpy head gives."""

    @staticmethod
    def forward(ctx, z, nu, shape, head, counts, weight):
        with np.errstate(all="ignore"):  # the loop looks whether the loss is finite
            found = head.evaluate(z.numpy(), counts, weight, shape.numpy(), None if nu is None else nu.numpy())
        gradients = [found.z, found.nu, found.shape]
        ctx.gradients = [None if g is None else torch.from_numpy(g.astype(np.float32)) for g in gradients]
        return torch.tensor(-found.log_pmf.sum(dtype=np.float64), dtype=torch.float32)

    @staticmethod
    def backward(ctx, slope):
        z, nu, shape = (None if g is None else -slope * g for g in ctx.gradients)
        return z, nu, shape, None, None, None
