"""`Modality`: what every kind of thing that was seen or done has in common. A kind is one class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from skneuro.data._rows import RowContainer

if TYPE_CHECKING:
    from skneuro.data.binning import BinnedSpikes

ROWS_AT_ONCE = 2**18
# A standard deviation of less than this part of the largest value is the rounding of a constant (0.1 + 0.1 + 0.1).
_ROUNDING = 1e-10


@dataclass(frozen=True)
class Samples:
    """What is known when: the form in which a model reads every modality but a video.

    Parameters
    ----------
    onset, until : ndarray of shape (n_samples,), in seconds from the trial's start
        From when on a sample is known, ascending within a trial, and until when it stands: its onset for what has no
        duration, inf for what stands to the trial's end.
    values : ndarray of shape (n_samples, d)
        NaN where a column is missing; a sample without any value is left out.
    trial : ndarray of shape (n_samples,), ascending
        Trial of each sample.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import Samples
    >>> Samples(np.array([0.1]), np.array([0.1]), np.ones((1, 1)), np.array([0])).values.shape
    (1, 1)
    """

    onset: np.ndarray
    until: np.ndarray
    values: np.ndarray
    trial: np.ndarray


class Modality(RowContainer, ABC):
    """What was seen or done beside the spikes, one row per trial: the base of every kind.

    A new kind is one subclass, which says where it reaches (`span`), what is known when (`samples`), what is known
    in each bin (`on_bins`) and how it is standardised (`moments`); ``_take`` picks trials, ``_cut`` cuts them.
    Every model and container then takes it.

    Attributes
    ----------
    kinds : dict of str to class
        Every kind there is, by name; subclasses enter by themselves.

    Examples
    --------
    >>> from skneuro.data import Modality
    >>> Modality.kinds["Events"]
    <class 'skneuro.data.events.Events'>
    """

    __slots__ = ()

    kinds: ClassVar[dict[str, type[Modality]]] = {}
    names: tuple[str, ...] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        Modality.kinds[cls.__name__] = cls

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """(n_trials, ...): the rest is the shape of what a sample holds."""

    @property
    @abstractmethod
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """Time of each trial that is known of, two ndarrays (n_trials,), in seconds."""

    @abstractmethod
    def on_bins(self, binned: BinnedSpikes) -> np.ndarray:
        """Return what is known in each bin.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        ndarray of shape (n_bins, d)
            NaN where nothing is known.

        Examples
        --------
        >>> from skneuro.data import Covariates, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.2).bin(0.1)
        >>> Covariates({"contrast": [0.5]}).on_bins(binned).ravel()
        array([0.5, 0.5])
        """

    @abstractmethod
    def samples(self, binned: BinnedSpikes) -> Samples:
        """Return what is known when.

        Parameters
        ----------
        binned : BinnedSpikes
            Bins of the same trials.

        Returns
        -------
        Samples
            In the order of the trials.

        Examples
        --------
        >>> from skneuro.data import Covariates, SpikeTrains
        >>> binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.2).bin(0.1)
        >>> Covariates({"contrast": [0.5]}).samples(binned).values
        array([[0.5]])
        """

    @abstractmethod
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what a model that is fitted on these trials standardises by.

        Returns
        -------
        mean, sd : ndarray of shape (d,)
            Of each value of a sample.

        Examples
        --------
        >>> from skneuro.data import Covariates
        >>> Covariates({"contrast": [0.0, 2.0]}).moments()
        (array([1.]), array([1.]))
        """

    @abstractmethod
    def _cut(self, parent: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        """Blocks [start, stop) of the trials `parent`; start is -inf for those that keep what was before a trial."""

    @property
    def _static(self) -> bool:
        """Whether what is shown stays the same for a whole trial."""
        return False

    @property
    def _unknown_columns(self) -> list[int]:
        """Columns without a value in any sample."""
        return []

    def _extremes(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Lowest and highest value of each column, two (d,), NaN where none is known; None for what has no scale."""
        return None

    def _beyond(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Share of the known values of each column (d,) that lie outside of low to high."""
        raise NotImplementedError

    def _held(self, low: np.ndarray, high: np.ndarray) -> Self:
        """The same with every value taken into low to high, and unknown where these are NaN; or left as it is."""
        return self

    def _scaled_values(self) -> np.ndarray | None:
        """Values (n, d) whose columns a model standardises one by one, NaN where missing; None for what has none."""
        return None

    def _place(self, row: int) -> str:
        """Where a row of these values is."""
        raise NotImplementedError

    def _identity(self) -> np.ndarray:
        """What each trial shows, (n_trials,): trials with the same number show the same at the same time in it."""
        return np.arange(len(self))

    def _during(self, trial: np.ndarray, start: np.ndarray, stop: np.ndarray) -> Self:
        """The part that lies in some stretches of trials, for `moments`; by default all."""
        return self

    def _same_trials(self, binned: BinnedSpikes) -> None:
        if binned.n_trials != len(self):
            raise ValueError(f"The bins must be of the same {len(self)} trials. Got {binned.n_trials} trials.")


def unknown_columns(values: np.ndarray) -> list[int]:
    """Columns of (n, d) that hold nothing but NaN, if there are rows; looks no further than to a value of each."""
    unknown = np.full(values.shape[1], len(values) > 0)
    for low in range(0, len(values), ROWS_AT_ONCE):
        if not unknown.any():
            break
        unknown &= np.isnan(values[low : low + ROWS_AT_ONCE]).all(0)
    return np.flatnonzero(unknown).tolist()


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest known value of each column of (n, d), two ndarrays (d,); NaN where none is known."""
    low, high = np.full((2, values.shape[1]), np.nan)
    for first in range(0, len(values), ROWS_AT_ONCE):
        part = values[first : first + ROWS_AT_ONCE]
        low, high = np.fmin(low, np.fmin.reduce(part, axis=0)), np.fmax(high, np.fmax.reduce(part, axis=0))
    return low, high


def share_beyond(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Share of the known values of each column of (n, d) that lie outside of low to high, (d,)."""
    parts = [values[first : first + ROWS_AT_ONCE] for first in range(0, len(values), ROWS_AT_ONCE)]
    n_beyond = sum(((part < low) | (part > high)).sum(0) for part in parts)
    n_known = sum((~np.isnan(part)).sum(0) for part in parts)
    return n_beyond / np.maximum(n_known, 1) * np.ones(values.shape[1])


def same_rows(values: np.ndarray) -> np.ndarray:
    """A number for each row (n,): equal rows have equal numbers."""
    return np.unique(values, axis=0, return_inverse=True)[1].reshape(len(values))


def known_moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations (d,) of values (n, d) without NaN; 1 for a constant."""
    parts = [slice(low, low + ROWS_AT_ONCE) for low in range(0, len(values), ROWS_AT_ONCE)]
    n_known = np.maximum(sum((~np.isnan(values[part])).sum(0) for part in parts), 1) * np.ones(values.shape[1])
    mean = sum(np.nansum(values[part], 0, dtype=np.float64) for part in parts) / n_known
    sd = np.sqrt(sum(np.nansum((values[part] - mean) ** 2, 0) for part in parts) / n_known)
    largest = np.zeros(values.shape[1])
    for part in parts:
        largest = np.fmax(largest, np.fmax.reduce(np.abs(values[part]), axis=0, initial=0.0))
    return mean, spread(sd, largest)


def spread(sd: np.ndarray, largest: np.ndarray | float) -> np.ndarray:
    """Standard deviations as they are divided by: 1 for a constant, whose largest absolute value is given."""
    return np.where(sd > _ROUNDING * largest, sd, 1.0)
