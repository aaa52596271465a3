"""Numbers, rasters and histograms in the terminal, the latter in braille dots and block characters."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from skneuro.data import SpikeTrains

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_BARS = " ▁▂▃▄▅▆▇█"


def text_raster(spikes: SpikeTrains, trial: int = 0, *, max_units: int = 40, width: int = 72) -> str:
    """Draw one trial, a dot a spike: two time steps and four units to a character.

    Parameters
    ----------
    spikes : SpikeTrains
        The recording.
    trial : int, default=0
        Position of the trial.
    max_units : int, default=40
        Units drawn, the first ones.
    width : int, default=72
        Characters across.

    Returns
    -------
    text : str
        One line for four units.
    """
    part = slice(spikes.ptr[trial], spikes.ptr[trial + 1])
    times, units = spikes.times[part], spikes.units[part]
    n_units = min(max_units, spikes.shape[1])
    span = float(spikes.t_stop[trial] - spikes.t_start[trial])
    column = np.minimum(((times - spikes.t_start[trial]) / span * 2 * width).astype(int), 2 * width - 1)
    dots = np.zeros((-(-n_units // 4) * 4, 2 * width), dtype=int)
    shown = units < n_units
    dots[units[shown], column[shown]] = 1
    cells = (dots.reshape(-1, 4, width, 2) * _DOTS[:, None, :]).sum(axis=(1, 3))
    return "\n".join("".join(chr(0x2800 + c) for c in row) for row in cells)


def text_histogram(values: ArrayLike) -> str:
    """Draw values as bars, one character each, the largest at full height.

    Parameters
    ----------
    values : array-like of shape (n_values,)
        Not negative.

    Returns
    -------
    text : str
        One line.
    """
    values = np.asarray(values, dtype=float)
    top = values.max(initial=0.0) or 1.0
    return "".join(_BARS[int(round(v / top * (len(_BARS) - 1)))] for v in values)


def count_of(n: int, what: str) -> str:
    """Number and noun: "1 unit", "2 units".

    Parameters
    ----------
    n : int
        The number.
    what : str
        The noun in the singular.

    Returns
    -------
    text : str
    """
    return f"{n} {what}{'s' * (n != 1)}"
