"""One way from scikit-learn's ``random_state`` to numpy's generators."""

from __future__ import annotations

import numpy as np


def as_generator(
    random_state: int | np.random.RandomState | np.random.Generator | None,
) -> np.random.Generator:
    """Turn ``random_state`` into a generator and leave numpy's global state alone.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        A seed (same seed, same data), a generator that is advanced, or None for fresh entropy.

    Returns
    -------
    numpy.random.Generator
        The generator.
    """
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**31 - 1, size=4))
    return np.random.default_rng(random_state)
