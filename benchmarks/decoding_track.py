"""Position of a rat on a linear track from 31 units, with the spikes of both sides: five contiguous folds.

    python benchmarks/decoding_track.py [--seeds 0 1 2] [--write]

The run from 4,400 to 5,360 s in bins of 250 ms; the first principal axis of the position where the rat runs faster
than 15 pixels a second; 5 s on both sides of a test block are left out. Ridge and GRU read the counts from two bins
before to four bins after (the lags of the reference numbers); as "wide" from four before to four after, which is what
the Neuroformer's readout sees beside its state; as "long" from 16 before, four seconds. The Neuroformer is pretrained
on the spikes of the training blocks. R2 of each fold, tuned inside the training blocks.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from _decoders import GRU, Ridge
from _machine import arguments, keep, provenance, show
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import r2_score

from skneuro import NeuroformerEstimator, NeuroformerRegressor
from skneuro.cli.recordings import speed_of
from skneuro.data import SpikeTrains, TimeSeries
from skneuro.datasets import fetch_linear_track

START, STOP, WIDTH, GAP, FOLDS = 4400.0, 5360.0, 0.25, 5.0, 5
SLOWEST = 15.0  # pixels a second
LAGS = {"": range(-2, 5), ", wide": range(-4, 5), ", long": range(-16, 5)}
MODES = ("frozen", "finetune")


def track() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts of every bin (n_bins, n_units), position along the track (NaN where slow), unit ids."""
    data = fetch_linear_track()
    edges = np.arange(START, STOP + WIDTH / 2, WIDTH)
    spikes, position = data.spikes, data.modalities["position"]
    counts = np.stack([
        np.histogram(spikes.times[spikes.units == unit], edges)[0] for unit in range(spikes.shape[1])
    ], axis=1)  # fmt: skip
    t, xy, speed = position.timestamps, position.values, speed_of(position).values[:, 0]
    inside = (t >= START) & (t < STOP) & np.isfinite(xy).all(1) & np.isfinite(speed)
    bin_ = ((t[inside] - START) / WIDTH).astype(int)
    n = np.maximum(np.bincount(bin_, minlength=len(counts)), 1)
    seen = np.bincount(bin_, minlength=len(counts)) > 0
    mean = [np.bincount(bin_, values, len(counts)) / n for values in (*xy[inside].T, speed[inside])]
    running = seen & (mean[2] > SLOWEST)
    axis = PCA(1).fit(np.stack(mean[:2], 1)[running]).transform(np.stack(mean[:2], 1))[:, 0]
    return counts, np.where(running, axis, np.nan), spikes.unit_ids


def stretches(n_bins: int, fold: int) -> tuple[list[slice], slice]:
    """Training stretches and the test block, bins."""
    edges = np.linspace(0, n_bins, FOLDS + 1).astype(int)
    gap = round(GAP / WIDTH)
    low, high = edges[fold], edges[fold + 1]
    training = [slice(0, max(low - gap, 0)), slice(min(high + gap, n_bins), n_bins)]
    return [s for s in training if s.stop > s.start], slice(low, high)


def baseline(kind, lags: range, seed: int, counts, labels, training, test) -> tuple[np.ndarray, float]:
    """Predictions of the test block by a decoder that reads counts at some lags, and how long its fit took."""
    start = time.process_time()
    decoder = kind(lags, seed)
    parts = [np.concatenate([a[s] for s in training]) for a in (counts, labels)]
    ptr = np.concatenate([[0], np.cumsum([s.stop - s.start for s in training])])
    known = np.isfinite(parts[1])
    # Bins without a label are seen but not learned from: features of all, then the labelled ones, in trials of 5 s.
    x = decoder_inputs(decoder, parts[0], ptr)
    block = np.flatnonzero(known)
    trial = block // 20
    y = parts[1][known][:, None]
    decoder.mean, decoder.sd = y.mean(0), y.std(0)
    held = trial % 8 == 3
    decoder.learn(x[known], (y - decoder.mean) / decoder.sd, np.unique(trial, return_inverse=True)[1], held)
    seconds = time.process_time() - start
    found = decoder.predict(counts[test].astype(float), np.array([0, test.stop - test.start]))
    return found[:, 0], seconds


def decoder_inputs(decoder, counts: np.ndarray, ptr: np.ndarray) -> np.ndarray:
    """Standardised counts at the decoder's lags."""
    counts = counts.astype(float)
    decoder.centre, decoder.scale = counts.mean(0), np.maximum(counts.std(0), 0.1)
    return decoder.inputs(counts, ptr)


def ours(mode: str, seed: int, model: NeuroformerEstimator, counts, labels, training, test):
    """Predictions of the test block by a decoder on the pretrained model, and how long its fit took."""
    start = time.process_time()
    decoder = NeuroformerRegressor(FrozenEstimator(model), mode=mode, causal=False, lag=5 * WIDTH, random_state=seed)
    decoder.fit(trains(counts, training), series(labels, training))
    seconds = time.process_time() - start
    return np.ravel(decoder.predict(trains(counts, [test]))[0]), seconds


def trains(counts: np.ndarray, parts: list[slice]) -> SpikeTrains:
    """One trial a stretch."""
    return SpikeTrains.from_counts([counts[s] for s in parts], WIDTH)


def series(labels: np.ndarray, parts: list[slice]) -> TimeSeries:
    """Labels of stretches, one sample in the middle of each bin."""
    return TimeSeries.from_lists([labels[s] for s in parts], rate=1 / WIDTH, t_start=WIDTH / 2)


def main() -> None:
    options = arguments(__doc__, ("--seeds", {"nargs": "+", "type": int, "default": [0, 1, 2]}))
    counts, labels, _ = track()
    rows = []
    for seed in options.seeds[:1] if options.quick else options.seeds:
        for fold in range(1 if options.quick else FOLDS):
            training, test = stretches(len(counts), fold)
            found = {}
            for name, kind in (("ridge", Ridge), ("GRU", GRU)):
                for suffix, lags in LAGS.items():
                    found[name + suffix] = baseline(kind, lags, seed, counts, labels, training, test)
            settings = {"bin_width": WIDTH, "window_bins": 1, "gamma": 0.0, "mu": 0.5, "random_state": seed}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)
                model = NeuroformerEstimator(**settings).fit(trains(counts, training))
            for mode in MODES:
                found[f"Neuroformer, {mode}"] = ours(mode, seed, model, counts, labels, training, test)
            known = np.isfinite(labels[test])
            for name, (predicted, seconds) in found.items():
                score = float(r2_score(labels[test][known], predicted[known]))
                row = {"decoder": name, "fold": fold, "seed of fit": seed, "R2": f"{score:.4f}", "CPU s": seconds}
                rows.append(row)
                print("  ".join(str(v) for v in rows[-1].values()), flush=True)
            if options.write:
                told = provenance(seed, f"bins of {WIDTH} s, both sides")
                keep("decoding_track", [{**row, **told} for row in rows], ["decoder", "fold", "seed of fit"])
    table = []
    for name in dict.fromkeys(row["decoder"] for row in rows):
        own = np.array([[float(r["R2"]), r["fold"]] for r in rows if r["decoder"] == name])
        folds = [own[own[:, 1] == fold, 0].mean() for fold in np.unique(own[:, 1])]
        table.append({"decoder": name, "R2": float(np.mean(folds)), "worst fold": float(min(folds))})
    show("position on the linear track", table)


if __name__ == "__main__":
    main()
