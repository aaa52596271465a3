"""Video as tubelets: boxes of a few frames and pixels, each a token that knows where it is and what is around it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import ModalityConfig, NeuroformerConfig, Tubelets
from skneuro.nn.keys import ModalityKeys
from skneuro.nn.layers import Dropout, FeedForward, RandomSource, join_heads, split_heads

N_WAVES = 6  # cosines along rows, and along columns, that tell a place


@dataclass(frozen=True)
class TokenGeometry:
    """Which pixels each token of a frame covers, in the pixels of the frames as they were given.

    Token ``p`` of a key is at place ``p``: row by row, from the top left. The key's time is the onset of the last of
    its `n_frames` frames; ages are counted from it.

    Attributes
    ----------
    grid : tuple of 2 int
        Places down and across.
    rows, columns : ndarray of shape (P, 2), int
        First pixel of each place, and the one after its last.
    n_frames : int
        Frames of a token.
    """

    grid: tuple[int, int]
    rows: np.ndarray
    columns: np.ndarray
    n_frames: int


def token_geometry(modality: ModalityConfig) -> TokenGeometry:
    """Where the tokens of a video lie.

    Raises
    ------
    ValueError
        If the modality has no pixels.
    """
    if len(modality.shape) < 2:
        raise ValueError(f"The modality {modality.name!r} has samples of shape {modality.shape}: no pixels.")
    height, width = modality.shape[:2]
    tubelets = modality.tubelets or Tubelets((1, height, width), (1, height, width))
    grid = tubelets.grid(modality.shape)
    number = np.arange(grid[0] * grid[1])
    sides = []
    for place, n, size, stride in (
        (number // grid[1], height, tubelets.size[1], tubelets.stride[1]),
        (number % grid[1], width, tubelets.size[2], tubelets.stride[2]),
    ):
        sides.append(np.stack([place * stride, np.minimum(place * stride + size, n)], axis=1))
    return TokenGeometry(grid, sides[0], sides[1], tubelets.size[0])


class TubeletEncoder(nn.Module):
    """A 3-D convolution over frames, the place of each tubelet, and attention among the places of the same frames.

    The convolution runs over every distinct frame once, with one set of weights for each frame of a tubelet; a
    tubelet is the sum of what its frames give. Pixels beyond the frame, and frames before the clip, are grey (the
    mean of training). Age is not part of a token: it depends on the bin that looks, and enters in the attention.

    Parameters
    ----------
    modality : ModalityConfig
    tubelets : Tubelets
        Those of the modality.
    config : NeuroformerConfig
    source : RandomSource
    """

    position: Tensor

    def __init__(
        self, modality: ModalityConfig, tubelets: Tubelets, config: NeuroformerConfig, source: RandomSource
    ) -> None:
        super().__init__()
        height, width, *channels = modality.shape
        self.shape = (height, width, int(np.prod(channels, dtype=int)))
        self.size, self.stride = tubelets.size, tubelets.stride
        geometry = token_geometry(modality)
        down, across = geometry.grid
        self.padding = (
            0, max((across - 1) * self.stride[2] + self.size[2] - width, 0),
            0, max((down - 1) * self.stride[1] + self.size[1] - height, 0),
        )  # fmt: skip
        self.register_buffer("position", waves(geometry, (height, width)), persistent=False)
        d_model, self.n_heads = config.d_model, config.n_heads
        n_values = int(np.prod(self.size)) * self.shape[2]
        self.kernel = nn.Parameter(torch.empty(self.size[0], d_model, self.shape[2], *self.size[1:]))
        nn.init.uniform_(self.kernel, -(n_values**-0.5), n_values**-0.5)
        self.bias = nn.Parameter(torch.zeros(d_model))
        self.place = nn.Linear(2 * N_WAVES, d_model, bias=False)
        self.norm = nn.LayerNorm(d_model)
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)
        self.dropout = Dropout(config.dropout, source)
        self.feed_forward = FeedForward(d_model, config.dropout, source)

    def forward(self, keys: ModalityKeys) -> Tensor:
        """Tokens (V, P, D) of the distinct tubelets of a batch."""
        if keys.tubelets is None:
            raise ValueError("a video that enters in tubelets needs keys that hold them")
        x = self.embed(keys.values, keys.tubelets.frames) + self.place(self.position)
        q, k, v = (split_heads(part, self.n_heads) for part in self.qkv(self.norm(x)).chunk(3, dim=-1))
        x = x + self.dropout(self.out(join_heads(F.scaled_dot_product_attention(q, k, v))))
        return self.feed_forward(x)

    def embed(self, values: Tensor, frames: Tensor) -> Tensor:
        """The convolution: frames (U, H * W * C) and the frames of each tubelet (V, K) to (V, P, D)."""
        images = values.reshape(-1, *self.shape).permute(0, 3, 1, 2)  # (U, C, H, W)
        found = F.conv2d(F.pad(images, self.padding), self.kernel.flatten(0, 1), stride=self.stride[1:])
        found = found.unflatten(1, (self.size[0], -1)).flatten(3)  # (U, K, D, P)
        found = torch.cat([found, torch.zeros_like(found[:1])])  # the last row: before the clip
        parts = [found[:, back][frames[:, back]] for back in range(self.size[0])]
        return torch.stack(parts).sum(0).transpose(1, 2) + self.bias


def waves(geometry: TokenGeometry, shape: tuple[int, int]) -> Tensor:
    """Cosines of the middle of each place along its axes, (P, 2 * N_WAVES); an axis runs over half a period."""
    middle = np.stack([side.mean(1) / n for side, n in zip((geometry.rows, geometry.columns), shape, strict=True)])
    number = np.arange(1, N_WAVES + 1)
    return torch.from_numpy(np.cos(math.pi * middle.T[..., None] * number)).float().flatten(1)
