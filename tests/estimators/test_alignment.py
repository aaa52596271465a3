"""Facts about alignment from the estimator's side: any set of modalities, one space, and what cannot be aligned."""

import warnings

import numpy as np
import pytest

from skneuro import NeuroformerEstimator
from skneuro.data import Covariates, Modalities, Recording, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import IncompatibleModalityError
from skneuro.metrics import retrieval
from skneuro.training.stretches import Segments

BIN = 0.05
ALL = ("spikes", "video", "speed")


@pytest.fixture(scope="module")
def fitted(make, world):
    return make(gamma=0.3, mu=0.3, align=ALL, temperature="learn", precision="float64").fit(world.spikes, world.both)


def test_all_sides_are_embedded_in_one_space(world, fitted):
    assert fitted.model_.network.config.aligned == ("video", "speed")
    counts = world.counts[0]
    one = world.both[:1]
    for found in (fitted.transform(counts, one), *(fitted.transform_modality(n, counts, one) for n in ALL[1:])):
        assert found.shape == (20, 8)
        np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-12)
    whole = fitted.transform_modality("speed", Recording(world.spikes, world.both))
    np.testing.assert_allclose(whole[0], fitted.transform_modality("speed", counts, one).mean(0), atol=1e-10)


def test_a_modality_is_embedded_whatever_the_spikes_and_the_other_rows(world, fitted):
    silence = SpikeTrains.from_counts(np.zeros_like(world.counts), BIN, unit_ids=["a", "b", "c"])
    for name in ("video", "speed"):
        together = fitted.transform_modality(name, world.spikes, world.both)
        np.testing.assert_array_equal(fitted.transform_modality(name, silence, world.both), together)
        alone = [fitted.transform_modality(name, world.spikes[k], world.both[k])[0] for k in range(12)]
        np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)
        assert not np.isnan(together).any()
    same = fitted.transform_modality("video", world.spikes, world.both)
    np.testing.assert_allclose(same[:3], same[3:6], atol=1e-12)  # repeats of the clips


def test_a_segment_shows_nothing_of_what_comes_after_it(world, fitted):
    counts, frames = world.counts[0], world.video.frames.copy()
    frames[:, 5:] += 3  # on from 0.5 s, where window 5 begins
    found = [
        fitted.transform_modality("video", counts, Modalities(speed=world.speed[:1], video=video))
        for video in (world.video[:1], Video(frames, 10.0, index=[0]))
    ]
    np.testing.assert_array_equal(found[0][:10], found[1][:10])
    assert (np.abs(found[0][10:] - found[1][10:]).max(1) > 1e-9).all()


def test_nothing_seen_is_nothing_embedded(world, fitted):
    values = world.speed.values.copy()
    values[:28] = np.nan  # the first trial, and eight bins of the second
    partly = Modalities(speed=TimeSeries(values, world.speed.timestamps, world.speed.ptr), video=world.video)
    found = fitted.transform_modality("speed", world.spikes, partly)
    assert np.isnan(found[0]).all() and not np.isnan(found[1:]).any()
    second = fitted.transform_modality("speed", world.counts[1], partly[1:2])
    np.testing.assert_array_equal(np.isnan(second).any(1), np.arange(20) < 8)


def test_temperatures_are_learned_and_kept(make, world, fitted, tmp_path):
    learned = fitted.model_.network.alignment.log_temperature.detach().exp().numpy()
    assert learned.shape == (3,) and (learned != 0.1).all()
    fitted.save(tmp_path / "model.skn")
    again = NeuroformerEstimator.load(tmp_path / "model.skn")
    assert again.align == ALL and again.temperature == "learn"
    for name in ALL[1:]:
        expected = fitted.transform_modality(name, world.spikes, world.both)
        np.testing.assert_array_equal(again.transform_modality(name, world.spikes, world.both), expected)
    scores = {
        temperature: make(gamma=0.3, mu=0.3, align=ALL, temperature=temperature, max_epochs=1)
        .fit(world.spikes, world.both)
        .loss_curve_[0]
        for temperature in (0.1, 0.5, "learn")
    }
    assert len(set(scores.values())) == 3


@pytest.fixture(scope="module")
def followed():
    """A speed that the rates of four units follow, and a pupil that follows the speed."""
    rng = np.random.default_rng(0)
    speed = np.cumsum(rng.normal(0, 0.8, (40, 20)), axis=1)
    speed = (speed - speed.mean()) / speed.std()
    counts = rng.poisson(np.exp(0.5 + np.array([1.2, -1.2, 1.0, -1.0]) * speed[..., None]))
    pupil = -2 * speed + 0.1 * rng.normal(size=speed.shape)
    series = {"speed": speed, "pupil": pupil}
    both = Modalities(**{n: TimeSeries.from_lists(list(x), rate=1 / BIN) for n, x in series.items()})
    return SpikeTrains.from_counts(counts, BIN), both


def test_aligned_segments_find_each_other_in_trials_that_were_held_out(make, followed):
    spikes, both = followed
    plan = {"align": ("spikes", "speed", "pupil"), "gamma": 0.8, "mu": 0.1, "max_epochs": 12, "learning_rate": 1e-2}
    model = make(**plan, dropout=0.0, modality_dropout=0.0).fit(spikes[:30], both[:30])
    parts = Recording(spikes[30:], both[30:]).cut(0.2, context=0.2)
    sides = [model.transform(parts), *(model.transform_modality(name, parts) for name in ("speed", "pupil"))]
    for (one, other), times in {(0, 1): 2, (0, 2): 2, (1, 2): 5}.items():
        found = retrieval(sides[one], sides[other])
        for way in ("neural_to_stimulus", "stimulus_to_neural"):
            assert found[f"top5_{way}"] > times * found["top5_chance"]


@pytest.mark.parametrize(
    "align", [("spikes", "vidoe"), ("video", "speed"), ("spikes",), (), (*ALL, "video"), "spikes", ["video"]]
)
def test_what_is_not_there_cannot_be_aligned(make, world, align):
    with pytest.raises(ValueError, match=r"'align' parameter must be .*\['speed', 'video'\].*'spikes'.*each once. Got"):
        make(gamma=0.1, mu=0.4, align=align).fit(world.spikes, world.both)


def test_a_single_segment_cannot_be_told_from_others(make, world):
    image = Video.from_images(np.eye(3)[None], index=np.zeros(12, dtype=int))
    plan = {"gamma": 0.1, "mu": 0.4}
    for same in (image, Covariates({"condition": ["go"] * 12}), np.ones((12, 1))):
        with pytest.raises(ValueError, match="Cannot align the spikes with 'stimulus': all windows show the same"):
            make(**plan, align="stimulus").fit(world.spikes, same)
        with pytest.warns(UserWarning, match="gamma=0.1 has no effect: alignment tells segments apart"):
            model = make(**plan).fit(world.spikes, same)  # "auto" does without
        assert model.model_.network.config.aligned == ()
        with pytest.raises(ValueError, match=r"aligned in fit, \[\]. Got 'stimulus'"):
            model.transform_modality("stimulus", world.spikes, same)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        two = make(**plan).fit(world.spikes, Modalities(image=image, speed=world.speed))
    assert two.model_.network.config.aligned == ("speed",)


def test_a_batch_of_one_segment_has_nothing_to_compare(make, world):
    condition = Covariates({"condition": ["go", "stop"] * 6})
    for parts in ({"batch_size": 1}, {"batch_size": 4, "accumulation_steps": 4}):
        with pytest.raises(ValueError, match="single segment. Raise batch_size, or lower accumulation_steps"):
            make(gamma=0.1, mu=0.4, align="stimulus", **parts).fit(world.spikes, condition)
    short = SpikeTrains.from_counts(world.counts[:, :2], BIN)
    with pytest.raises(ValueError, match="single segment. Raise batch_size"):
        make(gamma=0.1, mu=0.4, align="speed", batch_size=1).fit(short, Modalities(speed=world.speed))
    make(gamma=0.1, mu=0.4, align="stimulus", batch_size=1).fit(world.spikes, world.speed)  # ten windows a trial


def test_what_holds_for_a_trial_is_one_segment_and_equal_values_are_the_same(make, world):
    condition = Covariates({"condition": ["go", "stop"] * 6})
    model = make(gamma=0.5, mu=0.2, align="stimulus").fit(world.spikes, condition)
    builder = model.model_.builder(model._read(world.spikes, condition, reset=False))
    shown = builder.clip[:, 0]
    assert (shown[::2] == shown[0]).all() and (shown[1::2] == shown[1]).all() and shown[0] != shown[1]
    batch = builder.build(Segments(np.arange(12), np.zeros(12, dtype=int), builder.n_bins), 0)
    clip, start = model.model_.network._segments(batch)
    assert len(np.unique(np.column_stack([clip, start]), axis=0)) == 2


def test_names_are_those_of_fit(world, fitted):
    with pytest.raises(ValueError, match=r"aligned in fit, \['video', 'speed'\]. Got 'pupil'"):
        fitted.transform_modality("pupil", world.spikes, world.both)
    with pytest.warns(UserWarning, match="video"), pytest.raises(IncompatibleModalityError, match="'video' is missing"):
        fitted.transform_modality("video", world.spikes, Modalities(speed=world.speed))


def test_training_goes_on_with_the_same_alignment_only(make, world):
    model = make(gamma=0.1, mu=0.4, align=ALL, warm_start=True, max_epochs=1).fit(world.spikes, world.both)
    assert model.fit(world.spikes, world.both).n_iter_ == 2
    with pytest.raises(ValueError, match="align was .*'video', 'speed'.*, is .*'speed'"):
        model.set_params(align="speed").fit(world.spikes, world.both)
