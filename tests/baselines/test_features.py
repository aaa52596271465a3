import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skneuro.baselines._features import (
    CountScale,
    StimulusFeatures,
    filter_past,
    lag_kernels,
    n_lags,
    visible_cells,
)
from skneuro.data import Modalities, SpikeTrains, TimeSeries, Video, read_input
from skneuro.exceptions import IncompatibleModalityError


@given(st.integers(1, 80), st.integers(1, 8))
def test_kernels_are_averages_over_the_lags(lags, n_basis):
    kernels = lag_kernels(lags, n_basis)
    assert kernels.shape == (lags, min(lags, n_basis))
    assert (kernels >= 0).all() and np.allclose(kernels.sum(axis=0), 1.0)


def test_no_lags_no_kernels():
    assert lag_kernels(0, 5).shape == (0, 0)


def test_lags_are_counted_with_tolerance():
    assert [n_lags(0.6, 0.05), n_lags(0.3, 0.1), n_lags(0.009, 0.01)] == [12, 3, 0]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 1), st.integers(1, 5))
def test_filters_are_those_of_a_slow_loop_and_stay_in_the_trial(lengths, first_lag, lags):
    ptr = np.concatenate([[0], np.cumsum(lengths)])
    values = np.random.default_rng(0).normal(size=(ptr[-1], 2))
    kernels = np.random.default_rng(1).random((lags, 3))
    expected = np.zeros((ptr[-1], 3, 2))
    for start, stop in zip(ptr[:-1], ptr[1:], strict=True):
        for t in range(start, stop):
            for row in range(lags):
                if t - first_lag - row >= start:
                    expected[t] += kernels[row][:, None] * values[t - first_lag - row]
    assert np.allclose(filter_past(values, ptr, kernels, first_lag), expected.reshape(ptr[-1], -1), atol=1e-5)


def test_residuals_are_standardised_and_zero_where_not_observed():
    counts = np.random.default_rng(0).poisson([1.0, 5.0, 0.0], (500, 3))
    mask = np.random.default_rng(1).random(counts.shape) < 0.7
    residuals = CountScale.from_counts(counts, mask).residuals(counts, mask)
    assert (residuals[~mask] == 0).all()
    seen = np.where(mask, residuals, np.nan)[:, :2]
    assert np.allclose(np.nanmean(seen, axis=0), 0, atol=1e-6) and np.allclose(np.nanstd(seen, axis=0), 1, atol=1e-5)


def test_the_context_of_a_block_is_seen_and_a_gap_is_not():
    spikes = SpikeTrains.from_counts(
        np.array([[1], [0], [0], [2], [1], [1], [1], [3]]), 0.1, observed=[[0.0, 0.2], [0.3, 0.8]]
    )
    blocks = read_input(spikes.cut(0.4, context=0.2), bin_width=0.1)
    assert blocks.spikes.mask()[:, 0].tolist() == [1, 1, 0, 1, 0, 0, 1, 1, 1, 1]
    assert visible_cells(blocks)[:, 0].tolist() == [1, 1, 0, 1, 0, 1, 1, 1, 1, 1]


def binned(n_trials=2, n_bins=4):
    return SpikeTrains.from_counts(np.ones((n_trials, n_bins, 1), dtype=int), 0.1)


def given_stimulus(**modalities):
    inp = read_input(binned(), Modalities(**modalities), bin_width=0.1)
    return StimulusFeatures.from_input(inp), inp


def test_stimuli_are_standardised_and_unknown_values_are_average():
    values = np.array([[1.0, 2.0, np.nan, 3.0], [4.0, 5.0, 6.0, 7.0]])
    features, inp = given_stimulus(speed=TimeSeries.from_lists(list(values), rate=10.0))
    found = features.transform(inp.modalities, inp.spikes)[:, 0]
    expected = (values - np.nanmean(values)) / np.nanstd(values)
    assert np.allclose(found, np.nan_to_num(expected).ravel(), atol=1e-6)


def test_a_missing_modality_is_average():
    features, inp = given_stimulus(speed=TimeSeries.from_lists([np.arange(4.0)] * 2, rate=10.0))
    assert (features.transform(None, inp.spikes) == 0).all()


def test_frames_are_averaged_over_patches():
    frames = np.random.default_rng(0).random((1, 4, 32, 16))
    features, inp = given_stimulus(video=Video(frames, fps=10.0, index=[0, 0]))
    assert features.size == 16 * 16
    patch = frames[0, :, :2, 0].mean(axis=1)  # the first patch is two pixels high, one wide
    found = features.transform(inp.modalities, inp.spikes)[:4, 0]
    assert np.allclose(found, (patch - patch.mean()) / patch.std(), atol=1e-5)


def test_other_signals_than_in_fit_are_refused():
    features, inp = given_stimulus(speed=TimeSeries.from_lists([np.arange(4.0)] * 2, rate=10.0))
    other = Modalities(speed=TimeSeries.from_lists([np.zeros((4, 3))] * 2, rate=10.0))
    problem = r"'speed' should have samples of shape \(1,\), as in fit. Got \(3,\)"
    with pytest.raises(IncompatibleModalityError, match=problem):
        features.transform(other, inp.spikes)


def test_units_that_fired_a_few_times_are_held_back():
    counts = np.zeros((1000, 3), dtype=int)
    counts[:1, 0], counts[:16, 1], counts[::2, 2] = 1, 1, 1
    scale = CountScale.from_counts(counts, np.ones_like(counts, dtype=bool))
    sd = counts.std(axis=0)
    np.testing.assert_allclose(scale.deviation, sd * [16, 1, 1])


def test_silent_units_leave_the_others_as_they_are():
    counts = np.random.default_rng(0).poisson(0.05, (1000, 3))
    more = np.c_[counts, np.zeros((1000, 20), dtype=int)]
    own, among = (CountScale.from_counts(c, np.ones_like(c, dtype=bool)).common_scale() for c in (counts, more))
    assert own == among


def test_an_artefact_is_cut_as_the_past_of_others():
    counts = np.random.default_rng(0).poisson(0.5, (1000, 2))
    seen = np.ones_like(counts, dtype=bool)
    scale, far = CountScale.from_counts(counts, seen), counts.copy()
    far[7] = 1000
    np.testing.assert_array_equal(scale.within(counts), counts)
    np.testing.assert_array_equal(scale.within(far)[7], 3 * (counts.max(axis=0) + 1))
    of_part = CountScale.from_counts(far, seen).for_choosing(far, seen & (np.arange(1000) != 7)[:, None])
    np.testing.assert_array_equal(of_part.most, 1.5 * (counts.max(axis=0) + 1))


def test_scales_of_earlier_files_are_used_as_they_were():
    counts = np.array([[0, 0], [9, 0]])
    scale = CountScale(np.array([1.0, 0.0]), np.array([3.0, 1.0]))
    assert scale.common_scale() == 2.0 and "most" not in scale.to_arrays()
    np.testing.assert_array_equal(scale.within(counts), counts)
