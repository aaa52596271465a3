"""Time that was not observed, however long: it is neither scored nor learned from, and nothing stumbles over it."""

import numpy as np
import pytest

from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.training import evaluation

BINS, BIN_WIDTH = 300, 0.05


@pytest.fixture(scope="module")
def gap():
    """One trial of 15 s, of which the middle 10 s were not observed."""
    rng = np.random.default_rng(0)
    observed = np.ones(BINS, dtype=bool)
    observed[50:250] = False
    counts = rng.poisson(0.5, (1, BINS, 3)) * observed[:, None]
    return SpikeTrains.from_counts(counts, BIN_WIDTH, unit_ids=["a", "b", "c"], observed=observed)


@pytest.mark.parametrize("head", ["hazard", "chained", "independent"])
def test_a_gap_longer_than_what_is_computed_at_once_scores_as_in_one_piece(make, world, gap, monkeypatch, head):
    model = make(head=head).fit(world.spikes)
    whole = model.score_samples(gap)
    monkeypatch.setattr(evaluation, "PIECE_BINS", 40)
    np.testing.assert_allclose(model.score_samples(gap), whole, rtol=1e-6)
    assert np.isfinite([model.score(gap), *model.unit_score(gap), *model.predict(gap, n_samples=2)[0].ravel()]).all()
    if head == "hazard":
        assert np.isfinite([model.past_score(gap, n_samples=2), model.co_smoothing_score(gap, held_out=["b"])]).all()


@pytest.mark.parametrize("head", ["hazard", "chained", "independent"])
def test_a_trial_of_which_nothing_was_observed_has_no_likelihood(make, world, head):
    model = make(head=head).fit(world.spikes)
    nothing = SpikeTrains.from_counts(np.zeros((1, 10, 3), int), BIN_WIDTH, unit_ids=["a", "b", "c"], observed=[[]])
    shorter_than_a_bin = SpikeTrains.from_lists([[[0.01], [], []]], 0.0, 0.03, unit_ids=["a", "b", "c"])
    for trial in (nothing, shorter_than_a_bin):
        np.testing.assert_array_equal(model.score_samples(trial), [0.0])


@pytest.mark.parametrize(
    "parameters", [{}, {"mu": 0.3}, {"batch_size": 2, "accumulation_steps": 2}, {"head": "chained"}]
)
def test_segments_without_anything_observed_are_passed_over_in_training(make, gap, parameters):
    speed = TimeSeries.from_lists([np.sin(np.arange(BINS))], rate=1 / BIN_WIDTH)
    model = make(**{"batch_size": 1, **parameters}).fit(gap, Modalities(speed=speed))
    assert np.isfinite([*model.loss_curve_, model.score(gap, Modalities(speed=speed))]).all()
