"""How well aligned embeddings find each other: top-k retrieval in both directions, beside its chance."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import hypergeom
from sklearn.utils import check_array, check_consistent_length, column_or_1d

__all__ = ["retrieval"]


def retrieval(
    neural: ArrayLike,
    stimulus: ArrayLike,
    segment: ArrayLike | None = None,
    *,
    top: Sequence[int] = (1, 5),
    pool_size: int | None = None,
) -> dict[str, float]:
    """Share of segments that are found among others by their aligned embeddings.

    Neural activity looks for its stimulus among the other segments, and the stimulus for its activity among that of
    other segments, by cosine similarity. Repeats of a segment are never among the others. For pools smaller than all,
    the share is the expectation over all pools; ties count as broken by chance. So constant embeddings score exactly
    `chance`.

    Parameters
    ----------
    neural, stimulus : array-like of shape (n_samples, n_components)
        Embeddings of the same samples.
    segment : array-like of shape (n_samples,), default=None
        What each sample shows, for instance clip and time in clip; equal for repeats. None: all are distinct.
    top : sequence of int, default=(1, 5)
        Ranks up to which a find counts.
    pool_size : int, default=None
        Candidates of a search, the right one included; None takes as many as there are segments.

    Returns
    -------
    dict of str to float
        For each k in `top`: ``"top{k}_neural_to_stimulus"``, ``"top{k}_stimulus_to_neural"`` and ``"top{k}_chance"``;
        ``"pool_size"`` and ``"n_segments"``.

    Raises
    ------
    ValueError
        If shapes differ, values are not finite or all zero, there are fewer than two segments, or `pool_size` or `top`
        is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.metrics import retrieval
    >>> stimulus = np.eye(4)
    >>> neural = stimulus[[0, 1, 3, 2]]  # two of four are mixed up
    >>> found = retrieval(neural, stimulus, top=(1, 2))
    >>> found["top1_neural_to_stimulus"], found["top1_chance"]
    (0.5, 0.25)
    """
    activity = check_array(neural, dtype=np.float64, input_name="neural")
    shown = check_array(stimulus, dtype=np.float64, input_name="stimulus")
    if activity.shape != shown.shape:
        raise ValueError(f"neural and stimulus must have one shape. Got {activity.shape} and {shown.shape}.")
    ids = np.arange(len(activity)) if segment is None else column_or_1d(segment)
    check_consistent_length(activity, ids)
    ids = np.unique(ids, return_inverse=True)[1]
    n_segments = int(ids.max(initial=-1)) + 1
    if n_segments < 2:
        raise ValueError(f"Retrieval needs at least two distinct segments. Got {n_segments}.")
    size = n_segments if pool_size is None else pool_size
    if not isinstance(size, Integral) or not 2 <= size <= n_segments:
        raise ValueError(
            f"The 'pool_size' parameter must be an int from 2 to {n_segments} segments. Got {pool_size!r:.80} instead."
        )
    if not len(top) or any(not isinstance(k, Integral) or k < 1 for k in top):
        raise ValueError(f"The 'top' parameter must hold ints >= 1. Got {top!r:.80}.")
    similarity = _unit(activity, "neural") @ _unit(shown, "stimulus").T  # [activity, stimulus]
    own = similarity.diagonal()
    first = np.unique(ids, return_index=True)[1]  # one sample of each segment stands for its stimulus
    other_stimulus = ids[:, None] != ids[first]
    other_activity = ids[:, None] != ids
    searches = {
        "neural_to_stimulus": (similarity[:, first], other_stimulus),
        "stimulus_to_neural": (similarity.T, other_activity),
    }
    result: dict[str, float] = {}
    for way, (found, other) in searches.items():
        for k in top:
            result[f"top{k}_{way}"] = _share(found, own, other, int(k), int(size))
    for k in top:
        result[f"top{k}_chance"] = min(k / size, 1.0)
    return {**result, "pool_size": float(size), "n_segments": float(n_segments)}


def _unit(x: np.ndarray, name: str) -> np.ndarray:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    if not (length > 0).all():
        raise ValueError(f"{name} holds {int((length == 0).sum())} vectors of zeros, which have no direction.")
    return x / length


def _share(found: np.ndarray, own: np.ndarray, other: np.ndarray, k: int, size: int) -> float:
    """Mean probability that at most k - 1 of size - 1 candidates, drawn from the others, come before the right one."""
    difference = found - own[:, None]
    better = ((difference > 1e-12) & other).sum(1)
    ties = ((np.abs(difference) <= 1e-12) & other).sum(1)
    n_other = other.sum(1)
    probability = [
        hypergeom.cdf(k - 1, n, b + np.arange(t + 1), size - 1).mean()
        for n, b, t in zip(n_other, better, ties, strict=True)
    ]
    return float(np.mean(probability))
