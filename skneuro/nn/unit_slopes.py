"""Slopes of the hazard's log-likelihood in what belongs to one unit alone: its log rate, and its count shape."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skneuro.nn.counts import CLAMP, MAX_LOG_INTENSITY, MIN_LOG_INTENSITY
from skneuro.nn.hazard import Spikes


@dataclass(frozen=True)
class UnitSlopes:
    """First derivatives, and minus the second ones, summed over cells.

    Attributes
    ----------
    rate : Tensor of shape (2, N)
        In a number added to all log intensities of a unit; of the first spikes of cells alone.
    shape : Tensor of shape (2, N, max_count)
        In every entry of the table of repeats.
    """

    rate: Tensor
    shape: Tensor

    def __add__(self, other: UnitSlopes) -> UnitSlopes:
        return UnitSlopes(self.rate + other.rate, self.shape + other.shape)

    def to_host(self) -> UnitSlopes:
        """In float64 on the CPU, to add many."""
        return UnitSlopes(self.rate.cpu().double(), self.shape.cpu().double())


@torch.no_grad()
def unit_slopes(
    log_intensity: Tensor, free: Tensor, spikes: Spikes, odds: Tensor, shift: Tensor, table: Tensor
) -> UnitSlopes:
    """Slopes of :func:`skneuro.nn.hazard.cell_log_likelihood`.

    With the intensity r of a cell, its silence has the log probability ``-r`` and a first spike ``log(1 - exp(-r))``,
    whose slopes in log r are ``-r`` and ``r / (exp(r) - 1)``. A repeat of log odds o has the slope ``1 - p`` in o, and
    the end of the repeats ``-p``, with p the logistic function of o; both have the curvature ``-p (1 - p)``.

    Parameters
    ----------
    log_intensity, shift : Tensor of shape (R, N)
    free : Tensor of shape (R, N), bool
        Cells that are scored and whose intensity no ceiling holds.
    spikes : Spikes
        Of the counts (R, N).
    odds : Tensor of shape (n_spikes,)
        From :func:`skneuro.nn.hazard.repeat_odds`.
    table : Tensor of shape (N, max_count)
    """
    intensity = log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY).exp()
    silent = (intensity * free).sum(0)
    where = (spikes.row, spikes.unit)
    own = intensity[where]
    at_least = own / -torch.expm1(-own)  # r / (1 - exp(-r)), so that large r does no harm
    fired = torch.stack([at_least, (at_least - own) * (at_least - 1) - own]) * free[where]
    rate = torch.stack([-silent, silent]).index_add_(1, spikes.unit, fired)

    unit, n_columns = spikes.unit[spikes.cell], table.shape[1]
    counted = spikes.number <= n_columns
    column = spikes.number.clamp_max(n_columns) - 1
    moved = shift[where][spikes.cell] + table[unit, column]
    counted &= (moved > -CLAMP) & ((moved < CLAMP) | (odds < 0))  # a bounded shift is the same for all tables near by
    again = torch.sigmoid(odds)
    terms = torch.stack([(~spikes.last).to(again.dtype) - again, again * (1 - again)]) * counted
    shape = table.new_zeros(2, table.numel()).index_add_(1, unit * n_columns + column, terms.to(table.dtype))
    return UnitSlopes(rate, shape.reshape(2, *table.shape))
