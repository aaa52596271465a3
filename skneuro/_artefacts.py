"""Single values that decide a result, which nothing in the result shows: they are told of, and left as they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from skneuro._stimulus_range import column_name
from skneuro._warn import warn_user
from skneuro.data.binning import BinnedSpikes
from skneuro.data.modality import ROWS_AT_ONCE, Modality
from skneuro.data.recording import Modalities
from skneuro.exceptions import ArtefactWarning

# A value is told of that lies so many times as far from the median as 98 % of the values lie apart.
FAR = 20
FEWEST, MOST_SORTED = 20, 2**18  # values that say what is usual
# Less than this part of the largest value is the rounding of a constant.
_ROUNDING = 1e-10
# A cell with so large a share of all spikes, and so many times the most of training and some more, is told of.
SHARE, TIMES, MORE = 0.01, 2, 10


@dataclass(frozen=True)
class FarValue:
    """The value of some columns that lies farthest beyond the usual, for its column.

    Parameters
    ----------
    row, column : int
        Where it is.
    value : float
        What it is.
    low, high : float
        What 98 % of the values of its column lie within.
    n_far, n_columns : int
        Values of its column that lie far, and columns that have any.
    """

    row: int
    column: int
    value: float
    low: float
    high: float
    n_far: int
    n_columns: int

    def says(self, what: str, where: str) -> str:
        """Name the value and how far it lies, to begin a warning."""
        others = [f"{self.n_far - 1} more of its values"] if self.n_far > 1 else []
        others += [f"values of {self.n_columns - 1} more of its columns"] if self.n_columns > 1 else []
        also = f"; so do {' and '.join(others)}" if others else ""
        return (
            f"{what} has the value {self.value:.6g} {where}, far from the others: 98 % of them lie within "
            f"{self.low:.4g} to {self.high:.4g}{also}."
        )


def far_value(values: np.ndarray) -> FarValue | None:
    """Find a value that lies far from the others of its column in (n, d), NaN where missing; None where there is none.

    A column whose values are the same but for 1 % at either end is not judged: it may hold rare pulses.
    """
    usual = np.array([_usual(column) for column in _some_rows(values).T]).reshape(-1, 3)
    low, median, high = usual.T
    limit = FAR * (high - low)
    n_far, farthest, row = np.zeros(len(usual), dtype=np.int64), np.zeros(len(usual)), np.zeros(len(usual), dtype=int)
    for first in range(0, len(values), ROWS_AT_ONCE):
        with np.errstate(over="ignore"):
            away = np.abs(values[first : first + ROWS_AT_ONCE] - median)
        n_far += (away > limit).sum(0)
        away[~(away > limit)] = 0.0
        larger = away.max(0) > farthest
        farthest, row = np.where(larger, away.max(0), farthest), np.where(larger, first + away.argmax(0), row)
    if not n_far.any():
        return None
    column = int(np.where(n_far > 0, farthest / np.where(n_far > 0, limit, 1.0), 0.0).argmax())
    found = int(row[column])
    value, (least, _, most) = float(values[found, column]), usual[column].tolist()
    return FarValue(found, column, value, least, most, int(n_far[column]), int((n_far > 0).sum()))


def _some_rows(values: np.ndarray) -> np.ndarray:
    """Rows over all of (n, d), no more than can be sorted in no time."""
    if len(values) <= MOST_SORTED:
        return values
    return values[np.linspace(0, len(values) - 1, MOST_SORTED).astype(np.int64)]


def _usual(column: np.ndarray) -> tuple[float, float, float]:
    """1 % quantile, median and 99 % quantile of (n,), at least one value inwards; NaN where they judge nothing."""
    known = column[~np.isnan(column)].astype(np.float64)
    n = len(known)
    if n < FEWEST:
        return np.nan, np.nan, np.nan
    ranks = [int(np.ceil(0.01 * (n - 1))), n // 2, int(np.floor(0.99 * (n - 1)))]
    low, median, high = np.partition(known, ranks)[ranks].tolist()
    if not high - low > _ROUNDING * max(abs(low), abs(high)):
        return np.nan, np.nan, np.nan
    return low, median, high


def warn_of_far_stimuli(modalities: Modalities | Mapping[str, Modality] | None) -> None:
    """Say, once for each modality, which value sets the scale of its column."""
    for name, modality in () if modalities is None else modalities.items():
        values = modality._scaled_values()
        far = None if values is None else far_value(values)
        if far is None:
            continue
        what = f"The modality {name!r}{column_name(modality, far.column)}"
        warn_user(
            f"{far.says(what, modality._place(far.row))} One such sample sets the scale of the whole column, and the "
            f"model may learn little of the rest. Where tracking was lost or a sensor failed, give NaN, or cut the "
            f"value off; where it is real, leave it.",
            ArtefactWarning,
        )


def warn_of_deciding_cell(binned: BinnedSpikes, largest: np.ndarray, scored: np.ndarray | None = None) -> None:
    """Say which single cell can decide a score.

    Parameters
    ----------
    binned : BinnedSpikes
        What is scored.
    largest : ndarray of shape (n_units,)
        Most spikes of each unit in a bin of training.
    scored : bool array of shape (n_units,), default=None
        Units that are scored; all if None.
    """
    scored = np.ones(binned.n_units, dtype=bool) if scored is None else scored
    n_spikes = int(binned.unit_counts()[scored].sum())
    limit = np.where(scored, np.maximum(SHARE * n_spikes, TIMES * largest + MORE), np.inf)
    most, row, unit = 0, 0, 0
    for rows, units, counts in binned._observed_cells():
        beyond = np.where(counts > limit[units], counts, 0)
        if beyond.max(initial=0) > most:
            worst = int(beyond.argmax())
            most, row, unit = int(beyond[worst]), int(rows[worst]), int(units[worst])
    if most:
        warn_user(
            f"Unit {binned.unit_ids.tolist()[unit]!r} has {most} spikes {place_of_bin(binned, row)}, "
            f"{most / n_spikes:.1%} of all that are scored, and had at most {int(largest[unit])} in a bin of training. "
            f"The null model is Poisson, so such a cell can decide the score in either direction. Where it is an "
            f"artefact, blank that time: observed=... of SpikeTrains.from_events, or Pulses.blank.",
            ArtefactWarning,
        )


def place_of_bin(binned: BinnedSpikes, row: int) -> str:
    """Where a bin is, counted over all trials."""
    trial = int(np.searchsorted(binned.ptr, row, side="right")) - 1
    number = row - int(binned.ptr[trial])
    return f"in trial {trial} at {round(float(binned.t_start[trial] + number * binned.bin_width), 4)} s (bin {number})"
