"""Facts about every kind of modality in a fitted model: it counts, it is known in time, it survives scikit-learn."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, KFold

from skneuro.baselines import CoupledGLM
from skneuro.data import Covariates, Events, Modalities, Modality, Samples, SpikeTrains, Video, read_input
from skneuro.estimators import NeuroformerEstimator
from skneuro.estimators._fitting import split
from skneuro.exceptions import IncompatibleModalityError, MissingModalityWarning
from skneuro.persistence import load

BIN, N_TRIALS, N_BINS = 0.05, 24, 30


def events_at(rewards, names=("reward", "cue")):
    return Events.from_lists([{"reward": times} for times in rewards], -0.2, N_BINS * BIN, names=names)


@pytest.fixture(scope="module")
def driven():
    """Trials in which a unit fires after each reward, or all the time where the condition is "go"."""
    rng = np.random.default_rng(0)
    reward, go = rng.integers(4, 24, N_TRIALS), np.arange(N_TRIALS) % 2 == 0
    after = (np.arange(N_BINS) - reward[:, None] >= 0) & (np.arange(N_BINS) - reward[:, None] < 3)
    rate = np.stack([np.where(after, 2.0, 0.1), np.where(go, 1.0, 0.1)[:, None] + np.zeros(N_BINS)], axis=2)
    events = events_at([[k * BIN + 0.001] for k in reward])
    condition = Covariates({"condition": np.where(go, "go", "stop")})
    images = Video.from_images(np.stack([np.zeros((3, 3)), np.eye(3)]), index=go.astype(int))
    spikes = SpikeTrains.from_counts(rng.poisson(rate), BIN)
    return spikes, {"events": events, "covariates": condition, "images": images}


@pytest.mark.parametrize("kind", ["events", "covariates", "images"])
def test_a_kind_that_drives_units_raises_the_score(make, driven, kind):
    spikes, named = driven
    plan = {"max_epochs": 25, "learning_rate": 1e-2, "dropout": 0.0}
    model = make(**plan).fit(spikes[:16], named[kind][:16])
    without = make(**plan).fit(spikes[:16]).score(spikes[16:])
    assert model.score(spikes[16:], named[kind][16:]) > without + 0.05
    baseline = CoupledGLM(bin_width=BIN).fit(spikes[:16], named[kind][:16])
    assert baseline.score(spikes[16:], named[kind][16:]) > CoupledGLM(bin_width=BIN).fit(spikes[:16]).score(spikes[16:])


@pytest.fixture(scope="module")
def fitted(make, driven):
    spikes, named = driven
    return make(precision="float64", window_bins=1, head="hazard").fit(spikes, Modalities(**named))


def test_an_event_changes_nothing_before_it(driven, fitted):
    spikes, named = driven
    one = {name: modality[:1] for name, modality in named.items()}
    found = []
    for times in ([0.3], [0.3, 0.76]):
        events = events_at([times])
        found.append(fitted.predict(spikes[:1], Modalities(**{**one, "events": events}))[0])
    np.testing.assert_array_equal(found[0][:15], found[1][:15])
    assert np.abs(found[0][15:] - found[1][15:]).max() > 1e-8


def test_trials_are_scored_alike_alone_and_together_whatever_they_show(driven, fitted):
    spikes, both = driven[0], Modalities(**driven[1])
    together = fitted.score_samples(spikes, both)
    alone = [float(fitted.score_samples(spikes[k], both[k])[0]) for k in range(N_TRIALS)]
    np.testing.assert_allclose(alone, together, rtol=0, atol=1e-10)


def test_it_survives_pickle_files_clone_and_searches(make, driven, fitted, tmp_path):
    spikes, both = driven[0], Modalities(**driven[1])
    fitted.save(tmp_path / "model.skn")
    expected = fitted.score(spikes, both)
    assert load(tmp_path / "model.skn").score(spikes, both) == expected
    assert pickle.loads(pickle.dumps(fitted)).score(spikes, pickle.loads(pickle.dumps(both))) == expected
    search = GridSearchCV(clone(make(max_epochs=1)), {"d_model": [8]}, cv=KFold(2)).fit(spikes, both)
    assert np.isfinite(search.best_score_)


def test_simulations_last_as_long_as_what_lasts(driven, fitted):
    both = Modalities(**driven[1])
    drawn = fitted.sample(both[:2], random_state=0)
    np.testing.assert_allclose([drawn.t_start, drawn.t_stop], [[0.0, 0.0], [N_BINS * BIN] * 2])  # since the images
    with pytest.warns(MissingModalityWarning, match="covariates"):
        alone = fitted.sample(Modalities(events=both["events"][:2]), random_state=0)
    np.testing.assert_allclose(alone.t_start, 0.0)  # when trials of the fit started, not since events were looked for


@pytest.mark.parametrize("model", [NeuroformerEstimator, CoupledGLM])
def test_what_holds_for_ever_is_simulated_for_a_usual_trial(make, driven, model):
    spikes, named = driven
    model = make() if model is NeuroformerEstimator else model(bin_width=BIN)
    drawn = model.fit(spikes, named["covariates"]).sample(named["covariates"][:2], random_state=0)
    np.testing.assert_allclose([drawn.t_start, drawn.t_stop], [[0.0, 0.0], [N_BINS * BIN] * 2])


def test_another_kind_or_other_labels_are_refused(driven, fitted):
    spikes, named = driven
    for changed, message in (
        ({"covariates": named["events"]}, "'covariates' should be of the kind Covariates, as in fit. Got Events"),
        ({"events": events_at([[0.3]] * N_TRIALS, ["cue", "reward"])}, r"\['reward', 'cue'\].*Got \['cue', 'reward'\]"),
        ({"covariates": Covariates({"condition": ["go"] * N_TRIALS})}, "'covariates' should have the columns"),
    ):
        with pytest.raises(IncompatibleModalityError, match=message):
            fitted.score(spikes, Modalities(**{**named, **changed}))


def test_the_scale_is_that_of_training_trials(make, driven):
    spikes, _ = driven
    values = np.arange(float(N_TRIALS))
    model = make(early_stopping=True, refit=False, max_epochs=1).fit(spikes, Covariates({"x": values}))
    others = values + np.where(np.isin(np.arange(N_TRIALS), training_trials(model, spikes)), 0.0, 1000.0)
    again = make(early_stopping=True, refit=False, max_epochs=1).fit(spikes, Covariates({"x": others}))
    np.testing.assert_array_equal(model.model_.scales["stimulus"].mean, again.model_.scales["stimulus"].mean)


def training_trials(model, spikes):
    return split(model, read_input(spikes, bin_width=BIN), model._seed)[0].trial


def test_a_new_kind_is_one_class(make, driven):
    spikes, _ = driven

    class Ramp(Modality):
        """The time in the trial, in each bin."""

        __slots__ = ("n_trials",)

        def __init__(self, n_trials):
            self._set(n_trials=n_trials)

        shape = property(lambda self: (self.n_trials, 1))
        span = property(lambda self: (np.full(len(self), -np.inf), np.full(len(self), np.inf)))

        def _take(self, rows):
            return Ramp(len(rows))

        def _cut(self, parent, start, stop):
            return Ramp(len(parent))

        def on_bins(self, binned):
            return np.concatenate([np.arange(n) for n in np.diff(binned.ptr)])[:, None] * binned.bin_width

        def samples(self, binned):
            time = self.on_bins(binned)
            trial = np.repeat(np.arange(len(self)), np.diff(binned.ptr))
            return Samples(time[:, 0], time[:, 0] + binned.bin_width, time, trial)

        def moments(self):
            return np.zeros(1), np.ones(1)

    try:
        assert Modality.kinds["Ramp"] is Ramp
        model = make().fit(spikes, Modalities(ramp=Ramp(N_TRIALS)))
        assert np.isfinite(model.score(spikes, Modalities(ramp=Ramp(N_TRIALS))))
        assert model.sample(Modalities(ramp=Ramp(2)), random_state=0).shape == (2, 2)
    finally:
        del Modality.kinds["Ramp"]
