"""`ConnectivityInference`: who drives whom, from a fitted model or from the spikes alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

from skneuro._sklearn_compat import HasMethods, Interval, StrOptions, fit_context
from skneuro.connectivity._estimate import Estimate, Reach, estimate_convex, estimate_pairwise
from skneuro.connectivity._keep import keep
from skneuro.connectivity._report import AdjacencyReport
from skneuro.connectivity.attention import estimate_attention
from skneuro.connectivity.background import model_background
from skneuro.connectivity.effect import estimate_effects
from skneuro.connectivity.lags import whole_past
from skneuro.connectivity.model import estimate_from_kernels, fitted_coupling, unwrap
from skneuro.data import BinnedSpikes, ModelInput, Recording, SpikeTrains
from skneuro.data._lookahead import lookahead
from skneuro.exceptions import ShortenedLagWarning
from skneuro.preprocessing._units import read_units

__all__ = ["CoarseCouplingWarning", "ConnectivityInference"]

_COARSE = 0.010
_ROW = 0.005  # s, of a row of counts whose width was not said
# What each method does best with (docs/background/connectivity.md).
_BIN_WIDTH = {
    "coupling": 0.002,
    "glm": 0.005,
    "ccg": 0.001,
    "lagged_correlation": 0.005,
    "transfer_entropy": 0.005,
    "partial_correlation": 0.05,
    "pearson": 0.05,
}
_SAME_BIN = ("pearson", "partial_correlation")
_CONVEX = ("coupling", "glm")
_OF_MODEL = ("coupling", "effect", "attention")  # methods that can read an estimator


_ATTENTION = (
    "Attention is computed before the next unit is known: its row is the same for every unit that might fire, and "
    "cannot show who drives whom. Use method='coupling' for that."
)


class CoarseCouplingWarning(UserWarning):
    """Direction is read at bins so wide (more than 10 ms) that most direct influences fall within one bin.

    Examples
    --------
    >>> from skneuro.connectivity import CoarseCouplingWarning
    >>> issubclass(CoarseCouplingWarning, UserWarning)
    True
    """


class ConnectivityInference(AdjacencyReport, BaseEstimator):
    """Infer a directed, signed adjacency matrix of a population.

    Parameters
    ----------
    estimator : fitted estimator, default=None
        For ``method="coupling"``: the model whose coupling attention is read (`NeuroformerEstimator` with
        ``coupling=True``), or with ``background="model"`` any model with ``predict(X, stimuli)``. Wrap it in
        `sklearn.frozen.FrozenEstimator` wherever it may be cloned. None fits a coupled GLM directly.
    method : str, default="coupling"
        How to infer:

        - ``"coupling"``: coupling kernels of `estimator`; where there is none, of a coupled GLM that takes shared input
          into account and weighs each pair's kernel as edge or nuisance;
        - ``"effect"``: what a spike of a source does to the log-odds that `estimator`, a Neuroformer, gives the targets
          in contexts of X; for any other model with ``predict(X, stimuli)``, what it expects after spikes of a source
          against what it expects when they are all deleted, at the price of one prediction of X for each unit;
        - ``"attention"``: mean attention of `estimator`, a Neuroformer, from the spikes of a target to those of a
          source in its window: the readout of the paper. It warns, because it cannot show who drives whom;
        - ``"glm"``: the coupled Poisson GLM with a ridge penalty, and nothing else unless `background` or `dale` ask;
        - ``"ccg"``: z score of the cross-correlogram's peak, 7 ms wide, over its hollow-Gaussian trend;
        - ``"lagged_correlation"``: strongest correlation with the source's count of the bins before;
        - ``"transfer_entropy"``: the largest over delays, unsigned;
        - ``"partial_correlation"``: correlation in the same bin given all other units, symmetric;
        - ``"pearson"``: correlation in the same bin, symmetric.
    bin_width : float or "auto", default="auto", in seconds
        Bins to count spikes in; the width of a row where X is counts. "auto" is what the method does best with: 2 ms
        for ``"coupling"``, 1 ms for ``"ccg"``, 50 ms for the symmetric methods, 5 ms for the others; rows of counts are
        taken as 5 ms. Where kernels of `estimator` are read, its own ``bin_width`` is used instead.
    max_lag : float, default=0.04, in seconds
        How far the past is taken into account: reach of the kernels of ``"coupling"`` and ``"glm"``, four
        standard deviations of the trend of ``"ccg"``.
    readout_lag : float, default=0.015, in seconds
        Lags up to this one count as direct influence where kernels are summed or peaks are looked for: ``"glm"``,
        kernels of a model, ``"ccg"``, ``"lagged_correlation"``, ``"transfer_entropy"``. Longer lags mostly carry shared
        input.
    n_basis : int, default=5
        Raised cosines per kernel of ``"coupling"`` and ``"glm"``.
    alpha : float, default=20.0
        Ridge penalty of the same: inverse variance of the prior on a coefficient, in nats^-2.
    background : {"auto", "innovations", "model"} or None, default="auto"
        What ``"coupling"`` and ``"glm"`` know of input that units share: ``"innovations"`` reads it from what the
        couplings leave unexplained; ``"model"`` takes the expectation of `estimator` given the stimuli (and nothing of
        the spikes) as known, and then innovations for the rest; None nothing. ``"auto"`` is ``"innovations"`` for
        ``"coupling"`` and None for ``"glm"``.
    n_factors : int or "auto", default="auto"
        Number of factors of the innovations; "auto" takes as many as stand out.
    dale : bool or "auto", default="auto"
        Whether all edges of a source have one sign (Dale's law). For ``"coupling"``, "auto" decides by the evidence of
        the data, see `dale_`. For ``"glm"`` only True has an effect: it then reads edges as ``"coupling"`` does.
    attention_layers, attention_heads : sequence of int or None, default=None
        Which layers and heads of the decoder ``"attention"`` averages; None takes all.
    attention_rollout : bool, default=False
        Whether ``"attention"`` multiplies the layers instead of averaging them.
    attention_value_norm : bool, default=False
        Whether ``"attention"`` is weighed by the norm of the values that it carries.
    effect : {"deletion", "gradient"}, default="deletion"
        How ``"effect"`` asks a Neuroformer: with each spike of a context deleted, or by gradient times input. Per
        context the first takes one forward pass for each spike within `readout_lag`, the second one backward pass for
        each unit: it is cheaper where many units fire, and sees no further than the slope.
    n_contexts : int, default=2000
        Bins of X, evenly spaced, in which a Neuroformer is asked; the cost is proportional to it.
    fdr : float, default=0.05
        Rate of false discoveries of `significant_`.
    counts : {"round", "strict"}, default="round"
        Whether counts that are not whole are rounded, with a `NonIntegerCountsWarning`, or refused.
    allow_acausal : bool, default=False
        Whether directed methods take events that know their signal's future (`CalciumEvents` with ``"oasis"``), where
        an effect may come before its cause.

    Attributes
    ----------
    adjacency_ : ndarray of shape (n_units, n_units)
        ``[target, source]``. For ``"coupling"`` the posterior mean of the area of the edge's kernel, for ``"glm"`` and
        kernels of a model their sum over the lags read (nats x seconds), for ``"effect"`` the summed change of the log
        expectation per spike (nats x seconds), mean attention for ``"attention"``; z scores for ``"ccg"``, bits per
        bin for ``"transfer_entropy"``, correlations otherwise. NaN on the diagonal and for units that were silent.
    z_scores_ : ndarray of shape (n_units, n_units)
        How far the pair is from no edge, in standard errors; for methods that look at several lags the most extreme.
        Not there where a model is read.
    posterior_ : ndarray of shape (n_units, n_units)
        Probability of an edge; only where edges were weighed.
    significant_ : ndarray of shape (n_units, n_units), bool
        Edges at the stated rate of false discoveries, see `skneuro.connectivity.significant_edges`. Only for
        ``"coupling"`` without `estimator`, ``"glm"`` and ``"ccg"``: the rate of the others does not hold where units
        share input.
    n_observations_ : ndarray of shape (n_units, n_units), int64
        Bins in which the target, and the source over all lags read, were observed.
    lag_kernels_ : ndarray of shape (n_units, n_units, n_lags), in nats per spike
        ``[target, source, lag]``; only for ``"coupling"`` and ``"glm"``. Not shrunk.
    lags_ : ndarray of shape (n_lags,), in seconds
        Lags of `lag_kernels_`, or those that were read.
    dale_ : bool
        Whether Dale's law was used; only where edges were weighed.
    dale_evidence_ : float, in nats
        Log Bayes factor for Dale's law; NaN where ``dale`` was not "auto".
    shared_loadings_ : ndarray of shape (n_units, n_factors)
        How strongly each unit shows the shared input; no column where none was found. Only for the convex methods.
    unit_ids_ : ndarray of shape (n_units,)
        Identities of the units.
    unit_info_ : DataFrame or None
        What was known of them.
    n_features_in_ : int
        Number of units.
    feature_names_in_ : ndarray of shape (n_units,)
        Column names of X, where X is a DataFrame with names.

    Notes
    -----
    Lags never cross the edge of a trial or a gap. Only ``background="model"`` knows the stimulus: to all else, units
    that it drives together can look connected.

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
        "method": [StrOptions({*_BIN_WIDTH, *_OF_MODEL})],
        "bin_width": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "max_lag": [Interval(Real, 0, None, closed="neither")],
        "readout_lag": [Interval(Real, 0, None, closed="neither")],
        "n_basis": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "background": [StrOptions({"auto", "innovations", "model"}), None],
        "n_factors": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"})],
        "dale": ["boolean", StrOptions({"auto"})],
        "attention_layers": ["array-like", None],
        "attention_heads": ["array-like", None],
        "attention_rollout": ["boolean"],
        "attention_value_norm": ["boolean"],
        "effect": [StrOptions({"deletion", "gradient"})],
        "n_contexts": [Interval(Integral, 1, None, closed="left")],
        "fdr": [Interval(Real, 0, 1, closed="neither")],
        "counts": [StrOptions({"round", "strict"})],
        "allow_acausal": ["boolean"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        method: str = "coupling",
        bin_width: float | str = "auto",
        max_lag: float = 0.04,
        readout_lag: float = 0.015,
        n_basis: int = 5,
        alpha: float = 20.0,
        background: str | None = "auto",
        n_factors: int | str = "auto",
        dale: bool | str = "auto",
        attention_layers: Sequence[int] | None = None,
        attention_heads: Sequence[int] | None = None,
        attention_rollout: bool = False,
        attention_value_norm: bool = False,
        effect: str = "deletion",
        n_contexts: int = 2000,
        fdr: float = 0.05,
        counts: str = "round",
        allow_acausal: bool = False,
    ) -> None:
        self.estimator = estimator
        self.method = method
        self.bin_width = bin_width
        self.max_lag = max_lag
        self.readout_lag = readout_lag
        self.n_basis = n_basis
        self.alpha = alpha
        self.background = background
        self.n_factors = n_factors
        self.dale = dale
        self.attention_layers = attention_layers
        self.attention_heads = attention_heads
        self.attention_rollout = attention_rollout
        self.attention_value_norm = attention_value_norm
        self.effect = effect
        self.n_contexts = n_contexts
        self.fdr = fdr
        self.counts = counts
        self.allow_acausal = allow_acausal

    # The estimator is read, not fitted: its parameters were checked when it was.
    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> ConnectivityInference:
        """Infer the adjacency matrix.

        Parameters
        ----------
        X : SpikeTrains, Recording, or counts of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes. With `estimator`, of the units it was fitted on.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli for the `estimator` of ``"effect"``, ``"attention"`` and ``background="model"``, as in its own
            ``fit``; ignored otherwise.

        Returns
        -------
        ConnectivityInference
            The estimator itself.

        Raises
        ------
        ValueError
            If X has no spikes or no trial longer than the lags that are read, if its units are not those of
            `estimator`, `estimator` has no coupling, or parameters contradict each other; if X holds events that know
            their signal's future, without `allow_acausal`.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.

        Warns
        -----
        CoarseCouplingWarning
            If a directed method works at bins wider than 10 ms.
        ShortenedLagWarning
            If the longest trial is shorter than `max_lag`, or `max_lag` or the kernels of `estimator` shorter than
            `readout_lag`.
        SilentUnitsWarning
            If units were silent; their row and column are NaN.
        """
        model = self._model()
        reads = model is not None and self.background != "model"
        width = float(model.bin_width) if reads else self._width(X)
        given = read_units(self, X, bin_width=width, counts=self.counts, reset=True)
        ahead = lookahead(given.trials)
        if ahead and not self.allow_acausal and self.method not in _SAME_BIN:
            raise ValueError(
                f"The events of X know up to {ahead:.3g} s of the future, so that an effect may come before its cause. "
                f"Infer them with CalciumEvents(method='threshold'), use a symmetric method ({', '.join(_SAME_BIN)}), "
                f"or set allow_acausal=True and read no direction."
            )
        self._bin_width, binned = width, given.spikes
        self.unit_info_ = None if given.trials is None else given.trials.unit_info.copy()
        reach = self._reach(binned, model if reads else None)
        self._check_length(binned, reach.read)
        if self.method not in (*_SAME_BIN, "attention") and width > _COARSE * (1 + 1e-9):
            warnings.warn(
                f"Direction is read at bins of {1e3 * width:g} ms. Above 10 ms most direct influences fall within one "
                "bin and their direction is lost; 2 to 5 ms lose little.",
                CoarseCouplingWarning,
                stacklevel=2,
            )
        keep(self, self._infer(given, X, y, model, reach), binned, reach)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags

    def _model(self) -> Any:
        if self.background == "model" and self.estimator is None:
            raise ValueError("background='model' needs an estimator: a fitted model with predict(X, stimuli).")
        if self.background == "model" and self.method not in _CONVEX:
            raise ValueError(f"method={self.method!r} takes no background. Use method='coupling' or method='glm'.")
        if self.method not in _CONVEX and (self.background == "innovations" or self.dale is True):
            raise ValueError(
                f"method={self.method!r} takes no background='innovations' and no dale=True. Use method='coupling' or "
                "method='glm'."
            )
        if self.estimator is not None and self.method == "coupling" and self.background == "innovations":
            raise ValueError(
                "The kernels of an estimator are read as they were trained, without innovations. Use "
                "background='model', or leave estimator=None."
            )
        if self.estimator is not None and self.method not in _OF_MODEL and self.background != "model":
            raise ValueError(
                f"method={self.method!r} reads no estimator. Use one of {_OF_MODEL}, or leave estimator=None."
            )
        if self.estimator is None and self.method in ("effect", "attention"):
            raise ValueError(f"method={self.method!r} needs an estimator: a fitted model to ask.")
        return None if self.estimator is None else unwrap(self.estimator)

    def _width(self, X: Any) -> float:
        if not isinstance(self.bin_width, str):
            return float(self.bin_width)
        if not isinstance(X, (SpikeTrains, Recording)):
            return _ROW  # a row of counts must have some width, and one for all methods
        wanted, given = _BIN_WIDTH[self.method], (X.spikes if isinstance(X, Recording) else X).resolution
        # Spikes that were counts once cannot be told apart within those bins.
        return float(np.ceil(wanted / given - 1e-6) * given) if given else wanted

    def _reach(self, binned: BinnedSpikes, model: Any) -> Reach:
        """The lags in bins, as far as trials and kernels reach; says so where that is not as far as was asked."""
        width, longest = binned.bin_width, int(np.diff(binned.ptr).max(initial=0))
        wanted = _n_bins(self.max_lag, width)
        n_read = 0 if self.method in _SAME_BIN else _n_bins(self.readout_lag, width)
        reach = Reach(min(wanted, max(longest - 1, 1)), n_read)
        limits = []
        if self.method in (*_CONVEX, "ccg") and model is None and reach.modelled < wanted:
            limits.append(("max_lag", reach.modelled, f"the longest trial has {longest} bins"))
        if self.method == "coupling" and model is not None:
            there = min(fitted_coupling(model).shape[2], reach.modelled)
            if there < reach.read:
                limits.append(("readout_lag", there, "the kernels of the estimator, or max_lag, end there"))
        elif self.method in _CONVEX and reach.modelled < reach.read and longest > reach.read:
            limits.append(("readout_lag", reach.modelled, f"max_lag={self.max_lag:g} ends there"))
        for name, n_bins, why in limits:
            warnings.warn(
                f"{name}={getattr(self, name):g} s was shortened to {n_bins * width:g} s, because {why}.",
                ShortenedLagWarning,
                stacklevel=3,
            )
        return reach

    def _check_length(self, binned: BinnedSpikes, n_read: int) -> None:
        lengths = np.diff(binned.ptr)
        if binned.n_bins < 2:
            raise ValueError(
                f"Found array with {binned.n_bins} sample(s) (bins) while a minimum of 2 is required by "
                "ConnectivityInference."
            )
        if not len(whole_past(binned, n_read)):
            raise ValueError(
                f"No bin of {binned.bin_width:g} s has {n_read} observed bins before it in its trial: the longest "
                f"trial has {lengths.max(initial=0)} bins. Give longer trials, or lower readout_lag."
            )
        if not binned.unit_counts().any():
            raise ValueError("ConnectivityInference needs spikes, and there are none in observed time.")

    def _infer(self, given: ModelInput, X: Any, y: Any, model: Any, reach: Reach) -> Estimate:
        if self.method == "effect":
            return estimate_effects(
                model, X, y, given, reach, gradient=self.effect == "gradient", n_contexts=int(self.n_contexts)
            )
        if self.method == "attention":
            warnings.warn(_ATTENTION, stacklevel=4)
            return estimate_attention(
                model,
                X,
                y,
                layers=self.attention_layers,
                heads=self.attention_heads,
                rollout=self.attention_rollout,
                value_norm=self.attention_value_norm,
            )
        if self.method not in _CONVEX:
            return estimate_pairwise(self.method, given.spikes, reach)
        if model is not None and self.background != "model":
            return estimate_from_kernels(model, given, reach)
        offset = None
        if self.background == "model":
            offset = model_background(model, X, y, given, reach.modelled)
        coupling = self.method == "coupling"
        return estimate_convex(
            given.spikes,
            reach,
            n_basis=self.n_basis,
            alpha=float(self.alpha),
            innovations=self.background in ("innovations", "model") or (coupling and self.background == "auto"),
            n_factors=None if isinstance(self.n_factors, str) else int(self.n_factors),
            dale=self.dale,
            edges=coupling or self.dale is True,
            offset=offset,
        )


def _n_bins(lag: float, width: float) -> int:
    """Lags of `width` that fit into `lag`, at least one."""
    return max(1, int(lag / width + 1e-6))
