"""From spikes to what models read: tokens, and counts on a grid."""

from .binner import SpikeBinner
from .tokenizer import SpikeTokenizer
from .tokens import Tokens

__all__ = ["SpikeBinner", "SpikeTokenizer", "Tokens"]
