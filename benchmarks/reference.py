"""The released Neuroformer itself, from a clone that you bring, against the fast way over the same weights.

    git clone https://github.com/a-antoniades/Neuroformer DIR
    python benchmarks/reference.py --clone DIR [--quick] [--write]

The clone's own data set, model and `generate_spikes` are imported from DIR and run in turns with the fast way, in one
process, on the same simulated recording: windows cut, training steps, sampling from the true past. Its packages must be
installed (torchvision, timm, omegaconf, torchmetrics, einops, scikit-image, tqdm). Dropout is 0 in both, and the
weights of one are copied into the other by name. The first table shows how far the two agree: tokens, and the logits of
windows whose past fills its block (the released system attends to padding, the fast way does not). Nothing of the
clone is copied into this repository, and its training loop's body is written anew: loss, gradients, clipping, AdamW.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import pathlib
import sys
from types import ModuleType

import numpy as np
import torch
from _machine import arguments, interleave, keep, matrix_peak, provenance, show
from released.choosing import Forced, RejectionNucleus
from released.fast import FastNetwork
from released.fast_sampling import FastSampler
from released.network import ReleasedConfig, ReleasedNetwork, needed_flops
from released.windows import BIN_WIDTH, SimulatedRecording, fast_batch, plain_batch

NEEDED = "neuroformer/model_neuroformer.py"
MODULES = ("model_neuroformer", "data_utils", "simulation", "utils")
DENSE, SPARSE = 4.75, 1.0  # Hz
# name, size, rate, video, batch
CASES = [
    ("small, dense", "small", DENSE, False, 32),
    ("small, sparse", "small", SPARSE, False, 32),
    ("small, video, dense", "small", DENSE, True, 16),
    ("full, dense", "full", DENSE, False, 32),
    ("full, video, dense", "full", DENSE, True, 8),
]
TOP = {
    "unit": "tok_emb",
    "position": "pos_emb",
    "past_position": "pos_emb_prev",
    "time": "temp_emb.temp_emb",
    "past_time": "temp_emb_prev.temp_emb",
    "tubelets": "video_encoder.conv_block.0",
    "tubelet_norm": "video_encoder.conv_block.2",
    "encoder": "feature_encoder.neural_state_blocks",
    "stimulus_encoder": "feature_encoder.frame_state_blocks",
    "past_fusion": "neural_visual_transformer.neural_state_history_blocks",
    "stimulus_fusion": "neural_visual_transformer.neural_state_stimulus_blocks",
    "decoder": "neural_visual_transformer.neural_state_blocks",
    "head_unit": "head_id",
    "head_dt": "head_dt",
}
IN_BLOCK = {
    "norm_attention": "ln1", "norm_network": "ln2", "norm_end": "ln_f", "query": "attn.query", "key": "attn.key",
    "value": "attn.value", "out": "attn.proj", "up": "mlp.0", "down": "mlp.2",
}  # fmt: skip
UNUSED = {"neural_visual_transformer.ln_f.weight", "neural_visual_transformer.ln_f.bias"}


def released_name(name: str) -> str:
    """The released system's name of one of our parameters."""
    top, *rest = name.split(".")
    return ".".join([TOP[top], *(IN_BLOCK.get(part, part) for part in rest)])


def import_clone(folder: str | None) -> dict[str, ModuleType]:
    """The modules of a clone.

    Raises
    ------
    SystemExit
        If there is no clone, or a package that it needs is missing.
    """
    if folder is None:
        raise SystemExit(
            "reference.py measures a clone of the released Neuroformer, which this repository does not ship. Give its "
            "folder: --clone DIR, after git clone https://github.com/a-antoniades/Neuroformer DIR"
        )
    place = pathlib.Path(folder).expanduser().resolve()
    if not (place / NEEDED).exists():
        raise SystemExit(f"{place} is no clone of the released Neuroformer: it has no {NEEDED}.")
    sys.path[:0] = [str(place / "neuroformer"), str(place)]
    try:
        return {name: importlib.import_module(name) for name in MODULES}
    except ImportError as error:
        raise SystemExit(
            f"The clone needs a package that is not installed: {error}. See its own requirements."
        ) from None


def released_model(clone: dict[str, ModuleType], folder: str, config: ReleasedConfig):
    """Its model in our sizes, without dropout, and its tokenizer."""
    settings = clone["utils"].load_config(str(pathlib.Path(folder) / "configs" / "V1AL" / "mconf.yaml"))
    settings.n_embd, settings.n_head = config.d_model, config.n_heads
    settings.frame_encoder.n_embd = config.d_model
    settings.block_size.id, settings.block_size.prev_id = config.block, config.past_block
    settings.layers.state = settings.layers.state_history = config.n_layers
    settings.layers.stimulus = config.n_layers if config.video else 0
    settings.vit_encoder = config.video  # without a stimulus its encoder would be asked for the size of nothing
    longest = max(config.window_bins, config.past_bins)
    times = [round(BIN_WIDTH * k, 6) for k in range(longest + 1)]
    with contextlib.redirect_stdout(io.StringIO()):
        tokenizer = clone["data_utils"].Tokenizer(
            {
                "ID": {"tokens": list(np.arange(config.n_units))},
                "dt": {"tokens": times, "resolution": BIN_WIDTH},
            }
        )
        settings.id_vocab_size = tokenizer.ID_vocab_size
        model = clone["model_neuroformer"].Neuroformer(settings, tokenizer)
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model, tokenizer, settings


def copy_weights(network: ReleasedNetwork, model: torch.nn.Module) -> None:
    """Ours into the released model.

    Raises
    ------
    SystemExit
        If a parameter of either has no counterpart in the other.
    """
    theirs = dict(model.named_parameters())
    ours = {released_name(name): p for name, p in network.named_parameters()}
    lonely = (set(ours) ^ set(theirs)) - UNUSED
    if lonely:
        raise SystemExit(f"This version of the released model has other parameters: {sorted(lonely)}")
    with torch.no_grad():
        for name, p in ours.items():
            theirs[name].copy_(p.view(theirs[name].shape))


def released_data(clone, tokenizer, settings, recording: SimulatedRecording, trial: np.ndarray, end: np.ndarray):
    """Its data set of some windows; trials count from 1."""
    spikes = {k + 1: recording.counts[k].astype(np.int64) for k in range(len(recording.counts))}
    table = {
        "ID": spikes, "Frames": None, "Interval": None, "dt": BIN_WIDTH, "id_block_size": settings.block_size.id,
        "prev_id_block_size": settings.block_size.prev_id, "frame_block_size": settings.block_size.frame,
        "window": settings.window.curr, "window_prev": settings.window.prev, "frame_window": settings.window.frame,
    }  # fmt: skip
    intervals = np.column_stack([np.round(end * BIN_WIDTH, 6), trial + 1, np.zeros(len(trial))])
    with contextlib.redirect_stdout(io.StringIO()):
        return clone["data_utils"].NFDataloader(table, tokenizer, settings, dataset="V1AL", intervals=intervals)


def measure(clone, folder: str, case: tuple, seed: int, peak: float, *, quick: bool) -> tuple[dict, list[dict]]:
    """Agreement, and the times of both in turn."""
    name, size, rate, video, n_windows = case
    config = ReleasedConfig.small(video=video) if size == "small" else ReleasedConfig(video=video)
    recording = SimulatedRecording.make(config.n_units, rate, seed)
    trial, end = recording.draw_windows(config, n_windows, seed)
    packed = fast_batch(recording, config, trial, end)
    trial, end = trial[packed.order], end[packed.order]
    padded = plain_batch(recording, config, trial, end)

    model, tokenizer, settings = released_model(clone, folder, config)
    fast = FastNetwork(config)
    fast.draw(seed)
    copy_weights(fast, model)
    data = released_data(clone, tokenizer, settings, recording, trial, end)

    def cut():
        return torch.utils.data.default_collate([data[k] for k in range(n_windows)])

    x, y = cut()
    tokens_equal = torch.equal(x["id"], padded.unit) and torch.equal(x["id_prev"], padded.past_unit)
    tokens_equal &= torch.equal(x["dt"].long(), padded.dt) and torch.equal(x["dt_prev"].long(), padded.past_dt)
    if video:  # its own frames are those of the wrong time, see the docs: both get the same ones
        x["frames"] = padded.frames[:, None]
    real = torch.arange(config.block) < padded.length[:, None]
    full = padded.past_length == config.past_block
    with torch.no_grad():
        theirs = model(dict(x))[0]["id"]
        ours = torch.zeros_like(theirs)
        ours[real] = fast(packed)[0]
    compared = real & full[:, None]
    agreement = {
        "case": name,
        "tokens equal": tokens_equal,
        "windows with a full past": int(full.sum()),
        "largest difference of their logits": float((theirs - ours)[compared].abs().max()) if full.any() else "-",
    }

    optimizers = {
        "theirs": torch.optim.AdamW(model.parameters(), lr=1e-4),
        "ours": torch.optim.AdamW(fast.parameters(), lr=1e-4, fused=True),
    }

    def step(way: str, network: torch.nn.Module, loss) -> None:
        optimizers[way].zero_grad(set_to_none=True)
        loss().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizers[way].step()

    n_spikes = torch.from_numpy(packed.length - 1)
    sampler, drawn = FastSampler(fast), {}
    one = released_data(clone, tokenizer, settings, recording, trial[:1], end[:1])
    if video:
        frames = padded.frames[:1].clone()
        one.frames = {"feats": np.zeros((4, 1)), "window": 0.2, "callback": lambda *_, **__: frames}

    def generate() -> None:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            result = clone["simulation"].generate_spikes(
                model, one, settings.window.curr, settings.window.prev, tokenizer, sample=True, top_p=0.95,
                top_p_t=0.95, true_past=True, p_bar=True,
            )  # fmt: skip
        drawn["theirs"] = drawn.get("theirs", 0) + len(result["ID"]) + 1

    def sample() -> None:
        choose = RejectionNucleus(0.95, list(range(n_windows)), config.block)
        sampler.generate(packed, Forced(choose, n_spikes, config.end))

    repetitions = 2 if quick else 5
    cutting = interleave({"theirs": cut, "ours": lambda: fast_batch(recording, config, trial, end)}, repetitions)
    model.train()
    training = interleave(
        {
            "theirs": lambda: step("theirs", model, lambda: sum(model(dict(x), dict(y))[2].values())),
            "ours": lambda: step("ours", fast, lambda: fast.loss(packed)),
        },
        repetitions,
    )
    drawn.clear()
    sampling = interleave({"theirs": generate, "ours": sample}, repetitions, warm_up=0)
    tokens = int(packed.length.sum())
    flops = needed_flops(config, packed.length, packed.past_length, packed.n_stimuli, training=True)
    per_second = [
        ("cutting, windows/s", n_windows / cutting["theirs"].median, n_windows / cutting["ours"].median),
        ("training, tokens/s", tokens / training["theirs"].median, tokens / training["ours"].median),
        ("training, % of peak", *(100 * flops / training[way].median / peak for way in ("theirs", "ours"))),
        (
            f"sampling, tokens/s (1 row / {n_windows} rows)",
            drawn["theirs"] / sampling["theirs"].cpu.sum(),
            tokens / sampling["ours"].median,
        ),
    ]
    rows = [{"case": name, "what": w, "released": a, "fast": b, "ratio": b / a} for w, a, b in per_second]
    return agreement, rows


def main() -> None:
    options = arguments(__doc__, ("--clone", {"help": "folder of your clone of a-antoniades/Neuroformer"}))
    clone = import_clone(options.clone)
    peak = matrix_peak(20)
    agreements, rows = [], []
    for case in CASES[:1] if options.quick else CASES:
        agreement, more = measure(clone, options.clone, case, options.seed, peak, quick=options.quick)
        agreements.append(agreement)
        rows += more
        show("Agreement", agreements[-1:])
        show("Released and fast, CPU time", more)
    show("Agreement", agreements)
    show("Released and fast, CPU time", rows)
    if options.write:
        settings = "300 units, windows of 5 bins of 10 ms, past 15 bins, blocks of 100, dropout 0, top_p 0.95"
        keep("reference", [{**row, **provenance(options.seed, settings)} for row in rows], ["case", "what"])


if __name__ == "__main__":
    main()
