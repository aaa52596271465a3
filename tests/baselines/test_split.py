import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skneuro.baselines._split import held_out_bins, runs

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def pointer(lengths):
    return np.concatenate([[0], np.cumsum(lengths)])


@given(LENGTHS, st.floats(0.01, 0.9), st.integers(0, 20))
def test_parts_are_disjoint_and_neither_is_empty_alone(lengths, fraction, gap):
    train, held = held_out_bins(pointer(lengths), fraction, gap)
    assert not (train & held).any() and train.any()


@given(st.lists(st.integers(1, 40), min_size=10, max_size=60), st.integers(0, 20))
def test_trials_are_never_torn(lengths, gap):
    ptr = pointer(lengths)
    train, held = held_out_bins(ptr, 0.2, gap)
    for start, stop in zip(ptr[:-1], ptr[1:], strict=True):
        assert len(set(held[start:stop])) == 1
    assert (train | held).all()


def test_one_long_trial_is_held_out_in_blocks_with_gaps():
    train, held = held_out_bins(np.array([0, 1000]), 0.2, gap=20)
    assert runs(held, np.array([0, 1000])).tolist() == [[200, 300], [700, 800]]
    assert runs(train, np.array([0, 1000])).tolist() == [[0, 180], [320, 680], [820, 1000]]


def test_nothing_is_held_out_when_not_asked_for_or_too_short():
    for ptr, fraction in ((np.array([0, 1000]), 0.0), (np.array([0, 5]), 0.2)):
        train, held = held_out_bins(ptr, fraction)
        assert train.all() and not held.any()


@given(LENGTHS, st.integers(0, 2**32 - 1))
def test_runs_are_the_selected_bins_and_cross_no_trial(lengths, seed):
    ptr = pointer(lengths)
    selected = np.random.default_rng(seed).random(ptr[-1]) < 0.7
    found = runs(selected, ptr)
    covered = np.zeros(ptr[-1], dtype=int)
    for start, stop in found:
        covered[start:stop] += 1
        assert np.searchsorted(ptr, start, side="right") == np.searchsorted(ptr, stop - 1, side="right")
    assert (covered == selected).all()
