"""False edges between units that a stimulus drives together, with the stimulus given and without.

    python benchmarks/connectivity_stimulus.py [--seeds 21 22 23]

`make_hub_network(level="stimulus")`, 40 units and 5 minutes. The model of the stimulus is the baseline `CoupledGLM`,
fitted to the same spikes and the stimulus. A pair is "commonly driven" if it is not connected and the product of the
two units' loadings is above the median of all pairs; it is a false edge if it is among as many strongest pairs as there
are true edges. Rows are added to ``results/connectivity_stimulus.csv``.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import time
from datetime import date

import numpy as np
import sklearn
from _connectivity import BASELINES
from _machine import keep_exactly

import skneuro
from skneuro import ConnectivityInference
from skneuro.baselines import CoupledGLM
from skneuro.datasets import make_hub_network
from skneuro.metrics.connectivity import auprc

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_stimulus.csv"
N_UNITS, DURATION = 40, 300.0
METHODS = {
    **BASELINES,
    "coupling, no background": {"background": None},
    "coupling, innovations": {"background": "innovations"},
    "GLM, model": {"method": "glm", "background": "model"},
    "coupling, model": {"background": "model"},
}
COLUMNS = ["seed", "method", "false_driven", "n_driven", "n_edges", "auprc", "seconds", "settings", "date", "versions"]


def false_edges(adjacency: np.ndarray, driven: np.ndarray, n_edges: int) -> int:
    """Commonly driven pairs among the `n_edges` strongest."""
    size = np.nan_to_num(np.abs(adjacency), nan=-1.0)
    strongest = np.argsort(-size, axis=None, kind="stable")[:n_edges]
    return int(driven.ravel()[strongest].sum())


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    for seed in arguments.seeds:
        data = make_hub_network(N_UNITS, DURATION, "stimulus", seed)
        start = time.perf_counter()
        model = None
        if any(METHODS[name].get("background") == "model" for name in arguments.methods):
            model = CoupledGLM(bin_width=0.01, history=0.1, stimulus_history=0.1).fit(data.spikes, data.stimuli)
        of_model = time.perf_counter() - start
        common, off = np.abs(data.loadings @ data.loadings.T), ~np.eye(N_UNITS, dtype=bool)
        driven = (common > np.median(common[off])) & (data.weights == 0) & off
        n_edges = int((data.weights != 0).sum())
        for name in arguments.methods:
            settings = METHODS[name]
            start = time.perf_counter()
            known = settings.get("background") == "model"
            inference = ConnectivityInference(model if known else None, **settings)
            inference.fit(data.spikes, data.stimuli if known else None)
            seconds = time.perf_counter() - start + (of_model if known else 0.0)
            row = {
                "seed": seed,
                "method": name,
                "false_driven": false_edges(inference.adjacency_, driven, n_edges),
                "n_driven": int(driven.sum()),
                "n_edges": n_edges,
                "auprc": round(auprc(inference.adjacency_, data.weights), 4),
                "seconds": round(seconds, 1),
                "settings": " ".join(f"{key}={value}" for key, value in settings.items()),
                "date": date.today().isoformat(),
                "versions": f"skneuro {skneuro.__version__}, numpy {np.__version__}, scikit-learn "
                f"{sklearn.__version__}, Python {platform.python_version()}",
            }
            keep_exactly(RESULTS.stem, row, ("seed", "method"), COLUMNS)
            print(f"{seed} {name:24} false {row['false_driven']} AUPRC {row['auprc']:.2f} {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
