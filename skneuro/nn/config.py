"""The sizes of a model: everything that is needed to build it again before its weights are loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations

N_COMPONENTS = 32  # linear filters of a modality, shared by the units


@dataclass(frozen=True)
class Tubelets:
    """How frames are cut into tubelets: boxes in time and space, each one token.

    Parameters
    ----------
    size, stride : tuple of 3 int
        Frames, rows and columns of a tubelet, and from one to the next. The last frame of a tubelet gives its time.
    """

    size: tuple[int, int, int]
    stride: tuple[int, int, int]

    def __post_init__(self) -> None:
        if len(self.size) != 3 or len(self.stride) != 3 or min(self.stride) < 1:
            raise ValueError(f"tubelets need three sizes and three strides of at least 1, got {self}")
        if any(step > size for step, size in zip(self.stride, self.size, strict=True)):
            raise ValueError(f"the stride of tubelets must not exceed their size, or something is not seen: {self}")

    def grid(self, shape: tuple[int, ...]) -> tuple[int, int]:
        """Tubelets down and across frames of shape (height, width, ...): every pixel is in one."""
        down, across = (
            max(-(-(n - size) // stride), 0) + 1
            for n, size, stride in zip(shape[:2], self.size[1:], self.stride[1:], strict=True)
        )
        return down, across


@dataclass(frozen=True)
class ModalityConfig:
    """One modality beside the spikes.

    Parameters
    ----------
    name : str
    n_features : int
        Values of one sample (of a series, or a whole frame).
    shape : tuple of int
        One sample as it was given: (values,), or (height, width) or (height, width, channels) of a frame.
    tubelets : Tubelets or None
        How frames become tokens; None makes every sample one token.
    kind : str
        Class of the modality.
    columns : tuple of str
        What the values of a sample are, where that is known.
    static : bool
        Whether what is shown stays the same for a whole trial.
    interval : float or None
        Seconds between the frames of a video or the samples of a regular series, the median; None where there is no
        rate.
    """

    name: str
    n_features: int
    shape: tuple[int, ...] = ()
    tubelets: Tubelets | None = None
    kind: str = "TimeSeries"
    columns: tuple[str, ...] = ()
    static: bool = False
    interval: float | None = None

    @property
    def n_places(self) -> int:
        """Tokens that share a time."""
        if self.tubelets is None:
            return 1
        down, across = self.tubelets.grid(self.shape)
        return down * across


def seen_in_bins(modalities: Sequence[ModalityConfig]) -> tuple[str, ...]:
    """Names of what has a value in every bin, and may enter the long past: all but a video."""
    return tuple(modality.name for modality in modalities if modality.kind != "Video")


@dataclass(frozen=True)
class NeuroformerConfig:
    """Sizes of a :class:`~skneuro.nn.Neuroformer`; times are in bins but for `stimulus_context` (seconds).

    A `coupling_rank` of 0 stands for one coupling for each pair of units. `context_width` is the width of the long
    past's state, written S in the shapes of arrays; `d_model` is D, `n_units` N. `behaviour` holds the name and the
    number of values of each series that training reads from that state. With `state_dependent_drive` the hidden
    features of that state see what the modalities' linear filters give. `stimuli_in_context` names the modalities that
    enter the long past beside the spikes.
    """

    n_units: int
    bin_width: float
    window_bins: int
    recent_bins: int
    context_bins: int
    coupling_bins: int
    coupling_rank: int
    stimulus_context: float
    head: str
    d_model: int
    context_width: int
    n_heads: int
    n_layers: int
    n_fusion_layers: int
    share_fusion: bool
    dropout: float
    unit_dropout: float
    modality_dropout: float
    temperature: float
    max_count: int
    learn_temperature: bool = False
    aligned: tuple[str, ...] = ()
    modalities: tuple[ModalityConfig, ...] = ()
    behaviour: tuple[tuple[str, int], ...] = ()
    state_dependent_drive: bool = False
    stimuli_in_context: tuple[str, ...] = ()

    @property
    def in_context(self) -> tuple[ModalityConfig, ...]:
        """The modalities that enter the long past, in their order."""
        return tuple(m for m in self.modalities if m.name in self.stimuli_in_context)

    @property
    def bin_clock(self) -> bool:
        """Whether a bin sees the bins before it inside its own window.

        The hazard asks one cell after the other, so every earlier bin is known by then. A softmax over all
        cells of a window must weigh later bins before the earlier ones are known: its context ends where
        the window starts.
        """
        return self.head == "hazard"

    @property
    def aligned_pairs(self) -> tuple[tuple[int, int], ...]:
        """Every pair of aligned sides: 0 for the spikes, 1, 2, ... for the modalities of `aligned`."""
        return tuple(combinations(range(len(self.aligned) + 1), 2))

    @property
    def history_bins(self) -> int:
        """Bins before a segment that a model without the recurrent past can still see."""
        return max(self.recent_bins, self.coupling_bins) + (0 if self.bin_clock else self.window_bins - 1)

    def to_dict(self) -> dict:
        """Return plain JSON values, the inverse of :meth:`from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict) -> NeuroformerConfig:
        """Build a configuration from :meth:`to_dict`'s values.

        Raises
        ------
        TypeError
            If a field is missing or unknown.
        """
        values = dict(values)
        values["aligned"] = tuple(values.get("aligned", ()))
        values["stimuli_in_context"] = tuple(values.get("stimuli_in_context", ()))
        values["behaviour"] = tuple((str(name), int(width)) for name, width in values.get("behaviour", ()))
        values["modalities"] = tuple(_modality(m) for m in values.get("modalities", ()))
        return cls(**values)


def _modality(values: dict) -> ModalityConfig:
    tubelets = values.get("tubelets")
    if tubelets is not None:
        tubelets = Tubelets(**{name: tuple(numbers) for name, numbers in tubelets.items()})
    shape, columns = tuple(values["shape"]), tuple(values["columns"])
    return ModalityConfig(**{**values, "shape": shape, "columns": columns, "tubelets": tubelets})
