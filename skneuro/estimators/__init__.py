"""Estimators with scikit-learn's interface."""

from skneuro.estimators.neuroformer import NeuroformerEstimator

__all__ = ["NeuroformerEstimator"]
