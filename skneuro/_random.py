"""The library's own random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_random_state


def random_numbers(random_state: Any) -> np.random.RandomState:
    """A source for any `random_state`; None is seeded by the system, so that NumPy's global generator is left alone."""
    return np.random.RandomState() if random_state is None else check_random_state(random_state)
