"""A drawing of who drives whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from skneuro.inspection._plotting import NO_COUPLINGS, check_fitted_with, one_axes

_EXCITATORY, _INHIBITORY = "tab:red", "tab:blue"
_ROOM = 40  # so many ids fit around the circle; of more units only the most connected are named
_NAMED = 15


class NetworkDisplay:
    """Units on a circle and arrows from sources to targets, red for excitation and blue for inhibition.

    Of more than 40 units only the 15 most connected are named.

    Parameters
    ----------
    adjacency : ndarray of shape (n_units, n_units)
        ``[target, source]``; the width of an arrow goes with its absolute value. NaN is not drawn.
    drawn : ndarray of shape (n_units, n_units), bool, default=None
        Which pairs to draw; all that are known and not zero by default.
    unit_ids : sequence of length n_units, default=None
        Ids of the units; their positions by default.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    positions_ : ndarray of shape (n_units, 2)
        Where the units stand. The size of a dot goes with the summed output of the unit.
    arrows_ : list of matplotlib FancyArrowPatch
        One for each edge, the weakest first.
    labels_ : list of matplotlib Text
        Ids of the units that are named.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import NetworkDisplay
    >>> display = NetworkDisplay(adjacency=np.array([[np.nan, 0.5, 0], [0, np.nan, 0], [-0.2, 0, np.nan]])).plot()
    >>> len(display.arrows_)
    2
    """

    def __init__(
        self, *, adjacency: ArrayLike, drawn: ArrayLike | None = None, unit_ids: Sequence[Any] | None = None
    ) -> None:
        self.adjacency = adjacency
        self.drawn = drawn
        self.unit_ids = unit_ids

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None, **kwargs: Any) -> Self:
        """Draw the significant edges of a fitted estimator; all of them where it has no ``significant_``.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `adjacency_`.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : NetworkDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of a kind that has no `adjacency_`.
        """
        check_fitted_with(estimator, "adjacency_", NO_COUPLINGS)
        display = cls(
            adjacency=estimator.adjacency_,
            drawn=getattr(estimator, "significant_", None),
            unit_ids=getattr(estimator, "unit_ids_", None),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, max_edges: int = 300, title: str | None = None) -> Self:
        """Draw the network.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        max_edges : int, default=300
            Draw only so many of the strongest edges; the title says when some were left out.
        title : str, default=None
            Title of the axes.

        Returns
        -------
        display : NetworkDisplay
            Itself, with `ax_`, `figure_`, `positions_`, `arrows_` and `labels_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the matrices and ids are not those of the same units, or `max_edges` is negative.
        """
        strength = self._strength()
        if max_edges < 0:
            raise ValueError(f"The 'max_edges' parameter must be 0 or more. Got {max_edges!r:.80} instead.")
        self.figure_, self.ax_ = one_axes(ax, "NetworkDisplay.plot", figsize=(5.5, 5.5))
        from matplotlib.patches import FancyArrowPatch

        size, n_units = np.abs(strength), len(strength)
        angle = np.pi / 2 - 2 * np.pi * np.arange(n_units) / max(n_units, 1)
        self.positions_ = np.column_stack([np.cos(angle), np.sin(angle)])
        edges = np.argwhere(size > 0)
        edges = edges[np.argsort(size[tuple(edges.T)], kind="stable")]
        n_edges = len(edges)
        edges = edges[max(n_edges - max_edges, 0) :]
        largest = float(size.max(initial=0.0)) or 1.0
        self.arrows_ = []
        for target, source in edges:
            share = size[target, source] / largest
            arrow = FancyArrowPatch(
                tuple(self.positions_[source]),
                tuple(self.positions_[target]),
                connectionstyle="arc3,rad=0.15",
                arrowstyle="-|>",
                mutation_scale=8,
                shrinkA=5,
                shrinkB=6,
                linewidth=0.3 + 2.2 * share,
                alpha=0.3 + 0.6 * share,
                color=_EXCITATORY if strength[target, source] > 0 else _INHIBITORY,
            )
            self.arrows_.append(self.ax_.add_patch(arrow))
        output = size.sum(axis=0)
        dots = 20 + 120 * output / (float(output.max(initial=0.0)) or 1.0)
        self.ax_.scatter(*self.positions_.T, s=dots, color="0.2", zorder=3)
        named = np.arange(n_units) if n_units <= _ROOM else self._most_connected(size)
        self.labels_ = [self._name(int(unit)) for unit in named]
        if (strength < 0).any():  # where all arrows are red the sign may not be known
            self._explain_colours()
        left_out = f"the strongest {len(edges)} of {n_edges} edges" if n_edges > len(edges) else ""
        self.ax_.set_title("\n".join(line for line in (title, left_out) if line))
        longest = max((len(label.get_text()) for label in self.labels_), default=0)
        reach = 1.16 + 0.03 * longest
        self.ax_.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
        self.ax_.set_axis_off()
        return self

    def _most_connected(self, size: np.ndarray) -> np.ndarray:
        """Positions of units with the largest summed input and output, none of them right beside another."""
        named: list[int] = []
        apart = len(size) / _ROOM
        for unit in np.argsort(-(size.sum(axis=0) + size.sum(axis=1)), kind="stable"):
            distance = np.abs(np.array(named) - unit)
            if (np.minimum(distance, len(size) - distance) >= apart).all():
                named.append(int(unit))
        return np.array(named[:_NAMED], dtype=int)

    def _name(self, unit: int) -> Any:
        """Write the id of a unit outside the circle, along its radius."""
        x, y = 1.07 * self.positions_[unit]
        angle = np.rad2deg(np.arctan2(y, x))
        on_the_left = abs(angle) > 90 + 1e-6
        return self.ax_.text(
            x,
            y,
            str(unit if self.unit_ids is None else self.unit_ids[unit]),
            rotation=angle + 180 * on_the_left,
            ha="right" if on_the_left else "left",
            va="center",
            rotation_mode="anchor",
            fontsize=7,
        )

    def _explain_colours(self) -> None:
        from matplotlib.lines import Line2D

        colours = {"excitation": _EXCITATORY, "inhibition": _INHIBITORY}
        handles = [Line2D([], [], color=colour, label=name) for name, colour in colours.items()]
        self.ax_.legend(handles=handles, loc="lower left", fontsize="small", frameon=False)

    def _strength(self) -> np.ndarray:
        """What is drawn of the adjacency, 0 elsewhere."""
        strength = np.nan_to_num(np.array(self.adjacency, dtype=float))
        drawn = np.ones(strength.shape, dtype=bool) if self.drawn is None else np.asarray(self.drawn, dtype=bool)
        ids = strength if self.unit_ids is None else self.unit_ids
        if strength.ndim != 2 or strength.shape != drawn.shape or not len(strength) == strength.shape[1] == len(ids):
            raise ValueError(
                "adjacency must be a square matrix [target, source], drawn of the same shape, and unit_ids as long. "
                f"Got {strength.shape}, {drawn.shape} and {len(ids)}."
            )
        np.fill_diagonal(strength, 0.0)
        return np.where(drawn, strength, 0.0)
