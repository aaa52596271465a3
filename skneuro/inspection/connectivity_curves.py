"""ROC and precision-recall curves of inferred connectivity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import precision_recall_curve, roc_curve

from skneuro.inspection._plotting import NO_COUPLINGS, check_fitted_with, import_pyplot, tidy
from skneuro.inspection._truth import truth_of_units
from skneuro.metrics._edge_detection import edge_share
from skneuro.metrics.connectivity import auprc, auroc
from skneuro.preprocessing._units import check_unit_ids


class ConnectivityCurveDisplay:
    """ROC and precision-recall curves of several methods, against the same true wiring.

    Parameters
    ----------
    adjacencies : mapping of str to ndarray of shape (n_units, n_units)
        Inferred strengths ``[target, source]`` of each method; their absolute values are ranked.
    true_adjacency : ndarray of shape (n_units, n_units)
        True weights; 0 where there is no edge, NaN where it is not known.

    Attributes
    ----------
    curves_ : dict of str to dict
        For each method ``fpr``, ``tpr``, ``precision``, ``recall``, ``auroc`` and ``auprc``.
    axes_ : ndarray of matplotlib Axes, shape (2,)
        ROC on the left, precision and recall on the right.
    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import ConnectivityCurveDisplay
    >>> truth = np.array([[0, 1.0, 0], [0, 0, 0], [-2.0, 0, 0]])
    >>> display = ConnectivityCurveDisplay(adjacencies={"the truth": truth}, true_adjacency=truth).plot()
    >>> display.curves_["the truth"]["auroc"]
    1.0
    """

    def __init__(self, *, adjacencies: Mapping[str, ArrayLike], true_adjacency: ArrayLike) -> None:
        self.adjacencies = adjacencies
        self.true_adjacency = true_adjacency

    @classmethod
    def from_estimators(
        cls, estimators: Mapping[str, Any], true_adjacency: ArrayLike, *, ax: Any = None, **kwargs: Any
    ) -> Self:
        """Draw the curves of fitted estimators.

        Parameters
        ----------
        estimators : mapping of str to estimator
            Fitted `ConnectivityInference` by name, all of the same units in the same order.
        true_adjacency : ndarray or DataFrame of shape (n_units, n_units)
            True weights, in the order of the units; a DataFrame is brought into it by its labels.
        ax : two matplotlib Axes, default=None
            Where to draw.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : ConnectivityCurveDisplay

        Raises
        ------
        NotFittedError
            If one is not fitted.
        TypeError
            If there is no name, or no estimator, or one is of a kind that has no `adjacency_`.
        ValueError
            If they are of other units, or of the same in another order.
        """
        if not isinstance(estimators, Mapping) or not estimators:
            got = "an empty one" if isinstance(estimators, Mapping) else type(estimators).__name__
            raise TypeError(
                f"estimators must be a dict of names and fitted estimators, {{'coupling': inference, ...}}. Got {got}."
            )
        for estimator in estimators.values():
            check_fitted_with(estimator, "adjacency_", NO_COUPLINGS)
        first = next(iter(estimators.values()))
        for estimator in estimators.values():
            if hasattr(first, "unit_ids_") and hasattr(estimator, "unit_ids_"):
                check_unit_ids(np.asarray(estimator.unit_ids_), np.asarray(first.unit_ids_))
        found = {name: estimator.adjacency_ for name, estimator in estimators.items()}
        truth = truth_of_units(first, true_adjacency)
        return cls(adjacencies=found, true_adjacency=truth).plot(ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, title: str | None = None) -> Self:
        """Draw both kinds of curves; dotted lines are chance, on the right the fraction of pairs that are edges.

        Parameters
        ----------
        ax : two matplotlib Axes, default=None
            Where to draw; a new figure by default.
        title : str, default=None
            Title of the figure.

        Returns
        -------
        display : ConnectivityCurveDisplay
            Itself, with `curves_`, `axes_` and `figure_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If the truth has no edge, or nothing else, among the pairs that a method knows.
        """
        plt = import_pyplot("ConnectivityCurveDisplay.plot")
        truth = np.asarray(self.true_adjacency, dtype=float)
        self.curves_ = {name: _curves(name, np.asarray(a, float), truth) for name, a in self.adjacencies.items()}
        if ax is None:
            ax = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")[1]
        self.axes_ = np.ravel(ax)
        if len(self.axes_) != 2:
            raise ValueError(f"There are two panels to draw: give two axes. Got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        for name, curve in self.curves_.items():
            self.axes_[0].plot(curve["fpr"], curve["tpr"], label=f"{name} ({curve['auroc']:.3f})")
            self.axes_[1].plot(
                curve["recall"], curve["precision"], drawstyle="steps-post", label=f"{name} ({curve['auprc']:.3f})"
            )
        chance = max((edge_share(a, truth) for a in self.adjacencies.values()), default=0.0)
        self.axes_[0].plot([0, 1], [0, 1], ":", color="0.5")
        self.axes_[1].axhline(chance, ls=":", color="0.5")
        self.axes_[0].set(xlabel="false positive rate", ylabel="true positive rate", title="ROC (area)")
        self.axes_[1].set(xlabel="recall", ylabel="precision", ylim=(0, 1.02), title="precision and recall (area)")
        for panel in self.axes_:
            # below the axes: inside, a legend of several methods lies over a curve or over chance
            panel.legend(fontsize="small", frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17))
            tidy(panel)
        if title:
            self.figure_.suptitle(title)
        return self


def _curves(name: str, adjacency: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    area, precision_area = auroc(adjacency, truth), auprc(adjacency, truth)  # they check the shapes
    if np.isnan(area):
        raise ValueError(f"Among the pairs that {name!r} knows, the truth must have edges and pairs without one.")
    known = np.isfinite(adjacency) & np.isfinite(truth) & ~np.eye(len(truth), dtype=bool)
    edge, strength = truth[known] != 0, np.abs(adjacency[known])
    fpr, tpr, _ = roc_curve(edge, strength)
    precision, recall, _ = precision_recall_curve(edge, strength)
    return {
        "fpr": fpr,
        "tpr": tpr,
        "precision": precision,
        "recall": recall,
        "auroc": area,
        "auprc": precision_area,
    }
