import numpy as np
import pytest

from skneuro.data import SpikeTrains
from skneuro.inspection import PSTHDisplay, aligned_counts

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def recording(seed=0):
    rng = np.random.default_rng(seed)
    trials = [[np.sort(rng.uniform(5, 8, 30)), np.sort(rng.uniform(5, 8, 9))] for _ in range(6)]
    return SpikeTrains.from_lists(trials, t_start=5.0, t_stop=8.0, unit_ids=["x", "y"])


def test_counts_agree_with_a_histogram_of_each_event():
    spikes = recording()
    events = [
        np.array([5.5, 6.5]),
        np.array([6.0]),
        np.array([]),
        np.array([7.0]),
        np.array([5.6]),
        np.array([6.2]),
    ]
    time, counts = aligned_counts(spikes, events, window=(-0.5, 1.0), bin_width=0.25)
    expected = [
        [np.histogram(t, at - 0.5 + 0.25 * np.arange(7))[0] for t in spikes.trial(k)]
        for k, ats in enumerate(events)
        for at in ats
    ]
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_allclose(time, -0.375 + 0.25 * np.arange(6))


def test_an_event_too_near_the_edge_of_its_trial_is_not_used():
    _, counts = aligned_counts(recording(), [np.array([5.1, 7.9, 6.0])] + [np.array([])] * 5, window=(-0.5, 1.0))
    assert len(counts) == 1


def test_without_any_usable_event_the_error_says_so():
    with pytest.raises(ValueError, match="shorter window"):
        aligned_counts(recording(), [np.array([5.1])] * 6, window=(-0.5, 1.0))


def test_events_of_another_number_of_trials_are_refused():
    with pytest.raises(ValueError, match="6 trials, got 1"):
        aligned_counts(recording(), [np.array([6.0])])


def test_a_spike_on_the_border_of_a_bin_is_in_the_later_one():
    spikes = SpikeTrains.from_lists([[[0.3]]], t_start=0.0, t_stop=0.6)  # 0.3 / 0.1 is below 3 in floating point
    _, counts = aligned_counts(spikes, bin_width=0.1)
    assert counts[0, 0].tolist() == [0, 0, 0, 1, 0, 0]


def test_the_mean_rate_is_in_hertz_and_its_error_that_of_a_mean():
    spikes = recording()
    display = PSTHDisplay.from_spikes(spikes, bin_width=0.5)
    per_trial = np.array([[np.histogram(t, 5 + 0.5 * np.arange(7))[0] for t in spikes.trial(k)] for k in range(6)])
    np.testing.assert_allclose(display.rate, per_trial.mean(axis=0) / 0.5)
    np.testing.assert_allclose(display.error, per_trial.std(axis=0, ddof=1) / np.sqrt(6) / 0.5)
    assert display.n_events == 6


def test_two_displays_share_axes():
    first = PSTHDisplay.from_spikes(recording(0), bin_width=0.5, label="recorded")
    second = PSTHDisplay.from_spikes(recording(1), bin_width=0.5, axes=first.axes_, label="simulated")
    assert second.figure_ is first.figure_
    assert [len(ax.lines) for ax in first.axes_] == [2, 2]
    assert [ax.get_title() for ax in first.axes_] == ["unit x", "unit y"]


def test_axes_reach_as_high_as_the_second_display():
    events = [np.array([6.0])] * 6
    display = PSTHDisplay.from_spikes(recording(), events, window=(-0.5, 0.5))
    higher = SpikeTrains.from_lists([[np.sort(np.full(90, 6.01)), []]] * 6, 5.0, 8.0, unit_ids=["x", "y"])
    PSTHDisplay.from_spikes(higher, events, window=(-0.5, 0.5), axes=display.axes_)
    top = max(np.max(line.get_ydata()) for line in display.axes_[0].lines if len(line.get_ydata()) > 2)
    low, high = display.axes_[0].get_ylim()
    assert low == 0 and high > top > 100


def test_chosen_units_are_drawn_in_the_order_asked_for():
    display = PSTHDisplay.from_spikes(recording(), units=["y"], bin_width=0.5)
    assert display.unit_ids == ["y"]
    assert len(display.axes_) == 1


def test_a_constant_rate_is_flat_in_bins_of_the_counts_whatever_their_width():
    """Spikes of a bin have one time: bins that hold now one, now two of them would show rates that are not there."""
    counts = SpikeTrains.from_counts(np.full((3, 20, 1), 2), 0.05)  # 40 Hz
    np.testing.assert_allclose(PSTHDisplay.from_spikes(counts).rate, 40.0)
    np.testing.assert_allclose(PSTHDisplay.from_spikes(counts, bin_width=0.1).rate, 40.0)
    events = [np.array([0.23, 0.51])] * 3
    np.testing.assert_allclose(PSTHDisplay.from_spikes(counts, events, window=(-0.2, 0.4)).rate, 40.0)
    with pytest.raises(ValueError, match="whole multiple of 0.05 s"):
        aligned_counts(counts, bin_width=0.08)


def test_an_event_that_did_not_happen_is_no_silence():
    spikes = SpikeTrains.from_unit_times({0: np.arange(0.05, 100, 0.1)}, epochs=[[0.0, 100.0]])  # 10 Hz
    events = [np.array([10.0, np.nan, np.inf, 50.0])]
    display = PSTHDisplay.from_spikes(spikes, events, window=(-0.5, 0.5), bin_width=0.1)
    assert display.n_events == 2
    np.testing.assert_allclose(display.rate, 10.0)


def test_time_that_was_not_observed_is_no_silence():
    every = np.arange(0.05, 1.0, 0.1)
    spikes = SpikeTrains.from_lists(
        [[every, every], [every[:5], every], [[], []]], 0.0, 1.0, unit_ids=["a", "b"],
        observed=[{}, {"a": [[0.0, 0.55]]}, [[0.0, 0.01]]],
    )  # fmt: skip
    _, counts = aligned_counts(spikes, window=(0.1, 1.0), bin_width=0.1)
    assert len(counts) == 2  # of the third trial nothing was seen
    assert np.isnan(counts[1, 0]).tolist() == [False] * 4 + [True] * 5  # the half observed bin neither
    display = PSTHDisplay.from_spikes(spikes, window=(0.1, 1.0), bin_width=0.1)
    np.testing.assert_allclose(display.rate, 10.0)
    assert np.isnan(display.error[0]).tolist() == [False] * 4 + [True] * 5
    hidden = SpikeTrains.from_lists([[[]]], 0.0, 1.0, observed=[[[0.0, 0.01]]])
    with pytest.raises(ValueError, match="was observed"):
        aligned_counts(hidden, window=(0.1, 0.9))


@pytest.mark.parametrize("stop", [1.03, [1.015, 1.2, 1.3, 1.4, 1.5]])
def test_by_default_every_trial_counts_with_the_whole_bins_that_fit(stop):
    spikes = SpikeTrains.from_lists([[[0.2, 0.7]]] * 5, 0.0, stop)
    time, counts = aligned_counts(spikes)
    assert len(counts) == 5
    assert time[-1] + 0.01 <= np.min(stop) < time[-1] + 0.03


def test_a_window_does_not_reach_beyond_what_was_asked_for():
    time, _ = aligned_counts(recording(), window=(0.0, 0.25), bin_width=0.1)
    np.testing.assert_allclose(time, [0.05, 0.15])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": (1.0, 0.0)}, "window must be"),
        ({"window": 1.0}, "window must be"),
        ({"window": ("a", "b")}, "window must be"),
        ({"n_columns": 0}, "'n_columns' parameter must be an int of at least 1. Got 0"),
        ({"window": (0.0, np.nan)}, "window must be"),
        ({"bin_width": 0}, "bin_width must be a positive number"),
        ({"window": (0.0, 0.05), "bin_width": 0.1}, "holds no bin"),
    ],
)
def test_windows_and_widths_that_cannot_be_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        PSTHDisplay.from_spikes(recording(), **settings)


def test_too_few_axes_are_refused_with_the_number_that_is_needed():
    axes = matplotlib.pyplot.subplots(1, 1)[1]
    with pytest.raises(ValueError, match="one for each of 2 units. Got 1"):
        PSTHDisplay.from_spikes(recording(), axes=axes)


@pytest.mark.parametrize("average", [PSTHDisplay.from_spikes, aligned_counts])
def test_an_array_is_no_recording(average):
    with pytest.raises(TypeError, match="spikes must be SpikeTrains. Got ndarray"):
        average(np.zeros((3, 4)))


def test_the_axis_reaches_over_whole_bins_and_so_over_the_event():
    events = [np.array([6.0])] * 6
    display = PSTHDisplay.from_spikes(recording(), events, window=(0.0, 1.0), bin_width=0.25)
    assert display.axes_[0].get_xlim() == pytest.approx((0.0, 1.0))
    PSTHDisplay.from_spikes(recording(), events, window=(-0.5, 0.5), bin_width=0.25, axes=display.axes_)
    assert display.axes_[0].get_xlim() == pytest.approx((-0.5, 1.0))  # of both curves


def test_named_curves_have_a_legend():
    display = PSTHDisplay.from_spikes(recording(0), bin_width=0.5)
    assert display.axes_[0].get_legend() is None
    first = PSTHDisplay.from_spikes(recording(0), bin_width=0.5, label="recorded")
    PSTHDisplay.from_spikes(recording(1), bin_width=0.5, axes=first.axes_, label="simulated")
    assert [t.get_text() for t in first.axes_[0].get_legend().get_texts()] == ["recorded", "simulated"]


def test_curves_in_bins_of_other_widths_are_pointed_out():
    first = PSTHDisplay.from_spikes(recording(), bin_width=0.5)
    with pytest.warns(UserWarning, match="bins of 250 ms is laid over one in bins of 500 ms"):
        PSTHDisplay.from_spikes(recording(), bin_width=0.25, axes=first.axes_)
