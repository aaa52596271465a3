"""The page shows the table of connectivity as it is, and the benchmark's own arithmetic is right."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmarks(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    names = ("_connectivity", "connectivity", "connectivity_stimulus", "connectivity_table")
    yield
    for name in names:
        sys.modules.pop(name, None)


def test_the_page_shows_the_measured_tables(benchmarks):
    import connectivity_table

    page = (ROOT / "docs" / "background" / "connectivity.md").read_text(encoding="utf-8")
    assert connectivity_table.filled(page) == page, "run python benchmarks/connectivity_table.py"
    for name in connectivity_table.tables():
        assert f"<!-- {name} -->" in page


def test_intervals_cover_what_they_are_of(benchmarks):
    from connectivity import intervals

    rng = np.random.default_rng(0)
    weights = (rng.random((12, 12)) < 0.3).astype(float)
    np.fill_diagonal(weights, np.nan)
    adjacency = 2 * weights + rng.standard_normal((12, 12))
    found = intervals(adjacency, weights, n_draws=100)
    assert 0.5 < found["auroc_low"] < found["auroc_high"] < 1
    assert found["auprc_low"] < found["auprc_high"]
    perfect = intervals(weights, weights, n_draws=20)
    assert perfect["auroc_low"] == perfect["auprc_high"] == 1.0


def test_false_edges_are_driven_pairs_among_the_strongest(benchmarks):
    from connectivity_stimulus import false_edges

    adjacency = np.array([[np.nan, 0.9, -0.8], [0.1, np.nan, 0.2], [0.0, 0.3, np.nan]])
    driven = np.zeros((3, 3), dtype=bool)
    driven[0, 2] = driven[1, 0] = True
    assert false_edges(adjacency, driven, 2) == 1
    assert false_edges(adjacency, driven, 1) == 0
