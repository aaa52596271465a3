import numpy as np
import pytest

from skneuro.baselines import ConstantMarginal, CoupledGLM, HomogeneousPoisson
from skneuro.data import Modalities, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import IncompatibleModalityError

COUNTS = np.random.default_rng(0).poisson(0.5, (12, 20, 2))
MODELS = [
    HomogeneousPoisson(bin_width=0.1),
    ConstantMarginal(bin_width=0.1),
    CoupledGLM(bin_width=0.1, history=0.3, alphas=10.0, same_bin="linear"),
]


def trials(t_start=0.0, lengths=None):
    lengths = [20] * 12 if lengths is None else lengths
    return SpikeTrains.from_counts([c[:n] for c, n in zip(COUNTS, lengths, strict=True)], 0.1, t_start=t_start)


def speed(lengths, t_start=0.0):
    return TimeSeries.from_lists([np.zeros(n) for n in lengths], rate=10.0, t_start=t_start)


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_an_int_reproduces_and_none_does_not(model):
    model.fit(COUNTS)
    draw = [model.sample(n_samples=5, random_state=seed).times for seed in (3, 3, 4, None, None)]
    assert np.array_equal(draw[0], draw[1])
    assert not np.array_equal(draw[0], draw[2]) and not np.array_equal(draw[3], draw[4])


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_simulated_trial_does_not_depend_on_how_many_are_drawn(model, monkeypatch):
    model.fit(COUNTS)
    many = model.sample(n_samples=20, random_state=0)
    few = model.sample(n_samples=3, random_state=0)
    assert np.array_equal(many[:3].times, few.times)
    monkeypatch.setattr("skneuro.baselines._simulation._ROWS_AT_ONCE", 7)
    assert np.array_equal(model.sample(n_samples=20, random_state=0).times, many.times)


def test_a_longer_simulation_begins_like_a_shorter_one():
    model = MODELS[2].fit(COUNTS)
    long, short = (model.sample(duration=d, random_state=0).to_counts(0.1)[0] for d in (30.0, 5.0))
    assert np.array_equal(long[:50], short)


def test_a_random_state_is_drawn_from():
    model, state = MODELS[0].fit(COUNTS), np.random.RandomState(0)
    first, second = (model.sample(n_samples=3, random_state=state).times for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, model.sample(n_samples=3, random_state=np.random.RandomState(0)).times)


def test_numpys_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    MODELS[2].fit(COUNTS).sample(n_samples=3)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_by_default_a_trial_is_like_the_training_trials():
    drawn = HomogeneousPoisson(bin_width=0.1).fit(trials(t_start=-0.5)).sample(n_samples=3)
    assert np.allclose(drawn.t_start, -0.5) and np.allclose(drawn.duration, 2.0)
    assert drawn.trial_ids.tolist() == [0, 0, 0]


def test_a_trial_starts_with_the_training_trials_also_where_their_first_sample_is_a_little_later():
    centres = TimeSeries.from_lists([np.zeros(20)] * 12, rate=10.0, t_start=-0.45)
    drawn = HomogeneousPoisson(bin_width=0.1).fit(trials(t_start=-0.5), centres).sample(centres[:2])
    assert np.allclose(drawn.t_start, -0.5) and np.allclose(drawn.duration, 2.0)


@pytest.mark.parametrize(
    ("stimuli", "words"),
    [
        (trials(), r"spikes are no stimuli. Recording\(spikes\) .* history="),
        ({"stimulus": speed([20])}, r"use Modalities\(\*\*stimuli\)"),
        (np.array(["a", "b"]), "stimuli must be Modalities"),
    ],
)
def test_what_is_no_stimulus_is_named(stimuli, words):
    model = HomogeneousPoisson(bin_width=0.1).fit(COUNTS, np.zeros((12, 20, 1)))
    with pytest.raises(TypeError, match=words):
        model.sample(stimuli)


def test_by_default_a_trial_with_a_stimulus_lasts_as_long_as_that():
    lengths = [10 + k % 3 for k in range(12)]
    model = HomogeneousPoisson(bin_width=0.1).fit(trials(lengths=lengths), Modalities(speed=speed(lengths)))
    drawn = model.sample(Modalities(speed=speed([8, 12, 30], t_start=[0.0, 5.0, 0.0])))
    assert np.allclose(drawn.t_start, [0.0, 5.0, 0.0])
    assert np.allclose(drawn.duration, [0.8, 1.2, 1.2])  # no longer than the training trials


def test_a_stimulus_must_last_as_long_as_asked():
    model = HomogeneousPoisson(bin_width=0.1).fit(trials(), Modalities(speed=speed([20] * 12)))
    with pytest.raises(IncompatibleModalityError, match="does not cover"):
        model.sample(Modalities(speed=speed([20])), duration=5.0)


def test_a_video_may_come_as_itself():
    video = Video(np.zeros((1, 20, 2, 2)), fps=10.0, index=np.zeros(12, dtype=int))
    drawn = HomogeneousPoisson(bin_width=0.1).fit(COUNTS, video).sample(video[:2])
    assert len(drawn) == 2 and np.allclose(drawn.duration, 2.0)


@pytest.mark.parametrize(
    ("X", "y", "stimuli", "n_trials", "duration"),
    [
        (COUNTS[0], np.zeros(20), np.zeros(7), 1, 0.7),
        (COUNTS[0], np.zeros((20, 2)), np.zeros((9, 2)), 1, 0.9),
        (COUNTS, np.zeros((12, 20, 1)), np.zeros((3, 15, 1)), 3, 1.5),
        (COUNTS, np.arange(12.0), np.arange(4.0), 4, 2.0),
    ],
)
def test_arrays_are_read_as_in_fit(X, y, stimuli, n_trials, duration):
    model = CoupledGLM(bin_width=0.1, history=0.2, alphas=10.0).fit(X, y)
    drawn = model.sample(stimuli, random_state=0)
    assert len(drawn) == n_trials
    # The last sample of a series stands for one more interval, as far as training trials reached.
    assert np.allclose(drawn.duration, duration, atol=0.11)


def test_a_row_of_an_array_is_a_bin_where_it_was_one_in_fit():
    series = np.zeros((12, 20, 1))
    for X in (COUNTS, trials(t_start=-0.5)):
        model = CoupledGLM(bin_width=0.1, history=0.2, alphas=10.0).fit(X, series)
        drawn = model.sample(series[0])
        assert len(drawn) == 1 and np.allclose(drawn.duration, 2.0)
        assert np.allclose(drawn.t_start, model.sample().t_start)


def test_a_model_of_an_earlier_version_reads_rows_of_trials_as_trials():
    old = CoupledGLM(bin_width=0.1, history=0.2, alphas=10.0).fit(COUNTS, np.arange(12.0))
    del old.training_trials_["stimulus_per_trial"]
    assert len(old.sample(np.arange(4.0))) == 4


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_samples": 0}, "n_samples must be an int of at least 1. Got 0"),
        ({"n_samples": 1.5}, "n_samples must be an int of at least 1. Got 1.5"),
        ({"duration": 0.0}, "duration must be a positive number of seconds. Got 0.0"),
        ({"duration": np.nan}, "duration must be a positive number"),
    ],
)
def test_wrong_parameters_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        HomogeneousPoisson(bin_width=0.1).fit(COUNTS).sample(**parameters)


def test_predictions_have_the_layout_of_the_input():
    model = MODELS[2].fit(COUNTS)
    assert model.predict(COUNTS).shape == COUNTS.shape
    assert model.predict(COUNTS[0]).shape == (20, 2)
    ragged = model.predict(trials(lengths=[5 + k for k in range(12)]))
    assert ragged.dtype == object and [len(trial) for trial in ragged] == [5 + k for k in range(12)]


def test_a_prediction_does_not_depend_on_the_other_trials(monkeypatch):
    model = CoupledGLM(bin_width=0.1, history=0.3, alphas=10.0, same_bin="linear", window_bins=3, n_draws=4).fit(COUNTS)
    whole = model.predict(COUNTS)
    assert np.allclose(model.predict(COUNTS[4:5]), whole[4:5])
    monkeypatch.setattr("skneuro.baselines._simulation._CELLS_AT_ONCE", 20)
    assert np.allclose(model.predict(COUNTS), whole)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"duration": "1s"}, "duration must be a positive number of seconds. Got '1s'"),
        ({"duration": np.nan}, "duration must be a positive number of seconds. Got nan"),
        ({"random_state": "a"}, "random_state must be an int of at least 0.*Got 'a'"),
        ({"random_state": -1}, "random_state must be an int of at least 0.*Got -1"),
        ({"random_state": 1.5}, "random_state must be an int of at least 0.*Got 1.5"),
    ],
)
def test_what_cannot_be_simulated_is_named(arguments, words):
    with pytest.raises(ValueError, match=words):
        HomogeneousPoisson(bin_width=0.1).fit(COUNTS).sample(**arguments)
