"""The convex fit against scikit-learn's Poisson regression, target by target."""

import numpy as np
import pytest
from sklearn.linear_model import PoissonRegressor

from skneuro.connectivity.glm import fit_coupled_glm
from skneuro.connectivity.past import lag_basis
from skneuro.data import BinnedSpikes, SpikeTrains


def slow_past(counts, trials, n_lags):
    """Counts at lags 1 .. n_lags of every bin that has them, by loops."""
    rows, past = [], []
    for start, stop in zip(trials[:-1], trials[1:], strict=True):
        for t in range(start + n_lags, stop):
            rows.append(t)
            past.append([counts[t - lag] for lag in range(1, n_lags + 1)])
    return np.array(rows), np.array(past, dtype=float)  # (rows, n_lags, n_units)


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    counts = rng.poisson([0.1, 0.3, 0.05], (3000, 3))
    counts[2:, 1] += rng.poisson(0.5 * counts[:-2, 0])
    return counts


TRIALS = np.array([0, 700, 705, 1500, 3000])


@pytest.mark.parametrize("n_basis", [2, 6])
def test_kernels_equal_those_of_scikit_learn(counts, n_basis):
    fit = fit_coupled_glm(BinnedSpikes.from_counts(counts, TRIALS, 0.005), 6, n_basis=n_basis, alpha=3.0, tol=1e-5)
    rows, past = slow_past(counts, TRIALS, 6)
    basis = lag_basis(6, n_basis)
    design = np.einsum("tlj,lk->tkj", past, basis).reshape(len(rows), -1)
    for target in range(3):
        model = PoissonRegressor(alpha=3.0 / len(rows), tol=1e-10, max_iter=5000)
        model.fit(design - design.mean(axis=0), counts[rows, target])
        expected = np.einsum("lk,kj->jl", basis, model.coef_.reshape(n_basis, 3))
        np.testing.assert_allclose(fit.kernels[target], expected, atol=3e-3)
    assert fit.converged


def test_groups_of_targets_do_not_change_the_fit(counts, monkeypatch):
    binned = BinnedSpikes.from_counts(counts, TRIALS, 0.005)
    together = fit_coupled_glm(binned, 4).kernels
    monkeypatch.setattr("skneuro.connectivity.glm._CELLS_AT_ONCE", 1)
    np.testing.assert_allclose(fit_coupled_glm(binned, 4).kernels, together, atol=3e-3)


def test_a_strong_penalty_leaves_no_coupling_and_a_weak_one_finds_it(counts):
    binned = BinnedSpikes.from_counts(counts, TRIALS, 0.005)
    assert np.abs(fit_coupled_glm(binned, 4, alpha=1e9).kernels).max() < 1e-5
    kernels = fit_coupled_glm(binned, 4, n_basis=4, alpha=1.0).kernels
    # A spike of unit 0 adds 0.5 spikes to the 0.35 that unit 1 fires on average in the second bin after it.
    assert kernels[1, 0, 1] == pytest.approx(np.log(0.8 / 0.3), abs=0.25)
    assert np.abs(kernels[1, 0, [0, 2, 3]]).max() < 0.35


def test_a_bursting_unit_does_not_derail_the_search():
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.02, (4000, 2))
    counts[1000:1010] += 12
    fit = fit_coupled_glm(BinnedSpikes.from_counts(counts, np.array([0, 4000]), 0.005), 5, alpha=0.1)
    assert fit.converged
    assert np.isfinite(fit.kernels).all()


def test_a_recording_without_a_whole_past_is_refused():
    counts = np.ones((20, 2), dtype=int)
    seen = np.arange(20) % 2 == 0
    spikes = SpikeTrains.from_counts(counts * seen[:, None], 0.005, observed=seen)
    with pytest.raises(ValueError, match="lower max_lag"):
        fit_coupled_glm(spikes.bin(0.005), 3)


def test_basis_functions_peak_at_one_and_cover_every_lag():
    for n_lags, n_functions in [(10, 4), (25, 6), (3, 2), (10, 1)]:
        basis = lag_basis(n_lags, n_functions)
        np.testing.assert_allclose(basis.max(axis=0), 1.0)
        assert (basis.sum(axis=1) > 0).all()
        assert (np.diff(basis.argmax(axis=0)) > 0).all()
