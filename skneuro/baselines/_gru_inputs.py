"""What the recurrent baseline sees: standardised counts, their filtered past, and the stimuli."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.baselines._features import CountScale, StimulusFeatures, filter_past, visible_cells
from skneuro.data.inputs import ModelInput


@dataclass
class Sequences:
    """All bins of a recording as the network sees them, in float32.

    Attributes
    ----------
    last : ndarray of shape (n_bins, n_units), standardised counts of the bin before; 0 where a trial begins
    now : ndarray of shape (n_bins, n_units), standardised counts of the bin, for same-bin terms
    stimuli : ndarray of shape (n_bins, n_stimuli)
    history : ndarray of shape (n_bins, n_history), filtered past
    counts : ndarray of shape (n_bins, n_units), int
    mask : ndarray of shape (n_bins, n_units), bool, True where observed
    ptr : ndarray of shape (n_trials + 1,), bins of each trial
    """

    last: np.ndarray
    now: np.ndarray
    stimuli: np.ndarray
    history: np.ndarray
    counts: np.ndarray
    mask: np.ndarray
    ptr: np.ndarray


@dataclass(frozen=True)
class GRUInputs:
    """How spikes and stimuli become `Sequences`, as learned from the training data.

    Attributes
    ----------
    scale : CountScale, mean and deviation of each unit's counts
    stimuli : StimulusFeatures, centre and scale of the stimuli
    kernels : ndarray of shape (n_lags, n_basis), filters of the linear path
    past_spikes : bool, whether counts of earlier bins are seen
    """

    scale: CountScale
    stimuli: StimulusFeatures
    kernels: np.ndarray
    past_spikes: bool

    def sequences(self, inp: ModelInput) -> Sequences:
        """Return every bin as the network sees it."""
        counts, ptr = inp.spikes.dense(), inp.spikes.ptr
        residuals = self.scale.residuals(counts, visible_cells(inp))
        earlier = residuals if self.past_spikes else np.zeros_like(residuals)
        return Sequences(
            last=filter_past(earlier, ptr, np.ones((1, 1)), first_lag=1),
            now=residuals,
            stimuli=self.stimuli.transform(inp.modalities, inp.spikes),
            history=filter_past(self.past(earlier), ptr, self.kernels, first_lag=1),
            counts=counts,
            mask=inp.spikes.mask(),
            ptr=ptr,
        )

    def past(self, residuals: np.ndarray) -> np.ndarray:
        """Counts as the linear path sees them: all units in one scale."""
        return (residuals * (self.scale.deviation / self.scale.common_scale())).astype(np.float32)
