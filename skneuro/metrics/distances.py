"""Distances between spike trains, as elephant computes them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from skneuro.data._validation import check_width
from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import check_same_units

__all__ = ["spike_train_distance"]


def spike_train_distance(
    a: SpikeTrains, b: SpikeTrains, kind: str = "victor_purpura", time_scale: float = 0.02
) -> np.ndarray:
    """Mean distance between the trains of each unit in two sets of trials, trial by trial.

    Needs elephant: ``pip install "skneuro[metrics]"``.

    Parameters
    ----------
    a, b : SpikeTrains
        The same units, the same number of trials, each as long as its partner and observed in whole: a spike that
        was not seen has no distance. Times count from a trial's start.
    kind : {"victor_purpura", "van_rossum"}, default="victor_purpura"
        Victor and Purpura's is the cost of turning one train into the other: 1 to add or delete a spike,
        ``dt / time_scale`` to move one by ``dt``. Van Rossum's is the distance of the trains smoothed by
        ``exp(-t / time_scale)``.
    time_scale : float, in seconds, default=0.02
        Differences in time well below it do not matter.

    Returns
    -------
    distance : ndarray of shape (n_units,)
        Mean over trials; 0 for equal trains. Two independent trains are apart too: compare with the distance
        between recorded repeats.

    Raises
    ------
    ImportError
        If elephant is not installed.
    ValueError
        If trials or units differ, part of a trial was not observed, or a parameter is wrong.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> a = SpikeTrains.from_lists([[[0.1, 0.5]]], 0.0, 1.0)
    >>> spike_train_distance(a, a.cut(1.0))  # doctest: +SKIP
    array([0.])
    """
    if kind not in ("victor_purpura", "van_rossum"):
        raise ValueError(f"The 'kind' parameter must be 'victor_purpura' or 'van_rossum'. Got {kind!r:.80} instead.")
    check_width(time_scale, "time_scale")
    check_same_units(a, b)
    if len(a) != len(b) or np.abs(a.duration - b.duration).max() > 1e-6:
        raise ValueError(
            f"a and b must have the same number of trials, of the same lengths. Got {len(a)} and {len(b)} trials."
        )
    if not (wholly_observed(a).all() and wholly_observed(b).all()):
        raise ValueError(
            "Trials must be observed in whole: silence that was not observed is no distance. Leave out the others, or "
            "cut the trials into observed pieces."
        )
    distance = _elephant(kind, time_scale)
    total = np.zeros(a.shape[1])
    for trial in range(len(a)):
        first, second = a.trial(trial), b.trial(trial)
        starts, stop = (a.t_start[trial], b.t_start[trial]), float(a.duration[trial])
        for unit in range(a.shape[1]):
            total[unit] += distance(first[unit] - starts[0], second[unit] - starts[1], stop)
    return total / len(a)


def wholly_observed(spikes: SpikeTrains) -> np.ndarray:
    """Which trials have no time that was not observed, bool (n_trials,)."""
    if spikes.observation is None:
        return np.ones(len(spikes), dtype=bool)
    return np.diff(spikes.observation.ptr) == 0


def _elephant(kind: str, time_scale: float) -> Any:
    try:
        import neo
        import quantities as pq
        from elephant import spike_train_dissimilarity as elephant
    except ImportError as error:
        raise ImportError('Spike-train distances need elephant: pip install "skneuro[metrics]"') from error

    def distance(x: np.ndarray, y: np.ndarray, stop: float) -> float:
        end = 1e3 * stop
        trains = [
            neo.SpikeTrain(np.clip(1e3 * t, 0.0, end) * pq.ms, t_start=0.0 * pq.ms, t_stop=end * pq.ms) for t in (x, y)
        ]
        if kind == "van_rossum":
            with warnings.catch_warnings():  # rounding below zero, which elephant sets to zero
                warnings.filterwarnings("ignore", "van_rossum_distance: very small negative", RuntimeWarning)
                return float(elephant.van_rossum_distance(trains, time_constant=1e3 * time_scale * pq.ms)[0, 1])
        return float(elephant.victor_purpura_distance(trains, cost_factor=(1.0 / time_scale) * pq.Hz)[0, 1])

    return distance


def distances_available() -> bool:
    """Whether elephant can be imported."""
    try:
        _elephant("van_rossum", 1.0)
    except ImportError:
        return False
    return True
