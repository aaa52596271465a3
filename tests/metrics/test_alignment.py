"""Retrieval against drawing pools by hand, and its exact values where they are known."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from skneuro.metrics import retrieval


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    stimulus = rng.standard_normal((12, 6))[np.arange(36) % 12]  # twelve segments, three repeats each
    return stimulus + 1.2 * rng.standard_normal((36, 6)), stimulus, np.arange(36) % 12


def test_pools_that_are_drawn_by_hand_agree(pair):
    neural, stimulus, segment = pair
    found = retrieval(neural, stimulus, segment, pool_size=7, top=(1, 3))
    cosine = cosine_similarity(neural, stimulus)
    rng = np.random.default_rng(1)
    hits = {"neural_to_stimulus": [], "stimulus_to_neural": []}
    for _ in range(400):
        for row in range(36):
            others = rng.permutation(np.setdiff1d(np.arange(12), segment[row]))[:6]
            hits["neural_to_stimulus"].append((cosine[row, others] > cosine[row, row]).sum())
            rows = rng.permutation(np.flatnonzero(segment != segment[row]))[:6]
            hits["stimulus_to_neural"].append((cosine[rows, row] > cosine[row, row]).sum())
    for way, better in hits.items():
        for k in (1, 3):
            assert found[f"top{k}_{way}"] == pytest.approx(np.mean(np.array(better) < k), abs=0.015)
    assert found["top1_neural_to_stimulus"] > 2 * found["top1_chance"] == 2 / 7
    assert (found["pool_size"], found["n_segments"]) == (7, 12)


def test_perfect_embeddings_find_all_and_constant_ones_are_at_chance(pair):
    _, stimulus, segment = pair
    perfect = retrieval(stimulus, stimulus, segment)
    assert perfect["top1_neural_to_stimulus"] == perfect["top1_stimulus_to_neural"] == 1
    nothing = retrieval(np.ones((36, 6)), np.ones((36, 6)), segment, pool_size=10)
    for k in (1, 5):
        assert nothing[f"top{k}_chance"] == k / 10
        for way in ("neural_to_stimulus", "stimulus_to_neural"):
            assert nothing[f"top{k}_{way}"] == pytest.approx(k / 10)


def test_the_order_of_samples_and_the_names_of_segments_do_not_matter(pair):
    neural, stimulus, segment = pair
    order = np.random.default_rng(2).permutation(36)
    names = np.array(list("abcdefghijkl"))[segment]
    one, other = retrieval(neural, stimulus, segment), retrieval(neural[order], 3 * stimulus[order], names[order])
    assert one == pytest.approx(other)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stimulus": np.ones((36, 5))}, "must have one shape"),
        ({"segment": np.zeros(36)}, "at least two distinct segments. Got 1"),
        ({"segment": np.arange(35)}, "inconsistent"),
        ({"pool_size": 13}, "from 2 to 12 segments. Got 13"),
        ({"pool_size": 2.5}, "'pool_size'"),
        ({"top": ()}, "'top'"),
        ({"neural": np.zeros((36, 6))}, "36 vectors of zeros"),
        ({"neural": np.full((36, 6), np.nan)}, "neural contains NaN"),
    ],
)
def test_what_cannot_be_searched_is_said(pair, changes, message):
    neural, stimulus, segment = pair
    arguments = {"neural": neural, "stimulus": stimulus, "segment": segment, **changes}
    with pytest.raises(ValueError, match=message):
        retrieval(**arguments)
