"""What is asked of a `ConnectivityInference`: parameters against each other, bins, and lags in reach."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro._base import SpikeModel
from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Reach
from skneuro.connectivity.lags import whole_past
from skneuro.connectivity.model import fitted_coupling, unwrap
from skneuro.data import BinnedSpikes, Recording, SpikeTrains
from skneuro.data._validation import plain_float
from skneuro.exceptions import ShortenedLagWarning

__all__ = [
    *("BIN_WIDTH", "CONVEX", "OF_MODEL", "SAME_BIN"),
    *("check_length", "chosen_width", "lags_in_reach", "model_to_read"),
]

_ROW = 0.005  # s, of a row of counts whose width was not said
# What each method does best with (docs/background/connectivity.md).
BIN_WIDTH = {
    "coupling": 0.002,
    "glm": 0.005,
    "ccg": 0.001,
    "lagged_correlation": 0.005,
    "transfer_entropy": 0.005,
    "partial_correlation": 0.05,
    "pearson": 0.05,
}
SAME_BIN = ("pearson", "partial_correlation")
CONVEX = ("coupling", "glm")
OF_MODEL = ("coupling", "effect", "attention")  # methods that can read an estimator


def model_to_read(inference: Any) -> Any:
    """Return the fitted estimator that is asked for, or None; parameters that contradict each other are refused."""
    if inference.background == "model" and inference.estimator is None:
        raise ValueError("background='model' needs an estimator: a fitted model with predict(X, stimuli).")
    if inference.background == "model" and inference.method not in CONVEX:
        raise ValueError(f"method={inference.method!r} takes no background. Use method='coupling' or method='glm'.")
    if inference.method not in CONVEX and (inference.background == "innovations" or inference.dale is True):
        raise ValueError(
            f"method={inference.method!r} takes no background='innovations' and no dale=True. Use method='coupling' or "
            "method='glm'."
        )
    if inference.estimator is not None and inference.method == "coupling" and inference.background == "innovations":
        raise ValueError(
            "The kernels of an estimator are read as they were trained, without innovations. Use "
            "background='model', or leave estimator=None."
        )
    if inference.estimator is not None and inference.background != "model" and inference.dale is True:
        raise ValueError(
            "The kernels of an estimator are read as they were trained, without Dale's law. Use background='model', or "
            "leave estimator=None, with dale=True."
        )
    if inference.estimator is not None and inference.method not in OF_MODEL and inference.background != "model":
        raise ValueError(
            f"method={inference.method!r} reads no estimator. Use one of {OF_MODEL}, or leave estimator=None."
        )
    if inference.estimator is None and inference.method in ("effect", "attention"):
        raise ValueError(f"method={inference.method!r} needs an estimator: a fitted model to ask.")
    model = None if inference.estimator is None else unwrap(inference.estimator)
    if model is not None:
        _check_model(model)
    if model is not None and inference.background != "model" and not isinstance(inference.bin_width, str):
        if not np.isclose(inference.bin_width, model.bin_width):
            raise ValueError(
                f"The estimator is read at its own bin_width={model.bin_width:g}. Got "
                f"bin_width={inference.bin_width:g}; leave it 'auto'."
            )
    return model


def _check_model(model: Any) -> None:
    """Refuse what is no model of spikes, and one of which `bin_width` was set after its fit."""
    missing = [name for name in ("bin_width", "unit_ids_") if not hasattr(model, name)]
    if missing:
        inside = {"best_estimator_": "search.best_estimator_", "steps": "pipeline[-1]"}
        found = [call for name, call in inside.items() if hasattr(model, name)]
        remedy = f"the model inside it, {found[0]}" if found else "a NeuroformerEstimator or one of skneuro.baselines"
        raise TypeError(
            f"The 'estimator' parameter of ConnectivityInference must be a fitted model of spikes. Got a "
            f"{type(model).__name__}, which has no {' and no '.join(missing)}; give {remedy}."
        )
    if isinstance(model, SpikeModel):
        model._check_bin_width()


def chosen_width(inference: Any, X: Any) -> float:
    """Return the width of the bins, in seconds, where no estimator has its own."""
    if not isinstance(inference.bin_width, str):
        return float(plain_float(inference.bin_width))
    if not isinstance(X, (SpikeTrains, Recording)):
        return _ROW  # a row of counts must have some width, and one for all methods
    wanted, given = BIN_WIDTH[inference.method], (X.spikes if isinstance(X, Recording) else X).resolution
    # Spikes that were counts once cannot be told apart within those bins.
    return float(np.ceil(wanted / given - 1e-6) * given) if given else wanted


def lags_in_reach(inference: Any, binned: BinnedSpikes, model: Any) -> Reach:
    """Return the lags in bins, as far as trials and kernels reach; warns where that is not as far as was asked."""
    width, longest = binned.bin_width, int(np.diff(binned.ptr).max(initial=0))
    wanted = _n_bins(inference.max_lag, width)
    n_read = 0 if inference.method in SAME_BIN else _n_bins(inference.readout_lag, width)
    reach = Reach(min(wanted, max(longest - 1, 1)), n_read)
    limits = []
    if inference.method in (*CONVEX, "ccg") and model is None and reach.modelled < wanted:
        limits.append(("max_lag", reach.modelled, f"the longest trial has {longest} bins"))
    if inference.method == "coupling" and model is not None:
        there = min(fitted_coupling(model).shape[2], reach.modelled)
        if there < reach.read:
            limits.append(("readout_lag", there, "the kernels of the estimator, or max_lag, end there"))
    elif inference.method in CONVEX and reach.modelled < reach.read and longest > reach.read:
        limits.append(("readout_lag", reach.modelled, f"max_lag={inference.max_lag:g} ends there"))
    for name, n_bins, why in limits:
        warn_user(
            f"{name}={getattr(inference, name):g} s was shortened to {n_bins * width:g} s, because {why}.",
            ShortenedLagWarning,
        )
    return reach


def check_length(binned: BinnedSpikes, n_read: int) -> None:
    """Refuse recordings that say nothing: no spikes, or no bin with a whole past."""
    lengths = np.diff(binned.ptr)
    if binned.n_bins < 2:
        raise ValueError(
            f"Found array with {binned.n_bins} sample(s) (bins) while a minimum of 2 is required by "
            "ConnectivityInference."
        )
    if not len(whole_past(binned, n_read)):
        raise ValueError(
            f"No bin of {binned.bin_width:g} s has {n_read} observed bins before it in its trial: the longest "
            f"trial has {lengths.max(initial=0)} bins. Give longer trials, or lower readout_lag."
        )
    if not binned.unit_counts().any():
        raise ValueError("ConnectivityInference needs spikes, and there are none in observed time.")


def _n_bins(lag: float, width: float) -> int:
    """Lags of `width` that fit into `lag`, at least one."""
    return max(1, int(lag / width + 1e-6))
