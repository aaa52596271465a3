import warnings

import numpy as np
import pytest
from scipy import optimize, special
from sklearn.exceptions import ConvergenceWarning

from skneuro.baselines import CoupledGLM
from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.datasets import block_split, fetch_s1_reaching
from skneuro.exceptions import MissingModalityWarning

QUICK = {"bin_width": 0.1, "history": 0.3, "n_basis": 3, "alphas": 10.0}


@pytest.fixture(scope="module")
def fitted(population):
    return {
        "plain": CoupledGLM(**QUICK).fit(population),
        "same_bin": CoupledGLM(**QUICK, same_bin="linear").fit(population),
        "categorical": CoupledGLM(**QUICK, same_bin="linear", counts="categorical").fit(population),
        "negative_binomial": CoupledGLM(**QUICK, counts="negative_binomial").fit(population),
    }


def slow_design(counts, kernels):
    """Past counts of each trial through the kernels by loops, counts centred and in the mean standard deviation."""
    flat = counts.reshape(-1, counts.shape[-1])
    scaled = (counts - flat.mean(axis=0)) / flat.std(axis=0).mean()
    rows = []
    for trial in scaled:
        for t in range(len(trial)):
            row = np.zeros((kernels.shape[1], counts.shape[-1]))
            for lag in range(1, len(kernels) + 1):
                if lag <= t:
                    row += kernels[lag - 1][:, None] * trial[t - lag]
            rows.append(row.ravel())
    return np.array(rows)


def test_weights_are_those_of_a_general_optimiser(population, fitted):
    model = fitted["plain"]
    design, flat = slow_design(population, model.kernels_), population.reshape(-1, 3)

    def objective(w, unit):
        z = design @ w[1:] + w[0]
        return (np.exp(z) - flat[:, unit] * z).sum() + 0.5 * 10.0 * (w[1:] ** 2).sum()

    for unit in range(3):
        best = optimize.minimize(objective, np.zeros(10), args=(unit,), method="BFGS", options={"gtol": 1e-6})
        own = np.concatenate([[model.intercept_[unit]], model.history_coef_[:, :, unit].ravel()])
        assert objective(own, unit) - best.fun < 1e-2
        assert np.allclose(own, best.x, atol=5e-3)


@pytest.mark.parametrize("counts", ["negative_binomial", "categorical"])
def test_shape_and_weights_together_reach_the_optimum(population, counts):
    model = CoupledGLM(**QUICK, counts=counts, tol=1e-10).fit(population)
    design, flat = slow_design(population, model.kernels_), population.reshape(-1, 3)
    head = model._generator().drawer.head
    head.z_max = np.full(3, np.inf)
    start, n_shape = head.shape_start, len(head.shape_start)

    def objective(w, unit):
        z = np.tile((design @ w[1:10] + w[0])[:, None], 3)
        shape = start.copy()
        shape[:, unit] = w[10:]
        found = head.log_pmf(z, flat, np.ones_like(flat, dtype=bool), shape)[:, unit].sum()
        return -found + 0.5 * 10.0 * (w[1:10] ** 2).sum() + 0.5 * ((shape - start)[:, unit] ** 2).sum()

    unit = 2
    guess = np.concatenate([[head.z_start[unit]], np.zeros(9), start[:, unit]])
    best = optimize.minimize(objective, guess, args=(unit,), method="BFGS", options={"gtol": 1e-5})
    own = np.concatenate(
        [[model.intercept_[unit]], model.history_coef_[:, :, unit].ravel(), model.shape_[:n_shape, unit]]
    )
    assert objective(own, unit) - best.fun < 1e-2


def test_it_finds_who_drives_whom(fitted):
    # Unit 0 reaches unit 2 through unit 1 only: its own arrow goes when unit 1 is seen in the same bin.
    assert fitted["plain"].history_coef_[0, 0, 1:].round().tolist() == [1.0, -1.0]
    model = fitted["same_bin"]
    shortest = model.history_coef_[0]
    assert shortest[0, 1] > 0.8 and np.abs(np.delete(shortest, 1)).max() < 0.35
    assert model.same_bin_coef_[1, 2] < -0.5
    assert (model.same_bin_coef_[np.tril_indices(3)] == 0).all()


def test_each_part_is_worth_something(population):
    def score(**parameters):
        return CoupledGLM(**{**QUICK, **parameters}).fit(population[:20]).score(population[20:])

    own = score(coupling=False)
    coupled, same_bin = score(), score(same_bin="linear")
    assert same_bin > coupled + 0.05 > own + 0.1


def test_without_coupling_only_the_own_past_enters(population, changes):
    model = CoupledGLM(**QUICK, coupling=False).fit(population)
    assert (model.history_coef_[:, ~np.eye(3, dtype=bool)] == 0).all()
    moved = changes(model, population, 20, 0)
    assert moved[20:24, 0].all() and not moved[:, 1:].any()


@pytest.mark.parametrize("name", ["plain", "same_bin", "categorical", "negative_binomial"])
@pytest.mark.parametrize("unit", [0, 1, 2])
def test_a_spike_is_felt_by_higher_units_of_its_bin_and_by_later_bins_only(population, fitted, changes, name, unit):
    moved = changes(fitted[name], population, 20, unit)
    expected = np.zeros((60, 3), dtype=bool)
    expected[20, unit] = True
    expected[20, unit:] |= name in ("same_bin", "categorical")
    assert not moved[~expected][: 20 * 3].any()
    assert (moved[20] == expected[20]).all()
    assert moved[21].all() and not moved[24:].any()


def test_a_trial_scores_the_same_alone(population, fitted):
    together = fitted["categorical"].score_samples(population)
    alone = [fitted["categorical"].score_samples(trial[None])[0] for trial in population]
    assert np.allclose(together, alone, rtol=1e-5)


@pytest.mark.parametrize("name", ["plain", "same_bin"])
def test_closed_loop_and_teacher_forcing_are_the_same_model(fitted, closed_loop, name):
    closed_loop(fitted[name])


def test_predict_does_not_look_inside_its_window(population):
    model = CoupledGLM(**QUICK, same_bin="linear", window_bins=4, n_draws=8).fit(population)
    other = population.copy()
    other[:, 20:24] = np.random.default_rng(0).poisson(1.0, other[:, 20:24].shape)
    before, after = model.predict(population), model.predict(other)
    assert (before[:, :24] == after[:, :24]).all()
    assert (before[:, 24] != after[:, 24]).any()


def test_predict_one_bin_ahead_is_the_conditional_mean(population, fitted):
    model = fitted["plain"]
    z = model.intercept_ + slow_design(population, model.kernels_) @ model.history_coef_.reshape(-1, 3)
    expected = np.exp(np.minimum(z, model.head_["z_max"])).reshape(population.shape)
    assert np.allclose(model.predict(population), expected, rtol=1e-4)


def test_predict_averages_over_the_same_bin(population):
    model = CoupledGLM(**{**QUICK, "history": 0.0}, same_bin="linear", n_draws=4000).fit(population)
    model.head_["z_max"] = np.full(3, np.inf)
    # E exp(w (y - m) / s) of a Poisson count y is known in closed form.
    mean0 = np.exp(model.intercept_[0])
    weight = model.same_bin_coef_[0, 1] / model.scale_["deviation"][0]
    factor = np.exp(mean0 * (np.exp(weight) - 1.0) - weight * model.scale_["mean"][0])
    expected = np.exp(model.intercept_[1]) * factor
    assert np.allclose(model.predict(population[:1, :1])[0, 0, 1], expected, rtol=2e-3)


def test_later_bins_of_a_window_drift_towards_the_mean(population):
    model = CoupledGLM(**QUICK, window_bins=10, n_draws=200).fit(population)
    predicted = model.predict(population).reshape(-1, 10, 3)
    spread = predicted[..., 1].std(axis=0)
    assert spread[0] > 0.2 and spread[9] < 0.1 * spread[0]


def test_a_unit_whose_counts_ask_for_it_has_a_penalty_of_its_own():
    rng = np.random.default_rng(0)
    noise = rng.poisson(0.3, size=(2000, 30))  # whose past tells nothing
    follower = rng.poisson(0.1 + 2 * np.roll(noise[:, 0], 1))
    model = CoupledGLM(**{**QUICK, "alphas": [1.0, 1e5]}).fit(np.column_stack([noise, follower]))
    assert model.alpha_.tolist() == [1e5] * 30 + [1.0]


def test_units_of_few_spikes_share_a_penalty():
    # Twenty units that follow the first one's past alike: what their few held-out spikes prefer is chance.
    rng = np.random.default_rng(0)
    leader = rng.poisson(0.3, size=1500)
    followers = rng.poisson((0.02 + 0.1 * np.roll(leader, 1))[:, None], size=(1500, 20))
    model = CoupledGLM(**{**QUICK, "alphas": np.geomspace(1.0, 1e4, 9)}).fit(np.column_stack([leader, followers]))
    assert len(set(model.alpha_[1:])) <= 3


def test_what_was_not_observed_is_neither_fitted_nor_scored(population):
    flat = population.reshape(-1, 3)
    seen = np.ones(len(flat), dtype=bool)
    seen[100:400] = False
    gappy = SpikeTrains.from_counts(np.where(seen[:, None], flat, 0), 0.1, observed=seen)
    apart = {**QUICK, "history": 0.0}
    model, only = CoupledGLM(**apart).fit(gappy), CoupledGLM(**apart).fit(flat[seen])
    assert np.allclose(model.intercept_, only.intercept_)
    assert np.isclose(model.score(gappy), only.score(flat[seen]), atol=1e-6)


def test_a_gap_is_neither_silence_nor_spikes(population, fitted):
    model = fitted["plain"]
    trial = population[:1].copy()
    trial[0, 20] = 0
    seen = np.ones(trial.shape, dtype=bool)
    seen[0, 20] = False
    gap = model.predict(SpikeTrains.from_counts(trial, 0.1, observed=seen))[0][21, 1]
    trial[0, 20, 0] = 0
    silent = model.predict(trial)[0, 21, 1]
    trial[0, 20, 0] = 4
    assert silent < gap < model.predict(trial)[0, 21, 1]


def stimulated(n_trials=30, n_bins=60):
    rng = np.random.default_rng(2)
    signal = rng.normal(size=(n_trials, n_bins, 2))
    lagged = np.roll(signal[..., 0], 2, axis=1)
    lagged[:, :2] = 0.0
    counts = rng.poisson(np.exp(-0.5 + 0.8 * lagged))[..., None]
    return counts, signal


def test_the_stimulus_enters_at_its_lags_and_never_early():
    counts, signal = stimulated()
    model = CoupledGLM(bin_width=0.1, history=0.0, stimulus_history=0.4, n_basis=5, alphas=1.0)
    model.fit(counts, signal)
    response = model.stimulus_kernels_ @ model.stimulus_coef_[:, :, 0]  # lag by signal
    assert np.argmax(response[:, 0]) == 2 and np.isclose(response[2, 0], 0.8, atol=0.1)
    assert np.abs(response[:, 1]).max() < 0.1
    changed = signal.copy()
    changed[0, 30] += 1.0
    moved = np.flatnonzero(model.predict(counts, changed)[0, :, 0] != model.predict(counts, signal)[0, :, 0])
    assert moved.min() == 30 and moved.max() == 34


def test_without_its_stimulus_it_warns_and_goes_on():
    counts, signal = stimulated()
    model = CoupledGLM(bin_width=0.1, history=0.2).fit(counts, signal)
    with pytest.warns(MissingModalityWarning):
        assert model.score(counts) < model.score(counts, signal) - 0.1
    with pytest.warns(MissingModalityWarning):
        model.predict(counts)
    with pytest.warns(MissingModalityWarning):
        model.sample(random_state=0)


def test_sampled_rates_are_those_of_the_recording(population, fitted):
    for model in fitted.values():
        drawn = model.sample(n_samples=100, duration=6.0, random_state=0)
        rates = drawn.bin(0.1).unit_counts() / 600.0
        assert np.allclose(rates, model.base_rate_, rtol=0.1)


def test_a_closed_loop_does_not_run_away():
    rng = np.random.default_rng(0)
    level = np.exp(np.cumsum(rng.normal(0.0, 0.2, 2000)) * 0.3)  # slow common drift looks like excitation
    counts = rng.poisson(np.clip(level, 0.05, 5.0)[:, None], (2000, 5))
    model = CoupledGLM(bin_width=0.1, history=1.0, alphas=1.0).fit(counts)
    drawn = model.sample(n_samples=5, duration=100.0, random_state=0).bin(0.1).dense()
    assert drawn.sum(axis=1).max() <= 1.5 * counts.sum(axis=1).max()


def test_unit_ids_and_trials_come_back_in_the_sample(population):
    spikes = SpikeTrains.from_counts(population, 0.1, unit_ids=["a", "b", "c"])
    speed = TimeSeries.from_lists([np.zeros(60)] * 30, rate=10.0)
    model = CoupledGLM(**QUICK).fit(spikes, Modalities(speed=speed))
    drawn = model.sample(Modalities(speed=speed[:4]), n_samples=2, random_state=0)
    assert drawn.unit_ids.tolist() == ["a", "b", "c"]
    assert drawn.trial_ids.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert np.allclose(drawn.duration, 6.0) and (drawn.t_start == 0.0).all()


def test_too_few_iterations_warn(population):
    with pytest.warns(UserWarning, match="3 of 3 units did not converge in max_iter=1"):
        CoupledGLM(**QUICK, max_iter=1, tol=1e-12).fit(population)


@pytest.mark.parametrize("alphas", [[], [1.0, -1.0], [np.nan], ["a"], [[1.0], [2.0]], [[1.0], [2.0, 3.0]]])
def test_wrong_penalties_are_refused(population, alphas):
    with pytest.raises(ValueError, match="'alphas' parameter of CoupledGLM must be a positive float"):
        CoupledGLM(alphas=alphas).fit(population)


def test_a_silent_unit_and_a_single_unit_are_legal(population):
    silent = population.copy()
    silent[..., 1] = 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for counts in ("poisson", "negative_binomial", "categorical"):
            model = CoupledGLM(**QUICK, counts=counts, same_bin="linear").fit(silent)
            assert np.isfinite(model.score(population))
            assert np.isfinite(CoupledGLM(**QUICK, counts=counts).fit(population[..., :1]).score(population[..., :1]))


@pytest.mark.filterwarnings("ignore::skneuro.exceptions.ArtefactWarning")
def test_the_tail_gives_every_count_a_chance(population, fitted):
    trial = population[:1].copy()
    trial[0, 30, 0] = 60
    assert np.isfinite(fitted["categorical"].score(trial))


def test_on_the_s1_recording_it_reaches_the_numbers_of_the_literature(recordings):
    s1 = fetch_s1_reaching(data_home=recordings("s1_area2_reaching"), download_if_missing=False)
    split = block_split(s1.groups, s1.gap_mask)
    model = CoupledGLM(bin_width=0.05, same_bin="linear", alphas=1000.0).fit(s1.spikes[split.train])
    assert model.score(s1.spikes[split.test]) > 0.184


def test_the_log_factorial_is_in_the_score(population, fitted, cells):
    model, trial = fitted["plain"], population[:1]
    mean = model.predict(trial)
    expected = trial * np.log(mean) - mean - special.gammaln(trial + 1.0)
    assert np.allclose(cells(model, trial), expected, atol=1e-4)


@pytest.mark.parametrize(
    ("coupled", "alphas", "words"),
    [
        (True, (1e5, 1e6), "3 of 3 units took the smallest, 100000.* add smaller ones"),
        (False, (0.1, 10.0), "units took the largest, 10.* add larger ones"),
    ],
)
def test_candidates_that_end_too_early_are_pointed_out(coupled, alphas, words):
    rng = np.random.default_rng(0)
    first = rng.poisson(0.5, (3000 if coupled else 200, 1))
    counts = np.hstack(
        [first, rng.poisson(0.2 + 0.8 * coupled * np.roll(first, 1, axis=0), (len(first), 2 if coupled else 9))]
    )
    with pytest.warns(ConvergenceWarning, match=words) as told:
        CoupledGLM(**{**QUICK, "alphas": alphas}).fit(counts)
    assert told[0].filename == __file__


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_said_of_candidates_where_there_is_nothing_to_find(seed):
    counts = np.random.default_rng(seed + 2).poisson(0.3, (2000, 3))  # the largest, one between and the smallest
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CoupledGLM(bin_width=0.1, history=0.3, n_basis=3).fit(counts)
