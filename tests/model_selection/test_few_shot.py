"""Few labels: who sees which trials, that all decoders get the same, and what is refused."""

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.base import BaseEstimator
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skneuro import Modalities, NeuroformerEstimator, NeuroformerRegressor, Recording, SpikeTrains, TimeSeries
from skneuro.model_selection import TrialBlockSplit, few_shot_curve
from skneuro.model_selection.few_shot import labelled_trials

TRIALS = np.arange(40.0)[:, None, None]  # every trial's only count is its own number


class Spy(BaseEstimator):
    """Remembers which trials it was shown; its score is its seed."""

    seen = None

    def __init__(self, name="", random_state=None):
        self.name = name
        self.random_state = random_state

    def fit(self, X, y=None):
        Spy.seen.append((self.name, np.ravel(X).astype(int), y))
        return self

    def score(self, X, y):
        Spy.seen.append(("test", np.ravel(X).astype(int), y))
        return self.random_state


class Reader(Spy):
    """Reads from a pretrained model."""

    def __init__(self, name="", random_state=None, estimator=None, mode="frozen"):
        super().__init__(name, random_state)
        self.estimator = estimator
        self.mode = mode

    def score(self, X, y):
        assert isinstance(self.estimator, FrozenEstimator)
        return super().score(X, y) - self.estimator.estimator.random_state


@pytest.fixture
def seen(monkeypatch):
    monkeypatch.setattr(Spy, "seen", [])
    return Spy.seen


def test_labels_and_spikes_of_test_trials_are_never_seen(seen):
    decoders = {"a": Spy("a"), "b": Reader("b")}
    cv = [(np.arange(5, 40), np.arange(5))]
    curve = few_shot_curve(decoders, TRIALS, TRIALS.ravel(), pretrain=Spy("pretrained"), cv=cv, seeds=3)
    by_name = {}
    for name, trials, labels in seen:
        by_name.setdefault(name, []).append(trials)
        assert labels is None or np.array_equal(labels, trials)
    assert all(np.array_equal(trials, np.arange(5, 40)) for trials in by_name["pretrained"])
    assert len(by_name["pretrained"]) == 3  # once a seed, whatever the fractions and decoders
    assert all(np.array_equal(trials, np.arange(5)) for trials in by_name["test"])
    for first, second in zip(by_name["a"], by_name["b"], strict=True):
        assert np.array_equal(first, second) and np.isin(first, np.arange(5, 40)).all()
    assert curve["n_labelled"].tolist() == [len(trials) for trials in by_name["a"] for _ in decoders]
    assert curve["score"].tolist() == np.outer([0, 1, 2], [1, 0] * 5).ravel().tolist()  # what pretrained had its seed
    assert curve["seed"].tolist() == np.repeat([0, 1, 2], 10).tolist()
    assert curve["labelled_seconds"].isna().all() and set(curve["n_train"]) == {35}


@pytest.mark.parametrize("fraction", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("kind", ["block", "random"])
def test_labelled_trials_are_about_the_share_and_depend_on_the_seed(fraction, kind):
    size = np.random.default_rng(0).uniform(1, 10, 250)
    drawn = [labelled_trials(size, fraction, seed, kind) for seed in range(8)]
    for trials in drawn:
        assert len(np.unique(trials)) == len(trials)
        assert (np.diff(trials) == 1).all() == (kind == "block")
        assert 0.5 * fraction < size[trials].sum() / size.sum() < fraction + 10 / size.sum()
    assert len({tuple(trials) for trials in drawn}) == 8
    assert labelled_trials(size, 1, 0, kind).tolist() == list(range(250))


@pytest.mark.parametrize(("size", "n", "fraction"), [(1.0, 80, 0.1), (0.7, 80, 0.1), (0.05, 415, 0.2)])
def test_a_share_of_whole_trials_is_as_many_trials(size, n, fraction):
    drawn = {len(labelled_trials(np.full(n, size), fraction, seed, "block")) for seed in range(200)}
    assert drawn == {round(fraction * n)}


def test_random_labels_of_a_smaller_share_are_among_those_of_a_larger():
    size = np.random.default_rng(0).uniform(1, 10, 60)
    few, more = (labelled_trials(size, fraction, 3, "random") for fraction in (0.1, 0.4))
    assert set(few) < set(more)
    assert len(labelled_trials(size, 1e-6, 3, "random")) == len(labelled_trials(size, 1e-6, 3, "block")) == 1


def test_scores_are_those_of_fits_by_hand():
    """Pretraining, choice of labels and scoring put together by hand, for a Neuroformer and scikit-learn's Ridge."""
    rng = np.random.default_rng(0)
    speed = np.sin(np.arange(30) / 4 + rng.uniform(0, 6, (12, 1)))
    spikes = SpikeTrains.from_counts(rng.poisson(np.exp(speed)[:, :, None] * [0.5, 1.5]), 0.05)
    series = TimeSeries.from_lists(list(speed), rate=20.0)
    settings = {"bin_width": 0.05, "window_bins": 1, "d_model": 8, "n_heads": 2, "max_epochs": 1, "mu": 0.5, "gamma": 0}
    curve = few_shot_curve(
        {"frozen": NeuroformerRegressor(lag=0.2)}, Recording(spikes), series,
        pretrain=NeuroformerEstimator(**settings), fractions=[0.25, 1.0], seeds=[4], cv=TrialBlockSplit(2),
    )  # fmt: skip
    assert curve["labelled_seconds"].tolist() == pytest.approx((1.5 * curve["n_labelled"]).tolist())
    for fold, (train, test) in enumerate(TrialBlockSplit(2).split(spikes)):
        model = FrozenEstimator(NeuroformerEstimator(**settings, random_state=4).fit(spikes[train]))
        for fraction in (0.25, 1.0):
            some = train[labelled_trials(spikes.duration[train], fraction, 4, "block")]
            by_hand = NeuroformerRegressor(model, lag=0.2, random_state=4).fit(spikes[some], series[some])
            row = curve[(curve["fold"] == fold) & (curve["fraction"] == fraction)].iloc[0]
            assert row["score"] == by_hand.score(spikes[test], series[test])
    flat = FunctionTransformer(lambda counts: counts.reshape(len(counts), -1))
    X, y = rng.normal(size=(30, 4, 2)), rng.normal(size=30)
    found = few_shot_curve({"ridge": make_pipeline(flat, Ridge())}, X, y, cv=[(np.arange(20), np.arange(20, 30))])
    expected = Ridge().fit(X[:20].reshape(20, -1), y[:20]).score(X[20:].reshape(10, -1), y[20:])
    assert found[found["fraction"] == 1]["score"].tolist() == pytest.approx([expected] * 5)


def test_groups_modalities_scorers_and_functions_that_pretrain(seen):
    groups = np.repeat(np.arange(8), 5)
    called = []

    def pretrain(train, seed):
        called.append((set(groups[train]), seed))
        return Spy(random_state=seed).fit(TRIALS[train])

    y = Modalities(a=TimeSeries.from_lists(list(TRIALS[:, 0]), rate=1.0))
    settings = {"pretrain": pretrain, "cv": GroupKFold(4), "groups": groups, "fractions": [0.5], "seeds": [7, 2]}
    by_name = {"mean": lambda X, y: X.mean(), "n": lambda X, y: len(y)}
    curve = few_shot_curve(
        {"a": Reader()}, TRIALS, y, scoring=lambda d, X, y: {k: f(X, y) for k, f in by_name.items()}, **settings
    )
    assert [seed for _, seed in called] == [7] * 4 + [2] * 4 and all(len(trained) == 6 for trained, _ in called)
    assert set(curve["n"]) == {10} and "score" not in curve
    with parallel_config("threading"):
        again = few_shot_curve({"a": Spy()}, TRIALS, y, scoring=lambda d, X, y: X.mean(), n_jobs=2, **settings)
    assert again["score"].tolist() == curve["mean"].tolist()


def test_a_fit_that_fails_is_named_and_gets_the_score_that_was_asked_for():
    X, y = np.random.default_rng(0).normal(size=(20, 1, 2)), np.repeat([0, 1], 10)
    decoders = {"one class": make_pipeline(FunctionTransformer(np.squeeze), LogisticRegression())}
    settings = {"fractions": [0.2, 1.0], "seeds": [0], "cv": [(np.arange(2, 18), np.arange(18, 20))]}
    with pytest.warns(FitFailedWarning, match=r"'one class' could not learn from 4 labelled trials \(fraction 0.2,"):
        curve = few_shot_curve(decoders, X, y, **settings)
    assert curve["score"].isna().tolist() == [True, False]
    with pytest.raises(ValueError, match="at least 2 classes"):
        few_shot_curve(decoders, X, y, error_score="raise", **settings)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"decoders": [Spy()]}, TypeError, "decoders must be a dict"),
        ({"decoders": {}}, TypeError, "with at least one"),
        ({"decoders": {"a": "ridge"}}, TypeError, "'a' must have fit and score. Got str"),
        ({"decoders": {"a": NeuroformerRegressor()}}, ValueError, "mode='frozen' needs a model: give pretrain"),
        ({"decoders": {"a": NeuroformerRegressor(FrozenEstimator(Spy()))}}, ValueError, "may hold the test trials"),
        ({"pretrain": "model"}, TypeError, "pretrain must be an estimator"),
        ({"fractions": [0, 1]}, ValueError, "'fractions' parameter must hold numbers above 0"),
        ({"fractions": [5]}, ValueError, "up to 1"),
        ({"fractions": []}, ValueError, "'fractions'"),
        ({"seeds": 0}, ValueError, "'seeds' parameter must be a positive int"),
        ({"seeds": [0.5]}, ValueError, "'seeds'"),
        ({"seeds": "all"}, ValueError, "'seeds'"),
        ({"labelled": "first"}, ValueError, "The 'labelled' parameter of few_shot_curve must be"),
        ({"scoring": "r2"}, ValueError, "'scoring'"),
        ({"error_score": "nan"}, ValueError, "'error_score'"),
        ({"cv": "five"}, ValueError, "cv"),
        ({"y": np.zeros(3)}, ValueError, "Got 40 and 3 rows"),
    ],
)
def test_bad_input_is_named(seen, changes, error, message):
    given = {"decoders": {"a": Spy()}, "X": TRIALS, "y": TRIALS.ravel()} | changes
    with pytest.raises(error, match=message):
        few_shot_curve(given.pop("decoders"), given.pop("X"), given.pop("y"), **given)
