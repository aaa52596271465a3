"""Transfer entropy of spike trains, at several delays."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from skneuro.connectivity.lags import observed_counts, whole_past
from skneuro.data import BinnedSpikes

__all__ = ["transfer_entropy"]


def transfer_entropy(binned: BinnedSpikes, n_lags: int) -> np.ndarray:
    """Transfer entropy from every source to every target, at the delay where it is largest.

    What a spike of the source `d` bins ago tells about a spike of the target now, beyond what the target's own last bin
    tells, ``I(target_t ; source_{t-d} | target_{t-1})``, from the relative frequencies of spikes and silences
    (Schreiber, Phys. Rev. Lett. 2000, with the delays of Ito et al., PLoS ONE 2011). It knows no sign.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials; more than one spike in a bin counts as one.
    n_lags : int
        Delays of 1 .. `n_lags` bins.

    Returns
    -------
    ndarray of shape (n_units, n_units), in bits per bin
        ``[target, source]``, not negative, and never quite zero for a finite recording.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.transfer_entropy import transfer_entropy
    >>> from skneuro.data import BinnedSpikes
    >>> source = np.random.default_rng(0).integers(0, 2, 4000)
    >>> counts = np.column_stack([source, np.roll(source, 2)])
    >>> flow = transfer_entropy(BinnedSpikes.from_counts(counts, np.array([0, 4000]), 0.001), 3)
    >>> bool(flow[1, 0] > 0.99), bool(flow[0, 1] < 0.01)
    (True, True)
    """
    rows = whole_past(binned, max(n_lags, 1))
    spike = observed_counts(binned)
    spike.data = np.ones_like(spike.data)
    seen = None if binned.cell_observed is None else binned.cell_observed.astype(np.float64)
    states = _target_states(spike, seen, rows)
    best = np.zeros((binned.n_units, binned.n_units))
    for lag in range(1, n_lags + 1):
        source = spike[rows - lag]
        with_spike = [(state.T @ source) for state in states]
        with_spike = [x.toarray() if sparse.issparse(x) else np.asarray(x) for x in with_spike]
        if seen is None:
            sums = [np.asarray(state.sum(axis=0)).reshape(-1, 1) for state in states]
            total = [np.repeat(column, binned.n_units, axis=1) for column in sums]
        else:
            total = [np.asarray(state.T @ seen[rows - lag]) for state in states]
        best = np.maximum(best, _information(with_spike, total))
    return best


def _target_states(spike: sparse.csr_array, seen: np.ndarray | None, rows: np.ndarray) -> list:
    """Indicators of (now, before) = (1, 1), (1, 0), (0, 1) and of "both bins observed"."""
    now, before = spike[rows], spike[rows - 1]
    if seen is not None:
        both = seen[rows] * seen[rows - 1]
        now, before = sparse.csr_array(now * both), sparse.csr_array(before * both)
        observed = both
    else:
        observed = np.ones((len(rows), 1))
    fired_twice = now * before
    return [fired_twice, now - fired_twice, before - fired_twice, observed]


def _information(with_spike: list, total: list) -> np.ndarray:
    """Bits per bin, from how often each state of the target was met, and met with a spike of the source."""
    # Where every cell was observed the indicator of "observed" has one column for all targets.
    with_spike = [*with_spike[:3], np.broadcast_to(with_spike[3], with_spike[0].shape)]
    total = [*total[:3], np.broadcast_to(total[3], total[0].shape)]
    n = np.maximum(total[3], 1.0)
    quiet_spike = with_spike[3] - with_spike[0] - with_spike[1] - with_spike[2]
    quiet_total = total[3] - total[0] - total[1] - total[2]
    one = {(1, 1): with_spike[0], (1, 0): with_spike[1], (0, 1): with_spike[2], (0, 0): quiet_spike}
    every = {(1, 1): total[0], (1, 0): total[1], (0, 1): total[2], (0, 0): quiet_total}
    information = np.zeros(n.shape)
    for before in (0, 1):
        past = every[1, before] + every[0, before]
        past_one = one[1, before] + one[0, before]
        for now in (0, 1):
            for joint, with_past in (
                (one[now, before], past_one),
                (every[now, before] - one[now, before], past - past_one),
            ):
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratio = joint * past / (with_past * every[now, before])
                    information += np.where(joint > 0, joint / n * np.log2(ratio), 0.0)
    return np.maximum(information, 0.0)
