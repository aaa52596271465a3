"""What the displays share: matplotlib, imported only when something is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from skneuro._sklearn_compat import check_is_fitted, check_matplotlib_support

NO_COUPLINGS = "has no couplings to draw (`adjacency_`). Give a fitted ConnectivityInference."


def import_pyplot(caller: str) -> Any:
    """Import `matplotlib.pyplot`, or say how to install it."""
    check_matplotlib_support(caller)
    import matplotlib.pyplot as plt

    return plt


def one_axes(ax: Any, caller: str, **size: Any) -> tuple[Any, Any]:
    """Return a figure and one axes: the given one, or a new one."""
    plt = import_pyplot(caller)
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(layout="constrained", **size)


def check_fitted_with(estimator: Any, attribute: str, otherwise: str) -> None:
    """Refuse an estimator that is not fitted, and one of another kind, which never has the attribute."""
    check_is_fitted(estimator)
    if not hasattr(estimator, attribute):
        raise TypeError(f"{type(estimator).__name__} {otherwise}")


def check_square(adjacency: np.ndarray, unit_ids: Sequence[Any] | None) -> None:
    """Refuse what is no matrix ``[target, source]`` of the units."""
    if adjacency.ndim != 2 or adjacency.shape[0] != adjacency.shape[1]:
        raise ValueError(f"adjacency must be a square matrix [target, source]. Got shape {adjacency.shape}.")
    if unit_ids is not None and len(unit_ids) != len(adjacency):
        raise ValueError(f"unit_ids must be one for each of {len(adjacency)} units. Got {len(unit_ids)}.")


def tidy(ax: Any) -> None:
    """Leave only the axes lines that carry a scale."""
    ax.spines[["top", "right"]].set_visible(False)
