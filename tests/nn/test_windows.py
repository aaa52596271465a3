"""Facts about token sequences: canonical order, one to one with the counts."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skneuro.nn.windows import tokens_before, window_tokens

windows = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4), elements=st.integers(0, 3)
)


@settings(max_examples=50, deadline=None)
@given(counts=windows)
@pytest.mark.parametrize("merged", [False, True])
def test_tokens_are_those_of_a_slow_loop(counts, merged):
    tokens = window_tokens(torch.from_numpy(counts), merged=merged)
    longest = 0
    for row, window in enumerate(counts):
        expected = []
        for bin_ in range(window.shape[0]):
            for unit in range(window.shape[1]):
                n = int(window[bin_, unit])
                expected += [(unit, bin_, n)] * (n > 0) if merged else [(unit, bin_, k) for k in range(1, n + 1)]
        found = zip(
            *(part[row, : tokens.length[row]].tolist() for part in (tokens.unit, tokens.bin, tokens.count)), strict=True
        )
        assert list(found) == expected
        longest = max(longest, len(expected))
    assert tokens.unit.shape == (len(counts), longest)
    assert int((~tokens.padding).sum()) == int(tokens.length.sum())


@settings(max_examples=30, deadline=None)
@given(counts=windows)
def test_counts_come_back_from_their_tokens(counts):
    tokens = window_tokens(torch.from_numpy(counts), merged=False)
    again = np.zeros_like(counts)
    for row in range(len(counts)):
        for k in range(int(tokens.length[row])):
            again[row, tokens.bin[row, k], tokens.unit[row, k]] += 1
    np.testing.assert_array_equal(again, counts)


@settings(max_examples=30, deadline=None)
@given(counts=windows)
def test_every_cell_knows_how_many_cells_fired_before_it(counts):
    found = tokens_before(torch.from_numpy(counts)).numpy()
    flat = counts.reshape(len(counts), -1)
    for cell in range(flat.shape[1]):
        np.testing.assert_array_equal(found[:, cell], (flat[:, :cell] > 0).sum(1))


def test_silent_windows_have_no_tokens():
    tokens = window_tokens(torch.zeros(3, 2, 4), merged=False)
    assert tokens.unit.shape == (3, 0)
    assert tokens.length.tolist() == [0, 0, 0]
