"""Containers for spikes, stimuli and behaviour, and adapters that read other libraries' objects into them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skneuro.data.binning import BinnedSpikes
from skneuro.data.covariates import Covariates
from skneuro.data.events import Events
from skneuro.data.inputs import ModelInput, read_input
from skneuro.data.modality import Modality, Samples
from skneuro.data.observation import Observation
from skneuro.data.pulses import Pulses
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries
from skneuro.data.video import Video

if TYPE_CHECKING:
    from skneuro.data._neuroformer import read_neuroformer
    from skneuro.data.adapters import as_spike_trains, from_spikeinterface, read_nwb
    from skneuro.data.clocks import ClockMap, align_clocks

__all__ = [
    "BinnedSpikes",
    "ClockMap",
    "Covariates",
    "Events",
    "Modalities",
    "Modality",
    "ModelInput",
    "Observation",
    "Pulses",
    "Recording",
    "Samples",
    "SpikeTrains",
    "TimeSeries",
    "Video",
    "align_clocks",
    "as_spike_trains",
    "from_spikeinterface",
    "read_input",
    "read_neuroformer",
    "read_nwb",
]

# Adapters are imported when they are first asked for: most sessions need none.
_LAZY = {
    "ClockMap": ".clocks",
    "align_clocks": ".clocks",
    "as_spike_trains": ".adapters",
    "from_spikeinterface": ".adapters",
    "read_neuroformer": "._neuroformer",
    "read_nwb": ".adapters",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(import_module(_LAZY[name], __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
