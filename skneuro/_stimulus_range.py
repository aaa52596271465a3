"""What of the stimuli lies beyond all that a model saw in `fit`: held within, and told of."""

from __future__ import annotations

import numpy as np

from skneuro._warn import warn_user
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities
from skneuro.exceptions import UnseenStimulusWarning

Limits = tuple[np.ndarray, np.ndarray]  # the lowest and the highest value of each column, (d,)
StimulusRange = dict[str, Limits]

# So large a share of the values of a column is told of.
MUCH_BEYOND = 0.01


def stimulus_range(modalities: Modalities | None, seen: StimulusRange) -> StimulusRange:
    """Lowest and highest values of some modalities and of those seen before."""
    found = dict(seen)
    for name, modality in () if modalities is None else modalities.items():
        own = modality._extremes()
        if own is not None:
            low, high = found.get(name, own)
            found[name] = (np.minimum(low, own[0]), np.maximum(high, own[1])) if len(low) == len(own[0]) else own
    return found


def within_range(modalities: Modalities | None, seen: StimulusRange) -> Modalities | None:
    """The modalities, held within what was seen in `fit`; says where much lies beyond."""
    if modalities is None:
        return None
    held = {}
    for name, modality in modalities.items():
        own, limits = modality._extremes(), seen.get(name)
        if own is None or limits is None or len(own[0]) != len(limits[0]):
            continue
        if (own[0] < limits[0]).any() or (own[1] > limits[1]).any():
            held[name] = modality._held(*limits)
            _warn_of_much(name, modality, own, limits, held[name] is not modality)
    return Modalities(**{**dict(modalities.items()), **held}) if held else modalities


def _warn_of_much(name: str, modality: Modality, own: Limits, limits: Limits, is_held: bool) -> None:
    beyond = modality._beyond(*limits)
    worst = int(beyond.argmax())
    if beyond[worst] <= MUCH_BEYOND:
        return
    column = f" in column {worst if modality.names is None else modality.names[worst]!r}" if len(beyond) > 1 else ""
    taken = ", and are taken for the nearest of those" if is_held else ""
    warn_user(
        f"{beyond[worst]:.1%} of the values of the modality {name!r}{column} lie beyond those that the model was "
        f"fitted with{taken}: {own[0][worst]:.4g} to {own[1][worst]:.4g} now, {limits[0][worst]:.4g} to "
        f"{limits[1][worst]:.4g} then. Look for artefacts and for other units of measurement; what a model says of "
        f"stimuli unlike all that it learned from may be wrong.",
        UnseenStimulusWarning,
    )
