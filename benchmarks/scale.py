"""What the product's costs grow with: units, rate, window, video size, trials, and the length of the recording.

    python benchmarks/scale.py [--quick] [--write] [--sweeps units memory]

Every point is measured in a process of its own: one epoch of training, `score` and `sample` on simulated Poisson
spikes, drawn as events, default parameters but for the one that is swept. CPU time, one thread; memory is what the
resident size grew by, at its largest, in each part, and "live" what of it was allocated and not freed holes; the whole
process holds the data and everything imported, too. The last column of a
sweep is the exponent of the cost's growth between the point and the one before it: 1 is linear. Single runs:
neighbouring exponents scatter by 0.2. The longer a process trains, the more of its memory are holes: `memory, equal
steps` goes over a shorter recording as many times more often.
"""

from __future__ import annotations

import time
import warnings

import numpy as np
from _machine import arguments, growth_of, in_own_process, keep, provenance, show
from _product import estimator, n_tokens, train
from released.windows import FRAME_RATE

from skneuro.data import SpikeTrains, Video

# Duration is chosen so that the longest point takes about a minute.
BASE = {"n_units": 100, "rate": 5.0, "window_bins": 5, "n_trials": 8, "duration": 8.0, "frame": 0, "coupling": True}
DURATIONS = [30.0, 120.0, 480.0, 1920.0]
N_UNITS = [50, 100, 200, 500, 1000, 2000]
SAMPLED = 0.25  # s
SMALL = {**BASE, "n_units": 4, "n_trials": 2, "duration": 1.0}
SWEEPS = {
    "units": ("n_units", N_UNITS, {"duration": 4.0, "n_trials": 4}),
    "many units": ("n_units", [2500, 5000, 10000], {"duration": 4.0, "n_trials": 1, "rate": 2.0}),
    "units, no coupling": ("n_units", N_UNITS, {"duration": 4.0, "n_trials": 4, "coupling": False}),
    "rate": ("rate", [1.0, 2.5, 5.0, 10.0, 20.0], {}),
    "window": ("window_bins", [1, 2, 5, 10, 20], {}),
    "video": ("frame", [8, 16, 32, 64, 128], {"duration": 4.0}),
    "trials": ("n_trials", [4, 8, 16, 32, 64], {"duration": 4.0}),
    "memory": ("duration", DURATIONS, {"n_units": 50, "n_trials": 1}),
    "memory, equal steps": ("duration", DURATIONS, {"n_units": 50, "n_trials": 1, "trained_on": DURATIONS[-1]}),
}


def measure(point: dict, seed: int, parts: tuple[str, ...]) -> dict:
    """Costs of one point; `parts` says which. A small one goes first: what is only paid once is not measured."""
    costs(SMALL, seed, parts)
    return costs(point, seed, parts)


def costs(point: dict, seed: int, parts: tuple[str, ...]) -> dict:
    """Simulate, train, score, sample."""
    frame = point["frame"]
    spikes, video = recording(point, seed)
    model = estimator(window_bins=point["window_bins"], coupling=point["coupling"], random_state=seed)
    row = {"tokens": n_tokens(spikes, model)}

    def measured(name: str, function) -> None:
        start = time.process_time()
        row[f"{name}, MB"], row[f"{name}, live MB"] = growth_of(function)
        row[f"{name}, CPU s"] = time.process_time() - start

    warnings.simplefilter("ignore", UserWarning)
    n_epochs = max(round(point.get("trained_on", 0.0) / point["duration"]), 1)
    measured("epoch", lambda: train(model, spikes, video, n_epochs))
    row["tokens/s"] = n_epochs * row["tokens"] / row["epoch, CPU s"]
    if "score" in parts:
        measured("score", lambda: model.score(spikes, video))
    if "sample" in parts:
        per_trial = 1 if frame else 8
        measured(f"sample of {SAMPLED} s a trial", lambda: model.sample(video, per_trial, duration=SAMPLED))
    return row


def recording(point: dict, seed: int) -> tuple[SpikeTrains, Video | None]:
    """Poisson spikes drawn one by one: a table of counts would need far more memory than what is measured."""
    rng = np.random.default_rng(seed)
    n_trials, n_units, duration = point["n_trials"], point["n_units"], point["duration"]
    n_spikes = rng.poisson(point["rate"] * duration * n_units, n_trials)
    trial = np.repeat(np.arange(n_trials), n_spikes)
    times = rng.random(len(trial)) * duration
    order = np.lexsort((times, trial))
    units = rng.integers(0, n_units, len(trial))
    spikes = SpikeTrains(
        times[order], units, np.append(0, n_spikes.cumsum()), 0.0, duration, unit_ids=np.arange(n_units)
    )  # fmt: skip
    if not point["frame"]:
        return spikes, None
    shape = (1, round(duration * FRAME_RATE), point["frame"], point["frame"])
    return spikes, Video(rng.standard_normal(shape, dtype=np.float32), FRAME_RATE, index=np.zeros(n_trials, dtype=int))


def sweep(name: str, seed: int, *, quick: bool) -> list[dict]:
    """All points of a sweep."""
    parameter, values, changed = SWEEPS[name]
    parts = ("score",) if parameter == "duration" else ("score", "sample")
    if quick:
        values, changed = values[:2], {**changed, "duration": 1.0}
        values = [1.0, 2.0] if parameter == "duration" else values
    rows: list[dict] = []
    for value in values:
        point = {**BASE, **changed, parameter: value}
        measured, _, memory = in_own_process(measure, point, seed, parts)
        row = {"sweep": name, parameter: value, **measured}
        row["whole process, MB"] = memory
        grown = "-"
        if rows:
            last = rows[-1]
            grown = float(np.log(row["epoch, CPU s"] / last["epoch, CPU s"]) / np.log(value / last[parameter]))
        rows.append({**row, "exponent of the epoch": grown})
        print(f"{name} {value}: {row['epoch, CPU s']:.2f} s, {row['epoch, MB']:.0f} MB", flush=True)
    return rows


def main() -> None:
    options = arguments(__doc__, ("--sweeps", {"nargs": "+", "choices": list(SWEEPS), "default": list(SWEEPS)}))
    for name in options.sweeps:
        rows = sweep(name, options.seed, quick=options.quick)
        show(name, rows)
        if options.write:
            changed = {**BASE, **SWEEPS[name][2]}
            changed.pop(SWEEPS[name][0])
            settings = " ".join(f"{k}={v}" for k, v in changed.items())
            kept = [{"sweep": name, "value": row[SWEEPS[name][0]], **row} for row in rows]
            kept = [{k: v for k, v in row.items() if k != SWEEPS[name][0]} for row in kept]
            keep("scale", [{**row, **provenance(options.seed, settings)} for row in kept], ["sweep", "value"])


if __name__ == "__main__":
    main()
