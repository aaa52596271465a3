"""Put times of one acquisition clock onto another by shared synchronisation pulses.

`align_clocks` pairs the pulses that both systems recorded and returns a `ClockMap`, a piecewise linear
function from source time to target time that also says how far it can be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike

from skneuro.data._validation import seconds

__all__ = ["ClockMap", "align_clocks"]

# Bounds the search for the first common pulse; a system started later than this is better cut by hand.
_MAX_LOST_AT_START = 20
_LEAST_SHARE = 0.9  # of the pulses in the overlap, that pair up


@dataclass(frozen=True, eq=False)
class ClockMap:
    """Piecewise linear map from source time to target time.

    Between two pulses time is interpolated. Before the first and after the last pulse it runs on at the mean
    rate of the whole recording, because the rate of a single interval carries the jitter of its two pulses.

    Parameters
    ----------
    source : ndarray of shape (n_pulses,), in seconds of the source clock
        Paired pulses, strictly ascending.
    target : ndarray of shape (n_pulses,), in seconds of the target clock
        The same pulses as the target clock saw them.
    unmatched_source : ndarray of shape (n,), of int
        Positions of source pulses that had no partner and were left out.
    unmatched_target : ndarray of shape (n,), of int
        Positions of target pulses that had no partner and were left out.

    Raises
    ------
    ValueError
        If the pulses are not two equally long, strictly ascending, finite series of at least two.

    Examples
    --------
    >>> from skneuro.data.clocks import align_clocks
    >>> clock = align_clocks([0.0, 1.0, 2.0], [10.0, 11.0, 12.0])
    >>> clock([0.5, 3.0])
    array([10.5, 13. ])
    """

    source: np.ndarray
    target: np.ndarray
    unmatched_source: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    unmatched_target: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        source, target = _check_pulses(self.source, "source"), _check_pulses(self.target, "target")
        if len(source) != len(target):
            raise ValueError(
                f"A ClockMap needs one target time per source pulse; got {len(source)} source and {len(target)} target "
                "pulses. Pair them with align_clocks(source_pulses, target_pulses)."
            )
        object.__setattr__(self, "source", source)
        object.__setattr__(self, "target", target)
        for name in ("unmatched_source", "unmatched_target"):
            left_out = np.array(getattr(self, name), dtype=np.int64)
            left_out.flags.writeable = False
            object.__setattr__(self, name, left_out)

    def __repr__(self) -> str:
        return (
            f"ClockMap({len(self.source)} pulses, drift {self.drift:+.1f} ppm, "
            f"median residual {1e3 * self.median_residual:.3f} ms)"
        )

    def __call__(self, times: ArrayLike) -> np.ndarray:
        """Map times; the same as `apply`."""
        return self.apply(times)

    def apply(self, times: ArrayLike) -> np.ndarray:
        """Map source times to target times.

        Parameters
        ----------
        times : array-like of any shape, in seconds of the source clock

        Returns
        -------
        ndarray of the same shape, in seconds of the target clock

        Examples
        --------
        >>> from skneuro.data.clocks import align_clocks
        >>> align_clocks([0.0, 10.0], [5.0, 15.0]).apply(2.5)
        array(7.5)
        """
        return _map_times(seconds(times, "times"), self.source, self.target)

    def inverse(self) -> ClockMap:
        """Return the map from target time back to source time.

        Returns
        -------
        ClockMap

        Examples
        --------
        >>> from skneuro.data.clocks import align_clocks
        >>> align_clocks([0.0, 10.0], [5.0, 15.0]).inverse()([7.5])
        array([2.5])
        """
        return ClockMap(self.target, self.source, self.unmatched_target, self.unmatched_source)

    @property
    def drift(self) -> float:
        """How much faster the target clock runs, in parts per million (least squares)."""
        return float((_mean_rate(self.source, self.target) - 1.0) * 1e6)

    @property
    def residuals(self) -> np.ndarray:
        """Leave-one-out error of every pulse, shape (n_pulses,), in seconds of the target clock.

        Each pulse is predicted from all others with the same rule that `apply` uses, and the prediction is
        subtracted from what the target clock saw. With only two pulses nothing is left to predict from: NaN.
        """
        if len(self.source) < 3:
            return np.full(len(self.source), np.nan)
        source, target = self.source, self.target
        share = (source[1:-1] - source[:-2]) / (source[2:] - source[:-2])
        inner = target[:-2] + share * (target[2:] - target[:-2])
        first = _map_times(source[:1], source[1:], target[1:])
        last = _map_times(source[-1:], source[:-1], target[:-1])
        return target - np.concatenate([first, inner, last])

    @property
    def median_residual(self) -> float:
        """Median absolute leave-one-out error, in seconds (NaN with two pulses)."""
        return float(np.median(np.abs(self.residuals)))


def align_clocks(
    source_pulses: ArrayLike,
    target_pulses: ArrayLike,
    *,
    tolerance: float = 0.005,
    max_drift: float = 1000.0,
    drop_unmatched: bool = False,
) -> ClockMap:
    """Align two clocks by the synchronisation pulses that both recorded.

    Pulses are paired in order. Every interval between neighbouring pulses must then agree on both clocks; if
    it does not, or if the counts differ, the pattern of intervals tells which pulses are missing. This is an
    error that names them, unless `drop_unmatched` is set; a pattern that fits in more than one way, or in which
    fewer than nine in ten pulses find a partner while both clocks ran, is always an error. Of regular intervals the
    pairing with the fewest losses is taken: pulses that both clocks lost at their ends shift it unseen.

    Parameters
    ----------
    source_pulses : array-like of shape (n_source,), in seconds of the source clock
        Strictly ascending.
    target_pulses : array-like of shape (n_target,), in seconds of the target clock
        Strictly ascending.
    tolerance : float, default=0.005, in seconds
        By how much an interval between two pulses may differ on the two clocks, over and above drift.
    max_drift : float, default=1000.0, in parts per million
        Largest plausible difference of the clocks' rates.
    drop_unmatched : bool, default=False
        Leave pulses without a partner out instead of raising. The map lists them as `unmatched_source` and
        `unmatched_target`.

    Returns
    -------
    ClockMap

    Raises
    ------
    ValueError
        If pulses are not finite and strictly ascending, if there are fewer than two, if some have no partner
        (and `drop_unmatched` is off), or if the pairing is not unique.

    Examples
    --------
    A target clock that started 3 s later and runs 100 ppm fast:

    >>> import numpy as np
    >>> from skneuro.data.clocks import align_clocks
    >>> pulses = np.array([0.0, 1.1, 1.9, 3.4, 4.2])
    >>> clock = align_clocks(pulses, 1.0001 * pulses - 3.0)
    >>> round(clock.drift, 3)
    100.0
    >>> bool(np.abs(clock.residuals).max() < 1e-9)
    True

    The target lost the third pulse:

    >>> align_clocks(pulses, np.delete(pulses, 2))
    Traceback (most recent call last):
    ...
    ValueError: 1 of 5 source and 0 of 4 target pulses have no partner: source pulse 2 (at 1.900 s). ...
    >>> align_clocks(pulses, np.delete(pulses, 2), drop_unmatched=True).unmatched_source
    array([2])
    """
    source, target = _check_pulses(source_pulses, "source"), _check_pulses(target_pulses, "target")
    for name, value in (("tolerance", tolerance), ("max_drift", max_drift)):
        if isinstance(value, bool) or not isinstance(value, Real) or not np.isfinite(value) or value < 0:
            raise ValueError(
                f"The '{name}' parameter of align_clocks must be a finite number >= 0. Got {value!r:.80} instead."
            )
    rate = max_drift * 1e-6
    if len(source) == len(target) and _intervals_agree(source, target, tolerance, rate):
        return ClockMap(source, target)
    _check_same_unit(source, target)
    pairs = _match_by_pattern(source, target, tolerance, rate)
    lost_source = np.setdiff1d(np.arange(len(source)), pairs[:, 0])
    lost_target = np.setdiff1d(np.arange(len(target)), pairs[:, 1])
    if not drop_unmatched:
        raise ValueError(_describe_unmatched(source, target, lost_source, lost_target))
    return ClockMap(source[pairs[:, 0]], target[pairs[:, 1]], lost_source, lost_target)


def _check_pulses(pulses: ArrayLike, name: str) -> np.ndarray:
    pulses = seconds(pulses, f"The {name} pulses")
    if pulses.ndim != 1 or len(pulses) < 2:
        raise ValueError(
            f"The {name} pulses must be a 1-D series of at least two times in seconds; got shape "
            f"{pulses.shape}. One pulse fixes an offset but no rate."
        )
    if not np.isfinite(pulses).all():
        raise ValueError(f"The {name} pulses must be finite; number {np.flatnonzero(~np.isfinite(pulses))[0]} is not.")
    falls = np.flatnonzero(np.diff(pulses) <= 0)
    if len(falls):
        at = falls[0]
        raise ValueError(
            f"The {name} pulses must be strictly ascending; pulse {at + 1} ({pulses[at + 1]:.6f} s) does not "
            f"come after pulse {at} ({pulses[at]:.6f} s). Sort them and drop doubles, or cut the recording "
            "where the clock restarted."
        )
    pulses.flags.writeable = False
    return pulses


def _mean_rate(source: np.ndarray, target: np.ndarray) -> float:
    """Least-squares slope of target on source time."""
    centred = source - source.mean()
    return float(centred @ (target - target.mean()) / (centred @ centred))


def _map_times(times: np.ndarray, source: np.ndarray, target: np.ndarray) -> np.ndarray:
    rate = _mean_rate(source, target)
    mapped = np.interp(times, source, target)
    mapped = np.where(times < source[0], target[0] + rate * (times - source[0]), mapped)
    return np.where(times > source[-1], target[-1] + rate * (times - source[-1]), mapped)


def _intervals_agree(source: np.ndarray, target: np.ndarray, tolerance: float, rate: float) -> bool:
    on_source, on_target = np.diff(source), np.diff(target)
    return bool((np.abs(on_target - on_source) <= tolerance + rate * on_source).all())


def _check_same_unit(source: np.ndarray, target: np.ndarray) -> None:
    """Say that one side is in milliseconds, rather than list every pulse as unmatched."""
    ratio = float(np.median(np.diff(target)) / np.median(np.diff(source)))
    if ratio > 30 or ratio < 1 / 30:
        raise ValueError(
            f"The target's pulse intervals are {ratio:.4g} times the source's: both series must be in "
            "seconds. Convert samples or milliseconds first."
        )


def _match_by_pattern(source: np.ndarray, target: np.ndarray, tolerance: float, rate: float) -> np.ndarray:
    """Positions (source, target) of the pairs in the pairing with the fewest losses.

    A pairing is tried for every number of pulses that may be missing at the start of both series. The longest is
    accepted if nine in ten of the pulses pair up where the series overlap, and if any other pairing has fewer pairs:
    fewer by as many as there are places where pulses were lost, since the more was lost, the likelier another pairing
    fits by chance. A regular train that lost a pulse at an end fails this test, as it must, since nothing tells which
    end.
    """
    n_extra = min(abs(len(source) - len(target)), _MAX_LOST_AT_START) + 5
    first = np.indices((min(n_extra + 1, len(source)), min(n_extra + 1, len(target)))).reshape(2, -1)
    n_pairs, last = _follow_all(source, target, first, tolerance, rate)
    longest = int(n_pairs.argmax())
    best = _follow(source, target, (int(first[0, longest]), int(first[1, longest])), tolerance, rate)
    if len(best) < max(2, 0.5 * min(len(source), len(target))):
        raise ValueError(_describe_mismatch(len(best), min(len(source), len(target)), tolerance))
    # Pairings that meet go on together: others end in another pair.
    others = n_pairs[(last != last[:, [longest]]).any(axis=0)]
    if len(others) and others.max() > len(best) - _n_places_of_loss(best, len(source), len(target)):
        raise ValueError(
            f"{len(source)} source and {len(target)} target pulses can be paired in more than one way: the intervals "
            "are too regular, or too many pulses were lost, to tell which are missing. Remove the pulses without a "
            "partner by hand, lower tolerance and max_drift if the clocks are known better, or use pulses at random "
            "intervals."
        )
    _check_steps_unique(source, target, best, tolerance, rate)
    n_overlapping = _n_overlapping(source, target, best)
    if len(best) < _LEAST_SHARE * n_overlapping:
        raise ValueError(_describe_mismatch(len(best), n_overlapping, tolerance))
    return best


def _n_overlapping(source: np.ndarray, target: np.ndarray, pairs: np.ndarray) -> int:
    """Pulses of the sparser series while both ran, by the offsets of the first and the last pair."""
    numbers = []
    for here, there, (own, other) in ((source, target, pairs.T), (target, source, pairs.T[::-1])):
        begin = here[own[0]] - (there[other[0]] - there[0])
        end = here[own[-1]] + (there[-1] - there[other[-1]])
        slack = 1e-9 * (1.0 + abs(begin) + abs(end))
        numbers.append(np.searchsorted(here, end + slack) - np.searchsorted(here, begin - slack))
    return int(min(numbers))


def _n_places_of_loss(pairs: np.ndarray, n_source: int, n_target: int) -> int:
    """Runs of pulses without a partner, in either series."""
    ends = np.array([[-1, -1], [n_source, n_target]])
    return int((np.diff(np.concatenate([ends[:1], pairs, ends[1:]]), axis=0) > 1).sum())


def _check_steps_unique(
    source: np.ndarray, target: np.ndarray, pairs: np.ndarray, tolerance: float, rate: float
) -> None:
    """Refuse a step across lost pulses so long that drift alone could hide one pulse more."""
    for here, there, columns, name in (
        (source, target, (0, 1), "target"),
        (target, source, (1, 0), "source"),
    ):
        own, other = pairs[:, columns[0]], pairs[:, columns[1]]
        steps = np.diff(here[own])
        expected, allowed = there[other[:-1]] + steps, tolerance + rate * steps
        first = np.maximum(np.searchsorted(there, expected - allowed), other[:-1] + 1)
        n_candidates = np.searchsorted(there, expected + allowed, side="right") - first
        unclear = np.flatnonzero(n_candidates > 1)
        if len(unclear):
            at = pairs[unclear[0], 0]
            raise ValueError(
                f"After source pulse {at} (at {source[at]:.3f} s) {n_candidates[unclear[0]]} {name} pulses "
                f"fit equally well within tolerance={tolerance:g} s and max_drift={1e6 * rate:g} ppm. Lower "
                "them, or align the stretches on both sides of the gap separately."
            )


def _follow(
    source: np.ndarray, target: np.ndarray, start: tuple[int, int], tolerance: float, rate: float
) -> np.ndarray:
    """Pair pulses onwards from one assumed pair, each step from the pair before: drift does not add up."""
    i, j = start
    pairs = [start]
    last_source, last_target = source[i], target[j]
    i, j = i + 1, j + 1
    while i < len(source) and j < len(target):
        on_source, on_target = source[i] - last_source, target[j] - last_target
        gap = on_target - on_source
        if abs(gap) <= tolerance + rate * on_source:
            pairs.append((i, j))
            last_source, last_target = source[i], target[j]
            i, j = i + 1, j + 1
        elif gap > 0:
            i += 1
        else:
            j += 1
    return np.array(pairs, dtype=np.int64)


def _follow_all(
    source: np.ndarray, target: np.ndarray, first: np.ndarray, tolerance: float, rate: float
) -> tuple[np.ndarray, np.ndarray]:
    """`_follow` from many first pairs (2, n) at once: how many pairs each finds (n,), and its last one (2, n)."""
    last = first.copy()
    at = first + 1
    n_pairs = np.ones(first.shape[1], dtype=np.int64)
    going = np.flatnonzero((at[0] < len(source)) & (at[1] < len(target)))
    while len(going):
        (i, j), (last_i, last_j) = at[:, going], last[:, going]
        on_source = source[i] - source[last_i]
        gap = target[j] - target[last_j] - on_source
        paired = np.abs(gap) <= tolerance + rate * on_source
        last[:, going[paired]] = at[:, going[paired]]
        n_pairs[going] += paired
        at[0, going] += paired | (gap > 0)
        at[1, going] += paired | (gap <= 0)
        going = going[(at[0, going] < len(source)) & (at[1, going] < len(target))]
    return n_pairs, last


def _describe_mismatch(n_pairs: int, n_pulses: int, tolerance: float) -> str:
    return (
        f"The intervals of the source and target pulses do not match: at best {n_pairs} of {n_pulses} pulses pair up "
        f"within tolerance={tolerance:g} s. Check that both are the same synchronisation signal and the same session, "
        "or raise tolerance if the pulses jitter."
    )


def _describe_unmatched(
    source: np.ndarray, target: np.ndarray, lost_source: np.ndarray, lost_target: np.ndarray
) -> str:
    named = [f"source pulse {k} (at {source[k]:.3f} s)" for k in lost_source[:5]]
    named += [f"target pulse {k} (at {target[k]:.3f} s)" for k in lost_target[:5]]
    n_more = len(lost_source) + len(lost_target) - len(named)
    more = f", and {n_more} more" if n_more else ""
    return (
        f"{len(lost_source)} of {len(source)} source and {len(lost_target)} of {len(target)} target pulses "
        f"have no partner: {', '.join(named)}{more}. Pass drop_unmatched=True to leave them out, or correct "
        "the pulse series."
    )
