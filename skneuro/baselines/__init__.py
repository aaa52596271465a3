"""What every claim is compared with: estimators with the same `score`, `predict` and `sample` as the Neuroformer.

`GRUModel` needs torch, which is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skneuro.baselines.glm import CoupledGLM
from skneuro.baselines.homogeneous import HomogeneousPoisson
from skneuro.baselines.marginal import ConstantMarginal
from skneuro.baselines.psth import PSTHModel

if TYPE_CHECKING:
    from skneuro.baselines.gru import GRUModel

__all__ = ["ConstantMarginal", "CoupledGLM", "GRUModel", "HomogeneousPoisson", "PSTHModel"]


def __getattr__(name: str) -> Any:
    if name == "GRUModel":
        from skneuro.baselines.gru import GRUModel

        return GRUModel
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
