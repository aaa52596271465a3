"""The shapes that the effect of a synapse can take: a delay, a rise, an exponential decay.

No time constant is assumed: the dictionary spans those of cortical synapses and membranes, and the data weigh them.
"""

from __future__ import annotations

import numpy as np

__all__ = ["synaptic_shapes"]

_DELAYS = (1.0, 2.0, 3.0, 4.0, 5.0)  # ms
_DECAYS = (4.0, 8.0, 16.0, 32.0)  # ms
_RISE = 0.7  # ms
_GRID = 0.1  # ms
_LEAST, _NOTHING = 1e-3, 1e-9  # share of a kernel's area within the lags: of that of the best kernel, and of any


def synaptic_shapes(n_lags: int, bin_width: float) -> np.ndarray:
    """Return the dictionary of kernels, each with an area of one nat x ms.

    A kernel is ``exp(-s / decay) (1 - exp(-s / rise))`` at a time ``s`` after its delay, with delays of 1 to 5 ms,
    decays of 4 to 32 ms and a rise of 0.7 ms, averaged over where in their bins the two spikes may stand. Kernels of
    which next to nothing lies within the lags are left out.

    Parameters
    ----------
    n_lags : int
        Number of lags, in bins.
    bin_width : float, in seconds
        Width of a bin.

    Returns
    -------
    ndarray of shape (n_shapes, n_lags), in nats
        20, or fewer where lags are short. Decays vary fastest. The part of a kernel within the bin of its own spike is
        lost.

    Raises
    ------
    ValueError
        If the lags end before any kernel begins.

    Examples
    --------
    >>> from skneuro.connectivity.shapes import synaptic_shapes
    >>> shapes = synaptic_shapes(20, 0.002)
    >>> shapes.shape, bool(abs(shapes.sum(axis=1) * 2.0 - 1.0).max() < 1e-9)
    ((20, 20), True)
    """
    width = 1e3 * bin_width
    per_bin = max(1, round(width / _GRID))
    time = np.arange(0.0, (n_lags + 1) * width + _GRID, _GRID)
    uniform = np.ones(per_bin) / per_bin
    spread = np.convolve(uniform, uniform)  # of the difference of two uniform times, centred at per_bin - 1
    shapes, areas = [], []
    for delay in _DELAYS:
        for decay in _DECAYS:
            since = np.maximum(time - delay, 0.0)
            kernel = np.exp(-since / decay) * (1.0 - np.exp(-since / _RISE))
            kernel = np.convolve(kernel, spread)[per_bin - 1 : per_bin - 1 + len(time)]
            shapes.append(np.interp(np.arange(1, n_lags + 1) * width, time, kernel))
            areas.append(decay - 1.0 / (1.0 / decay + 1.0 / _RISE))
    kernels = np.array(shapes)
    seen = kernels.sum(axis=1) * width
    share = seen / areas
    if share.max() < _NOTHING:
        raise ValueError(
            f"Lags up to {n_lags * width:g} ms end before the effect of a synapse begins. Raise max_lag "
            f"to {_DELAYS[-1]:g} ms or more, or give trials that are longer than that."
        )
    reached = share >= _LEAST * share.max()
    return kernels[reached] / seen[reached, None]
