"""Modalities belong to the trials of the spikes: same number, and reaching over each of them."""

import numpy as np
import pytest

from skneuro.data import Events, Modalities, Pulses, Recording, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import IncompatibleModalityError


def silent(n_trials=2, duration=1.0, t_start=0.0):
    return SpikeTrains([], [], np.zeros(n_trials + 1, int), t_start, np.add(t_start, duration), unit_ids=[0])


def test_names_give_modalities_and_other_keys_trials(recording):
    modalities = recording.modalities
    assert modalities.names == ("video", "speed")
    assert modalities["speed"].names == ("x", "y")
    assert [name for name, _ in modalities.items()] == ["video", "speed"]
    assert "video" in modalities
    assert "pupil" not in modalities
    assert modalities[[0, 3]]["video"].clip_ids.tolist() == [0, 0]
    with pytest.raises(KeyError, match="There is no modality 'pupil'. The names are"):
        modalities["pupil"]


def test_dicts_and_arrays_are_refused_with_the_call_that_converts(recording):
    speed = recording.modalities["speed"]
    with pytest.raises(TypeError, match=r"Modalities\(\*\*dictionary\)"):
        Modalities({"speed": speed})
    with pytest.raises(TypeError, match=r"'speed' must be one of .*Events.* Video. Got ndarray.*from_lists"):
        Modalities(speed=np.zeros((2, 3)))
    with pytest.raises(TypeError, match=r"use Modalities\(\*\*modalities\)"):
        Recording(recording.spikes, {"speed": speed})
    with pytest.raises(TypeError, match=r"use Modalities\(name=...\)"):
        Recording(recording.spikes, speed)
    with pytest.raises(TypeError, match="as_spike_trains"):
        Recording([[[0.1]]], None)
    with pytest.raises(ValueError, match="at least one modality"):
        Modalities()


def test_modalities_must_agree_on_the_number_of_trials(recording):
    speed, video = recording.modalities["speed"], recording.modalities["video"]
    with pytest.raises(IncompatibleModalityError, match="disagree on the number of trials: {'a': 12, 'b': 11}"):
        Modalities(a=speed, b=video[1:])
    with pytest.raises(IncompatibleModalityError, match=r"\(speed\) have 11 trials, the spikes 12"):
        Recording(recording.spikes, Modalities(speed=speed[1:]))


@pytest.mark.parametrize(
    "speed",
    [
        TimeSeries.from_lists([np.zeros(10), np.zeros(8)], rate=10.0),
        TimeSeries.from_lists([np.zeros(10), np.zeros(8)], rate=10.0, t_start=[0.0, 0.25]),
        TimeSeries.from_lists([np.zeros(10), np.zeros(0)], rate=10.0),
        TimeSeries.from_lists([np.zeros(1000), np.zeros(10)], rate=10.0, t_start=[0, 1000.0]),
    ],
    ids=["ends early", "begins late", "no samples", "other clock"],
)
def test_modalities_must_cover_every_trial(speed):
    message = r"'speed' does not cover 1 of 2 trials: first, trial 1, which lasts \[0, 1\] s while 'speed' covers"
    with pytest.raises(IncompatibleModalityError, match=message):
        Recording(silent(), Modalities(speed=speed))


def test_a_clip_must_cover_its_trial():
    video = Video(np.zeros((1, 5, 2, 2)), fps=10.0, index=[0, 0])
    with pytest.raises(IncompatibleModalityError, match="'video' does not cover 2 of 2 trials.*add blank frames"):
        Recording(silent(), Modalities(video=video))
    assert len(Recording(silent(duration=0.5), Modalities(video=video))) == 2


def test_samples_anywhere_within_an_interval_of_the_borders_cover():
    for offset in (0.0, 0.05, 0.099):
        speed = TimeSeries.from_lists([np.zeros(10)], rate=10.0, t_start=offset)
        Recording(silent(1), Modalities(speed=speed))
    sparse = TimeSeries([1.0], [0.5], [0, 1])
    Recording(silent(1), Modalities(choice=sparse))


def test_blocks_carry_their_part_of_every_modality():
    spikes = SpikeTrains([0.1, 1.2, 2.9], [0, 0, 0], [0, 3], 50 - 50.0, 3.0)
    speed = TimeSeries.from_lists([np.arange(30.0)], rate=10.0, missing="hold")
    video = Video(np.zeros((1, 6, 2, 2)), fps=2.0)
    whole = Recording(spikes, Modalities(speed=speed, video=video))
    for context in (0.0, 0.5):
        blocks = whole.cut(1.0, context=context)
        assert len(blocks) == 3
        again = Recording(blocks.spikes, blocks.modalities)  # covers every block
        assert again.spikes == spikes.cut(1.0, context=context)
        binned = again.spikes.bin(0.1)
        row = np.round((np.repeat(binned.t_start, np.diff(binned.ptr)) - 0.0) / 0.1).astype(int)
        row += np.arange(binned.n_bins) - np.repeat(binned.ptr[:-1], np.diff(binned.ptr))
        everything = spikes.bin(0.1)
        np.testing.assert_array_equal(blocks.modalities["speed"].on_bins(binned), speed.on_bins(everything)[row])
        np.testing.assert_array_equal(blocks.modalities["video"].on_bins(binned), video.on_bins(everything)[row])


def test_a_block_that_holds_what_is_known_from_long_before_it():
    """Speed is lost for seconds, and pupil sooner than it: in a later block both are still held."""
    speed = np.r_[np.arange(20.0), np.full(40, np.nan), np.arange(20.0)]
    pupil = np.r_[np.arange(10.0), np.full(60, np.nan), np.arange(10.0)]
    held = TimeSeries.from_lists([np.column_stack([speed, pupil])], rate=10.0, missing="hold")
    spikes = SpikeTrains([0.1], [0], [0, 1], 0.0, 8.0)
    for context in (0.0, 0.5):
        blocks = Recording(spikes, Modalities(held=held)).cut(2.0, context=context)
        binned = blocks.spikes.bin(0.5)
        scored = binned.mask()[:, 0]
        expected = held.on_bins(spikes.bin(0.5))
        np.testing.assert_array_equal(blocks.modalities["held"].on_bins(binned)[scored], expected)
        last = blocks[2].modalities["held"].samples(blocks.spikes[2:3].bin(0.1))
        assert last.values[-2:].tolist() == [[19.0, 9.0], [0.0, 9.0]]  # of each column the last that is known


def test_blocks_that_begin_a_trial_keep_what_was_known_before_it():
    spikes = SpikeTrains.from_lists([[[1.5]]], 1.0, 3.0)
    recording = Recording(
        spikes,
        Modalities(
            cue=Events.from_times({"cue": [0.9, 1.2]}, [[1.0, 3.0]], before=0.5),
            light=Pulses.from_table({"onset": [0.7], "duration": [0.1]}, [[1.0, 3.0]], before=0.5),
            speed=TimeSeries.from_lists([np.arange(31.0)], rate=10.0),
        ),
    )
    for context, n_kept in ((0.0, 1), (1.0, 2)):
        blocks = recording.cut(1.0, context=context).modalities
        for block in blocks[:n_kept]:
            assert block["cue"].times.tolist() == [0.9, 1.2]
            assert block["cue"].t_start == block["light"].t_start == 0.5
            assert block["light"].onset.tolist() == [0.7]
            assert block["speed"].timestamps[0] == 0.0
    whole = recording.cut(2.0).modalities
    assert whole["cue"] == recording.modalities["cue"] and whole["light"] == recording.modalities["light"]


def test_a_recording_without_modalities_is_legal():
    spontaneous = Recording(silent(1))
    assert spontaneous.modalities is None
    assert spontaneous.cut(0.5)[1].modalities is None
    assert spontaneous.shape == (1, 1)
