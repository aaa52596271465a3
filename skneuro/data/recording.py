"""`Modalities`: everything but spikes, by name. `Recording`: spikes and modalities of the same trials."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import Any, Self

import numpy as np

from skneuro.data._flatten import block_edges
from skneuro.data._rows import RowContainer
from skneuro.data._validation import TOLERANCE
from skneuro.data.modality import Modality
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries
from skneuro.data.video import Video
from skneuro.exceptions import IncompatibleModalityError


class Modalities(RowContainer):
    """Named modalities of the same trials, one row per trial.

    A string key gives a modality, any other key gives trials.

    Parameters
    ----------
    **named : Video, TimeSeries, Events, Pulses, Covariates or another Modality
        The modalities; each has one row per trial.

    Attributes
    ----------
    names : tuple of str
        Names of the modalities, in the order given.

    Raises
    ------
    IncompatibleModalityError
        If the modalities disagree on the number of trials.
    TypeError
        If a value is not a `Modality`.

    Examples
    --------
    >>> from skneuro.data import Modalities, TimeSeries
    >>> speed = TimeSeries.from_lists([[1.0, 2.0], [3.0, 4.0]], rate=10.0)
    >>> modalities = Modalities(speed=speed)
    >>> modalities
    Modalities(2 trials: speed)
    >>> modalities["speed"].shape, len(modalities[:1])
    ((2, 1), 1)
    """

    __slots__ = ("_named",)
    _array_remedy = "take one of them, modalities[name]"

    _named: dict[str, Modality]

    def __init__(self, *args: Any, **named: Modality) -> None:
        if args:
            raise TypeError(
                "Modalities takes names: Modalities(speed=speed, video=video), or Modalities(**dictionary)."
            )
        if not named:
            raise ValueError("Modalities needs at least one modality. Give y=None where there is none.")
        for name, modality in named.items():
            if not isinstance(modality, Modality):
                raise TypeError(
                    f"The modality {name!r} must be one of {', '.join(sorted(Modality.kinds))}. Got "
                    f"{type(modality).__name__} instead; for arrays use TimeSeries.from_lists(list_of_trials, "
                    "rate=...) or Video(frames, fps=...)."
                )
        lengths = {name: len(modality) for name, modality in named.items()}
        if len(set(lengths.values())) > 1:
            raise IncompatibleModalityError(f"Modalities disagree on the number of trials: {lengths}.")
        self._set(_named=dict(named))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return tuple(self._named)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, n_modalities)."""
        return len(next(iter(self._named.values()))), len(self._named)

    def items(self) -> ItemsView[str, Modality]:
        """Return pairs of name and modality.

        Returns
        -------
        ItemsView
            As that of a dict.

        Examples
        --------
        >>> from skneuro.data import Modalities, TimeSeries
        >>> [name for name, _ in Modalities(speed=TimeSeries.from_lists([[1.0]], rate=1.0)).items()]
        ['speed']
        """
        return dict(self._named).items()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            if key not in self._named:
                raise KeyError(f"There is no modality {key!r}. The names are {list(self._named)}.")
            return self._named[key]
        return super().__getitem__(key)

    def __contains__(self, name: object) -> bool:
        return name in self._named

    def __repr__(self) -> str:
        return f"Modalities({len(self):,} trials: {', '.join(self._named)})"

    def _take(self, rows: np.ndarray) -> Self:
        return type(self)(**{name: modality._take(rows) for name, modality in self._named.items()})


class Recording(RowContainer):
    """Spikes and modalities of the same trials in one X, so that ``predict(X)`` sees the stimulus too.

    Parameters
    ----------
    spikes : SpikeTrains
        The spikes.
    modalities : Modalities or None, default=None
        What was seen and done; every modality covers every trial.

    Raises
    ------
    IncompatibleModalityError
        If the numbers of trials differ or a modality does not cover a trial.
    TypeError
        If the parts are not a `SpikeTrains` and a `Modalities`.

    Examples
    --------
    >>> from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
    >>> spikes = SpikeTrains.from_lists([[[0.1, 0.3]], [[0.2]]], 0.0, 0.4)
    >>> speed = TimeSeries.from_lists([[1, 2, 3, 4], [5, 6, 7, 8]], rate=10.0)
    >>> Recording(spikes, Modalities(speed=speed))
    Recording(SpikeTrains(2 trials, 1 units, 3 spikes, 0.8 s), Modalities(2 trials: speed))
    """

    __slots__ = ("modalities", "spikes")
    _array_remedy = "use .spikes.to_counts(bin_width)"

    spikes: SpikeTrains
    modalities: Modalities | None

    def __init__(self, spikes: SpikeTrains, modalities: Modalities | None = None) -> None:
        if not isinstance(spikes, SpikeTrains):
            raise TypeError(
                f"spikes must be SpikeTrains. Got {type(spikes).__name__} instead; use as_spike_trains(spikes)."
            )
        if modalities is not None:
            if not isinstance(modalities, Modalities):
                remedy = "Modalities(**modalities)" if isinstance(modalities, Mapping) else "Modalities(name=...)"
                raise TypeError(
                    f"modalities must be Modalities. Got {type(modalities).__name__} instead; use {remedy}."
                )
            check_coverage(modalities, spikes.t_start, spikes.t_stop)
        self._set(spikes=spikes, modalities=modalities)

    @property
    def shape(self) -> tuple[int, int]:
        """(n_trials, n_units)."""
        return self.spikes.shape

    def __repr__(self) -> str:
        return f"Recording({self.spikes!r}, {self.modalities!r})"

    def _take(self, rows: np.ndarray) -> Self:
        new = object.__new__(type(self))
        new._set(
            spikes=self.spikes._take(rows),
            modalities=None if self.modalities is None else self.modalities._take(rows),
        )
        return new

    def cut(self, duration: float, context: float = 0.0) -> Self:
        """Cut every trial into consecutive blocks, spikes and modalities alike.

        A block that begins with its trial keeps what modalities know from before it (`before` of `Events.from_times`);
        of the others all know the past for the length of `context`, and a clip is kept as a whole.

        Parameters
        ----------
        duration : float, in seconds
            Length of a block; see `SpikeTrains.cut`.
        context : float, in seconds, default=0.0
            How much of the time before a block it carries in front.

        Returns
        -------
        Recording
            One row per block.

        Raises
        ------
        ValueError
            If `duration` is not positive, `context` is negative, or one is not a multiple of the resolution.

        Examples
        --------
        >>> from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
        >>> spikes = SpikeTrains.from_lists([[[0.1, 0.3]]], 0.0, 0.4)
        >>> speed = TimeSeries.from_lists([[1, 2, 3, 4]], rate=10.0)
        >>> Recording(spikes, Modalities(speed=speed)).cut(0.2).shape
        (2, 1)
        """
        parent, start, _, stop = block_edges(self.spikes, duration, context)
        # What a modality knows from before a trial stays with the blocks that begin with it.
        start = np.where(start <= self.spikes.t_start[parent], -np.inf, start)
        modalities = None
        if self.modalities is not None:
            modalities = Modalities(**{n: part._cut(parent, start, stop) for n, part in self.modalities.items()})
        new = object.__new__(type(self))
        new._set(spikes=self.spikes.cut(duration, context), modalities=modalities)
        return new


def check_coverage(modalities: Modalities, t_start: np.ndarray, t_stop: np.ndarray) -> None:
    """Refuse modalities that have another number of trials or do not reach over one of them."""
    if len(modalities) != len(t_start):
        raise IncompatibleModalityError(
            f"The modalities ({', '.join(modalities.names)}) have {len(modalities)} trials, the spikes {len(t_start)}. "
            "They must be of the same trials, in the same order."
        )
    for name, modality in modalities.items():
        first, last = modality.span
        slack = TOLERANCE * np.maximum(t_stop - t_start, 1.0)
        # Written so that NaN (no samples at all) counts as not covered.
        covered = (first <= t_start + slack) & (last >= t_stop - slack)
        wrong = np.flatnonzero(~covered & (t_stop > t_start))
        if len(wrong):
            k = wrong[0]
            remedy = "add blank frames" if isinstance(modality, Video) else "mark missing samples as NaN"
            reach = f"[{first[k]:.6g}, {last[k]:.6g}] s" if np.isfinite(first[k]) else "nothing"
            raise IncompatibleModalityError(
                f"The modality {name!r} does not cover {len(wrong)} of {len(t_start)} trials: first, trial {k}, which "
                f"lasts [{t_start[k]:.6g}, {t_stop[k]:.6g}] s while {name!r} covers {reach}. Check that both are in "
                f"seconds on the same clock (align_clocks); {remedy}, or cut the trials."
            )


def common_span(modalities: Modalities) -> tuple[np.ndarray, np.ndarray]:
    """Time in which every modality is there; infinite where all of them stand for a whole trial.

    Raises
    ------
    ValueError
        If a time series has no samples in some trial.
    """
    starts, stops = [], []
    for name, modality in modalities.items():
        first, last = modality.span
        if isinstance(modality, TimeSeries):
            empty = np.flatnonzero(np.diff(modality.ptr) == 0)
            if len(empty):
                raise ValueError(f"The modality {name!r} has no samples in trial {empty[0]}: nothing to simulate.")
            first = modality.timestamps[modality.ptr[:-1]]  # `span` begins up to a sample earlier
        starts.append(first)
        stops.append(last)
    return np.max(starts, axis=0), np.min(stops, axis=0)
