"""What the default method costs as the population grows: CPU seconds, seconds, memory.

    python benchmarks/connectivity_size.py [--units 80 250 500 1000] [--method coupling glm]

Ten minutes of independent units at 5 Hz, each size in a process of its own: there is no shared input to find, so that
the fit is one round; shared input costs three further ones. Rows are added to ``results/connectivity_size.csv``.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import time
from datetime import date

import numpy as np
import scipy
from _connectivity import add_row
from _machine import in_own_process

import skneuro
from skneuro import ConnectivityInference, SpikeTrains

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_size.csv"
DURATION, RATE = 600.0, 5.0
COLUMNS = ["units", "method", "cpu_seconds", "seconds", "peak_mb", "found", "pairs", "date", "versions"]


def fit(n_units: int, method: str) -> tuple[float, float, int]:
    """CPU seconds and seconds of a fit, and how many pairs it found, of which none is true."""
    rng = np.random.default_rng(0)
    n_spikes = int(n_units * DURATION * RATE)
    times, units = rng.random(n_spikes) * DURATION, rng.integers(0, n_units, n_spikes)
    spikes = SpikeTrains.from_events(times, units, epochs=[(0.0, DURATION)])
    cpu, wall = time.process_time(), time.perf_counter()
    inference = ConnectivityInference(method=method).fit(spikes)
    return time.process_time() - cpu, time.perf_counter() - wall, int(inference.significant_.sum())


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[80, 250, 500, 1000])
    parser.add_argument("--method", nargs="+", default=["coupling"])
    arguments = parser.parse_args()
    versions = f"skneuro {skneuro.__version__}, numpy {np.__version__}, scipy {scipy.__version__}"
    for n_units in arguments.units:
        for method in arguments.method:
            (cpu, wall, found), _, peak = in_own_process(fit, n_units, method)
            row = {"units": n_units, "method": method, "cpu_seconds": round(cpu), "seconds": round(wall)}
            row |= {"peak_mb": round(peak), "found": found, "pairs": n_units * (n_units - 1)}
            row |= {"date": date.today().isoformat(), "versions": f"{versions}, Python {platform.python_version()}"}
            add_row(RESULTS, COLUMNS, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
