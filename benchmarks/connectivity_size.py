"""What the default method costs as the population grows: CPU seconds, seconds, memory.

    python benchmarks/connectivity_size.py [--units 80 250 500 1000] [--method coupling glm]

Ten minutes of independent units at 5 Hz, each size in a process of its own: there is no shared input to find, so that
the fit is one round; shared input costs three further ones. Rows are kept in ``results/connectivity_size.csv``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _machine import in_own_process, keep, provenance

from skneuro import ConnectivityInference, SpikeTrains

DURATION, RATE = 600.0, 5.0


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
    for n_units in arguments.units:
        for method in arguments.method:
            (cpu, wall, found), _, peak = in_own_process(fit, n_units, method)
            row = {"units": n_units, "method": method, "cpu_seconds": round(cpu), "seconds": round(wall)}
            row |= {"peak_mb": round(peak), "found": found, "pairs": n_units * (n_units - 1)}
            row |= provenance(0, f"{DURATION:g} s at {RATE:g} Hz")
            keep("connectivity_size", [row], ("units", "method"))
            print(row, flush=True)


if __name__ == "__main__":
    main()
