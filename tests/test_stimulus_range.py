"""Stimuli beyond all that a model saw in `fit`."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from skneuro import Covariates, Modalities, NeuroformerEstimator, Pulses, SpikeTrains, TimeSeries, Video
from skneuro.baselines import CoupledGLM, GRUModel, PSTHModel
from skneuro.data.inputs import read_input
from skneuro.estimators._fitting import split
from skneuro.exceptions import MissingModalityWarning, UnseenStimulusWarning
from skneuro.persistence import load, save
from skneuro.training.known import as_in_training
from skneuro.training.split import whole_trials

N_TRIALS, N_BINS, WIDTH = 12, 20, 0.1
SMALL = {"bin_width": WIDTH, "random_state": 0}
MODELS = [
    CoupledGLM(bin_width=WIDTH),
    GRUModel(n_hidden=4, max_steps=20, **SMALL),
    NeuroformerEstimator(d_model=8, max_epochs=2, gamma=0.0, n_threads=1, **SMALL),
]


def series(values):
    times = np.tile(WIDTH * np.arange(N_BINS), N_TRIALS)
    return TimeSeries(values, times, N_BINS * np.arange(N_TRIALS + 1), names=["x", "y"])


@pytest.fixture(scope="module")
def position():
    return np.random.default_rng(0).uniform(0, 1, (N_TRIALS * N_BINS, 2))


@pytest.fixture(scope="module")
def spikes(position):
    """A unit that fires where x is large, and one that does not care."""
    rate = np.stack([2.0 * position[:, 0], np.ones(len(position))], axis=1)
    counts = np.random.default_rng(1).poisson(rate).reshape(N_TRIALS, N_BINS, 2)
    return SpikeTrains.from_counts(counts, WIDTH)


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: type(model).__name__)
def fitted(request, spikes, position):
    contrast = Covariates({"contrast": np.linspace(0, 1, N_TRIALS)})
    return request.param.fit(spikes, Modalities(position=series(position), contrast=contrast))


def stimuli(position, contrast=0.5):
    return Modalities(position=series(position), contrast=Covariates({"contrast": np.full(N_TRIALS, contrast)}))


@pytest.mark.filterwarnings("ignore:100.0% of the values of the modality 'contrast'")
def test_values_beyond_are_taken_for_the_nearest_that_was_seen(fitted, spikes, position):
    low, high = fitted.stimulus_range_["position"]
    np.testing.assert_array_equal([low, high], [position.min(0), position.max(0)])
    far = np.where(np.arange(len(position))[:, None] % 2, position, [[50.0, -50.0]])
    with pytest.warns(UnseenStimulusWarning, match=r"50.0% of the values of the modality 'position' in column 'x'"):
        score = fitted.score(spikes, stimuli(far, 7.0))
    assert score == fitted.score(spikes, stimuli(np.clip(far, low, high), 1.0))
    with pytest.warns(UnseenStimulusWarning):
        expected = fitted.predict(spikes, stimuli(far, 7.0))
    held = fitted.predict(spikes, stimuli(np.clip(far, low, high), 1.0))
    np.testing.assert_array_equal(np.concatenate(list(expected)), np.concatenate(list(held)))


def test_what_was_seen_is_not_spoken_of_and_rare_values_are_held_in_silence(fitted, spikes, position):
    rare = position.copy()
    rare[5] = 1e6  # one of 240
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted.score(spikes, stimuli(position))
        score = fitted.score(spikes, stimuli(rare))
    assert score == fitted.score(spikes, stimuli(np.clip(rare, *fitted.stimulus_range_["position"])))


def test_missing_values_stay_missing(fitted, spikes, position):
    lost, far = position.copy(), position.copy()
    lost[::3] = far[::3] = np.nan
    far[1::3] = 9.0
    held = np.clip(far, *fitted.stimulus_range_["position"])
    assert np.isnan(held[::3]).all()
    with pytest.warns(UnseenStimulusWarning, match=r"50.0% of the values"):  # of those that are known
        assert fitted.score(spikes, stimuli(far)) == fitted.score(spikes, stimuli(held))


def test_simulations_are_held_within_too(fitted, position):
    with pytest.warns(UnseenStimulusWarning, match="position"):
        far = fitted.sample(stimuli(position + 30.0), random_state=0)
    held = fitted.sample(stimuli(np.clip(position + 30.0, *fitted.stimulus_range_["position"])), random_state=0)
    np.testing.assert_array_equal(far.bin(WIDTH).dense(), held.bin(WIDTH).dense())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_a_column_that_was_never_known_is_not_known_later(model, spikes, position):
    never = position.copy()
    never[:, 1] = np.nan
    with pytest.warns(UserWarning, match="lacks a value"):
        model = clone(model).fit(spikes, series(never))
    assert np.isnan([limit[1] for limit in model.stimulus_range_["stimulus"]]).all()
    with pytest.warns(UserWarning, match="lacks a value"):
        expected = model.score(spikes, series(never))
    with pytest.warns(MissingModalityWarning, match="without a known value in column 'y': the model learned nothing"):
        assert model.score(spikes, series(position)) == expected


def light(red, blue=0.0):
    """A pulse of red light in each trial, and one of blue after it where that has power."""
    power = np.column_stack([red, np.full(N_TRIALS, blue)])
    onset, target, lit = np.tile([0.5, 1.2], N_TRIALS), np.tile([0, 1], N_TRIALS), power.ravel() > 0
    ptr = np.r_[0, np.cumsum((power > 0).sum(1))]
    known = {"names": ["red", "blue"], "target": target[lit], "power": power[power > 0]}
    return Pulses(onset[lit], np.full(ptr[-1], 0.3), ptr, 0.0, 2.0, **known)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_light_is_held_within_the_power_of_training_and_off_where_it_always_was(model, spikes):
    power = np.linspace(1.0, 5.0, N_TRIALS)
    model = clone(model).fit(spikes, light(power))
    np.testing.assert_array_equal(model.stimulus_range_["stimulus"], [[0.0, 0.0], [5.0, 0.0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weaker = model.score(spikes, light(power / 10))  # between off and the weakest
        held = model.score(spikes, light(np.minimum(10 * power, 5.0)))
    with pytest.warns(UnseenStimulusWarning, match=r"100.0% .* in column 'red'.*0 to 50 now, 0 to 5 then"):
        assert model.score(spikes, light(10 * power)) == held
    with pytest.warns(UnseenStimulusWarning, match=r"100.0% .* in column 'blue'.*0 to 3 now, 0 to 0 then"):
        assert model.score(spikes, light(power / 10, blue=3.0)) == weaker


def test_learning_on_widens_what_was_seen(spikes, position):
    model = NeuroformerEstimator(d_model=8, max_epochs=2, gamma=0.0, n_threads=1, **SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.partial_fit(spikes, series(position)).partial_fit(spikes, series(position + 3.0))
        model.score(spikes, series(position + 3.0))
    np.testing.assert_array_equal(model.stimulus_range_["stimulus"], [position.min(0), (position + 3.0).max(0)])


def test_it_is_kept_in_files(fitted, spikes, position, tmp_path):
    save(fitted, tmp_path / "model.skn")
    again = load(tmp_path / "model.skn")
    far = stimuli(position + 9.0)
    with pytest.warns(UnseenStimulusWarning):
        assert again.score(spikes, far) == fitted.score(spikes, far)


def test_pixels_of_another_scale_are_pointed_out_and_not_changed(spikes):
    frames = np.random.default_rng(2).uniform(0, 1, (3, 20, 4, 4))
    index = np.arange(N_TRIALS) % 3
    video, other = (Video(factor * frames, fps=10.0, index=index) for factor in (1.0, 255.0))
    model = CoupledGLM(bin_width=WIDTH).fit(spikes, video)
    np.testing.assert_array_equal(np.ravel(model.stimulus_range_["stimulus"]), [frames.min(), frames.max()])
    with pytest.warns(UnseenStimulusWarning, match=r"99.\d% of the values of the modality 'stimulus' lie beyond"):
        model.score(spikes, other)
    part = Video(frames.astype(np.float32), fps=10.0, index=np.zeros(N_TRIALS, dtype=int))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.score(spikes, part)
        PSTHModel(bin_width=WIDTH).fit(spikes, video).score(spikes, part)


@pytest.mark.filterwarnings("ignore::skneuro.exceptions.ArtefactWarning")
@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_what_is_held_out_inside_fit_is_held_within_what_is_trained_on(model, spikes, position, monkeypatch):
    seen = []  # of each choice in a fit: which trials are held out, and position in them and in the others

    def spy(inp, training, *before):
        known, limits = as_in_training(inp, training, *before)
        held = ~np.isin(np.arange(inp.spikes.n_trials), training.trial)
        seen.append((held, known.modalities[held]["position"].values, known.modalities[~held]["position"].values))
        return known, limits

    for module in ("estimators._learner", "baselines._baseline"):
        monkeypatch.setattr(f"skneuro.{module}.as_in_training", spy)
    clone(model).fit(spikes, stimuli(position))
    artefact = position.copy()
    artefact[np.flatnonzero(np.repeat(seen[-1][0], N_BINS))[7]] = 1e5
    seen.clear()
    fitted = clone(model).fit(spikes, stimuli(artefact))
    _, held, trained = seen[-1]
    np.testing.assert_array_equal(held.max(0), trained.max(0))
    assert trained.max() < 1.0
    assert fitted.stimulus_range_["position"][1].max() == 1e5  # it was trained on all in the end


@pytest.mark.filterwarnings("ignore::skneuro.exceptions.ArtefactWarning")
def test_an_artefact_that_is_held_out_changes_nothing(spikes, position):
    """Fifty standard deviations off, it once ended training after three epochs of thirty."""
    model = NeuroformerEstimator(
        d_model=8, max_epochs=3, gamma=0.0, early_stopping=True, refit=False, n_threads=1, **SMALL
    )
    trained = split(model, read_input(spikes, None, bin_width=WIDTH), model.fit(spikes)._seed)[0].trial
    artefact, most = position.copy(), position.copy()
    inside = np.repeat(np.isin(np.arange(N_TRIALS), trained), N_BINS)
    artefact[np.flatnonzero(~inside)[7]] = 1e5
    most[np.flatnonzero(~inside)[7]] = position[inside].max(0)
    fitted, expected = (clone(model).fit(spikes, stimuli(values)) for values in (artefact, most))
    assert fitted.validation_scores_ == expected.validation_scores_
    assert fitted.score(spikes, stimuli(artefact)) == expected.score(spikes, stimuli(most))
    np.testing.assert_array_equal(fitted.stimulus_range_["position"][1], position[inside].max(0))


def test_videos_and_what_lies_within_are_left_as_they_are(spikes, position):
    video = Video(np.random.default_rng(0).normal(size=(N_TRIALS, 4, 3, 3)), fps=2.0)
    inp = read_input(spikes, Modalities(position=series(position), video=video), bin_width=WIDTH)
    first = whole_trials(np.r_[np.full(N_TRIALS - 3, N_BINS), 0, 0, 0])
    known, limits = as_in_training(inp, whole_trials(np.full(N_TRIALS, N_BINS)))
    assert known is inp
    assert list(limits) == ["position"]
    held, _ = as_in_training(inp, first)
    assert held.modalities["video"] is inp.modalities["video"]
    assert held.modalities["position"].values.max() < 1.0
