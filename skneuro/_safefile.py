"""Reading and writing one safetensors file: whole, undamaged, and nothing else.

The metadata of the header carry a digest of the rest of the header and of the tensors, so that no flipped bit
goes unnoticed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import stat
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from skneuro import __version__
from skneuro.exceptions import UnsafeFileError

FORMAT = "skneuro/1"
MAX_HEADER_BYTES = 2**26

_DTYPES = {
    "BOOL": np.bool_,
    "I8": np.int8,
    "I16": np.int16,
    "I32": np.int32,
    "I64": np.int64,
    "U8": np.uint8,
    "U16": np.uint16,
    "U32": np.uint32,
    "U64": np.uint64,
    "F16": np.float16,
    "F32": np.float32,
    "F64": np.float64,
}


def write_file(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> None:
    """Write the file so that a reader sees the old one or the whole new one, never a part.

    Parameters
    ----------
    path : Path
        The file; an existing one is replaced.
    tensors : dict of str to ndarray
        Contiguous numeric arrays.
    metadata : dict of str to str
        Whatever is not a numeric array; the format, the version and the digest are added.

    Raises
    ------
    TypeError
        If the metadata are larger than a file that can be read again may hold.
    OSError
        If the file cannot be written.
    """
    raw = _pack(tensors, {"format": FORMAT, "version": __version__, **metadata})
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with open(part, "xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def read_file(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Read a file of which every bit was checked.

    Parameters
    ----------
    path : Path
        A file that :func:`write_file` wrote.

    Returns
    -------
    tensors : dict of str to ndarray
        Writable arrays.
    metadata : dict of str to str
        What was given to :func:`write_file`, the format, the version and the digest.

    Raises
    ------
    UnsafeFileError
        If the file is damaged, of another format, or no safetensors file at all.
    OSError
        If the file cannot be read.
    """
    raw = _read(path)
    try:
        # This checks the header and the shapes, and that the tensors fill the file exactly.
        parts = safetensors.deserialize(raw)
        header, body = _split(raw)
    except (safetensors.SafetensorError, ValueError, RecursionError) as error:
        raise UnsafeFileError(
            f"{path} is damaged or no skneuro file ({error}). Expected a file that skneuro.save wrote; copy "
            "it again from its source."
        ) from error
    metadata = header.get("__metadata__", {})
    if metadata.get("format") != FORMAT:
        raise UnsafeFileError(
            f"{path} has the format {metadata.get('format')!r}; skneuro {__version__} reads {FORMAT!r}. Load "
            "the file with the version of skneuro that wrote it."
        )
    if metadata.get("digest") != _digest(header, body):
        raise UnsafeFileError(
            f"{path} is damaged: its contents do not match the digest that they were saved with. Copy it "
            "again from its source."
        )
    return {name: _array(path, name, part) for name, part in parts}, metadata


def _read(path: Path) -> bytes:
    """The file's bytes, once its first ones show that it may be one of ours."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeFileError(f"{path} is not a regular file. Expected a file that skneuro.save wrote.")
        start = file.read(9)
        length = int.from_bytes(start[:8], "little")
        if len(start) < 9 or start[8:] != b"{" or length > min(status.st_size - 8, MAX_HEADER_BYTES):
            raise UnsafeFileError(
                f"{path} is not a skneuro file: it {_what_it_looks_like(start)}. Expected a file that "
                "skneuro.save wrote."
            )
        return start + file.read()


def _what_it_looks_like(start: bytes) -> str:
    if not start:
        return "is empty"
    if start[:1] == b"\x80":
        return "looks like a pickle, and skneuro never unpickles"
    if start[:2] == b"PK":
        return "looks like a torch checkpoint or another zip archive"
    return "does not begin with a safetensors header, or is cut short"


def _pack(tensors: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """Bytes of a safetensors file whose metadata carry a digest of everything else in the file."""
    header, body = _split(safetensors.numpy.save(tensors, metadata=metadata))
    header["__metadata__"]["digest"] = _digest(header, body)
    text = to_json(header).encode()
    text += b" " * (-len(text) % 8)  # tensors start at a multiple of eight bytes
    if len(text) > MAX_HEADER_BYTES:
        raise TypeError(
            f"The parts of the model that are not numeric arrays take {len(text)} bytes, expected at most "
            f"{MAX_HEADER_BYTES}. Keep large data in numeric arrays."
        )
    return b"".join((len(text).to_bytes(8, "little"), text, body))


def _split(raw: bytes) -> tuple[dict[str, Any], memoryview]:
    start = 8 + int.from_bytes(raw[:8], "little")
    return json.loads(raw[8:start]), memoryview(raw)[start:]


def _digest(header: dict[str, Any], body: memoryview) -> str:
    """SHA-256 of the header, without the digest itself, and of the tensors' bytes."""
    metadata = {key: value for key, value in header["__metadata__"].items() if key != "digest"}
    digest = hashlib.sha256(to_json({**header, "__metadata__": metadata}).encode())
    digest.update(body)
    return digest.hexdigest()


def _array(path: Path, name: str, part: dict[str, Any]) -> np.ndarray:
    if part["dtype"] not in _DTYPES:
        raise UnsafeFileError(f"{path}: array {name!r} is of type {part['dtype']}, expected {sorted(_DTYPES)}.")
    dtype = np.dtype(_DTYPES[part["dtype"]])
    # astype copies, so that the array is writable and in the machine's byte order.
    return np.frombuffer(part["data"], dtype=dtype.newbyteorder("<")).astype(dtype).reshape(part["shape"])


def to_json(value: Any) -> str:
    """JSON in which equal values have equal text; NaN and infinity are refused."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
