"""Every planted defect is found and named, and a clean recording has none."""

import numpy as np
import pandas as pd
import pytest

from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.exceptions import IncompatibleModalityError
from skneuro.inspection import (
    check_recording,
    clock_quality,
    recording_gaps,
    running_modulation,
    shared_events,
    unit_quality,
    zero_lag_pairs,
)

DURATION = 400.0


def refractory_train(rng, rate, duration=DURATION, dead=3e-3):
    """A Poisson process with a dead time after each spike, at the rate asked for."""
    n = int(2 * rate * duration + 100)
    times = np.cumsum(dead + rng.exponential(1 / rate - dead, n))
    return times[times < duration]


def clean_trains(seed=0, n_units=12):
    rng = np.random.default_rng(seed)
    return {f"u{k}": refractory_train(rng, rate) for k, rate in enumerate(np.geomspace(1.5, 15, n_units))}


def recording(trains, **kwargs):
    return SpikeTrains.from_unit_times(
        {unit: np.sort(times) for unit, times in trains.items()}, epochs=[[0.0, DURATION]], **kwargs
    )


def found(report, check):
    return [f for f in report.findings if f.check == check]


def only(report, check):
    """The findings of one check, of which there must be some, while no other check found anything."""
    assert {f.check for f in report.findings} == {check}
    return found(report, check)


@pytest.mark.parametrize("seed", range(3))
def test_a_clean_recording_has_no_finding(seed):
    report = check_recording(recording(clean_trains(seed)))
    assert report.findings == ()
    assert not report.serious
    assert {"rates", "presence", "gaps", "refractory period", "zero-lag peaks"} <= set(report.passed)


def test_independent_place_like_bursts_are_no_defect():
    rng = np.random.default_rng(1)
    trains = {}
    for k in range(8):
        field = (np.arange(0, DURATION, 20) + rng.uniform(0, 20, 20))[:, None]
        spikes = np.sort((field + rng.exponential(0.5, (20, 15))).ravel())
        trains[k] = np.unique(spikes[(spikes < DURATION)][np.diff(spikes[spikes < DURATION], prepend=-1) > 2e-3])
    assert not found(check_recording(recording(trains)), "presence")


def test_a_lost_unit_is_named_with_the_time_of_loss():
    trains = clean_trains()
    trains["u5"] = trains["u5"][trains["u5"] < 250]
    (finding,) = only(check_recording(recording(trains)), "presence")
    assert finding.units == ("u5",)
    assert "150 s" in finding.message or "151 s" in finding.message


def test_a_loss_declared_as_not_observed_is_no_finding():
    trains = clean_trains()
    trains["u5"] = trains["u5"][trains["u5"] < 250]
    assert check_recording(recording(trains, observed={"u5": [[0.0, 250.0]]})).findings == ()


def test_refractory_violations_are_found_with_their_contamination():
    trains = clean_trains()
    rng = np.random.default_rng(3)
    # two cells of equal rate in one unit: half of the spikes are foreign
    trains["mix"] = np.concatenate([refractory_train(rng, 15), refractory_train(rng, 15)])
    (finding,) = only(check_recording(recording(trains)), "refractory period")
    assert finding.units == ("mix",)


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_expected_contamination_is_the_share_of_foreign_spikes(share):
    """Foreign spikes from many cells are a Poisson process: the formula must give back its share."""
    rng = np.random.default_rng(4)
    own = refractory_train(rng, 20 * (1 - share), duration=4000.0)
    foreign = np.sort(rng.uniform(0, 4000.0, rng.poisson(20 * share * 4000.0)))
    spikes = SpikeTrains.from_unit_times({0: np.sort(np.r_[own, foreign])}, epochs=[[0.0, 4000.0]])
    assert unit_quality(spikes)["contamination"].iloc[0] == pytest.approx(share, abs=0.03)


def test_spikes_counted_twice_are_told_from_refractory_violations():
    trains = clean_trains()
    trains["u8"] = np.concatenate([trains["u8"], trains["u8"][::20] + 5e-5])
    (finding,) = only(check_recording(recording(trains)), "duplicated spikes")
    assert finding.units == ("u8",)
    assert finding.severity == "serious"


def test_a_unit_sorted_twice_is_serious():
    trains = clean_trains()
    rng = np.random.default_rng(5)
    copy = trains["u6"][rng.random(trains["u6"].size) < 0.9]
    trains["copy"] = copy + rng.uniform(-1e-4, 1e-4, copy.size)
    report = check_recording(recording(trains))
    (finding,) = only(report, "zero-lag peaks")
    assert set(finding.units) == {"u6", "copy"}
    assert finding.severity == "serious"


def test_a_split_unit_shows_as_a_hole_in_the_cross_correlogram():
    trains = clean_trains()
    whole = refractory_train(np.random.default_rng(6), 30)
    first = np.random.default_rng(7).random(whole.size) < 0.5
    trains["half"], trains["other half"] = whole[first], whole[~first]
    (finding,) = only(check_recording(recording(trains)), "zero-lag peaks")
    assert set(finding.units) == {"half", "other half"}


def test_a_shared_artefact_is_one_finding_and_not_one_a_pair():
    trains = clean_trains()
    rng = np.random.default_rng(8)
    at = np.sort(rng.uniform(1, DURATION - 1, 60))
    trains = {u: np.r_[t, at + rng.uniform(0, 4e-4, at.size)] for u, t in trains.items()}
    trains = {u: _without_close(np.sort(t), 2e-3) for u, t in trains.items()}
    report = check_recording(recording(trains))
    (finding,) = only(report, "shared artefacts")
    assert "60 instants" in finding.message


def _without_close(times, least):
    return times[np.diff(times, prepend=-1) > least]


def test_artefact_members_are_the_spikes_at_the_artefact():
    rng = np.random.default_rng(9)
    trains = {k: np.sort(np.r_[rng.uniform(0, DURATION, 500), 100.0 + 1e-4 * k]) for k in range(10)}
    spikes = recording(trains)
    member, first = shared_events(spikes)
    assert spikes.times[first] == pytest.approx([100.0])
    assert member.sum() == 10


def test_common_modulation_within_tens_of_milliseconds_is_no_zero_lag_peak():
    """Cells that share a 40 ms rhythm co-fire, but not within half a millisecond."""
    rng = np.random.default_rng(10)
    up = np.arange(0, DURATION, 0.12)
    trains = {k: np.sort(rng.choice(up, 1500) + rng.uniform(0, 0.04, 1500)) for k in range(3)}
    pairs = zero_lag_pairs(recording({k: t[t < DURATION] for k, t in trains.items()}))
    assert pairs["share"].max() < 0.02
    assert pairs["z"].abs().max() < 4


def test_coincidences_agree_with_counting_every_pair_by_hand():
    rng = np.random.default_rng(11)
    trains = {k: np.sort(rng.uniform(0, 2.0, 200)) for k in range(3)}
    spikes = SpikeTrains.from_unit_times(trains, epochs=[[0.0, 2.0]])
    pairs = zero_lag_pairs(spikes).set_index(["unit", "other"])
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        by_hand = np.sum(np.abs(trains[i][:, None] - trains[j][None, :]) <= 0.5e-3)
        assert pairs.loc[(i, j), "coincidences"] == by_hand


def test_coincidences_do_not_join_the_end_of_a_trial_to_the_start_of_the_next():
    spikes = SpikeTrains.from_lists([[[0.9999], []], [[], [0.0001]]], t_start=0.0, t_stop=1.0)
    assert zero_lag_pairs(spikes)["coincidences"].tolist() == [0]
    assert unit_quality(spikes)["violations"].tolist() == [0, 0]


def test_a_gap_in_the_recording_is_found_where_it_is():
    trains = {u: t[(t < 120) | (t > 133)] for u, t in clean_trains().items()}
    spikes = recording(trains)
    gaps = recording_gaps(spikes)
    assert len(gaps) == 1
    assert gaps["start"].iloc[0] == pytest.approx(120, abs=0.2)
    assert gaps["stop"].iloc[0] == pytest.approx(133, abs=0.2)
    (finding,) = found(check_recording(spikes), "gaps")
    assert finding.severity == "serious"


def test_a_gap_that_is_declared_is_no_finding():
    trains = {u: t[(t < 120) | (t >= 133)] for u, t in clean_trains().items()}
    spikes = recording(trains, observed=[[0.0, 120.0], [133.0, DURATION]])
    assert check_recording(spikes).findings == ()


def test_a_trial_that_ends_long_before_its_t_stop_is_a_gap():
    trains = {u: t[t < 350] for u, t in clean_trains().items()}
    gaps = recording_gaps(recording(trains))
    assert gaps["stop"].tolist() == [DURATION]


def test_a_dead_time_at_the_end_of_every_trial_is_found_in_all():
    rng = np.random.default_rng(28)
    trials = [[np.sort(rng.uniform(0, 9, rng.poisson(45))) for _ in range(20)] for _ in range(100)]
    gaps = recording_gaps(SpikeTrains.from_lists(trials, 0.0, 10.0))
    assert gaps["trial"].tolist() == list(range(100)) and (gaps["stop"] == 10.0).all()
    whole = [[np.sort(rng.uniform(0, 10, rng.poisson(50))) for _ in range(20)] for _ in range(100)]
    assert recording_gaps(SpikeTrains.from_lists(whole, 0.0, 10.0)).empty


def test_silent_rare_and_implausibly_fast_units_are_named():
    trains = clean_trains()
    rng = np.random.default_rng(12)
    trains |= {
        "silent": np.array([]),
        "rare": np.array([10.0, 200.0, 350.0]),
        "noise": refractory_train(rng, 130),
    }
    report = check_recording(recording(trains))
    assert [f.units for f in found(report, "rates")] != []
    assert {u for f in found(report, "rates") for u in f.units} == {"silent", "rare", "noise"}
    # of 12 ordinary units and this one it makes more than half of all spikes
    assert [f.severity for f in found(report, "rates") if f.units == ("noise",)] == ["serious"]


def test_times_in_samples_are_recognised():
    trains = {u: np.unique(np.round(t * 30000)) for u, t in clean_trains().items()}
    spikes = SpikeTrains.from_unit_times(trains, epochs=[[0.0, DURATION * 30000]])
    assert [f.severity for f in found(check_recording(spikes), "time unit")] == ["serious"]


def test_times_in_milliseconds_with_fractions_are_recognised_by_the_rates():
    trains = {u: 1000 * t[t < 40] for u, t in clean_trains().items()}  # short of the two days that tell by themselves
    spikes = SpikeTrains.from_unit_times(trains, epochs=[[0.0, 40000.0]])
    (finding,) = found(check_recording(spikes), "time unit")
    assert finding.severity == "serious"
    assert "1000 (ms)" in finding.remedy


@pytest.mark.parametrize("burst", [1, 3])
def test_cells_that_fire_rarely_in_seconds_are_not_taken_for_milliseconds(burst):
    rng = np.random.default_rng(13)
    starts = {u: np.sort(rng.uniform(0, 3000, 45 // burst)) for u in range(120)}  # 0.015 Hz
    trains = {u: np.sort(np.add.outer(t, 0.01 * np.arange(burst)).ravel()) for u, t in starts.items()}
    spikes = SpikeTrains.from_unit_times(trains, epochs=[[0.0, 3001.0]])
    (finding,) = found(check_recording(spikes), "time unit")
    assert finding.severity == "warning"
    assert "These are seconds" in finding.message


def test_spikes_counted_twice_do_not_make_milliseconds_seconds():
    trains = {u: 1000 * np.sort(np.r_[t, t[::10] + 5e-5]) for u, t in clean_trains().items()}
    trains = {u: t[t < 40_000] for u, t in trains.items()}
    spikes = SpikeTrains.from_unit_times(trains, epochs=[[0.0, 40_000.0]])
    (finding,) = found(check_recording(spikes), "time unit")
    assert finding.severity == "serious"


def test_units_that_never_fire_say_nothing_of_the_unit_of_time():
    trains = clean_trains() | {f"silent {k}": np.array([]) for k in range(20)}
    assert not found(check_recording(recording(trains)), "time unit")


def test_spikes_that_mostly_lie_outside_the_trials_are_serious():
    spikes = recording(clean_trains())
    (finding,) = found(check_recording(spikes, outside=0.9985), "time unit")
    assert finding.severity == "serious" and finding.message.startswith("99.9% of the spikes")
    assert check_recording(spikes, outside=0.4).findings == ()


def test_a_recording_and_a_lone_series_are_taken_as_fit_takes_them():
    spikes = recording(clean_trains())
    t = np.arange(0, DURATION, 0.05)
    speed = TimeSeries.from_lists([np.random.default_rng(15).random((t.size, 1))], timestamps=[t])
    given = check_recording(spikes, Modalities(speed=speed))
    assert check_recording(Recording(spikes, Modalities(speed=speed))).passed == given.passed
    assert "stimulus" in check_recording(spikes, speed).passed["coverage"]
    with pytest.raises(ValueError, match="given twice"):
        check_recording(Recording(spikes, Modalities(speed=speed)), Modalities(speed=speed))
    with pytest.raises(IncompatibleModalityError, match="same 1 trials"):
        check_recording(spikes, TimeSeries.from_lists([[1.0], [2.0]], rate=1.0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((3, 2)),), "spikes must be SpikeTrains or a Recording. Got ndarray"),
        (({"a": [0.1]},), "Got dict"),
        ((SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0), np.zeros(3)), "modalities must be Modalities.* Got ndarray"),
    ],
)
def test_what_is_no_recording_is_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        check_recording(*arguments)


def test_trials_that_a_series_does_not_reach_over_are_named():
    rng = np.random.default_rng(27)
    spikes = SpikeTrains.from_lists(
        [[np.sort(rng.uniform(0, 50, 200)) for _ in range(3)] for _ in range(3)], 0.0, 50.0, trial_ids=["p", "q", "r"]
    )
    t = np.arange(0, 50, 0.1)
    late = np.where(t < 10, np.nan, 1.0)
    series = TimeSeries.from_lists([late, t, []], timestamps=[t, t, []])
    serious, warning = found(check_recording(spikes, series), "coverage")
    assert serious.severity == "serious" and "not known in 1 trial (r), out of 3" in serious.message
    assert warning.severity == "warning" and "border of 1 trial: 9.9 s in all" in warning.message
    whole = Modalities(
        speed=TimeSeries.from_lists([t, t, t], rate=10.0), contrast=TimeSeries.from_lists([[1.0]] * 3, 1.0)
    )
    assert "coverage" in check_recording(spikes, whole).passed


def test_holes_within_a_series_are_no_coverage():
    spikes = recording(clean_trains())
    t = np.arange(0, DURATION, 0.05)
    lost = np.where((t > 3) & (t < 397), np.nan, 1.0)
    (finding,) = only(check_recording(spikes, TimeSeries.from_lists([lost], timestamps=[t])), "coverage")
    assert finding.severity == "serious" and "stimulus is not known in 0.98 of the bins of 20 ms" in finding.message
    blinks = np.where(np.arange(t.size) % 400 // 12 == 10, np.nan, 1.0)
    (finding,) = only(check_recording(spikes, TimeSeries.from_lists([blinks], timestamps=[t])), "coverage")
    assert finding.severity == "warning" and "0.03 of the bins" in finding.message
    held = TimeSeries.from_lists([blinks], timestamps=[t], missing="hold")
    assert "coverage" in check_recording(spikes, held).passed
    slow = TimeSeries.from_lists([np.ones(400)], rate=1.0)
    assert "coverage" in check_recording(spikes, slow).passed


def test_samples_that_are_stamped_in_bursts_leave_holes():
    stamps = (np.arange(0, DURATION, 0.1)[:, None] + 1e-4 * np.arange(10)).ravel()
    series = TimeSeries.from_lists([np.ones(stamps.size)], timestamps=[stamps])
    messages = [f.message for f in found(check_recording(recording(clean_trains()), series), "coverage")]
    assert any("not known in 0.8 of the bins of 20 ms" in m for m in messages)


def test_drift_of_the_whole_population_is_a_warning():
    rng = np.random.default_rng(13)
    trains = {k: np.sort(DURATION * rng.random(2000) ** 2.5) for k in range(5)}
    trains = {u: _without_close(t, 2e-3) for u, t in trains.items()}
    messages = [f.message for f in found(check_recording(recording(trains)), "presence")]
    assert any("first third" in m for m in messages)


@pytest.mark.parametrize("columns", [1, 2])
def test_running_that_doubles_the_rate_is_reported_with_both_rates(columns):
    rng = np.random.default_rng(14)
    t = np.arange(0, DURATION, 0.05)
    running = (t // 20) % 2 == 1
    speed = np.where(running, 25.0, 0.5) + 0.1 * rng.random(t.size)
    spikes = {}
    for k in range(10):
        candidate = np.sort(rng.uniform(0, DURATION, 4000))
        keep = rng.random(4000) < np.where((candidate // 20) % 2 == 1, 1.0, 0.5)
        spikes[k] = _without_close(candidate[keep], 2e-3)
    values = speed[:, None] if columns == 1 else np.column_stack([0.6 * speed, 0.8 * speed])
    series = TimeSeries.from_lists([values], timestamps=[t])
    result = running_modulation(recording(spikes), series)
    assert result["rate_running"] / result["rate_still"] == pytest.approx(2.0, rel=0.1)
    report = check_recording(recording(spikes), Modalities(running_speed=series))
    (finding,) = only(report, "running")
    assert finding.severity == "note"


def test_speed_without_effect_is_passed_with_its_correlation():
    t = np.arange(0, DURATION, 0.05)
    series = TimeSeries.from_lists([np.random.default_rng(15).random((t.size, 1))], timestamps=[t])
    report = check_recording(recording(clean_trains()), Modalities(speed=series))
    assert "Spearman" in report.passed["running"]


def test_clock_quality_gives_back_drift_and_jitter():
    rng = np.random.default_rng(16)
    pulses = np.cumsum(rng.uniform(0.8, 1.2, 300))
    other = 5.0 + pulses * (1 + 80e-6) + rng.normal(0, 2e-4, pulses.size)
    result = clock_quality(pulses, other)
    assert result["drift"] == pytest.approx(80, abs=1)
    # a pulse less the mean of its two neighbours has 1 + 1/2 times the variance, and the median of a normal
    # is 0.6745
    assert result["jitter"] == pytest.approx(0.6745 * np.sqrt(1.5) * 2e-4, rel=0.2)


@pytest.mark.parametrize(
    ("spoil", "severity"),
    [
        (lambda other: np.delete(other, 40), "serious"),
        (lambda other: np.where(np.arange(other.size) == 40, other + 0.03, other), "serious"),
        (lambda other: np.where(np.arange(other.size) == 40, other + 0.003, other), "warning"),
        (lambda other: other + 0.01 * np.sin(np.linspace(0, np.pi, other.size)), "warning"),
    ],
    ids=["lost pulse", "displaced pulse", "late pulse", "bent clock"],
)
def test_clock_defects_are_found(spoil, severity):
    pulses = np.cumsum(np.random.default_rng(17).uniform(0.8, 1.2, 300))
    report = check_recording(recording(clean_trains()), sync_pulses=(pulses, spoil(pulses * (1 + 50e-6))))
    assert severity in {f.severity for f in only(report, "clocks")}


def test_sound_clocks_pass():
    pulses = np.cumsum(np.random.default_rng(18).uniform(0.8, 1.2, 300))
    report = check_recording(recording(clean_trains()), sync_pulses=(pulses, 3 + pulses * (1 + 50e-6)))
    assert report.findings == ()
    assert "clocks" in report.passed


def test_counts_say_which_checks_cannot_be_made_and_still_show_a_doubled_unit():
    rng = np.random.default_rng(19)
    counts = rng.poisson(2.0, (4000, 5))
    counts = np.column_stack([counts, counts[:, 2]])
    report = check_recording(SpikeTrains.from_counts(counts, 0.05))
    assert {"duplicated spikes", "refractory period"} <= set(report.skipped)
    (finding,) = only(report, "zero-lag peaks")
    assert finding.units == (2, 5)


def test_unit_table_follows_the_order_and_the_ids_of_the_units():
    spikes = SpikeTrains.from_unit_times({"b": [0.5], "a": [0.1, 0.9]}, epochs=[[0.0, 1.0]])
    table = unit_quality(spikes)
    assert isinstance(table, pd.DataFrame)
    assert table["n_spikes"].to_dict() == {"b": 1, "a": 2}


def test_presence_counts_the_stretches_with_a_spike():
    times = np.arange(0.05, 50, 0.1)
    spikes = SpikeTrains.from_unit_times({0: times}, epochs=[[0.0, 100.0]])
    table = unit_quality(spikes)
    assert table["presence"].iloc[0] == 0.5
    assert table["silence"].iloc[0] == pytest.approx(50.05)
    assert table["silence_next"].iloc[0] == pytest.approx(0.1)


def test_trials_do_not_make_intervals_or_silences_between_them():
    spikes = SpikeTrains.from_unit_times({0: [0.5, 99.5]}, epochs=[[0.0, 1.0], [99.0, 100.0]])
    table = unit_quality(spikes)
    assert table["observed"].iloc[0] == 2.0
    assert table["silence"].iloc[0] == pytest.approx(1.0)


def test_one_unit_is_legal():
    report = check_recording(recording({0: clean_trains()["u9"]}))
    assert report.findings == ()


def test_no_spikes_at_all_is_refused_with_the_remedy():
    with pytest.raises(ValueError, match="in seconds"):
        check_recording(recording({0: [], 1: []}))


def test_units_that_were_never_observed_together_are_no_split_cell():
    rng = np.random.default_rng(20)
    halves = {"a": refractory_train(rng, 15), "b": refractory_train(rng, 15), "c": refractory_train(rng, 15)}
    halves["a"], halves["b"] = halves["a"][halves["a"] < 200], halves["b"][halves["b"] >= 200]
    spikes = recording(halves, observed={"a": [[0.0, 200.0]], "b": [[200.0, DURATION]]})
    assert not found(check_recording(spikes), "zero-lag peaks")
    pairs = zero_lag_pairs(spikes).set_index(["unit", "other"])
    assert pairs.loc[("a", "b"), "expected_wide"] == 0
    # the half of c that a saw has half of the pairs
    expected = len(halves["a"]) * np.sum(halves["c"] < 200) * 2 * 1.5e-3 / 200
    assert pairs.loc[("a", "c"), "expected_wide"] == pytest.approx(expected)


def test_gaps_of_several_trials_leave_out_their_time_alone():
    rng = np.random.default_rng(21)
    times = [[np.sort(rng.uniform(10, 40, 300)) for _ in range(2)] for _ in range(3)]
    times[1][0] = times[1][0][times[1][0] < 20]
    observed = [{}, {0: [[10.0, 20.0]]}, {}]
    pairs = zero_lag_pairs(SpikeTrains.from_lists(times, 10.0, 40.0, observed=observed))
    seen = [300 + 300 + len(times[1][0]), 600 + np.sum(times[1][1] < 20)]
    assert pairs["expected_wide"].iloc[0] == pytest.approx(seen[0] * seen[1] * 2 * 1.5e-3 / 70)


def test_time_that_was_not_observed_is_not_still():
    rng = np.random.default_rng(22)
    spikes = SpikeTrains.from_lists(
        [[np.sort(rng.uniform(0, 100, 2000))]], 0.0, 200.0, observed=[[[0.0, 100.0]]]
    )  # fmt: skip
    speed = np.r_[20 + rng.normal(size=100), rng.normal(size=100)]
    result = running_modulation(spikes, TimeSeries.from_lists([speed[:, None]], rate=1.0))
    assert result["n_bins"] == 100
    assert result["rate_still"] == pytest.approx(20.0, rel=0.1)


def test_a_fast_unit_that_was_lost_is_no_slow_population():
    rng = np.random.default_rng(23)
    fast, slow = (np.sort(rng.uniform(0, 200, 200 * rate)) for rate in (40, 4))
    spikes = SpikeTrains.from_lists([[fast[fast < 100], slow]], 0.0, 200.0, observed=[{0: [[0.0, 100.0]]}])
    speed = np.r_[20 + rng.normal(size=100), rng.normal(size=100)]
    result = running_modulation(spikes, TimeSeries.from_lists([speed[:, None]], rate=1.0))
    assert result["rate_running"] / result["rate_still"] == pytest.approx(1.0, abs=0.15)


@pytest.mark.parametrize(
    ("levels", "share", "still", "running"),
    [([0, 20], 0.8, 2, 10), ([0, 20], 0.2, 2, 10), ([0, 5, 20], 0.1, 2, 10)],
)
def test_bins_of_one_speed_are_not_both_slow_and_fast(levels, share, still, running):
    """Most bins at rest, most at full speed, or most in between; the rate is 2, 6 or 10 Hz."""
    rng = np.random.default_rng(29)
    n = int(share * 600) if len(levels) == 2 else 60
    speed = np.full(600, levels[1])
    speed[:n], speed[-n:] = levels[0], levels[-1]
    rate = np.interp(speed, levels, np.linspace(still, running, len(levels)))
    spikes = SpikeTrains.from_counts(rng.poisson(rate[:, None] * np.ones(20))[None], 1.0)
    result = running_modulation(spikes, TimeSeries.from_lists([speed], rate=1.0))
    assert result["rate_still"] == pytest.approx(still, rel=0.05)
    assert result["rate_running"] == pytest.approx(running, rel=0.05)


def test_running_is_seen_in_trials_shorter_than_a_second():
    rng = np.random.default_rng(24)
    speed = np.repeat(rng.gamma(1, 10, 300), 16).reshape(300, 16, 1)
    spikes = SpikeTrains.from_counts(rng.poisson(np.repeat(speed[:, :1] / 5, 40, axis=1) * np.ones(3)), 0.02)
    series = TimeSeries.from_lists(list(speed), rate=20.0)
    assert running_modulation(spikes, series)["bin_width"] == pytest.approx(0.8)
    (finding,) = found(check_recording(spikes, Modalities(speed=series)), "running")
    assert "+1.00" in finding.message or "+0.99" in finding.message


@pytest.mark.parametrize(("rate", "why"), [(1.0, "does not vary"), (0.001, "too few to compare")])
def test_what_could_not_be_compared_is_not_passed(rate, why):
    still = TimeSeries.from_lists([np.ones((int(400 * rate) + 1, 1))], rate=rate)
    report = check_recording(recording(clean_trains()), Modalities(speed=still))
    assert why in report.skipped["running"] and "running" not in report.passed


def test_a_speed_of_other_trials_is_refused():
    spikes = SpikeTrains.from_lists([[[0.1]]] * 3, 0.0, 1.0)
    with pytest.raises(ValueError, match="same 3 trials"):
        running_modulation(spikes, TimeSeries.from_lists([np.ones((5, 1))] * 2, rate=5.0))


def test_a_gap_that_units_share_is_no_correlation_of_their_counts():
    rng = np.random.default_rng(25)
    observed = np.ones((1, 4000, 2), dtype=bool)
    observed[:, 2000:] = False
    spikes = SpikeTrains.from_counts(rng.poisson(15, observed.shape) * observed, 0.5, observed=observed)
    assert not found(check_recording(spikes), "zero-lag peaks")
    apart = observed.copy()
    apart[..., 1] = ~apart[..., 1]
    report = check_recording(SpikeTrains.from_counts(rng.poisson(3, apart.shape) * apart, 0.5, observed=apart))
    assert "observed together" in report.skipped["zero-lag peaks"]


def test_an_artefact_on_the_clock_of_a_trial_is_named_with_the_trial():
    rng = np.random.default_rng(26)
    trials = [[np.sort(np.r_[rng.uniform(0, 10, 20), 5.0]) for _ in range(10)] for _ in range(4)]
    spikes = SpikeTrains.from_lists(trials, 0.0, 10.0, trial_ids=["p", "q", "r", "s"])
    (finding,) = found(check_recording(spikes), "shared artefacts")
    assert " s in trial p, " in finding.message and " s in trial q, " in finding.message
