"""Who drives whom: from a fitted model, from a convex fit, and from the classical baselines."""

from .inference import CoarseCouplingWarning, ConnectivityInference

__all__ = ["CoarseCouplingWarning", "ConnectivityInference"]
