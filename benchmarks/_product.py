"""Recordings and fitted models of the product for the speed benchmarks; public interface only."""

from __future__ import annotations

import warnings

import numpy as np
from released.windows import BIN_WIDTH, FRAME_RATE, SimulatedRecording

from skneuro import NeuroformerEstimator
from skneuro.data import SpikeTrains, Video

ALIGNED = {"gamma": 0.1, "mu": 0.45}  # with a video, as the published model is trained


def containers(recording: SimulatedRecording, *, video: bool) -> tuple[SpikeTrains, Video | None]:
    """A simulated recording in the product's form."""
    spikes = SpikeTrains.from_counts(recording.counts.transpose(0, 2, 1).astype(np.int64), bin_width=BIN_WIDTH)
    return spikes, Video(recording.frames, fps=FRAME_RATE, index=recording.clip) if video else None


def estimator(**parameters) -> NeuroformerEstimator:
    """Aligned with the video where there is one, else default parameters, but for those given."""
    return NeuroformerEstimator(**{**ALIGNED, "random_state": 0, **parameters})


def train(
    model: NeuroformerEstimator, spikes: SpikeTrains, stimuli: Video | None, n_epochs: int = 1
) -> NeuroformerEstimator:
    """Train for some passes over all of the data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # gamma without a modality
        return model.set_params(max_epochs=n_epochs, early_stopping=False).fit(spikes, stimuli)


def n_tokens(spikes: SpikeTrains, model: NeuroformerEstimator) -> int:
    """Spikes, and one end for each window: what the model gives a probability to."""
    n_bins = np.ceil(np.asarray(spikes.t_stop - spikes.t_start) / model.bin_width - 1e-6)
    return int(len(spikes.times) + np.ceil(n_bins / model.window_bins).sum())
