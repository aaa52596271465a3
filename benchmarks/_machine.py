"""What the speed benchmarks share: timing that survives other load, the machine's matrix peak, memory, result files.

Times are medians of CPU time of this process with one thread, the candidates of a comparison taking turns in one
process: ratios of such times hold on a machine that others use too, the times themselves do so only roughly. Where a
time is wall time, the column says so.
"""

from __future__ import annotations

import argparse
import csv
import ctypes
import datetime
import multiprocessing
import pathlib
import platform
import re
import resource
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

RESULTS = pathlib.Path(__file__).parent / "results"
GEMM_SIZES = (512, 1024, 1536)


def arguments(doc: str, *more: tuple[str, dict]) -> argparse.Namespace:
    """The options that every script has, and some of its own."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="smallest cases, few repetitions: does it run at all")
    parser.add_argument("--write", action="store_true", help="keep the rows in benchmarks/results/")
    parser.add_argument("--seed", type=int, default=0)
    for name, settings in more:
        parser.add_argument(name, **settings)
    torch.set_num_threads(1)
    options = parser.parse_args()
    if options.quick and options.write:
        parser.error("--quick shows whether a script runs; its rows must not replace measured ones. Leave out --write.")
    return options


# ---- time ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Timing:
    """Repeated times of one candidate, seconds."""

    cpu: np.ndarray
    wall: np.ndarray

    @property
    def median(self) -> float:
        """Median CPU time."""
        return float(np.median(self.cpu))

    @property
    def spread(self) -> float:
        """Largest over smallest CPU time."""
        return float(self.cpu.max() / self.cpu.min())


def interleave(candidates: dict[str, Callable[[], object]], repetitions: int, warm_up: int = 1) -> dict[str, Timing]:
    """Time some functions in turn, `repetitions` times each, after `warm_up` turns that do not count."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for turn in range(warm_up + repetitions):
        for name, function in candidates.items():
            cpu, wall = time.process_time(), time.perf_counter()
            function()
            taken = time.process_time() - cpu, time.perf_counter() - wall
            if turn >= warm_up:
                times[name].append(taken)
    return {name: Timing(*np.array(taken).T) for name, taken in times.items()}


def matrix_peak(repetitions: int = 5) -> float:
    """Best float32 matrix product seen on one thread, in floating point operations a second of CPU time."""
    best = 0.0
    for size in GEMM_SIZES:
        a, b = torch.randn(2, size, size)
        out = torch.empty(size, size)
        for _ in range(repetitions + 1):
            start = time.process_time()
            torch.mm(a, b, out=out)
            best = max(best, 2 * size**3 / (time.process_time() - start))
    return best


# ---- memory --------------------------------------------------------------------------------------------------------


_before_resets = [0.0]  # largest resident sizes that the system was told to forget


def peak_memory() -> float:
    """Largest resident size of this process so far, in MB."""
    return max(_before_resets[0], _peak_since_reset())


def _peak_since_reset() -> float:
    high_water = re.search(r"VmHWM:\s*(\d+) kB", _read("/proc/self/status"))
    if high_water:  # the other one is handed down by the process that started this one
        return int(high_water[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory_of(function: Callable[[], object]) -> float:
    """MB by which the resident size grows, at its largest, while a function runs; nan where Linux does not tell."""
    try:
        _before_resets[0] = peak_memory()
        pathlib.Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again
    except OSError:
        return float("nan")
    before = _peak_since_reset()
    function()
    return _peak_since_reset() - before


class _MallInfo(ctypes.Structure):
    """What glibc's ``mallinfo2`` returns."""

    _fields_ = [(name, ctypes.c_size_t) for name in (
        "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"
    )]  # fmt: skip


def live_memory() -> float:
    """MB that are allocated and not given back to the allocator, freed holes left out; nan without glibc."""
    try:
        ask = ctypes.CDLL(None).mallinfo2
    except (AttributeError, OSError, TypeError):
        return float("nan")
    ask.restype = _MallInfo
    found = ask()
    return (found.uordblks + found.hblkhd) / 2**20


def growth_of(function: Callable[[], object]) -> tuple[float, float]:
    """MB by which the resident size, and what is live of it, grow at their largest while a function runs.

    The second is looked at twenty times a second. It leaves out what the allocator keeps in holes, which grows with
    time by chance and not with what a program holds.
    """
    before, done = live_memory(), threading.Event()
    seen = [before]

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(live_memory())

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        resident = memory_of(function)
    finally:
        done.set()
        watcher.join()
    return resident, max(seen) - before


def _measured(function: Callable, arguments: tuple, pipe) -> None:
    torch.set_num_threads(1)
    before = peak_memory()
    result = function(*arguments)
    pipe.send((result, before, peak_memory()))


def in_own_process(function: Callable, *arguments) -> tuple[object, float, float]:
    """Call a function of a module in a fresh process.

    Returns
    -------
    result : object
    before, peak : float
        Largest resident size when it was called and in the end, in MB.
    """
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(function, arguments, theirs))
    process.start()
    theirs.close()
    try:
        return mine.recv()
    except EOFError:
        raise RuntimeError(f"{function.__name__}{arguments} ended without a result") from None
    finally:
        process.join()


# ---- tables --------------------------------------------------------------------------------------------------------


def short(value: object) -> str:
    """A number with three digits that mean something; everything else as it is."""
    if isinstance(value, float) and np.isfinite(value):
        digits = 0 if value == 0 else int(np.floor(np.log10(abs(value))))
        return f"{value:.2e}" if digits < -3 else f"{value:,.{max(2 - digits, 0)}f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def show(title: str, rows: Sequence[dict]) -> None:
    """Print rows of the same columns as a table."""
    print(f"\n{title}")
    if not rows:
        return
    table = [list(rows[0])] + [[short(row.get(name, "")) for name in rows[0]] for row in rows]
    width = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        print("  ".join(cell.rjust(w) for cell, w in zip(line, width, strict=True)), flush=True)


def provenance(seed: int | str, settings: str) -> dict:
    """What belongs to every number that is kept."""
    import sklearn

    import skneuro

    model = re.search(r"model name\s*: (.*)", _read("/proc/cpuinfo"))
    return {
        "settings": settings,
        "seed": seed,
        "date": datetime.date.today().isoformat(),
        "machine": f"{model[1] if model else platform.processor()}, {torch.get_num_threads()} thread, "
        f"load {' '.join(_read('/proc/loadavg').split()[:1])}",
        "versions": f"skneuro {skneuro.__version__}, torch {torch.__version__}, numpy {np.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}",
    }


def _read(path: str) -> str:
    file = pathlib.Path(path)
    return file.read_text() if file.exists() else ""


def kept(name: str) -> list[dict[str, str]]:
    """Rows of ``results/<name>.csv``, none where there is no such file."""
    path = RESULTS / f"{name}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def keep(name: str, rows: Sequence[dict], key: Sequence[str]) -> pathlib.Path:
    """Write rows to ``results/<name>.csv``; earlier rows with the same values in the columns of `key` give way."""
    path = RESULTS / f"{name}.csv"
    path.parent.mkdir(exist_ok=True)
    written = [{k: short(v) if isinstance(v, float) else str(v) for k, v in row.items()} for row in rows]
    new = {tuple(row[k] for k in key) for row in written}
    rows_kept = [row for row in kept(name) if tuple(row.get(k, "") for k in key) not in new] + written
    columns = list(dict.fromkeys(column for row in [*written, *rows_kept] for column in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows_kept)
    return path


def keep_exactly(name: str, row: dict, key: Sequence[str], columns: Sequence[str] = ()) -> pathlib.Path:
    """As :func:`keep`, one row with all its digits, in the order of `columns` where that is given."""
    return keep(name, [{column: str(row.get(column, "")) for column in columns or row}], key)
