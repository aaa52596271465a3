"""Features are what they are called, of stimuli whose answer is known."""

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skneuro import Modalities, NeuroformerEstimator, Recording, SpikeTrains, TimeSeries, Video
from skneuro.preprocessing import StimulusFeatures


def grating(direction, spatial=0.15, temporal=4.0, n_frames=40, size=32, rate=40.0):
    """Frames of a drifting grating; rows count downwards."""
    row, column = np.mgrid[:size, :size]
    angle = np.deg2rad(direction)
    place = column * np.cos(angle) - row * np.sin(angle)
    time = np.arange(n_frames)[:, None, None] / rate
    return np.cos(2 * np.pi * (spatial * place - temporal * time))


def table(frames):
    return frames.reshape(len(frames), -1)


def test_luminance_and_contrast_are_mean_and_deviation_of_the_part_that_is_looked_at():
    frames = np.random.default_rng(0).random((5, 6, 8))
    found = StimulusFeatures(frame_shape=(6, 8), crop=(1, 5, 2, 8)).fit_transform(table(frames))
    part = frames[:, 1:5, 2:8].reshape(5, -1)
    np.testing.assert_allclose(found, np.c_[part.mean(1), part.std(1)])


@pytest.mark.parametrize("direction", [0, 45, 90, 225, 315])
def test_the_most_energy_is_in_the_direction_and_the_frequencies_of_a_drifting_grating(direction):
    features = StimulusFeatures(
        ["motion_energy"], frame_shape=(32, 32), frame_rate=40.0, spatial_frequencies=(0.07, 0.15, 0.3),
        temporal_frequencies=(2.0, 4.0, 8.0),
    )  # fmt: skip
    found = features.fit_transform(table(grating(direction)))
    names = features.get_feature_names_out()
    assert names[found[20:].mean(0).argmax()] == f"motion_{direction}deg_0.15cpp_4hz"
    # It follows the energy of motion and not its phase.
    best = found[20:, found[20:].mean(0).argmax()]
    assert best.std() < 0.05 * best.mean()


def test_motion_energy_knows_no_later_frame_and_nothing_of_a_still():
    frames = grating(0)
    changed = frames.copy()
    changed[20:] = 0
    features = StimulusFeatures(["motion_energy"], frame_shape=(32, 32), frame_rate=40.0).fit(table(frames))
    one, other = features.transform(table(frames)), features.transform(table(changed))
    np.testing.assert_array_equal(one[:20], other[:20])
    assert not np.array_equal(one[20:], other[20:])
    uniform = features.transform(np.full((40, 1024), 0.7))
    np.testing.assert_allclose(uniform, 0, atol=1e-20)


def test_patch_components_are_those_of_all_patches():
    frames = np.random.default_rng(0).random((30, 9, 8))
    features = StimulusFeatures(["patch_pca"], frame_shape=(9, 8), patch_size=4, n_components=3)
    found = features.fit_transform(table(frames)).reshape(30, 2, 2, 3)
    patches = np.stack([frames[:, r : r + 4, c : c + 4] for r in (0, 4) for c in (0, 4)], axis=1).reshape(-1, 16)
    pca = PCA(3, svd_solver="full").fit(patches)
    np.testing.assert_allclose(np.abs(found.reshape(-1, 3)), np.abs(pca.transform(patches)), atol=1e-9)
    assert features.get_feature_names_out()[-1] == "patch_1_1_pc2"


def test_resizing_keeps_what_is_coarse_and_takes_away_what_would_alias():
    row = np.arange(32)
    coarse, fine = np.cos(2 * np.pi * row / 32), (-1.0) ** row
    frames = np.stack([np.tile(wave, (32, 1)) for wave in (coarse, fine, np.ones(32))])
    features = StimulusFeatures(["pixels"], frame_shape=(32, 32), size=(8, 8))
    found = features.fit_transform(table(frames)).reshape(3, 8, 8)
    expected = np.cos(2 * np.pi * (4 * np.arange(8) + 1.5) / 32)
    np.testing.assert_allclose(found[0], np.tile(expected, (8, 1)), atol=0.1)
    assert np.abs(found[1][:, 1:-1]).max() < 0.01  # the border pixels repeat beyond the frame
    np.testing.assert_allclose(found[2], 1)


def test_a_video_becomes_a_series_that_is_the_same_for_repeats():
    rng = np.random.default_rng(0)
    frames = rng.random((2, 10, 6, 6, 3))
    video = Video(frames, 20.0, index=[1, 0, 1], t_start=[0.0, 5.0, 7.0])
    features = StimulusFeatures(["luminance", "contrast"]).fit(video)
    series = features.transform(video)
    assert isinstance(series, TimeSeries) and series.names == ("luminance", "contrast")
    np.testing.assert_allclose(series[1].values[:, 0], frames[0].mean(axis=(1, 2, 3)))
    np.testing.assert_array_equal(series[0].values, series[2].values)
    np.testing.assert_allclose(series[1].timestamps, 5 + np.arange(10) / 20)
    by_table = StimulusFeatures(["luminance", "contrast"], frame_shape=(6, 6, 3)).fit_transform(table(frames[0]))
    np.testing.assert_allclose(series[1].values, by_table)


@pytest.mark.parametrize(
    "onsets",
    [
        [0.0, 0.1, 0.2, 0.5, 0.6],  # two frames were dropped
        [0.0, 0.1, 0.2, 0.35, 0.6],
        [0.0, 0.05, 0.2, 1.3, 1.4],
        [0.0, 0.3, 0.4, 0.5, 0.8],
    ],
)
def test_a_frame_that_is_held_keeps_its_features_until_the_next(onsets):
    frames = np.arange(5.0)[None, :, None, None] * np.ones((1, 5, 4, 4))
    video = Video(frames, timestamps=onsets, index=[0, 0], t_start=[0.0, 0.7])
    binned = SpikeTrains.from_lists([[[]], [[]]], [0.0, 0.7], [2.0, 2.7]).bin(0.05)
    found = StimulusFeatures(["luminance"]).fit_transform(video).on_bins(binned).ravel()
    shown = video.on_bins(binned)
    np.testing.assert_array_equal(found, np.where(shown < 0, np.nan, shown))


def test_a_pipeline_of_a_recording_gives_the_model_features_for_frames():
    rng = np.random.default_rng(0)
    video = Video(rng.random((2, 11, 6, 6)), 10.0, index=[0, 1, 0, 1])
    speed = TimeSeries.from_lists(list(rng.random((4, 20))), rate=20.0)
    spikes = SpikeTrains.from_counts(rng.poisson(0.5, (4, 20, 3)), 0.05)
    recording = Recording(spikes, Modalities(speed=speed, video=video))
    model = NeuroformerEstimator(
        bin_width=0.05, window_bins=2, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5, random_state=0
    )
    pipeline = make_pipeline(StimulusFeatures(["pixels"], size=(2, 2)), model).fit(recording)
    assert pipeline[-1].modalities_ == ("speed", "video")
    assert pipeline.predict(recording[:2])[0].shape == (20, 3)
    assert pipeline[0].transform(recording).modalities["speed"] is speed


def test_pandas_output_has_the_names():
    features = StimulusFeatures().set_output(transform="pandas")
    assert features.fit_transform(np.eye(3)).columns.tolist() == ["luminance", "contrast"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kinds": ["luminence"]}, r"'kinds' must hold one or more of .*got \['luminence'\]"),
        ({"kinds": "luminance"}, "'kinds' parameter"),
        ({"kinds": []}, "'kinds' must hold"),
        ({"frame_shape": (3, 3)}, "have 9 values. X has 16 columns"),
        ({"frame_shape": (4, 4), "crop": (0, 5, 0, 4)}, "must lie within frames of 4 x 4 pixels"),
        ({"frame_shape": (4, 4), "crop": (0, 5)}, "'crop' must be 4 whole numbers"),
        ({"size": (2.5, 2)}, "'size' must be 2 whole numbers"),
        ({"spatial_frequencies": (0.0,)}, "'spatial_frequencies' must be positive"),
        ({"n_components": 0}, "The 'n_components' parameter"),
        ({"kinds": ["motion_energy"], "frame_shape": (4, 4)}, "frame_rate"),
    ],
)
def test_what_does_not_fit_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        StimulusFeatures(**changes).fit(np.ones((5, 16)))


def test_other_input_is_refused():
    with pytest.raises(NotFittedError):
        StimulusFeatures().transform(np.ones((5, 16)))
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)
    with pytest.raises(ValueError, match="a Recording with one video. Got 0"):
        StimulusFeatures().fit(Recording(spikes))
    small, large = (Video(np.ones((1, 4, n, n)), 10.0, index=[0]) for n in (3, 4))
    with pytest.raises(ValueError, match="expecting 9 features"):
        StimulusFeatures().fit(small).transform(large)
