"""How sure it is that one method beats the cross-correlogram on the recordings of spycon: a paired bootstrap.

    python benchmarks/connectivity_spycon.py

All methods are fitted to the same recording; pairs of units (edges and others apart) are drawn with replacement, the
same for all methods, and the differences of AUROC and AUPRC to the cross-correlogram are kept. Written to
``results/connectivity_spycon.csv``.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
from datetime import date

import numpy as np
import scipy
import sklearn
from _connectivity import bootstrap
from _machine import keep_exactly

import skneuro
from skneuro import ConnectivityInference
from skneuro.datasets import fetch_spycon_1917
from skneuro.metrics.connectivity import auprc, auroc

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_spycon.csv"
METHODS = ("ccg", "coupling", "lagged_correlation", "transfer_entropy")
COLUMNS = ["data", "method", "n_edges", "auroc", "auprc", "auroc_more", "auroc_more_low", "auroc_more_high"]
COLUMNS += ["auprc_more", "auprc_more_low", "auprc_more_high", "auprc_better", "date", "versions"]


def against_first(adjacencies: list[np.ndarray], weights: np.ndarray, n_draws: int = 2000) -> list[dict]:
    """By how much each method beats the first one, with 95 % intervals, and in what share of the draws in AUPRC."""
    draws = bootstrap(adjacencies, weights, n_draws)
    rows = []
    for k, adjacency in enumerate(adjacencies):
        more = draws[:, k] - draws[:, 0]
        low, high = np.percentile(more, [2.5, 97.5], axis=0)
        more[np.abs(more) < 1e-9] = 0.0  # ties but for rounding
        row = {"auprc_better": float((more[:, 1] > 0).mean() + 0.5 * (more[:, 1] == 0).mean())}
        for column, (name, function) in enumerate({"auroc": auroc, "auprc": auprc}.items()):
            row[name] = function(adjacency, weights)
            row[f"{name}_more"] = row[name] - function(adjacencies[0], weights)
            row[f"{name}_more_low"], row[f"{name}_more_high"] = low[column], high[column]
        rows.append(row)
    return rows


def main() -> None:
    """Measure, print and write."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    versions = f"skneuro {skneuro.__version__}, numpy {np.__version__}, scipy {scipy.__version__}, "
    versions += f"scikit-learn {sklearn.__version__}, Python {platform.python_version()}"
    for name in ("tiny", "long"):
        data = fetch_spycon_1917(name)
        weights = np.asarray(data.weights, dtype=float)
        fitted = [ConnectivityInference(method=method).fit(data.spikes).adjacency_ for method in METHODS]
        for method, row in zip(METHODS, against_first(fitted, weights), strict=True):
            row = {key: round(float(value), 4) for key, value in row.items()}
            row |= {"data": f"spycon {name}", "method": method, "n_edges": int((np.nan_to_num(weights) != 0).sum())}
            row |= {"date": date.today().isoformat(), "versions": versions}
            keep_exactly(RESULTS.stem, row, ("data", "method"), COLUMNS)
            print(
                f"{row['data']} {method:20} AUPRC {row['auprc']:.3f}, more than CCG's by {row['auprc_more']:+.3f} "
                f"({row['auprc_more_low']:+.3f} to {row['auprc_more_high']:+.3f}), better in "
                f"{row['auprc_better']:.2f} of the draws",
                flush=True,
            )


if __name__ == "__main__":
    main()
