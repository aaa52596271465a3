"""Which models the demonstration fits, and with which budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .recordings import Loaded

MODEL = "Neuroformer"


@dataclass(frozen=True)
class Plan:
    """Models by name: quick ones are fitted one after the other, slow ones beside them in their own
    processes.

    Parameters
    ----------
    quick, slow : dict of str to estimator
        Not yet fitted; the Neuroformer is one of the slow ones.
    """

    quick: dict[str, Any] = field(default_factory=dict)
    slow: dict[str, Any] = field(default_factory=dict)


def make_plan(recording: Loaded, bin_width: float, *, quick: bool, seed: int) -> Plan:
    raise NotImplementedError
