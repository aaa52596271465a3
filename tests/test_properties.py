"""Properties that hold for any data: invariance to batching, order and labels, masks, and agreement of forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skneuro import NeuroformerEstimator
from skneuro.data import SpikeTrains, TimeSeries
from skneuro.nn.windows import window_tokens
from skneuro.preprocessing import SpikeTokenizer

BIN_WIDTH = 0.05
CLOSE = {"rtol": 0, "atol": 1e-9}
HEADS = ("hazard", "chained", "independent")


def estimator(head, **changes):
    parameters = {
        "bin_width": BIN_WIDTH, "window_bins": 3, "recent_context": 0.1, "context": 0.3, "coupling_lag": 0.1,
        "stimulus_context": 0.2, "d_model": 8, "n_heads": 2, "max_epochs": 2, "gamma": 0.0, "mu": 0.5, "head": head,
        "learning_rate": 0.02, "early_stopping": False, "random_state": 0, "precision": "float64", "device": "cpu",
    }  # fmt: skip
    return NeuroformerEstimator(**{**parameters, **changes})


def recording_of(counts, seed=0):
    rng = np.random.default_rng(seed)
    spikes = SpikeTrains.from_counts(counts, BIN_WIDTH, unit_ids=[5, 3, 9])
    speed = TimeSeries.from_lists([rng.standard_normal((max(len(c), 1), 1)) for c in counts], rate=1 / BIN_WIDTH)
    return spikes, speed


@pytest.fixture(scope="module", params=HEADS)
def model(request):
    rng = np.random.default_rng(0)
    spikes, speed = recording_of([rng.poisson(0.5, (25, 3)) for _ in range(8)])
    return estimator(request.param).fit(spikes, speed)


trials = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 10**6)), min_size=2, max_size=5).map(
    lambda shapes: [np.random.default_rng(seed).poisson(0.6, (n, 3)) for n, seed in shapes]
)


@settings(max_examples=8, deadline=None)
@given(counts=trials, data=st.data())
def test_a_trial_scores_the_same_in_any_company(model, counts, data):
    spikes, speed = recording_of(counts)
    rows = model.score_samples(spikes, speed)
    order = np.array(data.draw(st.permutations(range(len(counts)))))[: data.draw(st.integers(1, len(counts)))]
    np.testing.assert_allclose(model.score_samples(spikes[order], speed[order]), rows[order], **CLOSE)
    predicted = model.predict(spikes, speed, n_samples=2)
    again = model.predict(spikes[order], speed[order], n_samples=2)
    for row, trial in zip(again, order, strict=True):
        np.testing.assert_allclose(row, predicted[trial], **CLOSE)
    np.testing.assert_allclose(
        model.transform(spikes[order], speed[order]), model.transform(spikes, speed)[order], **CLOSE
    )


@settings(max_examples=8, deadline=None)
@given(counts=trials, t_start=st.floats(-1e4, 1e4))
def test_only_time_since_the_start_of_a_trial_matters(model, counts, t_start):
    counts = [trial for trial in counts if len(trial)] or [np.ones((4, 3), dtype=int)]
    spikes, speed = recording_of(counts)
    t_start = round(t_start, 2)
    moved = SpikeTrains.from_counts(counts, BIN_WIDTH, t_start=t_start, unit_ids=[5, 3, 9])
    later = TimeSeries(speed.values, speed.timestamps + t_start, speed.ptr)
    np.testing.assert_allclose(model.score_samples(moved, later), model.score_samples(spikes, speed), **CLOSE)


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6), gap=st.tuples(st.integers(0, 28), st.integers(1, 12)))
def test_a_gap_hides_its_spikes_from_everything(model, seed, gap):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.6, (30, 3))
    start, stop = gap[0], min(gap[0] + gap[1], 30)
    seen = np.array([[0, start], [stop, 30]]) * BIN_WIDTH
    seen = seen[seen[:, 1] > seen[:, 0]]
    counts[start:stop] = 0
    whole = SpikeTrains.from_counts([counts], BIN_WIDTH, unit_ids=[5, 3, 9])
    masked = SpikeTrains(
        whole.times, whole.units, whole.ptr, whole.t_start, whole.t_stop, unit_ids=[5, 3, 9], observed=seen,
        resolution=BIN_WIDTH,
    )  # fmt: skip
    speed = TimeSeries(rng.standard_normal((30, 1)), np.arange(30) * BIN_WIDTH, [0, 30])
    inside = model._cell_log_likelihood(model._read(masked, speed, reset=False))
    outside = model._cell_log_likelihood(model._read(whole, speed, reset=False))
    assert (inside[start:stop] == 0).all()
    before = start // 3 * 3
    np.testing.assert_allclose(inside[:before], outside[:before], **CLOSE)
    assert model.score_samples(masked, speed)[0] == pytest.approx(inside.sum(), abs=1e-9)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_without_a_past_rows_are_exchangeable(independent, seed):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.6, (12, 3))
    order = rng.permutation(12)
    for method in ("predict", "score_samples", "transform"):
        there = getattr(independent, method)(counts)
        np.testing.assert_allclose(getattr(independent, method)(counts[order]), there[order], **CLOSE)
        np.testing.assert_allclose(getattr(independent, method)(counts[:4]), there[:4], **CLOSE)


@pytest.fixture(scope="module", params=HEADS)
def independent(request):
    counts = np.random.default_rng(0).poisson(0.5, (8, 25, 3))
    plain = estimator(request.param, window_bins=1, context=0, recent_context=0, coupling=False)
    return plain.fit(counts)


@settings(max_examples=6, deadline=None)
@given(seed=st.integers(0, 10**6), n_samples=st.integers(1, 3))
def test_samples_are_reproducible_row_by_row(model, seed, n_samples):
    _, speed = recording_of([np.zeros((9, 3), dtype=int)] * 3)
    drawn = model.sample(speed, n_samples, random_state=seed)
    again = model.sample(speed[:2], n_samples, random_state=seed)
    assert drawn.shape == (3 * n_samples, 3)
    np.testing.assert_array_equal(again.times, drawn[: 2 * n_samples].times)
    np.testing.assert_array_equal(again.units, drawn[: 2 * n_samples].units)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6), window=st.integers(1, 4))
def test_the_models_tokens_are_the_tokenizers(seed, window):
    """The sequence that the decoder reads is the one that SpikeTokenizer documents."""
    counts = np.random.default_rng(seed).poisson(0.7, (3 * window, 3))
    tokens = SpikeTokenizer(bin_width=BIN_WIDTH, window_bins=window).fit(counts).transform(counts)
    read = window_tokens(torch.from_numpy(counts.reshape(3, window, 3)), merged=False)
    for row in range(3):
        spikes = slice(tokens.window_ptr[row], tokens.window_ptr[row + 1] - 1)  # all but EOS
        n = int(read.length[row])
        assert read.bin[row, :n].tolist() == np.asarray(tokens.dt)[spikes].tolist()
        assert read.unit[row, :n].tolist() == np.asarray(tokens.unit)[spikes].tolist()
