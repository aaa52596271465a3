"""Lists, counts, unit times and unsorted events all end in the same container."""

import datetime
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import sparse

from skneuro.data import Events, SpikeTrains, TimeSeries
from skneuro.exceptions import DroppedSpikesWarning, NonIntegerCountsWarning


def as_lists(spikes):
    return [[times.tolist() for times in spikes.trial(k)] for k in range(len(spikes))]


@given(spikes=st.from_type(SpikeTrains))
def test_lists_come_back_as_they_went_in(spikes):
    again = SpikeTrains.from_lists(
        [spikes.trial(k) for k in range(len(spikes))], spikes.t_start, spikes.t_stop, unit_ids=spikes.unit_ids
    )
    assert as_lists(again) == as_lists(spikes)


@pytest.mark.parametrize(
    ("trials", "message"),
    [
        ([[[0.1], [0.2]], [[0.1]]], "the same units, empty where a unit was silent. Trial 1 lists 1 units, not the 2"),
        ([[[0.2, 0.1]]], "Unit 0 of trial 0 has 0.1 s after 0.2 s; sort them"),
        ([[[0.1], [np.nan]]], "must be finite"),
        ([[[2.0]]], "outside"),
        ([[[[0.1]]]], "1-D"),
        ([{0: [0.1]}], "Trial 0 is"),
    ],
)
def test_lists_that_are_not_trials_of_units_are_refused(trials, message):
    with pytest.raises(ValueError, match=message):
        SpikeTrains.from_lists(trials, 0.0, 1.0)


def test_wrong_kinds_name_the_call_that_converts():
    with pytest.raises(TypeError, match=r"from_unit_times\(dict, epochs\)"):
        SpikeTrains.from_lists({0: [0.1]}, 0.0, 1.0)
    with pytest.raises(TypeError, match="as_spike_trains"):
        SpikeTrains.from_unit_times([[0.1]], epochs=[(0, 1)])
    with pytest.raises(TypeError, match="numbers in seconds"):
        SpikeTrains.from_lists([[["a"]]], 0.0, 1.0)
    with pytest.raises(ValueError, match="t_stop must be given"):
        SpikeTrains.from_lists([[[0.1]]], 0.0, None)


counts = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=5), elements=st.integers(0, 4)
)


@given(
    counts=counts,
    t_start=st.sampled_from([0.0, -3.3, 1234.567]),
    bin_width=st.sampled_from([0.001, 0.05, 1 / 3]),
)
def test_counts_come_back_as_they_went_in(counts, t_start, bin_width):
    spikes = SpikeTrains.from_counts(counts, bin_width, t_start)
    assert spikes.shape == (1 if counts.ndim == 2 else len(counts), counts.shape[-1])
    assert spikes.resolution == bin_width
    again = spikes.to_counts(bin_width)
    if len(spikes):
        np.testing.assert_array_equal(again, counts if counts.ndim == 3 else counts[None])
    binned = spikes.bin(bin_width)
    assert binned.mask().all()


def test_trials_of_unequal_length_come_back_as_a_list():
    trials = [np.array([[1, 0], [0, 2]]), np.array([[3, 1]])]
    spikes = SpikeTrains.from_counts(trials, 0.1, t_start=[0.0, 5.0], unit_ids=["a", "b"], trial_ids=[4, 9])
    assert spikes.t_stop.tolist() == [0.2, 5.1]
    for theirs, ours in zip(spikes.to_counts(0.1), trials, strict=True):
        np.testing.assert_array_equal(theirs, ours)


@given(counts=hnp.arrays(np.int64, (12, 2), elements=st.integers(0, 3)), factor=st.integers(1, 5))
def test_counts_binned_coarser_are_sums_of_bins(counts, factor):
    coarse = SpikeTrains.from_counts(counts, 0.02).bin(0.02 * factor)
    whole = 12 // factor
    np.testing.assert_array_equal(
        coarse.dense(0, whole), counts[: whole * factor].reshape(whole, factor, 2).sum(axis=1)
    )
    assert coarse.mask()[:whole].all()
    assert not coarse.mask()[whole:].any()
    assert coarse.n_spikes == counts.sum()


@pytest.mark.parametrize("bin_width", [0.05, 0.15, 0.1001, 0.02])
def test_counts_cannot_be_binned_finer_than_they_were(bin_width):
    with pytest.raises(ValueError, match="come from counts in bins of 0.1 s, so bin_width must be a whole multiple"):
        SpikeTrains.from_counts(np.ones((10, 1), int), 0.1).bin(bin_width)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.array([[1, -1]]), "Negative values.*CalciumEvents"),
        (np.array([[1.0, np.nan]]), "must be finite.*observed="),
        (np.array([[1.0, np.inf]]), "must be finite"),
        (np.array([[0.5, 1.0]]), "not whole numbers"),
        (np.array([1, 2]), "n_bins, n_units"),
        ([np.ones((2, 2), int), np.ones((2, 3), int)], r"same units. Got \[2, 3\] columns"),
        (np.full((3, 2), 30_000, np.uint16), "at most 10,000. Got 30000. .*CalciumEvents"),
        (np.array([[2**40]]), "at most 10,000. Got .*CalciumEvents"),
    ],
)
def test_counts_that_are_not_spike_counts_are_refused(counts, message):
    with pytest.raises(ValueError, match=message), warnings.catch_warnings():
        warnings.simplefilter("error", NonIntegerCountsWarning)
        SpikeTrains.from_counts(counts, 0.1)


def test_bins_that_were_not_observed_are_masked_and_not_zero():
    counts = np.array([[1, 0], [0, 0], [0, 0], [2, 1]])
    shared = SpikeTrains.from_counts(counts, 0.1, observed=np.array([True, False, True, True]))
    np.testing.assert_array_equal(shared.bin(0.1).mask(), [[True] * 2, [False] * 2, [True] * 2, [True] * 2])
    own = np.array([[True, True], [True, False], [False, False], [True, True]])
    single = SpikeTrains.from_counts(counts, 0.1, t_start=7.0, observed=own)
    np.testing.assert_array_equal(single.bin(0.1).mask(), own)
    np.testing.assert_array_equal(single.bin(0.2).mask(), [[True, False], [False, False]])
    ragged = SpikeTrains.from_counts([counts[:1], counts[1:]], 0.1, observed=[own[:1], own[1:]])
    np.testing.assert_array_equal(ragged.bin(0.1).mask(), own)
    with pytest.raises(ValueError, match="must be 0 in bins that were not observed"):
        SpikeTrains.from_counts(counts, 0.1, observed=np.array([False, True, True, True]))
    with pytest.raises(ValueError, match="shape of counts or of its bins"):
        SpikeTrains.from_counts(counts, 0.1, observed=np.array([False, True]))


events = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 3)), max_size=40)


@given(events=events, borders=st.lists(st.integers(0, 100), min_size=2, max_size=8))
def test_events_fall_into_their_epochs_like_a_slow_loop_says(events, borders):
    times = np.array([t / 10 for t, _ in events])
    units = np.array([10 * u + 1 for _, u in events], dtype=int)
    epochs = [(a / 10, (a + 5) / 10) for a in borders]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        spikes = SpikeTrains.from_events(times, units, epochs=epochs, unit_ids=[1, 11, 21, 31])
    for k, (start, stop) in enumerate(epochs):
        for j, unit_id in enumerate(spikes.unit_ids):
            expected = sorted(t for t, u in zip(times, units, strict=True) if u == unit_id and start <= t < stop)
            assert spikes.trial(k)[j].tolist() == expected
    outside = sum(not any(a <= t < b for a, b in epochs) for t in times)
    assert len(caught) == (outside > 0)
    if outside:
        assert f"{outside} of {len(times)} spikes were left out: {outside} outside every epoch" in str(
            caught[0].message
        )


@given(spikes=st.from_type(SpikeTrains), seed=st.integers(0, 99))
def test_the_order_of_events_does_not_matter(spikes, seed):
    for trial in spikes:
        order = np.random.default_rng(seed).permutation(trial.n_spikes)
        epochs = np.column_stack([trial.t_start, trial.t_stop])
        again = SpikeTrains.from_events(
            trial.times[order], trial.unit_ids[trial.units[order]], epochs=epochs, unit_ids=trial.unit_ids
        )
        assert as_lists(again) == as_lists(trial)
        # Canonical order: equal times come by unit.
        np.testing.assert_array_equal(np.lexsort((again.units, again.times)), np.arange(again.n_spikes))


def test_what_is_left_out_is_reported_by_reason():
    with pytest.warns(DroppedSpikesWarning) as caught:
        spikes = SpikeTrains.from_events(
            [0.1, 0.2, 0.3, 0.4, 5.0],
            ["a", "b", "x", "a", "a"],
            epochs=[(0.0, 1.0)],
            unit_ids=["b", "a"],
            observed={"a": [[0.0, 0.35]]},
        )
    message = str(caught[0].message)
    assert message.startswith("3 of 5 spikes were left out")
    for part in (
        "1 of units that are not among unit_ids",
        "1 outside every epoch",
        "1 in time that was not observed",
    ):
        assert part in message
    assert as_lists(spikes) == [[[0.2], [0.1]]]
    assert caught[0].filename == __file__


def test_a_spike_in_overlapping_epochs_belongs_to_each():
    spikes = SpikeTrains.from_unit_times({"a": [0.4]}, epochs=[(0.0, 0.5), (0.3, 1.0)])
    assert as_lists(spikes) == [[[0.4]], [[0.4]]]


def test_unit_times_keep_the_sessions_clock_and_silent_units():
    spikes = SpikeTrains.from_unit_times({9: [100.7, 100.2], 4: []}, epochs=[(100.0, 101.0)])
    assert spikes.unit_ids.tolist() == [9, 4]
    assert as_lists(spikes) == [[[100.2, 100.7], []]]


@pytest.mark.parametrize(
    ("times", "units", "epochs", "message"),
    [
        ([0.1], [1, 2], [(0, 1)], "same length"),
        ([np.nan], [1], [(0, 1)], "must be finite"),
        ([0.1], [1], [(1, 0)], "must not stop before it starts"),
        ([0.1], [1], [0, 1, 2], r"epochs=\[\(0.0, duration\)\]"),
        ([0.1], [1.5], [(0, 1)], "all ints or all strings"),
    ],
)
def test_events_without_sense_are_refused(times, units, epochs, message):
    with pytest.raises(ValueError, match=message):
        SpikeTrains.from_events(times, units, epochs=epochs)


def test_large_and_negative_unit_ids_work():
    spikes = SpikeTrains.from_events([0.1, 0.2, 0.3], [10**12, -5, 10**12], epochs=[(0, 1)])
    assert spikes.unit_ids.tolist() == [-5, 10**12]
    assert as_lists(spikes) == [[[0.2], [0.1, 0.3]]]
    few = SpikeTrains.from_events([0.1, 0.2], [3, 4], epochs=[(0, 1)], unit_ids=[4, 3, 2])
    assert as_lists(few) == [[[0.2], [0.1], []]]


def test_no_events_and_no_epochs_are_legal():
    assert SpikeTrains.from_events([], [], epochs=[(0, 1)]).shape == (1, 0)
    assert SpikeTrains.from_events([], [], epochs=[(0, 1)], unit_ids=[1]).shape == (1, 1)
    assert SpikeTrains.from_unit_times({1: []}, epochs=np.empty((0, 2))).shape == (0, 1)
    assert SpikeTrains.from_lists([], [], [], unit_ids=[1]).shape == (0, 1)
    assert SpikeTrains.from_lists([], 0.0, 1.0).shape == (0, 0)


def test_only_containers_of_the_same_units_are_put_together():
    a = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0, unit_ids=[1])
    b = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0, unit_ids=[2])
    with pytest.raises(ValueError, match="Part 1 differs from part 0.*select_units"):
        SpikeTrains.concatenate([a, b])
    with pytest.raises(ValueError, match="same resolution"):
        SpikeTrains.concatenate([a, SpikeTrains.from_counts(np.ones((2, 1), int), 0.1, unit_ids=[1])])
    with pytest.raises(ValueError, match="at least one"):
        SpikeTrains.concatenate([])
    named = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0, unit_ids=[1], trial_ids=["x"])
    with pytest.raises(ValueError, match="all ints or all strings"):
        SpikeTrains.concatenate([a, named])


def test_a_transposed_mask_is_refused_and_every_form_of_a_right_one_taken():
    counts = np.zeros((2, 4, 2), int)
    own = np.ones(counts.shape, bool)
    own[1, 2:, 1] = False
    for form in (counts, list(counts)):
        for mask in (own, list(own), own.reshape(8, 2)):
            np.testing.assert_array_equal(
                SpikeTrains.from_counts(form, 1.0, observed=mask).bin(1.0).mask(), own.reshape(8, 2)
            )
        assert SpikeTrains.from_counts(form, 1.0, observed=own[:, :, 1]).bin(1.0).mask().sum() == 12
        for wrong in (own.transpose(1, 0, 2), own.transpose(0, 2, 1), own.reshape(8, 2).T, own.ravel()):
            with pytest.raises(ValueError, match="shape of counts or of its bins.*transpose a mask"):
                SpikeTrains.from_counts(form, 1.0, observed=wrong)
    with pytest.raises(ValueError, match=r"1 trials of \[4\] bins, and 2 units. Got shape \(2, 4\); transpose"):
        SpikeTrains.from_counts(counts[0], 1.0, observed=own[1].T)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "uint32", "uint64", "int16", "int64"])
def test_labels_of_every_kind_of_integer_are_unit_ids(kind):
    spikes = SpikeTrains.from_events([0.1, 0.2], np.array([5, 3], kind), epochs=[(0.0, 1.0)])
    assert spikes.unit_ids.tolist() == [3, 5] and spikes.units.tolist() == [1, 0]


MS = np.array([100, 500], "timedelta64[ms]")


@pytest.mark.parametrize(
    "times",
    [
        MS,
        MS.astype("timedelta64[ns]"),
        pd.Series(MS),
        pd.to_timedelta(MS),
        [datetime.timedelta(seconds=0.1), datetime.timedelta(seconds=0.5)],
    ],
)
def test_durations_are_seconds(times):
    expected = [0.1, 0.5]
    assert SpikeTrains(times, [0, 0], [0, 2], 0.0, 1.0, unit_ids=[0]).times.tolist() == expected
    assert SpikeTrains.from_lists([[times]], 0.0, 1.0).times.tolist() == expected
    assert SpikeTrains.from_events(times, [0, 0], epochs=[(0.0, 1.0)]).times.tolist() == expected
    assert TimeSeries([1.0, 2.0], times, [0, 2]).timestamps.tolist() == expected
    assert Events.from_times({"lick": times}, [[0.0, 1.0]]).times.tolist() == expected


def test_epochs_may_be_durations():
    epochs = np.array([[0, 1000], [1000, 2000]], "timedelta64[ms]")
    table = pd.DataFrame({"start": epochs[:, 0], "stop": epochs[:, 1]})
    assert SpikeTrains.from_events(MS, [0, 0], epochs=epochs).t_stop.tolist() == [1.0, 2.0]
    assert len(Events.from_times({"lick": MS}, table)) == 2


@pytest.mark.parametrize(
    ("times", "remedy"),
    [
        (np.array(["2020-01-01T00:00:01"], "datetime64[s]"), "times - t0"),
        (pd.to_datetime(["2020-01-01"]).tz_localize("UTC"), "times - t0"),
        ([datetime.datetime(2020, 1, 1)], "times - t0"),
        (np.array([True]), r"times\[mask\]"),
        (["0.5"], "dtype=float"),
        ([0.5 + 0j], "real part"),
    ],
)
def test_what_only_looks_like_times_is_refused(times, remedy):
    for make in (
        lambda: SpikeTrains.from_events(times, [0], epochs=[(0.0, 1.0)]),
        lambda: SpikeTrains(times, [0], [0, 1], 0.0, 1.0, unit_ids=[0]),
        lambda: Events.from_times({"lick": times}, [[0.0, 1.0]]),
    ):
        with pytest.raises(TypeError, match=f"numbers in seconds.*{remedy}"):
            make()


def test_epochs_are_no_word():
    with pytest.raises(ValueError, match="for one continuous recording .* Got 'all'"):
        SpikeTrains.from_events([0.1], [0], epochs="all")


def test_tables_keep_the_names_of_their_columns():
    table = pd.DataFrame(np.eye(3, dtype=int), columns=["A1", "A3", "B1"])
    assert SpikeTrains.from_counts(table, 0.1).unit_ids.tolist() == ["A1", "A3", "B1"]
    assert SpikeTrains.from_counts([table, table[:2]], 0.1).unit_ids.tolist() == ["A1", "A3", "B1"]
    assert SpikeTrains.from_counts(table, 0.1, unit_ids=[4, 5, 6]).unit_ids.tolist() == [4, 5, 6]
    assert SpikeTrains.from_counts(pd.DataFrame(np.eye(2, dtype=int)), 0.1).unit_ids.tolist() == [0, 1]
    with pytest.raises(ValueError, match="the same columns"):
        SpikeTrains.from_counts([table, table[["A3", "A1", "B1"]]], 0.1)


@pytest.mark.parametrize("kind", [sparse.csr_array, sparse.csc_matrix, sparse.coo_array])
def test_sparse_counts_are_counts(kind):
    counts = np.random.default_rng(0).poisson(0.3, (10, 3))
    for given_ in (kind(counts), [kind(counts)]):
        np.testing.assert_array_equal(SpikeTrains.from_counts(given_, 0.1).to_counts(0.1)[0], counts)
