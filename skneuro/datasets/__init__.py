"""Simulated populations whose truth is known, and public recordings, as containers of :mod:`skneuro.data`."""

from skneuro.datasets._base import clear_data_home, get_data_home
from skneuro.datasets._blocks import block_split, make_block_groups
from skneuro.datasets._hippocampus import fetch_linear_track, fetch_w_maze
from skneuro.datasets._hub_network import make_hub_network
from skneuro.datasets._s1_reaching import fetch_s1_reaching
from skneuro.datasets._spycon import fetch_spycon_1917
from skneuro.datasets._stimulus_driven import make_stimulus_driven_population
from skneuro.datasets._v1_gratings import fetch_v1_gratings

__all__ = [
    "block_split",
    "clear_data_home",
    "fetch_linear_track",
    "fetch_s1_reaching",
    "fetch_spycon_1917",
    "fetch_v1_gratings",
    "fetch_w_maze",
    "get_data_home",
    "make_block_groups",
    "make_hub_network",
    "make_stimulus_driven_population",
]
