"""pynapple's `TsGroup` as `SpikeTrains`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._epochs import plain_columns, read_epochs
from skneuro.data.spike_trains import SpikeTrains


def is_ts_group(obj: Any) -> bool:
    """Whether `obj` looks like a TsGroup."""
    return all(hasattr(obj, name) for name in ("time_support", "index", "keys", "metadata_columns"))


def from_ts_group(group: Any, epochs: Any, trial_ids: Any) -> SpikeTrains:
    """Convert a TsGroup; time outside a time support that somebody set was not observed."""
    unit_times = {_plain(key): np.asarray(group[key].t, dtype=np.float64) for key in group.keys()}
    support = np.asarray(group.time_support.values, dtype=np.float64)
    observed = None if _is_guessed(support, unit_times) else support
    if epochs is None:
        if observed is None:
            raise ValueError(
                "epochs must be given: the time support of this TsGroup runs from its first to its last spike, so "
                "pynapple has guessed it. Pass epochs=IntervalSet(start, end), or build the TsGroup with "
                "time_support=IntervalSet(0, duration)."
            )
        table = support
    else:
        table, trial_ids = read_epochs(epochs, trial_ids)
    return SpikeTrains.from_unit_times(
        unit_times,
        table,
        trial_ids=trial_ids,
        observed=observed,
        unit_info=_unit_info(group, list(unit_times)),
    )


def _is_guessed(support: np.ndarray, unit_times: dict[Any, np.ndarray]) -> bool:
    """A guessed time support begins and ends with a spike, in every one of its intervals."""
    times = np.concatenate([*unit_times.values(), np.empty(0)])
    return bool(np.isin(support, times).all())


def _unit_info(group: Any, unit_ids: list) -> pd.DataFrame:
    # pynapple adds the rate over the time support, which is no property of the unit.
    names = [name for name in group.metadata_columns if name != "rate"]
    table = pd.DataFrame({name: np.asarray(group.get_info(name)) for name in names}, index=unit_ids)
    return plain_columns(table)


def _plain(key: Any) -> Any:
    return key.item() if isinstance(key, np.generic) else key
