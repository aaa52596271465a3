"""Facts about NeuroformerEstimator: scores, shapes, determinism, and what a fit leaves behind."""

import copy
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skneuro
from skneuro import NeuroformerEstimator
from skneuro.baselines import HomogeneousPoisson
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.exceptions import IncompatibleModalityError, MissingModalityWarning
from skneuro.training import loop

HEADS = ("hazard", "chained", "independent")


@pytest.fixture(scope="module")
def fitted(make, world):
    """Models with two modalities, one a head."""
    return {
        head: make(head=head, gamma=0.1, mu=0.4, precision="float64").fit(world.spikes, world.both) for head in HEADS
    }


# ------------------------------------------------------------------------------------------------ scores and shapes


@pytest.mark.parametrize("head", HEADS)
def test_scores_are_sums_of_one_likelihood(fitted, world, head):
    model = fitted[head]
    rows = model.score_samples(world.spikes, world.both)
    assert rows.shape == (12,) and (rows < 0).all()
    null = HomogeneousPoisson(bin_width=world.BIN_WIDTH).fit(world.spikes)
    n_spikes = world.counts.sum()
    bits = (rows.sum() - null.score_samples(world.spikes).sum()) / (n_spikes * np.log(2))
    assert model.score(world.spikes, world.both) == pytest.approx(bits, abs=1e-10)
    per_unit = model.unit_score(world.spikes, world.both)
    weights = world.counts.sum((0, 1)) / n_spikes
    assert per_unit @ weights == pytest.approx(bits, abs=1e-10)


def test_the_score_does_not_depend_on_the_loss_weights(fitted, world):
    model = copy.deepcopy(fitted["hazard"])
    before = model.score(world.spikes, world.both)
    assert model.set_params(gamma=0.7, mu=0.2).score(world.spikes, world.both) == before


def test_rows_of_the_results_are_rows_of_x(fitted, make, world):
    model = fitted["hazard"]
    found = model.predict(world.spikes, world.both)
    assert found.dtype == object and found.shape == (12,) and found[0].shape == (20, 3)
    assert model.transform(world.spikes, world.both).shape == (12, 8)
    plain = make().fit(world.counts)
    assert plain.predict(world.counts).shape == (12, 20, 3)
    assert plain.score_samples(world.counts).shape == (12,)
    assert plain.transform(world.counts).shape == (12, 16)
    flat = make().fit(world.counts[0])
    assert flat.predict(world.counts[1]).shape == (20, 3)
    assert flat.score_samples(world.counts[1]).shape == (20,)
    assert flat.transform(world.counts[1]).shape == (20, 16)
    assert len(flat.get_feature_names_out()) == 16


def test_every_form_of_the_same_data_scores_the_same(make, world):
    model = make(precision="float64").fit(world.spikes)
    expected = model.score(world.spikes)
    assert model.score(world.counts) == pytest.approx(expected, abs=1e-12)
    assert model.score(Recording(world.spikes)) == expected
    one = model.score(world.spikes[3])
    assert model.score(world.counts[3]) == pytest.approx(one, abs=1e-12)
    assert model.score(world.counts[3].astype(float)) == pytest.approx(one, abs=1e-12)


def test_stimuli_may_come_as_y_in_x_or_as_an_array(make, world):
    values = world.speed.values.reshape(12, 20, 2)
    by_array = make().fit(world.counts, values)
    assert by_array.modalities_ == ("stimulus",)
    assert by_array.score(world.counts, values) == by_array.score(world.counts, values)
    recording = Recording(world.spikes, world.both)
    one, two = make().fit(world.spikes, world.both), make().fit(recording)
    assert one.modalities_ == two.modalities_ == ("speed", "video")
    assert one.score(recording) == two.score(world.spikes, world.both)
    order = Modalities(video=world.video, speed=world.speed)
    assert one.score(world.spikes, order) == one.score(recording)


def test_a_model_without_structure_learns_the_rates(make):
    rng = np.random.default_rng(0)
    counts = rng.poisson([0.1, 0.5, 1.5], (30, 20, 3))
    model = make(max_epochs=4, coupling=False, context=0, recent_context=0).fit(counts)
    assert model.score(rng.poisson([0.1, 0.5, 1.5], (30, 20, 3))) == pytest.approx(0.0, abs=0.05)


def test_a_rhythm_is_learned_and_generated(make):
    """One unit fires in every other bin: the model scores it, predicts it and goes on with it."""
    rng = np.random.default_rng(0)
    counts = np.zeros((20, 30, 2), dtype=int)
    for trial in counts:
        trial[rng.integers(2) :: 2, 0] = 1
    counts[..., 1] = rng.random((20, 30)) < 0.1
    model = make(window_bins=1, max_epochs=15, learning_rate=3e-2, dropout=0.0, batch_size=2).fit(counts[:15])
    assert model.score(counts[15:]) > 0.4
    predicted, there = model.predict(counts[15:])[:, 4:, 0], counts[15:, 4:, 0] > 0
    assert predicted[there].mean() > 0.8 and predicted[~there].mean() < 0.2
    drawn = model.sample(n_samples=5, random_state=0).to_counts(0.05)[:, 4:, 0]
    assert (np.diff(drawn > 0, axis=1)).mean() > 0.8


def test_a_stimulus_that_drives_a_unit_is_found(make):
    rng = np.random.default_rng(0)
    drive = rng.standard_normal((20, 40, 1))
    counts = rng.poisson(0.4 * np.exp(1.5 * drive - 0.5))
    model = make(window_bins=1, max_epochs=10, learning_rate=2e-2, dropout=0.0, batch_size=4)
    model.fit(counts[:14], drive[:14])
    with_it = model.score(counts[14:], drive[14:])
    with pytest.warns(MissingModalityWarning, match="stimulus"):
        without = model.score(counts[14:])
    assert with_it > without + 0.1
    predicted = model.predict(counts[14:], drive[14:], n_samples=8)
    assert np.corrcoef(predicted.ravel(), np.exp(1.5 * drive[14:]).ravel())[0, 1] > 0.7
    drawn = np.concatenate([model.sample(drive[k], 6, random_state=0).to_counts(0.05).mean(0) for k in (14, 15)])
    assert np.corrcoef(drawn.ravel(), drive[14:16].ravel())[0, 1] > 0.5


# ------------------------------------------------------------------------------------------------ sampling


@pytest.mark.parametrize("head", HEADS)
def test_samples_have_the_form_of_trials(fitted, world, head):
    model = fitted[head]
    drawn = model.sample(world.both[:3], 2, random_state=0)
    assert isinstance(drawn, SpikeTrains) and drawn.shape == (6, 3)
    assert drawn.unit_ids.tolist() == ["a", "b", "c"]
    assert drawn.trial_ids.tolist() == [0, 0, 1, 1, 2, 2]
    assert drawn.resolution == world.BIN_WIDTH
    np.testing.assert_allclose(drawn.duration, 1.0)
    np.testing.assert_allclose(drawn.t_start, 0.0)
    assert np.isfinite(model.score(drawn, world.both[[0, 0, 1, 1, 2, 2]]))


def test_samples_last_as_long_as_was_asked(fitted, make, world):
    model = fitted["hazard"]
    assert model.sample(world.both[:1], duration=0.5).duration.tolist() == [0.5]
    np.testing.assert_allclose(model.sample(world.both[:2]).duration, 1.0)
    plain = make().fit(world.spikes)
    np.testing.assert_allclose(plain.sample().duration, [1.0])  # the training trials'
    np.testing.assert_allclose(plain.sample(n_samples=3, duration=0.33).duration, [0.35] * 3)  # whole bins
    constant = TimeSeries(np.arange(12.0), np.zeros(12), np.arange(13))
    held = make().fit(world.spikes, constant)
    np.testing.assert_allclose(held.sample(constant[:2]).duration, [1.0, 1.0])
    np.testing.assert_allclose(held.sample(constant[:2], duration=1.5).duration, [1.5, 1.5])


def test_simulated_trials_begin_where_their_series_does(make, world):
    shifted = TimeSeries(world.speed.values, world.speed.timestamps + 3.0, world.speed.ptr)
    spikes = SpikeTrains.from_counts(world.counts, world.BIN_WIDTH, t_start=3.0)
    model = make().fit(spikes, shifted)
    drawn = model.sample(shifted[:2], random_state=0)
    np.testing.assert_allclose(drawn.t_start, 3.0)
    np.testing.assert_allclose(drawn.t_stop, 4.0)


def test_one_seed_is_one_sample(fitted, world):
    model = fitted["hazard"]

    def times(**settings):
        return model.sample(world.both[:2], duration=0.4, **settings).times

    np.testing.assert_array_equal(times(random_state=1), times(random_state=1))
    assert not np.array_equal(times(random_state=1), times(random_state=2))
    assert not np.array_equal(times(random_state=1), times(random_state=1, temperature=2.0))
    state = np.random.RandomState(0)
    assert not np.array_equal(times(random_state=state), times(random_state=state))


def test_unit_info_is_given_on(make, world):
    info = pd.DataFrame({"area": ["V1", "V1", "LM"]}, index=["a", "b", "c"])
    spikes = SpikeTrains.from_counts(world.counts, world.BIN_WIDTH, unit_ids=["a", "b", "c"], unit_info=info)
    drawn = make().fit(spikes).sample(random_state=0)
    pd.testing.assert_frame_equal(drawn.unit_info, spikes.unit_info)


# ------------------------------------------------------------------------------------------------ a fit


def weights(model):
    return model.model_.arrays()


def same(one, two):
    one, two = weights(one), weights(two)
    return set(one) == set(two) and all(np.array_equal(one[name], two[name]) for name in one)


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
    model = make(early_stopping=True, validation_fraction=0.25, max_epochs=6, n_iter_no_change=2).fit(world.spikes)
    assert 1 <= len(model.validation_scores_) == model.n_iter_ <= 6
    assert model.best_validation_score_ == max(model.validation_scores_)
    assert make().fit(world.spikes).validation_scores_ == []
    assert make().fit(world.spikes).best_validation_score_ is None
    one_trial = make(early_stopping=True).fit(world.counts.reshape(-1, 3))
    assert one_trial.validation_scores_
    too_short = make(early_stopping=True).fit(world.counts[0])
    assert too_short.validation_scores_ == []


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
    assert np.isfinite(model.score(later)) and model.score(later) < model.score(counts)


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
    with pytest.raises(loop.NonFiniteLossError, match=r"became nan in epoch.*learning_rate.*0\.01"):
        model.fit(world.spikes)
    assert model.n_iter_ >= 1
    assert np.isfinite(model.score(world.spikes))


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


# ------------------------------------------------------------------------------------------------ scikit-learn


def test_it_lives_in_scikit_learns_tools(make, world):
    recording = Recording(world.spikes, world.both)
    model = make(max_epochs=1)
    scores = cross_val_score(model, world.spikes, world.both, cv=GroupKFold(3), groups=world.video.clip_ids)
    assert scores.shape == (3,) and np.isfinite(scores).all()
    predicted = cross_val_predict(model, recording, cv=2)
    assert predicted.shape == (12,) and predicted[0].shape == (20, 3)
    search = GridSearchCV(model, {"mu": [0.5, 1.5, 0.3]}, cv=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mu=1.5 is illegal: nan and a warning, not the end of the search
        search.fit(world.spikes)
    assert np.isnan(search.cv_results_["mean_test_score"]).tolist() == [False, True, False]
    pipe = make_pipeline(FunctionTransformer(), model).fit(world.spikes, world.both)
    assert pipe.predict(world.spikes, stimuli=world.both).shape == (12,)


def test_a_clone_is_not_fitted(fitted):
    twin = clone(fitted["hazard"])
    assert twin.get_params() == fitted["hazard"].get_params()
    with pytest.raises(NotFittedError):
        twin.sample()


def test_every_parameter_is_described_and_validated():
    text = NeuroformerEstimator.__doc__
    for name in NeuroformerEstimator().get_params():
        assert f"\n    {name}" in text or f", {name} :" in text, name
        assert name in NeuroformerEstimator._parameter_constraints, name


def test_callbacks_see_the_model_of_their_epoch(make, world):
    callback = pytest.importorskip("sklearn.callback")
    seen = []

    class Watch:
        def setup(self, *args, **kwargs):
            pass

        def teardown(self, *args, **kwargs):
            pass

        def on_fit_task_begin(self, *args, **kwargs):
            pass

        def on_fit_task_end(self, *args, fitted_estimator=None, **kwargs):
            if fitted_estimator is not None:
                seen.append((fitted_estimator.n_iter_, fitted_estimator.score(world.spikes)))

    assert callback is not None
    model = make(max_epochs=3).set_callbacks(Watch())
    model.fit(world.spikes)
    first = list(seen)
    assert [n for n, _ in first[:3]] == [1, 2, 3]
    seen.clear()
    model.fit(world.spikes)
    assert seen == first


def test_a_model_without_a_modality_says_what_it_misses(make, world):
    model = make().fit(world.spikes, world.both)
    with pytest.warns(MissingModalityWarning, match="video"):
        model.predict(world.spikes[:1], Modalities(speed=world.speed[:1]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.transform(world.spikes)  # of the spikes alone
    strict = make(modality_dropout=0).fit(world.spikes, world.both)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MissingModalityWarning)
        with pytest.raises(IncompatibleModalityError, match="modality_dropout"):
            strict.score(world.spikes)


def test_gamma_without_a_modality_is_pointed_out(make, world):
    with pytest.warns(UserWarning, match="gamma=0.2 has no effect"):
        make(gamma=0.2, mu=0.4).fit(world.spikes)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(gamma=0.2, mu=0.4).fit(world.spikes, world.both)
        make().fit(world.spikes)


@pytest.fixture(scope="module")
def reference(make, world):
    return make(gamma=0.1, mu=0.4, dropout=0.2).fit(world.spikes, world.both)


@pytest.mark.parametrize(
    "change",
    [
        {"window_bins": 3}, {"recent_context": 0.2}, {"context": 0}, {"stimulus_context": 0.3},
        {"gamma": 0.3}, {"mu": 0.3}, {"align": "speed"}, {"align": None}, {"temperature": 1.0}, {"head": "chained"},
        {"head": "independent"}, {"coupling": False}, {"coupling_lag": 0.2}, {"d_model": 16}, {"n_heads": 4},
        {"n_layers": 2}, {"n_fusion_layers": 2}, {"share_fusion": True}, {"dropout": 0.4}, {"unit_dropout": 0.5},
        {"modality_dropout": 0.5}, {"max_epochs": 3}, {"batch_size": 3}, {"learning_rate": 1e-3},
        {"weight_decay": 0.9}, {"early_stopping": True}, {"random_state": 1}, {"precision": "float64"},
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
