"""Peri-stimulus time histograms."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np

from skneuro._warn import warn_user
from skneuro.data import SpikeTrains
from skneuro.data._validation import check_width
from skneuro.inspection._plotting import import_pyplot, tidy
from skneuro.metrics._checks import check_spikes
from skneuro.metrics._responses import mean_over

_BIN_WIDTH = 0.02  # s
_CURVE = "skneuro PSTH"  # marks the lines of mean rates on shared axes


class PSTHDisplay:
    """Mean rate of every unit around an event, with its standard error over events.

    Create one with `from_spikes` (recorded) or `from_estimator` (simulated). Draw both on the same axes to
    compare them: `other.plot(axes=display.axes_)`.

    Parameters
    ----------
    time : ndarray of shape (n_bins,), in seconds
        Centres of the bins, relative to the event.
    rate : ndarray of shape (n_units, n_bins), in Hz
        Mean rate over the events that observed the unit; NaN where none did.
    error : ndarray of shape (n_units, n_bins), in Hz
        Standard error of the mean over events; NaN where there are fewer than two.
    unit_ids : sequence of length n_units
        Ids of the units.
    n_events : int
        Number of events.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One a unit that was drawn.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The mean rates.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import PSTHDisplay
    >>> spikes = SpikeTrains.from_lists([[[0.12]], [[0.13, 0.31]]], t_start=0.0, t_stop=0.4)
    >>> display = PSTHDisplay.from_spikes(spikes, bin_width=0.1)
    >>> display.rate.round(6).tolist()
    [[0.0, 10.0, 0.0, 5.0]]
    """

    def __init__(
        self,
        *,
        time: np.ndarray,
        rate: np.ndarray,
        error: np.ndarray,
        unit_ids: Sequence[Any],
        n_events: int,
    ) -> None:
        self.time = time
        self.rate = rate
        self.error = error
        self.unit_ids = unit_ids
        self.n_events = n_events

    @classmethod
    def from_spikes(
        cls,
        spikes: SpikeTrains,
        events: Sequence[np.ndarray] | None = None,
        *,
        window: tuple[float, float] | None = None,
        bin_width: float | None = None,
        units: Any = None,
        axes: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Average a recording around events.

        Parameters
        ----------
        spikes : SpikeTrains
            The recording.
        events : list of n_trials ndarrays, default=None
            Times of the events in each trial, in seconds, on the trial's clock. By default each trial's
            start.
        window : tuple of float, default=None
            Seconds before (negative) and after the event. By default from the event to the end of the
            shortest trial. An event whose window leaves its trial is not used, nor one that is NaN.
        bin_width : float, in seconds, default=None
            Width of a bin; a multiple of the bins that the spikes were counted in, where they were. By default
            20 ms, or the next such multiple. The window holds as many whole bins as fit.
        units : sequence of unit ids, default=None
            Units to draw, all by default.
        axes : sequence of matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : PSTHDisplay

        Raises
        ------
        TypeError
            If the spikes are no `SpikeTrains`.
        ValueError
            If no event has its window inside its trial, the window or `bin_width` does not fit, or there are fewer axes
            than units.
        """
        check_spikes(spikes)
        spikes = spikes if units is None else spikes.select_units(units)
        bin_width = _default_width(spikes) if bin_width is None else bin_width
        time, counts = aligned_counts(spikes, events, window=window, bin_width=bin_width)
        mean, error = mean_and_error(counts)
        display = cls(
            time=time,
            rate=mean / bin_width,
            error=error / bin_width,
            unit_ids=list(spikes.unit_ids),
            n_events=len(counts),
        )
        return display.plot(axes=axes, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        stimuli: Any = None,
        events: Sequence[np.ndarray] | None = None,
        *,
        n_samples: int = 1,
        duration: float | None = None,
        random_state: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Average trials simulated by a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted, with a `sample` method.
        stimuli : Modalities, Recording, Video, TimeSeries, array-like or None, default=None
            What the simulated animal sees and does in each trial, as `sample` of the estimator takes it; trials of a
            Recording are simulated over their own time.
        events : list of ndarrays, default=None
            As in `from_spikes`, one array a simulated trial. A simulation starts with its stimulus, which may be
            before the start of the recorded trial: then give the events.
        n_samples : int, default=1
            Simulated trials for each trial of the stimuli.
        duration : float, default=None
            Length of a simulated trial in seconds; by default that of the training trials.
        random_state : int, RandomState instance or None, default=None
            Seed of the draw.
        **kwargs : dict
            Passed to `from_spikes`.

        Returns
        -------
        display : PSTHDisplay
        """
        sampled = estimator.sample(stimuli, n_samples=n_samples, duration=duration, random_state=random_state)
        return cls.from_spikes(sampled, events, **kwargs)

    def plot(self, axes: Any = None, *, color: Any = "black", label: str | None = None, n_columns: int = 4) -> Self:
        """Draw one panel a unit.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw, one a unit; a new figure by default. They may have curves of another display on them.
        color : color, default="black"
            Of the line and its error band.
        label : str, default=None
            Name of the curve in a legend, which is drawn in the first panel.
        n_columns : int, default=4
            Columns of a new figure.

        Returns
        -------
        display : PSTHDisplay
            Itself, with `axes_`, `figure_` and `lines_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are fewer axes than units, or `n_columns` is below 1.

        Warns
        -----
        UserWarning
            If the axes have curves in bins of another width.
        """
        plt = import_pyplot("PSTHDisplay.plot")
        if isinstance(n_columns, bool) or not isinstance(n_columns, Integral) or n_columns < 1:
            raise ValueError(f"The 'n_columns' parameter must be an int of at least 1. Got {n_columns!r:.80} instead.")
        if axes is None:
            n_columns = min(n_columns, len(self.unit_ids))
            n_rows = int(np.ceil(len(self.unit_ids) / n_columns))
            size = (2.4 * n_columns + 0.6, 1.7 * n_rows + 0.5)
            figure, axes = plt.subplots(
                n_rows, n_columns, figsize=size, squeeze=False, layout="constrained", sharex=True
            )
            for ax in axes.flat[len(self.unit_ids) :]:
                ax.remove()
            for ax in axes[:, 0]:
                ax.set_ylabel("rate (Hz)")
            for column in range(n_columns):
                lowest = (len(self.unit_ids) - 1 - column) // n_columns
                axes[lowest, column].set_xlabel("time from event (s)")
                axes[lowest, column].tick_params(labelbottom=True)
        self.axes_: np.ndarray = np.ravel(np.asarray(axes))[: len(self.unit_ids)]
        if len(self.axes_) < len(self.unit_ids):
            raise ValueError(
                f"axes must be one for each of {len(self.unit_ids)} units. Got {len(self.axes_)}; choose units with "
                "units=, or leave axes out."
            )
        self.figure_ = self.axes_[0].figure
        self.lines_ = []
        width = _width_of(self.time)
        left, right = self.time[0] - width / 2, self.time[-1] + width / 2
        for ax, unit, rate, error in zip(self.axes_, self.unit_ids, self.rate, self.error, strict=True):
            before = [line.get_xdata() for line in ax.lines if line.get_gid() == _CURVE]
            _warn_of_other_bins(before, width)
            self.lines_ += ax.plot(self.time, rate, color=color, linewidth=1.2, label=label, gid=_CURVE)
            ax.fill_between(self.time, rate - error, rate + error, color=color, alpha=0.2, linewidth=0)
            ax.set_title(f"unit {unit}", fontsize="medium")
            reach = ax.get_xlim() if before else (left, right)
            if width:
                ax.set_xlim(min(left, reach[0]), max(right, reach[1]))
            ax.autoscale(axis="y")  # a second display on the same axes may reach higher
            ax.set_ylim(bottom=0)
            if left < 0 < right:
                ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
            tidy(ax)
        if label is not None:
            self.axes_[0].legend(fontsize="small", frameon=False)
        return self


def _width_of(time: np.ndarray) -> float:
    """Width of the bins with these centres; 0 where one tells none."""
    return float(np.median(np.diff(time))) if len(time) > 1 else 0.0


def _warn_of_other_bins(before: list[np.ndarray], width: float) -> None:
    for time in before:
        other = _width_of(time)
        if width and other and abs(other - width) > 1e-6 * width:
            warn_user(
                f"A curve in bins of {1e3 * width:.4g} ms is laid over one in bins of {1e3 * other:.4g} ms: peaks are "
                "higher and noise is larger in narrower bins. Give both the same bin_width.",
            )
            return


def aligned_counts(
    spikes: SpikeTrains,
    events: Sequence[np.ndarray] | None = None,
    *,
    window: tuple[float, float] | None = None,
    bin_width: float | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count spikes around events.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    events : list of n_trials ndarrays, default=None
        Times of the events in each trial, in seconds, on the trial's clock. By default each trial's start. An event
        that is NaN, such as the reward of a trial without one, is left out.
    window : tuple of float, default=None
        Seconds before (negative) and after the event; by default from the event to the end of the shortest
        trial.
    bin_width : float, in seconds, default=None
        Width of a bin; a multiple of the bins that the spikes were counted in, where they were. By default 20 ms, or
        the next such multiple.

    Returns
    -------
    time : ndarray of shape (n_bins,), in seconds
        Centres of the bins, of which the window holds as many as fit.
    counts : ndarray of shape (n_events, n_units, n_bins)
        Spikes of each event whose window lies inside its trial. Where the spikes have time that was not observed,
        floats: NaN in a bin that was not observed over its whole width. An event of which nothing was is left out.

    Raises
    ------
    TypeError
        If the spikes are no `SpikeTrains`.
    ValueError
        If no event has its window inside its trial, the lists of events are not one a trial, or the window or
        `bin_width` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import aligned_counts
    >>> spikes = SpikeTrains.from_unit_times({0: [4.95, 5.05, 5.06]}, epochs=[[0.0, 10.0]])
    >>> time, counts = aligned_counts(spikes, [np.array([5.0])], window=(-0.1, 0.1), bin_width=0.1)
    >>> counts.tolist()
    [[[1, 2]]]
    """
    check_spikes(spikes)
    events = [np.array([start]) for start in spikes.t_start] if events is None else events
    if len(events) != len(spikes):
        raise ValueError(f"expected one array of event times for each of {len(spikes)} trials, got {len(events)}")
    bin_width = _default_width(spikes) if bin_width is None else bin_width
    bin_width = check_width(bin_width, "bin_width", spikes.resolution)
    window = (0.0, float(np.min(spikes.duration))) if window is None else window
    n_bins = _bins_in(window, bin_width)
    counts = []
    for k, at in enumerate(events):
        part = slice(spikes.ptr[k], spikes.ptr[k + 1])
        times, units = spikes.times[part], spikes.units[part]
        for event in np.atleast_1d(at):
            start, stop = event + window[0], event + window[0] + n_bins * bin_width
            if not (start >= spikes.t_start[k] - 1e-9 and stop <= spikes.t_stop[k] + 1e-6):  # NaN neither
                continue
            lo, hi = np.searchsorted(times, [start - 1e-9, stop - 1e-9])
            bins = np.minimum(((times[lo:hi] - start) / bin_width + 1e-6).astype(int), n_bins - 1)
            flat = units[lo:hi].astype(np.int64) * n_bins + bins
            found = np.bincount(flat, minlength=spikes.shape[1] * n_bins).reshape(-1, n_bins)
            found = _without_gaps(found, spikes, k, start, bin_width)
            if not np.isnan(found).all():
                counts.append(found)
    if not counts:
        n_events = sum(np.size(at) for at in events)
        raise ValueError(
            f"expected events whose window of {window[0]:g} to {window[1]:g} s lies inside their trial and was "
            f"observed, got none among {n_events}; give a shorter window"
        )
    return window[0] + bin_width * (np.arange(n_bins) + 0.5), np.stack(counts)


def _default_width(spikes: SpikeTrains) -> float:
    """20 ms, or the next multiple of the bins that the spikes were counted in."""
    step = spikes.resolution
    return _BIN_WIDTH if step is None else float(max(np.ceil(_BIN_WIDTH / step - 1e-6), 1) * step)


def _bins_in(window: Any, bin_width: float) -> int:
    """How many whole bins a window holds."""
    numbers = np.shape(window) == (2,) and np.asarray(window).dtype.kind in "iuf"
    if not numbers or not np.isfinite(window).all() or window[1] <= window[0]:
        raise ValueError(f"window must be (from, to) in seconds, such as (-0.5, 1.0). Got {window!r:.80} instead.")
    n_bins = int(np.floor((window[1] - window[0]) / bin_width + 1e-6))
    if n_bins < 1:
        raise ValueError(
            f"A window of {window[0]:g} to {window[1]:g} s holds no bin of {bin_width:g} s. Give a longer window or a "
            "smaller bin_width."
        )
    return n_bins


def _without_gaps(counts: np.ndarray, spikes: SpikeTrains, trial: int, start: float, bin_width: float) -> np.ndarray:
    """Counts (n_units, n_bins) from `start`, NaN in every bin that reaches into a gap."""
    if spikes.observation is None:
        return counts
    counts, gaps = counts.astype(np.float64), spikes.observation
    for row in range(gaps.ptr[trial], gaps.ptr[trial + 1]):
        first = int(np.floor((gaps.start[row] - start) / bin_width + 1e-6))
        last = int(np.ceil((gaps.stop[row] - start) / bin_width - 1e-6))
        units = slice(None) if gaps.unit[row] < 0 else gaps.unit[row]
        counts[units, max(first, 0) : max(last, 0)] = np.nan
    return counts


def mean_and_error(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis of what was observed and its standard error, NaN where there are fewer than two."""
    mean, n = mean_over(counts), np.isfinite(counts).sum(axis=0)
    square = np.where(np.isfinite(counts), (counts - mean) ** 2, 0.0).sum(axis=0)
    return mean, np.where(n > 1, np.sqrt(square / np.maximum(n - 1, 1) / np.maximum(n, 1)), np.nan)
