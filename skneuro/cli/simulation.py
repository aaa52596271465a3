"""Simulated trials to lay beside recorded ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro.cli.events import Alignment, movement_onsets, population_rate
from skneuro.cli.recordings import Loaded
from skneuro.data import Recording, SpikeTrains, TimeSeries
from skneuro.inspection import aligned_counts
from skneuro.metrics import evaluate_generation
from skneuro.metrics._responses import mean_over, unit_correlation
from skneuro.metrics._simulated import simulate_trials

PIECE = 10.0  # s; longer trials are shown in pieces
_MOVEMENT = ("speed", "velocity", "running")


def pieces(part: Recording, most: int, n_steps: int = 4000) -> Recording:
    """Choose held-out trials of one length, or pieces of longer ones, evenly over the time there is.

    Parameters
    ----------
    part : Recording
        Held-out trials.
    most : int
        Number of trials wanted.
    n_steps : int, default=4000
        About how many spikes of the population a piece may hold: a model that draws them one after the other
        takes a step for each.

    Returns
    -------
    trials : Recording
        At most `most` trials, at most 10 s long.

    Examples
    --------
    >>> from skneuro.cli.simulation import pieces
    >>> from skneuro.data import Recording, SpikeTrains
    >>> long = SpikeTrains.from_unit_times({0: [1.0, 55.0]}, epochs=[[0.0, 60.0]])
    >>> pieces(Recording(long), most=3).spikes.t_start
    array([ 0., 20., 50.])
    """
    spikes = part.spikes
    step = spikes.resolution or 1e-3
    rate = spikes.n_spikes / spikes.duration.sum()
    length = min(PIECE, float(np.median(spikes.duration)), n_steps / rate)
    length = max(np.floor(length / step + 1e-6), 1) * step
    part = part.cut(length)
    part = part[np.flatnonzero(part.spikes.duration > length - 0.5 * step)]
    chosen = np.unique(np.linspace(0, len(part) - 1, min(most, len(part))).round().astype(int))
    return part[chosen]


def simulate(model: Any, trials: Recording, seed: int) -> SpikeTrains:
    """Draw one simulated trial for each recorded one, under its stimulus and over the same time.

    Parameters
    ----------
    model : estimator
        Fitted, with `sample`.
    trials : Recording
        What to simulate, all of one length.
    seed : int
        Of the draws.

    Returns
    -------
    simulated : SpikeTrains
        One trial for each of `trials`, in their order and on their clock.
    """
    return simulate_trials(model, trials.spikes, trials.modalities, 1, seed)[0]


def judge(
    model: Any, baselines: dict[str, Any], trials: Recording, train: Recording, repeats: bool, seed: int
) -> pd.DataFrame:
    """Score simulations of the same trials, of the model and of baselines.

    Parameters
    ----------
    model : estimator
        Fitted, with `sample`.
    baselines : dict of str to estimator
        Fitted.
    trials, train : Recording
        What to simulate, and the training part, which says how close anything can come.
    repeats : bool
        Whether every trial had the same stimulus.
    seed : int
        Of the draws.

    Returns
    -------
    table : DataFrame
        What `evaluate_generation` gives, with windows of half a second or, where the trials are shorter, as long as
        these.
    """
    fitting = int(trials.spikes.duration.min() / model.bin_width + 1e-6)
    return evaluate_generation(
        model,
        trials,
        train=train,
        baselines=baselines,
        stimulus_ids=np.zeros(len(trials), dtype=int) if repeats else None,
        train_stimulus_ids=np.zeros(len(train), dtype=int) if repeats else None,
        n_samples=max(len(trials), 2) if repeats else 2,
        window=max(min(round(0.5 / model.bin_width), fitting), 1) * model.bin_width,
        random_state=seed,
    )


def whole_bins(wanted: float, bin_width: float) -> float:
    """The multiple of `bin_width` nearest to a width: other bins hold now one bin of the model, now two."""
    return max(round(wanted / bin_width), 1) * bin_width


def choose_alignment(recording: Loaded, trials: Recording, bin_width: float) -> Alignment:
    """Decide what to average around.

    Stimulus onsets where trials repeat, else onsets of movement, else rises of the population's rate.

    Parameters
    ----------
    recording : Loaded
        Says whether trials repeat.
    trials : Recording
        Recorded trials.
    bin_width : float, in seconds
        Bins of the model; those of the mean rates are multiples of it.

    Returns
    -------
    alignment : Alignment
    """
    spikes = trials.spikes
    width = whole_bins(0.1, bin_width)
    if recording.repeats:
        starts = [np.zeros(1)] * len(spikes)
        fine = whole_bins(0.04 if len(spikes) >= 20 else 0.08, bin_width)  # few repeats make a ragged mean
        return Alignment("stimulus onset", (0.0, float(spikes.duration.min())), fine, relative=starts)
    movement = _movement(trials)
    if movement is not None:
        events = movement_onsets(movement, spikes.t_start, spikes.t_stop)
        relative = [at - start for at, start in zip(events, spikes.t_start, strict=True)]
        onsets = Alignment("onset of movement", (-0.5, 1.0), width, relative=relative)
        if n_usable(spikes, onsets) >= 10:
            return onsets
    rates = np.concatenate([population_rate(spikes, k, width)[0] for k in range(len(spikes))])
    rates = rates[np.isfinite(rates)]
    if not rates.size:
        return align_to_starts(spikes, bin_width)
    rises = Alignment("rise of the population rate", (-0.5, 1.0), width, level=float(rates.mean() + rates.std()))
    return rises if n_usable(spikes, rises) >= 2 else align_to_starts(spikes, bin_width)


def align_to_starts(spikes: SpikeTrains, bin_width: float) -> Alignment:
    """Average around the start of each trial, which any recording has.

    Parameters
    ----------
    spikes : SpikeTrains
        Trials of one length.
    bin_width : float, in seconds
        Bins of the model; those of the mean rates are multiples of it.

    Returns
    -------
    alignment : Alignment
    """
    length = float(spikes.duration.min())
    width = whole_bins(length / 20, bin_width)
    return Alignment("start of the piece", (0.0, length), width, relative=[np.zeros(1)] * len(spikes))


def n_usable(spikes: SpikeTrains, alignment: Alignment) -> int:
    """Count the events of an alignment whose window lies inside its trial and was observed.

    Parameters
    ----------
    spikes : SpikeTrains
        Recorded or simulated trials.
    alignment : Alignment
        What to count.

    Returns
    -------
    n_events : int
    """
    try:
        _, counts = _around(spikes, alignment)
    except ValueError:  # none
        return 0
    return len(counts)


def _around(spikes: SpikeTrains, alignment: Alignment) -> tuple[np.ndarray, np.ndarray]:
    events = alignment.events(spikes)
    return aligned_counts(spikes, events, window=alignment.window, bin_width=alignment.bin_width)


def _movement(trials: Recording) -> TimeSeries | None:
    for name, series in trials.modalities.items() if trials.modalities is not None else ():
        if isinstance(series, TimeSeries) and any(word in name.lower() for word in _MOVEMENT):
            return series
    return None


def psth_agreement(recorded: SpikeTrains, simulated: SpikeTrains, alignment: Alignment) -> tuple[float, float]:
    """Correlate simulated mean rates with recorded ones, and two halves of the recorded events.

    Parameters
    ----------
    recorded, simulated : SpikeTrains
        With the same units.
    alignment : Alignment
        What to average around.

    Returns
    -------
    simulated, halves : float
        Mean over units of the correlation of two mean rates; NaN for a single event. The first compares every
        other recorded event with as many simulated ones, so that both are equally noisy; the second with the
        other half of the recorded.
    """
    counts = [_around(s, alignment)[1] for s in (recorded, simulated)]
    if len(counts[0]) < 2:
        return float("nan"), float("nan")
    even, odd = mean_over(counts[0][::2]), mean_over(counts[0][1::2])
    drawn = mean_over(counts[1][: len(counts[0][1::2])])
    return _mean_correlation(even, drawn), _mean_correlation(even, odd)


def _mean_correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(mean_over(unit_correlation(a.T, b.T)))
