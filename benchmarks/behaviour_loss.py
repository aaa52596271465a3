"""What the model gains from labels while it is pretrained: behaviour as a further loss, at several weights.

    python benchmarks/behaviour_loss.py [--recordings "linear track" S1] [--weights 0 0.1 1] [--labels 0.05 1]
                                        [--seeds 0 1 2] [--write]

Spikes of all training trials and labels of some (one contiguous run, or all) train the model; a frozen decoder then
learns from the same labels. R2 of the decoder, the mean over columns, and bits per spike of the model, on test trials.
S1: hand velocity, by the blocks of `_s1.py`; linear track: position and speed, by those of `ablation.py`.
"""

from __future__ import annotations

import time

import numpy as np
from _machine import arguments, keep, kept, provenance, show
from _s1 import BIN_WIDTH
from ablation import linear_track
from sklearn.frozen import FrozenEstimator

from skneuro import Modalities, NeuroformerEstimator, NeuroformerRegressor, SpikeTrains, TimeSeries
from skneuro.datasets import block_split, fetch_s1_reaching
from skneuro.model_selection.few_shot import labelled_trials

KEY = ["recording", "weight", "labels", "seed"]
COLUMNS = ("R2", "bits per spike")


def s1() -> tuple[SpikeTrains, Modalities, dict[str, np.ndarray]]:
    """Spikes, behaviour, rows of training and test."""
    data = fetch_s1_reaching()
    masks = block_split(data.groups, data.gap_mask)
    behaviour = Modalities(velocity=data.modalities["hand_velocity"])
    return data.spikes, behaviour, {part: np.flatnonzero(masks[part]) for part in ("train", "test")}


def track() -> tuple[SpikeTrains, Modalities, dict[str, np.ndarray]]:
    """Spikes, behaviour, rows of training and test."""
    case = linear_track(0)
    return case.spikes, Modalities(position=case.stimulus, speed=case.behaviour), case.split


RECORDINGS = {"S1": s1, "linear track": track}


def known_in(behaviour: Modalities, trials: np.ndarray) -> Modalities:
    """The same behaviour, NaN outside some trials."""
    parts = {}
    for name, series in behaviour.items():
        inside = np.repeat(np.isin(np.arange(len(series)), trials), np.diff(series.ptr))
        values = np.where(inside[:, None], series.values, np.nan)
        parts[name] = TimeSeries(values, series.timestamps, series.ptr)
    return Modalities(**parts)


def measure(recording: str, weight: float, share: float, seed: int, data: tuple, **more) -> dict:
    """Pretrain, read, score."""
    spikes, behaviour, rows = data
    train, test = rows["train"], rows["test"]
    labelled = train[labelled_trials(spikes.duration[train], share, seed, "block")]
    names = [name for name, _ in behaviour.items()]
    model = NeuroformerEstimator(
        bin_width=BIN_WIDTH, window_bins=1, gamma=0.0, mu=0.5, behaviour=names, behaviour_weight=weight,
        random_state=seed,
    ).set_params(**more)  # fmt: skip
    start = time.process_time()
    model.fit(spikes[train], known_in(behaviour, labelled)[train])
    seconds = time.process_time() - start
    decoder = NeuroformerRegressor(FrozenEstimator(model), mode="frozen", causal=True, random_state=seed)
    decoder.fit(spikes[labelled], behaviour[labelled])
    row = {"recording": recording, "weight": weight, "labels": f"{share:.0%}", "seed": seed}
    row |= {"R2": decoder.score(spikes[test], behaviour[test]), "bits per spike": model.score(spikes[test])}
    row |= {"epochs": model.n_iter_, "CPU s": seconds}
    print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in row.values()), flush=True)
    return row | provenance(seed, f"bin_width={BIN_WIDTH} window_bins=1, else default")


def main() -> None:
    options = arguments(
        __doc__,
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": list(RECORDINGS)}),
        ("--weights", {"nargs": "+", "type": float, "default": [0.0, 0.1, 1.0]}),
        ("--labels", {"nargs": "+", "type": float, "default": [0.05, 1.0]}),
        ("--seeds", {"nargs": "+", "type": int, "default": [0, 1, 2]}),
    )
    there = {tuple(row[k] for k in KEY) for row in kept("behaviour_loss")} if options.write else set()
    more = {"max_epochs": 1} if options.quick else {}
    found = []
    for recording in options.recordings[-1:] if options.quick else options.recordings:
        data = RECORDINGS[recording]()
        for seed in options.seeds[:1] if options.quick else options.seeds:
            for share in options.labels:
                for weight in options.weights:
                    if (recording, str(weight), f"{share:.0%}", str(seed)) in there:
                        continue
                    found.append(measure(recording, weight, share, seed, data, **more))
                    if options.write:
                        keep("behaviour_loss", found[-1:], KEY)
    show("behaviour as a further loss", found)


if __name__ == "__main__":
    main()
