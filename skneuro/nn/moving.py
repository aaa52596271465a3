"""From the host to a device and back, waiting only where there is no other way."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; the host does not wait for what it sends to arrive."""
    if tensor.device.type == "cpu" and device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def moved(thing: Any, device: torch.device) -> Any:
    """Every tensor in a dataclass, dict or list, however deep, on a device; all else as it is."""
    if isinstance(thing, Tensor):
        return to_device(thing, device)
    if isinstance(thing, dict):
        return {name: moved(value, device) for name, value in thing.items()}
    if isinstance(thing, list):
        return [moved(value, device) for value in thing]
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{part.name: moved(getattr(thing, part.name), device) for part in fields(thing)})
    return thing
