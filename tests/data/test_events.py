"""Facts about events: each keeps its trial, its label and its time, however the trials are picked and cut."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import Events, Modalities, Recording, SpikeTrains
from skneuro.exceptions import IncompatibleModalityError

TIMES = st.lists(st.integers(0, 99).map(lambda k: k / 100), max_size=6)
TRIALS = st.lists(st.dictionaries(st.sampled_from(["lick", "reward", "cue"]), TIMES, max_size=3), max_size=5)
NAMES = ["lick", "reward", "cue"]


def silent(n_trials, duration=1.0):
    return SpikeTrains([], [], np.zeros(n_trials + 1, int), 0.0, np.full(n_trials, duration), unit_ids=[0])


def as_sets(events):
    """Every event of each trial as (name, time)."""
    named = [(events.names[k], t) for k, t in zip(events.labels, events.times, strict=True)]
    return [sorted(named[a:b]) for a, b in zip(events.ptr[:-1], events.ptr[1:], strict=True)]


@given(trials=TRIALS)
def test_lists_come_back_and_each_bin_counts_its_own(trials):
    events = Events.from_lists(trials, 0.0, 1.0, names=NAMES)
    assert as_sets(events) == [sorted((n, t) for n, times in trial.items() for t in times) for trial in trials]
    if not trials:
        return
    counts = events.on_bins(silent(len(trials)).bin(0.1)).reshape(len(trials), 10, 3)
    expected = np.zeros_like(counts)
    for row, trial in enumerate(trials):
        for name, times in trial.items():
            for time in times:
                expected[row, round(time * 100) // 10, NAMES.index(name)] += 1
    np.testing.assert_array_equal(counts, expected)


@given(trials=TRIALS)
def test_cut_events_are_those_of_the_blocks(trials):
    if not trials:
        return
    spikes, events = silent(len(trials)), Events.from_lists(trials, -0.5, 1.5, names=NAMES)
    blocks = Recording(spikes, Modalities(events=events)).cut(0.25)
    whole = events.on_bins(spikes.bin(0.05))
    np.testing.assert_array_equal(blocks.modalities["events"].on_bins(blocks.spikes.bin(0.05)), whole)
    assert blocks.modalities["events"].names == tuple(NAMES)  # also where a block holds none of them


def test_events_of_a_session_go_to_the_epochs_that_hold_them():
    events = Events.from_times({"lick": [0.9, 0.2, 1.1, 5.0], "reward": [1.05]}, [[0.0, 1.0], [1.0, 2.0]], before=0.3)
    assert as_sets(events) == [[("lick", 0.2), ("lick", 0.9)], [("lick", 0.9), ("lick", 1.1), ("reward", 1.05)]]
    np.testing.assert_allclose(events.t_start, [-0.3, 0.7])


def test_epochs_come_as_tables_whose_columns_have_names():
    table = pd.DataFrame({"stop_time": [1.0, 2.0], "start_time": [0.0, 1.0], "rewarded": [True, False]})
    assert as_sets(Events.from_times({"lick": [0.5, 1.5]}, table)) == [[("lick", 0.5)], [("lick", 1.5)]]


def test_an_event_at_the_very_end_is_in_the_last_bin_of_its_trial():
    events = Events.from_lists([{"lick": [0.2, 0.4]}], 0.0, 0.4)
    binned = silent(1, 0.4).bin(0.1)
    assert events.on_bins(binned).ravel().tolist() == [0, 0, 1, 1]
    assert Events.from_lists([{"lick": [0.4 - 1e-8]}], 0.0, 1.0).on_bins(binned).ravel().tolist() == [0, 0, 0, 1]
    assert Events.from_lists([{"lick": [0.4]}], 0.0, 1.0).on_bins(binned).ravel().tolist() == [0, 0, 0, 0]
    blocks = Recording(silent(1, 0.4), Modalities(events=events)).cut(0.2)
    assert blocks.modalities["events"].on_bins(blocks.spikes.bin(0.1)).ravel().tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("duration", [0.1, 0.3, 0.7, 1.1])
def test_events_at_borders_of_blocks_are_in_the_bin_that_begins_there(duration):
    events = Events.from_lists([{"lick": np.arange(0, 50, 0.1).round(1)}], 0.0, 50.0)
    spikes = silent(1, 50.0)
    blocks = Recording(spikes, Modalities(events=events)).cut(duration)
    found = blocks.modalities["events"].on_bins(blocks.spikes.bin(0.1)).ravel()
    np.testing.assert_array_equal(found, events.on_bins(spikes.bin(0.1)).ravel())
    part = blocks.modalities["events"]
    again = Events(part.times, part.labels, part.ptr, part.t_start, part.t_stop, names=part.names)
    assert again == part  # every event lies in its block


def test_nobody_looked_for_events_outside_their_span():
    events = Events.from_lists([{"lick": [0.3]}], 0.2, 0.6)
    found = events.on_bins(silent(1).bin(0.2)).ravel()
    np.testing.assert_array_equal(found, [np.nan, 1.0, 0.0, np.nan, np.nan])
    with pytest.raises(IncompatibleModalityError, match=r"'events' does not cover 1 of 1 trials.*\[0.2, 0.6\]"):
        Recording(silent(1), Modalities(events=events))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Events.from_lists([[0.1, 0.2]], 0, 1), TypeError, "dict of name to times.*Trial 0 is a list"),
        (lambda: Events.from_lists([{"lik": [0.1]}], 0, 1, names=["lick"]), ValueError, r"\['lik'\] is not in"),
        (lambda: Events.from_lists([{"lick": [1.2]}], 0, 1), ValueError, "at 1.2 s in trial 0, which lasts"),
        (lambda: Events.from_lists([{"lick": [np.nan]}], 0, 1), ValueError, "times of 'lick' must be finite"),
        (lambda: Events.from_lists([{"lick": 0.1}], 0, 1), ValueError, "times of 'lick' must be a 1-D array"),
        (lambda: Events.from_lists([{"lick": ["a"]}], 0, 1), TypeError, "times of 'lick' must be numbers"),
        (lambda: Events.from_lists([{}], 0, None), ValueError, "t_stop must be given"),
        (lambda: Events.from_lists([{}, {}], [0, 0, 0], 1), ValueError, "each of 2 trials. Got 3"),
        (lambda: Events([0.2, 0.1], [0, 0], [0, 2], 0, 1, names=["a"]), ValueError, "ascend within a trial"),
        (lambda: Events([0.1], [1], [0, 1], 0, 1, names=["a"]), ValueError, r"labels must be 0 .. 0. Got 1 .. 1"),
        (lambda: Events([0.1], ["a"], [0, 1], 0, 1, names=["a"]), ValueError, "labels must be ints.*from_lists"),
        (lambda: Events([0.1], [0], [0, 2], 0, 1, names=["a"]), ValueError, "ptr must ascend"),
        (lambda: Events([], [], [0], [], [], names="lick"), ValueError, "names must be different strings"),
        (lambda: Events([], [], [0], [], [], names=["a", "a"]), ValueError, "names must be different strings"),
        (lambda: Events.from_times([0.1], [[0, 1]]), TypeError, "dict of name to times. Got list"),
        (lambda: Events.from_times({"lick": [0.1]}, [0, 1, 2]), ValueError, r"epochs must be of shape \(n_trials, 2\)"),
        (lambda: Events.from_times({"lick": [0.1]}, [[0, 1]], before=-1), ValueError, "before must be at least 0"),
    ],
)
def test_what_are_no_events(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_kind_of_event_that_lies_outside_every_epoch_is_pointed_out():
    with pytest.warns(UserWarning, match=r"None of the 2 'lick' events .* at 400 to 500 s, the epochs at 0 to 2 s"):
        events = Events.from_times({"lick": [400.0, 500.0], "cue": [1.0], "none": []}, [[0.0, 1.0], [1.0, 2.0]])
    assert np.bincount(events.labels, minlength=3).tolist() == [0, 1, 0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Events.from_times({"lick": [0.5, 500.0]}, [[0.0, 1.0]])
        Events.from_times({"lick": [-0.5]}, [[0.0, 1.0]], before=0.6)
