"""A classifier that tries to tell recorded windows from simulated ones."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import bins_of_window, check_same_units, trial_and_place

__all__ = ["two_sample_accuracy"]


def two_sample_accuracy(
    recorded: SpikeTrains,
    sampled: SpikeTrains,
    bin_width: float,
    *,
    window: float = 0.5,
    groups: tuple[Any, Any] | None = None,
    n_folds: int = 5,
    random_state: int = 0,
) -> float:
    """Held-out accuracy of gradient boosting that tells windows of two sets of trials apart.

    A window is described by the count of each unit, the population's count in each of its bins, and how many
    occupied and repeatedly occupied cells it has. Trials of one group are in one fold, so that nothing is learned
    about a trial that is tested. Windows of the two sets weigh the same: 0.5 is chance. Compare with two halves of
    the recording.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        With the same units.
    bin_width : float, in seconds
        Width of a bin: nothing finer is looked at.
    window : float, in seconds, default=0.5
        Width of the windows that tile each trial; a multiple of `bin_width`.
    groups : tuple of two array-likes of shape (n_trials,), default=None
        Group of each recorded and of each simulated trial; trials with one stimulus belong together. None: trial
        ``k`` of both sets is one group.
    n_folds : int, default=5
        Folds; fewer where there are fewer groups.
    random_state : int, default=0
        Of the classifier.

    Returns
    -------
    accuracy : float
        Mean of the shares of recorded and of simulated windows that were told right, out of fold.

    Raises
    ------
    ValueError
        If units differ, a parameter is wrong, there are fewer than two groups or no whole window, or all windows of
        one set are in one fold: nothing can then be learned about them.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> counts = np.random.default_rng(0).poisson(1.0, (2, 20, 100, 3))
    >>> slow, other = (SpikeTrains.from_counts(c, 0.1) for c in counts)
    >>> fast = SpikeTrains.from_counts(2 * counts[1], 0.1)
    >>> bool(two_sample_accuracy(slow, other, 0.1) < 0.6), bool(two_sample_accuracy(slow, fast, 0.1) > 0.9)
    (True, True)
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict

    check_same_units(recorded, sampled)
    n_bins = bins_of_window(window, bin_width)
    if isinstance(n_folds, bool) or not isinstance(n_folds, Integral) or n_folds < 2:
        raise ValueError(f"n_folds must be an int of at least 2. Got {n_folds!r:.80} instead.")
    if groups is None:
        groups = np.arange(len(recorded)), np.arange(len(sampled))
    for ids, spikes, name in zip(groups, (recorded, sampled), ("recorded", "sampled"), strict=True):
        if np.shape(ids) != (len(spikes),):
            raise ValueError(f"groups must have one entry for each of {len(spikes)} {name} trials.")
    (x, x_trial), (y, y_trial) = (_windows(s, bin_width, n_bins) for s in (recorded, sampled))
    if not len(x) or not len(y):
        raise ValueError(f"There is no whole window of {window:g} s that was observed; use a shorter window.")
    features = np.concatenate([x, y])
    label = np.repeat([0, 1], [len(x), len(y)])
    group = np.unique(
        np.concatenate([np.asarray(groups[0])[x_trial], np.asarray(groups[1])[y_trial]]), return_inverse=True
    )[1]
    n_groups = int(group.max()) + 1
    if n_groups < 2:
        raise ValueError("The classifier needs at least two groups of trials; cut long trials: spikes.cut(10.0).")
    model = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, class_weight="balanced", random_state=random_state
    )
    folds = GroupKFold(min(int(n_folds), n_groups), shuffle=True, random_state=random_state)
    splits = list(folds.split(features, label, group))
    if any(np.ptp(label[train]) == 0 for train, _ in splits):
        raise ValueError(
            "Each of the two sets must have windows in at least two folds, else the classifier never sees it beside "
            "the other. Got one set whose groups are all in one fold; give groups that part it, or cut long trials: "
            "spikes.cut(10.0)."
        )
    return float(balanced_accuracy_score(label, cross_val_predict(model, features, label, cv=splits)))


def _windows(spikes: SpikeTrains, bin_width: float, n_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of the whole observed windows, and the trial of each."""
    binned = spikes.bin(bin_width)
    trial, place = trial_and_place(binned)
    whole = np.diff(binned.ptr)[trial] // n_bins * n_bins > place
    shape = (-1, n_bins, binned.n_units)
    counts, seen = binned.dense()[whole].reshape(shape), binned.mask()[whole].reshape(shape)
    keep = seen.all(axis=(1, 2))
    counts = counts[keep]
    features = [
        counts.sum(axis=1),
        counts.sum(axis=2),
        np.stack([(counts > 0).sum(axis=(1, 2)), (counts > 1).sum(axis=(1, 2))], axis=1),
    ]
    return np.concatenate(features, axis=1), trial[whole][::n_bins][keep]
