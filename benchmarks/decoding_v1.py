"""Direction of gratings and running speed from mouse V1, every session beside its nulls.

    python benchmarks/decoding_v1.py [--sessions NAME ...] [--shifts 20] [--folds 4]

Events of `CalciumEvents` (threshold: nothing looks ahead), fitted on the training trials of each fold like all else;
folds are contiguous blocks of trials with a gap of one (`TrialBlockSplit`). A Neuroformer is pretrained on the events
of the training trials. Direction is one label a trial, read from the two seconds of the grating, and compared with
logistic regression on the summed events of each neuron. Speed is read in every frame from itself and the 0.5 s
before, and compared with ridge regression on the same events.

Nulls of speed, since slow signals correlate by chance: labels shifted against the trials, round in a circle (the mean
of ``--shifts`` of them, and the share that is at least as good as the truth), and the labels of another session.
Directions follow each other in the same cycle in every session, so that a shift or another session only renames them:
their null is a random order of the trials' labels. ``--shifts 0`` leaves the nulls out. The rows go to
``results/decoding_v1.csv``. Set SKNEURO_DATA to the folder with the recordings.
"""

from __future__ import annotations

import argparse
import warnings

import numpy as np
from _decoders import Ridge
from _machine import keep, provenance
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skneuro import NeuroformerClassifier, NeuroformerEstimator, NeuroformerRegressor, SpikeTrains, TimeSeries
from skneuro.datasets import fetch_v1_gratings
from skneuro.model_selection import TrialBlockSplit
from skneuro.preprocessing import CalciumEvents

SESSIONS = ("mrcuts25", "mrcuts28", "mrcuts30")
FRAME = 0.0625
BEFORE = 15 * FRAME  # events of the second before the grating, which only serve as past for its direction
LAGS = range(-7, 1)  # 0.5 s


def during_grating(events: SpikeTrains) -> SpikeTrains:
    """The same trials with the time before the grating as past only."""
    return SpikeTrains(
        events.times, events.units, events.ptr, events.t_start, events.t_stop, unit_ids=events.unit_ids,
        resolution=events.resolution, context=BEFORE,
    )  # fmt: skip


class _Direction:
    """One label a trial; accuracy, chance is 1/8."""

    name, metric = "direction", "accuracy"

    def orders(self, n_trials: int, n: int) -> list[np.ndarray]:
        rng = np.random.default_rng(0)
        return [rng.permutation(n_trials) for _ in range(n)]

    def of_another_session(self, data) -> None:
        return None

    def labels(self, data) -> np.ndarray:
        return data.direction

    def ours(self, model, alpha):
        return NeuroformerClassifier(FrozenEstimator(model), lag=FRAME, alpha=alpha)

    def inputs(self, events):
        return during_grating(events)

    def baseline(self, train, labels, test, truth) -> float:
        summed = [x.bin(FRAME).dense().reshape(len(x), -1, x.shape[1])[:, 15:].sum(1) for x in (train, test)]
        model = make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=np.logspace(-4, 1, 11), cv=4, max_iter=300))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # of defaults that change
            return model.fit(summed[0], labels).score(summed[1], truth)


class _Speed:
    """One value a frame; R2."""

    name, metric = "speed", "R2"

    def orders(self, n_trials: int, n: int) -> list[np.ndarray]:
        return [np.roll(np.arange(n_trials), k) for k in np.linspace(8, n_trials - 8, n).astype(int)]

    def of_another_session(self, data) -> TimeSeries:
        return self.labels(data)

    def labels(self, data) -> TimeSeries:
        return data.modalities["speed"]

    def ours(self, model, alpha):
        return NeuroformerRegressor(FrozenEstimator(model), lag=0.5, alpha=alpha)

    def inputs(self, events):
        return events

    def baseline(self, train, labels, test, truth) -> float:
        (x, a), (z, b) = ((part, part.bin(FRAME)) for part in (train, test))
        fitted = Ridge(LAGS).fit(a.dense().astype(float), a.ptr, labels.on_bins(a))
        return r2_score(truth.on_bins(b), fitted.predict(b.dense().astype(float), b.ptr))


def folds_of(data, n_folds: int) -> list[tuple]:
    """Training and test rows, their events, and the model pretrained on the former."""
    dff = data.modalities["dff"]
    result = []
    for number, (train, test) in enumerate(TrialBlockSplit(n_folds).split(np.zeros((len(dff), 1, 1)))):
        inference = CalciumEvents().fit(dff[train])
        events = [inference.transform(dff[rows]) for rows in (train, test)]
        model = NeuroformerEstimator(
            bin_width=FRAME, window_bins=1, gamma=0.0, mu=0.5, max_epochs=20, random_state=number
        ).fit(events[0])
        result.append((train, test, *events, model))
    return result


def scores_of(task, labels, folds, order=None, alphas=None) -> tuple[list[float], list]:
    """Score on each fold, with the labels' trials in another order for a null; and the penalties that were used."""
    order = np.arange(len(labels)) if order is None else order
    scores, used = [], []
    for number, (train, test, seen, new, model) in enumerate(folds):
        decoder = task.ours(model, "auto" if alphas is None else alphas[number])
        decoder.fit(task.inputs(seen), labels[order[train]])
        scores.append(decoder.score(task.inputs(new), labels[order[test]]))
        used.append(decoder.alpha_)
    return scores, used


def main() -> None:
    """Fit, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", nargs="+", default=list(SESSIONS), choices=SESSIONS)
    parser.add_argument("--shifts", type=int, default=20)
    parser.add_argument("--folds", type=int, default=4)
    arguments = parser.parse_args()
    everything = {name: fetch_v1_gratings(name) for name in SESSIONS}
    for session in arguments.sessions:
        folds = folds_of(everything[session], arguments.folds)
        other = SESSIONS[(SESSIONS.index(session) + 1) % len(SESSIONS)]
        for task in (_Direction(), _Speed()):
            labels = task.labels(everything[session])
            scores, alphas = scores_of(task, labels, folds)
            baseline = [task.baseline(f[2], labels[f[0]], f[3], labels[f[1]]) for f in folds]
            orders = task.orders(len(labels), arguments.shifts)
            null = [float(np.mean(scores_of(task, labels, folds, order, alphas)[0])) for order in orders]
            swapped = task.of_another_session(everything[other]) if null else None
            if swapped is not None:
                swapped = float(np.mean(scores_of(task, swapped, folds, None, alphas)[0]))
            as_good = (1 + sum(n >= np.mean(scores) for n in null)) / (1 + len(null))
            row = {
                "task": task.name, "session": session, "metric": task.metric,
                "neuroformer": round(float(np.mean(scores)), 4), "neuroformer_sd": round(float(np.std(scores)), 4),
                "baseline": round(float(np.mean(baseline)), 4), "baseline_sd": round(float(np.std(baseline)), 4),
                "null": round(float(np.mean(null)), 4) if null else "",
                "null_best": round(max(null), 4) if null else "", "share_as_good": round(as_good, 3) if null else "",
                "other_session": "" if swapped is None else round(swapped, 4), "folds": arguments.folds,
            }  # fmt: skip
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            source = provenance(0, f"frame={FRAME} shifts={arguments.shifts} mode=frozen max_epochs=20")
            row |= {key: source[key] for key in ("settings", "date", "versions", "machine")}
            keep("decoding_v1", [row], ["task", "session"])


if __name__ == "__main__":
    main()
