"""What did not become a default of the Neuroformer: a gate, a start at a GLM's couplings, an ensemble, no ceilings.

    python benchmarks/likelihood_variants.py [--recordings NAME ...] [--shares 0.1 1] [--variants NAME ...] [--write]

Fold 0 of `likelihood.py`, the first 10 % of the training trials or all of them; scores of the validation groups, by
which one would choose, and of the test groups.

* ``as it is``: the defaults, a row for each of three seeds.
* ``ensemble of 3``: the probability of each cell, given all that came before it, is the mean of those three models'. By
  the chain rule that is a distribution of patterns as well.
* ``gate g``: the first model, what its transformer path adds to the log intensities (long past, recent spikes, spikes
  of the window) times g; every unit's rate is then fitted to the training trials again. At 0 couplings, terms of the
  same bin and filters of stimuli are left.
* ``without ceilings``: the first model, counts of the past and log intensities not cut at what training saw.
* ``couplings alone``: trained so (``context=0, recent_context=0``).
* ``couplings first``: the defaults, started at the couplings, same-bin terms and rates of that model.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from _machine import arguments, keep, kept, provenance, show
from _recordings import RECORDINGS, Session
from likelihood import groups_of

from skneuro import NeuroformerEstimator
from skneuro.datasets import block_split
from skneuro.estimators import _fitting
from skneuro.metrics.likelihood import bits_per_spike, null_log_likelihood

SEEDS = (0, 1, 2)
GATES = (0.0, 0.25, 0.5, 0.75)
STARTED = ("coupling", "same_bin", "bias")  # parameters of the units that the other model hands on
VARIANTS = ("as it is", "ceilings", "gate", "couplings")
STEP, STEPS, FURTHEST = 0.1, 3, 1.0  # of a unit's log rate: finite difference, Newton steps, longest step

Part = tuple  # spikes and stimuli


def default(session: Session, seed: int, **changes) -> NeuroformerEstimator:
    """Unfitted, as `likelihood.py` has it."""
    bins = {"bin_width": session.bin_width, "window_bins": session.window_bins}
    return NeuroformerEstimator(**{**bins, "gamma": 0.0, "mu": 0.5, "random_state": seed, **changes})


# ---- the variants --------------------------------------------------------------------------------------------------


def gated(model: NeuroformerEstimator, gate: float, train: Part) -> NeuroformerEstimator:
    """A copy whose transformer path is scaled, with the units' rates fitted again."""
    model = copy.deepcopy(model)
    network = model.model_.network
    scaled = [network.decoder.out.weight, network.decoder.out.bias, network.readout.weight, network.readout.bias]
    scaled += [network.session.output] if network.config.context_bins else []
    with torch.no_grad():
        for weight in scaled:
            weight *= gate
    fit_rates(model, train)
    return model


def without_ceilings(model: NeuroformerEstimator) -> NeuroformerEstimator:
    """A copy that trusts what training never saw."""
    model = copy.deepcopy(model)
    session = model.model_.network.session
    session.most.fill_(float("inf"))
    session.ceiling.fill_(float("inf"))
    return model


def fit_rates(model: NeuroformerEstimator, part: Part) -> None:
    """Newton's method in one number a unit, with the derivatives from three scores."""
    low, here, high = (shifted_scores(model, offset, part) for offset in (-STEP, 0.0, STEP))
    for number in range(STEPS):
        if number:
            low, here, high = (shifted_scores(model, offset, part) for offset in (-STEP, 0.0, STEP))
        slope, bend = (high - low) / (2 * STEP), (high - 2 * here + low) / STEP**2
        step = np.where(np.isfinite(bend) & (bend < 0), -slope / np.minimum(bend, -1e-9), 0.0)
        model.model_.shift_log_rates(np.nan_to_num(np.clip(step, -FURTHEST, FURTHEST)))


def shifted_scores(model: NeuroformerEstimator, offset: float, part: Part) -> np.ndarray:
    """Score of every unit with all log intensities moved."""
    moved = copy.deepcopy(model)
    moved.model_.shift_log_rates(np.full(len(model.unit_ids_), offset))
    return moved.unit_score(*part)


def started_at(donor: NeuroformerEstimator, session: Session, seed: int, train: Part) -> NeuroformerEstimator:
    """The defaults, trained from the parameters of another model's units."""
    build = _fitting.build_network

    def build_started(*args, **kwargs):
        network = build(*args, **kwargs)
        with torch.no_grad():
            for name in STARTED:
                getattr(network.session, name).copy_(getattr(donor.model_.network.session, name))
        return network

    with mock.patch.object(_fitting, "build_network", build_started):
        return default(session, seed).fit(*train)


def ensemble_score(models: list[NeuroformerEstimator], part: Part, bin_width: float) -> float:
    """Bits per spike of the mean of the models' probabilities of each cell."""
    cells = [model._cell_log_likelihood(model._read(*part, reset=False)) for model in models]
    total = (np.logaddexp.reduce(cells, axis=0) - np.log(len(cells))).sum()
    binned = part[0].bin(bin_width)
    return bits_per_spike(total, null_log_likelihood(binned, models[0].base_rate_).sum(), int(binned.counts.sum()))


# ---- measuring -----------------------------------------------------------------------------------------------------


def measure(session: Session, share: float, variants: tuple[str, ...]) -> Iterator[dict]:
    """Rows of one recording and share of the data."""
    split = block_split(session.groups, session.gap, **groups_of(0))
    train, validation, test = (np.flatnonzero(getattr(split, name)) for name in ("train", "validation", "test"))
    train = train[: max(round(share * len(train)), 2)]

    def part(rows: np.ndarray) -> Part:
        return session.spikes[rows], None if session.stimuli is None else session.stimuli[rows]

    def scored(name: str, seed: object, model, start: float) -> dict:
        seconds = time.process_time() - start
        return {
            "variant": name, "seed of fit": seed, "validation": model.score(*part(validation)),
            "test": model.score(*part(test)), "CPU s": seconds,
        }  # fmt: skip

    models = []
    for seed in SEEDS if "as it is" in variants else SEEDS[:1]:
        start = time.process_time()
        models.append(default(session, seed).fit(*part(train)))
        yield scored("as it is", seed, models[-1], start)
    if len(models) > 1:
        scores = {
            name: ensemble_score(models, part(rows), session.bin_width)
            for name, rows in (("validation", validation), ("test", test))
        }
        yield {"variant": f"ensemble of {len(models)}", "seed of fit": "all", **scores, "CPU s": None}
    if "ceilings" in variants:
        yield scored("without ceilings", SEEDS[0], without_ceilings(models[0]), time.process_time())
    if "gate" in variants:
        for gate in GATES:
            start = time.process_time()
            yield scored(f"gate {gate:g}", SEEDS[0], gated(models[0], gate, part(train)), start)
    if "couplings" in variants:
        start = time.process_time()
        alone = default(session, SEEDS[0], context=0.0, recent_context=0.0).fit(*part(train))
        yield scored("couplings alone", SEEDS[0], alone, start)
        start = time.process_time()
        yield scored("couplings first", SEEDS[0], started_at(alone, session, SEEDS[0], part(train)), start)


def main() -> None:
    options = arguments(
        __doc__,
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": list(RECORDINGS)}),
        ("--shares", {"nargs": "+", "type": float, "default": [0.1, 1.0]}),
        ("--variants", {"nargs": "+", "choices": list(VARIANTS), "default": list(VARIANTS)}),
    )
    key = ("recording", "data", "variant", "seed of fit")
    there = {(r["recording"], r["data"]) for r in kept("likelihood_variants")} if options.write else set()
    for recording in options.recordings:
        session = RECORDINGS[recording]()
        for share in options.shares[:1] if options.quick else options.shares:
            data = f"{share:.0%}"
            if (recording, data) in there:
                continue
            found = []
            for row in measure(session, share, ("gate",) if options.quick else tuple(options.variants)):
                found.append({"recording": recording, "data": data, **row})
                print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in found[-1].values()), flush=True)
            show(f"{recording}, {data}", found)
            if options.write:
                told = provenance(0, f"gamma=0, else default; bins of {1e3 * session.bin_width:g} ms")
                rows = [{k: f"{v:.4f}" if k in ("validation", "test") else v for k, v in row.items()} for row in found]
                keep("likelihood_variants", [{**row, **told} for row in rows], key)


if __name__ == "__main__":
    main()
