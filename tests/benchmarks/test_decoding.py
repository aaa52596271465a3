"""What the decoding benchmarks promise: shares of labels, baselines that find what is there, a page like the files."""

import numpy as np
import pytest
from sklearn.utils import Bunch

from skneuro import SpikeTrains, TimeSeries


def test_rows_are_those_of_the_decoder_on_the_blocks(script, monkeypatch):
    """One row of the benchmark by hand: trained on training blocks, scored on the others."""
    decoding = script("decoding")
    monkeypatch.setattr(decoding, "provenance", lambda *_: dict.fromkeys(("settings", "date", "versions", "machine")))
    rng = np.random.default_rng(0)
    counts = rng.poisson(3.0, (20, 30, 3))
    series = TimeSeries.from_lists(list(counts[:, :, :2].astype(float)), rate=20.0)
    data = Bunch(spikes=SpikeTrains.from_counts(counts, 0.05), modalities={"hand_velocity": series})
    masks = {name: np.arange(20) % 4 == k for k, name in enumerate(("train", "validation", "test"))}
    row = decoding.run(data, masks, "velocity", "ridge", "causal", 1.0, 0, None)
    by_hand = decoding.OnCounts("ridge", decoding.INPUTS["causal"]).fit(data.spikes[masks["train"]], series[::4])
    assert row["validation_R2"] == pytest.approx(by_hand.score(data.spikes[1::4], series[1::4]), abs=1e-4)
    assert row["test_R2"] == pytest.approx(by_hand.score(data.spikes[2::4], series[2::4]), abs=1e-4)
    assert row["labelled_seconds"] == round(5 * 1.5)


def test_lagged_counts_do_not_cross_trials(script):
    found = script("_decoders").lagged(np.arange(1.0, 7)[:, None], np.array([0, 4, 6]), range(-1, 2))
    assert found[:, :, 0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0], [0, 5, 6], [5, 6, 0]]


@pytest.mark.parametrize("name", ["Ridge", "Boosting", "MLP", "GRU"])
def test_every_baseline_reads_what_the_counts_of_two_bins_say(script, name):
    rng = np.random.default_rng(0)
    n_bins = 6000 if name == "MLP" else 500
    counts = rng.poisson(3.0, (n_bins, 3)).astype(float)
    ptr = np.arange(0, n_bins + 1, 20)
    values = 7 + np.c_[counts[:, 0], np.roll(counts[:, 1], 1)]
    values[ptr[:-1], 1] = 7
    decoder = getattr(script("_decoders"), name)(range(-1, 1)).fit(counts[:-100], ptr[:-5], values[:-100])
    found = decoder.predict(counts[-100:], ptr[-6:] - ptr[-6])
    error = ((found - values[-100:]) ** 2).mean() / values[-100:].var()
    assert error < 0.5


def test_the_page_shows_the_result_files_as_they_are(script):
    tables = script("decoding_tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run python benchmarks/decoding_tables.py"
    assert {match["name"] for match in tables.MARKED.finditer(text)} == set(tables.TABLES)


def test_means_over_seeds_are_those_of_the_rows(script, monkeypatch):
    tables = script("decoding_tables")
    rows = [
        {"task": "few-shot", "decoder": "ridge", "input": "causal", "labels": "5%", "test_R2": value}
        for value in ("0.5", "0.7")
    ]
    monkeypatch.setattr(tables, "rows_of", lambda name: rows)
    assert "| ridge |  | 0.600 ± 0.141 (2) |  |  |  |" in tables.few_shot()
