"""The one place that touches scikit-learn's private interfaces (1.6 to 1.9) and its callbacks (1.9).

Everything else in skneuro imports these names from here, so that a release of scikit-learn that moves one of
them is mended in one file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._optional_dependencies import check_matplotlib_support
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    _num_samples,
    check_is_fitted,
)

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn < 1.9 has no callbacks

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where there are no callbacks: it adds nothing."""


__all__ = [
    "CallbackSupportMixin",
    "FitEvents",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "check_feature_names",
    "check_is_fitted",
    "check_matplotlib_support",
    "check_n_features",
    "fit_context",
    "num_samples",
    "safe_indexing",
    "validate_parameter_constraints",
]

fit_context = _fit_context
num_samples = _num_samples
safe_indexing = _safe_indexing


def check_n_features(estimator: Any, n_features: int, *, reset: bool) -> None:
    """Set ``n_features_in_``, or compare with it in scikit-learn's words.

    scikit-learn reads the number from ``X.shape[1]``, which for counts of shape (trials, bins, units) is the
    number of bins; here it is given.

    Parameters
    ----------
    estimator : estimator
        Sets (``reset=True``) or has (``reset=False``) the attribute ``n_features_in_``.
    n_features : int
        Number of units in the input.
    reset : bool
        True in ``fit``, False in every other method.

    Raises
    ------
    ValueError
        If the number differs from the one seen in ``fit``.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> estimator = BaseEstimator()
    >>> check_n_features(estimator, 5, reset=True)
    >>> check_n_features(estimator, 3, reset=False)
    Traceback (most recent call last):
    ValueError: X has 3 features, but BaseEstimator is expecting 5 features as input.
    """
    _check_n_features(estimator, _Width(n_features), reset=reset)


def check_feature_names(estimator: Any, X: Any, *, reset: bool) -> None:
    """Set ``feature_names_in_`` from a DataFrame's columns, or compare with it in scikit-learn's words.

    Parameters
    ----------
    estimator : estimator
        Sets (``reset=True``) or has (``reset=False``) the attribute ``feature_names_in_``.
    X : object
        The input as the user gave it; only a DataFrame with string columns has names.
    reset : bool
        True in ``fit``, False in every other method.

    Raises
    ------
    ValueError
        If the names differ from those seen in ``fit``.

    Examples
    --------
    >>> import pandas as pd
    >>> from sklearn.base import BaseEstimator
    >>> estimator = BaseEstimator()
    >>> check_feature_names(estimator, pd.DataFrame({"A1": [0], "A2": [1]}), reset=True)
    >>> estimator.feature_names_in_.tolist()
    ['A1', 'A2']
    """
    _check_feature_names(estimator, X, reset=reset)


class _Width:
    """The part of an array that scikit-learn's check of the number of features looks at."""

    def __init__(self, n_features: int):
        self.shape = (1, n_features)

    def __len__(self) -> int:
        return 1


class FitEvents:
    """Tells scikit-learn's callbacks how a fit goes; does nothing where there are none (scikit-learn < 1.9).

    Create it once in ``fit``, under :func:`fit_context` (which ends the callbacks).

    Parameters
    ----------
    estimator : estimator
        An estimator that inherits from :class:`CallbackSupportMixin`.
    max_epochs : int
        Largest number of epochs of this fit.
    X, y : object
        What ``fit`` was given.

    Examples
    --------
    >>> from sklearn.base import BaseEstimator
    >>> class Counter(CallbackSupportMixin, BaseEstimator):
    ...     _parameter_constraints = {}
    ...     @fit_context(prefer_skip_nested_validation=True)
    ...     def fit(self, X, y=None):
    ...         events = FitEvents(self, 3, X, y)
    ...         for n_epochs in range(1, 4):
    ...             events.epoch_begins()
    ...             if events.epoch_ends(lambda: {"n_epochs_": n_epochs}):
    ...                 break
    ...         events.fit_ends(lambda: {"n_epochs_": n_epochs})
    ...         self.n_epochs_ = n_epochs
    ...         return self
    >>> Counter().fit([[0.0]]).n_epochs_
    3
    """

    def __init__(self, estimator: Any, max_epochs: int, X: Any, y: Any = None):
        self._estimator, self._X, self._y = estimator, X, y
        self._epoch: Any = None
        self._fit: Any = None
        if hasattr(estimator, "_init_callback_context"):
            self._fit = estimator._init_callback_context(max_subtasks=max_epochs)
            self._fit.call_on_fit_task_begin(estimator=estimator, X=X, y=y)

    def epoch_begins(self) -> None:
        """Announce an epoch."""
        if self._fit is not None:
            self._epoch = self._fit.subcontext(task_name="epoch")
            self._epoch.call_on_fit_task_begin(estimator=self._estimator, X=self._X, y=self._y)

    def epoch_ends(self, fitted_attributes: Callable[[], dict[str, Any]]) -> bool:
        """Announce the end of an epoch.

        Parameters
        ----------
        fitted_attributes : callable
            Returns every attribute that a copy of the estimator needs in order to predict, by name. It is
            called only where a callback asks for the fitted estimator.

        Returns
        -------
        stop : bool
            True where a callback asks to stop training.
        """
        return self._end(self._epoch, fitted_attributes)

    def fit_ends(self, fitted_attributes: Callable[[], dict[str, Any]]) -> None:
        """Announce the end of the fit.

        Parameters
        ----------
        fitted_attributes : callable
            As in :meth:`epoch_ends`.
        """
        self._end(self._fit, fitted_attributes)

    def _end(self, context: Any, fitted_attributes: Callable[[], dict[str, Any]]) -> bool:
        if context is None:
            return False
        return bool(
            context.call_on_fit_task_end(
                estimator=self._estimator, X=self._X, y=self._y, reconstruction_attributes=fitted_attributes
            )
        )
