"""Effects by deletion: of a log-linear model they are its kernels, and they point from source to target."""

import warnings

import numpy as np
import pytest
from sklearn.base import BaseEstimator

from skneuro.baselines import CoupledGLM
from skneuro.connectivity import ConnectivityInference
from skneuro.data import SpikeTrains
from skneuro.exceptions import ShortenedLagWarning
from skneuro.metrics.connectivity import auprc, direction_rate

WEIGHTS = np.array([[0.0, 0.7, 0.0], [0.0, 0.0, -0.4], [0.3, 0.0, 0.0]])


class LogLinear(BaseEstimator):
    """Expected count ``0.1 exp(sum of past counts, one and two bins ago, times weights)``, by a loop."""

    def __init__(self, bin_width=0.005):
        self.bin_width = bin_width

    def fit(self, X, y=None):
        self.n_features_in_ = 3
        self.unit_ids_ = np.arange(3)
        return self

    def predict(self, X, stimuli=None):
        counts = X.bin(self.bin_width).dense() if isinstance(X, SpikeTrains) else np.asarray(X)
        expected = np.full(counts.shape, 0.1)
        for t in range(1, len(counts)):
            drive = WEIGHTS @ counts[t - 1] + (0.5 * WEIGHTS @ counts[t - 2] if t > 1 else 0)
            expected[t] = 0.1 * np.exp(drive)
        return [expected] if isinstance(X, SpikeTrains) else expected


def test_the_effect_in_a_log_linear_model_is_the_area_of_its_kernel():
    """Sources that never fire twice within the lags: the change after a spike is the kernel itself."""
    counts = np.zeros((900, 3), dtype=int)
    counts[np.arange(10, 890, 30) + np.arange(30) % 3 * 7, np.arange(30) % 3] = 1
    model = LogLinear().fit(None)
    inference = ConnectivityInference(model, method="effect", readout_lag=0.02).fit(counts)
    off = ~np.eye(3, dtype=bool)
    np.testing.assert_allclose(inference.adjacency_[off], 1.5 * 0.005 * WEIGHTS[off], atol=1e-9)
    spikes = SpikeTrains.from_counts(counts, 0.005)
    from_container = ConnectivityInference(model, method="effect", readout_lag=0.02).fit(spikes)
    np.testing.assert_allclose(from_container.adjacency_, inference.adjacency_)
    assert not hasattr(inference, "significant_")


def test_effects_find_the_edges_of_a_simulated_network():
    rng = np.random.default_rng(0)
    weights = 1.2 * (rng.random((8, 8)) < 0.15) * ~np.eye(8, dtype=bool)
    counts = np.zeros((12_000, 8), dtype=int)
    for t in range(1, len(counts)):
        counts[t] = rng.poisson(0.06 * np.exp(np.minimum(weights @ counts[t - 1], 3)))
    model = CoupledGLM(bin_width=0.005, history=0.03).fit(counts)
    inference = ConnectivityInference(model, method="effect").fit(counts[:3000])
    assert auprc(inference.adjacency_, weights) > 0.9
    assert direction_rate(inference.adjacency_, weights) > 0.9


class InWindows(LogLinear):
    """The same, told to expect whole windows."""

    window_bins = 8


def test_a_source_whose_spikes_nothing_follows_is_unknown_and_the_others_are_not():
    counts = np.zeros((900, 3), dtype=int)
    counts[np.arange(10, 890, 30) + np.arange(30) % 2 * 7, np.arange(30) % 2] = 1
    counts[-1, 2] = 1
    model = LogLinear().fit(None)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        adjacency = ConnectivityInference(model, method="effect", readout_lag=0.02).fit(counts).adjacency_
    assert [one.category for one in found] == [ShortenedLagWarning] and found[0].filename == __file__
    assert "Of 1 of 3 units, no spike is followed" in str(found[0].message) and "[2]" in str(found[0].message)
    assert np.isnan(adjacency[:, 2]).all()
    known = ~np.eye(3, dtype=bool)
    known[:, 2] = False
    np.testing.assert_allclose(adjacency[known], 1.5 * 0.005 * WEIGHTS[known], atol=1e-9)
    counts[:-1] = 0
    with pytest.raises(ValueError, match="No bin follows a spike in a later window"):
        ConnectivityInference(model, method="effect", readout_lag=0.02).fit(counts)


def test_lags_are_those_that_were_read():
    """A model of windows shows an effect only in a later window than the spike's."""
    counts = np.random.default_rng(0).poisson(0.1, (400, 3))
    for model, n_lags in ((LogLinear(), 3), (InWindows(), 8)):
        inference = ConnectivityInference(model.fit(None), method="effect", readout_lag=0.015).fit(counts)
        np.testing.assert_allclose(inference.lags_, np.arange(1, n_lags + 1) * 0.005)
        assert (inference.n_observations_ == 400 - n_lags).all()


def test_effects_need_a_model_of_the_same_units():
    with pytest.raises(ValueError, match="method='effect' needs an estimator"):
        ConnectivityInference(method="effect").fit(np.ones((50, 3)))
    with pytest.raises(ValueError, match="fitted on 3"):
        ConnectivityInference(LogLinear().fit(None), method="effect").fit(np.ones((50, 4)))
