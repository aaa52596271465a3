"""Macaque somatosensory cortex during reaching: counts of 52 units and the hand's movement."""

from __future__ import annotations

import os

import numpy as np
from scipy.io import loadmat
from sklearn.utils import Bunch

from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.datasets._base import RemoteFile, fetch_file
from skneuro.datasets._blocks import make_block_groups

BIN_WIDTH = 0.05  # s
CUT_JUMP = 1.0  # cm; inside a segment the hand is where its velocity takes it, to well below this
FILE = RemoteFile(
    repository="KordingLab/spykesML",
    commit="ff2b1830ae07909e5f1a0811445ca3fd5732dc6f",
    path="data/s1_data.mat",
    sha256="f6bbe27135636b944e0b715778dadae41dccf043c26cb880d0191665ca9e7dde",
)
DESCR = """Reaching, primary somatosensory cortex (area 2), one macaque: 52 units and the hand

Spike counts of 52 units in bins of 50 ms with the position (cm) and velocity (cm/s) of the hand, 35,129 bins
(1,756 s). Rates lie between 0.13 and 39 Hz (median 6.4 Hz).

The file holds 415 pieces of the recording one after the other without a table of their borders. Each piece is
one trial here. Borders are where the hand is more than 1 cm away from where its velocity would have taken it.
The time between pieces is not known, so each trial starts at 0 s. Counts have no finer time than the bin:
spikes stand in the middle of their bin and cannot be binned below 50 ms.

`groups` are ten contiguous groups of whole segments; `gap_mask` marks the first segment of each, which
belongs to no part. `block_split(groups, gap_mask)` gives the split of skneuro's benchmarks: groups 1 and 5
for validation, 3 and 7 for the test, the others for training.

Source: https://github.com/KordingLab/spykesML (MIT licence), data/s1_data.mat.
Cite: Benjamin AS et al. (2018) Modern machine learning as a benchmark for fitting neural responses. Frontiers
in Computational Neuroscience 12:56.
"""


def fetch_s1_reaching(*, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True) -> Bunch:
    """Load a recording of macaque somatosensory cortex during reaching (1.4 MB).

    Parameters
    ----------
    data_home : path or None, default=None
        Directory of the recordings, see :func:`~skneuro.datasets.get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (415, 52)
            One trial for each continuous segment, with a resolution of 0.05 s.
        modalities : Modalities
            ``hand_velocity`` (cm/s) and ``hand_position`` (cm), one sample (x, y) a bin.
        segment_lengths : int64 ndarray of shape (415,)
            Bins of each segment.
        groups : int64 ndarray of shape (415,)
            Ten contiguous groups of segments, 0 to 9.
        gap_mask : bool ndarray of shape (415,)
            True for the first segment of each group, which is left out of every part.
        bin_width : float, in seconds
            0.05.
        files : list of pathlib.Path
            The file in the cache.
        DESCR : str
            What the recording is, where it is from and what to cite.

    Raises
    ------
    DatasetNotFoundError
        If the file is neither in the cache nor can be downloaded.
    ValueError
        If its contents are not those that were published.

    Examples
    --------
    >>> from skneuro.datasets import block_split, fetch_s1_reaching
    >>> data = fetch_s1_reaching()  # doctest: +SKIP
    >>> split = block_split(data.groups, data.gap_mask)  # doctest: +SKIP
    >>> data.spikes[split.train]  # doctest: +SKIP
    """
    path = fetch_file(FILE, "s1_area2_reaching", data_home=data_home, download_if_missing=download_if_missing)
    content = loadmat(path)
    counts, position, velocity = content["spikes"], content["pos"], content["vel"]  # (bins, units | 2)
    expected = position[:-1] + 0.5 * (velocity[1:] + velocity[:-1]) * BIN_WIDTH
    jumps = np.hypot(*(position[1:] - expected).T) > CUT_JUMP
    borders = np.concatenate([[0], np.flatnonzero(jumps) + 1, [len(counts)]])
    lengths = np.diff(borders)
    groups, gap_mask = make_block_groups(lengths)

    def split(samples: np.ndarray) -> list[np.ndarray]:
        return np.split(samples, borders[1:-1])

    rate = 1.0 / BIN_WIDTH
    return Bunch(
        spikes=SpikeTrains.from_counts(split(counts), BIN_WIDTH),
        modalities=Modalities(
            hand_velocity=TimeSeries.from_lists(split(velocity), rate=rate, names=["vx", "vy"]),
            hand_position=TimeSeries.from_lists(split(position), rate=rate, names=["x", "y"]),
        ),
        segment_lengths=lengths,
        groups=groups,
        gap_mask=gap_mask,
        bin_width=BIN_WIDTH,
        files=[path],
        DESCR=DESCR,
    )
