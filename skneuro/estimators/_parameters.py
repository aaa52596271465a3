"""Legal values of `NeuroformerEstimator`'s parameters, one by one and together."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np

from skneuro._sklearn_compat import Interval, InvalidParameterError, StrOptions
from skneuro._warn import warn_user
from skneuro.estimators._told import check_behaviour
from skneuro.training.fitted import has_device

CONSTRAINTS: dict[str, list] = {
    "bin_width": [Interval(Real, 0, None, closed="neither")],
    "window_bins": [Interval(Integral, 1, None, closed="left")],
    "recent_context": [Interval(Real, 0, None, closed="left")],
    "context": [Interval(Real, 0, None, closed="left")],
    "context_width": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "stimulus_context": [Interval(Real, 0, None, closed="neither")],
    "state_dependent_drive": ["boolean", StrOptions({"auto"})],
    "stimuli_in_context": ["boolean", StrOptions({"auto"})],
    "gamma": [Interval(Real, 0, 1, closed="left")],
    "mu": [Interval(Real, 0, 1, closed="neither")],
    "align": [str, tuple, list, None],
    "temperature": [Interval(Real, 0, None, closed="neither"), StrOptions({"learn"})],
    "behaviour": [str, tuple, list, None],
    "behaviour_weight": [Interval(Real, 0, None, closed="left")],
    "head": [StrOptions({"hazard", "chained", "independent"})],
    "coupling": ["boolean"],
    "coupling_lag": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    "coupling_rank": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
    "coupling_prior": [StrOptions({"auto", "sparse", "dense"})],
    "coupling_penalty": [Interval(Real, 0, None, closed="left")],
    "tubelet_size": [tuple, list, StrOptions({"auto"}), None],
    "tubelet_stride": [tuple, list, StrOptions({"auto"})],
    "d_model": [Interval(Integral, 1, None, closed="left")],
    "n_heads": [Interval(Integral, 1, None, closed="left")],
    "n_layers": [Interval(Integral, 0, None, closed="left")],
    "n_fusion_layers": [Interval(Integral, 1, None, closed="left")],
    "share_fusion": ["boolean"],
    "dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
    "unit_dropout": [Interval(Real, 0, 1, closed="left"), StrOptions({"auto"})],
    "modality_dropout": [Interval(Real, 0, 1, closed="left")],
    "max_epochs": [Interval(Integral, 1, None, closed="left")],
    "max_cycles": [Interval(Integral, 1, None, closed="left")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "accumulation_steps": [Interval(Integral, 1, None, closed="left")],
    "recompute_activations": ["boolean"],
    "inference_batch_size": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "early_stopping": ["boolean", StrOptions({"auto"})],
    "refit": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither"), StrOptions({"auto"})],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "counts": [StrOptions({"round", "strict"})],
    "max_tokens": [Interval(Integral, 1, None, closed="left"), None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "device": [str],
    "precision": [StrOptions({"float32", "float64", "bfloat16"})],
    "compile": ["boolean"],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "verbose": ["verbose"],
}


def check_together(est: Any) -> None:
    """Check what no parameter shows alone.

    Raises
    ------
    InvalidParameterError
        If gamma + mu >= 1, the heads do not divide the width, behaviour is not named or cannot be read, or tubelets
        are no boxes that cover every pixel; or if torch does not know the device, or the machine does not have it.
    """
    _check_device(est)
    _check_tubelets(est)
    check_behaviour(est)
    if est.gamma + est.mu >= 1 - 1e-9:
        raise InvalidParameterError(
            f"The 'gamma' and 'mu' parameters of {type(est).__name__} must satisfy gamma + mu < 1 (the weight of the "
            f"dt loss is 1 - gamma - mu). Got gamma={est.gamma}, mu={est.mu} instead."
        )
    if est.d_model % est.n_heads:
        raise InvalidParameterError(
            f"The 'n_heads' parameter of {type(est).__name__} must divide 'd_model'. Got n_heads={est.n_heads}, "
            f"d_model={est.d_model} instead."
        )


def take_device_of_machine(est: Any) -> None:
    """For a model from a file: "auto" where this machine does not have its device."""
    if isinstance(est.device, str) and est.device != "auto" and not has_device(est.device):
        warn_user(f"The model was saved with device={est.device!r}, which is not here: it has device='auto' now.")
        est.device = "auto"


def _check_device(est: Any) -> None:
    if est.device != "auto" and not has_device(est.device):
        raise InvalidParameterError(
            f"The 'device' parameter of {type(est).__name__} must be 'auto', 'cpu', or what this machine has of "
            f"'cuda', 'cuda:1', 'mps'. Got {est.device!r:.80} instead."
        )


def _check_tubelets(est: Any) -> None:
    name = type(est).__name__
    for parameter in ("tubelet_size", "tubelet_stride"):
        value = getattr(est, parameter)
        if isinstance(value, (tuple, list)) and not (len(value) == 3 and all(map(_is_positive_int, value))):
            raise InvalidParameterError(
                f"The {parameter!r} parameter of {name} must be three ints >= 1: frames, rows and columns (pixels). "
                f"Got {value!r:.80} instead."
            )
    size, stride = est.tubelet_size, est.tubelet_stride
    if isinstance(stride, (tuple, list)):
        if size is None:
            raise InvalidParameterError(
                f"The 'tubelet_stride' parameter of {name} must be 'auto' with tubelet_size=None: whole frames have no "
                f"stride. Got {stride!r:.80} instead."
            )
        if isinstance(size, (tuple, list)) and any(step > n for step, n in zip(stride, size, strict=True)):
            raise InvalidParameterError(
                f"The 'tubelet_stride' parameter of {name} must not exceed 'tubelet_size' in any direction, or frames "
                f"or pixels are skipped. Got tubelet_stride={stride!r}, tubelet_size={size!r} instead."
            )


def _is_positive_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(value >= 1)
