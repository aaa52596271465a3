"""How good simulated trials are: mean responses and realism beside floors and ceilings, and what interventions do.

    python benchmarks/generation.py [--case video S1 hub] [--seed 0] [--quick] [--write]

video   100 units that a video drives, 32 s trials, a shared gain and coupling; ten repeats of two clips nobody saw
S1      area 2 of a macaque that reaches: pieces of the test segments, from silence
hub     a hub of a network of known wiring is driven in the simulator and in the models

Models are fitted to the training trials only. `value` is to be read beside `floor` (differences) or `ceiling`
(correlations); see docs/background/generation.md.
"""

from __future__ import annotations

import time

import numpy as np
from _machine import arguments, keep, provenance, show

from skneuro import NeuroformerEstimator, Recording
from skneuro.baselines import CoupledGLM, GRUModel
from skneuro.data import Modalities
from skneuro.datasets import block_split, fetch_s1_reaching, make_hub_network, make_stimulus_driven_population
from skneuro.metrics import evaluate_generation


def models(bin_width: float, window_bins: int, seed: int, quick: bool, stimulated: bool) -> dict:
    common = {"bin_width": bin_width, "random_state": seed}
    aligned = {} if stimulated else {"gamma": 0.0, "mu": 0.5}
    steps = 20 if quick else 1200
    found = {
        "Neuroformer": NeuroformerEstimator(
            window_bins=window_bins, max_epochs=1 if quick else 30, n_threads=1, **aligned, **common
        ),
        "coupled GLM": CoupledGLM(bin_width=bin_width, history=0.25),
        "GRU": GRUModel(max_steps=steps, n_threads=1, **common),
    }
    if stimulated:
        found["stimulus GLM"] = CoupledGLM(bin_width=bin_width, history=0.0)
    return found


def video(seed: int, quick: bool) -> tuple[Recording, Recording, float, int]:
    n_units, length, n_train, n_repeats = (8, 4.0, 4, 3) if quick else (100, 32.0, 12, 10)
    data = make_stimulus_driven_population(
        n_units, n_train + 2, n_repeats, clip_duration=length, shared_gain=0.3, coupling=0.3, random_state=seed
    )
    of_clip = np.arange(len(data.spikes)) % n_repeats
    train = (data.groups < n_train) & (of_clip < 2)
    test = data.groups >= n_train
    parts = [Recording(data.spikes[rows], Modalities(video=data.video[rows])) for rows in (train, test)]
    return parts[0], parts[1], 1 / 30, 3


def s1(seed: int, quick: bool) -> tuple[Recording, Recording, float, int]:
    data = fetch_s1_reaching()
    split = block_split(data.groups, data.gap_mask)
    train, test = Recording(data.spikes[split.train]), Recording(data.spikes[split.test])
    return (train[:10], test[:6], 0.05, 1) if quick else (train, test, 0.05, 1)


def evaluate(case: str, seed: int, quick: bool) -> list[dict]:
    train, test, bin_width, window_bins = {"video": video, "S1": s1}[case](seed, quick)
    fitted, seconds = {}, {}
    for name, model in models(bin_width, window_bins, seed, quick, test.modalities is not None).items():
        start = time.process_time()
        fitted[name] = model.fit(train)
        seconds[name] = time.process_time() - start
        print(f"{case}: {name} fitted in {seconds[name]:.0f} CPU s", flush=True)
    table = evaluate_generation(
        fitted.pop("Neuroformer"), test, train=train, baselines=fitted, window=10 * bin_width, random_state=seed
    )
    table = table[table["unit"].isna()].replace({"source": {"model": "Neuroformer"}})
    columns = ["source", "metric", "value", "floor", "ceiling", "recorded", "sampled"]
    return [{"case": case, **row} for row in table[columns].to_dict("records")]


def hub(seed: int, quick: bool) -> list[dict]:
    """Change of every other unit's rate when a hub is driven: the simulator's beside the models'."""
    settings = {"n_units": 8 if quick else 20, "random_state": seed}
    duration = 30.0 if quick else 600.0
    base = make_hub_network(duration=duration, **settings)
    target = int(base.hubs[0])
    rows = []
    for what, millivolts in (("driven", 12.0), ("silenced", -100.0)):
        done = make_hub_network(duration=duration, extra_drive={target: millivolts}, **settings).spikes
        rates = [s.bin(0.01).unit_counts() / s.duration.sum() for s in (base.spikes, done)]
        more = float(rates[1][target] - rates[0][target])
        argument = {"stimulate": {target: more}} if more > 0 else {"silence": [target]}
        others = np.arange(settings["n_units"]) != target
        true = (rates[1] - rates[0])[others]
        for name, model in models(0.01, 5, seed, quick, False).items():
            model.fit(base.spikes.cut(5.0))
            drawn = [
                model.sample(duration=10.0, n_samples=3 if quick else 60, random_state=seed, **given)
                for given in ({}, argument)
            ]
            free, changed = (s.bin(0.01).unit_counts() / s.duration.sum() for s in drawn)
            predicted = (changed - free)[others]
            varies = predicted.std() > 0 and true.std() > 0
            rows.append(
                {
                    "case": "hub",
                    "source": name,
                    "metric": f"hub {what}: correlation of rate changes",
                    "value": float(np.corrcoef(true, predicted)[0, 1]) if varies else 0.0,
                    "recorded": float(true.mean()),
                    "sampled": float(predicted.mean()),
                }
            )
    return rows


def main() -> None:
    case = ("--case", {"nargs": "+", "choices": ["video", "S1", "hub"], "default": ["video", "S1", "hub"]})
    options = arguments(__doc__, case)
    for name in options.case:
        rows = hub(options.seed, options.quick) if name == "hub" else evaluate(name, options.seed, options.quick)
        show(f"{name}, seed {options.seed}", rows)
        if options.write:
            rows = [{**row, **provenance(options.seed, "as in the script")} for row in rows]
            keep("generation", rows, key=("case", "source", "metric", "seed"))


if __name__ == "__main__":
    main()
