"""Held-out bits per spike: recordings x models x folds, the Neuroformer against the best baseline of each fold.

    python benchmarks/likelihood.py [--recordings S1 ...] [--folds 0 1 2 3 4] [--models ...] [--write]

Ten contiguous groups of trials; fold f tests on groups f and f + 5, and validates on f + 2 and f + 7: five folds test
on every group once. Each fold has a seed of its own, its number. Models choose what they choose inside the training
groups; which baseline is the best is decided on the validation groups. Differences are paired over trials, with an
interval from resampling whole trials (5 s pieces where a recording is one long trial).

`pattern` is the score of the whole count pattern (units of the same bin may explain each other), `past` allows nothing
of the same bin: for baselines the same model without same-bin terms, for the Neuroformer the chances of each unit's
count averaged over its own draws of the bin (`past_score`).
"""

from __future__ import annotations

import time

import numpy as np
from _machine import arguments, keep, provenance, show
from _recordings import RECORDINGS, Session

from skneuro import NeuroformerEstimator
from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel
from skneuro.datasets import block_split
from skneuro.metrics.likelihood import null_log_likelihood

# The model of the pattern, and the one of the past alone (None: the first has no terms of the same bin).
BASELINES = {
    "constant counts": (lambda seed: ConstantMarginal(), None),
    "GLM, Poisson": (lambda seed: CoupledGLM(), None),
    "GLM, categorical, same bin": (
        lambda seed: CoupledGLM(counts="categorical", same_bin="linear"),
        lambda seed: CoupledGLM(counts="categorical"),
    ),
    "GRU, categorical, nonlinear same bin": (
        lambda seed: GRUModel(random_state=seed, n_threads=1),
        lambda seed: GRUModel(random_state=seed, n_threads=1, same_bin=None),
    ),
}
MODELS = [*BASELINES, "Neuroformer"]


def groups_of(fold: int) -> dict[str, tuple[int, int]]:
    """Validation and test groups."""
    return {"validation": ((fold + 2) % 10, (fold + 7) % 10), "test": (fold, fold + 5)}


def interval(gain: np.ndarray, spikes: np.ndarray) -> tuple[float, float]:
    """95 % interval of pooled bits per spike, resampling trials (`gain` in nats, one a trial)."""
    drawn = np.random.default_rng(0).integers(0, len(gain), (2000, len(gain)))
    low, high = np.percentile(gain[drawn].sum(1) / spikes[drawn].sum(1) / np.log(2), [2.5, 97.5])
    return float(low), float(high)


class Fold:
    """One split of a session, and what the models score there."""

    def __init__(self, session: Session, fold: int) -> None:
        split = block_split(session.groups, session.gap, **groups_of(fold))
        self.bin_width, self.window_bins, self.seed = session.bin_width, session.window_bins, fold
        self.parts = {
            name: (session.spikes[mask], None if session.stimuli is None else session.stimuli[mask])
            for name, mask in split.items()
        }
        binned = self.parts["test"][0].bin(self.bin_width)
        starts, self.kept = binned.ptr[:-1], np.diff(binned.ptr) > 0
        self.spikes = np.add.reduceat(np.asarray(binned.counts.sum(1)).ravel(), starts)
        self.binned, self.starts = binned, starts

    def measure(self, name: str) -> dict:
        """Fit and score one model: numbers for the table, and the gain of each trial over the null in nats."""
        train, validation, test = (self.parts[part] for part in ("train", "validation", "test"))
        model, past_model = self._models(name)
        start = time.process_time()
        model.fit(*train)
        seconds = time.process_time() - start
        null = np.add.reduceat(null_log_likelihood(self.binned, model.base_rate_).sum(1), self.starts)
        gain = model.score_samples(*test) - null
        if name == "Neuroformer":
            past = model.past_score(*test)
        else:
            past = (model if past_model is None else past_model.fit(*train)).score(*test)
        row = {
            "pattern": model.score(*test), "past": past, "validation": model.score(*validation),
            "train": model.score(*train), "CPU s": seconds, "gain": gain, "units": model.unit_score(*test),
        }  # fmt: skip
        print(f"  {name}: pattern {row['pattern']:.4f}, past {past:.4f}, {seconds:.0f} s", flush=True)
        return row

    def _models(self, name: str) -> tuple:
        if name == "Neuroformer":
            settings = {"gamma": 0.0, "mu": 0.5, "window_bins": self.window_bins, "random_state": self.seed}
            return NeuroformerEstimator(bin_width=self.bin_width, **settings), None
        made = [None if make is None else make(self.seed) for make in BASELINES[name]]
        return tuple(model if model is None else model.set_params(bin_width=self.bin_width) for model in made)


def compare(recording: str, folds: dict[int, Fold], found: dict[int, dict[str, dict]]) -> list[dict]:
    """A row for each model: means over the folds, and its difference to the best baseline of each fold."""
    best = {}
    for fold, models in found.items():
        baselines = [name for name in models if name != "Neuroformer"]
        best[fold] = max(baselines, key=lambda name, models=models: models[name]["validation"])
    rows = []
    for name in next(iter(found.values())):
        own = [models[name] for models in found.values()]
        differences = np.concatenate([found[f][name]["gain"] - found[f][best[f]]["gain"] for f in found])
        spikes = np.concatenate([folds[f].spikes for f in found])
        units = np.concatenate([found[f][name]["units"] - found[f][best[f]]["units"] for f in found])
        units = units[np.isfinite(units)]
        low, high = interval(differences, spikes)
        pooled = np.concatenate([models[name]["gain"] for models in found.values()]).sum() / spikes.sum() / np.log(2)
        rows.append({
            "recording": recording, "model": name, "pattern": pooled, "past": float(np.mean([r["past"] for r in own])),
            "worst fold": min(r["pattern"] for r in own), "best fold": max(r["pattern"] for r in own),
            "train": float(np.mean([r["train"] for r in own])),
            "to the best baseline": differences.sum() / spikes.sum() / np.log(2), "from": low, "to": high,
            "median of units": float(np.median(units)), "units better": float(np.mean(units > 0)),
            "CPU s": float(np.mean([r["CPU s"] for r in own])), "folds": len(found),
            "best baseline": " / ".join(sorted(set(best.values()))),
        })  # fmt: skip
    return rows


def main() -> None:
    options = arguments(
        __doc__,
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": list(RECORDINGS)}),
        ("--folds", {"nargs": "+", "type": int, "choices": range(5), "default": list(range(5))}),
        ("--models", {"nargs": "+", "choices": MODELS, "default": MODELS}),
    )
    for recording in options.recordings:
        session = RECORDINGS[recording]()
        folds, found = {}, {}
        for fold in options.folds[:1] if options.quick else options.folds:
            print(f"{recording}, fold {fold}", flush=True)
            folds[fold] = Fold(session, fold)
            found[fold] = {name: folds[fold].measure(name) for name in options.models}
            show(recording, compare(recording, folds, found))
        if options.write:
            width = f"{1e3 * session.bin_width:g} ms"
            settings = f"bins of {width}, windows of {session.window_bins}, gamma=0, else default"
            rows = compare(recording, folds, found)
            keep("likelihood", [{**r, **provenance("fold", settings)} for r in rows], ["recording", "model"])


if __name__ == "__main__":
    main()
