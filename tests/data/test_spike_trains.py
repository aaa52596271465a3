"""The container itself: what it refuses, units and their information, gaps, blocks of a long recording."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import SpikeTrains


def flat(times, units=None, **kwargs):
    """One trial of a second."""
    units = np.zeros(len(times), dtype=int) if units is None else units
    return SpikeTrains(times, units, [0, len(times)], **{"t_start": 0.0, "t_stop": 1.0, **kwargs})


@pytest.mark.parametrize(
    ("times", "kwargs", "message"),
    [
        (
            [0.5, 1.0],
            {},
            r"1 of 2 spikes lie outside \[t_start, t_stop\).*unit 0 at 1 s in trial 0.*from_events",
        ),
        ([-0.1, 0.5], {}, "outside"),
        ([0.5, 0.2], {}, "Trial 0 has 0.2 s after 0.5 s; use SpikeTrains.from_events, which sorts"),
        ([0.5, np.nan], {}, "must be finite. Got nan at position 1"),
        ([np.inf], {}, "must be finite"),
        ([0.5], {"t_stop": -1.0}, "must not stop before it starts"),
        ([0.5], {"t_stop": None}, "t_stop must be given"),
        ([0.5], {"t_stop": [1.0, 2.0]}, "one number for each of 1 trials"),
        ([0.5], {"units": [3], "unit_ids": ["a", "b"]}, "column indices 0 .. 1"),
        ([0.5], {"units": [-1]}, "column indices"),
        ([0.5], {"units": [0.5]}, "column indices"),
        ([0.5], {"unit_ids": [1.5]}, "all ints or all strings"),
        ([0.5], {"unit_ids": ["a", 1]}, "all ints or all strings"),
        ([0.5], {"unit_ids": ["a", "a"]}, "'a' occurs more than once"),
        ([0.5], {"trial_ids": [1, 2]}, "trial_ids must have one entry for each of 1"),
        ([0.5], {"resolution": 0.0}, "resolution must be a positive number of seconds"),
        ([0.5], {"context": 2.0}, "between 0 and the duration"),
        ([0.5], {"observed": [[0.6, 1.0]]}, "time that was not observed: first, unit 0 at 0.5 s in trial 0"),
        ([0.5], {"observed": [[0.6, 0.1]]}, r"rows \(start, stop\) in seconds with start < stop"),
        ([0.5], {"observed": {9: [[0, 1]]}}, "names the unit 9"),
        ([0.5], {"observed": [{}, {}]}, "for each of the 1 trials"),
        ([0.5], {"unit_info": pd.DataFrame({"area": ["V1"]}, index=[7])}, "The unit 0 is missing.*set_index"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(times, kwargs, message):
    with pytest.raises(ValueError, match=message):
        flat(times, **kwargs)


def test_lengths_that_disagree_are_refused():
    with pytest.raises(ValueError, match="Got 2 times and 1 units"):
        SpikeTrains([0.1, 0.2], [0], [0, 2], 0.0, 1.0)
    for ptr in ([0, 1], [1, 2], [0, 2, 1, 2], [0.5, 2]):
        with pytest.raises(ValueError, match="ptr must"):
            SpikeTrains([0.1, 0.2], [0, 0], ptr, 0.0, 1.0)
    with pytest.raises(TypeError, match="from_unit_times"):
        SpikeTrains({0: [0.1]}, [0], [0, 1], 0.0, 1.0)
    with pytest.raises(TypeError, match="DataFrame indexed by unit id"):
        flat([0.5], unit_info={"area": ["V1"]})


def test_silence_is_legal():
    nothing = SpikeTrains([], [], [0, 0, 0], 0.0, 1.0, unit_ids=[1, 2])
    assert nothing.shape == (2, 2)
    assert nothing.n_spikes == 0
    assert nothing.bin(0.1).dense().sum() == 0
    one_unit = flat([0.5])
    assert one_unit.shape == (1, 1)
    no_trials = one_unit[[]]
    assert no_trials.shape == (0, 1)
    assert no_trials.bin(0.1).n_bins == 0
    no_time = SpikeTrains([], [], [0, 0], 1.0, 1.0, unit_ids=[1])
    assert no_time.bin(0.1).n_bins == 0


def test_spikes_at_the_start_belong_and_at_the_stop_do_not():
    assert flat([0.0]).n_spikes == 1
    with pytest.raises(ValueError, match="outside"):
        flat([1.0])


def test_changing_the_users_arrays_does_not_change_the_container():
    times, t_stop = np.array([0.1, 0.2]), np.array([1.0])
    spikes = flat(times, t_stop=t_stop)
    times[0], t_stop[0] = 9.0, 9.0
    assert spikes.times[0] == 0.1
    assert spikes.t_stop[0] == 1.0
    info = spikes.unit_info
    info["new"] = 1
    assert "new" not in spikes.unit_info


def test_unit_info_of_any_kind_survives_pickling():
    info = pd.DataFrame(
        {
            "area": pd.Categorical(["V1", "LM"]),
            "name": ["a", None],
            "depth": [1.5, np.nan],
            "good": pd.array([True, None], dtype="boolean"),
            "found": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        },
        index=["u1", "u0"],
    )
    spikes = flat([0.1], unit_ids=["u0", "u1"], unit_info=info)
    again = pickle.loads(pickle.dumps(spikes))
    pd.testing.assert_frame_equal(again.unit_info, spikes.unit_info)
    assert again.unit_info.loc["u1", "area"] == "V1"
    assert joblib.hash(again) == joblib.hash(spikes)
    bare = flat([0.1])
    assert pickle.loads(pickle.dumps(bare)) == bare


def test_trial_gives_each_unit_its_times():
    spikes = flat([0.1, 0.2, 0.3, 0.3], units=[1, 0, 1, 0], unit_ids=[5, 6, 7])
    assert [times.tolist() for times in spikes.trial(-1)] == [[0.2, 0.3], [0.1, 0.3], []]


def test_unknown_units_are_refused():
    spikes = flat([0.1], unit_ids=["a"])
    with pytest.raises(ValueError, match=r"There is no unit 'b'. The unit ids are \['a'\]"):
        spikes.select_units(["b"])
    with pytest.raises(ValueError, match="only once"):
        spikes.select_units(["a", "a"])
    with pytest.raises(ValueError, match="one entry for each of 1 units"):
        spikes.select_units([True, False])
    with pytest.raises(ValueError, match="no unit"):
        spikes.observed_intervals(0, "b")
    assert spikes.select_units([]).shape == (1, 0)


@given(spikes=st.from_type(SpikeTrains), duration=st.sampled_from([0.1, 0.3, 0.5, 0.7, 5.0]))
def test_blocks_tile_their_trials(spikes, duration):
    blocks = spikes.cut(duration)
    np.testing.assert_array_equal(blocks.times, spikes.times)
    np.testing.assert_array_equal(blocks.units, spikes.units)
    assert set(blocks.trial_ids.tolist()) == set(spikes.trial_ids.tolist())
    for k, trial_id in enumerate(spikes.trial_ids):
        mine = np.flatnonzero(blocks.trial_ids == trial_id)
        assert blocks.t_start[mine[0]] == spikes.t_start[k]
        assert blocks.t_stop[mine[-1]] == spikes.t_stop[k]
        np.testing.assert_array_equal(blocks.t_start[mine[1:]], blocks.t_stop[mine[:-1]])
        np.testing.assert_allclose(blocks.duration[mine[:-1]], duration, rtol=1e-9)
        for unit_id in spikes.unit_ids.tolist():
            seen = sum(np.diff(blocks.observed_intervals(m, unit_id)).sum() for m in mine)
            assert seen == pytest.approx(np.diff(spikes.observed_intervals(k, unit_id)).sum())
    # Every spike lies in its block: the checked constructor accepts the blocks.
    SpikeTrains(blocks.times, blocks.units, blocks.ptr, blocks.t_start, blocks.t_stop, unit_ids=blocks.unit_ids)


@pytest.mark.parametrize("duration", [0.1, 0.3, 0.7, 1.1])
@pytest.mark.parametrize("context", [0.0, 0.2])
def test_spikes_on_the_borders_of_blocks_are_in_the_bins_that_they_are_in_without_blocks(duration, context):
    """0.3 is less than 3 * 0.1."""
    spikes = flat(np.arange(0, 100, 0.1).round(1), t_stop=100.0)
    blocks = spikes.cut(duration, context=context)
    binned = blocks.bin(0.1)
    scored = binned.mask().ravel()
    np.testing.assert_array_equal(binned.dense()[scored], spikes.bin(0.1).dense())
    SpikeTrains(blocks.times, blocks.units, blocks.ptr, blocks.t_start, blocks.t_stop)  # every spike lies in its block


@given(spikes=st.from_type(SpikeTrains), context=st.sampled_from([0.1, 0.4, 3.0]))
def test_context_of_a_block_is_its_past_and_is_scored_once(spikes, context):
    blocks = spikes.cut(0.5, context=context)
    plain = spikes.cut(0.5)
    for block, bare in zip(blocks, plain, strict=True):
        assert block.t_stop == bare.t_stop
        assert block.t_start + block.context == pytest.approx(bare.t_start)
        trial = spikes[np.flatnonzero(spikes.trial_ids == block.trial_ids[0])[0]]
        inside = (trial.times >= block.t_start) & (trial.times < block.t_stop)
        np.testing.assert_array_equal(block.times, trial.times[inside])
    np.testing.assert_allclose(blocks.bin(0.1).exposure(), plain.bin(0.1).exposure(), atol=1e-9)
    np.testing.assert_array_equal(blocks.bin(0.1).unit_counts(), plain.bin(0.1).unit_counts())


def test_context_survives_cutting_again():
    blocks = SpikeTrains([0.1], [0], [0, 1], 0.0, 2.0).cut(1.0, context=0.5)
    assert blocks.context.tolist() == [0.0, 0.5]
    again = blocks.cut(0.5)
    assert again.context.tolist() == [0.0, 0.0, 0.5, 0.0, 0.0]


def test_blocks_of_counts_keep_to_the_bins():
    spikes = SpikeTrains.from_counts(np.ones((10, 1), int), 0.1)
    assert len(spikes.cut(0.5)) == 2
    with pytest.raises(ValueError, match="duration must be a whole multiple of 0.1 s. Got 0.25 s"):
        spikes.cut(0.25)
    with pytest.raises(ValueError, match="context must be 0 or more"):
        spikes.cut(0.5, context=-1.0)
    for wrong in (0, -1.0, np.nan, "1", True, None):
        with pytest.raises(ValueError, match="duration must be a positive number of seconds"):
            spikes.cut(wrong)


def test_one_long_recording_is_ordinary_input():
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_events(rng.uniform(0, 600, 5000), rng.integers(0, 4, 5000), epochs=[(0, 600)])
    assert spikes.shape == (1, 4)
    blocks = spikes.cut(60.0)
    assert len(blocks) == 10
    assert blocks[[1, 3]].t_start.tolist() == [60.0, 180.0]


@pytest.mark.parametrize(
    ("trials", "arguments", "words"),
    [
        ([0.1, 0.2], {}, r"trials\[k\]\[j\] must be .*Trial 0 is 0.1"),
        ([[0.1, 0.4]], {}, "brackets of their own"),
        ([[[0.1], []], [[0.2]]], {}, "Trial 1 lists 1 units, not the 2 that trial 0 lists"),
        ([[[0.1], []]], {"unit_ids": [4]}, "Trial 0 lists 2 units, not the 1 that unit_ids names"),
        ([[[0.1], ["a"]]], {}, "Spike times of unit 1 must be numbers"),
        ([[[0.1]]], {"unit_ids": [4.0]}, r"unit_ids .*convert whole numbers with np"),
        ([[[0.1], []]], {"unit_ids": "ab"}, "unit_ids must be a 1-D array .*Got 'ab'"),
        ([[[0.1]]], {"context": 3.0}, "context must lie between .* Got 3 s for trial 0 of 1 s"),
        ([[[0.1]]], {"observed": [0.0, 1.0]}, r"observed must be .*Got \[0.0, 1.0\]"),
        ([[[0.1]]], {"observed": "all"}, "observed must be .*Got 'all'"),
    ],
)
def test_lists_that_are_nested_otherwise_are_refused_with_the_form_that_is_right(trials, arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        SpikeTrains.from_lists(trials, 0.0, 1.0, **arguments)


def test_a_unit_column_that_is_not_there_is_called_one():
    with pytest.raises(IndexError, match="SpikeTrains has 1 unit columns; there is no unit column 3"):
        SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)[:, 3]


def test_only_spike_trains_are_concatenated():
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)
    with pytest.raises(TypeError, match="Part 1 is ndarray"):
        SpikeTrains.concatenate([spikes, np.zeros((3, 1))])
