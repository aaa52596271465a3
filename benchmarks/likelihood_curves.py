"""What the score depends on: amount of data, number of units, memory, window, heads; one thing changed at a time.

    python benchmarks/likelihood_curves.py [--sweeps data units ...] [--recordings NAME ...] [--seeds 0] [--write]

Fold 0 of `likelihood.py`. `data` takes the first 10, 30 and 100 % of the training trials, `units` the first units of a
random order; there the baselines are fitted to the same and all are scored on the test groups. `order` shuffles the
columns of the units, which no score should depend on; `past` allows nothing of the same bin there. The other sweeps
change one parameter of the Neuroformer and are scored on the validation groups, since they are there to choose by.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from _machine import arguments, keep, kept, provenance, show
from _recordings import RECORDINGS, Session
from likelihood import BASELINES, groups_of

from skneuro import NeuroformerEstimator
from skneuro.datasets import block_split

OPPONENTS = ("GLM, categorical, same bin", "GRU, categorical, nonlinear same bin")
SHARES = (0.1, 0.3, 1.0)  # of trials, of units
ORDERS = 3  # the recorded one first
PARAMETERS = {
    "context": [{"context": seconds} for seconds in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)],
    "recent context": [{"recent_context": seconds} for seconds in (0.0, 0.1, 0.25, 0.5)],
    "coupling lag": [{"coupling": False}, *({"coupling_lag": seconds} for seconds in (0.1, 0.25, 0.5, 1.0))],
    "coupling penalty": [{"coupling_penalty": penalty} for penalty in (0.0, 1.0, 2.0, 4.0)],
    "window": [{"window_bins": bins} for bins in (1, 2, 5, 10)],
    "head": [{"head": head} for head in ("hazard", "chained", "independent")],
    "width": [{"context_width": width} for width in (32, 64, 128, 192, 256)],
    "dropout": [{"dropout": rate} for rate in (0.2, 0.4, 0.6)],
    "unit dropout": [{"unit_dropout": rate} for rate in (0.0, 0.1, 0.3)],
    "weight decay": [{"weight_decay": decay} for decay in (0.05, 0.5, 2.0)],
}


def models(session: Session, seed: int, opponents: bool, **changes) -> Iterator[tuple[str, object]]:
    """Unfitted models and their names."""
    bins = {"bin_width": session.bin_width, "window_bins": session.window_bins}
    for name in OPPONENTS if opponents else ():
        yield name, BASELINES[name][0](seed).set_params(**bins)
    yield "Neuroformer", NeuroformerEstimator(**{**bins, "gamma": 0.0, "mu": 0.5, "random_state": seed, **changes})


def cases(sweep: str, session: Session, seed: int) -> Iterator[tuple[str, dict, Session]]:
    """Value of the sweep as text, changed parameters, and the session with what is left of it."""
    if sweep in PARAMETERS:
        for changes in PARAMETERS[sweep]:
            yield " ".join(f"{k}={v}" for k, v in changes.items()), changes, session
        return
    n_units = session.spikes.shape[1]
    if sweep == "order":
        for number in range(ORDERS):
            order = np.random.default_rng([number, 8]).permutation(n_units) if number else np.arange(n_units)
            value = f"shuffled {number}" if number else "as recorded"
            yield value, {}, replace(session, spikes=session.spikes[:, order])
        return
    order = np.random.default_rng([seed, 7]).permutation(n_units)
    for share in SHARES:
        units = np.sort(order[: max(round(share * n_units), 2)]) if sweep == "units" else np.arange(n_units)
        yield f"{share:.0%}", {}, replace(session, spikes=session.spikes[:, units])


def measure(recording: str, sweep: str, seed: int, value: str, changes: dict, session: Session) -> list[dict]:
    """Fit and score the models of one case."""
    split = block_split(session.groups, session.gap, **groups_of(0))
    baselines = sweep not in PARAMETERS
    scored = split.test if baselines else split.validation
    train = np.flatnonzero(split.train)
    if sweep == "data":
        train = train[: max(round(float(value.rstrip("%")) / 100 * len(train)), 2)]

    def part(rows: np.ndarray) -> tuple:
        return session.spikes[rows], None if session.stimuli is None else session.stimuli[rows]

    rows = []
    for name, model in models(session, seed, baselines, **changes):
        start = time.process_time()
        model.fit(*part(train))
        seconds = time.process_time() - start
        rows.append({
            "recording": recording, "sweep": sweep, "value": value, "model": name, "seed of fit": seed,
            "scored on": "test" if baselines else "validation", "score": model.score(*part(scored)),
            "past": model.past_score(*part(scored)) if sweep == "order" and name == "Neuroformer" else None,
            "train": model.score(*part(train)), "training spikes": len(session.spikes[train].times),
            "units": session.spikes.shape[1], "epochs": getattr(model, "n_iter_", None), "CPU s": seconds,
        })  # fmt: skip
        print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in rows[-1].values()), flush=True)
    return rows


def main() -> None:
    sweeps = ["data", "units", "order", *PARAMETERS]
    options = arguments(
        __doc__,
        ("--sweeps", {"nargs": "+", "choices": sweeps, "default": sweeps}),
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": ["S1", "linear track"]}),
        ("--seeds", {"nargs": "+", "type": int, "default": [0]}),
    )
    key = ("recording", "sweep", "value", "seed of fit")
    there = {tuple(r[k] for k in key) for r in kept("likelihood_curves")} if options.write else set()
    for recording in options.recordings:
        session = RECORDINGS[recording]()
        for sweep in options.sweeps[:1] if options.quick else options.sweeps:
            found = []
            for seed in options.seeds:
                for value, changes, part in cases(sweep, session, seed):
                    if (recording, sweep, value, str(seed)) in there:
                        continue
                    rows = measure(recording, sweep, seed, value, changes, part)
                    found += rows
                    if options.write:
                        told = provenance(seed, f"gamma=0, else default; bins of {1e3 * session.bin_width:g} ms")
                        keep("likelihood_curves", [{**r, **told} for r in rows], [*key, "model"])
                    if options.quick:
                        return show(f"{recording}: {sweep}", found)
            show(f"{recording}: {sweep}", found)


if __name__ == "__main__":
    main()
