"""What the parameters of `GRUModel` mean: their legal values, the network, the schedule, the linear path's penalty."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from skneuro._sklearn_compat import Interval, StrOptions
from skneuro.baselines._gru_network import GRUConfig
from skneuro.baselines._gru_training import Schedule
from skneuro.baselines._heads import HEADS
from skneuro.baselines.glm import CoupledGLM
from skneuro.data.inputs import ModelInput

if TYPE_CHECKING:
    from skneuro.baselines.gru import GRUModel

_STEPS_PER_CHECK = 50
_DECAYS, _MANY_BINS = (0.5, 2.0, 8.0), 27_000  # with more bins to learn from the first was always best
# Beside the network the linear path has less to explain than alone, and a stronger penalty suits it.
_ALPHA_FACTOR = 5.0

CONSTRAINTS: dict[str, list[Any]] = {
    "bin_width": [Interval(Real, 0, None, closed="neither")],
    "window_bins": [Interval(Integral, 1, None, closed="left")],
    "counts": [StrOptions(set(HEADS))],
    "same_bin": [StrOptions({"linear", "nonlinear"}), None],
    "recurrent": ["boolean"],
    "n_hidden": [Interval(Integral, 1, None, closed="left")],
    "past_spikes": ["boolean"],
    "history": [Interval(Real, 0, None, closed="left")],
    "n_basis": [Interval(Integral, 1, None, closed="left")],
    "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
    "dropout": [Interval(Real, 0, 1, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "weight_decay": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"}), "array-like"],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "chunk_bins": [Interval(Integral, 1, None, closed="left")],
    "max_steps": [Interval(Integral, 1, None, closed="left")],
    "validation_fraction": [Interval(Real, 0, 1, closed="left")],
    "refit": ["boolean"],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "n_draws": [Interval(Integral, 1, None, closed="left")],
    "random_state": ["random_state"],
    "n_threads": [Interval(Integral, 1, None, closed="left"), None],
    "verbose": ["verbose"],
}


def network_config(model: GRUModel) -> GRUConfig:
    """Sizes and parts of the network, from parameters and what `fit` saw."""
    return GRUConfig(
        n_units=len(model.unit_ids_),
        n_stimuli=model._stimulus_features().size,
        n_history=model.kernels_.shape[1] * len(model.unit_ids_),
        n_hidden=model._as_fitted("n_hidden"),
        recurrent=model._as_fitted("recurrent"),
        same_bin=model._as_fitted("same_bin"),
        uses_nu=HEADS[model._as_fitted("counts")].uses_nu,
        dropout=model.dropout,
        history_scale=model.history_scale_,
    )


def weight_decays(model: GRUModel, n_bins: int) -> list[float]:
    """Weight decays to choose from, with `n_bins` bins of training data."""
    if isinstance(model.weight_decay, str):
        return list(_DECAYS if n_bins < _MANY_BINS else _DECAYS[:1])
    decays = np.atleast_1d(np.asarray(model.weight_decay, dtype=np.float64))
    if decays.ndim != 1 or not len(decays) or not (np.isfinite(decays) & (decays >= 0)).all():
        raise ValueError(
            f"The 'weight_decay' parameter of GRUModel must be 'auto', a float of at least 0 or a sequence of them. "
            f"Got {model.weight_decay!r:.80} instead."
        )
    return decays.tolist()


def training_schedule(model: GRUModel, stop_after: int, weight_decay: float) -> Schedule:
    """How long and how fast to train, of which `stop_after` steps are taken."""
    names = ("max_steps", "batch_size", "chunk_bins", "learning_rate", "n_iter_no_change")
    return Schedule(
        **{name: getattr(model, name) for name in names},
        weight_decay=weight_decay,
        stop_after=stop_after,
        alpha=model.alpha_,
        tol=model.tol,
        steps_per_check=_STEPS_PER_CHECK,
    )


def linear_penalties(model: GRUModel, inp: ModelInput) -> np.ndarray:
    """Penalties for the linear path of each unit, (n_units,): those that suit it on its own, times a factor."""
    if not model.past_spikes and model.same_bin is None:  # nothing is linear
        return np.zeros(len(model.unit_ids_))
    linear = CoupledGLM(
        bin_width=model.bin_width,
        history=max(model.history, model.bin_width) if model.past_spikes else 0.0,
        stimulus_history=0.0,
        n_basis=model.n_basis,
        counts=model.counts,
        same_bin=None if model.same_bin is None else "linear",
    )
    alpha = linear._penalties(inp)
    return np.full(len(alpha), _ALPHA_FACTOR * np.exp(np.log(alpha).mean()))
