"""Facts about ``compile=True``: the same model as without it, and a fit that cannot compile never starts."""

import copy
import pickle
import shutil

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skneuro.nn import compiled
from skneuro.persistence import load, save

PARTS = 3  # feed-forward networks, features of the past, units of a bin


def weights(model):
    return model.model_.arrays()


def agree(one, other, atol):
    one, other = weights(one), weights(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize(
    "changes",
    [
        {"early_stopping": True, "validation_fraction": 0.2},  # several weight decays and a refit
        {"recompute_activations": True, "accumulation_steps": 3, "mu": 0.3},
        {"head": "chained", "tubelet_size": (2, 2, 2), "gamma": 0.1, "mu": 0.4},
    ],
)
def test_a_compiled_fit_learns_the_same(make, world, counting_backend, changes):
    changes = {"precision": "float64", "dropout": 0.3, **changes}
    plain = make(**changes).fit(world.spikes, world.both)
    assert counting_backend.graphs == 0
    model = make(compile=True, **changes).fit(world.spikes, world.both)
    agree(model, plain, 1e-9)
    assert model.loss_curve_ == pytest.approx(plain.loss_curve_, abs=1e-10)
    assert counting_backend.runs > 20


def test_products_in_bfloat16_are_compiled_too(make, world, counting_backend):
    plain = make(precision="bfloat16").fit(world.spikes, world.both)
    model = make(precision="bfloat16", compile=True).fit(world.spikes, world.both)
    assert counting_backend.runs > 20
    assert model.loss_curve_ == pytest.approx(plain.loss_curve_, abs=0.01)


def test_no_batch_is_compiled_anew(make, world, counting_backend):
    """Batches differ in their numbers of spikes, windows and segments; a further fit is no other network."""
    model = make(compile=True, batch_size=3).partial_fit(world.spikes, world.both)
    before, graphs = counting_backend.runs, counting_backend.graphs
    assert graphs == PARTS + 1  # and what is tried at first
    for part in (world.spikes, world.spikes[:5]):
        model.partial_fit(part, world.both[: len(part)])
    make(compile=True, max_epochs=3).fit(world.spikes[:7])
    assert counting_backend.graphs == graphs
    assert counting_backend.runs > 3 * before


def test_nothing_but_training_is_compiled_and_nothing_of_it_is_kept(make, world, counting_backend, tmp_path):
    plain = make(max_epochs=1).fit(world.spikes, world.both)
    model = make(max_epochs=1, compile=True).fit(world.spikes, world.both)
    assert weights(model).keys() == weights(plain).keys()
    runs = counting_backend.runs
    save(model, tmp_path / "model.skneuro")
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), load(tmp_path / "model.skneuro")]
    for found in copies:
        assert found.get_params() == model.get_params()
        assert found.score(world.spikes, world.both) == model.score(world.spikes, world.both)
    model.predict(world.spikes[:2], world.both[:2], n_samples=1), model.sample(duration=0.2)
    assert counting_backend.runs == runs
    for found in copies:  # and training goes on, compiled
        found.partial_fit(world.spikes, world.both)
    assert counting_backend.runs > runs
    agree(copies[0], copies[1], 0)
    with pytest.raises(NotFittedError):
        clone(model).score(world.spikes)


def test_the_users_generators_are_left_alone(make, world, counting_backend):
    before = torch.get_rng_state()
    make(max_epochs=1, compile=True).fit(world.spikes)
    assert torch.equal(torch.get_rng_state(), before) and counting_backend.runs > 0


def test_where_nothing_compiles_no_fit_starts(make, world, counting_backend, monkeypatch):
    fitted = make(compile=True).fit(world.spikes)
    before = weights(fitted)

    def broken(graph, inputs):
        raise RuntimeError("no such thing as a compiler")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    message = r"'compile' parameter of NeuroformerEstimator .*Got True.*no such thing as a compiler.*set compile=False"
    for method in ("fit", "partial_fit"):
        model = make(compile=True)
        unfitted = vars(model).copy()
        with pytest.raises(ValueError, match=message):
            getattr(model, method)(world.spikes)
        assert vars(model) == unfitted
        with pytest.raises(ValueError, match=message):
            getattr(fitted, method)(world.spikes)
        assert all(np.array_equal(value, before[name]) for name, value in weights(fitted).items())


@pytest.fixture
def inductor():
    """What users get, with nothing compiled yet."""
    if not any(map(shutil.which, ("g++", "clang++", "cl"))):
        pytest.skip("no C++ compiler on this machine")
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def test_machine_code_learns_the_same(make, world, inductor):
    changes = {"head": "chained", "context": 0, "coupling": False, "precision": "float64", "dropout": 0.3}  # one part
    plain = make(**changes).fit(world.spikes)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    model = make(compile=True, **changes).fit(world.spikes)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == graphs + 2  # it, and what is tried at first
    assert not torch._dynamo.utils.counters["graph_break"]
    agree(model, plain, 1e-9)


def test_without_a_cpp_compiler_the_message_says_so(make, world, inductor):
    import torch._inductor.config as config

    with (
        config.patch({"cpp.cxx": ("no-such-compiler",), "force_disable_caches": True}),
        pytest.raises(ValueError, match=r"a C\+\+ compiler .*Got True instead.*set compile=False"),
    ):
        make(compile=True).fit(world.spikes)
