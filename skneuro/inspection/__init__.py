"""Look at recordings and at fitted models: displays, and checks of a recording's quality."""

from .adjacency import AdjacencyDisplay
from .coincidences import shared_events, zero_lag_pairs
from .findings import Finding, QualityReport
from .measures import clock_quality, recording_gaps, running_modulation, unit_quality
from .psth import PSTHDisplay, aligned_counts
from .quality import check_recording
from .raster import RasterDisplay
from .training_curve import TrainingCurveDisplay

__all__ = [
    "AdjacencyDisplay",
    "Finding",
    "PSTHDisplay",
    "QualityReport",
    "RasterDisplay",
    "TrainingCurveDisplay",
    "aligned_counts",
    "check_recording",
    "clock_quality",
    "recording_gaps",
    "running_modulation",
    "shared_events",
    "unit_quality",
    "zero_lag_pairs",
]
