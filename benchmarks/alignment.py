"""Alignment of spikes with video on a simulated population: retrieval, and what it is worth for decoding few labels.

    python benchmarks/alignment.py [--seeds 0 1 2] [--gammas 0 0.1 0.3] [--parts retrieval decoding] [--write]

Units watch clips; clips of the test part are shown to no model before. Retrieval: the window of a test trial looks for
the segment of video that it saw among 100 (others of the same and of other clips), and the other way round, in single
trials; chance is 1 %. Decoding: a Neuroformer, pretrained with the video and this gamma, reads what the video shows
(its two leading components at the latency of the units) and the gain that all units share from few labelled trials,
through `few_shot_curve`; the clips of its test trials are unseen too. A seed is a simulation and a training.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from _machine import arguments, keep, provenance, show
from sklearn.decomposition import PCA

from skneuro import NeuroformerEstimator, NeuroformerRegressor, TimeSeries, Video
from skneuro.datasets import make_stimulus_driven_population
from skneuro.metrics import retrieval
from skneuro.model_selection import few_shot_curve

POOL = 100
LATENCY = 0.1  # s
FRACTIONS = (0.05, 0.2, 1.0)
SETTINGS = {"bin_width": 0.02, "window_bins": 10, "d_model": 32, "max_epochs": 12, "early_stopping": False}


def simulate(seed: int):
    """40 units that a video drives, 40 clips of 2 s three times; the gain they share; train and test trials."""
    data = make_stimulus_driven_population(
        40, n_clips=40, n_repeats=3, shared_gain=0.4, mean_rate=12.0, random_state=seed
    )
    test = data.groups % 4 == 3
    return data, np.flatnonzero(~test), np.flatnonzero(test)


def pretrained(data, rows: np.ndarray, gamma: float, seed: int) -> NeuroformerEstimator:
    """A Neuroformer of some trials and what they showed."""
    model = NeuroformerEstimator(**SETTINGS, gamma=gamma, mu=(1 - gamma) / 2, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(data.spikes[rows], data.video[rows])


def both_sides(model: NeuroformerEstimator, spikes, video: Video) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Aligned vectors of every window and of the video it saw, and the segment: clip and window of the clip."""
    n_bins = model.window_bins
    neural, shown, segment = [], [], []
    for trial, counts in enumerate(spikes.to_counts(model.bin_width)):
        clip = video[[trial]]
        neural.append(model.transform(counts, clip)[::n_bins])
        shown.append(model.transform_modality("stimulus", counts, clip)[::n_bins])
        segment.append(1000 * int(clip.clip_ids[0]) + np.arange(len(neural[-1])))
    return np.concatenate(neural), np.concatenate(shown), np.concatenate(segment)


def find(data, model: NeuroformerEstimator, test: np.ndarray) -> dict:
    """Top-1 and top-5 of single test trials; the first window of a clip, before which units saw nothing, counts too."""
    neural, shown, segment = both_sides(model, data.spikes[test], data.video[test])
    return retrieval(neural, shown, segment, pool_size=POOL)


def behaviours(data) -> dict[str, TimeSeries]:
    """What the video showed a latency ago, and the shared gain, at the frame rate."""
    frames = np.asarray(data.video.frames, dtype=float)
    n_clips, n_frames = frames.shape[:2]
    leading = PCA(2, random_state=0).fit_transform(frames.reshape(n_clips * n_frames, -1)).reshape(n_clips, n_frames, 2)
    late = round(LATENCY * 30)
    seen = np.concatenate([np.repeat(leading[:, :1], late, axis=1), leading[:, :-late]], axis=1)
    return {
        "video": TimeSeries.from_lists(list(seen[data.video.index]), rate=30.0),
        "gain": TimeSeries.from_lists(list(np.log(data.gain)), rate=30.0),
    }


def main() -> None:
    options = arguments(
        __doc__,
        ("--seeds", {"nargs": "+", "type": int, "default": [0, 1, 2]}),
        ("--gammas", {"nargs": "+", "type": float, "default": [0.0, 0.1, 0.3]}),
        ("--parts", {"nargs": "+", "choices": ["retrieval", "decoding"], "default": ["retrieval", "decoding"]}),
    )
    if options.quick:
        SETTINGS["max_epochs"] = 1
    rows = []
    for seed in options.seeds[:1] if options.quick else options.seeds:
        data, train, test = simulate(seed)
        for gamma in options.gammas:
            start = time.process_time()
            model = pretrained(data, train, gamma, seed)
            bits = model.score(data.spikes[test], data.video[test])
            row = {"seed": seed, "gamma": gamma, "bits_per_spike": bits, "fit_seconds": time.process_time() - start}
            if gamma and "retrieval" in options.parts:
                row |= find(data, model, test)
            if "decoding" in options.parts:
                for name, y in behaviours(data).items():
                    curve = few_shot_curve(
                        {"frozen": NeuroformerRegressor()}, data.spikes, y, fractions=FRACTIONS, seeds=[seed],
                        pretrain=lambda *_, model=model: model, cv=[(train, test)], labelled="random",
                    )  # fmt: skip
                    row |= {f"{name}_R2_{f:.0%}": r2 for f, r2 in zip(curve["fraction"], curve["score"], strict=True)}
            print("  ".join(f"{key} {value:.4g}" for key, value in row.items()), flush=True)
            rows.append(row)
            if options.write:
                chosen = " ".join(f"{key}={value}" for key, value in SETTINGS.items())
                keep("alignment", [row | provenance(seed, chosen)], ["seed", "gamma"])
    show("means", means(rows))


def means(rows: list[dict]) -> list[dict]:
    """Mean over seeds of each gamma."""
    table = []
    for gamma in sorted({row["gamma"] for row in rows}):
        mine = [row for row in rows if row["gamma"] == gamma]
        table.append({key: float(np.mean([row[key] for row in mine])) for key in mine[0] if key != "seed"})
    columns = dict.fromkeys(key for row in table for key in row)
    return [{key: row.get(key, "") for key in columns} for row in table]


if __name__ == "__main__":
    main()
