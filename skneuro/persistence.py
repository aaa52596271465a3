"""Save a fitted estimator as one safetensors file and load it again, without ever unpickling anything.

A file holds the numeric arrays as tensors and, in the header's metadata, JSON for everything else: a key into
a fixed table of classes, the constructor's parameters and the fitted state.
"""

from __future__ import annotations

import importlib
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted

from skneuro import __version__
from skneuro._safefile import read_file, to_json, write_file
from skneuro.exceptions import UnsafeFileError

__all__ = ["load", "save"]

# The classes a file may name. Loading never imports by a name that the file gives.
_CLASSES = {
    "ConnectivityInference": "skneuro.connectivity",
    "ConstantMarginal": "skneuro.baselines",
    "CoupledGLM": "skneuro.baselines",
    "GRUModel": "skneuro.baselines",
    "HomogeneousPoisson": "skneuro.baselines",
    "NeuroformerClassifier": "skneuro.estimators",
    "NeuroformerEstimator": "skneuro.estimators",
    "NeuroformerRegressor": "skneuro.estimators",
    "PSTHModel": "skneuro.baselines",
}


def save(estimator: BaseEstimator, path: str | os.PathLike[str]) -> None:
    """Save a fitted estimator to one file that can be loaded without running anything that is in it.

    The file appears whole or not at all: it is written under another name beside its place and then renamed.

    Parameters
    ----------
    estimator : estimator
        A fitted estimator of skneuro. Estimators among its parameters, and ``FrozenEstimator`` around them,
        are saved with it.
    path : str or path-like
        The file to write. An existing file is replaced.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    TypeError
        If the estimator's class, one of its parameters or a part of its state has no safe form, for instance
        ``random_state=numpy.random.RandomState(0)``. The message says what to do.
    InvalidParameterError
        If a parameter was set to what it may not be: the file could not be read.
    OSError
        If the file cannot be written.

    See Also
    --------
    load : Read the file.

    Examples
    --------
    >>> import os, tempfile
    >>> import skneuro
    >>> from skneuro.baselines import HomogeneousPoisson
    >>> counts = [[0, 2], [1, 0], [0, 1], [1, 1]]
    >>> model = HomogeneousPoisson(bin_width=0.05).fit(counts)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "model.skn")
    ...     skneuro.save(model, file)
    ...     again = skneuro.load(file)
    >>> again.score(counts) == model.score(counts)
    True
    """
    check_is_fitted(estimator)
    encoder = _Encoder()
    node = encoder.write_estimator(estimator, "")
    metadata = {key: to_json(node[key]) for key in ("class", "params", "state")}
    write_file(Path(path), encoder.tensors, metadata)


def load(path: str | os.PathLike[str]) -> Any:
    """Load an estimator that :func:`save` wrote.

    Nothing in the file is executed: it holds numbers and JSON, the class comes from a fixed table, and a
    digest shows whether anything was changed. A digest guards against damage; it does not say who wrote the
    file.

    Parameters
    ----------
    path : str or path-like
        The file to read.

    Returns
    -------
    estimator : estimator
        A fitted estimator of the saved class.

    Raises
    ------
    UnsafeFileError
        If the file is anything but an undamaged skneuro file of a known format and class: truncated, changed,
        a pickle, a torch checkpoint. It is a ``ValueError``.
    OSError
        If the file cannot be read.

    See Also
    --------
    save : Write the file, and an example of both.

    Examples
    --------
    >>> import os, tempfile
    >>> import skneuro
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "model.skn")
    ...     with open(file, "wb") as stream:
    ...         _ = stream.write(b"not a model")
    ...     skneuro.load(file)
    Traceback (most recent call last):
    skneuro.exceptions.UnsafeFileError: ...model.skn is not a skneuro file: ...
    """
    path = Path(path)
    tensors, metadata = read_file(path)
    try:
        node = {key: json.loads(metadata[key]) for key in ("class", "params", "state")}
        return _Decoder(tensors).read_estimator(node)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"{path}: {error}") from error
    except (ImportError, OSError):
        raise
    except Exception as error:
        # The digest is right, so the file was written as it is: by hand, or by another version.
        raise UnsafeFileError(
            f"{path}, written by skneuro {metadata.get('version')}, does not describe an estimator of "
            f"skneuro {__version__} ({type(error).__name__}: {error}). Load it with the version that wrote "
            "it, or fit and save the model again."
        ) from error


# JSON has no tuple, no NaN, no array and no dictionary with keys that are not strings: such a value becomes
# an object whose key "$" says what it is, and numeric arrays move to the tensors.


class _Encoder:
    """Turns parameters and state into JSON values, and collects their numeric arrays in `tensors`."""

    def __init__(self) -> None:
        self.tensors: dict[str, np.ndarray] = {}

    def write(self, value: Any, where: str) -> Any:
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"$": "float", "value": repr(value)}
        if isinstance(value, list):
            return [self.write(item, f"{where}.{k}") for k, item in enumerate(value)]
        if type(value) is tuple:
            return {"$": "tuple", "items": self.write(list(value), where)}
        if isinstance(value, dict):
            return self.write_dict(value, where)
        if isinstance(value, np.ndarray):
            return self.write_array(value, where)
        if isinstance(value, FrozenEstimator):
            return {"$": "frozen", "estimator": self.write(value.estimator, where)}
        if isinstance(value, BaseEstimator):
            return self.write_estimator(value, f"{where}.")
        if _is_data_frame(value):
            return self.write_data_frame(value, where)
        raise TypeError(f"{where} is {value!r}, which cannot be saved safely. {_remedy(value)}")

    def write_dict(self, value: dict[Any, Any], where: str) -> dict[str, Any]:
        if all(isinstance(key, str) for key in value) and "$" not in value:
            return {key: self.write(item, f"{where}.{key}") for key, item in value.items()}
        return {"$": "dict", "items": self.write([list(pair) for pair in value.items()], where)}

    def write_array(self, value: np.ndarray, where: str) -> dict[str, Any]:
        if value.dtype.kind in "biuf" and value.dtype.itemsize <= 8:
            if where in self.tensors:
                raise TypeError(f"Two arrays of the model are called {where!r}. Give them different names.")
            # Contiguous and in the machine's byte order; np.ascontiguousarray would make a scalar array 1-D.
            self.tensors[where] = np.asarray(value, dtype=value.dtype.newbyteorder("="), order="C")
            return {"$": "array", "name": where}
        if value.dtype.kind in "UO":
            items = self.write(value.ravel().tolist(), where)
            return {"$": "items", "dtype": value.dtype.kind, "shape": list(value.shape), "items": items}
        raise TypeError(
            f"{where} is an array of type {value.dtype}, which cannot be saved safely. Use numbers of at "
            "most 8 bytes, booleans or strings."
        )

    def write_data_frame(self, value: Any, where: str) -> dict[str, Any]:
        columns = [
            {
                "name": self.write(name, where),
                "dtype": str(value.dtypes.iloc[k]),
                "values": self.write_array(value.iloc[:, k].to_numpy(), f"{where}.column{k}"),
            }
            for k, name in enumerate(value.columns)
        ]
        index = {
            "name": self.write(value.index.name, where),
            "values": self.write_array(value.index.to_numpy(), f"{where}.index"),
        }
        return {"$": "data_frame", "index": index, "columns": columns}

    def write_estimator(self, estimator: Any, where: str) -> dict[str, Any]:
        estimator._validate_params()  # `load` does, and then it would be too late
        params = estimator.get_params(deep=False)
        return {
            "$": "estimator",
            "class": _class_key(estimator),
            "params": {name: self.write(value, f"{where}{name}") for name, value in params.items()},
            "state": self.write_state(estimator, where) if _is_fitted(estimator) else None,
        }

    def write_state(self, estimator: Any, where: str) -> dict[str, Any]:
        tensors, state = _fitted_state(estimator)
        arrays = {name: self.write_array(np.asarray(array), f"{where}{name}") for name, array in tensors.items()}
        return {"tensors": arrays, "state": self.write(state, f"{where}state")}


_KINDS = ("array", "data_frame", "dict", "estimator", "float", "frozen", "items", "tuple")


class _Decoder:
    """Turns the JSON values of a file back into parameters, state and estimators."""

    def __init__(self, tensors: dict[str, np.ndarray]) -> None:
        self.tensors = tensors

    def read(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.read(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "$" not in value:
            return {key: self.read(item) for key, item in value.items()}
        if value["$"] not in _KINDS:
            raise UnsafeFileError(f"A value is of the unknown kind {value['$']!r}, expected one of {_KINDS}.")
        return getattr(self, f"read_{value['$']}")(value)

    def read_float(self, value: dict[str, Any]) -> float:
        return float(value["value"])

    def read_tuple(self, value: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(self.read(value["items"]))

    def read_dict(self, value: dict[str, Any]) -> dict[Any, Any]:
        return dict(self.read(value["items"]))

    def read_array(self, value: dict[str, Any]) -> np.ndarray:
        return self.tensors[value["name"]]

    def read_items(self, value: dict[str, Any]) -> np.ndarray:
        items = self.read(value["items"])
        if value["dtype"] == "U":
            return np.array(items, dtype=str).reshape(value["shape"])
        array = np.empty(len(items), dtype=object)
        array[:] = items
        return array.reshape(value["shape"])

    def read_data_frame(self, value: dict[str, Any]) -> Any:
        import pandas as pd

        index = pd.Index(self.read(value["index"]["values"]), name=self.read(value["index"]["name"]))
        if not value["columns"]:
            return pd.DataFrame(index=index)
        columns = [
            pd.Series(self.read(column["values"]), index=index).astype(column["dtype"]) for column in value["columns"]
        ]
        return pd.concat(columns, axis=1, keys=[self.read(column["name"]) for column in value["columns"]])

    def read_frozen(self, value: dict[str, Any]) -> FrozenEstimator:
        return FrozenEstimator(self.read(value["estimator"]))

    def read_estimator(self, value: dict[str, Any]) -> Any:
        cls = _resolve(value["class"])
        params = {name: self.read(param) for name, param in value["params"].items()}
        unknown = sorted(set(params) - set(cls._get_param_names()))
        if unknown:
            raise UnsafeFileError(
                f"{value['class']} of skneuro {__version__} has no parameter {unknown[0]!r}. Load the file "
                "with the version that wrote it."
            )
        estimator = cls(**params)
        if hasattr(estimator, "_fit_to_machine"):
            estimator._fit_to_machine()
        estimator._validate_params()
        if value["state"] is not None:
            tensors = {name: self.read_array(array) for name, array in value["state"]["tensors"].items()}
            _restore(estimator, tensors, self.read(value["state"]["state"]))
        return estimator


def _resolve(key: str) -> Any:
    """Class of a key, which must be in the table."""
    if key not in _CLASSES:
        raise UnsafeFileError(
            f"skneuro {__version__} loads no class {key!r}, expected one of {sorted(_CLASSES)}. Load the "
            "file with the version that wrote it."
        )
    return getattr(importlib.import_module(_CLASSES[key]), key)


def _class_key(estimator: Any) -> str:
    key = type(estimator).__name__
    if key not in _CLASSES or _resolve(key) is not type(estimator):
        raise TypeError(
            f"{type(estimator).__module__}.{key} has no safe file format, expected one of "
            f"{sorted(_CLASSES)}. Use joblib.dump, and joblib.load only on files that you wrote yourself."
        )
    return key


def _is_fitted(estimator: Any) -> bool:
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _fitted_state(estimator: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `fit` left: what `_to_state` says, or else all attributes but the parameters."""
    if hasattr(estimator, "_to_state"):
        return estimator._to_state()
    params = estimator.get_params(deep=False)
    return {}, {name: value for name, value in vars(estimator).items() if name not in params}


def _restore(estimator: Any, tensors: dict[str, np.ndarray], state: dict[str, Any]) -> None:
    if hasattr(estimator, "_from_state"):
        estimator._from_state(tensors, state)
        return
    for name, value in state.items():
        if hasattr(estimator, name):  # a parameter or a method
            raise UnsafeFileError(f"{type(estimator).__name__} has no fitted attribute {name!r}.")
        setattr(estimator, name, value)


def _is_data_frame(value: Any) -> bool:
    # By name, so that a model without one is saved and loaded without importing pandas.
    return type(value).__name__ == "DataFrame" and type(value).__module__.partition(".")[0] == "pandas"


def _remedy(value: Any) -> str:
    if isinstance(value, np.random.RandomState | np.random.Generator):
        return "Use a seed: estimator.set_params(random_state=0), which leaves the fitted model as it is."
    return (
        "Use numbers, strings, lists, arrays, DataFrames or estimators of skneuro; or joblib.dump, and "
        "joblib.load only on files that you wrote yourself."
    )
