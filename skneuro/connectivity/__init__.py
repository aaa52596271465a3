"""Who drives whom: from a fitted model, from a convex fit, and from the classical baselines."""

from skneuro.connectivity.inference import CoarseCouplingWarning, ConnectivityInference
from skneuro.connectivity.significance import significant_edges

__all__ = ["CoarseCouplingWarning", "ConnectivityInference", "significant_edges"]
