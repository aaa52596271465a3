"""Facts about validation sets: whole trials or whole blocks, nothing in both, a gap as long as the memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skneuro.training.split import hold_out, whole_trials


def membership(segments, n_bins):
    """How often each bin of each trial is in some segments."""
    result = [np.zeros(n, dtype=int) for n in n_bins]
    for trial, start, stop in zip(segments.trial, segments.start, segments.stop, strict=True):
        result[trial][start:stop] += 1
    return result


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 500), min_size=1, max_size=25).filter(any),
    fraction=st.floats(0.01, 0.99),
    gap=st.integers(0, 60),
    seed=st.integers(0, 5),
)
def test_no_bin_is_in_both_parts_and_neither_is_empty(lengths, fraction, gap, seed):
    n_bins = np.array(lengths)
    training, held = hold_out(n_bins, fraction, gap, np.random.default_rng(seed))
    assert len(training) > 0
    trained = membership(training, n_bins)
    assert max(trial.max(initial=0) for trial in trained) == 1
    if held is None:
        assert all((trial == 1).all() for trial in trained)
        return
    assert len(held) > 0
    for used, kept in zip(trained, membership(held, n_bins), strict=True):
        assert (used + kept <= 1).all()


def test_whole_trials_are_held_out_where_there_are_enough():
    n_bins = np.array([50, 0, *range(20, 38)])
    training, held = hold_out(n_bins, 0.2, 5, np.random.default_rng(0))
    assert len(held) == 4 and len(training) == 15  # an empty trial is in neither
    assert not set(held.trial) & set(training.trial)
    for part in (training, held):
        assert (part.start == 0).all() and (part.stop == n_bins[part.trial]).all()
    other = hold_out(n_bins, 0.2, 5, np.random.default_rng(1))[1]
    assert set(other.trial) != set(held.trial)


def test_repeats_of_a_clip_stay_together():
    clips = np.arange(40) % 5
    for seed in range(5):
        training, held = hold_out(np.full(40, 30), 0.2, 5, np.random.default_rng(seed), clips)
        assert not set(clips[training.trial]) & set(clips[held.trial])
        assert len(held) == 8


def test_a_long_trial_gives_blocks_with_a_gap_on_both_sides():
    training, held = hold_out(np.array([1000]), 0.2, 20, np.random.default_rng(0))
    assert len(held) == 2 and (held.stop - held.start == 100).all()
    trained = membership(training, [1000])[0]
    for start, stop in zip(held.start, held.stop, strict=True):
        assert not trained[max(start - 20, 0) : stop + 20].any()
    far = np.ones(1000, dtype=bool)
    for start, stop in zip(held.start, held.stop, strict=True):
        far[max(start - 20, 0) : stop + 20] = False
    assert (trained == far).all()


def test_of_a_few_trials_too_short_for_blocks_one_is_held_out():
    training, held = hold_out(np.full(5, 30), 0.1, 10, np.random.default_rng(0))
    assert len(held) == 1 and held.stop.tolist() == [30]
    assert sorted([*training.trial, *held.trial]) == list(range(5))


@pytest.mark.parametrize("n_bins", [[30], [190], [0, 30]])
def test_data_too_short_for_blocks_are_trained_on_whole(n_bins):
    training, held = hold_out(np.array(n_bins), 0.1, 10, np.random.default_rng(0))
    assert held is None
    assert training.stop.tolist() == n_bins[-1:]


def test_the_same_seed_holds_out_the_same():
    one, two = (hold_out(np.full(30, 40), 0.3, 5, np.random.default_rng(3))[1] for _ in range(2))
    assert one.trial.tolist() == two.trial.tolist()


def test_empty_trials_are_left_out():
    assert whole_trials(np.array([3, 0, 2])).trial.tolist() == [0, 2]
