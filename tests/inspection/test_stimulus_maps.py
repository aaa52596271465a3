"""Maps of a model's video are what changes of that video do, and find receptive fields that are known."""

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import Ridge

from skneuro import Modalities, NeuroformerEstimator, Recording, SpikeTrains, TimeSeries, Video
from skneuro.baselines import HomogeneousPoisson
from skneuro.datasets import make_stimulus_driven_population
from skneuro.inspection import StimulusMaps, stimulus_maps, whitened_sta
from skneuro.training.contexts import context_batches, log_odds

FRAME = 1 / 30
SMALL = {"bin_width": FRAME, "context": 0.2, "stimulus_context": 0.2, "d_model": 8, "n_heads": 2, "max_epochs": 1}
METHODS = ["gradient", "occlusion", "attention", "attention_weights"]


@pytest.fixture(scope="module")
def data():
    return make_stimulus_driven_population(
        n_units=3, n_clips=2, n_repeats=2, clip_duration=1.0, frame_size=6, mean_rate=20.0, random_state=0
    )


def perturbed(data, **settings):
    """A model after one epoch, its weights moved so far that every path of the video matters."""
    model = NeuroformerEstimator(**{**SMALL, **settings}, precision="float64", random_state=0)
    model.fit(data.spikes, data.video)
    network, generator = model.model_.network, torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.parameters():
            weight += 0.2 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
        network.session.loosen()
        network.session.ceiling += 20
    return model


@pytest.fixture(
    scope="module",
    params=[
        {"window_bins": 1, "tubelet_size": (3, 4, 4), "tubelet_stride": (2, 2, 4)},
        {"window_bins": 3, "n_fusion_layers": 2, "head": "chained"},
    ],
)
def model(request, data):
    return perturbed(data, **request.param)


def odds(model, spikes, video, bin_):
    builder = model.model_.builder(model._read(spikes, video, reset=False))
    with torch.inference_mode():
        ((_, batch),) = context_batches(builder, np.array([bin_]))
        return log_odds(model.model_.network, batch)[0].numpy()


def asked_bin(spikes, video, seed=0):
    """The bin that `stimulus_maps` draws with `n_contexts=1`."""
    on = np.flatnonzero(video.on_bins(spikes.bin(FRAME)) >= 0)
    return int(np.random.default_rng(seed).choice(on, 1, replace=False)[0])


def changed(video, frame, box, value):
    frames = video.frames.astype(float)
    frames[(0, frame, *box)] = value(frames[(0, frame, *box)])
    return Video(frames, timestamps=video.timestamps, index=video.index)


def test_gradient_is_what_small_changes_of_single_pixels_do(model, data):
    spikes, video = data.spikes[:1], data.video[:1]
    bin_, mean = asked_bin(spikes, video, 3), video.frames[:1].mean((0, 1))
    found = stimulus_maps(model, spikes, video, n_contexts=1, random_state=3)
    rng = np.random.default_rng(0)
    for lag, row, column in zip(*rng.integers(0, [[len(found.lags)], [6], [6]], (3, 14)), strict=True):
        frame, box = bin_ - lag, (row, column)
        up, down = (odds(model, spikes, changed(video, frame, box, lambda x, e=e: x + e), bin_) for e in (1e-3, -1e-3))
        slope = (up - down) / 2e-3
        np.testing.assert_allclose(found.slopes[:, lag, row, column], slope, rtol=1e-3, atol=1e-6)
        size = np.abs(slope * (video.frames[0, frame, row, column] - mean[row, column]))
        np.testing.assert_allclose(found.maps[:, lag, row, column], size, rtol=1e-3, atol=1e-6)


def test_occlusion_is_what_a_covered_patch_does(model, data):
    spikes, video = data.spikes[:1], data.video[:1]
    bin_, mean = asked_bin(spikes, video), video.frames[:1].mean((0, 1), dtype=float)
    found = stimulus_maps(model, spikes, video, method="occlusion", patch=4, n_contexts=1)
    usual = odds(model, spikes, video, bin_)
    for lag in range(len(found.lags)):
        for box in ((slice(0, 4), slice(0, 4)), (slice(0, 4), slice(4, 6)), (slice(4, 6), slice(4, 6))):
            covered = changed(video, bin_ - lag, box, lambda x, box=box: mean[box])
            lost = np.abs(usual - odds(model, spikes, covered, bin_))
            block = found.maps[(slice(None), lag, *box)]
            np.testing.assert_allclose(block, np.broadcast_to(lost[:, None, None], block.shape), rtol=1e-4, atol=1e-7)


def test_maps_of_contexts_are_their_root_mean_square(model, data):
    spikes, video = data.spikes[:1], data.video[:1]
    every = stimulus_maps(model, spikes, video, n_contexts=1000)
    squares, times = np.zeros_like(every.maps), np.zeros(len(every.lags))
    builder = model.model_.builder(model._read(spikes, video, reset=False))
    from skneuro.inspection._map_methods import Asked, by_gradient
    from skneuro.training.own_frames import Buckets

    for bin_ in range(30):
        buckets = Buckets(builder, "stimulus", video, None)
        one = Asked(model.model_.network, builder, buckets, np.array([bin_]), np.arange(3))
        squares += by_gradient(one)[0] ** 2
        times += np.arange(len(times)) <= bin_  # there is no frame before the clip
    np.testing.assert_allclose(every.maps, np.sqrt(squares / times[:, None, None]), rtol=1e-9, atol=1e-12)


def test_attention_gain_is_the_slope_along_the_bias_of_a_key(data):
    """Whole frames and one layer: keys of one age share a learned bias, whose gradient sums their gains."""
    from skneuro.inspection._attention_maps import looks_at

    model = perturbed(data, window_bins=1, recent_context=0.1)
    network, builder = model.model_.network, model.model_.builder(model._read(data.spikes, data.video, reset=False))
    ((_, batch),) = context_batches(builder, np.array([20]))
    with looks_at(network, "stimulus") as looks:
        found = log_odds(network, batch)
    (look,) = looks
    joined = (look.weight[:, :, None] @ look.value).transpose(1, 2).flatten(2)
    torch.testing.assert_close(joined[:, 0], look.attended[:, 0])
    torch.testing.assert_close(look.weight.sum(-1), torch.ones(1, 2, dtype=torch.float64))
    source = network.fusion.sources[network.fusion.names.index("stimulus")]
    slope, along_bias = torch.autograd.grad(found[:, 1].sum(), [look.attended, source.bias])
    gain = look.gain(slope)[0]  # (H, S)
    assert gain.abs().max() > 1e-6
    torch.testing.assert_close(gain.sum(-1), torch.zeros(2, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(gain[:, :-1].sort(-1).values, along_bias_of(batch, along_bias, gain).sort(-1).values)


def along_bias_of(batch, along_bias, gain):
    """Gradients of the biases at the knots of the keys that are seen; 0 for those that are not."""
    keys = batch.modalities["stimulus"]
    age = FRAME - keys.time[0]
    knot = (age / 0.2 * 31 + 1e-3).round().long().clamp(0, 31)
    seen = keys.present[0] & (age > 1e-6) & (age <= 0.2 + 1e-6)
    assert len(set(knot[seen].tolist())) == int(seen.sum())  # one key a knot
    return along_bias[:, knot] * seen


def test_attention_weights_are_averages_over_spikes(data):
    model = perturbed(data, window_bins=1)
    heads = stimulus_maps(model, data.spikes, data.video, method="attention_weights", n_contexts=1000, per_head=True)
    assert heads.heads.shape == (3, 2, 6, 6, 6)
    np.testing.assert_allclose(heads.heads.mean(1), heads.maps)
    total = heads.maps.sum((1, 2, 3))
    assert (total > 0.05).all() and (total < 1).all()  # the rest is on "nothing to see"


@pytest.mark.parametrize("method", METHODS)
def test_a_trials_map_is_of_its_frames(model, data, method):
    found = stimulus_maps(model, data.spikes, data.video, method=method, trial=2, patch=3, units=[2, 0])
    assert found.maps.shape == (2, 30, 6, 6) and found.unit_ids.tolist() == [2, 0]
    np.testing.assert_allclose(found.lags, np.arange(30) * FRAME)
    assert np.isfinite(found.maps).all() and (found.maps[:, 4:25:2].max((2, 3)) > 0).all()


def test_a_trial_that_starts_later_has_the_same_map_at_its_own_times(model, data):
    video = Video(data.video.frames, timestamps=data.video.timestamps, index=data.video.index, t_start=100.0)
    late = SpikeTrains(
        data.spikes.times + 100.0, data.spikes.units, data.spikes.ptr, data.spikes.t_start + 100.0,
        data.spikes.t_stop + 100.0,
    )  # fmt: skip
    for trial in (None, 1):
        now, then = (
            stimulus_maps(model, s, v, trial=trial, n_contexts=20)
            for s, v in ((data.spikes, data.video), (late, video))
        )
        np.testing.assert_allclose(now.maps, then.maps, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(then.lags - now.lags, 0.0 if trial is None else 100.0)


def test_batches_do_not_matter(model, data, monkeypatch):
    settings = {"n_contexts": 30, "patch": 3, "units": [1]}
    whole = {m: stimulus_maps(model, data.spikes, data.video, method=m, **settings).maps for m in METHODS}
    monkeypatch.setattr("skneuro.inspection._map_methods.VALUES_AT_ONCE", 36 * 20 * 4)
    for method, maps in whole.items():
        again = stimulus_maps(model, data.spikes, data.video, method=method, **settings).maps
        np.testing.assert_allclose(again, maps, rtol=1e-9, atol=1e-12)


def test_only_the_named_video_is_asked(data):
    speed = TimeSeries.from_lists([np.sin(np.arange(30))] * 4, rate=30.0)
    given = Modalities(left=data.video, right=data.video, speed=speed)
    model = NeuroformerEstimator(**SMALL, window_bins=1, random_state=0).fit(data.spikes, given)
    with torch.no_grad():
        model.model_.network.drives[1].space.zero_()
        model.model_.network.session.filters[0] += 0.3
    left, right = (
        stimulus_maps(model, Recording(data.spikes, given), modality=name, n_contexts=10).maps
        for name in ("left", "right")
    )
    assert left.max() > 10 * right.max()
    with pytest.raises(ValueError, match=r"one of the videos among the stimuli: \['left', 'right'\].*Name one"):
        stimulus_maps(model, data.spikes, given)
    with pytest.raises(ValueError, match="Got modality='speed'"):
        stimulus_maps(model, data.spikes, given, modality="speed")


def test_colour_is_summed(data):
    frames = np.stack([data.video.frames, np.zeros_like(data.video.frames)], axis=-1)
    video = Video(frames, timestamps=data.video.timestamps, index=data.video.index)
    model = perturbed(data=type(data)(spikes=data.spikes, video=video), window_bins=1)
    for method in METHODS:
        assert stimulus_maps(model, data.spikes, video, method=method, n_contexts=4).maps.shape == (3, 6, 6, 6)


def test_receptive_fields_are_found_by_model_and_average():
    data = make_stimulus_driven_population(
        n_units=4, n_clips=60, n_repeats=1, frame_size=6, mean_rate=40.0, stimulus="white", random_state=1
    )
    model = NeuroformerEstimator(bin_width=FRAME, window_bins=1, d_model=16, max_epochs=8, random_state=0)
    model.set_params(gamma=0.0, mu=0.5, context=0, recent_context=0, coupling=False, early_stopping=False, n_threads=1)
    model.fit(data.spikes, data.video)
    settings = {"patch": 2, "n_contexts": 40}
    found = {m: stimulus_maps(model, data.spikes, data.video, method=m, **settings) for m in ("gradient", "occlusion")}
    found["sta"] = whitened_sta(data.spikes, data.video, bin_width=FRAME)
    truth = StimulusMaps("truth", np.abs(data.receptive_fields), data.spikes.unit_ids, data.lags)
    true = truth.peaks(2)
    for name, maps in found.items():
        peaks = maps.peaks(2)
        distance = np.maximum(abs(peaks.row - true.row), abs(peaks.column - true.column))
        assert (distance <= (2 if name == "occlusion" else 1)).all(), name  # occlusion knows places by its patches
        agree = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps.space(), truth.space(), strict=True)]
        assert np.mean(agree) > 0.5, (name, agree)
        lag = np.searchsorted(data.lags, peaks["lag"] - 1e-9)  # on the positive or the negative lobe of its time course
        strength = np.sqrt((data.receptive_fields**2).sum((2, 3)))
        assert (strength[np.arange(4), lag] > 0.3 * strength.max(1)).all(), name
    for name in ("gradient", "sta"):
        pairs = zip(found[name].slopes, data.receptive_fields, strict=True)
        assert np.mean([np.corrcoef(slope[:9].ravel(), field.ravel())[0, 1] for slope, field in pairs]) > 0.5, name


def test_the_whitened_average_is_a_ridge_regression(data):
    binned = data.spikes.bin(FRAME)
    frames = data.video.frames.reshape(2, 30, -1).astype(float)
    frames -= frames.mean((0, 1))
    rows = []
    for clip in data.video.index:
        padded = np.concatenate([np.zeros((2, 36)), frames[clip]])
        rows.append(np.concatenate([padded[2:], padded[1:-1], padded[:-2]], axis=1))
    X, y = np.concatenate(rows), binned.dense().astype(float)
    found = whitened_sta(data.spikes, data.video, bin_width=FRAME, span=0.1, shrinkage=[0.5])
    held = np.repeat(data.video.index, 30) == 0
    alpha = 0.5 * (X[~held] ** 2).sum() / X.shape[1] / (~held).sum() * len(X)
    # Each part of the clips is centred by itself.
    centred = y - np.where(held[:, None], y[held].mean(0), y[~held].mean(0))
    expected = Ridge(alpha, fit_intercept=False).fit(X, centred).coef_
    np.testing.assert_allclose(found.slopes.reshape(3, -1), expected, rtol=1e-6, atol=1e-9)


def test_peaks_and_table():
    maps = np.zeros((2, 2, 4, 5))
    maps[0, 1, 1, 2:4] = 1.0
    found = StimulusMaps("gradient", maps, np.array(["a", "b"]), np.array([0.1, 0.2]))
    peaks = found.peaks(2)
    assert peaks.loc[0, ["unit", "row", "column", "lag"]].tolist() == ["a", 0.5, 2.5, 0.2]
    assert peaks.loc[1, ["row", "column", "lag"]].isna().all()  # the same everywhere
    late = StimulusMaps("gradient", maps + [[[0.0]], [[1.0]]], found.unit_ids, found.lags).peaks()
    assert late.loc[1, ["row", "column"]].isna().all() and late.loc[1, "lag"] == 0.2  # of no place, but of a lag
    table = found.to_frame()
    assert len(table) == maps.size and table.query("value > 0")["column"].tolist() == [2, 3]
    assert set(table.query("value > 0")["lag"]) == {0.2}
    np.testing.assert_allclose(found.space()[0, 1, 2], np.sqrt(0.5))
    with pytest.raises(ValueError, match="patch must be an int from 1 to 4"):
        found.peaks(5)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"method": "gradent"}, "'method' parameter must be one of"),
        ({"n_contexts": 0}, "n_contexts must be an int of at least 1"),
        ({"patch": 7}, "patch must be an int from 1 to 6"),
        ({"units": [9]}, "units must be different ids"),
        ({"units": [1, 1]}, "units must be different ids"),
        ({"units": []}, "units must be different ids"),
        ({"trial": 4}, "one of 4 trials"),
        ({"trial": -1}, "one of 4 trials"),
        ({"modality": "vdeo"}, "modality='vdeo'"),
    ],
)
def test_bad_arguments(model, data, argument, message):
    with pytest.raises(ValueError, match=message):
        stimulus_maps(model, data.spikes, data.video, **argument)


def test_other_models_and_times_are_refused(model, data):
    with pytest.raises(TypeError, match="HomogeneousPoisson"):
        stimulus_maps(HomogeneousPoisson(bin_width=FRAME).fit(data.spikes), data.spikes, data.video)
    with pytest.raises(NotFittedError):
        stimulus_maps(NeuroformerEstimator(), data.spikes, data.video)
    with pytest.raises(TypeError, match="SpikeTrains and a Video"):
        whitened_sta(data.spikes, np.zeros((4, 30, 6, 6)), bin_width=FRAME)
    with pytest.raises(ValueError, match="same 4 trials"):
        whitened_sta(data.spikes, data.video[:2], bin_width=FRAME)
    with pytest.raises(ValueError, match="shrinkage must be positive"):
        whitened_sta(data.spikes, data.video, bin_width=FRAME, shrinkage=[0.0])
    with pytest.raises(ValueError, match="Make the frames smaller"):
        whitened_sta(data.spikes, data.video, bin_width=FRAME, span=30.0)


def test_the_whitened_average_leaves_out_what_was_not_observed():
    """Units with gaps have the filters of their own observed bins: as if nothing had been recorded there."""
    data = make_stimulus_driven_population(n_units=3, n_clips=20, n_repeats=2, stimulus="white", random_state=0)
    n, settings = len(data.spikes), {"bin_width": 1 / 30}

    def until(stop, unit):
        return [data.spikes.trial(k)[unit][data.spikes.trial(k)[unit] < stop] for k in range(n)]

    stops = {0: 1.0, 1: 2.0, 2: 1.0}
    trials = list(map(list, zip(*(until(stop, unit) for unit, stop in stops.items()), strict=True)))
    gaps = {0: [[0.0, 1.0]], 2: [[0.0, 1.0]]}
    found = whitened_sta(SpikeTrains.from_lists(trials, 0.0, 2.0, observed=gaps), data.video, **settings)
    short = SpikeTrains.from_lists([[trial[0], trial[2]] for trial in trials], 0.0, 1.0)
    alone = whitened_sta(short, data.video, **settings)
    np.testing.assert_allclose(found.slopes[[0, 2]], alone.slopes, atol=1e-9)
    np.testing.assert_allclose(found.maps[[0, 2]], alone.maps, atol=1e-9)
    whole = whitened_sta(data.spikes, data.video, **settings)
    np.testing.assert_allclose(found.slopes[1], whole.slopes[1], atol=1e-9)


def test_a_unit_that_was_never_observed_has_no_average():
    data = make_stimulus_driven_population(n_units=2, n_clips=10, n_repeats=1, random_state=0)
    trials = [[data.spikes.trial(k)[0], []] for k in range(len(data.spikes))]
    spikes = SpikeTrains.from_lists(trials, 0.0, 2.0, observed={1: [[0.0, 1e-3]]})
    found = whitened_sta(spikes, data.video, bin_width=1 / 30, span=0.1)
    assert np.isfinite(found.slopes[0]).all() and np.isnan(found.slopes[1]).all()
