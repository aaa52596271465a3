"""Puts the results of the likelihood benchmarks into the page on scores: run it after they have written.

    python benchmarks/likelihood_tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` stand the numbers of ``likelihood.csv`` (pooled over
folds by `likelihood.summarise`), ``neuroformer_s1.csv``, ``baselines_s1.csv`` and ``likelihood_curves.csv``, all in
``results/``. A test compares the page with the files.
"""

from __future__ import annotations

import pathlib

from _machine import kept
from decoding_tables import MARKED, markdown
from likelihood import summarise

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "scores.md"


def number(value: float | None, digits: int = 3) -> str:
    """A rounded number, nothing where there is none."""
    return "" if value is None else f"{value:.{digits}f}"


def recordings() -> str:
    """A row for each recording and model, pooled over folds."""
    body = []
    for row in summarise(kept("likelihood")):
        best = row["model"] in row["best baseline"].split(" / ")
        gain = f"{row['to the best baseline']:+.3f} [{row['from']:.3f}, {row['to']:.3f}]"
        body.append([
            row["recording"], f"{row['model']}{' (best baseline)' if best else ''}", str(row["folds"]),
            *(number(row[name]) for name in ("pattern", "past", "rate", "co-smoothing", "train")),
            "" if best and row["folds"] == 1 else gain, f"{row['units better']:.0%}", f"{row['CPU s']:.0f}",
        ])  # fmt: skip
    head = ["recording", "model", "folds", "pattern", "past", "rate", "co-smoothing", "train", "to the best baseline",
            "units better", "CPU s"]  # fmt: skip
    return markdown(head, body)


def s1() -> str:
    """The split of the reference numbers, every seed."""
    body = []
    for row in [*kept("baselines_s1"), *kept("neuroformer_s1")]:
        gain = f"{float(row['to_gru']):+.4f} [{row['to_gru_low']}, {row['to_gru_high']}]" if row.get("to_gru") else ""
        interval = f"[{float(row['test_low']):.3f}, {float(row['test_high']):.3f}]"
        scores = [f"{float(row[name]):.4f}" for name in ("validation", "test")]
        body.append([row["model"], row["seed"], *scores, interval, gain, row["cpu_seconds"], row["date"]])
    head = ["model", "seed", "validation", "test", "interval", "to the GRU of this seed", "CPU s", "date"]
    return markdown(head, body)


def curves() -> str:
    """Every sweep, in the order of the file."""
    rows = kept("likelihood_curves")
    body = [
        [r["recording"], r["sweep"], r["value"], r["model"], r["seed of fit"], r["scored on"], r["score"], r["train"],
         r["training spikes"], r["units"], r["CPU s"]]
        for r in rows
    ]  # fmt: skip
    head = ["recording", "sweep", "value", "model", "seed", "scored on", "score", "train", "training spikes", "units",
            "CPU s"]  # fmt: skip
    return markdown(head, body)


TABLES = {"recordings": recordings, "s1": s1, "curves": curves}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
