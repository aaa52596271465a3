"""What of the stimuli lies beyond all that a model saw in `fit`: held within, and told of."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from skneuro._warn import warn_user
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities
from skneuro.data.video import Video
from skneuro.exceptions import MissingModalityWarning, UnseenStimulusWarning

Limits = tuple[np.ndarray, np.ndarray]  # the lowest and the highest value of each column, (d,)
StimulusRange = dict[str, Limits]

# So large a share of the values of a column is told of.
MUCH_BEYOND = 0.01


def stimulus_range(modalities: Modalities | Mapping[str, Modality] | None, seen: StimulusRange) -> StimulusRange:
    """Lowest and highest values of some modalities and of those seen before."""
    found = dict(seen)
    for name, modality in () if modalities is None else modalities.items():
        own = modality._extremes()
        if own is not None:
            low, high = found.get(name, own)
            found[name] = (np.fmin(low, own[0]), np.fmax(high, own[1])) if len(low) == len(own[0]) else own
    return found


def within_range(modalities: Modalities | None, seen: StimulusRange, warn: bool = True) -> Modalities | None:
    """The modalities, held within what was seen in `fit`; says where much lies beyond."""
    if modalities is None:
        return None
    held = {}
    for name, modality in modalities.items():
        limits = seen.get(name)
        own = None if limits is None else modality._extremes()
        if own is None or limits is None or len(own[0]) != len(limits[0]):
            continue
        never = np.isnan(limits[0]) & ~np.isnan(own[0])
        if never.any() or (own[0] < limits[0]).any() or (own[1] > limits[1]).any():
            held[name] = modality._held(*limits)
            if warn:
                _warn_of_never(name, modality, never)
                _warn_of_much(name, modality, own, limits, held[name] is not modality)
    return Modalities(**{**dict(modalities.items()), **held}) if held else modalities


def _warn_of_never(name: str, modality: Modality, never: np.ndarray) -> None:
    if never.any():
        where = column_name(modality, int(never.argmax()))
        warn_user(
            f"The modality {name!r} was given to fit without a known value{where}: the model learned nothing of that, "
            f"and does without it now.",
            MissingModalityWarning,
        )


def _warn_of_much(name: str, modality: Modality, own: Limits, limits: Limits, is_held: bool) -> None:
    beyond = modality._beyond(*limits)
    worst = int(beyond.argmax())
    if beyond[worst] <= MUCH_BEYOND:
        return
    column = column_name(modality, worst)
    taken = ", and are taken for the nearest of those" if is_held else ""
    warn_user(
        f"{beyond[worst]:.1%} of the values of the modality {name!r}{column} lie beyond those that the model was "
        f"fitted with{taken}: {own[0][worst]:.4g} to {own[1][worst]:.4g} now, {limits[0][worst]:.4g} to "
        f"{limits[1][worst]:.4g} then. Look for artefacts and for other units of measurement; what a model says of "
        f"stimuli unlike all that it learned from may be wrong.",
        UnseenStimulusWarning,
    )


def column_name(modality: Modality, number: int) -> str:
    """Which column, to follow the name of the modality; nothing where it has one only."""
    if isinstance(modality, Video) or modality.shape[1] == 1:
        return ""
    return f" in column {number if modality.names is None else modality.names[number]!r}"
