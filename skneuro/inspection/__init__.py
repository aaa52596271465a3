"""Look at recordings and at fitted models: displays, and checks of a recording's quality."""

from skneuro.inspection.adjacency import AdjacencyDisplay
from skneuro.inspection.coincidences import shared_events, zero_lag_pairs
from skneuro.inspection.connectivity_curves import ConnectivityCurveDisplay
from skneuro.inspection.findings import Finding, QualityReport
from skneuro.inspection.loss_weights import LossWeightDisplay
from skneuro.inspection.measures import clock_quality, recording_gaps, running_modulation, unit_quality
from skneuro.inspection.network import NetworkDisplay
from skneuro.inspection.psth import PSTHDisplay, aligned_counts
from skneuro.inspection.quality import check_recording
from skneuro.inspection.raster import RasterDisplay
from skneuro.inspection.sta import whitened_sta
from skneuro.inspection.stimulus_attention import StimulusAttentionDisplay
from skneuro.inspection.stimulus_maps import StimulusMaps, stimulus_maps
from skneuro.inspection.training_curve import TrainingCurveDisplay

__all__ = [
    "AdjacencyDisplay",
    "ConnectivityCurveDisplay",
    "Finding",
    "LossWeightDisplay",
    "NetworkDisplay",
    "PSTHDisplay",
    "QualityReport",
    "RasterDisplay",
    "StimulusAttentionDisplay",
    "StimulusMaps",
    "TrainingCurveDisplay",
    "aligned_counts",
    "check_recording",
    "clock_quality",
    "recording_gaps",
    "running_modulation",
    "shared_events",
    "stimulus_maps",
    "unit_quality",
    "whitened_sta",
    "zero_lag_pairs",
]
