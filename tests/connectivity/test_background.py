"""A known stimulus does not fake edges, and the model that knows it is shown no spike."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skneuro.baselines import CoupledGLM
from skneuro.connectivity import ConnectivityInference
from skneuro.data import Modalities, Recording
from skneuro.datasets import make_hub_network


@pytest.fixture(scope="module")
def network():
    return make_hub_network(16, 120.0, "stimulus", random_state=2)


class Recorder(BaseEstimator):
    """Keeps what it is asked to predict, and expects 0.1 spikes, or 0.2 in every other bin of 10 ms for unit 0."""

    bin_width = 0.01

    def fit(self, X, y=None):
        self.unit_ids_, self.n_features_in_ = X.unit_ids, X.shape[1]
        return self

    def predict(self, X, stimuli=None):
        self.asked = (X, stimuli)
        result = np.full((int(np.ceil(X.duration[0] / 0.01)), X.shape[1]), 0.1)
        result[::2, 0] = 0.2
        return [result]


def test_the_model_is_shown_the_stimulus_and_no_spike(network):
    model = Recorder().fit(network.spikes)
    ConnectivityInference(model, method="glm", background="model").fit(network.spikes, network.stimuli)
    asked, stimuli = model.asked
    assert asked.n_spikes == 0 and not asked.bin(0.01).mask().any()
    assert stimuli is network.stimuli
    np.testing.assert_array_equal(asked.t_stop, network.spikes.t_stop)


def test_an_expectation_that_does_not_vary_changes_nothing(network):
    spikes = network.spikes.select_units(network.spikes.unit_ids[1:])  # without the unit that it does vary for

    class Constant(Recorder):
        def predict(self, X, stimuli=None):
            return [np.full((int(np.ceil(X.duration[0] / 0.01)), X.shape[1]), 0.1)]

    model = Constant().fit(spikes)
    known = ConnectivityInference(model, method="glm", background="model").fit(spikes)
    plain = ConnectivityInference(method="glm", background="innovations").fit(spikes)
    np.testing.assert_allclose(known.adjacency_, plain.adjacency_, atol=1e-4)


def test_with_the_stimulus_given_false_edges_between_driven_units_are_at_least_halved(network):
    model = CoupledGLM(bin_width=0.01, history=0.05, stimulus_history=0.1).fit(network.spikes, network.stimuli)
    common = np.abs(network.loadings @ network.loadings.T)
    off = ~np.eye(16, dtype=bool)
    driven = (common > np.median(common[off])) & (network.weights == 0) & off

    def false_strength(**settings):
        known = settings.get("background") == "model"
        inference = ConnectivityInference(model if known else None, **settings)
        inference.fit(network.spikes, network.stimuli if known else None)
        size = np.abs(inference.adjacency_)
        return size[driven].mean() / size[network.weights != 0].mean()

    given = false_strength(background="model")
    assert given < 0.5 * min(false_strength(method=method) for method in ("glm", "ccg", "lagged_correlation"))


def test_a_recording_brings_its_own_stimuli(network):
    model = Recorder().fit(network.spikes)
    recording = Recording(network.spikes, Modalities(stimulus=network.stimuli))
    ConnectivityInference(model, method="glm", background="model").fit(recording)
    assert model.asked[1] is recording.modalities


def test_a_recording_without_modalities_takes_the_stimuli_that_are_given_beside_it(network):
    model = Recorder().fit(network.spikes)
    ConnectivityInference(model, method="glm", background="model").fit(Recording(network.spikes), network.stimuli)
    assert model.asked[1] is network.stimuli
    twice = Recording(network.spikes, Modalities(stimulus=network.stimuli))
    with pytest.raises(ValueError, match="stimuli given twice"):
        ConnectivityInference(model, method="glm", background="model").fit(twice, network.stimuli)


def test_a_background_needs_a_model_spike_times_and_the_same_units(network):
    with pytest.raises(ValueError, match="background='model' needs an estimator"):
        ConnectivityInference(background="model").fit(network.spikes)
    model = Recorder().fit(network.spikes)
    with pytest.raises(ValueError, match="takes no background"):
        ConnectivityInference(model, method="ccg", background="model").fit(network.spikes)
    with pytest.raises(ValueError, match="needs spike times"):
        ConnectivityInference(model, background="model").fit(np.ones((100, 16)))
    with pytest.raises(ValueError, match="unit ids should match"):
        few = network.spikes.select_units(network.spikes.unit_ids[:4])
        ConnectivityInference(model, background="model").fit(few)
