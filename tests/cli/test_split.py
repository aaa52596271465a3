import numpy as np
import pytest

from skneuro.cli.errors import CommandError
from skneuro.cli.recordings import Loaded
from skneuro.cli.split import split_recording
from skneuro.data import Modalities, SpikeTrains, TimeSeries


def long_recording(duration=200.0, epochs=None, **kwargs):
    rng = np.random.default_rng(0)
    epochs = [[0.0, duration]] if epochs is None else epochs
    times = np.concatenate([np.sort(rng.uniform(a, b, int(20 * (b - a)))) for a, b in epochs])
    return SpikeTrains.from_unit_times({0: times, 1: times[::3]}, epochs=epochs, **kwargs)


def scored(part, bin_width=0.1):
    """Absolute time of every bin that counts."""
    binned = part.spikes.bin(bin_width)
    start = np.concatenate(
        [t + bin_width * np.arange(n) for t, n in zip(binned.t_start, np.diff(binned.ptr), strict=True)]
    )
    return start[binned.mask().any(axis=1)]


def test_parts_do_not_overlap_and_keep_a_gap():
    split = split_recording(Loaded("rat", long_recording()), gap=1.0)
    times = {name: scored(getattr(split, name)) for name in ("train", "validation", "test")}
    assert sum(t.size for t in times.values()) * 0.1 == pytest.approx(200 - 10 * 1.0)
    distance = np.abs(times["test"][:, None] - times["train"][None, :]).min()
    assert distance >= 1.0
    assert times["test"].min() == pytest.approx(61.0)


def test_what_was_not_observed_stays_so_and_unit_info_is_kept():
    import pandas as pd

    info = pd.DataFrame({"area": ["V1", "V2"]}, index=[0, 1])
    rng = np.random.default_rng(0)
    times = np.sort(rng.uniform(0, 200, 4000))
    spikes = SpikeTrains.from_unit_times(
        {0: times, 1: times[times < 65][::3]},
        epochs=[[0.0, 200.0]],
        unit_info=info,
        observed={1: [[0.0, 65.0]]},
    )
    test = split_recording(Loaded("rat", spikes)).test.spikes
    assert test.unit_info["area"].tolist() == ["V1", "V2"]
    assert test.bin(0.1).exposure() == pytest.approx([38.0, 4.0])  # 61 to 65 s of the first held-out block


def test_series_are_cut_with_the_spikes():
    stamps = np.arange(0, 200.0, 0.1)
    speed = Modalities(speed=TimeSeries.from_lists([stamps[:, None]], timestamps=[stamps]))
    test = split_recording(Loaded("rat", long_recording(), stimuli=speed)).test
    values = test.modalities["speed"].on_bins(test.spikes.bin(0.1))
    assert values[0, 0] == pytest.approx(60.0, abs=0.11)


def test_a_series_that_does_not_reach_into_a_trial_is_one_line():
    speed = Modalities(speed=TimeSeries.from_lists([[1.0, 2.0]], rate=1.0))
    with pytest.raises(CommandError, match="rat: The modality 'speed' does not cover 1 of 1 trials"):
        split_recording(Loaded("rat", long_recording(), stimuli=speed))


def test_whole_trials_are_held_out_where_there_are_enough():
    epochs = [[10.0 * k, 10.0 * k + 4.0] for k in range(60)]
    split = split_recording(Loaded("rat", long_recording(epochs=epochs)))
    # six trials a group, the first of each dropped: groups 3 and 7 are trials 18 to 23 and 42 to 47
    assert (split.test.spikes.t_start / 10).round().tolist() == [19, 20, 21, 22, 23, 43, 44, 45, 46, 47]
    assert len(split.train) == 30


def test_few_trials_are_all_used():
    epochs = [[10.0 * k, 10.0 * k + 4.0] for k in range(10)]
    split = split_recording(Loaded("rat", long_recording(epochs=epochs)))
    assert len(split.train) + len(split.validation) + len(split.test) == 10


def test_trials_in_the_order_of_their_condition_are_split_in_the_order_of_time():
    start = 4.0 * np.arange(100)
    stamps = np.arange(0, 400, 0.5)
    spikes = SpikeTrains.from_unit_times({0: np.arange(0.01, 400, 0.05)}, epochs=np.column_stack([start, start + 4]))
    speed = TimeSeries.from_lists(np.split(stamps, 100), timestamps=np.split(stamps, 100))
    rows = np.argsort(np.arange(100) % 4, kind="stable")
    in_time = split_recording(Loaded("rat", spikes, stimuli=Modalities(speed=speed)))
    by_condition = split_recording(Loaded("rat", spikes[rows], stimuli=Modalities(speed=speed[rows])))
    for name in ("train", "validation", "test"):
        assert getattr(by_condition, name) == getattr(in_time, name)


@pytest.mark.parametrize(("n_trials", "every", "length"), [(60, 5.0, 12.0), (43, 9.0, 14.0), (6, 40.0, 60.0)])
def test_no_part_shares_time_with_one_that_judges_it(n_trials, every, length):
    start = every * np.arange(n_trials)
    times = np.arange(0.01, start[-1] + length, 0.02)
    spikes = SpikeTrains.from_unit_times({0: times}, epochs=np.column_stack([start, start + length]))
    split = split_recording(Loaded("rat", spikes))
    assert "left out for overlap with held-out ones" in split.description
    ticks = {name: scored(getattr(split, name), 0.5).round(3) for name in ("train", "validation", "test")}
    assert not np.intersect1d(ticks["test"], np.concatenate([ticks["train"], ticks["validation"]])).size
    assert not np.intersect1d(ticks["validation"], ticks["train"]).size


@pytest.mark.parametrize("start", [np.zeros(20), -1.0 - 0.1 * (np.arange(20) % 7)], ids=["at zero", "before an event"])
def test_trials_with_clocks_of_their_own_are_split_in_their_order_and_all_used(start):
    times = np.arange(-1.9, 10, 0.05)
    trials = [[times[times >= t]] for t in start]
    split = split_recording(Loaded("rat", SpikeTrains.from_lists(trials, start, 10.0)))
    assert split.test.spikes.trial_ids.tolist() == [6, 7, 14, 15]
    assert len(split.train) + len(split.validation) == 16


def test_blocks_of_counts_stay_on_the_grid_of_the_counts():
    counts = np.random.default_rng(1).poisson(1.0, (4321, 3))
    split = split_recording(Loaded("rat", SpikeTrains.from_counts(counts, 0.03)))
    total = sum(getattr(split, name).spikes.bin(0.03).dense().sum() for name in ("train", "validation", "test"))
    assert total == counts.sum()


@pytest.mark.parametrize(
    ("spikes", "words"),
    [
        (long_recording(duration=12.0), "lasts 12 s"),
        (SpikeTrains.from_unit_times({0: np.arange(0, 50.0, 0.5)}, epochs=[[0.0, 200.0]]), "100 or more"),
        (
            long_recording(epochs=[[k * 100.0, k * 100.0 + (50.0 if k == 4 else 0.2)] for k in range(12)]),
            "blocks of time",
        ),
    ],
    ids=["short", "silent part", "one long trial among short ones"],
)
def test_what_cannot_be_split_is_refused(spikes, words):
    with pytest.raises(CommandError, match=words):
        split_recording(Loaded("rat", spikes))
