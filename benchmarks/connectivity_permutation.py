"""Whether a Neuroformer that is trained on units in another order learns the same couplings.

    python benchmarks/connectivity_permutation.py [--seeds 0 1 2]

The spikes of `make_hub_network(level="medium")`, 24 units and 4 minutes, seed 21, are given to models of several seeds,
once as they are and once with the units in another order (another one for each seed). The couplings that are read, put
back in order, are correlated over all pairs of units: between two seeds and the same order, and between two orders (of
the same seed, and of different ones). Written to ``results/connectivity_permutation.csv``.
"""

from __future__ import annotations

import argparse
import platform
from datetime import date
from itertools import combinations

import numpy as np
import torch
from _machine import keep_exactly
from connectivity_models import DURATION, LEVEL, MODEL, N_UNITS

import skneuro
from skneuro import ConnectivityInference, NeuroformerEstimator
from skneuro.datasets import make_hub_network
from skneuro.metrics.connectivity import auprc

COLUMNS = ["kind", "seeds", "correlation", "auprc", "settings", "date", "versions"]


def in_place(adjacency: np.ndarray, order: np.ndarray) -> np.ndarray:
    """An adjacency of units ``order`` of a recording, in the recording's own order."""
    back = np.argsort(order)
    return adjacency[np.ix_(back, back)]


def kind_of(a: tuple[int, bool], b: tuple[int, bool]) -> str:
    """How two models, each a seed and whether its units were permuted, differ."""
    if a[1] == b[1]:
        return "other seed, each its own order" if a[1] else "other seed, same order"
    return "same seed, other order" if a[0] == b[0] else "other seed, other order"


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    data = make_hub_network(N_UNITS, DURATION, LEVEL, 21)
    blocks, found = data.spikes.cut(10.0), {}
    for seed in parser.parse_args().seeds:
        for permuted in (False, True):
            order = np.random.default_rng(seed).permutation(N_UNITS) if permuted else np.arange(N_UNITS)
            spikes = blocks.select_units(blocks.unit_ids[order])
            model = NeuroformerEstimator(**MODEL, random_state=seed).fit(spikes)
            found[seed, permuted] = in_place(ConnectivityInference(model).fit(spikes).adjacency_, order)
            print(seed, permuted, f"AUPRC {auprc(found[seed, permuted], data.weights):.3f}", flush=True)
    pairs = ~np.eye(N_UNITS, dtype=bool)
    settings = " ".join(f"{k}={v}" for k, v in MODEL.items())
    versions = f"skneuro {skneuro.__version__}, torch {torch.__version__}, {platform.python_version()}"
    for a, b in combinations(sorted(found), 2):
        row = {
            "kind": kind_of(a, b),
            "seeds": " ".join(f"{seed}{'p' if permuted else ''}" for seed, permuted in (a, b)),
            "correlation": round(float(np.corrcoef(found[a][pairs], found[b][pairs])[0, 1]), 4),
            "auprc": " ".join(f"{auprc(found[k], data.weights):.4f}" for k in (a, b)),
            "settings": settings,
            "date": date.today().isoformat(),
            "versions": versions,
        }
        keep_exactly("connectivity_permutation", row, ("kind", "seeds"), COLUMNS)
        print(f"{row['kind']:32} {row['seeds']:6} r = {row['correlation']:.4f}", flush=True)


if __name__ == "__main__":
    main()
