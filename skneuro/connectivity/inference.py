"""`ConnectivityInference`: who drives whom, from a fitted model or from the spikes alone."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from sklearn.base import BaseEstimator

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import HasMethods, Interval, StrOptions, fit_context
from skneuro._warn import warn_user
from skneuro.connectivity._estimate import Estimate, Reach, estimate_convex, estimate_pairwise
from skneuro.connectivity._keep import keep
from skneuro.connectivity._report import AdjacencyReport
from skneuro.connectivity._request import (
    BIN_WIDTH,
    CONVEX,
    OF_MODEL,
    SAME_BIN,
    check_length,
    chosen_width,
    lags_in_reach,
    model_to_read,
)
from skneuro.connectivity.attention import estimate_attention
from skneuro.connectivity.background import model_background
from skneuro.connectivity.effect import estimate_effects
from skneuro.connectivity.model import estimate_from_kernels
from skneuro.data import ModelInput
from skneuro.data._lookahead import lookahead
from skneuro.preprocessing._units import read_units

__all__ = ["CoarseCouplingWarning", "ConnectivityInference"]

_COARSE = 0.010  # s
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
        taken as 5 ms. Where `estimator` is read, "auto" is its own ``bin_width``, and no other is taken.
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
        couplings leave unexplained, and takes the slow rates (5 s) of units that drift as known; ``"model"`` takes the
        expectation of `estimator` given the stimuli (and nothing of the spikes) as known, and then innovations for the
        rest; None nothing. ``"auto"`` is ``"innovations"`` for ``"coupling"`` and None for ``"glm"``.
    n_factors : int or "auto", default="auto"
        Number of factors of the innovations, at most a quarter of the units and none for fewer than four; "auto" takes
        as many as stand out.
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
        Bins of X, evenly spaced, in which a Neuroformer is asked; the cost is proportional to it. Units so silent that
        these hold too few of their spikes are named by a warning.
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
        bin for ``"transfer_entropy"``, correlations otherwise. These two, where lagged, are shrunk for pairs that were
        observed together for less time than others. NaN on the diagonal and for units that were silent.
    z_scores_ : ndarray of shape (n_units, n_units)
        How far the pair is from no edge, in standard errors; for methods that look at several lags the most extreme.
        For ``"coupling"`` and ``"glm"`` the normal deviate of as small a p-value under a Poisson law, which differs
        where two units rarely meet. Not there where a model is read.
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
        "method": [StrOptions({*BIN_WIDTH, *OF_MODEL})],
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
        TypeError
            If `estimator` is no model of spikes: of a search or a pipeline, give the model inside it.
        ValueError
            If X has no spikes or no trial longer than the lags that are read, if its units are not those of
            `estimator`, `estimator` has no coupling or another `bin_width` than in its fit, or parameters contradict
            each other; if X holds events that know their signal's future, without `allow_acausal`; if `max_lag` ends
            before the effect of a synapse begins. A fit that fails leaves the inference as it was.
        sklearn.exceptions.NotFittedError
            If `estimator` is not fitted.

        Warns
        -----
        CoarseCouplingWarning
            If a directed method works at bins wider than 10 ms.
        ShortenedLagWarning
            If the longest trial is shorter than `max_lag`, or `max_lag` or the kernels of `estimator` shorter than
            `readout_lag`; if `n_contexts` are too few for the effects of some units at all lags, or the spikes of some
            have no effect that can be seen (their columns are NaN).
        SilentUnitsWarning
            If units were silent; their row and column are NaN.
        UserWarning
            If the couplings of `estimator` are read and had the dense prior, under which none is zero.
        """
        with as_before_on_failure(self):
            model = model_to_read(self)
            reads = model is not None and self.background != "model"
            width = float(model.bin_width) if reads else chosen_width(self, X)
            given = read_units(self, X, bin_width=width, counts=self.counts, reset=True)
            self._check_causal(given)
            self._bin_width, binned = width, given.spikes
            self.unit_info_ = None if given.trials is None else given.trials.unit_info.copy()
            reach = lags_in_reach(self, binned, model if reads else None)
            check_length(binned, reach.read)
            if self.method not in (*SAME_BIN, "attention") and width > _COARSE * (1 + 1e-9):
                warn_user(
                    f"Direction is read at bins of {1e3 * width:g} ms. Above 10 ms most direct influences fall within "
                    "one bin and their direction is lost; 2 to 5 ms lose little.",
                    CoarseCouplingWarning,
                )
            keep(self, self._infer(given, X, y, model, reach), binned, reach)
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = False
        return tags

    def _check_causal(self, given: ModelInput) -> None:
        """Refuse to read directions from events that know their signal's future."""
        ahead = lookahead(given.trials)
        if ahead and not self.allow_acausal and self.method not in SAME_BIN:
            raise ValueError(
                f"The events of X know up to {ahead:.3g} s of the future, so that an effect may come before its cause. "
                f"Infer them with CalciumEvents(method='threshold'), use a symmetric method ({', '.join(SAME_BIN)}), "
                f"or set allow_acausal=True and read no direction."
            )

    def _infer(self, given: ModelInput, X: Any, y: Any, model: Any, reach: Reach) -> Estimate:
        if self.method == "effect":
            return estimate_effects(
                model, X, y, given, reach, gradient=self.effect == "gradient", n_contexts=int(self.n_contexts)
            )
        if self.method == "attention":
            warn_user(_ATTENTION)
            return estimate_attention(
                model,
                X,
                y,
                layers=self.attention_layers,
                heads=self.attention_heads,
                rollout=self.attention_rollout,
                value_norm=self.attention_value_norm,
            )
        if self.method not in CONVEX:
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
