"""A tiny fitted model in float64, with weights away from their initial values."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from skneuro.data import Modalities, ModelInput, SpikeTrains, TimeSeries, Video, read_input
from skneuro.nn import ModalityConfig, NeuroformerConfig
from skneuro.training.fitted import FittedModel, build_network
from skneuro.training.modality_table import Scale, describe

BIN_WIDTH = 0.05
TUBELETS = (2, 2, 2), (1, 1, 2)  # size and stride


@pytest.fixture(params=["hazard", "chained", "independent"])
def head(request):
    return request.param


@pytest.fixture(scope="session")
def tiny():
    """The functions below."""
    return SimpleNamespace(fitted=fitted, spikes=spikes, stimuli=stimuli, read=read, BIN_WIDTH=BIN_WIDTH)


def read(X, y=None) -> ModelInput:
    return read_input(X, y, bin_width=BIN_WIDTH)


def fitted(head="hazard", window_bins=3, n_units=3, modalities=None, *, seed=0, noise=0.12, **changes):
    described = () if modalities is None else tuple(describe(name, m, *TUBELETS) for name, m in modalities.items())
    assert all(isinstance(m, ModalityConfig) for m in described)
    sizes = {
        "n_units": n_units, "bin_width": BIN_WIDTH, "window_bins": window_bins, "recent_bins": 2, "context_bins": 4,
        "coupling_bins": 2, "coupling_rank": 0, "stimulus_context": 0.15, "head": head, "d_model": 8, "n_heads": 2,
        "context_width": 12, "n_layers": 1, "n_fusion_layers": 1, "share_fusion": False, "dropout": 0.0,
        "unit_dropout": 0.0, "modality_dropout": 0.1, "temperature": 0.1, "max_count": 3,
        "aligned": (), "modalities": described, "state_dependent_drive": True,
        "stimuli_in_context": tuple(m.name for m in described if m.kind != "Video"),
    }  # fmt: skip
    config = NeuroformerConfig(**{**sizes, **changes})
    mean = np.linspace(0.2, 0.5, n_units)
    network = build_network(config, mean, np.sqrt(mean), seed, torch.device("cpu"), torch.float64).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += noise * torch.randn(parameter.shape, generator=generator).double()
    scales = {} if modalities is None else {name: Scale.fit(m) for name, m in modalities.items()}
    return FittedModel(network, scales, "cpu", "float64")


def spikes(lengths, n_units=3, seed=0, rate=0.5):
    """Trials of the given numbers of bins."""
    rng = np.random.default_rng(seed)
    return SpikeTrains.from_counts([rng.poisson(rate, (n, n_units)) for n in lengths], BIN_WIDTH)


def stimuli(lengths, seed=0, index=None):
    rng = np.random.default_rng(seed)
    speed = TimeSeries.from_lists([rng.standard_normal((n, 2)) for n in lengths], rate=1 / BIN_WIDTH)
    n_clips = len(lengths) if index is None else max(index) + 1
    frames = rng.standard_normal((n_clips, int(max(lengths) * BIN_WIDTH / 0.08) + 2, 3, 4)).astype(np.float32)
    return Modalities(speed=speed, video=Video(frames, 1 / 0.08, index=index))
