"""Two-photon recordings of mouse V1: fluorescence and behaviour by trial, and no spikes."""

import numpy as np
import pytest

from skneuro.datasets import fetch_v1_gratings


@pytest.mark.parametrize(("session", "n_neurons"), [("mrcuts25", 53), ("mrcuts28", 56), ("mrcuts30", 39)])
def test_each_session_has_its_trials_and_no_spikes(recordings, session, n_neurons):
    data = fetch_v1_gratings(session, data_home=recordings("v1_mouse_2p_gratings_run"), download_if_missing=False)
    assert "spikes" not in data and "NOT SPIKES" in data.DESCR
    dff = data.modalities["dff"]
    assert dff.shape == (128, n_neurons)
    assert len(set(dff.names)) == n_neurons
    assert dff.values.min() < 0  # fluorescence, which no count is
    for name in ("dff", "speed", "pupil"):
        times = data.modalities[name][5].timestamps
        assert np.allclose(times, np.arange(-16, 33) / 16)
    assert np.array_equal(np.unique(data.direction), np.arange(0, 360, 45))
    assert np.all(np.bincount(data.direction // 45) == 16)


def test_neurons_prefer_directions(recordings):
    data = fetch_v1_gratings("mrcuts28", data_home=recordings("v1_mouse_2p_gratings_run"), download_if_missing=False)
    response = np.array([data.modalities["dff"][k].values[16:].mean(axis=0) for k in range(128)])
    halves = [
        np.array([response[part][data.direction[part] == d].mean(axis=0) for d in range(0, 360, 45)])
        for part in (slice(0, 64), slice(64, 128))
    ]
    agreement = [np.corrcoef(halves[0][:, n], halves[1][:, n])[0, 1] for n in range(response.shape[1])]
    assert np.mean(agreement) > 0.15  # chance: 0; a wrong order of trials would show here


def test_a_session_that_is_not_offered_is_named():
    with pytest.raises(ValueError, match="'session' parameter of fetch_v1_gratings"):
        fetch_v1_gratings("mrcuts24")
