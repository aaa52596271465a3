"""`StimulusFeatures`: from the frames of a stimulus to a few numbers a frame."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import validate_data

from skneuro._sklearn_compat import (
    Interval,
    InvalidParameterError,
    check_feature_names,
    check_is_fitted,
    check_n_features,
    fit_context,
)
from skneuro.data import Modalities, Recording, TimeSeries, Video
from skneuro.data._rows import concatenated_ranges
from skneuro.preprocessing._frame_features import KINDS, cropped_and_resized

__all__ = ["StimulusFeatures"]

_HELD = 1.4  # frame intervals; a `TimeSeries` takes a step of more than 1.5 for a hole


class StimulusFeatures(TransformerMixin, BaseEstimator):
    """Features of the frames of a stimulus: luminance, contrast, pixels, patch components, motion energy.

    A `Video` becomes a `TimeSeries` of features; in a `Recording` the video does, so that this goes into a pipeline
    before an estimator of spikes. A 2-D array, one row a frame, becomes a 2-D array.

    Parameters
    ----------
    kinds : sequence of str, default=("luminance", "contrast")
        What to compute, in this order, of the cropped and resized grey frame:

        - ``"luminance"``: its mean;
        - ``"contrast"``: the standard deviation over its pixels;
        - ``"pixels"``: itself;
        - ``"patch_pca"``: `n_components` principal components of each square patch, learned in `fit` over all places;
        - ``"motion_energy"``: squared responses of quadrature pairs of drifting Gabors, averaged over the frame. Only
          the frame itself and those before it are looked at.
    frame_shape : tuple of int, default=None
        Height, width and, for colour, number of channels of the frames where X is a 2-D array; None takes a row as one
        line of pixels.
    crop : tuple of int, default=None
        (top, bottom, left, right) in pixels, bottom and right excluded.
    size : tuple of int, default=None
        (height, width) to resize to, after cropping.
    n_components : int, default=8
        Components of a patch, at most.
    patch_size : int, default=8
        Height and width of a patch in pixels, at most the frame's; pixels beyond the last whole patch are left out.
    n_directions : int, default=8
        Directions of motion, from 0 degrees (to the right) counter-clockwise.
    spatial_frequencies : sequence of float, in cycles per pixel of the resized frame, default=(0.1,)
        Of the Gabors.
    temporal_frequencies : sequence of float, in hertz, default=(4.0,)
        Of the Gabors.
    frame_rate : float, in hertz, default=None
        Of 2-D arrays, needed for ``"motion_energy"``; a `Video` knows its own.
    random_state : int, RandomState or None, default=None
        Which patches the components are learned from, where there are more than 20,000.

    Attributes
    ----------
    n_features_in_ : int
        Values of a frame.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names of X, where X is a DataFrame with names.

    Notes
    -----
    Colour is averaged to grey. Rows of a 2-D array are the frames of one sequence, and with ``"motion_energy"`` the
    features of a row depend on the rows before it.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import Video
    >>> from skneuro.preprocessing import StimulusFeatures
    >>> row = np.arange(20) - 1.0 * np.arange(40)[:, None]  # moves to the right by a pixel a frame, 20 frames a second
    >>> frames = np.cos(2 * np.pi * 0.2 * row)[:, None].repeat(20, axis=1)  # (frames, height, width)
    >>> video = Video(frames[None], fps=20.0, index=[0, 0])
    >>> features = StimulusFeatures(["motion_energy"], spatial_frequencies=[0.2], n_directions=4).fit(video)
    >>> series = features.transform(video)
    >>> series
    TimeSeries(2 trials, 4 signals, 80 samples)
    >>> series.names[series.values[-1].argmax()]
    'motion_0deg_0.2cpp_4hz'
    """

    _parameter_constraints: dict = {
        "kinds": ["array-like"],
        "frame_shape": ["array-like", None],
        "crop": ["array-like", None],
        "size": ["array-like", None],
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "patch_size": [Interval(Integral, 1, None, closed="left")],
        "n_directions": [Interval(Integral, 1, None, closed="left")],
        "spatial_frequencies": ["array-like"],
        "temporal_frequencies": ["array-like"],
        "frame_rate": [Interval(Real, 0, None, closed="neither"), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        kinds: Sequence[str] = ("luminance", "contrast"),
        *,
        frame_shape: Sequence[int] | None = None,
        crop: Sequence[int] | None = None,
        size: Sequence[int] | None = None,
        n_components: int = 8,
        patch_size: int = 8,
        n_directions: int = 8,
        spatial_frequencies: Sequence[float] = (0.1,),
        temporal_frequencies: Sequence[float] = (4.0,),
        frame_rate: float | None = None,
        random_state: Any = None,
    ) -> None:
        self.kinds = kinds
        self.frame_shape = frame_shape
        self.crop = crop
        self.size = size
        self.n_components = n_components
        self.patch_size = patch_size
        self.n_directions = n_directions
        self.spatial_frequencies = spatial_frequencies
        self.temporal_frequencies = temporal_frequencies
        self.frame_rate = frame_rate
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Note the size of the frames, and learn the components of patches.

        Parameters
        ----------
        X : Video, Recording with one video, or array-like of shape (n_frames, n_values)
            Frames. Clips that several trials show count once.
        y : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        StimulusFeatures
            The transformer itself.

        Raises
        ------
        ValueError
            If a parameter is out of its range, or does not fit the frames.
        """
        self._check_parameters()
        _, video = _video_of(X)
        if video is None:
            table = validate_data(self, X, dtype=np.float64)
            frames = self._grey(table)
            if "motion_energy" in self.kinds and self.frame_rate is None:
                raise ValueError(
                    "StimulusFeatures needs frame_rate (hertz) for the motion energy of a 2-D array, or a Video."
                )
        else:
            check_n_features(self, int(np.prod(video.frames.shape[2:])), reset=True)
            check_feature_names(self, None, reset=True)
            shape = video.frames.shape[2:]
            frames = self._grey(video.frames[np.unique(video.index)].reshape(-1, int(np.prod(shape))), shape)
        self._parts: list[Any] = [KINDS[kind]() for kind in self.kinds]
        for part in self._parts:
            part.fit(frames, self)
        self._n_features_out = len(self.get_feature_names_out())
        return self

    def transform(self, X: Any) -> Any:
        """Compute the features.

        Parameters
        ----------
        X : Video, Recording with one video, or array-like of shape (n_frames, n_values)
            Frames of the size seen in `fit`.

        Returns
        -------
        TimeSeries, Recording or ndarray of shape (n_frames, n_features)
            A series with one sample a frame, and one more for each frame interval that a frame is held; the recording
            with the series in the place of its video; or a table.

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            If frames are of another size.
        """
        check_is_fitted(self)
        name, video = _video_of(X)
        if video is None:
            table = validate_data(self, X, dtype=np.float64, reset=False)
            return self._features(self._grey(table), np.arange(len(table)) / (self.frame_rate or 1.0))
        check_n_features(self, int(np.prod(video.frames.shape[2:])), reset=False)
        series = self._series(video)
        if name is None:
            return series
        others = {key: series if key == name else one for key, one in X.modalities.items()}
        return Recording(X.spikes, Modalities(**others))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the features.

        Parameters
        ----------
        input_features : object, default=None
            Ignored; it is there because scikit-learn passes it.

        Returns
        -------
        ndarray of shape (n_features,), of str
        """
        check_is_fitted(self, "_parts")
        return np.array([name for part in self._parts for name in part.names()], dtype=object)

    def _series(self, video: Video) -> TimeSeries:
        n_frames = video.timestamps.shape[1]
        shape = video.frames.shape[2:]
        features, held = {}, {}
        for clip in np.unique(video.index):
            grey = self._grey(video.frames[clip].reshape(n_frames, -1), shape)
            features[clip] = self._features(grey, video.timestamps[clip])
            held[clip] = _held(video.timestamps[clip])
        times = [held[clip][0] + start for clip, start in zip(video.index, video.t_start, strict=True)]
        values = [features[clip][held[clip][1]] for clip in video.index]
        return TimeSeries(
            np.concatenate([np.empty((0, self._n_features_out)), *values]),
            np.concatenate([np.empty(0), *times]),
            np.cumsum([0, *map(len, times)]),
            names=self.get_feature_names_out().tolist(),
        )

    def _features(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        return np.column_stack([part.transform(frames, times) for part in self._parts])

    def _grey(self, table: np.ndarray, shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Frames (n, H, W) of a table with one row a frame, cropped and resized."""
        if shape is None:
            shape = (1, table.shape[1]) if self.frame_shape is None else tuple(int(n) for n in self.frame_shape)
        if int(np.prod(shape)) != table.shape[1]:
            raise ValueError(f"Frames of shape {shape} have {np.prod(shape)} values. X has {table.shape[1]} columns.")
        frames = np.asarray(table, dtype=np.float64).reshape(len(table), *shape)
        if frames.ndim == 4:
            frames = frames.mean(axis=-1)
        if self.crop is not None:
            top, bottom, left, right = self.crop
            if not (0 <= top < bottom <= shape[0] and 0 <= left < right <= shape[1]):
                raise ValueError(
                    f"crop=(top, bottom, left, right) must lie within frames of {shape[0]} x {shape[1]} pixels. Got "
                    f"{tuple(self.crop)}."
                )
        return cropped_and_resized(frames, self.crop, self.size)

    def _check_parameters(self) -> None:
        problems = []
        if isinstance(self.kinds, str) or not len(self.kinds) or any(kind not in KINDS for kind in self.kinds):
            problems.append(f"'kinds' must hold one or more of {list(KINDS)}, got {self.kinds!r}")
        for name, lengths in (("frame_shape", (2, 3)), ("crop", (4,)), ("size", (2,))):
            value = getattr(self, name)
            if value is not None and (len(value) not in lengths or any(int(n) != n or n < 0 for n in value)):
                problems.append(f"{name!r} must be {' or '.join(map(str, lengths))} whole numbers, got {value!r}")
        for name in ("spatial_frequencies", "temporal_frequencies"):
            values = np.asarray(getattr(self, name), dtype=float)
            if values.size == 0 or not (values > 0).all():
                problems.append(f"{name!r} must be positive, got {getattr(self, name)!r}")
        if problems:
            raise InvalidParameterError("StimulusFeatures: " + "; ".join(problems) + ".")


def _held(onset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times of samples, and the frame of each: a frame that is held is sampled again, so that no hole is left."""
    times, frame = onset, np.arange(len(onset))
    if len(onset) < 2:
        return times, frame
    off = onset[-1] + np.median(np.diff(onset))
    while True:  # more samples may shorten the median interval, by which a `TimeSeries` tells holes
        interval = np.median(np.diff(times))
        step = np.diff(times, append=off)
        n_more = np.where(step > _HELD * interval, np.ceil(step / interval - 1.25), 0).astype(np.int64)
        if not n_more.any():
            return times, frame
        sample = np.repeat(np.arange(len(times)), n_more + 1)
        number = concatenated_ranges(np.zeros(len(times)), n_more + 1)
        times, frame = times[sample] + number * interval, frame[sample]


def _video_of(X: Any) -> tuple[str | None, Video | None]:
    """Name (in a recording) and video of X; nothing for a table."""
    if isinstance(X, Video):
        return None, X
    if not isinstance(X, Recording):
        return None, None
    videos = [(name, one) for name, one in (X.modalities.items() if X.modalities else ()) if isinstance(one, Video)]
    if len(videos) != 1:
        raise ValueError(f"StimulusFeatures needs a Recording with one video. Got {len(videos)}.")
    return videos[0]
