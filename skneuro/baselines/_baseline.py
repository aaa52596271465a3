"""What the baselines share: reading, scoring, predicting and sampling on top of a count head."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, ClassVar

import numpy as np

from skneuro._base import SpikeModel, warn_of_long_past
from skneuro._sklearn_compat import check_is_fitted
from skneuro._stimulus_range import StimulusRange
from skneuro.baselines._features import CountScale, StimulusFeatures
from skneuro.baselines._heads import HEADS, CountHead
from skneuro.baselines._simulation import (
    Forced,
    SpikeGenerator,
    State,
    TrainingTrials,
    make_plan,
    past_counts,
    predict_windows,
    simulate,
    with_past,
)
from skneuro.baselines._split import stretches
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.interventions import apply, check_history, read_interventions
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.training.known import as_in_training


class Baseline(SpikeModel):
    """Base class of the baselines: a count head, and a generator that draws from it bin by bin."""

    # In a baseline, `counts` names a distribution; counts that are not whole are always rounded.
    _rounding = "round"

    def _read_training(self, X: Any, y: Any) -> ModelInput:
        inp = self._read(X, y, reset=True)
        self.training_trials_ = asdict(TrainingTrials.from_input(inp, y))
        return inp

    @abstractmethod
    def _generator(self) -> SpikeGenerator:
        """What draws spikes."""

    @abstractmethod
    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        """What is known of each bin without the spikes, (n_bins, d)."""

    def sample(
        self,
        stimuli: Any = None,
        n_samples: int = 1,
        *,
        duration: float | None = None,
        random_state: Any = None,
        history: SpikeTrains | None = None,
        clamp: SpikeTrains | None = None,
        silence: Sequence[Any] | None = None,
        stimulate: Mapping[Any, float] | None = None,
    ) -> SpikeTrains:
        """Simulate trials in closed loop: the model's own spikes are its past.

        Parameters
        ----------
        stimuli : Modalities, Recording, Video, TimeSeries, array-like or None, default=None
            One row per trial; None simulates one trial without. A trial starts when the training trials did, if they
            all started at one time and its stimulus is on by then, else with its stimulus. Those of a `Recording` start
            and end as its trials. An array is read as `y` in `fit`: of shape (n_trials,) or (n_trials, d) where those
            were constant over trials, else (n_bins,) or (n_bins, d) for one trial or (n_trials, n_bins, d).
        n_samples : int, default=1
            Simulations of each trial.
        duration : float, in seconds, default=None
            Length of the trials. None: as long as the stimulus, but not longer than the longest training trial;
            without a stimulus, as long as the median training trial.
        random_state : int, RandomState instance or None, default=None
            An int makes the result reproducible. Every simulated trial has its own random stream.
        history : SpikeTrains, default=None
            Recorded past in which the trials start, one row a trial or one for all; a simulation starts where its
            history ends. It must be as long as the model looks back, and the
            stimuli must cover it. None: silence.
        clamp : SpikeTrains, default=None
            Spike trains of some of the units, which these follow while the others are simulated; one row a trial, or
            one for all, on the clock of the stimuli (without stimuli and history, on that of the training trials).
        silence : sequence of unit ids, default=None
            Units that never fire.
        stimulate : dict of unit id to float, in hertz, default=None
            Units that fire, besides their own spikes, Poisson spikes at this rate.

        Returns
        -------
        SpikeTrains
            ``n_samples`` simulations of the first row of the stimuli, then of the second, ...; ``trial_ids`` are the
            rows of the stimuli. Spikes are at the centres of bins.

        Raises
        ------
        ValueError
            If a parameter is not positive, the stimuli, the history or the clamp do not cover the trials, or a unit is
            unknown or named twice.
        """
        check_is_fitted(self)
        self._check_bin_width()
        training = TrainingTrials(**self.training_trials_)
        generator = self._generator()
        if history is not None:
            needed = generator.start(1)[-1].shape[1] * self.bin_width
            n_trials = len(stimuli) if isinstance(stimuli, Modalities | Modality | Recording) else None
            check_history(history, self.unit_ids_, n_trials, needed)
        settings = {"bin_width": self.bin_width, "duration": duration, "history": history}
        plan = make_plan(stimuli, training, self.unit_ids_, **settings)
        self._check_modalities(() if plan.modalities is None else plan.modalities.names)
        plan = replace(plan, modalities=self._within_range(plan.modalities))
        interventions = read_interventions(
            clamp, silence, stimulate, unit_ids=self.unit_ids_, t_start=plan.bins.t_start,
            n_bins=np.diff(plan.bins.ptr), bin_width=self.bin_width,
        )  # fmt: skip
        past = None
        whole = plan
        if history is not None:
            past = past_counts(history, plan.bins.n_trials, self.bin_width)
            whole = with_past(plan, past.n_bins)
        drive = self._drive(whole.modalities, whole.bins)
        counts = simulate(generator, whole, drive, n_samples, random_state, past, interventions)
        trial = np.repeat(np.arange(plan.bins.n_trials), n_samples)
        return SpikeTrains.from_counts(
            counts, self.bin_width, plan.bins.t_start[trial], unit_ids=self.unit_ids_, trial_ids=trial
        )


class StaticBaseline(Baseline):
    """A baseline that ignores past spikes: the log-intensity of a cell is known before the trial begins."""

    @abstractmethod
    def _head(self) -> CountHead:
        """Distribution of the counts."""

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        head, target = self._head(), inp.spikes if target is None else target
        z = self._drive(inp.modalities, inp.spikes)
        return head.log_pmf(z, target.dense(), target.mask(), head.shape_start)

    def predict(self, X: Any, stimuli: Any = None) -> np.ndarray:
        """Expected counts of each bin, which do not depend on the spikes of X.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Says which bins there are.
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli of the same trials.

        Returns
        -------
        ndarray, in spikes per bin
            Of shape (n_bins, n_units) for 2-D counts, (n_trials, n_bins, n_units) for 3-D counts, and an object array
            of one (n_bins_k, n_units) array per trial for containers.
        """
        inp = self._read(X, stimuli, reset=False)
        head = self._head()
        return inp.rows(head.mean(self._drive(inp.modalities, inp.spikes), head.shape_start))

    def _generator(self) -> SpikeGenerator:
        return _StaticGenerator(self._head())


class _StaticGenerator:
    """Draws from a head whose log-intensity is given: nothing is remembered."""

    def __init__(self, head: CountHead):
        self.head = head
        self.n_units = len(head.largest)

    def start(self, n_rows: int) -> State:
        return (np.zeros((n_rows, 0)),)

    def step(
        self, state: State, drive: np.ndarray, uniforms: np.ndarray, forced: Forced = None
    ) -> tuple[np.ndarray, np.ndarray, State]:
        shape = self.head.shape_start
        return self.head.mean(drive, shape), apply(self.head.draw(drive, shape, uniforms), forced), state


class HistoryBaseline(Baseline):
    """A baseline whose counts depend on earlier ones, and perhaps on those of lower units in the same bin."""

    window_bins: int
    n_draws: int
    same_bin: str | None
    counts: str
    head_: dict[str, np.ndarray]

    # Parameters that say what the fitted weights are: what they are set to after `fit` is for the next fit.
    _shaping: ClassVar[tuple[str, ...]] = ("counts", "same_bin")

    def _as_fitted(self, name: str) -> Any:
        """A parameter as it was in `fit`; as it is now, where a file of an earlier version does not say."""
        return getattr(self, "_fitted_parameters", {}).get(name, getattr(self, name))

    def _begin_fit(self, X: Any, y: Any) -> tuple[ModelInput, np.ndarray, np.ndarray, CountHead]:
        """Training data, their counts and what of them was observed, and a count head; their scales are kept."""
        inp = self._read_training(X, y)
        seen = ("history", "stimulus_history") if inp.modalities is not None else ("history",)
        warn_of_long_past(inp.spikes, **{name: float(getattr(self, name)) for name in seen if hasattr(self, name)})
        return inp, *self._measure(inp)

    def _measure(self, inp: ModelInput) -> tuple[np.ndarray, np.ndarray, CountHead]:
        """Counts, what of them was observed, and a count head; their scales are kept."""
        self._fitted_parameters = {name: getattr(self, name) for name in self._shaping}
        counts, mask = inp.spikes.dense(), inp.spikes.mask()
        self.scale_ = CountScale.from_counts(counts, mask).to_arrays()
        self.stimulus_scale_ = StimulusFeatures.from_input(inp).columns
        return counts, mask, HEADS[self.counts].from_counts(counts, mask)

    def _stimulus_features(self) -> StimulusFeatures:
        # In the order of `fit`, which weights know of: a file sorts the keys of a dict. (A GLM that a GRU takes its
        # penalties from has read nothing itself, and comes from no file.)
        order = getattr(self, "modalities_", self.stimulus_scale_)
        return StimulusFeatures({name: self.stimulus_scale_[name] for name in order})

    def _scale(self) -> CountScale:
        return CountScale(**self.scale_)

    def _for_choosing(
        self, inp: ModelInput, counts: np.ndarray, mask: np.ndarray, train: np.ndarray
    ) -> tuple[ModelInput, CountScale, bool, StimulusRange]:
        """What held-out data choose by, who know nothing beyond the bins that are trained on.

        The input and the scale of its counts, whether these differ from those of all data, and the range of stimuli.
        """
        known, seen = as_in_training(inp, stretches(train, inp.spikes.ptr))
        scale = self._scale().for_choosing(counts, mask & train[:, None])
        return known, scale, known is not inp or bool((counts > scale.most).any()), seen

    def _fitted_head(self) -> CountHead:
        """Distribution of the counts, as `fit` left it."""
        return HEADS[self._as_fitted("counts")](**self.head_)

    @abstractmethod
    def _states_before(self, inp: ModelInput, drive: np.ndarray) -> Any:
        """Return a callable that gives the true states in front of bins: ``state_before(bins) -> State``."""

    def predict(self, X: Any, stimuli: Any = None) -> np.ndarray:
        """Expected counts of each bin from what came before its window, and the stimuli.

        Windows of `window_bins` bins tile each trial from its start. Nothing inside a window is looked at: over what
        may happen in it the model averages `n_draws` of its own draws, with the same random numbers for every window.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli of the same trials.

        Returns
        -------
        ndarray, in spikes per bin
            Of shape (n_bins, n_units) for 2-D counts, (n_trials, n_bins, n_units) for 3-D counts, and an object array
            of one (n_bins_k, n_units) array per trial for containers.
        """
        inp = self._read(X, stimuli, reset=False)
        drive = self._drive(inp.modalities, inp.spikes)
        # One bin ahead and without same-bin terms the expectation is exact: there is nothing to average over.
        exact = self.window_bins == 1 and self._as_fitted("same_bin") is None
        expected = predict_windows(
            self._generator(),
            self._states_before(inp, drive),
            drive,
            inp.spikes.ptr,
            self.window_bins,
            1 if exact else self.n_draws,
        )
        return inp.rows(expected)
