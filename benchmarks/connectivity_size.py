"""What the default method costs as the population grows: CPU seconds, seconds, memory.

    python benchmarks/connectivity_size.py [--units 80 250 500 1000] [--levels easy medium hard drift]

Ten minutes of independent units at 5 Hz, each size in a process of its own: there is no shared input to find, so that
the fit is one round; shared input costs three further ones, as the hub networks of 80 observed units show ("drift" is
the level "medium" with a drift of 2 mV). Rows are kept in ``results/connectivity_size.csv``.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from _machine import in_own_process, keep, provenance

from skneuro import ConnectivityInference, SpikeTrains
from skneuro.datasets import make_hub_network

DURATION, RATE = 600.0, 5.0
INDEPENDENT = "independent"


def independent(n_units: int) -> SpikeTrains:
    """Units that know nothing of each other: none of their pairs is an edge."""
    rng = np.random.default_rng(0)
    n_spikes = int(n_units * DURATION * RATE)
    times, units = rng.random(n_spikes) * DURATION, rng.integers(0, n_units, n_spikes)
    return SpikeTrains.from_events(times, units, epochs=[(0.0, DURATION)])


def fit(data: str, n_units: int, method: str) -> tuple[float, float, int]:
    """CPU seconds and seconds of a fit, and how many pairs it found."""
    if data == INDEPENDENT:
        spikes = independent(n_units)
    else:
        fault = {"rate_drift": 2.0} if data == "drift" else {}
        level = "medium" if data == "drift" else data
        spikes = make_hub_network(n_units, DURATION, level=level, random_state=21, **fault).spikes
    cpu, wall = time.process_time(), time.perf_counter()
    inference = ConnectivityInference(method=method).fit(spikes)
    return time.process_time() - cpu, time.perf_counter() - wall, int(inference.significant_.sum())


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="*", default=[80, 250, 500, 1000])
    parser.add_argument("--method", nargs="+", default=["coupling"])
    parser.add_argument("--levels", nargs="*", default=["easy", "medium", "hard", "drift"])
    arguments = parser.parse_args()
    cases = [(INDEPENDENT, n) for n in arguments.units] + [(level, 80) for level in arguments.levels]
    for data, n_units in cases:
        for method in arguments.method:
            (cpu, wall, found), _, peak = in_own_process(fit, data, n_units, method)
            row = {"data": data, "units": n_units, "method": method, "cpu_seconds": round(cpu), "seconds": round(wall)}
            row |= {"peak_mb": round(peak), "found": found, "pairs": n_units * (n_units - 1)}
            row |= provenance(0, f"{DURATION:g} s at {RATE:g} Hz")
            keep("connectivity_size", [row], ("data", "units", "method"))
            print(row, flush=True)


if __name__ == "__main__":
    main()
