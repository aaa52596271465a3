"""Generative models of neural populations with scikit-learn's interface.

A public name is loaded when it is first used: ``import skneuro`` imports neither torch nor scikit-learn.

Examples
--------
>>> import skneuro
>>> skneuro.SpikeTrains.from_lists([[[0.1, 0.2], [0.15]]], t_start=0.0, t_stop=1.0).shape
(1, 2)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "ConnectivityInference",
    "Covariates",
    "Events",
    "Modalities",
    "NeuroformerClassifier",
    "NeuroformerEstimator",
    "NeuroformerRegressor",
    "Pulses",
    "Recording",
    "SpikeTrains",
    "TimeSeries",
    "Video",
    "__version__",
    "as_spike_trains",
    "baselines",
    "connectivity",
    "data",
    "datasets",
    "estimators",
    "exceptions",
    "inspection",
    "load",
    "metrics",
    "model_selection",
    "persistence",
    "preprocessing",
    "save",
    "simulation",
]

# Where the public names live; those that are not here are submodules.
_HOMES = {
    "ConnectivityInference": "skneuro.connectivity",
    "Covariates": "skneuro.data",
    "Events": "skneuro.data",
    "Modalities": "skneuro.data",
    "NeuroformerClassifier": "skneuro.estimators",
    "NeuroformerEstimator": "skneuro.estimators",
    "NeuroformerRegressor": "skneuro.estimators",
    "Pulses": "skneuro.data",
    "Recording": "skneuro.data",
    "SpikeTrains": "skneuro.data",
    "TimeSeries": "skneuro.data",
    "Video": "skneuro.data",
    "as_spike_trains": "skneuro.data",
    "load": "skneuro.persistence",
    "save": "skneuro.persistence",
}

if TYPE_CHECKING:
    from skneuro import (
        baselines,
        connectivity,
        data,
        datasets,
        estimators,
        exceptions,
        inspection,
        metrics,
        model_selection,
        persistence,
        preprocessing,
        simulation,
    )
    from skneuro.connectivity import ConnectivityInference
    from skneuro.data import (
        Covariates,
        Events,
        Modalities,
        Pulses,
        Recording,
        SpikeTrains,
        TimeSeries,
        Video,
        as_spike_trains,
    )
    from skneuro.estimators import NeuroformerClassifier, NeuroformerEstimator, NeuroformerRegressor
    from skneuro.persistence import load, save


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOMES:
        return importlib.import_module(f"{__name__}.{name}")
    value = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
