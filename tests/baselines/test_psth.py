import numpy as np
import pytest

import skneuro
from skneuro.baselines import PSTHModel
from skneuro.data import Modalities, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import MissingModalityWarning

CLIPS = np.arange(60) % 2
COURSE = np.exp(np.stack([np.sin(np.linspace(0, 6, 40)), np.cos(np.linspace(0, 6, 40))]))  # (clips, bins)
COUNTS = np.random.default_rng(0).poisson(0.5 * COURSE[CLIPS])[..., None]
VIDEO = Video(np.zeros((3, 40, 2, 2)), fps=10.0, index=CLIPS)
FIT = {"bin_width": 0.1}


def test_without_smoothing_or_shrinkage_it_is_the_mean_over_the_repeats():
    model = PSTHModel(**FIT, smoothing=0.0, shrinkage=1e-9).fit(COUNTS, VIDEO)
    expected = [COUNTS[CLIPS == clip].mean(axis=0) for clip in (0, 1)]
    assert np.allclose(model.rates_[:2] * 0.1, expected, atol=1e-6)
    assert np.allclose(model.rates_[2] * 0.1, COUNTS.mean(axis=0), atol=1e-6)


def test_shrinkage_is_worth_trials_at_the_constant_rate():
    model = PSTHModel(**FIT, smoothing=0.0, shrinkage=30.0).fit(COUNTS, VIDEO)
    constant = model.base_rate_ * 0.1
    expected = (COUNTS[CLIPS == 0].sum(axis=0) + 30 * constant) / 60
    assert np.allclose(model.rates_[0] * 0.1, expected)


def test_clips_have_their_own_time_course_and_unknown_ones_that_of_all():
    model = PSTHModel(**FIT).fit(COUNTS, VIDEO)
    for clip in (0, 1):
        assert np.corrcoef(model.rates_[clip, :, 0], COURSE[clip])[0, 1] > 0.95
    unknown = Video(VIDEO.frames, fps=10.0, index=[2])
    assert np.allclose(model.predict(COUNTS[:1], unknown)[0], model.rates_[-1] * 0.1)


def test_knowing_the_clip_pays_on_new_trials():
    video = PSTHModel(**FIT).fit(COUNTS[:40], VIDEO[:40])
    time = PSTHModel(**FIT).fit(COUNTS[:40])
    assert video.score(COUNTS[40:], VIDEO[40:]) > time.score(COUNTS[40:]) + 0.05
    with pytest.warns(MissingModalityWarning):
        assert np.isclose(video.score(COUNTS[40:]), time.score(COUNTS[40:]), atol=0.05)


def test_smoothing_and_shrinkage_are_those_that_predict_left_out_trials():
    smooth = PSTHModel(**FIT).fit(COUNTS, VIDEO)
    noise = np.random.default_rng(1).poisson(0.5, COUNTS.shape)
    flat = PSTHModel(**FIT).fit(noise, VIDEO)
    assert smooth.smoothing_ > 0.0
    assert flat.shrinkage_ == 16.0 > smooth.shrinkage_
    sharp = np.zeros((60, 40, 1), dtype=int)
    sharp[:, 7] = 1
    assert PSTHModel(**FIT).fit(sharp).smoothing_ == 0.0


def test_a_time_series_gives_time_in_the_trial():
    speed = Modalities(speed=TimeSeries.from_lists([np.zeros(40)] * 60, rate=10.0))
    assert np.allclose(PSTHModel(**FIT).fit(COUNTS, speed).rates_[-1], PSTHModel(**FIT).fit(COUNTS).rates_[-1])


@pytest.mark.parametrize(
    "spikes",
    [
        SpikeTrains.from_counts(COUNTS[:1], 0.1),
        SpikeTrains.from_counts([COUNTS[k, : 20 + 2 * k] for k in range(5)], 0.1),
    ],
)
def test_trials_that_do_not_repeat_are_refused(spikes):
    with pytest.raises(ValueError, match="at least min_repeats=2 trials of equal duration"):
        PSTHModel(**FIT).fit(spikes)


def test_durations_that_fall_differently_on_the_bins_are_equal():
    spikes = SpikeTrains.from_counts([trial[: 39 + k % 2] for k, trial in enumerate(COUNTS)], 0.1)
    model = PSTHModel(**FIT).fit(spikes)
    assert model.score(spikes) > 0.0


def test_clips_of_different_durations_have_their_own_histograms():
    spikes = SpikeTrains.from_counts([trial[: 20 + 20 * clip] for trial, clip in zip(COUNTS, CLIPS, strict=True)], 0.1)
    model = PSTHModel(**FIT).fit(spikes, VIDEO)
    assert model.n_bins_.tolist() == [20, 40, 0]
    assert model.score(spikes, VIDEO) > 0.0
    with pytest.raises(ValueError, match="shows no stimulus that was repeated"):
        model.score(spikes[:1], Video(VIDEO.frames, fps=10.0, index=[2]))


def test_a_trial_longer_than_the_histogram_is_refused():
    with pytest.raises(ValueError, match="covers 2 s from the start of a trial. Got trial 0 of 4 s"):
        PSTHModel(**FIT).fit(COUNTS[:, :20]).score(COUNTS)


def test_what_was_not_observed_does_not_lower_the_rate():
    seen = np.ones(COUNTS.shape, dtype=bool)
    seen[::2, 10:20] = False
    gappy = SpikeTrains.from_counts(np.where(seen, COUNTS, 0), 0.1, observed=seen)
    model = PSTHModel(**FIT, smoothing=0.0, shrinkage=1e-9).fit(gappy)
    assert np.allclose(model.rates_[-1, 10:20] * 0.1, COUNTS[1::2, 10:20].mean(axis=0), atol=1e-6)


def test_samples_follow_the_clip():
    model = PSTHModel(**FIT).fit(COUNTS, VIDEO)
    drawn = model.sample(VIDEO[:2], n_samples=300, random_state=0)
    assert drawn.trial_ids.tolist() == [0] * 300 + [1] * 300
    course = drawn.to_counts(0.1).reshape(2, 300, 40).mean(axis=1)
    assert np.corrcoef(course.ravel(), COURSE.ravel())[0, 1] > 0.9


def test_one_trial_is_enough_when_asked_for():
    assert PSTHModel(**FIT, min_repeats=1).fit(COUNTS[0]).predict(COUNTS[0]).shape == (40, 1)


def test_it_beats_constant_rates_where_time_matters():
    assert PSTHModel(**FIT).fit(COUNTS[:40], VIDEO[:40]).score(COUNTS[40:], VIDEO[40:]) > 0.05


FRAMES = np.random.default_rng(5).integers(0, 255, (3, 40, 2, 2)).astype(np.uint8)
SHOWN = Video(FRAMES, fps=10.0, index=CLIPS)


@pytest.fixture(scope="module")
def of_clips():
    return PSTHModel(**FIT).fit(COUNTS, SHOWN)


def clips_served(model, video):
    """Which histogram serves each trial."""
    rates = np.array(model.predict(COUNTS[: len(video)], video)) / 0.1
    return [[k for k, one in enumerate(model.rates_) if np.allclose(one, trial)][0] for trial in rates]


def test_clips_are_known_again_by_their_pixels(of_clips):
    assert clips_served(of_clips, SHOWN[:4]) == [0, 1, 0, 1]
    turned = Video(FRAMES[::-1].copy(), fps=10.0, index=2 - CLIPS)
    assert of_clips.score(COUNTS, turned) == of_clips.score(COUNTS, SHOWN)
    assert clips_served(of_clips, Video(FRAMES[[1]], fps=10.0, index=[0, 0])) == [1, 1]
    assert clips_served(of_clips, Video(FRAMES / 1.0, fps=10.0, index=[0, 1])) == [0, 1]


def test_clips_that_were_not_shown_are_served_by_time_in_the_trial(of_clips):
    new = Video(FRAMES + np.uint8(1), fps=10.0, index=[0, 1])
    assert clips_served(of_clips, new) == [2, 2]
    assert clips_served(of_clips, Video(FRAMES, fps=10.0, index=[2, 0])) == [2, 0]
    reshaped = Video(FRAMES.reshape(3, 40, 4, 1), fps=10.0, index=[0, 1])
    assert clips_served(of_clips, reshaped) == [2, 2]
    with pytest.warns(MissingModalityWarning):
        assert np.allclose(of_clips.predict(COUNTS[:1])[0] / 0.1, of_clips.rates_[-1])


def test_a_stored_model_knows_its_clips(of_clips, tmp_path):
    skneuro.save(of_clips, tmp_path / "model")
    again = skneuro.load(tmp_path / "model")
    turned = Video(FRAMES[::-1].copy(), fps=10.0, index=2 - CLIPS)
    assert again.score(COUNTS, turned) == of_clips.score(COUNTS, SHOWN)


def test_a_file_without_digests_knows_clips_by_their_number(of_clips, tmp_path):
    old = PSTHModel(**FIT).fit(COUNTS, SHOWN)
    del old.clip_digests_
    skneuro.save(old, tmp_path / "model")
    again = skneuro.load(tmp_path / "model")
    assert again.score(COUNTS, SHOWN) == of_clips.score(COUNTS, SHOWN)
    assert clips_served(again, Video(FRAMES[::-1].copy(), fps=10.0, index=[0, 1])) == [0, 1]


def test_clips_that_come_on_at_different_times_in_their_trials_are_told(recwarn):
    """A histogram by time in the trial then shows the clip's time course at none of them."""
    jitter = np.random.default_rng(0).uniform(0.0, 0.6, 60)
    shown = {"timestamps": np.arange(-10, 40) / 10.0, "index": CLIPS}
    frames = np.zeros((2, 50, 2, 2))
    PSTHModel(**FIT).fit(COUNTS, Video(frames, **shown, t_start=0.55 + 0.05 * jitter))
    PSTHModel(**FIT).fit(COUNTS, Video(frames, **shown, t_start=0.7 * CLIPS))
    assert not recwarn
    with pytest.warns(UserWarning, match=r"Clip 0 of a video comes on 0\.\d+ to 0\.5\d+ s .* half a bin of 0\.1 s"):
        PSTHModel(**FIT).fit(COUNTS, Video(frames, **shown, t_start=jitter))
    trials = SpikeTrains.from_counts(COUNTS, 0.1, t_start=jitter)
    with pytest.warns(UserWarning, match="start with the clip"):
        PSTHModel(**FIT).fit(trials, Video(frames, **shown, t_start=0.6))
