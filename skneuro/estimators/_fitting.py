"""The steps of `NeuroformerEstimator.fit` between reading the input and the trained model."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import numpy as np
import torch

from skneuro._sklearn_compat import InvalidParameterError
from skneuro._stimulus_range import StimulusRange, column_name
from skneuro._warn import warn_user
from skneuro.data import BinnedSpikes, ModelInput, Video
from skneuro.estimators import _choices
from skneuro.estimators._alignment import aligned_modalities
from skneuro.estimators._choices import USUAL_DECAY, Choices, count_segments, count_spikes, usual
from skneuro.estimators._told import behaviour_moments, behaviour_names, behaviour_sizes
from skneuro.metrics.likelihood import bits_per_spike, poisson_log_pmf
from skneuro.nn import Neuroformer, NeuroformerConfig
from skneuro.nn.compiled import probe
from skneuro.nn.config import seen_in_bins
from skneuro.training.evaluation import stretch_log_likelihood
from skneuro.training.fitted import DTYPES, build_network, count_statistics, pick_device
from skneuro.training.known import training_part
from skneuro.training.loop import TrainingSettings, TrainingState
from skneuro.training.modality_table import Scale, describe
from skneuro.training.refit import MANY_A_BIN
from skneuro.training.segments import BatchBuilder, cut_segments
from skneuro.training.split import hold_out, shown_clips, whole_trials
from skneuro.training.stretches import Segments

BINS_AT_ONCE = 1000  # looked through for a spike
FIRST_TEMPERATURE = 0.1  # from which a learned one starts
SHORTEST_LAG, BINS_OF_LAG = 0.1, 10  # seconds, bins
USUAL_FRACTION, LEAST_FRACTION, ENOUGH_SPIKES = 0.1, 0.02, 20_000  # of what is held out for early stopping
MUCH_WIDER, MUCH_OFF = 5.0, 2.0  # times the first standard deviation; times 1, or a part of it, where there was none
ROUNDING = 1e-9  # of the largest value
MOST_PAIRED_UNITS, AUTO_RANK = 1_000, 64  # up to so many units every pair has a coupling of its own


def bins_of(seconds: float, bin_width: float) -> int:
    """Whole bins that cover a time."""
    return int(np.ceil(seconds / bin_width - 1e-6))


def largest_window(binned: BinnedSpikes, window_bins: int) -> int:
    """Most spikes in any `window_bins` consecutive bins of a trial."""
    per_bin = np.asarray(binned.counts.sum(axis=1)).ravel()
    total = np.concatenate([[0], np.cumsum(per_bin)])
    largest = 0
    for start, stop in zip(binned.ptr[:-1], binned.ptr[1:], strict=True):
        here = total[start : stop + 1]
        width = min(window_bins, len(here) - 1)
        largest = max(largest, int((here[width:] - here[: len(here) - width]).max(initial=0)))
    return largest


def split(est: Any, inp: ModelInput, seed: int, going_on: bool = False) -> tuple[Segments, Segments | None]:
    """Training stretches, and validation stretches where early stopping is on and the data are long enough."""
    n_bins = np.diff(inp.spikes.ptr)
    n_spikes = count_spikes(inp)
    nothing_to_choose = n_spikes >= _choices.MANY_SPIKES and (going_on or est.max_cycles == 1)
    if not est.early_stopping or (est.early_stopping == "auto" and nothing_to_choose):
        return whole_trials(n_bins), None
    seen = est.stimulus_context if inp.modalities is not None else 0.0
    memory = max(est.context, est.recent_context, coupling_lag(est) if est.coupling else 0.0, seen)
    gap = bins_of(memory, est.bin_width)
    rng = np.random.default_rng([seed, 1])
    fraction = est.validation_fraction
    if fraction == "auto":
        fraction = min(max(ENOUGH_SPIKES / max(n_spikes, 1), LEAST_FRACTION), USUAL_FRACTION)
    training, held = hold_out(n_bins, float(fraction), gap, rng, shown_clips(inp.modalities))
    if held is not None and not _has_spikes(inp.spikes, held):
        return whole_trials(n_bins), None
    return training, held


def _has_spikes(binned: BinnedSpikes, stretches: Segments) -> bool:
    """Whether there are spikes that are scored, not only such as serve as the past of others."""
    pieces = cut_segments(stretches, BINS_AT_ONCE)  # the first one usually tells
    low, high = binned.ptr[pieces.trial] + pieces.start, binned.ptr[pieces.trial] + pieces.stop
    return any((binned.dense(a, b) * binned.mask(a, b)).any() for a, b in zip(low, high, strict=True))


def digest(binned: BinnedSpikes) -> str:
    """Tell data by their counts."""
    found = hashlib.sha256()
    for part in (binned.ptr, binned.counts.indptr, binned.counts.indices, binned.counts.data):
        found.update(np.ascontiguousarray(part).data)
    return found.hexdigest()


def coupling_lag(est: Any) -> float:
    """Longest lag of the coupling, seconds."""
    return max(SHORTEST_LAG, BINS_OF_LAG * est.bin_width) if est.coupling_lag == "auto" else float(est.coupling_lag)


def coupling_rank(est: Any, n_units: int) -> int:
    """Rank of the coupling matrices, 0 for one weight a pair; "auto" keeps the pairs where they are not too many."""
    if not est.coupling or est.coupling_rank is None:
        return 0
    if est.coupling_rank == "auto":
        return AUTO_RANK if n_units > MOST_PAIRED_UNITS else 0
    return int(est.coupling_rank)


def context_width(est: Any, n_spikes: int) -> int:
    """Width of the long past's state; the more spikes, the wider the state that scores highest."""
    if est.context_width != "auto":
        return int(est.context_width)
    return est.d_model * (1 + int(n_spikes >= _choices.FEW_SPIKES) + int(n_spikes >= _choices.MANY_SPIKES))


def state_dependent_drive(est: Any, inp: ModelInput, n_spikes: int) -> bool:
    """Whether features of the past see the modalities: few spikes let them learn noise, a video gains nothing."""
    if inp.modalities is None or not est.context:
        return False
    if est.state_dependent_drive != "auto":
        return bool(est.state_dependent_drive)
    shows_video = any(isinstance(modality, Video) for _, modality in inp.modalities.items())
    return n_spikes >= _choices.MANY_SPIKES and not shows_video


def make_config(est: Any, inp: ModelInput, max_count: int, how: Choices | None = None) -> NeuroformerConfig:
    """Sizes of the network from the estimator's parameters and the data; with what is usual by default."""
    n_spikes = count_spikes(inp)
    how = how or usual(est, n_spikes)
    size, stride = _triple(est.tubelet_size), _triple(est.tubelet_stride)
    named = () if inp.modalities is None else inp.modalities.items()
    modalities = tuple(describe(name, modality, size, stride) for name, modality in named)
    return NeuroformerConfig(
        n_units=inp.spikes.n_units,
        bin_width=float(est.bin_width),
        window_bins=est.window_bins,
        recent_bins=bins_of(est.recent_context, est.bin_width),
        context_bins=bins_of(est.context, est.bin_width),
        context_width=context_width(est, n_spikes),
        coupling_bins=bins_of(coupling_lag(est), est.bin_width) if est.coupling else 0,
        coupling_rank=coupling_rank(est, inp.spikes.n_units),
        stimulus_context=float(est.stimulus_context),
        head=est.head,
        d_model=est.d_model,
        n_heads=est.n_heads,
        n_layers=est.n_layers,
        n_fusion_layers=est.n_fusion_layers,
        share_fusion=est.share_fusion,
        dropout=how.dropout,
        unit_dropout=how.unit_dropout,
        modality_dropout=float(est.modality_dropout),
        temperature=FIRST_TEMPERATURE if est.temperature == "learn" else float(est.temperature),
        learn_temperature=est.temperature == "learn",
        max_count=max(max_count, 1),
        aligned=aligned_modalities(est, inp),
        modalities=modalities,
        behaviour=behaviour_sizes(inp),
        state_dependent_drive=state_dependent_drive(est, inp, n_spikes),
        stimuli_in_context=seen_in_bins(modalities) if how.stimuli_in_context and est.context else (),
    )


def _triple(value: Any) -> Any:
    """Three numbers as a tuple of int, all else as it is."""
    return tuple(int(n) for n in value) if isinstance(value, (tuple, list)) else value


def check_same_structure(est: Any, inp: ModelInput, config: NeuroformerConfig) -> None:
    """Refuse to go on training a network that other parameters describe.

    Raises
    ------
    ValueError
        If a parameter that shapes the network was changed since it was fitted.
    """
    # What the data of this call lack is no change: a modality may be missing now, and gamma may be 0.
    described = make_config(est, inp, config.max_count)
    fields = set(vars(config)) - {"modalities", "aligned", "behaviour", "max_count", "n_units", "stimuli_in_context"}
    if est.context_width == "auto" and est.d_model == config.d_model:  # more or fewer spikes are no change
        fields.remove("context_width")
    if est.state_dependent_drive == "auto" or inp.modalities is None:
        fields.remove("state_dependent_drive")
    fields -= {name for name in ("dropout", "unit_dropout") if getattr(est, name) == "auto"}
    changed = {name: (getattr(config, name), getattr(described, name)) for name in sorted(fields)}
    changed = {name: values for name, values in changed.items() if values[0] != values[1]}
    fitted = {modality.name: modality.tubelets for modality in config.modalities}
    for modality in described.modalities:
        if est.tubelet_size != "auto" and modality.name in fitted and modality.tubelets != fitted[modality.name]:
            changed[f"tubelets of {modality.name!r}"] = (fitted[modality.name], modality.tubelets)
    entered = tuple(name for name in config.stimuli_in_context if inp.modalities is not None and name in inp.modalities)
    if est.stimuli_in_context != "auto" and set(described.stimuli_in_context) != set(entered):
        changed["stimuli_in_context"] = (entered, described.stimuli_in_context)
    told, before = behaviour_sizes(inp), config.behaviour
    names = tuple(name for name, _ in before)
    if behaviour_names(est) != names:
        changed["behaviour"] = (names, behaviour_names(est))
    elif told and told != before:
        changed["behaviour"] = (before, told)
    if DTYPES[est.precision] != DTYPES[est.model_.precision]:
        changed["precision"] = (est.model_.precision, est.precision)
    if est.gamma > 0 and est.align not in ("auto", None) and described.aligned != config.aligned:
        changed["align"] = (config.aligned, described.aligned)
    if changed:
        shown = "; ".join(f"{name} was {old}, is {new}" for name, (old, new) in changed.items())
        raise ValueError(
            f"Training cannot go on with another network: {shown}. Set the parameters back, or fit with "
            f"warm_start=False."
        )


def fresh_state(
    est: Any, inp: ModelInput, training: Segments, seed: int, how: Choices | None = None
) -> tuple[TrainingState, dict[str, Scale], TrainingSettings]:
    """An untrained network with the moments of the training stretches, the scales of the modalities, how to train."""
    how = how or usual(est, count_spikes(inp))
    mean, sd, histogram = count_statistics(inp.spikes, training)
    config = make_config(est, inp, histogram.shape[1] - 1, how)
    network = build_network(config, mean, sd, seed, pick_device(est.device), DTYPES[est.precision], histogram)
    if config.behaviour:
        for buffer, value in zip((network.told.mean, network.told.sd), behaviour_moments(inp, training), strict=True):
            buffer.copy_(torch.from_numpy(value))
    scales = {}
    for name, modality in () if inp.modalities is None else inp.modalities.items():
        scales[name] = Scale.fit(training_part(modality, inp.spikes, training))
    decay = how.weight_decay(est, count_segments(training, config))
    plan = settings(est, decay, how.coupling_prior)
    return TrainingState.start(network, plan, seed), scales, plan


def settings(est: Any, decay: float, coupling_prior: str) -> TrainingSettings:
    """The estimator's training parameters, and what those that may be "auto" amount to."""
    return TrainingSettings(
        gamma=float(est.gamma), mu=float(est.mu), batch_size=est.batch_size, learning_rate=float(est.learning_rate),
        weight_decay=decay, modality_decay=USUAL_DECAY if est.weight_decay == "auto" else decay,
        coupling_penalty=float(est.coupling_penalty), coupling_prior=coupling_prior,
        max_epochs=est.max_epochs, n_iter_no_change=est.n_iter_no_change, tol=float(est.tol),
        verbose=int(est.verbose), accumulation_steps=est.accumulation_steps,
        recompute=est.recompute_activations, half=est.precision == "bfloat16",
        behaviour_weight=float(est.behaviour_weight), compile=bool(est.compile),
    )  # fmt: skip


class Validation:
    """Bits per spike of a network on held-out stretches, against the rates of the training stretches."""

    def __init__(self, builder: BatchBuilder, stretches: Segments, mean: np.ndarray) -> None:
        self.builder, self.stretches = builder, stretches
        binned = builder.binned
        self.null, self.n_spikes = 0.0, 0
        for trial, start, stop in zip(stretches.trial, stretches.start, stretches.stop, strict=True):
            low, high = binned.ptr[trial] + start, binned.ptr[trial] + stop
            seen = binned.mask(low, high)
            counts = binned.dense(low, high)
            self.null += float((poisson_log_pmf(counts, mean) * seen).sum())
            self.n_spikes += int((counts * seen).sum())

    def of(self, builder: BatchBuilder) -> Validation:
        """The same for a network that is given other batches."""
        other = copy.copy(self)
        other.builder = builder
        return other

    def __call__(self, network: Neuroformer) -> float:
        total = stretch_log_likelihood(network, self.builder, self.stretches)
        return bits_per_spike(total, self.null, self.n_spikes)


def check_compiler(est: Any) -> None:
    """Refuse to start what cannot be compiled.

    Raises
    ------
    InvalidParameterError
        If compiling something small fails.
    """
    if not est.compile:
        return
    device = pick_device(est.device)
    try:
        probe(device, DTYPES[est.precision])
    except Exception as error:  # of torch, the compiler that it calls, the file system, a missing package
        trouble = " ".join(str(error).partition("Set TORCHDYNAMO")[0].split())  # without the hints for its developers
        needed = {"cpu": "a C++ compiler (g++, clang++ or cl; CXX may name it)", "cuda": "Triton"}.get(device.type)
        raise InvalidParameterError(
            f"The 'compile' parameter of {type(est).__name__} must be False where torch.compile does not work; on "
            f"{device.type!r} it needs {needed or 'a version of torch that knows how'}. Got True instead, and an "
            f"attempt ended with '{trouble:.300}'. Install what is missing, or set compile=False: the results are the "
            f"same."
        ) from error


def warn_about_wide_bins(est: Any, inp: ModelInput) -> None:
    """Say which units have so many spikes a bin that their counts are poorly fitted."""
    n_bins = np.maximum(inp.spikes.exposure() / est.bin_width, 1.0)
    mean = inp.spikes.unit_counts() / n_bins
    busy = np.flatnonzero(mean > MANY_A_BIN)
    if len(busy):
        most = busy[np.argmax(mean[busy])]
        warn_user(
            f"Units with more than {MANY_A_BIN:g} spikes a bin: {len(busy)}. Such counts are fitted poorly: the "
            f"mean count of unit {est.unit_ids_[most]!s} is {mean[most]:.0f} per bin. Use a smaller bin_width (now "
            f"{est.bin_width:g} s).",
            UserWarning,
        )


def warn_about_scales(
    inp: ModelInput, training: Segments, scales: dict[str, Scale], before: StimulusRange, told: set[str]
) -> None:
    """Say, once for each modality, which column varies far more than in the first data, which scale it for good.

    Parameters
    ----------
    inp : ModelInput
        What training goes on with, in the stretches `training`.
    scales : dict of str to Scale
        Of the first data.
    before : dict of str to tuple of two ndarray of shape (d,)
        Lowest and highest values of all data before these.
    told : set of str
        Modalities of which it was said; those of which it is said now are added.
    """
    for name, modality in () if inp.modalities is None else inp.modalities.items():
        if name not in before or name in told:
            continue
        sd, first = training_part(modality, inp.spikes, training).moments()[1], scales[name].sd
        constant = (first == 1.0) & ~_differ(*before[name])  # a series that was standardised by hand has its 1 anyway
        wider = np.where(constant, np.maximum(sd, 1 / sd) / MUCH_OFF, sd / first / MUCH_WIDER)
        worst = int(wider.argmax())
        if wider[worst] <= 1:
            continue
        told.add(name)
        then = "it did not vary" if constant[worst] else f"it was {first[worst]:.4g}"
        warn_user(
            f"The modality {name!r}{column_name(modality, worst)} has a standard deviation of {sd[worst]:.4g} now; in "
            f"the first data that the model was given {then}, and these scale it for good: the model may learn little "
            f"of it. Give a first part that is like the whole, or scale it to a standard deviation of 1 before."
        )


def _differ(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Whether the values of each column vary, by their extremes and beyond rounding; not where none is known."""
    return high - low > ROUNDING * np.maximum(np.abs(low), np.abs(high))


def warn_about_gamma(est: Any, inp: ModelInput) -> None:
    """Say that nothing is aligned, where the user may think that something is."""
    if est.gamma == 0 and est.align not in ("auto", None):
        warn_user(
            f"align={est.align!r} has no effect with gamma=0. Set the weight of the contrastive loss, for example "
            f"gamma=0.1, mu=0.45.",
            UserWarning,
        )
    if est.gamma == 0 or (inp.modalities is not None and (est.align != "auto" or aligned_modalities(est, inp))):
        return
    why = "the contrastive loss needs a modality beside the spikes, and none was given"
    if inp.modalities is not None:
        why = "alignment tells segments apart, and no modality shows a batch more than one"
    warn_user(f"gamma={est.gamma} has no effect: {why}. Set gamma=0 to silence this.", UserWarning)
