"""`skneuro check`: what is wrong with a recording."""

from __future__ import annotations

import shutil
import textwrap
import time

import numpy as np

from skneuro.cli.errors import as_command_error
from skneuro.cli.recordings import Loaded, load
from skneuro.cli.text_plots import count_of, text_histogram
from skneuro.data import SpikeTrains
from skneuro.inspection import QualityReport, check_recording

_MOST_UNITS = 10  # bars shown
_LABEL = {"serious": "SERIOUS", "warning": "warning", "note": "note"}


def run_check(source: str) -> int:
    """Check a recording, print what was found, and return the exit status.

    Parameters
    ----------
    source : str
        A file or the name of a data set.

    Returns
    -------
    status : int
        1 if something serious was found, else 0.

    Raises
    ------
    CommandError
        If there is no recording, or no spike in it.
    """
    start = time.perf_counter()
    recording = load(source)
    report = checked(recording)
    print("\n".join(describe(recording, report)), f"({time.perf_counter() - start:.1f} s)")
    return 1 if report.serious else 0


def checked(recording: Loaded) -> QualityReport:
    """Look for what would spoil a model.

    Parameters
    ----------
    recording : Loaded
        The recording.

    Returns
    -------
    report : QualityReport

    Raises
    ------
    CommandError
        If there is no spike.
    """
    with as_command_error(recording.name):
        return check_recording(
            recording.spikes, recording.modalities, sync_pulses=recording.sync_pulses, outside=recording.outside
        )


def describe(recording: Loaded, report: QualityReport) -> list[str]:
    """Write a report as lines of text.

    Parameters
    ----------
    recording : Loaded
        The recording.
    report : QualityReport
        What was found.

    Returns
    -------
    lines : list of str
        The serious findings first, the number of findings last.
    """
    spikes = recording.spikes
    lines = [
        f"{recording.name}: {count_of(spikes.shape[1], 'unit')}, {count_of(len(spikes), 'trial')}, "
        f"{spikes.duration.sum():.1f} s, {count_of(spikes.n_spikes, 'spike')}",
        "",
    ]
    for finding in report.findings:
        lines += _entry(_LABEL[finding.severity], f"{finding.check}: {finding.message}")
        lines += _entry("", f"-> {finding.remedy}")
    for name, text in report.passed.items():
        lines += _entry("ok", f"{name}: {text}")
    for name, why in report.skipped.items():
        lines += _entry("-", f"{name}: not checked, {why}")
    lost = [u for f in report.findings if f.check == "presence" for u in f.units]
    lines += ["", "spikes over the recorded time, from start to stop:"]
    lines += [f"{'all units':11s} {_over_time(spikes)}"]
    lines += [f"{f'unit {unit}':11s} {_over_time(spikes.select_units([unit]))}" for unit in lost[:_MOST_UNITS]]
    counts = {label: sum(f.severity == label for f in report.findings) for label in _LABEL}
    summary = (
        f"{counts['serious']} serious, {count_of(counts['warning'], 'warning')}, {count_of(counts['note'], 'note')}"
    )
    return [*lines, "", summary]


def _over_time(spikes: SpikeTrains, n_bars: int = 80) -> str:
    """Spikes in equal stretches of the recorded time, as bars; pauses between trials take no room."""
    before = np.cumsum(spikes.duration) - spikes.duration
    trial = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    at = spikes.times - spikes.t_start[trial] + before[trial]
    counts, _ = np.histogram(at, n_bars, (0.0, float(spikes.duration.sum())))
    return text_histogram(counts)


def _entry(label: str, text: str) -> list[str]:
    width = max(min(shutil.get_terminal_size((110, 24)).columns, 130), 60)
    return textwrap.wrap(text, width, initial_indent=f"{label:9s}", subsequent_indent=" " * 11)
