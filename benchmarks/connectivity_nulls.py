"""How many false edges are found where no unit drives another.

    python benchmarks/connectivity_nulls.py [--seeds 0 1 2]

Recordings of `_nulls` (24 units, 4 minutes), every method that names significant edges, and what the same procedure
would find by the scores of those that do not. Rows are added to ``results/connectivity_nulls.csv``.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
from datetime import date

import numpy as np
import scipy
import sklearn
from _machine import keep_exactly
from _nulls import NULLS, no_edge

import skneuro
from skneuro import ConnectivityInference
from skneuro.connectivity import significant_edges

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_nulls.csv"
N_UNITS, DURATION, FDR = 24, 240.0, 0.05
METHODS = ("coupling", "glm", "ccg", "lagged_correlation", "transfer_entropy")
COLUMNS = ["null", "seed", "method", "promised", "found", "pairs", "settings", "date", "versions"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    versions = f"skneuro {skneuro.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
    versions += f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}"
    for seed in parser.parse_args().seeds:
        for null, make in NULLS.items():
            spikes = make(N_UNITS, DURATION, np.random.default_rng(seed))
            false = no_edge(null, N_UNITS)
            for method in METHODS:
                inference = ConnectivityInference(method=method, fdr=FDR).fit(spikes)
                promised = hasattr(inference, "significant_")
                if promised:
                    found = inference.significant_
                else:
                    found = significant_edges(inference.z_scores_, FDR, n_looks=len(inference.lags_))
                row = {"null": null, "seed": seed, "method": method, "promised": promised}
                row |= {"found": int((found & false).sum()), "pairs": int(false.sum())}
                row |= {"settings": f"{N_UNITS} units {DURATION:g} s fdr={FDR}", "date": date.today().isoformat()}
                keep_exactly(RESULTS.stem, row | {"versions": versions}, ("null", "seed", "method"), COLUMNS)
                print(f"{null:18} {seed} {method:20} {row['found']:4} of {row['pairs']}", flush=True)


if __name__ == "__main__":
    main()
