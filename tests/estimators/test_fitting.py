"""Facts about what a fit is prepared from: scales and moments of the training part, parameters in bins."""

import numpy as np
import pytest
from scipy.stats import poisson

from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, SpikeTrains, TimeSeries, Video, read_input
from skneuro.estimators import _fitting
from skneuro.persistence import load
from skneuro.training.known import training_part
from skneuro.training.stretches import Segments


def test_seconds_are_covered_by_whole_bins():
    assert [_fitting.bins_of(s, 0.05) for s in (0.0, 0.01, 0.05, 0.0500001, 0.06, 0.15, 1.0)] == [0, 1, 1, 2, 2, 3, 20]
    assert _fitting.bins_of(0.3, 0.1) == 3 and _fitting.bins_of(0.7, 0.1) == 7


@pytest.mark.parametrize("head", ["hazard", "chained", "independent"])
def test_couplings_are_of_low_rank_where_pairs_are_too_many(make, head):
    ranks = [_fitting.coupling_rank(make(head=head), n_units) for n_units in (1, 1000, 1001)]
    assert ranks == [0, 0, 64]
    assert _fitting.coupling_rank(make(head=head, coupling_rank=None), 5000) == 0
    assert _fitting.coupling_rank(make(head=head, coupling_rank=3), 5) == 3


@pytest.mark.parametrize("head", ["hazard", "chained", "independent"])
def test_low_rank_couplings_are_learned_saved_and_simulated(make, head, tmp_path):
    """Units 1, 2 and 3 follow unit 0 a bin later: one source, rank 1."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (14, 60, 4))
    counts[:, 1:, 1:] = rng.poisson(0.05 + 1.2 * np.minimum(counts[:, :-1, :1], 1), (14, 59, 3))
    spikes = SpikeTrains.from_counts(counts, 0.05)
    model = make(
        head=head, coupling_rank=1, context=0, recent_context=0, n_layers=0, max_epochs=12, learning_rate=2e-2,
        batch_size=1, weight_decay=0.0,
    ).fit(spikes[:10])  # fmt: skip
    score = model.score(spikes[10:])
    assert score > 0.2
    kernels = model.coupling_kernels_[..., 0]
    assert np.linalg.matrix_rank(kernels, tol=1e-5) == 1
    assert (np.abs(kernels[1:, 0]) > 2 * np.abs(kernels[1:, 1:]).max(1)).all()
    model.save(tmp_path / "model.skn")
    assert load(tmp_path / "model.skn").score(spikes[10:]) == score
    drawn = np.array(model.sample(n_samples=20, duration=3.0, random_state=0).to_counts(0.05))
    assert np.corrcoef(drawn[:, :-1, 0].ravel(), drawn[:, 1:, 2].ravel())[0, 1] > 0.2


def test_the_fullest_window_starts_anywhere_and_stays_in_its_trial():
    rng = np.random.default_rng(0)
    counts = [rng.poisson(1.0, (n, 2)) for n in (9, 0, 4, 1)]
    binned = SpikeTrains.from_counts(counts, 0.05).bin(0.05)
    for window in (1, 2, 5, 30):
        slow = max(trial[k : k + window].sum() for trial in counts for k in range(len(trial)))
        assert _fitting.largest_window(binned, window) == slow


def test_scales_come_from_the_training_part_alone(make):
    """Ten trials, of which the held-out ones have another speed and another clip."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (20, 20, 2))
    clips = np.arange(20) // 4
    nothing_to_choose = {"weight_decay": 0.5, "coupling_prior": "sparse"}
    model = make(early_stopping=True, refit=False, validation_fraction=0.2, max_epochs=1, **nothing_to_choose)
    spikes = SpikeTrains.from_counts(counts, 0.05)
    video = Video(rng.standard_normal((5, 11, 2, 2)), 10.0, index=clips)
    speed = TimeSeries.from_lists(list(rng.standard_normal((20, 20, 1))), rate=20.0)
    inp = read_input(spikes, Modalities(video=video, speed=speed), bin_width=0.05)
    model.fit(spikes, inp.modalities)
    _, held = _fitting.split(model, inp, model._seed)
    out = np.isin(np.arange(20), held.trial)
    assert 0 < out.sum() < 20
    frames = video.frames.copy()
    frames[np.unique(clips[out])] = 50.0
    values = np.where(np.repeat(out, 20)[:, None], 1000.0, speed.values)
    changed = Modalities(video=Video(frames, 10.0, index=clips), speed=TimeSeries(values, speed.timestamps, speed.ptr))
    louder = counts.copy()
    louder[out] += 3
    again = make(early_stopping=True, refit=False, validation_fraction=0.2, max_epochs=1, **nothing_to_choose)
    again.fit(SpikeTrains.from_counts(louder, 0.05), changed)
    for name in ("video", "speed"):
        np.testing.assert_array_equal(again.model_.scales[name].mean, model.model_.scales[name].mean)
        np.testing.assert_array_equal(again.model_.scales[name].sd, model.model_.scales[name].sd)
    one, two = model.model_.arrays(), again.model_.arrays()
    assert all(np.array_equal(one[name], two[name]) for name in one)  # one epoch: nothing of it is seen at all


def test_of_a_long_trial_the_training_blocks_count():
    values = np.arange(100.0)
    binned = SpikeTrains([], [], [0, 0], 2.0, 7.0, unit_ids=[0]).bin(0.05)
    series = TimeSeries(values, 2.0 + np.arange(100) * 0.05, [0, 100])
    training = Segments(np.zeros(2, dtype=int), np.array([0, 60]), np.array([20, 90]))
    part = training_part(series, binned, training)
    assert part.values.ravel().tolist() == [*range(20), *range(60, 90)]


def test_repeats_of_a_clip_are_held_out_together(make, world):
    inp = read_input(world.spikes, world.both, bin_width=0.05)
    model = make(early_stopping=True, validation_fraction=0.3)
    clips = world.video.clip_ids
    for seed in range(4):
        training, held = _fitting.split(model, inp, seed)
        assert not set(clips[training.trial]) & set(clips[held.trial])


def test_the_gap_is_as_long_as_the_memory(make):
    counts = np.random.default_rng(0).poisson(0.5, (2000, 2))
    inp = read_input(counts, bin_width=0.05)
    for parameters, gap in (
        ({"context": 0.5, "recent_context": 0.1, "coupling_lag": 0.1}, 10),
        ({"context": 0.0, "recent_context": 0.4, "coupling_lag": 0.1}, 8),
        ({"context": 0.0, "recent_context": 0.0, "coupling_lag": 0.3}, 6),
        ({"context": 0.0, "recent_context": 0.0, "coupling_lag": 0.3, "coupling": False}, 0),
    ):
        training, held = _fitting.split(make(early_stopping=True, **parameters), inp, 0)
        block = held.start[0]
        before = [stop for stop in training.stop if stop <= block]
        after = [start for start in training.start if start >= held.stop[0]]
        assert not before or block - max(before) == gap
        assert not after or min(after) - held.stop[0] == gap
        assert before or after


def test_the_gap_is_as_long_as_the_stimulus_is_seen(make):
    counts = np.random.default_rng(0).poisson(0.5, (2000, 2))
    series = np.random.default_rng(1).standard_normal((2000, 1))
    model = make(early_stopping=True, context=0.5, recent_context=0.1, coupling_lag=0.1, stimulus_context=0.8)
    for stimuli, gap in ((None, 10), (series, 16)):
        training, held = _fitting.split(model, read_input(counts, stimuli, bin_width=0.05), 0)
        nearest = np.abs(np.concatenate([held.start - training.stop[:, None], training.start[:, None] - held.stop]))
        assert nearest.min() == gap


def test_spikes_that_only_serve_as_past_are_not_held_out(make):
    """Twelve blocks with a spike in their last second, which is the past of the next one; one of them has none."""
    times = np.arange(12) * 10 + 9.5

    def blocks(times):
        whole = SpikeTrains.from_unit_times({0: times, 1: times + 0.2}, epochs=[[0.0, 120.0]])
        return whole.cut(10.0, context=1.0)

    model = make(early_stopping=True, bin_width=0.1, max_epochs=1)
    held = _fitting.split(model, read_input(blocks(times), bin_width=0.1), 1)[1]
    assert len(held) == 1 and held.trial[0] > 0
    spikes = blocks(np.delete(times, held.trial[0]))
    training, held = _fitting.split(model, read_input(spikes, bin_width=0.1), 1)
    assert held is None and len(training) == 12


@pytest.mark.usefixtures("as_trained")
def test_validation_measures_bits_per_spike_against_the_training_rates(make, world):
    model = make(early_stopping=True, refit=False, validation_fraction=0.25, max_epochs=1, precision="float64").fit(
        world.spikes
    )
    inp = read_input(world.spikes, bin_width=0.05)
    training, held = _fitting.split(model, inp, model._seed)
    total = model.score_samples(world.spikes[held.trial]).sum()
    counts, trained = world.counts[held.trial], world.counts[training.trial]
    mean = (trained.sum((0, 1)) + 0.5) / (trained.shape[0] * 20 + 1)
    null = poisson.logpmf(counts, mean).sum()
    bits = (total - null) / (counts.sum() * np.log(2))
    assert model.validation_scores_[-1] == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize(("bin_width", "lag", "expected"), [(0.01, "auto", 0.1), (0.05, "auto", 0.5), (0.05, 0.2, 0.2)])
def test_the_coupling_reaches_back_ten_bins_and_a_tenth_of_a_second(bin_width, lag, expected):
    est = NeuroformerEstimator(bin_width=bin_width, coupling_lag=lag)
    assert _fitting.coupling_lag(est) == pytest.approx(expected)


def test_as_much_is_held_out_as_tells_epochs_apart(make, monkeypatch):
    """A tenth of the trials, or fewer where fewer hold enough spikes, or what the user says."""
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_counts(rng.poisson(0.5, (100, 20, 2)), 0.05)  # about 20 spikes a trial
    inp = read_input(spikes, None, bin_width=0.05)
    found = {}
    for enough in (20_000, 100, 1):
        monkeypatch.setattr(_fitting, "ENOUGH_SPIKES", enough)
        found[enough] = len(_fitting.split(make(early_stopping=True), inp, 0)[1])
    assert found == {20_000: 10, 100: 5, 1: 2}
    assert len(_fitting.split(make(early_stopping=True, validation_fraction=0.3), inp, 0)[1]) == 30
