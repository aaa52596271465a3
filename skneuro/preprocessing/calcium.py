"""`CalciumEvents`: from fluorescence to events that models of spikes can read."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from skneuro._sklearn_compat import Interval, StrOptions, check_is_fitted, check_n_features, fit_context
from skneuro._warn import warn_user
from skneuro.data import SpikeTrains, TimeSeries
from skneuro.data._lookahead import LABEL

__all__ = ["CalciumEvents"]

_DECAYS_AHEAD = 3.0  # a sample that is later by so many decay times weighs 5 % in an event
_SHORTEST, _LONGEST = 0.05, 5.0  # s, of a decay that is estimated
_SAME = 0.25  # share of frames that add exactly the same from which on the median says nothing of the noise
_FEW_TRACES = 5  # in fewer, transients may well come together


class CalciumEvents(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Infer events from dF/F: at most one a frame and neuron, where the signal jumps by more than its noise.

    The signal is taken to decay exponentially after each event. Events are no spikes: one stands for a burst, and
    single spikes are mostly missed.

    Parameters
    ----------
    method : {"threshold", "oasis"}, default="threshold"
        - ``"threshold"``: a frame is an event where the signal exceeds what is left of the frame before by more than
          `threshold` standard deviations of the noise. It looks at nothing later;
        - ``"oasis"``: non-negative deconvolution of Friedrich, Zhou and Paninski (2017), PLoS Comput Biol 13:e1005423,
          with events of at least that size. Needs ``pip install "skneuro[calcium]"`` (GPL-3.0). It explains a trace
          as a whole and so **looks ahead**: its events carry a label, see Notes.
    threshold : float, default=2.5
        Least size of an event, in standard deviations of the noise.
    decay : float or "auto", default="auto", in seconds
        Time constant of the indicator; "auto" estimates one for all neurons from the autocovariance.

    Attributes
    ----------
    decay_ : float, in seconds
        Time constant that is used.
    noise_ : ndarray of shape (n_neurons,)
        Standard deviation of what a frame adds to the decayed frame before, without events (by the median). NaN for
        a trace without noise, which has no events.
    baseline_ : ndarray of shape (n_neurons,)
        Level of each trace without events.
    n_features_in_ : int
        Number of neurons.

    Notes
    -----
    `fit` warns of what would spoil events in silence: traces that do not vary from frame to frame (a dead ROI, or one
    that was cut off at 0), frames at which most of five or more traces jump at once (the brain moved; they are left
    out of the estimate of the decay, but give events), and a decay that was estimated below 0.05 s or above 5 s.

    A trial loses its first frame, which has none before it. ``unit_info`` of the result has the columns ``"noise"`` and
    ``"lookahead"``: how far, in seconds, events know the future of the signal (three decay times for ``"oasis"``, 0
    for ``"threshold"``). Where it is above 0, one-step-ahead scores count what events know of the future, so ``score``
    warns and `skneuro.metrics.dead_time_score` keeps away from it; and `ConnectivityInference` refuses, because an
    event may come before its cause.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import TimeSeries
    >>> from skneuro.preprocessing import CalciumEvents
    >>> rng = np.random.default_rng(0)
    >>> trace = 0.1 * rng.standard_normal(200)
    >>> trace[50:] += np.exp(-np.arange(150) / 10)  # an event at frame 50, at 10 frames a second
    >>> dff = TimeSeries.from_lists([trace], rate=10.0, names=["neuron 7"])
    >>> events = CalciumEvents(threshold=4.0, decay=1.0).fit_transform(dff)
    >>> events, events.times
    (SpikeTrains(1 trials, 1 units, 1 spikes, 19.9 s), array([5.05]))
    """

    _parameter_constraints: dict = {
        "method": [StrOptions({"threshold", "oasis"})],
        "threshold": [Interval(Real, 0, None, closed="neither")],
        "decay": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
    }

    def __init__(self, method: str = "threshold", *, threshold: float = 2.5, decay: float | str = "auto") -> None:
        self.method = method
        self.threshold = threshold
        self.decay = decay

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: TimeSeries, y: Any = None) -> Self:
        """Measure decay, baseline and noise.

        Parameters
        ----------
        X : TimeSeries with one column a neuron
            dF/F, sampled at equal intervals. Fit on training trials.
        y : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        CalciumEvents
            The transformer itself.

        Raises
        ------
        TypeError
            If X is not a `TimeSeries`.
        ValueError
            If samples are missing or unevenly spaced, trials differ in frame rate, or have fewer than three frames.
        """
        interval = _frame_interval(X)
        check_n_features(self, X.shape[1], reset=True)
        values = X.values
        centred = values - np.median(values, axis=0)
        self.decay_ = _decay(centred, X.ptr, interval) if self.decay == "auto" else float(self.decay)
        self.baseline_ = np.zeros(values.shape[1])
        jump, _ = self._jumps(X, interval)
        # Without an event a frame adds (1 - exp(-interval / decay)) baseline, and noise.
        self.baseline_ = np.median(jump, axis=0) / -np.expm1(-interval / self.decay_)
        added = np.abs(jump - np.median(jump, axis=0))
        self.noise_ = np.median(added, axis=0) / 0.6745
        dead = (added <= 1e-9 * np.abs(values).max(axis=0)).mean(axis=0) > _SAME
        if dead.any():
            self.noise_[dead] = np.nan
            _warn_of_dead(np.arange(len(dead))[dead] if X.names is None else np.array(X.names)[dead], len(dead))
        return self

    def transform(self, X: TimeSeries) -> SpikeTrains:
        """Infer the events.

        Parameters
        ----------
        X : TimeSeries with one column a neuron
            dF/F of the neurons seen in `fit`.

        Returns
        -------
        SpikeTrains of shape (n_trials, n_neurons)
            Events at the centres of their frames, which are `resolution` wide; ids are the names of the columns.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If X is not a `TimeSeries`.
        ValueError
            If samples are missing or unevenly spaced, or neurons differ from those seen in `fit`.
        ImportError
            If ``method="oasis"`` and the package is not installed.
        """
        check_is_fitted(self)
        interval = _frame_interval(X)
        check_n_features(self, X.shape[1], reset=False)
        if self.method == "threshold":
            jump, first = self._jumps(X, interval)
            events = jump > self.threshold * self.noise_
        else:
            events, first = self._deconvolved(X, interval)
        lengths = np.diff(X.ptr) - 1
        borders = np.cumsum(lengths)[:-1]
        ahead = _DECAYS_AHEAD * self.decay_ if self.method == "oasis" else 0.0
        ids = None if X.names is None else list(X.names)
        spikes = SpikeTrains.from_counts(
            np.split(events.astype(np.int64), borders), interval, t_start=X.timestamps[first], unit_ids=ids
        )
        info = spikes.unit_info.assign(**{"noise": self.noise_, LABEL: ahead})
        return spikes._with(unit_info=info)

    def _jumps(self, X: TimeSeries, interval: float) -> tuple[np.ndarray, np.ndarray]:
        """What each frame but a trial's first adds to the decayed one before, and each trial's second sample."""
        values = X.values - self.baseline_
        jump = values[1:] - np.exp(-interval / self.decay_) * values[:-1]
        inside = np.ones(len(jump), dtype=bool)
        inside[X.ptr[1:-1] - 1] = False
        return jump[inside], X.ptr[:-1] + 1

    def _deconvolved(self, X: TimeSeries, interval: float) -> tuple[np.ndarray, np.ndarray]:
        try:
            from oasis.oasis_methods import oasisAR1
        except ImportError as error:
            raise ImportError(
                "CalciumEvents(method='oasis') needs the package oasis-deconv: pip install \"skneuro[calcium]\". Or "
                "use method='threshold'."
            ) from error
        decay = float(np.exp(-interval / self.decay_))
        values = np.ascontiguousarray((X.values - self.baseline_).T)
        parts = []
        for start, stop in zip(X.ptr[:-1], X.ptr[1:], strict=True):
            sizes = [
                oasisAR1(np.ascontiguousarray(trace[start:stop]), decay, s_min=self.threshold * noise)[1]
                if noise > 0
                else np.zeros(stop - start)
                for trace, noise in zip(values, self.noise_, strict=True)
            ]
            parts.append(np.array(sizes).T[1:] > 0)
        return np.concatenate(parts), X.ptr[:-1] + 1


def _frame_interval(X: Any) -> float:
    if not isinstance(X, TimeSeries):
        raise TypeError(
            f"CalciumEvents needs the fluorescence as a TimeSeries: TimeSeries.from_lists(traces, rate=frame_rate), "
            f"one array (n_frames, n_neurons) a trial. Got {type(X).__name__}."
        )
    if not len(X) or (np.diff(X.ptr) < 3).any():
        raise ValueError("Every trial needs at least three frames. Leave shorter trials out.")
    if np.isnan(X.values).any():
        raise ValueError(
            f"The fluorescence is NaN in {np.isnan(X.values).any(axis=1).sum()} frames. Interpolate short holes, or "
            f"cut the trials there."
        )
    first, steps = X.ptr[:-1], np.diff(X.ptr) - 1
    # Of whole trials, not the median of single steps: rounding of timestamps would add up from frame to frame.
    interval = float((X.timestamps[X.ptr[1:] - 1] - X.timestamps[first]).sum() / steps.sum())
    step = np.diff(X.timestamps)
    step = np.delete(step, X.ptr[1:-1] - 1)
    if (np.abs(step - interval) > 0.01 * interval).any():
        raise ValueError(
            f"Frames must come at equal intervals. They lie {step.min():.4g} to {step.max():.4g} s apart; resample the "
            f"traces, or cut the trials where frames were dropped."
        )
    # Events lie on a grid from a trial's second frame on, see `transform`.
    number = np.arange(len(X.timestamps)) - np.repeat(first, steps + 1) - 1
    off = X.timestamps - np.repeat(X.timestamps[first + 1], steps + 1) - number * interval
    if (np.abs(off) > 0.5 * interval).any():
        trial = int(np.searchsorted(X.ptr, np.abs(off).argmax(), side="right")) - 1
        raise ValueError(
            f"Frames must come at equal intervals, the same in all trials. With one frame every {interval:.6g} s, "
            f"those of trial {trial} are up to {np.abs(off).max():.3g} s off; resample the traces, cut the trials into "
            f"shorter ones, or infer the events of trials with another frame rate by themselves."
        )
    return interval


def _warn_of_dead(names: np.ndarray, n_traces: int) -> None:
    """Say which traces have no noise."""
    named = ", ".join(str(name) for name in names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    warn_user(
        f"{len(names)} of {n_traces} traces have no noise that events could be told from ({named}): over a quarter of "
        f"their frames add exactly the same, as in a dead ROI, or where a trace was cut off at 0. They get no events; "
        f"leave them out, or give dF/F before it was cut off."
    )


def _shaken(values: np.ndarray) -> np.ndarray:
    """Frames (n_frames,) at which most traces are far beyond what they ever reach: the brain moved."""
    if values.shape[1] < _FEW_TRACES:
        return np.zeros(len(values), dtype=bool)
    size = np.abs(values)
    return (size > 3 * np.quantile(size, 0.99, axis=0)).mean(axis=1) > 0.5


def _decay(values: np.ndarray, ptr: np.ndarray, interval: float) -> float:
    """Time constant from the autocovariances at lags of one and two frames, which white noise leaves alone.

    The median over neurons whose two are positive.
    """
    covariances = []
    shaken = _shaken(values)
    if shaken.any():
        warn_user(
            f"Most traces jump far beyond their range at once in {shaken.sum()} frames (the first is frame "
            f"{shaken.argmax()}), as when the brain moves. The decay was estimated without these frames, but they "
            f"give events: correct them, or cut the trials there."
        )
    for lag in (1, 2):
        product = values[lag:] * values[:-lag]
        inside = np.ones(len(product), dtype=bool)
        for shift in range(lag):
            inside[ptr[1:-1] - 1 - shift] = False
        inside &= ~(shaken[lag:] | shaken[:-lag])
        covariances.append(product[inside].mean(axis=0))
    usable = (covariances[0] > 0) & (covariances[1] > 0) & (covariances[1] < covariances[0])
    if not usable.any():
        raise ValueError(
            "No decay can be estimated: no trace resembles an exponential decay. Give decay= (seconds) of the "
            "indicator."
        )
    ratio = float(np.median(covariances[1][usable] / covariances[0][usable]))
    decay = float(-interval / np.log(ratio))
    if not _SHORTEST <= decay <= _LONGEST:
        warn_user(
            f"The decay was estimated as {decay:.3g} s, beyond {_SHORTEST:g} to {_LONGEST:g} s, which is no "
            f"indicator's. {np.clip(decay, _SHORTEST, _LONGEST):g} s is used; look for bleaching, drift or "
            f"movement, or give decay= (seconds) of the indicator."
        )
    return float(np.clip(decay, _SHORTEST, _LONGEST))
