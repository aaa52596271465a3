import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skneuro.baselines._split import held_out_bins, runs, spread_bins
from skneuro.training.split import hold_out

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def pointer(lengths):
    return np.concatenate([[0], np.cumsum(lengths)])


@given(LENGTHS, st.floats(0.01, 0.9), st.integers(0, 20))
def test_parts_are_disjoint_and_neither_is_empty_alone(lengths, fraction, gap):
    train, held = held_out_bins(pointer(lengths), fraction, gap)
    assert not (train & held).any() and train.any()


@given(st.lists(st.integers(20, 40), min_size=20, max_size=60), st.integers(0, 20))
def test_trials_of_similar_length_are_never_torn(lengths, gap):
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


def test_what_the_network_stops_by_is_spread_over_the_recording():
    ptr = np.arange(0, 2010, 10)  # 200 trials
    train, held = spread_bins(ptr, 0.1, 3, None)
    assert (train ^ held).all()
    assert np.flatnonzero(held[::10]).tolist() == list(range(5, 200, 10))


def test_repeats_of_a_clip_are_held_out_together():
    ptr, clip = np.arange(0, 201, 10), np.arange(20) % 5
    train, held = spread_bins(ptr, 0.2, 0, clip)
    assert set(clip[held[::10]]) == {2} and held.sum() == 40 and (train ^ held).all()


def test_one_trial_is_stopped_by_a_block_with_gaps():
    ptr = np.array([0, 1000])
    train, held = spread_bins(ptr, 0.1, 20, None)
    assert runs(held, ptr).tolist() == [[500, 600]]
    assert runs(train, ptr).tolist() == [[0, 480], [620, 1000]]
    assert not spread_bins(ptr, 0.0, 20, None)[1].any()


def unequal():
    """One trial of 6,000 bins after ten of 50, and ten more."""
    lengths = np.r_[np.full(10, 50), 6000, np.full(10, 50)]
    return lengths, np.concatenate([[0], np.cumsum(lengths)])


def test_a_long_trial_among_short_ones_is_cut_in_time():
    lengths, ptr = unequal()
    for train, held in (held_out_bins(ptr, 0.2, gap=5), spread_bins(ptr, 0.1, 5, None)):
        assert 0.05 * ptr[-1] < held.sum() < 0.3 * ptr[-1]
        assert train.sum() > 0.6 * ptr[-1]
    for seed in range(30):
        training, validation = hold_out(lengths, 0.1, 5, np.random.default_rng(seed))
        n_held = (validation.stop - validation.start).sum()
        assert 500 <= n_held <= 700
        assert (training.stop - training.start).sum() > 6000


def test_trials_that_belong_together_stay_so_however_long():
    lengths, _ = unequal()
    clips = np.arange(len(lengths)) % 7
    training, validation = hold_out(lengths, 0.2, 5, np.random.default_rng(0), clips)
    assert not set(clips[training.trial]) & set(clips[validation.trial])
