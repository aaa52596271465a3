"""Every method of connectivity inference on networks whose wiring is known.

    python benchmarks/connectivity.py [--sets levels faults spycon] [--seeds 21 22 23] [--levels easy medium hard]
    python benchmarks/connectivity.py --again CCG

Rows are added to ``results/connectivity.csv`` as they are measured; a row that is there is not measured again, unless
its method is named by ``--again``. The levels are 80 units of `make_hub_network` and 10 minutes, the faults 80 units of
its level "medium" recorded badly. For the spycon recordings, intervals are 95 % bootstrap intervals over pairs of units
(edges and other pairs apart). Nothing was tuned on these seeds.
"""

from __future__ import annotations

import argparse
import csv
import pathlib
import platform
import time
import warnings
from datetime import date

import numpy as np
import scipy
import sklearn
from _connectivity import BASELINES, bootstrap
from _machine import keep_exactly

import skneuro
from skneuro import ConnectivityInference
from skneuro.connectivity import significant_edges
from skneuro.datasets import fetch_spycon_1917, make_hub_network
from skneuro.metrics.connectivity import adjacency_scores, hub_recall

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity.csv"
N_UNITS, DURATION = 80, 600.0
METHODS = {
    **BASELINES,
    "GLM + Dale": {"method": "glm", "dale": True},
    "GLM + innovations": {"method": "glm", "background": "innovations"},
    "GLM + innovations + Dale": {"method": "glm", "background": "innovations", "dale": True},
    "coupling": {"method": "coupling"},
    "coupling, no Dale": {"method": "coupling", "dale": False},
    "coupling, no background": {"method": "coupling", "background": None},
}
FEW = ("CCG", "GLM", "coupling")
FAULTS = {
    "75 % observed": {"observed_fraction": 0.75},
    "25 % observed": {"observed_fraction": 0.25},
    "5 % observed": {"observed_fraction": 0.05},
    "8 merged units": {"n_merged": 8},
    "8 split cells": {"n_split": 8},
    "dead time 1 ms": {"dead_time": 0.001},
    "drift 2 mV": {"rate_drift": 2.0},
    "no Dale's law": {"dale": False},
}
SCORES = (
    "auroc",
    "auprc",
    "auprc_chance",
    "auprc_excitatory",
    "auprc_inhibitory",
    "signed_r2",
    "direction_rate",
    "sign_accuracy",
    "precision_at_k",
)
COLUMNS = [
    *("data", "seed", "method"),
    *SCORES,
    *("hub_recall", "found", "found_false", "found_of_edges", "auroc_low", "auroc_high", "auprc_low", "auprc_high"),
    *("n_edges", "seconds", "settings", "date", "versions"),
]


def measure(data: str, seed: str, method: str, spikes, weights, hubs) -> dict:
    """Fit and score one method."""
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # silent units: their pairs are left out
        inference = ConnectivityInference(**METHODS[method]).fit(spikes)
    seconds = time.perf_counter() - start
    weights = np.asarray(weights, dtype=float)
    scores = adjacency_scores(inference.adjacency_, weights)
    if method in ("Pearson", "partial correlation"):
        scores["direction_rate"] = float("nan")  # symmetric
    if method == "transfer entropy":
        scores["sign_accuracy"] = scores["signed_r2"] = float("nan")  # unsigned
    known = np.isfinite(weights) & ~np.eye(len(weights), dtype=bool)
    # Methods whose rate of false discoveries does not hold have no significant_: what the same procedure would find.
    chosen = getattr(inference, "significant_", None)
    if chosen is None:
        chosen = significant_edges(inference.z_scores_, inference.fdr, n_looks=len(inference.lags_))
    edge, found = known & (np.nan_to_num(weights) != 0), chosen & known
    row = {
        "data": data,
        "seed": seed,
        "method": method,
        "hub_recall": hub_recall(inference.adjacency_, hubs),
        "found": int(found.sum()),
        "found_false": (found & ~edge).sum() / max(found.sum(), 1),
        "found_of_edges": (found & edge).sum() / max(edge.sum(), 1),
        "n_edges": int(edge.sum()),
        "seconds": round(seconds, 1),
        "settings": f"bin_width={inference._bin_width:g} " + " ".join(f"{k}={v}" for k, v in METHODS[method].items()),
        "date": date.today().isoformat(),
        "versions": f"skneuro {skneuro.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
        f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}",
        **{name: scores[name] for name in SCORES},
    }
    if data.startswith("spycon"):
        row |= intervals(inference.adjacency_, weights)
    return row


def intervals(adjacency: np.ndarray, weights: np.ndarray, n_draws: int = 2000) -> dict:
    """95 % bootstrap intervals of AUROC and AUPRC; edges and other pairs are drawn apart."""
    low, high = np.percentile(bootstrap([adjacency], weights, n_draws)[:, 0], [2.5, 97.5], axis=0)
    return {"auroc_low": low[0], "auroc_high": high[0], "auprc_low": low[1], "auprc_high": high[1]}


def recordings(arguments: argparse.Namespace):
    """Name, seed, methods, and a function that makes the recording."""
    for level in arguments.levels if "levels" in arguments.sets else ():
        for seed in arguments.seeds:
            yield level, seed, METHODS, lambda level=level, seed=seed: make_hub_network(N_UNITS, DURATION, level, seed)
    for name in ("tiny", "long") if "spycon" in arguments.sets else ():
        yield f"spycon {name}", "-", METHODS, lambda name=name: fetch_spycon_1917(name)
    for name, fault in FAULTS.items() if "faults" in arguments.sets else ():
        for seed in arguments.fault_seeds:
            yield (
                f"medium, {name}",
                seed,
                FEW,
                lambda fault=fault, seed=seed: make_hub_network(N_UNITS, DURATION, "medium", seed, **fault),
            )


def keep(row: dict) -> None:
    """Add a row to the table, and print what matters of it."""
    rounded = {k: round(float(v), 4) if isinstance(v, (float, np.floating)) else v for k, v in row.items()}
    keep_exactly(RESULTS.stem, rounded, ("data", "seed", "method"), COLUMNS)
    print(
        f"{row['data']:24} {row['seed']!s:>3} {row['method']:26} AUPRC {row['auprc']:.3f}  signed R2 "
        f"{row['signed_r2']:.3f}  direction {row['direction_rate']:.3f}  {row['seconds']:.0f} s",
        flush=True,
    )


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sets = ["levels", "spycon", "faults"]
    parser.add_argument("--sets", nargs="+", default=sets, choices=sets)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--fault-seeds", type=int, nargs="+", default=[31, 32, 33])
    parser.add_argument("--levels", nargs="+", default=["easy", "medium", "hard"])
    parser.add_argument("--again", nargs="+", default=[], choices=list(METHODS))
    arguments = parser.parse_args()
    done = set()
    if RESULTS.exists():
        with RESULTS.open(newline="", encoding="utf-8") as file:
            done = {(row["data"], row["seed"], row["method"]) for row in csv.DictReader(file)}
    for name, seed, methods, make in recordings(arguments):
        missing = [m for m in methods if m in arguments.again or (name, str(seed), m) not in done]
        if not missing:
            continue
        data = make()
        for method in missing:
            hubs = data.get("hubs", [])
            keep(measure(name, seed, method, data.spikes, data.weights, hubs))


if __name__ == "__main__":
    main()
