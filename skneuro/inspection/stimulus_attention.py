"""Maps of what drives units, laid over the frames of the video."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from skneuro.data import Modalities, Recording, Video
from skneuro.inspection._plotting import import_pyplot
from skneuro.inspection.stimulus_maps import StimulusMaps, check_positive, stimulus_maps

ENERGY = 0.98  # share of a map that the columns of a figure hold


class StimulusAttentionDisplay:
    """Which part of a video drives units: maps laid over frames, one row a unit, one column a lag or a moment.

    Create one with `from_estimator`, or with `from_maps` from what `stimulus_maps` or `whitened_sta` gave.

    Parameters
    ----------
    maps : StimulusMaps
        What to draw.
    frames : ndarray of shape (n_lags, height, width) or (height, width), default=None
        Grey frames below the maps, one for each lag (or moment) or one for all.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes, shape (n_rows, n_columns)
        Where it was drawn.
    figure_ : matplotlib Figure
        Their figure.
    images_ : list of matplotlib AxesImage
        The maps, row by row.

    See Also
    --------
    skneuro.inspection.stimulus_maps : What the maps are.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import StimulusAttentionDisplay, StimulusMaps
    >>> maps = np.zeros((2, 3, 8, 8))
    >>> maps[0, 1, 2:4, 5:7] = 1.0
    >>> found = StimulusMaps("gradient", maps, np.array([4, 7]), lags=np.array([0.02, 0.06, 0.1]))
    >>> display = StimulusAttentionDisplay.from_maps(found, units=[4])
    >>> display.axes_.shape
    (1, 3)
    """

    def __init__(self, *, maps: StimulusMaps, frames: np.ndarray | None = None) -> None:
        self.maps = maps
        self.frames = frames

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        spikes: Any,
        stimuli: Any = None,
        *,
        method: str = "gradient",
        trial: int | None = None,
        units: Sequence[Any] | str | None = None,
        modality: str | None = None,
        n_contexts: int = 256,
        random_state: int = 0,
        **kwargs: Any,
    ) -> Self:
        """Ask a fitted Neuroformer and draw what it says.

        Parameters
        ----------
        estimator : NeuroformerEstimator
            Fitted.
        spikes : SpikeTrains, Recording or array-like
            As in its `fit`.
        stimuli : Modalities, Video or None, default=None
            As in its `fit`.
        method : {"gradient", "occlusion", "attention", "attention_weights"}, default="gradient"
            See `stimulus_maps`.
        trial : int, default=None
            Position of a trial, to draw over its frames in time. None draws over lags.
        units : sequence of unit ids, "population" or None, default=None
            See `plot`.
        modality : str, default=None
            Name of the video, where there are several.
        n_contexts : int, default=256
            Bins to ask in.
        random_state : int, default=0
            Of the choice of bins.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : StimulusAttentionDisplay

        Raises
        ------
        ValueError, TypeError
            As `stimulus_maps`.
        """
        asked = None if units is None or isinstance(units, str) else units
        found = stimulus_maps(
            estimator, spikes, stimuli, method=method, modality=modality, units=asked, trial=trial,
            n_contexts=n_contexts, random_state=random_state,
        )  # fmt: skip
        given = spikes.modalities if stimuli is None and isinstance(spikes, Recording) else stimuli
        if isinstance(given, Modalities):
            videos = {name: m for name, m in given.items() if isinstance(m, Video)}
            given = videos[modality] if modality is not None else next(iter(videos.values()))
        return cls.from_maps(found, given, units=units, **kwargs)

    @classmethod
    def from_maps(cls, maps: StimulusMaps, video: Video | None = None, **kwargs: Any) -> Self:
        """Draw maps.

        Parameters
        ----------
        maps : StimulusMaps
            Of `stimulus_maps` or `whitened_sta`.
        video : Video, default=None
            Puts frames below the maps: those of the maps' trial, or the mean frame.
        **kwargs : dict
            Passed to `plot`.

        Returns
        -------
        display : StimulusAttentionDisplay

        Raises
        ------
        ValueError
            If the frames have another size than the maps.
        """
        return cls(maps=maps, frames=None if video is None else _below(maps, video)).plot(**kwargs)

    def plot(
        self,
        units: Sequence[Any] | str | None = None,
        *,
        n_columns: int = 6,
        cmap: Any = "inferno",
        axes: Any = None,
    ) -> Self:
        """Draw the maps; each row is scaled by its own largest value.

        Parameters
        ----------
        units : sequence of unit ids, "population" or None, default=None
            Units, one a row; "population" is the root mean square over units, each scaled by its own size. None takes
            the first four.
        n_columns : int, default=6
            Lags, or moments of the trial, at most: the run of them that holds nearly all of the maps, thinned evenly.
        cmap : str or Colormap, default="inferno"
            Colours of the maps; where a map is zero the frame shows.
        axes : array-like of matplotlib Axes, default=None
            As many as there are rows and columns; a new figure by default.

        Returns
        -------
        display : StimulusAttentionDisplay
            Itself, with `axes_`, `figure_` and `images_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If a unit is unknown, `n_columns` is not positive, or there are not as many axes as maps.
        """
        plt = import_pyplot("StimulusAttentionDisplay.plot")
        check_positive("n_columns", n_columns)
        rows = self._rows(units)
        columns = _columns(np.stack(list(rows.values())), n_columns)
        shape = len(rows), len(columns)
        if axes is None:
            size = (1.35 * shape[1] + 0.7, 1.35 * shape[0] + 0.5)
            _, axes = plt.subplots(*shape, squeeze=False, figsize=size, layout="constrained")
        self.axes_ = np.asarray(axes, dtype=object)
        if self.axes_.size != shape[0] * shape[1]:
            raise ValueError(f"axes must be {shape[0]} x {shape[1]}, one for each map. Got {self.axes_.size}.")
        self.axes_ = self.axes_.reshape(shape)
        self.figure_ = self.axes_[0, 0].figure
        self.images_: list[Any] = []
        for line, (name, values) in zip(self.axes_, rows.items(), strict=True):
            top = max(float(values[columns].max()), np.finfo(float).tiny)
            for ax, column in zip(line, columns, strict=True):
                self._one(ax, column, values[column] / top, cmap)
            line[0].set_ylabel(name, fontsize="small")
        for ax, column in zip(self.axes_[0], columns, strict=True):
            at = float(self.maps.lags[column])
            title = f"{1e3 * at:.0f} ms before" if self.maps.trial is None else f"{at:.2f} s"
            ax.set_title(title, fontsize="small")
        return self

    def _one(self, ax: Any, column: int, values: np.ndarray, cmap: Any) -> None:
        if self.frames is not None:
            frame = self.frames if self.frames.ndim == 2 else self.frames[column]
            ax.imshow(frame, cmap="gray", vmin=np.min(self.frames), vmax=np.max(self.frames))
            shown = ax.imshow(values, cmap=cmap, vmin=0, vmax=1, alpha=0.85 * values)
        else:
            shown = ax.imshow(values, cmap=cmap, vmin=0, vmax=1)
        self.images_.append(shown)
        ax.set(xticks=[], yticks=[])

    def _rows(self, units: Sequence[Any] | str | None) -> dict[str, np.ndarray]:
        """Maps (n_lags, H, W) to draw, by their names."""
        ids = self.maps.unit_ids.tolist()
        if isinstance(units, str):
            if units != "population":
                raise ValueError(f"units must be ids, 'population' or None. Got {units!r:.80} instead.")
            size = np.sqrt((self.maps.maps**2).mean(axis=(1, 2, 3), keepdims=True))
            scaled = np.divide(self.maps.maps, size, out=np.zeros_like(self.maps.maps), where=size > 0)
            return {f"{len(ids)} units": np.sqrt((scaled**2).mean(axis=0))}
        wanted = ids[:4] if units is None else np.asarray(units).tolist()
        if not isinstance(wanted, list) or not wanted or not set(wanted) <= set(ids):
            raise ValueError(f"units must be ids among {ids[:10]}, 'population' or None. Got {units!r:.80} instead.")
        return {f"unit {unit}": self.maps.maps[ids.index(unit)] for unit in wanted}


def _columns(maps: np.ndarray, most: int) -> np.ndarray:
    """Lags, or moments, to draw: the shortest run from one end of the energy to the other, thinned evenly."""
    energy = (maps / np.maximum(maps.max(axis=(1, 2, 3), keepdims=True), np.finfo(float).tiny)) ** 2
    share = np.cumsum(energy.sum(axis=(0, 2, 3)))
    if share[-1] <= 0:
        return np.arange(min(most, maps.shape[1]))
    rest = (1 - ENERGY) / 2 * share[-1]
    first, last = np.searchsorted(share, [rest, share[-1] - rest])
    last = min(max(last, first + most - 1), maps.shape[1] - 1)
    first = max(min(first, last - most + 1), 0)
    return np.unique(np.linspace(first, last, min(most, maps.shape[1])).round().astype(int))


def _below(maps: StimulusMaps, video: Video) -> np.ndarray:
    """Grey frames: of the trial, or the mean of all."""
    if video.frames.shape[2:4] != maps.maps.shape[2:]:
        raise ValueError(
            f"The video must have frames of {maps.maps.shape[2:]} pixels, as the maps. Got {video.frames.shape[2:4]}."
        )
    if maps.trial is not None:
        frames = video.frames[video.index[maps.trial]].astype(float)
        return frames.mean(axis=-1) if frames.ndim == 4 else frames
    mean = video.frames[np.unique(video.index)].mean(axis=(0, 1), dtype=np.float64)
    return mean.mean(axis=-1) if mean.ndim == 3 else mean
