"""What the baselines share: reading, scoring, predicting and sampling on top of a count head."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict
from typing import Any

import numpy as np

from skneuro._base import SpikeModel
from skneuro._sklearn_compat import check_is_fitted
from skneuro.baselines._heads import CountHead
from skneuro.baselines._simulation import (
    SpikeGenerator,
    State,
    TrainingTrials,
    make_plan,
    predict_windows,
    simulate,
)
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.data.spike_trains import SpikeTrains


class Baseline(SpikeModel):
    """Base class of the baselines: a count head, and a generator that draws from it bin by bin."""

    # In a baseline, `counts` names a distribution; counts that are not whole are always rounded.
    _rounding = "round"

    def _read_training(self, X: Any, y: Any) -> ModelInput:
        inp = self._read(X, y, reset=True)
        self.training_trials_ = asdict(TrainingTrials.from_input(inp))
        return inp

    @abstractmethod
    def _generator(self) -> SpikeGenerator:
        """What draws spikes."""

    @abstractmethod
    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        """What is known of each bin without the spikes, (n_bins, d)."""

    def sample(
        self, stimuli: Any = None, n_samples: int = 1, *, duration: float | None = None, random_state: Any = None
    ) -> SpikeTrains:
        """Simulate trials in closed loop: the model's own spikes are its past.

        Parameters
        ----------
        stimuli : Modalities, Video, TimeSeries, array-like or None, default=None
            One row per trial; None simulates one trial without.
        n_samples : int, default=1
            Simulations of each trial.
        duration : float, in seconds, default=None
            Length of the trials. None: as long as the stimulus, but not longer than the longest training trial;
            without a stimulus, as long as the median training trial.
        random_state : int, RandomState instance or None, default=None
            An int makes the result reproducible. Every simulated trial has its own random stream.

        Returns
        -------
        SpikeTrains
            ``n_samples`` simulations of the first row of the stimuli, then of the second, ...; ``trial_ids`` are the
            rows of the stimuli. Spikes are at the centres of bins.

        Raises
        ------
        ValueError
            If a parameter is not positive, or the stimuli do not cover the trials.
        """
        check_is_fitted(self)
        training = TrainingTrials(**self.training_trials_)
        plan = make_plan(stimuli, training, self.unit_ids_, bin_width=self.bin_width, duration=duration)
        self._check_modalities(() if plan.modalities is None else plan.modalities.names)
        drive = self._drive(plan.modalities, plan.bins)
        counts = simulate(self._generator(), plan, drive, n_samples, random_state)
        trial = np.repeat(np.arange(plan.bins.n_trials), n_samples)
        return SpikeTrains.from_counts(
            counts, self.bin_width, plan.bins.t_start[trial], unit_ids=self.unit_ids_, trial_ids=trial
        )


class StaticBaseline(Baseline):
    """A baseline that ignores past spikes: the log-intensity of a cell is known before the trial begins."""

    @abstractmethod
    def _head(self) -> CountHead:
        """Distribution of the counts."""

    def _cell_log_likelihood(self, inp: ModelInput) -> np.ndarray:
        head = self._head()
        z = self._drive(inp.modalities, inp.spikes)
        return head.log_pmf(z, inp.spikes.dense(), inp.spikes.mask(), head.shape_start)

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

    def step(self, state: State, drive: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        shape = self.head.shape_start
        return self.head.mean(drive, shape), self.head.draw(drive, shape, uniforms), state


class HistoryBaseline(Baseline):
    """A baseline whose counts depend on earlier ones, and perhaps on those of lower units in the same bin."""

    window_bins: int
    n_draws: int
    same_bin: str | None

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
        exact = self.window_bins == 1 and self.same_bin is None
        expected = predict_windows(
            self._generator(),
            self._states_before(inp, drive),
            drive,
            inp.spikes.ptr,
            self.window_bins,
            1 if exact else self.n_draws,
        )
        return inp.rows(expected)
