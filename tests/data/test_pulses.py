"""Facts about pulses: light is known bin by bin and never ahead; what a pulse spoils is in no score, fit or rate."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skneuro.baselines import HomogeneousPoisson
from skneuro.data import Modalities, Pulses, Recording, SpikeTrains
from skneuro.exceptions import IncompatibleModalityError

# In milliseconds: (onset, duration, target, power), pulses of one trial of 100 ms.
PULSES = st.lists(
    st.tuples(st.integers(-20, 99), st.integers(21, 40), st.integers(0, 1), st.integers(1, 3)), max_size=5
)
TRIALS = st.lists(PULSES, min_size=1, max_size=4)


def silent(n_trials, duration=0.1):
    return SpikeTrains([], [], np.zeros(n_trials + 1, int), 0.0, np.full(n_trials, duration), unit_ids=[0])


def pulses_of(trials, t_start=0.0):
    rows = [row for trial in trials for row in sorted(trial)]
    onset, duration, target, power = (np.array([row[k] for row in rows]) for k in range(4))
    ptr = np.cumsum([0, *map(len, trials)])
    return Pulses(
        onset / 1000, duration / 1000, ptr, t_start, 0.1, names=("ChR2", "Arch"), target=target.astype(int),
        power=power.astype(float),
    )  # fmt: skip


def lit(trials):
    """Power in every millisecond, (trials, 100, targets)."""
    power = np.zeros((len(trials), 100, 2))
    for k, trial in enumerate(trials):
        for onset, duration, target, strength in trial:
            power[k, max(onset, 0) : onset + duration, target] += strength
    return power


@given(trials=TRIALS)
def test_a_bin_holds_the_mean_power_of_its_milliseconds(trials):
    pulses = pulses_of(trials)
    found = pulses.on_bins(silent(len(trials)).bin(0.01))
    np.testing.assert_allclose(found, lit(trials).reshape(-1, 10, 2).mean(1), atol=1e-9)
    samples = pulses.samples(silent(len(trials)).bin(0.01))
    np.testing.assert_array_equal(samples.values, found[(found > 0).any(1)])
    assert (np.diff(samples.trial) >= 0).all()


@given(trials=TRIALS, rows=st.lists(st.integers(0, 3), max_size=4))
def test_pulses_follow_the_trials_and_the_blocks(trials, rows):
    spikes, pulses = silent(len(trials)), pulses_of(trials)
    whole = pulses.on_bins(spikes.bin(0.005))
    blocks = Recording(spikes, Modalities(laser=pulses)).cut(0.025)
    np.testing.assert_allclose(blocks.modalities["laser"].on_bins(blocks.spikes.bin(0.005)), whole, atol=1e-12)
    picked = np.array([row % len(trials) for row in rows], dtype=int)
    again = pickle.loads(pickle.dumps(pulses))[picked].on_bins(silent(len(picked)).bin(0.005))
    np.testing.assert_array_equal(again, whole.reshape(len(trials), 20, 2)[picked].reshape(-1, 2))


def test_no_bin_knows_of_a_later_pulse_or_how_long_one_will_last():
    bins = silent(1).bin(0.01)
    short, long = (pulses_of([[(50, duration, 0, 1)]]).on_bins(bins) for duration in (30, 40))
    np.testing.assert_array_equal(short[:8], long[:8])
    assert not short[:5].any() and not np.array_equal(short, long)


def test_the_light_is_not_known_outside_its_span():
    pulses = Pulses([0.05], [0.01], [0, 1], 0.02, 0.08)
    found = pulses.on_bins(silent(1).bin(0.01)).ravel()
    assert np.isnan(found[[0, 1, 8, 9]]).all() and np.isfinite(found[2:8]).all()
    with pytest.raises(IncompatibleModalityError, match="'laser' does not cover 1 of 1 trials"):
        Recording(silent(1), Modalities(laser=pulses))


def test_a_table_of_a_session_goes_to_the_epochs_in_which_it_is_on():
    table = pd.DataFrame({"onset": [1.2, 0.95, 5.0], "duration": [0.1, 0.1, 0.1], "target": ["b", "a", "a"]})
    pulses = Pulses.from_table(table.assign(power=[3.0, 2.0, 1.0]), [[0.0, 1.0], [1.0, 2.0]], before=0.5)
    assert pulses.names == ("a", "b") and pulses.ptr.tolist() == [0, 1, 3]
    np.testing.assert_allclose(pulses.onset, [0.95, 0.95, 1.2])
    np.testing.assert_allclose(pulses.power, [2.0, 2.0, 3.0])
    np.testing.assert_allclose(pulses.t_start, [-0.5, 0.5])


def test_power_is_scaled_by_what_the_training_pulses_had():
    pulses = pulses_of([[(10, 21, 0, 3), (20, 21, 0, 1)], [(0, 21, 1, 2)]])
    np.testing.assert_allclose(pulses.moments()[1], [np.sqrt(5), 2])
    early = pulses._during(np.array([0]), np.array([0.015]), np.array([0.05]))
    np.testing.assert_allclose(early.moments()[1], [1, 1])


# ------------------------------------------------------------------------------------------- blanking


@given(
    trials=TRIALS,
    before=st.integers(0, 8),
    after=st.integers(0, 8),
    edges=st.booleans(),
    spiking=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99), st.integers(0, 1)), max_size=30),
    hole=st.integers(0, 89),
)
def test_blanked_milliseconds_are_those_of_a_slow_loop(trials, before, after, edges, spiking, hole):
    if edges and before == after == 0:
        before = 1
    # A spike in the middle of its millisecond; the second unit was not observed for 10 ms besides.
    spiking = sorted((k % len(trials), t, u) for k, t, u in spiking if u == 0 or not hole <= t < hole + 10)
    lists = [[[(t + 0.5) / 1000 for k, t, u in spiking if (k, u) == (row, unit)] for unit in (0, 1)]
             for row in range(len(trials))]  # fmt: skip
    gaps = {1: [(0.0, hole / 1000), ((hole + 10) / 1000, 0.1)]} if hole else {1: [(0.01, 0.1)]}
    spikes = SpikeTrains.from_lists(lists, 0.0, 0.1, observed=gaps)
    found = pulses_of(trials).blank(spikes, before=before / 1000, after=after / 1000, edges=edges)
    seen = np.ones((len(trials), 100, 2), dtype=bool)
    seen[:, hole : hole + 10, 1] = False
    for k, trial in enumerate(trials):
        for onset, duration, _, _ in trial:
            off = onset + duration
            for a, b in ((onset, onset), (off, off)) if edges else ((onset, off),):
                seen[k, max(a - before, 0) : max(b + after, 0)] = False
    np.testing.assert_array_equal(found.bin(0.001).mask(), seen.reshape(-1, 2))
    kept = [(k, t, u) for k, t, u in spiking if seen[k, t, u]]
    trial = np.repeat(np.arange(len(trials)), np.diff(found.ptr))
    rows = np.column_stack([trial, np.floor(found.times * 1000).astype(int), found.units])
    assert sorted(map(tuple, rows.tolist())) == kept


def test_only_named_units_are_blanked():
    spikes = SpikeTrains.from_lists([[[0.055], [0.055]]], 0.0, 0.1, unit_ids=["far", "near"])
    found = pulses_of([[(50, 21, 0, 1)]]).blank(spikes, units=["near"])
    assert found.unit_ids[found.units].tolist() == ["far"]
    np.testing.assert_allclose(found.bin(0.01).exposure(), [0.1, 0.07])


def test_nothing_to_blank_leaves_the_recording():
    spikes = SpikeTrains.from_lists([[[0.055]]], 0.0, 0.1)
    assert Pulses([], [], [0, 0], 0.0, 0.1).blank(spikes) is spikes


def test_the_rate_is_that_of_the_time_that_is_left():
    """10 Hz of spikes and an artefact of a spike with each pulse: blanked, the rate is 10 Hz again, to the spike."""
    times = np.sort(np.append(np.arange(0.05, 10, 0.1), np.arange(0.5, 10) + 0.02))
    spikes = SpikeTrains.from_lists([[times]], 0.0, 10.0)
    pulses = Pulses(np.arange(0.5, 10), np.full(10, 0.1), [0, 10], 0.0, 10.0)
    assert HomogeneousPoisson(bin_width=0.01).fit(spikes).base_rate_[0] > 10.9
    model = HomogeneousPoisson(bin_width=0.01).fit(pulses.blank(spikes))
    np.testing.assert_allclose(model.base_rate_, (90 + 0.5) / 9)  # 90 spikes in 9 s


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Pulses([0.1], [0.0], [0, 1], 0, 1), ValueError, "duration must be positive, in seconds. Got 0"),
        (lambda: Pulses([0.1], [np.nan], [0, 1], 0, 1), ValueError, "duration must be positive"),
        (lambda: Pulses([0.1], ["a"], [0, 1], 0, 1), TypeError, "duration must be numbers"),
        (lambda: Pulses([0.1], [0.1, 0.1], [0, 1], 0, 1), ValueError, "duration must be one number for each of 1"),
        (lambda: Pulses([np.nan], [0.1], [0, 1], 0, 1), ValueError, "onset must be finite"),
        (lambda: Pulses([0.1], [0.1], [0, 1], 0, 1, power=[-1]), ValueError, "power must be positive.*Got -1"),
        (lambda: Pulses([1.2], [0.1], [0, 1], 0, 1), ValueError, r"reach into its trial. Got one from 1.2 to 1.3 s"),
        (lambda: Pulses([-0.2], [0.1], [0, 1], 0, 1), ValueError, "reach into its trial"),
        (lambda: Pulses([0.2, 0.1], [0.1, 0.1], [0, 2], 0, 1), ValueError, "onset must ascend.*from_table"),
        (lambda: Pulses([0.1], [0.1], [0, 2], 0, 1), ValueError, "ptr must ascend"),
        (lambda: Pulses([0.1], [0.1], [0, 1], 0, 1, target=[1]), ValueError, r"target must be 0 .. 0. Got 1 .. 1"),
        (lambda: Pulses([0.1], [0.1], [0, 1], 0, 1, target=["a"]), ValueError, "target must be ints.*from_table"),
        (lambda: Pulses([0.1], [0.1], [0, 1], 0, 1, names="light"), ValueError, "names must be different strings"),
        (lambda: Pulses.from_table([0.1], [[0, 1]]), TypeError, "table must be a DataFrame or a dict.*Got list"),
        (lambda: Pulses.from_table({"onset": [0.1]}, [[0, 1]]), ValueError, "columns onset and duration"),
        (
            lambda: Pulses.from_table({"onset": [0.1], "duration": [0.1], "pwer": [1]}, [[0, 1]]),
            ValueError,
            r"may have target and power. Got \['onset', 'duration', 'pwer'\]",
        ),
        (
            lambda: Pulses.from_table({"onset": [0.1], "duration": [0.1], "target": ["a"]}, [[0, 1]], names=["b"]),
            ValueError,
            r"names must hold every target. \['a'\] is not in \['b'\]",
        ),
        (lambda: Pulses.from_table({"onset": [0.1], "duration": [0.1]}, [0, 1, 2]), ValueError, r"\(n_trials, 2\)"),
        (
            lambda: Pulses.from_table({"onset": [0.1], "duration": [0.1]}, [[0, 1]], before=-1),
            ValueError,
            "before must be at least 0 seconds",
        ),
    ],
)
def test_what_are_no_pulses(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"before": -0.1}, ValueError, "before must be a number of seconds, at least 0. Got -0.1"),
        ({"after": np.nan}, ValueError, "after must be a number of seconds"),
        ({"edges": True}, ValueError, "before or after must be above 0 seconds, or nothing is blanked"),
        ({"edges": "no", "after": 0.1}, ValueError, "edges must be True or False"),
        ({"units": [7]}, ValueError, "There is no unit 7"),
        ({"spikes": silent(2)}, ValueError, "must be of the same 1 trials as the pulses. Got 2"),
        ({"spikes": np.zeros((10, 1))}, TypeError, "spikes must be SpikeTrains. Got ndarray"),
    ],
)
def test_what_cannot_be_blanked(changes, error, message):
    pulses = Pulses([0.05], [0.01], [0, 1], 0.0, 0.1)
    with pytest.raises(error, match=message):
        pulses.blank(**{"spikes": silent(1)} | changes)


def test_a_table_that_lies_outside_every_epoch_is_pointed_out():
    with pytest.warns(UserWarning, match="None of the 2 pulses lies in an epoch"):
        Pulses.from_table({"onset": [400.0, 500.0], "duration": [0.1, 0.1]}, [[0.0, 1.0]])


def test_light_before_a_trial_is_seen_where_it_is_known():
    binned = SpikeTrains.from_lists([[[0.1]], [[1.1]]], [0.0, 1.0], [0.4, 1.4]).bin(0.02)
    table = {"onset": [-0.05, 0.95], "duration": [0.04, 0.1]}
    seen = Pulses.from_table(table, [[0.0, 0.4], [1.0, 1.4]], before=0.2).samples(binned)
    np.testing.assert_allclose(seen.onset[seen.trial == 0], [-0.06, -0.04, -0.02])
    np.testing.assert_allclose(seen.values[seen.trial == 0, 0], [0.5, 1.0, 0.5])
    assert np.isclose(seen.onset[seen.trial == 1].min(), -0.06)
    shorter = Pulses.from_table(table, [[0.0, 0.4], [1.0, 1.4]], before=0.02).samples(binned)
    np.testing.assert_allclose(shorter.onset[shorter.trial == 1].min(), -0.02)
