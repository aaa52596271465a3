"""Arrays of stimuli in `sample` are read as those of `fit`."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skneuro
from skneuro.baselines import CoupledGLM
from skneuro.data import SpikeTrains, TimeSeries
from skneuro.exceptions import MissingModalityWarning
from skneuro.metrics import dead_time_score

SIDE = np.arange(20) % 2
COUNTS = np.random.default_rng(0).poisson(0.3 + SIDE[:, None, None], (20, 30, 3))
SPIKES = SpikeTrains.from_counts(COUNTS, 0.05)


@pytest.fixture(scope="module")
def per_trial(make):
    return make(max_epochs=1).fit(COUNTS, SIDE)


def whole_trials(simulated, n_trials, duration=1.5):
    assert simulated.trial_ids.tolist() == list(range(n_trials))
    assert_allclose(simulated.duration, duration)


@pytest.mark.parametrize("stimuli", [SIDE[:4], SIDE[:4, None].astype(float), SIDE[:4].tolist()], ids=str)
def test_what_was_constant_over_a_trial_in_fit_is_so_in_simulations(per_trial, stimuli):
    whole_trials(per_trial.sample(stimuli, random_state=0), 4)
    whole_trials(per_trial.sample(stimuli, duration=0.5, random_state=0), 4, 0.5)
    glm = CoupledGLM(bin_width=0.05, history=0.1, n_basis=2, alphas=20.0).fit(COUNTS, SIDE)
    whole_trials(glm.sample(stimuli, random_state=0), 4)


def test_a_simulated_trial_follows_its_constant_stimulus(make):
    model = make(max_epochs=15, learning_rate=2e-2, dropout=0.0, modality_dropout=0.0).fit(COUNTS, SIDE)
    drawn = np.array(model.sample([0, 1], n_samples=10, random_state=0).to_counts(0.05)).reshape(2, -1).mean(axis=1)
    assert drawn[1] > 2 * drawn[0]


def test_containers_and_several_values_of_a_trial(make):
    contrast = np.random.default_rng(1).random((20, 2))
    model = make(max_epochs=1).fit(SPIKES, contrast)
    whole_trials(model.sample(contrast[:3], random_state=0), 3)


def test_the_reading_survives_files_pickles_and_further_fits(make, per_trial, tmp_path):
    skneuro.save(per_trial, tmp_path / "model")
    for again in (skneuro.load(tmp_path / "model"), pickle.loads(pickle.dumps(per_trial))):
        whole_trials(again.sample(SIDE[:4], random_state=0), 4)
        whole_trials(again.partial_fit(COUNTS, SIDE).sample(SIDE[:4], random_state=0), 4)
    on_bins = TimeSeries.from_lists(list(np.repeat(SIDE, 30).reshape(20, 30).astype(float)), rate=20.0)
    again.set_params(warm_start=True).fit(SPIKES, on_bins)
    assert len(again.sample(np.zeros(10), random_state=0)) == 1


def test_a_file_without_the_reading_is_read_as_before(per_trial, tmp_path):
    old = pickle.loads(pickle.dumps(per_trial))
    del old.stimulus_per_trial_
    skneuro.save(old, tmp_path / "model")
    old = skneuro.load(tmp_path / "model")
    assert len(old.sample(np.zeros(10), random_state=0)) == 1


@pytest.mark.parametrize("layout", ["bins", "trials"])
def test_what_had_a_value_for_each_bin_in_fit_has_so_in_simulations(make, layout):
    drive = np.random.default_rng(0).random((20, 30, 1))
    model = make(max_epochs=1)
    model.fit(COUNTS.reshape(-1, 3), drive.reshape(-1)) if layout == "bins" else model.fit(COUNTS, drive)
    for stimuli in (drive[0], drive[0, :, 0]):
        whole_trials(model.sample(stimuli, random_state=0), 1)
    whole_trials(model.sample(drive[:3], random_state=0), 3)


LATE = SpikeTrains.from_counts(COUNTS, 0.05, t_start=-0.4)
EARLY = TimeSeries.from_lists([np.zeros(40)] * 20, rate=20.0, t_start=-0.8)


@pytest.mark.parametrize("stimuli", [None, EARLY], ids=["alone", "with a stimulus"])
def test_simulated_trials_start_when_the_training_trials_did_in_every_model(make, stimuli, tmp_path):
    model = make(max_epochs=1).fit(LATE, stimuli)
    glm = CoupledGLM(bin_width=0.05, history=0.1, n_basis=2, alphas=20.0).fit(LATE, stimuli)
    skneuro.save(model, tmp_path / "model")
    given = None if stimuli is None else stimuli[:2]
    for one in (model, glm, skneuro.load(tmp_path / "model")):
        assert_allclose(one.sample(given, random_state=0).t_start, -0.4)


def test_arrays_start_with_the_training_trials(make):
    drive = np.random.default_rng(0).random((20, 30, 1))
    assert_allclose(make(max_epochs=1).fit(LATE, drive).sample(drive[0], random_state=0).t_start, -0.4)
    assert_allclose(make(max_epochs=1).fit(LATE, SIDE).sample(SIDE[:2], random_state=0).t_start, -0.4)


def test_a_file_that_does_not_know_when_trials_started_simulates_as_before(make, tmp_path):
    old = make(max_epochs=1).fit(LATE, EARLY)
    del old.trial_start_
    skneuro.save(old, tmp_path / "model")
    old = skneuro.load(tmp_path / "model")
    assert_allclose(old.sample(EARLY[:1], random_state=0).t_start, -0.8)
    with pytest.warns(MissingModalityWarning):
        assert_allclose(old.sample(random_state=0).t_start, 0.0)


def test_spikes_are_no_stimuli(make):
    with pytest.raises(TypeError, match=r"spikes are no stimuli. Recording\(spikes\)"):
        make(max_epochs=1).fit(LATE).sample(LATE)


def test_a_simulation_lasts_the_same_with_every_model(make):
    """As many whole bins as hold the duration; no bin that the stimulus covers in part."""
    shown = TimeSeries.from_lists([np.zeros(150)] * 20, rate=100.0)
    models = [make(max_epochs=1), CoupledGLM(bin_width=0.05, history=0.1, n_basis=2, alphas=20.0)]
    for model in models:
        model.fit(SPIKES, shown)
        whole_trials(model.sample(shown[:2], duration=0.12, random_state=0), 2, 0.15)
        whole_trials(model.sample(TimeSeries.from_lists([np.zeros(122)] * 2, rate=100.0), random_state=0), 2, 1.2)


def test_a_dead_time_is_counted_in_the_windows_of_fit(make):
    model = make(max_epochs=1, window_bins=2).fit(SPIKES)
    expected = dead_time_score(model, SPIKES, dead_time=0.05)
    assert dead_time_score(model.set_params(window_bins=10), SPIKES, dead_time=0.05) == expected
    with pytest.raises(ValueError, match="predicts windows of 2: no bin is left"):
        dead_time_score(model, SPIKES, dead_time=0.2)
