"""An honest split into train, validation and test: blocks of time with gaps, never shuffled bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skneuro.cli.errors import CommandError, as_command_error
from skneuro.cli.recordings import Loaded
from skneuro.cli.text_plots import count_of
from skneuro.data import Recording, SpikeTrains
from skneuro.data._session_time import in_order, on_one_clock, overlapping
from skneuro.datasets import block_split, make_block_groups

N_GROUPS = 10
_MANY_TRIALS = 50
_LEAST_SPIKES = 100


@dataclass(frozen=True)
class Split:
    """Three parts of a recording.

    Parameters
    ----------
    train, validation, test : Recording
        The parts.
    description : str
        How they were made.
    """

    train: Recording
    validation: Recording
    test: Recording
    description: str


def split_recording(recording: Loaded, gap: float = 1.0) -> Split:
    """Split into ten groups in the order of time: 3 and 7 are test, 1 and 5 validation, the others train.

    Whole trials where there are enough of them, else blocks of time whose first `gap` seconds are not scored,
    so that no model profits from activity that a border cuts in two. Trials with times in the session are put in the
    order of time first; those for training and validation that overlap a test trial, and those for training that
    overlap one for validation, are left out. Trials with clocks of their own are taken in the order of their rows.

    Parameters
    ----------
    recording : Loaded
        The recording.
    gap : float, default=1.0
        Seconds at the start of a block that are not scored.

    Returns
    -------
    split : Split

    Raises
    ------
    CommandError
        If the recording is too short, a part has hardly any spikes, or a series reaches into no trial.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.cli.recordings import Loaded
    >>> from skneuro.cli.split import split_recording
    >>> from skneuro.data import SpikeTrains
    >>> spikes = SpikeTrains.from_unit_times({0: np.arange(0.05, 100, 0.1)}, epochs=[[0.0, 100.0]])
    >>> split = split_recording(Loaded("regular", spikes))
    >>> split.test.spikes.t_start, split.test.spikes.context
    (array([30., 70.]), array([1., 1.]))
    """
    with as_command_error(recording.name):
        trials = Recording(recording.spikes, recording.stimuli)
    divided = recording.groups is not None and recording.gap_mask is not None
    one_clock = not divided and on_one_clock(trials.spikes)
    if one_clock and not in_order(trials.spikes):
        trials = trials[np.argsort(trials.spikes.t_start, kind="stable")]
    if divided:
        groups, dropped = recording.groups, recording.gap_mask
        how = "Ten contiguous groups of whole segments, without the first segment of each"
    elif len(trials) >= N_GROUPS:
        groups, dropped = _grouped(trials.spikes)
        how = "Ten contiguous groups of whole trials, without the first trial of each"
        if len(trials) < _MANY_TRIALS:  # so few that the pause between trials has to do
            dropped, how = np.zeros(len(trials), dtype=bool), "Ten contiguous groups of whole trials"
    else:
        trials = _blocks(trials, gap)
        groups, dropped = _grouped(trials.spikes)[0], np.zeros(len(trials), dtype=bool)
        how = f"Ten blocks of time, the first {gap:g} s of each not scored"
    masks = dict(block_split(groups, dropped))
    n_left_out = _leave_out_overlapping(masks, trials.spikes) if one_clock else 0
    left_out = f" {count_of(n_left_out, 'trial')} left out for overlap with held-out ones." if n_left_out else ""
    for name in ("train", "validation", "test"):
        n_spikes = trials[masks[name]].spikes.n_spikes
        if n_spikes < _LEAST_SPIKES:
            raise CommandError(
                f"{recording.name}: {n_spikes} spikes in the {name} part; the demo needs {_LEAST_SPIKES} or more in "
                f"each, that is a longer recording or more units.{left_out}".rstrip(".")
            )
    return Split(
        train=trials[masks["train"]],
        validation=trials[masks["validation"]],
        test=trials[masks["test"]],
        description=f"{how}: 3 and 7 are held out, 1 and 5 choose the best baseline, the others train." + left_out,
    )


def _leave_out_overlapping(masks: dict[str, np.ndarray], spikes: SpikeTrains) -> int:
    """Take trials that overlap a part that judges them out of `masks`; return how many."""
    used = sum(mask.sum() for mask in masks.values())
    for judge, judged in (("test", ("train", "validation")), ("validation", ("train",))):
        wrong = overlapping(spikes, np.flatnonzero(masks[judge]))
        masks |= {name: masks[name] & ~wrong for name in judged}
    return int(used - sum(mask.sum() for mask in masks.values()))


def _grouped(spikes: SpikeTrains) -> tuple[np.ndarray, np.ndarray]:
    try:
        return make_block_groups(spikes, N_GROUPS)
    except ValueError as error:
        raise CommandError(f"the trials cannot be held out in blocks of time: {error}") from error


def _blocks(trials: Recording, gap: float) -> Recording:
    """Cut into tenths of the time, in which the first `gap` seconds serve as the past but are not scored."""
    spikes = trials.spikes
    step = spikes.resolution or 1e-3
    duration = np.ceil(spikes.duration.sum() / N_GROUPS / step - 1e-6) * step
    if duration < 2 * gap:
        raise CommandError(
            f"the recording lasts {spikes.duration.sum():g} s; the demo needs {N_GROUPS * 2 * gap:g} s or more to hold "
            "out blocks of it"
        )
    blocks = trials.cut(duration)
    cut = blocks.spikes
    context = np.minimum(np.maximum(cut.context, np.ceil(gap / step - 1e-6) * step), cut.duration)
    return Recording(cut._with(context=context), blocks.modalities)
