"""Splits that respect the time of a recording, and a grid of loss weights to search."""

from skneuro.model_selection.splitters import TimeBlockSplit, TrialBlockSplit
from skneuro.model_selection.weights import loss_weight_grid

__all__ = ["TimeBlockSplit", "TrialBlockSplit", "loss_weight_grid"]
