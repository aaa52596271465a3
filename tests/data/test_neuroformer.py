"""Files in the layout of the published code, and files that pretend to be."""

import os
import pickle
import random

import numpy as np
import pytest
from scipy.io import savemat

from skneuro.data import read_neuroformer
from skneuro.exceptions import UnsafeFileError

RNG = np.random.default_rng(0)
COUNTS = RNG.poisson(0.2, (4, 300))  # 3 s in bins of 10 ms
SPEED = RNG.normal(size=60)
FRAMES = RNG.integers(0, 255, (60, 1, 6, 8)).astype(np.uint8)


def visnav():
    return {"spikes": COUNTS, "frames": FRAMES, "speed": SPEED, "phi": SPEED + 1, "dt": 0.01}


def write(path, data, **kwargs):
    if path.suffix == ".npz":
        np.savez(path, **data)
    elif path.suffix == ".mat":
        savemat(path, data)
    else:
        path.write_bytes(pickle.dumps(data, **kwargs))
    return path


def check(recording):
    np.testing.assert_array_equal(recording.spikes.to_counts(0.01)[0], COUNTS.T)
    assert recording.modalities.names == ("video", "speed", "phi")
    video, speed = recording.modalities["video"], recording.modalities["speed"]
    np.testing.assert_array_equal(video.frames[0], FRAMES[:, 0])
    assert video.frame_interval[0] == pytest.approx(0.05)
    np.testing.assert_allclose(speed.values[:, 0], SPEED)
    np.testing.assert_allclose(speed.timestamps, 0.05 * np.arange(60), atol=1e-9)


@pytest.mark.parametrize("ending", [".npz", ".mat", ".pkl", ".pickle"])
def test_one_long_trial_with_video_and_behaviour_is_read_from_every_form(tmp_path, ending):
    check(read_neuroformer(write(tmp_path / f"mouse{ending}", visnav())))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol_are_read(tmp_path, protocol):
    check(read_neuroformer(write(tmp_path / "mouse.pkl", visnav(), protocol=protocol)))


def test_the_dictionary_of_the_readme_is_read(tmp_path):
    data = {
        "data": {"spikes": COUNTS, "frames": FRAMES, "behavior": {"speed": SPEED, "phi": SPEED}},
        "intervals": np.arange(0, 3, 0.05),
        "train_intervals": np.arange(0, 2, 0.05),
        "test_intervals": np.arange(2, 3, 0.05),
        "finetune_intervals": np.arange(0, 0.2, 0.05),
    }
    check(read_neuroformer(write(tmp_path / "mouse.pkl", data), dt=0.01))


def test_a_folder_of_arrays_is_read(tmp_path):
    np.save(tmp_path / "spikerates_dt_0.01.npy", COUNTS)
    np.save(tmp_path / "behavior_speed_dt_0.05.npy", SPEED)
    np.save(tmp_path / "phi_dt_0.05.npy", SPEED)
    np.save(tmp_path / "stimulus.npy", FRAMES)
    recording = read_neuroformer(tmp_path)
    np.testing.assert_array_equal(recording.spikes.to_counts(0.01)[0], COUNTS.T)
    assert set(recording.modalities.names) == {"video", "speed", "phi"}


def test_trials_of_v1al_see_the_clips_in_turn(tmp_path):
    trials = {k: RNG.poisson(0.2, (4, 200)) for k in range(1, 7)}
    clips = RNG.random((3, 40, 6, 8))
    recording = read_neuroformer(write(tmp_path / "v1al.pkl", trials), dt=0.01, frames=clips)
    assert recording.modalities["video"].clip_ids.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_array_equal(recording.spikes.to_counts(0.01)[4], trials[5].T)
    other = read_neuroformer(tmp_path / "v1al.pkl", dt=0.01, frames=clips, clips=[2, 1, 0, 2, 1, 0])
    assert other.modalities["video"].clip_ids.tolist() == [2, 1, 0, 2, 1, 0]
    with pytest.raises(ValueError, match="divided evenly"):
        read_neuroformer(tmp_path / "v1al.pkl", dt=0.01, frames=clips[[0, 1, 2, 0]])


def test_series_have_steps_of_their_own(tmp_path):
    data = {"spikes": COUNTS, "dt": 0.01, "licks": np.zeros(300), "licks_dt": 0.01, "speed": SPEED}
    recording = read_neuroformer(write(tmp_path / "mouse.npz", data))
    assert recording.modalities["licks"].timestamps[1] == pytest.approx(0.01)


def test_what_is_no_series_is_left_out_with_a_warning(tmp_path):
    path = write(tmp_path / "mouse.pkl", {**visnav(), "session": "m12"})
    with pytest.warns(UserWarning, match="session"):
        check(read_neuroformer(path))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"spikes": None}, "spikes missing"),
        ({"dt": None}, "dt=0.01"),
        ({"dt": -1.0}, "dt must be a positive"),
        ({"dt": "fast"}, "dt must be one number"),
        ({"spikes": COUNTS.ravel()}, "n_units, n_bins"),
        ({"spikes": {0: COUNTS, 1: COUNTS[:2]}}, "same units"),
        ({"spikes": -COUNTS}, "Negative"),
        ({"spikes": COUNTS + 10**6}, "must be counts"),
        ({"speed": SPEED[:20]}, "speed must have one sample each 0.05 s"),
        ({"frames": FRAMES.reshape(-1)}, "frames must be of shape"),
        ({"frames": FRAMES[:10]}, "video"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, change, match):
    data = {key: value for key, value in {**visnav(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=match):
        read_neuroformer(write(tmp_path / "mouse.pkl", data))


@pytest.mark.parametrize("name", ["none.npz", "none.mat", "none.pkl", "none"])
def test_a_file_that_is_not_there_is_not_found(tmp_path, name):
    with pytest.raises(FileNotFoundError, match=name):
        read_neuroformer(tmp_path / name)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "mouse.txt").write_text("hello")
    with pytest.raises(ValueError, match="ends in"):
        read_neuroformer(tmp_path / "mouse.txt")
    with pytest.raises(FileNotFoundError):
        read_neuroformer(tmp_path / "none.pkl")
    with pytest.raises(ValueError, match="expected a dictionary"):
        read_neuroformer(write(tmp_path / "list.pkl", [1, 2]))


# ------------------------------------------------------------------------------------------------ no code runs


class Evil:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("inside", ["alone", "value", "array"])
def test_a_pickle_runs_nothing(tmp_path, protocol, inside):
    flag = tmp_path / "pwned"
    evil = Evil(os.system, f"touch {flag}")
    data = {"alone": evil, "value": {**visnav(), "x": evil}, "array": {"spikes": np.array([evil], dtype=object)}}
    with pytest.raises(UnsafeFileError):
        read_neuroformer(write(tmp_path / "evil.pkl", data[inside], protocol=protocol))
    assert not flag.exists()


@pytest.mark.parametrize("function", [eval, getattr, np.load, np.fromfile, np.memmap, __import__])
def test_nothing_but_arrays_can_be_asked_for(tmp_path, function):
    with pytest.raises(UnsafeFileError, match="asks for"):
        read_neuroformer(write(tmp_path / "evil.pkl", Evil(function, "os")))


def test_objects_inside_npz_and_mat_are_not_unpickled(tmp_path):
    flag = tmp_path / "pwned"
    evil = np.array([Evil(os.system, f"touch {flag}")], dtype=object)
    np.savez(tmp_path / "evil.npz", spikes=evil, dt=0.01)
    (tmp_path / "renamed.npz").write_bytes(pickle.dumps(evil))
    (tmp_path / "renamed.mat").write_bytes(pickle.dumps(evil))
    for name in ("evil.npz", "renamed.npz", "renamed.mat"):
        with pytest.raises(UnsafeFileError):
            read_neuroformer(tmp_path / name)
    assert not flag.exists()


@pytest.mark.parametrize("ending", [".npz", ".pkl"])
def test_damaged_files_end_in_a_documented_error(tmp_path, ending):
    small = {"spikes": COUNTS[:, :20], "speed": SPEED[:4], "dt": 0.01}
    raw = write(tmp_path / f"good{ending}", small).read_bytes()
    chance = random.Random(0)
    damaged = [raw[: len(raw) // 2], b"", raw[:7], b"\xff" * 64]
    for _ in range(150):
        flipped = bytearray(raw)
        flipped[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(flipped))
    for k, content in enumerate(damaged):
        path = tmp_path / f"bad{k}{ending}"
        path.write_bytes(content)
        try:
            read_neuroformer(path)
        except (ValueError, OSError):
            pass
