"""Facts about the fitted network: one seed is one model, files and pickles hold all of it, damaged ones are refused."""

import pickle
import threading

import numpy as np
import pytest
import torch

from skneuro.data import BinnedSpikes
from skneuro.training.fitted import FittedModel, build_network, count_statistics
from skneuro.training.stretches import Segments


def test_one_seed_is_one_network_whatever_the_precision(tiny):
    config = tiny.fitted().network.config
    build = [
        build_network(config, np.full(3, 0.3), np.ones(3), seed, torch.device("cpu"), dtype).state_dict()
        for seed, dtype in ((1, torch.float32), (1, torch.float64), (2, torch.float32))
    ]
    assert all(torch.equal(build[0][name], build[1][name].float()) for name in build[0])
    assert any(not torch.equal(build[0][name], build[2][name]) for name in build[0])


def test_threads_that_build_at_once_build_the_same(tiny):
    """scikit-learn's threading backend fits the folds of a search side by side in one process."""
    config = tiny.fitted(d_model=64).network.config
    before = torch.get_rng_state()

    def build():
        return build_network(config, np.full(3, 0.3), np.ones(3), 1, torch.device("cpu"), torch.float32).state_dict()

    expected, found = build(), []
    for _ in range(5):
        threads = [threading.Thread(target=lambda: found.append(build())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 20
    assert all(torch.equal(one[name], expected[name]) for one in found for name in expected)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("way", ["pickle", "arrays"])
def test_a_fitted_model_comes_back_to_the_bit(tiny, head, way):
    stimuli = tiny.stimuli([20])
    fitted = tiny.fitted(head, 3, modalities=stimuli, aligned=("video",))
    if way == "pickle":
        again = pickle.loads(pickle.dumps(fitted))
    else:
        again = FittedModel.from_arrays(fitted.network.config, fitted.arrays(), "cpu", "float64")
    assert not again.network.training
    inp = tiny.read(tiny.spikes((20,)), stimuli)
    np.testing.assert_array_equal(again.cell_log_likelihood(inp), fitted.cell_log_likelihood(inp))
    np.testing.assert_array_equal(again.embed(inp), fitted.embed(inp))


def damaged(arrays, how):
    arrays = dict(arrays)
    name = "network.session.bias"
    if how == "missing":
        del arrays[name]
    elif how == "shape":
        arrays[name] = np.zeros(5)
    elif how == "nan":
        arrays[name] = np.full_like(arrays[name], np.nan)
    elif how == "unknown":
        arrays["network.wings"] = np.zeros(2)
    elif how == "scale":
        del arrays["scale.speed.sd"]
    return arrays


@pytest.mark.parametrize("how", ["missing", "shape", "nan", "unknown", "scale"])
def test_arrays_that_are_not_a_model_are_refused(tiny, how):
    fitted = tiny.fitted(modalities=tiny.stimuli([20]))
    with pytest.raises(ValueError):
        FittedModel.from_arrays(fitted.network.config, damaged(fitted.arrays(), how), "cpu", "float64")


def test_moments_are_those_of_the_observed_counts_of_the_training_part():
    rng = np.random.default_rng(0)
    counts = rng.poisson([0.3, 2.0, 0.0], (60, 3))
    seen = rng.random((60, 3)) < 0.8
    binned = BinnedSpikes.from_counts(counts, np.array([0, 25, 60]), 0.05)
    binned = BinnedSpikes(**{**vars(binned), "cell_observed": seen})
    part = Segments(np.array([0, 1]), np.array([5, 10]), np.array([25, 30]))
    rows = np.r_[5:25, 35:55]
    mean, scale, histogram = count_statistics(binned, part)
    largest = histogram.shape[1] - 1
    for unit in range(3):
        own = counts[rows, unit][seen[rows, unit]]
        assert mean[unit] == pytest.approx((own.sum() + 0.5) / (len(own) + 1))
        if unit < 2:  # the fewer spikes it comes from, the less a deviation counts
            assert scale[unit] / (1 + 5 / own.sum()) == pytest.approx(own.std(), rel=0.2)
    assert mean[2] > 0 and scale[2] > 1  # silent in training: not impossible, and no news for the others
    assert largest == (counts * seen)[rows].max()
