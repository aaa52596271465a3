"""Distribution of the spike count of one cell (a unit in a bin): first event by a hazard, repeats by their odds."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_LOG_INTENSITY, MAX_LOG_INTENSITY = -16.0, 6.0
MAX_REPEATS = 10_000  # reached only where top_p makes every repeat certain


def _log_repeat_odds(log_rate: Tensor, k: Tensor) -> Tensor:
    """Log of P(N >= k+1) / P(N = k) of a Poisson count: log sum_{j >= 1} rate^j k! / (k + j)!, in float64."""
    rate = log_rate.exp()
    series = torch.ones_like(rate)
    for j in range(40, 0, -1):  # Horner; exact to float64 where the rate is small, or small beside k
        series = 1 + series * rate / (k + 1 + j)
    odds = log_rate - torch.log(k + 1) + series.log()
    large = (rate > 8.0) & (k < 2 * rate)
    if bool(large.any()):  # from the incomplete gamma function, which costs far more
        x, count = log_rate[large], k[large]
        tail = torch.special.gammainc(count + 1, x.exp()).clamp_min(1e-300).log()
        odds[large] = tail - (count * x - x.exp() - torch.lgamma(count + 1))
    return odds


class _PoissonRepeatLogOdds(torch.autograd.Function):
    """d/d log_rate of the log odds is ``rate / odds - k + rate``, because dP(N >= k+1)/d rate = P(N = k)."""

    @staticmethod
    def forward(ctx, log_rate: Tensor, k: Tensor) -> Tensor:
        x, count = log_rate.double(), k.double()
        odds = _log_repeat_odds(x, count)
        ctx.save_for_backward((x - odds).exp() - count + x.exp())
        return odds.to(log_rate.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return grad * slope.to(grad.dtype), None


def poisson_repeat_log_odds(log_rate: Tensor, k: Tensor) -> Tensor:
    """Log odds of one more spike after the k-th of a Poisson count, P(N > k | N >= k) / P(N = k | N >= k).

    Parameters
    ----------
    log_rate, k : Tensor of one shape
        Log of the expected count, and the number of spikes so far (>= 1).
    """
    return _PoissonRepeatLogOdds.apply(log_rate, k)


def repeat_log_odds(log_rate: Tensor, k: Tensor, shift: Tensor) -> Tensor:
    """Log odds of a repeat: Poisson's, plus a learned shift (clamped to +-5, so that every run of repeats ends)."""
    return poisson_repeat_log_odds(log_rate, k) + shift.clamp(-5.0, 5.0)


def silent_log_probability(log_intensity: Tensor) -> Tensor:
    """Log probability that a cell stays silent, -exp(log_intensity)."""
    return -log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY).exp()


def fired_log_probability(log_intensity: Tensor) -> Tensor:
    """Log probability that a cell fires at least once, log(1 - exp(-exp(log_intensity)))."""
    return torch.log(-torch.expm1(silent_log_probability(log_intensity)))


def table_shift(table: Tensor, unit: Tensor, k: Tensor) -> Tensor:
    """Learned shift of unit `unit` after `k` spikes; counts above the table's use its last column."""
    return table[unit, (k - 1).clamp(0, table.shape[1] - 1)]


def expected_count(log_intensity: Tensor, shift: Tensor, table: Tensor, n_terms: int) -> Tensor:
    """Mean count of every cell: sum over k of P(N >= k), the first `n_terms` of them.

    Parameters
    ----------
    log_intensity, shift : Tensor of shape (R, N)
    table : Tensor of shape (N, max_count)
    n_terms : int
    """
    log_rate = log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)
    alive = fired_log_probability(log_rate)  # log P(N >= 1)
    total = alive.exp()
    for k in range(1, n_terms):
        shifts = shift + table[:, min(k - 1, table.shape[1] - 1)]
        alive = alive + F.logsigmoid(repeat_log_odds(log_rate, torch.full_like(log_rate, k), shifts))
        total = total + alive.exp()
    return total


def draw_repeats(
    log_intensity: Tensor,
    shift: Tensor,
    table: Tensor,
    unit: Tensor,
    uniform: Tensor,
    temperature: float = 1.0,
    top_p: float = 1.0,
) -> Tensor:
    """Draw the counts of cells that fired: spikes are added until the chance of so many falls below `uniform`.

    Parameters
    ----------
    log_intensity, shift, unit, uniform : Tensor of shape (R,)
    table : Tensor of shape (N, max_count)
    temperature, top_p : float
        As for the next event: the odds are flattened, and a choice that `top_p` of the mass does not need is
        never taken.

    Returns
    -------
    Tensor of shape (R,), long, counts >= 1
    """
    log_rate = log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)
    count = torch.ones_like(unit)
    alive = torch.zeros_like(log_rate)  # log P(N >= count | N >= 1)
    threshold = uniform.log()
    going = torch.ones_like(unit, dtype=torch.bool)
    while bool(going.any()):
        shifts = shift + table_shift(table, unit, count)
        again = F.logsigmoid(repeat_log_odds(log_rate, count.to(log_rate.dtype), shifts) / temperature)
        if top_p < 1:
            p = again.exp()
            again = torch.where((p <= 0.5) & (1 - p >= top_p), float("-inf"), again)
            again = torch.where((p > 0.5) & (p >= top_p), 0.0, again)
        alive = alive + again
        going = going & (threshold < alive) & (count < MAX_REPEATS)
        count = count + going
    return count
