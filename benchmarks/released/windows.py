"""Windows of a recording and the batches made of them: item by item in Python loops, and all at once from flat arrays.

Tokens as the released system is described to cut them: the current window is ``[t - w, t)``, the past
``[t - w - w_past, t - w)``; bins in order of time, units in ascending order within a bin, a unit that fired twice twice
in a row; the last ``block - 2`` spikes; dt counted in bins from the start of its own window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .network import ReleasedConfig

BIN_WIDTH, FRAME_RATE = 0.01, 20


@dataclass(frozen=True)
class SimulatedRecording:
    """Poisson spikes of trials of equal length, and the clip that each trial showed.

    Attributes
    ----------
    counts : ndarray of shape (n_trials, n_units, n_bins), uint8
        What the loops read.
    bin, unit : ndarray of shape (n_spikes,)
        What the searches read: bins of all trials laid end to end, ascending, and units ascending within a bin.
    frames : ndarray of shape (n_clips, n_frames, height, width), float32
    clip : ndarray of shape (n_trials,)
    """

    counts: np.ndarray
    bin: np.ndarray
    unit: np.ndarray
    frames: np.ndarray
    clip: np.ndarray

    @property
    def n_bins(self) -> int:
        """Bins of a trial."""
        return self.counts.shape[2]

    @classmethod
    def make(
        cls, n_units: int, rate: float, seed: int, n_trials: int = 20, duration: float = 32.0, n_clips: int = 1,
        frame_shape: tuple[int, int] = (64, 112),
    ) -> SimulatedRecording:  # fmt: skip
        """Draw a recording; every unit fires at `rate` hertz."""
        rng = np.random.default_rng(seed)
        n_bins = round(duration / BIN_WIDTH)
        counts = rng.poisson(rate * BIN_WIDTH, (n_trials, n_units, n_bins)).astype(np.uint8)
        by_time = counts.transpose(0, 2, 1).reshape(-1, n_units)
        bin_, unit = by_time.nonzero()
        again = by_time[bin_, unit]
        frames = rng.standard_normal((n_clips, round(duration * FRAME_RATE), *frame_shape), dtype=np.float32)
        return cls(counts, np.repeat(bin_, again), np.repeat(unit, again), frames, np.arange(n_trials) % n_clips)

    def draw_windows(
        self, config: ReleasedConfig, n_windows: int, seed: int, sharing: int = 1
    ) -> tuple[np.ndarray, np.ndarray]:
        """Trial and end bin of some windows; `sharing` trials of one clip in a row see the same stimulus window."""
        rng = np.random.default_rng(seed)
        n_stimuli = -(-n_windows // sharing)
        first, last = config.past_bins + config.window_bins, self.n_bins - config.window_bins
        ends = np.arange(first, last + 1, config.window_bins)
        end = rng.choice(ends, n_stimuli, replace=n_stimuli > len(ends))
        trial = []
        for _ in range(n_stimuli):
            same = np.flatnonzero(self.clip == rng.choice(self.clip))
            trial.append(rng.choice(same, sharing, replace=sharing > len(same)))
        trial = np.concatenate(trial)
        return trial[:n_windows], np.repeat(end, sharing)[:n_windows]


@dataclass(frozen=True)
class PaddedBatch:
    """What the plain network reads: every row padded to the size of its block, every row with its own frames.

    Attributes
    ----------
    unit, dt, next_unit, next_dt : Tensor of shape (B, block)
    past_unit, past_dt : Tensor of shape (B, past_block)
    length, past_length : Tensor of shape (B,)
        Inputs with a target that is not padding, and real tokens of the past, of each row.
    frames : Tensor of shape (B, n_frames, height, width) or None
    """

    unit: Tensor
    dt: Tensor
    next_unit: Tensor
    next_dt: Tensor
    length: Tensor
    past_unit: Tensor
    past_dt: Tensor
    past_length: Tensor
    frames: Tensor | None


@dataclass(frozen=True)
class PackedBatch:
    """What the fast network reads: real tokens only, windows one after the other, every stimulus window once.

    Attributes
    ----------
    unit, dt, next_unit, next_dt : Tensor of shape (P,)
    length : ndarray of shape (B,)
        Tokens of each window.
    past_unit, past_dt : Tensor of shape (Q,)
    past_length : ndarray of shape (B,)
    order : ndarray of shape (B,)
        Which of the windows asked for each one is: with a video they are ordered by stimulus.
    frames : Tensor of shape (F, height, width) or None
        All stored frames, not copied.
    shown : Tensor of shape (S, n_frames) or None
        Frames of each distinct stimulus window.
    stimulus : ndarray of shape (B,) or None
        Stimulus window of each window, ascending.
    """

    unit: Tensor
    dt: Tensor
    next_unit: Tensor
    next_dt: Tensor
    length: np.ndarray
    past_unit: Tensor
    past_dt: Tensor
    past_length: np.ndarray
    order: np.ndarray
    frames: Tensor | None
    shown: Tensor | None
    stimulus: np.ndarray | None

    @property
    def n_stimuli(self) -> int:
        """Distinct stimulus windows."""
        return 0 if self.shown is None else len(self.shown)

    def stimulus_frames(self) -> Tensor:
        """Frames of the distinct stimulus windows, (S, n_frames, height, width), copied out of the stored ones."""
        return self.frames[self.shown]


def frame_range(config: ReleasedConfig, end: int | np.ndarray) -> tuple[int | np.ndarray, int | np.ndarray]:
    """First frame, and the one after the last, that a window which ends with bin `end` sees."""
    stop = np.round((np.asarray(end) + config.window_bins) * BIN_WIDTH * FRAME_RATE + 1e-9).astype(int)
    return stop - config.n_frames, stop


# ---- item by item --------------------------------------------------------------------------------------------------


def scan(counts: np.ndarray, first: int, stop: int, longest: int) -> tuple[list[int], list[int]]:
    """Spikes of bins `first` to `stop` of one trial (n_units, n_bins), by asking every unit in every bin."""
    units: list[int] = []
    dts: list[int] = []
    for bin_ in range(first, stop):
        for unit in range(counts.shape[0]):
            n_spikes = counts[unit, bin_]
            if n_spikes > 0:
                units.extend([unit] * int(n_spikes))
                dts.extend([bin_ - first] * int(n_spikes))
    return units[-longest:], dts[-longest:]


def plain_item(recording: SimulatedRecording, config: ReleasedConfig, trial: int, end: int) -> dict[str, Tensor]:
    """One window as padded tensors."""
    counts, border = recording.counts[trial], end - config.window_bins
    units, dts = scan(counts, border, end, config.block - 2)
    past_units, past_dts = scan(counts, border - config.past_bins, border, config.past_block - 2)
    pad = [config.end + 1] * (config.block - 1 - len(units))
    dt_pad = [config.dt_end + 1] * len(pad)
    past_pad = [config.end + 1] * (config.past_block - 2 - len(past_units))
    sequence = [config.start, *units, config.end, *pad]
    times = [0, *dts, config.dt_end, *dt_pad]
    item = {
        "unit": torch.tensor(sequence[:-1]),
        "dt": torch.tensor(times[:-1]),
        "next_unit": torch.tensor(sequence[1:]),
        "next_dt": torch.tensor(times[1:]),
        "length": torch.tensor(len(units) + 1),
        "past_unit": torch.tensor([config.start, *past_units, config.end, *past_pad]),
        "past_dt": torch.tensor([0, *past_dts, config.dt_end, *[config.dt_end + 1] * len(past_pad)]),
        "past_length": torch.tensor(len(past_units) + 2),
    }
    if config.video:
        low, high = frame_range(config, end)
        item["frames"] = torch.tensor(recording.frames[recording.clip[trial], low:high])
    return item


def plain_batch(
    recording: SimulatedRecording, config: ReleasedConfig, trial: np.ndarray, end: np.ndarray
) -> PaddedBatch:
    """Some windows, one after the other, stacked."""
    items = [plain_item(recording, config, int(one), int(at)) for one, at in zip(trial, end, strict=True)]
    columns = {name: torch.stack([item[name] for item in items]) for name in items[0]}
    return PaddedBatch(**{"frames": None, **columns})


# ---- all at once ---------------------------------------------------------------------------------------------------


def fast_batch(
    recording: SimulatedRecording, config: ReleasedConfig, trial: np.ndarray, end: np.ndarray
) -> PackedBatch:
    """Some windows, cut with two searches from the flat arrays."""
    frames = shown = stimulus = None
    order = np.arange(len(trial))
    if config.video:
        low, _ = frame_range(config, end)
        n_frames = recording.frames.shape[1]
        order = np.argsort(recording.clip[trial] * n_frames + low, kind="stable")
        trial, end = trial[order], end[order]
        distinct, stimulus = np.unique((recording.clip[trial] * n_frames + low[order]), return_inverse=True)
        shown = torch.from_numpy(distinct[:, None] + np.arange(config.n_frames))
        frames = torch.from_numpy(recording.frames).flatten(0, 1)
    border = trial * recording.n_bins + end - config.window_bins
    first = np.concatenate([border, border - config.past_bins])  # the current windows, then their pasts
    stop = np.concatenate([border + config.window_bins, border])
    longest = np.repeat([config.block - 2, config.past_block - 2], len(border))
    low, high = np.searchsorted(recording.bin, np.concatenate([first, stop])).reshape(2, -1)
    low = np.maximum(low, high - longest)
    length = high - low + 2  # with start and end token
    until = np.cumsum(length)
    spike = np.arange(until[-1]) + np.repeat(low - (until - length) - 1, length)  # -1: the start token
    unit = recording.unit.take(spike, mode="clip")
    dt = recording.bin.take(spike, mode="clip") - np.repeat(first, length)
    unit[until - length], dt[until - length] = config.start, 0
    unit[until - 1], dt[until - 1] = config.end, config.dt_end
    length, past_length = length.reshape(2, -1)
    n_current = until[len(border) - 1]
    # What follows a token stands behind it; the end token is followed by nothing.
    inputs = np.delete(np.arange(n_current), until[: len(border)] - 1)
    columns = (unit[inputs], dt[inputs], unit[inputs + 1], dt[inputs + 1])
    current = [torch.from_numpy(column) for column in columns]
    past = [torch.from_numpy(column[n_current:]) for column in (unit, dt)]
    return PackedBatch(*current, length - 1, *past, past_length, order, frames, shown, stimulus)
