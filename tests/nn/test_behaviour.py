"""Lags, and features at them, against a slow loop."""

import numpy as np
import pytest
import torch

from skneuro.nn.behaviour import BehaviourNetwork, Lags, NeuralState, at_lags
from skneuro.training.behaviour import feature_chunks, neural_states


@pytest.mark.parametrize("n_bins", [0, 1, 2, 7, 10, 11, 25, 60])
def test_lags_cover_what_was_asked_for_once(n_bins):
    past, both = Lags.of(n_bins, True), Lags.of(n_bins, False)
    span = max(n_bins, 1) - 1
    assert sorted(lag for slot in past.counts for lag in slot) == list(range(-span, 1))
    assert sorted(lag for slot in both.counts for lag in slot) == list(range(-span, span + 1))
    assert past.reach == (span, 0) and both.reach == (span, span)
    assert len(past.counts) <= 10 and len(both.counts) <= 20
    assert max(past.states) == 0 and set(past.states) <= set(both.states)
    assert {type(slot) for slot in both.counts} == {tuple}


def test_rows_at_lags_are_those_of_the_same_trial():
    x = torch.arange(8.0)[:, None]
    low, high = torch.tensor([0, 0, 3, 3]), torch.tensor([3, 3, 8, 8])
    found = at_lags(x, torch.tensor([0, 2, 3, 6]), low, high, ((0,), (-2, -1), (1,)))
    assert found.tolist() == [[0, 0, 1], [2, 0.5, 0], [3, 0, 4], [6, 4.5, 7]]


def test_states_and_features_are_those_of_the_network_bin_by_bin(tiny):
    model = tiny.model("hazard", 2, n_units=2)
    counts = np.random.default_rng(0).poisson(0.5, (19, 2))
    builder = tiny.builder(model, [counts[:7], counts[7:]])
    network = BehaviourNetwork(NeuralState(model.config).double(), Lags.of(3, False), 1, 2).double().eval()
    network.state.copy_from(model)
    states = neural_states(network, builder.binned)
    standardised = model.session.standardise(torch.from_numpy(counts).double(), torch.ones(19, 2).double())
    with torch.no_grad():
        for low, high in ((0, 7), (7, 19)):
            after = model.past(model.session, standardised[None, low:high], torch.zeros(1, 12).double())[0, 1:]
            np.testing.assert_allclose(states[low:high], after, atol=1e-6)
    places = np.array([0, 6, 7, 12, 18])
    found = torch.cat([f for _, f in feature_chunks(network, builder.binned, places, False)]).numpy()
    for row, bin_ in zip(found, places, strict=True):
        low, high = (0, 7) if bin_ < 7 else (7, 19)
        seen = [
            standardised[bin_ + k].numpy() if low <= bin_ + k < high else np.zeros(2) for k in (0, -1, -2, 1, 2)
        ]
        seen += [states[bin_ + k] if low <= bin_ + k < high else np.zeros(12) for k in (0, -2, 2)]
        np.testing.assert_allclose(row, np.concatenate(seen), atol=1e-6)
    mean = torch.cat([f for _, f in feature_chunks(network, builder.binned, np.array([1]), True)]).numpy()
    every = torch.cat([f for _, f in feature_chunks(network, builder.binned, np.arange(7, 19), False)]).numpy()
    np.testing.assert_allclose(mean[0], every.mean(0), atol=1e-6)
