"""What the decoding benchmarks promise: shares of labels, baselines that find what is there, a page like the files."""

import numpy as np
import pytest
from scipy.signal import lfilter
from sklearn.metrics import r2_score
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


def test_a_trials_direction_is_the_one_under_which_its_events_are_likeliest(script):
    v1 = script("decoding_v1")
    events = SpikeTrains.from_counts(np.ones((8, 48, 1), dtype=int), v1.FRAME, t_start=-0.9375)
    truth = v1.gratings(v1.DIRECTIONS, events)["grating"]

    class Knowing:
        """A model to which a trial is the less likely the more another grating differs from the one it saw."""

        def score_samples(self, X, y):
            away = (y["grating"].values - truth.values) ** 2
            return -away.reshape(len(X), -1).sum(1)

    found = v1.log_likelihoods(Knowing(), events)
    assert v1.DIRECTIONS[found.argmax(1)].tolist() == v1.DIRECTIONS.tolist()
    assert (np.sort(found, axis=1)[:, -2] < -1).all()  # the harmonics tell every two directions apart
    assert v1.summed(events).tolist() == [[33]] * 8  # two seconds of grating, and its first frame


def test_parts_of_the_speed_score_are_one_r2_of_all_left_out_frames(script):
    """Also where a whole block has no speed, and so no R2 of its own."""
    v1 = script("decoding_v1")
    rng = np.random.default_rng(0)
    traces = lfilter([1.0], [1.0, -0.7], rng.standard_normal((16, 49, 2)), axis=1)
    dff = TimeSeries.from_lists(list(traces), rate=16.0)
    speed = TimeSeries.from_lists(list(rng.random((16, 49)) * (np.arange(16) >= 4)[:, None]), rate=16.0)
    folds = v1.SpeedFolds(Bunch(modalities={"dff": dff}))
    scores = folds.scores(speed, folds.of_mean)
    truth = speed.values.reshape(16, 49)[:, 1:]
    expected = np.concatenate([np.full(truth[test].shape, truth[train].mean()) for train, test in folds.rows])
    assert np.mean(scores) == pytest.approx(r2_score(truth.ravel(), expected.ravel()))
    assert len(scores) == v1.N_FOLDS
    assert np.isfinite(scores).all()


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


def test_paired_differences_are_of_the_same_folds(script, monkeypatch):
    tables = script("decoding_tables")
    scores = [("a", "Neuroformer, x", (0.4, 0.6)), ("a", "Neuroformer, x", (0.6, 0.8)), ("a", "ridge", (0.3, 0.7)),
              ("b", "Neuroformer, x", (0.5, 0.5)), ("b", "ridge", (0.4, 0.5))]  # fmt: skip
    rows = [
        {"task": "speed", "session": session, "decoder": name, "fold_1": str(one), "fold_2": str(two)}
        for session, name, (one, two) in scores
    ]
    monkeypatch.setattr(tables, "rows_of", lambda name: rows)
    assert "| speed | Neuroformer, x | ridge | +0.075 ± 0.048 | +0.100, +0.050 |" in tables.v1_paired()
