"""Position-wise networks compiled by `torch.compile`, for training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

BACKEND = "inductor"


class Compiler:
    """Runs functions compiled, each once for any number of rows.

    A function takes some tensors of which all dimensions but the last are positions, then what all positions share. It
    must draw no random numbers: the compiler does not know the generators that they are drawn from. Torch keeps what is
    compiled, for other models too: up to eight versions of a function (one a width, precision, ...), and further ones
    run as they are.
    """

    def __init__(self) -> None:
        self._compiled: dict[Callable[..., Tensor], Callable[..., Tensor]] = {}

    def __call__(self, function: Callable[..., Tensor], rows: Sequence[Tensor | None], *shared: Any) -> Tensor:
        """``function(*rows, *shared)``.

        Parameters
        ----------
        function : callable
            Of a module, so that torch compiles it once in a process, and not once for each model.
        rows : sequence of Tensor of shape (..., width) or None
            The first one is a tensor.
        shared : Tensor or float
        """
        places = rows[0].shape[:-1]  # type: ignore[union-attr]
        if places.numel() < 2:  # torch compiles these two lengths anew
            return function(*rows, *shared)
        if function not in self._compiled:
            self._compiled[function] = torch.compile(function, dynamic=True, backend=BACKEND)
        # Tensors of two dimensions that are views of nothing, whatever came: each other kind would be compiled anew.
        flat = [None if x is None else torch.ops.aten._unsafe_view(x.contiguous(), (-1, x.shape[-1])) for x in rows]
        return self._compiled[function](*flat, *shared).unflatten(0, places)


def probe(device: torch.device, dtype: torch.dtype) -> None:
    """Compile something small, so that what goes wrong goes wrong here."""
    Compiler()(_something_small, [torch.ones(3, 2, device=device, dtype=dtype)])


def _something_small(x: Tensor) -> Tensor:
    return torch.nn.functional.gelu(x)
