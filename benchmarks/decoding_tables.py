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
    """One row a task, session and decoder: mean over seeds, spread over folds, nulls."""
    rows = rows_of("decoding_v1")
    body = []
    for task, session, name in dict.fromkeys((row["task"], row["session"], row["decoder"]) for row in rows):
        own = [row for row in rows if (row["task"], row["session"], row["decoder"]) == (task, session, name)]
        chance = []
        for key, of_seeds in (("null", np.mean), ("as_good", max), ("other_session", np.mean)):
            known = [float(row[key]) for row in own if row[key]]
            chance.append(f"{of_seeds(known):.3f}" if known else "")
        # A fold's part of a common R2 says how much the animal ran in it.
        spread = f"{by_fold(rows, task, session, name).std(ddof=1):.3f}" if task == "direction" else ""
        body.append([task, session, name, cell([float(row["score"]) for row in own]), spread, *chance])
    head = ["task", "session", "decoder", "score", "SD over folds", "null", "as good by chance", "another session"]
    return markdown(head, sorted(body, key=lambda row: row[:2]))


def by_fold(rows: list[dict[str, str]], task: str, session: str, name: str) -> np.ndarray:
    """Scores of a decoder in each fold of a session, the mean over seeds."""
    own = [row for row in rows if (row["task"], row["session"], row["decoder"]) == (task, session, name)]
    return np.mean([[float(row[key]) for key in row if key.startswith("fold_")] for row in own], axis=0)


def v1_paired() -> str:
    """Neuroformers less baselines in the same folds: mean and standard error over folds, and sessions above."""
    rows = rows_of("decoding_v1")
    sessions = list(dict.fromkeys(row["session"] for row in rows))
    body = []
    for task in dict.fromkeys(row["task"] for row in rows):
        names = list(dict.fromkeys(row["decoder"] for row in rows if row["task"] == task))
        for name in (name for name in names if name.startswith("Neuroformer")):
            for other in (other for other in names if not other.startswith("Neuroformer") and "threshold" not in other):
                difference = np.array([by_fold(rows, task, s, name) - by_fold(rows, task, s, other) for s in sessions])
                error = difference.std(ddof=1) / np.sqrt(difference.size)
                above = ", ".join(f"{value:+.3f}" for value in difference.mean(1))
                body.append([task, name, other, f"{difference.mean():+.3f} ± {error:.3f}", above])
    return markdown(["task", "decoder", "less", "difference ± standard error", ", ".join(sessions)], body)


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


TABLES = {"full": full, "few-shot": few_shot, "track": track, "v1": v1, "v1-paired": v1_paired}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
