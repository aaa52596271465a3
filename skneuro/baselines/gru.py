"""`GRUModel`: a small recurrent network with the count distributions and same-bin terms of a token model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import fit_context
from skneuro._stimulus_range import StimulusRange
from skneuro._threads import torch_threads
from skneuro._warn import warn_user
from skneuro.baselines._baseline import HistoryBaseline
from skneuro.baselines._features import lag_kernels, n_lags
from skneuro.baselines._gru_inference import GRUGenerator, evaluate, states_before
from skneuro.baselines._gru_inputs import GRUInputs, Sequences
from skneuro.baselines._gru_network import CountGRU, load_network, new_network
from skneuro.baselines._gru_parameters import (
    CONSTRAINTS,
    linear_penalties,
    network_config,
    training_schedule,
    weight_decays,
)
from skneuro.baselines._gru_training import History, held_out_score, train_network
from skneuro.baselines._heads import CountHead
from skneuro.baselines._simulation import entropy
from skneuro.baselines._split import spread_bins
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.metrics.likelihood import null_log_likelihood
from skneuro.training.split import shown_clips


class GRUModel(HistoryBaseline):
    """Recurrent network that predicts the counts of the next bin, and of a unit from the lower ones of its bin.

    A gated recurrent unit (GRU) reads the standardised counts of the last bin and the stimuli of this one; a small
    perceptron turns its state into each unit's log-intensity, and a linear path from the filtered past runs beside it.
    The averaged weights that predict a held-out part of the training data best are kept.

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
    past_spikes : bool, default=True
        Whether spikes of earlier bins are seen. Without them, and without `same_bin`, the stimuli alone count.
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
    weight_decay : float, sequence of float or "auto", default="auto"
        Decoupled weight decay of AdamW. Of several the one is taken that predicts the held-out data best, for as many
        times the time; without held-out data the first. "auto" is 0.5, and 0.5, 2 and 8 below 27,000 bins of
        training data.
    batch_size : int, default=8
        Chunks per step.
    chunk_bins : int, default=100
        Scored bins of a chunk; 20 more in front bring the state up to date.
    max_steps : int, default=1200
        Most optimisation steps.
    validation_fraction : float, default=0.1
        Share of the training data that decides when to stop: trials (all repeats of a clip together) spread evenly
        over the recording, blocks of time where there are fewer than ten. 0 trains to the end on all of it.
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
        Score of the held-out data at each check; NaN without any.
    history_scale_ : float
        Standard deviation of the filtered past.
    n_iter_ : int
        Steps that were best on the held-out data.
    weight_decay_ : float
        Weight decay that was best on the held-out data.
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

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = CONSTRAINTS
    _shaping: ClassVar[tuple[str, ...]] = ("counts", "same_bin", "recurrent", "n_hidden", "past_spikes")

    def __init__(
        self,
        *,
        bin_width: float = 0.01,
        window_bins: int = 1,
        counts: str = "categorical",
        same_bin: str | None = "nonlinear",
        recurrent: bool = True,
        n_hidden: int = 128,
        past_spikes: bool = True,
        history: float = 0.6,
        n_basis: int = 5,
        alpha: float | str = "auto",
        dropout: float = 0.3,
        learning_rate: float = 3e-3,
        weight_decay: float | Sequence[float] | str = "auto",
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
        self.past_spikes = past_spikes
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
        NonFiniteLossError
            If the loss becomes NaN or infinite.

        Warns
        -----
        ConvergenceWarning
            If the held-out score still rose after `max_steps`.
        ArtefactWarning
            If a value of a series or of covariates lies so far from the others that it sets their scale.
        """
        with as_before_on_failure(self):
            inp, _, _, head = self._begin_fit(X, y)
            self.kernels_ = lag_kernels(max(1, n_lags(self.history, self.bin_width)), self.n_basis)
            data = self._inputs().sequences(inp)
            self.history_scale_ = float(data.history.std(axis=0).mean()) or 1.0
            train, held_out = self._split(inp)
            decays = weight_decays(self, inp.spikes.n_bins)
            chosen = self.alpha == "auto"
            self.alpha_ = linear_penalties(self, inp) if chosen else np.full(inp.spikes.n_units, self.alpha)
            shown, seen = data, StimulusRange()
            if held_out.any():
                known, scale, differ, seen = self._for_choosing(inp, data.counts, data.mask, train)
                shown = replace(self._inputs(), scale=scale).sequences(known) if differ else data
            validate = held_out_score(shown, head, null_log_likelihood(inp.spikes, self.base_rate_), held_out)
            seeds = entropy(self.random_state).generate_state(2)
            with torch_threads(self.n_threads):
                found = []
                for decay in decays if validate else decays[:1]:
                    found.append((decay, self._train(head, shown, train, self.max_steps, decay, seeds, validate)))
                self.weight_decay_, history = max(found, key=lambda one: max(one[1].validation))
                self.loss_curve_ = np.array(history.loss)
                self.validation_scores_ = np.array(history.validation)
                self.n_iter_ = history.best_step
                self._warn_if_still_rising(history)
                if not self.refit:
                    self.stimulus_range_ = {**self.stimulus_range_, **seen}
                elif validate is not None:
                    every, decay = np.ones_like(train), self.weight_decay_
                    history = self._train(head, data, every, self.n_iter_, decay, seeds, None)
                self.shape_ = history.weights.pop("shape").astype(np.float64)
                self.weights_ = history.weights
                head.clip_at(evaluate(self._network(), data)[0])
            self.head_ = head.to_arrays()
        return self

    def _warn_if_still_rising(self, history: History) -> None:
        if history.best_step == self.max_steps and np.diff(history.validation)[-1:].max(initial=0.0) > self.tol:
            warn_user(
                f"GRUModel: the held-out score still rose when training ended, after max_steps={self.max_steps}. With "
                f"more steps the model may score better: raise max_steps before you compare it.",
                ConvergenceWarning,
            )

    def _split(self, inp: ModelInput) -> tuple[np.ndarray, np.ndarray]:
        """Bins to learn from and to stop by."""
        clips = shown_clips(inp.modalities)
        return spread_bins(inp.spikes.ptr, self.validation_fraction, len(self.kernels_), clips)

    def _train(
        self, head: CountHead, data: Sequences, train: np.ndarray, stop_after: int, decay: float, seeds: np.ndarray,
        validate: Any,
    ) -> History:  # fmt: skip
        network = new_network(network_config(self), head, torch.Generator().manual_seed(int(seeds[0])))
        observed = data.mask.any(axis=1)
        usable = train & observed
        train = np.asarray(usable if usable.any() else observed)
        schedule, rng = training_schedule(self, stop_after, decay), np.random.default_rng(seeds[1])
        return train_network(network, head, data, train, schedule, rng, validate, self._report)

    def _report(self, step: int, loss: float, score: float) -> None:
        if self.verbose:
            held_out = "" if np.isnan(score) else f"  held out {score:.4f} bits/spike"
            print(f"GRUModel: step {step:5d}  loss {loss:.4f} nats/bin{held_out}")

    def _inputs(self) -> GRUInputs:
        scale, stimuli = self._scale(), self._stimulus_features()
        return GRUInputs(scale, stimuli, self.kernels_, self._as_fitted("past_spikes"))

    def _network(self) -> CountGRU:
        return load_network(network_config(self), self.weights_)

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        return self._stimulus_features().transform(modalities, binned)

    def _shift_log_rates(self, offset: np.ndarray) -> None:
        name = "log_intensity.bias"
        self.weights_ = {**self.weights_, name: (self.weights_[name] + offset).astype(self.weights_[name].dtype)}

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        z, nu = evaluate(self._network(), self._inputs().sequences(inp))
        target = inp.spikes if target is None else target
        return self._fitted_head().log_pmf(z, target.dense(), target.mask(), self.shape_, nu)

    def _generator(self) -> GRUGenerator:
        return GRUGenerator(self._network(), self._inputs(), self._fitted_head(), self.shape_)

    def _states_before(self, inp: ModelInput, drive: np.ndarray) -> Any:
        inputs = self._inputs()
        return states_before(self._network(), inputs, inputs.sequences(inp))
