"""Facts that hold for the baselines as models: what they may see, what they leave out, and what they find."""

import warnings

import numpy as np
import pytest
from scipy import stats
from sklearn.exceptions import NotFittedError

import skneuro
from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel, HomogeneousPoisson, PSTHModel
from skneuro.baselines._split import held_out_bins
from skneuro.data import Covariates, Modalities, SpikeTrains, TimeSeries, Video
from skneuro.exceptions import (
    IncompatibleModalityError,
    MissingModalityWarning,
    NonFiniteLossError,
    ShortenedLagWarning,
)

WIDTH = 0.1


def counts_of(*shape, seed=0):
    """Counts whose trials all have a time course, so that there is something to find."""
    rate = 0.4 + 0.5 * np.sin(np.arange(shape[-2]) / 3.0)[:, None] ** 2
    return np.random.default_rng(seed).poisson(np.broadcast_to(rate, shape))


def glm(**parameters):
    settings = {"bin_width": WIDTH, "history": 0.4, "n_basis": 3, "alphas": 1.0, "n_draws": 8}
    return CoupledGLM(**settings | parameters)


def gru(**parameters):
    settings = {"bin_width": WIDTH, "history": 0.4, "n_basis": 3, "alpha": 1.0, "n_hidden": 4, "max_steps": 10,
                "validation_fraction": 0.0, "n_draws": 4, "random_state": 0}  # fmt: skip
    return GRUModel(**settings | parameters)


def cells(model, X, y=None):
    return model._cell_log_likelihood(model._read(X, y, reset=False))


ALL = {
    "homogeneous": lambda: HomogeneousPoisson(bin_width=WIDTH),
    "marginal": lambda: ConstantMarginal(bin_width=WIDTH),
    "psth": lambda: PSTHModel(bin_width=WIDTH),
    "glm": glm,
    "glm in the bin": lambda: glm(same_bin="linear", counts="categorical"),
    "gru": gru,
}
SEQUENTIAL = {
    "glm": glm,
    "glm categorical": lambda **p: glm(counts="categorical", **p),
    "gru": gru,
    "gru poisson": lambda **p: gru(counts="poisson", **p),
}
SAME_BIN = {
    "glm": lambda: glm(same_bin="linear"),
    "gru linear": lambda: gru(same_bin="linear"),
    "gru nonlinear": lambda: gru(same_bin="nonlinear"),
}
every_model = pytest.mark.parametrize("make", ALL.values(), ids=ALL)
every_sequential = pytest.mark.parametrize("make", SEQUENTIAL.values(), ids=SEQUENTIAL)


# Scores


def test_constant_rates_score_nothing_on_any_data():
    train, test = counts_of(50, 3), counts_of(80, 3, seed=1) ** 2
    assert HomogeneousPoisson(bin_width=WIDTH).fit(train).score(test) == 0.0


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng, n: rng.negative_binomial(1, 0.4, (n, 2)),
        lambda rng, n: rng.binomial(2, 0.9, (n, 2)),
    ],
    ids=["over-dispersed", "under-dispersed"],
)
def test_marginal_gains_over_poisson_what_dispersion_is_worth(draw):
    rng = np.random.default_rng(0)
    model = ConstantMarginal(bin_width=WIDTH).fit(draw(rng, 2000))
    assert model.score(draw(rng, 1000)) > 0.02


def test_marginal_has_no_advantage_on_poisson_counts():
    rng = np.random.default_rng(0)
    model = ConstantMarginal(bin_width=WIDTH).fit(rng.poisson(0.8, (5000, 2)))
    assert abs(model.score(rng.poisson(0.8, (5000, 2)))) < 0.005


@pytest.mark.parametrize("seen", [[1], [0, 0, 0, 4], [2, 2, 5, 0, 1]])
def test_probabilities_of_the_marginal_sum_to_one_with_the_counts_never_seen(seen):
    model = ConstantMarginal(bin_width=WIDTH).fit(np.array(seen)[:, None])
    log_probability = model.score_samples(np.arange(80)[:, None])
    assert np.isfinite(log_probability).all()
    assert np.isclose(np.exp(log_probability).sum(), 1.0)


@every_model
def test_scoring_silence_is_an_error(make):
    counts = counts_of(12, 10, 3)
    with pytest.raises(ValueError, match="at least one observed spike in the data"):
        make().fit(counts).score(np.zeros_like(counts))


@every_model
def test_units_in_another_order_are_refused(make):
    counts = counts_of(12, 10, 3)
    model = make().fit(SpikeTrains.from_counts(counts, WIDTH, unit_ids=["a", "b", "c"]))
    with pytest.raises(ValueError, match="in another order"):
        model.score(SpikeTrains.from_counts(counts, WIDTH, unit_ids=["b", "a", "c"]))


@pytest.mark.parametrize("make", [lambda: glm(), lambda: gru(counts="poisson", same_bin=None)], ids=["glm", "gru"])
def test_likelihood_is_that_of_poisson_counts_of_the_predicted_mean(make):
    train, test = counts_of(12, 10, 3), counts_of(4, 10, 3, seed=1)
    model = make().fit(train)
    expected = stats.poisson.logpmf(test, model.predict(test))
    assert np.allclose(cells(model, test).reshape(test.shape), expected, atol=1e-4)


# What a model may see


def changed_by_one_more_spike(model, counts, row, unit):
    more = counts.copy()
    more[row, unit] += 1
    return np.abs(cells(model, more) - cells(model, counts)) > 1e-6


@pytest.mark.parametrize("make", SAME_BIN.values(), ids=SAME_BIN)
def test_in_the_same_bin_only_higher_units_see_a_spike(make):
    counts = counts_of(60, 4)
    model = make().fit(counts)
    changed = changed_by_one_more_spike(model, counts, 30, 1)
    assert not changed[:30].any()
    assert changed[30].tolist() == [False, True, True, True]
    assert changed[31].any()


@pytest.mark.parametrize("make", [glm, lambda: gru(same_bin=None)], ids=["glm", "gru"])
def test_without_same_bin_terms_only_later_bins_see_a_spike(make):
    counts = counts_of(60, 4)
    model = make().fit(counts)
    changed = changed_by_one_more_spike(model, counts, 30, 1)
    assert not changed[:30].any()
    assert changed[30].tolist() == [False, True, False, False]
    assert changed[31].any()


def test_a_unit_sees_only_its_own_past_without_coupling():
    counts = counts_of(60, 4)
    changed = changed_by_one_more_spike(glm(coupling=False).fit(counts), counts, 30, 1)
    assert changed.any(axis=0).tolist() == [False, True, False, False]


def test_the_past_ends_with_the_longest_lag():
    counts = counts_of(60, 4)
    changed = changed_by_one_more_spike(glm(history=0.4).fit(counts), counts, 30, 1)
    assert changed[31:35].any(axis=1).all()
    assert not changed[35:].any()


@every_sequential
def test_a_trial_does_not_depend_on_the_trials_before_it(make):
    counts = counts_of(6, 12, 3)
    model = make().fit(counts)
    together = model.score_samples(counts)
    alone = [model.score_samples(trial[None])[0] for trial in counts]
    assert np.allclose(together, alone, atol=1e-4)
    assert np.allclose(model.predict(counts)[3], model.predict(counts[3:4])[0], atol=1e-5)


@every_sequential
def test_trials_of_different_length_do_not_mix(make):
    trials = [counts_of(n, 3, seed=n) for n in (7, 20, 4)]
    spikes = SpikeTrains.from_counts(trials, WIDTH)
    model = make().fit(spikes)
    alone = [model.score_samples(spikes[[k]])[0] for k in range(3)]
    assert np.allclose(model.score_samples(spikes), alone, atol=1e-4)


@pytest.mark.parametrize("make", [*SAME_BIN.values(), glm, gru], ids=[*SAME_BIN, "glm alone", "gru categorical"])
def test_a_count_does_not_see_itself(make):
    # Otherwise its probabilities, given all that it may see, would not sum to one.
    counts = counts_of(60, 4)
    model = make().fit(counts)
    possible = np.repeat(counts[None, :31], 60, axis=0)
    possible[:, 30, 2] = np.arange(60)
    log_probability = cells(model, possible).reshape(possible.shape)[:, 30, 2]
    assert np.isclose(np.exp(log_probability).sum(), 1.0, atol=1e-5)


def test_prediction_averages_over_what_lower_units_may_do_in_the_bin():
    counts = counts_of(200, 2)
    counts[:, 1] += counts[:, 0]
    model = glm(same_bin="linear", n_draws=2000).fit(counts)
    possible = np.repeat(counts[None, :31], 30, axis=0)
    possible[:, 30, 0], possible[:, 30, 1] = np.arange(30), 0
    log_probability = cells(model, possible).reshape(possible.shape)[:, 30]
    # The probability of no spike is exp(-mean), so that the mean given each count of unit 0 is known.
    expected = (np.exp(log_probability[:, 0]) * -log_probability[:, 1]).sum()
    assert np.isclose(model.predict(counts)[30, 1], expected, rtol=0.01)


# Windows of prediction


@every_sequential
def test_prediction_does_not_look_inside_its_window(make):
    counts = counts_of(60, 3)
    model = make(window_bins=3).fit(counts)
    before = model.predict(counts)
    for row, first_changed in [(29, 30), (30, 33), (31, 33), (32, 33)]:
        other = counts.copy()
        other[row] += 2
        changed = np.abs(model.predict(other) - before).max(axis=1) > 1e-6
        assert np.flatnonzero(changed)[0] == first_changed


def test_windows_begin_anew_with_every_trial():
    counts = counts_of(6, 10, 3)  # ten bins are not a whole number of windows
    model = glm(window_bins=3).fit(counts)
    other = counts.copy()
    other[2, 9] += 2
    assert np.array_equal(model.predict(other), model.predict(counts))


@every_sequential
def test_prediction_is_reproducible(make):
    counts = counts_of(40, 3)
    model = make(window_bins=3).fit(counts)
    assert np.array_equal(model.predict(counts), model.predict(counts))


@every_model
def test_prediction_has_the_shape_of_what_was_given(make):
    counts = counts_of(12, 10, 3)
    model = make().fit(counts)
    array, trials = model.predict(counts[:2]), model.predict(SpikeTrains.from_counts(counts[:2], WIDTH))
    assert array.shape == (2, 10, 3)
    assert trials.dtype == object
    assert np.allclose(np.stack(list(trials)), array, atol=1e-6)
    assert model.predict(counts[0]).shape == (10, 3)


# Observation


@every_model
def test_cells_not_observed_contribute_nothing(make):
    counts = counts_of(12, 10, 3)
    model = make().fit(counts)
    observed = {1: [[0.0, 0.3], [0.6, 1.0]]}
    spikes = SpikeTrains.from_counts(np.where(unit_gap(counts), 0, counts), WIDTH, observed=observed)
    found = cells(model, spikes).reshape(counts.shape)
    assert np.array_equal(found == 0.0, unit_gap(counts))


def unit_gap(counts):
    """Where unit 1 was not observed: from 0.3 to 0.6 s."""
    gap = np.zeros(counts.shape, dtype=bool)
    gap[:, 3:6, 1] = True
    return gap


@every_model
def test_spikes_in_masked_bins_change_neither_fit_nor_score_nor_prediction(make):
    # Observation ends within bins 3 and 9 of every trial: spikes there are known, but their bins are masked.
    observed = [[0.0, 0.35], [0.4, 0.95]]
    lists = [[list(np.repeat(np.arange(10) * WIDTH + 0.02, trial[:, unit])) for unit in range(3)]
             for trial in counts_of(12, 10, 3)]  # fmt: skip
    more = [[sorted([*times, 0.31, 0.32, 0.91]) for times in trial] for trial in lists]
    plain, other = (SpikeTrains.from_lists(trials, 0.0, 1.0, observed=observed) for trials in (lists, more))
    assert other.n_spikes > plain.n_spikes
    model, again = make().fit(plain), make().fit(other)
    assert np.array_equal(model.base_rate_, again.base_rate_)
    assert np.allclose(model.score_samples(plain), model.score_samples(other), atol=1e-9)
    assert np.allclose(model.score_samples(plain), again.score_samples(plain), atol=1e-9)
    assert np.allclose(list(model.predict(plain)), list(model.predict(other)), atol=1e-9)


# Fits that fail


class Stop(BaseException):
    """Ctrl-C, at a chosen line."""


def interrupted(monkeypatch, model, X, y=None):
    """Fit, and stop when the spikes have been read, or as soon as what was read is used."""
    read = type(model)._read_training

    def stop(self, *given):
        read(self, *given)
        raise Stop

    with monkeypatch.context() as patch:
        patch.setattr(type(model), "_read_training", stop)
        with pytest.raises(Stop):
            model.fit(X, y)


@every_model
def test_an_interrupted_fit_leaves_a_model_as_it_was(make, monkeypatch):
    counts, other = counts_of(12, 10, 3), 5 * counts_of(12, 10, 4, seed=1)
    model = make()
    interrupted(monkeypatch, model, counts)
    assert vars(model) == vars(make())
    with pytest.raises(NotFittedError):
        model.score(counts)
    score, before = model.fit(counts).score(counts), dict(vars(model))
    interrupted(monkeypatch, model, other)
    assert all(vars(model)[name] is value for name, value in before.items()) and len(vars(model)) == len(before)
    assert model.score(counts) == score


def test_a_fit_that_fails_late_leaves_a_model_as_it_was():
    counts, loud = counts_of(12, 10, 3), 5 + counts_of(12, 10, 3, seed=1)
    psth = PSTHModel(bin_width=WIDTH).fit(counts)
    score = psth.score(counts)
    with pytest.raises(ValueError, match="min_repeats"):
        psth.fit(loud.reshape(-1, 3))
    assert psth.score(counts) == score
    network = gru().fit(counts)
    score = network.score(counts)
    with pytest.raises(NonFiniteLossError):
        network.set_params(learning_rate=1e30).fit(loud)
    assert network.score(counts) == score


# Simulation


def test_simulated_rates_are_those_of_the_training_data():
    counts = np.random.default_rng(0).poisson([0.1, 0.5, 1.5], (2000, 3))
    model = HomogeneousPoisson(bin_width=WIDTH).fit(counts)
    simulated = model.sample(duration=500.0, random_state=0).to_counts(WIDTH)
    assert np.allclose(simulated.sum(axis=(0, 1)) / 500.0 / model.base_rate_, 1.0, atol=0.2)
    assert np.allclose(simulated.var(axis=(0, 1)) / simulated.mean(axis=(0, 1)), 1.0, atol=0.1)


@every_model
def test_simulation_is_reproducible_with_a_seed_only(make):
    model = make().fit(counts_of(12, 10, 3))
    first, again, other = (model.sample(n_samples=4, random_state=seed).to_counts(WIDTH) for seed in (0, 0, 1))
    assert first.shape == (4, 10, 3)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@every_model
def test_simulated_trials_know_which_stimulus_they_belong_to(make):
    counts, stimulus = counts_of(12, 10, 3), np.random.default_rng(1).normal(size=(12, 10, 2))
    model = make().fit(counts, stimulus)
    simulated = model.sample(stimulus[:2], n_samples=3, random_state=0)
    assert simulated.trial_ids.tolist() == [0, 0, 0, 1, 1, 1]
    assert simulated.unit_ids.tolist() == [0, 1, 2]
    assert np.allclose(simulated.duration, 1.0)


def test_simulated_trials_are_driven_by_their_own_stimulus():
    level = np.tile([[[-1.0]], [[1.0]]], (6, 10, 1))
    counts = np.random.default_rng(0).poisson(np.exp(level), (12, 10, 3))
    simulated = glm().fit(counts, level).sample(level[:2], n_samples=6, random_state=0)
    totals = simulated.to_counts(WIDTH).sum(axis=(1, 2))
    assert totals[simulated.trial_ids == 0].max() < totals[simulated.trial_ids == 1].min()


def test_simulations_of_a_trial_do_not_depend_on_how_many_there_are():
    model = glm().fit(counts_of(12, 10, 3))
    two, four = (model.sample(n_samples=n, random_state=0).to_counts(WIDTH) for n in (2, 4))
    assert np.array_equal(two, four[:2])


@pytest.mark.parametrize("arguments", [{"n_samples": 0}, {"n_samples": 1.5}, {"duration": 0.0}])
def test_simulations_of_no_length_or_number_are_refused(arguments):
    with pytest.raises(ValueError, match=next(iter(arguments))):
        HomogeneousPoisson(bin_width=WIDTH).fit(counts_of(20, 2)).sample(**arguments)


# Stimuli


def speed(n_trials, n_bins=10):
    values = np.random.default_rng(2).normal(size=(n_trials, n_bins, 1))
    return Modalities(speed=TimeSeries.from_lists(list(values), rate=1 / WIDTH, t_start=WIDTH / 2))


@pytest.mark.parametrize("make", [glm, gru], ids=["glm", "gru"])
def test_a_missing_stimulus_is_warned_of(make):
    counts = counts_of(12, 10, 3)
    model = make().fit(counts, speed(12))
    with pytest.warns(MissingModalityWarning, match="speed"):
        model.score(counts)
    with pytest.warns(MissingModalityWarning, match="speed"):
        model.sample(random_state=0)


@pytest.mark.parametrize("name", ["homogeneous", "marginal", "psth"])
def test_a_model_that_makes_nothing_of_the_stimulus_does_not_miss_it(name):
    counts = counts_of(12, 10, 3)
    model = ALL[name]().fit(counts, speed(12))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.score(counts) == model.score(counts, speed(12))


def test_glm_finds_the_sign_of_what_the_stimulus_does():
    rng = np.random.default_rng(0)
    stimulus = rng.normal(size=(1500, 1))
    counts = rng.poisson(np.exp(-1.0 + stimulus * [0.8, -0.8]))
    model = glm(stimulus_history=0.0, history=0.0).fit(counts[:1000], stimulus[:1000])
    assert np.sign(model.stimulus_coef_[0, 0]).tolist() == [1, -1]
    assert model.score(counts[1000:], stimulus[1000:]) > 0.1


# Histograms


def test_psth_is_the_average_of_the_trials_drawn_to_the_constant_rate():
    counts = counts_of(8, 10, 3)
    model = PSTHModel(bin_width=WIDTH, smoothing=0.0, shrinkage=2.0).fit(counts)
    constant = (counts.sum(axis=(0, 1)) + 0.5) / 80
    expected = (counts.sum(axis=0) + 2.0 * constant) / (8 + 2.0)
    assert np.allclose(model.predict(counts_of(3, 10, 3, seed=9)), expected)


def test_every_clip_has_its_own_histogram():
    rng = np.random.default_rng(0)
    clip = np.arange(40) % 2
    rate = np.where(np.arange(10) < 5, 0.1, 2.0)
    counts = rng.poisson(np.where(clip[:, None], rate, rate[::-1])[..., None], (40, 10, 2))
    video = Video(np.zeros((2, 10, 2, 2)), fps=10.0, index=clip)
    model = PSTHModel(bin_width=WIDTH).fit(counts, video)
    early = model.predict(counts, video)[:, :5].mean(axis=(1, 2))
    assert early[clip == 1].max() < 0.5 < 1.5 < early[clip == 0].min()
    with pytest.warns(MissingModalityWarning):
        assert model.score(counts) < 0.2 < model.score(counts, video)


@pytest.mark.parametrize(
    "X",
    [counts_of(60, 3), SpikeTrains.from_counts([counts_of(n, 3) for n in (5, 9, 14)], WIDTH)],
    ids=["one trial", "trials of different duration"],
)
def test_psth_needs_trials_that_repeat(X):
    with pytest.raises(ValueError, match="at least min_repeats=2 trials of equal duration"):
        PSTHModel(bin_width=WIDTH).fit(X)


def test_psth_says_how_far_it_reaches():
    model = PSTHModel(bin_width=WIDTH).fit(counts_of(8, 10, 3))
    with pytest.raises(ValueError, match="histogram covers 1 s"):
        model.score(counts_of(2, 15, 3))


# Couplings


@pytest.fixture(scope="module")
def network():
    """Unit 0 excites unit 1, unit 2 inhibits unit 3, with a delay of one bin."""
    rng = np.random.default_rng(0)
    counts = np.zeros((5000, 4), dtype=int)
    for t in range(1, len(counts)):
        drive = [0.0, 1.5 * counts[t - 1, 0], 0.0, -1.5 * counts[t - 1, 2]]
        counts[t] = rng.poisson(np.exp(np.log([0.3, 0.1, 0.5, 0.5]) + drive))
    return counts


@pytest.mark.parametrize("counts", ["poisson", "negative_binomial"])
def test_glm_finds_simulated_couplings_and_beats_constant_rates(network, counts):
    model = glm(counts=counts, alphas=20.0).fit(network[:4000])
    next_bin = np.einsum("b,bst->st", model.kernels_[0], model.history_coef_)
    coupling = next_bin - np.diag(np.diag(next_bin))
    strongest = np.argsort(-np.abs(coupling), axis=None)[:2]
    assert sorted(strongest.tolist()) == [1, 11]  # from 0 to 1, and from 2 to 3
    assert coupling[0, 1] > 0 > coupling[2, 3]
    assert model.score(network[4000:]) > 0.05 + HomogeneousPoisson(bin_width=WIDTH).fit(network).score(network[4000:])


def test_penalty_is_one_of_the_candidates_and_larger_where_nothing_is_to_be_found(network):
    model = glm(alphas=(2000.0, 2.0)).fit(network[:3000])
    assert set(model.alpha_) <= {2000.0, 2.0}
    assert model.alpha_[1] < model.alpha_[0]


def test_closed_loop_keeps_the_rates_and_the_coupling(network):
    model = glm(alphas=20.0).fit(network)
    simulated = model.sample(duration=400.0, random_state=0).to_counts(WIDTH)[0]
    assert np.allclose(simulated.mean(axis=0) / network.mean(axis=0), 1.0, atol=0.2)
    after, otherwise = (simulated[1:, 1][(simulated[:-1, 0] > 0) == spike].mean() for spike in (True, False))
    assert after > 2.0 * otherwise


# Training of the network


def test_training_is_reproducible_with_a_seed():
    counts = counts_of(60, 3)
    first, again, other = (gru(random_state=seed, max_steps=3).fit(counts).score(counts) for seed in (0, 0, 1))
    assert first == again != other


def test_training_lowers_the_loss_and_finds_what_the_spikes_tell():
    rng = np.random.default_rng(0)
    turn = np.arange(1200) // 10 % 2
    counts = rng.poisson(np.where(np.stack([turn, 1 - turn], axis=1), 1.0, 0.05))
    model = gru(max_steps=40, n_hidden=8, learning_rate=0.02).fit(counts[:900])
    assert model.score(counts[900:]) > 0.2


# Parameters that are set after the fit


LATER = [
    (lambda: glm(counts="categorical", same_bin="linear"), {"counts": "poisson", "same_bin": None}),
    (lambda: glm(counts="poisson"), {"counts": "categorical", "same_bin": "linear", "history": 0.8, "n_basis": 2}),
    (lambda: glm(counts="poisson", window_bins=2), {"counts": "negative_binomial", "coupling": False}),
    (gru, {"counts": "poisson", "past_spikes": False, "n_hidden": 7, "same_bin": None, "recurrent": False}),
    (lambda: gru(past_spikes=False, same_bin=None), {"past_spikes": True, "same_bin": "linear", "dropout": 0.0}),
]


@pytest.mark.parametrize(("make", "later"), LATER)
@pytest.mark.parametrize("through_file", [False, True])
def test_a_fitted_model_is_what_was_fitted_whatever_is_set_later(make, later, through_file, tmp_path):
    counts = counts_of(4, 30, 3)
    model = make().fit(counts)
    before = cells(model, counts), model.predict(counts), model.sample(n_samples=3, random_state=0).times
    model.set_params(**later)
    if through_file:
        skneuro.save(model, tmp_path / "model")
        model = skneuro.load(tmp_path / "model")
    after = cells(model, counts), model.predict(counts), model.sample(n_samples=3, random_state=0).times
    for one, other in zip(before, after, strict=True):
        assert np.array_equal(one, other)
    assert model.get_params()["counts"] == {**make().get_params(), **later}["counts"]  # for the next fit


@pytest.mark.parametrize("make", [glm, gru])
def test_a_file_that_does_not_say_what_was_fitted_goes_by_its_parameters(make, tmp_path):
    counts = counts_of(4, 30, 3)
    old = make(counts="negative_binomial").fit(counts)
    score = old.score(counts)
    del old._fitted_parameters
    skneuro.save(old, tmp_path / "model")
    assert skneuro.load(tmp_path / "model").score(counts) == score


# Nothing to predict, and numbers in another unit


@every_model
def test_no_trials_have_no_predictions(make):
    spikes = SpikeTrains.from_counts(counts_of(4, 30, 3), WIDTH)
    assert len(make().fit(spikes).predict(spikes[:0])) == 0


@every_sequential
def test_a_history_in_milliseconds_is_pointed_out(make):
    with pytest.warns(
        ShortenedLagWarning, match=r"history=100 s .* longest has 3 s. .* 100 ms give history=0.1"
    ) as told:
        make(history=100).fit(counts_of(4, 30, 3))
    assert told[0].filename == __file__


@every_sequential
def test_true_is_no_number(make):
    with pytest.raises(ValueError, match="'window_bins' parameter of .* must be a number. Got True"):
        make(window_bins=True).fit(counts_of(4, 30, 3))


@every_model
def test_bins_that_are_wider_than_the_trials_are_pointed_out(make):
    spikes = SpikeTrains.from_counts(counts_of(4, 30, 3), WIDTH)
    with pytest.raises(ValueError, match="wider than its trial: bin_width=20 is in seconds"):
        make().set_params(bin_width=20).fit(spikes)


RAMP = np.linspace(0, 1, 6)


def _choices(*choices):
    return Covariates({"choice": list(choices)})


@pytest.mark.parametrize(
    ("given", "other", "problem"),
    [
        (_choices(*"lrlrlr"), _choices(*"rsrsrs"), r"have the columns \['choice=l', 'choice=r'\]"),
        (Covariates({"a": RAMP, "b": 1 - RAMP}), Covariates({"b": 1 - RAMP, "a": RAMP}), "have the columns"),
        (Covariates({"a": RAMP}), TimeSeries(RAMP, np.zeros(6), np.arange(7)), "be of the kind Covariates"),
        (Video(np.zeros((6, 2, 3, 3)), fps=4.0), Video(np.zeros((6, 2, 9, 1)), fps=4.0), r"samples of shape \(3, 3\)"),
    ],
)
@pytest.mark.parametrize("make", [glm, gru])
def test_a_modality_whose_numbers_mean_something_else_is_refused(make, given, other, problem):
    spikes = SpikeTrains.from_counts(np.random.default_rng(0).poisson(0.5, (6, 5, 3)), 0.1)
    model = make(bin_width=0.1).fit(spikes, given)
    assert np.isfinite(model.score(spikes, given))
    for use in (model.score, model.predict):
        with pytest.raises(IncompatibleModalityError, match=problem):
            use(spikes, other)
    with pytest.raises(IncompatibleModalityError, match=problem):
        model.sample(other)


def test_an_artefact_in_a_held_out_trial_chooses_no_penalty():
    """It once took the coupling out of most units."""
    rng = np.random.default_rng(0)
    counts = np.zeros((40, 100, 5), dtype=int)
    for k in range(1, 100):
        counts[:, k] = rng.poisson(np.exp(-1.2 + 0.5 * np.minimum(np.roll(counts[:, k - 1], 1, axis=1), 2)))
    far = counts.copy()
    far[9, 50, 0] = 200
    assert held_out_bins(np.arange(0, 4001, 100), 0.2, gap=5)[1][950]
    clean, spoiled = (CoupledGLM(bin_width=0.02, history=0.1, n_basis=3).fit(c) for c in (counts, far))
    assert np.median(spoiled.alpha_) == np.median(clean.alpha_)


@pytest.mark.parametrize("make", [glm, gru], ids=["glm", "gru"])
def test_an_artefact_in_the_test_does_not_throw_what_follows(make):
    counts = counts_of(10, 30, 3)
    model, far = make().fit(counts), counts.copy()
    far[4, 3] = 10_000
    before, after = cells(model, counts)[4 * 30 + 4 : 5 * 30], cells(model, far)[4 * 30 + 4 : 5 * 30]
    assert (before - after).sum() < 20.0
