import sys

import numpy as np
import pytest

from skneuro.data import SpikeTrains, TimeSeries
from skneuro.inspection import RasterDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


@pytest.fixture
def spikes():
    return SpikeTrains.from_lists(
        [[[0.1, 0.4], [0.3]], [[], [0.05, 0.2]]], t_start=0.0, t_stop=1.0, unit_ids=["a", "b"]
    )


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def ticks(display):
    """Time and row of every tick that is on the axes."""
    return sorted((float(s[0, 0]), float(s[:, 1].mean())) for s in display.lines_.get_segments())


def test_every_spike_is_a_tick_in_the_row_of_its_unit(spikes):
    display = RasterDisplay.from_spikes(spikes)
    np.testing.assert_allclose(ticks(display), [(0.1, 0.0), (0.3, 1.0), (0.4, 0.0)])
    assert display.ax_.get_xlabel() == "time (s)"


def test_a_part_of_a_trial_shows_only_its_spikes(spikes):
    display = RasterDisplay.from_spikes(spikes, t_start=0.2, t_stop=0.35)
    assert display.times.tolist() == [0.3]
    assert display.ax_.get_xlim() == pytest.approx((0.2, 0.35))


def test_one_unit_over_trials_has_a_row_a_trial_aligned_to_its_start():
    spikes = SpikeTrains.from_unit_times({7: [0.25, 10.5], 8: [0.3]}, epochs=[[0.0, 1.0], [10.0, 11.0]])
    display = RasterDisplay.from_unit(spikes, 7)
    assert display.times.tolist() == [0.25, 0.5]
    assert display.rows.tolist() == [0, 1]
    assert display.ax_.get_ylabel() == "trial"


def test_an_unknown_unit_is_named(spikes):
    with pytest.raises(ValueError, match="'c'"):
        RasterDisplay.from_unit(spikes, "c")


def test_it_draws_on_given_axes_and_opens_no_figure(spikes):
    figure, ax = matplotlib.pyplot.subplots()
    display = RasterDisplay.from_spikes(spikes, ax=ax)
    assert display.ax_ is ax
    assert display.figure_ is figure
    assert matplotlib.pyplot.get_fignums() == [figure.number]


def test_construction_stores_and_draws_nothing():
    times, rows = np.array([0.5]), np.array([0])
    display = RasterDisplay(times=times, rows=rows, row_labels=[3], t_start=0.0, t_stop=1.0)
    assert display.times is times
    assert not hasattr(display, "ax_")


def test_without_matplotlib_the_error_says_how_to_install_it(spikes, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="RasterDisplay.plot requires matplotlib"):
        RasterDisplay.from_spikes(spikes)


class Sampler:
    """Stands for a model: draws the first trial of what it was given."""

    def sample(self, stimuli=None, n_samples=1, *, duration=None, random_state=None):
        n_trials = 1 if stimuli is None else len(stimuli)
        return SpikeTrains.from_lists([[[0.1 * (1 + k)]] for k in range(n_trials)], t_start=0.0, t_stop=duration)


def test_a_simulated_raster_is_that_of_the_first_stimulus():
    stimuli = TimeSeries.from_lists([[1.0, 2.0], [3.0, 4.0]], rate=1.0)
    display = RasterDisplay.from_estimator(Sampler(), stimuli, duration=2.0)
    assert display.times.tolist() == [0.1]
    assert display.t_stop == 2.0


def test_trials_are_counted_from_the_end_too_and_others_are_refused(spikes):
    assert RasterDisplay.from_spikes(spikes, trial=-1).times.tolist() == [0.05, 0.2]
    for trial in (2, -3):
        with pytest.raises(ValueError, match="one of 2 trials"):
            RasterDisplay.from_spikes(spikes, trial=trial)


@pytest.mark.parametrize("part", [{"t_start": 0.5, "t_stop": 0.1}, {"t_start": 2.0, "t_stop": 3.0}, {"t_stop": 1.5}])
def test_a_part_that_is_empty_or_outside_the_trial_is_refused(spikes, part):
    with pytest.raises(ValueError, match="a part of trial 0, which lasts from 0 to 1 s"):
        RasterDisplay.from_spikes(spikes, **part)


def test_an_array_is_no_recording():
    for draw in (RasterDisplay.from_spikes, lambda x: RasterDisplay.from_unit(x, 0)):
        with pytest.raises(TypeError, match="spikes must be SpikeTrains. Got ndarray"):
            draw(np.zeros((3, 4)))


def test_blocks_of_one_trial_are_numbered():
    spikes = SpikeTrains.from_unit_times({"a": np.arange(0.5, 8, 1.0)}, epochs=[[0.0, 8.0]])
    display = RasterDisplay.from_unit(spikes.cut(2.0), "a")
    assert [t.get_text() for t in display.ax_.get_yticklabels()] == ["0", "1", "2", "3"]
    assert display.ax_.get_ylabel() == "block"


@pytest.mark.parametrize("given", [False, True])
def test_labels_of_rows_do_not_touch(given):
    spikes = SpikeTrains.from_unit_times({k: [0.1 * k] for k in range(12)}, epochs=[[0.0, 2.0]])
    figure, ax = matplotlib.pyplot.subplots(figsize=(7, 1.5), layout="constrained")
    display = RasterDisplay.from_spikes(spikes, ax=ax if given else None)
    display.figure_.canvas.draw()
    boxes = [t.get_window_extent() for t in display.ax_.get_yticklabels()]
    assert len(boxes) == (12 if not given else 6)
    assert all(above.y0 >= below.y1 for above, below in zip(boxes[:-1], boxes[1:], strict=True))
