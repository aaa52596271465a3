"""What may be computed from the frames of a stimulus: one class a kind, in the table `KINDS`.

A kind has ``fit(frames, p)``, ``names()`` and ``transform(frames, times)``; frames are grey, (n_frames, H, W) float64,
`times` in seconds, and `p` the parameters of `StimulusFeatures`. Adding one is a class here and a test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA

from skneuro._random import random_numbers

MOST_PATCHES = 20_000
CYCLES_IN_SPACE, CYCLES_IN_TIME = 0.4, 0.5  # standard deviation of a Gabor's envelope, in periods


class Luminance:
    """Mean of each frame."""

    def fit(self, frames: np.ndarray, p: Any) -> None:
        """Nothing to learn."""

    def names(self) -> list[str]:
        return ["luminance"]

    def transform(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        return frames.mean(axis=(1, 2))[:, None]


class Contrast:
    """Standard deviation over the pixels of each frame (root-mean-square contrast)."""

    def fit(self, frames: np.ndarray, p: Any) -> None:
        """Nothing to learn."""

    def names(self) -> list[str]:
        return ["contrast"]

    def transform(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        return frames.std(axis=(1, 2))[:, None]


class Pixels:
    """The cropped and resized frame itself."""

    def fit(self, frames: np.ndarray, p: Any) -> None:
        self.shape = frames.shape[1:]

    def names(self) -> list[str]:
        return [f"pixel_{row}_{column}" for row in range(self.shape[0]) for column in range(self.shape[1])]

    def transform(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        return frames.reshape(len(frames), -1)


class PatchPCA:
    """Principal components of square patches, the same for every place."""

    def fit(self, frames: np.ndarray, p: Any) -> None:
        self.size = min(p.patch_size, *frames.shape[1:])
        self.grid = frames.shape[1] // self.size, frames.shape[2] // self.size
        patches = self._patches(frames).reshape(-1, self.size**2)
        rng = random_numbers(p.random_state)
        if len(patches) > MOST_PATCHES:
            patches = patches[rng.choice(len(patches), MOST_PATCHES, replace=False)]
        self.pca = PCA(min(p.n_components, *patches.shape), svd_solver="full").fit(patches)

    def names(self) -> list[str]:
        down, across = self.grid
        parts = range(self.pca.n_components_)
        return [f"patch_{row}_{column}_pc{k}" for row in range(down) for column in range(across) for k in parts]

    def transform(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        patches = self._patches(frames).reshape(-1, self.size**2)
        return self.pca.transform(patches).reshape(len(frames), -1)

    def _patches(self, frames: np.ndarray) -> np.ndarray:
        """Whole patches of each frame, (n_frames, down, across, size, size)."""
        (down, across), size = self.grid, self.size
        cut = frames[:, : down * size, : across * size].reshape(len(frames), down, size, across, size)
        return cut.transpose(0, 1, 3, 2, 4)


class MotionEnergy:
    """Squared responses of quadrature pairs of drifting Gabors, averaged over the frame; only frames so far count.

    Adelson and Bergen (1985), J Opt Soc Am A 2:284. A frame times a carrier and smoothed is the response of a Gabor
    everywhere at once, up to its phase.
    """

    def fit(self, frames: np.ndarray, p: Any) -> None:
        self.directions = 360.0 * np.arange(p.n_directions) / p.n_directions
        self.spatial = np.atleast_1d(np.asarray(p.spatial_frequencies, dtype=float))
        self.temporal = np.atleast_1d(np.asarray(p.temporal_frequencies, dtype=float))

    def names(self) -> list[str]:
        return [
            f"motion_{direction:g}deg_{spatial:g}cpp_{temporal:g}hz"
            for direction in self.directions for spatial in self.spatial for temporal in self.temporal
        ]  # fmt: skip

    def transform(self, frames: np.ndarray, times: np.ndarray) -> np.ndarray:
        centred = frames - frames.mean(axis=(1, 2), keepdims=True)
        row, column = np.mgrid[: frames.shape[1], : frames.shape[2]]
        interval = float(np.median(np.diff(times))) if len(times) > 1 else 1.0
        columns = []
        for direction in np.deg2rad(self.directions):
            across = column * np.cos(direction) - row * np.sin(direction)  # rows count downwards
            for spatial in self.spatial:
                sigma = CYCLES_IN_SPACE / spatial
                phase = 2 * np.pi * spatial * across
                even, odd = (
                    ndimage.gaussian_filter(centred * wave, (0, sigma, sigma), mode="constant")
                    for wave in (np.cos(phase), -np.sin(phase))
                )
                for temporal in self.temporal:
                    response = _causal_filter(even + 1j * odd, temporal, interval)
                    columns.append((np.abs(response) ** 2).mean(axis=(1, 2)))
        return np.stack(columns, axis=1)


def _causal_filter(frames: np.ndarray, frequency: float, interval: float) -> np.ndarray:
    """Past of each frame times a carrier of this frequency (hertz), under half a Gaussian."""
    sigma = CYCLES_IN_TIME / frequency
    lag = np.arange(0, min(int(np.ceil(3 * sigma / interval)) + 1, len(frames))) * interval
    weights = np.exp(-0.5 * (lag / sigma) ** 2)
    weights = weights / weights.sum() * np.exp(-2j * np.pi * frequency * lag)
    result = np.zeros_like(frames)
    for k, weight in enumerate(weights):
        result[k:] += weight * frames[: len(frames) - k]
    return result


KINDS = {
    "luminance": Luminance,
    "contrast": Contrast,
    "pixels": Pixels,
    "patch_pca": PatchPCA,
    "motion_energy": MotionEnergy,
}


def cropped_and_resized(frames: np.ndarray, crop: Any, size: Any) -> np.ndarray:
    """Part of grey frames (n, H, W), brought to another size; shrinking smooths first, so that nothing aliases."""
    if crop is not None:
        frames = frames[:, crop[0] : crop[1], crop[2] : crop[3]]
    if size is None or tuple(size) == frames.shape[1:]:
        return frames
    factor = np.array(size) / np.array(frames.shape[1:])
    blur = np.maximum((1 / factor - 1) / 2, 0)
    frames = ndimage.gaussian_filter(frames, (0, *blur), mode="nearest")
    return ndimage.zoom(frames, (1, *factor), order=1, mode="nearest", grid_mode=True)
