"""Facts about matched rates: simulations fire as often as recorded, and the model given is as it was."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline

from skneuro import NeuroformerEstimator, SpikeTrains
from skneuro.baselines import CoupledGLM, GRUModel, PSTHModel
from skneuro.data import Covariates, Modalities
from skneuro.simulation import match_rates

WIDTH = 0.05
TINY = {
    "bin_width": WIDTH, "window_bins": 2, "recent_context": 0.1, "context": 0.2, "coupling_lag": 0.1, "d_model": 8,
    "n_heads": 2, "max_epochs": 2, "gamma": 0.0, "mu": 0.5, "early_stopping": False, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def spikes():
    return SpikeTrains.from_counts(np.random.default_rng(0).poisson([0.2, 0.4, 0.8], (20, 50, 3)), WIDTH)


def simulated_rates(model):
    return model.sample(n_samples=160, duration=2.5, random_state=5).bin(WIDTH).unit_counts() / 400.0


MODELS = {
    "GLM": lambda: CoupledGLM(bin_width=WIDTH, history=0.2, alphas=10.0),
    "GRU": lambda: GRUModel(bin_width=WIDTH, n_hidden=8, max_steps=30, alpha=10.0, random_state=0, n_threads=1),
    "hazard": lambda: NeuroformerEstimator(random_state=0, **TINY),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_that_fires_too_little_fires_as_recorded(spikes, name):
    model = MODELS[name]().fit(spikes)
    model._shift_log_rates(np.array([-0.4, -0.2, -0.3]))
    score, recorded = model.score(spikes), spikes.bin(WIDTH).unit_counts() / spikes.duration.sum()
    assert simulated_rates(model).sum() < 0.85 * recorded.sum()
    matched = match_rates(model, spikes, random_state=0)
    assert simulated_rates(matched).sum() == pytest.approx(recorded.sum(), rel=0.06)
    assert np.abs(np.log(simulated_rates(matched) / recorded)).max() < 0.25
    assert model.score(spikes) == score != matched.score(spikes)
    again = match_rates(model, spikes, random_state=0)
    assert np.array_equal(simulated_rates(again), simulated_rates(matched))


def test_a_unit_that_was_not_observed_keeps_its_bias(spikes):
    model = MODELS["GLM"]().fit(spikes)
    model._shift_log_rates(np.array([-0.4, -0.2, -0.3]))
    observed = spikes.select_units([0, 1])
    part = SpikeTrains(
        observed.times, observed.units, observed.ptr, spikes.t_start, spikes.t_stop, unit_ids=[0, 1, 2],
        observed={2: np.empty((0, 2))}, resolution=WIDTH,
    )  # fmt: skip
    matched = match_rates(model, part, random_state=0)
    assert matched.intercept_[2] == model.intercept_[2]
    recorded = observed.bin(WIDTH).unit_counts() / spikes.duration.sum()
    assert simulated_rates(matched)[:2].sum() == pytest.approx(recorded.sum(), rel=0.06)


def test_a_matched_model_can_be_trained_on(spikes):
    matched = match_rates(MODELS["hazard"]().fit(spikes), spikes, max_rounds=4, random_state=0)
    bias = matched.model_.network.session.bias.detach().clone()
    on = copy.deepcopy(matched).set_params(learning_rate=1e-9, warm_start=True).fit(spikes)
    assert np.allclose(on.model_.network.session.bias.detach(), bias, atol=1e-5)


def test_too_few_rounds_warn(spikes):
    model = MODELS["GLM"]().fit(spikes)
    model._shift_log_rates(np.ones(3))
    with pytest.warns(ConvergenceWarning, match="CoupledGLM was .* off after 1 rounds"):
        match_rates(model, spikes, max_rounds=1, random_state=0)


def test_what_cannot_be_matched_is_refused(spikes):
    glm = MODELS["GLM"]().fit(spikes)
    with pytest.raises(TypeError, match="PSTHModel are those of its training trials"):
        match_rates(PSTHModel(bin_width=WIDTH).fit(spikes), spikes)
    with pytest.raises(TypeError, match="head='hazard'"):
        match_rates(NeuroformerEstimator(head="chained", random_state=0, **TINY).fit(spikes), spikes)
    with pytest.raises(TypeError, match="not a pipeline"):
        match_rates(make_pipeline(glm), spikes)
    with pytest.raises(TypeError, match="from_counts"):
        match_rates(glm, np.zeros((10, 3), dtype=int))
    with pytest.raises(ValueError, match="n_samples must be an int of at least 1. Got 0"):
        match_rates(glm, spikes, n_samples=0)
    with pytest.raises(ValueError, match="max_rounds must be an int"):
        match_rates(glm, spikes, max_rounds=2.5)
    with pytest.raises(ValueError, match="tol must be a positive"):
        match_rates(glm, spikes, tol=0)
    with pytest.raises(ValueError, match="2"):
        match_rates(glm, spikes[:, :2])


def test_what_counts_is_the_head_that_was_fitted(spikes):
    chained = NeuroformerEstimator(head="chained", random_state=0, **TINY).fit(spikes).set_params(head="hazard")
    with pytest.raises(TypeError, match="fitted with head='chained'"):
        chained._shift_log_rates(np.zeros(3))
    hazard = MODELS["hazard"]().fit(spikes).set_params(head="chained")
    score = hazard.score(spikes)
    hazard._shift_log_rates(np.array([-0.4, -0.2, -0.3]))
    assert hazard.score(spikes) != score


def test_rates_are_matched_over_what_was_observed():
    """A unit was lost in most of the trials in which it is busy: over all time it fires more than in those observed."""
    busy = np.arange(60) % 2 == 1
    rate = np.where(busy, 1.0, 0.1)[:, None, None] * np.ones((50, 2))
    counts, observed = np.random.default_rng(0).poisson(rate), np.ones(rate.shape, dtype=bool)
    observed[np.flatnonzero(busy)[8:], :, 0] = False
    spikes = SpikeTrains.from_counts(list(np.where(observed, counts, 0)), WIDTH, observed=list(observed))
    busy_or_not = Modalities(busy=Covariates({"busy": busy.astype(float)}))
    model = CoupledGLM(bin_width=WIDTH, history=0.0, alphas=0.1).fit(spikes, busy_or_not)
    matched = match_rates(model, spikes, busy_or_not, n_samples=8, random_state=0)
    assert matched.intercept_ == pytest.approx(model.intercept_, abs=0.1)
