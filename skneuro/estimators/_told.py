"""Behaviour as a further loss of `NeuroformerEstimator`: which modalities are told and not seen, and their values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from skneuro._sklearn_compat import InvalidParameterError
from skneuro.data import Modalities, ModelInput, Video
from skneuro.data.modality import known_moments
from skneuro.training.stretches import Segments


def behaviour_names(est: Any) -> tuple[str, ...]:
    """Names in the parameter `behaviour`."""
    given = est.behaviour
    return () if given is None else (given,) if isinstance(given, str) else tuple(given)


def check_behaviour(est: Any) -> None:
    """Check the parameter `behaviour`, by itself and with others.

    Raises
    ------
    InvalidParameterError
        If it holds no names, one of them twice, or there is no long past to read from.
    """
    names = behaviour_names(est)
    if est.behaviour is not None and (
        not names or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names)
    ):
        raise InvalidParameterError(
            f"The 'behaviour' parameter of {type(est).__name__} must be None or different names of modalities, such as "
            f"'speed' or ('speed', 'gaze'). Got {est.behaviour!r:.80} instead."
        )
    if names and est.context == 0:
        raise InvalidParameterError(
            f"The 'behaviour' parameter of {type(est).__name__} must be None with context=0: behaviour is read from "
            f"the state of the long past. Got {est.behaviour!r:.80} instead; set context (seconds) above 0."
        )


def without_behaviour(inp: ModelInput, names: Sequence[str]) -> ModelInput:
    """The input with the named modalities set apart: a model is told them and does not see them."""
    if inp.modalities is None or not set(names) & set(inp.modalities.names):
        return inp
    seen = {name: one for name, one in inp.modalities.items() if name not in names}
    told = {name: inp.modalities[name] for name in names if name in inp.modalities}
    return replace(inp, modalities=Modalities(**seen) if seen else None, behaviour=Modalities(**told))


def check_told(est: Any, inp: ModelInput) -> None:
    """Refuse to train where behaviour that is to be told is not there, or is a video.

    Raises
    ------
    TypeError
        If it is a video.
    ValueError
        If it is missing.
    """
    told = {} if inp.behaviour is None else dict(inp.behaviour.items())
    missing = [name for name in behaviour_names(est) if name not in told]
    if missing:
        given = [*told, *(() if inp.modalities is None else inp.modalities.names)]
        raise ValueError(
            f"The 'behaviour' parameter of {type(est).__name__} must name modalities that are given: {missing} are not "
            f"among {given}. Give them beside the stimuli, fit(spikes, Modalities(video=..., speed=...))."
        )
    videos = [name for name, one in told.items() if isinstance(one, Video)]
    if videos:
        raise TypeError(
            f"The 'behaviour' parameter of {type(est).__name__} must name series, events or covariates. {videos[0]!r} "
            f"is a Video; take features of it (StimulusFeatures)."
        )


def behaviour_sizes(inp: ModelInput) -> tuple[tuple[str, int], ...]:
    """Name and number of values of what is told."""
    return () if inp.behaviour is None else tuple((name, int(one.shape[1])) for name, one in inp.behaviour.items())


def behaviour_on_bins(inp: ModelInput) -> np.ndarray:
    """What is told of every bin, (n_bins, K); NaN where it is not known."""
    named = () if inp.behaviour is None else inp.behaviour.items()
    return np.column_stack([np.empty((inp.spikes.n_bins, 0)), *(one.on_bins(inp.spikes) for _, one in named)])


def behaviour_moments(inp: ModelInput, training: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of what is told, over the bins of the training stretches, (K,) each.

    Raises
    ------
    ValueError
        If a value is known in none of them.
    """
    edge = np.zeros(inp.spikes.n_bins + 1, dtype=np.int64)
    origin = inp.spikes.ptr[training.trial]
    np.add.at(edge, origin + training.start, 1)
    np.add.at(edge, origin + training.stop, -1)
    values = behaviour_on_bins(inp)[np.cumsum(edge[:-1]) > 0]
    unknown = np.isnan(values).all(axis=0)
    if unknown.any():
        raise ValueError(
            f"The behaviour must be known somewhere in the training data. {unknown.sum()} of its {len(unknown)} values "
            f"are NaN in every bin; leave them out."
        )
    return known_moments(values)
