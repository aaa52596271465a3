"""Cutting windows out of a recording, windows a second: loops, flat arrays, and skneuro's own batches.

    python benchmarks/data.py [--quick] [--write]

`plain` asks every unit in every bin, as the released system is described to; it is a stand-in for it, not its code.
Both cut the same tokens (a test holds them together). With a video `plain` copies the frames of every window; `fast`
says which stored frames each distinct stimulus window shows. What reads them, the encoder, copies them: that is part of
the training step and of sampling in the other tables, and a column here adds it. The last two columns are what the
product does instead: the tokenizer of whole recordings, and the training batches of segments, counted in windows of
five bins.
"""

from __future__ import annotations

import numpy as np
from _machine import arguments, interleave, keep, provenance, show
from _product import containers, estimator, train
from released.network import ReleasedConfig
from released.windows import SimulatedRecording, fast_batch, plain_batch

from skneuro.preprocessing import SpikeTokenizer

BATCH, LARGE, N_BATCHES = 32, 4096, 30
CASES = [
    ("300 units, 4.75 Hz", 300, 4.75, False),
    ("300 units, 4.75 Hz, video", 300, 4.75, True),
    ("300 units, 1 Hz", 300, 1.0, False),
    ("1,000 units, 4.75 Hz", 1000, 4.75, False),
]


def product(recording: SimulatedRecording, *, video: bool) -> dict:
    """Functions that tokenize the recording and that build a training batch, and the windows that each makes."""
    from skneuro.data import read_input
    from skneuro.training.stretches import Segments

    spikes, stimuli = containers(recording, video=video)
    tokenizer = SpikeTokenizer(bin_width=0.01, window_bins=5).fit(spikes)
    n_windows = tokenizer.transform(spikes).n_windows
    few = None if stimuli is None else stimuli[:1]
    model = train(estimator(coupling=False, d_model=16), spikes[:1], few)
    builder = model.model_.builder(read_input(spikes, stimuli, bin_width=0.01))
    trial = np.arange(8) % len(spikes)
    starts = [np.full(8, 100 + 20 * k) for k in range(N_BATCHES)]
    segments = [Segments(trial, start, start + 100) for start in starts]
    return {
        "tokenizer": (lambda: tokenizer.transform(spikes), n_windows),
        "training batch": (lambda: [builder.build(s, 100) for s in segments], N_BATCHES * 8 * 100 // 5),
    }


def copied(recording: SimulatedRecording, config: ReleasedConfig, batches: list) -> None:
    """Cut the windows and copy their frames."""
    for one in batches:
        fast_batch(recording, config, *one).stimulus_frames()


def measure(name: str, n_units: int, rate: float, video: bool, seed: int, *, quick: bool) -> dict:
    """All ways, in turn."""
    config = ReleasedConfig(n_units=n_units, video=video)
    n_trials = 2 if quick else 20
    recording = SimulatedRecording.make(n_units, rate, seed, n_trials=n_trials, duration=8.0 if quick else 32.0)
    batches = [recording.draw_windows(config, BATCH, seed + k) for k in range(N_BATCHES)]
    many = recording.draw_windows(config, LARGE, seed)
    candidates = {
        "plain": (lambda: plain_batch(recording, config, *batches[0]), BATCH),
        "fast": (lambda: [fast_batch(recording, config, *one) for one in batches], N_BATCHES * BATCH),
        **({"fast, frames copied": (lambda: copied(recording, config, batches), N_BATCHES * BATCH)} if video else {}),
        **({} if video else {"fast, batch 4,096": (lambda: fast_batch(recording, config, *many), LARGE)}),
        **product(recording, video=video),
    }
    times = interleave({k: function for k, (function, _) in candidates.items()}, 2 if quick else 7)
    per_second = {k: candidates[k][1] / timing.median for k, timing in times.items()}
    return {
        "case": name,
        "plain": per_second["plain"],
        "fast": per_second["fast"],
        "ratio": per_second["fast"] / per_second["plain"],
        "fast, frames copied": per_second.get("fast, frames copied", "-"),
        "fast, batch 4,096": per_second.get("fast, batch 4,096", "-"),
        "skneuro tokenizer": per_second["tokenizer"],
        "skneuro training batch": per_second["training batch"],
    }


def main() -> None:
    options = arguments(__doc__)
    rows = []
    for case in CASES[:2] if options.quick else CASES:
        rows.append(measure(*case, options.seed, quick=options.quick))
        show("Windows a second of CPU time, batches of 32", rows[-1:])
    show("Windows a second of CPU time, batches of 32", rows)
    if options.write:
        settings = (
            "medians of 7 turns, each of one plain and 30 fast batches of 32, 20 trials of 32 s, windows of 5 bins of "
            "10 ms, past of 15 bins, blocks of 100"
        )
        keep("data", [{**row, **provenance(options.seed, settings)} for row in rows], ["case"])


if __name__ == "__main__":
    main()
