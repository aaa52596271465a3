"""Facts about clocks: what a map must recover, and what it must refuse to guess."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skneuro.data.clocks import ClockMap, align_clocks

INTERVALS = np.random.default_rng(0).uniform(0.5, 3.0, size=200)
PULSES = np.cumsum(INTERVALS)


def drifting(times):
    """A target clock with an offset of -7 s that runs 40 ppm fast."""
    return -7.0 + times * (1 + 40e-6)


def test_a_linear_clock_is_recovered_inside_and_outside_the_pulses():
    clock = align_clocks(PULSES, drifting(PULSES))
    times = np.linspace(PULSES[0] - 100, PULSES[-1] + 100, 1001)
    np.testing.assert_allclose(clock(times), drifting(times), atol=1e-9)
    assert clock.drift == pytest.approx(40.0, abs=1e-4)
    np.testing.assert_allclose(clock.residuals, 0.0, atol=1e-9)


def test_a_clock_that_changes_rate_is_followed_piece_by_piece():
    target = PULSES.copy()
    target[100:] += 200e-6 * (PULSES[100:] - PULSES[100])
    clock = align_clocks(PULSES, target)
    late = 0.5 * (PULSES[150] + PULSES[151])
    assert clock(late) == pytest.approx(late + 200e-6 * (late - PULSES[100]), abs=1e-9)


def test_the_map_passes_through_every_pulse_and_the_inverse_undoes_it():
    target = drifting(PULSES) + np.random.default_rng(1).normal(0, 5e-4, len(PULSES))
    clock = align_clocks(PULSES, target)
    np.testing.assert_allclose(clock(PULSES), target, atol=1e-12)
    times = np.linspace(-50, 700, 333)
    np.testing.assert_allclose(clock.inverse()(clock(times)), times, atol=1e-6)


def test_residuals_equal_a_slow_leave_one_out_loop():
    target = drifting(PULSES) + np.random.default_rng(2).normal(0, 1e-3, len(PULSES))
    clock = align_clocks(PULSES, target)
    slow = [target[k] - ClockMap(np.delete(PULSES, k), np.delete(target, k))(PULSES[k]) for k in range(len(PULSES))]
    np.testing.assert_allclose(clock.residuals, slow, atol=1e-12)


def test_one_displaced_pulse_stands_out_in_the_residuals():
    target = drifting(PULSES)
    target[77] += 0.004
    clock = align_clocks(PULSES, target)
    assert np.argmax(np.abs(clock.residuals)) == 77
    assert clock.residuals[77] == pytest.approx(0.004, rel=1e-6)


def test_two_pulses_give_a_map_without_residuals():
    clock = align_clocks([0.0, 10.0], [3.0, 13.0])
    assert clock(5.0) == pytest.approx(8.0)
    assert np.isnan(clock.residuals).all()


def test_missing_pulses_are_named():
    with pytest.raises(ValueError, match=r"1 of 200 source and 2 of 201 target .*source pulse 50 .*target pulse 3 "):
        spurious = np.append(PULSES, [PULSES[3] - 0.2, PULSES[120] + 0.3])
        align_clocks(PULSES, drifting(np.sort(np.delete(spurious, 50))))


@settings(max_examples=30, deadline=None)
@given(lost=st.sets(st.integers(0, 199), max_size=4), missed=st.sets(st.integers(0, 199), max_size=4))
def test_pulses_lost_on_either_side_leave_the_map_unchanged(lost, missed):
    kept_source = np.setdiff1d(np.arange(200), list(lost))
    kept_target = np.setdiff1d(np.arange(200), list(missed))
    clock = align_clocks(PULSES[kept_source], drifting(PULSES)[kept_target], drop_unmatched=True)
    both = np.intersect1d(kept_source, kept_target)
    np.testing.assert_array_equal(clock.source, PULSES[both])
    np.testing.assert_array_equal(kept_source[clock.unmatched_source], np.setdiff1d(kept_source, both))
    np.testing.assert_array_equal(kept_target[clock.unmatched_target], np.setdiff1d(kept_target, both))


def test_a_regular_train_that_lost_its_end_is_refused_and_one_that_lost_its_middle_is_not():
    regular = np.arange(60.0)
    with pytest.raises(ValueError, match="more than one way"):
        align_clocks(regular, regular[1:], drop_unmatched=True)
    clock = align_clocks(regular, np.delete(regular, 30), drop_unmatched=True)
    assert clock.unmatched_source.tolist() == [30]


@pytest.mark.parametrize("longest", [3, 10, None])
@pytest.mark.parametrize("n_pulses", [10, 30])
def test_what_is_accepted_is_right_wherever_either_side_lost_pulses(longest, n_pulses):
    """Whole intervals pair by chance half of the time, so a wrong first pair goes far."""
    right = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        intervals = rng.uniform(0.5, 3.0, n_pulses) if longest is None else rng.integers(1, longest + 1, n_pulses)
        source = np.cumsum(intervals.astype(float))
        target = drifting(source) + rng.normal(0, 3e-4, n_pulses)
        early = 5 if seed % 2 else n_pulses
        kept, seen = (np.delete(np.arange(n_pulses), rng.choice(early, rng.integers(0, 4), False)) for _ in "ab")
        try:
            clock = align_clocks(source[kept], target[seen], drop_unmatched=True)
        except ValueError:
            continue
        np.testing.assert_array_equal(np.setdiff1d(kept, kept[clock.unmatched_source]), np.intersect1d(kept, seen))
        right += 1
    assert right > (80 if n_pulses == 10 else 140)


def test_each_side_may_lose_the_others_first_pulse():
    clock = align_clocks(PULSES[[0, *range(2, 200)]], drifting(PULSES)[1:], drop_unmatched=True)
    assert (clock.unmatched_source.tolist(), clock.unmatched_target.tolist()) == ([0], [0])


def test_a_gap_that_drift_could_hide_a_pulse_in_is_refused():
    frames = np.arange(0, 200, 1 / 30)
    lossy = np.delete(frames, np.arange(1000, 3000))
    with pytest.raises(ValueError, match="lower tolerance and max_drift"):
        align_clocks(frames, lossy, drop_unmatched=True)
    clock = align_clocks(frames, lossy, drop_unmatched=True, max_drift=50, tolerance=0.002)
    np.testing.assert_array_equal(clock.unmatched_source, np.arange(1000, 3000))


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ([0.0, 2.0, 1.0], [0.0, 1.0, 2.0], "pulse 2 .* does not come after pulse 1"),
        ([0.0, np.nan], [0.0, 1.0], "number 1 is not"),
        ([0.0], [0.0], "at least two"),
        (PULSES, PULSES * 1000, "must be in seconds"),
        (PULSES, np.cumsum(np.random.default_rng(5).uniform(0.5, 3.0, 200)), "do not match"),
    ],
)
def test_bad_pulses_are_refused_with_the_reason(source, target, message):
    with pytest.raises(ValueError, match=message):
        align_clocks(source, target)


@pytest.mark.parametrize("argument", [{"tolerance": -1.0}, {"max_drift": np.nan}, {"max_drift": "50"}])
def test_bad_settings_are_refused(argument):
    with pytest.raises(ValueError, match=f"'{next(iter(argument))}' parameter of align_clocks"):
        align_clocks(PULSES, PULSES, **argument)


def test_a_map_is_immutable_and_pickles():
    clock = align_clocks(PULSES, drifting(PULSES))
    with pytest.raises(ValueError, match="read-only"):
        clock.source[0] = 1.0
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(clock))(PULSES), clock(PULSES))


def test_a_step_that_fits_several_pulses_is_refused():
    frames = np.cumsum(np.random.default_rng(3).uniform(0.02, 0.05, 8000))
    lossy = np.delete(frames, np.arange(2000, 7000))
    with pytest.raises(ValueError, match=r"After source pulse 1999 .* fit equally well"):
        align_clocks(frames, lossy, drop_unmatched=True, tolerance=0.002)
