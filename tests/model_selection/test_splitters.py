"""Folds are contiguous, test every row once, and keep their distance."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from skneuro import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.baselines import HomogeneousPoisson
from skneuro.model_selection import TimeBlockSplit, TrialBlockSplit


def blocks_of(duration, length, **kwargs):
    return SpikeTrains.from_events([10.5], [0], epochs=[(10.0, 10.0 + duration)]).cut(length, **kwargs)


@given(st.integers(6, 40), st.integers(2, 6), st.integers(0, 1))
def test_every_trial_is_tested_once_and_its_neighbours_are_not_trained_on(n_trials, n_splits, gap):
    tested = []
    for train, test in TrialBlockSplit(n_splits, gap=gap).split(np.zeros((n_trials, 3, 2))):
        assert (np.diff(test) == 1).all()
        away = np.abs(train[:, None] - test).min(axis=1)
        assert away.min() == gap + 1
        assert len(train) + len(test) >= n_trials - 2 * gap
        tested += test.tolist()
    assert tested == list(range(n_trials))


def test_blocks_of_trials_are_of_equal_time():
    spikes = SpikeTrains.from_lists([[[]]] * 6, 0.0, [4.0, 1.0, 1.0, 1.0, 1.0, 4.0])
    tests = [test.tolist() for _, test in TrialBlockSplit(3, gap=0).split(spikes)]
    assert tests == [[0], [1, 2, 3, 4], [5]]


def windows(start, length):
    times = np.arange(0.01, np.max(start) + length, 0.5)
    return SpikeTrains.from_unit_times({0: times}, np.column_stack([start, np.add(start, length)]))


def test_trials_that_are_not_in_the_order_of_time_are_pointed_out():
    spikes = windows(4.0 * np.arange(12), 4.0)
    by_condition = spikes[np.argsort(np.arange(12) % 3, kind="stable")]
    with pytest.warns(UserWarning, match="not in the order of time"):
        list(TrialBlockSplit(3).split(by_condition))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(TrialBlockSplit(3).split(by_condition[np.argsort(by_condition.t_start)]))


@pytest.mark.parametrize("gap", [0, 1])
@given(st.floats(0.5, 5.0))
def test_training_trials_that_overlap_a_tested_one_are_left_out_and_no_others(gap, every):
    spikes = windows(every * np.arange(40), 6.0)
    beside = list(TrialBlockSplit(4, gap=gap).split(np.zeros((40, 2))))
    for (train, test), (kept, same) in zip(TrialBlockSplit(4, gap=gap).split(spikes), beside, strict=True):
        np.testing.assert_array_equal(test, same)
        shared = np.minimum.outer(spikes.t_stop[kept], spikes.t_stop[test]) - np.maximum.outer(
            spikes.t_start[kept], spikes.t_start[test]
        )
        np.testing.assert_array_equal(train, kept[shared.max(axis=1) <= 1e-6])


@pytest.mark.parametrize(
    "spikes",
    [
        SpikeTrains.from_lists([[[]]] * 12, 0.0, 10.0),
        SpikeTrains.from_lists([[[]]] * 12, [-1.0, -2.0, -1.5] * 4, 10.0),
        SpikeTrains.from_lists([[[]]] * 3, 0.0, 40.0).cut(10.0),
        blocks_of(60.0, 5.0, context=2.0),
    ],
    ids=["at zero", "before an event", "blocks of trials at zero", "blocks with context"],
)
def test_clocks_of_their_own_and_the_past_of_blocks_are_no_overlap(spikes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        folds = list(TrialBlockSplit(3).split(spikes))
    for (train, test), (kept, same) in zip(folds, TrialBlockSplit(3).split(np.zeros((12, 2))), strict=True):
        assert (train.tolist(), test.tolist()) == (kept.tolist(), same.tolist())


@given(st.floats(0, 15), st.floats(0, 2))
def test_no_training_time_lies_within_the_gap(gap, context):
    spikes = blocks_of(60.0, 2.5, context=context)
    for train, test in TimeBlockSplit(3, gap=gap).split(spikes):
        start, stop = spikes.t_start[test].min(), spikes.t_stop[test].max()
        before, after = start - spikes.t_stop[train], spikes.t_start[train] - stop
        assert (np.maximum(before, after) >= gap - 1e-6).all()
        # and no trial is left out that could have been kept
        left = np.setdiff1d(np.arange(len(spikes)), np.concatenate([train, test]))
        assert (np.maximum(start - spikes.t_stop[left], spikes.t_start[left] - stop) < gap).all()


def test_time_is_that_of_the_session_and_not_the_order_of_rows():
    spikes = blocks_of(12.0, 1.0)
    mixed = np.random.default_rng(0).permutation(12)
    for train, test in TimeBlockSplit(3, gap=1.0).split(spikes[mixed]):
        assert np.ptp(mixed[test]) == 3
        assert np.abs(mixed[train][:, None] - mixed[test]).min() == 2


def test_rows_of_counts_are_bins():
    train, test = next(TimeBlockSplit(2, gap=0.2, bin_width=0.1).split(np.zeros((10, 3))))
    assert test.tolist() == [0, 1, 2, 3, 4] and train.tolist() == [7, 8, 9]


def test_a_recording_is_split_by_its_spikes_and_scored():
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_counts(rng.poisson(0.5, (8, 10, 2)), 0.1)
    speed = TimeSeries.from_lists(list(rng.standard_normal((8, 10))), rate=10.0)
    recording = Recording(spikes, Modalities(speed=speed))
    scores = cross_val_score(HomogeneousPoisson(bin_width=0.1), recording, cv=TrialBlockSplit(3))
    assert scores.shape == (3,) and (np.abs(scores) < 0.2).all()


@pytest.mark.parametrize("splitter", [TrialBlockSplit, TimeBlockSplit])
@pytest.mark.parametrize(
    ("changes", "named"), [({"n_splits": 1}, "n_splits"), ({"gap": -1}, "gap"), ({"n_splits": 2.5}, "n_splits")]
)
def test_a_parameter_out_of_range_is_named(splitter, changes, named):
    with pytest.raises(ValueError, match=f"The '{named}' parameter of {splitter.__name__} must be"):
        list(splitter(**changes).split(np.zeros((10, 2))))


@pytest.mark.parametrize(
    ("splitter", "X", "message"),
    [
        (TimeBlockSplit(2), np.zeros((10, 2)), "needs bin_width"),
        (TimeBlockSplit(2), np.zeros((10, 5, 2)), "Use TrialBlockSplit"),
        (TimeBlockSplit(2), SpikeTrains.from_lists([[[]]] * 4, 0.0, 1.0), "overlap in time"),
        (TimeBlockSplit(2), SpikeTrains.from_lists([[[]]], 0.0, 100.0), r"Cut a long trial first: spikes.cut"),
        (TimeBlockSplit(2, gap=50.0), blocks_of(60.0, 5.0), "leaves no training rows"),
        (TrialBlockSplit(2, gap=5), np.zeros((10, 5, 2)), "leaves no training rows"),
    ],
)
def test_what_cannot_be_divided_says_what_to_do(splitter, X, message):
    with pytest.raises(ValueError, match=message):
        list(splitter.split(X))


def test_splitters_show_their_parameters_and_count_their_folds():
    splitter = TimeBlockSplit(4, gap=2.0)
    assert repr(splitter) == "TimeBlockSplit(bin_width=None, gap=2.0, n_splits=4)"
    assert splitter.get_n_splits() == 4
    assert clone(splitter, safe=False).gap == 2.0
