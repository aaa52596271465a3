"""Epochs in the forms that other libraries use, as one table of starts and stops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from skneuro._warn import warn_user
from skneuro.data._validation import seconds

EPOCHS = (
    "epochs must be an (n_trials, 2) array of start and stop in seconds; for one continuous recording "
    "epochs=[(0.0, duration)]"
)
# Pairs of column names, as NWB and pynapple write them.
_COLUMNS = (("start_time", "stop_time"), ("start", "stop"), ("start", "end"))


def read_epochs(epochs: Any, trial_ids: Any = None) -> tuple[np.ndarray, Any]:
    """Return epochs as an (n_trials, 2) array in seconds, and the ids of the trials (None: their number)."""
    if isinstance(epochs, pd.DataFrame):
        for first, last in _COLUMNS:
            if first in epochs.columns and last in epochs.columns:
                ids = epochs.index.to_numpy() if trial_ids is None else trial_ids
                return seconds(epochs[[first, last]].to_numpy(), "epochs"), ids
        raise ValueError(
            "A table of epochs needs the columns start_time and stop_time, or start and end. Got "
            f"{list(epochs.columns)} instead."
        )
    if hasattr(epochs, "start") and hasattr(epochs, "end") and hasattr(epochs, "values"):  # pynapple
        return np.asarray(epochs.values, dtype=np.float64).reshape(-1, 2), trial_ids
    table = epoch_table(epochs)
    return (table[None] if table.shape == (2,) else table), trial_ids


def epoch_table(epochs: Any) -> np.ndarray:
    """Return an array of starts and stops in seconds, whose shape is still to be checked."""
    if isinstance(epochs, str):
        raise ValueError(f"{EPOCHS}. Got {epochs!r:.60} instead.")
    return seconds(epochs, "epochs")


def warn_of_none_left(what: str, times: np.ndarray, start: np.ndarray, stop: np.ndarray, n_left: int) -> None:
    """Say that all of some events lie outside the epochs: they are on another clock, or in another unit."""
    if n_left or not len(times) or not len(start):
        return
    warn_user(
        f"None of the {len(times):,} {what} lies in an epoch: they are at {times.min():.6g} to {times.max():.6g} s, "
        f"the epochs at {start.min():.6g} to {stop.max():.6g} s. Check that both are in seconds on the same clock."
    )


def require_epochs(epochs: Any, trial_ids: Any, what: str) -> tuple[np.ndarray, Any]:
    """`read_epochs`, or the error for spikes that do not say when the recording began and ended."""
    if epochs is None:
        raise ValueError(
            f"epochs must be given: {what} does not say when the recording began and ended, and the first and last "
            "spike do not tell. Pass epochs=[(start, stop), ...] in seconds, for one continuous recording "
            "epochs=[(0.0, duration)]."
        )
    return read_epochs(epochs, trial_ids)


def plain_columns(table: pd.DataFrame, leave_out: tuple[str, ...] = ()) -> pd.DataFrame:
    """The columns that hold one number, string or truth value per unit."""
    kept = [
        name
        for name in table.columns
        if name not in leave_out and table[name].map(lambda value: value is None or np.isscalar(value)).all()
    ]
    return table[kept]
