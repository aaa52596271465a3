"""Matrices of who drives whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skneuro.inspection._plotting import one_axes


class AdjacencyDisplay:
    """A matrix of couplings, rows the driven units and columns the driving ones.

    Parameters
    ----------
    adjacency : ndarray of shape (n_units, n_units)
        `adjacency[target, source]`, signed where the sign is known; NaN is left blank.
    unit_ids : sequence of length n_units, default=None
        Ids of the units; their positions by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    im_ : matplotlib AxesImage
        The matrix.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import AdjacencyDisplay
    >>> display = AdjacencyDisplay(adjacency=np.array([[np.nan, 0.5], [-0.2, np.nan]])).plot()
    >>> display.im_.get_clim()
    (-0.5, 0.5)
    """

    def __init__(self, *, adjacency: ArrayLike, unit_ids: Sequence[Any] | None = None) -> None:
        self.adjacency = adjacency
        self.unit_ids = unit_ids

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the adjacency of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `adjacency_` and, where it kept them, `unit_ids_`.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : AdjacencyDisplay

        Raises
        ------
        NotFittedError
            If the estimator has no `adjacency_`.
        """
        check_is_fitted(estimator, "adjacency_")
        display = cls(adjacency=estimator.adjacency_, unit_ids=getattr(estimator, "unit_ids_", None))
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, cmap: Any = "RdBu_r", label: str = "coupling", title: str | None = None) -> Self:
        """Draw the matrix with a colour scale that is symmetric about zero.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        cmap : str or Colormap, default="RdBu_r"
            Colour map.
        label : str, default="coupling"
            Name of the colour scale.
        title : str, default=None
            Title of the axes.

        Returns
        -------
        display : AdjacencyDisplay
            Itself, with `ax_`, `figure_` and `im_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        self.figure_, self.ax_ = one_axes(ax, "AdjacencyDisplay.plot", figsize=(4.4, 3.8))
        matrix = np.asarray(self.adjacency, dtype=float)
        limit = float(np.nanmax(np.abs(matrix), initial=0.0)) or 1.0
        self.im_ = self.ax_.imshow(matrix, cmap=cmap, vmin=-limit, vmax=limit, interpolation="nearest")
        self.figure_.colorbar(self.im_, ax=self.ax_, label=label)
        labels = np.arange(len(matrix)) if self.unit_ids is None else np.asarray(self.unit_ids)
        step = max(1, int(np.ceil(len(matrix) / 10)))
        ticks = np.arange(0, len(matrix), step)
        self.ax_.set_xticks(ticks, [str(u) for u in labels[ticks]])
        self.ax_.set_yticks(ticks, [str(u) for u in labels[ticks]])
        self.ax_.set(xlabel="source unit (presynaptic)", ylabel="target unit (postsynaptic)", title=title)
        return self
