"""What the score depends on: amount of data, number of units, memory, window, heads; one thing changed at a time.

    python benchmarks/likelihood_curves.py [--sweeps data units ...] [--recordings NAME ...] [--seeds 0 1 2] [--write]

Fold 0 of `likelihood.py`; a seed chooses the start of the training, the random order of `units` and nothing else.

* `data` takes the first 10, 30 and 100 % of the training trials, `units` the first units of a random order.
* `order` shuffles the columns of the units, which no score should depend on; `past` allows nothing of the same bin.
* `memory` scores the fifth second of every trial of 5 s when only so much of the trial before it is told: always the
  same bins of the same model. (Recordings of spikes alone that are cut into such trials.)

Baselines stand beside these, and all are scored on the test groups. The other sweeps change one parameter of the
Neuroformer and are scored on the validation groups, since they are there to choose by. A model that two sweeps ask for
is fitted once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from _machine import arguments, keep, kept, provenance, show
from _recordings import RECORDINGS, TRIAL, Session
from likelihood import BASELINES, groups_of, rounded

from skneuro import NeuroformerEstimator
from skneuro.data import SpikeTrains
from skneuro.datasets import block_split

OPPONENTS = ("GLM, categorical, same bin", "GRU, categorical, nonlinear same bin")
SHARES = (0.1, 0.3, 1.0)  # of trials, of units
ORDERS = 3  # the recorded one first
MEMORY = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)  # s
COMPARED = ("data", "units", "order", "memory")  # sweeps with baselines
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
    "weight decay": [{"weight_decay": decay} for decay in ("auto", 0.05, 0.5, 2.0)],
    "batch size": [{"batch_size": segments} for segments in (4, 8, 16)],
}


@dataclass(frozen=True)
class Case:
    """One point of a sweep."""

    value: str
    changes: dict = field(default_factory=dict)  # of the Neuroformer's parameters
    share: float = 1.0  # of the training trials
    units: tuple[int, ...] | None = None  # columns, in this order; None: as recorded
    past: float | None = None  # s before the scored second; None scores whole trials


class Sweeps:
    """Fold 0 of a session with one seed, and the models fitted to it so far."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session, self.seed = session, seed
        split = block_split(session.groups, session.gap, **groups_of(0))
        self.rows = {name: np.flatnonzero(getattr(split, name)) for name in ("train", "validation", "test")}
        self._fitted: dict[str, tuple] = {}

    def cases(self, sweep: str) -> Iterator[Case]:
        """What a sweep consists of."""
        n_units = self.session.spikes.shape[1]
        if sweep == "data":
            yield from (Case(f"{share:.0%}", share=share) for share in SHARES)
        elif sweep == "units":
            order = np.random.default_rng([self.seed, 7]).permutation(n_units)
            for share in SHARES:
                part = sorted(order[: max(round(share * n_units), 2)].tolist())
                yield Case(f"{share:.0%}", units=None if len(part) == n_units else tuple(part))
        elif sweep == "order":
            yield Case("as recorded")
            for number in range(1, ORDERS):
                order = np.random.default_rng([number, 8]).permutation(n_units)
                yield Case(f"shuffled {number}", units=tuple(order.tolist()))
        elif sweep == "memory":
            yield from (Case(f"{seconds:g} s", past=seconds) for seconds in MEMORY)
        else:
            for changes in PARAMETERS[sweep]:
                yield Case(" ".join(f"{k}={v}" for k, v in changes.items()), changes)

    def measure(self, sweep: str, case: Case) -> list[dict]:
        """A row for each model that belongs to a case."""
        compared = sweep in COMPARED
        rows = []
        for name in (*OPPONENTS, "Neuroformer") if compared else ("Neuroformer",):
            model, train, seconds = self._fit(name, case)
            scored = self._part("test" if compared else "validation", case)
            if case.past is not None:
                scored = fifth_second(scored[0], case.past), None
            past = model.past_score(*scored) if sweep == "order" and name == "Neuroformer" else None
            rows.append({
                "value": case.value, "model": name, "seed of fit": self.seed,
                "scored on": "test" if compared else "validation", "score": model.score(*scored), "past": past,
                "train": model.score(*train), "training spikes": len(train[0].times), "units": train[0].shape[1],
                "epochs": getattr(model, "n_iter_", None), "CPU s": seconds,
            })  # fmt: skip
            print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in rows[-1].values()), flush=True)
        return rows

    def _fit(self, name: str, case: Case) -> tuple:
        """The fitted model, its training data, and the seconds it took."""
        model = self._model(name, case.changes)
        train = self._part("train", case)
        key = repr((name, sorted(model.get_params().items()), case.share, case.units))
        if key not in self._fitted:
            start = time.process_time()
            model.fit(*train)
            self._fitted[key] = model, train, time.process_time() - start
        return self._fitted[key]

    def _model(self, name: str, changes: dict):
        bins = {"bin_width": self.session.bin_width, "window_bins": self.session.window_bins}
        if name == "Neuroformer":
            return NeuroformerEstimator(**{**bins, "gamma": 0.0, "mu": 0.5, "random_state": self.seed, **changes})
        if name.startswith("GRU"):
            bins["max_steps"] = self.session.gru_steps
        return BASELINES[name][0](self.seed).set_params(**bins)

    def _part(self, name: str, case: Case) -> tuple:
        rows = self.rows[name]
        if name == "train":
            rows = rows[: max(round(case.share * len(rows)), 2)]
        spikes, stimuli = self.session.spikes[rows], self.session.stimuli
        if case.units is not None:
            spikes = spikes[:, list(case.units)]
        return spikes, None if stimuli is None else stimuli[rows]


def fifth_second(spikes: SpikeTrains, past: float) -> SpikeTrains:
    """The fifth second of trials of 5 s out of one recording, with so much of the trial before it as its context."""
    pieces = spikes.cut(1.0, context=past)
    first = pieces.t_start + pieces.context
    trial = np.searchsorted(spikes.t_start, first + 1e-9, side="right") - 1
    return pieces[np.isclose(first - spikes.t_start[trial], TRIAL - 1.0)]


def main() -> None:
    sweeps = [*COMPARED, *PARAMETERS]
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
        for seed in options.seeds:
            of_seed = Sweeps(session, seed)
            for sweep in options.sweeps[:1] if options.quick else options.sweeps:
                found = []
                for case in of_seed.cases(sweep):
                    if (recording, sweep, case.value, str(seed)) in there:
                        continue
                    rows = [{"recording": recording, "sweep": sweep, **r} for r in of_seed.measure(sweep, case)]
                    found += rows
                    if options.write:
                        told = provenance(seed, f"gamma=0, else default; bins of {1e3 * session.bin_width:g} ms")
                        keep("likelihood_curves", [{**rounded(r), **told} for r in rows], [*key, "model"])
                    if options.quick:
                        return show(f"{recording}: {sweep}", found)
                show(f"{recording}, seed {seed}: {sweep}", found)


if __name__ == "__main__":
    main()
