"""Training speed: the released architecture computed two ways over the same weights, and the product on S1.

    python benchmarks/fit.py [--quick] [--write] [--cases small] [--no-product]

`plain` is a stand-in for the released system, written from a description of it; `fast` computes the same logits (the
largest difference stands in the table) and gradients. One step is zeroing, loss, gradients, clipping and AdamW, without
dropout, on windows of 300 units, 5 bins of 10 ms, with 71 % or 16 % of the block of 100 filled. Peak: needed floating
point operations (real tokens, each stimulus window once) over the best matrix product that this machine showed.
The product's rows are its own model on its own tokens: not comparable with the rows above, nor with the released one.
"""

from __future__ import annotations

import contextlib
import io
import sys
import time

import numpy as np
import torch
from _machine import arguments, in_own_process, interleave, keep, matrix_peak, memory_of, provenance, show
from released.fast import FastNetwork
from released.network import ReleasedConfig, ReleasedNetwork, needed_flops
from released.plain import PlainNetwork
from released.windows import PackedBatch, PaddedBatch, SimulatedRecording, fast_batch, plain_batch

DENSE, SPARSE = 4.75, 1.0  # Hz
# name, size, rate, video, batch, rows that share a stimulus window, repetitions
CASES = [
    ("small, dense", "small", DENSE, False, 32, 1, 9),
    ("small, sparse", "small", SPARSE, False, 32, 1, 9),
    ("full, dense", "full", DENSE, False, 32, 1, 5),
    ("full, sparse", "full", SPARSE, False, 32, 1, 5),
    ("small, video, dense", "small", DENSE, True, 32, 1, 5),
    ("small, video shared by 8, dense", "small", DENSE, True, 32, 8, 5),
    ("small, video, sparse", "small", SPARSE, True, 32, 1, 5),
    ("small, video shared by 8, sparse", "small", SPARSE, True, 32, 8, 5),
    ("full, video, dense", "full", DENSE, True, 8, 1, 3),
    ("full, video shared by 8, dense", "full", DENSE, True, 16, 8, 3),
]
S1_PARAMETERS = {"bin_width": 0.05, "window_bins": 1, "gamma": 0.0, "mu": 0.5, "early_stopping": True, "refit": False}


def prepare(size: str, rate: float, video: bool, n_windows: int, sharing: int, seed: int):
    """Configuration, and the same windows in both forms."""
    config = ReleasedConfig.small(video=video) if size == "small" else ReleasedConfig(video=video)
    recording = SimulatedRecording.make(config.n_units, rate, seed)
    trial, end = recording.draw_windows(config, n_windows, seed, sharing)
    packed = fast_batch(recording, config, trial, end)
    return config, plain_batch(recording, config, trial[packed.order], end[packed.order]), packed


def make_step(network: ReleasedNetwork, batch: PaddedBatch | PackedBatch, *, fused: bool):
    """One training step."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4, betas=(0.9, 0.95), fused=fused)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        network.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()

    return step


def step_alone(way: str, *case) -> float:
    """Memory of a step of one way, beyond that of data and weights, in MB."""
    config, padded, packed = prepare(*case)
    if way == "plain":
        return memory_of(make_step(PlainNetwork(config), padded, fused=False))
    return memory_of(make_step(FastNetwork(config), packed, fused=True))


def measure(name: str, *case, repetitions: int, peak: float, seed: int, memory: bool) -> dict:
    """Both ways in turn."""
    config, padded, packed = prepare(*case, seed)
    plain, fast = PlainNetwork(config).draw(seed), FastNetwork(config)
    fast.load_state_dict(plain.state_dict())
    with torch.no_grad():
        real = torch.arange(padded.unit.shape[1]) < padded.length[:, None]
        difference = float((plain(padded)[0][real] - fast(packed)[0]).abs().max())
    times = interleave(
        {"plain": make_step(plain, padded, fused=False), "fast": make_step(fast, packed, fused=True)}, repetitions
    )
    flops = needed_flops(config, packed.length, packed.past_length, packed.n_stimuli, training=True)
    n_real, seconds = int(packed.length.sum()), {way: timing.median for way, timing in times.items()}
    row = {
        "case": name,
        "batch": len(packed.length),
        "plain s": seconds["plain"],
        "fast s": seconds["fast"],
        "ratio": seconds["plain"] / seconds["fast"],
        "plain tokens/s": n_real / seconds["plain"],
        "fast tokens/s": n_real / seconds["fast"],
        "plain % of peak": 100 * flops / seconds["plain"] / peak,
        "fast % of peak": 100 * flops / seconds["fast"] / peak,
        "largest difference of logits": difference,
    }
    if memory:
        row |= {f"{way} MB": in_own_process(step_alone, way, *case, seed)[0] for way in ("plain", "fast")}
    return row


# ---- the product ---------------------------------------------------------------------------------------------------


class Clock(io.TextIOBase):
    """Takes the lines that `fit` writes after each epoch, and the time of each."""

    def __init__(self) -> None:
        self.start, self.cpu, self.times = time.perf_counter(), time.process_time(), []

    def write(self, text: str) -> int:
        """Note the time of an epoch's line and pass it on."""
        if text.startswith("epoch"):
            self.times.append((time.perf_counter() - self.start, time.process_time() - self.cpu))
            sys.__stderr__.write(text + "\n")
        return len(text)


def product(*, quick: bool, seed: int) -> dict:
    """Fit on all of S1, in the 50 ms bins in which it is published."""
    from _product import estimator, n_tokens

    from skneuro.datasets import fetch_s1_reaching

    spikes = fetch_s1_reaching().spikes
    model = estimator(random_state=seed, verbose=2, **S1_PARAMETERS)
    if quick:
        spikes, model = spikes[: max(len(spikes) // 50, 2)], model.set_params(max_epochs=2, early_stopping=False)
    clock = Clock()
    with contextlib.redirect_stderr(clock):
        model.fit(spikes)
    times = np.array(clock.times)
    best = int(np.argmax(model.validation_scores_)) if model.validation_scores_ else len(times) - 1
    epoch = float(np.median(np.diff(times[:, 1]))) if len(times) > 1 else times[0, 1]
    return {
        "case": "S1, 52 units, 1,756 s" if not quick else "S1, a fiftieth",
        "epochs": len(times),
        "epoch of the best": best + 1,
        "validation bits/spike": max(model.validation_scores_, default=float("nan")),
        "CPU s to the best": float(times[best, 1]),
        "wall s to the best": float(times[best, 0]),
        "CPU s an epoch, validation too": epoch,
        "tokens/s": n_tokens(spikes, model) / epoch,
    }


def main() -> None:
    options = arguments(
        __doc__,
        ("--cases", {"default": "", "help": "only those whose name begins so"}),
        ("--no-product", {"action": "store_true"}),
    )
    peak = matrix_peak(20)
    print(f"best matrix product: {peak / 1e9:.0f} GFLOP/s on one thread")
    rows, chosen = [], [case for case in CASES if case[0].startswith(options.cases)]
    for name, *case, repetitions in chosen[:2] if options.quick else chosen:
        if options.quick:
            repetitions = 2
        more = {"repetitions": repetitions, "peak": peak, "seed": options.seed, "memory": not options.quick}
        rows.append({**measure(name, *case, **more), "repetitions": repetitions, "peak GFLOP/s": peak / 1e9})
        show("Training step, CPU time", rows[-1:])
        peak = max(peak, matrix_peak(3))
    show("Training step, CPU time", rows)
    if options.write:
        settings = "300 units, windows of 5 bins of 10 ms, past 15 bins, blocks of 100, dropout 0, contrastive term off"
        keep("fit", [{**row, **provenance(options.seed, settings)} for row in rows], ["case"])
    if not options.no_product:
        row = product(quick=options.quick, seed=options.seed)
        show("The product", [row])
        if options.write:
            settings = " ".join(f"{k}={v}" for k, v in S1_PARAMETERS.items()) + ", else default"
            keep("fit_product", [{**row, **provenance(options.seed, settings)}], ["case"])


if __name__ == "__main__":
    main()
