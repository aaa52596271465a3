"""How good simulated trials are: mean responses and realism beside floors and ceilings, and what interventions do.

    python benchmarks/generation.py [--case video S1 V1 hub] [--seed 0] [--quick] [--write]

video   100 units that a video drives, 32 s trials, a shared gain and coupling; six repeats of two clips nobody saw
S1      area 2 of a macaque that reaches: pieces of the test segments, from silence
V1      events of V1 cells under gratings, given grating, speed and pupil; the last quarter of the trials is held out
hub     a hub of a network of known wiring is driven and silenced, in the simulator and in the models

Models are fitted to the training trials only. `value` is to be read beside `floor` (differences) or `ceiling`
(correlations); see docs/background/generation.md. Set SKNEURO_DATA to the folder with the recordings.
"""

from __future__ import annotations

import time

import numpy as np
from _machine import arguments, keep, provenance, show
from _shared_gain import SharedGainPoisson

from skneuro import NeuroformerEstimator, Recording
from skneuro.baselines import CoupledGLM, GRUModel
from skneuro.cli.recordings import grating_of
from skneuro.data import Modalities
from skneuro.datasets import (
    block_split,
    fetch_s1_reaching,
    fetch_v1_gratings,
    make_hub_network,
    make_stimulus_driven_population,
)
from skneuro.metrics import evaluate_generation
from skneuro.preprocessing import CalciumEvents
from skneuro.simulation import match_rates

CASES = ["video", "S1", "V1", "hub"]
MATCHED = ("Neuroformer", "coupled GLM")  # that are simulated with `match_rates` to the training trials, too

EPOCHS = {"video": 15}  # and 30 elsewhere
STEPS = {"video": 400, "hub": 600}  # and 1,200


def models(case: str, bin_width: float, window_bins: int, seed: int, quick: bool, stimulated: bool) -> dict:
    common = {"bin_width": bin_width, "random_state": seed}
    aligned = {"gamma": 0.1, "mu": 0.45} if stimulated else {}  # as when its rows were measured
    gru = {"max_steps": 20 if quick else STEPS.get(case, 1200), "n_threads": 1, **common}
    found = {
        "Neuroformer": NeuroformerEstimator(
            window_bins=window_bins, max_epochs=1 if quick else EPOCHS.get(case, 30), n_threads=1, **aligned, **common
        ),
        "coupled GLM": CoupledGLM(bin_width=bin_width, history=max(0.25, 4 * bin_width)),
        "GRU": GRUModel(**gru),
    }
    if stimulated:
        found["stimulus GLM"] = CoupledGLM(bin_width=bin_width, history=0.0)
        found["stimulus GRU"] = GRUModel(past_spikes=False, same_bin=None, **gru)
    return found


def video(seed: int, quick: bool) -> tuple[Recording, Recording, float, int, tuple | None]:
    n_units, length, n_train, n_repeats = (8, 4.0, 4, 3) if quick else (100, 32.0, 8, 6)
    data = make_stimulus_driven_population(
        n_units, n_train + 2, n_repeats, clip_duration=length, shared_gain=0.3, coupling=0.3, random_state=seed
    )
    of_clip = np.arange(len(data.spikes)) % n_repeats
    train = (data.groups < n_train) & (of_clip < 2)
    test = data.groups >= n_train
    parts = [Recording(data.spikes[rows], Modalities(video=data.video[rows])) for rows in (train, test)]
    return parts[0], parts[1], 1 / 30, 3, None


def s1(seed: int, quick: bool) -> tuple[Recording, Recording, float, int, tuple | None]:
    data = fetch_s1_reaching()
    split = block_split(data.groups, data.gap_mask)
    train, test = Recording(data.spikes[split.train]), Recording(data.spikes[split.test])
    return (train[:10], test[:6], 0.05, 1, None) if quick else (train, test, 0.05, 1, None)


def v1(seed: int, quick: bool) -> tuple[Recording, Recording, float, int, tuple | None]:
    data = fetch_v1_gratings()
    held_out = np.arange(len(data.direction)) >= 96
    events = CalciumEvents().fit(data.modalities["dff"][~held_out]).transform(data.modalities["dff"])
    given = Modalities(
        grating=grating_of(data.direction, events), speed=data.modalities["speed"], pupil=data.modalities["pupil"]
    )
    parts = [Recording(events[rows], given[rows]) for rows in (~held_out, held_out)]
    return parts[0], parts[1], events.resolution, 1, (data.direction[~held_out], data.direction[held_out])


def evaluate(case: str, seed: int, quick: bool) -> list[dict]:
    train, test, bin_width, window_bins, shown = {"video": video, "S1": s1, "V1": v1}[case](seed, quick)
    candidates = models(case, bin_width, window_bins, seed, quick, test.modalities is not None)
    fitted = {}
    for name, model in {**candidates, "shared-gain Poisson": SharedGainPoisson(bin_width)}.items():
        start = time.process_time()
        fitted[name] = model.fit(train)
        print(f"{case}: {name} fitted in {time.process_time() - start:.0f} CPU s", flush=True)
    for name in MATCHED:
        fitted[f"{name}, matched rates"] = match_rates(fitted[name], train, random_state=seed)
    of_train, of_test = shown or (None, None)
    table = evaluate_generation(
        fitted.pop("Neuroformer"), test, train=train, baselines=fitted, stimulus_ids=of_test,
        train_stimulus_ids=of_train, n_samples=2 if quick else 40, window=10 * bin_width, random_state=seed,
    )  # fmt: skip
    table = table[table["unit"].isna()].replace({"source": {"model": "Neuroformer"}})
    columns = ["source", "metric", "value", "floor", "ceiling", "recorded", "sampled"]
    return [{"case": case, **row} for row in table[columns].to_dict("records")]


def hub(seed: int, quick: bool) -> list[dict]:
    """Change of every other unit's rate when a hub is driven or silenced: the simulator's beside the models'."""
    settings = {"n_units": 8 if quick else 12, "random_state": seed}
    duration, n_samples = (30.0, 3) if quick else (900.0, 40)
    base = make_hub_network(duration=duration, **settings)
    target = int(base.hubs[0])
    others = np.arange(settings["n_units"]) != target
    true, given = {}, {}
    for what, millivolts in (("driven", 12.0), ("silenced", -100.0)):
        done = make_hub_network(duration=duration, extra_drive={target: millivolts}, **settings).spikes
        change = _rates(done) - _rates(base.spikes)
        true[what] = change[others]
        given[what] = {"stimulate": {target: float(change[target])}} if change[target] > 0 else {"silence": [target]}
    rows = []
    training = base.spikes.cut(5.0)[: int(duration / 3 / 5.0)]
    for name, model in models("hub", 0.01, 5, seed, quick, False).items():
        model.fit(training)
        free, *changed = (
            _rates(model.sample(duration=10.0, n_samples=n_samples, random_state=seed, **done))
            for done in ({}, *given.values())
        )
        for what, rates in zip(given, changed, strict=True):
            rows += counterfactual(f"hub {what}", name, true[what], (rates - free)[others])
    return rows


def counterfactual(what: str, source: str, true: np.ndarray, predicted: np.ndarray) -> list[dict]:
    """Correlation of predicted with true changes of rate, and the slope that the prediction has on the truth."""
    varies = predicted.std() > 0 and true.std() > 0
    found = {
        "correlation of rate changes": float(np.corrcoef(true, predicted)[0, 1]) if varies else 0.0,
        "slope of rate changes": float(np.polyfit(true, predicted, 1)[0]) if varies else 0.0,
    }
    means = {"recorded": float(true.mean()), "sampled": float(predicted.mean())}
    return [{"case": "hub", "source": source, "metric": f"{what}: {k}", "value": v, **means} for k, v in found.items()]


def _rates(spikes) -> np.ndarray:
    return spikes.bin(0.01).unit_counts() / spikes.duration.sum()


def main() -> None:
    options = arguments(__doc__, ("--case", {"nargs": "+", "choices": CASES, "default": CASES}))
    for name in options.case:
        rows = hub(options.seed, options.quick) if name == "hub" else evaluate(name, options.seed, options.quick)
        show(f"{name}, seed {options.seed}", rows)
        if options.write:
            rows = [{**row, **provenance(options.seed, "as in the script")} for row in rows]
            keep("generation", rows, key=("case", "source", "metric", "seed"))


if __name__ == "__main__":
    main()
