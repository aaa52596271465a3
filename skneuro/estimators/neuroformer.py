"""`NeuroformerEstimator`: the multimodal generative transformer over spikes with scikit-learn's interface."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skneuro._base import warn_of_long_past
from skneuro._random import random_numbers
from skneuro._sklearn_compat import check_is_fitted
from skneuro._threads import torch_threads
from skneuro.data import BinnedSpikes, ModelInput, SpikeTrains
from skneuro.data._simulated import common_start
from skneuro.data.interventions import check_history, read_interventions
from skneuro.estimators._inputs import check_draw, positive_integer, sampling_input
from skneuro.estimators._learner import Learner
from skneuro.estimators._parameters import CONSTRAINTS
from skneuro.exceptions import IncompatibleModalityError, MissingModalityWarning, UnsafeFileError
from skneuro.metrics.likelihood import bits_per_spike, unit_null_log_likelihood
from skneuro.persistence import load, save
from skneuro.training import generation
from skneuro.training.fitted import FittedModel


class NeuroformerEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, Learner):
    """Generative transformer over the spikes of a population, given whatever else was recorded.

    Neuron ids are the tokens. A causal decoder gives each window of spikes a probability as a sequence of (time,
    unit) events, given recent spikes, the long past and every modality; its log-likelihood is that of the whole
    count pattern, so `score` compares with any other model of the same bins.

    Parameters
    ----------
    bin_width : float, in seconds, default=0.01
        Width of a bin. Scores compare only at equal width.
    window_bins : int, default=5
        Bins of a window: the decoder's sequence, and the horizon of `predict`.
    recent_context : float, in seconds, default=0.25
        Past spikes that are seen one by one; 0 for none.
    context : float, in seconds, default=1.0
        Past that training looks back on through the recurrent encoder, one vector a bin; 0 for none. In `score`
        and `sample` the encoder's state is carried on from the trial's start.
    context_width : int or "auto", default="auto"
        Width of that encoder's state. "auto" takes `d_model`, twice that from 10,000 training spikes on, and three
        times from 100,000.
    stimulus_context : float, in seconds, default=0.6
        Past of the modalities that is seen.
    state_dependent_drive : bool or "auto", default="auto"
        Whether hidden features of the past see what the modalities' linear filters give, so that what a stimulus does
        depends on the population's state, and not linearly on the stimulus; acts only with a modality and a `context`.
        "auto" is True from 100,000 training spikes on, without a video.
    stimuli_in_context : bool or "auto", default="auto"
        Whether series, events, light and covariates enter the recurrent encoder beside the spikes, so that its state
        knows what the population did in the light of what was going on; a video never does. Acts only with such a
        modality and a `context`. "auto" is True from 100,000 spikes on and False below; from 10,000 on, where early
        stopping holds data out, True is tried, too, and taken if it scores better there by six nats. That costs a
        second fit. What is said of the neural state (`transform`, alignment, decoding) is of spikes alone all the same,
        but less is learned of them: set False in a model to decode with. What is over within the first bin of a trial
        does not enter.
    gamma : float, default=0.0
        Weight of the contrastive loss, which aligns the spikes with a modality; acts only with one. It is for
        retrieval, and costs bits per spike. ``gamma + mu < 1``.
    mu : float, default=0.5
        Weight of the unit-identity loss; the rest, ``1 - gamma - mu``, weighs the time loss. With equal weights
        of the two the loss is the log-likelihood of the pattern, and cheaper: ``mu=(1 - gamma) / 2``.
    align : "auto", str, sequence of str or None, default="auto"
        What is aligned by the contrastive loss: "auto" is the neural side with the first video, else the first
        modality; a name is the neural side with that; ``("spikes", "video", "speed")`` is every pair of these.
    temperature : float or "learn", default=0.1
        Temperature of the contrastive loss; "learn" starts at 0.1 and learns one for each pair.
    behaviour : str, sequence of str or None, default=None
        Modalities that training reads from the neural state instead of showing them to the model: behaviour as a
        further loss, so that the state holds it. They are given in `fit` beside the others; elsewhere they are not
        needed, and make no difference.
    behaviour_weight : float, default=0.1
        Weight of that loss, the mean squared error in variances of the behaviour, added to the other three. 0 trains
        as without it. Acts only with `behaviour`.
    head : {"hazard", "chained", "independent"}, default="hazard"
        How an event's probability is formed; see :doc:`the background page </background/likelihood>`.
    coupling : bool, default=True
        Coupling attention between pairs of units beside the transformer, and same-bin terms.
    coupling_lag : float, in seconds, or "auto", default="auto"
        Longest lag of the coupling. "auto" takes ten bins, and at least 0.1 s.
    coupling_rank : int, "auto" or None, default="auto"
        Rank of the coupling matrices; None gives every pair of units a weight of its own, and memory and time that
        grow with the square of their number. "auto" does so up to 1,000 units, and takes 64 beyond.
    coupling_prior : {"auto", "sparse", "dense"}, default="auto"
        What is expected of the couplings of pairs: that most are zero (a Laplace prior), or that all are there and
        small (a normal one, under which a spike of any unit is worth the same). "auto" takes "sparse"; where training
        segments are fewer than 190 and early stopping holds data out, "dense" is tried too, and taken if it scores
        better there by six nats. Couplings of low rank fall under `weight_decay` instead.
    coupling_penalty : float, default=2.0
        Strength of that prior, in standard errors of a coupling: under the sparse one, what so many could give by
        chance stays at zero; the dense one has a standard deviation of 0.6 of them over this number.
    tubelet_size : tuple of 3 int, "auto" or None, default="auto"
        Frames, rows and columns (pixels) of the tubelets in which attention sees a video, at most a whole frame. None
        takes whole frames. "auto" does so up to 1,024 values a frame, and beyond takes about 0.1 s and squares of
        which at most 64 cover the frame.
    tubelet_stride : tuple of 3 int or "auto", default="auto"
        Frames, rows and columns from one tubelet to the next, at most their size. "auto" is half the size in time,
        and the size in space.
    d_model : int, default=64
        Width of the model.
    n_heads : int, default=4
        Attention heads; must divide `d_model`.
    n_layers : int, default=1
        Layers of the causal decoder over a window's spikes.
    n_fusion_layers : int, default=1
        Cross-attention blocks for the recent spikes and for each modality.
    share_fusion : bool, default=False
        Whether the same blocks serve all of them (the recurrent unrolling of the poster).
    dropout : float or "auto", default="auto"
        Dropout in the encoders and the decoder. "auto" is 0.4, and 0.5 with the dense `coupling_prior`.
    unit_dropout : float or "auto", default="auto"
        Chance that a unit's past is hidden from the recurrent encoder for a training segment. "auto" is 0, and 0.1
        with the dense `coupling_prior`.
    modality_dropout : float, default=0.1
        Chance that a modality is hidden from a block of about 16 bins in training, each block by itself, which trains
        the model to do without it; all that enters the long past is besides hidden together from whole segments. With
        0, a modality that is missing later is an error.
    max_epochs : int, default=30
        Passes over the training data, in one cycle of the learning rate.
    max_cycles : int, default=1
        Cycles of the learning rate, each of `max_epochs`, for data that 30 epochs do not exhaust: after one in which
        what is held out scored best within the last `n_iter_no_change` epochs, another one begins, and is kept if it
        scores better there by six nats. Where nothing is held out, all of them are run. That costs three to six times
        the time of a fit of 100,000 spikes or more, and more still where its segments are few: it then holds data out
        (`early_stopping`), and all else is tried that held-out data may choose. Callbacks hear of the first cycle.
        `partial_fit`, and a `fit` that goes on from an earlier one, have one.
    batch_size : int, default=8
        Training segments (of about 100 bins) in a batch.
    accumulation_steps : int, default=1
        Parts in which a batch is computed, one after the other, before a step is taken: less memory for the same steps,
        but for the random masks, and the contrastive term, which compares within a part.
    recompute_activations : bool, default=False
        Whether attention blocks forget what they computed and compute it again for the gradient: less memory for wide
        or deep models, about a third more time, and the same result.
    learning_rate : float, default=3e-3
        Peak of the schedule (linear warm-up, cosine over `max_epochs`).
    weight_decay : float or "auto", default="auto"
        AdamW's weight decay, on matrices. "auto" is 0.5 where the training data are cut into 270 segments (of about
        100 bins) or more, and grows inversely as the square of their number where they are fewer, up to
        ``0.03 / learning_rate``: few segments are few steps to decay in, and easily overfitted. Where that is above 1
        and early stopping holds data out, 0.5 and the geometric mean are tried too, and taken if they score better
        there by six nats; under the dense prior of the couplings the geometric mean comes first. What reads the
        modalities keeps 0.5. With all that is tried where data are few, a fit takes four times as long.
    early_stopping : bool or "auto", default="auto"
        Whether part of the data is held out to stop by, and the best weights are kept. Whole trials where there are
        at least ten, else time blocks with a gap, else one of the trials; one trial that is too short for blocks is
        trained on whole. "auto" does so below 100,000 spikes, where a model can overfit within the default number of
        epochs, and where `max_cycles` leaves more to choose; else all data are trained on for `max_epochs`, under a
        learning rate that falls to the end.
    refit : bool, default=True
        Whether, after early stopping, the model is trained anew on all data, for a third more epochs than were best
        (more data overfit later), `max_epochs` a cycle at most. A fit that goes on from an earlier one is not.
    validation_fraction : float or "auto", default="auto"
        Share that is held out. "auto" is a tenth, or less (down to 2 %) where 20,000 spikes are less: they tell the
        epochs apart, and every further trial is worth more in training.
    n_iter_no_change : int, default=10
        Epochs without a gain of `tol` after which training stops; in the first cycle (`max_cycles`), for in others
        scores fall at first.
    tol : float, in bits per spike, default=1e-4
        See above.
    counts : {"round", "strict"}, default="round"
        Whether counts that are not whole are rounded with a warning or refused.
    max_tokens : int or None, default=None
        Most spikes in a window of the training data that `fit` accepts, a bound on its memory. None takes what the
        data hold. Held-out windows may hold more.
    warm_start : bool, default=False
        Whether `fit` goes on from the weights of the last one, with the scale of the stimuli in the first.
    random_state : int, RandomState or None, default=None
        Seed. The user's global generators are left alone.
    device : str, default="auto"
        "auto", "cpu", "cuda", "mps", ...
    precision : {"float32", "float64", "bfloat16"}, default="float32"
        Floating point format of the model. "bfloat16" keeps weights and scores in float32 and trains with matrix
        products in bfloat16, which is meant for GPUs: on most CPUs it is slower.
    compile : bool, default=False
        Whether `fit` and `partial_fit` run the position-wise networks of the model (feed-forward networks, what is read
        out of the long past, and what the units of a bin say of each other) compiled by torch.compile: the same weights
        up to rounding. Meant for GPUs, where it has not been tested; on a CPU it is no faster with few units, and by a
        quarter with 300 (:doc:`speed </background/speed>`). The first fit of a process compiles for up to a minute. It
        needs a C++ compiler on the CPU, and Triton on an NVIDIA GPU. Everything but training runs as without.
    inference_batch_size : int or "auto", default="auto"
        Pieces of trials (of up to 400 bins) that `score` and `transform` compute at once, windows of `predict`, trials
        of `sample`. Results do not depend on it, memory does. "auto" takes what processor caches hold.
    n_threads : int or None, default=1
        Torch threads on the CPU. Models of the default size are fastest with one, by far where other work shares the
        machine; raise it for wide models. None leaves torch's setting alone.
    verbose : int, default=0
        1 shows a progress bar on standard error, 2 keeps a line for each epoch.

    Attributes
    ----------
    model_ : FittedModel
        The network (``model_.network``) and the scales of its modalities.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    unit_info_ : DataFrame or None
        What was known of them; given on to sampled spikes.
    modalities_ : tuple of str
        Modalities seen in `fit`.
    stimulus_range_ : dict of str to tuple of two ndarray of shape (d,)
        Lowest and highest value of each column of the series and covariates seen in `fit`, of the power of each target
        of light, and of a video's pixels; NaN where none was known. Values that lie beyond are taken for the nearest of
        them, but for pixels.
    base_rate_, exposure_ : ndarray of shape (n_units,), in hertz and seconds
        Rates of the null model of `score`, and the observed time that they are of: the data of the last `fit`, and
        all that `partial_fit` was given since.
    n_features_in_, feature_names_in_ : int, ndarray
        Number of units; names of the columns, where X was a DataFrame.
    n_iter_ : int
        Epochs of training so far.
    n_cycles_ : int
        Cycles of the learning rate in the latest `fit`.
    weight_decay_ : float
        The weight decay that the model was trained with.
    dropout_, unit_dropout_ : float
        The dropout that it was trained with.
    coupling_prior_ : str
        The prior that its couplings had, if it has such of pairs: "sparse" or "dense".
    stimuli_in_context_ : tuple of str
        Modalities that entered its long past.
    loss_curve_ : list of float
        Training loss of each epoch, in nats per token; with the weighted losses of alignment and behaviour.
    validation_scores_ : list of float
        Held-out bits per spike after each epoch, before any refit; empty where nothing was held out. Those of a `fit`
        are against the rates of its own training data, so that those of several (`warm_start`) do not compare.
    best_validation_score_ : float or None
        The best of those of the latest `fit`.
    max_tokens_ : int
        Most spikes of a window in the training data, or `max_tokens`.
    trial_duration_ : float, in seconds
        Median duration of the training trials: the default of `sample`.
    trial_start_ : float, in seconds, or None
        Start of the training trials, which is that of simulations; None where they started at different times.
    stimulus_per_trial_ : bool
        Whether y was an array with one row a trial, constant over it: `sample` reads arrays so.

    See Also
    --------
    skneuro.baselines : What its score is compared with.
    skneuro.ConnectivityInference : Who drives whom.

    Notes
    -----
    The loss is ``gamma L_vnc + mu L_id + (1 - gamma - mu) L_dt`` (equation 6 of the Neuroformer poster of Antoniades,
    Yu and Smith), with ``L_dt = -log sum_id p(dt, id)`` and ``L_id = -log p(id | dt)`` in nats per token.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import NeuroformerEstimator, SpikeTrains
    >>> rng = np.random.default_rng(0)
    >>> rate = 8 + 6 * np.sin(np.arange(60) / 5)  # two units that wax and wane together, in hertz
    >>> counts = rng.poisson(rate[:, None] * 0.05, size=(20, 60, 1)).repeat(2, axis=2)
    >>> spikes = SpikeTrains.from_counts(counts, bin_width=0.05)
    >>> model = NeuroformerEstimator(bin_width=0.05, window_bins=1, max_epochs=3, random_state=0)
    >>> model.fit(spikes[:15]).score(spikes[15:]) > 0
    True
    >>> model.sample(n_samples=2, random_state=0)
    SpikeTrains(2 trials, 2 units, ..., 6 s)
    """

    _parameter_constraints: ClassVar[dict] = CONSTRAINTS

    def __init__(
        self,
        *,
        bin_width: float = 0.01,
        window_bins: int = 5,
        recent_context: float = 0.25,
        context: float = 1.0,
        context_width: int | str = "auto",
        stimulus_context: float = 0.6,
        state_dependent_drive: bool | str = "auto",
        stimuli_in_context: bool | str = "auto",
        gamma: float = 0.0,
        mu: float = 0.5,
        align: str | Sequence[str] | None = "auto",
        temperature: float | str = 0.1,
        behaviour: str | Sequence[str] | None = None,
        behaviour_weight: float = 0.1,
        head: str = "hazard",
        coupling: bool = True,
        coupling_lag: float | str = "auto",
        coupling_rank: int | str | None = "auto",
        coupling_prior: str = "auto",
        coupling_penalty: float = 2.0,
        tubelet_size: tuple[int, int, int] | str | None = "auto",
        tubelet_stride: tuple[int, int, int] | str = "auto",
        d_model: int = 64,
        n_heads: int = 4,
        n_layers: int = 1,
        n_fusion_layers: int = 1,
        share_fusion: bool = False,
        dropout: float | str = "auto",
        unit_dropout: float | str = "auto",
        modality_dropout: float = 0.1,
        max_epochs: int = 30,
        max_cycles: int = 1,
        batch_size: int = 8,
        accumulation_steps: int = 1,
        recompute_activations: bool = False,
        learning_rate: float = 3e-3,
        weight_decay: float | str = "auto",
        early_stopping: bool | str = "auto",
        refit: bool = True,
        validation_fraction: float | str = "auto",
        n_iter_no_change: int = 10,
        tol: float = 1e-4,
        counts: str = "round",
        max_tokens: int | None = None,
        warm_start: bool = False,
        random_state: Any = None,
        device: str = "auto",
        precision: str = "float32",
        compile: bool = False,
        inference_batch_size: int | str = "auto",
        n_threads: int | None = 1,
        verbose: int = 0,
    ) -> None:
        self.bin_width = bin_width
        self.window_bins = window_bins
        self.recent_context = recent_context
        self.context = context
        self.context_width = context_width
        self.stimulus_context = stimulus_context
        self.state_dependent_drive = state_dependent_drive
        self.stimuli_in_context = stimuli_in_context
        self.gamma = gamma
        self.mu = mu
        self.align = align
        self.temperature = temperature
        self.behaviour = behaviour
        self.behaviour_weight = behaviour_weight
        self.head = head
        self.coupling = coupling
        self.coupling_lag = coupling_lag
        self.coupling_rank = coupling_rank
        self.coupling_prior = coupling_prior
        self.coupling_penalty = coupling_penalty
        self.tubelet_size = tubelet_size
        self.tubelet_stride = tubelet_stride
        self.d_model = d_model
        self.n_heads = n_heads
        self.n_layers = n_layers
        self.n_fusion_layers = n_fusion_layers
        self.share_fusion = share_fusion
        self.dropout = dropout
        self.unit_dropout = unit_dropout
        self.modality_dropout = modality_dropout
        self.max_epochs = max_epochs
        self.max_cycles = max_cycles
        self.batch_size = batch_size
        self.accumulation_steps = accumulation_steps
        self.recompute_activations = recompute_activations
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.refit = refit
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.counts = counts
        self.max_tokens = max_tokens
        self.warm_start = warm_start
        self.random_state = random_state
        self.device = device
        self.precision = precision
        self.compile = compile
        self.inference_batch_size = inference_batch_size
        self.n_threads = n_threads
        self.verbose = verbose

    # ---- use -------------------------------------------------------------------------------------------------

    def _read(self, X: Any, y: Any = None, *, reset: bool, learning: bool = False) -> ModelInput:
        inp = super()._read(X, y, reset=reset, learning=learning)
        given = () if inp.modalities is None else inp.modalities.names
        missing = [name for name in self.modalities_ if name not in given]
        if missing and self.model_.network.config.modality_dropout == 0:
            raise IncompatibleModalityError(
                f"The modalities {missing} are missing, and the model was fitted with modality_dropout=0: it never "
                f"learned to do without. Give them, or fit with modality_dropout > 0."
            )
        return inp

    def _remember(self, inp: ModelInput) -> None:
        super()._remember(inp)
        pasts = {"recent_context": self.recent_context, "context": self.context}
        if inp.modalities is not None:
            pasts["stimulus_context"] = self.stimulus_context
        if self.coupling and self.coupling_lag != "auto":
            pasts["coupling_lag"] = float(self.coupling_lag)
        warn_of_long_past(inp.spikes, **pasts)
        self.trial_start_ = common_start(inp.spikes.t_start)

    @property
    def _predicted_bins(self) -> int:
        """Bins of a window of `predict`: those of `fit`, whatever the parameter is set to now."""
        return self.model_.network.config.window_bins

    def _working_model(self) -> FittedModel:
        """The fitted model, computing as much at once as the parameters say now."""
        return replace(self.model_, rows_at_once=self._rows_at_once())

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        if target is not None and self.model_.network.config.head != "hazard":
            raise ValueError(
                f"co_smoothing_score needs a model with head='hazard', which asks one cell after another. This one was "
                f"fitted with head={self.model_.network.config.head!r}."
            )
        with torch_threads(self.n_threads):
            return self._working_model().cell_log_likelihood(inp, target)

    def _unit_log_likelihood(self, inp: ModelInput) -> np.ndarray:
        with torch_threads(self.n_threads):
            return self._working_model().unit_log_likelihood(inp)

    def predict(self, X: Any, stimuli: Any = None, *, n_samples: int = 32) -> np.ndarray:
        """Expected spike counts, from what came before each bin's window and from the stimuli.

        The horizon is 1 to `window_bins` bins: nothing of the window itself is looked at. The model's own draws of
        the window are averaged, with the same random numbers for every window, so that a result depends on its own
        inputs only.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            As `y` in `fit`.
        n_samples : int, default=32
            Draws of each window.

        Returns
        -------
        ndarray, in spikes per bin
            Of the shape of X for arrays; for containers an object array of (n_bins_k, n_units) arrays, one a trial.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If units or modalities differ from those seen in `fit`, or `n_samples` is not positive.
        """
        inp = self._read(X, stimuli, reset=False)
        n_samples = positive_integer("n_samples", n_samples)
        with torch_threads(self.n_threads):
            return inp.rows(generation.predict(self._working_model(), inp, n_samples))

    def past_score(self, X: Any, y: Any = None, *, n_samples: int = 64) -> float:
        """Bits per spike from the past and the stimuli alone: nothing of a bin helps to explain the same bin.

        `score` follows the chain rule through the units of a bin, so that zero-lag synchrony and the artefacts of spike
        sorting count as prediction. Here every unit's count has the probability that the past gives it, whatever the
        others do in the bin: the mean over the model's own draws of the bin. The logarithm of a mean over draws is low,
        and corrected to first order; what is left, where units fire together on rare occasions, makes the score a
        little low with few draws.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Held-out spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            As in `fit`.
        n_samples : int, default=64
            Draws of each bin.

        Returns
        -------
        float, in bits per spike
            Against the same constant rates as `score`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If X holds no spikes, units or modalities differ from those seen in `fit`, or the head is not "hazard".

        Warns
        -----
        AcausalEventsWarning, ArtefactWarning
            As `score`.
        """
        check_is_fitted(self)
        n_samples = positive_integer("n_samples", n_samples)
        if self.model_.network.config.head != "hazard":
            raise ValueError(
                f"past_score needs a model with head='hazard', which asks one bin after the other. This one was fitted "
                f"with head={self.model_.network.config.head!r}."
            )
        inp = self._read(X, y, reset=False)
        self._warn_of_score(inp)
        with torch_threads(self.n_threads):
            cells = generation.past_log_likelihood(self._working_model(), inp, n_samples)
        null = unit_null_log_likelihood(inp.spikes, self.base_rate_).sum()
        return bits_per_spike(cells.sum(), null, int(inp.spikes.unit_counts().sum()))

    def sample(
        self,
        stimuli: Any = None,
        n_samples: int = 1,
        *,
        duration: float | None = None,
        random_state: Any = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        history: SpikeTrains | None = None,
        clamp: SpikeTrains | None = None,
        silence: Sequence[Any] | None = None,
        stimulate: Mapping[Any, float] | None = None,
    ) -> SpikeTrains:
        """Simulate trials in closed loop: the model's own spikes become its past.

        Trials start from silence, or from a recorded past (`history`). Units may be clamped, silenced or stimulated
        meanwhile, and what they do reaches the others as their own spikes would; to swap or edit the stimulus, give
        another one. Spikes stand at the centres of their bins; nothing below
        `bin_width` is modelled.

        Parameters
        ----------
        stimuli : Modalities, Recording, Video, TimeSeries, array-like or None, default=None
            One row for each trial to simulate; None simulates one trial without stimuli. A trial starts when the
            training trials did, if they all started at one time and its stimuli are on by then, else with its stimuli;
            of a `Recording` over the time of its trials. An array is
            read as `y` in `fit`: of shape (n_trials,) or (n_trials, d) where those were constant over trials, else
            (n_bins,) or (n_bins, d) for one trial or (n_trials, n_bins, d).
        n_samples : int, default=1
            Samples of each trial.
        duration : float, in seconds, default=None
            Length of the trials; None lasts to the end of the stimuli (or of the recorded trials), or the training
            trials' median without stimuli, or with stimuli that are constant over trials.
        random_state : int, RandomState or None, default=None
            Seed; every row has a generator of its own, so that its spikes do not depend on the rows beside it.
        temperature : float, default=1.0
            Below 1 makes what is likely likelier; 1 is an exact draw from the model. The hazard head asks unit after
            unit, bin after bin, whether it fires, and then whether it fires once more: the log odds of each answer are
            divided by `temperature`, whatever the unit's place and its neighbours. So units that mostly are silent
            fire less often below 1, and more often above. The other heads draw the next spike of a window, or its end,
            at once: the logarithms of all these chances are divided by `temperature`.
        top_p : float, default=1.0
            Share of the probability mass that is drawn from; 1 is exact. The likeliest outcomes that together have that
            share are kept, of the answers of the hazard head, and of the next spikes of the others. A unit whose chance
            to fire in a bin is at most ``1 - top_p`` then stays silent, which in small bins can be all units; with a
            `top_p` near 0, the hazard head gives the likeliest answer of each, most often silence.
        history : SpikeTrains, default=None
            Recorded past in which the trials start, one row a trial or one for all; a simulation starts where its
            history ends. It must be as long as the longer of `recent_context` and `coupling_lag` at
            least. None: silence.
        clamp : SpikeTrains, default=None
            Spike trains of some of the units, which these follow while the others are simulated; one row a trial, or
            one for all, on the clock of the stimuli (without stimuli and history, on that of the training trials).
        silence : sequence of unit ids, default=None
            Units that never fire.
        stimulate : dict of unit id to float, in hertz, default=None
            Units that fire, besides their own spikes, Poisson spikes at this rate.

        Returns
        -------
        SpikeTrains of shape (n_trials * n_samples, n_units)
            The samples of a trial one after the other; ``trial_ids`` is the row of `stimuli`.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the stimuli are shorter than `duration`, differ from those seen in `fit`, a number is out of range, a
            unit is unknown or named twice, the clamp or the history is too short, or units are clamped, silenced or
            stimulated with another temperature or top_p than 1 and another head than "hazard".
        """
        check_is_fitted(self)
        n_samples = positive_integer("n_samples", n_samples)
        check_draw(temperature, top_p, duration)
        starts_at = None
        if history is not None:
            n_trials = None if stimuli is None else len(stimuli)
            needed = self._working_model().network.config.history_bins * self.bin_width
            starts_at = check_history(history, self.unit_ids_, n_trials, needed, gaps=True).t_stop
        inp = sampling_input(self, stimuli, duration, starts_at)
        interventions = read_interventions(
            clamp, silence, stimulate, unit_ids=self.unit_ids_, t_start=inp.spikes.t_start,
            n_bins=np.diff(inp.spikes.ptr), bin_width=self.bin_width,
        )  # fmt: skip
        head = self.model_.network.config.head
        if interventions is not None and head != "hazard" and not temperature == top_p == 1.0:
            raise ValueError(
                f"clamp, silence and stimulate need temperature=1 and top_p=1, the model's own chances, with "
                f"head={head!r}. Got {temperature=}, {top_p=}; head='hazard' takes any."
            )
        seed = np.random.SeedSequence(int(random_numbers(random_state).randint(2**31 - 1)))
        with torch_threads(self.n_threads):
            drawn = generation.sample(
                self._working_model(), inp, n_samples, seed, temperature, top_p,
                history=history, interventions=interventions,
            )  # fmt: skip
        return generation.to_spike_trains(drawn, self.unit_info_)

    def _shift_log_rates(self, offset: np.ndarray) -> None:
        head = self.model_.network.config.head
        if head != "hazard":
            raise TypeError(
                f"Only with head='hazard' has each unit an intensity of its own, which can be shifted. This one was "
                f"fitted with {head=}."
            )
        self.model_.shift_log_rates(offset)
        self.__dict__.pop("_state", None)  # training would go on from there

    def transform(self, X: Any, stimuli: Any = None) -> np.ndarray:
        """Neural embedding of each row of X, taken before any modality is fused in.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            Checked against X and `fit`; the neural side of the alignment does not see them.

        Returns
        -------
        ndarray of shape (n_rows, n_components)
            The projected vector of unit norm where the model was aligned with a modality (gamma > 0), else the state
            of the long past after each bin's window. Means over a trial's bins where rows are trials.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If units or modalities differ from those seen in `fit`.
        """
        with warnings.catch_warnings():
            if stimuli is None:  # nothing is missing: the embedding is of the spikes alone
                warnings.simplefilter("ignore", MissingModalityWarning)
            inp = self._read(X, stimuli, reset=False)
        with torch_threads(self.n_threads):
            vectors = self._working_model().embed(inp)
        return inp.row_means(vectors)

    def transform_modality(self, name: str, X: Any, stimuli: Any = None) -> np.ndarray:
        """Embedding of a modality in the space of :meth:`transform`, for each row of X.

        Parameters
        ----------
        name : str
            An aligned modality.
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes: they say where the trials and bins are, and nothing else.
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            What was seen and done; None if X is a Recording.

        Returns
        -------
        ndarray of shape (n_rows, d_model)
            Vectors of unit norm of what each bin's window shows; means over a trial's bins where rows are trials. NaN
            where nothing of the modality is seen.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If the modality was not aligned in `fit`, or is missing; if units or modalities differ from those seen in
            `fit`.
        """
        check_is_fitted(self)
        aligned = self.model_.network.config.aligned
        if name not in aligned:
            raise ValueError(
                f"The modality must be one of those that were aligned in fit, {list(aligned)}. Got {name!r}; name it "
                f"in 'align', with gamma > 0."
            )
        inp = self._read(X, stimuli, reset=False)
        if inp.modalities is None or name not in inp.modalities:
            raise IncompatibleModalityError(f"The modality {name!r} is missing: there is nothing to embed.")
        with torch_threads(self.n_threads):
            return inp.row_means(self._working_model().embed_modality(name, inp))

    @property
    def _n_features_out(self) -> int:
        check_is_fitted(self)
        return self.model_.embedding_width

    @property
    def coupling_kernels_(self) -> np.ndarray:
        """Coupling attention, (target, source, lag): log intensity per spike at lags of 1, 2, ... bins.

        All pairs of units, also where the coupling is of low rank.
        """
        check_is_fitted(self)
        if not self.model_.network.config.coupling_bins:
            raise AttributeError("coupling_kernels_ is there only after a fit with coupling=True")
        return self.model_.network.session.kernels().detach().double().cpu().numpy()

    # ---- files -----------------------------------------------------------------------------------------------

    def save(self, path: Any) -> None:
        """Write the fitted model to one file; see :func:`skneuro.save`.

        Parameters
        ----------
        path : str or path-like
            The file.
        """
        save(self, path)

    @staticmethod
    def load(path: Any) -> NeuroformerEstimator:
        """Read a file of :meth:`save`; see :func:`skneuro.load`.

        Parameters
        ----------
        path : str or path-like
            The file.

        Returns
        -------
        NeuroformerEstimator
            Fitted; training can go on, with a fresh optimiser.

        Raises
        ------
        UnsafeFileError
            If the file is not an undamaged one of :meth:`save`. It is a ValueError.
        """
        estimator = load(path)
        if not isinstance(estimator, NeuroformerEstimator):
            raise UnsafeFileError(
                f"{path} holds a {type(estimator).__name__}, not a NeuroformerEstimator. Use skneuro.load(path)."
            )
        return estimator
