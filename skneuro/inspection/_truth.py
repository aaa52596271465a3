"""A known wiring beside an inferred one."""

from __future__ import annotations

from typing import Any

import numpy as np


def truth_of_units(estimator: Any, true_adjacency: Any) -> Any:
    """Return the truth in the order of the units of a fitted estimator, which warns where it looks transposed."""
    if true_adjacency is None or not hasattr(estimator, "unit_ids_"):
        return true_adjacency
    from skneuro.connectivity.truth import read_truth

    return read_truth(true_adjacency, np.asarray(estimator.unit_ids_), estimator.adjacency_)
