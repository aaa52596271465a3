"""A series of the whole session in the trials: NaN where it does not reach, never an old value."""

from __future__ import annotations

import numpy as np

from skneuro._warn import warn_user
from skneuro.data.time_series import TimeSeries


def samples_of_trials(
    name: str,
    whole: TimeSeries,
    first: np.ndarray,
    last: np.ndarray,
    t_start: np.ndarray,
    t_stop: np.ndarray,
    *,
    slack: float = 0.0,
) -> TimeSeries:
    """Samples ``first:last`` of each trial, between NaN where the series is shorter, with a warning.

    A trial without samples is filled with NaN, unless all trials are without: the clocks differ then, and all are left
    bare, for a `Recording` to refuse. Up to `slack` seconds at a trial's end are not missing.
    """
    stamps, values, until, step = whole.timestamps, whole.values, whole.until(), float(whole.interval[0])
    reaches_any = bool((first < last).any())
    parts, times, bare = [], [], []
    for a, b, start, stop in zip(first, last, t_start, t_stop, strict=True):
        before = after = np.empty(0)
        missing = 0.0
        if a < b:
            before, after = _blanks(stamps[a:b], until[b - 1], step, start, stop - slack)
            missing = (stamps[a] - start) * (len(before) > 0) + max(stop - slack - until[b - 1], 0.0)
        elif reaches_any:
            before = start + step * np.arange(np.ceil((stop - start) / step) + 1)
            missing = stop - start
        blank = [np.full((len(t), values.shape[1]), np.nan) for t in (before, after)]
        parts.append(np.concatenate([blank[0], values[a : max(a, b)], blank[1]]))
        times.append(np.concatenate([before, stamps[a : max(a, b)], after]))
        bare.append(missing)
    if any(bare):
        warn_user(
            f"{name} does not reach over {np.count_nonzero(bare)} of {len(bare)} trials: {sum(bare):.4g} s of them "
            "are taken as missing"
        )
    return TimeSeries.from_lists(parts, timestamps=times)


def _blanks(stamps: np.ndarray, until: float, step: float, start: float, stop: float) -> tuple[np.ndarray, np.ndarray]:
    """Times of missing samples before and after those of a trial, so that they reach from its start to its stop.

    They are no closer than a trial's own samples: its sampling interval stays what it was.
    """
    step = float(np.median(np.diff(stamps))) if len(stamps) > 1 else step
    before, after = np.empty(0), np.empty(0)
    if stamps[0] - step > start:
        near = stamps[0] - step
        before = np.array([min(near - step, start), near])
    if until < stop:
        after = np.array([until, max(until + step, stop)])
    elif stamps[-1] + step < stop:  # the next sample comes after the trial, and later than usual
        after = np.array([stop])
    return before, after
