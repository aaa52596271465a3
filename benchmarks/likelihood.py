"""Held-out bits per spike: recordings x models x folds, the Neuroformer against the best baseline of each fold.

    python benchmarks/likelihood.py [--recordings S1 ...] [--folds 0 1 2] [--models ...] [--pattern-only] [--write]
    python benchmarks/likelihood.py --summary [--write]

Ten contiguous groups of trials; fold f tests on groups f and f + 5, and validates on f + 2 and f + 7: five folds test
on every group once. Each fold has a seed of its own, its number. Models choose what they choose inside the training
groups; which baseline is the best is decided on the validation groups. Differences are paired over trials (5 s pieces
where a recording is one long trial), with an interval of 1.96 standard errors of the sum over trials; beside it stands
Student's interval over folds, which holds what a seed does, too. A fold is kept as soon as it is done, and not computed
again; `--summary` pools the folds that were kept.

`pattern` is the score of the whole count pattern (units of the same bin may explain each other), `past` allows nothing
of the same bin: for baselines the same model without same-bin terms, for the Neuroformer the chances of each unit's
count averaged over 64 draws of the bin (`past_score`). `rate` scores the expected counts of `predict`, which looks at
nothing of the window either, as if the counts were Poisson's: how much of the score is rates and not the shape of the
count distribution. `co-smoothing` explains a quarter of the units by the others, for each quarter in turn.
"""

from __future__ import annotations

import time
from functools import cached_property

import numpy as np
import scipy.stats
from _machine import arguments, keep, kept, provenance, show
from _recordings import GRU_STEPS, RECORDINGS, Session

from skneuro import NeuroformerEstimator
from skneuro.baselines import ConstantMarginal, CoupledGLM, GRUModel
from skneuro.datasets import block_split
from skneuro.metrics.likelihood import bits_per_spike, null_log_likelihood, poisson_log_pmf

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
OURS = {
    "Neuroformer": {}, "Neuroformer without coupling": {"coupling": False},
    "Neuroformer, stimuli not in context": {"stimuli_in_context": False},
    "Neuroformer, up to 3 cycles": {"max_cycles": 3},
}  # fmt: skip
MODELS = [*BASELINES, *OURS]


def groups_of(fold: int) -> dict[str, tuple[int, int]]:
    """Validation and test groups."""
    return {"validation": ((fold + 2) % 10, (fold + 7) % 10), "test": (fold, fold + 5)}


def paired(gain: np.ndarray, spikes: int) -> tuple[float, float]:
    """Difference in bits per spike and its standard error, from nats a trial."""
    bits = gain / spikes / np.log(2)
    return float(bits.sum()), float(bits.std(ddof=1) * np.sqrt(len(bits)))


class Fold:
    """One split of a session, and what the models score there."""

    def __init__(self, session: Session, fold: int, pattern_only: bool = False) -> None:
        self.pattern_only = pattern_only
        split = block_split(session.groups, session.gap, **groups_of(fold))
        self.session, self.seed = session, fold
        self.parts = {
            name: (session.spikes[mask], None if session.stimuli is None else session.stimuli[mask])
            for name, mask in split.items()
        }

    @cached_property
    def test(self):
        """The binned test spikes."""
        return self.parts["test"][0].bin(self.session.bin_width)

    def measure(self, name: str) -> dict:
        """Fit and score one model: numbers for the table, the gain of each trial over the null in nats, unit scores."""
        train, validation, test = (self.parts[part] for part in ("train", "validation", "test"))
        model, past_model = self._models(name)
        start = time.process_time()
        model.fit(*train)
        seconds = time.process_time() - start
        null = np.add.reduceat(null_log_likelihood(self.test, model.base_rate_).sum(1), self.test.ptr[:-1])
        row = {
            "pattern": model.score(*test), **self._more(model, past_model), "train": model.score(*train),
            "validation": model.score(*validation), "CPU s": seconds, "parameters": n_parameters(model),
            "gain": model.score_samples(*test) - null, "units": model.unit_score(*test),
        }  # fmt: skip
        print(f"  {name}: pattern {row['pattern']:.4f}, past {row['past'] or 0:.4f}, {seconds:.0f} s", flush=True)
        return row

    def _more(self, model, past_model) -> dict:
        """The scores that cost another fit, or many draws."""
        if self.pattern_only:
            return dict.fromkeys(("past", "rate", "co-smoothing"))
        train, test = self.parts["train"], self.parts["test"]
        if isinstance(model, NeuroformerEstimator):
            past = model.past_score(*test)
        else:
            past = (model if past_model is None else past_model.fit(*train)).score(*test)
        return {"past": past, "rate": self._rate_score(model), "co-smoothing": self._co_smoothing(model)}

    def _rate_score(self, model) -> float:
        """Bits per spike of the expected counts under Poisson's distribution."""
        counts = np.asarray(self.test.counts.todense())
        mean = np.maximum(np.concatenate(list(model.predict(*self.parts["test"]))), 1e-6)
        null = null_log_likelihood(self.test, model.base_rate_).sum()
        return bits_per_spike(poisson_log_pmf(counts, mean).sum(), null, int(counts.sum()))

    def _co_smoothing(self, model) -> float:
        """Bits per spike of each quarter of the units given the others, pooled."""
        units = np.random.default_rng(0).permutation(model.unit_ids_)
        n_spikes = self.test.unit_counts()
        quarters = [np.isin(model.unit_ids_, part) for part in np.array_split(units, 4)]
        parts = [q for q in quarters if n_spikes[q].sum()]
        scores = [model.co_smoothing_score(*self.parts["test"], held_out=model.unit_ids_[q]) for q in parts]
        return float(np.average(scores, weights=[n_spikes[q].sum() for q in parts]))

    def _models(self, name: str) -> tuple:
        bins = {"bin_width": self.session.bin_width, "window_bins": self.session.window_bins}
        if name in OURS:
            return NeuroformerEstimator(**bins, gamma=0.0, mu=0.5, random_state=self.seed, **OURS[name]), None
        made = [None if make is None else make(self.seed) for make in BASELINES[name]]
        if name == "constant counts":
            bins.pop("window_bins")
        if name.startswith("GRU"):
            bins["max_steps"] = self.session.gru_steps
        return tuple(model if model is None else model.set_params(**bins) for model in made)

    def rows(self, recording: str, found: dict[str, dict]) -> list[dict]:
        """A row for each model, with its difference to the baseline that is best on the validation groups."""
        best = max((name for name in found if name in BASELINES), key=lambda name: found[name]["validation"])
        n_spikes = int(self.test.counts.sum())
        rows = []
        for name, own in found.items():
            difference, error = paired(own["gain"] - found[best]["gain"], n_spikes)
            units = own["units"] - found[best]["units"]
            units = units[np.isfinite(units)]
            numbers = {k: v for k, v in own.items() if k not in ("gain", "units")}
            rows.append({
                "recording": recording, "fold": self.seed, "model": name, **numbers, "best baseline": best,
                "to the best baseline": difference, "standard error": error, "median of units": float(np.median(units)),
                "units better": float(np.mean(units > 0)), "test spikes": n_spikes,
            })  # fmt: skip
        return rows


def n_parameters(model) -> int | None:
    """Trained numbers of a model that counts them in tensors."""
    if isinstance(model, NeuroformerEstimator):
        return sum(p.numel() for p in model.model_.network.parameters())
    return sum(w.size for w in model.weights_.values()) if isinstance(model, GRUModel) else None


def rounded(row: dict) -> dict:
    """Numbers with four decimals, as text."""
    return {k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()}


def over_folds(differences: np.ndarray) -> tuple[float | None, float | None]:
    """Student's 95 % interval of the mean of folds that count alike; nothing of a single fold."""
    if len(differences) < 2:
        return None, None
    low, high = scipy.stats.ttest_1samp(differences, 0.0).confidence_interval(0.95)
    return float(low), float(high)


def summarise(rows: list[dict]) -> list[dict]:
    """A row for each recording and model, pooled over the folds that have the number."""
    result = []
    for recording, model in dict.fromkeys((r["recording"], r["model"]) for r in rows):
        own = [r for r in rows if (r["recording"], r["model"]) == (recording, model)]

        def pooled(name: str, own=own) -> float | None:
            there = [r for r in own if r[name] not in ("", "None")]
            weight = [float(r["test spikes"]) for r in there]
            return float(np.average([float(r[name]) for r in there], weights=weight)) if there else None

        gain = pooled("to the best baseline")
        weight = np.array([float(r["test spikes"]) for r in own])
        error = float(np.linalg.norm(weight / weight.sum() * [float(r["standard error"]) for r in own]))
        low, high = over_folds(np.array([float(r["to the best baseline"]) for r in own]))
        result.append({
            "recording": recording, "model": model, "folds": len(own),
            **{name: pooled(name) for name in ("pattern", "past", "rate", "co-smoothing", "train")},
            "worst fold": min(float(r["pattern"]) for r in own), "best fold": max(float(r["pattern"]) for r in own),
            "to the best baseline": gain, "from": gain - 1.96 * error, "to": gain + 1.96 * error,
            "over folds from": low, "over folds to": high,
            "median of units": pooled("median of units"), "units better": pooled("units better"),
            "CPU s": float(np.mean([float(r["CPU s"]) for r in own])),
            "best baseline": " / ".join(sorted({r["best baseline"] for r in own})),
        })  # fmt: skip
    return result


def main() -> None:
    options = arguments(
        __doc__,
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": list(RECORDINGS)}),
        ("--folds", {"nargs": "+", "type": int, "choices": range(5), "default": list(range(3))}),
        ("--models", {"nargs": "+", "choices": MODELS, "default": list(MODELS)}),
        ("--pattern-only", {"action": "store_true", "help": "leave out what costs another fit, or many draws"}),
        ("--summary", {"action": "store_true", "help": "pool the folds that were kept"}),
    )
    if options.summary:
        rows = summarise(kept("likelihood"))
        show("held-out bits per spike", rows)
        if options.write:
            told = provenance("fold", "from likelihood.csv")
            keep("likelihood_summary", [{**rounded(r), **told} for r in rows], ["recording", "model"])
        return
    for fold in options.folds[:1] if options.quick else options.folds:
        for recording in options.recordings:
            there = {r["model"] for r in kept("likelihood") if (r["recording"], r["fold"]) == (recording, str(fold))}
            if options.write and there >= set(options.models):
                continue
            session = RECORDINGS[recording]()
            print(f"{recording}, fold {fold}", flush=True)
            split = Fold(session, fold, options.pattern_only)
            rows = split.rows(recording, {name: split.measure(name) for name in options.models})
            show(f"{recording}, fold {fold}", rows)
            if options.write:
                width = f"{1e3 * session.bin_width:g} ms"
                longer = "" if session.gru_steps == GRU_STEPS else f", GRU of {session.gru_steps} steps"
                settings = f"bins of {width}, windows of {session.window_bins}, gamma=0{longer}, else default"
                told = provenance("fold", settings)
                keep("likelihood", [{**rounded(r), **told} for r in rows], ["recording", "fold", "model"])


if __name__ == "__main__":
    main()
