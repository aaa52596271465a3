"""The paper's readout: rows are booked under the spikes that follow them, and every spike counts."""

import numpy as np
import pytest
import torch

from skneuro import NeuroformerEstimator
from skneuro.connectivity import ConnectivityInference
from skneuro.connectivity.attention import attention_counts
from skneuro.nn.windows import window_tokens

pytestmark = pytest.mark.filterwarnings("ignore:Attention is computed before")


@pytest.mark.parametrize("merged", [True, False])
def test_booking_equals_a_loop_over_spikes(merged):
    rng = np.random.default_rng(0)
    counts = torch.from_numpy(rng.poisson(0.4, (5, 4, 3)))
    tokens = window_tokens(counts, merged=merged)
    size = tokens.unit.shape[1] + 1
    rows = np.tril(rng.random((5, size, size)))
    expected = np.zeros((2, 3, 3))
    for w in range(5):
        for t in range(int(tokens.length[w])):
            for s in range(t):
                if tokens.bin[w, s] < tokens.bin[w, t]:
                    times = int(tokens.count[w, t] * tokens.count[w, s]) if merged else 1
                    at = int(tokens.unit[w, t]), int(tokens.unit[w, s])
                    expected[0][at] += times * rows[w, t, s + 1]
                    expected[1][at] += times
    np.testing.assert_allclose(attention_counts(rows, tokens, 3, merged), expected)


@pytest.fixture(scope="module")
def fitted():
    counts = np.random.default_rng(0).poisson(0.3, (6, 60, 4))
    model = NeuroformerEstimator(
        bin_width=0.01, window_bins=4, context=0, gamma=0, mu=0.5, d_model=8, n_heads=2, n_layers=2, max_epochs=1,
        random_state=0,
    )  # fmt: skip
    return model.fit(counts), counts


def read(fitted, **options):
    model, counts = fitted
    return ConnectivityInference(model, method="attention", **options).fit(counts).adjacency_


def test_attention_is_a_mean_of_rows_that_sum_to_one(fitted):
    off = ~np.eye(4, dtype=bool)
    adjacency = read(fitted)
    assert np.isnan(np.diag(adjacency)).all()
    assert (adjacency[off] > 0).all() and (adjacency[off] < 1).all()
    assert not fitted[0].model_.network.decoder._forward_pre_hooks  # what was hooked in is gone


def test_layers_and_heads_average_to_the_whole(fitted):
    by_layer = [read(fitted, attention_layers=[k]) for k in range(2)]
    by_head = [read(fitted, attention_heads=[k]) for k in range(2)]
    np.testing.assert_allclose(np.mean(by_layer, axis=0), read(fitted), rtol=1e-5)
    np.testing.assert_allclose(np.mean(by_head, axis=0), read(fitted), rtol=1e-5)
    assert not np.allclose(by_layer[0], by_layer[1], equal_nan=True)


def test_rollout_and_value_norm_change_what_is_read(fitted):
    plain, off = read(fitted), ~np.eye(4, dtype=bool)
    for options in ({"attention_rollout": True}, {"attention_value_norm": True}):
        assert not np.allclose(read(fitted, **options)[off], plain[off])
    one_layer = read(fitted, attention_layers=[0], attention_rollout=True)
    half = 0.5 * read(fitted, attention_layers=[0])
    # Half is attention; the other half, the residual path, rests on the last spike before the target's.
    assert (one_layer[off] >= half[off] - 1e-6).all() and (one_layer[off] <= half[off] + 0.5).all()


def test_it_warns_and_refuses_what_it_cannot_read(fitted):
    model, counts = fitted
    with pytest.warns(UserWarning, match="cannot show who drives whom"):
        ConnectivityInference(model, method="attention").fit(counts)
    for wrong in ([2], [], [0.5], ["first"]):
        with pytest.raises(ValueError, match="attention_layers must be some of 0 to 1"):
            read(fitted, attention_layers=wrong)
    with pytest.raises(ValueError, match="method='attention' needs an estimator"):
        ConnectivityInference(method="attention").fit(counts)
