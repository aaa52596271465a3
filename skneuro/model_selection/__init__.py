"""Splits that respect the time of a recording, curves over few labels, and a grid of loss weights to search."""

from skneuro.model_selection.few_shot import few_shot_curve
from skneuro.model_selection.splitters import TimeBlockSplit, TrialBlockSplit
from skneuro.model_selection.weights import loss_weight_grid

__all__ = ["TimeBlockSplit", "TrialBlockSplit", "few_shot_curve", "loss_weight_grid"]
