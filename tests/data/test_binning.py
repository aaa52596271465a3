"""Times fall into bins by integer ticks, and what was not observed over a whole bin is masked, never zero."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import BinnedSpikes, SpikeTrains, binning

WIDTHS = st.sampled_from([0.01, 0.05, 0.1, 0.25, 1 / 3, 0.7])


def slow_counts(spikes, bin_width):
    """Count spike by spike, with the tolerance that DESIGN section 4 asks for."""
    trials = []
    for k in range(len(spikes)):
        n_bins = int(np.ceil(spikes.duration[k] / bin_width - 1e-6))
        counts = np.zeros((n_bins, spikes.shape[1]), dtype=int)
        for j, times in enumerate(spikes.trial(k)):
            for time in times:
                counts[min(int((time - spikes.t_start[k]) / bin_width + 1e-6), n_bins - 1), j] += 1
        trials.append(counts)
    return trials


def slow_mask(spikes, bin_width):
    """A cell is observed if one observed interval holds the whole bin, up to a millionth of it."""
    trials = []
    for k in range(len(spikes)):
        n_bins = int(np.ceil(spikes.duration[k] / bin_width - 1e-6))
        mask = np.zeros((n_bins, spikes.shape[1]), dtype=bool)
        for j, unit_id in enumerate(spikes.unit_ids.tolist()):
            for start, stop in spikes.observed_intervals(k, unit_id) - spikes.t_start[k]:
                for b in range(n_bins):
                    slack = 2e-6 * bin_width
                    mask[b, j] |= start <= b * bin_width + slack and stop >= (b + 1) * bin_width - slack
        trials.append(mask)
    return trials


@given(spikes=st.from_type(SpikeTrains), bin_width=WIDTHS)
def test_counts_and_mask_agree_with_a_slow_loop(spikes, bin_width):
    binned = spikes.bin(bin_width)
    counts, mask = slow_counts(spikes, bin_width), slow_mask(spikes, bin_width)
    assert np.diff(binned.ptr).tolist() == [len(part) for part in counts]
    for k in range(len(spikes)):
        rows = binned.ptr[k], binned.ptr[k + 1]
        np.testing.assert_array_equal(binned.dense(*rows), counts[k])
        np.testing.assert_array_equal(binned.mask(*rows), mask[k])
    assert binned.n_spikes == spikes.n_spikes
    seen = [(c * m).sum(axis=0) for c, m in zip(counts, mask, strict=True)]
    np.testing.assert_array_equal(binned.unit_counts(), np.sum(seen, axis=0) if seen else 0)
    np.testing.assert_allclose(binned.exposure(), binned.mask().sum(axis=0) * bin_width)


@given(spikes=st.from_type(SpikeTrains), bin_width=WIDTHS)
def test_stored_order_is_the_canonical_order_of_tokens(spikes, bin_width):
    counts = spikes.bin(bin_width).counts
    assert counts.has_canonical_format
    assert (counts.data > 0).all()
    assert counts.dtype == np.int32
    row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    cell = row * max(counts.shape[1], 1) + counts.indices
    assert (np.diff(cell) > 0).all()


@given(spikes=st.from_type(SpikeTrains), bin_width=WIDTHS, data=st.data())
def test_selecting_trials_before_and_after_binning_is_the_same(spikes, bin_width, data):
    rows = np.array(data.draw(st.lists(st.integers(0, len(spikes) - 1), max_size=6)) if len(spikes) else [], dtype=int)
    before, after = spikes[rows].bin(bin_width), spikes.bin(bin_width).select(rows)
    np.testing.assert_array_equal(before.ptr, after.ptr)
    np.testing.assert_array_equal(before.dense(), after.dense())
    np.testing.assert_array_equal(before.mask(), after.mask())
    np.testing.assert_array_equal(before.t_start, after.t_start)
    np.testing.assert_array_equal(before.trial_ids, after.trial_ids)


@given(
    tick=st.integers(0, 10**6),
    bin_width=st.sampled_from([0.001, 0.002, 0.01, 0.05, 1 / 3]),
    t_start=st.sampled_from([0.0, 0.1, -7.7, 3600.123]),
    error=st.sampled_from([-1e-7, 0.0, 1e-7, 0.5]),
)
def test_a_time_on_a_border_belongs_to_the_bin_that_begins_there(tick, bin_width, t_start, error):
    # At 1e6 bins the rounding of t_start + tick * bin_width is far below a millionth of a bin.
    time = max(t_start + (tick + error) * bin_width, t_start)
    spikes = SpikeTrains([time], [0], [0, 1], t_start, t_start + (tick + 2) * bin_width)
    assert spikes.bin(bin_width).counts.indptr.searchsorted(1) - 1 == tick


def test_times_since_1970_are_refused_because_their_rounding_is_no_longer_small():
    since_1970 = 1.7e9 + np.array([0.1, 0.2])
    spikes = SpikeTrains.from_events(since_1970, [0, 0], epochs=[(1.7e9, 1.7e9 + 1.0)])
    with pytest.raises(ValueError, match=r"known to 2e-07 s only, too coarse for bins of 0.01 s.*session's start"):
        spikes.bin(0.01)
    ticks = np.sort(np.random.default_rng(0).choice(100_000, 5000, replace=False))
    late = SpikeTrains.from_events(1e6 + 1e-4 * ticks, np.zeros(5000, int), epochs=[(1e6, 1e6 + 10.0)])
    np.testing.assert_array_equal(late.bin(0.001).dense()[:, 0], np.bincount(ticks // 10, minlength=10_000))


def test_69999999_is_bin_7():
    spikes = SpikeTrains([6.9999999, 7.0, 7.9], [0, 0, 0], [0, 3], 0.0, 10.0)
    assert np.flatnonzero(spikes.bin(1.0).dense()[:, 0]).tolist() == [7]
    assert spikes.bin(1.0).dense()[7, 0] == 3


def test_a_spike_just_before_the_end_is_in_the_last_bin():
    spikes = SpikeTrains([np.nextafter(0.3, 0)], [0], [0, 1], 0.0, 0.3)
    assert spikes.bin(0.1).dense().tolist() == [[0], [0], [1]]


@pytest.mark.parametrize(
    ("duration", "bin_width", "n_bins", "n_observed"),
    [
        (0.3, 0.1, 3, 3),
        (0.35, 0.1, 4, 3),
        (0.05, 0.1, 1, 0),
        (1.0, 1 / 3, 3, 3),
        (0.7, 0.07, 10, 10),
        (0.0, 0.1, 0, 0),
    ],
)
def test_a_partial_last_bin_is_there_but_masked(duration, bin_width, n_bins, n_observed):
    binned = SpikeTrains([], [], [0, 0], 0.1, 0.1 + duration, unit_ids=[0, 1]).bin(bin_width)
    assert binned.n_bins == n_bins
    assert binned.mask().sum(axis=0).tolist() == [n_observed] * 2


def test_spikes_in_a_partial_last_bin_are_masked_and_not_lost():
    binned = SpikeTrains([0.1, 0.32], [0, 0], [0, 2], 0.0, 0.35).bin(0.1)
    assert binned.dense()[:, 0].tolist() == [0, 1, 0, 1]
    assert binned.mask()[:, 0].tolist() == [True, True, True, False]
    assert binned.n_spikes == 2
    assert binned.unit_counts().tolist() == [1]


def test_rates_count_observed_time_only():
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 1000, 20_000))
    times = times[(times < 300) | (times >= 800)]
    spikes = SpikeTrains(
        times, np.zeros(len(times), int), [0, len(times)], 0.0, 1000.0, observed=[[0, 300.05], [800, 1000]]
    )
    binned = spikes.bin(0.1)
    # A bin that the gap reaches into is masked whole: 3,000 and 2,000 bins remain.
    assert binned.exposure().tolist() == pytest.approx([500.0])
    assert binned.unit_counts()[0] / binned.exposure()[0] == pytest.approx(20.0, rel=0.05)


def test_gaps_of_a_trial_leave_other_trials_alone():
    spikes = SpikeTrains(
        [], [], [0, 0, 0], [0.0, 0.0], 1.0, unit_ids=[0, 1], observed=[{1: [[0.5, 1.0]]}, [[0.0, 0.25]]]
    )
    mask = spikes.bin(0.25).mask()
    assert mask[:4].T.tolist() == [[True] * 4, [False, False, True, True]]
    assert mask[4:].T.tolist() == [[True, False, False, False]] * 2


@pytest.mark.parametrize("bin_width", [0, -0.1, np.inf, np.nan, None, "0.1", True])
def test_bin_width_must_be_a_positive_number(bin_width):
    with pytest.raises(ValueError, match="bin_width must be a positive number of seconds. Got"):
        SpikeTrains([], [], [0, 0], 0.0, 1.0, unit_ids=[0]).bin(bin_width)


def test_dense_and_mask_of_a_part():
    binned = SpikeTrains([0.1, 0.5], [0, 1], [0, 2], 0.0, 0.95).bin(0.1)
    np.testing.assert_array_equal(binned.dense(4, 7), binned.dense()[4:7])
    np.testing.assert_array_equal(binned.mask(8), binned.mask()[8:])
    np.testing.assert_array_equal(binned.mask(-2), binned.mask()[-2:])
    assert binned.mask(3, 3).shape == (0, 2)


def test_binned_spikes_pickle_and_are_frozen():
    binned = SpikeTrains([0.1, 0.5], [0, 1], [0, 2], 0.0, 0.95).bin(0.1)
    again = pickle.loads(pickle.dumps(binned))
    assert isinstance(again, BinnedSpikes)
    np.testing.assert_array_equal(again.dense(), binned.dense())
    with pytest.raises(AttributeError):
        binned.bin_width = 1.0
    assert repr(binned) == "BinnedSpikes(1 trials, 10 bins of 0.1 s, 2 units, 2 spikes)"


@pytest.mark.parametrize("kind", [np.float16, np.float32])
@pytest.mark.parametrize("width", [0.01, 0.02, 0.1])
def test_a_width_of_fewer_bits_is_the_decimal_that_it_stands_for(kind, width):
    counts = np.ones((1, 100, 2), int)
    spikes = SpikeTrains.from_counts(counts, width)
    np.testing.assert_array_equal(spikes.to_counts(kind(width)), counts)
    assert SpikeTrains.from_counts(counts, kind(width)).resolution == width


def test_bins_of_another_unit_of_time_are_refused_before_memory_ends():
    with pytest.raises(ValueError, match=r"cut 1 s into 1e\+09 bins.* bin_width is in seconds"):
        SpikeTrains.from_lists([[[0.5]]], 0.0, 1.0).bin(1e-9)


def test_what_is_read_at_once_changes_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    n_spikes = np.array([40, 0, 25])
    times = np.concatenate([np.sort(rng.random(n)) for n in n_spikes])
    spikes = SpikeTrains(
        times, rng.integers(0, 3, 65), np.append(0, n_spikes.cumsum()), 0.0, 1.0, unit_ids=[0, 1, 2],
        observed={1: [[0.0, 2.0]]},
    )  # fmt: skip
    whole = spikes.bin(0.05)
    monkeypatch.setattr(binning, "SPIKES_AT_ONCE", 7)
    monkeypatch.setattr(binning, "BINS_AT_ONCE", 4)
    parts = spikes.bin(0.05)
    assert (parts.counts != whole.counts).nnz == 0
    assert np.array_equal(whole.dense(), np.concatenate(slow_counts(spikes, 0.05)))
    seen = whole.dense() * whole.mask()
    assert np.array_equal(parts.unit_counts(), seen.sum(0))
