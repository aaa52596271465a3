"""What the displays share: matplotlib, imported only when something is drawn."""

from skneuro._sklearn_compat import check_matplotlib_support


def import_pyplot(caller):
    """Import `matplotlib.pyplot`, or say how to install it."""
    check_matplotlib_support(caller)
    import matplotlib.pyplot as plt

    return plt


def one_axes(ax, caller, **size):
    """Return a figure and one axes: the given one, or a new one."""
    plt = import_pyplot(caller)
    if ax is not None:
        return ax.figure, ax
    return plt.subplots(layout="constrained", **size)


def tidy(ax):
    """Leave only the axes lines that carry a scale."""
    ax.spines[["top", "right"]].set_visible(False)
