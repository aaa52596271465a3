"""What an untrained model knows, and what a trained one never leaves: the counts of the training data."""

import numpy as np
import pytest
import torch

from skneuro import NeuroformerEstimator, SpikeTrains, TimeSeries
from skneuro.baselines import ConstantMarginal
from skneuro.training.fitted import build_network, count_statistics
from skneuro.training.stretches import Segments

WIDTH = 0.05


@pytest.fixture(scope="module")
def bursts():
    """Units whose counts are far from Poisson, of very different size."""
    rng = np.random.default_rng(0)
    counts = rng.negative_binomial([0.3, 2.0, 1.0], [0.4, 0.3, 0.9], (12, 200, 3))
    return SpikeTrains.from_counts(counts, WIDTH)


def test_an_untrained_model_scores_like_the_units_own_histograms(bursts):
    """Learning starts at the constant count distribution, not at Poisson's."""
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, max_epochs=1, learning_rate=1e-12, weight_decay=0,
        early_stopping=False, random_state=0,
    ).fit(bursts)  # fmt: skip
    constant = ConstantMarginal(bin_width=WIDTH).fit(bursts)
    assert constant.score(bursts) > 0.1  # so that Poisson's start would show
    assert model.score(bursts) == pytest.approx(constant.score(bursts), abs=0.003)


def test_every_unit_has_a_largest_count_of_its_own(bursts):
    binned = bursts.bin(WIDTH)
    n_bins = np.diff(binned.ptr)
    whole = Segments(np.arange(len(n_bins)), np.zeros(len(n_bins), dtype=int), n_bins)
    mean, sd, histogram = count_statistics(binned, whole)
    config = NeuroformerEstimator(bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, max_epochs=1).fit(bursts)
    config = config.model_.network.config
    network = build_network(config, mean, sd, 0, torch.device("cpu"), torch.float64, histogram)
    largest = binned.dense(0, binned.n_bins).max(0)
    assert len(set(largest)) > 1
    assert network.session.most.tolist() == largest.tolist()


def test_a_closed_loop_that_would_feed_itself_stays_at_the_rates_of_training(bursts):
    """Units that excite one another without bound: simulated rates stay where training was."""
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, max_epochs=2, early_stopping=False, random_state=0
    ).fit(bursts)
    session = model.model_.network.session
    with torch.no_grad():
        session.coupling += 2.0  # every spike raises everybody
    recorded = bursts.bin(WIDTH).dense(0, 2400).mean()
    held = model.sample(n_samples=4, duration=20.0, random_state=0).bin(WIDTH)
    session.loosen()
    free = model.sample(n_samples=4, duration=20.0, random_state=0).bin(WIDTH)
    held, free = (b.dense(0, b.n_bins).mean() for b in (held, free))
    assert free > 3 * recorded  # the couplings do explode
    assert held < 3 * recorded


def test_what_a_unit_that_was_silent_in_training_does_changes_nothing_for_the_others(bursts):
    """How its spikes act was not learned."""
    counts = bursts.bin(WIDTH).dense(0, 2400).reshape(12, 200, 3)
    fires = np.random.default_rng(1).poisson(0.2, (12, 200, 1))
    silent, active = (
        SpikeTrains.from_counts(np.concatenate([counts, last], axis=2), WIDTH) for last in (0 * fires, fires)
    )
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, max_epochs=2, early_stopping=False, random_state=0
    ).fit(silent)
    np.testing.assert_allclose(model.unit_score(active)[:3], model.unit_score(silent)[:3], atol=2e-3)


@pytest.mark.filterwarnings("ignore::skneuro.exceptions.ArtefactWarning")
def test_one_burst_beyond_all_of_training_does_not_undo_the_score_of_the_other_bins(bursts):
    counts = bursts.bin(WIDTH).dense(0, 2400).reshape(12, 200, 3)
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, max_epochs=1, early_stopping=False, random_state=0
    ).fit(bursts)
    artefact = counts.copy()
    artefact[5, 100, 2] = 10 * counts.max()
    pair = [SpikeTrains.from_counts(c, WIDTH) for c in (counts, artefact)]
    plain, with_burst = (model.score_samples(x).sum() for x in pair)
    assert plain - with_burst < 5.0 * artefact[5, 100, 2]  # nats: a constant price for each spike
    assert model.score(pair[1]) > 0.05


def test_a_count_shape_forgets_the_dispersion_that_a_stimulus_explains():
    """Poisson counts whose rate a stimulus tells: far from Poisson over all bins, and not given the stimulus."""
    rng = np.random.default_rng(3)
    loud = rng.integers(0, 2, (20, 20, 1)).repeat(5, axis=1)
    spikes = SpikeTrains.from_counts(rng.poisson(np.where(loud, 2.0, 0.1), (20, 100, 2)), WIDTH)
    stimulus = TimeSeries.from_lists(list(loud.astype(float)), rate=1 / WIDTH)
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, gamma=0, mu=0.5, context=0, recent_context=0, coupling=False,
        early_stopping=False, random_state=0,
    )  # fmt: skip
    model.set_params(max_epochs=25, batch_size=1, learning_rate=3e-3).fit(spikes, stimulus)
    counts = model.sample(stimulus, random_state=0).bin(WIDTH).dense()
    for level in (0, 1):
        here = counts[loud.ravel() == level]
        assert (here.var(0) / here.mean(0)).mean() == pytest.approx(1.0, abs=0.1)
    assert (counts.var(0) / counts.mean(0)).mean() > 1.5
