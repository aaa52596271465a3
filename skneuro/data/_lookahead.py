"""Events that were inferred from a signal's future: the label that they carry, and what may not be asked of them."""

from __future__ import annotations

from typing import Any

import numpy as np

LABEL = "lookahead"  # column of `unit_info`, in seconds


def lookahead(spikes: Any) -> float:
    """How far into the future the events of a container know its signal, in seconds; 0 for spikes.

    Parameters
    ----------
    spikes : SpikeTrains or None
        Their `unit_info` has a column ``"lookahead"`` where events were inferred by deconvolution.

    Returns
    -------
    float
        The largest of its units.

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.data._lookahead import lookahead
    >>> lookahead(SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0))
    0.0
    """
    info = None if spikes is None else spikes.unit_info
    if info is None or LABEL not in info:
        return 0.0
    return float(np.nan_to_num(np.asarray(info[LABEL], dtype=float)).max(initial=0.0))
