"""The stimuli as they are known from training stretches alone: what is held out is judged as new data will be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from skneuro._stimulus_range import StimulusRange, stimulus_range, within_range
from skneuro.data import BinnedSpikes, Modality, ModelInput, Video
from skneuro.training.stretches import Segments


def training_part(modality: Modality, binned: BinnedSpikes, training: Segments) -> Modality:
    """The part of a modality that lies in training stretches, as far as its kind can be cut."""
    rows = np.unique(training.trial)
    begin = binned.t_start[training.trial]
    start, stop = begin + training.start * binned.bin_width, begin + training.stop * binned.bin_width
    return modality[rows]._during(np.searchsorted(rows, training.trial), start, stop)


def as_in_training(
    inp: ModelInput, training: Segments, before: StimulusRange | None = None
) -> tuple[ModelInput, StimulusRange]:
    """The input with its stimuli held within those of the training stretches and those seen before; their range.

    A held-out artefact, fifty standard deviations off, would otherwise decide when training stops. Videos are left as
    they are, as in `score`. Where nothing lies beyond, the input is the very same.
    """
    if inp.modalities is None:
        return inp, {}
    with_scale = {name: modality for name, modality in inp.modalities.items() if not isinstance(modality, Video)}
    earlier = {name: limits for name, limits in (before or {}).items() if name in with_scale}
    seen = stimulus_range({name: training_part(m, inp.spikes, training) for name, m in with_scale.items()}, earlier)
    held = within_range(inp.modalities, seen, warn=False)
    return inp if held is inp.modalities else replace(inp, modalities=held), seen
