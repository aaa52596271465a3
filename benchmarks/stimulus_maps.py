"""Whether maps of what drives a unit find receptive fields that are known.

    python benchmarks/stimulus_maps.py [--models "whole frames" tubelets ...] [--seeds 0 1 2] [--quick] [--write]

`make_stimulus_driven_population`: units with planted Gabor fields watch natural-like clips (frames of 16 x 16 pixels),
share a gain and are coupled. A Neuroformer sees the frames whole, or in tubelets of 3 frames and 4 x 4 pixels; maps are
asked of 256 bins (occlusion: 48). Beside them the whitened spike-triggered average of the same trials, chance, the same
model with the entries of every weight matrix in random order, and a model (and an average) of videos in random order.

A unit is localised where the square of 6 x 6 pixels in which its map has most energy lies, in both axes, within one
patch (2 pixels, an eighth of the frame) of the planted centre. `space` is the correlation of the map's root mean square
over lags with that of the true field, in patches; `field` that of the signed slopes with the true field, over lags and
pixels. Both are means over units. The rows go to ``results/stimulus_maps.csv``.
"""

from __future__ import annotations

import copy
import time

import numpy as np
import torch
from _machine import arguments, keep, provenance, show

from skneuro import NeuroformerEstimator
from skneuro.datasets import make_stimulus_driven_population
from skneuro.inspection import StimulusMaps, stimulus_maps, whitened_sta

SIZE, PATCH, WINDOW = 16, 2, 6  # pixels
FRAME = 1 / 30
METHODS = ("gradient", "occlusion", "attention", "attention_weights")


def population(seed: int, quick: bool):
    n_units, n_clips = (4, 6) if quick else (16, 60)
    return make_stimulus_driven_population(
        n_units, n_clips, 2, frame_size=SIZE, mean_rate=10.0, shared_gain=0.3, coupling=0.2, random_state=seed
    )


def fit(spikes, video, seed: int, quick: bool, tubelets) -> NeuroformerEstimator:
    model = NeuroformerEstimator(
        bin_width=FRAME, window_bins=1, gamma=0.0, mu=0.5, context=0.5, stimulus_context=0.4,
        max_epochs=1 if quick else 30, tubelet_size=tubelets, n_threads=1, random_state=seed,
    )  # fmt: skip
    return model.fit(spikes, video)


def randomised(model: NeuroformerEstimator, seed: int) -> NeuroformerEstimator:
    """The same model with the entries of every weight in random order."""
    model = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.model_.network.parameters():
            order = torch.randperm(weight.numel(), generator=generator)
            weight.copy_(weight.flatten()[order].reshape(weight.shape))
    return model


def in_patches(maps: np.ndarray) -> np.ndarray:
    """Root mean square over lags and the pixels of each patch, (n_units, n_patches)."""
    n = SIZE // PATCH
    squares = (maps**2).mean(1).reshape(len(maps), n, PATCH, n, PATCH)
    return np.sqrt(squares.mean((2, 4))).reshape(len(maps), -1)


def correlations(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Correlation of each unit's numbers; 0 where they are all the same."""
    a, b = (x.reshape(len(x), -1) - x.reshape(len(x), -1).mean(1, keepdims=True) for x in (a, b))
    power = np.sqrt((a**2).sum(1) * (b**2).sum(1))
    return np.divide((a * b).sum(1), power, out=np.zeros(len(a)), where=power > 1e-12 * np.abs(b).max())


def centres(data) -> np.ndarray:
    return data.spikes.unit_info[["center_y", "center_x"]].to_numpy()


def score(found: StimulusMaps, data) -> dict:
    """How well maps find the planted fields."""
    distance = np.abs(found.peaks(WINDOW)[["row", "column"]].to_numpy() - centres(data)).max(1)
    n_lags = data.receptive_fields.shape[1]
    nothing = float("nan")
    return {
        "localised": float((distance <= PATCH).mean()),  # NaN, a map that is the same everywhere, is not
        "space": float(correlations(in_patches(found.maps), in_patches(data.receptive_fields)).mean()),
        "field": nothing
        if found.slopes is None
        else float(correlations(found.slopes[:, :n_lags], data.receptive_fields).mean()),
    }


def chance(data) -> dict:
    """A square anywhere in the frame, all places alike."""
    middle = np.arange(SIZE - WINDOW + 1) + (WINDOW - 1) / 2
    near = np.abs(middle[:, None, None] - centres(data)) <= PATCH  # (places, units, axes)
    return {"localised": float(near.mean(0).prod(1).mean()), "space": 0.0, "field": 0.0}


MODELS = {
    "none": None,
    "whole frames": (None, False),
    "tubelets": ((3, 4, 4), False),
    "whole frames, shuffled video": (None, True),
    "tubelets, shuffled video": ((3, 4, 4), True),
}


def measure(seed: int, quick: bool, models: list[str]) -> list[dict]:
    data = population(seed, quick)
    order = np.random.default_rng(seed).permutation(len(data.video))
    shuffled = data.video[order]
    rows = []

    def add(model: str, method: str, found: StimulusMaps, since: float) -> None:
        rows.append({"model": model, "method": method, **score(found, data), "seconds": time.process_time() - since})

    def ask(name: str, model: NeuroformerEstimator, video, methods) -> None:
        for method in methods:
            start = time.process_time()
            found = stimulus_maps(
                model, data.spikes, video, method=method, patch=PATCH,
                n_contexts=8 if quick else 48 if method == "occlusion" else 256, random_state=seed,
            )  # fmt: skip
            add(name, method, found, start)

    if "none" in models:
        rows.append({"model": "none", "method": "chance", **chance(data), "seconds": 0.0})
        truth = StimulusMaps("truth", np.abs(data.receptive_fields), data.spikes.unit_ids, data.lags)
        add("none", "planted fields", truth, time.process_time())
        for name, video in (("none", data.video), ("none, shuffled video", shuffled)):
            start = time.process_time()
            add(name, "whitened STA", whitened_sta(data.spikes, video, bin_width=FRAME), start)
    for name in models:
        if name == "none":
            continue
        tubelets, wrong = MODELS[name]
        start, video = time.process_time(), shuffled if wrong else data.video
        model = fit(data.spikes, video, seed, quick, tubelets)
        print(f"{name}: fitted in {time.process_time() - start:.0f} CPU s", flush=True)
        fast = [method for method in METHODS if method != "occlusion"]
        ask(name, model, video, fast if tubelets else METHODS)  # occlusion encodes every tubelet for every patch
        if not wrong:
            ask(f"{name}, randomised weights", randomised(model, seed), video, fast)
    return rows


def main() -> None:
    options = arguments(
        __doc__,
        ("--seeds", {"type": int, "nargs": "+", "default": [0, 1, 2]}),
        ("--models", {"nargs": "+", "choices": list(MODELS), "default": list(MODELS)}),
    )
    for seed in options.seeds:
        rows = measure(seed, options.quick, options.models)
        show(f"seed {seed}", rows)
        if options.write:
            rows = [{**row, **provenance(seed, "as in the script")} for row in rows]
            keep("stimulus_maps", rows, key=("model", "method", "seed"))


if __name__ == "__main__":
    main()
