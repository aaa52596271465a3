"""Hand velocity and position from S1, with all labels and with few, by the blocks of `_s1.py`.

    python benchmarks/decoding.py [--tasks velocity position few-shot] [--seeds 0 1 2 3 4] [--decoders NAME ...]

A Neuroformer is pretrained on the spikes of the training blocks, once a seed, and kept in the folder ``--models``. The
decoders learn from labels of training blocks: of all of them, or of one contiguous run of trials that a seed chooses
(few-shot; every decoder gets the same). R2, the mean of both outputs, on validation and test blocks. The rows go to
``results/decoding.csv``. Set SKNEURO_DATA to the folder with the recording.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

import numpy as np
from _decoders import GRU, MLP, Boosting, Ridge
from _machine import keep, provenance
from _s1 import BIN_WIDTH
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score

import skneuro
from skneuro import NeuroformerEstimator, NeuroformerRegressor
from skneuro.datasets import block_split, fetch_s1_reaching

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


def labelled_trials(lengths: np.ndarray, fraction: float, seed: int) -> np.ndarray:
    """A contiguous run of trials with about this share of the time; where it begins depends on the seed."""
    if fraction == 1:
        return np.arange(len(lengths))
    stop = np.cumsum(lengths)
    wanted = fraction * stop[-1]
    begin = np.random.default_rng([seed, 7]).uniform(0, stop[-1] - wanted)
    first = int(np.searchsorted(stop, begin))
    last = int(np.searchsorted(stop, stop[first] - lengths[first] + wanted))
    return np.arange(first, min(max(last, first) + 1, len(lengths)))


def run(data, masks, task: str, name: str, side: str, fraction: float, seed: int, folder: pathlib.Path) -> dict:
    """Fit one decoder, score it, and put everything that belongs to the numbers into one row."""
    series = data.modalities["hand_position" if task == "position" else "hand_velocity"]
    training = np.flatnonzero(masks.train)
    some = training[labelled_trials(data.segment_lengths[training], fraction, seed)]
    scores = {}
    if name in MODES:
        model = pretrained(folder, data.spikes[training], seed)
        decoder = NeuroformerRegressor(
            FrozenEstimator(model), mode=name, causal=side == "causal", lag=LAG, random_state=seed
        )
        start = time.process_time()
        decoder.fit(data.spikes[some], series[some])
        seconds = time.process_time() - start
        for part in ("validation", "test"):
            scores[part] = decoder.score(data.spikes[masks[part]], series[masks[part]])
    else:
        start = time.process_time()
        binned = data.spikes[some].bin(BIN_WIDTH)
        decoder = COMPARED[name](INPUTS[side], seed).fit(binned.dense().astype(float), binned.ptr, series[some].values)
        seconds = time.process_time() - start
        for part in ("validation", "test"):
            binned = data.spikes[masks[part]].bin(BIN_WIDTH)
            found = decoder.predict(binned.dense().astype(float), binned.ptr)
            scores[part] = r2_score(series[masks[part]].values, found)
    row = {"task": task, "decoder": name, "input": side, "labels": f"{fraction:.0%}", "seed": seed}
    row |= {"validation_R2": round(scores["validation"], 4), "test_R2": round(scores["test"], 4)}
    labelled = float(data.segment_lengths[some].sum()) * BIN_WIDTH
    row |= {"labelled_seconds": round(labelled), "cpu_seconds": round(seconds, 1)}
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
