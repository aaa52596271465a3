"""Facts about the contrastive loss: repeats are positives, overlapping segments are no negatives, both sides count."""

import numpy as np
import pytest
import torch

from skneuro.data import Modalities, Video
from skneuro.nn import neuroformer
from skneuro.nn.alignment import Projection, contrastive_loss
from skneuro.training.segments import Segments

DURATION = 0.25


def loss(neural, modality, clip, start, temperature=0.05):
    return float(
        contrastive_loss(
            torch.as_tensor(neural), torch.as_tensor(modality), torch.as_tensor(clip), torch.as_tensor(start),
            DURATION, temperature,
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
    contrastive_loss(neural, modality, torch.zeros(6), start, DURATION, 0.1).backward()
    assert bool(torch.isfinite(neural.grad).all()) and bool(torch.isfinite(modality.grad).all())


def test_projections_have_unit_norm():
    f, i = Projection(5, 7)(torch.randn(4, 5), torch.randn(4, 7))
    torch.testing.assert_close(f.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(i.norm(dim=1), torch.ones(4))


# ------------------------------------------------------------------------------------------------ in the model


def aligned_pairs(tiny, monkeypatch, stimuli, counts, aligned, window_bins=3):
    """What the model hands to the loss: clip and start of every pair."""
    seen = {}

    def record(neural, modality, clip, start, duration, temperature):
        seen.update(clip=clip.numpy(), start=start.numpy(), duration=duration, modality=modality.detach().numpy())
        return contrastive_loss(neural, modality, clip, start, duration, temperature)

    monkeypatch.setattr(neuroformer, "contrastive_loss", record)
    network = tiny.model("hazard", window_bins, modalities=(tiny.SPEED, tiny.VIDEO), aligned=aligned).train()
    batches = tiny.builder(network, counts, stimuli)
    whole = Segments(np.arange(len(counts)), np.zeros(len(counts), dtype=int), batches.n_bins)
    network(batches.build(whole, 0))
    return seen


def test_a_segment_of_a_clip_is_known_by_the_time_in_the_clip(tiny, monkeypatch):
    """The second trial shows the same clip a window later: its windows repeat those of the first, one on."""
    counts = [np.ones((12, 2), dtype=int)] * 2
    stimuli = tiny.stimuli(("speed", "video"), 2, 12, index=[0, 0])
    width = 3 * tiny.BIN_WIDTH
    later = Video(stimuli["video"].frames, 1 / 0.08, index=[0, 0], t_start=[0.0, width])
    pairs = aligned_pairs(tiny, monkeypatch, Modalities(speed=stimuli["speed"], video=later), counts, "video")
    assert pairs["duration"] == pytest.approx(width)
    np.testing.assert_allclose(pairs["start"], [0, width, 2 * width, 3 * width, 0, width, 2 * width], atol=1e-9)
    assert (pairs["clip"] == 0).all()


def test_a_series_is_known_by_its_trial_also_beside_a_video(tiny, monkeypatch):
    """Two trials show one clip, but the animal runs as it likes: equal times in the clip are no repeats of a speed."""
    counts = [np.ones((12, 2), dtype=int)] * 2
    stimuli = tiny.stimuli(("speed", "video"), 2, 12, index=[0, 0])
    pairs = aligned_pairs(tiny, monkeypatch, stimuli, counts, "speed")
    assert pairs["clip"].tolist() == [0] * 4 + [1] * 4
    shown = aligned_pairs(tiny, monkeypatch, stimuli, counts, "video")
    assert shown["clip"].tolist() == [0] * 8
    # Repeats of a segment have the same vector on the stimulus' side.
    np.testing.assert_allclose(shown["modality"][:4], shown["modality"][4:], atol=1e-12)
