"""Facts about behaviour as a further loss: the state holds it, the model does not see it, and no score knows it."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, KFold

from skneuro import NeuroformerRegressor
from skneuro.data import Covariates, Events, Modalities, SpikeTrains, TimeSeries, read_input
from skneuro.estimators._told import behaviour_on_bins, without_behaviour
from skneuro.exceptions import IncompatibleModalityError
from skneuro.nn.told import ToldBehaviour
from skneuro.persistence import load
from skneuro.training.stretches import Segments

BIN = 0.05


@pytest.fixture(scope="module")
def moving():
    """Forty trials of twelve units: a slow speed drives them a little, and something else that is as slow a lot."""
    rng = np.random.default_rng(0)

    def slow():
        steps = rng.normal(size=(40, 60)) * np.r_[1.0, np.full(59, np.sqrt(1 - np.exp(-0.2)))]
        for k in range(1, 60):
            steps[:, k] += np.exp(-0.1) * steps[:, k - 1]
        return steps

    speed, other = slow(), slow()
    rate = np.exp(-1 + speed[..., None] * rng.normal(size=12) * 0.35 + other[..., None] * rng.normal(size=12) * 0.8)
    return SpikeTrains.from_counts(rng.poisson(rate), BIN), TimeSeries.from_lists(list(speed), rate=1 / BIN)


def weights(model):
    return {name: value for name, value in model.model_.arrays().items() if ".told." not in name}


def assert_same_weights(one, other):
    assert weights(one).keys() == weights(other).keys()
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(other)[name], err_msg=name)


def test_told_behaviour_is_read_better_from_the_state_than_where_it_was_not_told(make, moving):
    spikes, speed = moving
    found = {}
    for weight in (0.0, 0.1):
        model = make(
            window_bins=2, context=0.6, d_model=16, max_epochs=12, behaviour="speed", behaviour_weight=weight
        ).fit(spikes[:28], Modalities(speed=speed[:28]))
        decoder = NeuroformerRegressor(FrozenEstimator(model), max_epochs=1, lag=BIN, random_state=0)
        found[weight] = decoder.fit(spikes[:28], speed[:28]).score(spikes[28:], speed[28:])
    assert found[0.1] > found[0.0] + 0.02


@pytest.mark.parametrize("head", ["hazard", "chained"])
def test_a_weight_of_0_trains_as_if_nothing_was_told(make, world, head):
    plan = {"head": head, "gamma": 0.2, "mu": 0.3, "early_stopping": True, "unit_dropout": 0.2}
    told = make(**plan, behaviour=("speed",), behaviour_weight=0).fit(world.spikes, world.both)
    without = make(**plan).fit(world.spikes, Modalities(video=world.video))
    assert_same_weights(told, without)
    assert told.validation_scores_ == without.validation_scores_
    more = make(**plan, behaviour=("speed",)).fit(world.spikes, world.both)
    assert more.score(world.spikes, world.both) != told.score(world.spikes, world.both)


def test_what_is_told_is_not_seen_and_makes_no_difference_later(make, world):
    model = make(behaviour="speed").fit(world.spikes, world.both)
    assert model.modalities_ == ("video",)
    other = Modalities(video=world.video, speed=world.speed[::-1])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is missing
        scores = [model.score(world.spikes, y) for y in (world.both, other, Modalities(video=world.video))]
        drawn = [model.sample(y, random_state=0) for y in (world.both, other)]
    assert len(set(scores)) == 1
    np.testing.assert_array_equal(drawn[0].times, drawn[1].times)
    assert model.set_params(behaviour_weight=100.0).score(world.spikes, other) == scores[0]


def test_behaviour_alone_leaves_a_model_of_spikes(make, world):
    model = make(behaviour="speed").fit(world.spikes, Modalities(speed=world.speed))
    assert model.modalities_ == () and np.isfinite(model.score(world.spikes))


def test_the_loss_is_the_mean_squared_error_of_what_is_known():
    rng = np.random.default_rng(0)
    part = ToldBehaviour(5, 2).double()
    states, values = rng.normal(size=(3, 7, 5)), rng.normal(size=(3, 7, 2))
    values[rng.random(values.shape) < 0.4] = np.nan
    with torch.no_grad():
        part.linear.weight.copy_(torch.from_numpy(rng.normal(size=(2, 5))))
        part.linear.bias.copy_(torch.tensor([1.0, -2.0]))
    found = part(torch.from_numpy(states), torch.from_numpy(values))
    told = states @ part.linear.weight.detach().numpy().T + [1.0, -2.0]
    assert float(found.detach()) == pytest.approx(np.nanmean((told - values) ** 2))
    found.backward()
    assert torch.isfinite(part.linear.weight.grad).all()
    nothing = part(torch.from_numpy(states), torch.full((3, 7, 2), torch.nan).double())
    assert float(nothing.detach()) == 0


def test_every_bin_of_a_batch_has_its_own_behaviour(make, world):
    """Of bins that are scored; the others, and what was not tracked, are NaN."""
    speed = world.speed.values.reshape(12, 20, 2).copy()
    speed[3, 5:9] = np.nan
    counts = world.counts * (np.arange(20) < 16)[:, None]
    spikes = SpikeTrains.from_counts(counts, world.BIN_WIDTH, observed=[(0.0, 0.8)])
    y = Modalities(video=world.video, speed=TimeSeries.from_lists(list(speed), rate=20.0))
    model = make(behaviour="speed").fit(spikes, y)
    inp = model._read(spikes, y, reset=False)
    builder = model._builder(model._state, model.model_.scales, inp)
    batch = builder.build(Segments(np.array([3, 1]), np.array([4, 10]), np.array([13, 20])), warm_up=4)
    expected = (speed - np.nanmean(speed, axis=(0, 1))) / np.nanstd(speed, axis=(0, 1))
    expected[:, 16:] = np.nan
    np.testing.assert_allclose(batch.behaviour[0, :9], expected[3, 4:13], rtol=1e-5)
    np.testing.assert_allclose(batch.behaviour[1, :10], expected[1, 10:20], rtol=1e-5)
    assert batch.behaviour[0, 9:].isnan().all() and batch.behaviour[1, 10:].isnan().all()


def test_behaviour_of_several_kinds_has_columns_of_its_own(world):
    both = {
        "licks": Events.from_lists([{"lick": [0.11]}] * 12, 0.0, 1.0),
        "choice": Covariates({"choice": ["left", "right"] * 6}),
    }
    inp = read_input(world.spikes, Modalities(speed=world.speed, **both), bin_width=BIN)
    inp = without_behaviour(inp, ("choice", "licks"))
    assert inp.modalities.names == ("speed",) and inp.behaviour.names == ("choice", "licks")
    assert behaviour_on_bins(inp)[:4].tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 1], [1, 0, 0]]


@pytest.mark.usefixtures("as_trained")
def test_training_goes_on_with_it_and_it_survives_files_and_searches(make, world, tmp_path):
    whole = make(behaviour="speed", max_epochs=2).fit(world.spikes, world.both)
    steps = make(behaviour="speed", max_epochs=2)
    for _ in range(2):
        steps = pickle.loads(pickle.dumps(steps)).partial_fit(world.spikes, world.both)
    assert_same_weights(whole, steps)
    whole.save(tmp_path / "model.skn")
    again = load(tmp_path / "model.skn")
    assert again.behaviour == "speed" and again.score(world.spikes, world.both) == whole.score(world.spikes, world.both)
    readouts = [model.model_.arrays()["network.told.linear.weight"] for model in (again, steps)]
    np.testing.assert_array_equal(*readouts)
    again.partial_fit(world.spikes, world.both)
    grid = {"behaviour_weight": [0.0, 0.3]}
    search = GridSearchCV(make(behaviour="speed", max_epochs=1), grid, cv=KFold(2)).fit(world.spikes, world.both)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"behaviour": "sped"}, ValueError, r"\['sped'\] are not among \['speed', 'video'\]"),
        ({"behaviour": ("speed", "pose")}, ValueError, r"\['pose'\] are not among \['speed', 'video'\]"),
        ({"behaviour": "video"}, TypeError, "'video' is a Video; take features of it"),
        ({"behaviour": ()}, ValueError, r"None or different names of modalities.*Got \(\)"),
        ({"behaviour": ("speed", "speed")}, ValueError, "different names"),
        ({"behaviour": [3]}, ValueError, r"Got \[3\]"),
        ({"behaviour": 3}, ValueError, "'behaviour' parameter"),
        ({"behaviour": "speed", "behaviour_weight": -1}, ValueError, "'behaviour_weight' parameter"),
        ({"behaviour": "speed", "context": 0}, ValueError, "must be None with context=0"),
        ({"behaviour": "speed", "gamma": 0.2, "align": "speed"}, ValueError, "align"),
    ],
)
def test_what_cannot_be_told(make, world, changes, error, message):
    model = make(**changes)
    with pytest.raises(error, match=message):
        model.fit(world.spikes, world.both)
    with pytest.raises(NotFittedError):
        model.score(world.spikes)


def test_behaviour_that_is_never_known_or_changes_is_refused(make, world):
    blind = TimeSeries.from_lists([np.full((20, 2), np.nan)] * 12, rate=20.0)
    with pytest.raises(ValueError, match="known somewhere in the training data. 2 of its 2 values are NaN"):
        make(behaviour="speed").fit(world.spikes, Modalities(speed=blind))
    with pytest.raises(ValueError, match=r"\['speed'\] are not among \[\]"):
        make(behaviour="speed").fit(world.spikes)
    model = make(behaviour="speed").fit(world.spikes, world.both)
    with pytest.raises(ValueError, match=r"another network: behaviour was \('speed',\), is \(\)"):
        model.set_params(behaviour=None).partial_fit(world.spikes, world.both)
    one = TimeSeries(world.speed.values[:, 0], world.speed.timestamps, world.speed.ptr)
    with pytest.raises(ValueError, match=r"behaviour was \(\('speed', 2\),\), is \(\('speed', 1\),\)"):
        model.set_params(behaviour="speed").partial_fit(world.spikes, Modalities(video=world.video, speed=one))
    with pytest.raises(IncompatibleModalityError, match=r"not in fit: \['gaze'\]"):
        model.score(world.spikes, Modalities(video=world.video, gaze=world.speed))
