"""Estimators with scikit-learn's interface."""

from skneuro.estimators.behaviour import NeuroformerClassifier, NeuroformerRegressor
from skneuro.estimators.neuroformer import NeuroformerEstimator

__all__ = ["NeuroformerClassifier", "NeuroformerEstimator", "NeuroformerRegressor"]
