"""What every container does as a sequence of trials, and that scikit-learn and joblib can handle it."""

import copy
import pickle

import joblib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    TimeSeriesSplit,
    cross_val_predict,
    cross_val_score,
    permutation_test_score,
    train_test_split,
)
from sklearn.preprocessing import StandardScaler
from sklearn.utils import _safe_indexing, resample

from skneuro.data import Covariates, Events, Modalities, Recording, SpikeTrains, TimeSeries, Video

KINDS = ["spikes", "video", "speed", "events", "covariates", "modalities", "recording"]


@pytest.fixture(params=KINDS)
def container(request, recording):
    """One container of each kind, all of the same twelve trials."""
    return {
        "spikes": recording.spikes,
        "video": recording.modalities["video"],
        "speed": recording.modalities["speed"],
        "events": Events.from_lists([{"lick": [0.1 * k, 0.5], "cue": [0.2]} for k in range(12)], 0.0, 2.0),
        "covariates": Covariates({"contrast": np.arange(12.0), "choice": ["left", "right"] * 6}),
        "modalities": recording.modalities,
        "recording": recording,
    }[request.param]


@given(data=st.data(), spikes=st.from_type(SpikeTrains))
def test_indexing_twice_is_indexing_once(data, spikes):
    rows = st.integers(-len(spikes), len(spikes) - 1)
    i = np.array(data.draw(st.lists(rows, max_size=8)) if len(spikes) else [], dtype=int)
    j = np.array(data.draw(st.lists(st.integers(-len(i), len(i) - 1), max_size=8)) if len(i) else [], dtype=int)
    assert spikes[i][j] == spikes[i[j]]


@given(data=st.data(), spikes=st.from_type(SpikeTrains))
def test_a_mask_selects_what_its_positions_select(data, spikes):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(spikes), max_size=len(spikes))), dtype=bool)
    assert spikes[mask] == spikes[np.flatnonzero(mask)]
    assert spikes[mask.tolist()] == spikes[mask] or not len(spikes)


@given(spikes=st.from_type(SpikeTrains))
def test_trials_of_a_container_put_together_are_the_container(spikes):
    assert [trial.shape[0] for trial in spikes] == [1] * len(spikes)
    if len(spikes):
        assert SpikeTrains.concatenate(list(spikes)) == spikes


@given(spikes=st.from_type(SpikeTrains))
def test_content_decides_hash_not_how_it_was_made(spikes):
    order = spikes.unit_ids[::-1]
    made = spikes[::-1].select_units(order)
    again = spikes.select_units(order)[np.arange(len(spikes))[::-1]]
    assert made == again
    assert joblib.hash(made) == joblib.hash(again) == joblib.hash(pickle.loads(pickle.dumps(made)))


@given(spikes=st.from_type(SpikeTrains))
def test_copies_and_pickles_keep_identity_and_hash(spikes):
    again = pickle.loads(pickle.dumps(spikes))
    assert again == spikes
    assert hash(again) == hash(spikes)
    assert joblib.hash(again) == joblib.hash(spikes)
    assert copy.deepcopy(spikes) is spikes
    assert copy.copy(spikes) is spikes


@given(spikes=st.from_type(SpikeTrains))
def test_row_of_a_container_holds_the_spikes_of_that_trial(spikes):
    for k, trial in enumerate(spikes):
        for theirs, ours in zip(trial.trial(0), spikes.trial(k), strict=True):
            np.testing.assert_array_equal(theirs, ours)


def test_every_kind_survives_pickle_copy_and_hash(container):
    again = pickle.loads(pickle.dumps(container))
    assert again == container
    assert joblib.hash(again) == joblib.hash(container)
    assert joblib.hash(container[1:]) != joblib.hash(container)
    assert copy.deepcopy(container) is container


def test_keys_that_scikit_learn_uses(container):
    rows = np.array([3, 1, 1, -1])
    expected = container[rows]
    assert len(expected) == 4
    assert container[rows, ...] == expected
    assert container[rows.tolist()] == expected
    assert _safe_indexing(container, rows) == expected
    assert container[...] == container
    assert container[:] == container
    assert container[[]].shape == (0, *container.shape[1:])
    assert container[2] == container[2:3]
    assert container[np.int64(-1)] == container[11:]
    assert type(container[2]) is type(container)
    assert container[::2][1] == container[2]


def test_an_int_index_past_the_end_ends_a_loop(container):
    seen = 0
    while True:
        try:
            container[seen]
        except IndexError:
            break
        seen += 1
    assert seen == len(container) == len(list(container))


@pytest.mark.parametrize("key", ["1", 1.0, None, True, np.array([0.5]), b"1", ["0"]])
def test_keys_that_are_not_trials_are_refused(recording, key):
    with pytest.raises(TypeError, match="indexed by trials"):
        recording.spikes[key]


@pytest.mark.parametrize("key", [12, -13, [0, 12], np.ones(5, bool), np.zeros((2, 2), int)])
def test_keys_out_of_range_are_refused(container, key):
    with pytest.raises(IndexError, match="trial"):
        container[key]


def test_two_indices_select_units_of_spikes_and_nothing_else(recording):
    assert recording.spikes[:, [2, 0]].unit_ids.tolist() == [2, 0]
    assert recording.spikes[..., 1] == recording.spikes.select_units([1])
    with pytest.raises(IndexError, match="trials only"):
        recording.modalities["speed"][:, 0]


def test_containers_do_not_pass_for_arrays_or_data_frames(container):
    for name in ("ndim", "dtype", "iloc", "loc", "take", "fit", "__dataframe__"):
        assert not hasattr(container, name), name
    with pytest.raises(TypeError, match="has no array form; (use|take)"):
        np.asarray(container)
    with pytest.raises(TypeError, match="has no array form"):
        StandardScaler().fit(container)


def test_an_array_of_objects_holds_the_rows(container):
    rows = np.asarray(container, dtype=object)
    assert rows.shape == (12,) and all(row == container[k] for k, row in enumerate(rows))


def test_containers_are_immutable(container):
    with pytest.raises(AttributeError, match="immutable"):
        container.anything = 1
    with pytest.raises(AttributeError, match="immutable"):
        del container.shape
    for name in type(container).__slots__:
        value = getattr(container, name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, name
    again = pickle.loads(pickle.dumps(container))
    for name in type(again).__slots__:
        value = getattr(again, name)
        if isinstance(value, np.ndarray):
            assert not value.flags.writeable, name


def test_representation_is_short(container):
    assert "12 trials" in repr(container)
    assert len(repr(container)) < 160


def test_splitters_keep_the_kind(container):
    groups = np.arange(12) // 3
    for splitter in (KFold(3, shuffle=True, random_state=0), GroupKFold(4), TimeSeriesSplit(3)):
        for train, test in splitter.split(container, groups=groups if isinstance(splitter, GroupKFold) else None):
            assert type(_safe_indexing(container, train)) is type(container)
            assert len(_safe_indexing(container, test)) == len(test)
    train, test, train_groups, _ = train_test_split(container, groups, test_size=4, random_state=0, stratify=groups)
    assert type(train) is type(test) is type(container)
    assert (len(train), len(test)) == (8, 4)
    assert len(train_groups) == 8
    assert type(resample(container, n_samples=5, random_state=0)) is type(container)


class RateModel(BaseEstimator):
    """The least that scikit-learn needs: remembers the rate, checks that X and y are of the same trials."""

    def __init__(self, bank=None):
        self.bank = bank

    def fit(self, X, y=None):
        spikes = X.spikes if isinstance(X, Recording) else X
        self.rate_ = spikes.n_spikes / spikes.duration.sum()
        return self

    def predict(self, X):
        return np.full(len(X), self.rate_)

    def score(self, X, y=None):
        if not isinstance(X, (SpikeTrains, Recording)) or (y is not None and len(y) != len(X)):
            raise TypeError("not the containers that were passed in")
        return float(len(X))


def test_cross_validation_hands_containers_to_the_estimator(recording):
    spikes, modalities = recording.spikes, recording.modalities
    clips = modalities["video"].clip_ids
    assert cross_val_score(RateModel(), spikes, modalities, cv=GroupKFold(3), groups=clips).tolist() == [
        4,
        4,
        4,
    ]
    assert cross_val_predict(RateModel(), recording, cv=3).shape == (12,)
    score, _, _ = permutation_test_score(RateModel(), spikes, modalities, cv=3, n_permutations=2)
    assert score == 4


def test_cross_validation_in_worker_processes(recording):
    scores = cross_val_score(RateModel(), recording.spikes, recording.modalities, cv=3, n_jobs=2)
    assert scores.tolist() == [4, 4, 4]


def test_clone_keeps_a_container_parameter_as_it_is(container):
    assert clone(RateModel(bank=container)).bank is container


@settings(max_examples=30)
@given(spikes=st.from_type(SpikeTrains), data=st.data())
def test_unit_info_and_ids_follow_selection(spikes, data):
    ids = data.draw(st.permutations(spikes.unit_ids.tolist()))[: data.draw(st.integers(0, spikes.shape[1]))]
    chosen = spikes.select_units(np.array(ids, dtype=spikes.unit_ids.dtype))
    assert chosen.unit_ids.tolist() == ids
    assert chosen.unit_info.equals(spikes.unit_info.loc[ids])
    assert chosen[::-1].unit_info.equals(chosen.unit_info)
    for trial in range(len(spikes)):
        before = dict(zip(spikes.unit_ids.tolist(), spikes.trial(trial), strict=True))
        for unit_id, times in zip(ids, chosen.trial(trial), strict=True):
            np.testing.assert_array_equal(times, before[unit_id])
            np.testing.assert_array_equal(
                chosen.observed_intervals(trial, unit_id), spikes.observed_intervals(trial, unit_id)
            )


def test_repeats_of_a_clip_share_their_frames(recording):
    video = recording.modalities["video"]
    assert video[[0, 3, 6]].frames is video.frames
    assert video[[0, 3, 6]].clip_ids.tolist() == [0, 0, 0]


def test_memory_mapped_containers_work(recording, tmp_path):
    joblib.dump(recording.spikes, tmp_path / "spikes")
    mapped = joblib.load(tmp_path / "spikes", mmap_mode="r")
    assert mapped == recording.spikes
    assert mapped[3:7] == recording.spikes[3:7]
    assert not isinstance(mapped[[5, 1]].times, np.memmap)


def test_equal_names_in_another_order_are_other_modalities(recording):
    speed, video = recording.modalities["speed"], recording.modalities["video"]
    assert isinstance(speed, TimeSeries)
    assert isinstance(video, Video)
    assert Modalities(speed=speed) != Modalities(walk=speed)
