"""Sampling speed: the released architecture computed two ways over the same weights, and the product.

    python benchmarks/sample.py [--quick] [--write] [--cases small] [--product s1]

`plain` is a stand-in for the released system, written from a description of it: one row at a time, the whole network
for every token. `fast` draws the same tokens (tests hold them together), many rows at once. Both are given the true
past and end each window after its true number of spikes; top_p is 0.95. Times are CPU time a token: throughput for many
rows, latency for one. The product's rows are its own model, in closed loop, on its own tokens: not comparable with the
rows above, nor with the released system.
"""

from __future__ import annotations

import time

import torch
from _machine import arguments, interleave, keep, matrix_peak, provenance, show
from _product import containers, estimator, train
from released.choosing import Forced, RejectionNucleus, SortedNucleus
from released.fast import FastNetwork
from released.fast_sampling import FastSampler
from released.network import ReleasedConfig, needed_flops
from released.plain import PlainNetwork
from released.windows import SimulatedRecording, fast_batch, plain_batch

DENSE, SPARSE = 4.75, 1.0  # Hz
TOP_P = 0.95
# name, size, rate, video, rows, rows that share a stimulus window, tokens of the plain way, repetitions
CASES = [
    ("small, dense, 1 row", "small", DENSE, False, 1, 1, 30, 9),
    ("small, dense, 32 rows", "small", DENSE, False, 32, 1, 30, 7),
    ("small, dense, 128 rows", "small", DENSE, False, 128, 1, 30, 5),
    ("small, dense, 256 rows", "small", DENSE, False, 256, 1, 30, 5),
    ("small, sparse, 32 rows", "small", SPARSE, False, 32, 1, 30, 7),
    ("small, sparse, 256 rows", "small", SPARSE, False, 256, 1, 30, 5),
    ("small, video, dense, 1 row", "small", DENSE, True, 1, 1, 15, 5),
    ("small, video shared, dense, 64 rows", "small", DENSE, True, 64, 64, 15, 5),
    ("small, video not shared, dense, 64 rows", "small", DENSE, True, 64, 1, 15, 5),
    ("full, dense, 1 row", "full", DENSE, False, 1, 1, 8, 5),
    ("full, dense, 32 rows", "full", DENSE, False, 32, 1, 8, 3),
    ("full, dense, 128 rows", "full", DENSE, False, 128, 1, 8, 3),
    ("full, video, dense, 1 row", "full", DENSE, True, 1, 1, 4, 3),
    ("full, video shared, dense, 64 rows", "full", DENSE, True, 64, 64, 4, 3),
    ("full, video not shared, dense, 32 rows", "full", DENSE, True, 32, 1, 4, 3),
]


def measure(
    name: str, size: str, rate: float, video: bool, n_rows: int, sharing: int, n_plain: int, repetitions: int,
    *, seed: int, peak: float,
) -> dict:  # fmt: skip
    """Both ways in turn; the plain one on the first row only, whose every token costs the same."""
    config = ReleasedConfig.small(video=video) if size == "small" else ReleasedConfig(video=video)
    recording = SimulatedRecording.make(config.n_units, rate, seed)
    trial, end = recording.draw_windows(config, n_rows, seed, sharing)
    packed = fast_batch(recording, config, trial, end)
    one = plain_batch(recording, config, trial[:1], end[:1])
    plain, fast = PlainNetwork(config).draw(seed), FastNetwork(config)
    fast.load_state_dict(plain.state_dict())
    never = Forced(SortedNucleus(TOP_P, torch.Generator().manual_seed(seed)), torch.tensor([-1]), config.end)
    n_spikes = torch.from_numpy(packed.length - 1)
    sampler = FastSampler(fast)

    def draw() -> None:
        choose = RejectionNucleus(TOP_P, list(range(n_rows)), config.block)
        sampler.generate(packed, Forced(choose, n_spikes, config.end))

    times = interleave({"plain": lambda: plain.generate(one, never, n_plain), "fast": draw}, repetitions)
    tokens = int(packed.length.sum())
    per_token = {"plain": times["plain"].median / n_plain, "fast": times["fast"].median / tokens}
    flops = needed_flops(config, packed.length, packed.past_length, packed.n_stimuli)
    return {
        "case": name,
        "plain ms/token": 1e3 * per_token["plain"],
        "fast ms/token": 1e3 * per_token["fast"],
        "ratio": per_token["plain"] / per_token["fast"],
        "fast spikes/s": int(n_spikes.sum()) / times["fast"].median,
        "fast % of peak": 100 * flops / times["fast"].median / peak,
        "spread of fast": times["fast"].spread,
        "repetitions": repetitions,
    }


# ---- the product ---------------------------------------------------------------------------------------------------


def product(name: str, model, stimuli, n_samples: int, seconds: float, seed: int) -> dict:
    """Closed-loop trials of a fitted model."""
    cpu, wall = time.process_time(), time.perf_counter()
    drawn = model.sample(stimuli, n_samples, duration=seconds, random_state=seed)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    n_spikes, simulated = len(drawn.times), seconds * len(drawn)
    return {
        "case": name, "rows": len(drawn), "seconds of a row": seconds, "spikes": n_spikes,
        "spikes/s (CPU)": n_spikes / cpu, "simulated s a CPU s": simulated / cpu, "CPU s": cpu, "wall s": wall,
    }  # fmt: skip


def on_s1(seed: int, *, quick: bool) -> list[dict]:
    """Rows of 1 to 512 trials after one epoch of training on S1."""
    from skneuro.datasets import fetch_s1_reaching

    spikes = fetch_s1_reaching().spikes
    model = estimator(bin_width=0.05, window_bins=1, gamma=0.0, mu=0.5, random_state=seed)
    train(model, spikes[:2] if quick else spikes, None)
    rows = [1, 8] if quick else [1, 32, 128, 512]
    return [product(f"S1, 52 units, 50 ms bins, rows: {n}", model, None, n, 2.0 if quick else 8.0, seed) for n in rows]


def with_video(seed: int, seconds: float, *, quick: bool) -> list[dict]:
    """20 trials of 300 units that see a video of 64 x 112 pixels, after one epoch on two of them."""
    recording = SimulatedRecording.make(300, DENSE, seed, n_trials=20, duration=32.0)
    spikes, video = containers(recording, video=True)
    model = train(estimator(random_state=seed), spikes[:2], video[:2])
    few = (1, 0.5) if quick else (20, seconds)
    return [product(f"300 units, video, 10 ms bins, rows: {few[0]}", model, video[: few[0]], 1, few[1], seed)]


def main() -> None:
    options = arguments(
        __doc__,
        ("--cases", {"default": "", "help": "only those whose name begins so"}),
        (
            "--product",
            {"nargs": "*", "choices": ["s1", "video"], "default": ["s1", "video"], "help": "none: not at all"},
        ),
        ("--seconds", {"type": float, "default": 1.0, "help": "of the product's 20 trials with video, up to 32"}),
    )
    peak = matrix_peak(20)
    rows, chosen = [], [case for case in CASES if case[0].startswith(options.cases)]
    for case in chosen[:2] if options.quick else chosen:
        shown = (*case[:-2], 4, 2) if options.quick else case
        rows.append(measure(*shown, seed=options.seed, peak=peak))
        show("Sampling, CPU time", rows[-1:])
    show("Sampling, CPU time", rows)
    if options.write and rows:
        settings = f"300 units, windows of 5 bins of 10 ms, past 15 bins, blocks of 100, top_p {TOP_P}, true past"
        keep("sample", [{**row, **provenance(options.seed, settings)} for row in rows], ["case"])
    settings = "default parameters but the bins named, after one epoch of training"
    for part in options.product:
        if part == "s1":
            rows = on_s1(options.seed, quick=options.quick)
        else:
            rows = with_video(options.seed, options.seconds, quick=options.quick)
        show("The product, closed loop", rows)
        if options.write:
            keep("sample_product", [{**row, **provenance(options.seed, settings)} for row in rows], ["case"])


if __name__ == "__main__":
    main()
