"""Facts about one training step: parts, recomputation and precision change what it costs, not what it is."""

import copy

import numpy as np
import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from skneuro import NeuroformerEstimator
from skneuro.estimators._fitting import settings
from skneuro.nn import counts
from skneuro.training import loop
from skneuro.training.loop import NonFiniteLossError, TrainingState, add_gradients, train_epoch
from skneuro.training.segments import BatchBuilder, cut_segments
from skneuro.training.split import whole_trials


def parts(tiny, head="hazard", dropout=0.0, **changes):
    plan = settings(NeuroformerEstimator(**{"gamma": 0.0, "mu": 0.3, "batch_size": 5, **changes}), 0.5, "sparse")
    modalities = tiny.stimuli((40,) * 5)
    fitted = tiny.fitted(head, 3, modalities=modalities, dropout=dropout, modality_dropout=0.0)
    inp = tiny.read(tiny.spikes((40, 33, 28, 40, 40)), modalities)
    network = copy.deepcopy(fitted.network).train()
    return network, fitted.builder(inp), whole_trials(np.diff(inp.spikes.ptr)), plan


def gradients(network, builder, stretches, plan, *, recompute=False):
    network.zero_grad(set_to_none=True)
    network.random.generator = torch.Generator().manual_seed(5)
    network.random.recompute = recompute
    loss, n_tokens = add_gradients(network, builder, cut_segments(stretches, 50), 4, plan, 200)
    return loss, n_tokens, {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


def agree(one, other, atol):
    assert one.keys() == other.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, other[name], rtol=0, atol=atol, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.parametrize("n_parts", [2, 3, 5, 9])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(tiny, head, n_parts):
    whole = gradients(*parts(tiny, head))
    split = gradients(*parts(tiny, head, accumulation_steps=n_parts))
    assert split[1] == whole[1]
    torch.testing.assert_close(split[0], whole[0], rtol=0, atol=1e-12)
    agree(split[2], whole[2], 1e-12)
    assert max(float(g.abs().max()) for g in whole[2].values()) > 1e-3


def test_what_is_computed_again_has_the_same_masks_and_gradients(tiny, head):
    given = parts(tiny, head, dropout=0.4)
    loss, _, kept = gradients(*given)
    again_loss, _, again = gradients(*given, recompute=True)
    assert torch.equal(loss, again_loss)
    agree(again, kept, 1e-12)
    network = given[0]
    network.random.generator.manual_seed(6)
    other, _ = add_gradients(network, given[1], cut_segments(given[2], 50), 4, given[3], 200)
    assert float((other - loss).abs()) > 1e-6  # the masks matter here


def test_recomputing_keeps_less_for_the_gradient(tiny):
    given, held = parts(tiny), []
    for recompute in (False, True):
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t, s=sizes: (s.append(t.numel()), t)[1], lambda t: t):
            gradients(*given, recompute=recompute)
        held.append(sum(sizes))
    assert held[1] < held[0]


def test_products_in_bfloat16_point_the_same_way_and_scores_stay_in_full_precision(tiny, head):
    network, *given = parts(tiny, head)
    network, builder = network.float(), given[0]
    builder.dtype = torch.float32
    half = settings(NeuroformerEstimator(gamma=0.0, mu=0.3, precision="bfloat16"), 0.5, "sparse")
    _, _, full = gradients(network, *given)
    _, _, rough = gradients(network, builder, given[1], half)
    one, other = (torch.cat([g.flatten() for g in found.values()]) for found in (full, rough))
    assert all(g.dtype == torch.float32 for g in rough.values())
    cosine = float(one @ other / one.norm() / other.norm())
    assert 0.97 < cosine < 1 - 1e-9


@pytest.mark.parametrize("step", [1, 2, 4])
def test_a_step_that_is_not_finite_is_not_taken_nor_is_any_after_it(tiny, monkeypatch, step):
    """The weights stay at those before it, to the bit, though no step waits to be told."""
    real, seen = loop.batch_loss, []

    def spoiled(model, *rest):
        seen.append({name: value.clone() for name, value in model.state_dict().items()})
        loss, n = real(model, *rest)
        return (loss * float("nan"), n) if len(seen) == step else (loss, n)

    monkeypatch.setattr(loop, "batch_loss", spoiled)
    network, builder, stretches, plan = parts(tiny, batch_size=1)
    state = TrainingState.start(network, plan, 0)
    with pytest.raises(NonFiniteLossError, match="in epoch 1"):
        train_epoch(state, builder, stretches, plan, 0)
    assert len(seen) == 5
    assert all(torch.equal(value, seen[step - 1][name]) for name, value in state.model.state_dict().items())
    if step > 1:
        assert not torch.equal(state.model.session.bias, seen[0]["session.bias"])


# What an accelerator cannot answer before it has done everything that it was given: values, and lengths of results.
READ = ("_local_scalar_dense", "equal", "is_nonzero")
SIZED_BY_VALUES = ("nonzero", "masked_select", "unique", "bincount", "repeat_interleave", "argwhere", "histc")


class _Waits(TorchDispatchMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name, kwargs = func._schema.name.removeprefix("aten::"), kwargs or {}
        masks = [index for index in args[1] if index is not None and index.dtype == torch.bool] if (
            name in ("index", "index_put", "index_put_", "_index_put_impl_")
        ) else []  # fmt: skip
        unsized = name.startswith(SIZED_BY_VALUES) and kwargs.get("output_size") is None
        if name in READ or unsized or masks:
            self.found.append(name)
        return func(*args, **kwargs)


class _Reads(TorchFunctionMode):
    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in ("tolist", "numpy", "cpu", "__array__"):
            self.found.append(func.__name__)
        return func(*args, **(kwargs or {}))


def waits(monkeypatch, function):
    """Names of the operations, but for those that make a batch on the host, for which a GPU would be waited for."""
    found, real = [], BatchBuilder.build

    def build(*given, **named):
        before = len(found)
        batch = real(*given, **named)
        del found[before:]
        return batch

    monkeypatch.setattr(BatchBuilder, "build", build)
    monkeypatch.setattr(counts, "at_hand", lambda values: False)
    with _Waits(found), _Reads(found):
        function()
    return found


def test_the_waits_of_a_step_would_be_seen(monkeypatch):
    x = torch.arange(4.0)
    for function in (
        lambda: x[x > 1], lambda: bool(x.sum() > 0), lambda: x.nonzero(), lambda: int(x.max()), lambda: x.tolist(),
        lambda: x.repeat_interleave(torch.arange(4)), lambda: x.clone().__setitem__(x > 1, x[2:]),
    ):  # fmt: skip
        assert len(waits(monkeypatch, function)) == 1


@pytest.mark.parametrize("changes", [{}, {"gamma": 0.2, "mu": 0.4}, {"accumulation_steps": 2}])
def test_the_host_reads_one_result_an_epoch(tiny, head, monkeypatch, changes):
    """Nothing that a step does has a size or a branch that only the device knows; masks and aligned pairs included."""
    plan = settings(NeuroformerEstimator(**{"gamma": 0.0, "mu": 0.3, "batch_size": 2, **changes}), 0.5, "sparse")
    modalities = tiny.stimuli((40,) * 5)
    aligned = tuple(modalities.names) if "gamma" in changes else ()
    fitted = tiny.fitted(head, 3, modalities=modalities, dropout=0.3, modality_dropout=0.3, aligned=aligned)
    inp = tiny.read(tiny.spikes((40, 33, 28, 40, 40)), modalities)
    state = TrainingState.start(copy.deepcopy(fitted.network).train(), plan, 0)
    builder, stretches = fitted.builder(inp), whole_trials(np.diff(inp.spikes.ptr))
    monkeypatch.setattr("skneuro.nn.neuroformer.MAX_PAIRS", 5)
    found = waits(monkeypatch, lambda: train_epoch(state, builder, stretches, plan, 0))
    assert found == ["tolist"]
