"""The GRU's own gradient against that of torch's layer."""

import pytest
import torch
from torch import nn

from skneuro.nn.recurrent import states_of

SHAPES = [(3, 7, 4, 5), (1, 1, 2, 2), (2, 30, 6, 6)]


def make(n_rows, n_steps, n_inputs, width):
    torch.manual_seed(0)
    layer = nn.GRU(n_inputs, width, batch_first=True).double()
    x = torch.randn(n_rows, n_steps, n_inputs, dtype=torch.float64, requires_grad=True)
    first = torch.randn(n_rows, width, dtype=torch.float64, requires_grad=True)
    return layer, x, first


@pytest.mark.parametrize("shape", SHAPES)
def test_states_and_gradients_are_those_of_torch(shape):
    layer, x, first = make(*shape)
    weight = torch.randn(shape[0], shape[1] + 1, shape[3], dtype=torch.float64)
    expected = torch.cat([first[:, None], layer(x, first[None])[0]], dim=1)
    found = states_of(layer, x, first)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    of = [x, first, *layer.parameters()]
    wanted = torch.autograd.grad((expected * weight).sum(), of)
    got = torch.autograd.grad((found * weight).sum(), of)
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


def test_gradient_of_finite_differences():
    layer, x, first = make(2, 3, 2, 3)
    assert torch.autograd.gradcheck(lambda a, b: states_of(layer, a, b), (x, first))


def test_without_a_gradient_the_states_are_bit_for_bit_those_of_the_layer():
    layer, x, first = make(3, 7, 4, 5)
    with torch.no_grad():
        assert torch.equal(states_of(layer, x, first)[:, 1:], layer(x, first[None])[0])


def test_a_gradient_that_is_used_twice_stays_as_it_is():
    layer, x, first = make(2, 4, 3, 3)
    states = states_of(layer, x, first)
    slope = torch.ones_like(states)
    again = torch.autograd.grad(states, x, slope, retain_graph=True)[0]
    assert torch.equal(torch.autograd.grad(states, x, slope)[0], again)
    assert torch.equal(slope, torch.ones_like(states))
