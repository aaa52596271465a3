"""Behaviour as a target: what `y` may be, and which bins or trials it labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import check_array, check_consistent_length

from skneuro._artefacts import far_value, place_of_bin
from skneuro._warn import warn_user
from skneuro.data import BinnedSpikes, Modalities, Modality, ModelInput, TimeSeries, Video
from skneuro.data._validation import TOLERANCE
from skneuro.data.recording import check_coverage
from skneuro.exceptions import ArtefactWarning

_FORMS = (
    "y must be behaviour: a TimeSeries (or Modalities of them), a list with the values of the bins of each trial, or "
    "one row a trial; one row a bin for 2-D counts."
)
_MASK = (
    "Give a TimeSeries, whose NaN are missing samples that are left out (TimeSeries.from_lists(y, rate=1 / bin_width)"
    "), or leave those rows out of X and y."
)


@dataclass(frozen=True)
class Targets:
    """Labels of bins or of trials.

    Attributes
    ----------
    values : ndarray of shape (n_places, n_outputs)
        Float, or of any type for classes.
    place : ndarray of shape (n_places,)
        Bin, counted over all trials, or trial of each; those without a label are left out.
    per_trial : bool
        Which of the two.
    flat : bool
        Whether a single output was given without an axis of its own.
    names : tuple of str or None
        Of the parts, where y was `Modalities`.
    """

    values: np.ndarray
    place: np.ndarray
    per_trial: bool
    flat: bool
    names: tuple[str, ...] | None = None


def in_order(y: Any, names: tuple[str, ...] | None) -> Any:
    """`y` with its parts in the order of `names`, those of `fit`.

    Raises
    ------
    ValueError
        If the names are others.
    """
    if names is None or not isinstance(y, Modalities):
        return y
    if set(y.names) != set(names):
        raise ValueError(f"y must have the parts seen in fit, {list(names)}. Got {list(y.names)}.")
    return Modalities(**{name: y[name] for name in names})


def warn_of_far_labels(targets: Targets, inp: ModelInput) -> None:
    """Say which label lies so far from the others that it decides the fit, or the score."""
    far = far_value(targets.values)
    if far is None:
        return
    place, names, what = int(targets.place[far.row]), targets.names, "A label"
    if targets.values.shape[1] > 1:
        known = names is not None and len(names) == targets.values.shape[1]
        what += f" of {names[far.column]!r}" if names is not None and known else f" of output {far.column}"
    where = f"in trial {place}" if targets.per_trial else place_of_bin(inp.spikes, place)
    warn_user(
        f"{far.says(what, where)} Errors are squared, so one such label decides what is learned, and R2. Where "
        f"tracking was lost or a sensor failed, leave the label out (NaN in a TimeSeries, else its row), or cut it "
        f"off; where it is real, leave it.",
        ArtefactWarning,
    )


def read_targets(y: Any, inp: ModelInput, *, numeric: bool, estimator: str) -> Targets:
    """Read `y` in any of its forms.

    Parameters
    ----------
    y : TimeSeries, Modalities, list of arrays or array-like
        See `Targets`; NaN in a series is missing.
    inp : ModelInput
        The spikes of the same rows.
    numeric : bool
        Whether values are numbers (and not classes).
    estimator : str
        Name for error messages.

    Raises
    ------
    TypeError
        If y is something else.
    ValueError
        If lengths disagree, nothing is labelled, or values are NaN outside of a series, or infinite.
    """
    if y is None:
        raise ValueError(f"{estimator} requires y to be passed, but the target y is None. {_FORMS}")
    if isinstance(y, (Modalities, Modality)) and not isinstance(y, Video):
        values, per_trial, flat = _of_series(y, inp, numeric)
        known = ~np.isnan(values).any(axis=1)
    else:
        values, per_trial, flat = _of_arrays(y, inp, numeric)
        known = np.ones(len(values), dtype=bool)
    if not per_trial and inp.spikes.bin_observed is not None:
        known &= inp.spikes.bin_observed
    if not known.any():
        raise ValueError(f"{estimator} needs at least one label. Every value of y is missing, or in unobserved time.")
    names = tuple(y.names) if isinstance(y, Modalities) else None
    return Targets(values[known], np.flatnonzero(known), per_trial, flat, names)


def _of_series(y: Any, inp: ModelInput, numeric: bool) -> tuple[np.ndarray, bool, bool]:
    series = dict(y.items()) if isinstance(y, Modalities) else {"y": y}
    videos = [name for name, one in series.items() if isinstance(one, Video)]
    if videos:
        raise TypeError(f"{_FORMS} Got the video {videos[0]!r}.")
    binned = inp.spikes
    t_stop = binned.t_start + np.diff(binned.ptr) * binned.bin_width
    check_coverage(Modalities(**series), binned.t_start, t_stop)
    if not numeric:
        series = {name: _latest(one, binned) if isinstance(one, TimeSeries) else one for name, one in series.items()}
    values = np.column_stack([one.on_bins(binned) for one in series.values()])
    return values, False, values.shape[1] == 1


def _latest(labels: TimeSeries, binned: BinnedSpikes) -> TimeSeries:
    """The latest known sample of each bin: a mean of labels would be the label of something else, or of nothing."""
    trial = np.repeat(np.arange(len(labels)), np.diff(labels.ptr))
    tick = np.floor((labels.timestamps - binned.t_start[trial]) / binned.bin_width + TOLERANCE)
    known = ~np.isnan(labels.values).any(axis=1)
    order = np.lexsort((labels.timestamps, known, tick, trial))
    last = np.append((np.diff(tick[order]) != 0) | (np.diff(trial[order]) != 0), True)[: len(order)]
    kept = np.sort(order[last])
    return labels._gather(kept, np.bincount(trial[kept], minlength=len(labels)), labels.interval)


def _of_arrays(y: Any, inp: ModelInput, numeric: bool) -> tuple[np.ndarray, bool, bool]:
    if isinstance(y, (str, bytes, dict, set, Video)) or not (hasattr(y, "__len__") or hasattr(y, "__array__")):
        raise TypeError(f"{_FORMS} Got {type(y).__name__}.")
    binned = inp.spikes
    per_trial = inp.layout != "bins"
    if per_trial and _is_ragged(y, np.diff(binned.ptr)):
        y, per_trial = _joined(y, inp), False
    elif per_trial and np.ndim(y) == 3:
        lengths = np.diff(binned.ptr)
        if np.shape(y)[0] != binned.n_trials or (lengths != np.shape(y)[1]).any():
            raise ValueError(
                f"y of shape {np.shape(y)} does not fit {binned.n_trials} trials of {np.unique(lengths)} bins."
            )
        y, per_trial = np.reshape(y, (-1, np.shape(y)[2])), False
    array = _checked(y, numeric)
    rows: Any = range(binned.n_trials if per_trial else binned.n_bins)
    check_consistent_length(rows, array)
    if array.ndim > 2:
        raise ValueError(f"{_FORMS} Got an array of shape {array.shape}.")
    if per_trial and array.ndim == 2 and array.shape[1] > 1 and (np.diff(binned.ptr) == array.shape[1]).all():
        warn_user(
            f"y of shape {array.shape} is read as {array.shape[1]} values of each trial, as many as its bins. If "
            f"it has one value a bin, give list(y).",
        )
    if not numeric and array.ndim == 2 and array.shape[1] == 1:
        warn_user(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), "
            "for example using ravel().",
            DataConversionWarning,
        )
        array = array[:, 0]
    return array.reshape(len(array), -1), per_trial, array.ndim == 1


def _is_ragged(y: Any, n_bins: np.ndarray) -> bool:
    """Tell values for the bins of each trial from one row for each.

    Arrays in a list are values of bins. Other sequences are so where they are as long as their trials, or of different
    lengths.
    """
    if not (isinstance(y, (list, tuple)) or (isinstance(y, np.ndarray) and y.dtype.kind == "O" and y.ndim == 1)):
        return False
    if any(isinstance(one, np.ndarray) and one.ndim > 0 for one in y):
        return True
    if not len(y) or not all(_is_sequence(one) for one in y):
        return False
    lengths = np.array([len(one) for one in y])
    return len(set(lengths)) > 1 or (np.array_equal(lengths, n_bins) and lengths[0] > 1)


def _is_sequence(one: Any) -> bool:
    return hasattr(one, "__len__") and getattr(one, "ndim", 1) > 0 and not isinstance(one, (str, bytes, dict, set))


def _joined(y: Any, inp: ModelInput) -> np.ndarray:
    check_consistent_length(range(inp.spikes.n_trials), y)
    lengths = np.diff(inp.spikes.ptr)
    for trial, values in enumerate(y):
        if np.ndim(values) not in (1, 2) or len(values) != lengths[trial]:
            raise ValueError(
                f"y must have one value for each bin of a trial. Trial {trial} has {lengths[trial]} bins of "
                f"{inp.spikes.bin_width:g} s and values of shape {np.shape(values)}."
            )
    return np.concatenate([np.asarray(values) for values in y])


def _checked(y: Any, numeric: bool) -> np.ndarray:
    if not numeric:
        array = np.asarray(y)
        missing = pd.isna(array)
        if missing.any():
            raise ValueError(f"Input y contains NaN in {missing.sum()} labels. {_MASK}")
        return array
    array = check_array(
        y, dtype=np.float64, ensure_2d=False, allow_nd=True, ensure_all_finite="allow-nan", input_name="y"
    )
    missing = np.isnan(array)
    if missing.any():
        raise ValueError(f"Input y contains NaN in {missing.sum()} values. {_MASK}")
    return array
