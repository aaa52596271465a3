"""Observed intervals in any form say the same, and what is not in one is a gap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.data import Observation, SpikeTrains

tables = st.lists(st.tuples(st.integers(-3, 12), st.integers(1, 5)).map(lambda x: (x[0], x[0] + x[1])), max_size=4)


def silent(n_trials=2, n_units=2, observed=None):
    return SpikeTrains(
        [], [], np.zeros(n_trials + 1, int), np.arange(n_trials) * 2.0, np.arange(n_trials) * 2.0 + 10,
        unit_ids=[f"u{j}" for j in range(n_units)], observed=observed,
    )  # fmt: skip


def observed_ticks(intervals):
    """Tenths of a second in observed intervals, the slow way."""
    ticks = np.arange(-100, 200) / 10 + 0.05
    return [bool(any(a <= t < b for a, b in intervals)) for t in ticks]


@given(table=tables.filter(len))
def test_one_table_holds_for_all_trials_and_units(table):
    spikes = silent(observed=table)
    for k in range(2):
        inside = [(max(a, spikes.t_start[k]), min(b, spikes.t_stop[k])) for a, b in table]
        for unit in ("u0", "u1"):
            assert observed_ticks(spikes.observed_intervals(k, unit)) == observed_ticks(inside)


@given(first=tables, second=tables)
def test_tables_by_unit_leave_other_units_alone(first, second):
    spikes = silent(observed=[{"u0": first}, {"u1": second}])
    assert spikes.observed_intervals(0, "u1").tolist() == [[0, 10]]
    assert spikes.observed_intervals(1, "u0").tolist() == [[2, 12]]
    for k, (unit, table) in enumerate([("u0", first), ("u1", second)]):
        inside = [(max(a, spikes.t_start[k]), min(b, spikes.t_stop[k])) for a, b in table]
        intervals = spikes.observed_intervals(k, unit)
        assert observed_ticks(intervals) == observed_ticks(inside)
        assert (np.diff(intervals.ravel()) > 0).all()


def test_all_forms_of_the_same_observation_agree():
    table = [[0.0, 4.0], [5.0, 20.0]]
    forms = [table, np.array(table), [table, table], [np.array(table)] * 2, {"u0": table, "u1": table}]
    for form in forms:
        spikes = silent(observed=form)
        for k in range(2):
            for unit in ("u0", "u1"):
                assert spikes.observed_intervals(k, unit).tolist() == [[2.0 * k, 4], [5, 10 + 2.0 * k]]


def test_intervals_that_cover_everything_leave_no_gaps():
    assert silent(observed=[[-1, 100]]).observation is None
    assert silent(observed=[(-np.inf, np.inf)]).observation is None
    assert silent(observed=[{}, {}]).observation is None
    # 0.1 * 3 is not 0.3: no gap of 5e-17 s.
    assert SpikeTrains([], [], [0, 0], 0.3, 1.0, observed=[[0.1 * 3, 1.0]]).observation is None


def test_a_unit_that_was_never_observed():
    spikes = silent(observed={"u1": []})
    assert spikes.observed_intervals(0, "u1").shape == (0, 2)
    assert spikes.bin(1.0).exposure().tolist() == [20.0, 0.0]


def test_gaps_follow_the_selection_of_units_and_trials():
    spikes = silent(observed=[{"u0": [[0, 3]]}, {}])
    assert spikes[1].observation is None
    assert spikes[[1, 0]].observed_intervals(1, "u0").tolist() == [[0, 3]]
    assert spikes.select_units(["u1"]).observation is None
    assert spikes.select_units(["u1", "u0"]).observed_intervals(0, "u0").tolist() == [[0, 3]]


def test_gaps_survive_concatenation():
    gap, whole = silent(observed={"u0": [[0, 3]]}), silent()
    both = SpikeTrains.concatenate([whole, gap])
    assert both.observed_intervals(0, "u0").tolist() == [[0, 10]]
    assert both.observed_intervals(2, "u0").tolist() == [[0, 3]]


@given(
    gaps=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-1, 2), st.integers(0, 9), st.integers(1, 4)),
        min_size=1,
        max_size=8,
    ),
    spikes=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 12)), max_size=20),
)
def test_spikes_in_gaps_are_found_like_a_slow_loop_does(gaps, spikes):
    gaps = sorted(gaps)
    trial, unit, start, length = (np.array(column) for column in zip(*gaps, strict=True))
    ptr = np.concatenate([[0], np.cumsum(np.bincount(trial, minlength=3))])
    observation = Observation(start, start + length, unit, ptr)
    expected = [
        any(g == k and u in (-1, j) and a <= t < a + n for g, u, a, n in gaps) for k, j, t in spikes
    ]  # fmt: skip
    k, j, t = (np.array([spike[i] for spike in spikes], dtype=int) for i in range(3))
    assert observation.in_gap(t.astype(float), j, k).tolist() == expected


def test_mask_of_bins_gives_back_its_gaps():
    rng = np.random.default_rng(0)
    mask = rng.random((30, 3)) < 0.6
    bins, start = np.array([0, 12, 12, 30]), np.array([0.0, 5.0, -2.0])
    observation = Observation.from_mask(mask, bins, start, 0.1)
    _, cells = observation.bin_masks(start, bins, 0.1, 3, 1e-6)
    np.testing.assert_array_equal(cells, mask)
    assert Observation.from_mask(np.ones((30, 3), bool), bins, start, 0.1) is None


def test_lengths_that_disagree_are_refused():
    with pytest.raises(ValueError, match="entries each"):
        Observation([0.0], [1.0, 2.0], [-1], [0, 1])
    with pytest.raises(ValueError, match="must cover 1 trials"):
        SpikeTrains([], [], [0, 0], 0.0, 1.0, unit_ids=[0], observed=Observation([], [], [], [0, 0, 0]))
