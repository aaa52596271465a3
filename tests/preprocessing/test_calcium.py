"""Events are where the trace says, know what they are said to know, and are kept away from what they would spoil."""

import builtins
from functools import partial

import numpy as np
import pytest

from skneuro import NeuroformerEstimator, SpikeTrains, TimeSeries
from skneuro.baselines import CoupledGLM, HomogeneousPoisson
from skneuro.connectivity import ConnectivityInference
from skneuro.exceptions import AcausalEventsWarning
from skneuro.metrics import dead_time_score
from skneuro.preprocessing import CalciumEvents

RATE = 20.0


def fluorescence(events, decay=0.5, noise=0.05, seed=0):
    """Traces (trials, frames, neurons) of an indicator that jumps by 1 at each event and decays."""
    keep = np.exp(-1 / (RATE * decay))
    trace = np.zeros(events.shape)
    for frame in range(events.shape[1]):
        trace[:, frame] = events[:, frame] + (keep * trace[:, frame - 1] if frame else 0)
    return trace + noise * np.random.default_rng(seed).standard_normal(events.shape)


@pytest.fixture(scope="module")
def world():
    events = np.random.default_rng(1).random((8, 120, 3)) < [0.02, 0.05, 0.1]
    events[:, 0] = False
    series = TimeSeries.from_lists(list(fluorescence(events)), rate=RATE, t_start=-1.0, names=["a", "b", "c"])
    return events, series


@pytest.mark.parametrize("method", ["threshold", "oasis"])
def test_large_events_are_found_where_they_are(world, method):
    pytest.importorskip("oasis")
    events, series = world
    inference = CalciumEvents(method, threshold=5.0).fit(series)
    assert inference.decay_ == pytest.approx(0.5, rel=0.3)
    np.testing.assert_allclose(inference.noise_, 0.05 * np.sqrt(1 + np.exp(-0.1) ** 2), rtol=0.25)
    spikes = inference.transform(series)
    assert spikes.unit_ids.tolist() == ["a", "b", "c"] and spikes.resolution == pytest.approx(1 / RATE)
    np.testing.assert_allclose(spikes.t_start, -1.0 + 1 / RATE)
    found = spikes.bin(1 / RATE).dense().reshape(8, 119, 3).astype(bool)
    assert (found & events[:, 1:]).sum() > 0.97 * events.sum()
    assert (found & ~events[:, 1:]).sum() < 0.03 * events.sum()


@pytest.mark.parametrize(("rate", "decimals"), [(30.0, 4), (30.98, 4), (7.77, 3)])
def test_half_an_hour_of_rounded_timestamps_leaves_events_in_their_frames(rate, decimals):
    """One frame every 33.333 ms, written as 33.3 ms, would be seconds off in the end."""
    times = np.round(np.arange(int(1800 * rate)) / rate, decimals)
    trace = 0.02 * np.random.default_rng(0).standard_normal(len(times))
    at = [100, len(times) // 2, len(times) - 200]
    for frame in at:
        trace[frame:] += np.exp(-np.arange(len(times) - frame) / 20)
    dff = TimeSeries(trace, times, [0, len(times)])
    found = CalciumEvents(threshold=12.0, decay=20 / rate).fit_transform(dff).times
    np.testing.assert_allclose(found, times[at] + 0.5 / rate, atol=0.1 / rate)


def test_a_clock_that_runs_off_a_regular_one_is_refused():
    trace = 0.02 * np.random.default_rng(0).standard_normal(4000)
    steps = np.where(np.arange(4000) < 2000, 0.1, 0.1008)
    with pytest.raises(ValueError, match=r"the same in all trials.*of trial 0 are up to .* s off; resample"):
        CalciumEvents().fit(TimeSeries.from_lists([trace], timestamps=[np.cumsum(steps)]))
    with pytest.raises(ValueError, match=r"of trial . are up to .*by themselves"):
        CalciumEvents().fit(TimeSeries.from_lists([trace, trace[:200]], timestamps=[
            np.arange(4000) * 0.1, np.arange(200) * 0.1008,
        ]))  # fmt: skip


@pytest.fixture(scope="module")
def six():
    events = np.random.default_rng(2).random((1, 4000, 6)) < 0.03
    return fluorescence(events)[0]


def inferred(traces, **settings):
    return CalciumEvents(**settings).fit_transform(TimeSeries.from_lists([traces], rate=RATE, names=list("abcdef")))


@pytest.mark.parametrize("method", ["threshold", "oasis"])
def test_a_trace_without_noise_has_no_events_and_is_named(six, method):
    pytest.importorskip("oasis")
    traces = six.copy()
    traces[:, 1], traces[:, 3] = 0.3, np.where(six[:, 3] < 0.5, 0.0, six[:, 3])
    with pytest.warns(UserWarning, match=r"2 of 6 traces have no noise .*\(b, d\).*dead ROI"):
        spikes = inferred(traces, method=method, decay=0.5)
    found, whole = (np.bincount(s.units, minlength=6) for s in (spikes, inferred(six, method=method, decay=0.5)))
    assert found[[1, 3]].tolist() == [0, 0]
    assert spikes.unit_info["noise"].isna().tolist() == [n in "bd" for n in "abcdef"]
    np.testing.assert_array_equal(found[[0, 2, 4, 5]], whole[[0, 2, 4, 5]])


def test_a_movement_of_the_brain_does_not_shorten_the_decay(six):
    traces = six.copy()
    traces[2000:2002] += 20
    plain = CalciumEvents().fit(TimeSeries.from_lists([six], rate=RATE))
    with pytest.warns(UserWarning, match=r"at once in 2 frames \(the first is frame 2000\).*give events"):
        shaken = CalciumEvents().fit(TimeSeries.from_lists([traces], rate=RATE))
    assert shaken.decay_ == pytest.approx(plain.decay_, rel=0.01)


def test_a_decay_of_no_indicator_is_pointed_out(six):
    bleached = six + np.linspace(40, 0, len(six))[:, None]
    with pytest.warns(UserWarning, match=r"estimated as .* s, beyond 0.05 to 5 s.* 5 s is used; .*bleaching.*decay="):
        assert CalciumEvents().fit(TimeSeries.from_lists([bleached], rate=RATE)).decay_ == 5.0


def test_fluorescence_as_it_should_be_is_no_cause_for_a_warning(six, recwarn):
    inferred(six)
    assert not list(recwarn)


def test_the_label_says_who_looks_ahead_and_how_far(world):
    pytest.importorskip("oasis")
    _, series = world
    for method, ahead in (("threshold", 0.0), ("oasis", 1.5)):
        spikes = CalciumEvents(method, decay=0.5).fit_transform(series)
        assert spikes.unit_info["lookahead"].tolist() == [ahead] * 3
        assert spikes[:2].cut(2.0).select_units(["b"]).unit_info["lookahead"].tolist() == [ahead]


def test_thresholded_events_do_not_change_with_the_future_and_deconvolved_ones_do(world):
    pytest.importorskip("oasis")
    _, series = world
    values = series.values.reshape(8, 120, 3).copy()
    values[:, 61:] *= 0.3
    changed = TimeSeries.from_lists(list(values), rate=RATE, t_start=-1.0, names=series.names)
    for method in ("threshold", "oasis"):
        inference = CalciumEvents(method, threshold=12.0).fit(series)  # about the size of an event
        found = [inference.transform(s).bin(1 / RATE).dense().reshape(8, 119, 3) for s in (series, changed)]
        one, other = found[0][:, :60], found[1][:, :60]
        assert np.array_equal(one, other) == (method == "threshold")


def labelled(counts, ahead):
    spikes = SpikeTrains.from_counts(counts, 0.1)
    return spikes._with(unit_info=spikes.unit_info.assign(lookahead=ahead))


def test_a_dead_time_takes_away_what_events_know_of_each_other():
    """Each count is repeated in the next bin, as a deconvolution smears it: one step ahead it is known, later not."""
    fresh = np.random.default_rng(0).poisson(0.5, (60, 40, 1))
    counts = fresh.copy()
    counts[:, 1:] = np.maximum(counts[:, 1:], fresh[:, :-1])
    spikes = labelled(counts, 0.2)
    model = CoupledGLM(bin_width=0.1, history=0.2, window_bins=8).fit(spikes[:40])
    with pytest.warns(AcausalEventsWarning, match=r"up to 0.2 s of the future.*dead_time_score"):
        naive = model.score(spikes[40:])
    assert naive > 0.05
    assert abs(dead_time_score(model, spikes[40:])) < 0.02
    assert dead_time_score(model, counts[40:], dead_time=0.2) == pytest.approx(dead_time_score(model, spikes[40:]))


def test_every_score_of_events_that_look_ahead_says_so():
    spikes = labelled(np.random.default_rng(0).poisson(0.5, (6, 40, 2)), 0.2)
    glm = CoupledGLM(bin_width=0.1, history=0.1, alphas=1.0).fit(spikes)
    tiny = NeuroformerEstimator(bin_width=0.1, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5).fit(spikes)
    for score in (glm.score, glm.unit_score, partial(glm.co_smoothing_score, held_out=[0]), tiny.past_score):
        with pytest.warns(AcausalEventsWarning, match="up to 0.2 s of the future"):
            score(spikes)


def test_independent_counts_cannot_be_predicted_and_spikes_are_scored_without_a_warning(recwarn):
    counts = np.random.default_rng(0).poisson(0.5, (20, 40, 2))
    model = CoupledGLM(bin_width=0.1, history=0.1, window_bins=4).fit(counts)
    assert dead_time_score(model, counts, dead_time=0.3) == pytest.approx(0.0, abs=0.02)
    HomogeneousPoisson(bin_width=0.1).fit(counts).score(labelled(counts, 0.0))
    assert not [w for w in recwarn if w.category is AcausalEventsWarning]


def test_what_a_dead_time_cannot_be_applied_to_says_why():
    counts = np.random.default_rng(0).poisson(0.5, (20, 40, 2))
    model = CoupledGLM(bin_width=0.1, history=0.1, window_bins=3).fit(counts)
    with pytest.raises(ValueError, match=r"window_bins > 3"):
        dead_time_score(model, counts, dead_time=0.3)
    with pytest.raises(ValueError, match="no label"):
        dead_time_score(model, counts)
    with pytest.raises(ValueError, match="'dead_time' parameter"):
        dead_time_score(model, counts, dead_time="long")


def test_directed_connectivity_refuses_events_that_look_ahead():
    spikes = labelled(np.random.default_rng(0).poisson(0.5, (4, 100, 3)), 0.4)
    with pytest.raises(ValueError, match=r"up to 0.4 s of the future.*allow_acausal=True"):
        ConnectivityInference(method="lagged_correlation", bin_width=0.1).fit(spikes)
    allowed = ConnectivityInference(method="lagged_correlation", bin_width=0.1, allow_acausal=True, max_lag=0.3)
    assert allowed.set_params(readout_lag=0.2).fit(spikes).adjacency_.shape == (3, 3)
    assert ConnectivityInference(method="pearson", bin_width=0.1).fit(spikes).adjacency_.shape == (3, 3)


def test_what_is_no_fluorescence_says_what_to_do(world, monkeypatch):
    _, series = world
    values = series.values.reshape(8, 120, 3)
    with pytest.raises(TypeError, match=r"TimeSeries.from_lists\(traces, rate=frame_rate\)"):
        CalciumEvents().fit(values)
    with pytest.raises(ValueError, match="NaN in 1 frames"):
        holes = values.copy()
        holes[0, 3, 1] = np.nan
        CalciumEvents().fit(TimeSeries.from_lists(list(holes), rate=RATE))
    with pytest.raises(ValueError, match="equal intervals"):
        CalciumEvents().fit(TimeSeries.from_lists([values[0]], timestamps=[np.arange(120.0) ** 1.1]))
    with pytest.raises(ValueError, match="at least three frames"):
        CalciumEvents().fit(TimeSeries.from_lists([values[0, :2]], rate=RATE))
    with pytest.raises(ValueError, match="expecting 3 features"):
        CalciumEvents().fit(series).transform(TimeSeries.from_lists(list(values[:, :, :2]), rate=RATE))
    with pytest.raises(ValueError, match="The 'method' parameter of CalciumEvents must be"):
        CalciumEvents("oassis").fit(series)
    with pytest.raises(ValueError, match="Give decay="):
        CalciumEvents().fit(TimeSeries.from_lists([np.tile([1.0, -1.0], 40)], rate=RATE))
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("oasis"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match=r'pip install "skneuro\[calcium\]"'):
        CalciumEvents("oasis").fit_transform(series)
