"""Decoding one spike at a time from cached keys and values gives what a pass over the whole window gives."""

import numpy as np
import pytest
import torch

from skneuro.nn.layers import Dropout, RandomSource
from skneuro.nn.windows import window_tokens


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_cached_and_uncached_states_agree(tiny, head, n_layers):
    model = tiny.model(head, 3, n_layers=n_layers)
    rng = np.random.default_rng(0)
    # Up to dozens of tokens, more than the cache begins with, in rows of very unequal length.
    counts = torch.from_numpy(rng.poisson(np.array([0.2, 1.0, 0.0, 6.0])[:, None, None], (4, 3, 2)).astype(float))
    tokens = window_tokens(counts, merged=head == "hazard")
    state = torch.from_numpy(rng.standard_normal((4, 3, 8)))
    with torch.no_grad():
        whole = tokens.padded(model.decoder(model.session, tokens, state))
        first, cache = model.decoder.begin(state[:, 0], n_tokens=4)
        torch.testing.assert_close(first, whole[:, 0], rtol=0, atol=1e-10)
        for k in range(int(tokens.length.max())):
            rows = (tokens.length > k).nonzero()[:, 0]
            rows = rows[torch.from_numpy(rng.permutation(len(rows)))]
            unit, bin_, count = (part[rows, k] for part in (tokens.unit, tokens.bin, tokens.count))
            step = model.decoder.extend(model.session, unit, bin_, count, state[rows, bin_], cache, rows)
            torch.testing.assert_close(step, whole[rows, k + 1], rtol=0, atol=1e-10)
        assert cache.length.tolist() == (tokens.length + 1).tolist()


def test_a_prefix_does_not_see_the_tokens_after_it(tiny, head):
    model = tiny.model(head, 3)
    counts = torch.tensor([[[1, 2], [0, 1], [2, 0]]], dtype=torch.float64)
    other = counts.clone()
    other[0, 2] = torch.tensor([0, 3])
    state = torch.randn(1, 3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sequences = [window_tokens(c, merged=head == "hazard") for c in (counts, other)]
        a, b = (tokens.padded(model.decoder(model.session, tokens, state)) for tokens in sequences)
    n_same = 4 if head == "hazard" else 5  # the empty prefix, and those that end in the first two bins
    torch.testing.assert_close(a[:, :n_same], b[:, :n_same], rtol=0, atol=1e-12)
    assert float((a[:, n_same] - b[:, n_same]).abs().max()) > 1e-6


def test_dropout_draws_from_its_own_generator():
    source = RandomSource()
    layer = Dropout(0.5, source).train()
    x = torch.ones(1000)
    before = torch.get_rng_state()
    masks = []
    for _ in range(2):
        source.generator = torch.Generator().manual_seed(3)
        masks.append(layer(x))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*masks)
    assert float(masks[0].mean()) == pytest.approx(1.0, abs=0.1)
    assert set(masks[0].tolist()) == {0.0, 2.0}
    assert torch.equal(layer.eval()(x), x)
