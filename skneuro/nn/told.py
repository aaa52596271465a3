"""Behaviour that training reads from the neural state, so that the state holds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ToldBehaviour(nn.Module):
    """A linear readout of the state of the long past, and how far it is from the behaviour of each bin.

    Parameters
    ----------
    width : int
        Of the state.
    n_values : int
        Values of the behaviour in a bin.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, width: int, n_values: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, n_values)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("mean", torch.zeros(n_values))  # of the training data
        self.register_buffer("sd", torch.ones(n_values))

    def forward(self, states: Tensor, values: Tensor) -> Tensor:
        """Mean squared error in variances of the behaviour; 0 where nothing is known.

        Parameters
        ----------
        states : Tensor of shape (C, L, S)
            After each bin, its own spikes included.
        values : Tensor of shape (C, L, K)
            Standardised behaviour; NaN where it is not known or the bin is not trained on.
        """
        known = ~values.isnan()
        error = torch.where(known, self.linear(states) - values, 0.0)
        return error.square().sum() / known.sum().clamp_min(1)
