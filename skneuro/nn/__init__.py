"""Torch modules of the Neuroformer; nothing of scikit-learn is known here.

Shapes in this folder: C segments in a batch, T bins of a segment (warm-up first), L scored bins, N units,
W windows of B bins, K spikes of a window, S keys of a cross-attention, D the width of the model.
"""

from skneuro.nn.config import ModalityConfig, NeuroformerConfig
from skneuro.nn.neuroformer import Neuroformer

__all__ = ["ModalityConfig", "Neuroformer", "NeuroformerConfig"]
