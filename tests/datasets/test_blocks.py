"""Blocks in time: contiguous whole trials, borders nearest to equal shares, gaps that nobody gets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import SpikeTrains
from skneuro.datasets import block_split, make_block_groups


def _slow_cuts(durations, n_groups):
    """Index of the trial border nearest to each share of the time, the earlier one where two are as near."""
    borders = np.concatenate([[0.0], np.cumsum(durations)])
    return [int(np.argmin(np.abs(borders - k * borders[-1] / n_groups))) for k in range(n_groups + 1)]


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60), st.integers(1, 12))
def test_borders_are_the_nearest_trial_borders(durations, n_groups):
    cuts = _slow_cuts(durations, n_groups)
    if len(set(cuts)) <= n_groups:
        with pytest.raises(ValueError, match="one would be empty"):
            make_block_groups(durations, n_groups)
        return
    groups, gap_mask = make_block_groups(durations, n_groups)
    assert np.flatnonzero(np.diff(groups, prepend=-1)).tolist() == cuts[:-1]
    assert np.flatnonzero(gap_mask).tolist() == cuts[:-1]
    assert groups.max() == n_groups - 1


def test_a_cut_recording_gives_its_durations():
    blocks = SpikeTrains([0.5, 30.0], [0, 0], [0, 2], 0.0, 101.0).cut(5.0)
    groups, _ = make_block_groups(blocks)
    assert np.array_equal(groups, make_block_groups(blocks.duration)[0])
    assert np.bincount(groups).tolist()[:9] == [2] * 9


@pytest.mark.parametrize("durations", [[1.0, 0.0], [1.0, np.nan], [[1.0], [2.0]], [1.0, np.inf], []])
def test_impossible_durations_are_refused(durations):
    with pytest.raises(ValueError, match="trial"):
        make_block_groups(durations, 1)


def test_the_number_of_groups_must_be_a_positive_int():
    for n_groups in (0, 2.5, True):
        with pytest.raises(ValueError, match="'n_groups' parameter"):
            make_block_groups([1.0] * 5, n_groups)


@given(st.lists(st.integers(0, 9), min_size=40, max_size=80), st.integers(0, 2**32 - 1))
def test_parts_share_no_trial_and_miss_only_the_gaps(groups, seed):
    groups = np.concatenate([np.arange(10), np.sort(groups)])
    gap_mask = np.random.default_rng(seed).random(len(groups)) < 0.2
    gap_mask[:10] = False
    split = block_split(groups, gap_mask)
    total = split.train.astype(int) + split.validation + split.test
    assert np.array_equal(total, (~gap_mask).astype(int))
    assert set(groups[split.validation]) == {1, 5} and set(groups[split.test]) == {3, 7}


def test_groups_can_be_chosen_and_a_part_left_out():
    split = block_split([0, 0, 1, 2], validation=(), test=[2])
    assert split.train.tolist() == [True, True, True, False]
    assert not split.validation.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"groups": [0, 1], "validation": [0], "test": [0]}, r"both 'validation' and 'test': \[0\]"),
        ({"groups": [0, 1], "validation": [0], "test": [4]}, r"do not exist: \[4\]"),
        ({"groups": [0, 1], "validation": [0], "test": [1]}, "left for train"),
        (
            {"groups": [0, 1, 2], "gap_mask": [True], "validation": [0], "test": [1]},
            "one value for each trial",
        ),
    ],
)
def test_a_split_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        block_split(**arguments)
