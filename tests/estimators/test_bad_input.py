"""What bad input gets: what was expected, what came and the remedy, and nothing half-fitted."""

import pickle
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import (
    IncompatibleModalityError,
    MissingModalityWarning,
    NonIntegerCountsWarning,
    ShortenedLagWarning,
    UnsafeFileError,
)


@pytest.fixture(scope="module")
def fitted(make, world):
    return make().fit(world.spikes, world.both)


@pytest.fixture(scope="module")
def plain(make, world):
    return make().fit(world.spikes)


# ------------------------------------------------------------------------------------------------ parameters


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"gamma": 0.6, "mu": 0.4}, r"gamma \+ mu < 1 .*Got gamma=0\.6, mu=0\.4"),
        ({"gamma": 0.7, "mu": 0.7}, r"gamma \+ mu < 1"),
        ({"gamma": -0.1}, "'gamma' parameter"),
        ({"mu": 0.0}, "'mu' parameter"),
        ({"mu": 1.0}, "'mu' parameter"),
        ({"bin_width": 0.0}, "'bin_width' parameter"),
        ({"device": "gpu"}, "'device' parameter .*'auto', 'cpu'.*Got 'gpu'"),
        ({"device": "cpu:x"}, "'device' parameter .*Got 'cpu:x'"),
        ({"window_bins": 0}, "'window_bins' parameter"),
        ({"window_bins": 2.5}, "'window_bins' parameter"),
        ({"context": -1.0}, "'context' parameter"),
        ({"head": "softmax"}, "'head' parameter.*chained.*softmax"),
        ({"d_model": 10, "n_heads": 4}, "'n_heads' parameter .* must divide 'd_model'.*n_heads=4, d_model=10"),
        ({"dropout": 1.0}, "'dropout' parameter"),
        ({"max_epochs": 0}, "'max_epochs' parameter"),
        ({"validation_fraction": 1.0}, "'validation_fraction' parameter"),
        ({"counts": "floor"}, "'counts' parameter"),
        ({"precision": "float16"}, "'precision' parameter"),
        ({"coupling": "yes"}, "'coupling' parameter"),
        ({"compile": "yes"}, "'compile' parameter .* instance of 'bool'.*Got 'yes'"),
        ({"random_state": "zero"}, "'random_state' parameter"),
        ({"max_tokens": 0}, "'max_tokens' parameter"),
    ],
)
def test_parameters_out_of_range(make, world, parameters, message):
    model = make(**parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(world.spikes)
    with pytest.raises(NotFittedError):
        model.score(world.spikes)


def test_a_modality_to_align_with_must_be_there(make, world):
    with pytest.raises(ValueError, match=r"'align'.*\['speed', 'video'\].*'vidoe'"):
        make(gamma=0.1, mu=0.4, align="vidoe").fit(world.spikes, world.both)


# ------------------------------------------------------------------------------------------------ spikes


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        ({"a": [0.1], "b": [0.2]}, TypeError, r"dict.*SpikeTrains\.from_unit_times"),
        (np.full((20, 3), -1), ValueError, "CalciumEvents"),
        (np.full((20, 3), np.nan), ValueError, "contains NaN"),
        (np.full((20, 3), np.inf), ValueError, "infinity"),
        (np.zeros((20, 3), dtype=int), ValueError, "at least one observed spike.*20 bins of 3 units"),
        (np.zeros((0, 3), dtype=int), ValueError, "0 sample"),
        (np.ones(20, dtype=int), ValueError, "1D array"),
        (np.ones((2, 2, 2, 2), dtype=int), ValueError, "dim 4"),
        (sparse.csr_array(np.eye(3)), TypeError, "[Ss]parse"),
        ([[[0.1, 0.2], [0.3]], [[0.1], []]], TypeError, r"SpikeTrains\.from_lists\(X, t_start=\.\.\., t_stop=\.\.\.\)"),
        ("spikes", ValueError, "Expected 2D array, got scalar array"),
    ],
)
def test_spikes_that_are_none(make, X, error, message):
    model = make()
    with pytest.raises(error, match=message):
        model.fit(X)
    with pytest.raises(NotFittedError):
        model.predict(np.ones((4, 3), dtype=int))


def test_a_raw_pynapple_group(make):
    nap = pytest.importorskip("pynapple")
    group = nap.TsGroup({0: nap.Ts([0.1, 0.2]), 1: nap.Ts([0.3, 0.4])}, time_support=nap.IntervalSet(0, 1))
    with pytest.raises(TypeError, match=r"TsGroup.*as_spike_trains"):
        make().fit(group)


def test_counts_that_are_not_whole(make, world):
    with pytest.warns(NonIntegerCountsWarning):
        make().fit(world.counts[0] + 0.2)
    with pytest.raises(ValueError, match="whole|integer"):
        make(counts="strict").fit(world.counts[0] + 0.2)


def test_more_spikes_in_a_window_than_max_tokens(make, world):
    largest = make().fit(world.spikes).max_tokens_
    make(max_tokens=largest).fit(world.spikes)
    message = rf"window of 2 bins holds {largest} spikes, more than max_tokens={largest - 1}.*Raise max_tokens"
    with pytest.raises(ValueError, match=message):
        make(max_tokens=largest - 1).fit(world.spikes)


def test_bins_that_the_counts_cannot_give(make, world):
    with pytest.raises(ValueError, match=re.escape("0.05")):
        make(bin_width=0.02).fit(world.spikes)


def test_units_that_differ_from_those_of_the_fit(plain, world):
    other = SpikeTrains.from_counts(world.counts, world.BIN_WIDTH, unit_ids=["a", "b", "d"])
    with pytest.raises(ValueError, match=r"unit ids should match.*\['d'\].*select_units"):
        plain.score(other)
    with pytest.raises(ValueError, match="same, in another order"):
        plain.predict(world.spikes.select_units(["c", "a", "b"]))
    with pytest.raises(ValueError, match="X has 2 features, but NeuroformerEstimator is expecting 3"):
        plain.score_samples(world.spikes.select_units(["a", "b"]))
    with pytest.raises(ValueError, match="X has 2 features"):
        plain.partial_fit(world.counts[:, :, :2])


def test_columns_that_differ_from_those_of_the_fit(make, world):
    model = make().fit(pd.DataFrame(world.counts[0], columns=list("xyz")))
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(pd.DataFrame(world.counts[0], columns=list("xyw")))


def test_a_score_needs_spikes(plain):
    with pytest.raises(ValueError, match="at least one observed spike"):
        plain.score(np.zeros((20, 3), dtype=int))


@pytest.mark.parametrize("method", ["predict", "score", "score_samples", "transform", "unit_score"])
def test_a_model_that_was_not_fitted(make, world, method):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        getattr(make(), method)(world.spikes)


def test_names_and_files_need_a_fit(make, tmp_path):
    for use in (lambda m: m.sample(), lambda m: m.get_feature_names_out(), lambda m: m.save(tmp_path / "model")):
        with pytest.raises(NotFittedError):
            use(make())
    assert not (tmp_path / "model").exists()


# ------------------------------------------------------------------------------------------------ modalities


def test_modalities_in_forms_that_are_refused(make, world):
    with pytest.raises(TypeError, match=r"dict.*Modalities\(\*\*y\)"):
        make().fit(world.spikes, {"speed": world.speed})
    with pytest.raises(ValueError, match="given twice"):
        make().fit(Recording(world.spikes, world.both), world.speed)
    with pytest.raises(TypeError, match="belongs in y"):
        make().fit(world.both)


def test_modalities_of_other_trials(make, world):
    with pytest.raises(IncompatibleModalityError, match="11 trials, the spikes 12"):
        make().fit(world.spikes, world.speed[:11])
    short = TimeSeries.from_lists([np.zeros((20 if k != 5 else 9, 1)) for k in range(12)], rate=20.0)
    with pytest.raises(IncompatibleModalityError, match=r"'speed' does not cover 1 of 12 trials: first, trial 5"):
        make().fit(world.spikes, Modalities(speed=short))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make().fit(world.counts[0], np.zeros((19, 2)))


def test_a_modality_that_was_not_there_in_the_fit(plain, fitted, world):
    with pytest.raises(IncompatibleModalityError, match=r"not in fit: \['stimulus'\].*none"):
        plain.score(world.spikes, world.speed)
    more = Modalities(speed=world.speed, video=world.video, pupil=world.speed)
    for use in (fitted.score, fitted.predict, fitted.score_samples, fitted.transform, fitted.partial_fit):
        with pytest.raises(IncompatibleModalityError, match=r"\['pupil'\].*\['speed', 'video'\]"):
            use(world.spikes, more)
    with pytest.raises(IncompatibleModalityError, match="pupil"):
        fitted.sample(more)


def test_a_modality_of_another_width(fitted, world):
    one = TimeSeries(world.speed.values[:, :1], world.speed.timestamps, world.speed.ptr)
    for use in (fitted.score, fitted.predict, fitted.transform, fitted.partial_fit):
        with pytest.raises(IncompatibleModalityError, match=r"'speed' .*shape \(2,\).*Got \(1,\)"):
            use(world.spikes, Modalities(speed=one, video=world.video))
    turned = Video(np.swapaxes(world.video.frames, 2, 3), 10.0, index=world.video.index)
    with pytest.raises(IncompatibleModalityError, match=r"'video' .*shape \(3, 4\).*Got \(4, 3\)"):
        fitted.sample(Modalities(speed=world.speed, video=turned))
    with pytest.raises(IncompatibleModalityError, match="'speed'"):
        fitted.score(world.spikes, Modalities(speed=world.video, video=world.video))


def test_frames_with_nan():
    with pytest.raises(ValueError, match="frames must be finite"):
        Video(np.full((1, 3, 2, 2), np.nan), 10.0)


# ------------------------------------------------------------------------------------------------ sample


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"n_samples": 0}, "'n_samples' parameter must be an int >= 1. Got 0"),
        ({"n_samples": 2.5}, "'n_samples'.*2.5"),
        ({"n_samples": True}, "'n_samples'"),
        ({"duration": -1.0}, "'duration' must be a positive number.*-1"),
        ({"duration": "long"}, "'duration'.*'long'"),
        ({"duration": float("inf")}, "'duration'"),
        ({"duration": float("nan")}, "'duration'"),
        ({"temperature": 0.0}, "'temperature' must be a positive number, got 0"),
        ({"temperature": "hot"}, "'temperature'"),
        ({"top_p": 0.0}, r"'top_p' must be in \(0, 1\]"),
        ({"top_p": 1.5}, "'top_p'"),
        ({"temperature": -1, "top_p": 2, "duration": 0}, "'temperature'.*'top_p'.*'duration'"),
        ({"random_state": "zero"}, "cannot be used to seed"),
    ],
)
def test_draws_that_cannot_be_made(plain, settings, message):
    with pytest.raises(ValueError, match=message):
        plain.sample(**settings)


@pytest.mark.parametrize("n_samples", [0, -3, 1.5, "many"])
def test_predictions_need_draws(plain, world, n_samples):
    with pytest.raises(ValueError, match="'n_samples' parameter must be an int >= 1"):
        plain.predict(world.spikes, n_samples=n_samples)


def test_stimuli_shorter_than_what_is_to_be_simulated(fitted, make, world):
    with pytest.raises(ValueError, match=r"shorter than duration=2\.0 s: trial 0 has 1 s"):
        fitted.sample(world.both[:2], duration=2.0)
    flat = make().fit(world.counts[0], np.zeros((20, 2)))
    with pytest.raises(ValueError, match=r"10 bins, fewer than duration=1\.0 s needs \(20\)"):
        flat.sample(np.zeros((10, 2)), duration=1.0)
    with pytest.raises(TypeError, match="stimuli must be Modalities"):
        flat.sample("white noise")
    with pytest.raises(TypeError, match="stimuli must be Modalities"):
        flat.sample({"speed": 1})
    nothing = TimeSeries(np.zeros((20, 2)), np.arange(20) * 0.05, [0, 20, 20])
    with pytest.raises(ValueError, match="no samples in trial 1"):
        flat.sample(nothing)


def test_files_that_are_not_a_model(make, world, tmp_path):
    path = tmp_path / "model"
    path.write_bytes(pickle.dumps(make()))
    with pytest.raises(UnsafeFileError):
        NeuroformerEstimator.load(path)
    make().fit(world.spikes).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    with pytest.raises(UnsafeFileError):
        NeuroformerEstimator.load(path)
    with pytest.raises(OSError):
        NeuroformerEstimator.load(tmp_path / "nowhere")


# ------------------------------------------------------------------------------------------------ units of time


@pytest.mark.parametrize("name", ["recent_context", "context", "stimulus_context", "coupling_lag"])
def test_durations_in_milliseconds_are_pointed_out(make, world, name):
    with pytest.warns(
        ShortenedLagWarning, match=rf"{name}=250 s .* longest has 1 s. .* 250 ms give {name}=0.25"
    ) as told:
        make(max_epochs=1, **{name: 250}).fit(world.spikes, world.speed)
    assert told[0].filename == __file__


def test_the_past_may_be_longer_than_short_trials(make, world):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(max_epochs=1, context=4.0, recent_context=2.0, stimulus_context=3.0).fit(world.spikes, world.speed)


def test_true_is_no_number(make, world):
    with pytest.raises(ValueError, match="'window_bins' parameter of NeuroformerEstimator must be a number. Got True"):
        make(window_bins=True).fit(world.spikes)


def test_bins_that_are_wider_than_the_trials_are_pointed_out(make, world):
    with pytest.raises(ValueError, match="wider than its trial: bin_width=20 is in seconds"):
        make(bin_width=20).fit(world.spikes)


def test_a_missing_modality_is_pointed_out_at_the_line_of_the_user(fitted, world):
    with pytest.warns(MissingModalityWarning) as told:
        fitted.score(world.spikes)
    assert told[0].filename == __file__
