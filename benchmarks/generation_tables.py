"""Puts what `generation.py`, `unit_refit.py` and `stimulus_maps.py` have written into the page on generation.

    python benchmarks/generation_tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` stand means over seeds, and how many there are. A test
compares the page with the files.
"""

from __future__ import annotations

import csv
import pathlib
import re
from collections.abc import Callable

import numpy as np
from _machine import RESULTS

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "generation.md"
MARKED = re.compile(r"(<!-- results: (?P<name>[\w-]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)
RESPONSE = ("psth_correlation", "noise_correlation", "sampled_bits_per_spike")
CLASSIFIER = "two_sample_accuracy"
SHORT = "short_isi_share_difference"  # says nothing at the bins of these cases, which are all above 3 ms: not counted
WITHIN = 1.5  # times the floor: the number to reach


def rows_of(name: str, **known: str) -> list[dict[str, str]]:
    """Rows of a result file with these values."""
    path = RESULTS / f"{name}.csv"
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    return [row for row in rows if all(row[key] == value for key, value in known.items())]


def distinct(rows: list[dict[str, str]], column: str) -> list[str]:
    """Values of a column, in the order of the rows."""
    return list(dict.fromkeys(row[column] for row in rows))


def number(text: str) -> float:
    """A number of a result file; NaN where there is none."""
    return float(text.replace(",", "")) if text else float("nan")


def mean(rows: list[dict[str, str]], column: str = "value") -> float:
    """Mean over the rows that have a number; NaN where none has."""
    values = [number(row[column]) for row in rows]
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def shown(value: float, digits: int = 3) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}f}"


def markdown(head: list[str], body: list[list[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)]) + "\n"


def reached(case: str) -> str:
    """The numbers to reach, one row a model."""
    rows = rows_of("generation", case=case)
    if not rows:
        return "Not measured.\n"
    body = []
    for source in distinct(rows, "source"):
        mine = [row for row in rows if row["source"] == source]
        psth, noise, bits, rates, fano, accuracy = (
            [row for row in mine if row["metric"] == metric]
            for metric in (*RESPONSE, "rate_rmse", "fano_rmse", CLASSIFIER)
        )
        realism = [row for row in mine if row["metric"] not in (*RESPONSE, CLASSIFIER, SHORT)]
        realism = [row for row in realism if np.isfinite(number(row["value"])) and number(row["floor"]) > 0]
        within = [number(row["value"]) <= WITHIN * number(row["floor"]) for row in realism]
        seeds = len(distinct(mine, "seed"))
        body.append(
            [
                source,
                *(shown(mean(part) / mean(part, "ceiling"), 2) if part else "" for part in (psth, noise)),
                shown(mean(bits)),
                f"{sum(within) / seeds:.3g} of {len(within) / seeds:.3g}",
                f"{100 * (mean(rates, 'sampled') / mean(rates, 'recorded') - 1):+.1f} %",
                f"{mean(fano, 'sampled'):.2f} ({mean(fano, 'recorded'):.2f})",
                f"{shown(mean(accuracy), 2)} ({shown(mean(accuracy, 'floor'), 2)})",
                str(seeds),
            ]
        )
    head = [
        "model", "PSTH correlation / ceiling", "noise correlation / ceiling", "sampled bits per spike",
        f"realism within {WITHIN:g} x floor", "rate", "Fano (recorded)", "classifier (floor)", "seeds",
    ]  # fmt: skip
    return markdown(head, body)


def realism(case: str) -> str:
    """Distances from the recording over its own floor, one row a metric and one column a model."""
    rows = [row for row in rows_of("generation", case=case) if row["metric"] not in (*RESPONSE, CLASSIFIER)]
    rows = [row for row in rows if np.isfinite(number(row["value"])) and number(row["floor"]) > 0]
    if not rows:
        return "Not measured.\n"
    sources = distinct(rows, "source")
    body = []
    for metric in distinct(rows, "metric"):
        of = [[row for row in rows if row["metric"] == metric and row["source"] == source] for source in sources]
        body.append([metric.replace("_", " "), *(shown(mean(part) / mean(part, "floor"), 2) for part in of)])
    return markdown(["over the floor", *sources], body)


def hub() -> str:
    """Predicted against true changes of rates."""
    rows = rows_of("generation", case="hub")
    if not rows:
        return "Not measured.\n"
    metrics, body = distinct(rows, "metric"), []
    for source in distinct(rows, "source"):
        mine = [row for row in rows if row["source"] == source]
        cells = [shown(mean([row for row in mine if row["metric"] == metric]), 2) for metric in metrics]
        body.append([source, *cells, str(len(distinct(mine, "seed")))])
    return markdown(["model", *metrics, "seeds"], body)


def unit_refit() -> str:
    """As training left the units, and fitted once more: means over folds."""
    rows = rows_of("unit_refit")
    if not rows:
        return "Not measured.\n"
    columns = {"validation": 3, "test": 3, "Fano recorded": 2, "Fano": 2, "Fano rmse": 3}
    body = []
    for recording in distinct(rows, "recording"):
        for units in distinct(rows, "units"):
            mine = [row for row in rows if row["recording"] == recording and row["units"] == units]
            numbers = [shown(mean(mine, column), digits) for column, digits in columns.items()]
            rate = f"{100 * (mean(mine, 'rate') - 1):+.1f} %"
            body.append([recording, units, str(len(mine)), *numbers[:2], rate, *numbers[2:]])
    head = ["recording", "units", "folds", "validation", "test", "rate", "Fano recorded", "Fano", "Fano, RMSE"]
    return markdown(head, body)


def maps() -> str:
    """Localisation and correlation with the planted fields."""
    rows = rows_of("stimulus_maps")
    if not rows:
        return "Not measured.\n"
    body = []
    for model in distinct(rows, "model"):
        for method in distinct([row for row in rows if row["model"] == model], "method"):
            mine = [row for row in rows if row["model"] == model and row["method"] == method]
            scores = [shown(mean(mine, column), 2) for column in ("localised", "space", "field")]
            body.append([model, method.replace("_", " "), *scores, str(len(mine))])
    head = ["model", "map", "localised", "correlation in space", "correlation with sign", "seeds"]
    return markdown(head, body)


TABLES: dict[str, Callable[[], str]] = {
    "stimulus-maps": maps,
    "hub": hub,
    "unit-refit": unit_refit,
    **{f"reached-{case}": lambda case=case: reached(case) for case in ("video", "V1", "S1")},
    **{f"realism-{case}": lambda case=case: realism(case) for case in ("video", "V1", "S1")},
}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
