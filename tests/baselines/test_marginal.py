import numpy as np

from skneuro.baselines import ConstantMarginal
from skneuro.data import SpikeTrains
from skneuro.datasets import block_split, fetch_s1_reaching

RNG = np.random.default_rng(0)
COUNTS = np.stack([RNG.poisson(1.0, 4000), RNG.binomial(2, 0.5, 4000), RNG.negative_binomial(1, 0.5, 4000)], axis=1)


def test_it_gains_where_counts_are_not_poisson():
    bits = ConstantMarginal().fit(COUNTS[:3000]).unit_score(COUNTS[3000:])
    assert abs(bits[0]) < 0.01 and (bits[1:] > 0.05).all()


def test_samples_have_the_distribution_of_the_counts():
    model = ConstantMarginal(bin_width=0.1).fit(COUNTS)
    drawn = model.sample(duration=1000.0, random_state=0).bin(0.1).dense()
    for unit in range(3):
        frequency = [np.bincount(c[:, unit], minlength=20)[:20] / len(c) for c in (drawn, COUNTS)]
        assert np.abs(frequency[0] - frequency[1]).max() < 0.02


def test_it_predicts_the_mean_count():
    assert np.allclose(ConstantMarginal().fit(COUNTS).predict(COUNTS[:2]), COUNTS.mean(axis=0), atol=0.02)


def test_counts_never_seen_are_possible():
    model = ConstantMarginal().fit(COUNTS)
    assert np.isfinite(model.score_samples(np.array([[50, 3, 100]]))).all()


def test_unobserved_zeros_do_not_enter_the_distribution():
    seen = np.arange(4000) < 1000
    gappy = SpikeTrains.from_counts(np.where(seen[:, None], COUNTS, 0), 0.01, observed=seen)
    whole = ConstantMarginal().fit(COUNTS[:1000])
    assert np.allclose(ConstantMarginal().fit(gappy).head_["shape_start"], whole.head_["shape_start"])


def test_dispersion_alone_scores_0_074_on_the_s1_recording(recordings):
    s1 = fetch_s1_reaching(data_home=recordings("s1_area2_reaching"), download_if_missing=False)
    split = block_split(s1.groups, s1.gap_mask)
    model = ConstantMarginal(bin_width=0.05).fit(s1.spikes[split.train])
    assert np.isclose(model.score(s1.spikes[split.test]), 0.0745, atol=5e-4)
