"""What the baselines condition on: the past counts, filtered by a few smooth kernels, and the stimuli."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np

from skneuro.data._likeness import Form
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.data.video import Video

# A frame has at most this many features on each side; larger ones are averaged over patches.
_MAX_SIDE = 16
_RARE = 16  # spikes in training, below which a unit's deviation is enlarged
_FAR_ABOVE, _ABOVE = 3.0, 1.5  # times one more than the largest count: of training; of the part that is trained on


def n_lags(duration: float, bin_width: float) -> int:
    """Whole bins in a duration given in seconds."""
    return int(np.floor(duration / bin_width + 1e-6))


def lag_kernels(lags: int, n_basis: int) -> np.ndarray:
    """Raised cosines on a logarithmic lag axis, (lags, n_basis), each of sum 1: narrow near zero, wide far off."""
    n_basis = min(n_basis, lags)
    time = np.log(np.arange(1, lags + 1) + 1.0)
    if n_basis < 2:
        return np.full((lags, n_basis), 1.0 / max(lags, 1))
    centre = np.linspace(time[0], time[-1], n_basis)
    angle = (time[:, None] - centre) * np.pi / (2.0 * (centre[1] - centre[0]))
    kernels = 0.5 * (1.0 + np.cos(np.clip(angle, -np.pi, np.pi)))
    return kernels / kernels.sum(axis=0)


def bin_in_trial(ptr: np.ndarray) -> np.ndarray:
    """Number of each bin within its trial, (n_bins,)."""
    return np.arange(ptr[-1]) - np.repeat(ptr[:-1], np.diff(ptr))


def filter_past(values: np.ndarray, ptr: np.ndarray, kernels: np.ndarray, first_lag: int) -> np.ndarray:
    """Filter every column causally; a lag that reaches before its trial contributes nothing.

    Parameters
    ----------
    values : ndarray of shape (n_bins, d)
        Signals of all trials.
    ptr : ndarray of shape (n_trials + 1,)
        Bins of each trial.
    kernels : ndarray of shape (lags, n_basis)
        Weight of each lag.
    first_lag : int
        Lag of the first row, in bins: 1 leaves out the bin itself.

    Returns
    -------
    ndarray of shape (n_bins, n_basis * d), float32
    """
    number = bin_in_trial(ptr)
    kernels = kernels.astype(np.float32)
    out = np.zeros((len(values), kernels.shape[1], values.shape[1]), dtype=np.float32)
    for row, weights in enumerate(kernels):
        lag = first_lag + row
        if lag >= len(values):
            break
        shifted = np.where(number[lag:, None] >= lag, values[: len(values) - lag], np.float32(0))
        for basis in np.flatnonzero(weights):
            out[lag:, basis] += weights[basis] * shifted
    return out.reshape(len(values), kernels.shape[1] * values.shape[1])


def visible_cells(inp: ModelInput) -> np.ndarray:
    """Cells whose count a model may use as its past, (n_bins, n_units) bool.

    These are the observed ones, and those in the context of a block: they are not scored, but they were seen.
    """
    spikes, cells = inp.trials, inp.spikes.cell_observed
    if spikes is None or not spikes.context.any():
        return inp.spikes.mask()
    seen = spikes._with(context=0.0).bin(inp.spikes.bin_width).mask()
    return seen if cells is None else seen & cells


@dataclass(frozen=True)
class CountScale:
    """Centre and scale of the counts of each unit, in spikes per bin.

    Attributes
    ----------
    mean, deviation : ndarray of shape (n_units,)
        Of the observed counts of the training data. The deviation of a unit that fired fewer than 16 times is enlarged:
        what it says of others was hardly learned, and each spike would be tens of deviations. It is 1 for a silent one.
    most : ndarray of shape (n_units,) or None
        Counts above are taken for it: three times one more than the largest of the training data. None in files of an
        earlier version, which cut nothing and held silent units against the others.
    """

    mean: np.ndarray
    deviation: np.ndarray
    most: np.ndarray | None = None

    @classmethod
    def from_counts(cls, counts: np.ndarray, mask: np.ndarray) -> Self:
        """Measure the observed counts."""
        n_seen = np.maximum(mask.sum(axis=0), 1)
        mean = np.where(mask, counts, 0).sum(axis=0) / n_seen
        variance = np.where(mask, (counts - mean) ** 2, 0.0).sum(axis=0) / n_seen
        rare = np.maximum(_RARE / np.maximum(mean * n_seen, 1e-9), 1.0)
        deviation = np.where(variance > 0, np.sqrt(variance) * rare, 1.0)
        return cls(mean, deviation, _FAR_ABOVE * _one_more(counts, mask))

    def for_choosing(self, counts: np.ndarray, cells: np.ndarray) -> Self:
        """The scale while held-out data choose, of which nothing is known beyond the cells that are trained on."""
        return replace(self, most=_ABOVE * _one_more(counts, cells))

    def within(self, counts: np.ndarray, units: int | slice = slice(None)) -> np.ndarray:
        """Counts of some units as the past of others: an artefact in one bin cannot throw all that follows."""
        return counts if self.most is None else np.minimum(counts, self.most[units])

    def residuals(self, counts: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """Standardised counts, float32; 0, what is expected, where a count was not observed."""
        return np.where(visible, (self.within(counts) - self.mean) / self.deviation, 0.0).astype(np.float32)

    def common_scale(self) -> float:
        """One deviation for all units: keeps a spike of any unit worth the same under a penalty."""
        if self.most is None or not self.mean.any():
            return float(self.deviation.mean())
        return float(self.deviation[self.mean > 0].mean())

    def to_arrays(self) -> dict[str, np.ndarray]:
        """The fields, for an estimator to keep."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in found.items() if value is not None}


def _one_more(counts: np.ndarray, cells: np.ndarray) -> np.ndarray:
    return np.where(cells, counts, 0).max(axis=0, initial=0) + 1.0


class StimulusFeatures:
    """One row of standardised numbers per bin from all modalities; 0, the mean, where nothing is known.

    Parameters
    ----------
    columns : dict of str to dict
        For each modality, ``mean`` and ``deviation``, ndarrays of shape (d,), and its ``form``.
    """

    def __init__(self, columns: dict[str, dict[str, Any]]):
        self.columns = columns

    @classmethod
    def from_input(cls, inp: ModelInput) -> Self:
        """Measure mean and deviation of every modality in the training data."""
        columns = {}
        for name, modality in () if inp.modalities is None else inp.modalities.items():
            values = _on_bins(modality, inp.spikes)
            known = ~np.isnan(values)
            n = np.maximum(known.sum(axis=0), 1)
            mean = np.where(known, values, 0.0).sum(axis=0) / n
            deviation = np.sqrt(np.where(known, (values - mean) ** 2, 0.0).sum(axis=0) / n)
            columns[name] = {
                "mean": mean, "deviation": np.where(deviation > 1e-12, deviation, 1.0),
                "form": asdict(Form.of(modality)),
            }  # fmt: skip
        return cls(columns)

    @property
    def size(self) -> int:
        """Number of features."""
        return sum(len(column["mean"]) for column in self.columns.values())

    def transform(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        """Features of every bin, (n_bins, size) float32.

        Raises
        ------
        IncompatibleModalityError
            If a modality is of another kind than in the training data, has other columns, or samples of another shape.
        """
        parts = [np.zeros((binned.n_bins, 0), dtype=np.float32)]
        for name, column in self.columns.items():
            width = len(column["mean"])
            if modalities is None or name not in modalities:
                parts.append(np.zeros((binned.n_bins, width), dtype=np.float32))
                continue
            if "form" in column:  # not there in files of an earlier version
                Form(**column["form"]).check(name, modalities[name])
            values = _on_bins(modalities[name], binned)
            values = (values - column["mean"]) / column["deviation"]
            parts.append(np.nan_to_num(values, nan=0.0).astype(np.float32))
        return np.concatenate(parts, axis=1)


def _on_bins(modality: Any, binned: BinnedSpikes) -> np.ndarray:
    """Value of one modality in every bin, (n_bins, d); NaN where unknown."""
    at = modality.on_bins(binned)
    if not isinstance(modality, Video):
        return at
    frames = _patches(modality.frames)  # (n_clips, T, d)
    clip = np.repeat(modality.index, np.diff(binned.ptr))
    values = frames[clip, np.maximum(at, 0)]
    values[at < 0] = np.nan
    return values


def _patches(frames: np.ndarray) -> np.ndarray:
    """Flatten the frames of each clip, averaged over patches where they are large."""
    frames = np.asarray(frames)
    frames = frames[..., None] if frames.ndim == 4 else frames
    for axis in (2, 3):
        size = frames.shape[axis]
        edges = np.unique(np.linspace(0, size, min(size, _MAX_SIDE) + 1).astype(int))
        total = np.add.reduceat(frames, edges[:-1], axis=axis, dtype=np.float64)
        shape = [1] * frames.ndim
        shape[axis] = -1
        frames = total / np.diff(edges).reshape(shape)
    return frames.reshape(*frames.shape[:2], -1)
