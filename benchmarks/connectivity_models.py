"""What a trained Neuroformer shows of a network: coupling attention and ordinary attention.

    python benchmarks/connectivity_models.py [--seeds 21 22 23]

`make_hub_network(level="easy")`, 24 units and 4 minutes; a small model, trained for some epochs, is read in several
ways, beside the direct coupling, CCG and Pearson on the same spikes. Rows are added to
``results/connectivity_models.csv``.
"""

from __future__ import annotations

import argparse
import pathlib
import platform
import time
import warnings
from datetime import date

import torch
from _connectivity import add_row

import skneuro
from skneuro import ConnectivityInference, NeuroformerEstimator
from skneuro.datasets import make_hub_network

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_models.csv"
N_UNITS, DURATION, LEVEL = 24, 240.0, "easy"
MODEL = {"bin_width": 0.005, "window_bins": 4, "context": 0, "gamma": 0, "mu": 0.5, "d_model": 32, "max_epochs": 8}
METHODS = {
    "Pearson": (False, {"method": "pearson"}),
    "CCG": (False, {"method": "ccg"}),
    "coupling, direct": (False, {"method": "coupling"}),
    "coupling of the model": (True, {"method": "coupling"}),
    "attention": (True, {"method": "attention"}),
    "attention, rollout": (True, {"method": "attention", "attention_rollout": True}),
    "attention x value": (True, {"method": "attention", "attention_value_norm": True}),
}
COLUMNS = ["seed", "method", "auroc", "auprc", "auprc_chance", "signed_r2", "direction_rate", "seconds", "settings"]
COLUMNS += ["date", "versions"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    warnings.filterwarnings("ignore", message="Attention is computed before")
    for seed in parser.parse_args().seeds:
        data = make_hub_network(N_UNITS, DURATION, LEVEL, seed)
        blocks = data.spikes.cut(10.0)
        start = time.perf_counter()
        model = NeuroformerEstimator(**MODEL, random_state=0).fit(blocks)
        training = time.perf_counter() - start
        print(f"{seed} trained in {training:.0f} s, {model.best_validation_score_} bits per spike", flush=True)
        for name, (of_model, settings) in METHODS.items():
            start = time.perf_counter()
            spikes = blocks if of_model else data.spikes
            inference = ConnectivityInference(model if of_model else None, **settings).fit(spikes)
            seconds = time.perf_counter() - start + training * of_model
            scores = inference.compare(data.weights)
            if name.startswith("attention"):
                scores["signed_r2"] = float("nan")  # unsigned
            if name == "Pearson":
                scores["direction_rate"] = float("nan")  # symmetric
            row = {key: round(scores[key], 4) for key in COLUMNS[2:7]}
            row |= {"seed": seed, "method": name, "seconds": round(seconds, 1), "date": date.today().isoformat()}
            row["settings"] = " ".join(f"{k}={v}" for k, v in {**(MODEL if of_model else {}), **settings}.items())
            row["versions"] = f"skneuro {skneuro.__version__}, torch {torch.__version__}, {platform.python_version()}"
            add_row(RESULTS, COLUMNS, row)
            print(f"{seed} {name:24} AUPRC {row['auprc']:.3f} direction {row['direction_rate']:.3f} {seconds:.0f} s")


if __name__ == "__main__":
    main()
