"""Two commits of skneuro, measured in turns on the same data.

    python benchmarks/compare.py BASE HEAD [--quick] [--write] [--turns 5] [--jobs epoch score]

Each commit is checked out into a temporary worktree and runs in a process of its own; the two take turns, job by job,
so that other load on the machine meets both. A ratio is BASE's median CPU time over HEAD's: above 1, HEAD is faster.
Jobs use the public interface of both commits only, on one thread.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

import numpy as np
from _machine import arguments, keep, provenance, show

ROOT = pathlib.Path(__file__).resolve().parent.parent
JOBS = ("tokenize", "epoch", "epoch, video", "score", "predict", "sample, 1 row", "sample, 64 rows")

# Read by a fresh interpreter that finds the commit's skneuro first; prints one CPU time for every job it is asked for.
WORKER = """
import sys, time, warnings
import numpy as np
import torch
torch.set_num_threads(1)
warnings.simplefilter("ignore")
import skneuro
from skneuro import NeuroformerEstimator
from skneuro.data import SpikeTrains, Video
from skneuro.preprocessing import SpikeTokenizer
source, n_units, n_trials, n_bins, seed = sys.argv[1], *map(int, sys.argv[2:])
assert skneuro.__file__.startswith(source), f"{skneuro.__file__} is not of {source}"
rng = np.random.default_rng(seed)
spikes = SpikeTrains.from_counts(rng.poisson(0.05, (n_trials, n_bins, n_units)), bin_width=0.01)
frames = rng.standard_normal((1, -(-n_bins // 5), 16, 16), dtype=np.float32)
video = Video(frames, fps=20, index=np.zeros(n_trials, dtype=int))
def model():
    return NeuroformerEstimator(gamma=0.1, mu=0.45, random_state=seed)
fitted = model().partial_fit(spikes)
jobs = {
    "tokenize": lambda: SpikeTokenizer(bin_width=0.01, window_bins=5).fit_transform(spikes),
    "epoch": lambda: model().partial_fit(spikes),
    "epoch, video": lambda: model().partial_fit(spikes, video),
    "score": lambda: fitted.score(spikes),
    "predict": lambda: fitted.predict(spikes[:1], n_samples=4),
    "sample, 1 row": lambda: fitted.sample(None, 1, duration=0.5, random_state=0),
    "sample, 64 rows": lambda: fitted.sample(None, 64, duration=0.5, random_state=0),
}
print("ready", flush=True)
for line in sys.stdin:
    start = time.process_time()
    jobs[line.strip()]()
    print(time.process_time() - start, flush=True)
"""


@contextlib.contextmanager
def checked_out(commit: str) -> Iterator[pathlib.Path]:
    """A worktree of a commit that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder).resolve() / "tree"
        git("worktree", "add", "--detach", str(place), commit)
        try:
            yield place
        finally:
            git("worktree", "remove", "--force", str(place))


def git(*words: str) -> str:
    """Run git in this repository."""
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"git {' '.join(words)} failed: {done.stderr.strip()}")
    return done.stdout.strip()


class Worker:
    """A process that runs jobs with one commit's skneuro."""

    def __init__(self, place: pathlib.Path, sizes: list[int]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(place), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-P", "-c", WORKER, str(place), *map(str, sizes)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=place
        )
        self._answer()

    def _answer(self) -> str:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the worker ended with {self.process.wait()}; its message stands above")
        return line

    def run(self, job: str) -> float:
        """CPU time of a job, seconds."""
        self.process.stdin.write(job + "\n")
        self.process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self.process.stdin.close()
        self.process.wait()


def main() -> None:
    options = arguments(
        __doc__,
        ("base", {}),
        ("head", {}),
        ("--turns", {"type": int, "default": 5}),
        ("--jobs", {"nargs": "+", "choices": JOBS, "default": list(JOBS)}),
    )
    names = {way: git("rev-parse", "--short", f"{getattr(options, way)}^{{commit}}") for way in ("base", "head")}
    sizes = [20, 4, 200, options.seed] if options.quick else [100, 8, 800, options.seed]
    turns = 2 if options.quick else options.turns
    with checked_out(names["base"]) as base, checked_out(names["head"]) as head:
        workers = {"base": Worker(base, sizes), "head": Worker(head, sizes)}
        rows = []
        for job in options.jobs:
            times = {way: [] for way in workers}
            for turn in range(turns + 1):
                order = list(workers) if turn % 2 else list(workers)[::-1]
                for way in order:
                    times[way].append(workers[way].run(job))
            median = {way: float(np.median(taken[1:])) for way, taken in times.items()}  # the first one warms up
            ratios = np.array(times["base"][1:]) / np.array(times["head"][1:])
            rows.append({
                "job": job, "base": names["base"], "head": names["head"], "base s": median["base"],
                "head s": median["head"], "ratio": median["base"] / median["head"],
                "smallest": float(ratios.min()), "largest": float(ratios.max()), "turns": turns,
            })  # fmt: skip
            show("CPU time, base over head", rows[-1:])
        for worker in workers.values():
            worker.close()
    show("CPU time, base over head", rows)
    if options.write:
        settings = "{} units, 5 Hz, {} trials of {} bins of 10 ms, default parameters".format(*sizes)
        keep("compare", [{**row, **provenance(options.seed, settings)} for row in rows], ["job", "base", "head"])


if __name__ == "__main__":
    main()
