"""Facts about scoring units whose spikes a baseline is not shown."""

import dataclasses

import numpy as np
import pytest
from scipy import sparse

from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson
from skneuro.data import SpikeTrains

MODELS = [
    HomogeneousPoisson(bin_width=0.1),
    ConstantMarginal(bin_width=0.1),
    CoupledGLM(bin_width=0.1, alphas=10.0, same_bin="linear", counts="categorical"),
    GRUModel(bin_width=0.1, n_hidden=8, max_steps=30, random_state=0),
]


def followed(n_bins=600):
    """Unit 1 fires in the bin after unit 0 did; unit 2 fires by itself, in bouts."""
    rng = np.random.default_rng(0)
    leader = rng.poisson(0.4, n_bins)
    follower = rng.poisson(0.02 + 0.9 * np.roll(leader, 1))
    alone = rng.poisson(np.where(np.arange(n_bins) // 20 % 2, 1.5, 0.05))
    return np.stack([leader, follower, alone], axis=1)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_hidden_units_are_scored_as_if_each_cell_alone_were_seen(model):
    counts = followed(60)
    model.fit(followed())
    inp = model._read(SpikeTrains.from_counts(counts.reshape(2, 30, 3), 0.1), reset=False)
    hidden = np.array([True, False, True])
    shown = inp.spikes.hide(hidden)
    found = model._cell_log_likelihood(dataclasses.replace(inp, spikes=shown), inp.spikes)
    for bin_ in (0, 1, 29, 30, 45):
        for unit in (0, 2):
            cells, alone = shown.mask(), shown.dense()
            cells[bin_, unit], alone[bin_, unit] = True, counts[bin_, unit]
            one = dataclasses.replace(shown, counts=sparse.csr_array(alone), cell_observed=cells)
            expected = model._cell_log_likelihood(dataclasses.replace(inp, spikes=one))[bin_, unit]
            assert found[bin_, unit] == pytest.approx(expected, abs=1e-5)


def test_a_follower_is_explained_by_its_leader_and_a_loner_by_nobody():
    counts = followed(2000)
    model = CoupledGLM(bin_width=0.1, alphas=10.0).fit(counts[:1000])
    assert model.co_smoothing_score(counts[1000:], held_out=[1]) > 0.4
    assert model.unit_score(counts[1000:])[2] > 0.15
    assert model.co_smoothing_score(counts[1000:], held_out=[2]) < 0.03
