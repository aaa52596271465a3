"""The pictures of the report. Each function returns a matplotlib figure."""

from __future__ import annotations

import textwrap
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd

from skneuro.cli.comparison import Score
from skneuro.cli.events import Alignment
from skneuro.cli.names import written
from skneuro.data import SpikeTrains, Video
from skneuro.inspection import (
    PSTHDisplay,
    RasterDisplay,
    StimulusAttentionDisplay,
    StimulusMaps,
    TrainingCurveDisplay,
    aligned_counts,
)
from skneuro.inspection.psth import mean_and_error
from skneuro.metrics import pairwise_correlations, population_count_distribution
from skneuro.metrics._responses import mean_over, observed_rates

RECORDED, MODEL, BASELINE, OTHER = "#222222", "#1b6ca8", "#c8641b", "#9aa5ad"
_LOWEST_RATIO = 1e-2


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _tidy(ax: Any) -> Any:
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def score_figure(scores: list[Score], model: Score, baseline: Score) -> Any:
    """Bits per spike of every model, one bar each.

    Parameters
    ----------
    scores : list of Score
        In the order of the table.
    model, baseline : Score
        The two that are coloured.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = _figure(8.1, 0.36 * len(scores) + 0.9)
    ax = _tidy(figure.subplots())
    colors = {model.name: MODEL, baseline.name: BASELINE}
    values = np.array([s.pooled for s in scores])
    error = np.nan_to_num([s.error for s in scores])
    rows = np.arange(len(scores))
    ax.barh(
        rows,
        values,
        xerr=error,
        color=[colors.get(s.name, OTHER) for s in scores],
        height=0.68,
        error_kw={"lw": 1},
    )
    span = max(values.max(), 0) - min(values.min(), 0) or 1.0
    for row, value, e in zip(rows, values, error, strict=True):
        # beside the bar where it is positive, on the free side of zero where it is not
        ax.text(max(value + e, 0) + 0.012 * span, row, f"{value:.3f}", va="center", fontsize="small")
    ax.set_yticks(rows, [s.name for s in scores])
    ax.set(
        xlabel="held-out bits per spike (higher is better)",
        xlim=(min(0, 1.05 * values.min()), max(values.max(), 0) + 0.12 * span),
    )
    ax.axvline(0, color="black", linewidth=0.8)
    ax.invert_yaxis()
    return figure


def unit_figure(model: Score, baseline: Score) -> Any:
    """Bits per spike of every unit, the model against the best baseline.

    Parameters
    ----------
    model, baseline : Score
        The two to compare.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = _figure(8.1, 3.3)
    left, right = (_tidy(ax) for ax in figure.subplots(1, 2))
    known = np.isfinite(model.units) & np.isfinite(baseline.units)
    x, y = baseline.units[known], model.units[known]
    low, high = min(x.min(), y.min(), 0), max(x.max(), y.max())
    pad = 0.05 * (high - low)
    left.plot([low - pad, high + pad], [low - pad, high + pad], color="0.6", linewidth=0.9)
    left.scatter(x, y, s=16, color=MODEL, alpha=0.75, linewidth=0)
    left.set(xlim=(low - pad, high + pad), ylim=(low - pad, high + pad), aspect="equal")
    left.set(xlabel=f"{baseline.name}\n(bits per spike)", ylabel=f"{model.name}\n(bits per spike)")
    left.set_title("one point a unit")
    delta = np.sort(y - x)
    right.axhline(0, color="0.6", linewidth=0.9)
    right.bar(np.arange(delta.size), delta, color=np.where(delta > 0, MODEL, BASELINE), width=1.0)
    right.set(
        xlabel="units, sorted",
        ylabel="difference (bits per spike)",
        title=f"{np.sum(delta > 0)} of {delta.size} units improve",
    )
    return figure


def raster_figure(
    recorded: SpikeTrains, sampled: SpikeTrains, *, trial: int = 0, seconds: float = 8.0, max_units: int = 60
) -> Any:
    """One recorded trial above one simulated under the same stimulus.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        As many trials of each, with the same units.
    trial : int, default=0
        Position of the trial.
    seconds : float, default=8.0
        How much to show.
    max_units : int, default=60
        Units shown, the first ones.

    Returns
    -------
    figure : matplotlib Figure
    """
    n_units = min(max_units, recorded.shape[1])
    figure = _figure(8.1, 2 * max(1.6, 0.045 * n_units) + 0.9)
    _draw_rasters(figure.subplots(2, 1, sharex=True), recorded, sampled, trial, seconds, n_units)
    return figure


def _draw_rasters(
    axes: Any, recorded: SpikeTrains, sampled: SpikeTrains, trial: int, seconds: float, n_units: int
) -> None:
    n_all = recorded.shape[1]
    some = f", the first {n_units} of {n_all} units" if n_units < n_all else ""
    for ax, spikes, color, title in (
        (axes[0], recorded, RECORDED, f"recorded{some}"),
        (axes[1], sampled, MODEL, "simulated by the Neuroformer, its own spikes as its past"),
    ):
        start = float(spikes.t_start[trial])
        stop = min(float(spikes.t_stop[trial]), start + seconds)
        part = slice(spikes.ptr[trial], spikes.ptr[trial + 1])
        times, units = spikes.times[part] - start, spikes.units[part]
        shown = (times < stop - start) & (units < n_units)
        RasterDisplay(
            times=times[shown],
            rows=units[shown],
            row_labels=list(spikes.unit_ids[:n_units]),
            t_start=0.0,
            t_stop=stop - start,
        ).plot(ax=ax, color=color)
        ax.set_title(title, loc="left", fontsize="medium")
    axes[0].set_xlabel("")


def psth_figure(recorded: SpikeTrains, sampled: SpikeTrains, alignment: Alignment, n_units: int = 8) -> Any:
    """Mean rates of the most modulated units around an event, recorded and simulated.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        With the same units.
    alignment : Alignment
        What the events are, and the window.
    n_units : int, default=8
        Units shown.

    Returns
    -------
    figure : matplotlib Figure
    """
    n_units = min(n_units, recorded.shape[1])
    n_columns = min(4, n_units)
    n_rows = -(-n_units // n_columns)
    figure = _figure(8.1, 1.75 * n_rows + 0.7)
    axes = figure.subplots(n_rows, n_columns, squeeze=False, sharex=True)
    _draw_psths(figure, axes, recorded, sampled, alignment, n_units)
    return figure


def _draw_psths(
    figure: Any, axes: Any, recorded: SpikeTrains, sampled: SpikeTrains, alignment: Alignment, n_units: int
) -> None:
    settings: dict[str, Any] = {"window": alignment.window, "bin_width": alignment.bin_width}
    chosen = most_modulated(recorded, alignment.events(recorded), n_units=n_units, **settings)
    for spikes, color, label in ((recorded, RECORDED, "recorded"), (sampled, MODEL, "simulated")):
        display = PSTHDisplay.from_spikes(
            spikes, alignment.events(spikes), units=chosen, axes=axes.flat, color=color, label=label, **settings
        )
    for ax in axes.flat[len(chosen) :]:
        ax.remove()
    for ax in axes[:, 0]:
        ax.set_ylabel("rate (Hz)")
    figure.supxlabel(f"time from {alignment.name} (s)", fontsize="medium")
    handles, labels = display.axes_[0].get_legend_handles_labels()
    display.axes_[0].get_legend().remove()  # one for all panels takes no room in them
    figure.legend(handles, labels, loc="outside upper right", ncols=2, frameon=False)


def overview_figure(
    recorded: SpikeTrains, sampled: SpikeTrains, alignment: Alignment, *, trial: int = 0, seconds: float = 5.0
) -> Any:
    """Rasters on the left and mean rates of four units on the right, recorded and simulated.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        As many trials of each, with the same units.
    alignment : Alignment
        What mean rates are aligned to.
    trial : int, default=0
        Position of the trial in the rasters.
    seconds : float, default=5.0
        How much of it to show.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = _figure(11.0, 4.4)
    left, right = figure.subfigures(1, 2, width_ratios=(1.15, 1))
    n_units = min(40, recorded.shape[1])
    _draw_rasters(left.subplots(2, 1, sharex=True), recorded, sampled, trial, seconds, n_units)
    axes = right.subplots(2, 2, squeeze=False, sharex=True)
    _draw_psths(right, axes, recorded, sampled, alignment, min(4, recorded.shape[1]))
    return figure


def most_modulated(
    spikes: SpikeTrains,
    events: list[np.ndarray],
    *,
    window: tuple[float, float],
    bin_width: float,
    n_units: int,
) -> np.ndarray:
    """Ids of the units whose mean rate varies most around the events, relative to its chance variation."""
    _, counts = aligned_counts(spikes, events, window=window, bin_width=bin_width)
    mean, error = mean_and_error(counts)
    noise = mean_over(error.T**2) if len(counts) > 1 else np.ones(counts.shape[1])
    strength = mean_over((mean.T - mean_over(mean.T)) ** 2) / np.maximum(noise, 1e-9)
    return np.asarray(spikes.unit_ids)[np.sort(np.argsort(np.nan_to_num(strength))[::-1][:n_units])]


def statistics_figure(recorded: SpikeTrains, sampled: SpikeTrains, bin_width: float) -> Any:
    """Rates, pairwise correlations and population counts, recorded against simulated.

    Parameters
    ----------
    recorded, sampled : SpikeTrains
        With the same units.
    bin_width : float
        Bins in which correlations and population counts are taken, in seconds.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = _figure(8.1, 2.8)
    axes = [_tidy(ax) for ax in figure.subplots(1, 3)]
    rates, simulated_rates = (observed_rates(s.bin(bin_width)) for s in (recorded, sampled))
    _against(axes[0], rates, simulated_rates, "rate of a unit (Hz)")
    upper = np.triu_indices(recorded.shape[1], k=1)
    pairs, simulated_pairs = (pairwise_correlations(s, bin_width)[upper] for s in (recorded, sampled))
    if np.isfinite(pairs + simulated_pairs).any():
        _against(axes[1], pairs, simulated_pairs, f"correlation of a pair\n({1e3 * bin_width:.4g} ms bins)")
    else:
        axes[1].remove()
    if all(s.bin(bin_width).mask().all(axis=1).any() for s in (recorded, sampled)):
        _draw_population_counts(axes[2], recorded, sampled, bin_width)
    else:
        axes[2].remove()
    return figure


def _draw_population_counts(ax: Any, recorded: SpikeTrains, sampled: SpikeTrains, bin_width: float) -> None:
    counts = [population_count_distribution(s, bin_width) for s in (recorded, sampled)]
    top = max(int(np.searchsorted(np.cumsum(n), 0.999 * n.sum())) for n in counts) + 1
    for n, color, label in zip(counts, (RECORDED, MODEL), ("recorded", "simulated"), strict=True):
        share = np.bincount(np.minimum(np.arange(len(n)), top), weights=n, minlength=top + 1) / n.sum()
        ax.step(np.arange(top + 1), share, where="mid", color=color, label=label, linewidth=1.3)
    ax.set(xlabel=f"spikes of the population\nin {1e3 * bin_width:.4g} ms", ylabel="share of bins")
    ax.legend(frameon=False, fontsize="small")


def realism_figure(judged: pd.DataFrame, model: str) -> Any:
    """Distances of simulated from recorded trials, over the floor that the recording sets.

    A ratio below 0.01, to the left of the scale, is a triangle at its end. What is not drawn is named below.

    Parameters
    ----------
    judged : DataFrame
        What `evaluate_generation` returned.
    model : str
        Name to show for its ``"model"``.

    Returns
    -------
    figure : matplotlib Figure
    """
    rows = judged[(judged["aspect"] == "realism") & (judged["metric"] != "two_sample_accuracy")]
    rows = rows[np.isfinite(rows["value"])]
    without_floor = rows.loc[~(rows["floor"] > 0), "metric"].unique()
    rows = rows[rows["floor"] > 0]
    metrics = list(rows["metric"].unique())
    figure = _figure(8.1, 1.1 + 0.26 * max(len(metrics), 1))
    ax = _tidy(figure.subplots())
    for k, (source, group) in enumerate(rows.groupby("source", sort=False)):
        at = np.array([metrics.index(metric) for metric in group["metric"]])
        ratio = (group["value"] / group["floor"]).to_numpy()
        color, marker = (MODEL, "o") if source == "model" else (f"C{k}", "s^Dv"[k % 4])
        inside = ratio >= _LOWEST_RATIO
        style: dict[str, Any] = {"color": color, "markersize": 5, "linestyle": "none"}
        ax.plot(ratio[inside], at[inside], marker=marker, label=model if source == "model" else source, **style)
        ax.plot(np.full((~inside).sum(), _LOWEST_RATIO), at[~inside], marker="<", clip_on=False, **style)
    ax.axvline(1.0, color="0.6", linewidth=0.9)
    notes = ["distance from the recording / its own floor"]
    if (rows["value"] < _LOWEST_RATIO * rows["floor"]).any():
        notes.append(f"(a triangle at the left end is a ratio below {_LOWEST_RATIO:g})")
        ax.set_xlim(left=_LOWEST_RATIO)
    if len(without_floor):
        notes.append(f"(not drawn, for want of a floor above 0: {', '.join(written(m) for m in without_floor)})")
    ax.set(xscale="log", xlabel="\n".join(textwrap.fill(note, 80) for note in notes), yticks=range(len(metrics)))
    ax.set_yticklabels([written(metric) for metric in metrics])
    ax.set_ylim(max(len(metrics), 1) - 0.5, -0.5)
    if len(rows):
        ax.legend(frameon=False, fontsize="small")
    return figure


def _against(ax: Any, x: np.ndarray, y: np.ndarray, name: str) -> None:
    known = np.isfinite(x) & np.isfinite(y)
    x, y = x[known], y[known]
    if len(x):
        low, high = min(x.min(), y.min()), max(x.max(), y.max())
        ax.plot([low, high], [low, high], color="0.6", linewidth=0.9)
    ax.scatter(x, y, s=8, color=MODEL, alpha=0.5, linewidth=0)
    ax.set(xlabel=f"recorded {name}", ylabel="simulated")
    if x.size > 2 and np.ptp(x) > 0 and np.ptp(y) > 0:
        ax.set_title(f"r = {np.corrcoef(x, y)[0, 1]:.2f}", fontsize="medium")


def stimulus_figure(maps: StimulusMaps, video: Video, units: list[Any]) -> Any:
    """Maps of what drives some units, over lags.

    Parameters
    ----------
    maps : StimulusMaps
        Of the units, and maybe of others.
    video : Video
        What they saw.
    units : list of unit ids
        A row each.

    Returns
    -------
    figure : matplotlib Figure
    """
    n_columns = min(6, len(maps.lags))
    figure = _figure(8.1, 1.3 * len(units) + 0.3)
    axes = figure.subplots(len(units), n_columns, squeeze=False)
    StimulusAttentionDisplay.from_maps(maps, video, units=units, n_columns=n_columns, axes=axes)
    return figure


def training_figure(estimators: dict[str, Any]) -> Any:
    """Loss and validation score of every model that was trained by epochs.

    Parameters
    ----------
    estimators : dict of str to fitted estimator
        Those with a `loss_curve_`.

    Returns
    -------
    figure : matplotlib Figure
    """
    figure = _figure(8.1, 2.5 * len(estimators))
    axes = figure.subplots(len(estimators), 2, squeeze=False)
    for row, (name, estimator), color in zip(axes, estimators.items(), cycle((BASELINE, MODEL)), strict=False):
        display = TrainingCurveDisplay.from_estimator(estimator, name=name, axes=row, color=color)
        row[0].set_title(name, loc="left", fontsize="medium")
        for ax in row[len(display.axes_) :]:
            ax.remove()
    return figure
