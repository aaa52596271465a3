"""The tokenizer's way there and back, for every form of X."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.exceptions import NonIntegerCountsWarning
from skneuro.preprocessing import SpikeTokenizer, Tokens

RNG = np.random.default_rng(0)
COUNTS_2D = RNG.poisson(0.5, (23, 4))
COUNTS_3D = RNG.poisson(0.5, (5, 7, 4))


@pytest.mark.parametrize("counts", [COUNTS_2D, COUNTS_3D])
@pytest.mark.parametrize("window_bins", [1, 5, 50])
def test_counts_come_back_in_their_own_shape(counts, window_bins):
    tokenizer = SpikeTokenizer(window_bins=window_bins).fit(counts)
    back = tokenizer.inverse_transform(tokenizer.transform(counts))
    assert back.dtype.kind == "i"
    np.testing.assert_array_equal(back, counts)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    bin_width=st.sampled_from([0.001, 0.01, 0.025, 0.3]),
    window_bins=st.integers(1, 7),
    gaps=st.booleans(),
)
def test_a_container_comes_back_with_the_same_counts_trials_and_observation(seed, bin_width, window_bins, gaps):
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 2, 3)
    epochs = np.column_stack([start, start + rng.uniform(0, 1, 3)])
    times = {f"u{k}": rng.uniform(0, 3, 60) for k in range(4)}
    observed = {"u1": [(0.0, 0.7), (0.81, 1.013), (1.3, 9.0)]} if gaps else None
    with pytest.warns(UserWarning, match="spikes were left out"):
        spikes = SpikeTrains.from_unit_times(
            times,
            epochs,
            observed=observed,
            unit_info=pd.DataFrame({"area": list("abcd")}, index=list(times)),
        )
    tokenizer = SpikeTokenizer(bin_width, window_bins).fit(spikes)
    back = tokenizer.inverse_transform(tokenizer.transform(spikes))
    there, again = spikes.bin(bin_width), back.bin(bin_width)
    np.testing.assert_array_equal(again.dense(), there.dense())
    np.testing.assert_array_equal(again.mask(), there.mask())
    np.testing.assert_array_equal(back.t_stop, spikes.t_stop)
    pd.testing.assert_frame_equal(back.unit_info, spikes.unit_info)


def test_blocks_keep_the_past_that_they_carry():
    blocks = SpikeTrains.from_counts(COUNTS_2D, 0.01).cut(0.08, context=0.03)
    tokenizer = SpikeTokenizer(window_bins=4).fit(blocks)
    back = tokenizer.inverse_transform(tokenizer.transform(blocks))
    np.testing.assert_array_equal(back.context, blocks.context)
    np.testing.assert_array_equal(back.bin(0.01).mask(), blocks.bin(0.01).mask())


def test_a_trial_without_spikes_or_without_time_is_legal():
    spikes = SpikeTrains.from_lists([[[], []], [[0.01], []], [[], []]], t_start=0.0, t_stop=[0.1, 0.1, 0.0])
    tokens = SpikeTokenizer().fit_transform(spikes)
    assert tokens.n_windows == 4
    assert tokens.n_spikes == 1
    assert np.bincount(tokens.window_trial, minlength=3).tolist() == [2, 2, 0]


def test_a_recording_is_read_for_its_spikes():
    spikes = SpikeTrains.from_counts(COUNTS_3D, 0.01)
    speed = TimeSeries.from_lists([np.arange(7.0)] * 5, rate=100.0)
    tokens = SpikeTokenizer().fit_transform(Recording(spikes, Modalities(speed=speed)))
    np.testing.assert_array_equal(tokens.counts().toarray(), COUNTS_3D.reshape(-1, 4))


def test_units_must_be_those_of_fit():
    spikes = SpikeTrains.from_counts(COUNTS_2D, 0.01, unit_ids=["a", "b", "c", "d"])
    tokenizer = SpikeTokenizer().fit(spikes)
    with pytest.raises(ValueError, match="in another order"):
        tokenizer.transform(spikes.select_units(["b", "a", "c", "d"]))
    with pytest.raises(ValueError, match="expecting 4 features"):
        tokenizer.transform(spikes.select_units(["a", "b"]))
    with pytest.raises(ValueError, match=r"Not seen in fit: \['e'\]"):
        tokenizer.transform(SpikeTrains.from_counts(COUNTS_2D, 0.01, unit_ids=["a", "b", "c", "e"]))


def test_counts_cannot_be_cut_finer_than_they_are():
    with pytest.raises(ValueError, match="whole multiple"):
        SpikeTokenizer(bin_width=0.005).fit(SpikeTrains.from_counts(COUNTS_2D, 0.01))


def test_counts_that_are_not_whole_are_rounded_or_refused():
    with pytest.warns(NonIntegerCountsWarning):
        tokens = SpikeTokenizer().fit_transform([[0.4, 1.5], [2.0, 0.0]])
    np.testing.assert_array_equal(tokens.counts().toarray(), [[0, 2], [2, 0]])
    with pytest.raises(ValueError, match="whole"):
        SpikeTokenizer(counts="strict").fit([[0.4, 1.5], [2.0, 0.0]])


@pytest.mark.parametrize("bad", [{"window_bins": 0}, {"bin_width": -1.0}, {"window_bins": 2.5}, {"counts": "no"}])
def test_parameters_are_checked_in_scikit_learns_words(bad):
    with pytest.raises(ValueError, match=f"The '{next(iter(bad))}' parameter of SpikeTokenizer must be"):
        SpikeTokenizer(**bad).fit(COUNTS_2D)


def test_the_output_stays_ragged_under_global_pandas_output():
    with config_context(transform_output="pandas"):
        assert isinstance(SpikeTokenizer().fit_transform(COUNTS_2D), Tokens)
    assert not hasattr(SpikeTokenizer(), "set_output")


def test_it_clones_works_in_a_pipeline_and_asks_to_be_fitted():
    tokens = make_pipeline(clone(SpikeTokenizer(window_bins=3))).fit_transform(COUNTS_2D)
    assert tokens.window_bins == 3
    with pytest.raises(NotFittedError):
        SpikeTokenizer().transform(COUNTS_2D)
    with pytest.raises(TypeError, match="expects the Tokens"):
        SpikeTokenizer().fit(COUNTS_2D).inverse_transform(COUNTS_2D)
