"""Contrastive alignment of the neural side and modalities, pair by pair: the poster's equations 1 to 3."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import N_COMPONENTS, NeuroformerConfig

SHARPEST = 0.01  # the lowest temperature that is learned


class Alignment(nn.Module):
    """The projections g of equations 1 and 2, one for each side, to vectors of unit norm; and the temperatures.

    Parameters
    ----------
    config : NeuroformerConfig
        Side 0 are the spikes, sides 1, 2, ... the modalities of `aligned`.
    n_neural : int
        Width of the neural side.
    """

    def __init__(self, config: NeuroformerConfig, n_neural: int) -> None:
        super().__init__()
        self.fixed = config.temperature
        self.neural = nn.Linear(n_neural, config.d_model)
        n_features = config.d_model + N_COMPONENTS
        self.modalities = nn.ModuleList(nn.Linear(n_features, config.d_model) for _ in config.aligned)
        self.log_temperature = None
        if config.learn_temperature:
            start = torch.full((len(config.aligned_pairs),), math.log(config.temperature))
            self.log_temperature = nn.Parameter(start)

    def project(self, side: int, features: Tensor) -> Tensor:
        """Vectors of unit norm of one side, (..., D)."""
        return F.normalize((self.modalities[side - 1] if side else self.neural)(features), dim=-1)

    def temperature(self, pair: int) -> float | Tensor:
        """Temperature of a pair, the given one or a learned one."""
        return self.fixed if self.log_temperature is None else self.log_temperature[pair].exp().clamp_min(SHARPEST)


def contrastive_loss(
    one: Tensor, other: Tensor, clip: Tensor, start: Tensor, duration: float, temperature: float | Tensor
) -> Tensor:
    """Symmetric cross-entropy L_vnc of equation 3 over the pairs of a batch.

    A segment has an identity on every side that has a clock of its own. Segments that are the same on one of them
    (same clip, same time in it) are positives of each other; segments that merely overlap on one of them are left out
    of the negatives.

    Parameters
    ----------
    one, other : Tensor of shape (P, D), unit norm
    clip : Tensor of shape (P, S)
        What is shown on each side that has a clock.
    start : Tensor of shape (P, S), seconds in the clip
    duration : float
        Length of a segment, seconds.
    temperature : float or Tensor, scalar

    Returns
    -------
    Tensor, scalar, nats
    """
    logits = one @ other.T / temperature  # (P, P)
    distance = (start[:, None] - start[None, :]).abs()  # (P, P, S)
    same_clip = clip[:, None] == clip[None, :]
    positive = (same_clip & (distance < 1e-3 * duration)).any(-1)
    masked = (same_clip & (distance < duration * (1 - 1e-3))).any(-1) & ~positive
    logits = logits.masked_fill(masked, float("-inf"))
    target = positive.to(logits.dtype)
    target = target / target.sum(1, keepdim=True)
    forward = -(target * logits.log_softmax(1).masked_fill(~positive, 0.0)).sum(1).mean()
    backward = -(target * logits.T.log_softmax(1).masked_fill(~positive, 0.0)).sum(1).mean()
    return 0.5 * (forward + backward)
