"""Effects in a Neuroformer: of a model whose only way from spike to spike is its coupling they are the kernels."""

import warnings

import numpy as np
import pytest
import torch

from skneuro import NeuroformerEstimator
from skneuro.baselines import CoupledGLM
from skneuro.connectivity import ConnectivityInference
from skneuro.exceptions import ShortenedLagWarning
from skneuro.nn.encoders import SpikeKeys

N_UNITS = 6
OFF = ~np.eye(N_UNITS, dtype=bool)
KINDS = ("deletion", "gradient")
SMALL = {"bin_width": 0.005, "gamma": 0, "mu": 0.5, "d_model": 8, "n_heads": 2, "n_layers": 1, "max_epochs": 1}


def counts(seed=0, rate=0.1):
    return np.random.default_rng(seed).poisson(rate, (4, 250, N_UNITS))


def fit(**settings):
    model = NeuroformerEstimator(**{**SMALL, **settings}, random_state=0).fit(counts())
    with torch.no_grad():  # one epoch says little: weights large enough that every path matters
        generator = torch.Generator().manual_seed(1)
        network = model.model_.network
        for name in ("coupling", "coupling_target"):
            if hasattr(network.session, name):
                weight = getattr(network.session, name)
                weight += 0.3 * torch.randn(weight.shape, generator=generator)
        network.session.loosen()
        network.session.ceiling += 20.0
    return model


def read(model, kind, X=None, **settings):
    settings = {"readout_lag": 0.015, "n_contexts": 600, **settings}
    inference = ConnectivityInference(model, method="effect", effect=kind, **settings)
    return inference.fit(counts() if X is None else X).adjacency_


def centred(kernels):
    """Area of the first three lags, and of each source the median over the other targets taken off."""
    area = kernels[:, :, :3].sum(axis=2) * 0.005
    area = np.where(OFF, area, np.nan)
    return area - np.nanmedian(area, axis=0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", ["hazard", "independent"])
def test_where_coupling_is_the_only_path_the_effect_is_its_kernel(kind, head):
    model = fit(head=head, window_bins=1, context=0, recent_context=0, coupling=True)
    few = np.minimum(counts(), 1)  # counts beyond the largest of training are clipped
    expected = centred(np.asarray(model.coupling_kernels_))
    assert np.abs(expected[OFF]).max() > 1e-3
    np.testing.assert_allclose(read(model, kind, few)[OFF], expected[OFF], atol=1e-6, rtol=1e-3)


def test_contexts_that_miss_a_units_spikes_at_some_lags_are_named():
    """A lag without a spike has an unknown effect, which a sum over lags would take for none."""
    model, X = fit(window_bins=1, context=0, recent_context=0, coupling=True), np.minimum(counts(), 1)
    X[:, :, 4] = 0
    X[:, ::10, 4] = 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        every = read(model, "deletion", X)
    with pytest.warns(ShortenedLagWarning, match=r"5 contexts are few: \d of 6 units .*Raise n_contexts") as found:
        few = ConnectivityInference(model, method="effect", readout_lag=0.015, n_contexts=5).fit(X).adjacency_
    assert found[0].filename == __file__
    assert not np.allclose(few[OFF], every[OFF], equal_nan=True)


def test_deletion_is_what_a_loop_over_spikes_finds():
    """One context and one spike at a time, through the network's own likelihood; past, recent spikes and coupling."""
    from skneuro.training.contexts import log_odds
    from skneuro.training.stretches import Segments

    model = fit(window_bins=1, context=0.05, recent_context=0.05, coupling=True)
    X = counts(3)[:1, :60]
    fitted = model.model_
    config = fitted.network.config
    history = max(config.context_bins, config.history_bins)

    def odds(trial, t):
        inp = model._read(trial, None, reset=False)
        segments = Segments(np.array([0]), np.array([t]), np.array([t + 1]))
        batch = fitted.builder(inp).build(segments, history, layout=False)
        with torch.inference_mode():
            return log_odds(fitted.network, batch)[0].double().numpy()

    total, spikes = np.zeros((3, N_UNITS, N_UNITS)), np.zeros((3, N_UNITS))
    for t in range(3, 60):
        usual = odds(X, t)
        for lag in range(3):
            for source in np.flatnonzero(X[0, t - 1 - lag]):
                without = X.copy()
                without[0, t - 1 - lag, source] = 0
                total[lag, source] += usual - odds(without, t)
                spikes[lag, source] += X[0, t - 1 - lag, source]
    area = (total / spikes[:, :, None]).sum(axis=0).T * 0.005
    area = np.where(OFF, area, np.nan)
    expected = area - np.nanmedian(area, axis=0)
    np.testing.assert_allclose(read(model, "deletion", X)[OFF], expected[OFF], atol=1e-6)


def test_a_spike_that_counts_twice_is_two_spikes_and_one_that_counts_nothing_is_none():
    """The weight by which recent spikes are differentiated, against keys that are repeated or left out."""
    network = fit(window_bins=1, context=0, recent_context=0.05, coupling=False).model_.network
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(3, 1, 8, generator=generator)
    state, query = torch.randn(1, 2, 8, generator=generator), torch.tensor([[0.0, 0.005]])

    def fused(sample, log_weight=None):
        sample = torch.tensor([sample])
        time = torch.tensor([-0.01, -0.015, -0.02])[sample]
        there = torch.ones_like(sample, dtype=torch.bool)
        weight = torch.zeros_like(time) if log_weight is None else torch.tensor([log_weight])
        keys = SpikeKeys(time, there, sample, weight)
        with torch.no_grad():
            return network.fusion(state, {"recent spikes": query}, {"recent spikes": keys}, {"recent spikes": tokens})

    torch.testing.assert_close(fused([0, 1, 2], [0.0, float(np.log(2)), 0.0]), fused([0, 1, 1, 2]))
    torch.testing.assert_close(fused([0, 1, 2], [0.0, float("-inf"), 0.0]), fused([0, 2]))
    assert not torch.allclose(fused([0, 1, 2]), fused([0, 2]))


def test_gradients_through_recent_spikes_alone_tell_what_deletion_tells():
    model = fit(window_bins=1, context=0, recent_context=0.05, coupling=False)
    with torch.no_grad():  # the readout starts at zero
        model.model_.network.readout.weight += torch.eye(8)
    X = counts(2, rate=0.3)  # of many spikes each matters little
    deletion, gradient = (read(model, kind, X)[OFF] for kind in KINDS)
    assert np.corrcoef(deletion, gradient)[0, 1] > 0.9
    assert 0.7 < np.std(gradient) / np.std(deletion) < 1.4


@pytest.mark.parametrize("kind", KINDS)
def test_silent_sources_are_unknown_in_a_model_of_windows_too(kind):
    model = fit(window_bins=4, context=0.05, coupling=True)
    X = counts()
    X[:, :, 2] = 0
    with pytest.warns(UserWarning, match="1 of 6 units have no spike"):
        adjacency = read(model, kind, X)
    unknown = np.eye(N_UNITS, dtype=bool)
    unknown[2] = unknown[:, 2] = True
    np.testing.assert_array_equal(np.isnan(adjacency), unknown)


def test_only_a_neuroformer_has_gradients():
    glm = CoupledGLM(bin_width=0.005, history=0.03).fit(counts()[0])
    with pytest.raises(TypeError, match="effect='gradient' differentiates a NeuroformerEstimator. Got CoupledGLM"):
        read(glm, "gradient", counts()[0])
    with pytest.raises(ValueError, match="The 'effect' parameter"):
        read(glm, "deletions", counts()[0])
    with pytest.raises(ValueError, match="The 'n_contexts' parameter"):
        read(glm, "deletion", counts()[0], n_contexts=0)


@pytest.mark.parametrize("head", ["hazard", "chained"])
def test_a_stimulus_that_is_known_does_not_change_the_kernels(head):
    """Modalities are encoded once for many deletions: every row must keep its own."""
    rng = np.random.default_rng(5)
    X, stimuli = np.minimum(counts(), 1), rng.standard_normal((4, 250, 2))
    settings = {"window_bins": 1, "context": 0, "recent_context": 0, "coupling": True, "stimulus_context": 0.05}
    model = NeuroformerEstimator(**{**SMALL, **settings}, head=head, random_state=0).fit(X, stimuli)
    with torch.no_grad():
        session = model.model_.network.session
        session.coupling += 0.3 * torch.randn(session.coupling.shape, generator=torch.Generator().manual_seed(1))
        session.ceiling += 20.0
    expected = centred(np.asarray(model.coupling_kernels_))
    for kind in KINDS:
        inference = ConnectivityInference(model, method="effect", effect=kind, n_contexts=600).fit(X, stimuli)
        np.testing.assert_allclose(inference.adjacency_[OFF], expected[OFF], atol=1e-6, rtol=1e-3)
