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
    ids = [_unit_ids(trains) for trains in segments]
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


def _unit_ids(trains: Sequence[Any]) -> list[Any]:
    """Identities of a segment's trains: an annotation, else the name, else the position."""
    for names in (
        *([t.annotations.get(key) for t in trains] for key in _ID_ANNOTATIONS),
        [t.name for t in trains],
    ):
        plain = [name.item() if isinstance(name, np.generic) else name for name in names]
        if all(isinstance(name, (int, str)) and name != "" for name in plain) and len(set(plain)) == len(plain):
            return plain
    return list(range(len(trains)))


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
