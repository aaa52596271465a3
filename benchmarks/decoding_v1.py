"""Direction of gratings and running speed from mouse V1, every session beside its nulls.

    python benchmarks/decoding_v1.py [--sessions NAME ...] [--seeds 0 1 2] [--shifts 20] [--tasks direction speed]

Four contiguous blocks of trials with a gap of one (`TrialBlockSplit`); events, models and readouts are fitted on the
training trials of each. Two tasks, each against what is usually used on the same events:

- direction, one label a trial, from the two seconds of the grating. A Neuroformer is fitted to the training trials with
  the direction of their grating as a modality, and read by Bayes' rule: the direction under which the trial's events
  are likeliest (all eight are as frequent). The log-likelihoods of all seeds' models are averaged too, and each model's
  state is read by `NeuroformerClassifier`. Events are those of OASIS, which looks ahead, but not beyond the trial that
  is labelled.
- speed, in every frame from itself and the 0.5 s before, by `NeuroformerRegressor` and by ridge regression. Events are
  those of the threshold, which look at nothing later.

A speed's score is the R2 of all left-out frames together: in one session the mouse rests through a whole block, which
has no R2. A fold's score is its part of that, one less its squared error in the variance of all frames, so that their
mean is the score. The score of directions is accuracy.

What had to be chosen (kind and threshold of events, settings of the model, frozen or not) was chosen on `DEVELOPED_ON`.

Nulls: of direction, the labels of the left-out trials in 1000 random orders within their block; of speed, since slow
signals correlate by chance, labels moved round in a circle against the trials, and the labels of another session, with
the readout fitted to them anew (of the first seed). The rows go to ``results/decoding_v1.csv``. Set SKNEURO_DATA to the
folder with the recordings; OASIS needs ``pip install "skneuro[calcium]"``.
"""

from __future__ import annotations

import argparse

import numpy as np
from _decoders import Ridge
from _machine import keep, provenance
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skneuro import (
    Modalities,
    NeuroformerClassifier,
    NeuroformerEstimator,
    NeuroformerRegressor,
    SpikeTrains,
    TimeSeries,
)
from skneuro.datasets import fetch_v1_gratings
from skneuro.model_selection import TrialBlockSplit
from skneuro.preprocessing import CalciumEvents
from skneuro.training.readout import PENALTIES, contiguous_folds, logistic

SESSIONS = ("mrcuts25", "mrcuts28", "mrcuts30")
DEVELOPED_ON = "mrcuts28"
DIRECTIONS = np.arange(0, 360, 45)
FRAME = 0.0625
BEFORE = 15 * FRAME  # events of the second before the grating, which only serve as past for its direction
LAGS = range(-7, 1)  # 0.5 s
N_FOLDS = 4
N_ORDERS = 1000
SETTINGS = {
    "bin_width": FRAME, "window_bins": 1, "gamma": 0.0, "mu": 0.5, "early_stopping": False, "weight_decay": 0.5,
}  # fmt: skip


def during_grating(events: SpikeTrains) -> SpikeTrains:
    """The same trials with the time before the grating as past only."""
    return SpikeTrains(
        events.times, events.units, events.ptr, events.t_start, events.t_stop, unit_ids=events.unit_ids,
        resolution=events.resolution, context=BEFORE,
    )  # fmt: skip


def gratings(directions: np.ndarray, events: SpikeTrains) -> Modalities:
    """What is shown, one sample a frame: whether a grating is on, and two harmonics of its direction."""
    series, stamps = [], []
    for start, duration, angle in zip(events.t_start, events.duration, np.deg2rad(directions), strict=True):
        time = start + np.arange(round(duration / FRAME)) * FRAME
        on = (time > -0.5 * FRAME).astype(float)
        series.append(np.outer(on, [1.0, *(f(k * angle) for k in (1, 2) for f in (np.cos, np.sin))]))
        stamps.append(time)
    return Modalities(grating=TimeSeries.from_lists(series, timestamps=stamps))


def log_likelihoods(model: NeuroformerEstimator, events: SpikeTrains) -> np.ndarray:
    """Log-likelihood of each trial under each direction, (n_trials, 8)."""
    part = during_grating(events)
    shown = [gratings(np.full(len(events), direction), events) for direction in DIRECTIONS]
    return np.stack([model.score_samples(part, one) for one in shown], axis=1)


def blocks(n_trials: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Training and left-out trials of each fold."""
    return list(TrialBlockSplit(N_FOLDS).split(np.zeros((n_trials, 1, 1))))


def summed(events: SpikeTrains) -> np.ndarray:
    """Events of each neuron during the grating, (n_trials, n_neurons)."""
    return events.bin(FRAME).dense().reshape(len(events), -1, events.shape[1])[:, 15:].sum(1).astype(float)


def by_logistic(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Classes by logistic regression, its penalty chosen on five contiguous blocks of the training trials."""
    classes, position = np.unique(labels, return_inverse=True)
    fold = contiguous_folds(np.arange(len(labels)))
    centre, scale, coef, intercept, _ = logistic(
        train, position, fold, len(classes), PENALTIES, np.ones(train.shape[1])
    )
    return classes[np.argmax((test - centre) / scale @ coef.T + intercept, axis=1)]


def by_discriminant(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Classes by linear discriminants, their common covariance shrunk as by Ledoit and Wolf."""
    discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return make_pipeline(StandardScaler(), discriminant).fit(train, labels).predict(test)


# ---- direction -----------------------------------------------------------------------------------------------


def baseline_directions(data) -> dict[str, list[np.ndarray]]:
    """Left-out trials' directions of each fold, by each baseline."""
    dff = data.modalities["dff"]
    result: dict[str, list[np.ndarray]] = {}
    for train, test in blocks(len(dff)):
        labels = data.direction[train]
        inference = CalciumEvents("oasis", threshold=1.0).fit(dff[train])
        parts = [summed(inference.transform(dff[rows])) for rows in (train, test)]
        plain = CalciumEvents().fit(dff[train])
        few = [summed(plain.transform(dff[rows])) for rows in (train, test)]
        sd = dff[train].values.std(0)
        shape = (-1, len(dff[0].values), dff.shape[1])
        traces = [(dff[rows].values / sd).reshape(shape)[:, 16:].mean(1) for rows in (train, test)]
        found = {
            "logistic": by_logistic(parts[0], labels, parts[1]),
            "linear discriminant": by_discriminant(parts[0], labels, parts[1]),
            "logistic, threshold events": by_logistic(few[0], labels, few[1]),
            "logistic, dF/F": by_logistic(traces[0], labels, traces[1]),
            "linear discriminant, dF/F": by_discriminant(traces[0], labels, traces[1]),
        }
        for name, directions in found.items():
            result.setdefault(name, []).append(directions)
    return result


def neuroformer_directions(data, seed: int) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray]]:
    """The same by one Neuroformer a fold, by Bayes' rule and from its state; and the log-likelihoods."""
    dff = data.modalities["dff"]
    state, likelihood = [], []
    for number, (train, test) in enumerate(blocks(len(dff))):
        labels = data.direction[train]
        inference = CalciumEvents("oasis", threshold=1.0).fit(dff[train])
        seen, new = (inference.transform(dff[rows]) for rows in (train, test))
        model = NeuroformerEstimator(**SETTINGS, random_state=100 * seed + number)
        model.fit(during_grating(seen), gratings(labels, seen))
        likelihood.append(log_likelihoods(model, new))
        decoder = NeuroformerClassifier(FrozenEstimator(model), lag=FRAME).fit(during_grating(seen), labels)
        state.append(decoder.predict(during_grating(new)))
    likeliest = [DIRECTIONS[found.argmax(axis=1)] for found in likelihood]
    return {"Neuroformer, Bayes": likeliest, "Neuroformer, frozen": state}, likelihood


def direction_row(data, folds: list[np.ndarray]) -> dict:
    """Accuracy of each fold, and how often a random order of the left-out labels is as good."""
    truth = [data.direction[test] for _, test in blocks(len(data.direction))]
    scores = [float(np.mean(a == b)) for a, b in zip(folds, truth, strict=True)]
    row = {f"fold_{k + 1}": score for k, score in enumerate(scores)} | {"score": float(np.mean(scores))}
    rng = np.random.default_rng(0)
    null = [
        np.mean([np.mean(a == rng.permutation(b)) for a, b in zip(folds, truth, strict=True)]) for _ in range(N_ORDERS)
    ]
    as_good = (1 + sum(n >= row["score"] for n in null)) / (1 + N_ORDERS)
    return row | {"null": float(np.mean(null)), "as_good": as_good}


# ---- speed ---------------------------------------------------------------------------------------------------


class SpeedFolds:
    """Events of each fold, and what is read from them.

    Parameters
    ----------
    data : Bunch
        A session.
    """

    def __init__(self, data) -> None:
        dff = data.modalities["dff"]
        self.rows = blocks(len(dff))
        self.events = []
        for train, test in self.rows:
            inference = CalciumEvents(threshold=1.0).fit(dff[train])
            self.events.append([inference.transform(dff[rows]) for rows in (train, test)])

    def pretrained(self, seed: int) -> list[NeuroformerEstimator]:
        """A model of each fold's training events."""
        return [
            NeuroformerEstimator(**SETTINGS, random_state=100 * seed + number).fit(seen)
            for number, (seen, _) in enumerate(self.events)
        ]

    def scores(self, speed: TimeSeries, predict) -> list[float]:
        """Parts of the R2 of all left-out frames; `predict` is given a fold's number and its training labels."""
        truth, found = [], []
        for number, (train, test) in enumerate(self.rows):
            truth.append(speed[test].on_bins(self.events[number][1].bin(FRAME)).ravel())
            found.append(predict(number, speed[train]))
        variance = np.concatenate(truth).var()
        return [1 - float(np.mean((a - b) ** 2) / variance) for a, b in zip(truth, found, strict=True)]

    def of_ridge(self, number: int, labels: TimeSeries) -> np.ndarray:
        """Ridge regression on the events of 0.5 s."""
        binned = [part.bin(FRAME) for part in self.events[number]]
        counts = [part.dense().astype(float) for part in binned]
        fitted = Ridge(LAGS).fit(counts[0], binned[0].ptr, labels.on_bins(binned[0]))
        return fitted.predict(counts[1], binned[1].ptr).ravel()

    def of_mean(self, number: int, labels: TimeSeries) -> np.ndarray:
        """Mean of the training labels, everywhere."""
        seen, new = (part.bin(FRAME) for part in self.events[number])
        return np.full(new.n_bins, labels.on_bins(seen).mean())


def speed_rows(data, other, seeds: list[int], n_shifts: int) -> list[dict]:
    """All decoders of a session's speed; nulls beside the first seed."""
    folds, speed = SpeedFolds(data), data.modalities["speed"]
    rows = [
        {"decoder": name, "seed": "", "folds": folds.scores(speed, read)}
        for name, read in (("ridge", folds.of_ridge), ("mean of training", folds.of_mean))
    ]
    for seed in seeds:
        models, penalties = folds.pretrained(seed), {}

        def read(number, labels, models=models, penalties=penalties):
            decoder = NeuroformerRegressor(
                FrozenEstimator(models[number]), lag=0.5, alpha=penalties.get(number, "auto")
            )
            seen, new = folds.events[number]
            penalties.setdefault(number, decoder.fit(seen, labels).alpha_)
            return np.concatenate(list(decoder.predict(new))).ravel()

        row = {"decoder": "Neuroformer, frozen", "seed": seed, "folds": folds.scores(speed, read)}
        if n_shifts and seed == seeds[0]:
            shifts = np.linspace(8, len(speed) - 8, n_shifts).astype(int)
            null = [float(np.mean(folds.scores(speed[np.roll(np.arange(len(speed)), k)], read))) for k in shifts]
            as_good = (1 + sum(n >= np.mean(row["folds"]) for n in null)) / (1 + len(null))
            swapped = float(np.mean(folds.scores(other.modalities["speed"], read)))
            row |= {"null": float(np.mean(null)), "as_good": as_good, "other_session": swapped}
        rows.append(row)
    return [
        row | {f"fold_{k + 1}": score for k, score in enumerate(row["folds"])} | {"score": float(np.mean(row["folds"]))}
        for row in rows
    ]


# ---- both ----------------------------------------------------------------------------------------------------


def write(task: str, session: str, row: dict) -> None:
    """Print a row and keep it."""
    columns = ("score", *(f"fold_{k + 1}" for k in range(N_FOLDS)), "null", "as_good", "other_session")
    known = {"task": task, "session": session, "decoder": row["decoder"], "seed": row["seed"]}
    known |= {name: f"{row[name]:.4f}" if name in row else "" for name in columns}
    print("  ".join(str(value) for value in known.values()), flush=True)
    source = provenance(0, ", ".join(f"{name}={value}" for name, value in SETTINGS.items()))
    known |= {key: source[key] for key in ("settings", "date", "versions", "machine")}
    keep("decoding_v1", [known], ["task", "session", "decoder", "seed"])


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", default=list(SESSIONS), choices=SESSIONS)
    parser.add_argument("--tasks", nargs="+", default=["direction", "speed"], choices=["direction", "speed"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--shifts", type=int, default=20)
    arguments = parser.parse_args()
    for session in arguments.sessions:
        data = fetch_v1_gratings(session)
        if "direction" in arguments.tasks:
            found, total = [("", baseline_directions(data))], 0.0
            for seed in arguments.seeds:
                decoders, likelihood = neuroformer_directions(data, seed)
                found.append((seed, decoders))
                total = total + np.stack(likelihood)  # all folds have as many trials
            together = [DIRECTIONS[part.argmax(axis=1)] for part in total]
            found.append(("", {f"Neuroformer, Bayes, {len(arguments.seeds)} models": together}))
            for seed, decoders in found:
                for name, folds in decoders.items():
                    write("direction", session, {"decoder": name, "seed": seed} | direction_row(data, folds))
        if "speed" in arguments.tasks:
            other = fetch_v1_gratings(SESSIONS[(SESSIONS.index(session) + 1) % len(SESSIONS)])
            for row in speed_rows(data, other, arguments.seeds, arguments.shifts):
                write("speed", session, row)


if __name__ == "__main__":
    main()
