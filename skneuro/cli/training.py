"""Fit a model and score it on held-out time, here or in a process of its own."""

from __future__ import annotations

import contextlib
import multiprocessing
import shutil
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from skneuro.cli.errors import CommandError
from skneuro.cli.split import Split
from skneuro.data import Recording


@dataclass(frozen=True)
class Fitted:
    """A fitted model and its log-likelihood of every held-out cell.

    Parameters
    ----------
    name : str
        Name of the model.
    estimator : estimator
        The model.
    validation, test : ndarray of shape (n_bins, n_units), in nats
        Log-likelihood of each cell of two parts of the split.
    seconds : float
        Time the fit took.
    warnings : tuple of str
        What it warned of.
    """

    name: str
    estimator: Any
    validation: np.ndarray
    test: np.ndarray
    seconds: float
    warnings: tuple[str, ...] = ()


def fit_and_score(name: str, estimator: Any, split: Split) -> Fitted:
    """Fit on the training part, score the others, on one thread.

    Parameters
    ----------
    name : str
        Name of the model.
    estimator : estimator
        Not yet fitted.
    split : Split
        The data.

    Returns
    -------
    fitted : Fitted
    """
    with one_thread(), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        start = time.perf_counter()
        estimator.fit(split.train.spikes, split.train.modalities)
        seconds = time.perf_counter() - start
        validation, test = (_cells(estimator, part) for part in (split.validation, split.test))
    said = dict.fromkeys(" ".join(str(w.message).split()) for w in caught if issubclass(w.category, UserWarning))
    return Fitted(name, estimator, validation, test, seconds, tuple(said))


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: the matrices are small, and two models that train side by side have a core each."""
    torch: Any = sys.modules.get("torch")  # a model that needs it has loaded it
    n_threads = torch.get_num_threads() if torch else 1
    with threadpool_limits(1):
        try:
            if torch:
                torch.set_num_threads(1)
            yield
        finally:
            if torch:
                torch.set_num_threads(n_threads)


def _cells(estimator: Any, part: Recording) -> np.ndarray:
    inp = estimator._read(part.spikes, part.modalities, reset=False)
    estimator._warn_of_score(inp)
    return estimator._cell_log_likelihood(inp)


class Background:
    """Processes that train while the rest goes on; what they print goes to a file each.

    Parameters
    ----------
    folder : Path
        Where the files are.
    n_processes : int
        How many models train at a time.
    """

    def __init__(self, folder: Path, n_processes: int):
        self.folder = folder
        self.logs: dict[str, Path] = {}
        self.futures: dict[str, Future[Fitted]] = {}
        context = multiprocessing.get_context("spawn")  # a fork would copy torch's thread pool in mid-air
        self._others = set(multiprocessing.active_children())
        self._pool = ProcessPoolExecutor(n_processes, mp_context=context)

    def submit(self, name: str, estimator: Any, split: Split) -> None:
        """Begin to fit a model."""
        self.logs[name] = self.folder / f"{len(self.logs)}.log"
        self.futures[name] = self._pool.submit(_work, str(self.logs[name]), name, estimator, split)

    def wait(self, seconds: float) -> bool:
        """Wait for `seconds` or until all are done; return whether they are."""
        stop = time.monotonic() + seconds
        while time.monotonic() < stop and not all(f.done() for f in self.futures.values()):
            time.sleep(0.1)
        return all(f.done() for f in self.futures.values())

    def states(self) -> Iterator[tuple[str, str]]:
        """Name and last line of every model that is not done."""
        for name, future in self.futures.items():
            if not future.done():
                yield name, _last_line(self.logs[name])

    def result(self, name: str) -> Fitted:
        """Wait for a model and return it.

        Raises
        ------
        CommandError
            If its process was killed.
        """
        try:
            return self.futures[name].result()
        except BrokenProcessPool as error:
            raise CommandError(
                "a training process was killed, most likely for lack of memory; try --quick or a larger --bin-width"
            ) from error

    def close(self) -> None:
        """End the processes; what is still training is lost."""
        if not all(future.done() for future in self.futures.values()):
            for process in set(multiprocessing.active_children()) - self._others:
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _work(log: str, name: str, estimator: Any, split: Split) -> Fitted:
    with (
        open(log, "w", buffering=1) as file,
        contextlib.redirect_stderr(file),
        contextlib.redirect_stdout(file),
    ):
        return fit_and_score(name, estimator, split)


def _last_line(path: Path) -> str:
    try:
        text = path.read_text()
    except OSError:
        return "starting"
    lines = [line.strip() for line in text.replace("\r", "\n").split("\n")]
    return next((line for line in reversed(lines) if line), "starting")


def watch(background: Background, stream: Any = None, every: float = 0.5) -> None:
    """Show how far the models are until all are done; the first Ctrl-C asks them to end with what they have.

    Parameters
    ----------
    background : Background
        The models.
    stream : text file, default=None
        Where to write; standard error by default. One line that is rewritten on a terminal, else a line every
        half minute.
    every : float, default=0.5
        Seconds between two looks.
    """
    stream = sys.stderr if stream is None else stream
    live, last = stream.isatty(), time.monotonic()
    interrupted = False
    while True:
        try:
            done = background.wait(every)
            if live or time.monotonic() - last > 30:
                last = time.monotonic()
                text = " | ".join(f"{name}: {line}" for name, line in background.states())
                stream.write(f"\r\x1b[2K{text[: shutil.get_terminal_size().columns - 1]}" if live else f"{text}\n")
                stream.flush()
            if done:
                break
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            stream.write("\nending with what the models have learned so far; press Ctrl-C again to quit\n")
    if live:
        stream.write("\r\x1b[2K")
        stream.flush()
