import numpy as np
import pytest

from skneuro.cli.errors import CommandError
from skneuro.cli.npz import read_npz
from skneuro.data import Recording


@pytest.fixture
def write(tmp_path):
    def save(**arrays):
        path = tmp_path / "rat.npz"
        np.savez(path, **arrays)
        return path

    return save


GOOD = {"times": [0.3, 0.1, 1.2], "units": [4, 9, 4], "t_start": 0.0, "t_stop": 2.0}


def test_unsorted_spikes_of_one_trial_are_read_with_their_ids(write):
    spikes, modalities, pulses, _ = read_npz(write(**GOOD))
    assert spikes.unit_ids.tolist() == [4, 9]
    assert [t.tolist() for t in spikes.trial(0)] == [[0.3, 1.2], [0.1]]
    assert modalities is None
    assert pulses is None


def test_epochs_on_one_clock_become_trials_with_their_part_of_the_series(write):
    stamps = np.arange(0, 30, 0.5)
    path = write(
        times=[1.0, 11.0, 11.5],
        units=["a", "a", "b"],
        t_start=[0.0, 10.2],
        t_stop=[5.0, 15.0],
        speed=2 * stamps,
        speed_times=stamps,
    )
    spikes, modalities, *_ = read_npz(path)
    assert spikes.shape == (2, 2)
    second = modalities["speed"][1]
    # the sample at 10.0 s still holds when the trial begins at 10.2 s, and none after 15 s is needed
    assert second.timestamps.tolist() == np.arange(10, 15, 0.5).tolist()
    assert second.values.ravel().tolist() == (2 * second.timestamps).tolist()


def test_spikes_with_their_trial_keep_each_trials_own_clock(write):
    path = write(times=[0.9, 0.2, 0.4], units=[1, 1, 0], trial=[1, 1, 0], t_start=[0.0, 0.0], t_stop=[1.0, 1.0])
    spikes = read_npz(path).spikes
    assert [t.tolist() for t in spikes.trial(1)] == [[], [0.2, 0.9]]


def test_pulses_are_read(write):
    pulses = read_npz(write(**GOOD, sync_source=[1.0, 2.0], sync_target=[3.0, 4.0])).pulses
    assert [p.tolist() for p in pulses] == [[1.0, 2.0], [3.0, 4.0]]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"times": [0.1], "units": [1]}, "t_start and t_stop missing"),
        ({"weights": [1.0]}, "times and units and t_start and t_stop missing, found weights"),
        ({**GOOD, "units": [1, 2]}, "as many times as units, got 3 and 2"),
        ({**GOOD, "t_stop": [1.0, 2.0]}, "as many t_start as t_stop"),
        ({**GOOD, "trial": [0, 0, 3]}, "trial must number"),
        ({**GOOD, "times": [0.3, np.nan, 1.2]}, "finite"),
        ({**GOOD, "t_stop": -1.0}, "rat.npz"),
        ({**GOOD, "speed": [1.0, 2.0], "speed_times": [0.0]}, "as many speed as speed_times"),
        ({**GOOD, "trial": [0, 0, 0], "speed": [1.0, 2.0], "speed_times": [0.0, 1.0]}, "one clock"),
        ({**GOOD, "units": np.array([{}, 1, 2], dtype=object)}, "units is not a plain array"),
        ({**GOOD, "times": [[0.1, 0.2], [0.3, 0.4]]}, "times must be a list with one entry for each spike"),
        ({**GOOD, "sync_source": [1.0, 2.0]}, "found sync_source alone"),
        ({**GOOD, "speed": [1.0, 2.0, 3.0], "speed_times": [1.0, 2.0, 0.0]}, "speed_times must ascend"),
        ({**GOOD, "speed": [1.0, 2.0], "speed_times": [0.0, np.nan]}, "speed_times must ascend"),
        ({**GOOD, "trial": [0.7, 0.0, 0.0]}, "trial must hold whole numbers"),
        ({**GOOD, "trial": [np.nan, 0.0, 0.0]}, "trial must hold whole numbers"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(write, arrays, words):
    with pytest.raises(CommandError) as caught:
        read_npz(write(**arrays))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_npz_is_refused(tmp_path):
    path = tmp_path / "rat.npz"
    path.write_text("times,units\n")
    with pytest.raises(CommandError, match="not a readable .npz"):
        read_npz(path)


def test_a_list_may_be_a_matrix_of_one_row_or_column(write):
    spikes = read_npz(write(**{**GOOD, "times": [[0.3, 0.1, 1.2]], "units": [[4], [9], [4]]})).spikes
    assert [t.tolist() for t in spikes.trial(0)] == [[0.3, 1.2], [0.1]]


def test_an_array_that_is_not_used_is_named(write):
    with pytest.warns(UserWarning, match="pupil_times, speed not used; a series is NAME with NAME_times"):
        read_npz(write(**GOOD, speed=[1.0, 2.0], pupil_times=[0.0, 1.0]))


def test_a_series_of_one_sample_is_one(write):
    modalities = read_npz(write(**GOOD, depth=3.0, depth_times=0.0)).modalities
    assert modalities["depth"].values.tolist() == [[3.0]]


@pytest.mark.parametrize(
    ("t_start", "t_stop", "first_known", "last_known"),
    [([0.0, 10.0], [10.0, 20.0], 3.0, 16.9), ([2.0, 16.5], [4.0, 21.0], 3.0, 16.9), ([0.0], [20.0], 3.0, 16.9)],
)
def test_where_a_series_begins_late_or_ends_early_it_is_missing(write, t_start, t_stop, first_known, last_known):
    stamps = 3.0 + 0.1 * np.arange(140)  # 3.0 to 16.9 s
    with pytest.warns(UserWarning, match="speed does not reach over"):
        spikes, modalities, *_ = read_npz(
            write(times=[3.5, 3.7], units=[1, 2], t_start=t_start, t_stop=t_stop, speed=stamps, speed_times=stamps)
        )
    recording = Recording(spikes, modalities)  # which refuses a series that is too short
    binned = spikes.bin(0.1)
    values = recording.modalities["speed"].on_bins(binned).ravel()
    begin = np.concatenate([t + 0.1 * np.arange(n) for t, n in zip(t_start, np.diff(binned.ptr), strict=True)])
    known = (begin > first_known - 1e-6) & (begin < last_known + 1e-6)
    np.testing.assert_array_equal(np.isfinite(values), known)
    np.testing.assert_allclose(values[known], begin[known], atol=0.1001)


def test_a_trial_without_any_sample_is_missing_and_has_no_old_one(write):
    stamps = np.arange(0, 10, 0.1)
    path = write(times=[1.0, 31.0], units=[1, 2], t_start=[0, 30], t_stop=[9, 40], speed=stamps, speed_times=stamps)
    with pytest.warns(UserWarning, match="speed does not reach over 1 of 2 trials: 10 s"):
        spikes, modalities, *_ = read_npz(path)
    recording = Recording(spikes, modalities)  # which refuses a series without any sample in a trial
    values = recording.modalities["speed"].on_bins(spikes.bin(0.5)).ravel()
    assert np.isfinite(values[:18]).all() and np.isnan(values[18:]).all()


def test_a_series_that_reaches_into_no_trial_has_no_samples(write):
    modalities = read_npz(write(**GOOD, speed=[1.0, 2.0], speed_times=[100.0, 100.1])).modalities
    assert np.diff(modalities["speed"].ptr).tolist() == [0]


def test_the_share_of_spikes_outside_all_trials_is_told_but_not_that_of_spikes_between_them(write):
    between = {"times": [1.0, 5.0, 6.0, 11.0], "units": [1, 1, 2, 2], "t_start": [0.0, 10.0], "t_stop": [2.0, 12.0]}
    with pytest.warns(UserWarning, match="left out"):
        assert read_npz(write(**between)).outside == 0.0
    with pytest.warns(UserWarning, match="left out"):
        assert read_npz(write(**between | {"times": [1.0, 5000.0, 6000.0, 11000.0]})).outside == 0.75
