"""Hand velocity and position from S1, with all labels and with few, by the blocks of `_s1.py`.

    python benchmarks/decoding.py [--tasks velocity position few-shot] [--seeds 0 1 2 3 4] [--decoders NAME ...]

A Neuroformer is pretrained on the spikes of the training blocks, once a seed, and kept in the folder ``--models``. The
decoders learn from labels of training blocks: of all of them, or of one contiguous run of trials that a seed chooses
(few-shot; every decoder gets the same), by `skneuro.model_selection.few_shot_curve`. R2, the mean of both outputs, on
validation and test blocks. The rows go to ``results/decoding.csv``. Set SKNEURO_DATA to the folder with the recording.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile

import numpy as np
from _decoders import GRU, MLP, Boosting, Ridge
from _machine import keep, provenance
from _s1 import BIN_WIDTH
from sklearn.base import BaseEstimator
from sklearn.metrics import r2_score

import skneuro
from skneuro import NeuroformerEstimator, NeuroformerRegressor
from skneuro.datasets import block_split, fetch_s1_reaching
from skneuro.model_selection import few_shot_curve

KEYS = ["task", "decoder", "input", "labels", "seed"]
LAG = 0.5
INPUTS = {"causal": range(-9, 1), "both sides": range(-9, 10)}
MODES = ("frozen", "finetune", "scratch")
COMPARED = {"ridge": Ridge, "gradient boosting": Boosting, "MLP": MLP, "GRU": GRU}
FRACTIONS = (0.01, 0.05, 0.1, 0.2, 1.0)


def pretrained(folder: pathlib.Path, spikes, seed: int) -> NeuroformerEstimator:
    """The Neuroformer of a seed, fitted to spikes alone, from its file where there is one."""
    path = folder / f"s1-{seed}.skn"
    if not path.exists():
        model = NeuroformerEstimator(bin_width=BIN_WIDTH, window_bins=1, gamma=0.0, mu=0.5, random_state=seed)
        folder.mkdir(parents=True, exist_ok=True)
        model.fit(spikes).save(path)
    return skneuro.load(path)


class OnCounts(BaseEstimator):
    """A decoder of `_decoders.py` in the form of scikit-learn's: spikes and series in, R2 out."""

    def __init__(self, name: str, lags: range, random_state: int = 0) -> None:
        self.name, self.lags, self.random_state = name, lags, random_state

    def fit(self, spikes, series):
        """Learn from the bins of some trials."""
        binned = spikes.bin(BIN_WIDTH)
        self.decoder_ = COMPARED[self.name](self.lags, self.random_state)
        self.decoder_.fit(binned.dense().astype(float), binned.ptr, series.values)
        return self

    def score(self, spikes, series):
        """R2 of all bins, the mean of both outputs."""
        binned = spikes.bin(BIN_WIDTH)
        return r2_score(series.values, self.decoder_.predict(binned.dense().astype(float), binned.ptr))


def run(data, masks, task: str, name: str, side: str, fraction: float, seed: int, folder: pathlib.Path) -> dict:
    """Fit one decoder, score it, and put everything that belongs to the numbers into one row."""
    series = data.modalities["hand_position" if task == "position" else "hand_velocity"]
    parts = [np.flatnonzero(masks[part]) for part in ("train", "validation", "test")]
    training, held = parts[0], len(parts[1])
    if name in MODES:
        decoder = NeuroformerRegressor(mode=name, causal=side == "causal", lag=LAG)
    else:
        decoder = OnCounts(name, INPUTS[side])
    curve = few_shot_curve(
        {name: decoder}, data.spikes, series, fractions=[fraction], seeds=[seed],
        pretrain=lambda rows, seed: pretrained(folder, data.spikes[rows], seed),
        cv=[(training, np.concatenate(parts[1:]))],
        scoring=lambda fitted, X, y: {
            "validation": fitted.score(X[:held], y[:held]), "test": fitted.score(X[held:], y[held:])
        },
    )  # fmt: skip
    found = curve.iloc[0]
    row = {"task": task, "decoder": name, "input": side, "labels": f"{fraction:.0%}", "seed": seed}
    row |= {"validation_R2": round(found["validation"], 4), "test_R2": round(found["test"], 4)}
    row |= {"labelled_seconds": round(found["labelled_seconds"]), "cpu_seconds": round(found["fit_seconds"], 1)}
    print("  ".join(f"{value}" for value in row.values()), flush=True)
    source = provenance(seed, f"lag={LAG} bin_width={BIN_WIDTH}")
    return row | {key: source[key] for key in ("settings", "date", "versions", "machine")}


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=["velocity", "position", "few-shot"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--decoders", nargs="+", default=[*MODES, *COMPARED], choices=[*MODES, *COMPARED])
    parser.add_argument("--inputs", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--fractions", type=float, nargs="+", default=list(FRACTIONS))
    parser.add_argument("--models", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "skneuro-decoding")
    arguments = parser.parse_args()
    data = fetch_s1_reaching()
    masks = block_split(data.groups, data.gap_mask)
    for seed in arguments.seeds:
        for task in arguments.tasks:
            few = task == "few-shot"
            for side in ["causal"] if few else arguments.inputs:
                for fraction in arguments.fractions if few else [1.0]:
                    for name in arguments.decoders:
                        if seed != arguments.seeds[0] and fraction == 1 and name == "ridge":
                            continue  # nothing in it depends on the seed
                        row = run(data, masks, task, name, side, fraction, seed, arguments.models)
                        keep("decoding", [row], KEYS)


if __name__ == "__main__":
    main()
