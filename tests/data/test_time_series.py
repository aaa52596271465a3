"""Samples stand until the next one; blinks and holes are masked or held, never zero."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from skneuro.data import SpikeTrains, TimeSeries


def bins(n_trials=1, duration=1.0, bin_width=0.1, t_start=0.0):
    silent = SpikeTrains([], [], np.zeros(n_trials + 1, int), t_start, np.add(t_start, duration), unit_ids=[0])
    return silent.bin(bin_width)


def slow_on_bins(times, values, missing, edges):
    """Bin by bin: the mean of the samples inside, else the last sample while it stands."""
    interval = np.median(np.diff(times)) if len(times) > 1 else np.inf
    result = []
    for start, stop in zip(edges[:-1], edges[1:], strict=True):
        inside = [v for t, v in zip(times, values, strict=True) if start - 1e-9 <= t < stop - 1e-9]
        known = [v for v in inside if not np.isnan(v)]
        before = [k for k, t in enumerate(times) if t < start - 1e-9]
        if missing == "hold":
            before = [k for k in before if not np.isnan(values[k])]
        value = np.nan
        if known:
            value = np.mean(known)
        elif before and (missing == "hold" or not inside):
            last = before[-1]
            until = times[last + 1] if last + 1 < len(times) else np.inf
            if until - times[last] > 1.5 * interval + 1e-9:
                until = times[last] + interval
            if missing == "hold" or (start + stop) / 2 < until:
                value = values[last]
        result.append(value)
    return np.array(result)


@given(
    ticks=st.lists(st.integers(-5, 24), unique=True, max_size=15),
    blinks=st.lists(st.integers(0, 14), max_size=4),
    missing=st.sampled_from(["mask", "hold"]),
    t_start=st.sampled_from([0.0, 100.0]),
)
@example(ticks=[-2, 4, 6], blinks=[], missing="mask", t_start=100.0)  # a step of 1.5 intervals, rounded up
def test_values_on_bins_agree_with_a_slow_loop(ticks, blinks, missing, t_start):
    # In odd fortieths, so that no sample lies on a border or centre of a bin.
    times = (2 * np.sort(np.array(ticks, dtype=int)) + 0.5) / 40
    values = np.arange(len(times), dtype=float) ** 2
    values[[b for b in blinks if b < len(values)]] = np.nan
    series = TimeSeries.from_lists([values], timestamps=[times + t_start], missing=missing)
    expected = slow_on_bins(times, values, missing, np.arange(11) / 10)
    np.testing.assert_allclose(series.on_bins(bins(t_start=t_start))[:, 0], expected)


def test_trials_do_not_leak_into_each_other():
    series = TimeSeries.from_lists([[1.0, 2.0], [], [5.0]], timestamps=[[0.0, 0.5], [], [0.5]], missing="hold")
    values = series.on_bins(bins(3, 1.0, 0.5))[:, 0]
    np.testing.assert_array_equal(values, [1, 2, np.nan, np.nan, np.nan, 5])


@given(rows=st.lists(st.integers(0, 3), max_size=5))
def test_values_on_bins_follow_the_rows(rows):
    rng = np.random.default_rng(1)
    series = TimeSeries.from_lists([rng.normal(size=(n, 2)) for n in (8, 1, 20, 3)], rate=10.0)
    whole = series.on_bins(bins(4)).reshape(4, 10, 2)
    np.testing.assert_array_equal(
        series[np.array(rows, int)].on_bins(bins(len(rows))).reshape(-1, 10, 2), whole[np.array(rows, int)]
    )


def test_a_blink_is_masked_or_held():
    values = [1.0, np.nan, np.nan, 4.0]
    masked = TimeSeries.from_lists([values], rate=10.0)
    held = TimeSeries.from_lists([values], rate=10.0, missing="hold")
    np.testing.assert_array_equal(masked.on_bins(bins(1, 0.4))[:, 0], [1, np.nan, np.nan, 4])
    np.testing.assert_array_equal(held.on_bins(bins(1, 0.4))[:, 0], [1, 1, 1, 4])


def test_a_hole_in_the_samples_is_masked_or_held():
    times = [[0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9]]
    values = [np.arange(7.0)]
    masked = TimeSeries.from_lists(values, timestamps=times).on_bins(bins())[:, 0]
    held = TimeSeries.from_lists(values, timestamps=times, missing="hold").on_bins(bins())[:, 0]
    np.testing.assert_array_equal(masked, [0, 1, 2, 3, np.nan, np.nan, np.nan, 4, 5, 6])
    np.testing.assert_array_equal(held, [0, 1, 2, 3, 3, 3, 3, 4, 5, 6])


def test_one_sample_is_constant_over_its_trial():
    series = TimeSeries([7.0, 8.0], [0.0, 0.0], [0, 1, 2])
    assert series.on_bins(bins(2))[:, 0].tolist() == [7.0] * 10 + [8.0] * 10


def test_nothing_after_a_bin_enters_it():
    rng = np.random.default_rng(0)
    values = rng.normal(size=100)
    changed = values.copy()
    changed[50:] += 1
    before, after = (TimeSeries.from_lists([v], rate=100.0).on_bins(bins()) for v in (values, changed))
    np.testing.assert_array_equal(before[:5], after[:5])
    assert (before[5:] != after[5:]).all()


def test_slices_of_a_long_series_keep_its_sampling_interval():
    series = TimeSeries.from_lists([np.arange(100.0)], rate=10.0)
    assert series.interval == pytest.approx([0.1])
    assert series[[0, 0]].interval == pytest.approx([0.1, 0.1])
    first, last = series.span
    assert (first[0], last[0]) == pytest.approx((-0.1, 10.0))


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (([1.0], [0.0, 1.0], [0, 1]), {}, "one timestamp per sample"),
        (([1.0, 2.0], [0.0, 0.0], [0, 2]), {}, "ascend strictly"),
        (([1.0, 2.0], [1.0, 0.0], [0, 2]), {}, "ascend strictly"),
        (([1.0, np.inf], [0.0, 1.0], [0, 2]), {}, "NaN where missing. Got infinity"),
        (([1.0, 2.0], [0.0, np.nan], [0, 2]), {}, "finite"),
        (([1.0, 2.0], [0.0, 1.0], [0, 3]), {}, "ptr must ascend"),
        (([1.0, 2.0], [0.0, 1.0], [0, 2]), {"missing": "zero"}, "'mask' or 'hold'"),
        (([1.0, 2.0], [0.0, 1.0], [0, 2]), {"names": ["x", "y"]}, "one name for each of 1 columns"),
        (([1.0, 2.0], [0.0, 1.0], [0, 2]), {"names": "x"}, "one name for each"),
        ((np.zeros((2, 2, 2)), [0.0, 1.0], [0, 2]), {}, "n_samples, d"),
    ],
)
def test_bad_input_is_refused(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        TimeSeries(*args, **kwargs)


@pytest.mark.parametrize(
    ("trials", "kwargs", "message"),
    [
        ([[1.0]], {}, "Exactly one of rate"),
        ([[1.0]], {"rate": 1.0, "timestamps": [[0.0]]}, "Exactly one of rate"),
        ([[1.0]], {"rate": 0}, "rate must be a positive number of hertz"),
        ([np.zeros((2, 1)), np.zeros((2, 2))], {"rate": 1.0}, "same columns.*1, 2"),
        ([[1.0]], {"timestamps": []}, "one array per trial. Got 0 for 1"),
        ([[1.0, 2.0], [1.0]], {"timestamps": [[0.0], [0.0, 1.0]]}, "one time per sample in every trial"),
    ],
)
def test_bad_lists_are_refused(trials, kwargs, message):
    with pytest.raises(ValueError, match=message):
        TimeSeries.from_lists(trials, **kwargs)


def test_times_may_begin_anew_in_every_trial():
    series = TimeSeries([1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [0, 2, 3], names=["speed"])
    assert series.names == ("speed",)
    assert series.shape == (2, 1)
    assert TimeSeries.from_lists([], rate=1.0).shape == (0, 1)


def test_bins_of_other_trials_are_refused():
    with pytest.raises(ValueError, match="same 1 trials. Got 2"):
        TimeSeries([1.0], [0.0], [0, 1]).on_bins(bins(2))


@pytest.mark.parametrize(
    ("trials", "words"),
    [
        ([1.0, 2.0], "Trial 0 has 0 dimensions; a single trial is written"),
        ([[1.0], ["a"]], "Trial 1 holds something else"),
    ],
)
def test_trials_that_are_no_samples_are_refused_by_number(trials, words):
    with pytest.raises((TypeError, ValueError), match=words):
        TimeSeries.from_lists(trials, rate=1.0)


@pytest.mark.parametrize("rate", [25.0, 100.0])
def test_a_model_reads_what_was_shown_before_a_trial_at_any_rate(rate):
    """Slower and faster than the bins; the fast one in averages over bins that end at the trial's start."""
    binned = SpikeTrains.from_lists([[[0.1]], [[1.1]]], [0.0, 1.0], [0.4, 1.4]).bin(0.02)
    long = np.arange(int(0.7 * rate))
    series = TimeSeries.from_lists([long, long[: int(0.4 * rate)]], rate=rate, t_start=[-0.21, 1.0])
    seen = series.samples(binned)
    assert np.isclose(seen.onset[seen.trial == 0].min(), -0.21 if rate == 25.0 else -0.22)
    assert np.isclose(seen.onset[seen.trial == 1].min(), 0.0)
    if rate == 100.0:
        np.testing.assert_allclose(seen.values[:3, 0], [0.0, 1.5, 3.5])
        inside = seen.onset > -1e-9
        alone = series._cut(np.array([0, 1]), np.array([0.0, 1.0]), np.array([9.0, 9.0])).samples(binned)
        np.testing.assert_allclose(seen.values[inside], alone.values[alone.onset > -1e-9])


def test_a_column_that_is_missing_leaves_the_others_to_a_model():
    values = [[1.0, 5.0], [np.nan, 6.0], [np.nan, np.nan], [4.0, np.nan]]
    binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 0.4).bin(0.1)
    for missing, expected in (("mask", values[:2] + values[3:]), ("hold", [[1.0, 5.0], [1.0, 6.0], [4.0, 6.0]])):
        found = TimeSeries(values, [0.0, 0.1, 0.2, 0.3], [0, 4], missing=missing).samples(binned)
        np.testing.assert_array_equal(found.values, expected)
        np.testing.assert_allclose(found.onset, [0.0, 0.1, 0.3])


def test_a_held_column_holds_nothing_of_another_trial():
    values = [[1.0, 5.0], [np.nan, 6.0], [3.0, np.nan]]
    series = TimeSeries(values, [0.0, 0.1, 0.2], [0, 1, 3], missing="hold")
    binned = SpikeTrains.from_lists([[[0.1]], [[0.1]]], 0.0, 0.4).bin(0.1)
    np.testing.assert_array_equal(series.samples(binned).values, [[1.0, 5.0], [np.nan, 6.0], [3.0, 6.0]])
