"""A GRU layer whose gradient is computed step by step on the CPU, without a graph of every step's small operations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def states_of(layer: nn.GRU, x: Tensor, first: Tensor) -> Tensor:
    """States of a layer with `batch_first`, the first one included.

    With a gradient on the CPU autograd records some twenty operations a step and adds to the weights' gradient in each
    of them; here a step is six operations forward, four backward, and the weights' gradient is one matrix product.

    Parameters
    ----------
    layer : nn.GRU
        One layer, one direction.
    x : Tensor of shape (C, T, W)
    first : Tensor of shape (C, S)

    Returns
    -------
    Tensor of shape (C, T + 1, S)
        The same as that of the layer, up to rounding in the gradient.
    """
    plain = x.device.type != "cpu" or not torch.is_grad_enabled() or torch.is_autocast_enabled("cpu")
    if plain:
        return torch.cat([first[:, None], layer(x, first[None])[0]], dim=1)
    inputs = F.linear(x.transpose(0, 1), layer.weight_ih_l0, layer.bias_ih_l0)  # (T, C, 3 S)
    return _Steps.apply(inputs, first, layer.weight_hh_l0, layer.bias_hh_l0).transpose(0, 1)


class _Steps(torch.autograd.Function):
    """States (T + 1, C, S) from what the inputs add to the gates (T, C, 3 S): reset, update, new, as in `nn.GRU`."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, first: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        n_steps, n_rows = inputs.shape[:2]
        width = first.shape[1]
        states = first.new_empty(n_steps + 1, n_rows, width)
        states[0] = first
        gates, recurrent = torch.empty_like(inputs), torch.empty_like(inputs)
        both = 2 * width
        steps = zip(
            states.unbind(), states[1:].unbind(), recurrent.unbind(), gates[..., :width].unbind(),
            gates[..., width:both].unbind(), gates[..., both:].unbind(), gates[..., :both].unbind(),
            inputs[..., :both].unbind(), inputs[..., both:].unbind(), recurrent[..., :both].unbind(),
            recurrent[..., both:].unbind(), strict=False,
        )  # fmt: skip
        transposed = weight.t().contiguous()
        for state, after, all_, reset, update, new, two, given, given_new, own, own_new in steps:
            torch.addmm(bias, state, transposed, out=all_)
            torch.add(given, own, out=two).sigmoid_()
            torch.addcmul(given_new, own_new, reset, out=new).tanh_()
            torch.lerp(new, state, update, out=after)
        ctx.save_for_backward(states, gates, recurrent[..., both:], weight)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        states, gates, own_new, weight = ctx.saved_tensors
        reset, update, new = gates.chunk(3, dim=-1)
        before = states[:-1]
        to_new = (1 - update) * (1 - new * new)
        # What a state's gradient is multiplied by on its way to the three sums of gates that the state before enters.
        factor = torch.stack(
            [to_new * own_new * reset * (1 - reset), (before - new) * update * (1 - update), to_new * reset], dim=2
        )  # (T, C, 3, S)
        total = gradient.contiguous().clone()  # of every state, through all later ones
        to_sums = torch.empty_like(factor)
        flat = to_sums.flatten(2)
        steps = zip(
            total[1:].unbind(), total.unbind(), update.unbind(), factor.unbind(), to_sums.unbind(), flat.unbind(),
            strict=False,
        )  # fmt: skip
        for after, state, kept, by, sums, row in reversed(list(steps)):
            torch.mul(after[:, None], by, out=sums)
            state.addcmul_(after, kept).addmm_(row, weight)
        rows = flat.flatten(0, 1)
        to_weight, to_bias = rows.t() @ before.flatten(0, 1), rows.sum(0)
        torch.mul(total[1:], to_new, out=to_sums[:, :, 2])  # the inputs enter the new state beside the reset gate
        return flat, total[0], to_weight, to_bias
