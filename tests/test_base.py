import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline

from skneuro._base import SpikeModel
from skneuro.data import Covariates, Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.exceptions import IncompatibleModalityError, MissingModalityWarning, NonIntegerCountsWarning


class Fixed(SpikeModel):
    """Poisson at twice the training rate."""

    def __init__(self, *, bin_width=0.1):
        self.bin_width = bin_width

    def fit(self, X, y=None):
        self._read(X, y, reset=True)
        return self

    def _cell_log_likelihood(self, inp, target=None):
        target = inp.spikes if target is None else target
        log_pmf = stats.poisson.logpmf(target.dense(), 2.0 * self.base_rate_ * self.bin_width)
        return np.where(target.mask(), log_pmf, 0.0)


@pytest.fixture
def counts():
    return np.random.default_rng(0).poisson([0.2, 0.6, 1.5], (40, 3))


def speed(n_trials=1, n_bins=40):
    return TimeSeries.from_lists([np.arange(n_bins, dtype=float)] * n_trials, rate=10.0, t_start=0.05)


def test_score_is_the_gain_over_training_rates_per_spike(counts):
    train, test = counts[:20], counts[20:]
    rate = (train.sum(axis=0) + 0.5) / 20  # spikes per bin
    gain = stats.poisson.logpmf(test, 2 * rate).sum() - stats.poisson.logpmf(test, rate).sum()
    assert np.isclose(Fixed().fit(train).score(test), gain / test.sum() / np.log(2))


def test_unit_scores_weighted_by_spikes_are_the_score(counts):
    model = Fixed().fit(counts)
    n_spikes = counts.sum(axis=0)
    assert np.isclose((model.unit_score(counts) * n_spikes).sum() / n_spikes.sum(), model.score(counts))


def test_unit_score_of_a_silent_unit_is_nan(counts):
    test = counts.copy()
    test[:, 1] = 0
    assert np.isnan(Fixed().fit(counts).unit_score(test)).tolist() == [False, True, False]


def test_layouts_of_the_same_spikes_have_the_same_score(counts):
    model = Fixed().fit(counts)
    trials = counts.reshape(4, 10, 3)
    forms = [counts, trials, SpikeTrains.from_counts(trials, 0.1), SpikeTrains.from_counts(counts, 0.1)]
    assert np.ptp([model.score(form) for form in forms]) < 1e-12
    assert [model.score_samples(form).shape for form in forms] == [(40,), (4,), (4,), (1,)]
    assert np.allclose([model.score_samples(form).sum() for form in forms], model.score_samples(counts).sum())


def test_what_was_not_observed_does_not_count(counts):
    half = SpikeTrains.from_counts(counts * (np.arange(40) < 20)[:, None], 0.1, observed=[[0.0, 2.0]])
    model = Fixed().fit(half)
    assert np.allclose(model.base_rate_, (counts[:20].sum(axis=0) + 0.5) / 2.0)
    assert np.isclose(model.score(half), model.score(counts[:20]))


def test_fit_and_score_need_a_spike(counts):
    with pytest.raises(ValueError, match="at least one observed spike to fit"):
        Fixed().fit(np.zeros_like(counts))
    with pytest.raises(ValueError, match="at least one observed spike in the data"):
        Fixed().fit(counts).score(np.zeros_like(counts))


@pytest.mark.parametrize(
    ("unit_ids", "problem"), [(["b", "a", "c"], "in another order"), (["a", "b", "x"], r"Not seen in fit: \['x'\]")]
)
def test_other_units_than_in_fit_are_refused_with_the_remedy(counts, unit_ids, problem):
    model = Fixed().fit(SpikeTrains.from_counts(counts, 0.1, unit_ids=["a", "b", "c"]))
    with pytest.raises(ValueError, match=f"unit ids should match.*{problem}.*select_units"):
        model.score(SpikeTrains.from_counts(counts, 0.1, unit_ids=unit_ids))


def test_another_number_of_units_is_refused_in_scikit_learns_words(counts):
    with pytest.raises(ValueError, match="X has 2 features, but Fixed is expecting 3 features as input"):
        Fixed().fit(counts).score(counts[:, :2])


def test_names_of_a_data_frame_are_remembered(counts):
    frame = pd.DataFrame(counts, columns=["u1", "u2", "u3"])
    model = Fixed().fit(frame)
    assert model.feature_names_in_.tolist() == model.unit_ids_.tolist() == ["u1", "u2", "u3"]
    with pytest.raises(ValueError, match="feature names should match"):
        model.score(frame[["u3", "u1", "u2"]])
    assert not hasattr(model.fit(SpikeTrains.from_counts(counts, 0.1)), "feature_names_in_")


def test_modalities_missing_warn_and_new_ones_are_refused(counts):
    with_speed = Fixed().fit(counts, Modalities(speed=speed()))
    assert with_speed.modalities_ == ("speed",)
    with pytest.warns(MissingModalityWarning, match="speed"):
        with_speed.score(counts)
    with pytest.raises(IncompatibleModalityError, match=r"not in fit: \['pupil'\].*fitted with \['speed'\]"):
        with_speed.score(counts, Modalities(speed=speed(), pupil=speed()))
    with pytest.raises(IncompatibleModalityError, match="fitted with none"):
        Fixed().fit(counts).score(counts, Modalities(speed=speed()))


@pytest.mark.parametrize("column", [[0, 1], [1]])
def test_a_modality_that_is_never_known_in_whole_is_pointed_out(counts, column):
    values = np.ones((len(counts), 2))
    known = Modalities(pose=TimeSeries(values, 0.1 * np.arange(len(counts)), [0, len(counts)]))
    values = values.copy()
    values[:, column] = np.nan
    never = Modalities(pose=TimeSeries(values, 0.1 * np.arange(len(counts)), [0, len(counts)]))
    with pytest.warns(MissingModalityWarning, match="'pose' lacks a value"):
        Fixed().fit(counts, never)
    model = Fixed().fit(counts, known)
    with pytest.warns(MissingModalityWarning, match="'pose' lacks a value"):
        model.score(counts, never)
    with pytest.warns(MissingModalityWarning, match="'trial' lacks a value"):
        Fixed().fit(counts, Modalities(trial=Covariates({"contrast": [np.nan]})))


def test_a_recording_is_its_spikes_and_modalities(counts):
    spikes, modalities = SpikeTrains.from_counts(counts, 0.1), Modalities(speed=speed())
    model = Fixed().fit(Recording(spikes, modalities))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.score(Recording(spikes, modalities)) == model.score(spikes, modalities)


def test_held_out_units_are_scored_against_their_own_rates(counts):
    """A model that sees nothing of other units loses nothing when they are hidden."""
    model = Fixed().fit(counts)
    n_spikes = counts[:, [0, 2]].sum(axis=0)
    expected = (model.unit_score(counts)[[0, 2]] * n_spikes).sum() / n_spikes.sum()
    assert model.co_smoothing_score(counts, held_out=[2, 0]) == pytest.approx(expected)
    assert model.co_smoothing_score(counts, held_out=[True, False, True]) == pytest.approx(expected)


@pytest.mark.parametrize("held_out", [[], [0, 1, 2], [7], "unit", [True, False]])
def test_held_out_units_must_be_some_of_those_seen(counts, held_out):
    with pytest.raises(ValueError, match="held_out should name"):
        Fixed().fit(counts).co_smoothing_score(counts, held_out=held_out)


def test_a_width_of_fewer_bits_is_the_decimal_that_it_stands_for(counts):
    spikes = SpikeTrains.from_counts(counts, 0.1)
    narrow = Fixed(bin_width=np.float32(0.1)).fit(spikes)
    assert narrow.bin_width == 0.1 and clone(narrow).bin_width == 0.1
    score = narrow.score(spikes)
    assert narrow.set_params(bin_width=np.float32(0.1)).score(spikes) == Fixed().fit(spikes).score(spikes) == score
    with pytest.raises(ValueError, match="fitted with bin_width=0.1 s, and it is 0.1000001 s now"):
        narrow.set_params(bin_width=0.1000001).score(spikes)


@pytest.mark.parametrize("through", [lambda model: model, lambda model: make_pipeline(FrozenEstimator(model))])
def test_warnings_point_at_the_line_of_the_user(counts, through):
    spikes = SpikeTrains.from_counts(counts.reshape(4, 10, 3), 0.1)
    with pytest.warns(MissingModalityWarning) as told:
        through(Fixed().fit(spikes, speed(4, 10))).score(spikes)
    assert {warning.filename for warning in told} == {__file__}


def test_rounded_counts_are_pointed_out_at_the_line_of_the_user(counts):
    with pytest.warns(NonIntegerCountsWarning) as told:
        Fixed().fit(counts + 0.25)
    assert {warning.filename for warning in told} == {__file__}
