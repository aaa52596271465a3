"""`ConnectivityInference`: who drives whom, from a fitted model or from the spikes alone."""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning

from .._sklearn_compat import HasMethods, Interval, StrOptions, check_is_fitted, fit_context
from ..data import BinnedSpikes, ModelInput
from ..metrics.connectivity import adjacency_scores, auprc
from ..preprocessing._units import check_unit_ids, read_units
from .baselines import cross_correlogram_z, lagged_correlation, partial_correlation, pearson
from .glm import fit_coupled_glm
from .lags import pair_observations, whole_past
from .model import fitted_coupling, unwrap
from .truth import read_truth

__all__ = ["CoarseCouplingWarning", "ConnectivityInference"]

_COARSE = 0.010
_SAME_BIN = ("pearson", "partial_correlation")


class CoarseCouplingWarning(UserWarning):
    """Coupling is read at bins so wide (more than 10 ms) that most direct influences fall within one bin.

    Examples
    --------
    >>> from skneuro.connectivity import CoarseCouplingWarning
    >>> issubclass(CoarseCouplingWarning, UserWarning)
    True
    """


class ConnectivityInference(BaseEstimator):
    """Infer a directed, signed adjacency matrix of a population.

    Parameters
    ----------
    estimator : fitted estimator with ``coupling_kernels_``, default=None
        For ``method="coupling"``: the model to read, a `NeuroformerEstimator` fitted with ``coupling=True``,
        wrapped in `sklearn.frozen.FrozenEstimator` wherever it may be cloned. None fits a coupled GLM
        directly.
    method : str, default="coupling"
        How to infer:

        - ``"coupling"``: coupling kernels of `estimator`, or those of ``"glm"`` where there is none;
        - ``"glm"``: coupled Poisson GLM with a ridge penalty, a convex fit;
        - ``"ccg"``: z score of the cross-correlogram's peak over its hollow-Gaussian trend;
        - ``"lagged_correlation"``: strongest correlation with the source's count of the bins before;
        - ``"partial_correlation"``: correlation in the same bin given all other units, symmetric;
        - ``"pearson"``: correlation in the same bin, symmetric.
    bin_width : float, default=0.005, in seconds
        Bins to count spikes in; the width of a row where X is counts. With `estimator`, its own ``bin_width``
        is used instead. The symmetric methods do best at about 0.05, all others at 0.001 to 0.005.
    max_lag : float, default=0.05, in seconds
        How far the past is taken into account: reach of the kernels of ``"coupling"`` and ``"glm"``, two
        standard deviations of the trend of ``"ccg"``.
    readout_lag : float, default=0.015, in seconds
        Lags up to this one count as direct influence: the kernels are summed, and peaks are looked for, over
        one bin to here. Longer lags mostly carry shared input.
    n_basis : int, default=4
        Raised cosines per kernel of the GLM.
    alpha : float, default=20.0
        Ridge penalty of the GLM: inverse variance of the prior on a coefficient, in nats^-2.
    counts : {"round", "strict"}, default="round"
        Whether counts that are not whole are rounded, with a `NonIntegerCountsWarning`, or refused.

    Attributes
    ----------
    adjacency_ : ndarray of shape (n_units, n_units)
        ``[target, source]``: summed log-intensity per spike (nats x seconds) for ``"coupling"`` and
        ``"glm"``, z scores for ``"ccg"``, correlations otherwise. NaN on the diagonal and for units that were
        silent.
    n_observations_ : ndarray of shape (n_units, n_units), int64
        Bins in which the target, and the source over all lags read, were observed.
    lag_kernels_ : ndarray of shape (n_units, n_units, n_lags), in nats per spike
        ``[target, source, lag]``; only for ``"coupling"`` and ``"glm"``.
    lags_ : ndarray of shape (n_lags,), in seconds
        Lags of `lag_kernels_`, or those that were read.
    unit_ids_ : ndarray of shape (n_units,)
        Identities of the units.
    n_features_in_ : int
        Number of units.
    feature_names_in_ : ndarray of shape (n_units,)
        Column names of X, where X is a DataFrame with names.

    Notes
    -----
    Lags never cross the edge of a trial or a gap. These methods do not know the stimulus: units that it
    drives together can look connected.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity import ConnectivityInference
    >>> from skneuro.data import SpikeTrains
    >>> rng = np.random.default_rng(0)
    >>> driver = np.sort(rng.uniform(0, 59, 600))
    >>> times = {"driver": driver, "follower": driver + 0.008}
    >>> spikes = SpikeTrains.from_unit_times(times, epochs=[(0.0, 60.0)])
    >>> table = ConnectivityInference(method="ccg").fit(spikes).to_frame()
    >>> bool(table.loc["follower", "driver"] > 20), bool(table.loc["driver", "follower"] > 20)
    (True, False)
    """

    _parameter_constraints: dict = {
        "estimator": [None, HasMethods(["fit"])],
        "method": [
            StrOptions({"coupling", "glm", "ccg", "lagged_correlation", "partial_correlation", "pearson"})
        ],
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "max_lag": [Interval(Real, 0, None, closed="neither")],
        "readout_lag": [Interval(Real, 0, None, closed="neither")],
        "n_basis": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "counts": [StrOptions({"round", "strict"})],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: str = "coupling",
        bin_width: float = 0.005,
        max_lag: float = 0.05,
        readout_lag: float = 0.015,
        n_basis: int = 4,
        alpha: float = 20.0,
        counts: str = "round",
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.bin_width = bin_width
        self.max_lag = max_lag
        self.readout_lag = readout_lag
        self.n_basis = n_basis
        self.alpha = alpha
        self.counts = counts

    # The estimator is read, not fitted: its parameters were checked when it was.
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ConnectivityInference:
        """Infer the adjacency matrix.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes. With `estimator`, of the units it was fitted on; they give `n_observations_`.
        y : object, default=None
            Ignored: these methods know no stimulus. It is there because scikit-learn passes it.

        Returns
        -------
        ConnectivityInference
            The estimator itself.

        Raises
        ------
        ValueError
            If X has no spikes or no trial longer than the lags that are read, if its units are not those of
            `estimator`, or `estimator` has no coupling.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.

        Warns
        -----
        CoarseCouplingWarning
            If kernels are read at bins wider than 10 ms.
        UserWarning
            If units were silent; their row and column are NaN.
        """
        if self.estimator is not None and self.method != "coupling":
            raise ValueError(
                f"method={self.method!r} reads no estimator. Use method='coupling', or leave estimator=None."
            )
        model = None if self.estimator is None else unwrap(self.estimator)
        width = float(self.bin_width if model is None else model.bin_width)
        given = read_units(self, X, bin_width=width, counts=self.counts, reset=True)
        binned = given.spikes
        n_read = 0 if self.method in _SAME_BIN else _n_bins(self.readout_lag, width)
        self._check_length(binned, n_read)
        if self.method in ("coupling", "glm") and width > _COARSE * (1 + 1e-9):
            warnings.warn(
                f"Coupling is read at bins of {1e3 * width:g} ms. Above 10 ms most direct influences fall "
                f"within one "
                "bin and their direction is lost; 5 ms loses nothing.",
                CoarseCouplingWarning,
                stacklevel=2,
            )
        strength = self._infer(given, model, width, n_read)
        self.n_observations_ = pair_observations(binned, n_read)
        self.adjacency_ = _without_unknown(strength, binned)
        return self

    def score(self, X: Any, y: Any = None) -> float:
        """Average precision of ``|adjacency_|`` for finding the true edges (AUPRC), off the diagonal.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Only checked to be of the units seen in `fit`; the adjacency is not inferred again.
        y : array-like or DataFrame of shape (n_units, n_units)
            True adjacency ``[target, source]``; 0 for no edge, NaN where it is not known. A DataFrame is
            brought in the order of the units by its labels.

        Returns
        -------
        float
            NaN, with an `UndefinedMetricWarning`, where `y` is one value per row, as scikit-learn's own tools
            pass it, or None: without a true adjacency there is nothing to score.

        Raises
        ------
        ValueError
            If `y` is a matrix of another shape, or of other units.
        """
        check_is_fitted(self)
        read_units(self, X, bin_width=self._bin_width, counts=self.counts, reset=False)
        if y is None or np.ndim(y) != 2:
            warnings.warn(
                "score needs the true adjacency, a matrix [target, source]; without one the score is NaN.",
                UndefinedMetricWarning,
                stacklevel=2,
            )
            return float("nan")
        return auprc(self.adjacency_, read_truth(y, self.unit_ids_, self.adjacency_))

    def compare(self, other: Any) -> dict[str, float]:
        """Compare the adjacency with a known truth, or with another method's.

        Parameters
        ----------
        other : array-like or DataFrame of shape (n_units, n_units), or fitted ConnectivityInference
            A matrix is taken as the true adjacency ``[target, source]``, 0 for no edge and NaN where it is
            not known.

        Returns
        -------
        dict of str to float
            For a truth, as `skneuro.metrics.connectivity.adjacency_scores`. For another inference, over the
            pairs that both know: ``pearson`` and ``spearman`` correlation, ``sign_agreement`` and
            ``n_pairs``.

        Raises
        ------
        ValueError
            If the units or the shape differ.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.connectivity import ConnectivityInference
        >>> counts = np.random.default_rng(0).poisson(0.2, (500, 3))
        >>> glm = ConnectivityInference().fit(counts)
        >>> glm.compare(ConnectivityInference(method="glm").fit(counts))["sign_agreement"]
        1.0
        """
        check_is_fitted(self)
        if not isinstance(other, ConnectivityInference):
            return adjacency_scores(self.adjacency_, read_truth(other, self.unit_ids_, self.adjacency_))
        check_is_fitted(other)
        check_unit_ids(other.unit_ids_, self.unit_ids_)
        both = ~(np.isnan(self.adjacency_) | np.isnan(other.adjacency_))
        mine, theirs = self.adjacency_[both], other.adjacency_[both]
        varied = len(mine) > 1 and np.ptp(mine) > 0 and np.ptp(theirs) > 0
        return {
            "pearson": float(np.corrcoef(mine, theirs)[0, 1]) if varied else float("nan"),
            "spearman": float(stats.spearmanr(mine, theirs).statistic) if varied else float("nan"),
            "sign_agreement": float((np.sign(mine) == np.sign(theirs)).mean()) if len(mine) else float("nan"),
            "n_pairs": len(mine),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return the adjacency as a table.

        Returns
        -------
        DataFrame of shape (n_units, n_units)
            Rows are targets, columns are sources, both labelled by unit id.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.connectivity import ConnectivityInference
        >>> counts = np.random.default_rng(0).poisson(0.2, (500, 3))
        >>> ConnectivityInference(method="pearson").fit(counts).to_frame().shape
        (3, 3)
        """
        check_is_fitted(self)
        return pd.DataFrame(
            self.adjacency_,
            index=pd.Index(self.unit_ids_, name="target"),
            columns=pd.Index(self.unit_ids_, name="source"),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags

    def _check_length(self, binned: BinnedSpikes, n_read: int) -> None:
        lengths = np.diff(binned.ptr)
        if binned.n_bins < 2:
            raise ValueError(
                f"Found array with {binned.n_bins} sample(s) (bins) while a minimum of 2 is required by "
                "ConnectivityInference."
            )
        if not len(whole_past(binned, n_read)):
            raise ValueError(
                f"No bin of {binned.bin_width:g} s has {n_read} observed bins before it in its trial: the "
                f"longest "
                f"trial has {lengths.max(initial=0)} bins. Give longer trials, or lower readout_lag."
            )
        if not binned.unit_counts().any():
            raise ValueError("ConnectivityInference needs spikes, and there are none in observed time.")

    def _infer(self, given: ModelInput, model: Any, width: float, n_read: int) -> np.ndarray:
        self._bin_width = width
        self.__dict__.pop("lag_kernels_", None)  # of an earlier fit, by a method that has kernels
        self.lags_ = np.arange(1, n_read + 1) * width if n_read else np.zeros(1)
        binned, n_lags = given.spikes, _n_bins(self.max_lag, width)
        if self.method == "pearson":
            return pearson(binned)
        if self.method == "partial_correlation":
            return partial_correlation(binned)
        if self.method == "lagged_correlation":
            return lagged_correlation(binned, n_read)
        if self.method == "ccg":
            return cross_correlogram_z(binned, n_lags, n_read)
        kernels = self._fit_glm(binned, n_lags) if model is None else _model_kernels(model, given)
        self.lag_kernels_ = kernels[:, :, :n_lags]
        self.lags_ = np.arange(1, self.lag_kernels_.shape[2] + 1) * width
        return self.lag_kernels_[:, :, :n_read].sum(axis=2) * width

    def _fit_glm(self, binned: BinnedSpikes, n_lags: int) -> np.ndarray:
        # Short trials bound the reach: a bin needs its whole past.
        n_lags = min(n_lags, int(np.diff(binned.ptr).max()) - 1)
        fit = fit_coupled_glm(binned, n_lags, n_basis=self.n_basis, alpha=float(self.alpha))
        if not fit.converged:
            warnings.warn(
                f"The coupled GLM did not converge in {fit.n_iter} iterations; raise alpha.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return fit.kernels


def _n_bins(lag: float, width: float) -> int:
    """Lags of `width` that fit into `lag`, at least one."""
    return max(1, int(lag / width + 1e-6))


def _model_kernels(model: Any, given: ModelInput) -> np.ndarray:
    kernels, n_units = fitted_coupling(model), given.spikes.n_units
    if len(kernels) != n_units:
        raise ValueError(f"X has {n_units} units, but the estimator was fitted on {len(kernels)}.")
    if given.trials is not None:
        check_unit_ids(given.spikes.unit_ids, np.asarray(model.unit_ids_))
    return kernels


def _without_unknown(strength: np.ndarray, binned: BinnedSpikes) -> np.ndarray:
    """Put NaN where nothing can be known: on the diagonal and for units without spikes."""
    adjacency = np.array(strength, dtype=np.float64)
    np.fill_diagonal(adjacency, np.nan)
    silent = binned.unit_counts() == 0
    if silent.any():
        adjacency[silent, :] = np.nan
        adjacency[:, silent] = np.nan
        names = binned.unit_ids[silent].tolist()
        warnings.warn(
            f"{silent.sum()} of {len(silent)} units have no spike in observed time; their rows and columns "
            f"are NaN: "
            f"{names[:5]}{' ...' if len(names) > 5 else ''}.",
            stacklevel=3,
        )
    return adjacency
