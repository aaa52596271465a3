import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning

from skneuro.baselines import CoupledGLM, GRUModel
from skneuro.baselines._gru_network import Emission, GRUConfig, NonlinearTerm, SeededDropout, new_network
from skneuro.baselines._heads import HEADS
from skneuro.data import SpikeTrains
from skneuro.exceptions import NonFiniteLossError, NonIntegerCountsWarning

QUICK = {
    "bin_width": 0.1,
    "history": 0.3,
    "n_basis": 3,
    "alpha": 10.0,
    "n_hidden": 12,
    "max_steps": 80,
    "learning_rate": 1e-2,
    "chunk_bins": 30,
    "weight_decay": 0.5,
    "refit": False,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def fitted(population):
    return {
        "nonlinear": GRUModel(**QUICK).fit(population),
        "linear": GRUModel(**QUICK, same_bin="linear", counts="negative_binomial").fit(population),
        "none": GRUModel(**QUICK, same_bin=None, counts="poisson").fit(population),
        "poisson": GRUModel(**QUICK, counts="poisson").fit(population),
        "no recurrence": GRUModel(**QUICK, recurrent=False).fit(population),
    }


def test_importing_the_baselines_leaves_torch_unloaded():
    code = "import sys, skneuro.baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_it_learns_what_the_population_does(population):
    model = GRUModel(**QUICK).fit(population[:20])
    linear = CoupledGLM(bin_width=0.1, history=0.3, n_basis=3, alphas=10.0).fit(population[:20])
    assert model.score(population[20:]) > linear.score(population[20:])


@pytest.mark.parametrize("name", ["nonlinear", "linear", "none", "no recurrence"])
@pytest.mark.parametrize("unit", [0, 1, 2])
def test_a_spike_is_felt_by_higher_units_of_its_bin_and_by_later_bins_only(population, fitted, changes, name, unit):
    moved = changes(fitted[name], population, 20, unit)
    assert not moved[:20].any()
    assert not moved[20, :unit].any() and moved[20, unit]
    assert (moved[20, unit + 1 :] == (name != "none")).all()
    assert moved[21].all()
    assert moved[24].any() == (name != "no recurrence")  # the state outlasts the filters


def test_a_trial_scores_the_same_alone(population, fitted):
    ragged = SpikeTrains.from_counts([trial[: 10 + 2 * k] for k, trial in enumerate(population)], 0.1)
    model = fitted["nonlinear"]
    alone = [model.score_samples(ragged[k])[0] for k in range(len(ragged))]
    assert np.allclose(model.score_samples(ragged), alone, rtol=1e-5)


def test_blocks_of_evaluation_do_not_matter(population, fitted, monkeypatch):
    model = fitted["nonlinear"]
    whole = model.score_samples(population)
    monkeypatch.setattr("skneuro.baselines._gru_inference._BINS_AT_ONCE", 7)
    monkeypatch.setattr("skneuro.baselines._gru_inference._TRIALS_AT_ONCE", 2)
    assert np.allclose(model.score_samples(population), whole, rtol=1e-5)


@pytest.mark.parametrize("name", ["none", "poisson"])
def test_closed_loop_and_teacher_forcing_are_the_same_model(fitted, closed_loop, name):
    closed_loop(fitted[name])


def test_predict_does_not_look_inside_its_window(population, fitted):
    model = fitted["nonlinear"].set_params(window_bins=4, n_draws=8)
    other = population.copy()
    other[:, 20:24] = np.random.default_rng(0).poisson(1.0, other[:, 20:24].shape)
    before, after = model.predict(population), model.predict(other)
    model.set_params(window_bins=1, n_draws=32)
    assert (before[:, :24] == after[:, :24]).all()
    assert (before[:, 24] != after[:, 24]).any()


def test_predict_depends_on_the_past_that_is_there(population, fitted):
    predicted = fitted["none"].predict(population)
    driven = population[:, :-1, 0] >= 2
    assert predicted[:, 1:, 1][driven].mean() > 2.0 * predicted[:, 1:, 1][~driven].mean()


def test_a_seed_gives_the_same_model_and_another_seed_another(population, fitted):
    again, other = GRUModel(**QUICK).fit(population), GRUModel(**{**QUICK, "random_state": 1}).fit(population)
    score = fitted["nonlinear"].score(population)
    assert again.score(population) == score != other.score(population)
    draws = [again.sample(random_state=seed).times for seed in (0, 0, 1)]
    assert np.array_equal(draws[0], draws[1]) and not np.array_equal(draws[0], draws[2])


def test_the_users_random_state_and_threads_are_left_alone(population):
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), torch.get_num_threads()  # noqa: NPY002
    torch.set_num_threads(2)
    GRUModel(**{**QUICK, "random_state": None, "max_steps": 2, "n_threads": 1}).fit(population)
    after = torch.get_num_threads()
    torch.set_num_threads(states[2])
    assert torch.equal(states[0], torch.get_rng_state())
    assert np.array_equal(states[1], np.random.get_state()[1])  # noqa: NPY002
    assert after == 2


def test_refit_trains_on_everything_for_as_long_as_was_best(population):
    held = GRUModel(**{**QUICK, "max_steps": 120}).fit(population)
    refit = GRUModel(**{**QUICK, "max_steps": 120, "refit": True}).fit(population)
    assert held.n_iter_ == refit.n_iter_
    assert np.array_equal(held.validation_scores_, refit.validation_scores_)
    assert held.score(population) != refit.score(population)
    checks = [50, 100, 120][: len(held.validation_scores_)]
    assert held.n_iter_ == checks[int(np.argmax(held.validation_scores_))]


def test_training_stops_when_the_held_out_score_does_not_improve(population):
    model = GRUModel(**{**QUICK, "max_steps": 5000, "n_iter_no_change": 1, "tol": 10.0}).fit(population)
    assert len(model.validation_scores_) == 2


def test_a_score_that_still_rises_at_the_end_is_pointed_out(population):
    with pytest.warns(ConvergenceWarning, match="still rose .* max_steps=100"):
        GRUModel(**{**QUICK, "max_steps": 100, "learning_rate": 1e-3}).fit(population)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GRUModel(**{**QUICK, "max_steps": 100, "learning_rate": 1e-3, "validation_fraction": 0}).fit(population)


def test_without_validation_it_trains_to_the_end(population):
    model = GRUModel(**{**QUICK, "validation_fraction": 0, "max_steps": 60}).fit(population)
    assert model.n_iter_ == 60 and np.isnan(model.validation_scores_).all()


def test_the_penalty_can_be_chosen_by_the_linear_model(population):
    model = GRUModel(**{**QUICK, "alpha": "auto", "max_steps": 2}).fit(population)
    assert len(set(model.alpha_)) == 1 and model.alpha_[0] > 0


def test_one_long_trial_is_legal(population):
    model = GRUModel(**QUICK).fit(population.reshape(-1, 3))
    assert np.isfinite(model.validation_scores_).all() and np.isfinite(model.score(population))


def test_what_was_not_observed_is_not_scored(population, fitted, cells):
    seen = np.ones(population.shape, dtype=bool)
    seen[:, 20:30, 1] = False
    gappy = SpikeTrains.from_counts(np.where(seen, population, 0), 0.1, observed=seen)
    model = fitted["nonlinear"]
    found = model._cell_log_likelihood(model._read(gappy, None, reset=False)).reshape(population.shape)
    whole = cells(model, population)
    assert (found[~seen] == 0).all() and (found[seen] < 0).all()
    assert np.allclose(found[:, :20], whole[:, :20], rtol=1e-4, atol=1e-6)
    assert GRUModel(**{**QUICK, "max_steps": 2}).fit(gappy).score(gappy) is not None


def test_a_pickle_scores_the_same(population, fitted):
    model = fitted["nonlinear"]
    assert pickle.loads(pickle.dumps(model)).score(population) == model.score(population)


def test_sampled_rates_are_those_of_the_recording(population):
    model = GRUModel(**QUICK).fit(population)
    drawn = model.sample(n_samples=100, duration=6.0, random_state=0)
    assert np.allclose(drawn.bin(0.1).unit_counts() / 600.0, model.base_rate_, rtol=0.15)


def test_a_stimulus_is_used(population):
    signal = np.random.default_rng(0).normal(size=(30, 60))
    counts = np.random.default_rng(1).poisson(np.exp(signal))[..., None]
    model = GRUModel(**QUICK).fit(counts, signal[..., None])
    predicted = model.predict(counts, signal[..., None])[..., 0]
    assert np.corrcoef(predicted.ravel(), signal.ravel())[0, 1] > 0.7


def test_without_past_spikes_only_the_stimulus_counts(population):
    signal = np.random.default_rng(0).normal(size=(30, 60))
    counts = np.random.default_rng(1).poisson(np.exp(signal))[..., None].repeat(2, axis=2)
    model = GRUModel(**{**QUICK, "alpha": "auto"}, past_spikes=False, same_bin=None).fit(counts, signal[..., None])
    predicted = model.predict(counts, signal[..., None])
    assert np.corrcoef(predicted[..., 0].ravel(), signal.ravel())[0, 1] > 0.7
    assert np.array_equal(model.predict(counts[::-1], signal[..., None]), predicted)
    driven = model.sample(signal[..., None], n_samples=50, random_state=0, stimulate={0: 30.0}).bin(0.1)
    free = model.sample(signal[..., None], n_samples=50, random_state=0).bin(0.1)
    assert np.array_equal(driven.dense()[:, 1], free.dense()[:, 1])  # nor in closed loop
    assert driven.unit_counts()[0] > free.unit_counts()[0]


def test_without_past_spikes_the_bin_itself_may_still_count(population, changes):
    moved = changes(GRUModel(**QUICK, past_spikes=False).fit(population), population, 20, 0)
    assert moved[20].all() and not moved[:20].any() and not moved[21:].any()


def test_a_loss_that_explodes_is_an_error_with_the_remedy(population):
    with pytest.raises(NonFiniteLossError, match="Lower learning_rate=1e"):
        GRUModel(**{**QUICK, "learning_rate": 1e12}).fit(population)


def test_what_is_printed_names_a_held_out_score_only_where_there_is_one(population, capsys):
    GRUModel(**{**QUICK, "max_steps": 60, "refit": True, "verbose": 1}).fit(population)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[2] for line in lines[:2]] == ["50", "60"]
    assert all("bits/spike" in line for line in lines[:2])
    assert lines[2:] and not any("held out" in line or "nan" in line for line in lines[2:])


def small_network(same_bin="nonlinear"):
    head = HEADS["categorical"].from_counts(np.array([[0, 1, 2], [1, 0, 3]]), np.ones((2, 3), bool))
    config = GRUConfig(3, 0, 3, 5, True, same_bin, True, 0.3, 1.0)
    network = new_network(config, head, torch.Generator().manual_seed(0))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=network.dropout.generator))
    return network, head


def test_same_bin_terms_one_by_one_are_those_of_all_at_once():
    network, _ = small_network()
    rng = np.random.default_rng(0)
    residuals, context = rng.normal(size=(7, 3)), rng.normal(size=(7, 24))
    together = network.same_bin(torch.from_numpy(residuals).float(), torch.from_numpy(context).float())
    term = NonlinearTerm(network)
    term.context = context
    term.begin(7)
    for unit in range(3):
        assert np.allclose(term.offset(unit), together[:, unit].detach(), atol=1e-5)
        term.see(unit, residuals[:, unit])


def test_a_new_network_is_the_constant_model():
    head = HEADS["categorical"].from_counts(np.array([[0, 1, 2], [1, 0, 3]]), np.ones((2, 3), bool))
    network = new_network(GRUConfig(3, 0, 3, 5, True, "nonlinear", True, 0.3, 1.0), head, torch.Generator()).eval()
    hidden, _ = network.encode(torch.randn(1, 4, 3), torch.zeros(1, 4, 0))
    z, nu, context = network.decode(hidden, torch.randn(1, 4, 3))
    z = z + network.same_bin(torch.randn(1, 4, 3), context)
    assert np.allclose(z.detach(), head.z_start, atol=1e-6) and (nu == 1.0).all()


def test_gradient_reaches_every_weight_but_no_upper_triangle():
    network, head = small_network()
    shape = torch.nn.Parameter(torch.from_numpy(head.shape_start).float())
    hidden, _ = network.train().encode(torch.randn(2, 6, 3), torch.zeros(2, 6, 0))
    z, nu, context = network.decode(hidden, torch.randn(2, 6, 3))
    z = z + network.same_bin(torch.randn(2, 6, 3), context)
    counts = np.random.default_rng(0).integers(0, 3, (12, 3))
    Emission.apply(z.reshape(12, 3), nu.reshape(12, 3), shape, head, counts, np.ones((12, 3), np.float32)).backward()
    for name, parameter in [*network.named_parameters(), ("shape", shape)]:
        assert parameter.grad.abs().sum() > 0, name
    assert (network.same_bin_linear.grad[np.tril_indices(3)] == 0).all()


def test_dropout_keeps_the_mean_and_does_nothing_in_evaluation():
    dropout = SeededDropout(0.3)
    dropout.generator = torch.Generator().manual_seed(0)
    x = torch.ones(100_000)
    assert np.isclose(dropout.train()(x).mean(), 1.0, atol=0.01)
    assert torch.equal(dropout.eval()(x), x)


def test_of_several_weight_decays_the_held_out_data_choose(population):
    alone = {decay: GRUModel(**{**QUICK, "weight_decay": decay}).fit(population) for decay in (0.0, 30.0)}
    best = {decay: model.validation_scores_.max() for decay, model in alone.items()}
    model = GRUModel(**{**QUICK, "weight_decay": [0.0, 30.0]}).fit(population)
    assert model.weight_decay_ == max(best, key=best.get)
    np.testing.assert_allclose(model.validation_scores_, alone[model.weight_decay_].validation_scores_, rtol=1e-5)
    blind = GRUModel(**{**QUICK, "weight_decay": [30.0, 0.0], "validation_fraction": 0.0}).fit(population)
    assert blind.weight_decay_ == 30.0


@pytest.mark.parametrize("decay", [[], [-1.0], [[0.5]], [np.nan]])
def test_weight_decays_are_numbers_from_zero_on(population, decay):
    with pytest.raises(ValueError, match="weight_decay.*float of at least 0 or a sequence"):
        GRUModel(**{**QUICK, "weight_decay": decay}).fit(population)


def test_a_fit_reads_its_input_once(population):
    """A warning about the input comes once, also where a linear model chooses the penalty."""
    with pytest.warns(NonIntegerCountsWarning) as told:
        GRUModel(**{**QUICK, "alpha": "auto", "max_steps": 3}).fit(population + 0.25)
    assert sum(issubclass(warning.category, NonIntegerCountsWarning) for warning in told) == 1
