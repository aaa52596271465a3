"""`GRUModel`: a small recurrent network with the count distributions and same-bin terms of a token model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import torch

from skneuro._sklearn_compat import Interval, StrOptions, fit_context
from skneuro.baselines._baseline import HistoryBaseline
from skneuro.baselines._features import (
    CountScale,
    StimulusFeatures,
    bin_in_trial,
    filter_past,
    lag_kernels,
    n_lags,
    visible_cells,
)
from skneuro.baselines._gru_network import CountGRU, GRUConfig, NonlinearTerm, load_network, new_network
from skneuro.baselines._gru_training import History, Schedule, Sequences, train_network
from skneuro.baselines._heads import HEADS, CountHead
from skneuro.baselines._same_bin import CellDrawer
from skneuro.baselines._simulation import State, entropy
from skneuro.baselines._split import held_out_bins
from skneuro.baselines.glm import CoupledGLM
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.metrics.likelihood import bits_per_spike, null_log_likelihood

_STEPS_PER_CHECK = 50
# Beside the network the linear path has less to explain than alone, and a stronger penalty suits it.
_ALPHA_FACTOR = 5.0
# Bins that are evaluated together, which bounds memory; the state is carried over.
_BINS_AT_ONCE = 256
_TRIALS_AT_ONCE = 16


class GRUModel(HistoryBaseline):
    """Recurrent network that predicts the counts of the next bin, and of a unit from the lower ones of its bin.

    A gated recurrent unit (GRU) reads the standardised counts of the last bin and the stimuli of this one; a small
    perceptron turns its state into each unit's log-intensity, and a linear path from the filtered past runs beside it.
    The averaged weights that predict held-out blocks of the training data best are kept.

    Parameters
    ----------
    bin_width : float, default=0.01
        Width of a bin, in seconds.
    window_bins : int, default=1
        Bins of a window: how far `predict` looks ahead.
    counts : {"categorical", "negative_binomial", "poisson"}, default="categorical"
        Distribution of a count. "categorical" has free probabilities for each unit's counts, tilted by the
        log-intensity and by a dispersion that depends on the state, and a geometric tail beyond the largest count of
        the training data.
    same_bin : {"nonlinear", "linear", None}, default="nonlinear"
        How a unit sees the counts of lower units (columns to its left) in the same bin, if at all.
    recurrent : bool, default=True
        Whether there is a GRU; otherwise only the last bin and the linear path are seen.
    n_hidden : int, default=128
        Width of the network.
    history : float, default=0.6
        Longest lag of the linear path, in seconds; at least the last bin is seen.
    n_basis : int, default=5
        Raised cosines for the lags of each unit in the linear path.
    alpha : float or "auto", default="auto"
        Ridge penalty of the linear path and of linear same-bin terms, as in `CoupledGLM`. "auto" fits such a GLM and
        takes five times the geometric mean of the penalties that its units chose: the network needs less of the path.
    dropout : float, default=0.3
        Share of hidden values that are dropped in training.
    learning_rate : float, default=3e-3
        Largest step of AdamW; it falls to zero over `max_steps` by half a cosine.
    weight_decay : float, default=0.5
        Decoupled weight decay of AdamW.
    batch_size : int, default=8
        Chunks per step.
    chunk_bins : int, default=100
        Scored bins of a chunk; 20 more in front bring the state up to date.
    max_steps : int, default=1200
        Most optimisation steps.
    validation_fraction : float, default=0.1
        Share of the training data, in blocks, that decides when to stop. 0 trains to the end on all of it.
    refit : bool, default=True
        Whether to train once more, on all of the training data, for as many steps as were best. Doubles the time.
    n_iter_no_change : int, default=8
        Checks (one every 50 steps) without improvement after which training stops.
    tol : float, default=1e-4
        What counts as an improvement, in bits per spike.
    n_draws : int, default=32
        Draws that `predict` averages over where counts inside the window matter.
    random_state : int, RandomState instance or None, default=None
        Source of all random numbers in `fit`; an int makes it reproducible.
    n_threads : int or None, default=None
        Threads of torch during `fit`. None leaves the setting alone; 1 is often fastest, for the matrices are small.
    verbose : int, default=0
        1 prints every check.

    Attributes
    ----------
    weights_ : dict of str to ndarray
        Weights of the network.
    shape_ : ndarray of shape (n_shape, n_units)
        Shape parameters of the count distribution.
    kernels_ : ndarray of shape (n_lags, n_basis)
        Raised cosines of the linear path; row k is the lag of k + 1 bins.
    alpha_ : ndarray of shape (n_units,)
        Ridge penalty that was used.
    head_, scale_, stimulus_scale_ : dict
        Start and clip of the count distribution, and centre and scale of counts and stimuli.
    loss_curve_ : ndarray of shape (n_checks,), in nats per bin
        Training loss (with dropout) between checks.
    validation_scores_ : ndarray of shape (n_checks,), in bits per spike
        Score of the held-out blocks at each check; NaN without any.
    history_scale_ : float
        Standard deviation of the filtered past.
    n_iter_ : int
        Steps that were best on the held-out blocks.
    base_rate_ : ndarray of shape (n_units,), in hertz
        Constant rates, for the null model.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    modalities_ : tuple of str
        Modalities seen in `fit`.
    n_features_in_ : int
        Number of units.
    training_trials_ : dict
        Layout, start and duration of the training trials, for `sample`.

    See Also
    --------
    CoupledGLM : Linear, and fitted in seconds.

    Examples
    --------
    Two units that take turns:

    >>> import numpy as np
    >>> from skneuro.baselines import GRUModel
    >>> rng = np.random.default_rng(0)
    >>> turn = np.arange(2000) // 10 % 2
    >>> counts = rng.poisson(np.where(np.stack([turn, 1 - turn], axis=1), 1.0, 0.05))
    >>> model = GRUModel(bin_width=0.01, n_hidden=16, max_steps=60, random_state=0).fit(counts[:1500])
    >>> model.score(counts[1500:]) > 0.2
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "window_bins": [Interval(Integral, 1, None, closed="left")],
        "counts": [StrOptions(set(HEADS))],
        "same_bin": [StrOptions({"linear", "nonlinear"}), None],
        "recurrent": ["boolean"],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "history": [Interval(Real, 0, None, closed="left")],
        "n_basis": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "dropout": [Interval(Real, 0, 1, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "chunk_bins": [Interval(Integral, 1, None, closed="left")],
        "max_steps": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "refit": ["boolean"],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "n_draws": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        *,
        bin_width: float = 0.01,
        window_bins: int = 1,
        counts: str = "categorical",
        same_bin: str | None = "nonlinear",
        recurrent: bool = True,
        n_hidden: int = 128,
        history: float = 0.6,
        n_basis: int = 5,
        alpha: float | str = "auto",
        dropout: float = 0.3,
        learning_rate: float = 3e-3,
        weight_decay: float = 0.5,
        batch_size: int = 8,
        chunk_bins: int = 100,
        max_steps: int = 1200,
        validation_fraction: float = 0.1,
        refit: bool = True,
        n_iter_no_change: int = 8,
        tol: float = 1e-4,
        n_draws: int = 32,
        random_state: Any = None,
        n_threads: int | None = None,
        verbose: int = 0,
    ):
        self.bin_width = bin_width
        self.window_bins = window_bins
        self.counts = counts
        self.same_bin = same_bin
        self.recurrent = recurrent
        self.n_hidden = n_hidden
        self.history = history
        self.n_basis = n_basis
        self.alpha = alpha
        self.dropout = dropout
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.chunk_bins = chunk_bins
        self.max_steps = max_steps
        self.validation_fraction = validation_fraction
        self.refit = refit
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.n_draws = n_draws
        self.random_state = random_state
        self.n_threads = n_threads
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train the network.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli.

        Returns
        -------
        self : GRUModel
            The fitted model.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X holds no observed spike.
        RuntimeError
            If the loss becomes non-finite.
        """
        inp = self._read_training(X, y)
        counts, mask = inp.spikes.dense(), inp.spikes.mask()
        head = HEADS[self.counts].from_counts(counts, mask)
        scale, stimulus = CountScale.from_counts(counts, mask), StimulusFeatures.from_input(inp)
        self.scale_, self.stimulus_scale_ = scale.to_arrays(), stimulus.columns
        self.kernels_ = lag_kernels(max(1, n_lags(self.history, self.bin_width)), self.n_basis)
        data = self._sequences(inp)
        self.history_scale_ = float(data.history.std(axis=0).mean()) or 1.0
        train, held_out = held_out_bins(inp.spikes.ptr, self.validation_fraction, gap=len(self.kernels_))
        self.alpha_ = np.full(len(scale.mean), self.alpha) if self.alpha != "auto" else self._choose_alpha(X, y)
        validate, seeds = self._validator(inp, data, head, held_out), entropy(self.random_state).generate_state(2)
        with _threads(self.n_threads):
            history = self._train(head, data, train, self.max_steps, seeds, validate)
            self.loss_curve_ = np.array(history.loss)
            self.validation_scores_ = np.array(history.validation)
            self.n_iter_ = history.best_step
            if self.refit and validate is not None:
                history = self._train(head, data, np.ones_like(train), self.n_iter_, seeds, None)
            self.shape_ = history.weights.pop("shape").astype(np.float64)
            self.weights_ = history.weights
            head.clip_at(_evaluate(self._network(), data)[0])
        self.head_ = head.to_arrays()
        return self

    def _train(
        self, head: CountHead, data: Sequences, train: np.ndarray, stop_after: int, seeds: np.ndarray, validate: Any
    ) -> History:
        network = new_network(self._config(), head, torch.Generator().manual_seed(int(seeds[0])))
        observed = data.mask.any(axis=1)
        usable = train & observed
        train = np.asarray(usable if usable.any() else observed)
        schedule, rng = self._schedule(stop_after), np.random.default_rng(seeds[1])
        return train_network(network, head, data, train, schedule, rng, validate, self._report)

    def _choose_alpha(self, X: Any, y: Any) -> np.ndarray:
        """Penalties that suit the linear paths on their own, (n_units,)."""
        linear = CoupledGLM(
            bin_width=self.bin_width,
            history=max(self.history, self.bin_width),
            stimulus_history=0.0,
            n_basis=self.n_basis,
            counts=self.counts,
            same_bin=None if self.same_bin is None else "linear",
        )
        alpha = linear.fit(X, y).alpha_
        return np.full(len(alpha), _ALPHA_FACTOR * np.exp(np.log(alpha).mean()))

    def _config(self) -> GRUConfig:
        return GRUConfig(
            n_units=len(self.unit_ids_),
            n_stimuli=StimulusFeatures(self.stimulus_scale_).size,
            n_history=self.kernels_.shape[1] * len(self.unit_ids_),
            n_hidden=self.n_hidden,
            recurrent=self.recurrent,
            same_bin=self.same_bin,
            uses_nu=HEADS[self.counts].uses_nu,
            dropout=self.dropout,
            history_scale=self.history_scale_,
        )

    def _schedule(self, stop_after: int) -> Schedule:
        names = ("max_steps", "batch_size", "chunk_bins", "learning_rate", "weight_decay", "n_iter_no_change")
        return Schedule(
            **{name: getattr(self, name) for name in names},
            stop_after=stop_after,
            alpha=self.alpha_,
            tol=self.tol,
            steps_per_check=_STEPS_PER_CHECK,
        )

    def _validator(self, inp: ModelInput, data: Sequences, head: CountHead, held_out: np.ndarray) -> Any:
        """Score of the held-out bins, or None where there are no spikes in any."""
        mask = data.mask & held_out[:, None]
        n_spikes = int(np.where(mask, data.counts, 0).sum())
        if n_spikes == 0:
            return None
        null = null_log_likelihood(inp.spikes, self.base_rate_)[held_out].sum()
        # Whole trials, so that every held-out bin has its true past.
        trials = np.flatnonzero(np.add.reduceat(held_out, data.ptr[:-1]) > 0) if len(held_out) else np.array([])

        def validate(network: CountGRU, shape: np.ndarray) -> float:
            z, nu = _evaluate(network, data, trials)
            found = head.log_pmf(z, data.counts, mask, shape.astype(np.float64), nu)
            return bits_per_spike(found.sum(), null, n_spikes)

        return validate

    def _report(self, step: int, loss: float, score: float) -> None:
        if self.verbose:
            print(f"GRUModel: step {step:5d}  loss {loss:.4f} nats/bin  held out {score:.4f} bits/spike")

    # What the network sees.

    def _residuals(self, inp: ModelInput) -> np.ndarray:
        return CountScale(**self.scale_).residuals(inp.spikes.dense(), visible_cells(inp))

    def _past(self, residuals: np.ndarray) -> np.ndarray:
        """Counts as the linear path sees them: all units in one scale."""
        scale = CountScale(**self.scale_)
        return (residuals * (scale.deviation / scale.common_scale())).astype(np.float32)

    def _sequences(self, inp: ModelInput) -> Sequences:
        ptr, residuals = inp.spikes.ptr, self._residuals(inp)
        return Sequences(
            last=filter_past(residuals, ptr, np.ones((1, 1)), first_lag=1),
            now=residuals,
            stimuli=self._drive(inp.modalities, inp.spikes),
            history=filter_past(self._past(residuals), ptr, self.kernels_, first_lag=1),
            counts=inp.spikes.dense(),
            mask=inp.spikes.mask(),
            ptr=ptr,
        )

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        return StimulusFeatures(self.stimulus_scale_).transform(modalities, binned)

    def _network(self) -> CountGRU:
        return load_network(self._config(), self.weights_)

    def _cell_log_likelihood(self, inp: ModelInput) -> np.ndarray:
        data = self._sequences(inp)
        z, nu = _evaluate(self._network(), data)
        return HEADS[self.counts](**self.head_).log_pmf(z, data.counts, data.mask, self.shape_, nu)

    # Prediction and simulation.

    def _generator(self) -> _GRUGenerator:
        return _GRUGenerator(self, self._network())

    def _states_before(self, inp: ModelInput, drive: np.ndarray) -> Any:
        data, number = self._sequences(inp), bin_in_trial(inp.spikes.ptr)
        past = self._past(data.now)
        hidden = _encode(self._network(), data, np.arange(inp.spikes.n_trials))
        lags = np.arange(1, len(self.kernels_) + 1)

        def state_before(bins: np.ndarray) -> State:
            inside = lags <= number[bins, None]
            counts = np.where(inside[..., None], past[np.where(inside, bins[:, None] - lags, 0)], np.float32(0))
            started = (number[bins] > 0)[:, None]
            return np.where(started, hidden[np.maximum(bins - 1, 0)], np.float32(0)), counts

        return state_before


@torch.no_grad()
def _encode(network: CountGRU, data: Sequences, trials: np.ndarray) -> np.ndarray:
    """Hidden state at every bin of some trials, (n_bins, n_hidden) float32; zeros elsewhere."""
    length = np.diff(data.ptr)
    hidden = np.zeros((len(data.last), network.config.n_hidden), dtype=np.float32)
    order = trials[np.argsort(-length[trials], kind="stable")]
    for begin in range(0, len(order), _TRIALS_AT_ONCE):
        batch = order[begin : begin + _TRIALS_AT_ONCE]
        state: torch.Tensor | None = None
        for offset in range(0, int(length[batch].max(initial=0)), _BINS_AT_ONCE):
            left = length[batch] - offset
            active, ahead = int((left > 0).sum()), int(min(_BINS_AT_ONCE, left.max()))
            # Bins after a trial's end repeat its last one: they come after everything that is kept.
            last = length[batch[:active], None] - 1
            rows = data.ptr[batch[:active], None] + np.minimum(offset + np.arange(ahead), last)
            if state is not None:
                state = state[:, :active].contiguous()
            part, state = network.encode(torch.from_numpy(data.last[rows]), torch.from_numpy(data.stimuli[rows]), state)
            kept = np.arange(ahead) < left[:active, None]
            hidden[rows[kept]] = part.numpy()[kept]
    return hidden


@torch.no_grad()
def _evaluate(
    network: CountGRU, data: Sequences, trials: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray | None]:
    """Log-intensity with same-bin terms and dispersion of every cell, float64; what is not in `trials` is void."""
    trials = np.arange(len(data.ptr) - 1) if trials is None else trials
    hidden = _encode(network, data, trials)
    z = np.zeros(data.now.shape)
    nu = np.zeros(data.now.shape) if network.config.uses_nu else None
    for trial in trials:
        for start in range(data.ptr[trial], data.ptr[trial + 1], _TRIALS_AT_ONCE * _BINS_AT_ONCE):
            rows = slice(start, min(start + _TRIALS_AT_ONCE * _BINS_AT_ONCE, data.ptr[trial + 1]))
            log_intensity, dispersion, context = network.decode(
                torch.from_numpy(hidden[rows]), torch.from_numpy(data.history[rows])
            )
            z[rows] = (log_intensity + network.same_bin(torch.from_numpy(data.now[rows]), context)).numpy()
            if nu is not None and dispersion is not None:
                nu[rows] = dispersion.numpy()
    return z, nu


class _GRUGenerator:
    """Draws from a fitted network; the state is the hidden state and the counts at each lag of the linear path."""

    def __init__(self, model: GRUModel, network: CountGRU):
        self.network, self.kernels = network, model.kernels_.astype(np.float32)
        self.scale = CountScale(**model.scale_)
        self.drawer = CellDrawer(HEADS[model.counts](**model.head_), model.shape_, self.scale)
        self.n_units = self.drawer.n_units
        self.term = NonlinearTerm(network) if model.same_bin is not None else None

    def start(self, n_rows: int) -> State:
        past = np.zeros((n_rows, len(self.kernels), self.n_units), dtype=np.float32)
        return np.zeros((n_rows, self.network.config.n_hidden), dtype=np.float32), past

    @torch.no_grad()
    def step(self, state: State, drive: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        hidden, past = state
        last = past[:, 0] * (self.scale.common_scale() / self.scale.deviation)
        history = np.einsum("rlu,lb->rbu", past, self.kernels).reshape(len(past), -1)
        encoded, _ = self.network.encode(
            torch.from_numpy(last.astype(np.float32))[:, None],
            torch.from_numpy(drive.astype(np.float32))[:, None],
            torch.from_numpy(hidden)[None],
        )  # (R, 1, H)
        z, nu, context = self.network.decode(encoded[:, 0], torch.from_numpy(history))
        if self.term is not None:
            self.term.context = context.numpy().astype(np.float64)
        dispersion = None if nu is None else nu.numpy().astype(np.float64)
        mean, counts = self.drawer.draw(z.numpy().astype(np.float64), dispersion, uniforms, self.term)
        newest = ((counts - self.scale.mean) / self.scale.common_scale()).astype(np.float32)
        past = np.concatenate([newest[:, None], past[:, :-1]], axis=1)
        return mean, counts, (encoded[:, 0].numpy(), past)


@contextmanager
def _threads(n_threads: int | None) -> Iterator[None]:
    """Torch's number of threads inside, as it was before outside."""
    before = torch.get_num_threads()
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
