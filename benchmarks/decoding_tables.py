"""Puts the results of the decoding benchmarks into the page on decoding: run it after they have written.

    python benchmarks/decoding_tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` stand means over seeds, with their standard deviation
and number. A test compares the page with the files.
"""

from __future__ import annotations

import csv
import pathlib
import re

import numpy as np
from _machine import RESULTS

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "decoding.md"
MARKED = re.compile(r"(<!-- results: (?P<name>[\w-]+) -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)
ORDER = ("ridge", "gradient boosting", "MLP", "GRU", "scratch", "frozen", "finetune")
NAMES = {
    "scratch": "Neuroformer, from scratch", "frozen": "Neuroformer, frozen", "finetune": "Neuroformer, fine-tuned",
}  # fmt: skip
FULL = (("velocity", "causal"), ("position", "causal"), ("velocity", "both sides"))
LABELS = ("1%", "5%", "10%", "20%")


def rows_of(name: str) -> list[dict[str, str]]:
    """Rows of a result file."""
    path = RESULTS / f"{name}.csv"
    return list(csv.DictReader(path.open())) if path.exists() else []


def cell(values: list[float]) -> str:
    """Mean, standard deviation and number of some scores."""
    if not values:
        return ""
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread} ({len(values)})"


def markdown(head: list[str], body: list[list[str]]) -> str:
    """A table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in body)]) + "\n"


def scores(rows: list[dict[str, str]], **known: str) -> list[float]:
    """Test scores of the rows with these values."""
    return [float(row["test_R2"]) for row in rows if all(row[key] == value for key, value in known.items())]


def full() -> str:
    """All labels: one column a task."""
    rows = rows_of("decoding")
    body = []
    for name in ORDER:
        cells = [cell(scores(rows, task=task, input=side, labels="100%", decoder=name)) for task, side in FULL]
        if any(cells):
            body.append([NAMES.get(name, name), *cells])
    return markdown(["decoder", *(f"{task}, {side}" for task, side in FULL)], body)


def few_shot() -> str:
    """Velocity from few labels and from all: one column a share."""
    rows = rows_of("decoding")
    body = []
    for name in ORDER:
        cells = [cell(scores(rows, task="few-shot", labels=share, decoder=name)) for share in LABELS]
        if any(cells):
            everything = cell(scores(rows, task="velocity", input="causal", labels="100%", decoder=name))
            body.append([NAMES.get(name, name), *cells, everything])
    return markdown(["decoder", *LABELS, "100%"], body)


def v1() -> str:
    """One row a task and session."""
    columns = {
        "task": "task", "session": "session", "metric": "score", "neuroformer": "Neuroformer, frozen",
        "baseline": "linear baseline", "null": "null: labels moved", "share_as_good": "as good by chance",
        "other_session": "null: labels of another session",
    }  # fmt: skip
    return markdown(list(columns.values()), [[row[key] for key in columns] for row in rows_of("decoding_v1")])


def track() -> str:
    """Mean of the folds for each seed, and the worst fold, its mean over seeds."""
    rows = rows_of("decoding_track")
    body = []
    for name in dict.fromkeys(row["decoder"] for row in rows):
        own = [row for row in rows if row["decoder"] == name]
        seeds, folds = (sorted({row[key] for row in own}) for key in ("seed of fit", "fold"))
        found = np.array([[float(r["R2"]) for f in folds for r in own if (r["seed of fit"], r["fold"]) == (s, f)]
                          for s in seeds])  # fmt: skip
        body.append([name, cell(found.mean(1).tolist()), f"{found.mean(0).min():.3f}"])
    return markdown(["decoder", "R2", "worst fold"], body)


TABLES = {"full": full, "few-shot": few_shot, "track": track, "v1": v1}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
