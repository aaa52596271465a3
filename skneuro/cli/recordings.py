"""Recordings by name or by file, brought into one form."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skneuro.cli.errors import CommandError, as_command_error
from skneuro.cli.npz import NPZ_KEYS, read_npz
from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries


@dataclass(frozen=True)
class Loaded:
    """A recording and what is known about it.

    Parameters
    ----------
    name, description : str
        What it is, in a few words and in a sentence.
    spikes : SpikeTrains
        All trials.
    modalities : Modalities or None
        Everything recorded beside them.
    stimuli : Modalities or None
        What of it a model is given.
    bin_width : float or None, in seconds
        The bin width that suits it.
    sync_pulses : tuple of two ndarrays or None, in seconds
        The same pulses on two clocks.
    groups, gap_mask : ndarray of shape (n_trials,), or None
        Its own division into blocks of time.
    repeats : bool
        Whether every trial is a repeat of the same stimulus.
    outside : float
        Share of the file's spikes that lie before the first trial or after the last, and are left out.
    """

    name: str
    spikes: SpikeTrains
    modalities: Modalities | None = None
    stimuli: Modalities | None = None
    description: str = ""
    bin_width: float | None = None
    sync_pulses: tuple[np.ndarray, np.ndarray] | None = None
    groups: np.ndarray | None = None
    gap_mask: np.ndarray | None = None
    repeats: bool = False
    outside: float = 0.0


def load(source: str, *, seed: int = 0, quick: bool = False) -> Loaded:
    """Load a data set by name, or a file by its ending.

    Parameters
    ----------
    source : str
        One of `DATASETS`, or the path of an .npz or .nwb file.
    seed : int, default=0
        Seed of a simulation.
    quick : bool, default=False
        Whether a simulation is to be a short one.

    Returns
    -------
    recording : Loaded

    Raises
    ------
    CommandError
        If there is no such data set or file, or the file holds no recording.

    Examples
    --------
    >>> from skneuro.cli.recordings import load
    >>> load("rat.xlsx")
    Traceback (most recent call last):
    skneuro.cli.errors.CommandError: rat.xlsx: no such file; give an .npz or .nwb file, or one of hub, ...
    """
    path = Path(source)
    if source in SIMULATED:
        return SIMULATED[source](seed, quick)
    if source in DATASETS:
        with as_command_error(source):
            return DATASETS[source]()
    if not path.is_file():
        what = "a folder" if path.is_dir() else "no such file"
        close = difflib.get_close_matches(source.lower().replace("_", "-"), DATASETS, n=1)
        meant = f"did you mean {close[0]}? Give" if close else "give"
        raise CommandError(f"{source}: {what}; {meant} an .npz or .nwb file, or one of {', '.join(DATASETS)}")
    if path.suffix == ".npz":
        held = read_npz(path)
        return _from_file(path, held.spikes, held.modalities, sync_pulses=held.pulses, outside=held.outside)
    if path.suffix == ".nwb":
        return _read_nwb(path)
    raise CommandError(
        f"{path}: expected a file that ends in .npz or .nwb. {NPZ_KEYS}. Read other formats with neo or "
        "SpikeInterface and convert them with skneuro.data.as_spike_trains"
    )


def _from_file(path: Path, spikes: SpikeTrains, modalities: Modalities | None, **known: Any) -> Loaded:
    beside = f", with {', '.join(modalities.names)}" if modalities is not None else ""
    return Loaded(
        name=path.name,
        spikes=spikes,
        modalities=modalities,
        stimuli=modalities,
        bin_width=spikes.resolution,
        description=f"Spikes from {path.name}{beside}.",
        **known,
    )


def _read_nwb(path: Path) -> Loaded:
    from skneuro.data import read_nwb

    with as_command_error(f"{path}: not read"):
        recording = read_nwb(path)
    return _from_file(path, recording.spikes, recording.modalities)


def _hub(seed: int = 0, quick: bool = False) -> Loaded:
    from skneuro.datasets import make_hub_network

    n_units, duration, period = (40, 240.0, 4.0) if quick else (80, 600.0, 5.0)
    network = make_hub_network(n_units, duration, level="stimulus", random_state=seed, stimulus_period=period)
    trials = Recording(network.spikes, Modalities(stimulus=network.stimuli)).cut(period)
    return Loaded(
        name="simulated hub network",
        spikes=trials.spikes,
        modalities=trials.modalities,
        stimuli=trials.modalities,
        bin_width=0.01,
        repeats=True,
        description=(
            f"A simulated network of {n_units} leaky integrate-and-fire units, {len(network.hubs)} of them hubs, that "
            f"sees a stimulus of two channels and {period:g} s, {len(trials)} times in a row."
        ),
    )


def _video(seed: int = 0, quick: bool = False) -> Loaded:
    from skneuro.datasets import make_stimulus_driven_population

    n_units, n_clips = (20, 60) if quick else (40, 150)
    data = make_stimulus_driven_population(
        n_units, n_clips, 2, mean_rate=10.0, shared_gain=0.3, coupling=0.2, random_state=seed
    )
    seen = Modalities(video=data.video)
    return Loaded(
        name="simulated population that sees a video",
        spikes=data.spikes,
        modalities=seen,
        stimuli=seen,
        bin_width=1 / 30,
        description=(
            f"{n_units} simulated units with receptive fields of 8 x 8 pixels, which share a gain and drive each "
            f"other, see {n_clips} clips of 2 s twice."
        ),
    )


def _s1_reaching() -> Loaded:
    from skneuro.datasets import fetch_s1_reaching

    data = fetch_s1_reaching()
    return Loaded(
        name="S1, reaching",
        spikes=data.spikes,
        modalities=data.modalities,
        bin_width=data.bin_width,
        groups=data.groups,
        gap_mask=data.gap_mask,
        description=(
            "Somatosensory cortex (area 2) of a reaching macaque: 52 units, counts in bins of 50 ms, 415 "
            "segments (Benjamin et al. 2018, Front Comput Neurosci 12:56). Models see spikes only."
        ),
    )


def _linear_track() -> Loaded:
    from skneuro.datasets import fetch_linear_track

    return _hippocampus("linear track", fetch_linear_track())


def _w_maze() -> Loaded:
    from skneuro.datasets import fetch_w_maze

    return _hippocampus("W-maze", fetch_w_maze())


def _hippocampus(maze: str, data: Any) -> Loaded:
    position = data.modalities["position"]
    modalities = Modalities(position=position, speed=speed_of(position))
    return Loaded(
        name=f"hippocampus, {maze}",
        spikes=data.spikes,
        modalities=modalities,
        stimuli=modalities,
        bin_width=0.05,
        description=(
            f"Hippocampus of a rat that runs ({maze}) and rests: {data.spikes.shape[1]} units from tetrodes, with "
            "position and speed (nelpy example data)."
        ),
    )


def _v1_gratings() -> Loaded:
    from skneuro.datasets import fetch_v1_gratings
    from skneuro.preprocessing import CalciumEvents

    data = fetch_v1_gratings()
    inference = CalciumEvents()
    spikes = inference.fit_transform(data.modalities["dff"])
    modalities = Modalities(
        grating=grating_of(data.direction, spikes), speed=data.modalities["speed"], pupil=data.modalities["pupil"]
    )
    return Loaded(
        name="V1, drifting gratings",
        spikes=spikes,
        modalities=modalities,
        stimuli=modalities,
        bin_width=spikes.resolution,
        description=(
            f"Visual cortex of a mouse that sees gratings of 8 directions: {spikes.shape[1]} neurons by two-photon "
            "imaging, with running speed and pupil (Park et al. 2024). Not spikes: events where dF/F jumps by more "
            f"than {inference.threshold:g} standard deviations of its noise, which look at nothing later."
        ),
    )


def grating_of(direction: np.ndarray, spikes: SpikeTrains) -> TimeSeries:
    """Series of (on, cosine, sine) of a grating that is on from 0 s of each trial's clock.

    Parameters
    ----------
    direction : ndarray of shape (n_trials,), in degrees
    spikes : SpikeTrains
        The trials; a frame is their `resolution`, 50 ms where they have none.

    Returns
    -------
    grating : TimeSeries
        One sample a frame; zeros while there is no grating.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.cli.recordings import grating_of
    >>> from skneuro.data import SpikeTrains
    >>> trial = SpikeTrains.from_counts(np.zeros((1, 3, 1), dtype=int), 0.5, t_start=-0.5)
    >>> grating_of(np.array([0]), trial).values.tolist()
    [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """
    angle = np.deg2rad(direction)
    frame = spikes.resolution or 0.05
    series, stamps = [], []
    for start, duration, one in zip(spikes.t_start, spikes.duration, angle, strict=True):
        time = start + np.arange(round(duration / frame)) * frame
        on = (time > -0.5 * frame).astype(float)
        series.append(np.outer(on, [1.0, np.cos(one), np.sin(one)]))
        stamps.append(time)
    return TimeSeries.from_lists(series, timestamps=stamps, names=["on", "cosine", "sine"])


def speed_of(position: TimeSeries, width: float = 0.25) -> TimeSeries:
    """Speed from position, over windows of `width` seconds.

    A window ends where the tracking is lost (NaN, or no sample) for longer than `width`.

    Parameters
    ----------
    position : TimeSeries
        One column a coordinate.
    width : float, default=0.25
        In seconds; shorter movements of the light on the head are not running.

    Returns
    -------
    speed : TimeSeries
        In units of the position per second, at the same times; NaN where the position is, or has no neighbour.

    Examples
    --------
    >>> from skneuro.cli.recordings import speed_of
    >>> from skneuro.data import TimeSeries
    >>> walk = TimeSeries.from_lists([[[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]], rate=1.0)
    >>> speed_of(walk).values.ravel().tolist()
    [5.0, 5.0, 5.0]
    """
    speeds, stamps = [], []
    for first, last, interval in zip(position.ptr[:-1], position.ptr[1:], position.interval, strict=True):
        known = ~np.isnan(position.values[first:last]).any(axis=1)
        t, xy = position.timestamps[first:last][known], position.values[first:last][known]
        step, farthest = max(1, round(0.5 * width / float(interval))), max(width, 1.5 * float(interval))
        number = np.arange(t.size)
        ahead = np.minimum(number + step, np.searchsorted(t, t + farthest, side="right") - 1)
        behind = np.maximum(number - step, np.searchsorted(t, t - farthest))
        speed = np.full(known.size, np.nan)
        with np.errstate(invalid="ignore"):  # 0 / 0 for a sample that stands alone
            speed[known] = np.linalg.norm(xy[ahead] - xy[behind], axis=1) / (t[ahead] - t[behind])
        speeds.append(speed)
        stamps.append(position.timestamps[first:last])
    return TimeSeries.from_lists(speeds, timestamps=stamps, names=["speed"], missing=position.missing)


SIMULATED: dict[str, Callable[[int, bool], Loaded]] = {"hub": _hub, "video": _video}
DATASETS: dict[str, Callable[[], Loaded]] = {
    "hub": _hub,
    "video": _video,
    "s1-reaching": _s1_reaching,
    "linear-track": _linear_track,
    "w-maze": _w_maze,
    "v1-gratings": _v1_gratings,
}
