"""Behaviour is read where it can be, from the rows it may be read from, and from nothing else."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold, cross_val_predict, cross_val_score

import skneuro
from skneuro import Modalities, NeuroformerClassifier, NeuroformerRegressor, Recording, SpikeTrains, TimeSeries, Video
from skneuro.data import Covariates
from skneuro.exceptions import IncompatibleModalityError, ShortenedLagWarning

WIDTH = 0.05


@pytest.fixture(scope="module")
def running(make):
    """Trials in which two of three units follow a slow speed; the first with its present, the second with its past."""
    rng = np.random.default_rng(1)
    time = np.arange(40)
    speed = np.stack([np.sin(time / 6 + phase) for phase in rng.uniform(0, 6, 24)])
    late = np.roll(speed, 3, axis=1)
    late[:, :3] = 0
    rate = np.stack([np.exp(speed), np.exp(late), np.ones_like(speed)], axis=2)
    counts = rng.poisson(rate)
    spikes = SpikeTrains.from_counts(counts, WIDTH, unit_ids=["a", "b", "c"])
    model = make(max_epochs=3, window_bins=1, context=0.4, context_width=16).fit(spikes[:16])
    series = TimeSeries.from_lists(list(speed), rate=1 / WIDTH, names=["speed"])
    return spikes, series, counts, speed, FrozenEstimator(model)


def decoder(estimator=None, kind=NeuroformerRegressor, **changes):
    return kind(estimator, **{"random_state": 0, "lag": 0.3, "max_epochs": 3, **changes})


@pytest.mark.parametrize("mode", ["frozen", "finetune", "scratch"])
def test_speed_is_read_on_new_trials(running, make, mode):
    spikes, speed, _, _, frozen = running
    estimator = make(window_bins=1, context=0.4) if mode == "scratch" else frozen
    fitted = decoder(estimator, mode=mode).fit(spikes[:16], speed[:16])
    assert fitted.score(spikes[16:], speed[16:]) > 0.5
    assert fitted.n_iter_ == (0 if mode == "frozen" else 3) == len(fitted.loss_curve_)
    # Speed that belongs to other trials cannot be read.
    shuffled = speed[np.roll(np.arange(16), 5)]
    assert decoder(estimator, mode=mode).fit(spikes[:16], shuffled).score(spikes[16:], speed[16:]) < 0.2


def test_what_is_not_linear_is_learned_by_training_which_leaves_the_pretrained_model_alone(running):
    spikes, _, _, values, frozen = running
    turning = list(np.abs(values))
    before = copy.deepcopy(frozen.estimator.model_.arrays())
    linear = decoder(frozen).fit(spikes[:16], turning[:16])
    training = {"mode": "finetune", "max_epochs": 30, "learning_rate": 1e-2, "batch_size": 2, "n_iter_no_change": 30}
    trained = decoder(frozen, **training).fit(spikes[:16], turning[:16])
    assert trained.score(spikes[16:], turning[16:]) > linear.score(spikes[16:], turning[16:]) + 0.05
    assert trained.loss_curve_[-1] < trained.loss_curve_[0]
    after = frozen.estimator.model_.arrays()
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_the_frozen_readout_equals_ridge_regression_on_counts_alone(running, make):
    """Without a long past the features are the counts at the lags: scikit-learn's Ridge is the oracle."""
    from sklearn.linear_model import Ridge

    spikes, speed, counts, values, _ = running
    model = make(window_bins=1, context=0.0).fit(spikes)
    fitted = decoder(FrozenEstimator(model), lag=3 * WIDTH, alpha=7.0, causal=False).fit(spikes, speed)
    padded = np.pad(counts, ((0, 0), (2, 2), (0, 0))).astype(float)
    session = model.model_.network.session
    mean, sd = session.mean.numpy(), session.sd.numpy()
    padded[:, 2:-2] = (counts - mean) / sd
    features = np.concatenate([padded[:, 2 + k : 42 + k] for k in range(-2, 3)], axis=2).reshape(-1, 15)
    z = (features - features.mean(0)) / np.maximum(features.std(0), 0.3)
    y = (values - values.mean()) / values.std()
    expected = Ridge(alpha=7.0).fit(z, y.ravel()).predict(z) * values.std() + values.mean()
    np.testing.assert_allclose(np.concatenate(list(fitted.predict(spikes))), expected, atol=1e-5)


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_the_causal_decoder_does_not_see_the_future_and_the_other_does(running, mode):
    spikes, speed, counts, _, frozen = running
    changed = counts.copy()
    changed[:, 21:] = 5 - np.minimum(changed[:, 21:], 5)
    for causal in (True, False):
        fitted = decoder(frozen, mode=mode, causal=causal).fit(spikes[:16], speed[:16])
        one, other = fitted.predict(counts), fitted.predict(changed)
        assert np.array_equal(one[:, :15], other[:, :15])  # beyond the lag of 6 bins, own bin included
        assert np.array_equal(one[:, :21], other[:, :21]) == causal


def test_both_sides_of_a_bin_say_more_where_units_follow_behaviour(running):
    spikes, speed, _, _, frozen = running
    scores = [
        decoder(frozen, causal=causal).fit(spikes[:16], speed[:16]).score(spikes[16:], speed[16:])
        for causal in (True, False)
    ]
    assert scores[1] > scores[0]


def test_predictions_have_the_layout_of_x_and_do_not_depend_on_it(running):
    spikes, speed, counts, values, frozen = running
    by_trials = decoder(frozen).fit(spikes[:16], speed[:16])
    found = by_trials.predict(spikes[16:])
    assert found.dtype == object and found.shape == (8,) and found[0].shape == (40,)
    np.testing.assert_allclose(np.stack(list(found)), by_trials.predict(counts[16:]), atol=1e-5)
    np.testing.assert_allclose(found[0], by_trials.predict(counts[16]), atol=1e-5)
    by_lists = decoder(frozen).fit(spikes[:16], list(values[:16]))
    np.testing.assert_allclose(by_lists.predict(counts[16]), found[0], atol=1e-5)
    by_array = decoder(frozen).fit(counts[:16], values[:16, :, None])
    assert by_array.predict(counts[16:]).shape == (8, 40, 1)
    np.testing.assert_allclose(by_array.predict(counts[16:])[0, :, 0], found[0], atol=1e-5)


def test_several_outputs_are_read_at_once_as_one_by_one(running):
    spikes, speed, _, values, frozen = running
    gaze = TimeSeries.from_lists(list(np.stack([values, 3 - values], axis=2)), rate=1 / WIDTH)
    both = Modalities(speed=speed, gaze=gaze)
    together = decoder(frozen, alpha=3.0).fit(spikes[:16], both[:16])
    alone = decoder(frozen, alpha=3.0).fit(spikes[:16], speed[:16])
    found = together.predict(spikes[16:])[0]
    assert found.shape == (40, 3)
    np.testing.assert_allclose(found[:, 0], alone.predict(spikes[16:])[0], atol=1e-6)
    np.testing.assert_allclose(found[:, 2], 3 - found[:, 0], atol=1e-4)
    assert together.score(spikes[16:], both[16:]) == pytest.approx(alone.score(spikes[16:], speed[16:]), abs=1e-4)


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_missing_samples_count_neither_in_fit_nor_in_score(running, mode):
    spikes, speed, _, values, frozen = running
    masked = values[:16].copy()
    masked[::2, 10:30] = np.nan
    wild = np.where(np.isnan(masked), 1e6, masked)
    holes = TimeSeries.from_lists(list(masked), rate=1 / WIDTH)
    fitted = decoder(frozen, mode=mode).fit(spikes[:16], holes)
    assert fitted.score(spikes[16:], speed[16:]) > 0.5
    assert fitted.score(spikes[:16], holes) > 0.5
    assert decoder(frozen).fit(spikes[:16], list(wild)).score(spikes[16:], speed[16:]) < 0


def test_one_label_a_trial_is_read_from_the_mean_over_its_bins(running):
    spikes, _, counts, values, frozen = running
    mean = values.mean(axis=1)
    fitted = decoder(frozen).fit(spikes[:16], mean[:16])
    assert fitted.per_trial_ and fitted.predict(spikes[16:]).shape == (8,)
    assert fitted.fit(spikes[:16], np.c_[mean, -mean][:16]).predict(counts[16:]).shape == (8, 2)
    with pytest.raises(ValueError, match="one label a trial, and X is one recording"):
        fitted.predict(counts[0])
    with pytest.raises(ValueError, match="was fitted on labels one a trial, and y has one a bin"):
        fitted.score(spikes[:2], list(values[:2]))


def test_silent_windows_are_read_from_the_past(make):
    """Units stop firing at a time that differs between trials: how long ago it was is in the state alone."""
    rng = np.random.default_rng(0)
    stop = rng.integers(5, 25, 30)
    silence = np.maximum(np.arange(40) - stop[:, None], 0.0)
    counts = rng.poisson(2.0, (30, 40, 3)) * (silence == 0)[:, :, None]
    spikes = SpikeTrains.from_counts(counts, WIDTH)
    frozen = FrozenEstimator(make(window_bins=1, context=1.0, max_epochs=2, d_model=16).fit(spikes))
    far = np.where((silence >= 3) & (silence < 9), silence, np.nan)
    y = TimeSeries.from_lists(list(far), rate=1 / WIDTH)
    fitted = decoder(frozen, lag=2 * WIDTH, alpha=0.1).fit(spikes[:20], y[:20])
    assert fitted.score(spikes[20:], y[20:]) > 0.5


@pytest.mark.parametrize("mode", ["frozen", "finetune", "scratch"])
def test_classes_are_read_a_trial_and_a_bin(running, make, mode):
    spikes, _, counts, values, frozen = running
    estimator = make(window_bins=1, context=0.4) if mode == "scratch" else frozen
    fast = np.where(values > 0, "fast", "slow")
    fitted = decoder(estimator, NeuroformerClassifier, mode=mode).fit(spikes[:16], list(fast[:16]))
    assert fitted.classes_.tolist() == ["fast", "slow"]
    assert fitted.score(spikes[16:], list(fast[16:])) > 0.7
    probability = fitted.predict_proba(spikes[16:])[0]
    np.testing.assert_allclose(probability.sum(axis=1), 1)
    assert np.array_equal(fitted.predict(spikes[16:])[0], fitted.classes_[probability.argmax(axis=1)])
    turn = np.arange(24) % 3
    loud = SpikeTrains.from_counts(counts + 4 * (np.arange(3) == turn[:, None])[:, None], WIDTH, unit_ids=list("abc"))
    by_trial = decoder(estimator, NeuroformerClassifier, mode=mode).fit(loud[:16], turn[:16])
    assert by_trial.score(loud[16:], turn[16:]) == 1


def test_a_trials_label_is_read_as_well_as_from_its_counts_where_the_state_is_noise(make):
    """Logistic regression on summed counts is what any decoder of trials is compared with."""
    rng = np.random.default_rng(0)
    label = np.arange(120) % 4
    rate = 0.15 + 0.05 * (rng.integers(0, 4, 48) == label[:, None])
    counts = rng.poisson(rate[:, None, :], (120, 30, 48))
    model = make(window_bins=1, d_model=32, context=0.5, max_epochs=1).fit(counts)
    with torch.no_grad():
        model.model_.network.past.recurrent.weight_hh_l0.mul_(30)  # chaos
    fitted = decoder(FrozenEstimator(model), NeuroformerClassifier, lag=WIDTH).fit(counts[:60], label[:60])
    total = counts.sum(axis=1)
    linear = LogisticRegression(C=0.01).fit(total[:60], label[:60])
    assert fitted.score(counts[60:], label[60:]) > linear.score(total[60:], label[60:]) - 0.05
    assert linear.score(total[60:], label[60:]) > 0.6


def test_several_labels_are_read_at_once_as_one_by_one(running):
    """A classifier for each label is the oracle; forms are those of scikit-learn's multi-output classifiers."""
    spikes, _, counts, values, frozen = running
    mean = values.mean(axis=1)
    labels = np.c_[np.digitize(mean, np.quantile(mean, [0.3, 0.6])), np.where(values[:, 0] > 0, 7, 5)]
    together = decoder(frozen, NeuroformerClassifier).fit(spikes[:16], labels[:16])
    alone = [decoder(frozen, NeuroformerClassifier).fit(spikes[:16], labels[:16, k]) for k in range(2)]
    assert [classes.tolist() for classes in together.classes_] == [[0, 1, 2], [5, 7]]
    assert together.alpha_.tolist() == [one.alpha_ for one in alone]
    for one, probability in zip(alone, together.predict_proba(spikes[16:]), strict=True):
        np.testing.assert_allclose(probability, one.predict_proba(spikes[16:]), atol=1e-6)
    found = together.predict(spikes[16:])
    assert np.array_equal(found, np.stack([one.predict(spikes[16:]) for one in alone], axis=1))
    assert together.score(spikes[16:], labels[16:]) == (found == labels[16:]).all(axis=1).mean()
    bins = np.stack([values > 0, values > 0.5], axis=2).astype(int)
    series = TimeSeries.from_lists(list(bins), rate=1 / WIDTH)
    by_bin = decoder(frozen, NeuroformerClassifier).fit(spikes[:16], series[:16])
    assert by_bin.predict(counts[16:]).shape == (8, 40, 2)
    assert [part.shape for part in by_bin.predict_proba(counts[16:])] == [(8, 40, 2)] * 2


def test_several_labels_are_trained_together(running):
    spikes, _, _, values, frozen = running
    labels = list(np.stack([np.where(values > 0, "up", "down"), np.where(np.abs(values) > 0.7, "far", "near")], axis=2))
    linear = decoder(frozen, NeuroformerClassifier).fit(spikes[:16], labels[:16])
    training = {"mode": "finetune", "max_epochs": 20, "learning_rate": 1e-2, "batch_size": 2, "n_iter_no_change": 20}
    trained = decoder(frozen, NeuroformerClassifier, **training).fit(spikes[:16], labels[:16])
    assert trained.score(spikes[16:], labels[16:]) > linear.score(spikes[16:], labels[16:]) + 0.03
    first = decoder(frozen, NeuroformerClassifier).fit(spikes[:16], [rows[:, 0] for rows in labels[:16]])
    up = np.concatenate([rows[:, 0] for rows in labels[16:]])
    found = np.concatenate([rows[:, 0] for rows in trained.predict(spikes[16:])])
    assert (found == up).mean() > first.score(spikes[16:], [rows[:, 0] for rows in labels[16:]]) - 0.03


def test_cross_validation_never_unfits_the_encoder(running):
    spikes, speed, _, values, frozen = running
    scores = cross_val_score(decoder(frozen), spikes, speed, cv=3)
    assert (scores > 0.4).all()
    mean = values.mean(axis=1)
    assert cross_val_predict(decoder(frozen), spikes, mean, cv=3).shape == (24,)
    assert hasattr(frozen.estimator, "model_")


def test_labels_of_bins_are_cross_validated_as_labels_of_trials_are(running):
    spikes, _, _, values, frozen = running
    up = TimeSeries.from_lists(list((values > 0).astype(float)), rate=1 / WIDTH)
    for y in (up, Modalities(first=up, second=up)):
        scores = cross_val_score(decoder(frozen, NeuroformerClassifier), spikes, y, error_score="raise")
        by_hand = cross_val_score(decoder(frozen, NeuroformerClassifier), spikes, y, cv=KFold(5), error_score="raise")
        np.testing.assert_array_equal(scores, by_hand)


def test_a_table_of_objects_has_one_row_a_trial_and_any_kind_of_series_may_stand_alone(running):
    spikes, _, _, values, frozen = running
    words = np.stack([np.where(values[:, k] > 0, "up", "down") for k in (5, 20)], axis=1)
    kind = decoder(frozen, NeuroformerClassifier)
    as_objects = kind.fit(spikes, words.astype(object)).predict(spikes)
    np.testing.assert_array_equal(as_objects, kind.fit(spikes, words).predict(spikes))
    contrast = Covariates({"contrast": values.mean(1)})
    alone = decoder(frozen).fit(spikes, contrast).score(spikes, contrast)
    assert alone == decoder(frozen).fit(spikes, Modalities(c=contrast)).score(spikes, Modalities(c=contrast))


def test_labels_that_are_faster_than_the_bins_stay_labels(running):
    spikes, _, _, values, frozen = running
    rng = np.random.default_rng(5)
    labels = [rng.choice([0.0, 4.0, 9.0, np.nan], 160) for _ in values]  # four a bin; a mean of 0 and 4 is none of them
    latest = np.full((24, 40), np.nan)
    for trial, samples in enumerate(labels):
        for k, label in enumerate(samples):
            if not np.isnan(label):
                latest[trial, k // 4] = label
    fast = TimeSeries.from_lists(labels, rate=4 / WIDTH)
    fitted = decoder(frozen, NeuroformerClassifier).fit(spikes, fast)
    assert fitted.classes_.tolist() == [0.0, 4.0, 9.0]
    slow = TimeSeries.from_lists(list(latest), rate=1 / WIDTH)
    assert fitted.score(spikes, fast) == fitted.score(spikes, slow)


def test_the_same_seed_gives_the_same_decoder_and_the_global_generators_are_left_alone(running):
    spikes, speed, _, _, frozen = running
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, second = (decoder(frozen, mode="finetune").fit(spikes[:16], speed[:16]) for _ in range(2))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    np.testing.assert_array_equal(first.predict(spikes[16:])[0], second.predict(spikes[16:])[0])


@pytest.mark.parametrize(
    ("kind", "several"), [(NeuroformerRegressor, False), (NeuroformerClassifier, False), (NeuroformerClassifier, True)]
)
def test_saved_and_pickled_decoders_predict_the_same(running, kind, several, tmp_path):
    spikes, speed, _, values, frozen = running
    y = speed if kind is NeuroformerRegressor else list(np.where(values > 0, "fast", "slow"))
    y = [np.c_[labels, labels[::-1]] for labels in y] if several else y
    fitted = decoder(frozen, kind, mode="finetune").fit(spikes, y)
    expected = list(fitted.predict(spikes))
    skneuro.save(fitted, tmp_path / "decoder.skn")
    for again in (skneuro.load(tmp_path / "decoder.skn"), pickle.loads(pickle.dumps(fitted))):
        assert all(np.array_equal(a, b) for a, b in zip(again.predict(spikes), expected, strict=True))
        assert again.score(spikes, y) == fitted.score(spikes, y)


# ---- what is refused


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_a_mode_that_needs_a_pretrained_encoder_says_so(running, make, mode):
    spikes, speed, _, _, frozen = running
    for estimator in (None, make(), frozen.estimator, FrozenEstimator(make())):
        with pytest.raises(NotFittedError, match=r"FrozenEstimator\(model\)|not fitted yet"):
            decoder(estimator, mode=mode).fit(spikes, speed)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"mode": "fine-tune"}, "mode"),
        ({"causal": "yes"}, "causal"),
        ({"lag": -1}, "lag"),
        ({"alpha": 0}, "alpha"),
        ({"validation_fraction": 0.9}, "validation_fraction"),
        ({"max_epochs": 0}, "max_epochs"),
    ],
)
def test_a_parameter_out_of_range_is_named(running, changes, named):
    spikes, speed, _, _, frozen = running
    with pytest.raises(ValueError, match=f"The '{named}' parameter of NeuroformerRegressor must be"):
        decoder(frozen, **changes).fit(spikes, speed)


def test_targets_that_cannot_be_read_say_what_to_do(running):
    spikes, speed, counts, values, frozen = running
    holes = values.copy()
    holes[0, 3] = np.nan
    video = Video(np.zeros((1, 40, 2, 2)), 20.0, index=np.zeros(24, dtype=int))
    cases = [
        (None, ValueError, "requires y to be passed"),
        (list(holes), ValueError, r"NaN in 1 values. Give a TimeSeries"),
        (np.where(np.arange(24) > 3, 1.0, np.nan), ValueError, "or leave those rows out"),
        (np.full(24, np.inf), ValueError, "contains infinity"),
        (values[:5].mean(1), ValueError, "inconsistent numbers of samples"),
        ([row[:-1] for row in values], ValueError, "Trial 0 has 40 bins of 0.05 s"),
        (values[:, :-1, None], ValueError, "does not fit 24 trials"),
        ({"speed": values}, TypeError, "y must be behaviour"),
        ("speed", TypeError, "y must be behaviour"),
        (Modalities(video=video), TypeError, "video"),
        (TimeSeries.from_lists(list(values * np.nan), rate=20.0), ValueError, "at least one label"),
        (TimeSeries.from_lists(list(values[:, :10]), rate=20.0), IncompatibleModalityError, "cover"),
    ]
    for y, error, message in cases:
        with pytest.raises(error, match=message):
            decoder(frozen).fit(spikes, y)
    fitted = decoder(frozen).fit(spikes, speed)
    with pytest.raises(ValueError, match="2 outputs, and had 1"):
        fitted.score(counts, np.stack([values, values], axis=2))


def test_other_units_are_refused_in_fit_and_in_predict(running):
    spikes, speed, counts, _, frozen = running
    with pytest.raises(ValueError, match="X has 2 units, but the pretrained estimator was fitted with 3"):
        decoder(frozen).fit(spikes.select_units(["a", "b"]), speed)
    swapped = spikes.select_units(["b", "a", "c"])
    with pytest.raises(ValueError, match="in another order"):
        decoder(frozen).fit(swapped, speed)
    fitted = decoder(frozen).fit(spikes, speed)
    with pytest.raises(ValueError, match="in another order"):
        fitted.predict(swapped)
    with pytest.raises(ValueError, match="X has 2 features"):
        fitted.predict(counts[:, :, :2])
    with pytest.raises(NotFittedError):
        decoder(frozen).predict(spikes)
    with pytest.raises(TypeError, match="must be a NeuroformerEstimator"):
        decoder(FrozenEstimator(fitted)).fit(spikes, speed)


def test_a_classifier_refuses_what_is_no_class(running):
    spikes, _, _, values, frozen = running
    label = np.arange(24) % 3
    kind = NeuroformerClassifier
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        decoder(frozen, kind).fit(spikes, values.mean(1))
    with pytest.raises(ValueError, match="at least 2 classes. Got only one class, 4"):
        decoder(frozen, kind).fit(spikes, np.full(24, 4))
    with pytest.raises(ValueError, match="2 classes. Got only one class in output 1, 4"):
        decoder(frozen, kind).fit(spikes, np.c_[label, np.full(24, 4)])
    with pytest.raises(ValueError, match="NaN"):
        decoder(frozen, kind).fit(spikes, np.where(label, 1.0, np.nan))
    fitted = decoder(frozen, kind).fit(spikes, label)
    with pytest.raises(ValueError, match=r"not seen in fit: \[7\]"):
        fitted.score(spikes, np.where(label == 1, 7, label))
    with pytest.raises(ValueError, match="2 outputs, and had 1"):
        fitted.score(spikes, np.c_[label, label])
    several = decoder(frozen, kind).fit(spikes, np.c_[label, label % 2])
    with pytest.raises(ValueError, match=r"not seen in fit: \[2\]; the classes are \[0, 1\]"):
        several.score(spikes, np.c_[label, label])


def test_modalities_of_a_recording_are_not_looked_at(running):
    spikes, speed, _, _, frozen = running
    fitted = decoder(frozen).fit(Recording(spikes, Modalities(speed=speed)), speed)
    np.testing.assert_array_equal(fitted.predict(Recording(spikes))[3], fitted.predict(spikes)[3])


@pytest.mark.parametrize("mode", ["frozen", "finetune"])
def test_a_refit_that_fails_leaves_the_decoder_as_it_was(running, monkeypatch, mode):
    spikes, speed, _, values, frozen = running
    fitted = decoder(frozen, mode=mode).fit(spikes[:16], speed[:16])
    before = fitted.predict(spikes[16:])
    monkeypatch.setattr(type(fitted), "_learn", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fitted.fit(spikes[:16], TimeSeries.from_lists(list(1000 * values[:16]), rate=1 / WIDTH))
    assert all(np.array_equal(a, b) for a, b in zip(before, fitted.predict(spikes[16:]), strict=True))
    fresh = decoder(frozen, mode=mode)
    with pytest.raises(KeyboardInterrupt):
        fresh.fit(spikes[:16], speed[:16])
    with pytest.raises(NotFittedError):
        fresh.predict(spikes[16:])


def test_the_penalty_of_an_earlier_fit_does_not_stay(running):
    spikes, _, _, values, frozen = running
    training = {"max_epochs": 30, "learning_rate": 1e-2, "batch_size": 2, "n_iter_no_change": 30}
    fitted = decoder(frozen, **training).fit(spikes[:16], list(np.abs(values[:16])))
    assert hasattr(fitted, "alpha_")
    assert not hasattr(fitted.set_params(mode="finetune").fit(spikes[:16], list(np.abs(values[:16]))), "alpha_")


def test_columns_of_a_frame_in_another_order_than_the_encoders_are_refused(make):
    frame = pd.DataFrame(np.random.default_rng(0).poisson(0.5, (200, 3)), columns=list("abc"))
    frozen = FrozenEstimator(make(max_epochs=1).fit(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        decoder(frozen).fit(frame[list("cba")], np.arange(200.0))


def test_parts_of_the_labels_are_matched_by_name(running):
    spikes, speed, _, values, frozen = running
    turned = TimeSeries.from_lists(list(-3 * values), rate=1 / WIDTH)
    fitted = decoder(frozen).fit(spikes[:16], Modalities(speed=speed, turned=turned)[:16])
    assert fitted.target_names_ == ("speed", "turned")
    one, two = Modalities(speed=speed, turned=turned), Modalities(turned=turned, speed=speed)
    assert fitted.score(spikes[16:], one[16:]) == fitted.score(spikes[16:], two[16:])
    with pytest.raises(ValueError, match="parts seen in fit"):
        fitted.score(spikes[16:], Modalities(speed=speed, other=turned)[16:])


def test_as_many_values_a_trial_as_it_has_bins_get_a_warning(running):
    _, _, counts, values, frozen = running
    with pytest.warns(UserWarning, match="as many as its bins"):
        assert decoder(frozen).fit(counts[:16], values[:16]).per_trial_


@pytest.mark.parametrize("kind", [list, tuple, pd.Series, pd.Index], ids=lambda kind: kind.__name__)
def test_labels_of_bins_may_be_any_sequence_for_each_trial(running, kind):
    spikes, _, _, values, frozen = running
    by_arrays = decoder(frozen).fit(spikes[:16], list(values[:16]))
    fitted = decoder(frozen).fit(spikes[:16], [kind(row) for row in values[:16].tolist()])
    assert not fitted.per_trial_
    np.testing.assert_array_equal(np.stack(list(fitted.predict(spikes))), np.stack(list(by_arrays.predict(spikes))))
    labels = [kind(row) for row in np.where(values > 0, "up", "down").tolist()]
    assert decoder(frozen, NeuroformerClassifier).fit(spikes, labels).classes_.tolist() == ["down", "up"]


def test_trials_of_different_lengths_take_lists_of_labels(running):
    spikes, _, counts, values, frozen = running
    short = SpikeTrains.from_counts(
        [trial[: 40 - k % 3] for k, trial in enumerate(counts)], WIDTH, unit_ids=list("abc")
    )
    labels = [row[: 40 - k % 3].tolist() for k, row in enumerate(values)]
    assert decoder(frozen).fit(short, labels).score(short, labels) > 0.5
    labels[1] = labels[1][:-2]
    with pytest.raises(ValueError, match="Trial 1 has 39 bins of 0.05 s and values of shape"):
        decoder(frozen).fit(short, labels)


def test_lists_that_are_not_as_long_as_trials_and_words_are_rows_of_trials(running):
    spikes, _, counts, values, frozen = running
    means = np.stack([values.mean(1), values.max(1)], axis=1).tolist()
    assert decoder(frozen).fit(spikes, means).per_trial_
    words = ["up", "on"] * 12
    of_two_bins = decoder(frozen, NeuroformerClassifier).fit(counts[:, :2], words)
    assert of_two_bins.per_trial_ and of_two_bins.classes_.tolist() == ["on", "up"]
    assert decoder(frozen).fit(counts[:, :1], [[mean] for mean, _ in means]).per_trial_


def test_a_lag_in_milliseconds_is_pointed_out(running):
    spikes, series, *_, frozen = running
    with pytest.warns(ShortenedLagWarning, match=r"lag=200 s .* 200 ms give lag=0.2") as told:
        decoder(frozen, lag=200).fit(spikes[:8], series[:8])
    assert told[0].filename == __file__


def test_counts_in_other_bins_than_the_default_name_the_estimator_to_give(running):
    spikes, series, *_ = running
    coarse = SpikeTrains.from_counts(spikes.to_counts(WIDTH), 0.025)
    with pytest.raises(ValueError, match=r"estimator=NeuroformerEstimator\(bin_width=0.025\)"):
        decoder(mode="scratch").fit(coarse, series)
