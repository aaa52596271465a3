"""Reading of pickles that hold dictionaries, lists, numbers, text and numeric arrays, and nothing else.

A pickle is a program. This reader looks up no name in any module: the five names that numpy's arrays are pickled
with are replaced by classes of its own, and every other name ends the reading.
"""

from __future__ import annotations

import io
import pickle
import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from skneuro.exceptions import UnsafeFileError

_DEEPEST = 8
_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy.core.numeric", "numpy._core.numeric")


def read_restricted_pickle(path: Path) -> Any:
    """Read a pickle of plain values and numeric arrays without running anything that is in it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    value : object
        Made of dict, list, tuple, str, bytes, numbers, bool, None and ndarrays of numbers or text.

    Raises
    ------
    UnsafeFileError
        If the file asks for anything else, or is damaged.
    OSError
        If the file cannot be read.
    """
    with open(path, "rb") as file:
        raw = file.read()
    try:
        return _finished(_Reader(io.BytesIO(raw), encoding="latin1").load())
    except UnsafeFileError as error:
        raise UnsafeFileError(f"{path}: {error}") from None
    except Exception as error:  # a damaged pickle may end in any of them
        raise UnsafeFileError(f"{path} is damaged or no pickle ({type(error).__name__}: {error}).") from error


class _Reader(pickle._Unpickler):
    """Python's own reader, not the one in C, which sets aside as much memory as a damaged file asks for."""

    read: Any  # set by load()
    append: Any

    def __init__(self, file: io.BytesIO, **kwargs: Any) -> None:
        super().__init__(file, **kwargs)
        self._size = file.getbuffer().nbytes

    def _load_bytearray(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        if size > self._size:
            raise UnsafeFileError("the pickle is cut short.")
        self.append(bytearray(self.read(size)))

    dispatch: ClassVar[Any] = {**pickle._Unpickler.dispatch, pickle.BYTEARRAY8[0]: _load_bytearray}

    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES and name in _FUNCTIONS:
            return _FUNCTIONS[name]
        if (module, name) == ("numpy", "dtype"):
            return _Kind
        if (module, name) == ("numpy", "ndarray"):
            return "ndarray"
        if (module, name) == ("_codecs", "encode"):  # bytes, in pickles of protocol 2 and before
            return _latin
        raise UnsafeFileError(
            f"the pickle asks for {module}.{name}, and only plain values and numpy arrays of numbers are read. Save "
            "the arrays with numpy.savez."
        )

    def persistent_load(self, pid: Any) -> Any:
        raise UnsafeFileError("the pickle refers to objects outside it.")


class _Kind:
    """What a pickle says of a dtype; numpy's own would take whatever state it is given."""

    __slots__ = ("code", "order")

    def __init__(self, code: Any, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"[<>|=]?[biufSU]\d{1,6}", code):
            raise UnsafeFileError(f"the pickle holds an array of dtype {code!r}; only numbers and text are read.")
        self.code, self.order = code, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in ("<", ">", "|", "=") or state[2] is not None or state[3] is not None:
            raise UnsafeFileError("the pickle holds an array with fields; only numbers and text are read.")
        self.order = state[1]

    def dtype(self) -> np.dtype:
        return np.dtype(self.order + self.code.lstrip("<>|="))


class _Array:
    """What a pickle says of an array, put together by `_finished`."""

    __slots__ = ("kind", "order", "raw", "shape")

    def __init__(self, subtype: Any = "ndarray", *_: Any) -> None:
        if subtype != "ndarray":
            raise UnsafeFileError("the pickle holds an array that numpy did not write.")
        self.shape, self.kind, self.order, self.raw = (0,), _Kind("u1"), "C", b""

    def __setstate__(self, state: Any) -> None:
        _, self.shape, self.kind, fortran, self.raw = state
        self.order = "F" if fortran else "C"

    @classmethod
    def from_buffer(cls, raw: Any, kind: Any, shape: Any, order: str) -> _Array:
        array = cls()
        array.raw, array.kind, array.shape, array.order = raw, kind, shape, order
        return array

    @classmethod
    def scalar(cls, kind: Any, raw: Any) -> _Array:
        return cls.from_buffer(raw, kind, (), "C")

    def array(self) -> Any:
        raw = self.raw.encode("latin1") if isinstance(self.raw, str) else self.raw
        values = np.frombuffer(raw, dtype=self.kind.dtype()).reshape(self.shape, order=self.order)  # type: ignore
        return values[()].copy()


_FUNCTIONS = {"_reconstruct": _Array, "scalar": _Array.scalar, "_frombuffer": _Array.from_buffer}


def _latin(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")


def _finished(value: Any, depth: int = 0) -> Any:
    """The value with its arrays put together."""
    if depth > _DEEPEST:
        raise UnsafeFileError("the pickle is nested too deeply.")
    if isinstance(value, _Array):
        return value.array()
    if isinstance(value, dict):
        return {_finished(key, depth + 1): _finished(item, depth + 1) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_finished(item, depth + 1) for item in value])
    return value
