"""What it is worth to fit each unit's rate and count shape once more when training has ended.

    python benchmarks/unit_refit.py [--recordings video W-maze ...] [--folds 0 1 2] [--write]

The folds of `likelihood.py`. One training each: its model is scored as training left it, then its units are fitted once
more, as `fit` does, and the very same network is scored again. Closed loop: two simulations of every test trial, given
its stimulus or from silence; the population's rate over the recorded one, and Fano factors of counts in ten bins, over
the trials of a stimulus where there is one.
"""

from __future__ import annotations

import time
from unittest import mock

import numpy as np
from _machine import arguments, keep, provenance, show
from _recordings import RECORDINGS
from likelihood import Fold

from skneuro.data import Video
from skneuro.estimators import _learner
from skneuro.metrics import fano_factors
from skneuro.metrics._simulated import simulate_trials

N_SAMPLES = 2


def closed_loop(model, spikes, stimuli) -> dict:
    """Rate and Fano factors of simulations of some trials beside the recorded ones."""
    given = model._read(spikes, stimuli, reset=False).modalities
    simulated, row = simulate_trials(model, spikes, given, N_SAMPLES, 0)
    shown = stimuli.clip_ids if isinstance(stimuli, Video) else None
    window = 10 * model.bin_width
    recorded = fano_factors(spikes, window, shown)
    found = fano_factors(simulated, window, None if shown is None else shown[row])
    return {
        "rate": simulated.n_spikes / N_SAMPLES / spikes.n_spikes,
        "Fano recorded": np.nanmean(recorded),
        "Fano": np.nanmean(found),
        "Fano rmse": np.sqrt(np.nanmean((found - recorded) ** 2)),
    }


def measure(recording: str, fold: int) -> list[dict]:
    """Two rows: as trained, and fitted once more."""
    split = Fold(RECORDINGS[recording](), fold)
    model, _ = split._models("Neuroformer")
    refit, given = _learner.refit_units, []

    def later(*arguments):
        given[:] = arguments
        session = arguments[0].session
        return session.bias.new_zeros(()), session.repeat_table.new_zeros(())

    with mock.patch.object(_learner, "refit_units", later):
        model.fit(*split.parts["train"])
    rows, start = [], time.process_time()
    for units in ("as trained", "once more"):
        seconds = None
        if units == "once more":
            start = time.process_time()
            refit(*given)
            seconds = time.process_time() - start
        scores = {part: model.score(*split.parts[part]) for part in ("train", "validation", "test")}
        loop = closed_loop(model, *split.parts["test"])
        rows.append({"recording": recording, "fold": fold, "units": units, **scores, **loop, "CPU s": seconds})
    return rows


def main() -> None:
    options = arguments(
        __doc__,
        ("--recordings", {"nargs": "+", "choices": list(RECORDINGS), "default": ["video", "W-maze", "linear track"]}),
        ("--folds", {"nargs": "+", "type": int, "choices": range(5), "default": [0, 1, 2]}),
    )
    rows = []
    for recording in options.recordings:
        for fold in options.folds[:1] if options.quick else options.folds:
            rows += measure(recording, fold)
            show(f"{recording}, fold {fold}", rows[-2:])
            if options.write:
                told = provenance(fold, "gamma=0, else default")
                keep("unit_refit", [{**row, **told} for row in rows[-2:]], ["recording", "fold", "units"])
    show("units fitted once more", rows)


if __name__ == "__main__":
    main()
