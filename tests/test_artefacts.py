"""Single values that decide a result."""

import warnings

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skneuro import Covariates, Modalities, NeuroformerEstimator, NeuroformerRegressor, SpikeTrains, TimeSeries
from skneuro._artefacts import MOST_SORTED, far_value
from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson, PSTHModel
from skneuro.cli.recordings import Loaded
from skneuro.cli.split import split_recording
from skneuro.cli.training import fit_and_score
from skneuro.exceptions import ArtefactWarning
from skneuro.metrics import dead_time_score
from skneuro.persistence import load, save

N_TRIALS, N_BINS, WIDTH = 24, 20, 0.1
N = N_TRIALS * N_BINS
SMALL = {"bin_width": WIDTH, "random_state": 0}
NEUROFORMER = NeuroformerEstimator(d_model=8, max_epochs=1, gamma=0.0, early_stopping=False, n_threads=1, **SMALL)
MODELS = [CoupledGLM(bin_width=WIDTH), GRUModel(n_hidden=4, max_steps=5, **SMALL), NEUROFORMER]


def named(model):
    return type(model).__name__


def series(values, names=None):
    times = np.tile(100.0 + WIDTH * np.arange(N_BINS), N_TRIALS)
    return TimeSeries(values, times, N_BINS * np.arange(N_TRIALS + 1), names=names)


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(1).poisson(1.0, (N_TRIALS, N_BINS, 2))


@pytest.fixture(scope="module")
def spikes(counts):
    return SpikeTrains.from_counts(counts, WIDTH, unit_ids=["a", "b"], t_start=100.0)


@pytest.fixture(scope="module")
def position():
    return np.random.default_rng(0).uniform(0, 1, (N, 2))


def pulses(rng, size=N):
    return np.where(np.arange(size) % 150 == 7, 5.0, 0.0)


def lost(rng, size=N):
    return np.where(rng.uniform(size=size) < 0.3, np.nan, rng.normal(size=size))


ORDINARY = {
    "normal": lambda rng, size=N: rng.normal(size=size),
    "lognormal": lambda rng, size=N: rng.lognormal(sigma=1.0, size=size),
    "pulses": pulses,
    "constant": lambda rng, size=N: np.full(size, 0.3),
    "rounding": lambda rng, size=N: np.where(rng.uniform(size=size) < 0.5, 0.3, 0.1 + 0.2),
    "missing": lost,
    "unknown": lambda rng, size=N: np.full(size, np.nan),
}


def heard(call, *args):
    """What artefacts were told of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(*args)
    return [str(w.message) for w in caught if issubclass(w.category, ArtefactWarning)]


# ---- stimuli ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS, ids=named)
@pytest.mark.parametrize("value", [9999.0, -50.0])
def test_a_sample_that_sets_the_scale_is_named_and_left_as_it_is(model, spikes, position, value):
    artefact = position.copy()
    artefact[3 * N_BINS + 5, 1] = value
    model = clone(model)
    (said,) = heard(model.fit, spikes, Modalities(position=series(artefact, ["x", "y"]), still=series(position)))
    assert f"'position' in column 'y' has the value {value:g} in trial 3 at 100.5 s, far from the others" in said
    assert "NaN" in said
    assert model.stimulus_range_["position"][value > 0][1] == value


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_stimuli_are_not_spoken_of(spikes, kind):
    values = ORDINARY[kind](np.random.default_rng(2))
    assert not heard(CoupledGLM(bin_width=WIDTH).fit, spikes, series(np.stack([values, -values], axis=1)))


@pytest.mark.parametrize("kind", ORDINARY)
def test_ordinary_values_are_not_far_however_many_or_few(kind):
    for size in (1, 20, 24, 100, 1000, 10_000):
        columns = [ORDINARY[kind](np.random.default_rng(seed), size) for seed in range(20)]
        assert far_value(np.stack(columns, axis=1)) is None, size


def test_of_covariates_the_trial_is_named(spikes):
    contrast = np.linspace(0, 1, N_TRIALS)
    contrast[4] = 9999.0
    side = np.where(np.arange(N_TRIALS) == 2, "left", "right")
    shown = Covariates({"side": side, "contrast": contrast})
    (said,) = heard(CoupledGLM(bin_width=WIDTH).fit, spikes, shown)
    assert "'stimulus' in column 'contrast' has the value 9999 in trial 4, far" in said


def test_one_warning_a_modality_says_how_many_there_are(position):
    values = position.copy()
    values[[10, 20, 30], 0], values[40, 1] = 500.0, 100.0
    far = far_value(values)
    assert (far.row, far.column, far.value, far.n_far, far.n_columns) == (10, 0, 500.0, 3, 2)
    assert "2 more of its values and values of 1 more of its columns" in far.says("It", "here")


def test_the_last_of_many_values_is_found(monkeypatch):
    values = np.random.default_rng(0).normal(size=(MOST_SORTED + 1000, 1)).astype(np.float32)
    values[-2] = -1e3
    assert far_value(values).row == len(values) - 2
    monkeypatch.setattr("skneuro._artefacts.ROWS_AT_ONCE", 1000)
    assert far_value(values).row == len(values) - 2


def test_going_on_with_other_data_warns_too_and_a_score_does_not(spikes, position):
    artefact = position.copy()
    artefact[7] = 9999.0
    model = clone(NEUROFORMER)
    assert not heard(model.partial_fit, spikes, series(position))
    assert len(heard(model.partial_fit, spikes, series(artefact))) == 1
    assert not heard(model.score, spikes, series(artefact))


def test_behaviour_that_is_told_is_looked_at_too(spikes, position):
    artefact = position.copy()
    artefact[7] = 9999.0
    model = clone(NEUROFORMER).set_params(behaviour=("speed",), behaviour_weight=0.1)
    (said,) = heard(model.fit, spikes, Modalities(speed=series(artefact)))
    assert "'speed' in column 0 has the value 9999 in trial 0 at 100.7 s" in said


@pytest.mark.parametrize("model", [HomogeneousPoisson(bin_width=WIDTH), ConstantMarginal(bin_width=WIDTH)], ids=named)
def test_models_that_do_not_look_at_stimuli_say_nothing_of_them(model, spikes, position):
    artefact = position.copy()
    artefact[7] = 9999.0
    assert not heard(clone(model).fit, spikes, series(artefact))


# ---- labels ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pretrained(spikes):
    return FrozenEstimator(clone(NEUROFORMER).fit(spikes))


def test_a_label_that_decides_is_named_in_fit_and_score(pretrained, spikes, position):
    artefact = position.copy()
    artefact[3 * N_BINS + 5, 1] = 200.0
    decoder = NeuroformerRegressor(pretrained)
    (said,) = heard(decoder.fit, spikes, series(artefact))
    assert "A label of output 1 has the value 200 in trial 3 at 100.5 s (bin 5), far from the others" in said
    assert decoder.target_mean_[1] == pytest.approx(artefact[:, 1].mean())
    assert not heard(decoder.fit, spikes, series(position))
    assert heard(decoder.score, spikes, series(artefact)) == [said]
    assert not heard(decoder.score, spikes, series(position))
    artefact[3 * N_BINS + 5, 1] = np.nan
    assert not heard(decoder.fit, spikes, series(artefact))


def test_labels_of_trials_and_of_rows_are_named_as_such(pretrained, counts, spikes):
    label = np.linspace(0, 1, N_TRIALS)
    label[4] = 9999.0
    (said,) = heard(NeuroformerRegressor(pretrained).fit, counts, label)
    assert "A label has the value 9999 in trial 4, far" in said
    rows = np.linspace(0, 1, N)
    rows[45] = 9999.0
    (said,) = heard(NeuroformerRegressor(pretrained).fit, counts.reshape(N, 2), rows)
    assert "A label has the value 9999 in trial 0 at 4.5 s (bin 45), far" in said
    parts = Modalities(speed=series(rows), pupil=series(np.linspace(0, 1, N)))
    (said,) = heard(NeuroformerRegressor(pretrained).fit, spikes, parts)
    assert "A label of 'speed' has" in said


@pytest.mark.parametrize("kind", [kind for kind in ORDINARY if kind != "unknown"])
def test_ordinary_labels_are_not_spoken_of(pretrained, spikes, kind):
    y = series(ORDINARY[kind](np.random.default_rng(3)))
    assert not heard(lambda: NeuroformerRegressor(pretrained).fit(spikes, y).score(spikes, y))


# ---- counts ----------------------------------------------------------------------------------------------------------


def with_burst(counts, size, unit=1, place=5):
    burst = counts.copy()
    burst[3, place, unit] = size
    return SpikeTrains.from_counts(burst, WIDTH, unit_ids=["a", "b"], t_start=100.0)


@pytest.mark.parametrize("model", [*MODELS, ConstantMarginal(bin_width=WIDTH), PSTHModel(bin_width=WIDTH)], ids=named)
def test_a_cell_that_decides_a_score_is_named(model, counts, spikes):
    model, burst = clone(model).fit(spikes), with_burst(counts, 200)
    most = counts[..., 1].max()
    (said,) = heard(model.score, burst)
    assert "Unit 'b' has 200 spikes in trial 3 at 100.5 s (bin 5), " in said
    assert f"{200 / burst.n_spikes:.1%} of all that are scored, and had at most {most} in a bin of training" in said
    assert heard(model.unit_score, burst) == [said]
    assert not heard(model.score, spikes)


def test_both_bounds_must_be_passed(counts, spikes):
    model = HomogeneousPoisson(bin_width=WIDTH).fit(spikes)
    limit = 2 * int(counts[..., 1].max()) + 10
    assert limit > 0.01 * spikes.n_spikes
    assert not heard(model.score, with_burst(counts, limit))
    assert len(heard(model.score, with_burst(counts, limit + 1))) == 1
    long = SpikeTrains.from_counts(np.tile(counts, (10, 1, 1)), WIDTH, unit_ids=["a", "b"])
    rare = np.tile(counts, (10, 1, 1))
    rare[3, 5, 1] = limit + 1
    assert limit + 1 < 0.01 * long.n_spikes
    assert not heard(model.score, SpikeTrains.from_counts(rare, WIDTH, unit_ids=["a", "b"]))


def test_bursts_as_in_training_are_not_spoken_of(counts, spikes):
    assert not heard(HomogeneousPoisson(bin_width=WIDTH).fit(with_burst(counts, 100)).score, with_burst(counts, 200))
    busy = SpikeTrains.from_counts(counts + 500, WIDTH)
    assert not heard(HomogeneousPoisson(bin_width=WIDTH).fit(busy).score, busy)
    sparse = np.where(np.arange(N).reshape(N_TRIALS, N_BINS, 1) % 150 == 7, 30, counts * [0, 1])
    assert not heard(lambda: HomogeneousPoisson(bin_width=WIDTH).fit(sparse[:12]).score(sparse[12:]))
    rate = np.random.default_rng(0).lognormal(sigma=1.0, size=counts.shape)
    heavy = np.random.default_rng(1).poisson(rate)
    assert not heard(lambda: HomogeneousPoisson(bin_width=WIDTH).fit(heavy[:12]).score(heavy[12:]))


def test_what_is_not_scored_is_not_spoken_of(counts, spikes):
    model = CoupledGLM(bin_width=WIDTH).fit(spikes)
    burst = with_burst(counts, 200)
    assert len(heard(lambda: model.co_smoothing_score(burst, held_out=["b"]))) == 1
    assert not heard(lambda: model.co_smoothing_score(burst, held_out=["a"]))
    in_the_last_bin = [[[0.31], np.linspace(0.5, 0.54, 200)]]
    whole, half = (SpikeTrains.from_lists(in_the_last_bin, 0.0, stop, unit_ids=["a", "b"]) for stop in (0.6, 0.55))
    assert len(heard(model.score, whole)) == 1
    assert not heard(model.score, half)


def test_with_a_dead_time_only_bins_that_count_are_spoken_of(counts, spikes):
    model = CoupledGLM(bin_width=WIDTH, window_bins=5).fit(spikes)
    first, later = with_burst(counts, 200), with_burst(counts, 200, place=8)  # bins 0 and 3 of a window
    assert not heard(lambda: dead_time_score(model, first, dead_time=0.2))
    assert len(heard(lambda: dead_time_score(model, first, dead_time=0.0))) == 1
    (said,) = heard(lambda: dead_time_score(model, later, dead_time=0.2))
    assert "Unit 'b' has 200 spikes in trial 3 at 100.8 s (bin 8), " in said
    n_scored = later.bin(WIDTH).dense().reshape(-1, 5, 2)[:, 2:].sum()
    assert f"{200 / n_scored:.1%} of all that are scored" in said


def test_the_most_of_training_is_kept_in_files_and_grows_with_more_data(counts, spikes, tmp_path):
    model = clone(NEUROFORMER).partial_fit(spikes)
    np.testing.assert_array_equal(model.largest_count_, counts.max(axis=(0, 1)))
    burst = with_burst(counts, 200)
    save(model, tmp_path / "model.skn")
    assert heard(load(tmp_path / "model.skn").score, burst) == heard(model.score, burst) != []
    assert heard(model.past_score, burst) == heard(model.score, burst)
    model.set_params(max_epochs=9)
    assert not heard(model.partial_fit(burst).score, burst)
    np.testing.assert_array_equal(model.partial_fit(spikes).largest_count_, [counts[..., 0].max(), 200])
    del model.largest_count_  # a file of an earlier version
    assert not heard(model.score, burst)


def test_the_command_line_keeps_the_warning():
    def split(times):
        return split_recording(Loaded("rat", SpikeTrains.from_unit_times({0: times, 1: usual}, epochs=[[0, 100]])))

    usual = np.sort(np.random.default_rng(0).uniform(0, 100, 3000))
    at = float(split(usual).test.spikes.t_start[0]) + 1.01
    burst = split(np.sort(np.r_[usual, np.linspace(at, at + 0.01, 200)]))
    (said,) = fit_and_score("constant", HomogeneousPoisson(bin_width=0.05), burst).warnings
    assert said.startswith("Unit 0 has 20")
