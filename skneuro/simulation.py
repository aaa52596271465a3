"""Simulations whose rates are those of the recording."""

from __future__ import annotations

import copy
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skneuro._base import SpikeModel
from skneuro._random import random_numbers
from skneuro._warn import warn_user
from skneuro.metrics._simulated import simulate_trials
from skneuro.metrics.likelihood import homogeneous_rates

__all__ = ["match_rates"]

Model = TypeVar("Model", bound=SpikeModel)

_FIRST_GAIN, _LARGEST_GAIN = 3.0, 10.0  # of the population's log rate, by the log intensities of its units
_LARGEST_STEP = 0.3  # of a log intensity
_FEWEST_STEPS = 2


def match_rates(
    estimator: Model,
    X: Any,
    y: Any = None,
    *,
    n_samples: int = 2,
    max_rounds: int = 8,
    tol: float = 0.02,
    random_state: Any = None,
) -> Model:
    """Copy a fitted model with biases under which its simulations fire as often as the recording does.

    In closed loop a model lives on its own spikes, and a small error of its intensities grows with every spike that
    they cause or fail to cause: rates of simulated trials are off where the next bin is predicted well. Here the given
    trials are simulated, each unit's log intensity moves by its missing log rate divided by the gain of the loop (how
    much the population's log rate moved for the last step), and so on until the population's rate is right. Rates of
    simulations are of the time in which the unit was observed, as the recorded ones. Only one number a unit changes.
    Take the copy for simulations; `score` shows what it costs the prediction of the next bin.

    Parameters
    ----------
    estimator : NeuroformerEstimator with ``head="hazard"``, CoupledGLM or GRUModel
        Fitted. It is left as it is.
    X : SpikeTrains or Recording
        Trials whose rates are to be matched: those of `fit`. Held-out trials must stay held out. A unit that was not
        observed in any of them keeps its bias.
    y : Modalities, Video, TimeSeries, array-like or None, default=None
        Their stimuli.
    n_samples : int, default=2
        Simulations of each trial in a round.
    max_rounds : int, default=8
        Most rounds. Each costs `n_samples` simulations of X.
    tol : float, default=0.02
        Relative error of the population's rate at which to end, after two steps at least.
    random_state : int, RandomState or None, default=None
        Seed of the simulations.

    Returns
    -------
    estimator
        The copy.

    Raises
    ------
    TypeError
        If the estimator is not one of these, if it has no intensities to shift (`PSTHModel`, `ConstantMarginal`, the
        heads "chained" and "independent"), or X is an array.
    ValueError
        If a number is out of range, or units or stimuli differ from those seen in `fit`.

    Warns
    -----
    ConvergenceWarning
        If the rate is not right after `max_rounds`.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.baselines import CoupledGLM
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.simulation import match_rates
    >>> counts = np.random.default_rng(0).poisson(0.2, size=(20, 100, 3))
    >>> spikes = SpikeTrains.from_counts(counts, 0.05)
    >>> model = CoupledGLM(bin_width=0.05, alphas=100.0).fit(spikes)
    >>> matched = match_rates(model, spikes, random_state=0)
    >>> simulated = matched.sample(duration=100.0, random_state=1)
    >>> bool(abs(simulated.n_spikes / 100.0 / (3 * 0.2 / 0.05) - 1) < 0.1)
    True
    """
    for name, value in (("n_samples", n_samples), ("max_rounds", max_rounds)):
        if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
            raise ValueError(f"{name} must be an int of at least 1. Got {value!r} instead.")
    if isinstance(tol, bool) or not isinstance(tol, Real) or not tol > 0:
        raise ValueError(f"tol must be a positive float. Got {tol!r:.80} instead.")
    if not isinstance(estimator, SpikeModel):
        raise TypeError(f"estimator must be a model of spikes, not a pipeline or search around one. Got {estimator!r}.")
    inp = estimator._read(X, y, reset=False)
    if inp.trials is None:
        raise TypeError(
            f"X must be SpikeTrains or a Recording, whose trials have a duration. Got {type(X).__name__} instead: use "
            f"SpikeTrains.from_counts(X, bin_width)."
        )
    matched = copy.deepcopy(estimator)
    rng = random_numbers(random_state)
    recorded = homogeneous_rates(inp.spikes)
    seen = inp.spikes.exposure() > 0
    gain, missing = _FIRST_GAIN, []
    moved = 0.0
    for _ in range(max_rounds):
        simulated, _ = simulate_trials(matched, inp.trials, inp.modalities, n_samples, int(rng.randint(2**31 - 1)))
        lacks = np.where(seen, np.log(recorded / homogeneous_rates(simulated.bin(matched.bin_width))), 0.0)
        missing.append(float(np.average(lacks, weights=recorded * seen)))
        if len(missing) > _FEWEST_STEPS and abs(missing[-1]) < tol:
            return matched
        if abs(moved) > tol / _LARGEST_GAIN:
            gain = float(np.clip((missing[-2] - missing[-1]) / moved, 1.0, _LARGEST_GAIN))
        step = np.clip(lacks / gain, -_LARGEST_STEP, _LARGEST_STEP)
        matched._shift_log_rates(step)
        moved = float(np.average(step, weights=recorded * seen))
    warn_user(
        f"The population's rate in simulations of {type(estimator).__name__} was {np.expm1(-missing[-1]):+.1%} off "
        f"after {max_rounds} rounds; raise max_rounds or n_samples.",
        ConvergenceWarning,
    )
    return matched
