"""Any legal X and y say the same; everything else is refused with the call that converts it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries, Video, read_input
from skneuro.exceptions import IncompatibleModalityError, NonIntegerCountsWarning

COUNTS = np.array([[[1, 0], [0, 2], [0, 0]], [[0, 1], [3, 0], [1, 1]]])


def test_the_same_counts_in_every_form():
    for X in (COUNTS, COUNTS.tolist(), SpikeTrains.from_counts(COUNTS, 0.1), COUNTS.astype(float)):
        given = read_input(X, bin_width=0.1)
        np.testing.assert_array_equal(given.spikes.dense(), COUNTS.reshape(6, 2))
        assert given.spikes.ptr.tolist() == [0, 3, 6]
        assert given.spikes.mask().all()
        assert given.modalities is None
    for X in (COUNTS[0], COUNTS[0].tolist(), pd.DataFrame(COUNTS[0]), COUNTS[0].astype(np.uint8)):
        given = read_input(X, bin_width=0.1)
        np.testing.assert_array_equal(given.spikes.dense(), COUNTS[0])
        assert given.spikes.ptr.tolist() == [0, 3]


def test_rows_come_out_as_they_went_in():
    per_bin = np.arange(12).reshape(6, 2)
    array = read_input(COUNTS, bin_width=0.1)
    assert (array.layout, array.n_rows) == ("array", 2)
    np.testing.assert_array_equal(array.rows(per_bin), per_bin.reshape(2, 3, 2))
    assert array.samples(per_bin[:, 0]).tolist() == [6, 24]
    bins = read_input(COUNTS.reshape(6, 2), bin_width=0.1)
    assert (bins.layout, bins.n_rows, bins.trials) == ("bins", 6, None)
    np.testing.assert_array_equal(bins.rows(per_bin), per_bin)
    np.testing.assert_array_equal(bins.samples(per_bin[:, 0]), per_bin[:, 0])
    spikes = SpikeTrains.from_counts(COUNTS, 0.1)
    trials = read_input(spikes, bin_width=0.1)
    assert (trials.layout, trials.n_rows) == ("trials", 2)
    assert trials.trials is spikes
    rows = trials.rows(per_bin)
    assert rows.dtype == object
    assert rows.shape == (2,)
    np.testing.assert_array_equal(rows[1], per_bin[3:])
    assert trials.samples(per_bin[:, 0]).tolist() == [6, 24]
    for given in (array, bins, trials):
        with pytest.raises(ValueError, match="for each of 6 bins"):
            given.rows(per_bin[1:])
        with pytest.raises(ValueError, match=r"shape \(6,\)"):
            given.samples(per_bin)


def test_a_trial_without_a_value_leaves_the_others_alone():
    given = read_input(SpikeTrains.from_counts(COUNTS, 0.1), bin_width=0.1)
    np.testing.assert_array_equal(given.samples(np.array([np.nan, 1, 2, 0.1, 0.2, 0.3])), [np.nan, 0.1 + 0.2 + 0.3])


def test_names_of_columns_are_unit_ids():
    given = read_input(pd.DataFrame({"u3": [1, 0], "u1": [0, 1]}), bin_width=0.1)
    assert given.spikes.unit_ids.tolist() == ["u3", "u1"]
    assert read_input(pd.DataFrame(COUNTS[0]), bin_width=0.1).spikes.unit_ids.tolist() == [0, 1]


def test_counts_that_are_not_whole_are_rounded_one_by_one():
    X = np.array([[0.4, 0.5], [1.49, 2.5]])
    with pytest.warns(NonIntegerCountsWarning, match="rounded"):
        given = read_input(X, bin_width=0.1)
    assert given.spikes.dense().tolist() == [[0, 1], [1, 3]]
    with pytest.raises(ValueError, match="not whole numbers"):
        read_input(X, bin_width=0.1, counts="strict")
    with pytest.raises(ValueError, match="'round' or 'strict'"):
        read_input(X, bin_width=0.1, counts="floor")


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.array([[1, -2]]), ValueError, "Negative values in data passed to MyModel.*got -2.*CalciumEvents"),
        (np.array([[1.0, np.nan]]), ValueError, "Input X contains NaN"),
        (np.array([[1.0, np.inf]]), ValueError, "infinity"),
        (np.array([1, 2]), ValueError, "Expected 2D array, got 1D array"),
        (np.zeros((1, 1, 1, 1)), ValueError, "dim 4"),
        (np.empty((0, 2)), ValueError, "0 sample"),
        (np.empty((2, 0)), ValueError, "0 feature"),
        (np.array([[1j]]), ValueError, "Complex data not supported"),
        (np.array([[2.0**40]]), ValueError, "at most 10,000. Got .*CalciumEvents"),
        (sparse.csr_array(np.eye(2)), TypeError, "[Ss]parse"),
        (sparse.dok_array(np.eye(2)), TypeError, "[Ss]parse"),
        ({0: [0.1]}, TypeError, r"Got a dict; use SpikeTrains.from_unit_times\(X, epochs=...\)"),
        ([[[0.1, 0.2], [0.3]]], TypeError, r"SpikeTrains.from_lists\(X, t_start=..., t_stop=...\)"),
        ([[[0.1, 0.2], [0.3, 0.5]]], TypeError, "from_lists"),
        ([[np.array([0.1, 0.2]), np.array([])], [np.array([]), np.array([])]], TypeError, "from_lists"),
        ([np.ones((2, 2), int), np.ones((3, 2), int)], TypeError, "from_counts"),
        (Modalities(a=TimeSeries([1.0], [0.0], [0, 1])), TypeError, "belongs in y"),
        ([SpikeTrains.from_counts(COUNTS, 0.1)] * 2, TypeError, r"SpikeTrains.concatenate\(X\)"),
        ([Recording(SpikeTrains.from_counts(COUNTS, 0.1))], TypeError, r"concatenate\(\[part.spikes for part in X\]\)"),
        ("spikes", ValueError, "Expected 2D array|could not convert"),
    ],
)
def test_what_is_not_spikes_is_refused(X, error, message):
    with pytest.raises(error, match=message):
        read_input(X, bin_width=0.1, estimator="MyModel")


def test_pynapple_groups_are_refused_and_frames_of_counts_are_not():
    nap = pytest.importorskip("pynapple")
    group = nap.TsGroup({7: nap.Ts([0.1, 0.2]), 9: nap.Ts([0.3])})
    with pytest.raises(TypeError, match=r"Got a pynapple TsGroup; use as_spike_trains\(X, epochs=...\)"):
        read_input(group, bin_width=0.1)
    with pytest.raises(TypeError, match="Got a pynapple TsGroup"):
        read_input(COUNTS[0], group, bin_width=0.1)
    frame = nap.TsdFrame(t=np.arange(3) / 10, d=COUNTS[0])
    np.testing.assert_array_equal(read_input(frame, bin_width=0.1).spikes.dense(), COUNTS[0])


def test_y_of_2d_counts_has_a_row_per_bin():
    for y in (np.array([1.0, 2.0, 3.0]), [1, 2, 3], np.array([[1.0], [2], [3]]), pd.Series([1, 2, 3])):
        given = read_input(COUNTS[0], y, bin_width=0.1)
        assert given.modalities.names == ("stimulus",)
        assert given.modalities["stimulus"].on_bins(given.spikes)[:, 0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[3, 2\]"):
        read_input(COUNTS[0], [1, 2], bin_width=0.1)
    with pytest.raises(ValueError, match="for frames use Video"):
        read_input(COUNTS[0], np.zeros((3, 2, 2)), bin_width=0.1)


def test_y_of_trials_is_a_row_per_bin_or_constant():
    full = np.arange(12.0).reshape(2, 3, 2)
    for X in (COUNTS, SpikeTrains.from_counts(COUNTS, 0.1, t_start=[4.0, 90.0])):
        given = read_input(X, full, bin_width=0.1)
        np.testing.assert_array_equal(given.modalities["stimulus"].on_bins(given.spikes), full.reshape(6, 2))
        for y in (np.array([5.0, 6.0]), np.array([[5.0], [6.0]])):
            given = read_input(X, y, bin_width=0.1)
            assert given.modalities["stimulus"].on_bins(given.spikes)[:, 0].tolist() == [5] * 3 + [6] * 3
        with pytest.raises(ValueError, match=r"inconsistent numbers of samples: \[2, 3\]"):
            read_input(X, np.zeros(3), bin_width=0.1)
        with pytest.raises(ValueError, match="n_trials, n_bins, d"):
            read_input(X, np.zeros((2, 4, 1)), bin_width=0.1)


def test_arrays_of_trials_of_different_lengths_name_the_call_that_takes_them():
    spikes = SpikeTrains.from_lists([[[0.1]], [[0.1]]], 0.0, [1.0, 1.2])
    y = [np.arange(10.0), np.arange(12.0)]
    for given in (y, tuple(y), [list(row) for row in y]):
        with pytest.raises(ValueError, match=r"TimeSeries.from_lists\(y, rate=1 / bin_width, t_start=spikes.t_start\)"):
            read_input(spikes, given, bin_width=0.1)
    given = read_input(spikes, TimeSeries.from_lists(y, rate=1 / 0.1, t_start=spikes.t_start), bin_width=0.1)
    np.testing.assert_array_equal(given.modalities["stimulus"].on_bins(given.spikes)[:, 0], np.concatenate(y))


def test_as_many_columns_as_bins_may_be_meant_as_one_value_a_bin():
    y = np.zeros((2, 3))
    for X in (COUNTS, SpikeTrains.from_counts(COUNTS, 0.1)):
        with pytest.warns(UserWarning, match=r"read as 3 values of each trial, as many as its bins.*y\[:, :, None\]"):
            read_input(X, y, bin_width=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for y in (np.zeros((2, 2)), np.zeros((2, 3, 1))):
            read_input(COUNTS, y, bin_width=0.1)
        read_input(COUNTS[:, :1], np.zeros((2, 1)), bin_width=0.1)


def test_nan_in_y_is_missing_and_infinity_is_refused():
    given = read_input(COUNTS[0], [1.0, np.nan, 3.0], bin_width=0.1)
    np.testing.assert_array_equal(given.modalities["stimulus"].on_bins(given.spikes)[:, 0], [1, np.nan, 3])
    with pytest.raises(ValueError, match="Input y contains infinity"):
        read_input(COUNTS[0], [1.0, np.inf, 3.0], bin_width=0.1)


def test_containers_as_y(recording):
    spikes, modalities = recording.spikes, recording.modalities
    assert read_input(spikes, modalities, bin_width=0.1).modalities is modalities
    alone = read_input(spikes, modalities["video"], bin_width=0.1).modalities
    assert alone == Modalities(stimulus=modalities["video"])
    together = read_input(recording, bin_width=0.1)
    assert together.modalities is modalities
    assert together.trials is spikes
    with pytest.raises(ValueError, match="stimuli given twice"):
        read_input(recording, modalities, bin_width=0.1)
    assert read_input(Recording(spikes), modalities, bin_width=0.1).modalities is modalities


def test_what_is_not_a_modality_is_refused(recording):
    spikes, speed = recording.spikes, recording.modalities["speed"]
    with pytest.raises(TypeError, match=r"Got a dict; use Modalities\(\*\*y\)"):
        read_input(spikes, {"speed": speed}, bin_width=0.1)
    with pytest.raises(TypeError, match="Got 'movie.mp4'; read the file first"):
        read_input(spikes, "movie.mp4", bin_width=0.1)
    with pytest.raises(TypeError, match="y is a list of TimeSeries. Give one with a row for each trial"):
        read_input(spikes, [speed, speed], bin_width=0.1)
    for words in (np.array(["left"] * 12), ["left"] * 12, pd.Series(["left"] * 12)):
        with pytest.raises(TypeError, match=r"y holds strings.*Covariates\(\{'condition': y\}\)"):
            read_input(spikes, words, bin_width=0.1)
    with pytest.raises(TypeError, match="SpikeTrains, which belongs in X"):
        read_input(spikes, spikes, bin_width=0.1)
    with pytest.raises(IncompatibleModalityError, match="have 11 trials, the spikes 12"):
        read_input(spikes, speed[1:], bin_width=0.1)
    short = Video(np.zeros((1, 5, 2, 2)), fps=10.0, index=np.zeros(12, int))
    with pytest.raises(IncompatibleModalityError, match="'stimulus' does not cover 12 of 12 trials"):
        read_input(spikes, short, bin_width=0.1)
    with pytest.raises(IncompatibleModalityError, match="does not cover 1 of 1"):
        read_input(np.ones((100, 2), int), TimeSeries.from_lists([np.zeros(5)], rate=10.0), bin_width=0.1)


def test_resolution_must_divide_the_bin_width():
    with pytest.raises(ValueError, match="whole multiple of 0.1 s. Got 0.25 s"):
        read_input(SpikeTrains.from_counts(COUNTS, 0.1), bin_width=0.25)
