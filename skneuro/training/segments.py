"""Segments of trials: how an epoch is cut, and how segments become the tensors of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch

from skneuro.data import BinnedSpikes
from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.keys import ModalityKeys
from skneuro.nn.layout import Layout
from skneuro.nn.moving import moved
from skneuro.training.modality_table import ModalityTable
from skneuro.training.stretches import Segments

SEGMENT_BINS = 100
POOL = 8


def segment_bins(config: NeuroformerConfig) -> int:
    """Scored bins of a training segment: whole windows, at least `SEGMENT_BINS` bins and the warm-up's length."""
    wanted = max(SEGMENT_BINS, config.context_bins, 2 * config.window_bins)
    return -(-wanted // config.window_bins) * config.window_bins


def cut_segments(stretches: Segments, length: int, rng: np.random.Generator | None = None) -> Segments:
    """Cut stretches into segments of `length` bins, from a random phase where `rng` is given.

    A stretch of up to one and a half lengths stays whole; with a phase the first piece is shorter.
    """
    bins = stretches.stop - stretches.start
    whole = bins <= 1.5 * length
    phase = np.zeros(len(bins), dtype=np.int64) if rng is None else rng.integers(0, length, len(bins))
    phase = np.where(whole, 0, phase)
    n_pieces = np.where(whole, 1, -(-(bins - phase) // length) + (phase > 0)).astype(np.int64)
    stretch = np.repeat(np.arange(len(bins)), n_pieces)
    number = np.arange(len(stretch)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    border = np.where(phase > 0, phase, length)[stretch] + (number - 1) * length  # where pieces 1, 2, ... begin
    start = np.where(number == 0, 0, border)
    stop = np.where(whole[stretch], bins[stretch], np.minimum(border + length, bins[stretch]))
    origin = stretches.start[stretch]
    segments = Segments(stretches.trial[stretch], origin + start, origin + stop)
    return segments.take(np.flatnonzero(stop > start))


def shuffled_batches(segments: Segments, batch_size: int, rng: np.random.Generator) -> Iterator[Segments]:
    """Batches in random order, each of segments of similar length, so that little is padded."""
    order = rng.permutation(len(segments))
    length = segments.stop - segments.start
    batches = []
    for low in range(0, len(order), POOL * batch_size):
        pool = order[low : low + POOL * batch_size]
        pool = pool[np.argsort(length[pool], kind="stable")]
        batches += [pool[k : k + batch_size] for k in range(0, len(pool), batch_size)]
    for k in rng.permutation(len(batches)):
        yield segments.take(batches[k])


class BatchBuilder:
    """Makes the tensors of a batch from segments, with array operations only.

    Parameters
    ----------
    binned : BinnedSpikes
    tables : dict of ModalityTable
    config : NeuroformerConfig
    device, dtype : torch device and dtype
    rows_at_once : int, optional
        Rows of a batch in inference; by default they are chosen by their size.

    Attributes
    ----------
    behaviour : ndarray of shape (n_bins, K) or None
        Standardised behaviour of every bin, NaN where it is not known; set where it is trained on.
    """

    def __init__(
        self,
        binned: BinnedSpikes,
        tables: dict[str, ModalityTable],
        config: NeuroformerConfig,
        device: torch.device,
        dtype: torch.dtype,
        rows_at_once: int | None = None,
    ) -> None:
        self.behaviour: np.ndarray | None = None
        self.binned, self.tables, self.config, self.rows_at_once = binned, tables, config, rows_at_once
        self.device, self.dtype = device, dtype
        self.n_bins = np.diff(binned.ptr)
        # One column for each aligned modality; what is static has no clock.
        static = {modality.name for modality in config.modalities if modality.static}
        self.clip = np.zeros((binned.n_trials, len(config.aligned)), dtype=np.int64)
        self.offset = np.zeros(self.clip.shape)
        self.clocked = np.array([name not in static for name in config.aligned], dtype=np.float64)
        for column, name in enumerate(config.aligned):
            if name in tables:
                self.clip[:, column], self.offset[:, column] = tables[name].identity, tables[name].offset

    def build(
        self, segments: Segments, warm_up: int, hidden: torch.Tensor | None = None, *, layout: bool = True
    ) -> Batch:
        """Tensors of some segments, each preceded by up to `warm_up` bins of its own trial.

        Parameters
        ----------
        hidden : Tensor of shape (C, S), optional
            State of the long past before the warm-up; zeros by default.
        layout : bool
            Whether to say where the spikes are, as one pass of the model wants to know.
        """
        first = np.minimum(segments.start, warm_up)
        length = segments.stop - segments.start
        longest = int((first + length).max())
        size = block_bins(self.config.window_bins)
        n_scored = -(-int(length.max()) // size) * size
        steps = np.arange(longest)
        inside = steps < (first + length)[:, None]
        origin = self.binned.ptr[segments.trial] + segments.start - first
        rows = np.where(inside, origin[:, None] + steps, 0).ravel()
        shape = (len(segments), longest, self.binned.n_units)
        observed = self._recorded(rows).reshape(shape) & inside[..., None]
        counts = self.binned.counts[rows].toarray().reshape(shape) * observed
        scored = np.arange(n_scored) < length[:, None]
        if self.binned.bin_observed is not None:
            begin = self.binned.ptr[segments.trial] + segments.start
            scored &= self.binned.bin_observed[np.where(scored, begin[:, None] + np.arange(n_scored), 0)]
        if hidden is None:
            hidden = torch.zeros(len(segments), self.config.context_width, dtype=self.dtype)
        clip_time = (segments.start - first)[:, None] * self.config.bin_width - self.offset[segments.trial]
        batch = Batch(
            counts=torch.from_numpy(counts).to(self.dtype),
            observed=torch.from_numpy(observed),
            first=torch.from_numpy(first),
            scored=torch.from_numpy(scored),
            length=torch.from_numpy(first + length),
            hidden=hidden,
            clip=torch.from_numpy(self.clip[segments.trial]),
            clip_time=torch.from_numpy(clip_time * self.clocked).to(self.dtype),
            modalities=self._modality_keys(segments.trial, segments.start, n_scored),
            stimuli=self._stimuli(segments.trial, (segments.start - first)[:, None] + steps + 1),
            behaviour=self._told(segments, scored),
        )
        return moved(replace(batch, layout=Layout.of(batch, self.config)) if layout else batch, self.device)

    def _told(self, segments: Segments, scored: np.ndarray) -> torch.Tensor | None:
        """Behaviour of the scored bins, (C, L, K)."""
        if self.behaviour is None:
            return None
        bins = (self.binned.ptr[segments.trial] + segments.start)[:, None] + np.arange(scored.shape[1])
        values = self.behaviour[np.where(scored, bins, 0)]
        return torch.from_numpy(np.where(scored[..., None], values, np.nan)).to(self.dtype)

    def modality_keys(self, trial: np.ndarray, start: np.ndarray, n_scored: int) -> dict[str, ModalityKeys]:
        """Modality tokens of every block of the scored bins that begin at bin `start` of the trials."""
        return moved(self._modality_keys(trial, start, n_scored), self.device)

    def stimuli(self, trial: np.ndarray, bins: np.ndarray) -> dict[str, torch.Tensor]:
        """Standardised values of what enters the long past in bins (R, b) of the trials (R,), zeros beyond their ends.

        Bins before a trial are negative.
        """
        return moved(self._stimuli(trial, bins), self.device)

    def _stimuli(self, trial: np.ndarray, bins: np.ndarray) -> dict[str, torch.Tensor]:
        names = [name for name in self.config.stimuli_in_context if name in self.tables]
        if not names:
            return {}
        n_before = max(-int(bins.min(initial=0)), 0)
        inside = bins < self.n_bins[trial][:, None]
        first = self.binned.ptr[trial] + (trial + 1) * n_before
        rows = np.where(inside, first[:, None] + bins, 0)
        found = {}
        for name in names:
            table = self.tables[name]
            values = table.in_bins_from(n_before) if n_before else table.in_bins
            found[name] = torch.from_numpy(values[rows] * inside[..., None]).to(self.dtype)
        return found

    def _modality_keys(self, trial: np.ndarray, start: np.ndarray, n_scored: int) -> dict[str, ModalityKeys]:
        size = min(block_bins(self.config.window_bins), n_scored)
        block = np.arange(0, n_scored, size)
        begin = ((start[:, None] + block) * self.config.bin_width).ravel()
        end = begin + size * self.config.bin_width
        row = np.repeat(trial, len(block))
        return {name: table.keys(row, begin, end, self.dtype) for name, table in self.tables.items()}

    def _recorded(self, rows: np.ndarray) -> np.ndarray:
        """Cells that the past may use, (rows, N): all but those in gaps."""
        result = np.ones((len(rows), self.binned.n_units), dtype=bool)
        if self.binned.bin_recorded is not None:
            result &= self.binned.bin_recorded[rows, None]
        if self.binned.cell_observed is not None:
            result &= self.binned.cell_observed[rows]
        return result
