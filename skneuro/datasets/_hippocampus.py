"""Rat hippocampus, tetrodes: runs on a linear track and in a W-maze, rests, and the animal's position."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.io import loadmat
from sklearn.utils import Bunch

from skneuro._sklearn_compat import validate_parameter_constraints
from skneuro.data import Modalities, SpikeTrains, TimeSeries
from skneuro.datasets._base import RemoteFile, fetch_file

NOISE_RATE = 50.0  # Hz; no principal cell or interneuron of these recordings keeps this up for an hour
_REPOSITORY, _COMMIT = "nelpy/example-data", "099548c0608ffaa92933c66346c0d96f05a18622"
_CLOCK = 30_000.0  # Hz, written in the header of the tracking file
_SAMPLE = np.dtype([("t", "<u4"), ("x", "<u2"), ("y", "<u2"), ("x2", "<u2"), ("y2", "<u2")])

LINEAR_TRACK_FILES = (
    RemoteFile(
        _REPOSITORY,
        _COMMIT,
        "linear-track/spikes.mat",
        "615b05a9228a5eaea7f99d5fc5b11848a4d94fc154104612410c887875b65bc7",
    ),
    RemoteFile(
        _REPOSITORY,
        _COMMIT,
        "linear-track/trajectory.videoPositionTracking",
        "10a883302c50e26d5f659ac4ee08d8901f7881c71f6800cd56d999a620b31cb5",
    ),
)
W_MAZE_FILES = (
    RemoteFile(
        _REPOSITORY,
        _COMMIT,
        "w-maze/spikes.mat",
        "d07766c93444817c9678fb3ea332fe85286c49061a608a346b0d48f309e272a8",
    ),
    RemoteFile(
        _REPOSITORY,
        _COMMIT,
        "w-maze/trajectory.videoPositionTracking",
        "6a5a1311d90c256e7caa68969c325060764287d8f89fa6cc6bc30ccd32e80578",
    ),
)
_COMMON = """
The recording is one continuous trial on the recording's own clock. It spans the time that was both
spike-sorted and tracked; `spikes.cut(duration)` or `Recording(spikes, modalities).cut(duration)` makes blocks
of it. The position is that of one light on the head in pixels (the scale in cm is not given), about 60
samples a second with the camera's own timestamps; where frames were lost the last position stands, and of
two samples with one timestamp the first is kept. The tracker jumps now and then, which is left as it is.

Source: https://github.com/nelpy/example-data (MIT licence), Kemere lab. The repository names no paper.
"""
LINEAR_TRACK_DESCR = (
    """Rat hippocampus, tetrodes: a linear track, then rest

31 units (spike times, 0.02 to 4 Hz) and the position of a rat that runs on a linear track for about 16
minutes and then rests for about 17.
"""
    + _COMMON
)
W_MAZE_DESCR = (
    """Rat hippocampus, tetrodes: a W-maze, twice, with rests

24 units (spike times, 0.02 to 3 Hz) and the position of a rat in a W-maze. It runs in about minutes 2 to 19
and 37 to 57 of the recording and rests in between. A 25th unit fires at 107 Hz and is almost surely noise or
many cells: it has quality "noise" in `unit_info` and is left out unless `keep_noise_unit=True`. One unit
appears only in the last ten minutes.
"""
    + _COMMON
)


def fetch_linear_track(*, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True) -> Bunch:
    """Load a recording of rat hippocampus on a linear track and at rest (1.6 MB).

    Parameters
    ----------
    data_home : path or None, default=None
        Directory of the recordings, see :func:`~skneuro.datasets.get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (1, 31)
            One long trial; ``unit_info`` has the columns ``tetrode``, ``cluster``, ``mean_rate`` (Hz) and
            ``quality`` ("good" or "noise").
        modalities : Modalities
            ``position``, samples (x, y) in pixels at their own timestamps.
        files : list of pathlib.Path
            The files in the cache.
        DESCR : str
            What the recording is, where it is from and what to cite.

    Raises
    ------
    DatasetNotFoundError
        If a file is neither in the cache nor can be downloaded.
    ValueError
        If the contents of a file are not those that were published.

    Examples
    --------
    >>> from skneuro.datasets import fetch_linear_track
    >>> data = fetch_linear_track()  # doctest: +SKIP
    >>> blocks = data.spikes.cut(10.0)  # doctest: +SKIP
    """
    paths = [
        fetch_file(file, "hippocampus_linear_track", data_home=data_home, download_if_missing=download_if_missing)
        for file in LINEAR_TRACK_FILES
    ]
    return _load(paths, LINEAR_TRACK_DESCR)


def fetch_w_maze(
    *,
    keep_noise_unit: bool = False,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load a recording of rat hippocampus in a W-maze and at rest (6 MB).

    Parameters
    ----------
    keep_noise_unit : bool, default=False
        Keep the unit that fires at 107 Hz, almost surely noise or many cells.
    data_home : path or None, default=None
        Directory of the recordings, see :func:`~skneuro.datasets.get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (1, 24), or (1, 25) with the noise unit
            One long trial; ``unit_info`` has the columns ``tetrode``, ``cluster``, ``mean_rate`` (Hz) and
            ``quality`` ("good" or "noise").
        modalities : Modalities
            ``position``, samples (x, y) in pixels at their own timestamps.
        files : list of pathlib.Path
            The files in the cache.
        DESCR : str
            What the recording is, where it is from and what to cite.

    Raises
    ------
    DatasetNotFoundError
        If a file is neither in the cache nor can be downloaded.
    ValueError
        If `keep_noise_unit` is not a bool, or the contents of a file are not those that were published.

    Examples
    --------
    >>> from skneuro.datasets import fetch_w_maze
    >>> data = fetch_w_maze()  # doctest: +SKIP
    >>> data.spikes.unit_info  # doctest: +SKIP
    """
    validate_parameter_constraints(
        {"keep_noise_unit": ["boolean"]}, {"keep_noise_unit": keep_noise_unit}, caller_name="fetch_w_maze"
    )
    paths = [
        fetch_file(file, "hippocampus_w_maze", data_home=data_home, download_if_missing=download_if_missing)
        for file in W_MAZE_FILES
    ]
    data = _load(paths, W_MAZE_DESCR)
    if not keep_noise_unit:
        data.spikes = data.spikes.select_units((data.spikes.unit_info["quality"] != "noise").to_numpy())
    return data


def _load(paths: list[Path], description: str) -> Bunch:
    units, sorted_range = _read_units(paths[0])
    stamps, position = _read_position(paths[1])
    t_start, t_stop = max(sorted_range[0], stamps[0]), min(sorted_range[1], stamps[-1])
    times = [unit.pop("time") for unit in units]
    times = [t[(t >= t_start) & (t < t_stop)] for t in times]
    info = pd.DataFrame(units)
    info["mean_rate"] = [len(t) / (t_stop - t_start) for t in times]
    info["quality"] = np.where(info["mean_rate"] > NOISE_RATE, "noise", "good")
    # One sample from before the trial, so that the position is known from its first moment on.
    kept = slice(max(np.searchsorted(stamps, t_start, side="right") - 1, 0), np.searchsorted(stamps, t_stop) + 1)
    return Bunch(
        spikes=SpikeTrains.from_lists([times], t_start, t_stop, unit_ids=np.arange(len(times)), unit_info=info),
        modalities=Modalities(
            position=TimeSeries.from_lists(
                [position[kept]], timestamps=[stamps[kept]], names=["x", "y"], missing="hold"
            )
        ),
        files=paths,
        DESCR=description,
    )


def _read_units(path: Path) -> tuple[list[dict], tuple[float, float]]:
    """Units of MatClust's nested cells {day}{epoch}{tetrode}{cluster}, and the time that was sorted."""
    units, ranges = [], []
    tetrodes = loadmat(path)["spikes"][0, 0][0, 0]
    for tetrode, clusters in enumerate(tetrodes.ravel(), start=1):
        for cluster, cell in enumerate(clusters.ravel(), start=1):
            times = cell["time"][0, 0].ravel().astype(float) if cell.dtype.names else np.empty(0)
            if times.size:
                units.append({"tetrode": tetrode, "cluster": cluster, "time": times})
                ranges.append(cell["timerange"][0, 0].ravel())
    start, stop = np.array(ranges, dtype=float).T
    return units, (start.max(), stop.min())


def _read_position(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Timestamps (s, strictly ascending) and positions (pixels) of a Trodes tracking file."""
    raw = path.read_bytes()
    start = raw.index(b"\n", raw.index(b"<End settings>")) + 1
    samples = np.frombuffer(raw, _SAMPLE, (len(raw) - start) // _SAMPLE.itemsize, start)
    _, first = np.unique(samples["t"], return_index=True)
    samples = samples[first]
    return samples["t"] / _CLOCK, np.stack([samples["x"], samples["y"]], axis=1).astype(float)
