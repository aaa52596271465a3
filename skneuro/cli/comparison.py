"""Models side by side on the same held-out cells, and the sentence that follows from the numbers."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import stats

from skneuro.data import SpikeTrains
from skneuro.metrics.likelihood import bits_per_spike, homogeneous_rates, null_log_likelihood

# Standard errors come from the scatter of blocks of time: 10 s, or less (down to 1 s) to have eight of them.
BLOCK, SHORTEST_BLOCK, ENOUGH_BLOCKS = 10.0, 1.0, 8  # seconds, seconds, blocks
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Held:
    """What every model is scored on: counts of the held-out bins and the null's likelihood of them.

    Parameters
    ----------
    counts : ndarray of shape (n_bins, n_units)
        Spikes in observed cells, 0 elsewhere.
    null : ndarray of shape (n_bins, n_units), in nats
        Log-likelihood under constant Poisson rates of the training data.
    block : ndarray of shape (n_bins,), int
        Block of time to which each bin belongs.
    unit_ids : ndarray of shape (n_units,)
        Ids of the units.
    """

    counts: np.ndarray
    null: np.ndarray
    block: np.ndarray
    unit_ids: np.ndarray


@dataclass(frozen=True)
class Score:
    """One model on the held-out cells.

    Parameters
    ----------
    name : str
        Name of the model.
    pooled, error : float, in bits per spike
        Gain over the null, all units pooled, and its standard error over blocks of time.
    units : ndarray of shape (n_units,), in bits per spike
        The same unit by unit; NaN without a held-out spike.
    cells : ndarray of shape (n_bins, n_units), in nats
        Log-likelihood of every cell.
    seconds : float
        Time the fit took.
    """

    name: str
    pooled: float
    error: float
    units: np.ndarray
    cells: np.ndarray = field(repr=False)
    seconds: float = float("nan")


def held_out(train: SpikeTrains, test: SpikeTrains, bin_width: float) -> Held:
    """Bin the test part and score the null on it.

    Parameters
    ----------
    train, test : SpikeTrains
        Parts of a split.
    bin_width : float
        In seconds.

    Returns
    -------
    held : Held
    """
    binned = test.bin(bin_width)
    null = null_log_likelihood(binned, homogeneous_rates(train.bin(bin_width)))
    n_bins = np.diff(binned.ptr)
    within = np.concatenate([np.arange(n) for n in n_bins]) * bin_width
    # short trials are gathered into blocks, long ones cut into them
    length = min(max(binned.n_bins * bin_width / ENOUGH_BLOCKS, SHORTEST_BLOCK), BLOCK)
    begin = np.repeat(np.cumsum(n_bins) - n_bins, n_bins) * bin_width
    block = np.unique(np.floor((begin + within) / length).astype(int), return_inverse=True)[1]
    return Held(np.where(binned.mask(), binned.dense(), 0), null, block, np.asarray(test.unit_ids))


def score_cells(name: str, cells: np.ndarray, held: Held, seconds: float = float("nan")) -> Score:
    """Turn a model's log-likelihood of every cell into bits per spike.

    Parameters
    ----------
    name : str
        Name of the model.
    cells : ndarray of shape (n_bins, n_units), in nats
        Log-likelihood of the count in each cell, 0 where not observed.
    held : Held
        What it is compared with.
    seconds : float, default=nan
        Time the fit took.

    Returns
    -------
    score : Score
    """
    n = held.counts.sum(axis=0)
    gain = cells - held.null
    with np.errstate(divide="ignore", invalid="ignore"):
        units = np.where(n > 0, gain.sum(axis=0) / (n * np.log(2)), np.nan)
    pooled = bits_per_spike(cells.sum(), held.null.sum(), n.sum())
    return Score(name, float(pooled), _error(gain.sum(axis=1), held), units, cells, seconds)


def difference(a: Score, b: Score, held: Held) -> tuple[float, float]:
    """Pooled difference of two scores in bits per spike, and its standard error from paired blocks of time.

    Parameters
    ----------
    a, b : Score
        Two models.
    held : Held
        What both were scored on.

    Returns
    -------
    difference, error : float
    """
    gain = (a.cells - b.cells).sum(axis=1)
    return a.pooled - b.pooled, _error(gain, held)


def margin(held: Held) -> float:
    """How many standard errors a number must be from zero to be sure of it, from so many blocks (Student's t).

    Parameters
    ----------
    held : Held
        What was scored.

    Returns
    -------
    margin : float
        NaN for a single block.
    """
    return float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(np.unique(held.block)) - 1))


def with_error(value: float, error: float, signed: bool = False) -> str:
    """Write a number with its standard error, or without one where there is none.

    Parameters
    ----------
    value, error : float
        In bits per spike.
    signed : bool, default=False
        Whether a plus is written, too.

    Returns
    -------
    text : str
    """
    shown = _signed(value) if signed else f"{value:.3f}"
    return f"{shown} ± {error:.3f}" if np.isfinite(error) else shown


def _error(gain: np.ndarray, held: Held) -> float:
    """Standard error of a sum over blocks, as of a mean times their number, in bits per spike."""
    blocks = np.bincount(held.block, weights=gain)
    if len(blocks) < 2:
        return float("nan")
    return float(np.std(blocks, ddof=1) * np.sqrt(len(blocks)) / (held.counts.sum() * np.log(2)))


def table(scores: list[Score], best_baseline: Score) -> pd.DataFrame:
    """Tabulate the models.

    Parameters
    ----------
    scores : list of Score
        All models.
    best_baseline : Score
        The one that the others are compared with.

    Returns
    -------
    table : DataFrame
        Indexed by model: `bits_per_spike`, `error`, `median_difference` and `units_improved` against the best
        baseline, `fit_seconds`.
    """
    rows = []
    for s in scores:
        delta = s.units - best_baseline.units
        delta = delta[np.isfinite(delta)]
        itself = s is best_baseline
        rows.append(
            {
                "model": s.name,
                "bits_per_spike": s.pooled,
                "error": s.error,
                "median_difference": np.nan if itself else np.median(delta),
                "units_improved": np.nan if itself else np.mean(delta > 0),
                "fit_seconds": s.seconds,
            }
        )
    return pd.DataFrame(rows).set_index("model")


def verdict(model: Score, baseline: Score, held: Held) -> str:
    """Say in one sentence on how many units the model beats the best baseline, by how much, and which to use.

    Parameters
    ----------
    model : Score
        The model.
    baseline : Score
        The best baseline.
    held : Held
        What both were scored on.

    Returns
    -------
    sentence : str
    """
    delta = model.units - baseline.units
    delta = delta[np.isfinite(delta)]
    wins, n = int((delta > 0).sum()), delta.size
    total, error = difference(model, baseline, held)
    sure = margin(held)
    facts = (
        f"The {model.name} beats the best baseline, the {baseline.name}, on {wins} of {n} units, with a median "
        f"difference of {_signed(np.median(delta))} bits per spike over all units ({model.pooled:.3f} against "
        f"{baseline.pooled:.3f} for the whole population, difference {with_error(total, error, signed=True)})"
    )
    if all(s.pooled <= np.nan_to_num(sure * s.error) for s in (model, baseline)):
        return f"{facts}: neither is surely better than constant rates, so use neither to predict this recording."
    if not abs(total) >= sure * error:  # nor where there is no error: one block cannot tell anything
        return f"{facts}: this recording cannot tell them apart, so use the {baseline.name}, the simpler one."
    return f"{facts}: use the {model.name if total > 0 else baseline.name}."


def _signed(value: float) -> str:
    return f"{value:+.3f}".replace("-", "\N{MINUS SIGN}")
