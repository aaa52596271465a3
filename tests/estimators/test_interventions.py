"""Simulations that start in a recorded past, and in which units are clamped, silenced or stimulated."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import chisquare, poisson

from skneuro import Modalities, NeuroformerEstimator, Recording, SpikeTrains, TimeSeries
from skneuro.baselines import CoupledGLM, GRUModel, HomogeneousPoisson
from skneuro.data import Covariates
from skneuro.datasets import make_hub_network

BIN = 0.02
N = 4


def recording(n_trials=6, n_bins=150, seed=0):
    """Unit 1 follows unit 0 a bin later."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.3, (n_trials, n_bins, N))
    counts[:, 1:, 1] = rng.poisson(0.02 + 0.8 * counts[:, :-1, 0])
    counts[:, 0, 1] = 0
    return SpikeTrains.from_counts(counts, BIN, unit_ids=["a", "b", "c", "d"])


@pytest.fixture(scope="module")
def spikes():
    return recording()


@pytest.fixture(scope="module")
def models(spikes):
    small = {
        "bin_width": BIN, "window_bins": 2, "context": 0.2, "recent_context": 0.1, "d_model": 16, "n_heads": 2,
        "max_epochs": 2, "gamma": 0, "mu": 0.5, "random_state": 0,
    }  # fmt: skip
    return {
        "neuroformer": NeuroformerEstimator(**small),
        "chained": NeuroformerEstimator(head="chained", **small),
        "independent": NeuroformerEstimator(head="independent", **small),
        "glm": CoupledGLM(bin_width=BIN, history=0.1, alphas=1.0),
        "same-bin glm": CoupledGLM(bin_width=BIN, history=0.1, alphas=1.0, same_bin="linear"),
        "gru": GRUModel(bin_width=BIN, history=0.1, max_steps=20, random_state=0),
        "constant": HomogeneousPoisson(bin_width=BIN),
    }  # fmt: skip


HEADS = ["neuroformer", "chained", "independent"]
each_model = pytest.mark.parametrize("name", [*HEADS, "glm", "same-bin glm", "gru", "constant"])


@pytest.fixture(scope="module")
def fitted(models, spikes):
    return {name: model.fit(spikes) for name, model in models.items()}


def counts(simulated):
    return np.array(simulated.to_counts(BIN))


@each_model
def test_silenced_units_never_fire_and_the_others_do(fitted, name):
    drawn = counts(fitted[name].sample(n_samples=20, duration=2.0, silence=["a", "d"], random_state=0)).sum((0, 1))
    assert drawn[[0, 3]].tolist() == [0, 0] and drawn[2] > 0


@each_model
def test_clamped_units_follow_the_trains_they_are_given(fitted, name):
    given = np.random.default_rng(1).poisson(0.5, (101, 2))
    clamp = SpikeTrains.from_counts(given, BIN, unit_ids=["c", "a"])
    drawn = counts(fitted[name].sample(n_samples=3, duration=101 * BIN, clamp=clamp, random_state=0))
    for sample in drawn:
        np.testing.assert_array_equal(sample[:, [2, 0]], given)
    assert (drawn[0] != drawn[1]).any()  # the others are free


@each_model
def test_a_stimulated_unit_fires_so_many_spikes_more(fitted, name):
    settings = {"n_samples": 40, "duration": 4.0, "random_state": 0}
    before = counts(fitted[name].sample(**settings))[..., 3].mean() / BIN
    after = counts(fitted[name].sample(**settings, stimulate={"d": 20.0}))[..., 3].mean() / BIN
    assert after - before == pytest.approx(20.0, abs=4.0)


@pytest.mark.parametrize("name", ["glm", "same-bin glm"])
def test_what_is_done_to_a_unit_reaches_the_one_that_follows_it(fitted, name):
    settings = {"n_samples": 20, "duration": 4.0, "random_state": 0}
    rate = {
        what: counts(fitted[name].sample(**settings, **done))[..., 1].mean()
        for what, done in {"free": {}, "silent": {"silence": ["a"]}, "driven": {"stimulate": {"a": 20.0}}}.items()
    }
    assert rate["silent"] < 0.6 * rate["free"] < rate["free"] < rate["driven"]


@each_model
def test_doing_nothing_changes_nothing(fitted, name):
    free = fitted[name].sample(n_samples=2, duration=1.0, random_state=3)
    same = fitted[name].sample(n_samples=2, duration=1.0, random_state=3, silence=[], stimulate={})
    np.testing.assert_array_equal(free.times, same.times)


@each_model
def test_a_simulation_starts_where_its_history_ends(fitted, spikes, name):
    drawn = fitted[name].sample(n_samples=2, duration=1.0, history=spikes, random_state=0)
    assert len(drawn) == 2 * len(spikes)
    np.testing.assert_allclose(drawn.t_start, np.repeat(spikes.t_stop, 2))
    np.testing.assert_allclose(drawn.duration, 1.0)


@pytest.mark.parametrize("name", ["glm", "same-bin glm"])
def test_the_first_bin_after_a_history_is_the_models_prediction(fitted, name):
    past = np.zeros((30, N), dtype=int)
    past[-1, 0] = 2
    history = SpikeTrains.from_counts(past, BIN, unit_ids=["a", "b", "c", "d"])
    first = counts(fitted[name].sample(n_samples=3000, duration=BIN, history=history, random_state=0))[:, 0]
    whole = SpikeTrains.from_counts(np.vstack([past, np.zeros((1, N), dtype=int)]), BIN, unit_ids=history.unit_ids)
    expected = fitted[name].set_params(window_bins=1).predict(whole)[0][-1]
    np.testing.assert_allclose(first.mean(0), expected, atol=0.1)
    assert expected[1] > 0.8


def test_the_neuroformers_first_bin_after_a_history_is_its_prediction(fitted, spikes):
    model = fitted["neuroformer"]
    trial = spikes[0]
    history = SpikeTrains.from_counts(trial.to_counts(BIN)[0][:100], BIN, unit_ids=trial.unit_ids)
    first = counts(model.sample(n_samples=1500, duration=2 * BIN, history=history, random_state=0)).mean(0)
    np.testing.assert_allclose(first, model.predict(trial, n_samples=200)[0][100:102], atol=0.08)


def test_stimuli_go_on_where_the_history_ends(spikes):
    stimuli = Modalities(cue=TimeSeries.from_lists([np.zeros((200, 1))] * 6, rate=1 / BIN))
    model = CoupledGLM(bin_width=BIN, history=0.1, stimulus_history=0.1, alphas=1.0).fit(spikes, stimuli)
    drawn = model.sample(stimuli, history=spikes, duration=1.0, random_state=0)
    np.testing.assert_allclose(drawn.t_start, spikes.t_stop)
    with pytest.raises(ValueError, match="cover"):
        model.sample(stimuli, history=spikes, duration=1.5)
    late = SpikeTrains([], [], [0, 0], 3.0, 5.0, unit_ids=spikes.unit_ids)
    with pytest.raises(ValueError, match="history ends"):
        model.sample(stimuli, history=late)
    early = SpikeTrains([], [], [0, 0], -3.0, -1.0, unit_ids=spikes.unit_ids)
    with pytest.raises(ValueError, match="history ends at -1 s"):
        model.sample(stimuli, history=early)
    with pytest.raises(ValueError, match="history must have one trial"):
        model.sample(stimuli, history=spikes[:2])
    empty = Modalities(cue=TimeSeries.from_lists([np.zeros((200, 1)), np.zeros((0, 1))], rate=1 / BIN))
    with pytest.raises(ValueError, match="'cue' has no samples in trial 1"):
        model.sample(empty)


@each_model
@pytest.mark.parametrize(
    ("done", "error", "match"),
    [
        ({"silence": ["z"]}, ValueError, "silence names units that were not seen in fit"),
        ({"silence": "a"}, ValueError, "list of unit ids"),
        ({"stimulate": {"z": 1.0}}, ValueError, "stimulate names units"),
        ({"stimulate": {"a": -1.0}}, ValueError, "at least 0 Hz"),
        ({"stimulate": ["a"]}, TypeError, "dict of unit id"),
        ({"silence": ["a"], "stimulate": {"a": 1.0}}, ValueError, "Named twice"),
        ({"clamp": [[0.1]]}, TypeError, "clamp must be SpikeTrains"),
        ({"clamp": SpikeTrains.from_lists([[[0.1]]], 0.0, 9.0, unit_ids=["z"])}, ValueError, "clamp names units"),
        ({"clamp": SpikeTrains.from_lists([[[0.1]]], 0.0, 0.5, unit_ids=["a"])}, ValueError, "clamp must cover"),
        ({"clamp": SpikeTrains.from_counts(np.ones((9, 1)), 0.7, unit_ids=["a"])}, ValueError, "in bins of 0.7 s"),
        ({"history": [[0.1]]}, TypeError, "history must be SpikeTrains"),
        ({"history": SpikeTrains.from_lists([[[0.1]]], 0.0, 9.0, unit_ids=["a"])}, ValueError, "units seen in fit"),
        ({"duration": -1.0}, ValueError, "positive"),
    ],
)
def test_what_cannot_be_done_is_refused(fitted, name, done, error, match):
    with pytest.raises(error, match=match):
        fitted[name].sample(**{"duration": 1.0, **done})


@pytest.mark.parametrize("name", ["neuroformer", "glm", "gru"])
def test_a_history_shorter_than_the_model_looks_back_is_refused(fitted, spikes, name):
    short = SpikeTrains([], [], [0, 0], 0.0, 0.04, unit_ids=spikes.unit_ids)
    with pytest.raises(ValueError, match=r"at least 0\.[12] s long"):
        fitted[name].sample(duration=1.0, history=short)


@pytest.mark.parametrize("tempered", [{"temperature": 2.0}, {"temperature": 0.5}, {"top_p": 0.95}])
def test_units_of_a_tempered_hazard_do_what_they_are_made_to_do(fitted, tempered):
    given = np.random.default_rng(1).poisson(0.5, (50, 1))
    clamp = SpikeTrains.from_counts(given, BIN, unit_ids=["c"])
    drawn = counts(
        fitted["neuroformer"].sample(
            n_samples=2,
            duration=50 * BIN,
            silence=["a"],
            clamp=clamp,
            stimulate={"d": 40.0},
            random_state=0,
            **tempered,
        )
    )
    assert not drawn[..., 0].any() and drawn[..., 3].sum() > 20
    np.testing.assert_array_equal(drawn[:, :, [2]], np.stack([given] * 2))


@pytest.mark.parametrize("name", ["chained", "independent"])
@pytest.mark.parametrize("tempered", [{"temperature": 0.5}, {"top_p": 0.9}])
def test_what_is_done_to_units_is_done_to_a_softmax_model_as_it_is(fitted, name, tempered):
    with pytest.raises(ValueError, match="need temperature=1 and top_p=1, the model's own chances"):
        fitted[name].sample(duration=0.4, silence=["a"], **tempered)


# ------------------------------------------------------------------------------------------ every pattern of a window

MOST, LAMBDA = 2, 0.4  # counts of a cell that are listed; mean number of spikes that stimulation adds to a bin


@pytest.fixture(scope="module", params=["hazard", "chained", "independent"])
def three(request):
    """A model of three units, a past of ten bins, and the log-likelihood of each cell of the two bins after it.

    Cells are listed bin after bin, unit after unit; axis k of the table, but the last, is the count of cell k.
    """
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (12, 40, 3))
    counts[:, 1:, 1] = rng.poisson(0.1 + 0.8 * counts[:, :-1, 0])
    counts[..., 2] = rng.poisson(0.1 + 0.6 * counts[..., 0])
    model = NeuroformerEstimator(
        bin_width=BIN, window_bins=2, context=0.2, recent_context=0.1, coupling_lag=0.1, d_model=8, n_heads=2,
        max_epochs=4, gamma=0, mu=0.5, head=request.param, random_state=0,
    ).fit(SpikeTrains.from_counts(counts, BIN, unit_ids=["a", "b", "c"]))  # fmt: skip
    past, patterns = counts[0, :10], np.indices((MOST + 1,) * 6).reshape(6, -1).T.reshape(-1, 2, 3)
    trials = np.concatenate([np.broadcast_to(past, (len(patterns), 10, 3)), patterns], axis=1)
    cells = model._cell_log_likelihood(model._read(trials, reset=False)).reshape(-1, 12, 3)[:, 10:]
    return model, past, cells.reshape(*(MOST + 1,) * 6, 6)


def chances(cells, given, stimulated):
    """Chance of each pattern: every cell as the chain rule has it, but where something is done to its unit."""
    counts = np.indices(cells.shape[:-1])
    total = np.ones(cells.shape[:-1])
    for cell in range(6):
        own = np.exp(cells[..., cell])
        if cell in given:
            own = (counts[cell] == given[cell]).astype(float)
        elif cell % 3 in stimulated:
            own = np.moveaxis(own, cell, 0)
            added = poisson(LAMBDA).pmf(np.arange(MOST + 1))
            own = np.stack([sum(own[k - e] * added[e] for e in range(k + 1)) for k in range(MOST + 1)])
            own = np.moveaxis(own, 0, cell)
        total = total * own
    return total


@pytest.mark.parametrize(
    ("given", "stimulated"),
    [
        ({}, ()),
        ({0: 2, 3: 0}, ()),  # "a" is clamped
        ({1: 1, 4: 2}, ()),  # "b" is
        ({1: 0, 4: 0}, ()),  # "b" is silenced
        ({}, (0,)),
        ({}, (1, 2)),
        ({2: 1, 5: 0}, (0,)),
    ],
)
def test_simulated_patterns_have_the_chances_of_the_chain_rule(three, given, stimulated):
    model, past, cells = three
    units = sorted({cell % 3 for cell in given})
    clamp = np.array([[given[k + 3 * bin_] for k in units] for bin_ in (0, 1)]).reshape(2, len(units))
    done = {"stimulate": {"abc"[k]: LAMBDA / BIN for k in stimulated}}
    if units and not clamp.any():
        done["silence"] = ["abc"[k] for k in units]
    elif units:
        trains = SpikeTrains.from_counts([clamp], BIN, unit_ids=["abc"[k] for k in units], t_start=10 * BIN)
        done["clamp"] = trains
    history = SpikeTrains.from_counts(past, BIN, unit_ids=["a", "b", "c"])
    n = 2500
    drawn = counts(model.sample(n_samples=n, duration=2 * BIN, history=history, random_state=5, **done)).reshape(n, 6)
    expected = chances(cells, given, stimulated)
    listed = drawn[(drawn <= MOST).all(1)]
    found = np.zeros_like(expected)
    np.add.at(found, tuple(listed.T), 1)
    assert (found[expected == 0] == 0).all()  # what is clamped is clamped
    often = n * expected >= 5
    observed = np.append(found[often], n - found[often].sum())  # all rarer and larger counts in one class
    chance = np.append(n * expected[often], n * (1 - expected[often].sum()))
    assert chisquare(observed, chance).pvalue > 1e-3


# ------------------------------------------------------------------------------------------ the truth


def test_a_glm_foretells_what_driving_a_hub_does_to_the_network():
    """The simulator itself is driven at one hub; the model of the undriven network says who fires more or less."""
    settings = {"n_units": 12, "random_state": 3}
    base = make_hub_network(duration=240.0, **settings)
    hub = int(base.hubs[0])
    driven = make_hub_network(duration=120.0, extra_drive={hub: 12.0}, **settings)
    rates = [s.n_spikes and s.bin(0.01).unit_counts() / s.duration.sum() for s in (base.spikes, driven.spikes)]
    more = rates[1][hub] - rates[0][hub]
    assert more > 10
    model = CoupledGLM(bin_width=0.01, history=0.06, n_basis=4, alphas=1.0).fit(base.spikes)
    drawn = {
        what: model.sample(duration=60.0, n_samples=8, random_state=0, **done).bin(0.01).unit_counts() / 480.0
        for what, done in {"free": {}, "driven": {"stimulate": {hub: more}}}.items()
    }
    others = np.arange(12) != hub
    true, predicted = (rates[1] - rates[0])[others], (drawn["driven"] - drawn["free"])[others]
    assert np.corrcoef(true, predicted)[0, 1] > 0.8


def test_a_silenced_cell_of_the_simulator_is_silent_and_the_rest_is_what_it_was():
    settings = {"n_units": 12, "duration": 5.0, "random_state": 3}
    base = make_hub_network(**settings)
    silenced = make_hub_network(extra_drive={0: -100.0}, **settings)
    np.testing.assert_array_equal(base.weights, silenced.weights)
    assert silenced.spikes.bin(0.1).unit_counts()[0] == 0 < base.spikes.bin(0.1).unit_counts()[0]


@pytest.mark.parametrize(
    ("done", "match"),
    [
        ({"extra_drive": {99: 1.0}}, "units 0"),
        ({"extra_drive": {0: np.nan}}, "finite"),
        ({"extra_drive": {0: 1.0}, "n_merged": 1}, "single cells"),
    ],
)
def test_wrong_drive_is_refused(done, match):
    with pytest.raises(ValueError, match=match):
        make_hub_network(n_units=4, duration=1.0, **done)


def test_ten_minutes_in_closed_loop_stay_in_the_recorded_range():
    counts = np.random.default_rng(0).poisson(6.0, (240, N))  # in bins of a second, which are quick
    counts[1:, 1] = np.random.default_rng(1).poisson(1.0 + 0.8 * counts[:-1, 0])
    spikes = SpikeTrains.from_counts(counts, 1.0)
    model = NeuroformerEstimator(
        bin_width=1.0, window_bins=1, context=8.0, recent_context=2.0, d_model=8, n_heads=2, max_epochs=5, gamma=0,
        mu=0.5, random_state=0,
    ).fit(spikes)  # fmt: skip
    drawn = model.sample(n_samples=1, duration=600.0, random_state=0)

    def per_ten_seconds(trains):
        return np.asarray(trains.bin(10.0).counts.sum(axis=1)).ravel() / 10.0

    recorded, simulated = per_ten_seconds(spikes), per_ten_seconds(drawn)
    assert len(simulated) == 60
    # Sixty simulated pieces against two dozen recorded ones: the range may be passed by a few standard errors.
    assert recorded.min() - 4 * recorded.std() < simulated.min()
    assert simulated.max() < recorded.max() + 4 * recorded.std()
    assert simulated[-20:].mean() == pytest.approx(simulated[:20].mean(), rel=0.05)


def test_a_history_that_is_longer_in_another_row_changes_nothing(spikes):
    """The long past of a row begins where its own history does, not where the longest one begins."""
    model = NeuroformerEstimator(
        bin_width=BIN, window_bins=1, context=0.5, recent_context=0.1, d_model=16, n_heads=2, max_epochs=6, gamma=0,
        mu=0.5, learning_rate=1e-2, random_state=0,
    ).fit(spikes)  # fmt: skip
    empty = {"times": [], "units": [], "unit_ids": spikes.unit_ids}
    alone = SpikeTrains(**empty, ptr=[0, 0], t_start=[0.0], t_stop=[0.2])
    beside = SpikeTrains(**empty, ptr=[0, 0, 0], t_start=[0.0, -9.8], t_stop=[0.2, 0.2])
    one, two = (model.sample(history=h, duration=1.0, n_samples=200, random_state=0) for h in (alone, beside))
    assert np.array_equal(counts(one), counts(two)[:200])
    assert not np.array_equal(counts(two)[:200], counts(two)[200:])


@pytest.mark.parametrize("make", [NeuroformerEstimator, CoupledGLM, GRUModel, HomogeneousPoisson])
def test_a_recording_is_simulated_over_the_time_of_its_trials(spikes, make):
    """Also where the stimuli begin before the trials, or there are none."""
    fast = {
        NeuroformerEstimator: {"d_model": 8, "n_heads": 2, "max_epochs": 1, "gamma": 0, "mu": 0.5, "context": 0.2},
        GRUModel: {"max_steps": 2}, CoupledGLM: {"alphas": 1.0, "history": 0.1},
    }.get(make, {})  # fmt: skip
    cue = TimeSeries.from_lists([np.arange(300.0) % 7] * 6, rate=1 / BIN, t_start=-1.0)
    start, stop = np.array([0.0, 0.3, 0.0, 0.0, 0.3, 0.0]), np.array([3.0, 3.0, 2.5, 3.0, 3.0, 2.5])
    some = SpikeTrains([], [], np.zeros(7, dtype=int), start, stop, unit_ids=spikes.unit_ids)
    recording = Recording(some, Modalities(cue=cue))
    model = make(bin_width=BIN, **fast).fit(spikes, Modalities(cue=cue))
    drawn = model.sample(recording, n_samples=2, random_state=0)
    np.testing.assert_allclose(drawn.t_start, start.repeat(2))
    np.testing.assert_allclose(drawn.t_stop, stop.repeat(2))
    assert model.sample(recording, duration=1.0, random_state=0).t_stop.tolist() == (start + 1.0).tolist()
    later = model.sample(recording, history=spikes[:1].cut(1.0)[0], random_state=0)
    np.testing.assert_allclose(later.t_start, 1.0)
    np.testing.assert_allclose(later.t_stop, stop)
    plain = make(bin_width=BIN, **fast).fit(spikes)
    assert plain.sample(Recording(some), random_state=0).t_stop.tolist() == stop.tolist()


def test_what_holds_for_a_whole_trial_goes_on_after_a_late_history(spikes):
    model = NeuroformerEstimator(bin_width=BIN, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5, context=0.2)
    contrast = Modalities(contrast=Covariates({"contrast": np.arange(6.0)}))
    late = SpikeTrains([], [], [0, 0], 50.0, 53.0, unit_ids=spikes.unit_ids)
    drawn = model.fit(spikes, contrast).sample(contrast, history=late, duration=1.0, random_state=0)
    np.testing.assert_allclose(drawn.t_start, 53.0)
    np.testing.assert_allclose(drawn.duration, 1.0)


@each_model
def test_a_row_starts_in_its_whole_history_however_short_that_of_another_row_is(fitted, spikes, name):
    long = spikes[:1]
    both = SpikeTrains(
        long.times, long.units, [0, long.n_spikes, long.n_spikes], [0.0, 2.7], [3.0, 3.0], unit_ids=long.unit_ids
    )
    alone, beside = (fitted[name].sample(history=h, duration=1.0, n_samples=40, random_state=0) for h in (long, both))
    np.testing.assert_array_equal(counts(alone), counts(beside)[:40])


@pytest.mark.parametrize("gaps", [[[0.0, 2.5]], {"a": [[0.0, 2.5]], "b": [[0.0, 2.9]]}], ids=["of all", "of some"])
def test_gaps_of_a_history_are_masked_as_they_are_in_predict(fitted, spikes, gaps):
    trial = spikes[:1]
    past = np.array(trial.to_counts(BIN)[0])
    past[round(2.5 / BIN) :] = 0
    whole = SpikeTrains.from_counts(np.vstack([past, np.zeros((2, N), dtype=int)]), BIN, unit_ids=trial.unit_ids)
    watched = [(*row,) for row in [[0.0, 2.5], [3.0, 3.0 + 2 * BIN]]]
    if isinstance(gaps, dict):
        watched = {unit: [*rows, [3.0, 3.0 + 2 * BIN]] for unit, rows in gaps.items()}
    given = {"unit_ids": trial.unit_ids}
    silent = SpikeTrains.from_counts(past, BIN, **given)
    history = SpikeTrains(silent.times, silent.units, silent.ptr, silent.t_start, silent.t_stop, observed=gaps, **given)
    whole = SpikeTrains(whole.times, whole.units, whole.ptr, whole.t_start, whole.t_stop, observed=watched, **given)
    model = copy.deepcopy(fitted["neuroformer"])
    with torch.no_grad():
        model.model_.network.session.coupling += 0.1  # two epochs hardly taught it that the past matters
    drawn = counts(model.sample(n_samples=3000, duration=2 * BIN, history=history, random_state=0))
    assert np.allclose(drawn.mean(0), model.predict(whole, n_samples=500)[0][-2:], atol=0.06)
    silence = counts(model.sample(n_samples=3000, duration=2 * BIN, history=silent, random_state=0))
    assert not np.array_equal(drawn, silence)
    with pytest.raises(ValueError, match="observed all the time"):
        fitted["glm"].sample(history=history, duration=1.0)
