"""What the displays share: matplotlib, imported only when something is drawn."""

from __future__ import annotations

from typing import Any

from skneuro._sklearn_compat import check_matplotlib_support


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


def tidy(ax: Any) -> None:
    """Leave only the axes lines that carry a scale."""
    ax.spines[["top", "right"]].set_visible(False)
