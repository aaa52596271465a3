"""Who drives whom: from a fitted model, from a convex fit, and from the classical baselines."""

from .inference import CoarseCouplingWarning, ConnectivityInference
from .significance import significant_edges

__all__ = ["CoarseCouplingWarning", "ConnectivityInference", "significant_edges"]
