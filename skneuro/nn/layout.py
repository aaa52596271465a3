"""What a pass must know of where the spikes of a batch are, found where the batch is made.

Lists of spikes have lengths that only the data know. Found on an accelerator, each of them would make the program wait
for everything that the accelerator still has to do. They depend on the counts and on nothing that the model computes,
so they are found on the host, before the batch is moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from skneuro.nn.batch import Batch, block_bins
from skneuro.nn.config import NeuroformerConfig
from skneuro.nn.encoders import TOLERANCE
from skneuro.nn.hazard import NextEvents, Spikes
from skneuro.nn.keys import ModalityKeys
from skneuro.nn.windows import WindowTokens, window_tokens


def known_until(bins: Tensor, config: NeuroformerConfig) -> Tensor:
    """First bin that the context of each scored bin (C, L) does not know."""
    if config.bin_clock:
        return bins
    steps = torch.arange(bins.shape[1], device=bins.device)
    return bins[:, :1] + steps - steps % config.window_bins


@dataclass(frozen=True)
class RecentSpikes:
    """Occupied cells of the bins shortly before those of a block, as keys: R rows, one a block of every segment.

    Attributes
    ----------
    unit, count : Tensor of shape (T,)
        All occupied cells of the batch (a cell that no row sees where there are none).
    index : Tensor of shape (R, S), long
        Cells that each row sees; any of them where padded.
    present : Tensor of shape (R, S), bool
    bins : Tensor of shape (R, S), long
        Bins from the start of the row's block.
    """

    unit: Tensor
    count: Tensor
    index: Tensor
    present: Tensor
    bins: Tensor

    @classmethod
    def of(cls, batch: Batch, config: NeuroformerConfig) -> RecentSpikes:
        """Read them from a batch."""
        bins = batch.bins
        known, size = known_until(bins, config), min(block_bins(config.window_bins), bins.shape[1])
        seen = batch.counts * batch.observed
        row, bin_, unit = seen.nonzero(as_tuple=True)
        count = seen[row, bin_, unit]
        n_rows, n_bins = seen.shape[:2]
        per_bin = torch.bincount(row * n_bins + bin_, minlength=n_rows * n_bins)
        until = torch.cat([per_bin.new_zeros(1), per_bin.cumsum(0)])  # cells before each bin of the flat rows
        offset = torch.arange(n_rows, device=row.device)[:, None] * n_bins
        low = (known.view(n_rows, -1, size)[:, :, 0] - config.recent_bins).clamp_min(0)
        high = known.view(n_rows, -1, size)[:, :, -1].clamp_max(n_bins)
        start, stop = until[offset + low].flatten(), until[offset + high].flatten()  # (R,)
        longest = int((stop - start).max()) if len(start) else 0
        index = start[:, None] + torch.arange(longest, device=row.device)
        present = index < stop[:, None]
        index = torch.where(present, index, 0)
        if not len(row):
            unit, bin_, count = unit.new_zeros(1), bin_.new_zeros(1), count.new_ones(1)
        return cls(unit, count, index, present, bin_[index] - bins.reshape(-1, size)[:, :1])


@dataclass(frozen=True)
class Layout:
    """Windows with something to score, those of like length together, and what is listed of them.

    Attributes
    ----------
    window : Tensor of shape (W,), long
        Which windows of the batch (row by row) they are.
    counts : Tensor of shape (W, B, N)
        Zeros where not observed.
    observed : Tensor of shape (W, B, N), bool
    tokens : WindowTokens
    spikes : Spikes
        What is scored.
    scored : Tensor of shape (W, B, N), bool
        Cells that are scored: those that were observed, unless other spikes are scored than the model sees.
    events : NextEvents
    recent : RecentSpikes or None
        Where the model looks at recent spikes.
    shown : list of Tensor of shape (w,), long
        Those of the windows that see both sides of each aligned pair.
    n_scored : int
        Scored bins.
    """

    window: Tensor
    counts: Tensor
    observed: Tensor
    tokens: WindowTokens
    spikes: Spikes
    scored: Tensor
    events: NextEvents
    recent: RecentSpikes | None
    shown: list[Tensor]
    n_scored: int

    @property
    def n_tokens(self) -> int:
        """Spikes and window ends."""
        return len(self.spikes.cell) + len(self.window)

    @classmethod
    def of(cls, batch: Batch, config: NeuroformerConfig, target: Batch | None = None) -> Layout:
        """Read it from a batch; on an accelerator that is possible, but slow.

        With a `target`, a batch of the same segments, its spikes are scored in place of those that the model sees; the
        events of the dt loss are not those of the target.
        """
        bins = batch.bins
        rows = torch.arange(len(bins), device=bins.device)[:, None]
        observed = batch.observed[rows, bins] & batch.scored[..., None]  # (C, L, N)
        counts = batch.counts[rows, bins] * observed
        n_bins, n_units = config.window_bins, config.n_units
        shape = (-1, n_bins, n_units)
        window = batch.scored.reshape(-1, n_bins).any(-1).nonzero()[:, 0]
        length = (counts.reshape(shape)[window] > 0).sum((1, 2))
        window = window[length.argsort(stable=True)]
        counts, observed = counts.reshape(shape)[window], observed.reshape(shape)[window]
        tokens = window_tokens(counts, merged=config.bin_clock)
        if config.bin_clock:
            spikes = Spikes.of(tokens.prefixes.cell, tokens.prefixes.unit, tokens.prefixes.count)
        else:  # one token a spike: cells are found anew
            spikes = Spikes.of_counts(counts.reshape(-1, n_units))
        events, scored = NextEvents.of(spikes, n_bins), observed
        if target is not None:
            scored = (target.observed[rows, bins] & batch.scored[..., None]).reshape(shape)[window]
            spikes = Spikes.of_counts((target.counts[rows, bins].reshape(shape)[window] * scored).reshape(-1, n_units))
        sides = [torch.ones_like(window, dtype=torch.bool)]
        for name in config.aligned:
            there = name in batch.modalities
            sides.append(latest_samples(batch.modalities[name], window, config)[0].any(1) if there else ~sides[0])
        shown = [window[sides[one] & sides[other]] for one, other in config.aligned_pairs]
        recent = RecentSpikes.of(batch, config) if config.recent_bins else None
        return cls(window, counts, observed, tokens, spikes, scored, events, recent, shown, int(batch.scored.sum()))


def latest_samples(modality: ModalityKeys, window: Tensor, config: NeuroformerConfig) -> tuple[Tensor, Tensor]:
    """What windows of the batch saw last of a modality, (w, S) a mask of the keys of their blocks (w,)."""
    keys, per_block = modality.attended, block_bins(config.window_bins) // config.window_bins
    block = window // per_block
    end = (window % per_block + 1).to(keys.time.dtype) * (config.window_bins * config.bin_width)
    edge = TOLERANCE * config.stimulus_context
    time = keys.time[block]
    seen = keys.present[block] & (time < end[:, None] - edge)
    latest = time.masked_fill(~seen, float("-inf")).amax(1, keepdim=True)
    return seen & (time >= latest - edge), block
