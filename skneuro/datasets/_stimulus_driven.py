"""Linear-nonlinear-Poisson units that watch a video: receptive fields, latencies and rates are known."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skneuro._sklearn_compat import Interval, StrOptions, validate_parameter_constraints
from skneuro.data import SpikeTrains, Video
from skneuro.datasets._integrate_and_fire import ornstein_uhlenbeck
from skneuro.datasets._random import as_generator

TIME_STEP = 1e-3  # s
FIELD_DURATION = 0.3  # s, temporal extent of a receptive field
LATENCIES = (0.05, 0.12)  # s
RATE_LOG_SD = 0.25  # spread of the units' mean rates
MAX_RATE = 150.0  # Hz
GAIN_TAU = 0.2  # s
COUPLING_TAU, COUPLING_PROBABILITY = 0.01, 0.1  # s


def make_stimulus_driven_population(
    n_units: int = 20,
    n_clips: int = 40,
    n_repeats: int = 4,
    random_state: int | np.random.RandomState | np.random.Generator | None = None,
    *,
    clip_duration: float = 2.0,
    frame_rate: float = 30.0,
    frame_size: int = 8,
    stimulus: str = "natural",
    mean_rate: float = 7.0,
    stimulus_gain: float = 1.0,
    shared_gain: float = 0.0,
    refractory: float = 0.002,
    coupling: float = 0.0,
) -> Bunch:
    """Simulate units that respond to a video through known receptive fields.

    The log rate of a unit is linear in the last 0.3 s of the video: ``log rate[c, t] = baseline + sum over
    lag, y, x of field[lag, y, x] * frame[c, t - lag, y, x]``, where frames before the clip count as grey (0).
    A field is a Gabor patch times a biphasic time course that peaks at the unit's latency, 50 to 120 ms.
    Rates are cut off at 150 Hz and spikes are drawn in steps of 1 ms. A gain that all units share, a
    refractory period and coupling between units can be added.

    Parameters
    ----------
    n_units : int, default=20
        Number of units.
    n_clips : int, default=40
        Number of different clips.
    n_repeats : int, default=4
        Number of trials with each clip.
    random_state : int, RandomState, Generator or None, default=None
        Seed: the same int gives the same data.
    clip_duration : float, in seconds, default=2.0
        Length of a clip and of a trial; at least one frame.
    frame_rate : float, in hertz, default=30.0
        Frames a second.
    frame_size : int, in pixels, default=8
        Height and width of the frames, at least 2.
    stimulus : {"natural", "white"}, default="natural"
        Frames with amplitudes that fall with spatial and temporal frequency as 1/f, or independent pixels.
        Both have mean 0 and variance 1.
    mean_rate : float, in hertz, default=7.0
        Mean rate over the clips; the units scatter around it by a quarter.
    stimulus_gain : float, default=1.0
        Standard deviation of the log rate over the clips.
    shared_gain : float, default=0.0
        Standard deviation of the log gain that all units share, new in each trial, with a correlation time of
        0.2 s.
    refractory : float, in seconds, default=0.002
        Time after a spike in which the unit cannot fire again.
    coupling : float, default=0.0
        Size (standard deviation) of the jump that a spike causes in the log rate of a coupled unit. One pair
        in ten is coupled, with a decay of 10 ms.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (n_clips * n_repeats, n_units)
            One trial for each clip and repeat, repeats of a clip next to each other; ``unit_info`` has the
            columns ``latency`` (s), ``center_y`` and ``center_x`` (pixels).
        video : Video of shape (n_trials, n_frames, frame_size, frame_size)
            The clips, ``video.index`` tells which one each trial showed.
        groups : int ndarray of shape (n_trials,)
            The clip of each trial, for splitters that keep repeats together.
        receptive_fields : ndarray of shape (n_units, n_lags, frame_size, frame_size)
            Change of log rate for a pixel value of 1; lag 0 is the frame on the screen.
        lags : ndarray of shape (n_lags,), in seconds
            Age of the middle of each lag.
        latency : ndarray of shape (n_units,), in seconds
            Time to the peak of each field.
        baseline : ndarray of shape (n_units,)
            Log of the rate (Hz) for a grey screen.
        rates : ndarray of shape (n_clips, n_frames, n_units), in hertz
            The rate that the stimulus alone causes.
        gain : ndarray of shape (n_trials, n_frames)
            The shared gain that multiplied it, 1 without ``shared_gain``.
        weights : ndarray of shape (n_units, n_units)
            Jump in log rate, ``weights[target, source]``.

    Raises
    ------
    ValueError
        If a parameter is out of its range or ``clip_duration`` is not a whole number of frames.

    Examples
    --------
    >>> from skneuro.datasets import make_stimulus_driven_population
    >>> data = make_stimulus_driven_population(n_units=5, n_clips=4, n_repeats=2, random_state=0)
    >>> data.spikes.shape, data.video.shape
    ((8, 5), (8, 60, 8, 8))
    >>> data.receptive_fields.shape
    (5, 9, 8, 8)
    """
    _check_parameters(dict(locals()))
    n_frames = _whole_frames(clip_duration, frame_rate)
    video_rng, unit_rng, gain_rng, spike_rng = as_generator(random_state).spawn(4)
    frames = _draw_frames(n_clips, n_frames, frame_size, frame_rate, stimulus, video_rng)
    fields, latency, centers = _draw_fields(n_units, frame_size, frame_rate, unit_rng)
    fields, drive = _scale_drive(fields, _filter(frames, fields), stimulus_gain)
    baseline, rates = _draw_rates(drive, mean_rate, unit_rng)
    weights = _draw_coupling(n_units, coupling, unit_rng)
    index = np.repeat(np.arange(n_clips), n_repeats)
    gain = _draw_gain(len(index), n_frames, frame_rate, shared_gain, gain_rng)
    trial, unit, times = _draw_spikes(rates, index, gain, weights, refractory, frame_rate, spike_rng)
    spikes = SpikeTrains(
        times,
        unit,
        np.searchsorted(trial, np.arange(len(index) + 1)),
        np.zeros(len(index)),
        np.full(len(index), clip_duration),
        unit_ids=np.arange(n_units),
        unit_info=pd.DataFrame({"latency": latency, "center_y": centers[:, 0], "center_x": centers[:, 1]}),
    )
    return Bunch(
        spikes=spikes,
        video=Video(frames, fps=frame_rate, index=index),
        groups=index,
        receptive_fields=fields,
        lags=(np.arange(fields.shape[1]) + 0.5) / frame_rate,
        latency=latency,
        baseline=baseline,
        rates=rates,
        gain=gain,
        weights=weights,
    )


def _check_parameters(params: dict[str, object]) -> None:
    positive_int, positive = (
        Interval(Integral, 1, None, closed="left"),
        Interval(Real, 0, None, closed="neither"),
    )
    not_negative = Interval(Real, 0, None, closed="left")
    validate_parameter_constraints(
        {
            "n_units": [positive_int],
            "n_clips": [positive_int],
            "n_repeats": [positive_int],
            "random_state": ["random_state", np.random.Generator],
            "clip_duration": [positive],
            "frame_rate": [positive],
            "frame_size": [Interval(Integral, 2, None, closed="left")],
            "stimulus": [StrOptions({"natural", "white"})],
            "mean_rate": [positive],
            "stimulus_gain": [not_negative],
            "shared_gain": [not_negative],
            "refractory": [not_negative],
            "coupling": [not_negative],
        },
        params,
        caller_name="make_stimulus_driven_population",
    )


def _whole_frames(clip_duration: float, frame_rate: float) -> int:
    n_frames = round(clip_duration * frame_rate)
    if n_frames < 1 or abs(n_frames - clip_duration * frame_rate) > 1e-6:
        raise ValueError(
            f"'clip_duration' must be a whole number of frames: {clip_duration!r} s at {frame_rate!r} Hz are "
            f"{clip_duration * frame_rate:g} frames. Use {max(n_frames, 1) / frame_rate:g} s."
        )
    return n_frames


def _draw_frames(
    n_clips: int, n_frames: int, size: int, frame_rate: float, stimulus: str, rng: np.random.Generator
) -> np.ndarray:
    """Frames of mean 0 and variance 1, (clip, time, y, x) float32."""
    if stimulus == "white":
        return rng.standard_normal((n_clips, n_frames, size, size), dtype=np.float32)
    # Twice the size in every direction, then a corner: a Fourier synthesis is periodic, a clip is not.
    shape = (2 * n_frames, 2 * size, 2 * size)
    f_t = np.abs(np.fft.fftfreq(shape[0], 1.0 / frame_rate))[:, None, None]
    f_y, f_x = np.fft.fftfreq(shape[1])[:, None], np.fft.rfftfreq(shape[2])[None, :]
    f_space = np.maximum(np.hypot(f_y, f_x), 1.0 / shape[1])
    amplitude = 1.0 / (np.maximum(f_t, 0.5) * f_space)
    amplitude[:, 0, 0] = 0.0  # no flicker of the whole screen
    frames = np.empty((n_clips, n_frames, size, size), dtype=np.float32)
    for clip in range(n_clips):
        spectrum = np.fft.rfftn(rng.standard_normal(shape)) * amplitude
        frames[clip] = np.fft.irfftn(spectrum, s=shape, axes=(0, 1, 2))[:n_frames, :size, :size]
    return (frames - frames.mean()) / frames.std()


def _draw_fields(
    n_units: int, size: int, frame_rate: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gabor patches times time courses (unit, lag, y, x), latencies in s, centres (y, x) in pixels."""
    centers = rng.uniform(0.2 * (size - 1), 0.8 * (size - 1), (n_units, 2))
    angle, phase = rng.uniform(0, np.pi, n_units), rng.uniform(0, 2 * np.pi, n_units)
    latency = rng.uniform(*LATENCIES, n_units)
    offset = np.arange(size)[None, :] - centers[:, :, None]  # (unit, axis, pixel)
    y, x = offset[:, 0, :, None], offset[:, 1, None, :]
    sd, wavelength = size / 6.0, size / 1.6
    along = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None]
    patch = np.exp(-(x**2 + y**2) / (2 * sd**2)) * np.cos(2 * np.pi * along / wavelength + phase[:, None, None])

    lags = (np.arange(max(1, round(FIELD_DURATION * frame_rate))) + 0.5) / frame_rate
    ages = np.linspace(0.0, 2.0, 2001)
    course = _time_course(lags[None, :] / latency[:, None] * ages[np.argmax(_time_course(ages))])
    return course[:, :, None, None] * patch[:, None], latency, centers


def _time_course(age: np.ndarray) -> np.ndarray:
    """A fast positive and a slow negative lobe; `age` is relative to the peak of the first alone."""
    return (age * np.exp(1.0 - age)) ** 6 - 0.4 * (age / 2 * np.exp(1.0 - age / 2)) ** 6


def _filter(frames: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """What each field sees in each frame and those before it: (clip, time, unit)."""
    n_clips, n_frames = frames.shape[:2]
    pixels = frames.reshape(n_clips, n_frames, -1).astype(float)
    drive = np.zeros((n_clips, n_frames, len(fields)))
    for lag in range(min(fields.shape[1], n_frames)):
        drive[:, lag:] += pixels[:, : n_frames - lag] @ fields[:, lag].reshape(len(fields), -1).T
    return drive


def _scale_drive(fields: np.ndarray, drive: np.ndarray, stimulus_gain: float) -> tuple[np.ndarray, np.ndarray]:
    """Fields and what they see, (clip, time, unit), so that its standard deviation over the clips is the gain."""
    scale = stimulus_gain / np.maximum(drive.std(axis=(0, 1)), 1e-12)
    return fields * scale[:, None, None, None], drive * scale


def _draw_rates(drive: np.ndarray, mean_rate: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Log rate of each unit for a grey screen, and the rates that the stimulus causes, (clip, time, unit) in Hz."""
    unit_rate = mean_rate * np.exp(RATE_LOG_SD * rng.standard_normal(drive.shape[2]))
    baseline = np.log(unit_rate / np.exp(drive).mean(axis=(0, 1)))
    return baseline, np.minimum(np.exp(baseline + drive), MAX_RATE)


def _draw_coupling(n_units: int, size: float, rng: np.random.Generator) -> np.ndarray:
    """Jumps in log rate, (target, source)."""
    weights = size * rng.standard_normal((n_units, n_units))
    weights *= rng.random((n_units, n_units)) < COUPLING_PROBABILITY
    np.fill_diagonal(weights, 0.0)
    return weights


def _draw_gain(n_trials: int, n_frames: int, frame_rate: float, sd: float, rng: np.random.Generator) -> np.ndarray:
    """Gain that all units share, (trial, time), of mean 1 and with this standard deviation of its log."""
    log_gain = sd * ornstein_uhlenbeck(n_frames, (n_trials,), GAIN_TAU, 1.0 / frame_rate, rng).T
    return np.exp(log_gain - sd**2 / 2.0)


def _draw_spikes(
    rates: np.ndarray,
    index: np.ndarray,
    gain: np.ndarray,
    weights: np.ndarray,
    refractory: float,
    frame_rate: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Trial, unit and time of every spike, in order of trial and time; all trials advance together."""
    n_trials, n_frames = gain.shape
    n_units = rates.shape[2]
    n_steps = int(np.ceil(n_frames / frame_rate / TIME_STEP - 1e-6))
    blocked_steps = int(np.ceil(refractory / TIME_STEP - 1e-9))
    decay = np.exp(-TIME_STEP / COUPLING_TAU)
    free_from = np.zeros((n_trials, n_units), dtype=np.int64)
    trace = np.zeros((n_trials, n_units))
    drawn = []
    for step in range(n_steps):
        frame = min(int((step + 0.5) * TIME_STEP * frame_rate), n_frames - 1)
        rate = rates[index, frame] * gain[:, frame, None]
        if weights.any():
            rate = rate * np.exp(trace @ weights.T)
        fires = rng.random((n_trials, n_units)) < -np.expm1(-rate * TIME_STEP)
        fires &= free_from <= step
        free_from[fires] = step + 1 + blocked_steps
        trace = decay * (trace + fires)
        trial, unit = np.nonzero(fires)
        drawn.append((np.full(len(trial), step), trial, unit))
    at_step, trial, unit = (np.concatenate(column) for column in zip(*drawn, strict=True))
    # A step that the end of the clip cuts short is not longer than the clip.
    times = np.minimum((at_step + rng.random(len(at_step))) * TIME_STEP, np.nextafter(n_frames / frame_rate, 0.0))
    order = np.lexsort((unit, times, trial))
    return trial[order], unit[order], times[order]
