"""Chunked logits of the pairs that are needed equal those of the table of all pairs, gradients too."""

import numpy as np
import pytest
import torch

from skneuro.nn import prefix_logits as module


@pytest.mark.parametrize("chunk", [1, 40, 10**9])
def test_pairs_equal_the_table(monkeypatch, chunk):
    generator = torch.Generator().manual_seed(0)
    hidden, embedding = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (9, 7))
    prefix = torch.randint(0, 9, (4, 7), generator=generator)
    weight = torch.randn(4, 7, generator=generator, dtype=torch.float64)
    results = []
    for cells in (10**9, 0):
        monkeypatch.setattr(module, "TABLE_CELLS", cells)
        monkeypatch.setattr(module, "CHUNK_CELLS", chunk)
        inputs = [hidden.clone().requires_grad_(), embedding.clone().requires_grad_()]
        logits = module.prefix_logits(*inputs, prefix)
        (logits * weight).sum().backward()
        results.append((logits.detach(), *(value.grad for value in inputs)))
    for table, pairs in zip(*results, strict=True):
        torch.testing.assert_close(pairs, table, rtol=0, atol=1e-12)


def test_a_model_scores_the_same_either_way(tiny, monkeypatch):
    model = tiny.model("hazard", 3, 3)
    counts = [np.random.default_rng(0).poisson(0.8, (12, 3))]
    table = tiny.cells(model, counts)[0]
    monkeypatch.setattr(module, "TABLE_CELLS", 0)
    np.testing.assert_allclose(tiny.cells(model, counts)[0], table, atol=1e-12)
