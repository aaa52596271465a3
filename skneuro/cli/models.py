"""Which models the demonstration fits, and with which budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .recordings import Loaded

MODEL = "Neuroformer"


@dataclass(frozen=True)
class Plan:
    """Models by name.

    Parameters
    ----------
    quick, slow : dict of str to estimator
        Not yet fitted. Quick ones are fitted one after the other, slow ones beside them in their own
        processes; the Neuroformer is the last of the slow ones.
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
        "constant Poisson": HomogeneousPoisson(bin_width=bin_width),
        "constant counts": ConstantMarginal(bin_width=bin_width),
    }
    if recording.repeats:
        baselines["PSTH"] = PSTHModel(bin_width=bin_width)
    baselines["Poisson GLM"] = CoupledGLM(bin_width=bin_width, history=history)
    baselines["categorical GLM"] = CoupledGLM(bin_width=bin_width, history=history, counts="categorical")
    baselines["categorical GLM, same bin"] = CoupledGLM(
        bin_width=bin_width, history=history, counts="categorical", same_bin="linear"
    )
    fine = bin_width < 0.03
    common: dict[str, Any] = {"bin_width": bin_width, "random_state": seed, "n_threads": 1, "verbose": 1}
    return Plan(
        quick=baselines,
        slow={
            "GRU": GRUModel(history=history, max_steps=300 if quick else 1200, **common),
            MODEL: NeuroformerEstimator(window_bins=5 if fine else 1, max_epochs=8 if quick else 30, **common),
        },
    )
