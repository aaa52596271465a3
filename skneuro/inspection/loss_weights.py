"""The result of a search over the loss weights, on the triangle of weights that sum to one."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skneuro.inspection._plotting import one_axes

# Where all weight is on the time loss, on the unit-identity loss, and on the contrastive loss.
_CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


class LossWeightDisplay:
    """Scores of a search over the loss weights `gamma` and `mu`, one dot a point of the simplex.

    Parameters
    ----------
    gamma, mu : array-like of shape (n_points,)
        Weights of the contrastive and of the unit-identity loss; the time loss has the rest.
    score : array-like of shape (n_points,)
        Held-out score; NaN where the fit failed.
    error : array-like of shape (n_points,), default=None
        Standard deviation of the score over the folds.
    score_name : str, default="bits per spike"
        Name of the colour scale.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    scatter_ : matplotlib PathCollection
        The points that have a score.
    best_ : int or None
        The point with the best score, which has a ring; None where there is no score.

    See Also
    --------
    skneuro.model_selection.loss_weight_grid : The points to search.

    Examples
    --------
    >>> from skneuro.inspection import LossWeightDisplay
    >>> display = LossWeightDisplay(gamma=[0.0, 0.2, 0.2], mu=[0.5, 0.4, 0.6], score=[0.21, 0.25, 0.24]).plot()
    >>> display.best_
    1
    """

    def __init__(
        self,
        *,
        gamma: ArrayLike,
        mu: ArrayLike,
        score: ArrayLike,
        error: ArrayLike | None = None,
        score_name: str = "bits per spike",
    ) -> None:
        self.gamma = gamma
        self.mu = mu
        self.score = score
        self.error = error
        self.score_name = score_name

    @classmethod
    def from_search(
        cls,
        search: Any,
        *,
        metric: str = "score",
        score_name: str = "bits per spike",
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a fitted search.

        Where other parameters were searched too, each point shows the best of them. Of a halving search each point
        shows its last, longest round.

        Parameters
        ----------
        search : GridSearchCV, RandomizedSearchCV or a halving search
            Fitted, over `gamma` and `mu` (in a pipeline ``step__gamma`` and ``step__mu``).
        metric : str, default="score"
            Which metric, where the search had several: ``mean_test_<metric>`` of `cv_results_`.
        score_name : str, default="bits per spike"
            Name of the colour scale.
        ax : matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : LossWeightDisplay

        Raises
        ------
        NotFittedError
            If the search was not fitted.
        ValueError
            If it did not search both weights, or has no such metric.
        """
        check_is_fitted(search, "cv_results_")
        results = search.cv_results_
        if f"mean_test_{metric}" not in results:
            known = sorted(key.removeprefix("mean_test_") for key in results if key.startswith("mean_test_"))
            raise ValueError(f"The 'metric' parameter must be one of {known}. Got {metric!r:.80} instead.")
        gamma, mu = _searched(results, "gamma"), _searched(results, "mu")
        score = np.asarray(results[f"mean_test_{metric}"], dtype=float)
        rank = np.where(np.isnan(score), -np.inf, score)
        rounds = np.asarray(results.get("iter", np.zeros(len(score))))
        # The last row of each point in this order is the one to show.
        order = np.lexsort((rank, rounds))
        last = {(gamma[row], mu[row]): row for row in order}
        rows = np.array(list(last.values()))
        error = np.asarray(results[f"std_test_{metric}"], dtype=float)
        display = cls(gamma=gamma[rows], mu=mu[rows], score=score[rows], error=error[rows], score_name=score_name)
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, cmap: Any = "viridis", annotate: bool = True) -> Self:
        """Draw the triangle; a fit that failed is a cross.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; a new figure by default.
        cmap : str or Colormap, default="viridis"
            Colour map of the scores.
        annotate : bool, default=True
            Whether to write the best point's weights and score above the triangle.

        Returns
        -------
        display : LossWeightDisplay
            Itself, with `ax_`, `figure_`, `scatter_` and `best_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If lengths differ, or weights do not lie on the simplex.
        """
        gamma, mu, score = (np.asarray(v, dtype=float).ravel() for v in (self.gamma, self.mu, self.score))
        if not len(gamma) == len(mu) == len(score) or not len(gamma):
            raise ValueError(
                f"gamma, mu and score must have one value a point, and at least one point. Got {len(gamma)}, {len(mu)} "
                f"and {len(score)} values."
            )
        weights = np.column_stack([1 - gamma - mu, mu, gamma])
        if not (weights > -1e-9).all():
            raise ValueError("gamma and mu must not be negative, nor their sum above 1.")
        self.figure_, self.ax_ = one_axes(ax, "LossWeightDisplay.plot", figsize=(5.0, 4.0))
        self._triangle()
        place = weights @ _CORNERS
        known = np.isfinite(score)
        size = float(np.clip(4000 / len(score), 30, 260))
        self.scatter_ = self.ax_.scatter(*place[known].T, c=score[known], s=size, cmap=cmap, zorder=2)
        self.ax_.scatter(*place[~known].T, marker="x", color="0.5", zorder=2)
        self.best_ = int(np.nanargmax(score)) if known.any() else None
        if known.any():
            self.figure_.colorbar(self.scatter_, ax=self.ax_, label=self.score_name, shrink=0.8)
            point = [float(values[self.best_]) for values in (gamma, mu, score)]
            self._mark(place[self.best_], size, point, annotate)
        return self

    def _mark(self, place: np.ndarray, size: float, point: list[float], annotate: bool) -> None:
        ring = {"facecolors": "none", "edgecolors": "C3", "linewidths": 1.8, "zorder": 3}
        self.ax_.scatter(*place[:, None], s=2.2 * size, **ring)
        if annotate:
            gamma, mu, score = point
            spread = "" if self.error is None else f" ± {np.ravel(self.error)[self.best_]:.3g}"
            self.ax_.set_title(f"best: gamma {gamma:.3g}, mu {mu:.3g}: {score:.3g}{spread}", fontsize="medium")

    def _triangle(self) -> None:
        ax = self.ax_
        ax.plot(*_CORNERS[[0, 1, 2, 0]].T, color="0.3", linewidth=1)
        for tick in (0.2, 0.4, 0.6, 0.8):
            for k in range(3):
                one, other = _CORNERS[(k + 1) % 3], _CORNERS[(k + 2) % 3]
                ends = tick * _CORNERS[k] + (1 - tick) * np.array([one, other])
                ax.plot(*ends.T, color="0.85", linewidth=0.7, zorder=0)
        ax.text(*(_CORNERS[0] - [0, 0.06]), "time loss\n1 - gamma - mu", ha="center", va="top")
        ax.text(*(_CORNERS[1] - [0, 0.06]), "unit-identity loss\nmu", ha="center", va="top")
        ax.text(*(_CORNERS[2] + [0.08, 0]), "contrastive loss\ngamma", ha="left", va="center")
        ax.set(xlim=(-0.15, 1.15), ylim=(-0.2, 0.95), aspect="equal")
        ax.axis("off")


def _searched(results: Any, name: str) -> np.ndarray:
    """Values of a weight in each row of a search's results."""
    keys = [k for k in results if k == f"param_{name}" or (k.startswith("param_") and k.endswith(f"__{name}"))]
    if len(keys) != 1:
        raise ValueError(
            f"The search must be over 'gamma' and 'mu'; its results have {len(keys)} columns for {name!r}. Use "
            f"loss_weight_grid() as its param_grid."
        )
    return np.ma.filled(np.ma.asarray(results[keys[0]], dtype=float), np.nan)
