"""The two recordings of rat hippocampus: units, the time that was observed, and a position for all of it."""

import numpy as np
import pytest

from skneuro.datasets import fetch_linear_track, fetch_w_maze


@pytest.fixture(scope="module")
def linear_track(recordings):
    return fetch_linear_track(data_home=recordings("hippocampus_linear_track"), download_if_missing=False)


@pytest.fixture(scope="module")
def w_maze(recordings):
    return fetch_w_maze(data_home=recordings("hippocampus_w_maze"), download_if_missing=False)


def test_the_linear_track_is_one_long_trial_of_31_units(linear_track):
    spikes = linear_track.spikes
    assert spikes.shape == (1, 31)
    assert spikes.t_start[0] == pytest.approx(4397.03, abs=0.01)  # the first tracked sample
    assert spikes.t_stop[0] == pytest.approx(6365.27, abs=0.01)  # the end of what was sorted
    assert 28_829 - 10 < spikes.n_spikes <= 28_829
    assert set(spikes.unit_info["quality"]) == {"good"}


def test_the_w_maze_leaves_the_noise_unit_out_unless_it_is_asked_for(w_maze, recordings):
    assert w_maze.spikes.shape == (1, 24)
    kept = fetch_w_maze(keep_noise_unit=True, data_home=recordings("hippocampus_w_maze"), download_if_missing=False)
    assert kept.spikes.shape == (1, 25)
    assert kept.spikes.n_spikes == 518_352
    noise = kept.spikes.unit_info["quality"] == "noise"
    assert noise.sum() == 1
    assert kept.spikes.unit_info.loc[noise, "mean_rate"].item() == pytest.approx(107, abs=1)
    assert set(kept.spikes.unit_ids) - set(w_maze.spikes.unit_ids) == set(noise.index[noise])


@pytest.mark.parametrize("name", ["linear_track", "w_maze"])
def test_mean_rates_are_spikes_over_observed_time(name, request):
    spikes = request.getfixturevalue(name).spikes
    rates = np.bincount(spikes.units, minlength=spikes.shape[1]) / spikes.duration[0]
    assert np.allclose(rates, spikes.unit_info["mean_rate"])
    assert 0.02 <= rates.min() and rates.max() < 5


@pytest.mark.parametrize("name", ["linear_track", "w_maze"])
def test_the_position_is_known_at_every_moment(name, request):
    data = request.getfixturevalue(name)
    position = data.modalities["position"]
    assert position.shape == (1, 2)
    assert np.all(np.diff(position.timestamps) > 0)
    assert np.median(np.diff(position.timestamps)) == pytest.approx(1 / 60, rel=0.01)
    on_bins = position.on_bins(data.spikes.bin(0.1))
    assert np.all(np.isfinite(on_bins))
    assert on_bins.min() >= 1 and on_bins[:, 0].max() <= 640 and on_bins[:, 1].max() <= 480


def test_whether_to_keep_the_noise_unit_is_yes_or_no():
    with pytest.raises(ValueError, match="'keep_noise_unit' parameter of fetch_w_maze"):
        fetch_w_maze(keep_noise_unit="no")
