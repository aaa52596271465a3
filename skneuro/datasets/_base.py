"""Where recordings are kept and how they get there: downloaded once, checked by sha256, never unpickled."""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from skneuro.exceptions import DatasetNotFoundError

_HOST = "https://raw.githubusercontent.com"
_TIMEOUT = 30.0  # s without an answer


@dataclass(frozen=True)
class RemoteFile:
    """One file of a public repository at a fixed commit.

    Parameters
    ----------
    repository : str
        ``owner/name`` on GitHub.
    commit : str
        Full hash of the commit.
    path : str
        Path of the file in the repository.
    sha256 : str
        Full sha256 of its contents, in hexadecimal.

    Examples
    --------
    >>> from skneuro.datasets._base import RemoteFile
    >>> file = RemoteFile("owner/name", "0123abc", "data/a.mat", "ff" * 32)
    >>> file.name, file.url
    ('a.mat', 'https://raw.githubusercontent.com/owner/name/0123abc/data/a.mat')
    """

    repository: str
    commit: str
    path: str
    sha256: str

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.path.rsplit("/", 1)[-1]

    @property
    def url(self) -> str:
        """Address that it is downloaded from."""
        return f"{_HOST}/{self.repository}/{self.commit}/{self.path}"


def get_data_home(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Return the directory of the recordings, as scikit-learn's function of this name does.

    Parameters
    ----------
    data_home : path or None, default=None
        The directory. None: the environment variable ``SKNEURO_DATA``, or ``~/skneuro_data`` where it is not
        set. It is made if it is not there; ``~`` stands for the home directory.

    Returns
    -------
    pathlib.Path
        The directory.

    Raises
    ------
    OSError
        If it cannot be made.

    Examples
    --------
    >>> import tempfile
    >>> from skneuro.datasets import get_data_home
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     get_data_home(folder + "/recordings").name
    'recordings'
    """
    home = _data_home(data_home)
    home.mkdir(parents=True, exist_ok=True)
    return home


def _data_home(data_home: str | os.PathLike[str] | None) -> Path:
    """The directory, which need not be there."""
    home = Path(data_home or os.environ.get("SKNEURO_DATA") or "~/skneuro_data").expanduser()
    if home.is_file():
        raise NotADirectoryError(
            f"The recordings are kept in a directory, but {home} is a file. Name another place by data_home= or the "
            "environment variable SKNEURO_DATA."
        )
    return home


def clear_data_home(data_home: str | os.PathLike[str] | None = None) -> None:
    """Delete the directory of the recordings with all that is in it.

    Parameters
    ----------
    data_home : path or None, default=None
        As in :func:`get_data_home`.

    Raises
    ------
    OSError
        If it cannot be deleted.

    Examples
    --------
    >>> import os, tempfile
    >>> from skneuro.datasets import clear_data_home, get_data_home
    >>> folder = get_data_home(tempfile.mkdtemp())
    >>> clear_data_home(folder)
    >>> os.path.exists(folder)
    False
    """
    shutil.rmtree(get_data_home(data_home))


def fetch_file(
    file: RemoteFile,
    folder: str,
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Path:
    """Return the path of a verified file, downloaded first where it is not in the cache.

    Parameters
    ----------
    file : RemoteFile
        The file.
    folder : str
        Directory of the data set inside the data home.
    data_home : path or None, default=None
        As in :func:`get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error, and nothing is written.

    Returns
    -------
    pathlib.Path
        The file in the cache; its contents have the sha256 that was asked for.

    Raises
    ------
    DatasetNotFoundError
        If the file is not in the cache and must not or cannot be downloaded.
    ValueError
        If the contents are not those that were published; the message names both hashes.
    """
    target = _data_home(data_home) / folder / file.name
    if not target.exists():
        if not download_if_missing:
            raise DatasetNotFoundError(
                f"{target} does not exist and download_if_missing=False. Call with download_if_missing=True, "
                f"or {_by_hand(file, target)}."
            )
        _download(file, target)
    found = _sha256(target)
    if found != file.sha256:
        raise ValueError(
            f"{target} has sha256 {found}, expected {file.sha256}: it is damaged or another version. "
            f"Delete it and call again, or {_by_hand(file, target)}."
        )
    return target


def _download(file: RemoteFile, target: Path) -> None:
    """Write a verified copy to `target` in one rename: an interrupted download leaves nothing behind."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{file.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as part:
            try:
                with urllib.request.urlopen(file.url, timeout=_TIMEOUT) as response:
                    shutil.copyfileobj(response, part)
            except (OSError, http.client.HTTPException) as error:  # no network, no such page, cut short
                raise DatasetNotFoundError(
                    f"{file.name} is not in {target.parent} and {file.url} could not be downloaded "
                    f"({error}). Check the network, or {_by_hand(file, target)}."
                ) from None
        found = _sha256(Path(name))
        if found != file.sha256:
            raise ValueError(
                f"{file.url} gave contents with sha256 {found}, expected {file.sha256}; they were "
                f"thrown away. Try again, or {_by_hand(file, target)}."
            )
        os.chmod(name, 0o644)  # mkstemp gives 0600, and a data home may be shared
        os.replace(name, target)
    finally:
        Path(name).unlink(missing_ok=True)


def _by_hand(file: RemoteFile, target: Path) -> str:
    return (
        f"put the file from {file.url} at {target} yourself (the environment variable SKNEURO_DATA or "
        "data_home= choose another directory)"
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
