"""Train, validation and test blocks of a recording in time: contiguous groups of whole trials with gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skneuro.data import SpikeTrains


def make_block_groups(spikes: SpikeTrains | Any, n_groups: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Divide the trials, in their order, into contiguous groups of about equal time.

    The borders are the trial borders nearest to ``i / n_groups`` of the recorded time. Neighbouring trials
    share slow states of the animal, so the first trial of each group is marked as a gap to be left out.

    Parameters
    ----------
    spikes : SpikeTrains or array-like of shape (n_trials,), in seconds
        The trials, or their durations (bins or any other unit serve as well). Cut one long recording first:
        ``spikes.cut(10.0)``.
    n_groups : int, default=10
        Number of groups, at most the number of trials.

    Returns
    -------
    groups : int64 ndarray of shape (n_trials,)
        Group of each trial, 0 to ``n_groups - 1``.
    gap_mask : bool ndarray of shape (n_trials,)
        True for the first trial of each group.

    Raises
    ------
    ValueError
        If durations are not finite and positive, or trials are so few or so unequal that a group would be
        empty.

    Examples
    --------
    >>> from skneuro.datasets import make_block_groups
    >>> groups, gap_mask = make_block_groups([1.0, 1.0, 2.0, 1.0, 1.0, 2.0], n_groups=2)
    >>> groups.tolist(), gap_mask.tolist()
    ([0, 0, 0, 1, 1, 1], [True, False, False, True, False, False])
    """
    durations = np.asarray(spikes.duration if isinstance(spikes, SpikeTrains) else spikes, dtype=float)
    if durations.ndim != 1 or not np.all(np.isfinite(durations)) or not np.all(durations > 0):
        raise ValueError(
            "Expected SpikeTrains or trial durations, 1-D, positive and finite; got an "
            f"array of shape {durations.shape} with {np.sum(~(durations > 0))} not positive."
        )
    if isinstance(n_groups, bool) or not isinstance(n_groups, (int, np.integer)) or n_groups < 1:
        raise ValueError(f"The 'n_groups' parameter must be an int in the range [1, inf). Got {n_groups!r} instead.")
    borders = np.concatenate([[0.0], np.cumsum(durations)])
    wanted = np.arange(n_groups + 1) * (borders[-1] / n_groups)
    right = np.clip(np.searchsorted(borders, wanted), 1, len(borders) - 1)
    cuts = np.where(wanted - borders[right - 1] <= borders[right] - wanted, right - 1, right)
    sizes = np.diff(cuts)
    if not len(durations) or np.any(sizes == 0):
        raise ValueError(
            f"{len(durations)} trials cannot be divided into {n_groups} groups of about equal time: at least "
            "one would be empty. Use fewer groups, or shorter trials (spikes.cut)."
        )
    gap_mask = np.zeros(len(durations), dtype=bool)
    gap_mask[cuts[:-1]] = True
    return np.repeat(np.arange(n_groups), sizes), gap_mask


def block_split(
    groups: Any,
    gap_mask: Any = None,
    *,
    validation: Sequence[int] = (1, 5),
    test: Sequence[int] = (3, 7),
) -> Bunch:
    """Masks of the training, validation and test trials by group, without the gaps.

    Parameters
    ----------
    groups : array-like of shape (n_trials,)
        Group of each trial, see :func:`make_block_groups`.
    gap_mask : array-like of bool of shape (n_trials,) or None, default=None
        True for trials that no part may have. None: there are none.
    validation : sequence of int, default=(1, 5)
        Groups for validation; may be empty.
    test : sequence of int, default=(3, 7)
        Groups for the test; may be empty. All others are for training.

    Returns
    -------
    split : :class:`~sklearn.utils.Bunch`
        train, validation, test : bool ndarray of shape (n_trials,)
            Masks without overlap, to index spikes, modalities and labels.

    Raises
    ------
    ValueError
        If lengths disagree, a group is in both lists or does not exist, or a part would be empty.

    Examples
    --------
    >>> from skneuro.datasets import block_split, make_block_groups
    >>> groups, gap_mask = make_block_groups([1.0] * 20, n_groups=10)
    >>> split = block_split(groups, gap_mask)
    >>> split.train.sum(), split.validation.sum(), split.test.sum()
    (np.int64(6), np.int64(2), np.int64(2))
    """
    groups = np.asarray(groups)
    gap = np.zeros(groups.shape, dtype=bool) if gap_mask is None else np.asarray(gap_mask, dtype=bool)
    if groups.ndim != 1 or gap.shape != groups.shape:
        raise ValueError(
            "'groups' and 'gap_mask' must be 1-D with one value for each trial; got the shapes "
            f"{groups.shape} and {gap.shape}."
        )
    both = sorted(set(validation) & set(test))
    unknown = sorted((set(validation) | set(test)) - set(groups.tolist()))
    if both or unknown:
        raise ValueError(
            f"Groups in both 'validation' and 'test': {both}; groups that do not exist: {unknown}. Each of "
            f"the groups {sorted(set(groups.tolist()))} can be in one of them."
        )
    is_validation, is_test = np.isin(groups, list(validation)), np.isin(groups, list(test))
    split = Bunch(train=~is_validation & ~is_test & ~gap, validation=is_validation & ~gap, test=is_test & ~gap)
    wanted = {"train": True, "validation": len(validation) > 0, "test": len(test) > 0}
    empty = [name for name in wanted if wanted[name] and not split[name].any()]
    if empty:
        raise ValueError(
            f"No trials are left for {', '.join(empty)}: every group needs a trial besides its gap. Use "
            "fewer groups or shorter trials."
        )
    return split
