"""Spike rasters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skneuro.data import SpikeTrains
from skneuro.inspection._plotting import one_axes, tidy
from skneuro.metrics._checks import check_spikes

_LABEL = 0.17  # inches that the label of a row takes
_MOST_LABELS = 12


class RasterDisplay:
    """A raster: one tick a spike, one row a unit or a trial.

    Create one with `from_spikes` (all units of one trial), `from_unit` (one unit in all trials) or
    `from_estimator` (a simulated trial).

    Parameters
    ----------
    times : ndarray of shape (n_spikes,), in seconds
        Spike times.
    rows : ndarray of shape (n_spikes,), int
        Row of each spike, 0 at the top.
    row_labels : sequence of length n_rows
        Unit ids or trial ids.
    t_start, t_stop : float, in seconds
        Ends of the time axis.
    row_name : str, default="unit"
        What a row is.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    lines_ : matplotlib LineCollection
        The ticks.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import RasterDisplay
    >>> spikes = SpikeTrains.from_unit_times({"a": [0.1, 0.4], "b": [0.3]}, epochs=[[0.0, 0.5]])
    >>> display = RasterDisplay.from_spikes(spikes)
    >>> display.ax_.get_ylabel()
    'unit'
    """

    def __init__(
        self,
        *,
        times: np.ndarray,
        rows: np.ndarray,
        row_labels: Sequence[Any],
        t_start: float,
        t_stop: float,
        row_name: str = "unit",
    ) -> None:
        self.times = times
        self.rows = rows
        self.row_labels = row_labels
        self.t_start = t_start
        self.t_stop = t_stop
        self.row_name = row_name

    @classmethod
    def from_spikes(
        cls,
        spikes: SpikeTrains,
        *,
        trial: int = 0,
        t_start: float | None = None,
        t_stop: float | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw all units of one trial.

        Parameters
        ----------
        spikes : SpikeTrains
            The recording.
        trial : int, default=0
            Position of the trial; negative from the last.
        t_start, t_stop : float, default=None
            Part of the trial to show, in seconds; its edges by default.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : RasterDisplay

        Raises
        ------
        TypeError
            If the spikes are no `SpikeTrains`.
        ValueError
            If there is no such trial, or the part to show is empty or not within it.
        """
        check_spikes(spikes)
        if not -len(spikes) <= trial < len(spikes):
            raise ValueError(f"trial must be the position of one of {len(spikes)} trials. Got {trial!r:.80} instead.")
        trial = int(trial) % len(spikes)
        first, last = float(spikes.t_start[trial]), float(spikes.t_stop[trial])
        t_start = first if t_start is None else t_start
        t_stop = last if t_stop is None else t_stop
        if not first - 1e-9 <= t_start < t_stop <= last + 1e-9:
            raise ValueError(
                f"t_start and t_stop must be a part of trial {trial}, which lasts from {first:g} to {last:g} s. Got "
                f"{t_start:g} to {t_stop:g} s."
            )
        part = slice(spikes.ptr[trial], spikes.ptr[trial + 1])
        times, units = spikes.times[part], spikes.units[part]
        shown = (times >= t_start) & (times < t_stop)
        display = cls(
            times=times[shown],
            rows=units[shown],
            row_labels=list(spikes.unit_ids),
            t_start=t_start,
            t_stop=t_stop,
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_unit(cls, spikes: SpikeTrains, unit: int | str, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw one unit in all trials, each aligned to its own start.

        Rows have the ids of the trials; where blocks of a trial share its id (`SpikeTrains.cut`), they are numbered.

        Parameters
        ----------
        spikes : SpikeTrains
            The recording.
        unit : int or str
            Id of the unit.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : RasterDisplay

        Raises
        ------
        TypeError
            If the spikes are no `SpikeTrains`.
        ValueError
            If there is no unit of this id.
        """
        check_spikes(spikes)
        column = np.flatnonzero(np.asarray(spikes.unit_ids) == unit)
        if column.size != 1:
            raise ValueError(
                f"expected the id of a unit of these spikes, got {unit!r}; the ids are {list(spikes.unit_ids)}"
            )
        trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
        mine = spikes.units == column[0]
        unique = len(np.unique(spikes.trial_ids)) == len(spikes)
        display = cls(
            times=spikes.times[mine] - spikes.t_start[trial[mine]],
            rows=trial[mine],
            row_labels=list(spikes.trial_ids) if unique else list(range(len(spikes))),
            t_start=0.0,
            t_stop=float(np.max(spikes.duration)),
            row_name="trial" if unique else "block",
        )
        return display.plot(ax=ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        stimuli: Any = None,
        *,
        duration: float | None = None,
        random_state: Any = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw one trial simulated by a fitted model.

        Parameters
        ----------
        estimator : estimator
            Fitted, with a `sample` method.
        stimuli : Modalities, Recording, Video, TimeSeries or None, default=None
            What the simulated animal sees and does; the first trial of it is simulated.
        duration : float, default=None
            Length of the trial in seconds; by default that of the training trials.
        random_state : int, RandomState instance or None, default=None
            Seed of the draw.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : RasterDisplay
        """
        stimuli = stimuli if stimuli is None else stimuli[:1]
        return cls.from_spikes(estimator.sample(stimuli, duration=duration, random_state=random_state), ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, color: Any = "black", title: str | None = None) -> Self:
        """Draw the raster.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        color : color, default="black"
            Of the ticks.
        title : str, default=None
            Title of the axes.

        Returns
        -------
        display : RasterDisplay
            Itself, with `ax_`, `figure_` and `lines_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        n_rows = len(self.row_labels)
        height = min(max(1.5, 0.7 + _LABEL * min(n_rows, _MOST_LABELS), 0.12 * n_rows), 8)
        self.figure_, self.ax_ = one_axes(ax, "RasterDisplay.plot", figsize=(7, height))
        rows = np.asarray(self.rows)
        width = float(np.clip(60 / max(n_rows, 1), 0.4, 1.2))
        self.lines_ = self.ax_.vlines(self.times, rows - 0.4, rows + 0.4, color=color, linewidth=width)
        self.ax_.set(
            xlim=(self.t_start, self.t_stop),
            ylim=(n_rows - 0.5, -0.5),
            xlabel="time (s)",
            ylabel=self.row_name,
            title=title,
        )
        room = self.ax_.get_window_extent().height / self.figure_.dpi
        most = int(np.clip(room / _LABEL, 1, _MOST_LABELS))
        step = max(1, int(np.ceil(n_rows / most)))
        self.ax_.set_yticks(np.arange(0, n_rows, step), [str(label) for label in self.row_labels[::step]])
        tidy(self.ax_)
        return self
