from datetime import UTC, datetime

import numpy as np
import pytest

from skneuro.cli.errors import CommandError
from skneuro.cli.recordings import load, speed_of
from skneuro.data import TimeSeries


def test_the_simulation_repeats_one_stimulus():
    first = load("hub", quick=True)
    assert first.repeats
    assert first.spikes.shape == (60, 40)
    stimulus = first.stimuli["stimulus"].on_bins(first.spikes.bin(0.1)).reshape(60, 40, -1)
    np.testing.assert_allclose(stimulus[1:], np.broadcast_to(stimulus[1], stimulus[1:].shape), atol=1e-9)


def test_the_simulated_video_is_seen_twice():
    recording = load("video", quick=True, seed=1)
    assert not recording.repeats and recording.spikes.shape == (120, 20)
    video = recording.stimuli["video"]
    assert video.shape[1:] == (60, 8, 8) and (np.bincount(video.clip_ids) == 2).all()
    assert 5 < recording.spikes.n_spikes / recording.spikes.duration.sum() / 20 < 15  # Hz


def test_speed_is_distance_over_time_whatever_the_sampling():
    rng = np.random.default_rng(0)
    t = np.cumsum(rng.uniform(0.01, 0.03, 500))
    position = TimeSeries.from_lists([np.column_stack([30 * t, 40 * t])], timestamps=[t])
    speed = speed_of(position)
    np.testing.assert_allclose(speed.values, 50.0)
    np.testing.assert_array_equal(speed.timestamps, t)


@pytest.mark.parametrize("missing", ["mask", "hold"])
@pytest.mark.parametrize("marked", [False, True])
def test_speed_beside_a_hole_of_the_tracking_is_that_of_its_side(missing, marked):
    t = np.arange(0, 20, 0.05)
    x = np.where(t < 5, 10 * t, 50 + 40 * (t - 15))  # 10 cm/s, lost for 10 s, then 40 cm/s
    lost = (t > 5 - 1e-6) & (t < 15 - 1e-6)
    x[lost] = np.nan
    kept = marked | ~lost
    position = TimeSeries.from_lists([np.column_stack([x, 0 * x])[kept]], timestamps=[t[kept]], missing=missing)
    speed = speed_of(position)
    assert speed.missing == missing
    expected = np.where(lost, np.nan, np.where(t < 5, 10.0, 40.0))
    np.testing.assert_allclose(speed.values.ravel(), expected[kept])


def test_a_short_dropout_is_bridged_and_a_lone_sample_has_no_speed():
    t = np.r_[np.arange(0, 2, 0.05), 5.0, np.arange(10, 12, 0.05)]
    x = 10 * t
    x[20:22] = np.nan
    speed = speed_of(TimeSeries.from_lists([x, [3.0], []], timestamps=[t, [0.0], []])).values.ravel()
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(speed)), [20, 21, 40, 81])
    np.testing.assert_allclose(speed[~np.isnan(speed)], 10.0)


@pytest.fixture
def nwb(tmp_path):
    pynwb = pytest.importorskip("pynwb")
    file = pynwb.NWBFile("a rat", "rat", datetime(2024, 1, 1, tzinfo=UTC))
    for times in ([0.2, 0.9, 1.4], [0.5]):
        file.add_unit(spike_times=times, obs_intervals=[[0.0, 2.0]])
    file.add_trial(start_time=0.0, stop_time=1.0)
    file.add_trial(start_time=1.0, stop_time=2.0)
    path = tmp_path / "rat.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as io:
        io.write(file)
    return path


def test_an_nwb_file_gives_its_units_and_trials(nwb):
    recording = load(str(nwb))
    assert recording.spikes.shape == (2, 2)
    assert recording.spikes.n_spikes == 4


def test_an_unknown_ending_is_refused_with_the_formats_there_are(tmp_path):
    path = tmp_path / "rat.csv"
    path.write_text("times,units\n")
    with pytest.raises(CommandError, match="ends in .npz or .nwb"):
        load(str(path))


@pytest.mark.parametrize(
    ("source", "words"),
    [("s1_reaching", "did you mean s1-reaching"), ("HUB", "did you mean hub"), ("rat.csv", "no such file; give")],
)
def test_a_name_that_is_almost_right_is_recognised(source, words):
    with pytest.raises(CommandError, match=words):
        load(source)


def test_a_data_home_that_is_a_file_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "home").write_text("")
    monkeypatch.setenv("SKNEURO_DATA", str(tmp_path / "home"))
    with pytest.raises(CommandError, match="s1-reaching: .* is a file.*SKNEURO_DATA"):
        load("s1-reaching")


def test_a_folder_is_no_recording(tmp_path):
    with pytest.raises(CommandError, match="a folder; give an .npz"):
        load(str(tmp_path))


def test_the_gratings_are_events_with_their_stimulus_and_behaviour(recordings, monkeypatch):
    monkeypatch.setenv("SKNEURO_DATA", str(recordings("v1_mouse_2p_gratings_run")))
    recording = load("v1-gratings")
    assert recording.spikes.shape == (128, 56)
    assert recording.spikes.unit_info["lookahead"].eq(0).all()
    assert recording.modalities.names == ("grating", "speed", "pupil")
    on, cosine, sine = recording.modalities["grating"].values.reshape(128, 48, 3)[:, -1].T
    assert (on == 1).all()
    assert set(np.round(np.rad2deg(np.arctan2(sine, cosine))) % 360) == set(range(0, 360, 45))
    assert (recording.modalities["grating"].values.reshape(128, 48, 3)[:, :15] == 0).all()  # the second before
