"""Scores of adjacency matrices: closed forms, scikit-learn as the oracle, and what must not matter."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from skneuro.metrics.connectivity import (
    adjacency_scores,
    auprc,
    auprc_by_sign,
    auprc_chance,
    auroc,
    direction_rate,
    hub_recall,
    precision_at_k,
    sign_accuracy,
    signed_r2,
)

ALL = (auroc, auprc, auprc_chance, direction_rate, sign_accuracy, signed_r2, precision_at_k)


def case(seed, n_units=9, n_unknown=5):
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal((n_units, n_units)) * (rng.random((n_units, n_units)) < 0.3)
    inferred = np.round(0.6 * truth + rng.standard_normal((n_units, n_units)), 1)
    unknown = rng.integers(0, n_units, (2, n_unknown))
    truth[tuple(unknown)] = np.nan
    return inferred, truth


def known_pairs(inferred, truth):
    pairs = [
        (inferred[i, j], truth[i, j])
        for i in range(len(truth))
        for j in range(len(truth))
        if i != j and not np.isnan(truth[i, j])
    ]
    return np.array(pairs).T


@pytest.mark.parametrize("seed", range(5))
def test_areas_equal_scikit_learns_on_the_known_pairs(seed):
    inferred, truth = case(seed)
    strength, weight = known_pairs(inferred, truth)
    assert auroc(inferred, truth) == pytest.approx(roc_auc_score(weight != 0, np.abs(strength)))
    assert auprc(inferred, truth) == pytest.approx(average_precision_score(weight != 0, np.abs(strength)))
    assert signed_r2(inferred, truth) == pytest.approx(np.corrcoef(strength, weight)[0, 1] ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_direction_and_sign_equal_a_loop(seed):
    inferred, truth = case(seed)
    wins, signs = [], []
    for i in range(len(truth)):
        for j in range(len(truth)):
            if i == j or np.isnan(truth[i, j]) or truth[i, j] == 0:
                continue
            signs.append(np.sign(inferred[i, j]) == np.sign(truth[i, j]))
            if truth[j, i] == 0:
                forth, back = abs(inferred[i, j]), abs(inferred[j, i])
                wins.append(1.0 if forth > back else 0.5 if forth == back else 0.0)
    assert direction_rate(inferred, truth) == pytest.approx(np.mean(wins))
    assert sign_accuracy(inferred, truth) == pytest.approx(np.mean(signs))


def test_the_truth_itself_scores_perfectly():
    _, truth = case(0)
    scores = adjacency_scores(truth, truth)
    for name in ("auroc", "auprc", "direction_rate", "sign_accuracy", "signed_r2", "precision_at_k"):
        assert scores[name] == pytest.approx(1.0)


@pytest.mark.parametrize("seed", range(3))
def test_areas_of_one_sign_leave_out_edges_of_the_other(seed):
    inferred, truth = case(seed)
    strength, weight = known_pairs(inferred, truth)
    for found, sign in zip(auprc_by_sign(inferred, truth), (1, -1), strict=True):
        kept = sign * weight >= 0
        assert found == pytest.approx(average_precision_score(weight[kept] != 0, np.abs(strength[kept])))


@pytest.mark.parametrize(("n_units", "n_edges"), [(3, 1), (3, 2), (3, 5), (3, 6), (2, 1)])
def test_chance_is_the_mean_over_all_orders_of_the_pairs(n_units, n_edges):
    pairs = np.argwhere(~np.eye(n_units, dtype=bool))
    truth = np.zeros((n_units, n_units))
    truth[tuple(pairs[:n_edges].T)] = 1
    is_edge = np.arange(len(pairs)) < n_edges
    orders = itertools.permutations(range(len(pairs)))
    expected = np.mean([average_precision_score(is_edge, order) for order in orders])
    assert auprc_chance(np.ones(truth.shape), truth) == pytest.approx(expected, rel=1e-9)


def test_areas_of_one_sign_have_a_chance_of_their_own():
    rng = np.random.default_rng(1)
    truth = np.zeros((10, 10))
    pairs = rng.permutation(np.argwhere(~np.eye(10, dtype=bool)))
    truth[tuple(pairs[:9].T)], truth[tuple(pairs[9:12].T)] = 1.0, -1.0
    scores = [adjacency_scores(rng.standard_normal((10, 10)), truth) for _ in range(400)]
    for sign in ("", "_excitatory", "_inhibitory"):
        mean = np.mean([s[f"auprc{sign}"] for s in scores])
        assert mean == pytest.approx(scores[0][f"auprc_chance{sign}"], abs=0.015)


def test_random_strengths_score_at_chance():
    rng = np.random.default_rng(0)
    truth = (rng.random((150, 150)) < 0.1).astype(float)
    inferred = rng.standard_normal((150, 150))
    assert auroc(inferred, truth) == pytest.approx(0.5, abs=0.02)
    assert auprc(inferred, truth) == pytest.approx(auprc_chance(inferred, truth), abs=0.02)
    assert direction_rate(inferred, truth) == pytest.approx(0.5, abs=0.04)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.1, 10))
def test_order_of_units_the_diagonal_and_unknown_pairs_do_not_matter(seed, scale):
    inferred, truth = case(seed)
    order = np.random.default_rng(seed).permutation(len(truth))
    changed = scale * inferred
    changed[np.isnan(truth)] = 1e6
    np.fill_diagonal(changed, np.nan)
    for metric in ALL:
        first = metric(inferred, truth)
        second = metric(changed[np.ix_(order, order)], truth[np.ix_(order, order)])
        np.testing.assert_allclose(second, first, rtol=1e-9)


def test_ties_at_rank_k_count_in_part():
    inferred = np.array([[0.0, 1.0, 1.0], [0.2, 0.0, 1.0], [0.1, 0.1, 0.0]])
    truth = np.array([[0, 1, 0], [0, 0, 0], [0, 0, 0]])
    assert precision_at_k(inferred, truth, k=1) == pytest.approx(1 / 3)
    assert precision_at_k(inferred, truth, k=6) == pytest.approx(1 / 6)


def test_what_cannot_be_defined_is_nan():
    nothing = np.zeros((3, 3))
    for metric in (auroc, auprc, auprc_chance, direction_rate, sign_accuracy, signed_r2, precision_at_k):
        assert np.isnan(metric(np.ones((3, 3)), nothing))
    assert np.isnan(auprc_chance(np.ones((1, 1)), np.ones((1, 1))))


def test_matrices_of_different_shape_are_refused():
    with pytest.raises(ValueError, match="square matrices"):
        auroc(np.zeros((3, 3)), np.zeros((4, 4)))
    with pytest.raises(ValueError, match="k must be a whole number from 1 to the number of pairs, 6"):
        precision_at_k(np.zeros((3, 3)), np.ones((3, 3)), k=7)


def test_hubs_are_columns_or_a_mask():
    strength = np.zeros((4, 4))
    strength[:, 2] = 1.0
    assert hub_recall(strength, [2]) == hub_recall(strength, np.arange(4) == 2) == 1.0
    for wrong in ([4], [-1], [2, 2], [0.5], [[2]]):
        with pytest.raises(ValueError, match="columns of the adjacency, from 0 to 3"):
            hub_recall(strength, wrong)


def test_infinite_strengths_are_refused():
    with pytest.raises(ValueError, match="adjacency must be finite"):
        signed_r2([[0, np.inf], [1, 0]], np.ones((2, 2)))
    with pytest.raises(ValueError, match="whole number from 1"):
        precision_at_k(np.ones((2, 2)), np.ones((2, 2)), 1.5)
