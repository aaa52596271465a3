"""The training loop: AdamW with warm-up and cosine, averaged weights, early stopping on held-out bits per spike."""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from skneuro._memory import Holes
from skneuro.exceptions import NonFiniteLossError
from skneuro.nn import Neuroformer
from skneuro.nn.batch import Batch
from skneuro.nn.compiled import Compiler
from skneuro.training.segments import BatchBuilder, cut_segments, segment_bins, shuffled_batches
from skneuro.training.stretches import Segments

WARM_UP_STEPS = 50
FINAL_RATE = 0.02
AVERAGE_DECAY = 0.99
CLIP_NORM = 0.1
DRIVE_PENALTY = 5.0
DENSE_WIDTH = 0.6  # standard errors of a coupling, at a penalty of 1
NOT_DECAYED = ("repeat_table", "coupling", "same_bin")
FINISHED = ("converged", "max_epochs")  # how training ends when nobody stops it
OF_MODALITIES = ("session.filters", "fusion.encoders", "drives", "alignment", "past.stimuli")


@dataclass(frozen=True)
class TrainingSettings:
    """How to train; the names are the estimator's parameters."""

    gamma: float
    mu: float
    batch_size: int
    learning_rate: float
    weight_decay: float
    modality_decay: float  # of what reads the modalities
    coupling_penalty: float
    coupling_prior: str
    max_epochs: int
    n_iter_no_change: int
    tol: float
    verbose: int
    accumulation_steps: int = 1
    drive_penalty: float = DRIVE_PENALTY
    recompute: bool = False
    half: bool = False
    behaviour_weight: float = 0.0
    compile: bool = False


@dataclass
class TrainingState:
    """Everything that a continued fit needs: raw weights, averaged weights, optimiser, counters.

    The averaged weights (an exponential moving average over steps) are the ones that are evaluated and kept.
    """

    model: Neuroformer
    average: Neuroformer
    optimizer: torch.optim.Optimizer
    seed: int
    n_epochs: int = 0
    n_steps: int = 0
    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)

    @classmethod
    def start(cls, model: Neuroformer, settings: TrainingSettings, seed: int) -> TrainingState:
        """Optimiser and averaged weights of a fresh model."""
        average = copy.deepcopy(model).eval()
        return cls(model, average, make_optimizer(model, settings), seed)

    @classmethod
    def resume(cls, average: Neuroformer, settings: TrainingSettings, seed: int, n_epochs: int) -> TrainingState:
        """Go on from averaged weights alone, as a file holds them: the optimiser starts anew."""
        model = copy.deepcopy(average)
        return cls(model, average, make_optimizer(model, settings), seed, n_epochs)

    def to_arrays(self) -> dict:
        """All but the averaged weights, as numpy arrays and numbers."""
        optimizer = self.optimizer.state_dict()["state"]
        return {
            "weights": {name: value.cpu().numpy() for name, value in self.model.state_dict().items()},
            "optimizer": {k: {n: v.cpu().numpy() for n, v in moments.items()} for k, moments in optimizer.items()},
            "seed": self.seed, "n_epochs": self.n_epochs, "n_steps": self.n_steps,
            "loss_curve": list(self.loss_curve), "validation_scores": list(self.validation_scores),
        }  # fmt: skip

    @classmethod
    def from_arrays(cls, arrays: dict, average: Neuroformer, settings: TrainingSettings) -> TrainingState:
        """Build from :meth:`to_arrays` and the averaged network."""
        state = cls.resume(average, settings, arrays["seed"], arrays["n_epochs"])
        state.model.load_state_dict({name: torch.from_numpy(value) for name, value in arrays["weights"].items()})
        moments = {k: {n: torch.from_numpy(np.array(v)) for n, v in m.items()} for k, m in arrays["optimizer"].items()}
        state.optimizer.load_state_dict({**state.optimizer.state_dict(), "state": moments})
        state.n_steps = arrays["n_steps"]
        state.loss_curve, state.validation_scores = list(arrays["loss_curve"]), list(arrays["validation_scores"])
        return state


def make_optimizer(model: Neuroformer, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW; weight decay acts on matrices, not on biases, scales and what has a penalty of its own."""
    # Three groups whatever their amounts are, so that the order of the parameters in a pickled state stays the same.
    decayed: list[torch.nn.Parameter] = []
    of_modalities: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    for name, parameter in model.named_parameters():
        is_decayed = parameter.dim() >= 2 and name.rpartition(".")[2] not in NOT_DECAYED
        group = others if not is_decayed else of_modalities if name.startswith(OF_MODALITIES) else decayed
        group.append(parameter)
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": of_modalities, "weight_decay": settings.modality_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.99), fused=True)


def rate_factor(epochs_done: float, horizon: int, n_steps: int) -> float:
    """Factor on the learning rate: linear warm-up over steps, cosine over the horizon's epochs."""
    progress = min(epochs_done / max(horizon, 1), 1.0)
    cosine = FINAL_RATE + (1 - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * progress))
    return cosine * min(1.0, (n_steps + 1) / WARM_UP_STEPS)


def train_epoch(
    state: TrainingState, builder: BatchBuilder, stretches: Segments, settings: TrainingSettings, origin: int
) -> float:
    """One pass over the training stretches; the mean loss. Order, phases and dropout depend on seed and epoch only.

    Raises
    ------
    NonFiniteLossError
        Before the step that would have spoiled the weights.
    """
    model, config = state.model, state.model.config
    rng = np.random.default_rng([state.seed, state.n_epochs])
    model.random.generator = torch.Generator(builder.device).manual_seed(int(rng.integers(2**62)))
    segments = cut_segments(stretches, segment_bins(config), rng)
    warm_up = max(config.context_bins, config.history_bins)
    n_bins = max(int((stretches.stop - stretches.start).sum()), 1)
    batches = list(shuffled_batches(segments, settings.batch_size, rng))
    model.train()
    model.random.recompute = settings.recompute
    losses, weights, holes = [], [], Holes()
    spoiled = torch.zeros((), device=builder.device)  # 1 from the first loss or gradient on that is not finite
    for number, part in enumerate(batches):
        state.optimizer.zero_grad(set_to_none=True)
        loss, n_tokens = add_gradients(model, builder, part, warm_up, settings, n_bins)
        if not n_tokens:  # the batch lies in a gap
            continue
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        spoiled = torch.maximum(spoiled, (~(loss + norm).isfinite()).to(spoiled.dtype))
        factor = rate_factor(state.n_epochs - origin + number / len(batches), settings.max_epochs, state.n_steps)
        for group in state.optimizer.param_groups:
            group["lr"] = settings.learning_rate * factor
        state.optimizer.found_inf = spoiled  # the fused step then does nothing, and the host need not wait to know
        state.optimizer.step()
        state.n_steps += 1
        update_average(state)
        losses.append(loss)
        weights.append(n_tokens)
        holes.after_batch()
    values = torch.stack([*losses, spoiled]).tolist() if losses else [0.0]
    if values.pop():
        raise NonFiniteLossError(f"the loss or its gradient became NaN or infinite in epoch {state.n_epochs + 1}")
    state.n_epochs += 1
    state.loss_curve.append(float(np.average(values, weights=weights)) if values else 0.0)
    return state.loss_curve[-1]


def add_gradients(
    model: Neuroformer, builder: BatchBuilder, batch: Segments, warm_up: int, settings: TrainingSettings, n_bins: int
) -> tuple[torch.Tensor, int]:
    """Gradients of the loss per token of a batch, computed in `accumulation_steps` parts; the loss, and its tokens.

    Nothing is done, and there are no tokens, where nothing of the batch was observed.
    """
    pieces = np.array_split(np.arange(len(batch)), min(settings.accumulation_steps, len(batch)))
    total, n_tokens = torch.zeros((), device=builder.device), 0
    for piece in pieces:
        inputs = builder.build(batch.take(piece), warm_up)
        if inputs.layout is not None and not inputs.layout.n_tokens:
            continue
        with torch.autocast(builder.device.type, torch.bfloat16, enabled=settings.half):
            loss, n = batch_loss(model, inputs, settings, n_bins)
        (loss * n).backward()
        total, n_tokens = total + loss.detach() * n, n_tokens + n
    if not n_tokens:
        return total, 0
    torch._foreach_div_([p.grad for p in model.parameters() if p.grad is not None], n_tokens)
    return total / n_tokens, n_tokens


def batch_loss(model: Neuroformer, batch: Batch, settings: TrainingSettings, n_bins: int) -> tuple[torch.Tensor, int]:
    """The poster's equation 6, in nats per token, and the priors on the couplings and the modalities' filters.

    The dt part is computed apart only where the weights differ. The couplings have :func:`coupling_prior`, and the
    filters of a modality a sparse one, as a whole for each unit. A weak prior holds the count shapes where they
    started. Behaviour that is read from the neural state adds its mean squared error.
    """
    id_weight, time_weight = settings.mu, 1.0 - settings.gamma - settings.mu
    split = not math.isclose(id_weight, time_weight, abs_tol=1e-9)
    output = model(batch, split=split)
    weighted = id_weight * output.total
    if split:
        weighted = weighted + (time_weight - id_weight) * output.time
    of_priors = 0.5 * (id_weight + time_weight)
    share = output.n_scored / n_bins * of_priors  # of a prior that counts once an epoch
    loss = (share * model.session.shape_change() - weighted) / output.n_tokens
    if settings.coupling_penalty and model.session.pairwise:
        prior = coupling_prior(model, output.n_scored, settings, n_bins)
        loss = loss + of_priors * prior / output.n_tokens
    if output.drive_size is not None:
        sparse = settings.drive_penalty / math.sqrt(n_bins) * output.drive_size
        loss = loss + of_priors * sparse / output.n_tokens
    if output.contrastive is not None and settings.gamma > 0:
        loss = loss + settings.gamma * output.contrastive
    if output.behaviour is not None:
        loss = loss + settings.behaviour_weight * output.behaviour
    return loss, output.n_tokens


def coupling_prior(model: Neuroformer, n_scored: int, settings: TrainingSettings, n_bins: int) -> torch.Tensor:
    """Minus the log density of the prior on the couplings, in nats: the share of `n_scored` of `n_bins` training bins.

    A sparse prior (Laplace's) pulls every coupling to zero with `coupling_penalty` standard errors of its slope over
    all training bins, so that what noise alone could give stays at zero. A dense one (normal) has a standard deviation
    of `DENSE_WIDTH` / `coupling_penalty` standard errors: none is zero, and all are small.
    """
    if settings.coupling_prior == "sparse":
        return settings.coupling_penalty * n_scored / math.sqrt(n_bins) * model.session.coupling_size()
    return 0.5 * (settings.coupling_penalty / DENSE_WIDTH) ** 2 * n_scored * model.session.coupling_square()


@torch.no_grad()
def update_average(state: TrainingState) -> None:
    """Move the averaged weights towards the raw ones; early on the average is short."""
    decay = min(AVERAGE_DECAY, (1 + state.n_steps) / (10 + state.n_steps))
    torch._foreach_lerp_(list(state.average.parameters()), list(state.model.parameters()), 1.0 - decay)


def train(
    state: TrainingState,
    builder: BatchBuilder,
    stretches: Segments,
    settings: TrainingSettings,
    validate: Callable[[Neuroformer], float] | None,
    n_epochs: int,
    origin: int,
    epoch_begins: Callable[[], None],
    epoch_ends: Callable[[], bool],
) -> str:
    """Train for up to `n_epochs` further epochs; the best averaged weights end up in ``state.average``.

    Parameters
    ----------
    origin : int
        Epoch at which the learning rate's schedule began.
    validate : callable or None
        Held-out bits per spike of a model; None trains to the end.
    epoch_begins, epoch_ends : callable
        Called around each epoch (scikit-learn's callbacks); True from the second stops.

    Returns
    -------
    str
        "converged", "max_epochs", "stopped" (by a callback) or "interrupted" (Ctrl-C).

    Raises
    ------
    NonFiniteLossError
        With the best weights so far (at least those of the last whole epoch) in ``state.average``.
    """
    best, since_best = -math.inf, 0
    state.model.session.loosen()
    state.average.session.loosen()
    kept = {name: value.clone() for name, value in state.average.state_dict().items()}
    reason = "max_epochs"
    state.model.random.compiler = Compiler() if settings.compile else None
    try:
        for _ in range(n_epochs):
            epoch_begins()
            train_epoch(state, builder, stretches, settings, origin)
            score = None
            if validate is not None:
                score = validate(state.average)
                state.validation_scores.append(score)
                since_best = 0 if score > best + settings.tol else since_best + 1
            if score is None or score > best:
                best = best if score is None else score
                for name, value in state.average.state_dict().items():
                    kept[name].copy_(value)
            report(state, settings, score, origin)
            if epoch_ends():
                reason = "stopped"
                break
            if validate is not None and since_best >= settings.n_iter_no_change:
                reason = "converged"
                break
    except KeyboardInterrupt:
        reason = "interrupted"
    finally:
        state.model.random.compiler = None
        state.average.load_state_dict(kept)
        state.average.eval()
        if settings.verbose:
            print(file=sys.stderr, flush=True)
    return reason


def report(state: TrainingState, settings: TrainingSettings, score: float | None, origin: int) -> None:
    """One line on standard error, rewritten after each epoch (``verbose=1``) or kept (``verbose=2``)."""
    if not settings.verbose:
        return
    done = state.n_epochs - origin
    bar = "#" * round(20 * done / settings.max_epochs)
    line = f"epoch {done:3d}/{settings.max_epochs} [{bar:<20}] loss {state.loss_curve[-1]:.4f}"
    if score is not None:
        line += f"  validation {score:.4f} bits/spike"
    print(line, end="\n" if settings.verbose > 1 else "\r", file=sys.stderr, flush=True)
