"""Facts about what happens to single units when training has ended."""

import numpy as np
import pytest
import torch

from skneuro.data import SpikeTrains
from skneuro.estimators import _learner
from skneuro.training.evaluation import stretch_outputs
from skneuro.training.refit import refit_units
from skneuro.training.stretches import Segments

EVERYTHING = Segments(np.arange(60), np.zeros(60, dtype=int), np.full(60, 40))


@pytest.fixture
def bursting():
    """60 trials of 2 s: one unit bursts, one fires single spikes, both at a rate that jumps between trials."""
    rng = np.random.default_rng(0)
    rate = np.where(np.arange(60) % 2, 0.5, 0.05)[:, None, None]
    fired = rng.random((60, 40, 2)) < rate
    return SpikeTrains.from_counts(fired * [1, 0] * rng.geometric(0.6, fired.shape) + fired * [0, 1], 0.05)


def builder_of(model, spikes):
    return model.model_.builder(model._read(spikes, None, reset=False))


def units_of(network):
    return network.session.bias.detach(), network.session.repeat_table.detach()


def test_it_raises_the_likelihood_of_training(make, bursting, fit_as_trained):
    before, after = fit_as_trained(bursting), make().fit(bursting)
    assert after.score(bursting) > before.score(bursting)


def test_rates_are_those_of_training(make, bursting, fit_as_trained):
    """Cells with a spike, as many as recorded; a large step at the end leaves them off."""
    fired = (bursting.bin(0.05).dense() > 0).sum(0)

    def off(model):
        outputs = stretch_outputs(model.model_.network, builder_of(model, bursting), EVERYTHING)
        expected = sum((1 - torch.exp(-torch.exp(o.intensity))).sum((0, 1)) for o in outputs)
        return np.abs(expected.numpy() / fired - 1).max()

    rough = {"max_epochs": 1, "learning_rate": 0.05}
    before, after = off(fit_as_trained(bursting, **rough)), off(make(**rough).fit(bursting))
    assert before > 0.02
    assert after < 0.01


def test_a_second_time_changes_nothing(make, bursting):
    model = make().fit(bursting)
    for change in refit_units(model.model_.network, builder_of(model, bursting), EVERYTHING):
        assert float(change.abs().max()) < 1e-2


def test_the_raw_weights_move_as_far_as_the_averaged_ones(make, bursting, fit_as_trained):
    before, after = fit_as_trained(bursting), make().fit(bursting)
    for n in range(2):
        raw, averaged = (
            units_of(network(after))[n] - units_of(network(before))[n]
            for network in (lambda m: m._state.model, lambda m: m.model_.network)
        )
        assert float(averaged.abs().max()) > 1e-4
        torch.testing.assert_close(raw, averaged)


def test_a_unit_that_was_hardly_seen_stays_where_the_population_is(make, bursting):
    """Two spikes do not make a count shape: the prior holds it."""
    counts = bursting.bin(0.05).dense().reshape(60, 40, 2)
    rare = np.zeros((60, 40, 1), dtype=int)
    rare[3, 5] = rare[30, 7] = 1
    model = make().fit(SpikeTrains.from_counts(np.concatenate([counts, rare], axis=2), 0.05))
    session = model.model_.network.session
    assert float((session.repeat_table - session.repeat_start)[2].detach().abs().max()) < 1.0


def test_training_that_goes_on_does_not_forget_what_came_before(make, bursting, monkeypatch):
    """A later part of the data, which may say little of a unit, is not all there is."""

    def never(*_):
        raise AssertionError("refit")

    model = make().fit(bursting)
    monkeypatch.setattr(_learner, "refit_units", never)
    model.partial_fit(bursting[:2])
    model.set_params(warm_start=True).fit(bursting[:10])


@pytest.mark.parametrize("head", ["chained", "independent"])
def test_softmax_heads_have_no_count_shapes(make, bursting, head, monkeypatch):
    monkeypatch.setattr(_learner, "refit_units", None)
    make(head=head, max_epochs=1).fit(bursting)


def test_units_with_hundreds_of_spikes_a_bin_are_pointed_out_and_stay_as_trained(fit_as_trained):
    """A step in each of hundreds of odds would make up for the same error as often."""
    counts = np.random.default_rng(0).poisson([0.5, 250.0], (12, 20, 2))
    spikes = SpikeTrains.from_counts(counts, 0.05, unit_ids=["quiet", "busy"])
    with pytest.warns(UserWarning, match=r"unit busy is 251 per bin. Use a smaller bin_width \(now 0.05 s\)"):
        model = fit_as_trained(spikes, max_epochs=1)
    everything = Segments(np.arange(12), np.zeros(12, dtype=int), np.full(12, 20))
    bias, table = refit_units(model.model_.network, builder_of(model, spikes), everything)
    assert float(bias[0]) != 0 and float(bias[1]) == 0 and not table[1].any()
