"""Facts about the contrastive loss: repeats are positives, overlapping segments are no negatives, both sides count."""

import numpy as np
import pytest
import torch

from skneuro.data import Modalities, TimeSeries, Video
from skneuro.nn import neuroformer
from skneuro.nn.alignment import Alignment, contrastive_loss
from skneuro.nn.config import N_COMPONENTS
from skneuro.training.stretches import Segments

DURATION = 0.25


def loss(neural, modality, clip, start, temperature=0.05):
    return float(
        contrastive_loss(
            torch.as_tensor(neural), torch.as_tensor(modality), torch.as_tensor(clip).reshape(len(neural), -1),
            torch.as_tensor(start).reshape(len(neural), -1), DURATION, temperature,
        )
    )  # fmt: skip


def unit_vectors(n, d=16, seed=0):
    x = np.random.default_rng(seed).standard_normal((n, d))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def slow(neural, modality, clip, start, temperature):
    """Equation 3 term by term."""
    n, total = len(neural), 0.0
    for a, b in ((neural, modality), (modality, neural)):
        for i in range(n):
            positives, scores = [], []
            for j in range(n):
                apart = abs(start[i] - start[j])
                same = clip[i] == clip[j] and apart < 1e-6
                if clip[i] == clip[j] and not same and apart < DURATION - 1e-6:
                    continue
                scores.append(a[i] @ b[j] / temperature)
                if same:
                    positives.append(scores[-1])
            total += np.mean([np.log(np.exp(scores).sum()) - p for p in positives])
    return total / (2 * n)


def test_it_is_the_mean_over_pairs_of_both_cross_entropies():
    rng = np.random.default_rng(0)
    neural, modality = unit_vectors(12), unit_vectors(12, seed=1)
    clip, start = rng.integers(0, 2, 12), rng.integers(0, 6, 12) * 0.1
    assert loss(neural, modality, clip, start, 0.3) == pytest.approx(
        slow(neural, modality, clip, start, 0.3), abs=1e-10
    )


def test_a_perfect_embedding_costs_nothing_beyond_the_choice_among_repeats():
    """Eight repeats of each of three segments: log 8 is the entropy of the shared positives, not an error."""
    vectors = np.eye(3, 16)[np.repeat(np.arange(3), 8)]
    clip, start = np.repeat(np.arange(3), 8), np.zeros(24)
    assert loss(vectors, vectors, clip, start) == pytest.approx(np.log(8), abs=1e-6)
    distinct = np.eye(16)
    assert loss(distinct, distinct, np.arange(16), np.zeros(16)) == pytest.approx(0.0, abs=1e-6)


def test_segments_that_overlap_are_neither_positives_nor_negatives():
    vectors = np.eye(2, 8)[[0, 1]]
    for apart, masked in ((0.1, True), (0.25, False), (0.4, False)):
        start = np.array([0.0, apart])
        # Swapped: each neural vector is exactly the other's stimulus, the worst there is, unless the other is hidden.
        found = loss(vectors, vectors[::-1].copy(), np.array([3, 3]), start)
        assert found == pytest.approx(0.0 if masked else 1 / 0.05, abs=1e-6)
    # Another clip at an overlapping time is a negative.
    assert loss(vectors, vectors[::-1].copy(), np.array([3, 4]), np.array([0.0, 0.1])) > 10


def test_both_sides_are_treated_alike():
    neural, modality = unit_vectors(10), unit_vectors(10, seed=2)
    clip, start = np.arange(10) % 4, np.arange(10) * 1.0
    assert loss(neural, modality, clip, start) == pytest.approx(loss(modality, neural, clip, start), abs=1e-12)


def test_the_order_of_the_pairs_does_not_matter():
    neural, modality = unit_vectors(10), unit_vectors(10, seed=2)
    clip, start = np.arange(10) % 2, (np.arange(10) // 2) * 0.2
    order = np.random.default_rng(0).permutation(10)
    shuffled = loss(neural[order], modality[order], clip[order], start[order])
    assert shuffled == pytest.approx(loss(neural, modality, clip, start), abs=1e-10)


def test_masked_pairs_give_no_nan_gradient():
    neural = torch.tensor(unit_vectors(6), requires_grad=True)
    modality = torch.tensor(unit_vectors(6, seed=1), requires_grad=True)
    start = torch.tensor([0.0, 0.0, 0.1, 0.1, 0.2, 5.0], dtype=torch.float64)
    contrastive_loss(neural, modality, torch.zeros(6, 1), start[:, None], DURATION, 0.1).backward()
    assert bool(torch.isfinite(neural.grad).all()) and bool(torch.isfinite(modality.grad).all())


def test_what_is_the_same_on_either_clock_belongs_together():
    """One clip shown twice while the animal runs as it likes, and a third trial with another clip."""
    vectors = unit_vectors(3)
    clip, start = np.array([[0, 0], [0, 1], [1, 2]]), np.zeros((3, 2))
    by_video = loss(vectors, unit_vectors(3, seed=1), clip[:, :1], start[:, :1])
    assert loss(vectors, unit_vectors(3, seed=1), clip, start) == pytest.approx(by_video, abs=1e-12)
    # The second trial overlaps the first on the video's clock alone: no negative, whatever the other clock says.
    apart = np.array([[0.0, 0.0], [0.1, 9.0], [0.0, 0.0]])
    swapped = np.eye(3, 16)[[1, 0, 2]]
    # Unmasked, the other's vector would cost 20 nats; masked, only the third trial is left to be confused with.
    assert loss(np.eye(3, 16), swapped, clip, apart) == pytest.approx(2 / 3 * np.log(2), abs=1e-6)


# ------------------------------------------------------------------------------------------------ in the model


def aligned_pairs(tiny, monkeypatch, stimuli, counts, aligned, window_bins=3, **changes):
    """What the model hands to the loss: clip and start of every pair of windows, one entry a pair of sides."""
    seen = []

    def record(one, other, clip, start, duration, temperature):
        vectors = one.detach().numpy(), other.detach().numpy()
        seen.append({"clip": clip.numpy(), "start": start.numpy(), "duration": duration, "vectors": vectors})
        seen[-1]["loss"] = contrastive_loss(one, other, clip, start, duration, temperature)
        seen[-1]["temperature"] = temperature
        return seen[-1]["loss"]

    monkeypatch.setattr(neuroformer, "contrastive_loss", record)
    modalities = (tiny.SPEED, tiny.VIDEO)
    network = tiny.model("hazard", window_bins, modalities=modalities, aligned=aligned, **changes).train()
    batches = tiny.builder(network, counts, stimuli)
    whole = Segments(np.arange(len(counts)), np.zeros(len(counts), dtype=int), batches.n_bins)
    output = network(batches.build(whole, 0))
    return seen, output.contrastive


def test_a_segment_of_a_clip_is_known_by_the_time_in_the_clip(tiny, monkeypatch):
    """The second trial shows the same clip a window later: its windows repeat those of the first, one on."""
    counts = [np.ones((12, 2), dtype=int)] * 2
    stimuli = tiny.stimuli(("speed", "video"), 2, 12, index=[0, 0])
    width = 3 * tiny.BIN_WIDTH
    later = Video(stimuli["video"].frames, 1 / 0.08, index=[0, 0], t_start=[0.0, width])
    both = Modalities(speed=stimuli["speed"], video=later)
    ((pairs,), _) = aligned_pairs(tiny, monkeypatch, both, counts, ("video",))
    assert pairs["duration"] == pytest.approx(width)
    np.testing.assert_allclose(pairs["start"][:, 0], [0, width, 2 * width, 3 * width, 0, width, 2 * width], atol=1e-9)
    assert (pairs["clip"] == 0).all()


def test_a_series_is_known_by_its_trial_also_beside_a_video(tiny, monkeypatch):
    """Two trials show one clip, but the animal runs as it likes: equal times in the clip are no repeats of a speed."""
    counts = [np.ones((12, 2), dtype=int)] * 2
    stimuli = tiny.stimuli(("speed", "video"), 2, 12, index=[0, 0])
    ((pairs,), _) = aligned_pairs(tiny, monkeypatch, stimuli, counts, ("speed",))
    assert pairs["clip"].tolist() == [[0]] * 4 + [[1]] * 4
    ((shown,), _) = aligned_pairs(tiny, monkeypatch, stimuli, counts, ("video",))
    assert shown["clip"].tolist() == [[0]] * 8
    # Repeats of a segment have the same vector on the stimulus' side.
    np.testing.assert_allclose(shown["vectors"][1][:4], shown["vectors"][1][4:], atol=1e-12)


def test_every_pair_of_sides_is_aligned_and_the_loss_is_their_mean(tiny, monkeypatch):
    counts = [np.ones((12, 2), dtype=int)] * 3
    stimuli = tiny.stimuli(("speed", "video"), 3, 12, index=[0, 0, 1])
    found, mean = aligned_pairs(tiny, monkeypatch, stimuli, counts, ("video", "speed"))
    assert [one["clip"].shape for one in found] == [(12, 1), (12, 1), (12, 2)]
    spikes_video, spikes_speed, video_speed = found
    np.testing.assert_array_equal(spikes_video["vectors"][0], spikes_speed["vectors"][0])
    np.testing.assert_array_equal(spikes_video["vectors"][1], video_speed["vectors"][0])
    np.testing.assert_array_equal(spikes_speed["vectors"][1], video_speed["vectors"][1])
    np.testing.assert_array_equal(video_speed["clip"], np.repeat([[0, 0], [0, 1], [1, 2]], 4, axis=0))
    assert float(mean.detach()) == pytest.approx(np.mean([float(one["loss"].detach()) for one in found]), abs=1e-12)
    for one in found:
        np.testing.assert_allclose([np.linalg.norm(side, axis=1) for side in one["vectors"]], 1.0, atol=1e-12)


def test_a_pair_is_made_of_windows_that_see_both_sides(tiny, monkeypatch):
    counts = [np.ones((12, 2), dtype=int)] * 2
    both = tiny.stimuli(("speed", "video"), 2, 12)
    speed = both["speed"].values.copy()
    speed[:9] = np.nan  # nothing is known of the first trial's first three windows
    partly = Modalities(speed=TimeSeries(speed, both["speed"].timestamps, both["speed"].ptr), video=both["video"])
    found, _ = aligned_pairs(tiny, monkeypatch, partly, counts, ("video", "speed"))
    assert [len(one["clip"]) for one in found] == [8, 5, 5]
    without, _ = aligned_pairs(tiny, monkeypatch, Modalities(video=both["video"]), counts, ("video", "speed"))
    assert [len(one["clip"]) for one in without] == [8]


def test_temperatures_are_learned_one_a_pair_and_stay_above_a_floor(tiny, monkeypatch):
    counts = [np.ones((12, 2), dtype=int)] * 3
    stimuli = tiny.stimuli(("speed", "video"), 3, 12)
    plan = {"learn_temperature": True, "noise": 0.0}
    found, _ = aligned_pairs(tiny, monkeypatch, stimuli, counts, ("video", "speed"), **plan)
    assert [float(one["temperature"].detach()) for one in found] == pytest.approx([0.1] * 3)
    plan = {"modalities": (tiny.SPEED,), "aligned": ("speed",), "learn_temperature": True}
    cold = Alignment(tiny.model("hazard", 1, **plan).config, 4)
    with torch.no_grad():
        cold.log_temperature.fill_(-50.0)
    assert float(cold.temperature(0).detach()) == pytest.approx(0.01)


def test_alignment_reads_the_linear_filters_and_does_not_shape_them(tiny):
    network = tiny.model("hazard", 3, modalities=(tiny.SPEED, tiny.VIDEO), aligned=("video",)).train()
    counts = [np.ones((12, 2), dtype=int)] * 3
    batches = tiny.builder(network, counts, tiny.stimuli(("speed", "video"), 3, 12))
    whole = Segments(np.arange(3), np.zeros(3, dtype=int), batches.n_bins)
    network(batches.build(whole, 0)).contrastive.backward()
    assert all(parameter.grad is None for parameter in network.drives.parameters())
    read = network.alignment.modalities[0].weight.grad[:, -N_COMPONENTS:]
    assert read.abs().sum() > 0
