"""Facts about fitting: determinism, going on, what each parameter does, how a fit ends, and what a file brings back."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils import check_random_state

import skneuro
from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.estimators import _choices
from skneuro.exceptions import MissingModalityWarning
from skneuro.metrics import homogeneous_rates
from skneuro.training import loop

HEADS = ("hazard", "chained", "independent")


@pytest.fixture(scope="module")
def fitted(make, world):
    """Models with two modalities, one a head."""
    return {
        head: make(head=head, gamma=0.1, mu=0.4, precision="float64").fit(world.spikes, world.both) for head in HEADS
    }


# ------------------------------------------------------------------------------------------------ a fit


def weights(model):
    return model.model_.arrays()


def same(one, two):
    one, two = weights(one), weights(two)
    return set(one) == set(two) and all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.usefixtures("as_trained")
@pytest.mark.parametrize("head", HEADS)
def test_fits_in_one_go_and_epoch_by_epoch_are_the_same(make, world, head):
    """With dropout, modality dropout and the contrastive loss."""
    whole = make(head=head, max_epochs=4, gamma=0.1, mu=0.4).fit(world.spikes, world.both)
    parts = make(head=head, max_epochs=4, gamma=0.1, mu=0.4)
    for _ in range(4):
        parts.partial_fit(world.spikes, world.both)
    assert whole.loss_curve_ == parts.loss_curve_ and whole.n_iter_ == parts.n_iter_ == 4
    assert same(whole, parts)


@pytest.mark.parametrize("way", ["pickle", "joblib", "deepcopy"])
def test_an_unpickled_model_goes_on_to_the_bit(make, world, way, tmp_path):
    whole, parts = make(max_epochs=4), make(max_epochs=4)
    for _ in range(4):
        whole.partial_fit(world.spikes)
    for _ in range(2):
        parts.partial_fit(world.spikes)
    if way == "joblib":
        joblib.dump(parts, tmp_path / "model.joblib")
        parts = joblib.load(tmp_path / "model.joblib")
    else:
        parts = copy.deepcopy(parts) if way == "deepcopy" else pickle.loads(pickle.dumps(parts))
    parts = pickle.loads(pickle.dumps(parts))  # twice over, without training between
    for _ in range(2):
        parts.partial_fit(world.spikes)
    assert parts.loss_curve_ == whole.loss_curve_
    assert same(whole, parts)


def test_random_state_decides(make, world):
    one, two, other = (make(random_state=seed).fit(world.spikes) for seed in (1, 1, 2))
    assert same(one, two) and not same(one, other)
    torch.rand(3), np.random.rand(3)  # noqa: NPY002
    assert same(make(random_state=1).fit(world.spikes), one)


def test_a_fit_begins_anew_and_a_warm_start_goes_on(make, world):
    once = make().fit(world.spikes)
    assert same(make().fit(world.spikes).fit(world.spikes), once)
    warm = make(warm_start=True).fit(world.spikes)
    assert same(warm, once)
    warm.fit(world.spikes)
    assert warm.n_iter_ == 4 and len(warm.loss_curve_) == 4
    assert not same(warm, once)


def test_early_stopping_holds_out_and_keeps_the_best(make, world):
    held_out = {"early_stopping": True, "validation_fraction": 0.25, "max_epochs": 6, "n_iter_no_change": 2}
    model = make(**held_out, refit=False).fit(world.spikes)
    assert 1 <= len(model.validation_scores_) == model.n_iter_ <= 6
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert make().fit(world.spikes).validation_scores_ == []
    assert make().fit(world.spikes).best_validation_score_ is None
    one_trial = make(early_stopping=True).fit(world.counts.reshape(-1, 3))
    assert one_trial.validation_scores_
    too_short = make(early_stopping=True).fit(world.counts[0])
    assert too_short.validation_scores_ == []


def test_validation_of_a_warm_start_is_against_the_rates_of_its_own_data(make, tmp_path):
    """Noise has nothing to predict: a null model of the first data, six times as silent, made it half a bit a spike."""
    rng = np.random.default_rng(0)
    quiet, busy = (SpikeTrains.from_counts(rng.poisson(mean, (20, 60, 3)), 0.05) for mean in (0.1, 0.6))
    model = make(early_stopping=True, refit=False, warm_start=True, max_epochs=4, learning_rate=0.02)
    model.fit(quiet).save(tmp_path / "model")
    for warm in (NeuroformerEstimator.load(tmp_path / "model"), model):
        warm.fit(busy)
        assert warm.best_validation_score_ == max(warm.validation_scores_[4:]) < 0.02
        assert len(warm.validation_scores_) == len(warm.loss_curve_) == 8
        assert warm.best_validation_score_ == pytest.approx(warm.score(busy), abs=0.05)
    best = model.best_validation_score_
    assert model.partial_fit(quiet).best_validation_score_ == best and len(model.validation_scores_) == 8
    assert model.set_params(early_stopping=False).fit(quiet).best_validation_score_ is None


@pytest.mark.usefixtures("as_trained")
def test_after_early_stopping_all_data_are_trained_on_for_a_third_more_epochs(make, world):
    held_out = {"early_stopping": True, "validation_fraction": 0.25, "max_epochs": 20, "learning_rate": 0.1}
    stopped = make(**held_out, refit=False).fit(world.spikes, world.speed)
    again = make(**held_out).fit(world.spikes, world.speed)
    best = int(np.argmax(stopped.validation_scores_)) + 1
    assert 1 < best < 15
    n_epochs = -(-4 * best // 3)
    assert again.validation_scores_ == stopped.validation_scores_
    assert again.n_iter_ == len(again.loss_curve_) == n_epochs
    plain = make(max_epochs=20, learning_rate=0.1)
    for _ in range(n_epochs):
        plain.partial_fit(world.spikes, world.speed)
    assert same(again, plain)


@pytest.mark.parametrize("spikes", ["few", "many"])
def test_few_spikes_are_held_out_from_by_default(make, world, monkeypatch, spikes):
    monkeypatch.setattr(_choices, "MANY_SPIKES", 10 if spikes == "many" else 100_000)
    assert bool(make(early_stopping="auto").fit(world.spikes).validation_scores_) == (spikes == "few")


@pytest.fixture
def two_threads():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(threads)


def test_globals_are_left_alone(make, world, two_threads):
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    few = world.spikes[:2]
    model = make(max_epochs=1).fit(few)
    model.predict(few, n_samples=1), model.sample(duration=0.2), model.score(few), model.transform(few)
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    assert torch.get_num_threads() == 2 and torch.is_grad_enabled()


def test_the_thread_count_comes_back_when_a_fit_fails(make, world, two_threads):
    with pytest.raises(ValueError):
        make(max_tokens=1).fit(world.spikes)
    assert torch.get_num_threads() == 2


def test_a_model_knows_what_it_was_fitted_on(make, world):
    model = make().fit(world.spikes, world.both)
    assert model.n_features_in_ == 3 and model.unit_ids_.tolist() == ["a", "b", "c"]
    assert model.modalities_ == ("speed", "video")
    assert model.trial_duration_ == pytest.approx(1.0)
    pairs = world.counts.reshape(12, 20, 3).sum(2)
    assert model.max_tokens_ == max((pairs[:, k] + pairs[:, k + 1]).max() for k in range(19))
    rates = (world.counts.sum((0, 1)) + 0.5) / 12.0
    np.testing.assert_allclose(model.base_rate_, rates)
    frame = pd.DataFrame(world.counts[0], columns=["x", "y", "z"])
    assert make().fit(frame).feature_names_in_.tolist() == ["x", "y", "z"]


def test_coupling_kernels_are_target_by_source_by_lag(make, world):
    assert make().fit(world.spikes).coupling_kernels_.shape == (3, 3, 2)
    with pytest.raises(AttributeError, match="coupling=True"):
        make(coupling=False).fit(world.spikes).coupling_kernels_  # noqa: B018


def test_one_unit_empty_trials_and_silent_units_are_legal(make):
    rng = np.random.default_rng(0)
    counts = [rng.poisson([0.5, 0.0], (n, 2)) for n in (20, 0, 13, 1)]
    spikes = SpikeTrains.from_counts(counts, 0.05)
    for part in (spikes, spikes.select_units([0])):
        model = make().fit(part)
        assert np.isfinite(model.score(part))
        rows = model.score_samples(part)
        assert rows.shape == (4,) and rows[1] == 0.0
        assert [len(trial) for trial in model.predict(part)] == [20, 0, 13, 1]
        assert model.transform(part).shape[0] == 4
        assert model.sample(random_state=0).shape[1] == part.shape[1]


def test_units_that_never_fired_can_still_fire(make):
    counts = np.random.default_rng(0).poisson([0.5, 0.0], (10, 20, 2))
    model = make().fit(counts)
    later = counts.copy()
    later[0, 3, 1] = 2
    found, usual = model.score_samples(later)[0], model.score_samples(counts)[0]
    assert np.isfinite(found) and found < usual


def test_longer_windows_than_in_training_are_scored(make, world):
    model = make().fit(world.spikes)
    assert np.isfinite(model.score(world.counts * 7))


# ------------------------------------------------------------------------------------------------ how a fit ends


def in_epoch(monkeypatch, epoch, action):
    real, calls = loop.train_epoch, []

    def train_epoch(*args):
        calls.append(1)
        if len(calls) == epoch:
            real(*args)
            return action()
        return real(*args)

    monkeypatch.setattr(loop, "train_epoch", train_epoch)


def interrupt():
    raise KeyboardInterrupt


def test_ctrl_c_keeps_the_model(make, world, monkeypatch):
    expected = make(max_epochs=2).fit(world.spikes)
    in_epoch(monkeypatch, 3, interrupt)
    with pytest.warns(ConvergenceWarning, match="interrupted after"):
        model = make(max_epochs=5).fit(world.spikes)
    assert len(model.loss_curve_) == model.n_iter_
    assert np.isfinite(model.score(world.spikes))
    assert model.sample(random_state=0).shape == (1, 3)
    assert expected.n_iter_ == 2


def test_a_loss_that_is_not_finite_says_so_and_leaves_a_usable_model(make, world, monkeypatch):
    real, calls = loop.batch_loss, []

    def batch_loss(*args):
        calls.append(1)
        loss, n = real(*args)
        return (loss * float("nan"), n) if len(calls) == 4 else (loss, n)

    monkeypatch.setattr(loop, "batch_loss", batch_loss)
    model = make(max_epochs=5, learning_rate=0.01)
    with pytest.raises(loop.NonFiniteLossError, match=r"became NaN or infinite in epoch.*learning_rate.*0\.01"):
        model.fit(world.spikes)
    assert model.n_iter_ >= 1
    assert np.isfinite(model.score(world.spikes))


@pytest.mark.parametrize("way", ["fit", "warm_start", "partial_fit"])
def test_a_loss_that_is_never_finite_leaves_the_model_as_it_was(make, world, monkeypatch, way):
    """Data that nothing was learned from are in no null model, and not twice where they are given again."""
    model = make(warm_start=way == "warm_start").partial_fit(world.spikes[:3])
    before, exposure, score = copy.deepcopy(weights(model)), model.exposure_, model.score(world.spikes)
    real = loop.batch_loss
    with monkeypatch.context() as patch:
        patch.setattr(loop, "batch_loss", lambda *args: (real(*args)[0] * float("nan"), 1))
        with pytest.raises(loop.NonFiniteLossError, match="the estimator is as it was"):
            (model.partial_fit if way == "partial_fit" else model.fit)(world.spikes[3:])
    np.testing.assert_array_equal(model.exposure_, exposure)
    assert all(np.array_equal(before[name], value) for name, value in weights(model).items())
    assert model.score(world.spikes) == score


def test_training_does_not_go_on_in_another_precision(make, world):
    model = make().fit(world.spikes).set_params(precision="float64", warm_start=True)
    with pytest.raises(ValueError, match="precision was float32, is float64"):
        model.fit(world.spikes)
    assert model.set_params(precision="bfloat16").partial_fit(world.spikes).n_iter_ > 0


def test_a_first_fit_that_fails_leaves_nothing(make, world):
    model = make(max_tokens=1)
    with pytest.raises(ValueError, match="max_tokens"):
        model.fit(world.spikes)
    assert vars(model).keys() == vars(make()).keys()
    with pytest.raises(NotFittedError):
        model.predict(world.spikes)


@pytest.mark.parametrize("way", ["fit", "warm_start", "partial_fit"])
def test_a_later_fit_that_fails_leaves_the_model_as_it_was(make, world, monkeypatch, way):
    model = make(warm_start=way == "warm_start", max_epochs=3).fit(world.spikes)
    before, score = copy.deepcopy(weights(model)), model.score(world.spikes)
    drawn = model.sample(random_state=0).times
    attributes = {name: value for name, value in vars(model).items() if name.endswith("_") and name != "model_"}

    def fail():
        raise MemoryError("no room")

    with monkeypatch.context() as patch:
        in_epoch(patch, 1 if way == "partial_fit" else 2, fail)
        with pytest.raises(MemoryError):
            (model.partial_fit if way == "partial_fit" else model.fit)(world.spikes)
    after = weights(model)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert model.score(world.spikes) == score
    np.testing.assert_array_equal(model.sample(random_state=0).times, drawn)
    for name, value in attributes.items():
        assert vars(model)[name] is value or np.array_equal(vars(model)[name], value)
    # And going on gives what going on would have given.
    untouched = make(max_epochs=3).fit(world.spikes).partial_fit(world.spikes)
    assert same(model.partial_fit(world.spikes), untouched)


# ------------------------------------------------------------------------------------------------ files


@pytest.mark.parametrize("way", ["save", "pickle", "joblib"])
@pytest.mark.parametrize("head", HEADS)
def test_a_stored_model_is_the_same_model(fitted, world, head, way, tmp_path):
    model, path = fitted[head], tmp_path / "model"
    if way == "save":
        model.save(path)
        again = NeuroformerEstimator.load(path)
        assert isinstance(skneuro.load(path), NeuroformerEstimator)
    elif way == "pickle":
        again = pickle.loads(pickle.dumps(model))
    else:
        joblib.dump(model, path)
        again = joblib.load(path)
    assert again.get_params() == model.get_params()
    assert same(again, model)
    assert again.score(world.spikes, world.both) == model.score(world.spikes, world.both)
    one, two = (m.predict(world.spikes[:2], world.both[:2], n_samples=4) for m in (again, model))
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    one, two = (m.sample(world.both[:2], 2, random_state=0) for m in (again, model))
    np.testing.assert_array_equal(one.times, two.times)
    np.testing.assert_array_equal(again.transform(world.spikes), model.transform(world.spikes))
    assert again.unit_ids_.tolist() == ["a", "b", "c"] and again.n_iter_ == model.n_iter_
    assert again.loss_curve_ == model.loss_curve_


def test_a_loaded_model_can_train_on(make, world, tmp_path):
    model = make().fit(world.spikes)
    model.save(tmp_path / "model")
    again = NeuroformerEstimator.load(tmp_path / "model").partial_fit(world.spikes)
    assert again.n_iter_ == 3 and len(again.loss_curve_) == 3
    assert again.loss_curve_[:2] == model.loss_curve_
    assert not same(again, model)


# ------------------------------------------------------------------------------------------------ parameters


@pytest.fixture(scope="module")
def reference(make, world):
    return make(gamma=0.1, mu=0.4, dropout=0.2).fit(world.spikes, world.both)


@pytest.mark.parametrize(
    "change",
    [
        {"window_bins": 3}, {"recent_context": 0.2}, {"context": 0}, {"stimulus_context": 0.3},
        {"state_dependent_drive": True}, {"stimuli_in_context": True},
        {"gamma": 0.3}, {"mu": 0.3}, {"align": "speed"}, {"align": None}, {"temperature": 1.0}, {"head": "chained"},
        {"head": "independent"}, {"coupling": False}, {"coupling_lag": 0.2}, {"d_model": 16}, {"n_heads": 4},
        {"n_layers": 2}, {"n_fusion_layers": 2}, {"share_fusion": True}, {"dropout": 0.4}, {"unit_dropout": 0.5},
        {"modality_dropout": 0.5}, {"max_epochs": 3}, {"batch_size": 3}, {"learning_rate": 1e-3},
        {"weight_decay": 0.9}, {"early_stopping": True, "refit": False},
        {"context_width": 10}, {"random_state": 1}, {"precision": "float64"},
    ],
    ids=str,
)  # fmt: skip
def test_every_parameter_does_something(make, world, reference, change):
    model = make(**{"gamma": 0.1, "mu": 0.4, "dropout": 0.2, **change}).fit(world.spikes, world.both)
    assert model.score(world.spikes, world.both) != reference.score(world.spikes, world.both)


def test_a_longer_context_reaches_further_back_into_a_long_trial(make):
    counts = np.random.default_rng(0).poisson(0.4, (400, 2))
    short, long = (make(context=context, max_epochs=1).fit(counts) for context in (0.2, 3.0))
    assert not same(short, long)


@pytest.mark.parametrize("change", [{"d_model": 16}, {"context_width": 9}, {"bin_width": 0.1}, {"head": "chained"}])
def test_training_does_not_go_on_with_another_network(change):
    """A parameter that shapes the network and was changed is an error, not ignored."""
    counts = np.random.default_rng(0).poisson(0.3, (60, 2))
    small = {"d_model": 8, "n_heads": 2, "max_epochs": 1, "gamma": 0.0, "mu": 0.5, "random_state": 0, "bin_width": 0.05}
    model = NeuroformerEstimator(**small).fit(counts)
    before = model.score(counts)
    with pytest.raises(ValueError, match="Training cannot go on|was fitted with bin_width"):
        model.set_params(**change).partial_fit(counts)
    assert model.set_params(**small, head="hazard", context_width="auto").score(counts) == before


def test_the_long_past_is_wider_where_spikes_are_many(monkeypatch):
    """Unless its width is given; and more spikes than before do not change a network that is trained on."""
    monkeypatch.setattr(_choices, "FEW_SPIKES", 30)
    monkeypatch.setattr(_choices, "MANY_SPIKES", 100)
    counts = np.ones((60, 2), dtype=int)
    small = {"d_model": 8, "n_heads": 2, "max_epochs": 1, "gamma": 0.0, "mu": 0.5, "bin_width": 0.05, "random_state": 0}

    def width(model):
        return model.model_.network.past.recurrent.hidden_size

    assert width(NeuroformerEstimator(**small, early_stopping=False).fit(counts[:10])) == 8
    model = NeuroformerEstimator(**small, early_stopping=False).fit(counts[:20])
    assert width(model) == 16
    assert width(model.partial_fit(counts)) == 16
    assert width(NeuroformerEstimator(**small, early_stopping=False).fit(counts)) == 24
    assert width(NeuroformerEstimator(**small, context_width=5).fit(counts)) == 5


def test_what_a_stimulus_drives_depends_on_the_state_where_spikes_are_many(make, world, monkeypatch):
    """Unless it is said; and more spikes than before do not change a network that is trained on."""
    n_spikes = int(world.counts.sum())

    def of(model):
        return model.model_.network.config.state_dependent_drive

    assert not of(make().fit(world.spikes, world.speed))
    monkeypatch.setattr(_choices, "MANY_SPIKES", n_spikes)
    few = make().fit(world.spikes[:6], world.speed[:6])
    assert not of(few) and not of(few.partial_fit(world.spikes, world.speed))
    assert of(make().fit(world.spikes, world.speed))
    assert not of(make().fit(world.spikes, world.both))  # a video is shown
    assert not of(make(state_dependent_drive=False).fit(world.spikes, world.speed))
    assert not of(make(context=0).fit(world.spikes, world.speed))
    assert not of(make().fit(world.spikes))
    said = make(state_dependent_drive=True).fit(world.spikes[:6], world.both[:6])
    assert of(said) and of(said.partial_fit(world.spikes[6:]))
    with pytest.raises(ValueError, match="state_dependent_drive"):
        said.set_params(state_dependent_drive=False).partial_fit(world.spikes, world.both)


def in_context(model):
    return model.model_.network.config.stimuli_in_context


def test_stimuli_in_the_long_past(make, world, tmp_path):
    """Where it is asked for, all but a video; what is missing later is missing there, too."""
    of = in_context
    assert of(make().fit(world.spikes, world.both)) == ()
    assert of(make(stimuli_in_context=True, context=0).fit(world.spikes, world.both)) == ()
    assert of(make(stimuli_in_context=True).fit(world.spikes)) == ()
    model = make(stimuli_in_context=True).fit(world.spikes, world.both)
    assert of(model) == ("speed",)
    model.save(tmp_path / "model")
    again = NeuroformerEstimator.load(tmp_path / "model")
    assert again.score(world.spikes, world.both) == model.score(world.spikes, world.both)
    with pytest.warns(MissingModalityWarning):
        assert model.score(world.spikes, Modalities(video=world.video)) != model.score(world.spikes, world.both)
    np.testing.assert_array_equal(model.transform(world.spikes, world.both), again.transform(world.spikes))
    assert of(model.partial_fit(world.spikes)) == ("speed",)
    assert of(model.partial_fit(world.spikes, Modalities(speed=world.speed))) == ("speed",)
    with pytest.raises(ValueError, match="stimuli_in_context"):
        model.set_params(stimuli_in_context=False).partial_fit(world.spikes, world.both)


# ---- going on with other data ----------------------------------------------------------------------------------------


@pytest.fixture
def active_then_quiet():
    """Trials of one second: eight that are active and eight that are nearly silent."""
    rng = np.random.default_rng(0)
    return [SpikeTrains.from_counts(rng.poisson(mean, (8, 20, 3)), 0.05) for mean in (2.0, 0.1)]


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_going_on_with_quiet_trials_does_not_cut_the_rates_of_the_active_ones(make, active_then_quiet, how):
    active, quiet = active_then_quiet
    model = make(max_epochs=6, learning_rate=1e-2, warm_start=True).fit(active)
    ceiling = model.model_.network.session.ceiling.clone()
    getattr(model.set_params(max_epochs=1), how)(quiet)
    assert bool((model.model_.network.session.ceiling >= ceiling).all())


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_going_on_without_the_stimulus_does_not_cut_the_responses_to_it(make, how):
    """No unit ever fires twice in a bin, with the stimulus or without."""
    rng = np.random.default_rng(0)
    shown = np.repeat(rng.random((20, 5, 1)) < 0.5, 8, axis=1).astype(float)
    counts = (rng.random((20, 40, 2)) < np.where(shown > 0, 0.6, 0.05)).astype(int)
    without = (rng.random((20, 40, 2)) < 0.05).astype(int)
    model = make(max_epochs=12, learning_rate=1e-2, warm_start=True, window_bins=1).fit(counts, shown)
    ceiling = model.model_.network.session.ceiling.clone()
    for X, y in ((without, 0 * shown), (without, 0 * shown), (counts[:2], shown[:2])):
        getattr(model.set_params(max_epochs=1), how)(X, y)
        assert bool((model.model_.network.session.ceiling >= ceiling).all())


def test_the_end_of_the_learning_rate_is_pointed_out_once(make, world):
    model = make(max_epochs=2)

    def part(first, *, warns):
        if warns:
            with pytest.warns(ConvergenceWarning, match="after epoch 2, and the learning rate falls over max_epochs=2"):
                return model.partial_fit(world.spikes[first : first + 3])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return model.partial_fit(world.spikes[first : first + 3])

    for first, warns in ((0, False), (3, False), (6, True), (9, False)):
        part(first, warns=warns)
    model.fit(world.spikes)
    part(0, warns=True)


def test_the_null_model_is_of_the_last_fits_data_or_of_all_that_partial_fit_was_given(make, active_then_quiet):
    active, quiet = active_then_quiet
    model = make(max_epochs=1, warm_start=True).fit(active).fit(quiet)
    assert_allclose(model.base_rate_, homogeneous_rates(quiet.bin(0.05)))
    model.partial_fit(active[:2])
    n_spikes = quiet.bin(0.05).unit_counts() + active[:2].bin(0.05).unit_counts()
    assert_allclose(model.base_rate_, (n_spikes + 0.5) / 10)
    assert_allclose(model.exposure_, 10.0)


@pytest.mark.parametrize("way", ["in memory", "saved between"])
def test_the_null_model_of_many_small_parts_is_that_of_one_fit_on_all(make, way, tmp_path):
    """Units that are rare, silent, not observed in the first parts, and never observed."""
    counts = np.random.default_rng(0).poisson([0.5, 0.01, 0.0, 0.3, 0.2], (10, 20, 5))
    counts[:, 0, 0] += 1  # no part is silent
    seen = np.ones(counts.shape, dtype=bool)
    seen[:4, :, 3] = seen[:, :, 4] = False
    spikes = SpikeTrains.from_counts(np.where(seen, counts, 0), 0.05, observed=seen)
    whole, parts = make(max_epochs=1).fit(spikes), make(max_epochs=1)
    for trial in range(10):
        parts.partial_fit(spikes[trial : trial + 1])
        if way == "saved between" and trial == 5:
            parts.save(tmp_path / "model")
            parts = NeuroformerEstimator.load(tmp_path / "model")
    assert_allclose(parts.base_rate_, whole.base_rate_, rtol=1e-12)
    assert_allclose(parts.exposure_, whole.exposure_)


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
def test_nothing_is_learned_from_no_spikes(make, world, how):
    model = make(max_epochs=1, warm_start=True).fit(world.spikes)
    before = model.score(world.spikes)
    silent = SpikeTrains.from_counts(np.zeros((2, 20, 3), dtype=int), world.BIN_WIDTH, unit_ids=["a", "b", "c"])
    for nothing in (world.spikes[:0], silent):
        with pytest.raises(ValueError, match="at least one observed spike"):
            getattr(model, how)(nothing)
    assert (model.n_iter_, model.score(world.spikes)) == (1, before)


def test_a_bin_width_that_was_changed_after_fit_is_refused(make, world):
    model = make(max_epochs=1).fit(world.spikes)
    model.set_params(bin_width=0.1)
    for use in (model.score, model.predict, lambda X: model.sample(duration=1.0), model.partial_fit):
        with pytest.raises(ValueError, match=r"fitted with bin_width=0.05 s, and it is 0.1 s now"):
            use(world.spikes)


def test_without_a_seed_the_global_generator_is_left_alone(make, world):
    before = check_random_state(None).get_state()[1].copy()
    make(max_epochs=1, random_state=None).fit(world.spikes).sample(duration=0.5)
    assert (check_random_state(None).get_state()[1] == before).all()


@pytest.mark.parametrize("how", ["partial_fit", "fit"])
@pytest.mark.parametrize("first", ["still", "slow", "unknown"])
def test_a_first_part_that_scales_a_column_badly_is_told_once(make, world, how, first, recwarn):
    """An animal that sits in the first part has a speed without spread: later ones in mm/s enter as they are."""
    speed = np.random.default_rng(0).normal(0.0, 40.0, (12, 20, 2))
    speed[:4, :, 1] = {"still": 3.0, "slow": speed[:4, :, 1] / 10, "unknown": np.nan}[first]
    shown = Modalities(running=TimeSeries.from_lists(list(speed), rate=20.0, names=["roll", "yaw"]))
    model = make(warm_start=True)
    getattr(model, how)(world.spikes[:4], shown[:4])
    then = r"it was [345]\.\d+" if first == "slow" else "it did not vary"
    with pytest.warns(UserWarning, match=rf"'running' in column 'yaw' .* of [34]\d\.\d+ now; in .*given {then}, and"):
        getattr(model, how)(world.spikes[4:8], shown[4:8])
    recwarn.clear()
    getattr(model, how)(world.spikes[8:], shown[8:])
    assert not [warning for warning in recwarn if "scale" in str(warning.message)]


def test_parts_that_differ_somewhat_or_are_standardised_by_hand_are_not_told_of(make, world, recwarn):
    speed = np.random.default_rng(0).standard_normal((12, 20, 2)) * np.repeat([1.0, 3.0, 0.1], 4)[:, None, None]
    speed[..., 1] = np.where(np.arange(12) < 4, 0.0, 1.2)[:, None] * np.sin(np.arange(20))
    shown = Modalities(speed=TimeSeries.from_lists(list(speed), rate=20.0), video=world.video)
    model = make(max_epochs=3)
    for part in (slice(0, 4), slice(4, 8), slice(8, 12)):
        model.partial_fit(world.spikes[part], shown[part])
    assert not recwarn
