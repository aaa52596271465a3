"""When is a number out of the ordinary, and what is then to be done: one function a check.

Each returns a list of findings, or of one sentence that says what was measured where nothing was found, or why nothing
could be measured (`Skipped`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.data.modality import Modality
from skneuro.inspection.coincidences import shared_events, zero_lag_pairs
from skneuro.inspection.findings import Finding, Skipped
from skneuro.inspection.measures import (
    DUPLICATE,
    REFRACTORY,
    clock_quality,
    fitting_width,
    own_intervals,
    recording_gaps,
    running_modulation,
)
from skneuro.metrics import pairwise_correlations

Judged = Sequence[Finding | str]
_RUNNING = ("speed", "running", "velocity", "treadmill", "wheel")
_SLOW = 0.02  # Hz; hardly a recording has a median rate below it, and every one in milliseconds does
_FEW = 5  # short intervals that tell seconds from milliseconds


def time_unit(spikes: SpikeTrains, units: pd.DataFrame, outside: float = 0.0) -> Judged:
    remedy = "divide the times by the sampling rate (samples) or by 1000 (ms); skneuro counts in seconds"
    recorded = float((spikes.t_stop - spikes.t_start).sum())
    days = float(np.max(spikes.t_stop) - np.min(spikes.t_start)) / 86400
    if spikes.times.size >= 100 and spikes.resolution is None and np.all(spikes.times == np.floor(spikes.times)):
        message = f"all {spikes.times.size} spike times are whole numbers: samples or milliseconds rather than seconds"
        return [Finding("time unit", "serious", message, remedy)]
    if days > 2:
        message = f"the recording would last {days:.1f} days: samples or milliseconds rather than seconds"
        return [Finding("time unit", "serious", message, remedy)]
    if outside > 0.5:
        message = (
            f"{outside:.1%} of the spikes lie before the first trial or after the last and are left out: spikes and "
            "trials are not both in seconds"
        )
        remedy += ". If the trials are a part of the recording on purpose, take the other spikes out of the file"
        return [Finding("time unit", "serious", message, remedy)]
    median = float(units["rate"][units["n_spikes"] > 0].median())
    if spikes.n_spikes >= 100 and median < _SLOW:
        message = f"half of the units that fire do so at {median:.2g} Hz or less, over {_span(recorded)}"
        again, expected = _fire_again(spikes, units)
        if again >= max(_FEW, 0.5 * expected):
            message += f". These are seconds: {again} times one fires again within 1 s, and none could within 1 ms"
            return [Finding("time unit", "warning", message, "expect little of a model: wider bins, or fewer units")]
        message += ": samples or milliseconds rather than seconds"
        remedy += f". If the cells do fire so rarely, leave out those below {_SLOW:g} Hz (spikes.select_units)"
        return [Finding("time unit", "serious", message, remedy)]
    return [f"times are plausible as seconds, {_span(recorded)} recorded"]


def _fire_again(spikes: SpikeTrains, units: pd.DataFrame) -> tuple[int, float]:
    """How often units fire again within 0.1 to 1 of the unit of time, and how often they would by chance.

    In milliseconds they would be refractory, and what is closer is a spike counted twice; in seconds that is a burst.
    """
    shortest = 1e3 * DUPLICATE
    interval, owner = own_intervals(spikes)
    n_bursts = units["n_spikes"] - np.bincount(owner[interval < shortest], minlength=len(units))
    expected = (1 - shortest) * (n_bursts**2 / np.maximum(units["observed"], 1e-12)).sum()
    return int(((interval >= shortest) & (interval < 1)).sum()), float(expected)


def rates(units: pd.DataFrame) -> Judged:
    findings = []
    total = units["n_spikes"].sum()
    for unit, row in units[units["rate"] > 100].iterrows():
        share = row["n_spikes"] / total
        message = f"unit {unit} fires at {row['rate']:.0f} Hz and makes {share:.0%} of all spikes"
        severity = "serious" if share > 0.5 and len(units) > 2 else "warning"
        remedy = "probably multi-unit activity or noise: leave it out (spikes.select_units) or report it apart"
        findings.append(Finding("rates", severity, message, remedy, (unit,)))
    silent = units.index[units["n_spikes"] == 0]
    if len(silent):
        message = f"{_count(silent)} without any spike: {_names(silent)}"
        findings.append(Finding("rates", "warning", message, "leave out: nothing can be learned", tuple(silent)))
    rare = units.index[(units["rate"] < 0.01) & (units["n_spikes"] > 0)]
    if len(rare):
        message = f"{_count(rare)} below 0.01 Hz: {_names(rare)}"
        findings.append(Finding("rates", "warning", message, "leave out, or expect no held-out score", tuple(rare)))
    low, mid, high = units["rate"].quantile([0, 0.5, 1])
    return findings or [f"{low:.2g} to {high:.3g} Hz, median {mid:.3g} Hz"]


def presence(units: pd.DataFrame) -> Judged:
    findings = []
    shown = units[units["n_spikes"] > 0]
    elsewhere = shown["n_spikes"] / np.maximum(shown["observed"] - shown["silence"], 1e-9)
    due = elsewhere * shown["silence"]
    # one silence that dwarfs the next longest is a unit lost; many long ones are how a place cell fires
    lost = (shown["silence"] > 0.1 * shown["observed"]) & (due > 30) & (shown["silence"] > 5 * shown["silence_next"])
    for unit, row in shown[lost].iterrows():
        message = (
            f"unit {unit} is silent for {row['silence']:.0f} s (from {row['silence_start']:.0f} s of "
            f"{row['observed']:.0f} s) where about {due[unit]:.0f} spikes were due"
        )
        remedy = (
            "if the electrode lost it, mark the stretch as not observed (SpikeTrains observed=) or leave the unit out"
        )
        findings.append(Finding("presence", "warning", message, remedy, (unit,)))
    first, last = units["first_third"].sum(), units["last_third"].sum()
    if max(first, last) > 2 * min(first, last):
        message = (
            f"the population fires {first:.3g} spikes/s in the first third of the recording and {last:.3g} in the last"
        )
        remedy = (
            "drift or a change of state: split by blocks of time, never by shuffled bins, and keep the states apart"
        )
        findings.append(Finding("presence", "warning", message, remedy))
    low = shown["presence"].min()
    return findings or [f"no unit is lost; the one that is present least fires in {low:.0%} of 100 stretches of time"]


def gaps(spikes: SpikeTrains) -> Judged:
    gaps = recording_gaps(spikes)
    if gaps.empty:
        return ["no stretch in which the whole population falls silent against expectation"]
    where = [
        f"{g.start:.2f} to {g.stop:.2f} s" + (f" in trial {g.trial}" if len(spikes) > 1 else "")
        for g in gaps.itertuples()
    ]
    message = (
        f"{len(gaps)} gap{'s' * (len(gaps) > 1)} ({(gaps['stop'] - gaps['start']).sum():.1f} s) in which no unit fired "
        f"though {gaps['expected'].sum():.0f} spikes were due: {_names(where, 3)}"
    )
    remedy = (
        "mark it as not observed (SpikeTrains observed=), or cut trials there; at a trial's edge correct t_start or "
        "t_stop: a model would learn the silence"
    )
    return [Finding("gaps", "serious", message, remedy)]


def duplicates(units: pd.DataFrame) -> Judged:
    share = units["duplicated"] / np.maximum(units["n_spikes"], 1)
    # foreign spikes fall that close too, but no more often than they fall within any other 0.1 ms
    by_foreign = np.maximum(units["violations"] * DUPLICATE / (REFRACTORY - DUPLICATE), 0.1)
    beyond = stats.poisson.sf(units["duplicated"] - 1, by_foreign) < 1e-6
    bad = units.index[(units["duplicated"] >= 3) & (share > 1e-4) & beyond]
    if not len(bad):
        return [f"{units['duplicated'].sum()} intervals below 0.1 ms"]
    message = (
        f"{units.loc[bad, 'duplicated'].sum()} spikes follow one of the same unit within 0.1 ms "
        f"(up to {share[bad].max():.2%} of a unit's): {_count(bad)}, {_names(bad)}"
    )
    severity = "serious" if share[bad].max() > 0.01 else "warning"
    return [
        Finding(
            "duplicated spikes",
            severity,
            message,
            "the sorter counted them twice: keep the first of each",
            tuple(bad),
        )
    ]


def refractory(units: pd.DataFrame) -> Judged:
    share = units["violations"] / np.maximum(units["n_spikes"], 1)
    # a few violations may be chance: the lower end of their Poisson interval must already be too many
    low = stats.chi2.ppf(0.025, 2 * np.maximum(units["violations"], 1)) / 2
    surely = units["contamination"] * low / np.maximum(units["violations"], 1) > 0.1
    bad = units.index[(units["violations"] >= 5) & (share > 1e-3) & surely]
    if not len(bad):
        return [f"at most {share.max():.2%} of a unit's intervals are below 1.5 ms"]
    worst = units.loc[bad].sort_values("contamination", ascending=False)
    named = [f"{u} ({share[u]:.1%} of intervals, {c:.0%} foreign spikes)" for u, c in worst["contamination"].items()]
    # in a bursting cell of low rate a few short intervals pass for much contamination
    severity = "serious" if ((worst["contamination"] > 0.5) & (share[worst.index] > 0.01)).any() else "warning"
    message = f"{_count(bad)} with intervals below 1.5 ms beyond chance: {_names(named, 4)}"
    remedy = (
        "several neurons in one unit (or a cell that bursts faster): sort again, or mark as multi-unit in "
        "unit_info; do not read as one cell's coupling"
    )
    return [Finding("refractory period", severity, message, remedy, tuple(worst.index))]


def coincidences(spikes: SpikeTrains) -> dict[str, Judged]:
    member, first = shared_events(spikes)
    results: dict[str, Judged] = {
        "shared artefacts": [f"{len(first)} instants at which improbably many units fire within 1 ms"]
    }
    if len(first) >= 3:
        trial = np.asarray(spikes.trial_ids)[np.searchsorted(spikes.ptr, first, side="right") - 1]
        where = [f" in trial {k}" if len(spikes) > 1 else "" for k in trial]
        at = [f"{t:.3f} s{w}" for t, w in zip(spikes.times[first], where, strict=True)]
        share = member.mean()
        message = (
            f"{len(first)} instants at which a fifth of the units or more fire within 1 ms ({share:.2%} of "
            f"all spikes): {_names(at, 3)}"
        )
        remedy = (
            "electrical, movement or stimulus artefact: remove those spikes, or mark 2 ms about each as not observed"
        )
        severity = "serious" if share > 0.01 else "warning"
        results["shared artefacts"] = [Finding("shared artefacts", severity, message, remedy)]
    if spikes.shape[1] < 2:
        return results
    pairs = zero_lag_pairs(spikes, exclude=member)
    peaks = pairs[(pairs["coincidences"] >= 20) & (pairs["z"] > 6) & (pairs["share"] > 0.05)]
    judged = [
        _pairs_finding(
            peaks[peaks["share"] > 0.5],
            "serious",
            "one cell sorted twice, or noise across channels: keep one of them, or every score is inflated",
        ),
        _pairs_finding(
            peaks[peaks["share"] <= 0.5],
            "warning",
            "overlapping clusters or an artefact: compare waveforms before reading same-bin coupling",
        ),
    ]
    findings = [f for f in judged if f is not None]
    holes = pairs[(pairs["expected_wide"] >= 30) & (pairs["hole"] < 0.1)]
    if len(holes):
        named = [f"{r.unit} and {r.other} ({r.hole:.0%} of {r.expected_wide:.0f} expected)" for r in holes.itertuples()]
        message = f"{len(holes)} pairs of units never fire within 1.5 ms of each other: {_names(named, 3)}"
        remedy = (
            "one cell split in two, or a detector that is blind after a spike: compare the waveforms, merge, "
            "keep off connectivity"
        )
        findings.append(Finding("zero-lag peaks", "warning", message, remedy, _members(holes)))
    most = (
        f"at most {pairs['share'].fillna(0).clip(lower=0).max():.1%} of a unit's spikes coincide with another's within "
        "0.5 ms beyond chance"
    )
    results["zero-lag peaks"] = findings or [most]
    return results


def _pairs_finding(pairs: pd.DataFrame, severity: str, remedy: str) -> Finding | None:
    if pairs.empty:
        return None
    named = [
        f"{r.unit} and {r.other} ({r.share:.0%} of the smaller unit's spikes; {r.coincidences:.0f}, "
        f"{r.expected:.0f} expected)"
        for r in pairs.itertuples()
    ]
    message = f"{len(pairs)} pair{'s' * (len(pairs) > 1)} of units fire within 0.5 ms of each other: {_names(named, 4)}"
    return Finding("zero-lag peaks", severity, message, remedy, _members(pairs))


def _members(pairs: pd.DataFrame) -> tuple:
    return tuple(dict.fromkeys([*pairs["unit"], *pairs["other"]]))


def count_correlation(spikes: SpikeTrains, bin_width: float) -> Judged:
    r, ids = pairwise_correlations(spikes, bin_width), np.asarray(spikes.unit_ids)
    i, j = np.nonzero(np.triu(np.isfinite(r), k=1))
    if not len(i):
        return [Skipped("no two units whose counts vary were observed together")]
    high = np.flatnonzero(r[i, j] > 0.9)
    remedy = "one cell sorted twice: drop one of the two, or every score is inflated"
    return [
        Finding(
            "zero-lag peaks",
            "serious",
            f"units {a} and {b}: their counts correlate by {c:.2f}",
            remedy,
            (a, b),
        )
        for a, b, c in zip(ids[i[high]], ids[j[high]], r[i, j][high], strict=True)
    ] or [f"counts of two units correlate by at most {r[i, j].max():.2f} in bins of {1e3 * bin_width:g} ms"]


def clocks(source: ArrayLike, target: ArrayLike) -> Judged:
    try:
        q = clock_quality(source, target)
    except ValueError as error:
        return [
            Finding(
                "clocks",
                "serious",
                str(error),
                "align by hand before anything else: stimuli would be misplaced",
            )
        ]
    text = (
        f"{q['n_pulses']} pulses, drift {q['drift']:+.1f} ppm; a pulse lies {1e3 * q['jitter']:.2f} ms (median) to "
        f"{1e3 * q['worst']:.2f} ms (at {q['worst_at']:.1f} s) from where its neighbours put it, and the clocks bend "
        f"by {1e3 * q['bend']:.2f} ms about one straight line"
    )
    findings = []
    lost = q["unmatched_source"].size + q["unmatched_target"].size
    if lost:
        at = [f"{t:.3f} s" for t in [*q["unmatched_source"], *q["unmatched_target"]]]
        message = f"{lost} pulses have no partner on the other clock: {_names(at, 4)}"
        remedy = (
            "missed or displaced: align with align_clocks(..., drop_unmatched=True), and check the stimuli "
            "about those times"
        )
        findings.append(Finding("clocks", "serious", message, remedy))
    if q["worst"] > 1e-3:
        severity = "serious" if q["worst"] > 5e-3 else "warning"
        findings.append(
            Finding("clocks", severity, text, "jitter of the pulses themselves: bins must be wider than it")
        )
    elif q["bend"] > 1e-3:
        findings.append(
            Finding(
                "clocks",
                "warning",
                text,
                "align piecewise (skneuro.data.align_clocks), not by offset and rate",
            )
        )
    return findings or [text]


def coverage(spikes: SpikeTrains, modalities: Modalities) -> Judged:
    findings = []
    for name, modality in modalities.items():
        first, last = _known_span(modality)
        # NaN, where nothing is known, is not covered
        whole = ~((first < spikes.t_stop) & (last > spikes.t_start)) & (spikes.duration > 0)
        bare = np.maximum(first - spikes.t_start, 0) + np.maximum(spikes.t_stop - last, 0)
        part = ~whole & (bare > 1e-6 * np.maximum(spikes.duration, 1))
        if whole.any():
            trials = _names(np.asarray(spikes.trial_ids)[whole], 4)
            message = f"{name} is not known in {_trials(whole.sum())} ({trials}), out of {len(spikes)}"
            remedy = f"check the clock and the unit of {name}'s times; leave these trials out, or {name}"
            findings.append(Finding("coverage", "serious", message, remedy))
        if part.any():
            share = bare[part].sum() / spikes.duration.sum()
            message = (
                f"{name} is not known at the border of {_trials(part.sum())}: {_span(bare[part].sum())} in all, "
                f"{share:.2g} of the time"
            )
            remedy = f"models see nothing of {name} there; begin and end the trials where it was recorded"
            findings.append(Finding("coverage", "warning" if share > 0.01 else "note", message, remedy))
        holes, width = _holes(spikes, modality)
        if holes > 0.01:
            message = f"{name} is not known in {holes:.2g} of the bins of {1e3 * width:.3g} ms in the time it covers"
            remedy = (
                f"missing values, or samples that come in bursts: models see nothing of {name} there. Check the times "
                f"and the tracking, or fill short holes (TimeSeries missing='hold')"
            )
            findings.append(Finding("coverage", "serious" if holes > 0.5 else "warning", message, remedy))
    return findings or [f"every trial is covered by {', '.join(modalities.names)}"]


def _holes(spikes: SpikeTrains, modality: Modality) -> tuple[float, float]:
    """Share of bins without a value, between the first and the last bin of each trial with one, and their width."""
    width = fitting_width(spikes, 0.02)
    if not isinstance(modality, TimeSeries):
        return 0.0, width
    binned = spikes.bin(width)
    known = ~np.isnan(modality.on_bins(binned)).all(axis=1)
    trial = np.repeat(np.arange(len(spikes)), np.diff(binned.ptr))[known]
    first, last = np.flatnonzero(known)[np.searchsorted(trial, [np.unique(trial), np.unique(trial) + 1]) - [[0], [1]]]
    within = int((last + 1 - first).sum())
    return (1 - len(trial) / within if within else 0.0), width


def _known_span(modality: Modality) -> tuple[np.ndarray, np.ndarray]:
    """Time that what is known of each trial reaches over, two arrays (n_trials,) in seconds; NaN without anything."""
    if not isinstance(modality, TimeSeries):
        return modality.span
    known = ~np.isnan(modality.values).all(axis=1)
    first, last = np.full(len(modality), np.nan), np.full(len(modality), np.nan)
    for k, step in enumerate(modality.interval):
        stamps = modality.timestamps[modality.ptr[k] : modality.ptr[k + 1]]
        stamps = stamps[known[modality.ptr[k] : modality.ptr[k + 1]]]
        if len(stamps):
            first[k], last[k] = stamps[0] - step, np.inf if modality.missing == "hold" else stamps[-1] + step
    return first, last


def running_series(modalities: Modalities | None) -> tuple[str, TimeSeries] | None:
    for name, series in modalities.items() if modalities is not None else ():
        if any(word in name.lower() for word in _RUNNING) and isinstance(series, TimeSeries):
            return name, series
    return None


def running(spikes: SpikeTrains, name: str, series: TimeSeries) -> Judged:
    m = running_modulation(spikes, series)
    shared = f"{m['n_bins']} bins of {m['bin_width']:.3g} s"
    if m["n_bins"] < 10:
        return [Skipped(f"{name} and observed spikes share {shared}, too few to compare")]
    if not np.isfinite(m["correlation"]):
        return [Skipped(f"{name} or the population rate does not vary over the {shared} that they share")]
    text = (
        f"population rate against {name}: Spearman {m['correlation']:+.2f} over {shared}; "
        f"{m['rate_still']:.3g} Hz a unit when "
        f"slowest, {m['rate_running']:.3g} Hz when fastest"
    )
    if abs(m["correlation"]) < 0.2:
        return [text]
    return [
        Finding(
            "running",
            "note",
            text,
            f"give {name} to the model and to every baseline, or the state passes for coupling",
        )
    ]


def _trials(n: int) -> str:
    return "1 trial" if n == 1 else f"{n} trials"


def _count(units: pd.Index) -> str:
    return f"{len(units)} unit{'s' * (len(units) != 1)}"


def _names(items: Iterable[Any], most: int = 8) -> str:
    items = [str(i) for i in items]
    return ", ".join(items[:most]) + (f" and {len(items) - most} more" if len(items) > most else "")


def _span(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 600 else f"{seconds / 60:.1f} min"
