"""Puts the results of the likelihood benchmarks into the page on scores: run it after they have written.

    python benchmarks/likelihood_tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` stand the numbers of ``likelihood.csv`` (pooled over
folds by `likelihood.summarise`), ``neuroformer_s1.csv``, ``baselines_s1.csv``, ``likelihood_curves.csv`` and
``likelihood_variants.csv``, all in ``results/``. A test compares the page with the files.
"""

from __future__ import annotations

import pathlib
from collections.abc import Iterable

import numpy as np
from _machine import kept
from _recordings import LATE, RECORDINGS
from decoding_tables import MARKED, markdown
from likelihood import summarise

SCORED = ("validation", "test")
PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "scores.md"


def number(value: float | None, digits: int = 3) -> str:
    """A rounded number, nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def pooled(names: Iterable[str]) -> str:
    """A row for each of these recordings and each model that all its folds have."""
    rows = [row for row in summarise(kept("likelihood")) if row["recording"] in names]
    most: dict[str, int] = {}
    for row in rows:
        most[row["recording"]] = max(most.get(row["recording"], 0), row["folds"])
    body = []
    for row in rows:
        if row["folds"] < most[row["recording"]]:
            continue
        gain = f"{row['to the best baseline']:+.3f} [{row['from']:.3f}, {row['to']:.3f}]"
        low, high = row["over folds from"], row["over folds to"]
        is_best = row["model"] == row["best baseline"]
        body.append([
            row["recording"], row["model"], str(row["folds"]), number(row["pattern"]), number(row["worst fold"]),
            number(row["train"]), "" if is_best else gain,
            "" if is_best or low is None else f"[{low:.3f}, {high:.3f}]", f"{row['units better']:.0%}",
            f"{row['CPU s']:.0f}",
        ])  # fmt: skip
    head = ["recording", "model", "folds", "pattern", "worst fold", "train", "to the best baseline", "over folds",
            "units better", "CPU s"]  # fmt: skip
    return markdown(head, body)


def recordings() -> str:
    """Those that defaults were chosen by, on the validation groups of their folds."""
    return pooled([name for name in RECORDINGS if name not in LATE])


def late() -> str:
    """Those that were looked at late."""
    return pooled(LATE)


def parts() -> str:
    """Folds that were measured in full: what of the score is prediction, and what coupling is worth."""
    columns = ("pattern", "past", "rate", "co-smoothing")
    cells: dict[tuple[str, str], list[dict]] = {}
    for row in kept("likelihood"):
        if row["past"] not in ("", "None"):
            cells.setdefault((row["recording"], row["model"]), []).append(row)
    body = []
    for (recording, model), rows in cells.items():
        spikes = [float(row["test spikes"].replace(",", "")) for row in rows]
        means = [np.average([float(row[name]) for row in rows], weights=spikes) for name in columns]
        folds = " ".join(sorted(row["fold"] for row in rows))
        body.append([recording, model, folds, *map(number, means)])
    return markdown(["recording", "model", "folds", *columns], body)


def s1() -> str:
    """The split of the reference numbers, every seed."""
    body = []
    for row in [*kept("baselines_s1"), *kept("neuroformer_s1")]:
        gain = f"{float(row['to_gru']):+.4f} [{row['to_gru_low']}, {row['to_gru_high']}]" if row.get("to_gru") else ""
        interval = f"[{float(row['test_low']):.3f}, {float(row['test_high']):.3f}]"
        scores = [f"{float(row[name]):.4f}" for name in SCORED]
        body.append([row["model"], row["seed"], *scores, interval, gain, row["cpu_seconds"], row["date"]])
    head = ["model", "seed", "validation", "test", "interval", "to the GRU of this seed", "CPU s", "date"]
    return markdown(head, body)


def curves() -> str:
    """Every point of every sweep, in the order of the file: mean over the seeds, and their range."""
    name_of = ("recording", "sweep", "value", "model", "scored on", "units")
    points: dict[tuple, list[dict]] = {}
    for row in kept("likelihood_curves"):
        points.setdefault(tuple(row[k] for k in name_of), []).append(row)
    body = []
    for (recording, sweep, value, model, scored, units), rows in points.items():
        scores = [float(r["score"]) for r in rows]
        spread = f" [{min(scores):.3f}, {max(scores):.3f}]" if len(rows) > 1 else ""
        train, spikes, seconds = (
            np.mean([float(r[k].replace(",", "")) for r in rows]) for k in ("train", "training spikes", "CPU s")
        )
        body.append([
            recording, sweep, value, model, scored, str(len(rows)), f"{np.mean(scores):.3f}{spread}", number(train),
            f"{spikes:.0f}", units, f"{seconds:.0f}",
        ])  # fmt: skip
    head = ["recording", "sweep", "value", "model", "scored on", "seeds", "score", "train", "training spikes", "units",
            "CPU s"]  # fmt: skip
    return markdown(head, body)


def variants() -> str:
    """What was tried beside the defaults."""
    body = [
        [*(r[k] for k in ("recording", "data", "variant", "seed of fit")), *(number(float(r[k])) for k in SCORED)]
        for r in kept("likelihood_variants")
    ]
    return markdown(["recording", "data", "variant", "seed", *SCORED], body)


TABLES = {
    "recordings": recordings,
    "late": late,
    "parts": parts,
    "s1": s1,
    "curves": curves,
    "variants": variants,
}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
