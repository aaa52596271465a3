"""Facts about NeuroformerEstimator: scores, shapes, determinism, and what a fit leaves behind."""

import copy
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skneuro import NeuroformerEstimator
from skneuro.baselines import HomogeneousPoisson
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.exceptions import IncompatibleModalityError, MissingModalityWarning

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
    plain = make(context_width=16).fit(world.counts)
    assert plain.predict(world.counts).shape == (12, 20, 3)
    assert plain.score_samples(world.counts).shape == (12,)
    assert plain.transform(world.counts).shape == (12, 16)
    flat = make(context_width=16).fit(world.counts[0])
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


def test_what_to_align_without_a_weight_is_pointed_out(make, world):
    with pytest.warns(UserWarning, match="align='speed' has no effect with gamma=0. Set the weight"):
        make(align="speed").fit(world.spikes, world.both)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make(align=None).fit(world.spikes, world.both)
        make(gamma=0.2, mu=0.4, align="speed").fit(world.spikes, world.both)


@pytest.mark.parametrize("window_bins", [1, 2])
def test_no_result_depends_on_how_much_is_computed_at_once(make, world, window_bins):
    model = make(window_bins=window_bins, precision="float64").fit(world.spikes, world.both)
    found = []
    for at_once in ("auto", 1, 5):
        model.set_params(inference_batch_size=at_once)
        drawn = model.sample(world.both, n_samples=2, random_state=0)
        found.append(
            [
                model.score_samples(world.spikes, world.both), model.transform(world.spikes), drawn.times, drawn.units,
                np.concatenate(list(model.predict(world.spikes[:2], world.both[:2], n_samples=4))), drawn.ptr,
            ]  # fmt: skip
        )
    for results in found[1:]:
        for one, other in zip(results, found[0], strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)


def test_training_in_parts_recomputed_or_in_half_precision_still_learns(make, world):
    plain = make(dropout=0.0).fit(world.spikes, world.speed)
    changes = [{"accumulation_steps": 3}, {"recompute_activations": True}, {"precision": "bfloat16"}]
    for change, tolerance in zip(changes, (1e-5, 1e-6, 0.02), strict=True):
        model = make(dropout=0.0, **change).fit(world.spikes, world.speed)
        assert model.loss_curve_ == pytest.approx(plain.loss_curve_, abs=tolerance)
        assert model.score(world.spikes, world.speed) == pytest.approx(plain.score(world.spikes, world.speed), abs=0.02)
        assert {p.dtype for p in model.model_.network.parameters()} == {torch.float32}
