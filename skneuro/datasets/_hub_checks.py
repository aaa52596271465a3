"""What may be asked of `make_hub_network`."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from skneuro._sklearn_compat import Interval, StrOptions, validate_parameter_constraints
from skneuro.datasets._hub_wiring import LEVELS
from skneuro.datasets._integrate_and_fire import TIME_STEP


def check_parameters(
    n_units: object, duration: object, level: object, random_state: object, stimulus_period: object
) -> None:
    """Refuse parameters of the network that are out of range."""
    validate_parameter_constraints(
        {
            "n_units": [Interval(Integral, 2, None, closed="left")],
            "duration": [Interval(Real, TIME_STEP, None, closed="left")],
            "level": [StrOptions(set(LEVELS))],
            "random_state": ["random_state", np.random.Generator],
            "stimulus_period": [Interval(Real, 0, None, closed="neither"), None],
        },
        {
            "n_units": n_units,
            "duration": duration,
            "level": level,
            "random_state": random_state,
            "stimulus_period": stimulus_period,
        },
        caller_name="make_hub_network",
    )
    if stimulus_period is None:
        return
    if level != "stimulus":
        raise ValueError(
            f"'stimulus_period' needs level='stimulus': level={level!r} has no stimulus that could repeat. "
            "Leave it out or change the level."
        )
    frames = stimulus_period * LEVELS[level].shared_rate  # type: ignore[operator]
    if abs(frames - round(frames)) > 1e-6 or round(frames) < 1:
        raise ValueError(
            f"'stimulus_period' must be a multiple of 1/{LEVELS[level].shared_rate:.0f} s, one step of the "
            f"stimulus; got {stimulus_period!r} s."
        )


def check_extra_drive(extra_drive: Any, n_units: int, sorted_badly: int) -> None:
    """Refuse drive for units that are not there, or that are no single cells."""
    if extra_drive is None:
        return
    if not isinstance(extra_drive, Mapping):
        raise TypeError(f"extra_drive must be a dict of unit to mV. Got {type(extra_drive).__name__}.")
    if sorted_badly:
        raise ValueError("extra_drive needs units that are single cells: n_merged=0 and n_split=0.")
    for unit, millivolts in extra_drive.items():
        if isinstance(unit, bool) or not isinstance(unit, Integral) or not 0 <= int(unit) < n_units:
            raise ValueError(f"extra_drive must name units 0 .. {n_units - 1}. Got {unit!r:.80}.")
        if isinstance(millivolts, bool) or not isinstance(millivolts, Real) or not np.isfinite(float(millivolts)):
            raise ValueError(f"extra_drive must be a finite number of mV. Got {millivolts!r:.80} for unit {unit!r}.")


def check_faults(
    n_units: object,
    observed_fraction: object,
    n_merged: object,
    n_split: object,
    dead_time: object,
    rate_drift: object,
    dale: object,
) -> None:
    """Refuse faults of the recording that are out of range."""
    validate_parameter_constraints(
        {
            "observed_fraction": [Interval(Real, 0, 1, closed="right")],
            "n_merged": [Interval(Integral, 0, None, closed="left")],
            "n_split": [Interval(Integral, 0, None, closed="left")],
            "dead_time": [Interval(Real, 0, None, closed="left")],
            "rate_drift": [Interval(Real, 0, None, closed="left")],
            "dale": ["boolean"],
        },
        {
            "observed_fraction": observed_fraction,
            "n_merged": n_merged,
            "n_split": n_split,
            "dead_time": dead_time,
            "rate_drift": rate_drift,
            "dale": dale,
        },
        caller_name="make_hub_network",
    )
    if n_merged + 2 * n_split > n_units:  # type: ignore[operator]
        raise ValueError(
            f"'n_merged' plus twice 'n_split' must not exceed 'n_units', {n_units}; got {n_merged} and {n_split}."
        )
