"""From spikes to what models read: tokens, and counts on a grid."""

from skneuro.preprocessing.binner import SpikeBinner
from skneuro.preprocessing.tokenizer import SpikeTokenizer
from skneuro.preprocessing.tokens import Tokens

__all__ = ["SpikeBinner", "SpikeTokenizer", "Tokens"]
