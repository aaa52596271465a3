"""What the likelihood benchmarks promise: groups that are tested once, intervals that cover, a page like the files."""

import numpy as np
import pytest


def test_every_group_is_tested_once_and_never_validated_on_in_the_same_fold(script):
    groups_of = script("likelihood").groups_of
    folds = [groups_of(fold) for fold in range(5)]
    assert sorted(group for fold in folds for group in fold["test"]) == list(range(10))
    assert not any(set(fold["test"]) & set(fold["validation"]) for fold in folds)


def test_the_standard_error_of_a_sum_is_that_of_its_repeats(script):
    rng = np.random.default_rng(0)
    gains = rng.normal(0.2, 1.0, (4000, 50))
    found = [script("likelihood").paired(gain, 100) for gain in gains]
    difference, error = np.array(found).T
    assert difference.mean() == pytest.approx(0.2 * 50 / 100 / np.log(2), rel=0.02)
    assert error.mean() == pytest.approx(difference.std(), rel=0.05)


def test_folds_are_pooled_by_their_spikes(script):
    row = {
        "recording": "r", "model": "m", "past": "", "rate": "0.5", "co-smoothing": "", "train": "1", "CPU s": "3",
        "median of units": "0", "units better": "1", "best baseline": "b",
    }  # fmt: skip
    folds = [
        {**row, "pattern": "0.1", "to the best baseline": "0.02", "standard error": "0.03", "test spikes": "100"},
        {**row, "pattern": "0.4", "to the best baseline": "0.05", "standard error": "0.01", "test spikes": "300"},
    ]
    (pooled,) = script("likelihood").summarise(folds)
    assert pooled["pattern"] == pytest.approx(0.325) and pooled["past"] is None and pooled["folds"] == 2
    assert pooled["to the best baseline"] == pytest.approx(0.0425)
    assert pooled["to"] - pooled["from"] == pytest.approx(2 * 1.96 * np.hypot(0.25 * 0.03, 0.75 * 0.01))


def test_the_page_shows_the_result_files_as_they_are(script):
    tables = script("likelihood_tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run python benchmarks/likelihood_tables.py"
    assert {match["name"] for match in tables.MARKED.finditer(text)} == set(tables.TABLES)
