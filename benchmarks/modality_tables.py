"""Puts the results of ablation, alignment and behaviour as a loss into the page on modalities: run it after them.

    python benchmarks/modality_tables.py

Between the marks ``<!-- results: NAME -->`` and ``<!-- end -->`` stand means over seeds. A test compares the page with
the files.
"""

from __future__ import annotations

import pathlib

import numpy as np
from _machine import short
from ablation import STEPS, summary
from decoding_tables import MARKED, cell, markdown, rows_of

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "background" / "modalities.md"
COLUMNS = {
    "top1_neural_to_stimulus": "top-1, spikes to video", "top1_stimulus_to_neural": "top-1, video to spikes",
    "bits_per_spike": "bits per spike",
    "video_R2_5%": "video, 5 % of labels", "video_R2_20%": "20 %", "video_R2_100%": "100 %",
    "gain_R2_5%": "gain, 5 %", "gain_R2_20%": "20 % ", "gain_R2_100%": "100 % ",
}  # fmt: skip


def ablation() -> str:
    """One row a set and step, in the order of the steps."""
    table = summary(rows_of("ablation"))
    table.sort(key=lambda row: (row["set"], list(STEPS).index(row["step"])))
    body = []
    for row in table:
        number = f"{row['bits per spike']:.3f}" + (f" ± {row['sd']:.3f}" if row["seeds"] > 1 else "")
        added = "" if np.isnan(row["added"]) else f"{row['added']:+.3f}"
        added += f" ± {row['sd of added']:.3f}" if added and not np.isnan(row["sd of added"]) else ""
        body.append([row["set"], row["step"], number, added, row["relative"], str(row["seeds"])])
    return markdown(["set", "step", "bits per spike", "added", "relative", "seeds"], body)


def alignment() -> str:
    """One row a weight of the contrastive loss."""
    rows = rows_of("alignment")
    body = []
    for gamma in sorted({row["gamma"] for row in rows}, key=float):
        mine = [row for row in rows if row["gamma"] == gamma]
        found = [cell([float(row[key]) for row in mine if row[key]]) for key in COLUMNS]
        body.append([short(float(gamma)), *found])
    return markdown(["gamma", *COLUMNS.values()], body)


def told() -> str:
    """One row a recording, share of labels and weight of the loss."""
    rows = rows_of("behaviour_loss")
    body = []
    for key in dict.fromkeys((row["recording"], row["labels"], row["weight"]) for row in rows):
        mine = [row for row in rows if (row["recording"], row["labels"], row["weight"]) == key]
        body.append([*key, *(cell([float(row[name]) for row in mine]) for name in ("R2", "bits per spike"))])
    return markdown(["recording", "labels", "behaviour_weight", "R2", "bits per spike"], body)


TABLES = {"ablation": ablation, "alignment": alignment, "told": told}


def filled(text: str) -> str:
    """The page with all tables as the files have them."""
    return MARKED.sub(lambda match: f"{match[1]}{TABLES[match['name']]()}{match[4]}", text)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
