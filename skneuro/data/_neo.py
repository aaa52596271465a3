"""neo's segments, blocks and spike trains as `SpikeTrains`: each segment is a trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import plain_columns, read_epochs
from skneuro.data.spike_trains import SpikeTrains

_ID_ANNOTATIONS = ("unit_id", "id")


def is_neo(obj: Any) -> bool:
    """Whether `obj` looks like a neo Block, Segment, or a list of segments or spike trains."""
    if isinstance(obj, (list, tuple)):
        return len(obj) > 0 and all(_is_segment(part) or _is_train(part) for part in obj)
    return _is_segment(obj) or _is_train(obj) or hasattr(obj, "segments")


def from_neo(obj: Any, epochs: Any, trial_ids: Any) -> SpikeTrains:
    """Convert neo objects. A unit's own t_start and t_stop bound when it was observed."""
    segments = _segments(obj)
    if not segments or not any(segments):
        raise ValueError("These neo segments hold no spike trains.")
    table = None
    if epochs is not None:
        if len(segments) > 1:
            raise ValueError(
                f"epochs cut one segment, and there are {len(segments)}, which are trials already. Convert one segment "
                "at a time, or leave epochs out."
            )
        table, trial_ids = read_epochs(epochs, trial_ids)
    ids = _unit_ids(segments)
    unit_ids = list(dict.fromkeys(unit for names in ids for unit in names))
    info = _unit_info(segments, ids, unit_ids)
    parts = []
    for trains, names in zip(segments, ids, strict=True):
        borders = {name: _borders(train) for name, train in zip(names, trains, strict=True)}
        own = np.array(list(borders.values())).reshape(-1, 2)
        epoch = np.array([[own[:, 0].min(), own[:, 1].max()]]) if table is None else table
        # A unit without a spike train in this segment was not observed in it.
        observed = {unit: [borders[unit]] if unit in borders else np.empty((0, 2)) for unit in unit_ids}
        times = {unit: np.empty(0) for unit in unit_ids}
        times |= {name: _seconds(train) for name, train in zip(names, trains, strict=True)}
        parts.append(SpikeTrains.from_unit_times(times, epoch, observed=observed, unit_info=info))
    if table is None and trial_ids is None:
        trial_ids = np.arange(len(parts))
    return _stack(parts, trial_ids)


def _stack(parts: list[SpikeTrains], trial_ids: Any) -> SpikeTrains:
    spikes = parts[0] if len(parts) == 1 else SpikeTrains.concatenate(parts)
    return spikes if trial_ids is None else spikes._with(trial_ids=trial_ids)


def _is_segment(obj: Any) -> bool:
    return hasattr(obj, "spiketrains")


def _is_train(obj: Any) -> bool:
    return all(hasattr(obj, name) for name in ("t_start", "t_stop", "rescale", "magnitude"))


def _segments(obj: Any) -> list[list[Any]]:
    """Spike trains of each segment."""
    if hasattr(obj, "segments"):
        return [list(segment.spiketrains) for segment in obj.segments]
    if _is_segment(obj):
        return [list(obj.spiketrains)]
    if _is_train(obj):
        return [[obj]]
    if all(_is_train(part) for part in obj):
        return [list(obj)]
    if all(_is_segment(part) for part in obj):
        return [list(segment.spiketrains) for segment in obj]
    raise TypeError("A list of neo objects must hold either segments or spike trains, not both.")


def _unit_ids(segments: list[list[Any]]) -> list[list[Any]]:
    """Identities of the trains of each segment, in all the same way: an annotation, else the name, else the position.

    Raises
    ------
    ValueError
        If only some segments name their trains, or trains without names differ in number: which are the same unit?
    """
    some = []
    for key in (*_ID_ANNOTATIONS, "name"):
        named = [_names(trains, key) for trains in segments]
        if all(names is not None for names in named):
            return [names or [] for names in named]
        some += [key for names in named if names]
    if some:
        raise ValueError(
            f"The trains of some segments are told apart by {some[0]!r}, those of others are not, so that units cannot "
            f"be matched. Give every train of every segment its {some[0]!r}, or convert one segment at a time."
        )
    if len({len(trains) for trains in segments}) > 1:
        raise ValueError(
            f"Spike trains without a name are told apart by their place, and segments have "
            f"{[len(trains) for trains in segments]!r:.60} of them. Annotate every train with its 'unit_id'."
        )
    return [list(range(len(trains))) for trains in segments]


def _names(trains: Sequence[Any], key: str) -> list[Any] | None:
    """What each train is called by an annotation, or by its name; None where that tells no units apart."""
    names = [train.name if key == "name" else train.annotations.get(key) for train in trains]
    plain = [name.item() if isinstance(name, np.generic) else name for name in names]
    told = all(isinstance(name, (int, str)) and name != "" for name in plain) and len(set(plain)) == len(plain)
    return plain if told else None


def _unit_info(segments: list[list[Any]], ids: list[list[Any]], unit_ids: list[Any]) -> pd.DataFrame:
    annotations: dict[Any, dict] = {unit: {} for unit in unit_ids}
    for trains, names in zip(segments, ids, strict=True):
        for name, train in zip(names, trains, strict=True):
            annotations[name] = dict(train.annotations) | annotations[name]
    rows = [annotations[unit] for unit in unit_ids]
    return plain_columns(pd.DataFrame(rows, index=unit_ids), leave_out=_ID_ANNOTATIONS)


def _borders(train: Any) -> tuple[float, float]:
    return float(train.t_start.rescale("s").magnitude), float(train.t_stop.rescale("s").magnitude)


def _seconds(train: Any) -> np.ndarray:
    return np.asarray(train.rescale("s").magnitude, dtype=np.float64)
