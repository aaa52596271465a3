"""Where the hazard's count distribution starts: each unit's own histogram, helped out by those of the population.

Of a unit with a dozen training spikes nobody knows how often it fires twice in a bin; of the population one does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from skneuro.nn.counts import MAX_LOG_INTENSITY, bounded_shift, poisson_repeat_log_odds

# Spikes of a unit that the population's repeats may count as.
WORTH = tuple(2.0**power for power in range(-2, 7))
HARDLY_EVER = 0.007  # silent: Poisson's chance at about five spikes a bin


def marginal_start(histogram: Tensor) -> tuple[Tensor, Tensor]:
    """Log intensity and repeat shifts under which a cell's count is distributed as in training.

    That a unit which fired k times in a bin fires again has the beta prior of :func:`population_repeats`, worth as many
    of its spikes as make the training counts most likely (:func:`worth_of`): empirical Bayes. Poisson's odds in their
    place gave bursts of rarely active units hardly any probability.

    The log intensity is the one that leaves as many bins silent as in training. Of a unit that is hardly ever silent
    that says next to nothing, and the odds cannot make up for an intensity far below its counts: it starts at the
    logarithm of its mean count, as far as a log intensity goes.

    Parameters
    ----------
    histogram : Tensor of shape (N, max_count + 1)
        Training bins with 0, 1, ... spikes.

    Returns
    -------
    bias : Tensor of shape (N,)
    table : Tensor of shape (N, max_count)
        Shift of the log odds from Poisson's.
    """
    histogram = histogram.double()
    silent = (histogram[:, 0] + 0.5) / (histogram.sum(1) + 1)
    mean = histogram @ torch.arange(histogram.shape[1]).to(histogram) / histogram.sum(1).clamp_min(1)
    from_silence = (-silent.log()).log()
    busy = (silent < HARDLY_EVER) & (mean > 2 * from_silence.exp())
    bias = torch.where(busy, mean.clamp_min(1).log().clamp_max(MAX_LOG_INTENSITY), from_silence)
    ended = histogram[:, 1:]  # at k spikes, k = 1 ..
    again = ended.flip(1).cumsum(1).flip(1) - ended
    k = torch.arange(1, histogram.shape[1]).expand_as(ended)
    poisson = poisson_repeat_log_odds(bias[:, None].expand_as(ended), k)
    usual = population_repeats(again.sum(0), ended.sum(0), float(torch.sigmoid(poisson[:, 0]).mean()))
    worth = worth_of(usual, again, ended)
    odds = (again + worth * usual) / (ended + worth * (1 - usual))
    return bias, bounded_shift(odds.log() - poisson, poisson)


def population_repeats(again: Tensor, ended: Tensor, first: float) -> Tensor:
    """Chance of one more spike after 1, 2, ... of all units together, (max_count,).

    Each has one pseudo-observation of the chance before it, the first of `first`: rare counts go on as the others do.

    Parameters
    ----------
    again, ended : Tensor of shape (max_count,)
        How often another spike followed in the bin, and how often not.
    """
    chances = [first]
    for more, last in zip(again.tolist(), ended.tolist(), strict=True):
        chances.append((more + chances[-1]) / (more + last + 1))
    return again.new_tensor(chances[1:])


def worth_of(usual: Tensor, again: Tensor, ended: Tensor) -> float:
    """How many spikes of a unit the population's chances are worth: the likeliest under a beta-binomial distribution.

    Parameters
    ----------
    usual : Tensor of shape (max_count,)
    again, ended : Tensor of shape (N, max_count)
    """

    def log_beta(a: Tensor, b: Tensor) -> Tensor:
        return torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)

    def likelihood(worth: float) -> float:
        a, b = worth * usual, worth * (1 - usual)
        return float((log_beta(a + again, b + ended) - log_beta(a, b)).sum())

    return max(WORTH, key=likelihood)
