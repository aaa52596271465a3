"""Facts about training: what it depends on, what it leaves alone, and how it ends."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from skneuro import NeuroformerEstimator, TimeSeries
from skneuro.estimators._fitting import settings
from skneuro.training import loop
from skneuro.training.evaluation import stretch_log_likelihood
from skneuro.training.loop import NonFiniteLossError, TrainingState, train
from skneuro.training.split import whole_trials


def settings_of(**changes):
    values = {
        "gamma": 0.0, "mu": 0.5, "batch_size": 4, "learning_rate": 3e-3, "max_epochs": 4,
        "n_iter_no_change": 10, "tol": 1e-4, "verbose": 0,
    }  # fmt: skip
    return settings(NeuroformerEstimator(**{**values, **changes}), 0.1, changes.get("coupling_prior", "sparse"))


def start(tiny, head="hazard", dropout=0.2, seed=3, **changes):
    spikes = tiny.spikes((40,) * 6, rate=0.4)
    fitted = tiny.fitted(head, 3, dropout=dropout, noise=0.05)
    plan = settings_of(**changes)
    inp = tiny.read(spikes)
    state = TrainingState.start(copy.deepcopy(fitted.network), plan, seed)
    return state, fitted.builder(inp), whole_trials(np.diff(inp.spikes.ptr)), plan


def run(state, builder, stretches, settings, n_epochs, validate=None, ends=lambda: False):
    return train(state, builder, stretches, settings, validate, n_epochs, 0, lambda: None, ends)


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one)


def test_training_lowers_the_loss(tiny, head):
    parts = start(tiny, head, dropout=0.0, learning_rate=1e-2, max_epochs=8)
    run(*parts, 8)
    curve = parts[0].loss_curve
    assert len(curve) == 8 and curve[-1] < curve[0]
    assert parts[0].n_epochs == 8 and parts[0].n_steps == 16


def test_training_is_a_function_of_the_seed(tiny, head):
    ends = []
    for seed in (3, 3, 4):
        torch.rand(7), np.random.rand(3)  # noqa: NPY002
        parts = start(tiny, head, seed=seed)
        run(*parts, 2)
        ends.append(weights(parts[0].model))
    assert same(ends[0], ends[1]) and not same(ends[0], ends[2])


def test_global_generators_are_left_alone(tiny):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    parts = start(tiny)
    run(*parts, 1, validate=lambda network: 0.0)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_validating_does_not_change_training(tiny, head):
    plain, watched = start(tiny, head), start(tiny, head)
    run(*plain, 3)
    run(*watched, 3, validate=lambda network: stretch_log_likelihood(network, watched[1], watched[2]))
    assert len(watched[0].validation_scores) == 3
    assert same(weights(plain[0].model), weights(watched[0].model))
    assert plain[0].loss_curve == watched[0].loss_curve


def test_one_epoch_at_a_time_is_the_same_training(tiny, head):
    whole, parts = start(tiny, head), start(tiny, head)
    run(*whole, 4)
    for _ in range(4):
        run(*parts, 1)
    assert whole[0].loss_curve == parts[0].loss_curve
    assert same(weights(whole[0].model), weights(parts[0].model))
    assert same(weights(whole[0].average), weights(parts[0].average))


def test_a_state_comes_back_from_its_arrays_to_the_bit(tiny):
    whole, parts = start(tiny), start(tiny)
    run(*whole, 4)
    run(*parts, 2)
    state = TrainingState.from_arrays(copy.deepcopy(parts[0].to_arrays()), copy.deepcopy(parts[0].average), parts[3])
    run(state, *parts[1:], 2)
    assert state.loss_curve == whole[0].loss_curve and state.n_steps == whole[0].n_steps
    assert same(weights(state.model), weights(whole[0].model))
    assert same(weights(state.average), weights(whole[0].average))


def test_the_best_weights_are_kept_and_training_stops_when_nothing_is_gained(tiny):
    parts = start(tiny, max_epochs=20, n_iter_no_change=3)
    scores = iter([0.1, 0.3, 0.2, 0.29, 0.25, 0.9])
    seen = []

    def validate(network):
        seen.append(weights(network))
        return next(scores)

    assert run(*parts, 20, validate=validate) == "converged"
    assert len(seen) == 5
    assert same(weights(parts[0].average), seen[1])


def test_a_gain_below_the_tolerance_is_kept_but_does_not_go_on(tiny):
    parts = start(tiny, max_epochs=20, n_iter_no_change=2, tol=0.1)
    scores = iter([0.1, 0.15, 0.18, 0.2])
    seen = []

    def validate(network):
        seen.append(weights(network))
        return next(scores)

    assert run(*parts, 20, validate=validate) == "converged"
    assert same(weights(parts[0].average), seen[-1])


def test_a_callback_can_stop(tiny):
    parts = start(tiny)
    assert run(*parts, 4, ends=lambda: parts[0].n_epochs == 2) == "stopped"
    assert parts[0].n_epochs == 2


def interrupt_in_epoch(monkeypatch, epoch, error):
    real = loop.batch_loss
    calls = []

    def batch_loss(*args):
        calls.append(1)
        if len(calls) == 2 * epoch:  # the second of two batches
            return error(real(*args))
        return real(*args)

    monkeypatch.setattr(loop, "batch_loss", batch_loss)


def raise_interrupt(result):
    raise KeyboardInterrupt


def test_ctrl_c_keeps_the_model_of_the_last_whole_epoch(tiny, monkeypatch):
    whole, cut = start(tiny), start(tiny)
    run(*whole, 2)
    interrupt_in_epoch(monkeypatch, 3, raise_interrupt)
    assert run(*cut, 4) == "interrupted"
    assert cut[0].n_epochs == 2
    assert same(weights(cut[0].average), weights(whole[0].average))
    assert not cut[0].average.training


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_last_good_weights(tiny, monkeypatch, value):
    whole, cut = start(tiny), start(tiny)
    run(*whole, 2)
    interrupt_in_epoch(monkeypatch, 3, lambda result: (result[0] * value, result[1]))
    with pytest.raises(NonFiniteLossError, match="epoch 3"):
        run(*cut, 4)
    assert same(weights(cut[0].average), weights(whole[0].average))
    assert all(bool(torch.isfinite(value).all()) for value in weights(cut[0].model).values())


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_gradient_that_is_not_finite_stops_before_it_spoils_the_weights(tiny, monkeypatch, epoch):
    """Also in the last batch of the last epoch, after which no loss would tell."""
    parts = start(tiny)
    parameter = next(parts[0].model.parameters())

    def spoil(result):
        return result[0] + 0.0 * (parameter - parameter.detach()).abs().sqrt().sum(), result[1]

    interrupt_in_epoch(monkeypatch, epoch, spoil)
    with pytest.raises(NonFiniteLossError, match=f"epoch {epoch}"):
        run(*parts, epoch)
    for network in (parts[0].average, parts[0].model):
        assert all(bool(torch.isfinite(value).all()) for value in weights(network).values())


def test_the_weights_of_the_loss_are_those_of_equation_6(tiny, head):
    state, builder, stretches, _ = start(tiny, head, dropout=0.0)
    batch = builder.build(stretches, 0)
    state.model.session.repeat_start.copy_(state.model.session.repeat_table.detach())  # no prior on count shapes
    output = state.model(batch, split=True)
    total, time = float(output.total.detach()), float(output.time.detach())
    for gamma, mu in ((0.0, 0.5), (0.0, 0.2), (0.3, 0.2), (0.1, 0.45)):
        loss, n_tokens = loop.batch_loss(state.model, batch, settings_of(gamma=gamma, mu=mu, coupling_penalty=0.0), 40)
        expected = -(mu * (total - time) + (1 - gamma - mu) * time) / n_tokens
        assert float(loss.detach()) == pytest.approx(expected, rel=1e-9)
    assert n_tokens == int(batch.counts.sum()) + 6 * 14  # a window's end is a token; 40 bins are 14 windows


def test_count_shapes_are_held_where_they_start_by_one_observation_an_epoch(tiny, head):
    state, builder, stretches, _ = start(tiny, head, dropout=0.0)
    batch = builder.build(stretches, 0)
    session = state.model.session
    found = []
    for away in (0.0, 0.5):
        session.repeat_start.copy_(session.repeat_table.detach() - away)
        found.append(float(loop.batch_loss(state.model, batch, settings_of(gamma=0.0, mu=0.3), 480)[0].detach()))
    n_tokens, scored = int(batch.counts.sum()) + 6 * 14, int(batch.scored.sum())
    nats = 0.5 * 0.5**2 * session.repeat_table.numel() * scored / 480
    assert found[1] - found[0] == pytest.approx(0.5 * nats / n_tokens, rel=1e-6)


def test_the_couplings_have_the_prior_of_the_settings(tiny):
    """Sparse: ``p / sqrt(bins)`` standard errors' worth of each, over its share of the bins. Dense: half the squares,
    over the squared deviation, ``0.6 / p`` standard errors, with every spike worth as much as any other."""
    state, builder, stretches, _ = start(tiny, dropout=0.0)
    session, n_scored, n_bins = state.model.session, 60, 240
    with torch.no_grad():
        session.coupling.normal_()
        session.same_bin.normal_()
    coupling, same_bin = (w.detach().double() for w in (session.coupling, session.same_bin * session.lower))
    mean, sd, basis = (getattr(session, name).double() for name in ("mean", "sd", "basis"))
    sparse = (coupling.abs().sum((0, 1)) + same_bin.abs().sum(0)) @ mean.sqrt() * n_bins**0.5
    per_spike = coupling / sd[:, None] * basis.sum(1)[:, None, None] * sd.mean()
    dense = (per_spike.square().sum() + same_bin.square().sum()) * mean.mean() * n_bins
    for prior, expected in (("sparse", 3 * sparse), ("dense", 0.5 * dense * (3 / 0.6) ** 2)):
        plan = settings_of(coupling_penalty=3.0, coupling_prior=prior)
        found = loop.coupling_prior(state.model, n_scored, plan, n_bins).detach()
        assert float(found) == pytest.approx(float(expected) * n_scored / n_bins, rel=1e-5)
        plain = settings_of(coupling_penalty=0.0, coupling_prior=prior)
        batch = builder.build(stretches, 0)
        with_prior, without = (
            float(loop.batch_loss(state.model, batch, s, n_bins)[0].detach()) for s in (plan, plain)
        )
        scored, n_tokens = int(batch.scored.sum()), int(batch.counts.sum()) + 6 * 14
        assert with_prior - without == pytest.approx(0.5 * float(expected) * scored / n_bins / n_tokens, rel=1e-5)


def test_the_filters_of_modalities_are_pulled_to_zero_by_what_their_noise_would_give(tiny, head):
    """Over an epoch, a size of s in every bin costs ``c sqrt(bins) s``, as standard errors do."""
    modalities = tiny.stimuli((40,) * 6)
    fitted = tiny.fitted(head, 3, modalities=modalities, modality_dropout=0.0)
    inp = tiny.read(tiny.spikes((40,) * 6), modalities)
    batch = fitted.builder(inp).build(whole_trials(np.diff(inp.spikes.ptr)), 0)
    model = fitted.network.train()
    size = float(model(batch).drive_size.detach())
    losses = [
        float(loop.batch_loss(model, batch, replace(settings_of(mu=0.4), drive_penalty=c), 960)[0].detach())
        for c in (0.0, 3.0)
    ]
    n_tokens = int(batch.counts.sum()) + 6 * 14
    assert losses[1] - losses[0] == pytest.approx(0.5 * 3.0 / np.sqrt(960) * size / n_tokens)
    assert size > 0.1 and model.eval()(batch).drive_size is None


def test_the_rate_warms_up_and_falls():
    assert loop.rate_factor(0, 10, 0) < 0.1
    assert loop.rate_factor(0, 10, 1000) == pytest.approx(1.0)
    factors = [loop.rate_factor(epoch, 10, 1000) for epoch in range(12)]
    assert (np.diff(factors) <= 1e-12).all()
    assert 0 < factors[-1] < 0.05


def test_progress_goes_to_standard_error_only_when_asked(tiny, capsys):
    parts = start(tiny, verbose=2)
    run(*parts, 2, validate=lambda network: 0.25)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "2/4" in captured.err and "0.2500 bits/spike" in captured.err
    run(*start(tiny), 1)
    assert capsys.readouterr().err == ""


def test_what_reads_the_modalities_has_a_decay_of_its_own(tiny):
    speed = TimeSeries.from_lists([np.arange(40.0)], rate=20.0)
    network = tiny.fitted("hazard", 3, modalities={"speed": speed}).network
    plan = replace(settings_of(), weight_decay=7.0, modality_decay=0.5)
    groups = loop.make_optimizer(network, plan).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    amounts = {name: decay[id(p)] for name, p in network.named_parameters()}
    assert len(decay) == len(amounts)  # every parameter is in one group
    assert amounts["session.bias"] == amounts["session.coupling"] == 0.0
    assert amounts["session.embedding"] == amounts["readout.weight"] == 7.0
    assert amounts["fusion.encoders.0.embed.weight"] == amounts["session.filters.0"] == 0.5
