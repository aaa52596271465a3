"""From recordings to what models read: events of fluorescence, tokens, and counts on a grid."""

from skneuro.preprocessing.binner import SpikeBinner
from skneuro.preprocessing.calcium import CalciumEvents
from skneuro.preprocessing.lfp import LFPBands
from skneuro.preprocessing.stimulus_features import StimulusFeatures
from skneuro.preprocessing.tokenizer import SpikeTokenizer
from skneuro.preprocessing.tokens import Tokens

__all__ = ["CalciumEvents", "LFPBands", "SpikeBinner", "SpikeTokenizer", "StimulusFeatures", "Tokens"]
