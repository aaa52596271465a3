"""What each part of the Neuroformer is worth: past, video, behaviour and alignment, one after the other.

    python benchmarks/ablation.py [--sets simulation "linear track"] [--seeds 0 1 2] [--steps NAME ...] [--write]

Held-out bits per spike of test trials (unseen clips in the simulation, contiguous blocks with gaps in the recording)
after each step; a seed is a simulation and a training, or another training. The order matters, so read a step as what
it adds to those before it; `skneuro.metrics.modality_contribution` asks for the unique part.

``past + nothing`` adds a modality that carries nothing to ``past``: the stimulus of the set with its trials exchanged.
``all + nothing`` does so to the model with everything but alignment. Their loss is shown relative to the model without.
``+ video, in tubelets`` is ``+ video`` with frames that enter in boxes and not whole (simulation only).
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass

import numpy as np
from _machine import arguments, keep, provenance, show

from skneuro import Modalities, NeuroformerEstimator, SpikeTrains, TimeSeries, Video
from skneuro.data import Recording
from skneuro.datasets import block_split, fetch_linear_track, make_block_groups, make_stimulus_driven_population

PIECE = 5.0  # s, into which one long recording is cut
OBSERVED_NOISE = 0.5  # of the behaviour that stands for the shared gain, in its standard deviations
UNALIGNED, ALIGNED = {"gamma": 0.0, "mu": 0.5}, {"gamma": 0.1, "mu": 0.45}
# The same epochs for all: where training stops by held-out trials, a step would also change when it stops.
TRAINING = {"d_model": 32, "max_epochs": 12, "early_stopping": False}
TUBELETS = {"tubelet_size": (3, 4, 4), "tubelet_stride": (2, 4, 4)}
NO_PAST = {"context": 0.0, "recent_context": 0.0, "coupling": False}


@dataclass(frozen=True)
class Case:
    """One recording with its split; `nothing` is the stimulus with its trials exchanged."""

    spikes: SpikeTrains
    stimulus: Video | TimeSeries
    behaviour: TimeSeries
    split: dict[str, np.ndarray]
    settings: dict

    def modalities(self, names: tuple[str, ...], seed: int) -> Modalities | None:
        """Some of the modalities, by name."""
        order = np.random.default_rng([seed, 3]).permutation(len(self.spikes))
        nothing = exchanged(self.stimulus, order)
        parts = {"video": self.stimulus, "behaviour": self.behaviour, "nothing": nothing}
        return Modalities(**{name: parts[name] for name in names}) if names else None


def exchanged(modality: Video | TimeSeries, order: np.ndarray) -> Video | TimeSeries:
    """Rows in another order, each on the clock of the row whose place it takes; all rows are of one length."""
    if isinstance(modality, Video):
        index = modality.index[order]
        return Video(modality.frames, timestamps=modality.timestamps, index=index, t_start=modality.t_start)
    rows = [modality.values[a:b] for a, b in zip(modality.ptr[:-1], modality.ptr[1:], strict=True)]
    stamps = [modality.timestamps[a:b] for a, b in zip(modality.ptr[:-1], modality.ptr[1:], strict=True)]
    moved = [np.resize(rows[source], (len(stamps[k]), rows[source].shape[1])) for k, source in enumerate(order)]
    return TimeSeries.from_lists(moved, timestamps=stamps, missing=modality.missing)


def simulation(seed: int) -> Case:
    """20 units that a video, a gain they share and each other drive; the behaviour is the gain, observed with noise."""
    data = make_stimulus_driven_population(
        20, n_clips=40, n_repeats=3, shared_gain=0.5, coupling=0.3, random_state=seed
    )
    gain = np.log(data.gain)
    noise = OBSERVED_NOISE * gain.std() * np.random.default_rng([seed, 1]).standard_normal(gain.shape)
    part = np.where(data.groups % 5 == 4, "test", "train")
    return Case(
        data.spikes, data.video, TimeSeries.from_lists(list(gain + noise), rate=30.0),
        {name: np.flatnonzero(part == name) for name in ("train", "test")},
        {"bin_width": 0.02, "window_bins": 5, **TRAINING},
    )  # fmt: skip


def linear_track(seed: int) -> Case:
    """31 hippocampal units; the position stands for the stimulus, the speed for the behaviour."""
    data = fetch_linear_track()
    position = data.modalities["position"]
    at = position.on_bins(data.spikes.bin(0.05))
    at = np.where(np.isnan(at), np.nanmean(at, axis=0), at)
    smooth = np.apply_along_axis(np.convolve, 0, at, np.ones(10) / 10, "same")
    speed = np.hypot(*np.gradient(smooth, axis=0).T)
    clock = data.spikes.t_start[0] + 0.05 * np.arange(len(at))
    parts = {
        "position": TimeSeries(at, clock, [0, len(at)], missing="hold"),
        "speed": TimeSeries(speed, clock, [0, len(at)], missing="hold"),
    }
    recording = Recording(data.spikes, Modalities(**parts)).cut(PIECE)
    groups, gap = make_block_groups(recording.spikes)
    masks = block_split(groups, gap)
    return Case(
        recording.spikes, recording.modalities["position"], recording.modalities["speed"],
        {name: np.flatnonzero(masks[name]) for name in ("train", "test")},
        {"bin_width": 0.05, "window_bins": 1, **TRAINING},
    )  # fmt: skip


SETS = {"simulation": simulation, "linear track": linear_track}
STEPS: dict[str, tuple[tuple[str, ...], dict]] = {
    "no past": ((), NO_PAST | UNALIGNED),
    "past": ((), UNALIGNED),
    "+ video": (("video",), UNALIGNED),
    "+ behaviour": (("video", "behaviour"), UNALIGNED),
    "+ contrastive": (("video", "behaviour"), ALIGNED),
    "+ video, in tubelets": (("video",), UNALIGNED | TUBELETS),
    "past + nothing": (("nothing",), UNALIGNED),
    "all + nothing": (("video", "behaviour", "nothing"), UNALIGNED),
}
WITHOUT = {"+ video, in tubelets": "past", "past + nothing": "past", "all + nothing": "+ behaviour"}


def measure(name: str, step: str, seed: int, more: dict) -> dict:
    """Fit one model and score it on held-out trials."""
    case = SETS[name](seed)
    names, settings = STEPS[step]
    stimuli = case.modalities(names, seed)
    model = NeuroformerEstimator(**{**case.settings, "random_state": seed, **settings, **more})
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model.fit(*rows(case.spikes, stimuli, case.split["train"]))
    seconds = time.process_time() - start
    score = model.score(*rows(case.spikes, stimuli, case.split["test"]))
    chosen = " ".join(f"{key}={value}" for key, value in (case.settings | settings | more).items())
    row = {"set": name, "step": step, "seed": seed, "bits_per_spike": f"{score:.5f}", "epochs": model.n_iter_}
    print("  ".join(str(value) for value in row.values()), f" {seconds:.0f} CPU s", flush=True)
    return row | {"cpu_seconds": round(seconds, 1)} | provenance(seed, chosen)


def rows(spikes: SpikeTrains, stimuli: Modalities | None, kept: np.ndarray) -> tuple:
    """Spikes and stimuli of some trials."""
    return spikes[kept], None if stimuli is None else stimuli[kept]


def summary(found: list[dict]) -> list[dict]:
    """Mean and spread over seeds, and what a step adds to the one before it (for "nothing", to the model without)."""
    score = {(r["set"], r["step"], int(r["seed"])): float(r["bits_per_spike"]) for r in found}
    table = []
    for name, step in dict.fromkeys((r["set"], r["step"]) for r in found):
        order = list(STEPS)
        before = WITHOUT.get(step, order[max(order.index(step) - 1, 0)])
        values = [v for (n, s, _), v in score.items() if (n, s) == (name, step)]
        gains = [v - score[name, before, k] for (n, s, k), v in score.items()
                 if (n, s) == (name, step) and (name, before, k) in score and before != step]  # fmt: skip
        base = [score[name, before, k] for (n, s, k) in score if (n, s) == (name, step) and (name, before, k) in score]
        row = {"set": name, "step": step, "bits per spike": float(np.mean(values)), "sd": spread(values)}
        row |= {"seeds": len(values), "added": float(np.mean(gains)) if gains else float("nan")}
        row["sd of added"] = spread(gains)
        row["relative"] = f"{100 * np.mean(gains) / np.mean(base):+.1f} %" if gains else ""
        table.append(row)
    return table


def spread(values: list[float]) -> float:
    """Standard deviation; NaN of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else float("nan")


def main() -> None:
    options = arguments(
        __doc__,
        ("--sets", {"nargs": "+", "choices": list(SETS), "default": list(SETS)}),
        ("--seeds", {"nargs": "+", "type": int, "default": [0, 1, 2]}),
        ("--steps", {"nargs": "+", "choices": list(STEPS), "default": list(STEPS)}),
    )
    found = []
    more = {"max_epochs": 1} if options.quick else {}
    for name in options.sets:
        for seed in options.seeds[:1] if options.quick else options.seeds:
            for step in options.steps:
                if name != "simulation" and "tubelet_size" in STEPS[step][1]:
                    continue  # there are no frames
                found.append(measure(name, step, seed, more))
                if options.write:
                    keep("ablation", found[-1:], ["set", "step", "seed"])
    show("held-out bits per spike", summary(found))


if __name__ == "__main__":
    main()
