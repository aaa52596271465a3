"""Frames are on from their timestamp to the next one; repeats share storage; bad frames are refused."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import SpikeTrains, Video
from skneuro.data import video as module


def clips(n_clips=2, n_frames=4):
    return np.arange(n_clips * n_frames * 6, dtype=np.uint8).reshape(n_clips, n_frames, 2, 3)


def bins(n_trials=1, duration=1.0, bin_width=0.1, t_start=0.0):
    silent = SpikeTrains([], [], np.zeros(n_trials + 1, int), t_start, np.add(t_start, duration), unit_ids=[0])
    return silent.bin(bin_width)


def test_frames_per_second_and_timestamps_say_the_same():
    by_rate = Video(clips(), fps=5.0)
    assert by_rate == Video(clips(), timestamps=np.arange(4) / 5.0)
    assert by_rate == Video(clips(), timestamps=np.tile(np.arange(4) / 5.0, (2, 1)))
    assert by_rate.shape == (2, 4, 2, 3)
    assert Video(np.zeros((1, 2, 3, 4, 3)), fps=1.0).shape == (1, 2, 3, 4, 3)


@given(
    steps=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    onset=st.integers(-3, 3),
    clip=st.lists(st.integers(0, 1), min_size=1, max_size=4),
)
def test_the_frame_of_a_bin_is_the_one_on_at_its_centre(steps, onset, clip):
    timestamps = np.cumsum([0, *steps]) / 10
    video = Video(clips(2, len(timestamps)), timestamps=timestamps, index=clip, t_start=onset / 10)
    frame = video.on_bins(bins(len(clip), 2.0, 0.1)).reshape(len(clip), 20)
    last_off = timestamps[-1] + np.median(np.diff(timestamps))
    for b in range(20):
        centre = (b + 0.5) / 10 - onset / 10 + 1e-9  # on a border, the later frame
        on = [k for k in range(len(timestamps)) if timestamps[k] <= centre]
        expected = on[-1] if on and centre < last_off else -1
        assert (frame[:, b] == expected).all()


def test_a_dropped_frame_is_held():
    video = Video(clips(1, 3), timestamps=[0.0, 0.1, 0.4])
    assert video.on_bins(bins()).tolist() == [0, 1, 1, 1, 2, 2, -1, -1, -1, -1]


def test_onsets_differ_between_trials():
    video = Video(clips(), fps=4.0, index=[1, 1], t_start=[10.0, 20.5])
    binned = bins(2, 1.0, 0.25, np.array([10.0, 20.0]))
    assert video.on_bins(binned).tolist() == [0, 1, 2, 3, -1, -1, 0, 1]
    assert video[1].t_start.tolist() == [20.5]
    first, last = video.span
    assert first.tolist() == [10.0, 20.5]
    assert last.tolist() == [11.0, 21.5]


def test_a_still_is_on_for_good():
    assert Video(clips(1, 1), timestamps=[0.0]).on_bins(bins()).tolist() == [0] * 10


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_frames_with_nan_are_refused(bad):
    frames = np.zeros((3, 4, 2, 2), dtype=np.float32)
    frames[2, 1, 0, 0] = bad
    with pytest.raises(ValueError, match="Clip 2 holds 1 NaN or infinite pixels; drop the frames and give timestamps"):
        Video(frames, fps=10.0)


@pytest.mark.parametrize(
    ("frames", "kwargs", "message"),
    [
        (np.zeros((4, 2, 2)), {"fps": 1.0}, r"for a single clip use frames\[None\]"),
        (np.zeros((1, 0, 2, 2)), {"fps": 1.0}, "at least one frame"),
        (np.full((1, 1, 2, 2), "a"), {"fps": 1.0}, "must be numbers"),
        (clips(), {}, "Exactly one of fps"),
        (clips(), {"fps": 1.0, "timestamps": np.arange(4)}, "Exactly one of fps"),
        (clips(), {"fps": 0.0}, "fps must be a positive number of frames per second. Got 0.0"),
        (clips(), {"timestamps": [0, 1, 1, 2]}, "ascend strictly"),
        (clips(), {"timestamps": [0, 1, np.nan, 2]}, "finite"),
        (clips(), {"timestamps": [0, 1]}, r"shape \(4,\) or \(2, 4\)"),
        (clips(), {"fps": 1.0, "index": [2]}, "must name clips 0 .. 1. Got 2 .. 2"),
        (clips(), {"fps": 1.0, "index": [-1]}, "must name clips"),
        (clips(), {"fps": 1.0, "index": [0.0]}, "clip .int. of each trial"),
        (clips(), {"fps": 1.0, "t_start": [0, 1, 2]}, "one number for each of 2 trials"),
    ],
)
def test_bad_input_is_refused_with_the_remedy(frames, kwargs, message):
    with pytest.raises(ValueError, match=message):
        Video(frames, **kwargs)


def test_frames_are_not_copied():
    frames = clips()
    assert np.shares_memory(Video(frames, fps=1.0).frames, frames)
    assert frames.flags.writeable


def test_bins_of_other_trials_are_refused():
    with pytest.raises(ValueError, match="same 2 trials. Got 1"):
        Video(clips(), fps=1.0).on_bins(bins(1))


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_moments_are_those_of_the_clips_that_are_shown(monkeypatch, dtype):
    frames = np.random.default_rng(0).integers(0, 255, (3, 7, 4, 5)).astype(dtype)
    monkeypatch.setattr(module, "VALUES_AT_ONCE", 45)  # two frames and a bit
    mean, sd = Video(frames, fps=5.0, index=[2, 0, 2]).moments()
    np.testing.assert_allclose(mean, [frames[[0, 2]].mean(dtype=np.float64)], rtol=1e-12)
    np.testing.assert_allclose(sd, [frames[[0, 2]].std(dtype=np.float64)], rtol=1e-12)


def test_a_mapped_video_is_read_in_parts_and_never_copied(tmp_path):
    size = (2, 128, 128, 128)
    on_disk = np.lib.format.open_memmap(tmp_path / "video.npy", mode="w+", dtype=np.float32, shape=size)
    on_disk[:] = 1.0
    on_disk.flush()
    mapped = np.load(tmp_path / "video.npy", mmap_mode="r")
    tracemalloc.start()
    try:
        video = Video(mapped, fps=10.0, index=[0, 1, 1])[[2, 0]]
        video.moments()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.shares_memory(video.frames, mapped)
    assert peak < mapped.nbytes / 2
