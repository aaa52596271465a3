"""What the tests of the containers share.

``st.from_type(SpikeTrains)`` draws any legal container; the fixture `recording` holds one of every kind.
"""

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings
from hypothesis import strategies as st

from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries, Video

# No deadline: other work on the machine must not fail a test.
settings.register_profile("skneuro", deadline=None, max_examples=50)
settings.load_profile("skneuro")


@st.composite
def spike_trains(draw, max_trials=6, max_units=4, max_spikes=8):
    """Any legal container: without trials, silent units, equal times, string ids, gaps, unequal trials."""
    n_trials = draw(st.integers(0, max_trials))
    n_units = draw(st.integers(1, max_units))
    start = np.array(draw(st.lists(st.floats(-50, 50), min_size=n_trials, max_size=n_trials)))
    lengths = st.lists(st.sampled_from([0.5, 1.0, 1.37]), min_size=n_trials, max_size=n_trials)
    length = np.array(draw(lengths))
    # In hundredths of the trial, so that ties occur.
    cell = st.lists(st.integers(0, 99), max_size=max_spikes)
    trials = [
        [np.sort(start[k] + np.array(draw(cell), dtype=float) / 100 * length[k] * 0.999) for _ in range(n_units)]
        for k in range(n_trials)
    ]
    if draw(st.booleans()):
        unit_ids = [f"u{j}" for j in range(n_units)][::-1]
    else:
        unit_ids = [10 * j + 3 for j in range(n_units)]
    info = pd.DataFrame({"area": [f"A{j % 2}" for j in range(n_units)], "depth": np.arange(n_units) * 1.5}, unit_ids)
    spikes = SpikeTrains.from_lists(
        trials, start, start + length, unit_ids=unit_ids, trial_ids=np.arange(n_trials) * 7, unit_info=info
    )
    if draw(st.booleans()) and n_trials:
        return with_gaps(spikes, draw(st.integers(0, n_trials - 1)), draw(st.integers(0, n_units - 1)))
    return spikes


def with_gaps(spikes, trial, column):
    """The same spikes without the second half of one trial of one unit, which is marked as not observed."""
    half = (spikes.t_start[trial] + spikes.t_stop[trial]) / 2
    row = np.repeat(np.arange(len(spikes)), np.diff(spikes.ptr))
    keep = ~((row == trial) & (spikes.units == column) & (spikes.times >= half))
    observed = [{} for _ in range(len(spikes))]
    observed[trial] = {spikes.unit_ids[column].item(): [[spikes.t_start[trial], half]]}
    return SpikeTrains(
        spikes.times[keep],
        spikes.units[keep],
        np.concatenate([[0], np.cumsum(np.bincount(row[keep], minlength=len(spikes)))]),
        spikes.t_start,
        spikes.t_stop,
        unit_ids=spikes.unit_ids,
        trial_ids=spikes.trial_ids,
        unit_info=spikes.unit_info,
        observed=observed,
    )


st.register_type_strategy(SpikeTrains, spike_trains())


@pytest.fixture
def recording():
    """Twelve trials of one second with three units, three clips in turn, and two signals at 20 Hz."""
    rng = np.random.default_rng(0)
    trials = [[np.sort(rng.uniform(0, 1, rng.poisson(5))) for _ in range(3)] for _ in range(12)]
    spikes = SpikeTrains.from_lists(trials, 0.0, 1.0, unit_info=pd.DataFrame({"area": ["V1", "V1", "LM"]}))
    video = Video(rng.integers(0, 255, (3, 10, 4, 5), dtype=np.uint8), fps=10.0, index=np.arange(12) % 3)
    speed = TimeSeries.from_lists([rng.normal(size=(20, 2)) for _ in range(12)], rate=20.0, names=["x", "y"])
    return Recording(spikes, Modalities(video=video, speed=speed))
