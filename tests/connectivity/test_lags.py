"""Lagged counts and moments against loops over bins, with edges, gaps and gaps of single units."""

import numpy as np
import pytest

from skneuro.connectivity.lags import LaggedCounts, lagged_moments, pair_observations, whole_past
from skneuro.data import SpikeTrains


def make(single_gaps=True):
    rng = np.random.default_rng(0)
    trials = [rng.poisson(0.7, (length, 3)) for length in (12, 3, 20)]
    seen = [np.ones_like(trial, dtype=bool) for trial in trials]
    seen[2][7:9] = False
    if single_gaps:
        seen[0][5:8, 1] = False
    trials = [trial * mask for trial, mask in zip(trials, seen, strict=True)]
    binned = SpikeTrains.from_counts(trials, 0.01, observed=seen).bin(0.01)
    trial_of = np.repeat(np.arange(3), [12, 3, 20])
    return binned, np.concatenate(trials), np.concatenate(seen), trial_of


@pytest.mark.parametrize("single_gaps", [False, True])
@pytest.mark.parametrize("lag", [0, 1, 4])
def test_moments_equal_a_loop(single_gaps, lag):
    binned, counts, seen, trial = make(single_gaps)
    moments = lagged_moments(binned, lag)
    for i in range(3):
        for j in range(3):
            pairs = [
                (counts[t, i], counts[t - lag, j])
                for t in range(lag, len(counts))
                if trial[t] == trial[t - lag] and seen[t, i] and seen[t - lag, j]
            ]
            x, y = np.array(pairs, dtype=float).T
            assert moments.n[i, j] == len(pairs)
            assert moments.product[i, j] == pytest.approx(x @ y)
            assert moments.target[i, j] == pytest.approx(x.sum())
            assert moments.source_square[i, j] == pytest.approx(y @ y)
            assert moments.correlation()[i, j] == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-12)


@pytest.mark.parametrize("n_lags", [0, 1, 3])
def test_pairs_observed_equal_a_loop(n_lags):
    binned, counts, seen, trial = make()
    expected = np.zeros((3, 3), dtype=int)
    for i in range(3):
        for j in range(3):
            for t in range(n_lags, len(counts)):
                past = range(t - n_lags, t) if n_lags else [t]
                same_trial = trial[t] == trial[t - n_lags]
                expected[i, j] += same_trial and seen[t, i] and seen[list(past), j].all()
    np.testing.assert_array_equal(pair_observations(binned, n_lags), expected)


def test_forward_equals_a_loop_and_backward_is_its_transpose():
    binned, counts, seen, _ = make()
    past = LaggedCounts.of(binned, 3)
    np.testing.assert_array_equal(past.rows, whole_past(binned, 3))
    rng = np.random.default_rng(1)
    kernels, values = rng.standard_normal((3, 3, 2)), rng.standard_normal((len(past.rows), 2))
    mean = (counts * seen).sum(axis=0) / seen.sum(axis=0)
    centred = np.where(seen, counts - mean, 0.0)
    slow = [sum(centred[t - lag] @ kernels[lag - 1] for lag in (1, 2, 3)) for t in past.rows]
    np.testing.assert_allclose(past.forward(kernels), slow, atol=1e-5)
    assert (past.forward(kernels) * values).sum() == pytest.approx((kernels * past.backward(values)).sum(), rel=1e-5)
