"""Matrices of who drives whom, and beside them the truth where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.cluster import hierarchy

from skneuro.inspection._plotting import NO_COUPLINGS, check_fitted_with, check_square, import_pyplot, one_axes
from skneuro.inspection._truth import truth_of_units

_ORDERS = ("hubs", "modules")
_SATURATED = 0.99  # of the strengths: stronger ones share the last colour
_LABEL = 0.16  # inches that the id of a unit takes across the direction of writing
_SCALES = {  # of the adjacency of each method of `ConnectivityInference`
    "coupling": "coupling (nats x s)",
    "glm": "coupling (nats x s)",
    "effect": "effect of a spike (nats x s)",
    "attention": "mean attention",
    "ccg": "z score",
    "transfer_entropy": "transfer entropy (bits per bin)",
    "lagged_correlation": "correlation",
    "partial_correlation": "partial correlation",
    "pearson": "correlation",
}


class AdjacencyDisplay:
    """A matrix of couplings, rows the driven units and columns the driving ones; with a truth, three matrices.

    Parameters
    ----------
    adjacency : ndarray of shape (n_units, n_units)
        `adjacency[target, source]`, signed where the sign is known; NaN is left blank.
    unit_ids : sequence of length n_units, default=None
        Ids of the units; their positions by default.
    true_adjacency : ndarray of shape (n_units, n_units), default=None
        True weights in any unit. They are drawn first, and last what is left of them when the inferred couplings,
        scaled to fit them best, are taken away.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where the inferred couplings were drawn.
    axes_ : ndarray of matplotlib Axes
        All axes: true, inferred and difference where there is a truth, else the one.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    im_ : matplotlib AxesImage
        The inferred couplings.
    order_ : ndarray of shape (n_units,)
        Which unit stands in which row and column.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import AdjacencyDisplay
    >>> display = AdjacencyDisplay(adjacency=np.array([[np.nan, 0.5], [-0.2, np.nan]])).plot()
    >>> display.im_.get_clim()
    (-0.5, 0.5)
    """

    def __init__(
        self,
        *,
        adjacency: ArrayLike,
        unit_ids: Sequence[Any] | None = None,
        true_adjacency: ArrayLike | None = None,
    ) -> None:
        self.adjacency = adjacency
        self.unit_ids = unit_ids
        self.true_adjacency = true_adjacency

    @classmethod
    def from_estimator(
        cls, estimator: Any, true_adjacency: ArrayLike | None = None, *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the adjacency of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `adjacency_` and, where it kept them, `unit_ids_`.
        true_adjacency : ndarray or DataFrame of shape (n_units, n_units), default=None
            Truth, in the order of the units; a DataFrame is brought into it by its labels.
        ax : matplotlib Axes, or three of them with a truth, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`; `label` is by default what the method of the estimator gives, with its unit.

        Returns
        -------
        display : AdjacencyDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of a kind that has no `adjacency_`.
        ValueError
            If the truth has another shape.
        """
        check_fitted_with(estimator, "adjacency_", NO_COUPLINGS)
        display = cls(
            adjacency=estimator.adjacency_,
            unit_ids=getattr(estimator, "unit_ids_", None),
            true_adjacency=truth_of_units(estimator, true_adjacency),
        )
        kwargs.setdefault("label", _SCALES.get(getattr(estimator, "method", ""), "coupling"))
        return display.plot(ax=ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        order: str | ArrayLike | None = None,
        cmap: Any = "RdBu_r",
        label: str = "coupling",
        title: str | None = None,
    ) -> Self:
        """Draw the matrix with a colour scale that is symmetric about zero.

        Parameters
        ----------
        ax : matplotlib Axes, or three of them with a truth, default=None
            Where to draw; a new figure by default.
        order : {"hubs", "modules"} or array-like of shape (n_units,), default=None
            Order of rows and columns: sources with the largest summed output first, units with similar inputs and
            outputs side by side (average linkage of correlations), or positions. Both are read from the truth where
            there is one. None keeps the order of the units.
        cmap : str or Colormap, default="RdBu_r"
            Colour map.
        label : str, default="coupling"
            Name of the colour scale.
        title : str, default=None
            Title of the inferred matrix.

        Returns
        -------
        display : AdjacencyDisplay
            Itself, with `ax_`, `axes_`, `figure_`, `im_` and `order_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the matrix is not square, the ids are not one a unit, the order is none of these, or the truth has
            another shape.
        """
        inferred = np.asarray(self.adjacency, dtype=float)
        check_square(inferred, self.unit_ids)
        truth = None if self.true_adjacency is None else np.asarray(self.true_adjacency, dtype=float)
        if truth is not None and truth.shape != inferred.shape:
            raise ValueError(f"true_adjacency must have the shape of adjacency, {inferred.shape}. Got {truth.shape}.")
        self.order_ = _positions(order, inferred if truth is None else truth)
        if truth is None:
            self.figure_, self.ax_ = one_axes(ax, "AdjacencyDisplay.plot", figsize=(4.4, 3.8))
            self.axes_ = np.array([self.ax_])
            self.im_ = self._draw(self.ax_, inferred, cmap, label, title)
            return self
        plt = import_pyplot("AdjacencyDisplay.plot")
        if ax is None:
            ax = plt.subplots(1, 3, figsize=(12, 3.8), layout="constrained")[1]
        self.axes_ = np.ravel(ax)
        if len(self.axes_) != 3:
            raise ValueError(f"With a truth there are three matrices to draw: give three axes. Got {len(self.axes_)}.")
        self.ax_, self.figure_ = self.axes_[1], self.axes_[1].figure
        limit = float(self._draw(self.axes_[0], truth, cmap, "true weight", "true").get_clim()[1])
        self.im_ = self._draw(self.axes_[1], inferred, cmap, label, title or "inferred")
        difference = truth - _scaled(inferred, truth)
        self._draw(self.axes_[2], difference, cmap, "true weight", "true - inferred, scaled", limit)
        return self

    def _draw(
        self, ax: Any, matrix: np.ndarray, cmap: Any, label: str, title: str | None, limit: float | None = None
    ) -> Any:
        size = np.abs(matrix[np.isfinite(matrix)])
        # The few strongest must not make all others look like nothing.
        if not limit and len(size):
            limit = float(np.quantile(size, _SATURATED, method="higher"))
        limit = limit or size.max(initial=0.0) or 1.0
        beyond = "both" if size.max(initial=0.0) > limit else "neither"
        ordered = matrix[np.ix_(self.order_, self.order_)]
        image = ax.imshow(ordered, cmap=cmap, vmin=-limit, vmax=limit, interpolation="nearest")
        ax.figure.colorbar(image, ax=ax, label=label, extend=beyond, shrink=0.8)
        labels = np.arange(len(matrix)) if self.unit_ids is None else np.asarray(self.unit_ids)
        extent = ax.get_window_extent()
        most = max(int(min(extent.width, extent.height) / ax.figure.dpi / _LABEL), 1)
        ticks = np.arange(0, len(matrix), max(1, int(np.ceil(len(matrix) / most))))
        names = [str(unit) for unit in labels[self.order_][ticks]]
        ax.set_xticks(ticks, names, rotation=90, fontsize="small")
        ax.set_yticks(ticks, names, fontsize="small")
        ax.set(xlabel="source unit (presynaptic)", ylabel="target unit (postsynaptic)", title=title)
        return image


def _positions(order: Any, matrix: np.ndarray) -> np.ndarray:
    size = np.where(np.eye(len(matrix), dtype=bool), 0.0, np.nan_to_num(matrix))
    if order is None:
        return np.arange(len(matrix))
    if isinstance(order, str):
        if order not in _ORDERS:
            raise ValueError(f"The 'order' parameter must be one of {_ORDERS} or positions. Got {order!r:.80} instead.")
        if order == "hubs":
            return np.argsort(-np.abs(size).sum(axis=0), kind="stable")
        profiles = np.hstack([size, size.T])
        if len(matrix) < 3:
            return np.arange(len(matrix))
        profiles = profiles + 1e-12 * np.arange(profiles.shape[1])  # a unit without couplings has no correlation
        return hierarchy.leaves_list(hierarchy.linkage(profiles, "average", metric="correlation"))
    positions = np.asarray(order)
    if sorted(positions.tolist()) != list(range(len(matrix))):
        raise ValueError(f"The 'order' parameter must hold every position from 0 to {len(matrix) - 1} once.")
    return positions


def _scaled(inferred: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Inferred couplings in the unit of the truth (least squares over the pairs that both know)."""
    both = np.isfinite(inferred) & np.isfinite(truth) & ~np.eye(len(truth), dtype=bool)
    power = float((inferred[both] ** 2).sum())
    return inferred * (float((inferred[both] * truth[both]).sum()) / power if power else 0.0)
