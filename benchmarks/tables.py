"""Puts the result files into the documentation, as they are: run it after a benchmark has written.

    python benchmarks/tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` of the page on speed stands ``results/NAME.csv`` as a
table, and below it where its rows come from. A test compares the page with the files.
"""

from __future__ import annotations

import csv
import pathlib
import re

from _machine import RESULTS

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "speed.md"
ORIGIN = ("settings", "seed", "date", "machine", "versions")
MARKED = re.compile(r"(<!-- results: (?P<name>\w+)(?: (?P<only>[^>]*?))? -->\n)(?P<table>.*?)(<!-- end -->)", re.DOTALL)


def table(rows: list[dict[str, str]]) -> str:
    """Markdown of some rows, and their origin; columns that are empty in all of them are left out."""
    columns = [c for c in rows[0] if c not in ORIGIN and any(row[c] for row in rows)]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row[c] for c in columns) + " |" for row in rows]
    lines.append("")
    for column in ORIGIN:
        values = dict.fromkeys(without_load(row[column]) for row in rows)
        lines.append(f"{column.capitalize()}: {'; '.join(values)}.  ")
    return "\n".join(lines) + "\n"


def without_load(value: str) -> str:
    """The machine's load differs from row to row; the file keeps it."""
    return re.sub(r", load [\d.]+$", "", value)


def filled(text: str) -> str:
    """The page with all tables as the files have them."""

    def one(match: re.Match) -> str:
        path = RESULTS / f"{match['name']}.csv"
        rows = list(csv.DictReader(path.open())) if path.exists() else []
        if match["only"]:
            rows = [row for row in rows if row["sweep"] == match["only"]]
        body = table(rows) if rows else "Not measured.\n"
        return f"{match[1]}{body}{match[5]}"

    return MARKED.sub(one, text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
