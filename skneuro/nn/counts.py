"""Distribution of the spike count of one cell (a unit in a bin): first event by a hazard, repeats by their odds."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_LOG_INTENSITY, MAX_LOG_INTENSITY = -16.0, 6.0
CLAMP = 5.0  # of learned shifts of log odds, so that every run of repeats ends
TAIL_LOG_ODDS = -math.log(2.0)  # of one more spike beyond all counts of training, at most
FIRST_REPEATS, MAX_REPEATS = 8, 10_000  # the second is reached only where top_p makes every repeat certain


def _log_repeat_odds(log_rate: Tensor, k: Tensor) -> Tensor:
    """Log of P(N >= k+1) / P(N = k) of a Poisson count: log sum_{j >= 1} rate^j k! / (k + j)!, in float64."""
    rate = log_rate.exp()
    series = torch.ones_like(rate)
    for j in range(40, 0, -1):  # Horner; exact to float64 where the rate is small, or small beside k
        series = 1 + series * rate / (k + 1 + j)
    odds = log_rate - torch.log(k + 1) + series.log()
    large = (rate > 8.0) & (k < 2 * rate)
    if not at_hand(odds):
        return torch.where(large, _log_odds_of_large(log_rate, k), odds)
    if bool(large.any()):
        odds[large] = _log_odds_of_large(log_rate[large], k[large])
    return odds


def at_hand(values: Tensor) -> bool:
    """Whether the host can read them without waiting."""
    return values.device.type == "cpu"


def _log_odds_of_large(log_rate: Tensor, k: Tensor) -> Tensor:
    """As :func:`_log_repeat_odds`, from the incomplete gamma function, which costs far more."""
    tail = torch.special.gammainc(k + 1, log_rate.exp()).clamp_min(1e-300).log()
    return tail - (k * log_rate - log_rate.exp() - torch.lgamma(k + 1))


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


def bounded_shift(shift: Tensor, poisson: Tensor) -> Tensor:
    """A shift of Poisson's log odds, within +-5, or above as long as the shifted odds stay below even.

    Units that are rarely active and then fire in bursts need more than 5, and still end their bursts.
    """
    return torch.minimum(shift.clamp_min(-CLAMP), (-poisson).clamp_min(CLAMP))


def repeat_log_odds(log_rate: Tensor, k: Tensor, shift: Tensor) -> Tensor:
    """Log odds of a repeat: Poisson's, plus a learned shift (bounded)."""
    poisson = poisson_repeat_log_odds(log_rate, k)
    return poisson + bounded_shift(shift, poisson)


def with_tail(odds: Tensor, last: Tensor) -> Tensor:
    """Log odds beyond the learned table: those of its last column go on, up to one in two, where they are above `odds`.

    Counts that training never saw then get ever rarer by a constant factor, as in the categorical baselines. Poisson's
    odds fall with k: a single burst, or an artefact, in held-out data could cost all that the other bins had gained.

    Parameters
    ----------
    odds : Tensor
        As they follow from the last column's shift.
    last : Tensor
        The odds at the last column.
    """
    return torch.maximum(odds, last.clamp_max(TAIL_LOG_ODDS))


def counted_repeat_log_odds(log_rate: Tensor, k: Tensor, shift: Tensor, n_columns: int) -> Tensor:
    """As :func:`repeat_log_odds`, :func:`with_tail` where k exceeds the columns of the table of shifts."""
    odds = repeat_log_odds(log_rate, k, shift)
    beyond = k > n_columns
    if not at_hand(odds):
        last = repeat_log_odds(log_rate, k.clamp_max(n_columns), shift)
        return torch.where(beyond, with_tail(odds, last), odds)
    where = beyond.nonzero(as_tuple=True)
    if not len(where[0]):
        return odds
    last = repeat_log_odds(log_rate[where], torch.full_like(k[where], n_columns), shift[where])
    return odds.index_put(where, with_tail(odds[where], last))


def silent_log_probability(log_intensity: Tensor) -> Tensor:
    """Log probability that a cell stays silent, -exp(log_intensity)."""
    return -log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY).exp()


def fired_log_probability(log_intensity: Tensor) -> Tensor:
    """Log probability that a cell fires at least once, log(1 - exp(-exp(log_intensity)))."""
    return torch.log(-torch.expm1(silent_log_probability(log_intensity)))


def table_shift(table: Tensor, unit: Tensor, k: Tensor) -> Tensor:
    """Learned shift of unit `unit` after `k` spikes; counts above the table's use its last column."""
    return table[unit, (k - 1).clamp(0, table.shape[1] - 1)]


def poisson_repeat_table(log_rate: Tensor, n: int) -> Tensor:
    """:func:`poisson_repeat_log_odds` after 1, ..., n spikes at once, without gradients.

    The odds t_k of a Poisson count obey ``t_{k-1} = (1 + t_k) rate / k``, which loses its start where k exceeds the
    rate; so one sweep down gives all of them, from a count so far above n that what the start left out has shrunk below
    the rounding of float64.

    Parameters
    ----------
    log_rate : Tensor of shape (...)

    Returns
    -------
    Tensor of shape (n, ...)
    """
    rate = log_rate.detach().double().exp()
    largest = float(rate.max()) if rate.numel() else 0.0
    start = max(n, math.ceil(2 * largest))
    shrinks = math.log((start + 1) / max(largest, 1e-9))  # with every step from there down, at least log 2
    odds, found = torch.zeros_like(rate), []
    for k in range(start + math.ceil(-math.log(1e-17) / shrinks), 0, -1):
        odds = (1 + odds) * (rate / (k + 1))
        if k <= n:
            found.append(odds)
    return torch.stack(found[::-1]).log().to(log_rate.dtype)


def chosen_log_probability(log_odds: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """Log probability of the first of two outcomes with these log odds, as they are drawn.

    The odds are flattened by a temperature above 1 and sharpened below; then an outcome without which the other has
    `top_p` of the mass is never taken.
    """
    chosen = F.logsigmoid(log_odds / temperature)
    if top_p < 1:
        p = chosen.exp()
        chosen = torch.where((p <= 0.5) & (1 - p >= top_p), float("-inf"), chosen)
        chosen = torch.where((p > 0.5) & (p >= top_p), 0.0, chosen)
    return chosen


def drawn_fired_log_probability(log_intensity: Tensor, temperature: float = 1.0, top_p: float = 1.0) -> Tensor:
    """As :func:`fired_log_probability`, as it is drawn: see :func:`chosen_log_probability`."""
    fired = fired_log_probability(log_intensity)
    if temperature == 1.0 and top_p == 1.0:
        return fired
    return chosen_log_probability(fired - silent_log_probability(log_intensity), temperature, top_p)


def repeat_log_probabilities(
    log_rate: Tensor, shift: Tensor, n_columns: int, temperature: float = 1.0, top_p: float = 1.0
) -> Tensor:
    """Log probabilities of one more spike after 1, ..., n, of the shape of `shift` (n, ...).

    Parameters
    ----------
    log_rate : Tensor of shape (...)
    shift : Tensor of shape (n, ...)
        Learned shift of the log odds.
    n_columns : int
        How many of them were learned; the tail follows.
    temperature, top_p : float
        See :func:`chosen_log_probability`.
    """
    poisson = poisson_repeat_table(log_rate, len(shift))
    odds = poisson + bounded_shift(shift, poisson)
    if len(odds) > n_columns:
        odds = torch.cat([odds[:n_columns], with_tail(odds[n_columns:], odds[n_columns - 1])])
    return chosen_log_probability(odds, temperature, top_p)


def expected_count(log_intensity: Tensor, shift: Tensor, table: Tensor, n_terms: int) -> Tensor:
    """Mean count of every cell: sum over k of P(N >= k), the first `n_terms` of them, and a geometric rest.

    Parameters
    ----------
    log_intensity, shift : Tensor of shape (R, N)
    table : Tensor of shape (N, max_count)
    n_terms : int
    """
    log_rate = log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)
    columns = torch.arange(n_terms - 1, device=table.device).clamp_max(table.shape[1] - 1)
    again = repeat_log_probabilities(log_rate, shift + table.T[columns, None], table.shape[1])  # (n_terms - 1, R, N)
    at_least = again.cumsum(0).exp()
    rest = at_least[-1] * (again[-1] - torch.log(-torch.expm1(again[-1]))).exp()
    return fired_log_probability(log_rate).exp() * (1 + at_least.sum(0) + rest)


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
        See :func:`chosen_log_probability`.

    Returns
    -------
    Tensor of shape (R,), long, counts >= 1
    """
    log_rate = log_intensity.clamp(MIN_LOG_INTENSITY, MAX_LOG_INTENSITY)
    count = torch.ones_like(unit)
    going = torch.arange(len(unit), device=unit.device)
    n = FIRST_REPEATS
    while len(going) and n <= MAX_REPEATS:  # few counts reach the end of the first table
        columns = torch.arange(n, device=table.device).clamp_max(table.shape[1] - 1)
        shifts = table[unit[going]][:, columns].T + shift[going]
        alive = repeat_log_probabilities(log_rate[going], shifts, table.shape[1], temperature, top_p).cumsum(0)
        more = (uniform[going].log() < alive).long().cumprod(0).sum(0)
        count[going] = 1 + more
        going, n = going[more == n], n * 8
    return count
