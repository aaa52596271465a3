"""Facts about the fitted network: one seed is one model, files and pickles hold all of it, damaged ones are refused."""

import json
import pickle
import re
import threading

import numpy as np
import pytest
import torch

from skneuro.data import BinnedSpikes, Modalities, TimeSeries, Video
from skneuro.exceptions import IncompatibleModalityError
from skneuro.nn import NeuroformerConfig
from skneuro.training.fitted import FittedModel, build_network, count_statistics
from skneuro.training.stretches import Segments


def test_one_seed_is_one_network_whatever_the_precision(tiny):
    config = tiny.fitted().network.config
    build = [
        build_network(config, np.full(3, 0.3), np.ones(3), seed, torch.device("cpu"), dtype).state_dict()
        for seed, dtype in ((1, torch.float32), (1, torch.float64), (2, torch.float32))
    ]
    assert all(torch.equal(build[0][name], build[1][name].float()) for name in build[0])
    assert any(not torch.equal(build[0][name], build[2][name]) for name in build[0])


def test_threads_that_build_at_once_build_the_same(tiny):
    """scikit-learn's threading backend fits the folds of a search side by side in one process."""
    config = tiny.fitted(d_model=64).network.config
    before = torch.get_rng_state()

    def build():
        return build_network(config, np.full(3, 0.3), np.ones(3), 1, torch.device("cpu"), torch.float32).state_dict()

    expected, found = build(), []
    for _ in range(5):
        threads = [threading.Thread(target=lambda: found.append(build())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 20
    assert all(torch.equal(one[name], expected[name]) for one in found for name in expected)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("way", ["pickle", "arrays"])
def test_a_fitted_model_comes_back_to_the_bit(tiny, head, way):
    stimuli = tiny.stimuli([20])
    fitted = tiny.fitted(head, 3, modalities=stimuli, aligned=("video",))
    if way == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        again = FittedModel.from_arrays(fitted.network.config, fitted.arrays(), "cpu", "float64")
    assert not again.network.training
    inp = tiny.read(tiny.spikes((20,)), stimuli)
    np.testing.assert_array_equal(again.cell_log_likelihood(inp), fitted.cell_log_likelihood(inp))
    np.testing.assert_array_equal(again.embed(inp), fitted.embed(inp))


@pytest.mark.parametrize("device", ["cuda:99", "mps", "xpu"])
def test_a_model_of_a_device_that_is_not_here_comes_back_on_the_cpu(tiny, device):
    if device == "mps" and torch.backends.mps.is_available() or device == "xpu" and torch.xpu.is_available():
        pytest.skip("it is here")
    fitted, inp = tiny.fitted(), tiny.read(tiny.spikes((20,)))
    expected = fitted.cell_log_likelihood(inp)
    fitted.device = device
    again = pickle.loads(pickle.dumps(fitted))
    assert again.device == "cpu"
    np.testing.assert_array_equal(again.cell_log_likelihood(inp), expected)
    fitted.device = "auto"
    assert pickle.loads(pickle.dumps(fitted)).device == "auto"


FRAMES = np.random.default_rng(7).standard_normal((2, 24, 3, 4))


def score_of(tiny, fitted, video):
    return fitted.cell_log_likelihood(tiny.read(tiny.spikes((20, 20)), Modalities(video=video)))


@pytest.mark.parametrize("way", ["at once", "pickle", "arrays"])
@pytest.mark.parametrize("times", [0.5, 1 / 3, 2.5])
def test_a_film_at_another_frame_rate_is_refused_with_what_brings_it_to_the_rate_of_fit(tiny, way, times):
    video = Video(FRAMES, fps=24.0)
    fitted = tiny.fitted(modalities=Modalities(video=video))
    if way == "pickle":
        fitted = pickle.loads(pickle.dumps(fitted))
    elif way == "arrays":
        config = NeuroformerConfig.from_dict(json.loads(json.dumps(fitted.network.config.to_dict())))
        fitted = FittedModel.from_arrays(config, fitted.arrays(), "cpu", "float64")
    other = FRAMES[:, (np.arange(24 * times) / times + 1e-9).astype(int)]
    with pytest.raises(IncompatibleModalityError, match="should have 24 frames a second, as in fit. Got") as refused:
        score_of(tiny, fitted, Video(other, fps=24.0 * times))
    number, remedy = re.search(r"number = (.+), (Video\(.+\))\.$", str(refused.value)).groups()
    names = {"np": np, "n": 24, "frames": other, "Video": Video}
    mended = eval(remedy, {**names, "number": eval(number, names)})
    score_of(tiny, fitted, mended)
    on = np.floor(np.floor(np.arange(24) * times + 1e-9) / times + 1e-9).astype(int)  # what was on the screen, and when
    np.testing.assert_array_equal(mended.frames, FRAMES[:, on])


def test_jitter_dropped_frames_and_images_are_scored(tiny):
    video = Video(FRAMES, fps=24.0)
    fitted = tiny.fitted(modalities=Modalities(video=video))
    rng = np.random.default_rng(0)
    onset = np.arange(24) / 24 + np.append(0.0, rng.uniform(0, 0.01, 23))
    kept = np.delete(np.arange(24), [3, 4, 11, 20])
    score_of(tiny, fitted, Video(FRAMES, timestamps=onset))
    score_of(tiny, fitted, Video(FRAMES[:, kept], timestamps=onset[kept]))
    images = tiny.fitted(modalities=Modalities(video=Video.from_images(FRAMES[:, 0])))
    score_of(tiny, images, Video.from_images(FRAMES[:, 1]))
    first, then = (Video(FRAMES[:, :2], timestamps=[0.0, when]) for when in (0.5, 0.7))  # a blank, then an image
    score_of(tiny, tiny.fitted(modalities=Modalities(video=first)), then)


def test_a_series_slower_than_the_bins_is_refused_at_another_rate(tiny):
    """Each sample adds its share to what drives units; faster ones are averaged, irregular ones have no rate."""
    rng = np.random.default_rng(0)
    width, duration = tiny.BIN_WIDTH, 20 * tiny.BIN_WIDTH

    def at(rate, irregular=False):
        stamps = np.arange(0.0, duration, 1 / rate)
        if irregular:
            stamps = np.sort(rng.uniform(0, duration, len(stamps)))
            stamps[0], stamps[-1] = 0.0, duration
        values = [np.sin(stamps)[:, None]] * 2
        return Modalities(speed=TimeSeries.from_lists(values, timestamps=[stamps] * 2))

    def score(fitted, modalities):
        return fitted.cell_log_likelihood(tiny.read(tiny.spikes((20, 20)), modalities))

    slow = tiny.fitted(modalities=at(0.4 / width))
    for rate in (0.2 / width, 0.8 / width, 4 / width):
        with pytest.raises(IncompatibleModalityError, match="'speed' should have .* samples a second, as in fit. Got"):
            score(slow, at(rate))
    assert np.isfinite(score(slow, at(0.4 / width))).all()
    assert np.isfinite(score(slow, at(1 / width, irregular=True))).all()
    fast = tiny.fitted(modalities=at(2 / width))
    assert np.isfinite(score(fast, at(5 / width))).all()


def test_a_model_of_a_version_that_did_not_know_the_frame_rate_is_not_asked_for_it(tiny):
    fitted = tiny.fitted(modalities=Modalities(video=Video(FRAMES, fps=24.0)))
    stored = fitted.network.config.to_dict()
    del stored["modalities"][0]["interval"]
    old = FittedModel.from_arrays(NeuroformerConfig.from_dict(stored), fitted.arrays(), "cpu", "float64")
    assert np.isfinite(score_of(tiny, old, Video(FRAMES, fps=12.0))).all()


def damaged(arrays, how):
    arrays = dict(arrays)
    name = "network.session.bias"
    if how == "missing":
        del arrays[name]
    elif how == "shape":
        arrays[name] = np.zeros(5)
    elif how == "nan":
        arrays[name] = np.full_like(arrays[name], np.nan)
    elif how == "unknown":
        arrays["network.wings"] = np.zeros(2)
    elif how == "scale":
        del arrays["scale.speed.sd"]
    return arrays


@pytest.mark.parametrize("how", ["missing", "shape", "nan", "unknown", "scale"])
def test_arrays_that_are_not_a_model_are_refused(tiny, how):
    fitted = tiny.fitted(modalities=tiny.stimuli([20]))
    with pytest.raises(ValueError):
        FittedModel.from_arrays(fitted.network.config, damaged(fitted.arrays(), how), "cpu", "float64")


def test_moments_are_those_of_the_observed_counts_of_the_training_part():
    rng = np.random.default_rng(0)
    counts = rng.poisson([0.3, 2.0, 0.0], (60, 3))
    seen = rng.random((60, 3)) < 0.8
    binned = BinnedSpikes.from_counts(counts, np.array([0, 25, 60]), 0.05)
    binned = BinnedSpikes(**{**vars(binned), "cell_observed": seen})
    part = Segments(np.array([0, 1]), np.array([5, 10]), np.array([25, 30]))
    rows = np.r_[5:25, 35:55]
    mean, scale, histogram = count_statistics(binned, part)
    largest = histogram.shape[1] - 1
    for unit in range(3):
        own = counts[rows, unit][seen[rows, unit]]
        assert mean[unit] == pytest.approx((own.sum() + 0.5) / (len(own) + 1))
        if unit < 2:  # the fewer spikes it comes from, the less a deviation counts
            assert scale[unit] / (1 + 5 / own.sum()) == pytest.approx(own.std(), rel=0.2)
    assert mean[2] > 0 and scale[2] > 1  # silent in training: not impossible, and no news for the others
    assert largest == (counts * seen)[rows].max()
