"""Sizes and parameters of the architecture, and the floating point operations that it cannot do without."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

UNIT_WEIGHT, DT_WEIGHT = 0.45, 0.30  # of the two losses; the rest is the contrastive term, which is not computed here


@dataclass(frozen=True)
class ReleasedConfig:
    """Sizes; the defaults are those of the configuration for V1 and AL with 300 units.

    A window of `window_bins` bins is written token by token, given the `past_bins` bins before it and, with `video`,
    the last four frames up to one window after it.
    """

    n_units: int = 300
    window_bins: int = 5
    past_bins: int = 15
    block: int = 100
    past_block: int = 100
    d_model: int = 256
    n_heads: int = 8
    n_layers: int = 6
    video: bool = False
    frame_shape: tuple[int, int] = (64, 112)
    n_frames: int = 4
    kernel: tuple[int, int, int] = (3, 8, 8)
    stride: tuple[int, int, int] = (3, 4, 4)

    @classmethod
    def small(cls, **sizes) -> ReleasedConfig:
        """Width 64, four heads, two layers a stack."""
        return cls(**{"d_model": 64, "n_heads": 4, "n_layers": 2, **sizes})

    @property
    def start(self) -> int:
        """Unit token that begins a window; the next two end it and pad it."""
        return self.n_units

    @property
    def end(self) -> int:
        """Unit token that ends a window."""
        return self.n_units + 1

    @property
    def n_unit_tokens(self) -> int:
        """Units and the three special tokens."""
        return self.n_units + 3

    @property
    def dt_end(self) -> int:
        """Dt token that ends a window."""
        return max(self.window_bins, self.past_bins) + 2

    @property
    def n_dt_tokens(self) -> int:
        """Bins of the longer of the two windows, both ends included, and the three special tokens."""
        return max(self.window_bins, self.past_bins) + 4

    @property
    def grid(self) -> tuple[int, int, int]:
        """Tokens of a stimulus window in time, down and across."""
        size = (self.n_frames, *self.frame_shape)
        return tuple((n - k) // s + 1 for n, k, s in zip(size, self.kernel, self.stride, strict=True))

    @property
    def n_stimulus_tokens(self) -> int:
        """Tokens of a stimulus window: tubelets, and the start token in front of them."""
        return math.prod(self.grid) + 1


class Block(nn.Module):
    """Parameters of attention and a position-wise network, each after its norm, and a norm at the end.

    The first norm is for the queries only: keys and values are read from what is attended to as it is, in
    self-attention too.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(d_model)
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)
        self.norm_network = nn.LayerNorm(d_model)
        self.up = nn.Linear(d_model, 4 * d_model)
        self.down = nn.Linear(4 * d_model, d_model)
        self.norm_end = nn.LayerNorm(d_model)


class ReleasedNetwork(nn.Module):
    """All parameters; the subclasses say how to compute with them."""

    def __init__(self, config: ReleasedConfig) -> None:
        super().__init__()
        self.config = config
        d_model = config.d_model

        def stack() -> nn.ModuleList:
            return nn.ModuleList(Block(d_model) for _ in range(config.n_layers))

        self.unit = nn.Embedding(config.n_unit_tokens, d_model)
        self.position = nn.Parameter(torch.zeros(config.block, d_model))
        self.past_position = nn.Parameter(torch.zeros(config.past_block, d_model))
        self.time, self.past_time = (  # of the number of the dt token
            nn.Sequential(nn.Linear(1, d_model // 2), nn.GELU(), nn.Linear(d_model // 2, d_model)) for _ in range(2)
        )
        self.encoder = stack()
        self.past_fusion = stack()
        if config.video:
            self.tubelets = nn.Conv3d(1, d_model, config.kernel, config.stride)
            self.tubelet_norm = nn.LayerNorm(d_model)
            self.stimulus_encoder = stack()
            self.stimulus_fusion = stack()
        self.decoder = stack()
        self.head_unit = nn.Linear(d_model, config.n_unit_tokens, bias=False)
        self.head_dt = nn.Linear(d_model, config.n_dt_tokens, bias=False)

    def draw(self, seed: int, sd: float = 0.02) -> ReleasedNetwork:
        """Draw all weights, biases and positions included, so that equality of two ways to compute means something."""
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, p in self.named_parameters():
                noise = torch.randn(p.shape, generator=generator) * sd
                is_scale = "norm" in name and name.endswith("weight")
                p.copy_(1 + noise if is_scale else noise)
        return self

    def n_block_parameters(self) -> int:
        """Of one block."""
        return sum(p.numel() for p in self.encoder[0].parameters())


def needed_flops(
    config: ReleasedConfig, length: np.ndarray, past_length: np.ndarray, n_stimuli: int = 0, *, training: bool = False
) -> float:
    """Floating point operations that a forward pass (times three with the gradients) cannot do without.

    Real tokens only, every distinct stimulus window once, the causal half of self-attention; norms, softmax and the
    like count nothing.

    Parameters
    ----------
    length, past_length : ndarray of shape (B,)
        Inputs of each window (start token and spikes) and keys of its past.
    n_stimuli : int
        Distinct stimulus windows.
    """
    d, layers = config.d_model, config.n_layers
    length, past_length = np.asarray(length, dtype=float), np.asarray(past_length, dtype=float)
    tokens, keys = length.sum(), past_length.sum()
    causal_pairs = (length * (length + 1) / 2).sum()
    self_attention = tokens * 24 * d**2 + 4 * d * causal_pairs
    past = tokens * 20 * d**2 + keys * 4 * d**2 + 4 * d * (length * past_length).sum()
    total = layers * (2 * self_attention + past) + 2 * d * tokens * (config.n_unit_tokens + config.n_dt_tokens)
    if config.video and n_stimuli:
        s = config.n_stimulus_tokens
        encode = (s - 1) * 2 * math.prod(config.kernel) * d + layers * (s * 24 * d**2 + 4 * d * s**2)
        total += n_stimuli * (encode + layers * s * 4 * d**2)
        total += layers * (tokens * 20 * d**2 + 4 * d * tokens * s)
    return float(total) * (3 if training else 1)


def weighted_loss(unit_logits: Tensor, dt_logits: Tensor, next_unit: Tensor, next_dt: Tensor) -> Tensor:
    """The two cross entropies per real token; rows are tokens that are not padding."""
    cross_entropy = nn.functional.cross_entropy
    return UNIT_WEIGHT * cross_entropy(unit_logits, next_unit) + DT_WEIGHT * cross_entropy(dt_logits, next_dt)
