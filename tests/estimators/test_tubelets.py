"""Facts about videos in tubelets, from the estimator's side."""

import numpy as np
import pytest

from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, Video

SIZES = {"tubelet_size": (2, 2, 2), "tubelet_stride": (1, 1, 2)}


@pytest.fixture(scope="module")
def fitted(make, world):
    return make(**SIZES, gamma=0.1, mu=0.4).fit(world.spikes, world.video)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tubelet_size": "small"}, "'tubelet_size' parameter"),
        ({"tubelet_size": (3, 4)}, r"'tubelet_size' parameter .* frames, rows and columns .*Got \(3, 4\)"),
        ({"tubelet_size": (3, 4, 0)}, "'tubelet_size' parameter .* three ints >= 1"),
        ({"tubelet_size": (0.1, 4, 4)}, "'tubelet_size' parameter .* three ints >= 1"),
        ({"tubelet_stride": None}, "'tubelet_stride' parameter"),
        ({"tubelet_stride": (1, True, 1)}, "'tubelet_stride' parameter .* three ints >= 1"),
        ({"tubelet_size": None, "tubelet_stride": (1, 1, 1)}, "'tubelet_stride' parameter .* no stride"),
        ({"tubelet_size": (2, 2, 2), "tubelet_stride": (2, 3, 2)}, "'tubelet_stride' .* must not exceed"),
    ],
)
def test_tubelets_that_are_no_boxes(make, world, parameters, message):
    with pytest.raises(ValueError, match=message):
        make(**parameters).fit(world.spikes, world.video)


def test_size_and_stride_make_another_model(make, world, fitted):
    scores = {}
    for name, changes in {
        "whole": {"tubelet_size": None}, "auto": {}, "longer": {**SIZES, "tubelet_size": (3, 2, 2)},
        "apart": {**SIZES, "tubelet_stride": (2, 2, 2)},
    }.items():  # fmt: skip
        model = make(**changes, gamma=0.1, mu=0.4).fit(world.spikes, world.video)
        scores[name] = model.score(world.spikes, world.video)
    scores["given"] = fitted.score(world.spikes, world.video)
    assert scores["auto"] == scores["whole"]  # frames of 12 values
    assert len(set(scores.values())) == 4


@pytest.mark.parametrize("frames", [(3, 7, 40, 50), (3, 5, 36, 36, 3)], ids=["grey", "colour"])
def test_large_frames_of_any_rate_enter_in_tubelets(make, world, frames):
    rng = np.random.default_rng(0)
    fps = frames[1] - 1.0
    video = Video(rng.integers(0, 256, frames).astype(np.uint8), fps, index=world.video.index)
    model = make().fit(world.spikes, video)
    (described,) = model.model_.network.config.modalities
    assert 30 <= described.n_places <= 64 and described.n_features == np.prod(frames[2:])
    assert np.isfinite(model.score(world.spikes, video))


def test_later_frames_change_nothing_before_them(world, fitted):
    frames = world.video.frames.copy()
    frames[:, 5:] += 3  # on from 0.5 s, the start of bin 10 and of a window
    found = [fitted.predict(world.spikes[:1], video)[0] for video in (world.video[:1], Video(frames, 10.0, index=[0]))]
    np.testing.assert_array_equal(found[0][:10], found[1][:10])
    assert np.abs(found[0][10:] - found[1][10:]).max() > 1e-6


def test_a_model_of_tubelets_comes_back_from_its_file(tmp_path, world, fitted):
    fitted.save(tmp_path / "model.skn")
    again = NeuroformerEstimator.load(tmp_path / "model.skn")
    assert again.get_params()["tubelet_size"] == (2, 2, 2)
    assert again.score(world.spikes, world.video) == fitted.score(world.spikes, world.video)
    drawn = [model.sample(world.video[:2], random_state=0) for model in (fitted, again)]
    np.testing.assert_array_equal(drawn[0].times, drawn[1].times)


def test_trials_are_scored_alike_alone_and_together(make, world):
    model = make(**SIZES, precision="float64").fit(world.spikes, world.both)
    together = model.score_samples(world.spikes, world.both)
    alone = [float(model.score_samples(world.spikes[k : k + 1], world.both[k : k + 1])[0]) for k in range(12)]
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)


def test_training_goes_on_with_the_same_tubelets_only(make, world):
    model = make(**SIZES, warm_start=True).fit(world.spikes, world.video)
    model.fit(world.spikes, world.video)
    assert model.n_iter_ == 4
    with pytest.raises(ValueError, match="tubelets of 'stimulus'"):
        model.set_params(tubelet_size=(3, 2, 2)).fit(world.spikes, world.video)


def test_a_video_and_a_series_beside_it_can_be_missing(make, world):
    model = make(**SIZES, modality_dropout=0.3).fit(world.spikes, world.both)
    with pytest.warns(UserWarning, match="video"):
        score = model.score(world.spikes, Modalities(speed=world.speed))
    assert np.isfinite(score) and score != model.score(world.spikes, world.both)
