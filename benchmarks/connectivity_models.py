"""What a trained Neuroformer shows of a network: coupling attention, effects and ordinary attention.

    python benchmarks/connectivity_models.py [--seeds 21 22 23]

`make_hub_network(level="medium")`, 24 units and 4 minutes; a small model, trained for some epochs, is read in several
ways, beside the direct coupling, CCG and Pearson on the same spikes; a second one without coupling attention shows what
effects and attention find where there are no kernels. Rows are added to
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
from _machine import keep_exactly

import skneuro
from skneuro import ConnectivityInference, NeuroformerEstimator
from skneuro.datasets import make_hub_network

RESULTS = pathlib.Path(__file__).parent / "results" / "connectivity_models.csv"
N_UNITS, DURATION, LEVEL = 24, 240.0, "medium"
MODEL = {"bin_width": 0.005, "window_bins": 4, "context": 0, "gamma": 0, "mu": 0.5, "d_model": 32, "max_epochs": 8}
# Which model is read, if any.
METHODS = {
    "Pearson": (None, {"method": "pearson"}),
    "CCG": (None, {"method": "ccg"}),
    "coupling, direct": (None, {"method": "coupling"}),
    "coupling of the model": ("coupled", {"method": "coupling"}),
    "effect, deletion": ("coupled", {"method": "effect"}),
    "effect, gradient x input": ("coupled", {"method": "effect", "effect": "gradient"}),
    "attention": ("coupled", {"method": "attention"}),
    "attention, rollout": ("coupled", {"method": "attention", "attention_rollout": True}),
    "attention x value": ("coupled", {"method": "attention", "attention_value_norm": True}),
    "effect, deletion; no coupling": ("uncoupled", {"method": "effect"}),
    "effect, gradient x input; no coupling": ("uncoupled", {"method": "effect", "effect": "gradient"}),
    "attention; no coupling": ("uncoupled", {"method": "attention"}),
}
MODELS = {"coupled": {}, "uncoupled": {"coupling": False, "context": 0.1}}
SCORES = ["auroc", "auprc", "auprc_chance", "signed_r2", "direction_rate"]
COLUMNS = ["level", "seed", "method", *SCORES, "seconds", "training", "settings", "date", "versions"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore", message="Attention is computed before")
    for seed in arguments.seeds:
        data = make_hub_network(N_UNITS, DURATION, LEVEL, seed)
        blocks = data.spikes.cut(10.0)
        models, training = {}, {}
        for name, more in MODELS.items():
            if name not in {METHODS[method][0] for method in arguments.methods}:
                continue
            start = time.perf_counter()
            models[name] = NeuroformerEstimator(**{**MODEL, **more}, random_state=0).fit(blocks)
            training[name] = time.perf_counter() - start
            score = models[name].best_validation_score_
            print(f"{seed} {name} trained in {training[name]:.0f} s, {score:.3f} bits per spike", flush=True)
        for name in arguments.methods:
            read, settings = METHODS[name]
            start = time.perf_counter()
            spikes = data.spikes if read is None else blocks
            inference = ConnectivityInference(models.get(read), **settings).fit(spikes)
            seconds = time.perf_counter() - start
            given = {} if read is None else {**MODEL, **MODELS[read]}
            scores = inference.compare(data.weights)
            if name.startswith("attention"):
                scores["signed_r2"] = float("nan")  # unsigned
            if name == "Pearson":
                scores["direction_rate"] = float("nan")  # symmetric
            row = {key: round(scores[key], 4) for key in SCORES}
            row |= {"level": LEVEL, "seed": seed, "method": name, "date": date.today().isoformat()}
            row |= {"seconds": round(seconds, 1), "training": round(training.get(read, 0.0), 1)}
            row["settings"] = " ".join(f"{k}={v}" for k, v in {**given, **settings}.items())
            row["versions"] = f"skneuro {skneuro.__version__}, torch {torch.__version__}, {platform.python_version()}"
            keep_exactly(RESULTS.stem, row, ("level", "seed", "method"), COLUMNS)
            print(f"{seed} {name:24} AUPRC {row['auprc']:.3f} direction {row['direction_rate']:.3f} {seconds:.0f} s")


if __name__ == "__main__":
    main()
