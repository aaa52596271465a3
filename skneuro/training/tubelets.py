"""How large the tubelets of a video are, where the user does not say."""

from __future__ import annotations

from typing import Literal

import numpy as np

from skneuro.nn.config import Tubelets

Size = tuple[int, int, int] | Literal["auto"] | None
Stride = tuple[int, int, int] | Literal["auto"]

WHOLE_VALUES = 1024  # frames of up to so many values enter whole: they score higher that way, and cost less
MOST_PLACES = 64
SECONDS = 0.1  # of a tubelet


def tubelets_of(shape: tuple[int, ...], interval: float, size: Size, stride: Stride) -> Tubelets | None:
    """Tubelets of a video.

    Parameters
    ----------
    shape : tuple of int
        (height, width) or (height, width, channels) of a frame.
    interval : float
        Seconds between frames; inf for stills.
    size, stride : tuple of 3 int or "auto"
        Frames, rows and columns. "auto" takes whole frames (no tubelets) of up to `WHOLE_VALUES` values; of larger
        ones about 0.1 s and squares that make at most `MOST_PLACES` places, and a stride of half the duration and the
        whole side. A size of None takes whole frames.

    Returns
    -------
    Tubelets or None
    """
    if size is None or (size == "auto" and stride == "auto" and np.prod(shape) <= WHOLE_VALUES):
        return None
    height, width = shape[:2]
    if size == "auto":
        side = _side(height, width)
        size = (max(round(SECONDS / interval), 1), side, side)
        if stride != "auto":
            size = (max(size[0], stride[0]), max(side, stride[1]), max(side, stride[2]))
    n_frames, tall, wide = size[0], min(size[1], height), min(size[2], width)
    if stride == "auto":
        stride = (max(n_frames // 2, 1), tall, wide)
    return Tubelets((n_frames, tall, wide), (stride[0], min(stride[1], tall), min(stride[2], wide)))


def _side(height: int, width: int) -> int:
    """Side of the smallest squares of which at most `MOST_PLACES` cover a frame."""
    side = max(int((height * width / MOST_PLACES) ** 0.5), 1)
    while -(-height // side) * -(-width // side) > MOST_PLACES:
        side += 1
    return side
