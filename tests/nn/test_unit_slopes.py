"""Facts about the slopes of single units: they are the derivatives of the likelihood."""

import pytest
import torch

from skneuro.nn import hazard
from skneuro.nn.counts import CLAMP
from skneuro.nn.unit_slopes import unit_slopes


@pytest.fixture
def cells():
    """40 cells of three units, some of them not scored, with up to four spikes."""
    torch.manual_seed(0)
    counts = torch.randint(0, 5, (40, 3)) * (torch.rand(40, 3) < 0.6)
    scored = torch.rand(40, 3) < 0.8
    counts = counts * scored
    draw = torch.randn(2, 40, 3, dtype=torch.float64)
    return counts, scored, draw[0], 0.5 * draw[1], torch.randn(3, 4, dtype=torch.float64)


def likelihood(cells, log_intensity, table):
    counts, scored, _, shift, _ = cells
    spikes = hazard.Spikes.of_counts(counts)
    odds = hazard.repeat_odds(spikes, log_intensity, shift, table)
    return (hazard.cell_log_likelihood(log_intensity, spikes, odds) * scored).sum(), spikes, odds


def second(value, at):
    """First and second derivatives of a scalar in each entry on its own."""
    (first,) = torch.autograd.grad(value, at, create_graph=True)
    rows = [torch.autograd.grad(x, at, retain_graph=True)[0].flatten()[n] for n, x in enumerate(first.flatten())]
    return first.detach(), torch.stack(rows).reshape(at.shape)


@pytest.mark.parametrize("column", [0.0, 2 * CLAMP, -2 * CLAMP])
def test_they_are_the_derivatives_in_the_table_of_repeats(cells, column):
    """Where a shift is bounded, too."""
    counts, scored, log_intensity, shift, table = cells
    table = (table + torch.tensor([0.0, column, 0.0, 0.0])).requires_grad_()
    total, spikes, odds = likelihood(cells, log_intensity, table)
    slope, curvature = second(total, table)
    found = unit_slopes(log_intensity, scored, spikes, odds, shift, table).shape
    torch.testing.assert_close(found[0], slope)
    torch.testing.assert_close(found[1], -curvature)


def test_they_are_the_derivatives_of_first_spikes_in_the_log_rate(cells):
    counts, scored, log_intensity, shift, table = cells
    more = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    spikes, moved = hazard.Spikes.of_counts(counts), log_intensity + more
    silent = hazard.silent_log_probability(moved)
    first = torch.where(counts > 0, hazard.fired_log_probability(moved), silent) * scored
    slope, curvature = second(first.sum(), more)
    odds = hazard.repeat_odds(spikes, log_intensity, shift, table)
    found = unit_slopes(log_intensity, scored, spikes, odds, shift, table).rate
    torch.testing.assert_close(found[0], slope)
    torch.testing.assert_close(found[1], -curvature)


def test_large_and_small_intensities_have_finite_slopes():
    log_intensity = torch.tensor([[-40.0, 40.0, 3.0]])
    spikes = hazard.Spikes.of_counts(torch.ones(1, 3, dtype=torch.long))
    shift, table = torch.zeros(1, 3), torch.zeros(3, 1)
    odds = hazard.repeat_odds(spikes, log_intensity, shift, table)
    found = unit_slopes(log_intensity, torch.ones(1, 3, dtype=torch.bool), spikes, odds, shift, table)
    assert bool(found.rate.isfinite().all()) and bool(found.shape.isfinite().all())
    assert float(found.rate[1].min()) >= 0


def test_spikes_beyond_the_table_do_not_count():
    counts = torch.tensor([[3], [1]])
    spikes, log_intensity, table = hazard.Spikes.of_counts(counts), torch.zeros(2, 1), torch.zeros(1, 2)
    odds = hazard.repeat_odds(spikes, log_intensity, torch.zeros(2, 1), table)
    scored = torch.ones(2, 1, dtype=torch.bool)
    again = torch.sigmoid(odds)  # after spike 1, 2, 3 of the first cell, and 1 of the second
    found = unit_slopes(log_intensity, scored, spikes, odds, torch.zeros(2, 1), table).shape
    expected = torch.stack([1 - again[0] - again[3], 1 - again[1]])
    torch.testing.assert_close(found[0, 0], expected)
