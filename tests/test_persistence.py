"""A saved model comes back as it was, or not at all, and nothing in a file is ever run."""

import json
import os
import pickle
import struct
import types

import numpy as np
import pandas as pd
import pytest
import safetensors
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge

from skneuro import Covariates, Modalities, NeuroformerEstimator, SpikeTrains, __version__, persistence
from skneuro._safefile import write_file
from skneuro._sklearn_compat import InvalidParameterError
from skneuro.exceptions import UnsafeFileError


class Offset(BaseEstimator):
    """Predicts a constant: the smallest estimator that speaks the protocol."""

    _parameter_constraints = {
        "shift": "no_validation",
        "widths": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(self, *, shift=0.0, widths=(1, 2), random_state=None):
        self.shift = shift
        self.widths = widths
        self.random_state = random_state

    def fit(self, X, y=None):
        self.weights_ = np.asarray(X, dtype=np.float32)
        self.unit_ids_ = np.array(["A1", "é"])
        return self

    def _to_state(self):
        return {"model.weights": self.weights_}, {"unit_ids": self.unit_ids_}

    def _from_state(self, tensors, state):
        self.weights_ = tensors["model.weights"]
        self.unit_ids_ = state["unit_ids"]


class Wrapper(BaseEstimator):
    """Has an estimator as a parameter and says nothing about its state."""

    _parameter_constraints = {"estimator": "no_validation"}

    def __init__(self, estimator=None):
        self.estimator = estimator

    def fit(self, X, y=None):
        self.info_ = pd.DataFrame(
            {"area": ["V1", None], "depth": [0.1, np.nan], "good": [True, False], "probe": [1, 2]},
            index=pd.Index(["A1", "B2"], name="unit"),
        )
        self.mean_ = np.mean(X, axis=0)
        self.curve_ = [(1, np.float64(0.5)), (2, float("inf"))]
        self._width = 0.1
        return self


@pytest.fixture(autouse=True)
def known_classes(monkeypatch):
    module = types.ModuleType("models_of_the_test")
    module.Offset, module.Wrapper = Offset, Wrapper
    monkeypatch.setitem(__import__("sys").modules, module.__name__, module)
    monkeypatch.setitem(persistence._CLASSES, "Offset", module.__name__)
    monkeypatch.setitem(persistence._CLASSES, "Wrapper", module.__name__)


X = np.arange(6.0).reshape(3, 2)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.skn"
    persistence.save(Offset().fit(X), path)
    return path


# ------------------------------------------------------------------------------------------ what comes back


def test_a_loaded_model_has_the_same_bits(file):
    model = persistence.load(file)
    assert type(model) is Offset
    assert model.weights_.dtype == np.float32
    np.testing.assert_array_equal(model.weights_, X)
    assert model.unit_ids_.tolist() == ["A1", "é"]
    model.weights_ += 1  # what was loaded is the user's own


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from([np.float32(1.5), np.int64(-3), np.bool_(True), np.str_("x")]),
    lambda items: (
        st.lists(items, max_size=3)
        | st.lists(items, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3) | st.just("$"), items, max_size=3)
        | st.dictionaries(st.integers() | st.tuples(st.integers(), st.text(max_size=2)), items, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=values)
def test_any_plain_value_comes_back_with_its_type(tmp_path, value):
    persistence.save(Offset(shift=value).fit(X), tmp_path / "model.skn")
    again = persistence.load(tmp_path / "model.skn").shift
    # repr tells (1, 2) from [1, 2] and 1 from 1.0, and shows nan, which equals nothing.
    assert repr(again) == repr(plain(value))


def plain(value):
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return type(value)(plain(item) for item in value)
    if isinstance(value, dict):
        items = {key: plain(item) for key, item in value.items()}
        # A JSON object has no order of its own: files sort the keys.
        if all(isinstance(key, str) for key in items) and "$" not in items:
            return dict(sorted(items.items()))
        return items
    return value


arrays = [
    np.zeros((0, 3)),
    np.array(2.5),
    np.arange(6, dtype=">i4").reshape(2, 3),
    np.arange(6.0).reshape(2, 3).T,
    np.array([True, False]),
    np.array([np.nan, np.inf, -0.0], dtype=np.float16),
    np.array([], dtype="U1"),
    np.array([["a", "bc"], ["", "ü"]]),
    np.array(["a", None, 1.5, float("nan")], dtype=object),
]


@pytest.mark.parametrize("array", arrays, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_come_back_with_shape_type_and_values(tmp_path, array):
    persistence.save(Offset(shift={"a": [array]}).fit(X), tmp_path / "model.skn")
    (again,) = persistence.load(tmp_path / "model.skn").shift["a"]
    assert again.shape == array.shape
    assert again.dtype.kind == array.dtype.kind
    assert repr(again.tolist()) == repr(array.tolist())  # in which nan is nan and -0.0 is not 0.0


def test_estimators_among_the_parameters_come_back_frozen_fitted_or_not(tmp_path):
    fitted, unfitted = Offset(shift=1).fit(X), Offset(shift=2)
    model = Wrapper(FrozenEstimator(Wrapper([fitted, unfitted]).fit(X))).fit(X)
    persistence.save(model, tmp_path / "model.skn")
    again = persistence.load(tmp_path / "model.skn")
    assert type(again.estimator) is FrozenEstimator
    first, second = again.estimator.estimator.estimator
    np.testing.assert_array_equal(first.weights_, X)
    assert (first.shift, second.shift) == (1, 2)
    assert not hasattr(second, "weights_")


def test_fitted_attributes_come_back_without_a_protocol(tmp_path):
    model = Wrapper().fit(X)
    persistence.save(model, tmp_path / "model.skn")
    again = persistence.load(tmp_path / "model.skn")
    pd.testing.assert_frame_equal(again.info_, model.info_)
    np.testing.assert_array_equal(again.mean_, model.mean_)
    assert again.curve_ == model.curve_
    assert again._width == 0.1


def test_equal_models_make_equal_files(tmp_path):
    for name in "ab":
        persistence.save(Offset(shift={"x": 1, "y": 2}).fit(X), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_file_is_plain_safetensors_and_says_what_it_is(file):
    with safetensors.safe_open(file, framework="np") as content:
        metadata = content.metadata()
        np.testing.assert_array_equal(content.get_tensor("model.weights"), X)
    assert metadata["format"] == "skneuro/1"
    assert metadata["version"] == __version__
    assert json.loads(metadata["class"]) == "Offset"
    assert json.loads(metadata["params"])["widths"] == {"$": "tuple", "items": [1, 2]}


# ------------------------------------------------------------------------------------------ what is refused


def test_an_unfitted_model_is_not_saved(tmp_path):
    with pytest.raises(NotFittedError):
        persistence.save(Offset(), tmp_path / "model.skn")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            Offset(random_state=np.random.RandomState(0)),
            r"random_state is RandomState.*set_params\(random_state=0\)",
        ),
        (Offset(shift=len), "shift is <built-in function len>, which cannot be saved safely"),
        (Offset(shift=[1 + 2j]), r"shift.0 is \(1\+2j\)"),
        (Offset(shift=np.array([1j])), "shift is an array of type complex128.*at most 8 bytes"),
        (Offset(shift=np.array(["2020-01-01"], dtype="M8[D]")), r"an array of type datetime64\[D\]"),
        (Wrapper(Ridge()), "Ridge has no safe file format, expected one of .*'Offset'.*joblib"),
        (Ridge(), "Ridge has no safe file format"),
        (type("Offset", (Offset,), {})(), "Offset has no safe file format"),
    ],
    ids=[
        "generator",
        "function",
        "complex",
        "complex array",
        "dates",
        "foreign parameter",
        "foreign",
        "subclass",
    ],
)
def test_what_has_no_safe_form_is_refused_with_the_remedy(tmp_path, model, message):
    with pytest.raises(TypeError, match=message):
        persistence.save(model.fit(X, [0, 1, 0]), tmp_path / "model.skn")
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(file, monkeypatch):
    before = file.read_bytes()

    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space left"):
        persistence.save(Offset(shift=9).fit(X), file)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == [file.name]


# ------------------------------------------------------------------------------------------ damage and malice


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(file, data):
    raw = bytearray(file.read_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    damaged = file.with_name("damaged.skn")
    damaged.write_bytes(raw)
    with pytest.raises(UnsafeFileError, match="damaged.skn"):
        persistence.load(damaged)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_short_or_with_more_at_its_end_is_refused(file, data):
    raw = file.read_bytes()
    keep = data.draw(st.integers(0, len(raw) - 1))
    other = file.with_name("other.skn")
    for content in (raw[:keep], raw + raw[: keep + 1], raw[keep + 1 :]):
        other.write_bytes(content)
        with pytest.raises(UnsafeFileError):
            persistence.load(other)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(tmp_path, content):
    (tmp_path / "noise.skn").write_bytes(content)
    with pytest.raises(UnsafeFileError):
        persistence.load(tmp_path / "noise.skn")


class Evil:
    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return os.mkdir, (str(self.flag),)


def test_a_pickle_is_neither_loaded_nor_run(tmp_path):
    (tmp_path / "model.skn").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    with pytest.raises(UnsafeFileError, match="looks like a pickle"):
        persistence.load(tmp_path / "model.skn")
    assert not (tmp_path / "ran").exists()


def test_a_torch_checkpoint_is_neither_loaded_nor_run(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(Evil(tmp_path / "ran"), tmp_path / "model.skn")
    with pytest.raises(UnsafeFileError, match="looks like a torch checkpoint"):
        persistence.load(tmp_path / "model.skn")
    assert not (tmp_path / "ran").exists()


def test_a_header_that_promises_more_than_there_is_allocates_nothing(tmp_path):
    (tmp_path / "model.skn").write_bytes(struct.pack("<Q", 2**62) + b"{" + b" " * 100)
    with pytest.raises(UnsafeFileError, match="not a skneuro file"):
        persistence.load(tmp_path / "model.skn")


def test_a_safetensors_file_of_another_program_is_refused(tmp_path):
    from safetensors.numpy import save_file

    save_file({"weights": X}, tmp_path / "model.safetensors")
    with pytest.raises(UnsafeFileError, match="format None; skneuro .* reads 'skneuro/1'"):
        persistence.load(tmp_path / "model.safetensors")


def test_missing_files_folders_and_devices_are_errors_of_the_system_or_ours(tmp_path):
    with pytest.raises(FileNotFoundError):
        persistence.load(tmp_path / "none.skn")
    with pytest.raises((IsADirectoryError, PermissionError)):
        persistence.load(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(UnsafeFileError, match="not a regular file"):
            persistence.load("/dev/zero")


def forge(path, **metadata):
    """Write a file whose digest is right, as an attacker or another version would."""
    plain = {"class": "Offset", "params": {}, "state": None, **metadata}
    write_file(path, {"w": X}, {key: json.dumps(value) for key, value in plain.items() if value is not ...})


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"class": "os.system"}, "no class 'os.system', expected one of .*'Offset'"),
        ({"class": ["Offset"]}, "does not describe an estimator"),
        ({"class": ...}, "does not describe an estimator"),
        ({"params": {"alpha": 1}}, "Offset of skneuro .* has no parameter 'alpha'"),
        ({"params": {"random_state": "x"}}, "'random_state' parameter of Offset must be"),
        ({"params": {"shift": {"$": "__class__"}}}, "unknown kind '__class__'"),
        ({"params": {"shift": {"$": "array", "name": "no"}}}, "KeyError"),
        ({"params": {"shift": {"$": "items", "dtype": "U", "shape": [9**9], "items": []}}}, "ValueError"),
        (
            {"params": {"shift": {"$": "frozen", "estimator": {"$": "estimator", "class": "Ridge"}}}},
            "no class 'Ridge'",
        ),
        ({"state": {"tensors": {}, "state": {}}}, "KeyError"),
        ({"state": 7}, "does not describe an estimator"),
        ({"class": "Wrapper", "state": {"tensors": {}, "state": {"fit": 1}}}, "no fitted attribute 'fit'"),
        ({"class": "Wrapper", "state": {"tensors": {}, "state": {"__class__": 1}}}, "no fitted attribute"),
    ],
    ids=str,
)
def test_a_forged_file_is_refused(tmp_path, metadata, message):
    forge(tmp_path / "model.skn", **metadata)
    with pytest.raises(UnsafeFileError, match=message):
        persistence.load(tmp_path / "model.skn")


def test_a_file_of_a_later_format_names_both(tmp_path, monkeypatch):
    monkeypatch.setattr("skneuro._safefile.FORMAT", "skneuro/2")
    persistence.save(Offset().fit(X), tmp_path / "model.skn")
    monkeypatch.undo()
    with pytest.raises(UnsafeFileError, match="format 'skneuro/2'; skneuro .* reads 'skneuro/1'"):
        persistence.load(tmp_path / "model.skn")


def test_json_nested_without_end_is_refused(tmp_path):
    write_file(tmp_path / "model.skn", {"w": X}, {"class": '"Offset"', "params": "[" * 100_000, "state": "null"})
    with pytest.raises(UnsafeFileError):
        persistence.load(tmp_path / "model.skn")


# ------------------------------------------------------------------------------------------ our own models


DECODERS = {"NeuroformerClassifier", "NeuroformerRegressor"}  # tests/estimators/test_behaviour.py saves and loads them


@pytest.mark.parametrize("name", sorted(set(persistence._CLASSES) - DECODERS))
def test_every_model_scores_and_simulates_the_same_after_loading(tmp_path, name):
    counts = np.random.default_rng(0).poisson([0.2, 0.5, 1.0], (8, 40, 3))
    spikes = SpikeTrains.from_counts(
        counts,
        0.05,
        unit_ids=["a", "b", "c"],
        unit_info=pd.DataFrame({"area": list("xyz")}, index=["a", "b", "c"]),
    )
    quick = {
        "NeuroformerEstimator": {"gamma": 0, "d_model": 8, "n_heads": 2, "max_epochs": 1, "random_state": 0},
        "ConnectivityInference": {"method": "ccg"},
        "GRUModel": {"n_hidden": 4, "max_steps": 3, "random_state": 0},
    }
    model = persistence._resolve(name)(bin_width=0.05, **quick.get(name, {})).fit(spikes)
    persistence.save(model, tmp_path / "model.skn")
    again = persistence.load(tmp_path / "model.skn")
    assert type(again) is type(model)
    assert again.get_params() == model.get_params()
    if name == "ConnectivityInference":
        truth = np.array([[np.nan, 1, 0], [1, np.nan, 0], [0, 0, np.nan]])
        assert again.score(spikes, truth) == model.score(spikes, truth)
        return
    assert again.score(spikes) == model.score(spikes)
    first, second = model.sample(n_samples=2, random_state=1), again.sample(n_samples=2, random_state=1)
    np.testing.assert_array_equal(first.times, second.times)
    np.testing.assert_array_equal(first.unit_ids, second.unit_ids)
    pd.testing.assert_frame_equal(first.unit_info, second.unit_info)


@pytest.mark.parametrize("name", ["CoupledGLM", "GRUModel", "NeuroformerEstimator"])
def test_modalities_keep_the_order_that_weights_know_of(tmp_path, name):
    """A file sorts the keys of a dict: a loaded model must not take one modality for another."""
    random = np.random.default_rng(0)
    table = {name: random.normal(size=20) for name in ("speed", "contrast")}  # not as the alphabet has them
    spikes = SpikeTrains.from_counts(random.poisson(np.exp(table["speed"]), (3, 30, 20)).transpose(2, 1, 0), 0.05)
    stimuli = Modalities(**{name: Covariates({name: values}) for name, values in table.items()})
    quick = {"NeuroformerEstimator": {"gamma": 0, "d_model": 8, "max_epochs": 1, "random_state": 0}}
    quick["GRUModel"] = {"n_hidden": 4, "max_steps": 10, "random_state": 0}
    model = persistence._resolve(name)(bin_width=0.05, **quick.get(name, {})).fit(spikes, stimuli)
    persistence.save(model, tmp_path / "model.skn")
    assert persistence.load(tmp_path / "model.skn").score(spikes, stimuli) == model.score(spikes, stimuli)


@pytest.fixture
def small():
    counts = np.random.default_rng(0).poisson(0.5, (6, 20, 3))
    return SpikeTrains.from_counts(counts, 0.05), {"bin_width": 0.05, "gamma": 0, "d_model": 8, "max_epochs": 1}


def test_what_could_not_be_loaded_is_not_saved(tmp_path, small):
    spikes, settings = small
    model = NeuroformerEstimator(**settings, random_state=0).fit(spikes).set_params(n_heads=3)
    with pytest.raises(InvalidParameterError, match="n_heads"):
        model.save(tmp_path / "model.skn")
    assert not list(tmp_path.iterdir())


def test_a_device_that_is_not_here_becomes_auto(tmp_path, small, monkeypatch):
    spikes, settings = small
    model = NeuroformerEstimator(**settings, random_state=0).fit(spikes)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("skneuro.estimators._parameters.has_device", lambda name: True)
        model.set_params(device="cuda:7").save(tmp_path / "model.skn")
    with pytest.warns(UserWarning, match="saved with device='cuda:7', which is not here"):
        again = persistence.load(tmp_path / "model.skn")
    assert again.device == "auto" and again.score(spikes) == model.score(spikes)


@pytest.mark.parametrize("pair", [("float32", "float64"), ("float64", "float32")])
def test_a_model_keeps_the_precision_that_it_was_fitted_in(tmp_path, small, pair):
    spikes, settings = small
    model = NeuroformerEstimator(**settings, precision=pair[0], random_state=0).fit(spikes)
    model.set_params(precision=pair[1]).save(tmp_path / "model.skn")
    assert persistence.load(tmp_path / "model.skn").score(spikes) == model.score(spikes)
