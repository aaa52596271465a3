"""Peri-stimulus time histograms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skneuro.data import SpikeTrains
from skneuro.inspection._plotting import import_pyplot, tidy


class PSTHDisplay:
    """Mean rate of every unit around an event, with its standard error over events.

    Create one with `from_spikes` (recorded) or `from_estimator` (simulated). Draw both on the same axes to
    compare them: `other.plot(axes=display.axes_)`.

    Parameters
    ----------
    time : ndarray of shape (n_bins,), in seconds
        Centres of the bins, relative to the event.
    rate : ndarray of shape (n_units, n_bins), in Hz
        Mean rate.
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
        bin_width: float = 0.02,
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
            shortest trial. An event whose window leaves its trial is not used.
        bin_width : float, default=0.02
            Width of a bin, in seconds.
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
        ValueError
            If no event has its window inside its trial.
        """
        spikes = spikes if units is None else spikes.select_units(units)
        time, counts = aligned_counts(spikes, events, window=window, bin_width=bin_width)
        n_events = len(counts)
        rate = counts.mean(axis=0) / bin_width
        spread = counts.std(axis=0, ddof=1) if n_events > 1 else np.full(rate.shape, np.nan)
        error = spread / np.sqrt(n_events) / bin_width
        display = cls(time=time, rate=rate, error=error, unit_ids=list(spikes.unit_ids), n_events=n_events)
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
        stimuli : Video, TimeSeries or Modalities, default=None
            What the simulated animal sees and does in each trial.
        events : list of ndarrays, default=None
            As in `from_spikes`, one a simulated trial.
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
            Where to draw, one a unit; a new figure by default.
        color : color, default="black"
            Of the line and its error band.
        label : str, default=None
            Name of the curve in a legend.
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
        """
        plt = import_pyplot("PSTHDisplay.plot")
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
        self.axes_ = np.asarray(axes).flat[: len(self.unit_ids)]
        self.figure_ = self.axes_[0].figure
        self.lines_ = []
        for ax, unit, rate, error in zip(self.axes_, self.unit_ids, self.rate, self.error, strict=True):
            self.lines_ += ax.plot(self.time, rate, color=color, linewidth=1.2, label=label)
            ax.fill_between(self.time, rate - error, rate + error, color=color, alpha=0.2, linewidth=0)
            ax.set_title(f"unit {unit}", fontsize="medium")
            ax.set_xlim(self.time[0], self.time[-1])
            ax.autoscale(axis="y")  # a second display on the same axes may reach higher
            ax.set_ylim(bottom=0)
            if self.time[0] < 0 < self.time[-1]:
                ax.axvline(0, color="0.6", linewidth=0.8, zorder=0)
            tidy(ax)
        return self


def aligned_counts(
    spikes: SpikeTrains,
    events: Sequence[np.ndarray] | None = None,
    *,
    window: tuple[float, float] | None = None,
    bin_width: float = 0.02,
) -> tuple[np.ndarray, np.ndarray]:
    """Count spikes around events.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    events : list of n_trials ndarrays, default=None
        Times of the events in each trial, in seconds, on the trial's clock. By default each trial's start.
    window : tuple of float, default=None
        Seconds before (negative) and after the event; by default from the event to the end of the shortest
        trial.
    bin_width : float, default=0.02
        Width of a bin, in seconds.

    Returns
    -------
    time : ndarray of shape (n_bins,), in seconds
        Centres of the bins.
    counts : ndarray of shape (n_events, n_units, n_bins)
        Spikes of each event whose window lies inside its trial.

    Raises
    ------
    ValueError
        If no event has its window inside its trial, or the lists of events are not one a trial.

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
    events = [np.array([start]) for start in spikes.t_start] if events is None else events
    if len(events) != len(spikes):
        raise ValueError(f"expected one array of event times for each of {len(spikes)} trials, got {len(events)}")
    window = (0.0, float(np.min(spikes.duration))) if window is None else window
    n_bins = int(round((window[1] - window[0]) / bin_width + 1e-6)) or 1
    counts = []
    for k, at in enumerate(events):
        part = slice(spikes.ptr[k], spikes.ptr[k + 1])
        times, units = spikes.times[part], spikes.units[part]
        for event in np.atleast_1d(at):
            start, stop = event + window[0], event + window[0] + n_bins * bin_width
            if start < spikes.t_start[k] - 1e-9 or stop > spikes.t_stop[k] + 1e-6:
                continue
            lo, hi = np.searchsorted(times, [start - 1e-9, stop - 1e-9])
            bins = np.minimum(((times[lo:hi] - start) / bin_width + 1e-6).astype(int), n_bins - 1)
            flat = units[lo:hi].astype(np.int64) * n_bins + bins
            counts.append(np.bincount(flat, minlength=spikes.shape[1] * n_bins).reshape(-1, n_bins))
    if not counts:
        n_events = sum(np.size(at) for at in events)
        raise ValueError(
            f"expected events whose window of {window[0]:g} to {window[1]:g} s lies inside their trial, got none among "
            f"{n_events}; give a shorter window"
        )
    return window[0] + bin_width * (np.arange(n_bins) + 0.5), np.stack(counts)
