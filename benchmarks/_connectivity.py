"""What the connectivity benchmarks share: the baselines of pairs of units, and the file that rows are added to."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Sequence

BASELINES = {
    "Pearson": {"method": "pearson"},
    "partial correlation": {"method": "partial_correlation"},
    "lagged correlation": {"method": "lagged_correlation"},
    "transfer entropy": {"method": "transfer_entropy"},
    "CCG": {"method": "ccg"},
    "GLM": {"method": "glm"},
}


def add_row(path: pathlib.Path, columns: Sequence[str], row: dict) -> None:
    """Add a row to a file of results, which is begun if it is not there."""
    path.parent.mkdir(exist_ok=True)
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        if new:
            writer.writeheader()
        writer.writerow(row)
