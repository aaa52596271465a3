"""Facts about compiled functions: the same numbers as without, and one compilation for all lengths."""

import pytest
import torch

from skneuro.nn import compiled
from skneuro.nn.compiled import Compiler, probe
from skneuro.nn.layers import FeedForward, RandomSource

CPU = torch.device("cpu")


def network(dropout=0.3, width=8):
    generator = torch.Generator().manual_seed(0)
    found = FeedForward(width, dropout, RandomSource()).double()
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return found


def result(network, x, compiler):
    """Output and all gradients, under the same dropout mask each time."""
    source = network.dropout.source
    source.generator, source.compiler = torch.Generator().manual_seed(1), compiler
    y = network(x)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *network.parameters()])]


def test_all_lengths_and_shapes_are_compiled_once_and_give_the_same(counting_backend):
    net, compiler = network(), Compiler()
    shapes = [(6, 8), (5, 8), (2, 7, 8), (3, 4, 2, 8), (9, 1, 8), (1, 30, 8)]
    for number, shape in enumerate(shapes, 1):
        x = torch.randn(shape, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
        for inputs in (x, x.transpose(0, -2)):
            found, expected = result(net, inputs, compiler), result(net, inputs, None)
            for one, other in zip(found, expected, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)
        assert counting_backend.graphs == 1 and counting_backend.runs == 2 * number


@pytest.mark.parametrize("n_rows", [0, 1])
def test_nothing_is_compiled_for_one_row_or_none(counting_backend, n_rows):
    x = torch.randn(n_rows, 8).double().requires_grad_()
    found, expected = result(network(), x, Compiler()), result(network(), x, None)
    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert counting_backend.graphs == 0


def test_other_chances_and_new_compilers_do_not_compile_anew(counting_backend):
    x = torch.randn(4, 8).double().requires_grad_()
    for dropout in (0.3, 0.2, 0.45):
        result(network(dropout), x, Compiler())
    assert counting_backend.graphs == 1 and counting_backend.runs == 3


def test_more_widths_than_torch_keeps_still_train(counting_backend):
    for width in range(2, 13):
        net, x = network(width=width), torch.randn(5, width).double().requires_grad_()
        for one, other in zip(result(net, x, Compiler()), result(net, x, None), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    assert 1 < counting_backend.graphs < 11


def test_a_probe_fails_where_training_would(counting_backend, monkeypatch):
    probe(CPU, torch.float32)
    assert counting_backend.runs == 1

    def broken(graph, inputs):
        raise OSError("no compiler here")

    monkeypatch.setattr(compiled, "BACKEND", broken)
    with pytest.raises(RuntimeError, match="no compiler here"):
        probe(CPU, torch.float32)
