"""What a fitted model of any kind owes to the spikes of a unit: by deletion, or gradient times input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Estimate, Reach
from skneuro.connectivity.context_effect import context_effects
from skneuro.connectivity.lags import pair_observations
from skneuro.data import ModelInput, Recording, SpikeTrains
from skneuro.exceptions import ShortenedLagWarning
from skneuro.preprocessing._units import check_unit_ids

__all__ = ["estimate_effects"]

_LEAST = 1e-6  # spikes per bin: an expectation of nothing has no logarithm


def estimate_effects(
    model: Any, X: Any, stimuli: Any, given: ModelInput, reach: Reach, *, gradient: bool = False, n_contexts: int = 2000
) -> Estimate:
    """See how the expectation of every target changes with the spikes of one source at a time.

    A Neuroformer is asked in contexts of the recording, see `context_effects`. For any other model all spikes of a
    source are deleted at once, and it predicts the recording anew: the effect at a lag is the mean change of the
    target's log expected count so long after a spike of the source, in the contexts in which the source did fire, minus
    the median change in bins that no spike of the source precedes, because the long silence does something to a model
    with a slow state too. The effects are summed over the lags read.

    Parameters
    ----------
    model : fitted estimator
        With ``predict(X, stimuli)``, ``bin_width``, and ``window_bins`` where it predicts more than one bin ahead.
    X : SpikeTrains, Recording or array-like of counts
        The recording, as the user gave it.
    stimuli : Modalities, Video, TimeSeries, array-like or None
        As in the ``fit`` of the model.
    given : ModelInput
        X in the bins of the model.
    reach : Reach
        Lags. A model that predicts whole windows shows nothing of a spike within its own window: there, lags up to the
        length of a window are read at least; a Neuroformer can be asked right after any spike.
    gradient, n_contexts : bool, int
        As in `context_effects`.

    Returns
    -------
    Estimate
        NaN for sources of which no spike is followed by a bin in another window.

    Raises
    ------
    TypeError
        If a gradient is wanted of a model that is no Neuroformer.
    ValueError
        If the units are not those of the model, or no bin follows a spike in another window.

    Warns
    -----
    ShortenedLagWarning
        If no bin in another window follows the spikes of some sources.
    """
    if given.spikes.n_units != model.n_features_in_:
        raise ValueError(f"X has {given.spikes.n_units} units, but the estimator was fitted on {model.n_features_in_}.")
    if given.trials is not None:
        check_unit_ids(given.spikes.unit_ids, np.asarray(model.unit_ids_))
    if hasattr(getattr(getattr(model, "model_", None), "network", None), "fusion"):
        return context_effects(model, X, stimuli, given, reach.read, gradient=gradient, n_contexts=n_contexts)
    if gradient:
        raise TypeError(
            f"effect='gradient' differentiates a NeuroformerEstimator. Got {type(model).__name__} instead; "
            "effect='deletion' asks any model with predict(X, stimuli)."
        )
    binned, window = given.spikes, int(getattr(model, "window_bins", 1))
    counts, into_trial = binned.dense(), np.arange(binned.n_bins) - np.repeat(binned.ptr[:-1], np.diff(binned.ptr))
    lags = range(1, max(reach.read, window if window > 1 else 1) + 1)
    predict = _predictor(model, X, stimuli)
    usual = predict(None)
    strength, unseen = np.zeros((binned.n_units, binned.n_units)), np.zeros(binned.n_units, dtype=bool)
    for source in np.flatnonzero(counts.any(axis=0)):
        change = usual - predict(int(source))  # of what the spikes of the source add
        fired = counts[:, source] > 0
        near = fired.copy()
        means = []
        for lag in lags:
            after = np.zeros_like(fired)
            after[lag:] = fired[:-lag]
            after &= into_trial >= lag
            near |= after
            seen = after & (into_trial // window * window > into_trial - lag)
            if seen.any():
                means.append(change[seen].mean(axis=0))
        if not means:
            strength[:, source], unseen[source] = np.nan, True
            continue
        quiet = change[~near]
        strength[:, source] = np.sum(means, axis=0) - len(means) * (np.median(quiet, axis=0) if len(quiet) else 0.0)
    _check_seen(unseen, binned.unit_counts() > 0, binned.unit_ids)
    read = {"lags_": np.array(lags) * binned.bin_width, "n_observations_": pair_observations(binned, len(lags))}
    return Estimate(strength * binned.bin_width, attributes=read)


def _check_seen(unseen: np.ndarray, fired: np.ndarray, unit_ids: np.ndarray) -> None:
    """Name the units of which no spike is followed by a bin that could show its effect; refuse to know none."""
    unseen = unseen & fired
    if unseen.sum() == fired.sum():
        raise ValueError("No bin follows a spike in a later window of the model. Give longer trials.")
    if unseen.any():
        warn_user(
            f"Of {unseen.sum()} of {len(unseen)} units, no spike is followed by a bin in a later window of the model; "
            f"their effects are NaN: {unit_ids[unseen][:5].tolist()}. Give longer trials.",
            ShortenedLagWarning,
        )


def _predictor(model: Any, X: Any, stimuli: Any) -> Callable[[int | None], np.ndarray]:
    """Log expected counts (n_bins, n_units) with one source silenced, or with all spikes for None."""

    def predict(source: int | None) -> np.ndarray:
        expected = model.predict(X if source is None else _without(X, source), stimuli)
        if isinstance(X, (SpikeTrains, Recording)):
            expected = np.concatenate(list(expected))
        expected = np.asarray(expected, dtype=np.float64).reshape(-1, np.shape(expected)[-1])
        return np.log(np.maximum(expected, _LEAST))

    return predict


def _without(X: Any, source: int) -> Any:
    if isinstance(X, Recording):
        return Recording(_without(X.spikes, source), X.modalities)
    if not isinstance(X, SpikeTrains):
        silenced = np.array(X)
        silenced[..., source] = 0
        return silenced
    kept = X.units != source
    trial = np.repeat(np.arange(len(X)), np.diff(X.ptr))[kept]
    return X._with(
        times=X.times[kept],
        units=X.units[kept],
        ptr=np.concatenate([[0], np.cumsum(np.bincount(trial, minlength=len(X)))]),
    )
