import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from skneuro.baselines import HomogeneousPoisson
from skneuro.data import SpikeTrains

COUNTS = np.random.default_rng(0).poisson([0.1, 1.0, 3.0], (200, 3))


@given(st.integers(0, 2**32 - 1))
def test_it_is_the_zero_of_every_score(seed):
    test = np.random.default_rng(seed).poisson(1.0, (20, 3))
    assert HomogeneousPoisson().fit(COUNTS).score(test) == 0.0


def test_it_predicts_its_rates():
    model = HomogeneousPoisson(bin_width=0.1).fit(COUNTS)
    assert np.allclose(model.predict(COUNTS[:5]), (COUNTS.sum(axis=0) + 0.5) / 200)


def test_sampled_counts_are_poisson_at_its_rates():
    model = HomogeneousPoisson(bin_width=0.1).fit(COUNTS)
    drawn = model.sample(duration=2000.0, random_state=0).bin(0.1).dense()
    assert np.allclose(drawn.mean(axis=0), model.base_rate_ * 0.1, rtol=0.1)
    assert np.allclose(drawn.var(axis=0) / drawn.mean(axis=0), 1.0, atol=0.1)


def test_rates_are_over_observed_time():
    spikes = SpikeTrains.from_counts(np.where(np.arange(200)[:, None] < 50, COUNTS, 0), 0.1, observed=[[0.0, 5.0]])
    assert np.allclose(HomogeneousPoisson(bin_width=0.1).fit(spikes).base_rate_, (COUNTS[:50].sum(axis=0) + 0.5) / 5.0)


def test_stimuli_are_not_missed():
    model = HomogeneousPoisson().fit(COUNTS, np.arange(200.0))
    assert model.modalities_ == ("stimulus",)
    assert model.score(COUNTS) == 0.0  # and no MissingModalityWarning, which would be an error
