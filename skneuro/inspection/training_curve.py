"""Training and validation curves of a fitted model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skneuro.inspection._plotting import check_fitted_with, import_pyplot, tidy


class TrainingCurveDisplay:
    """Training loss and validation score over epochs.

    Parameters
    ----------
    loss : ndarray of shape (n_epochs,)
        Training loss of each epoch.
    validation_scores : ndarray of shape (n_epochs,), in bits per spike, default=None
        Validation score of each epoch, where there was a validation set.
    name : str, default=None
        Name of the model.
    step_name : str, default="epoch"
        What lies between two values.
    loss_name : str, default="training loss (nats)"
        What the loss is, and in which unit.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        Loss, then validation score where there is one.
    figure_ : matplotlib Figure
        The figure.
    lines_ : list of matplotlib Line2D
        The curves.

    Examples
    --------
    >>> from skneuro.inspection import TrainingCurveDisplay
    >>> display = TrainingCurveDisplay(loss=[3.0, 2.5], validation_scores=[0.1, 0.2], name="GRU").plot()
    >>> display.axes_[1].get_ylabel()
    'validation (bits per spike)'
    """

    def __init__(
        self,
        *,
        loss: Sequence[float] | np.ndarray,
        validation_scores: Sequence[float] | np.ndarray | None = None,
        name: str | None = None,
        step_name: str = "epoch",
        loss_name: str = "training loss (nats)",
    ) -> None:
        self.loss = loss
        self.validation_scores = validation_scores
        self.name = name
        self.step_name = step_name
        self.loss_name = loss_name

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        name: str | None = None,
        step_name: str | None = None,
        axes: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted, with `loss_curve_` and, where it kept a validation set, `validation_scores_`.
        name : str, default=None
            Name of the model; its class by default.
        step_name : str, default=None
            What lies between two values: by default an "epoch", or of a model that counts no epochs (has no
            `max_epochs`) a "check", which `GRUModel` makes every 50 steps of training.
        axes : sequence of matplotlib Axes, default=None
            Where to draw: two, or one where there is no validation score.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : TrainingCurveDisplay
            The loss of a `NeuroformerEstimator` is in nats per token, that of a `GRUModel` in nats per bin: they do not
            compare.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it is of a kind that has no `loss_curve_`.
        """
        check_fitted_with(
            estimator,
            "loss_curve_",
            "has no training curve (`loss_curve_`). Give a fitted NeuroformerEstimator, GRUModel or decoder.",
        )
        loss_name, steps = _kinds_of(estimator)
        scores = getattr(estimator, "validation_scores_", None)
        scores = None if scores is None or not np.isfinite(scores).any() else scores
        display = cls(
            loss=estimator.loss_curve_,
            validation_scores=scores,
            name=name or type(estimator).__name__,
            step_name=step_name or steps,
            loss_name=loss_name,
        )
        return display.plot(axes=axes, **kwargs)

    def plot(self, axes: Any = None, *, color: Any = None) -> Self:
        """Draw the curves.

        Parameters
        ----------
        axes : sequence of matplotlib Axes, default=None
            Where to draw; a new figure by default.
        color : color, default=None
            Of the curves; matplotlib's next one by default.

        Returns
        -------
        display : TrainingCurveDisplay
            Itself, with `axes_`, `figure_` and `lines_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        plt = import_pyplot("TrainingCurveDisplay.plot")
        curves = [(self.loss_name, self.loss)]
        if self.validation_scores is not None:
            curves.append(("validation (bits per spike)", self.validation_scores))
        if axes is None:
            size = (3.4 * len(curves), 2.6)
            _, axes = plt.subplots(1, len(curves), figsize=size, squeeze=False, layout="constrained")
        self.axes_ = np.asarray(axes).ravel()[: len(curves)]
        self.figure_, self.lines_ = self.axes_[0].figure, []
        for ax, (label, values) in zip(self.axes_, curves, strict=True):
            marker = "o" if len(values) == 1 else "none"  # a line of one point would not be seen
            self.lines_ += ax.plot(
                np.arange(1, len(values) + 1),
                values,
                color=color,
                linewidth=1.4,
                marker=marker,
                markersize=4,
                label=self.name,
            )
            ax.set(xlabel=self.step_name, ylabel=label)
            ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
            tidy(ax)
        if self.validation_scores is not None and np.isfinite(self.validation_scores).any():
            best = int(np.nanargmax(self.validation_scores))
            self.axes_[1].plot(
                best + 1, self.validation_scores[best], "o", color=self.lines_[1].get_color(), markersize=4
            )
        return self


def _kinds_of(estimator: Any) -> tuple[str, str]:
    """What the loss of an estimator is, and what lies between two values of it."""
    from skneuro.baselines import GRUModel
    from skneuro.estimators import NeuroformerClassifier, NeuroformerEstimator, NeuroformerRegressor

    step_name = "epoch" if hasattr(estimator, "max_epochs") else "check"
    kinds = {
        NeuroformerEstimator: ("nats per token", step_name),
        NeuroformerClassifier: ("nats per label", step_name),
        NeuroformerRegressor: ("mean squared error", step_name),
        GRUModel: ("nats per bin", "check (every 50 steps)"),
    }
    unit, step_name = next((known for kind, known in kinds.items() if isinstance(estimator, kind)), ("", step_name))
    return f"training loss ({unit})" if unit else "training loss", step_name
