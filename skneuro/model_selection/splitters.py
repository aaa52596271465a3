"""Cross-validation by contiguous blocks with a gap: neighbours in time share slow states of the animal."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.model_selection import BaseCrossValidator

from skneuro._sklearn_compat import Interval, num_samples, validate_parameter_constraints
from skneuro._warn import warn_user
from skneuro.data import Recording, SpikeTrains
from skneuro.data._session_time import any_overlap, in_order, on_one_clock, overlapping
from skneuro.datasets._blocks import make_block_groups

_TOLERANCE = 1e-6  # seconds


class _BlockSplit(BaseCrossValidator):
    """Blocks that are tested one after the other; a subclass says which rows are too near to a block."""

    _constraints: dict[str, list]
    n_splits: int

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds.

        Parameters
        ----------
        X, y, groups : object
            Ignored.

        Returns
        -------
        int
            `n_splits`.
        """
        return self.n_splits

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of the training and of the test part of each fold.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like
            What is split; rows are trials, or bins where it is 2-D.
        y, groups : object
            Ignored.

        Yields
        ------
        train, test : int64 ndarray
            Rows of X, ascending.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or X cannot be divided like that; the message says what to do.
        """
        name = type(self).__name__
        values = {key: getattr(self, key) for key in self._constraints}
        validate_parameter_constraints(self._constraints, values, caller_name=name)
        n_rows = num_samples(X)
        if n_rows < self.n_splits:
            raise ValueError(
                f"{name} with n_splits={self.n_splits} needs at least as many rows. Got {n_rows}. Cut a long trial "
                f"first: spikes.cut(10.0) gives blocks of 10 s, which keep their time."
            )
        block, near = self._blocks(X)
        for number in range(self.n_splits):
            test = np.flatnonzero(block == number)
            train = np.flatnonzero((block != number) & ~near(test))
            if not len(train):
                raise ValueError(
                    f"{name} with gap={self.gap} leaves no training rows for fold {number}. Use a shorter gap, more "
                    f"data or trials that do not overlap."
                )
            yield train, test

    def _blocks(self, X: Any) -> tuple[np.ndarray, Any]:
        """Block of each row, and a function from a block's rows to a mask of the rows that are too near."""
        raise NotImplementedError


class TrialBlockSplit(_BlockSplit):
    """Contiguous blocks of whole trials, with trials left out on both sides of the tested block.

    It answers: *does the model hold for trials of the same session that are not neighbours of those it was
    trained on?* The animal's state, drift of the electrodes and bleaching change slowly; with shuffled trials a
    model that tracks them looks better than it is.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks; each is the test part once.
    gap : int, default=1
        Trials on each side of the tested block that are in neither part.

    See Also
    --------
    TimeBlockSplit : The gap in seconds, where trials have a common clock.
    skneuro.datasets.make_block_groups : Blocks for one fixed split.

    Notes
    -----
    Rows are taken in their order. Blocks are of about equal time for containers, else of about equal numbers of rows.

    Trials of a container that stand at their times in the session should be in the order of time; a warning says where
    they are not. Training trials that overlap a tested one, as windows around events do, are left out, too. Trials
    with clocks of their own, such as those that all begin at 0 s, are taken as they are.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.model_selection import TrialBlockSplit
    >>> for train, test in TrialBlockSplit(n_splits=3).split(np.zeros((6, 20, 4))):
    ...     print(train, test)
    [3 4 5] [0 1]
    [0 5] [2 3]
    [0 1 2] [4 5]
    """

    _constraints = {
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "gap": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(self, n_splits: int = 5, *, gap: int = 1) -> None:
        self.n_splits = n_splits
        self.gap = gap

    def _blocks(self, X: Any) -> tuple[np.ndarray, Any]:
        spikes = _trials(X)
        sizes = np.ones(num_samples(X)) if spikes is None else spikes.duration
        block, _ = make_block_groups(sizes, self.n_splits)
        row = np.arange(len(block))

        def beside(test: np.ndarray) -> np.ndarray:
            return (row >= test[0] - self.gap) & (row <= test[-1] + self.gap)

        if spikes is None or not on_one_clock(spikes):
            return block, beside
        if not in_order(spikes):
            warn_user(
                "TrialBlockSplit takes trials in the order of their rows, and these are not in the order of time: test "
                "trials will have training trials right before and after them. Sort first: X[np.argsort(t_start)], "
                "with the t_start of the spikes."
            )
        return block, lambda test: beside(test) | overlapping(spikes, test)


class TimeBlockSplit(_BlockSplit):
    """Contiguous blocks of time, with a gap in seconds on both sides of the tested block.

    It answers: *does the model hold for a stretch of the recording that it saw nothing of for `gap` seconds before
    and after?* Take a gap longer than what the model remembers (its `context`) and than the slow fluctuations that
    it should not profit from.

    Parameters
    ----------
    n_splits : int, default=5
        Number of blocks; each is the test part once.
    gap : float, in seconds, default=5.0
        Rows that come nearer than this to the tested block are in neither part.
    bin_width : float, in seconds, default=None
        Width of a row where X is a 2-D array, whose rows are bins; containers know their times.

    See Also
    --------
    TrialBlockSplit : The gap in trials, where the time between them is not known.
    sklearn.model_selection.TimeSeriesSplit : Training on the past of the tested block only.

    Notes
    -----
    Trials must be on one clock: cut one long recording with ``spikes.cut(10.0)``, which keeps absolute time. The
    past that a block carries (``cut(10.0, context=1.0)``) counts as part of it. With a 2-D array a training part that
    lies on both sides of the tested block is glued together at the gap; cut a container instead where that matters.

    Examples
    --------
    >>> from skneuro import SpikeTrains
    >>> from skneuro.model_selection import TimeBlockSplit
    >>> blocks = SpikeTrains.from_events([1.0, 30.0], [0, 0], epochs=[(0.0, 60.0)]).cut(5.0)
    >>> for train, test in TimeBlockSplit(n_splits=3, gap=5.0).split(blocks):
    ...     print(train, test)
    [ 5  6  7  8  9 10 11] [0 1 2 3]
    [ 0  1  2  9 10 11] [4 5 6 7]
    [0 1 2 3 4 5 6] [ 8  9 10 11]
    """

    _constraints = {
        "n_splits": [Interval(Integral, 2, None, closed="left")],
        "gap": [Interval(Real, 0, None, closed="left")],
        "bin_width": [Interval(Real, 0, None, closed="neither"), None],
    }

    def __init__(self, n_splits: int = 5, *, gap: float = 5.0, bin_width: float | None = None) -> None:
        self.n_splits = n_splits
        self.gap = gap
        self.bin_width = bin_width

    def _blocks(self, X: Any) -> tuple[np.ndarray, Any]:
        start, stop = self._times(X)
        order = np.argsort(start, kind="stable")
        in_order, _ = make_block_groups((stop - start)[order], self.n_splits)
        block = np.empty(len(order), dtype=np.int64)
        block[order] = in_order

        def near(test: np.ndarray) -> np.ndarray:
            first, last = start[test].min() - self.gap, stop[test].max() + self.gap
            return (stop > first + _TOLERANCE) & (start < last - _TOLERANCE)

        return block, near

    def _times(self, X: Any) -> tuple[np.ndarray, np.ndarray]:
        spikes = _trials(X)
        if spikes is not None:
            if any_overlap(spikes):
                raise ValueError(
                    "TimeBlockSplit needs trials on one clock, and these overlap in time: each seems to have a clock "
                    "of its own. Use TrialBlockSplit, or give the trials their times in the session."
                )
            return spikes.t_start, spikes.t_stop
        if np.ndim(X) != 2:
            raise ValueError(
                "TimeBlockSplit needs to know when the rows were recorded: give SpikeTrains, a Recording or a 2-D "
                "array of counts, whose rows are bins. Use TrialBlockSplit for trials without times."
            )
        if self.bin_width is None:
            raise ValueError("TimeBlockSplit needs bin_width (seconds) where X is a 2-D array, whose rows are bins.")
        row = np.arange(num_samples(X))
        return row * self.bin_width, (row + 1) * self.bin_width


def _trials(X: Any) -> SpikeTrains | None:
    if isinstance(X, Recording):
        return X.spikes
    return X if isinstance(X, SpikeTrains) else None
