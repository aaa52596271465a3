"""Bits per spike with a dead time, for events that know something of their signal's future."""

from __future__ import annotations

from dataclasses import replace
from numbers import Real
from typing import Any

import numpy as np

from skneuro._artefacts import warn_of_deciding_cell
from skneuro.data import read_input
from skneuro.data._lookahead import lookahead
from skneuro.data._rows import frozen
from skneuro.metrics.likelihood import bits_per_spike, poisson_log_pmf

__all__ = ["dead_time_score"]


def dead_time_score(estimator: Any, X: Any, y: Any = None, *, dead_time: float | None = None) -> float:
    """Bits per spike of bins that are predicted from what came at least a dead time before them.

    Events of a deconvolution know the signal after them, so that the event of one bin tells of the next bin whatever
    the model: one-step-ahead scores are too high. Here `predict` looks ahead by windows, and only those bins count
    whose window began at least `dead_time` before them. Counts are scored as Poisson around the prediction, against
    the constant rates of training.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `predict` by windows of `window_bins` bins: `NeuroformerEstimator`, `CoupledGLM`, `GRUModel`.
    X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
        Held-out events.
    y : Modalities, Video, TimeSeries, array-like or None, default=None
        Stimuli. What is not from the same recording need not keep away.
    dead_time : float, in seconds, default=None
        How far to keep away; None takes the label of X, ``unit_info["lookahead"]``.

    Returns
    -------
    float, in bits per spike

    Raises
    ------
    TypeError
        If the estimator does not predict by windows.
    ValueError
        If windows are not longer than the dead time, X carries no label and none was given, or no event is left.

    Warns
    -----
    ArtefactWarning
        If a single cell of the bins that count holds more than 1 % of their events, and more than twice the most of its
        unit in a bin of training plus 10, as in `score`.
    UnseenStimulusWarning
        If more than 1 % of a column of the stimuli lie beyond all that `fit` saw.

    See Also
    --------
    skneuro.preprocessing.CalciumEvents : Where such events come from.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.baselines import CoupledGLM
    >>> from skneuro.metrics import dead_time_score
    >>> counts = np.random.default_rng(0).poisson(0.5, (6, 40, 2))
    >>> model = CoupledGLM(bin_width=0.1, history=0.2, window_bins=5).fit(counts[:4])
    >>> abs(dead_time_score(model, counts[4:], dead_time=0.2)) < 0.2
    True
    """
    if dead_time is not None and not (isinstance(dead_time, Real) and 0 <= dead_time < np.inf):
        raise ValueError(f"The 'dead_time' parameter must be a number of seconds >= 0, or None. Got {dead_time!r:.80}.")
    if not hasattr(estimator, "window_bins"):
        raise TypeError(
            "dead_time_score needs an estimator that predicts by windows (window_bins), such as NeuroformerEstimator, "
            f"CoupledGLM or GRUModel. Got {type(estimator).__name__}."
        )
    inp = read_input(X, y, bin_width=estimator.bin_width, estimator="dead_time_score")
    if dead_time is None:
        dead_time = lookahead(inp.trials)
        if dead_time == 0:
            raise ValueError(
                "X carries no label of how far its events look ahead: give dead_time (seconds), or use estimator.score "
                "for spikes and for events of CalciumEvents(method='threshold')."
            )
    n_dead = int(np.ceil(dead_time / estimator.bin_width - 1e-6))
    window = getattr(estimator, "_predicted_bins", estimator.window_bins)
    if window <= n_dead:
        raise ValueError(
            f"A dead time of {dead_time:g} s is {n_dead} bins, and the estimator predicts windows of {window}: no bin "
            f"is left. Fit with window_bins > {n_dead}."
        )
    binned = inp.spikes
    expected = estimator.predict(X, y)
    if inp.layout == "trials":
        expected = np.concatenate(list(expected)) if len(expected) else np.zeros((0, binned.n_units))
    expected = np.asarray(expected, dtype=float).reshape(binned.n_bins, binned.n_units)
    place = np.arange(binned.n_bins) - np.repeat(binned.ptr[:-1], np.diff(binned.ptr))
    seen = binned.mask() & (place % window >= n_dead)[:, None]
    if hasattr(estimator, "largest_count_"):  # files of an earlier version do not say
        warn_of_deciding_cell(replace(binned, cell_observed=frozen(seen)), estimator.largest_count_)
    counts = binned.dense()
    null = np.broadcast_to(estimator.base_rate_ * binned.bin_width, expected.shape)
    gain = poisson_log_pmf(counts, np.maximum(expected, 1e-9)) - poisson_log_pmf(counts, null)
    return bits_per_spike(float(gain[seen].sum()), 0.0, int(counts[seen].sum()))
