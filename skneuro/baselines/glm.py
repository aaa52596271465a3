"""`CoupledGLM`: each unit's log-rate is linear in its own past, that of the others, and the stimulus."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import Interval, StrOptions, fit_context
from skneuro._warn import warn_user
from skneuro.baselines._baseline import HistoryBaseline
from skneuro.baselines._features import (
    CountScale,
    bin_in_trial,
    filter_past,
    lag_kernels,
    n_lags,
    visible_cells,
)
from skneuro.baselines._heads import HEADS, CountHead
from skneuro.baselines._penalised import Problem, Weights, choose_penalty
from skneuro.baselines._same_bin import CellDrawer, LinearTerm
from skneuro.baselines._simulation import Forced, State
from skneuro.baselines._split import held_out_bins
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities

# Stimuli are few against the many coupling weights, and what they explain is large: they are penalised less.
_STIMULUS_PENALTY = 0.01
_BY_CHANCE = 2.0  # nats of held-out likelihood
_ALPHAS = (6000.0, 2000.0, 600.0, 200.0, 60.0, 20.0)


class CoupledGLM(HistoryBaseline):
    """Coupled generalised linear model of a population, all units fitted at once.

    The log-intensity of a unit is linear in its own recent counts, in those of the other units, and in the stimulus,
    each filtered by raised cosines on a logarithmic lag axis. Lags never reach before the start of a trial. The
    ridge penalty is chosen on held-out blocks of the training data: one for all units, and another for a unit whose own
    best explains its held-out counts better by more than two nats.

    Parameters
    ----------
    bin_width : float, default=0.01
        Width of a bin, in seconds.
    window_bins : int, default=1
        Bins of a window: how far `predict` looks ahead.
    history : float, default=0.6
        Longest lag of past spikes, in seconds; below `bin_width` there is no history.
    stimulus_history : float, default=0.6
        Longest lag of the stimulus, in seconds. The bin itself is always seen.
    n_basis : int, default=5
        Raised cosines for the lags of each unit and each stimulus.
    coupling : bool, default=True
        Whether the past of the other units enters; otherwise only a unit's own does.
    same_bin : {None, "linear"}, default=None
        Whether a unit sees the counts of lower units (columns to its left) in the same bin. By the chain rule this is
        a proper model of the population, and the fair opponent of a model that emits spikes one by one.
    counts : {"poisson", "negative_binomial", "categorical"}, default="poisson"
        Distribution of a count. "categorical" has free probabilities for each unit's counts, tilted by the
        log-intensity, and a geometric tail beyond the largest count of the training data.
    alphas : float or sequence of float, default=(6000, 2000, 600, 200, 60, 20)
        Candidates for the ridge penalty: inverse variance of a weight, whatever the amount of data. Counts are in units
        of the population's mean standard deviation, stimuli in standard deviations. One value is used as it is.
    validation_fraction : float, default=0.2
        Share of the training data, in blocks, on which the penalty is chosen. The final fit uses all.
    n_draws : int, default=32
        Draws that `predict` averages over where counts inside the window matter.
    max_iter : int, default=200
        Most iterations of a fit.
    tol : float, default=1e-6
        A unit has converged when a step can gain less than this, in nats per bin.

    Attributes
    ----------
    history_coef_ : ndarray of shape (n_basis, n_units, n_units), basis by source by target
        Weights of the filtered past.
    stimulus_coef_ : ndarray of shape (n_basis, n_stimulus_features, n_units)
        Weights of the filtered stimulus.
    same_bin_coef_ : ndarray of shape (n_units, n_units), source by target
        Weights of lower units in the same bin; zeros without `same_bin`.
    intercept_ : ndarray of shape (n_units,)
        Log-intensity when all else is average.
    shape_ : ndarray of shape (n_shape, n_units)
        Shape parameters of the count distribution.
    alpha_ : ndarray of shape (n_units,)
        Ridge penalty of each unit.
    kernels_ : ndarray of shape (n_lags, n_basis)
        Raised cosines of the past spikes; row k is the lag of k + 1 bins.
    stimulus_kernels_ : ndarray of shape (n_lags, n_basis)
        Raised cosines of the stimulus; row k is the lag of k bins.
    head_, scale_, stimulus_scale_ : dict
        Start and clip of the count distribution, and centre and scale of counts and stimuli.
    n_iter_ : int
        Largest number of iterations that were allowed.
    base_rate_ : ndarray of shape (n_units,), in hertz
        Constant rates, for the null model.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    modalities_ : tuple of str
        Modalities seen in `fit`.
    stimulus_range_ : dict of str to tuple of two ndarray of shape (d,)
        Lowest and highest value of each column of the series and covariates seen in `fit`, of the power of each target
        of light, and of a video's pixels; NaN where none was known. Values that lie beyond are taken for the nearest of
        them, but for pixels.
    n_features_in_ : int
        Number of units.
    training_trials_ : dict
        Layout, start and duration of the training trials, for `sample`.

    See Also
    --------
    GRUModel : The same with a recurrent network in place of the filters.

    Notes
    -----
    The design matrix is held in memory: 4 bytes times bins times ``n_basis * (units + stimulus features)``.

    References
    ----------
    Pillow JW et al. (2008) Spatio-temporal correlations and visual signalling in a complete neuronal population.
    Nature 454:995-999.

    Examples
    --------
    Unit 1 fires in the bin after unit 0 did:

    >>> import numpy as np
    >>> from skneuro.baselines import CoupledGLM
    >>> rng = np.random.default_rng(0)
    >>> leader = rng.poisson(0.3, size=3000)
    >>> follower = rng.poisson(0.05 + 0.9 * np.roll(leader, 1))
    >>> counts = np.stack([leader, follower], axis=1)
    >>> model = CoupledGLM(bin_width=0.01, history=0.03, n_basis=3, alphas=1.0).fit(counts[:2000])
    >>> pulls = model.history_coef_[0]  # source by target, shortest lag
    >>> bool(pulls[0, 1] > 1.0), bool(abs(pulls[1, 0]) < 0.2)
    (True, True)
    >>> model.score(counts[2000:]) > 0.3
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "window_bins": [Interval(Integral, 1, None, closed="left")],
        "history": [Interval(Real, 0, None, closed="left")],
        "stimulus_history": [Interval(Real, 0, None, closed="left")],
        "n_basis": [Interval(Integral, 1, None, closed="left")],
        "coupling": ["boolean"],
        "same_bin": [StrOptions({"linear"}), None],
        "counts": [StrOptions(set(HEADS))],
        "alphas": [Interval(Real, 0, None, closed="neither"), "array-like"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        bin_width: float = 0.01,
        window_bins: int = 1,
        history: float = 0.6,
        stimulus_history: float = 0.6,
        n_basis: int = 5,
        coupling: bool = True,
        same_bin: str | None = None,
        counts: str = "poisson",
        alphas: Any = _ALPHAS,
        validation_fraction: float = 0.2,
        n_draws: int = 32,
        max_iter: int = 200,
        tol: float = 1e-6,
    ):
        self.bin_width = bin_width
        self.window_bins = window_bins
        self.history = history
        self.stimulus_history = stimulus_history
        self.n_basis = n_basis
        self.coupling = coupling
        self.same_bin = same_bin
        self.counts = counts
        self.alphas = alphas
        self.validation_fraction = validation_fraction
        self.n_draws = n_draws
        self.max_iter = max_iter
        self.tol = tol

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit all units.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.

        Returns
        -------
        self : CoupledGLM
            The fitted model.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X holds no observed spike.

        Warns
        -----
        ConvergenceWarning
            If a unit did not converge in `max_iter` iterations, or many chose the smallest (or, of candidates of the
            user's own, the largest) of `alphas`.
        ArtefactWarning
            If a value of a series or of covariates lies so far from the others that it sets their scale.
        """
        alphas = self._candidates()
        with as_before_on_failure(self):
            inp, counts, mask, head = self._begin_fit(X, y)
            gained = self._fit(inp, alphas, counts, mask, head)
        if gained is not None:
            self._warn_of_the_edge(alphas, gained)
        return self

    def _fit(
        self, inp: ModelInput, alphas: np.ndarray, counts: np.ndarray, mask: np.ndarray, head: CountHead
    ) -> np.ndarray | None:
        """Fit to what was read and measured; what each candidate gained on held-out data, (n_alphas, n_units) nats."""
        self.kernels_ = lag_kernels(n_lags(self.history, self.bin_width), self.n_basis)
        self.stimulus_kernels_ = lag_kernels(n_lags(self.stimulus_history, self.bin_width) + 1, self.n_basis)
        problem = Problem(*self._design_and_penalty(inp), self._allowed(), counts, head)
        train, held_out = held_out_bins(inp.spikes.ptr, self.validation_fraction, gap=len(self.kernels_))
        settings: dict[str, Any] = {"max_iter": self.max_iter, "tol": self.tol}
        alpha, start, gained = np.full(mask.shape[1], alphas[len(alphas) // 2]), None, None
        if len(alphas) > 1 and held_out.any():
            cells = mask & train[:, None], mask & held_out[:, None]
            known, scale, differ, _ = self._for_choosing(inp, counts, mask, train)
            shown = problem
            if differ:
                shown = Problem(*self._design_and_penalty(known, scale), self._allowed(), counts, head)
            alpha, start, gained = choose_penalty(shown, *cells, alphas, **settings)
        weights, converged = problem.solve(mask, alpha, start, **settings)
        if not converged.all():
            warn_user(
                f"CoupledGLM: {(~converged).sum()} of {len(converged)} units did not converge in "
                f"max_iter={self.max_iter} iterations. Raise max_iter, or alphas.",
                ConvergenceWarning,
            )
        head.clip_at(problem.log_intensity(weights))
        self._keep(head, weights, alpha)
        return gained

    def _penalties(self, inp: ModelInput) -> np.ndarray:
        """Penalty that each unit chooses in a fit to what was read already, (n_units,)."""
        self._fit(inp, self._candidates(), *self._measure(inp))
        return self.alpha_

    def _candidates(self) -> np.ndarray:
        """Candidates for the penalty, from the largest to the smallest."""
        try:
            alphas = np.atleast_1d(np.asarray(self.alphas, dtype=np.float64))
        except (TypeError, ValueError):  # not numbers, or nested to unequal depth
            alphas = np.empty(0)
        if alphas.ndim != 1 or not len(alphas) or not (np.isfinite(alphas).all() and (alphas > 0).all()):
            raise ValueError(
                f"The 'alphas' parameter of CoupledGLM must be a positive float, or a sequence of them. Got "
                f"{self.alphas!r:.80} instead."
            )
        return np.sort(alphas)[::-1]

    def _warn_of_the_edge(self, alphas: np.ndarray, gained: np.ndarray) -> None:
        """Say where units would take another penalty than the candidates; the largest of ours means no coupling."""
        n_units, ours = len(self.alpha_), np.array_equal(alphas, _ALPHAS)
        few = max(2, n_units / 10) if ours else n_units / 2
        for edge, next_, name, better in ((-1, -2, "smallest", "smaller"), (0, 1, "largest", "larger")):
            there = self.alpha_ == alphas[edge]
            by_chance = (gained[edge] - gained[next_])[there].sum() < _BY_CHANCE
            if there.sum() <= few or by_chance or (name == "largest" and alphas[edge] >= _ALPHAS[0]):
                continue
            warn_user(
                f"CoupledGLM: of the candidates in alphas, {there.sum()} of {n_units} units took the {name}, "
                f"{alphas[edge]:g}. With a {better} one they may be fitted better: add {better} ones to alphas.",
                ConvergenceWarning,
            )

    def _keep(self, head: CountHead, weights: Weights, alpha: np.ndarray) -> None:
        n_units, n_stimuli = len(alpha), self._stimulus_features().size
        n_history, n_stimulus = self.kernels_.shape[1] * n_units, self.stimulus_kernels_.shape[1] * n_stimuli
        history, stimulus, same_bin = np.split(weights.features, [n_history, n_history + n_stimulus])
        self.history_coef_ = history.reshape(self.kernels_.shape[1], n_units, n_units)
        self.stimulus_coef_ = stimulus.reshape(self.stimulus_kernels_.shape[1], n_stimuli, n_units)
        self.same_bin_coef_ = same_bin if len(same_bin) else np.zeros((n_units, n_units))
        self.intercept_, self.shape_, self.alpha_ = weights.intercept, weights.shape, alpha
        self.head_, self.n_iter_ = head.to_arrays(), self.max_iter

    # The design matrix: past counts, stimuli, and the same bin where it is asked for.

    def _residuals(self, inp: ModelInput, scale: CountScale | None = None) -> np.ndarray:
        return (scale or self._scale()).residuals(inp.spikes.dense(), visible_cells(inp))

    def _past(self, residuals: np.ndarray) -> np.ndarray:
        """Counts as the history filters see them: all units in one scale."""
        scale = self._scale()
        return (residuals * (scale.deviation / scale.common_scale())).astype(np.float32)

    def _design_and_penalty(self, inp: ModelInput, scale: CountScale | None = None) -> tuple[np.ndarray, np.ndarray]:
        residuals = self._residuals(inp, scale)
        history = filter_past(self._past(residuals), inp.spikes.ptr, self.kernels_, first_lag=1)
        stimulus = self._drive(inp.modalities, inp.spikes)
        parts = [history, stimulus, *([residuals] if self._as_fitted("same_bin") else [])]
        penalty = [np.full(part.shape[1], _STIMULUS_PENALTY if part is stimulus else 1.0) for part in parts]
        return np.concatenate(parts, axis=1), np.concatenate(penalty)

    def _allowed(self) -> np.ndarray:
        """Columns of the design matrix that each unit may use, (n_features, n_units)."""
        n_units, n_stimuli = len(self.scale_["mean"]), self._stimulus_features().size
        own = np.ones((n_units, n_units), dtype=bool) if self.coupling else np.eye(n_units, dtype=bool)
        parts = [own] * self.kernels_.shape[1]
        parts.append(np.ones((self.stimulus_kernels_.shape[1] * n_stimuli, n_units), dtype=bool))
        if self._as_fitted("same_bin"):
            parts.append(np.triu(np.ones((n_units, n_units), dtype=bool), 1))
        return np.concatenate(parts)

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        features = self._stimulus_features().transform(modalities, binned)
        return filter_past(features, binned.ptr, self.stimulus_kernels_, first_lag=0)

    def _shift_log_rates(self, offset: np.ndarray) -> None:
        self.intercept_ = self.intercept_ + offset

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        target = inp.spikes if target is None else target
        design, _ = self._design_and_penalty(inp)
        same_bin = [self.same_bin_coef_] if self._as_fitted("same_bin") else []
        parts = [self.history_coef_, self.stimulus_coef_, *same_bin]
        features = np.concatenate([part.reshape(-1, len(self.unit_ids_)) for part in parts])
        z = (design @ features.astype(np.float32)).astype(np.float64) + self.intercept_
        return self._fitted_head().log_pmf(z, target.dense(), target.mask(), self.shape_)

    # Prediction and simulation.

    def _generator(self) -> _GLMGenerator:
        return _GLMGenerator(self)

    def _states_before(self, inp: ModelInput, drive: np.ndarray) -> Any:
        past, number = self._past(self._residuals(inp)), bin_in_trial(inp.spikes.ptr)
        lags = np.arange(1, len(self.kernels_) + 1)

        def state_before(bins: np.ndarray) -> State:
            inside = lags <= number[bins, None]
            return (np.where(inside[..., None], past[np.where(inside, bins[:, None] - lags, 0)], np.float32(0)),)

        return state_before


class _GLMGenerator:
    """Draws from a fitted GLM; the state is the counts at each lag, (n_rows, n_lags, n_units)."""

    def __init__(self, model: CoupledGLM):
        self.model = model
        self.scale = model._scale()
        self.drawer = CellDrawer(model._fitted_head(), model.shape_, self.scale)
        self.n_units = self.drawer.n_units
        self.term = LinearTerm(model.same_bin_coef_) if model._as_fitted("same_bin") else None
        # (n_lags * n_units, n_units): the filters of all pairs, lag by lag.
        filters = np.einsum("lb,bst->lst", model.kernels_, model.history_coef_)
        self.filters = filters.reshape(-1, self.n_units)
        self.stimulus = model.stimulus_coef_.reshape(-1, self.n_units)

    def start(self, n_rows: int) -> State:
        return (np.zeros((n_rows, len(self.model.kernels_), self.n_units), dtype=np.float32),)

    def step(
        self, state: State, drive: np.ndarray, uniforms: np.ndarray, forced: Forced = None
    ) -> tuple[np.ndarray, np.ndarray, State]:
        (past,) = state
        z = self.model.intercept_ + drive @ self.stimulus
        z = z + past.reshape(len(past), -1) @ self.filters
        mean, counts = self.drawer.draw(z, None, uniforms, self.term, forced)
        newest = ((self.scale.within(counts) - self.scale.mean) / self.scale.common_scale()).astype(np.float32)
        past = np.concatenate([newest[:, None], past[:, :-1]], axis=1) if past.shape[1] else past
        return mean, counts, (past,)
