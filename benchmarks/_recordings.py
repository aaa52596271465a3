"""The recordings and simulations of the quality benchmarks, cut into trials and ten contiguous groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from _place_cells import place_cells

from skneuro import datasets
from skneuro.cli.recordings import grating_of, speed_of
from skneuro.data import Modalities, Recording, SpikeTrains, Video
from skneuro.preprocessing import CalciumEvents

TRIAL = 5.0  # s, into which one long recording is cut
GRU_STEPS = 1200  # the default


@dataclass(frozen=True)
class Session:
    """One recording: trials, what was shown, the group of each trial, and which trials are gaps between groups.

    `window_bins` is the Neuroformer's window; everything else is scored bin by bin anyway. `gru_steps` is raised where
    the default's end while the GRU's held-out score still rises.
    """

    spikes: SpikeTrains
    stimuli: Modalities | Video | None
    groups: np.ndarray
    gap: np.ndarray
    bin_width: float
    window_bins: int = 1
    gru_steps: int = GRU_STEPS


def _session(spikes: SpikeTrains, stimuli, bin_width: float, window_bins: int = 1) -> Session:
    groups, gap = datasets.make_block_groups(spikes)
    return Session(spikes, stimuli, groups, gap, bin_width, window_bins)


def s1(hand: bool = False) -> Session:
    """Area 2 of a macaque that reaches: 52 units, 415 segments, 50 ms; alone or with the hand's movement."""
    data = datasets.fetch_s1_reaching()
    return Session(data.spikes, data.modalities if hand else None, data.groups, data.gap_mask, 0.05)


def linear_track(bin_width: float = 0.05, window_bins: int = 1, gru_steps: int = GRU_STEPS) -> Session:
    """Rat hippocampus on a linear track: 31 units, from spikes alone."""
    session = _session(datasets.fetch_linear_track().spikes.cut(TRIAL), None, bin_width, window_bins)
    return replace(session, gru_steps=gru_steps)


def w_maze() -> Session:
    """Rat hippocampus in a W-maze and at rest, without the 107 Hz noise unit: from spikes alone, 50 ms."""
    return replace(_session(datasets.fetch_w_maze().spikes.cut(TRIAL), None, 0.05), gru_steps=2400)


def with_position(fetch: Callable) -> Session:
    """A recording of hippocampus with the tracked position and its speed (over 0.25 s around each time), 50 ms."""
    data = fetch()
    position = data.modalities["position"]
    return _on_the_way(Recording(data.spikes, Modalities(position=position, speed=speed_of(position))))


def _on_the_way(told: Recording) -> Session:
    trials = told.cut(TRIAL)
    return replace(_session(trials.spikes, trials.modalities, 0.05), gru_steps=2400)


def hub(level: str, seed: int = 31) -> Session:
    """A simulated hub network with shared input: 80 observed units, 10 ms."""
    data = datasets.make_hub_network(80, 300.0, level=level, random_state=seed)
    return _session(data.spikes.cut(TRIAL), None, 0.01, 5)


def video(seed: int = 31) -> Session:
    """A simulated population that a video drives, coupled and with a shared gain: test clips are unseen, 20 ms."""
    data = datasets.make_stimulus_driven_population(
        40, n_clips=60, n_repeats=4, shared_gain=0.3, coupling=0.3, random_state=seed
    )
    clip = data.groups  # whole clips go to a group, so that no test clip was seen in training
    return Session(data.spikes, data.video, clip * 10 // 60, np.zeros(len(clip), dtype=bool), 0.02, 5)


def v1_gratings(session: str = "mrcuts28") -> Session:
    """Mouse V1, two-photon, drifting gratings: events inferred from dF/F, with grating, speed and pupil, 62.5 ms."""
    data = datasets.fetch_v1_gratings(session)
    spikes = CalciumEvents().fit_transform(data.modalities["dff"])
    stimuli = Modalities(
        grating=grating_of(data.direction, spikes), speed=data.modalities["speed"], pupil=data.modalities["pupil"]
    )
    return _session(spikes, stimuli, spikes.resolution)


def spycon() -> Session:
    """A simulation by others, of spiking neurons in a network: 20 of them, 10 ms."""
    return _session(datasets.fetch_spycon_1917("tiny").spikes.cut(TRIAL), None, 0.01, 5)


RECORDINGS: dict[str, Callable[[], Session]] = {
    "S1": s1,
    "S1, hand": lambda: s1(hand=True),
    "linear track": linear_track,
    "linear track, position": lambda: with_position(datasets.fetch_linear_track),
    "linear track, 10 ms": lambda: linear_track(0.01, 5, 4800),
    "W-maze": w_maze,
    "W-maze, position": lambda: with_position(datasets.fetch_w_maze),
    "V1 gratings": v1_gratings,
    "hub, medium": lambda: hub("medium"),
    "hub, hard": lambda: hub("hard"),
    "video": video,
    "place cells": lambda: _on_the_way(place_cells()),
}
# Looked at late, when nearly all defaults had been set: the page on scores says for which they served.
LATE: dict[str, Callable[[], Session]] = {
    "V1 gratings, mouse 25": lambda: v1_gratings("mrcuts25"),
    "V1 gratings, mouse 30": lambda: v1_gratings("mrcuts30"),
    "spycon, tiny": spycon,
    "hub, hard, another": lambda: hub("hard", 78),
    "video, another": lambda: video(79),
}
RECORDINGS |= LATE
