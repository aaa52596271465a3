"""`skneuro demo`: from a recording to a fitted model, an honest comparison and simulated trials."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from skneuro.cli.check import checked
from skneuro.cli.comparison import Held, Score, held_out, score_cells, table, verdict, with_error
from skneuro.cli.errors import CommandError, as_command_error
from skneuro.cli.events import Alignment
from skneuro.cli.figures import most_modulated
from skneuro.cli.models import MODEL, Plan, make_plan
from skneuro.cli.recordings import Loaded, load
from skneuro.cli.simulation import align_to_starts, choose_alignment, judge, n_usable, pieces, simulate
from skneuro.cli.split import Split, split_recording
from skneuro.cli.text_plots import count_of, text_histogram, text_raster
from skneuro.cli.training import Background, Fitted, fit_and_score, one_thread, watch
from skneuro.cli.write import Result, write_report
from skneuro.data import SpikeTrains
from skneuro.inspection import QualityReport, aligned_counts
from skneuro.metrics._responses import mean_over


def run_demo(
    source: str,
    *,
    quick: bool = False,
    output: str = "skneuro-demo",
    seed: int = 0,
    bin_width: float | None = None,
    plan: Plan | None = None,
) -> int:
    """Run the demonstration and return the exit status.

    Parameters
    ----------
    source : str
        Name of a data set, or a file.
    quick : bool, default=False
        About a minute instead of about five.
    output : str, default="skneuro-demo"
        Folder for the report, the model and the scores; made where it does not exist.
    seed : int, default=0
        Of the simulation, the fits and the draws.
    bin_width : float, default=None
        In seconds; by default what suits the data.
    plan : Plan, default=None
        Which models to fit; by default those of `make_plan`.

    Returns
    -------
    status : int
        0.

    Raises
    ------
    CommandError
        If the input is not usable.
    """
    start = time.perf_counter()
    if not 0 <= seed < 2**32:
        raise CommandError(f"--seed must lie between 0 and {2**32 - 1}, got {seed}")
    recording = load(source, seed=seed, quick=quick)
    report = checked(recording)
    _stop_at_a_wrong_unit_of_time(recording, report)
    split = split_recording(recording)
    bin_width = _checked_bin_width(recording, split, bin_width)
    folder = _output_folder(output)
    held = held_out(split.train.spikes, split.test.spikes, bin_width)
    shown = pieces(split.test, most=20 if quick else 40, n_steps=1500 if quick else 4000)
    alignment = choose_alignment(recording, shown, bin_width)
    _introduce(recording, split, bin_width, report)
    _draw(shown.spikes, alignment)

    plan = plan or make_plan(recording, bin_width, quick=quick, seed=seed)
    fitted = _fit_all(plan, split, held)
    scores = {name: score_cells(name, f.test, held, f.seconds) for name, f in fitted.items()}
    best = _best_baseline(fitted, split, bin_width)
    sentence = verdict(scores[MODEL], scores[best], held)
    summary = table(list(scores.values()), scores[best])
    print("\nHeld-out bits per spike, one step ahead, every model on the same bins:")
    _print_table(summary)
    print(f"\n{sentence}\n")

    with one_thread():
        simulated = simulate(fitted[MODEL].estimator, shown, seed)
        others = {name: fitted[name].estimator for name in fitted if name in (best, "Poisson GLM")}
        judged = judge(fitted[MODEL].estimator, others, shown, split.train, recording.repeats, seed)
    if n_usable(simulated, alignment) < 2:
        alignment = align_to_starts(shown.spikes, bin_width)
    result = Result(
        recording,
        split,
        bin_width,
        fitted,
        scores,
        best,
        sentence,
        summary,
        shown.spikes,
        simulated,
        alignment,
        judged,
    )
    for path, what in write_report(result, folder, seconds=time.perf_counter() - start):
        print(f"{what}: {path}")
    return 0


def _output_folder(output: str) -> Path:
    """Make it now: minutes of training must not end at a folder that cannot be written to."""
    folder = Path(output)
    if folder.is_file():
        raise CommandError(f"--output {output}: is a file; name a folder")
    with as_command_error(f"--output {output}"):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise CommandError(f"--output {output}: this folder cannot be written to; name another")
    return folder


def _checked_bin_width(recording: Loaded, split: Split, bin_width: float | None) -> float:
    if bin_width is None:
        bin_width = recording.bin_width or 0.02
    longest = float(split.train.spikes.duration.max())
    if not 1e-4 <= bin_width <= longest / 10:
        raise CommandError(
            f"--bin-width must lie between 0.0001 s and a tenth of the longest trial ({longest / 10:.3g} s), got "
            f"{bin_width:g} s"
        )
    with as_command_error(f"--bin-width {bin_width:g}"):
        split.test.spikes.bin(bin_width)
    return bin_width


def _stop_at_a_wrong_unit_of_time(recording: Loaded, report: QualityReport) -> None:
    """No number of a model means anything then."""
    for finding in report.findings:
        if finding.check == "time unit" and finding.severity == "serious":
            raise CommandError(f"{recording.name}: {finding.message}; {finding.remedy}")


def _introduce(recording: Loaded, split: Split, bin_width: float, report: QualityReport) -> None:
    spikes = recording.spikes
    print(f"{recording.name}. {recording.description}")
    print(
        f"{count_of(spikes.shape[1], 'unit')}, {count_of(len(spikes), 'trial')}, {spikes.duration.sum():.0f} s, "
        f"{spikes.n_spikes} spikes, bins of {1e3 * bin_width:.4g} ms. {split.description}"
    )
    for finding in report.findings:
        if finding.severity == "serious":
            print(f"SERIOUS {finding.check}: {finding.message}")


def _draw(spikes: SpikeTrains, alignment: Alignment) -> None:
    trial = int(np.argmax(spikes.duration))
    print(f"\nHeld-out spikes, {spikes.duration[trial]:.1f} s from left to right, a row of dots for each unit:")
    print(text_raster(spikes, trial))
    settings: dict[str, Any] = {"window": alignment.window, "bin_width": alignment.bin_width}
    events = alignment.events(spikes)
    units = most_modulated(spikes, events, n_units=6, **settings)
    _, counts = aligned_counts(spikes.select_units(units), events, **settings)
    rates = np.nan_to_num(mean_over(counts)) / alignment.bin_width
    print(
        f"\nMean rates around {len(counts)} events ({alignment.name}), {alignment.window[0]:g} to "
        f"{alignment.window[1]:g} s, the units that vary most:"
    )
    for unit, rate in zip(units, rates, strict=True):
        print(f"  unit {unit!s:6s} {text_histogram(rate)}  up to {rate.max():.0f} Hz")


def _fit_all(plan: Plan, split: Split, held: Held) -> dict[str, Fitted]:
    """Fit the slow models in processes of their own, and the quick ones here meanwhile."""
    fitted: dict[str, Fitted] = {}
    *others, last = plan.slow or [""]
    with tempfile.TemporaryDirectory() as logs:
        background = Background(Path(logs), n_processes=2)
        try:
            if last:
                background.submit(last, plan.slow[last], split)
                print(f"\nThe {last} is training. Meanwhile, held-out bits per spike:", flush=True)
            for name, estimator in plan.quick.items():
                fitted[name] = fit_and_score(name, estimator, split)
                _print_score(score_cells(name, fitted[name].test, held, fitted[name].seconds))
            for name in others:  # only now: two cores are enough for the longest fit and the quick ones
                background.submit(name, plan.slow[name], split)
            watch(background)
            fitted |= {name: background.result(name) for name in plan.slow}
        finally:
            background.close()
    return fitted


def _print_score(s: Score) -> None:
    print(f"  {s.name:30s} {with_error(s.pooled, s.error):>15s}   ({s.seconds:.1f} s to fit)", flush=True)


def _best_baseline(fitted: dict[str, Fitted], split: Split, bin_width: float) -> str:
    """The baseline that is best on the validation part: chosen on the test part it would flatter itself."""
    held = held_out(split.train.spikes, split.validation.spikes, bin_width)
    validation = {name: score_cells(name, f.validation, held).pooled for name, f in fitted.items() if name != MODEL}
    return max(validation, key=validation.__getitem__)


def _print_table(summary: pd.DataFrame) -> None:
    """The table of the report; differences are to the best baseline, of which there is none in its own row."""
    print(f"  {'':30s} {'all units':>15s} {'median difference':>19s} {'units improved':>15s}")
    for name, row in summary.iterrows():
        known = np.isfinite(row["median_difference"])
        compared = f"{row['median_difference']:+19.3f} {row['units_improved']:15.0%}" if known else "best baseline"
        print(f"  {name!s:30s} {with_error(row['bits_per_spike'], row['error']):>15s} {compared:>19s}")
