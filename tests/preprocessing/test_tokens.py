"""Tokens against a loop that writes sequences down spike by spike, and what a sequence may not be."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skneuro.data import SpikeTrains
from skneuro.preprocessing.tokens import EOS_UNIT, tokenize

COUNTS = hnp.arrays(np.int64, st.tuples(st.integers(0, 13), st.just(3)), elements=st.integers(0, 3))
TRIALS = st.lists(COUNTS, min_size=1, max_size=4)


def slow_sequences(trials, window_bins):
    """Every window's sequence: dt ascending, then unit ascending, multiplicity kept, then EOS."""
    sequences = []
    for trial in trials:
        for start in range(0, len(trial), window_bins):
            sequence = []
            for dt, bin_counts in enumerate(trial[start : start + window_bins]):
                for unit, n in enumerate(bin_counts):
                    sequence += [(dt, unit)] * n
            sequences.append([*sequence, (window_bins, EOS_UNIT)])
    return sequences


def tokens_of(trials, window_bins):
    return tokenize(SpikeTrains.from_counts(trials, 0.01).bin(0.01), window_bins)


@settings(max_examples=60, deadline=None)
@given(trials=TRIALS, window_bins=st.integers(1, 6))
def test_sequences_are_those_of_a_loop(trials, window_bins):
    tokens = tokens_of(trials, window_bins)
    windows = [tokens.window(w) for w in range(len(tokens))]
    found = [list(zip(dt.tolist(), unit.tolist(), strict=True)) for dt, unit in windows]
    assert found == slow_sequences(trials, window_bins)


@settings(max_examples=60, deadline=None)
@given(trials=TRIALS, window_bins=st.integers(1, 6))
def test_counts_come_back_bit_by_bit(trials, window_bins):
    tokens = tokens_of(trials, window_bins)
    np.testing.assert_array_equal(tokens.counts().toarray(), np.concatenate(trials))
    assert tokens.n_spikes == sum(trial.sum() for trial in trials)
    assert tokens.is_eos.sum() == tokens.n_windows


@settings(max_examples=30, deadline=None)
@given(trials=TRIALS, window_bins=st.integers(1, 6))
def test_windows_tile_each_trial_and_never_cross_its_end(trials, window_bins):
    tokens = tokens_of(trials, window_bins)
    lengths = [len(trial) for trial in trials]
    starts = [(k, s) for k, n in enumerate(lengths) for s in range(0, n, window_bins)]
    assert list(zip(tokens.window_trial.tolist(), tokens.window_start.tolist(), strict=True)) == starts
    assert tokens.mask().sum() == 3 * sum(lengths)


def test_what_was_not_observed_is_masked_not_silent():
    spikes = SpikeTrains.from_unit_times(
        {"a": [0.01, 0.15], "b": [0.02]}, [(0.0, 0.175)], observed={"b": [(0.0, 0.04), (0.07, 1.0)]}
    )
    tokens = tokenize(spikes.bin(0.01), 5)
    mask = tokens.mask().reshape(-1, 2)
    assert mask.shape == (20, 2)
    np.testing.assert_array_equal(np.flatnonzero(~mask[:, 0]), [17, 18, 19])
    np.testing.assert_array_equal(np.flatnonzero(~mask[:, 1]), [4, 5, 6, 17, 18, 19])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dt": [1, 0, 2, 2], "unit": [0, 0, -1, -1]}, "Token 1 comes before token 0"),
        ({"dt": [0, 0, 2, 2], "unit": [1, 0, -1, -1]}, "Token 1 comes before token 0"),
        ({"dt": [0, 1, 1, 2], "unit": [0, 0, 0, -1]}, "only EOS"),
        ({"dt": [0, 2, 2, 2], "unit": [0, -1, -1, -1]}, "only EOS"),
        ({"dt": [0, 1, 2, 2], "unit": [0, 5, -1, -1]}, r"Token 1 is \(dt=1, unit=5\)"),
        ({"dt": [0, 1, 2, 2], "unit": [0, -2, -1, -1]}, r"unit=-2"),
        ({"window_ptr": np.array([0, 3])}, "window_ptr"),
    ],
)
def test_sequences_that_stand_for_no_counts_are_refused(changes, message):
    tokens = tokens_of([np.array([[1, 0], [1, 0], [0, 0]])], 2)
    changes = {name: np.array(value) for name, value in changes.items()}
    with pytest.raises(ValueError, match=message):
        replace(tokens, **changes)


def test_spikes_beyond_the_end_of_a_trial_are_refused():
    tokens = tokens_of([np.array([[0, 0], [0, 0], [1, 0]])], 2)
    with pytest.raises(ValueError, match="beyond the end of its trial"):
        replace(tokens, dt=np.array([2, 1, 2]))


def test_tokens_are_immutable_and_pickle():
    tokens = tokens_of([np.array([[1, 2], [0, 1]])], 2)
    with pytest.raises(ValueError, match="read-only"):
        tokens.dt[0] = 1
    copy = pickle.loads(pickle.dumps(tokens))
    np.testing.assert_array_equal(copy.counts().toarray(), tokens.counts().toarray())
    with pytest.raises(IndexError, match="no window 1"):
        tokens.window(1)
