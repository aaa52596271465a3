"""A trained network with what belongs to it: the scales of its modalities, its device and precision."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

import numpy as np
import torch

from skneuro.data import BinnedSpikes, ModelInput
from skneuro.data._likeness import Form
from skneuro.exceptions import IncompatibleModalityError
from skneuro.nn import Neuroformer, NeuroformerConfig
from skneuro.nn.config import N_COMPONENTS, ModalityConfig, Tubelets, seen_in_bins
from skneuro.training import evaluation
from skneuro.training.modality_table import Scale, describe, modality_tables
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

CELLS_AT_ONCE = 2**17  # of counts
FEW, NEXT_TO_NONE = 5.0, 1e-3  # spikes in training
SAME_RATE = 0.05  # share by which the times between frames may differ
BUILDING = threading.Lock()  # initial weights come from a global generator, which threads would share
# Of the weights; with "bfloat16" the matrix products of training alone are of that precision.
DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.float32}


def pick_device(device: str) -> torch.device:
    """The device that `device` names; "auto" takes CUDA, then Apple's MPS, then the CPU."""
    if device != "auto":
        return torch.device(device)
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def has_device(name: str) -> bool:
    """Whether torch knows a device, and this machine has it."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):  # not a device; a build of torch without it
        return False
    return True


def build_network(
    config: NeuroformerConfig,
    mean: np.ndarray,
    sd: np.ndarray,
    seed: int,
    device: torch.device,
    dtype: torch.dtype,
    histogram: np.ndarray | None = None,
) -> Neuroformer:
    """A fresh network; torch's global generator is left as it was, by fits in other threads too.

    Its initial weights are drawn on the CPU in float32 whatever the device and precision, so that one seed
    gives one model.
    """
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # the CPU's alone; torch.manual_seed would seed the GPUs' too
        counts = None if histogram is None else torch.from_numpy(histogram)
        network = Neuroformer(config, torch.from_numpy(mean).float(), torch.from_numpy(sd).float(), counts)
    return network.to(device=device, dtype=dtype)


@dataclass
class FittedModel:
    """A network in eval mode, ready for recordings.

    Attributes
    ----------
    network : Neuroformer
    scales : dict of Scale
        Mean and standard deviation of each modality in training.
    device, precision : str
        Where it runs; "auto" is looked up anew on another machine.
    rows_at_once : int or None
        Pieces of trials, windows or simulated trials that are computed at once; None takes what processor caches hold.
    """

    network: Neuroformer
    scales: dict[str, Scale]
    device: str
    precision: str
    rows_at_once: int | None = None

    def builder(self, inp: ModelInput) -> BatchBuilder:
        """Batches of an input."""
        self._check_shapes(inp)
        tables = modality_tables(inp.modalities, inp.spikes, self.scales, self.network.config)
        return BatchBuilder(
            inp.spikes, tables, self.network.config, next(self.network.parameters()).device, DTYPES[self.precision],
            self.rows_at_once,
        )  # fmt: skip

    def _check_shapes(self, inp: ModelInput) -> None:
        fitted = {modality.name: modality for modality in self.network.config.modalities}
        for name, modality in () if inp.modalities is None else inp.modalities.items():
            expected = fitted[name]
            Form(expected.kind, expected.columns, expected.shape).check(name, modality)
            found = describe(name, modality)
            if found.interval is not None and expected.interval is not None:  # files of before do not know it
                self._check_rate(name, found.kind, found.interval, expected.interval)

    def _check_rate(self, name: str, kind: str, found: float, expected: float) -> None:
        """Refuse samples at another rate than in fit: each adds its own share to what drives units.

        A series that is faster than the bins is averaged over them, whatever its rate.
        """
        averaged = kind != "Video" and max(found, expected) <= self.network.config.bin_width * (1 + SAME_RATE)
        if averaged or abs(found / expected - 1) <= SAME_RATE:
            return
        usual, given = f"{1 / expected:.6g}", f"{1 / found:.6g}"
        number = f"number = (np.arange(n) * {given} // {usual}).astype(int)"
        what, samples, remedy = "series", "samples", f"TimeSeries.from_lists([values[number]], rate={usual})"
        if kind == "Video":
            what, samples, remedy = "video", "frames", f"Video(frames[:, number], fps={usual})"
        raise IncompatibleModalityError(
            f"The {what} {name!r} should have {usual} {samples} a second, as in fit. Got {given}. Repeat {samples} or "
            f"leave some out, for n {samples} at the rate of fit: {number}, {remedy}."
        )

    def cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        """(n_bins, n_units), nats, of the input's own spikes or of others under the same past."""
        return evaluation.cell_log_likelihood(self.network, self.builder(inp), target=target)

    def unit_log_likelihood(self, inp: ModelInput) -> np.ndarray:
        """(n_units,), nats."""
        return evaluation.unit_log_likelihood(self.network, self.builder(inp))

    def embed(self, inp: ModelInput) -> np.ndarray:
        """Neural vector of each bin's window, (n_bins, width)."""
        return evaluation.neural_embedding(self.network, self.builder(inp))

    def embed_modality(self, name: str, inp: ModelInput) -> np.ndarray:
        """Aligned vector of what each bin's window sees of a modality, (n_bins, d_model); NaN where nothing."""
        return evaluation.modality_embedding(self.network, self.builder(inp), name)

    @property
    def embedding_width(self) -> int:
        """Length of the vectors of :meth:`embed`."""
        return evaluation.embedding_width(self.network.config)

    @torch.no_grad()
    def shift_log_rates(self, offset: np.ndarray) -> None:
        """Add (n_units,) numbers to the log intensities, for good."""
        bias = self.network.session.bias
        bias += torch.from_numpy(offset).to(bias)

    def arrays(self) -> dict[str, np.ndarray]:
        """All weights and scales as numpy arrays, by name."""
        arrays = {f"network.{name}": value.cpu().numpy() for name, value in self.network.state_dict().items()}
        for name, scale in self.scales.items():
            arrays[f"scale.{name}.mean"], arrays[f"scale.{name}.sd"] = scale.mean, scale.sd
        return arrays

    @classmethod
    def from_arrays(
        cls, config: NeuroformerConfig, arrays: dict[str, np.ndarray], device: str, precision: str
    ) -> FittedModel:
        """Build from :meth:`arrays`.

        Raises
        ------
        ValueError
            If an array is missing, of the wrong shape, or not finite.
        """
        check_sizes(config, arrays)
        n_units = config.n_units
        network = build_network(config, np.zeros(n_units), np.ones(n_units), 0, pick_device(device), DTYPES[precision])
        prefix = "network."
        weights = {k[len(prefix) :]: torch.from_numpy(np.array(v)) for k, v in arrays.items() if k.startswith(prefix)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ValueError(f"the weights do not fit the model: {error}") from error
        if not all(bool(torch.isfinite(w).all()) for w in network.state_dict().values()):
            raise ValueError("the weights must be finite, got NaN or infinity")
        names = [modality.name for modality in config.modalities]
        missing = [name for name in names if f"scale.{name}.mean" not in arrays or f"scale.{name}.sd" not in arrays]
        if missing:
            raise ValueError(f"the scales of the modalities {missing} are missing")
        scales = {n: Scale(np.array(arrays[f"scale.{n}.mean"]), np.array(arrays[f"scale.{n}.sd"])) for n in names}
        return cls(network.eval(), scales, device, precision)

    def __getstate__(self) -> dict:
        return {
            "config": self.network.config.to_dict(), "arrays": self.arrays(),
            "device": self.device, "precision": self.precision,
        }  # fmt: skip

    def __setstate__(self, state: dict) -> None:
        config = NeuroformerConfig.from_dict(state["config"])
        device = state["device"]
        if device != "auto" and not has_device(device):
            device = "cpu"  # fitted on a device that is not here
        self.__dict__.update(vars(FittedModel.from_arrays(config, state["arrays"], device, state["precision"])))


def check_sizes(config: NeuroformerConfig, arrays: dict[str, np.ndarray]) -> None:
    """Compare every size that memory is taken for with the arrays that are there, before it is taken.

    Raises
    ------
    ValueError
        If a size of the configuration is not that of its array.
    """

    def shape(name: str) -> tuple[int, ...]:
        return np.shape(arrays.get(f"network.{name}", np.empty(0)))

    expected: dict[str, tuple[int, ...]] = {
        "session.embedding": (config.n_units, config.d_model),
        "session.repeat_table": (config.n_units, max(config.max_count, 1)),
        "decoder.bin": (config.window_bins, config.d_model),
    }
    if config.context_bins:
        expected["past.bias"] = (config.context_width,)
        for number, modality in enumerate(config.in_context):
            expected[f"past.stimuli.{number}.weight"] = (config.context_width, modality.n_features)
    if config.behaviour:
        expected["told.linear.weight"] = (sum(width for _, width in config.behaviour), config.context_width)
    if config.coupling_bins and config.coupling_rank:
        expected["session.coupling_source"] = (config.n_units, config.coupling_rank)
    if config.coupling_bins:
        expected["session.basis"] = (shape("session.basis")[0] if shape("session.basis") else 0, config.coupling_bins)
    for number, modality in enumerate(config.modalities):
        expected[f"drives.{number}.space"] = (modality.n_features, N_COMPONENTS)
        if modality.tubelets is not None:
            expected[f"fusion.encoders.{number}.kernel"] = _kernel_shape(modality, modality.tubelets, config.d_model)
    wrong = {name: (size, shape(name)) for name, size in expected.items() if shape(name) != size}
    if not set(config.stimuli_in_context) <= set(seen_in_bins(config.modalities)):
        raise ValueError(f"the series {config.stimuli_in_context} of the long past are not all there")
    if not set(config.aligned) <= {modality.name for modality in config.modalities}:
        raise ValueError(f"the aligned modalities {config.aligned} are not all there")
    n_blocks = max(config.n_layers, config.n_fusion_layers)
    if wrong or n_blocks > len(arrays):
        raise ValueError(f"the sizes of the model are not those of its weights (expected, got): {wrong or n_blocks}")


def _kernel_shape(modality: ModalityConfig, tubelets: Tubelets, d_model: int) -> tuple[int, ...]:
    """Shape of a video's convolution, where its frames have the size that they should have."""
    frames, *box = tubelets.size
    right = len(modality.shape) in (2, 3) and math.prod(modality.shape) == modality.n_features
    if not right or any(size > n for size, n in zip(box, modality.shape[:2], strict=True)):
        raise ValueError(f"frames of shape {modality.shape} do not go with {modality.n_features} values in {tubelets}")
    return (frames, d_model, math.prod(modality.shape[2:]), *box)


def count_statistics(binned: BinnedSpikes, stretches: Segments) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, scale and histogram of the observed counts of a bin, per unit.

    The scale is the standard deviation, enlarged where it comes from few spikes: what a unit that fired once or never
    says of the others was not learned, and in standard deviations each of its spikes would be tens of them.

    Returns
    -------
    mean, scale : ndarray of shape (n_units,)
    histogram : ndarray of shape (n_units, max_count + 1)
        Bins with 0, 1, ... spikes; at least two columns.
    """
    n_units = binned.n_units
    width = max(int(binned.counts.data.max(initial=0)), 1) + 1
    cells, step = np.zeros(n_units * width), max(CELLS_AT_ONCE // n_units, 1)
    for trial, start, stop in zip(stretches.trial, stretches.start, stretches.stop, strict=True):
        low, high = binned.ptr[trial] + start, binned.ptr[trial] + stop
        for begin in range(low, high, step):
            end = min(begin + step, high)
            cell = binned.dense(begin, end) + width * np.arange(n_units)
            cells += np.bincount(cell[binned.mask(begin, end)], minlength=n_units * width)
    histogram = cells.reshape(n_units, width)
    used = np.flatnonzero(histogram.any(axis=0)).max(initial=1)
    histogram = histogram[:, : used + 1]
    n, counts = np.maximum(histogram.sum(1), 1), np.arange(used + 1)
    total, squares = histogram @ counts, histogram @ counts**2
    mean = (total + 0.5) / (n + 1)  # a unit that was silent in training has a small rate, not none
    sd = np.maximum(np.sqrt(np.maximum(squares / n - (total / n) ** 2, 0.0)), np.sqrt(mean))
    return mean, sd * (total + FEW) / np.maximum(total, NEXT_TO_NONE), histogram
