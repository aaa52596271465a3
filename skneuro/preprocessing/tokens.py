"""`Tokens`: the spikes of many windows as sequences of (dt, unit) pairs, stored flat.

A window holds ``window_bins`` bins; its sequence lists the spikes with ascending bin and, within a bin,
ascending unit, a unit that fires twice in a bin twice in a row, and ends with EOS. This order makes counts
and sequences one to one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from skneuro.data import BinnedSpikes, SpikeTrains

__all__ = ["EOS_UNIT", "Tokens"]

EOS_UNIT = -1


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token sequences of consecutive windows; the windows of a trial tile it from its start.

    Made by `SpikeTokenizer`. The last window of a trial may reach beyond the trial's end; those bins hold no
    tokens and are False in `mask`.

    Parameters
    ----------
    dt : ndarray of shape (n_tokens,), int32
        Bin inside the window, ``0 .. window_bins - 1``; ``window_bins`` for EOS.
    unit : ndarray of shape (n_tokens,), int32
        Column of the unit; -1 for EOS.
    window_ptr : ndarray of shape (n_windows + 1,), int64
        The tokens of window ``w``, EOS included, are ``window_ptr[w]:window_ptr[w + 1]``.
    window_trial : ndarray of shape (n_windows,), int64
        Row of the trial that each window belongs to.
    window_start : ndarray of shape (n_windows,), int64, in bins
        First bin of each window, counted from the start of its trial.
    ptr : ndarray of shape (n_trials + 1,), int64, in bins
        Bins of the trials, laid end to end.
    window_bins : int
        Bins in a window.
    bin_width : float, in seconds
        Width of a bin.
    unit_ids : ndarray of shape (n_units,)
        Identities of the units.
    bin_observed : ndarray of shape (n_bins,), bool, or None
        False for bins that no unit was observed in; None where every bin was.
    cell_observed : ndarray of shape (n_bins, n_units), bool, or None
        False where a single unit was not observed; None where all were.
    layout : {"bins", "array", "trials"}, default="trials"
        Form of the input: 2-D counts, 3-D counts, or a container of trials.
    frame : SpikeTrains or None, default=None
        Borders, identities and observation of the trials, without the spikes.

    Raises
    ------
    ValueError
        If a sequence is not in canonical order, does not end with its only EOS, or names a bin or unit that
        does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.preprocessing import SpikeTokenizer
    >>> counts = np.array([[0, 1], [2, 0], [0, 0], [1, 1]])
    >>> tokens = SpikeTokenizer(window_bins=2).fit_transform(counts)
    >>> tokens
    Tokens(2 windows of 2 bins, 5 spikes, 2 units)
    >>> tokens.window(0)
    (array([0, 1, 1, 2], dtype=int32), array([ 1,  0,  0, -1], dtype=int32))
    """

    dt: np.ndarray
    unit: np.ndarray
    window_ptr: np.ndarray
    window_trial: np.ndarray
    window_start: np.ndarray
    ptr: np.ndarray
    window_bins: int
    bin_width: float
    unit_ids: np.ndarray
    bin_observed: np.ndarray | None = None
    cell_observed: np.ndarray | None = None
    layout: str = "trials"
    frame: SpikeTrains | None = None

    def __post_init__(self) -> None:
        for name in ("dt", "unit", "window_ptr", "window_trial", "window_start", "ptr"):
            column = np.asarray(getattr(self, name)).view()
            column.flags.writeable = False
            object.__setattr__(self, name, column)
        _check_sequences(self)

    def __repr__(self) -> str:
        return (
            f"Tokens({self.n_windows:,} windows of {self.window_bins} bins, {self.n_spikes:,} spikes, "
            f"{self.n_units:,} units)"
        )

    def __len__(self) -> int:
        return self.n_windows

    @property
    def n_windows(self) -> int:
        """Number of windows."""
        return len(self.window_ptr) - 1

    @property
    def n_tokens(self) -> int:
        """Number of tokens, one EOS per window included."""
        return len(self.dt)

    @property
    def n_spikes(self) -> int:
        """Number of tokens that are spikes."""
        return self.n_tokens - self.n_windows

    @property
    def n_trials(self) -> int:
        """Number of trials."""
        return len(self.ptr) - 1

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.unit_ids)

    @property
    def is_eos(self) -> np.ndarray:
        """True for the token that ends a window, ndarray of shape (n_tokens,), bool."""
        return self.dt == self.window_bins

    @property
    def token_window(self) -> np.ndarray:
        """Window of each token, ndarray of shape (n_tokens,), int64."""
        return np.repeat(np.arange(self.n_windows), np.diff(self.window_ptr))

    def window(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the sequence of one window.

        Parameters
        ----------
        number : int
            Which window, ``0 .. n_windows - 1``.

        Returns
        -------
        dt, unit : ndarray of shape (n_tokens_of_the_window,), int32
            With EOS as the last token.

        Raises
        ------
        IndexError
            If there is no such window.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> SpikeTokenizer(window_bins=2).fit_transform(np.array([[0, 2], [1, 0]])).window(0)
        (array([0, 0, 1, 2], dtype=int32), array([ 1,  1,  0, -1], dtype=int32))
        """
        if not 0 <= number < self.n_windows:
            raise IndexError(f"There are {self.n_windows} windows; there is no window {number}.")
        rows = slice(self.window_ptr[number], self.window_ptr[number + 1])
        return self.dt[rows], self.unit[rows]

    def mask(self) -> np.ndarray:
        """Tell which cells count: inside the trial and observed.

        Returns
        -------
        ndarray of shape (n_windows, window_bins, n_units), bool

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> SpikeTokenizer(window_bins=2).fit_transform(np.ones((3, 1), dtype=int)).mask()[:, :, 0]
        array([[ True,  True],
               [ True, False]])
        """
        bins = self.window_start[:, None] + np.arange(self.window_bins)
        inside = bins < np.diff(self.ptr)[self.window_trial][:, None]
        rows = np.where(inside, bins + self.ptr[self.window_trial][:, None], 0)
        if self.bin_observed is not None:
            inside = inside & self.bin_observed[rows]
        cells = np.repeat(inside[:, :, None], self.n_units, axis=2)
        return cells if self.cell_observed is None else cells & self.cell_observed[rows]

    def counts(self) -> sparse.csr_array:
        """Return the spike counts that the sequences stand for.

        Returns
        -------
        scipy.sparse.csr_array of shape (n_bins, n_units), int32
            Bins of all trials, laid end to end as in `ptr`.

        Examples
        --------
        >>> import numpy as np
        >>> from skneuro.preprocessing import SpikeTokenizer
        >>> counts = np.array([[0, 1], [2, 0], [1, 1]])
        >>> SpikeTokenizer(window_bins=2).fit_transform(counts).counts().toarray()
        array([[0, 1],
               [2, 0],
               [1, 1]], dtype=int32)
        """
        spike = ~self.is_eos
        first_bin = self.ptr[self.window_trial] + self.window_start
        rows = first_bin[self.token_window[spike]] + self.dt[spike]
        ones = np.ones(len(rows), dtype=np.int32)
        shape = (int(self.ptr[-1]), self.n_units)
        counts = sparse.csr_array((ones, (rows, self.unit[spike])), shape=shape)
        counts.sum_duplicates()
        return counts


def tokenize(
    binned: BinnedSpikes, window_bins: int, *, layout: str = "trials", frame: SpikeTrains | None = None
) -> Tokens:
    """Turn binned spikes into token sequences.

    The CSR order of the counts (by bin, then by unit) already is the order of the tokens, so that only the
    EOS tokens have to be put between them.

    Parameters
    ----------
    binned : BinnedSpikes
        Counts of all trials.
    window_bins : int
        Bins in a window.
    layout : {"bins", "array", "trials"}, default="trials"
        Form of the input, kept for the way back.
    frame : SpikeTrains or None, default=None
        Trials that the counts came from.

    Returns
    -------
    Tokens

    Examples
    --------
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.preprocessing.tokens import tokenize
    >>> spikes = SpikeTrains.from_lists([[[0.01, 0.02], [0.012]]], t_start=0.0, t_stop=0.1)
    >>> tokenize(spikes.bin(0.01), window_bins=5)
    Tokens(2 windows of 5 bins, 3 spikes, 2 units)
    """
    counts, ptr = binned.counts, np.asarray(binned.ptr, dtype=np.int64)
    windows_before = np.concatenate([[0], np.cumsum(-(-np.diff(ptr) // window_bins))])
    n_windows = int(windows_before[-1])
    window_trial = np.repeat(np.arange(len(ptr) - 1), np.diff(windows_before))
    window_start = (np.arange(n_windows) - windows_before[window_trial]) * window_bins

    cell_bin = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    spike_bin = np.repeat(cell_bin, counts.data)
    spike_unit = np.repeat(counts.indices, counts.data)
    window_bin = ptr[window_trial] + window_start
    spike_window = np.searchsorted(window_bin, spike_bin, side="right") - 1
    # Window w starts after the spikes before its first bin and after the w EOS tokens of earlier windows.
    window_ptr = np.append(np.searchsorted(spike_bin, window_bin), len(spike_bin)) + np.arange(n_windows + 1)

    position = np.arange(len(spike_bin)) + spike_window
    dt = np.full(len(spike_bin) + n_windows, window_bins, dtype=np.int32)
    unit = np.full(len(dt), EOS_UNIT, dtype=np.int32)
    dt[position] = spike_bin - window_bin[spike_window]
    unit[position] = spike_unit
    return Tokens(
        dt,
        unit,
        window_ptr,
        window_trial,
        window_start,
        ptr,
        window_bins,
        binned.bin_width,
        binned.unit_ids,
        binned.bin_observed,
        binned.cell_observed,
        layout,
        frame,
    )


def _check_sequences(tokens: Tokens) -> None:
    dt, unit, window_ptr, n_bins = tokens.dt, tokens.unit, tokens.window_ptr, tokens.window_bins
    if len(window_ptr) == 0 or window_ptr[0] != 0 or window_ptr[-1] != len(dt) or len(dt) != len(unit):
        raise ValueError("window_ptr must run from 0 to the number of tokens, and dt and unit must be equally long.")
    last = np.zeros(len(dt), dtype=bool)
    lengths = np.diff(window_ptr)
    if (lengths >= 1).all():
        last[window_ptr[1:] - 1] = True
    if not np.array_equal(last, dt == n_bins) or not np.array_equal(last, unit == EOS_UNIT):
        raise ValueError(
            f"Every window must end with its only EOS token (dt={n_bins}, unit={EOS_UNIT}); cut sequences must not be "
            "turned back into counts."
        )
    spike = ~last
    wrong = spike & ((dt < 0) | (dt >= n_bins) | (unit < 0) | (unit >= tokens.n_units))
    if wrong.any():
        at = np.flatnonzero(wrong)[0]
        raise ValueError(
            f"Token {at} is (dt={dt[at]}, unit={unit[at]}); dt must lie in 0..{n_bins - 1} and unit in "
            f"0..{tokens.n_units - 1}."
        )
    falls = np.flatnonzero(spike[1:] & spike[:-1] & ((np.diff(dt) < 0) | ((np.diff(dt) == 0) & (np.diff(unit) < 0))))
    if len(falls):
        raise ValueError(f"Token {falls[0] + 1} comes before token {falls[0]} in canonical order (dt, then unit).")
    room = np.diff(tokens.ptr)[tokens.window_trial] - tokens.window_start
    beyond = np.flatnonzero(spike & (dt >= room[tokens.token_window]))
    if len(beyond):
        raise ValueError(f"Token {beyond[0]} (dt={dt[beyond[0]]}) lies beyond the end of its trial.")
