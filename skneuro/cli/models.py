"""Which models the demonstration fits, and with which budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from skneuro.cli.recordings import Loaded

MODEL = "Neuroformer"

# What an epoch of the Neuroformer takes on one core, in seconds for a unit in a bin, measured on five
# recordings;
# the number of epochs follows from it and not from a clock, so that a seed gives the same result everywhere.
_SECONDS_PER_CELL = 6e-6
_TRAINING_SHARE = 0.6
_SECONDS, _QUICK_SECONDS = 240.0, 30.0


@dataclass(frozen=True)
class Plan:
    """Models by name.

    Parameters
    ----------
    quick, slow : dict of str to estimator
        Not yet fitted. Quick ones are fitted one after the other; slow ones beside them in their own
        processes, beginning with the last, which is the Neuroformer.
    """

    quick: dict[str, Any] = field(default_factory=dict)
    slow: dict[str, Any] = field(default_factory=dict)


def make_plan(recording: Loaded, bin_width: float, *, quick: bool, seed: int) -> Plan:
    """Choose models and settings for a recording.

    Parameters
    ----------
    recording : Loaded
        What is to be modelled.
    bin_width : float
        In seconds.
    quick : bool
        Whether training has half a minute rather than a few.
    seed : int
        Of the fits.

    Returns
    -------
    plan : Plan

    Examples
    --------
    >>> from skneuro.cli.models import make_plan
    >>> from skneuro.cli.recordings import Loaded
    >>> from skneuro.data import SpikeTrains
    >>> plan = make_plan(Loaded("rat", SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)), 0.02, quick=True, seed=0)
    >>> list(plan.slow)
    ['GRU', 'Neuroformer']
    """
    from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson, PSTHModel
    from skneuro.estimators import NeuroformerEstimator

    history = max(0.25, 12 * bin_width)
    baselines: dict[str, Any] = {
        "constant-rate model": HomogeneousPoisson(bin_width=bin_width),
        "constant-count model": ConstantMarginal(bin_width=bin_width),
    }
    if recording.repeats:
        baselines["PSTH"] = PSTHModel(bin_width=bin_width)
    baselines["Poisson GLM"] = CoupledGLM(bin_width=bin_width, history=history)
    baselines["categorical GLM"] = CoupledGLM(bin_width=bin_width, history=history, counts="categorical")
    baselines["same-bin categorical GLM"] = CoupledGLM(
        bin_width=bin_width, history=history, counts="categorical", same_bin="linear"
    )
    n_bins, n_units = recording.spikes.duration.sum() / bin_width, recording.spikes.shape[1]
    epochs = (_QUICK_SECONDS if quick else _SECONDS) / (_SECONDS_PER_CELL * _TRAINING_SHARE * n_bins * n_units)
    common: dict[str, Any] = {"bin_width": bin_width, "random_state": seed, "n_threads": 1, "verbose": 1}
    return Plan(
        quick=baselines,
        slow={
            "GRU": GRUModel(history=history, max_steps=200 if quick else min(1200, 64000 // n_units), **common),
            MODEL: NeuroformerEstimator(
                # several bins a window only where one holds few spikes
                window_bins=5 if bin_width < 0.03 else 1,
                max_epochs=int(np.clip(epochs, 3, 60)),
                batch_size=3 if quick else 8,  # few epochs: what counts is the number of steps
                **common,
            ),
        },
    )
