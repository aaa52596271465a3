"""Units driven by a video: the truth that is returned makes the rates, and the spikes show it."""

import numpy as np
import pytest

from skneuro.datasets import make_stimulus_driven_population


@pytest.fixture(scope="module")
def white():
    return make_stimulus_driven_population(
        n_units=4, n_clips=200, n_repeats=1, random_state=0, stimulus="white", frame_size=6, mean_rate=15.0
    )


@pytest.fixture(scope="module")
def repeated():
    return make_stimulus_driven_population(n_units=6, n_clips=3, n_repeats=150, random_state=1)


def _past_frames(data):
    """Every frame with those before it, grey before the clip: (clip * time, lag * y * x)."""
    frames = data.video.frames
    n_lags = data.receptive_fields.shape[1]
    padded = np.concatenate([np.zeros((len(frames), n_lags - 1, *frames.shape[2:])), frames], axis=1)
    stop = padded.shape[1]
    lagged = [padded[:, n_lags - 1 - lag : stop - lag] for lag in range(n_lags)]
    return np.stack(lagged, axis=2).reshape(frames.shape[0] * frames.shape[1], -1)


def test_shapes_and_clocks_agree(repeated):
    assert repeated.spikes.shape == (450, 6)
    assert repeated.video.shape == (450, 60, 8, 8)
    assert repeated.rates.shape == (3, 60, 6)
    assert np.array_equal(repeated.video.index, repeated.groups)
    assert np.bincount(repeated.groups).tolist() == [150] * 3
    assert np.all(repeated.spikes.t_stop == 2.0)
    assert len(repeated.lags) == repeated.receptive_fields.shape[1]


def test_the_same_seed_gives_the_same_data():
    def make(seed):
        return make_stimulus_driven_population(3, 2, 2, seed, shared_gain=0.3, coupling=0.3)

    first, again, other = make(0), make(0), make(1)
    assert np.array_equal(first.spikes.times, again.spikes.times)
    assert np.array_equal(first.video.frames, again.video.frames)
    assert not np.array_equal(first.receptive_fields, other.receptive_fields)


@pytest.mark.parametrize("stimulus", ["white", "natural"])
def test_rates_follow_from_fields_and_frames(stimulus):
    data = make_stimulus_driven_population(2, 2, 1, 0, stimulus=stimulus, frame_size=4, stimulus_gain=0.5)
    for clip, frame, unit in [(0, 0, 0), (0, 5, 1), (1, 59, 0)]:
        log_rate = data.baseline[unit]
        for lag in range(len(data.lags)):
            if frame >= lag:
                field = data.receptive_fields[unit, lag]
                log_rate += float(np.sum(field * data.video.frames[clip, frame - lag]))
        assert data.rates[clip, frame, unit] == pytest.approx(min(np.exp(log_rate), 150.0), rel=1e-5)


def test_the_average_over_repeats_is_the_rate(repeated):
    counts = repeated.spikes.to_counts(1 / 30)  # (trials, frames, units)
    for clip in range(3):
        psth = counts[repeated.groups == clip].mean(axis=0) * 30
        for unit in range(6):
            assert np.corrcoef(psth[:, unit], repeated.rates[clip, :, unit])[0, 1] > 0.9
    in_all = np.bincount(repeated.spikes.units, minlength=6) / repeated.spikes.duration.sum()
    assert in_all == pytest.approx(repeated.rates.mean(axis=(0, 1)), rel=0.12)  # refractoriness takes a little


def test_mean_rates_are_near_the_one_asked_for():
    data = make_stimulus_driven_population(n_units=30, random_state=2)
    rates = np.bincount(data.spikes.units, minlength=30) / data.spikes.duration.sum()
    assert rates.mean() == pytest.approx(7.0, rel=0.15)
    assert rates.min() > 3.0 and rates.max() < 15.0


def test_spike_triggered_average_recovers_the_field(white):
    frames = _past_frames(white)
    counts = white.spikes.to_counts(1 / 30).reshape(-1, 4)
    average = counts.T @ frames / counts.sum(axis=0)[:, None] - frames.mean(axis=0)
    for unit in range(4):
        assert np.corrcoef(average[unit], white.receptive_fields[unit].ravel())[0, 1] > 0.85


def test_a_field_peaks_at_the_latency_of_its_unit():
    data = make_stimulus_driven_population(n_units=20, n_clips=2, n_repeats=1, random_state=0, frame_rate=200.0)
    strength = np.abs(data.receptive_fields).max(axis=(2, 3))
    peak = data.lags[np.argmax(strength, axis=1)]
    assert np.all(np.abs(peak - data.latency) <= 0.005)  # one frame
    assert data.latency.min() >= 0.05 and data.latency.max() <= 0.12


def test_a_field_is_strongest_around_its_center():
    data = make_stimulus_driven_population(n_units=20, n_clips=2, n_repeats=1, random_state=0, frame_size=24)
    power = (data.receptive_fields**2).sum(axis=1)
    power /= power.sum(axis=(1, 2), keepdims=True)
    pixel = np.arange(24)
    centers = np.stack([(power.sum(axis=2) * pixel).sum(axis=1), (power.sum(axis=1) * pixel).sum(axis=1)], axis=1)
    assert np.abs(centers - data.spikes.unit_info[["center_y", "center_x"]]).to_numpy().max() < 2.5


def test_natural_frames_are_smooth_and_white_ones_are_not():
    natural, white = (
        make_stimulus_driven_population(1, 20, 1, 0, stimulus=kind).video.frames for kind in ("natural", "white")
    )
    for frames, low, high in [(natural, 0.5, 1.0), (white, -0.05, 0.05)]:
        assert frames.mean() == pytest.approx(0.0, abs=0.02) and frames.std() == pytest.approx(1.0, rel=0.02)
        assert low < np.mean(frames[..., 1:] * frames[..., :-1]) < high
        assert low < np.mean(frames[:, 1:] * frames[:, :-1]) < high


@pytest.mark.parametrize("refractory", [0.0, 0.002, 0.01])
def test_refractory_periods_are_kept(refractory):
    data = make_stimulus_driven_population(3, 2, 10, 0, mean_rate=60.0, refractory=refractory)
    shortest = min(np.diff(times).min() for trial in range(20) for times in data.spikes.trial(trial))
    assert refractory <= shortest < refractory + 0.003


def test_a_shared_gain_correlates_the_units_and_has_mean_one():
    correlations = []
    for shared_gain in (0.0, 0.8):
        data = make_stimulus_driven_population(8, 2, 200, 3, shared_gain=shared_gain)
        counts = np.stack([np.bincount(data.spikes[k].units, minlength=8) for k in range(200)])  # one clip
        correlations.append(np.corrcoef(counts.T)[np.triu_indices(8, 1)].mean())
        assert data.gain.mean() == pytest.approx(1.0, abs=0.05)
    assert abs(correlations[0]) < 0.05 and correlations[1] > 0.15


def test_coupling_raises_and_lowers_the_rate_after_a_spike():
    data = make_stimulus_driven_population(12, 5, 60, 0, coupling=1.5, stimulus_gain=0.2, mean_rate=10.0)
    assert np.all(np.diag(data.weights) == 0)
    trains = np.zeros((300, 2000, 12), dtype=np.float32)
    trial = np.repeat(np.arange(300), np.diff(data.spikes.ptr))
    trains[trial, (data.spikes.times * 1000).astype(int), data.spikes.units] = 1
    n_spikes = trains.sum(axis=(0, 1))
    chance = np.outer(n_spikes, n_spikes) / (300 * 2000)
    after = sum(np.einsum("tku,tkv->uv", trains[:, lag:], trains[:, :-lag]) for lag in range(1, 9)) / 8
    ratio = after / chance
    assert ratio[data.weights > 1.0].mean() > 1.5
    assert ratio[data.weights < -1.0].mean() < 0.8


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_units": 0}, "'n_units' parameter of make_stimulus_driven_population"),
        ({"stimulus": "movie"}, "'stimulus' parameter"),
        ({"mean_rate": 0.0}, "'mean_rate' parameter"),
        ({"coupling": -0.1}, "'coupling' parameter"),
        ({"clip_duration": 1.01}, "whole number of frames"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_stimulus_driven_population(**parameters)
