"""Tiny models away from their initial weights, in float64, and an oracle that knows pattern probabilities only."""

from itertools import combinations_with_replacement
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skneuro.data import BinnedSpikes, Modalities, TimeSeries, Video
from skneuro.nn import ModalityConfig, Neuroformer, NeuroformerConfig
from skneuro.nn.config import Tubelets
from skneuro.training.modality_table import Scale, modality_tables
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

BIN_WIDTH = 0.05
SPEED = ModalityConfig("speed", 2)
# A whole frame is like a sample of speed.
VIDEO = ModalityConfig("video", 12, (3, 4), Tubelets((2, 2, 2), (2, 1, 2)), "Video")


@pytest.fixture(params=["hazard", "chained", "independent"])
def head(request):
    return request.param


@pytest.fixture(params=[1, 3])
def window_bins(request):
    return request.param


@pytest.fixture(scope="session")
def tiny():
    """The functions below."""
    return SimpleNamespace(
        model=model, cells=cells, builder=builder, last_window=last_window, stimuli=stimuli, Oracle=Oracle, SPEED=SPEED,
        VIDEO=VIDEO, BIN_WIDTH=BIN_WIDTH,
    )  # fmt: skip


def model(head, window_bins, n_units=2, *, seed=0, noise=0.15, rate=0.25, dtype=torch.float64, **changes):
    """A model in eval mode with every weight moved away from its initial value."""
    sizes = {
        "n_units": n_units, "bin_width": BIN_WIDTH, "window_bins": window_bins, "recent_bins": 2, "context_bins": 4,
        "coupling_bins": 2, "coupling_rank": 0, "stimulus_context": 0.15, "head": head, "d_model": 8, "n_heads": 2,
        "context_width": 12, "n_layers": 1, "n_fusion_layers": 1, "share_fusion": False, "dropout": 0.0,
        "unit_dropout": 0.0, "modality_dropout": 0.0, "temperature": 0.1, "max_count": 3,
        "aligned": (), "modalities": (),
        "stimuli_in_context": tuple(m.name for m in changes.get("modalities", ()) if m.kind != "Video"),
    }  # fmt: skip
    config = NeuroformerConfig(**{**sizes, **changes})
    generator = torch.Generator().manual_seed(seed)
    mean = rate * (0.5 + torch.rand(n_units, generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Neuroformer(config, mean, mean.sqrt()).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator).to(dtype)
    return network.eval()


def stimuli(names, n_trials, n_bins, seed=0, index=None):
    """Modalities that cover trials of `n_bins` bins: a speed sampled each bin, a video at 1 / 0.08 s."""
    rng = np.random.default_rng(seed)
    seconds = n_bins * BIN_WIDTH
    named = {}
    if "speed" in names:
        values = rng.standard_normal((n_trials, n_bins, 2))
        named["speed"] = TimeSeries.from_lists(list(values), rate=1 / BIN_WIDTH)
    if "video" in names:
        n_clips = n_trials if index is None else max(index) + 1
        frames = rng.standard_normal((n_clips, int(np.ceil(seconds / 0.08)) + 1, 3, 4)).astype(np.float32)
        named["video"] = Video(frames, 1 / 0.08, index=index)
    return Modalities(**named) if named else None


def builder(network, counts, modalities=None, observed=None):
    """Batches of trials; `counts` is a list of (n_bins, n_units) arrays, `observed` a list of masks."""
    ptr = np.concatenate([[0], np.cumsum([len(trial) for trial in counts])])
    binned = BinnedSpikes.from_counts(np.concatenate(counts), ptr, BIN_WIDTH)
    if observed is not None:
        binned = BinnedSpikes(**{**vars(binned), "cell_observed": np.concatenate(observed)})
    config = network.config
    scales = {m.name: Scale(np.zeros(m.n_features), np.ones(m.n_features)) for m in config.modalities}
    tables = modality_tables(modalities, binned, scales, config)
    return BatchBuilder(binned, tables, config, torch.device("cpu"), next(network.parameters()).dtype)


def cells(network, counts, modalities=None, observed=None):
    """Log-likelihood of every cell of whole trials in one batch, a list of (n_bins, n_units) arrays."""
    batches = builder(network, counts, modalities, observed)
    n_bins = batches.n_bins
    whole = Segments(np.arange(len(counts)), np.zeros(len(counts), dtype=int), n_bins)
    with torch.no_grad():
        result = network(batches.build(whole, 0)).cells.numpy()
    return [row[:stop] for row, stop in zip(result, n_bins, strict=True)]


def last_window(network, patterns, history, modalities=None, *, split=False):
    """Output for each pattern (P, B, N) as the last window of a trial that begins with `history`."""
    history = np.asarray(history).reshape(-1, patterns.shape[2])
    counts = [np.concatenate([history, pattern]) for pattern in patterns]
    n_before, n_all = len(history), len(history) + patterns.shape[1]
    where = np.arange(len(counts))
    segments = Segments(where, np.full(len(counts), n_before), np.full(len(counts), n_all))
    with torch.no_grad():
        return network(builder(network, counts, modalities).build(segments, n_before), split=split)


class Oracle:
    """The distribution of the next window's tokens, from the likelihoods of its patterns and nothing else.

    A prefix ends with the m-th spike of some cell: its mass is that of the cells before, times the sum of the
    probabilities of m, m + 1, ... spikes in that cell.
    """

    LARGEST = 24  # spikes in one cell beyond which nothing is left

    def __init__(self, network, history, most, modality=None):
        n_bins, n_units = network.config.window_bins, network.config.n_units
        self.n_bins, self.n_units, self.n_cells = n_bins, n_units, n_bins * n_units
        wanted = {}
        for cell in range(self.n_cells):
            for n_spikes in range(most + 1):
                for tokens in combinations_with_replacement(range(cell), n_spikes):
                    earlier = np.bincount(np.array(tokens, dtype=int), minlength=self.n_cells)
                    for count in range(self.LARGEST + 1):
                        pattern = earlier.copy()
                        pattern[cell] = count
                        wanted[tuple(pattern)] = None
        patterns = np.array(list(wanted)).reshape(-1, n_bins, n_units)
        modalities = None
        if modality is not None:
            modalities = modality[np.zeros(len(patterns), dtype=int)]
        found = last_window(network, patterns, history, modalities).cells[:, :n_bins].numpy()
        self.cells = dict(zip(wanted, found.reshape(len(found), -1), strict=True))

    def finished(self, tokens):
        """Probability of exactly these tokens and the end of the window."""
        return np.exp(self.cells[self._pattern(tokens)].sum())

    def prefix(self, tokens):
        """Probability that the window begins with these tokens."""
        if not len(tokens):
            return 1.0
        cell = tokens[-1]
        earlier = np.array(self._pattern([t for t in tokens if t < cell]))
        before = self.cells[tuple(earlier)][:cell].sum()
        mass = 0.0
        for count in range(tokens.count(cell), self.LARGEST + 1):
            earlier[cell] = count
            mass += np.exp(self.cells[tuple(earlier)][cell])
        return np.exp(before) * mass

    def following(self, tokens):
        """Probabilities of the next token, one a cell, and of the end of the window, (n_cells + 1,)."""
        first = tokens[-1] if len(tokens) else 0
        result = np.zeros(self.n_cells + 1)
        for cell in range(first, self.n_cells):
            result[cell] = self.prefix([*tokens, cell])
        result[-1] = self.finished(tokens)
        return result / self.prefix(tokens)

    def time_log_likelihood(self, tokens):
        """Log probability of the bins of the tokens, each given the tokens before it, and of the end."""
        total = 0.0
        for k in range(len(tokens) + 1):
            p = self.following(list(tokens[:k]))
            if k == len(tokens):
                total += np.log(p[-1])
            else:
                total += np.log(p[:-1].reshape(self.n_bins, self.n_units).sum(1)[tokens[k] // self.n_units])
        return total

    def _pattern(self, tokens):
        return tuple(np.bincount(np.array(tokens, dtype=int), minlength=self.n_cells).tolist())
