"""What all containers share: immutable rows that scikit-learn can index, copy, pickle and hash.

A row is a trial. The rules (Ellipsis, int -> one row, no ``iloc``, no silent array form) are those that
scikit-learn's splitters need in order to hand back a container and not a list.
"""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd


def frozen(array: np.ndarray, *, copy: bool = False) -> np.ndarray:
    """Return `array` C-contiguous and read-only; a copy where asked for or needed."""
    if array.size == 0:
        # Empty arrays have strides by their history, which joblib.hash takes for another content.
        array, copy = np.empty(array.shape, dtype=array.dtype), False
    result = np.array(array, copy=True) if copy else np.ascontiguousarray(array).view()
    result.flags.writeable = False
    return result


def concatenated_ranges(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return ``concatenate([arange(s, s + n) for s, n in zip(starts, lengths)])`` without a loop."""
    lengths = np.asarray(lengths, dtype=np.int64)
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum(), dtype=np.int64) + np.repeat(np.asarray(starts, np.int64) - offsets, lengths)


def pointer(lengths: np.ndarray) -> np.ndarray:
    """Return the row pointer ``[0, n_0, n_0 + n_1, ...]`` of ragged rows with these lengths."""
    return np.concatenate([[0], np.cumsum(np.asarray(lengths, dtype=np.int64))]).astype(np.int64)


def consecutive(rows: np.ndarray, ptr: np.ndarray) -> slice | None:
    """What ragged rows hold, where one follows the other: a slice is a view. None where they do not."""
    if len(rows) and (np.diff(rows) == 1).all():
        return slice(int(ptr[rows[0]]), int(ptr[rows[-1] + 1]))
    return None


def row_indices(key: Any, n_rows: int, owner: str, what: str = "trial") -> np.ndarray:
    """Turn an index key (int, slice, integers, boolean mask) into an int64 array of rows."""
    if isinstance(key, slice):
        return np.arange(n_rows, dtype=np.int64)[key]
    if isinstance(key, (bool, np.bool_, str, bytes, float)) or key is None:
        raise TypeError(_key_message(key, owner, what))
    try:
        row = operator.index(key)
    except TypeError:
        rows = np.asarray(key)
    else:
        if not -n_rows <= row < n_rows:
            raise IndexError(f"{owner} has {n_rows} {what}s; there is no {what} {row}.")
        return np.array([row % n_rows], dtype=np.int64)
    if rows.ndim != 1:
        raise IndexError(f"{owner} is indexed by one dimension of {what}s; got a key with {rows.ndim} dimensions.")
    if rows.dtype == bool:
        if len(rows) != n_rows:
            raise IndexError(f"{owner} has {n_rows} {what}s, but the boolean mask has length {len(rows)}.")
        return np.flatnonzero(rows)
    if rows.size == 0:
        return np.empty(0, dtype=np.int64)
    if rows.dtype.kind not in "iu":
        raise TypeError(_key_message(key, owner, what))
    rows = rows.astype(np.int64)
    wrong = (rows < -n_rows) | (rows >= n_rows)
    if wrong.any():
        raise IndexError(f"{owner} has {n_rows} {what}s; there is no {what} {rows[wrong][0]}.")
    return np.where(rows < 0, rows + n_rows, rows)


def _key_message(key: Any, owner: str, what: str) -> str:
    return (
        f"{owner} is indexed by {what}s: an int, a slice, an array of ints or a boolean mask. "
        f"Got {type(key).__name__} instead."
    )


def check_ids(ids: Any, n: int, what: str, *, unique: bool) -> np.ndarray:
    """Return `ids` as an int64 or str array of length `n`; ``None`` gives 0, 1, 2, ..."""
    if ids is None:
        return frozen(np.arange(n, dtype=np.int64))
    if isinstance(ids, str) or not hasattr(ids, "__iter__"):
        raise ValueError(f"{what} must be a 1-D array of all ints or all strings. Got {ids!r:.80} instead.")
    array = ids if isinstance(ids, np.ndarray) else np.array(list(ids), dtype=object)
    if array.dtype.kind in "OT":
        values = array.tolist()
        if all(isinstance(value, str) for value in values):
            array = np.array(values, dtype=str)
        elif all(isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values):
            array = np.array(values, dtype=np.int64)
    if array.size == 0:
        array = np.empty(0, dtype=array.dtype if array.dtype.kind in "iuU" else np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iuU":
        floats = array.size and all(isinstance(value, float) for value in array.ravel().tolist())
        remedy = "; convert whole numbers with np.array(..., dtype=int)" if floats else ""
        raise ValueError(f"{what} must be a 1-D array of all ints or all strings. Got {ids!r:.80} instead{remedy}.")
    if len(array) != n:
        things = what.removesuffix("_ids") + "s"
        raise ValueError(f"{what} must have one entry for each of {n} {things}. Got {len(array)} entries instead.")
    if unique and len(np.unique(array)) != n:
        values, counts = np.unique(array, return_counts=True)
        raise ValueError(f"{what} must be unique. {values[counts > 1][0].item()!r} occurs more than once.")
    return frozen(array if array.dtype.kind == "U" else array.astype(np.int64), copy=True)


@dataclass(frozen=True)
class _Packed:
    """A DataFrame column by column.

    The memory layout of a DataFrame depends on its history; in this form equal tables have equal hashes.
    """

    index: list
    columns: list
    dtypes: list
    values: list

    def unpack(self) -> pd.DataFrame:
        index = pd.Index(self.index, name="unit_id")
        data = [pd.Series(v, index=index, dtype=t) for v, t in zip(self.values, self.dtypes, strict=True)]
        frame = pd.DataFrame(dict(enumerate(data)), index=index)
        frame.columns = pd.Index(self.columns)
        return frame


def _pack(frame: pd.DataFrame) -> _Packed:
    series = [frame.iloc[:, k] for k in range(frame.shape[1])]
    values = [
        frozen(x.to_numpy()) if isinstance(x.dtype, np.dtype) and x.dtype != object else x.tolist() for x in series
    ]
    return _Packed(frame.index.tolist(), frame.columns.tolist(), [x.dtype for x in series], values)


class _NoArrayFormError(TypeError, ValueError):
    """A ValueError too: after one scikit-learn asks labels for an array of objects, and so chooses its folds."""


class RowContainer:
    """Base of the containers: an immutable sequence of trials (private; see the subclasses)."""

    __slots__: tuple[str, ...] = ()
    _array_remedy = ""

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    def _take(self, rows: np.ndarray) -> Self:
        raise NotImplementedError

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[Self]:
        for row in range(len(self)):
            yield self._take(np.array([row], dtype=np.int64))

    def __getitem__(self, key: Any) -> Self:
        # scikit-learn indexes anything that has a shape with X[key, ...].
        if isinstance(key, tuple):
            rest = tuple(part for part in key if part is not Ellipsis)
            if len(rest) > 1:
                raise IndexError(f"{type(self).__name__} is indexed by trials only. Got {len(rest)} indices instead.")
            key = rest[0] if rest else slice(None)
        elif key is Ellipsis:
            key = slice(None)
        return self._take(row_indices(key, len(self), type(self).__name__))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; make a new one instead of setting {name!r}.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable; {name!r} cannot be deleted.")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if dtype is not None and np.dtype(dtype) == object:
            rows = np.empty(len(self), dtype=object)
            for number, row in enumerate(self):
                rows[number] = row
            return rows
        raise _NoArrayFormError(f"{type(self).__name__} is ragged and has no array form; {self._array_remedy}")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict) -> Self:
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = {name: getattr(self, name) for name in self.__slots__}
        return {name: _pack(x) if isinstance(x, pd.DataFrame) else x for name, x in state.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            if isinstance(value, np.ndarray):
                value = frozen(value)
            elif isinstance(value, _Packed):
                value = value.unpack()
            self._set(**{name: value})

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(_same(getattr(self, name), getattr(other, name)) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash((type(self).__name__, self.shape))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or np.array_equal(a, b, equal_nan=a.dtype.kind == "f" and b.dtype.kind == "f")
    if isinstance(a, pd.DataFrame) and isinstance(b, pd.DataFrame):
        return a.equals(b)
    return bool(type(a) is type(b) and a == b)
