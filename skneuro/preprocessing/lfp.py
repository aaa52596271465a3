"""`LFPBands`: from the voltage of a local field potential to power and phase in bands, causally."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from scipy import signal
from sklearn.base import BaseEstimator, TransformerMixin

from skneuro._sklearn_compat import (
    Interval,
    InvalidParameterError,
    check_is_fitted,
    check_n_features,
    fit_context,
)
from skneuro.data import Modalities, Recording, TimeSeries

__all__ = ["LFPBands"]

_USUAL = {"theta": (4.0, 8.0), "beta": (13.0, 30.0), "gamma": (30.0, 80.0)}
_SETTLED = 2.0  # delays after which a filter that started from rest has reached its level
_ROUNDING = 1e-12  # of the largest voltage so far: below that an amplitude is the computer's
_JITTER = 0.01  # of the sampling interval


class LFPBands(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):  # type: ignore[call-arg]
    """Power and phase of a local field potential in frequency bands, from the voltage up to each sample.

    A `TimeSeries` of voltage becomes a `TimeSeries` of features; in a `Recording` the series does, so that this goes
    into a pipeline before an estimator of spikes. Filters run forward only: no feature knows a later sample.

    Parameters
    ----------
    bands : dict of str to (low, high), in hertz, default=None
        Bands by name, of half power at their edges. None: theta (4 to 8), beta (13 to 30), gamma (30 to 80).
    order : int, default=3
        Of the Butterworth filters: higher is steeper, and later (`delay_`).
    phase : bool, default=True
        Whether cosine and sine of the phase are features beside the power.
    modality : str, default=None
        Which series of a `Recording` is the voltage; None where there is only one.

    Attributes
    ----------
    bands_ : dict of str to (low, high)
        The bands that are used.
    delay_ : dict of str to float, in seconds
        Group delay at the centre of each band: how much later than the voltage a feature shows a change of power. A
        filter that looks at the past only cannot do without; the narrower the band, the longer.
    rate_ : float, in hertz
        Sampling rate seen in `fit`.
    n_features_in_ : int
        Number of channels.

    Notes
    -----
    For each band the voltage, without its offset (a high-pass of first order at a quarter of the lower edge), is
    shifted down by the band's centre and low-passed at half its width, which gives amplitude and phase at once (complex
    demodulation). Power is in decibels, ``10 log10`` of the mean square: a sine of amplitude sqrt(2) at the centre has
    0. The phase is that of a cosine; at the centre of the band it is not delayed, and at a frequency that is ``f``
    hertz higher it lags by about ``360 f delay_`` degrees.

    A filter starts from rest at the beginning of each trial and after missing samples. Features are missing (NaN, which
    a model masks) for the first two delays, and where the voltage is NaN or does not change at all. Let series begin
    so much before their trials, which is legal, and nothing is lost.

    See Also
    --------
    skneuro.data.TimeSeries : What goes in and comes out.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import TimeSeries
    >>> from skneuro.preprocessing import LFPBands
    >>> time = np.arange(3000) / 1000
    >>> lfp = TimeSeries.from_lists([50 * np.cos(2 * np.pi * 6 * time)], rate=1000.0, names=["CA1"])
    >>> bands = LFPBands({"theta": (4, 8)}).fit(lfp)
    >>> features = bands.transform(lfp)
    >>> features.names
    ('CA1_theta_power', 'CA1_theta_cos', 'CA1_theta_sin')
    >>> np.round(features.values[2100], 1)  # about 10 log10(50 ** 2 / 2), and the phase after 12.6 cycles
    array([30.9, -0.8, -0.6])
    >>> round(bands.delay_["theta"], 2)
    0.16
    """

    _parameter_constraints: dict = {
        "bands": [dict, None],
        "order": [Interval(Integral, 1, 8, closed="both")],
        "phase": ["boolean"],
        "modality": [str, None],
    }

    def __init__(
        self,
        bands: Mapping[str, Sequence[float]] | None = None,
        *,
        order: int = 3,
        phase: bool = True,
        modality: str | None = None,
    ) -> None:
        self.bands = bands
        self.order = order
        self.phase = phase
        self.modality = modality

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the channels and the sampling rate, and design the filters.

        Parameters
        ----------
        X : TimeSeries with one column a channel, or Recording
            Voltage, in any unit, sampled at equal intervals.
        y : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        LFPBands
            The transformer itself.

        Raises
        ------
        TypeError
            If X is something else.
        ValueError
            If a band is none or reaches up to half the sampling rate, samples come at unequal intervals, no trial is
            long enough for a filter to settle, or a recording does not say which series is meant.
        """
        bands = _checked_bands(self.bands)
        _, series = self._series_of(X)
        rate = _rate(series)
        beyond = {name: edges for name, edges in bands.items() if edges[1] >= rate / 2}
        if beyond:
            raise ValueError(
                f"LFPBands: bands must end below half the sampling rate, {rate / 2:g} Hz (Nyquist). Got {beyond}. "
                f"Leave them out, or give the voltage at a higher rate."
            )
        check_n_features(self, series.shape[1], reset=True)
        self.rate_, self.bands_ = rate, bands
        self.delay_ = {name: _delay(edges, self.order, rate) for name, edges in bands.items()}
        self._channels = series.names
        self._check_length(series)
        return self

    def transform(self, X: Any) -> Any:
        """Compute power and phase.

        Parameters
        ----------
        X : TimeSeries with one column a channel, or Recording
            Voltage of the channels and at the rate seen in `fit`.

        Returns
        -------
        TimeSeries, or Recording
            At the times of the voltage; the recording with the features in the place of its series.

        Raises
        ------
        NotFittedError
            Before `fit`.
        TypeError
            If X is something else.
        ValueError
            If channels or rate differ from `fit`.
        """
        check_is_fitted(self)
        name, series = self._series_of(X)
        check_n_features(self, series.shape[1], reset=False)
        if series.names != self._channels:
            raise ValueError(f"LFPBands was fitted on the channels {self._channels}. Got {series.names}.")
        rate = _rate(series)
        if abs(rate - self.rate_) > _JITTER * self.rate_:
            raise ValueError(
                f"LFPBands was fitted on voltage at {self.rate_:g} Hz. Got {rate:g} Hz; resample it, or fit again."
            )
        self._check_length(series)
        values = np.full((len(series.values), len(self.get_feature_names_out())), np.nan)
        per_band = 3 if self.phase else 1
        for channel in range(series.shape[1]):
            for low, high in _known_runs(series, channel):
                voltage = series.values[low:high, channel]
                for number, (band, edges) in enumerate(self.bands_.items()):
                    column = (channel * len(self.bands_) + number) * per_band
                    analytic = _analytic(voltage, edges, self.order, self.rate_)
                    analytic[: _settling(self.delay_[band], self.rate_)] = np.nan
                    values[low:high, column : column + per_band] = _features(analytic, self.phase)
        found = TimeSeries(
            values, series.timestamps, series.ptr, names=list(self.get_feature_names_out()), missing=series.missing
        )
        if name is None:
            return found
        others = {key: found if key == name else one for key, one in X.modalities.items()}
        return Recording(X.spikes, Modalities(**others))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features.

        Parameters
        ----------
        input_features : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        ndarray of shape (n_features,), of str
            Channel, band and what it is, such as ``"CA1_theta_power"``, ``"CA1_theta_cos"``, ``"CA1_theta_sin"``.
        """
        check_is_fitted(self, "bands_")
        channels = [str(k) for k in range(self.n_features_in_)] if self._channels is None else self._channels
        kinds = ("power", "cos", "sin") if self.phase else ("power",)
        names = [f"{channel}_{band}_{kind}" for channel in channels for band in self.bands_ for kind in kinds]
        return np.array(names, dtype=object)

    def _series_of(self, X: Any) -> tuple[str | None, TimeSeries]:
        """Name (in a recording) and voltage of X."""
        if isinstance(X, TimeSeries):
            return None, X
        if not isinstance(X, Recording):
            raise TypeError(
                f"LFPBands needs the voltage as a TimeSeries, TimeSeries.from_lists(trials, rate=...), or a Recording "
                f"with one. Got {type(X).__name__}."
            )
        held = {} if X.modalities is None else dict(X.modalities.items())
        series = {name: one for name, one in held.items() if isinstance(one, TimeSeries)}
        if self.modality is not None:
            series = {name: one for name, one in series.items() if name == self.modality}
        if len(series) != 1:
            raise ValueError(
                f"LFPBands needs the name of the series with the voltage, modality=... Got {self.modality!r}, and the "
                f"recording has {list(held)}."
            )
        return next(iter(series.items()))

    def _check_length(self, series: TimeSeries) -> None:
        lengths = [high - low for channel in range(series.shape[1]) for low, high in _known_runs(series, channel)]
        longest = max(lengths, default=0)
        slow = max(self.delay_, key=lambda band: self.delay_[band])
        needed = _settling(self.delay_[slow], self.rate_)
        if longest <= needed:
            raise ValueError(
                f"LFPBands: the filter of {slow!r} needs {needed / self.rate_:.3g} s to settle, and no trial has more "
                f"than {longest / self.rate_:.3g} s of voltage without a hole. Let the series begin before the trials, "
                f"or take wider bands or a lower order."
            )


def _checked_bands(bands: Any) -> dict[str, tuple[float, float]]:
    given = _USUAL if bands is None else dict(bands)
    wrong = [
        f"{name!r}: {edges!r}"
        for name, edges in given.items()
        if not isinstance(name, str) or not _is_band(edges)
    ]
    if wrong or not given:
        raise InvalidParameterError(
            f"The 'bands' parameter of LFPBands must be a dict of name to (low, high) in hertz with 0 < low < high. "
            f"Got {{{', '.join(wrong)}}} instead."
        )
    return {name: (float(edges[0]), float(edges[1])) for name, edges in given.items()}


def _is_band(edges: Any) -> bool:
    if isinstance(edges, str) or not hasattr(edges, "__len__") or len(edges) != 2:
        return False
    if any(isinstance(edge, bool) or not isinstance(edge, Real) for edge in edges):
        return False
    return bool(0 < float(edges[0]) < float(edges[1]) < np.inf)


def _rate(series: TimeSeries) -> float:
    """Sampling rate, hertz, of samples that come at equal intervals, but for holes."""
    interval = series.interval[np.isfinite(series.interval)]
    if not len(interval):
        raise ValueError("LFPBands needs trials of at least two samples. Got none.")
    usual = float(np.median(interval))
    step = np.diff(series.timestamps)
    step = np.delete(step, series.ptr[1:-1][(series.ptr[1:-1] > 0) & (series.ptr[1:-1] < len(series.timestamps))] - 1)
    odd = (np.abs(step - usual) > _JITTER * usual) & (step < 1.5 * usual)
    if odd.any() or (np.abs(interval - usual) > _JITTER * usual).any():
        raise ValueError(
            f"LFPBands: samples must come at equal intervals, in all trials. They lie {step.min():.4g} to "
            f"{step.max():.4g} s apart; resample the voltage, or repair the clock (align_clocks)."
        )
    return 1.0 / usual


def _known_runs(series: TimeSeries, channel: int) -> list[tuple[int, int]]:
    """Ranges of samples of one channel that follow each other without a hole."""
    known = np.flatnonzero(~np.isnan(series.values[:, channel]))
    if not len(known):
        return []
    trial = np.searchsorted(series.ptr, known, side="right") - 1
    hole = np.diff(series.timestamps[known]) > 1.5 * series.interval[trial[1:]]
    breaks = np.flatnonzero((np.diff(known) > 1) | (np.diff(trial) > 0) | hole) + 1
    return [(int(part[0]), int(part[-1]) + 1) for part in np.split(known, breaks)]


def _filters(edges: tuple[float, float], order: int, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Second-order sections of the high-pass for the offset, and of the low-pass of the shifted band."""
    low, high = edges
    offset = signal.butter(1, 0.25 * low, "highpass", fs=rate, output="sos")
    width = signal.butter(order, 0.5 * (high - low), "lowpass", fs=rate, output="sos")
    return offset, width


def _delay(edges: tuple[float, float], order: int, rate: float) -> float:
    """Group delay at the centre of a band, seconds: minus the slope of the phase."""
    offset, width = _filters(edges, order, rate)
    centre, step = 0.5 * sum(edges), 1e-3 * (edges[1] - edges[0])
    around = signal.sosfreqz(offset, [centre - step, centre + step], fs=rate)[1]
    shifted = signal.sosfreqz(width, [step], fs=rate)[1][0]
    slope = np.angle(around[1] / around[0]) / 2 + np.angle(shifted)
    return float(-slope / (2 * np.pi * step))


def _settling(delay: float, rate: float) -> int:
    return int(np.ceil(_SETTLED * delay * rate))


def _analytic(voltage: np.ndarray, edges: tuple[float, float], order: int, rate: float) -> np.ndarray:
    """Amplitude and phase of a band as complex numbers, (n_samples,); NaN where the voltage does not change."""
    offset, width = _filters(edges, order, rate)
    centre = 0.5 * sum(edges)
    start = signal.sosfilt_zi(offset) * voltage[0]
    moving = signal.sosfilt(offset, voltage, zi=start)[0]
    turn = np.exp(2j * np.pi * centre * np.arange(len(voltage)) / rate)
    gain = signal.sosfreqz(offset, [centre], fs=rate)[1][0]
    found = 2 * signal.sosfilt(width, moving / turn) * turn / gain
    found[np.abs(found) <= _ROUNDING * np.maximum.accumulate(np.abs(voltage))] = np.nan
    return found


def _features(analytic: np.ndarray, phase: bool) -> np.ndarray:
    size = np.abs(analytic)
    power = 20 * np.log10(size) - 10 * np.log10(2)
    if not phase:
        return power[:, None]
    return np.column_stack([power, analytic.real / size, analytic.imag / size])
