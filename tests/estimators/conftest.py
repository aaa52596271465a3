"""A tiny estimator and data for it."""

from types import SimpleNamespace

import numpy as np
import pytest

from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, SpikeTrains, TimeSeries, Video
from skneuro.estimators import _learner

BIN_WIDTH = 0.05


@pytest.fixture(scope="session")
def make():
    """An estimator that fits in a fraction of a second."""

    def make(**changes):
        parameters = {
            "bin_width": BIN_WIDTH, "window_bins": 2, "recent_context": 0.1, "context": 0.2, "coupling_lag": 0.1,
            "stimulus_context": 0.15, "d_model": 8, "n_heads": 2, "max_epochs": 2, "gamma": 0.0, "mu": 0.5,
            "early_stopping": False, "random_state": 0, "device": "cpu",
        }  # fmt: skip
        return NeuroformerEstimator(**{**parameters, **changes})

    return make


@pytest.fixture(scope="session")
def world():
    """Twelve trials of one second: three units, a speed, and three clips shown four times each."""
    rng = np.random.default_rng(0)
    counts = rng.poisson([0.2, 0.6, 0.4], (12, 20, 3))
    index = np.arange(12) % 3
    speed = TimeSeries.from_lists(list(rng.standard_normal((12, 20, 2))), rate=20.0)
    video = Video(rng.standard_normal((3, 11, 3, 4)).astype(np.float32), 10.0, index=index)
    return SimpleNamespace(
        counts=counts, spikes=SpikeTrains.from_counts(counts, BIN_WIDTH, unit_ids=["a", "b", "c"]), speed=speed,
        video=video, both=Modalities(speed=speed, video=video), BIN_WIDTH=BIN_WIDTH,
    )  # fmt: skip


def _unchanged(network, *_):
    return network.session.bias.new_zeros(()), network.session.repeat_table.new_zeros(())


@pytest.fixture
def as_trained(monkeypatch):
    """Units stay as training left them."""
    monkeypatch.setattr(_learner, "refit_units", _unchanged)


@pytest.fixture
def fit_as_trained(make):
    """A fit whose units stay as training left them, beside others that do not."""

    def fit(spikes, **changes):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(_learner, "refit_units", _unchanged)
            return make(**changes).fit(spikes)

    return fit
