import numpy as np
import pytest

from skneuro import Modalities, NeuroformerEstimator, Recording, Video
from skneuro.datasets import make_stimulus_driven_population
from skneuro.inspection import StimulusAttentionDisplay, StimulusMaps, stimulus_maps

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    matplotlib.pyplot.close("all")


def some_maps(trial=None, n_lags=10):
    maps = np.zeros((3, n_lags, 4, 6))
    maps[0, 4, 1, 2] = 2.0
    maps[1, 5, 3, 3] = 0.5
    maps[2, 6, 0, 0] = 1.0
    return StimulusMaps("gradient", maps, np.array(["a", "b", "c"]), np.arange(n_lags) / 30, trial)


def drawn(display):
    shape = (*display.axes_.shape, *display.images_[0].get_array().shape)
    return np.array([image.get_array() for image in display.images_]).reshape(shape)


def test_each_unit_has_a_row_scaled_by_its_own_peak_and_the_columns_hold_the_maps():
    display = StimulusAttentionDisplay.from_maps(some_maps(), n_columns=4)
    values = drawn(display)
    assert values.shape == (3, 4, 4, 6)
    titles = [ax.get_title() for ax in display.axes_[0]]
    assert "133 ms before" in titles
    column = titles.index("133 ms before")
    assert values[0, column, 1, 2] == 1.0 and values[0].sum() == 1.0 and values[1].max() == 1.0
    assert [row[0].get_ylabel() for row in display.axes_] == ["unit a", "unit b", "unit c"]


def test_the_population_counts_every_unit_alike():
    display = StimulusAttentionDisplay.from_maps(some_maps(), units="population", n_columns=10)
    values = drawn(display)
    assert values.shape[0] == 1
    np.testing.assert_allclose(values[values > 0], 1.0)
    assert (values > 0).sum() == 3


def test_frames_lie_below_the_maps_of_a_trial_at_their_times():
    rng = np.random.default_rng(0)
    video = Video(rng.random((2, 10, 4, 6, 3)), fps=30.0, index=[1, 0, 1])
    display = StimulusAttentionDisplay.from_maps(some_maps(trial=1), video, units=["b"], n_columns=10)
    assert display.axes_.shape == (1, 10)
    for k, ax in enumerate(display.axes_[0]):
        below, above = ax.get_images()
        np.testing.assert_allclose(below.get_array(), video.frames[0, k].mean(-1))
        assert above is display.images_[k] and ax.get_title() == f"{k / 30:.2f} s"
    np.testing.assert_allclose(display.images_[5].get_alpha(), 0.85 * drawn(display)[0, 5])


def test_over_lags_the_mean_frame_lies_below():
    video = Video(np.arange(2 * 3 * 24.0).reshape(2, 3, 4, 6), fps=30.0, index=[0, 0])
    display = StimulusAttentionDisplay.from_maps(some_maps(), video, n_columns=2)
    np.testing.assert_allclose(display.axes_[0, 0].get_images()[0].get_array(), video.frames[0].mean(0))


def test_axes_can_be_given():
    figure, axes = matplotlib.pyplot.subplots(1, 3)
    display = StimulusAttentionDisplay(maps=some_maps()).plot(["c"], n_columns=3, axes=axes)
    assert display.figure_ is figure and display.axes_.shape == (1, 3)
    with pytest.raises(ValueError, match="axes must be 2 x 3"):
        display.plot(["a", "c"], n_columns=3, axes=axes)


@pytest.mark.parametrize("units", ["popluation", ["d"], [], 3])
def test_unknown_units_are_refused(units):
    with pytest.raises(ValueError, match="units must be"):
        StimulusAttentionDisplay.from_maps(some_maps(), units=units)


def test_other_frames_and_columns_are_refused():
    with pytest.raises(ValueError, match=r"frames of \(4, 6\) pixels"):
        StimulusAttentionDisplay.from_maps(some_maps(), Video(np.zeros((1, 3, 4, 7)), fps=30.0))
    with pytest.raises(ValueError, match="n_columns must be an int of at least 1"):
        StimulusAttentionDisplay.from_maps(some_maps(), n_columns=0)


def test_from_estimator_draws_what_the_function_finds():
    data = make_stimulus_driven_population(n_units=2, n_clips=2, n_repeats=2, clip_duration=1.0, random_state=0)
    recording = Recording(data.spikes, Modalities(scene=data.video))
    model = NeuroformerEstimator(bin_width=1 / 30, window_bins=1, d_model=8, max_epochs=1, random_state=0)
    model.fit(recording)
    display = StimulusAttentionDisplay.from_estimator(model, recording, units=[1], trial=2, n_columns=30)
    found = stimulus_maps(model, recording, units=[1], trial=2).maps[0]
    np.testing.assert_allclose(drawn(display)[0], found / found.max())
    np.testing.assert_allclose(display.frames, data.video.frames[1])
    population = StimulusAttentionDisplay.from_estimator(model, recording, units="population")
    assert population.axes_.shape == (1, 6)
