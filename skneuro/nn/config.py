"""The sizes of a model: everything that is needed to build it again before its weights are loaded."""

from __future__ import annotations

from dataclasses import asdict, dataclass

N_COMPONENTS = 32  # linear filters of a modality, shared by the units


@dataclass(frozen=True)
class ModalityConfig:
    """One modality beside the spikes.

    Parameters
    ----------
    name : str
    n_features : int
        Values of one token (a sample of a series, a frame or a patch of a frame).
    n_positions : int
        Tokens that share a time (patches of one frame); 1 for a series.
    shape : tuple of int
        One sample as it was given: (values,), or (height, width) or (height, width, channels) of a frame.
    """

    name: str
    n_features: int
    n_positions: int = 1
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class NeuroformerConfig:
    """Sizes of a :class:`~skneuro.nn.Neuroformer`; times are in bins but for `stimulus_context` (seconds).

    A `coupling_rank` of 0 stands for one coupling for each pair of units. `context_width` is the width of the long
    past's state, written S in the shapes of arrays; `d_model` is D, `n_units` N.
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
    aligned: str | None = None
    modalities: tuple[ModalityConfig, ...] = ()

    @property
    def bin_clock(self) -> bool:
        """Whether a bin sees the bins before it inside its own window.

        The hazard asks one cell after the other, so every earlier bin is known by then. A softmax over all
        cells of a window must weigh later bins before the earlier ones are known: its context ends where
        the window starts.
        """
        return self.head == "hazard"

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
        described = [{**m, "shape": tuple(m["shape"])} for m in values.get("modalities", ())]
        values["modalities"] = tuple(ModalityConfig(**m) for m in described)
        return cls(**values)
