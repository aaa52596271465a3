"""Facts about what is known of a modality in a bin: the last frame or sample that was there, and nothing later."""

import numpy as np
import pytest
import torch

from skneuro.data import SpikeTrains, TimeSeries, Video
from skneuro.nn.config import Tubelets
from skneuro.nn.video import token_geometry
from skneuro.training.modality_table import ModalityTable, Scale, describe

WIDTH, SPAN = 0.05, 0.2


def binned(n_bins, n_trials=1, t_start=0.0):
    t_start = np.broadcast_to(t_start, n_trials).astype(float)
    return SpikeTrains([], [], np.zeros(n_trials + 1, dtype=int), t_start, t_start + n_bins * WIDTH, unit_ids=[0]).bin(
        WIDTH
    )


def plain(n_features=1):
    return Scale(np.zeros(n_features), np.ones(n_features))


def seen_in(table, bin_, trial=0):
    """Keys that may be seen in a bin, as (time, features), the latest last."""
    start = bin_ * WIDTH
    keys = table.keys(np.array([trial]), np.array([start]), np.array([start + WIDTH]), torch.float64)
    assert len(keys.values) == len(np.unique(keys.sample))  # every sample is held once
    features = keys.values.flatten(1)[keys.sample[0]].numpy()
    time, present = keys.time[0].numpy(), keys.present[0].numpy()
    visible = present & (time < WIDTH - 1e-9) & (time >= WIDTH - SPAN - 1e-9)
    order = np.argsort(time[visible], kind="stable")
    return time[visible][order] + start, features[visible][order]


def latest(table, bin_, trial=0):
    """Features of the latest key seen in a bin, None where there is none."""
    features = seen_in(table, bin_, trial)[1]
    return features[-1] if len(features) else None


# ------------------------------------------------------------------------------------------------ series


def test_a_slow_series_is_known_from_its_own_timestamps_on():
    times = np.array([0.01, 0.12, 0.24, 0.31])
    table = ModalityTable(TimeSeries([1.0, 2.0, 3.0, 4.0], times, [0, 4]), binned(8), plain(), SPAN)
    for bin_ in range(8):
        before = np.flatnonzero(times < (bin_ + 1) * WIDTH - 1e-9)
        assert latest(table, bin_)[0] == 1.0 + before[-1]
    found = seen_in(table, 2)
    assert {round(time, 6): value[0] for time, value in zip(*found, strict=True)}.items() >= {(0.01, 1.0), (0.12, 2.0)}


def test_a_fast_series_is_averaged_within_bins_without_looking_ahead():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((40, 2))
    series = TimeSeries.from_lists([values], rate=5 / WIDTH)
    table = ModalityTable(series, binned(8), plain(2), SPAN)
    for bin_ in range(8):
        np.testing.assert_allclose(latest(table, bin_), values[5 * bin_ : 5 * bin_ + 5].mean(0), atol=1e-6)
    changed = values.copy()
    changed[20:] += 9.0
    other = ModalityTable(TimeSeries.from_lists([changed], rate=5 / WIDTH), binned(8), plain(2), SPAN)
    for bin_ in range(8):
        same = (latest(table, bin_) == latest(other, bin_)).all()
        assert same == (bin_ < 4)


def test_one_trial_does_not_decide_how_another_is_read():
    """Cameras jitter: in some trials the median interval falls below a bin, in others it does not."""
    rng = np.random.default_rng(0)
    fast, slow = np.arange(20) * 0.02, np.arange(8) * WIDTH * 1.001 + 0.0004
    series = TimeSeries.from_lists([rng.standard_normal(20), rng.standard_normal(8)], timestamps=[fast, slow])
    both = ModalityTable(series, binned(8, 2), plain(), SPAN)
    alone = ModalityTable(series[1:], binned(8), plain(), SPAN)
    for bin_ in range(8):
        for found, expected in zip(seen_in(both, bin_, 1), seen_in(alone, bin_), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-12)
        first = ModalityTable(series[:1], binned(8), plain(), SPAN)
        for found, expected in zip(seen_in(both, bin_, 0), seen_in(first, bin_), strict=True):
            np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("rate", [1.0, 5.0], ids=["slow", "fast"])
def test_missing_samples_are_masked_or_held(rate):
    n = int(12 * rate)
    values = np.arange(float(n))
    lost = (np.arange(n) >= 3 * rate) & (np.arange(n) < 10 * rate)
    values[lost] = np.nan
    for missing in ("mask", "hold"):
        series = TimeSeries.from_lists([values], rate=rate / WIDTH, missing=missing)
        table = ModalityTable(series, binned(12), plain(), SPAN)
        known_until_2 = latest(table, 2)[0]
        assert np.isfinite(known_until_2)
        found = latest(table, 9)
        if missing == "hold":
            assert found[0] == values[int(3 * rate) - 1]
        else:
            assert found is None
        assert latest(table, 10)[0] > known_until_2


def test_a_value_that_stands_for_longer_than_the_span_is_seen_all_the_time():
    constant = TimeSeries([7.0, 8.0], [0.0, 0.0], [0, 1, 2])
    table = ModalityTable(constant, binned(60, 2), plain(), SPAN)
    for bin_ in (0, 3, 4, 5, 17, 59):
        assert latest(table, bin_, 0)[0] == 7.0 and latest(table, bin_, 1)[0] == 8.0


def test_nothing_is_known_where_every_sample_is_missing():
    table = ModalityTable(TimeSeries(np.full(8, np.nan), np.arange(8) * WIDTH, [0, 8]), binned(8), plain(), SPAN)
    assert latest(table, 4) is None


def test_a_series_is_on_the_clock_of_the_spikes():
    times = np.array([100.0, 100.11, 100.26])
    table = ModalityTable(TimeSeries([1.0, 2.0, 3.0], times, [0, 3]), binned(6, 1, 100.0), plain(), SPAN)
    assert [latest(table, b)[0] for b in range(6)] == [1, 1, 2, 2, 2, 3]


# ------------------------------------------------------------------------------------------------ video


def frames_of(n_clips, n_frames, seed=0):
    return np.random.default_rng(seed).standard_normal((n_clips, n_frames, 2, 3)).astype(np.float32)


def test_a_dropped_frame_is_held():
    frames = frames_of(1, 5)
    onsets = np.array([0.0, 0.04, 0.08, 0.30, 0.34])  # the frames between 0.12 and 0.30 were dropped
    table = ModalityTable(Video(frames, timestamps=onsets), binned(7), plain(), SPAN)
    for bin_ in range(7):
        shown = np.flatnonzero(onsets < (bin_ + 1) * WIDTH - 1e-9)[-1]
        np.testing.assert_allclose(latest(table, bin_).ravel(), frames[0, shown].ravel(), atol=1e-6)


def test_trials_that_show_a_clip_see_its_frames_from_its_onset_on():
    frames, index, onset = frames_of(2, 12), [1, 0, 1], np.array([0.0, 0.0, 0.1])
    table = ModalityTable(Video(frames, 25.0, index=index, t_start=onset), binned(8, 3), plain(), SPAN)
    assert table.clip.tolist() == index
    for trial in range(3):
        for bin_ in range(8):
            time = (bin_ + 1) * WIDTH - onset[trial]
            if time <= 1e-9:
                assert latest(table, bin_, trial) is None
                continue
            shown = np.flatnonzero(np.arange(12) / 25.0 < time - 1e-9)[-1]
            np.testing.assert_allclose(
                latest(table, bin_, trial).ravel(), frames[index[trial], shown].ravel(), atol=1e-6
            )
    for bin_ in range(2, 8):
        np.testing.assert_allclose(latest(table, bin_, 2), latest(table, bin_ - 2, 0), atol=1e-12)


def tubelets_in(table, bin_):
    """Tubelets that may be seen in a bin, as (time, frames (K, F), the last one first)."""
    start = bin_ * WIDTH
    keys = table.keys(np.array([0]), np.array([start]), np.array([start + WIDTH]), torch.float64)
    cut = keys.tubelets
    values = torch.cat([keys.values, torch.zeros_like(keys.values[:1])]).numpy()
    assert len(np.unique(values, axis=0)) == len(values)  # every frame is held once, whatever sees it
    for key in np.flatnonzero(cut.present[0].numpy() & (cut.time[0].numpy() < WIDTH - 1e-9)):
        yield float(cut.time[0, key]) + start, values[cut.frames[cut.sample[0, key]]]


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_tubelet_holds_the_frames_up_to_the_one_that_gives_its_time(stride):
    frames, onsets = frames_of(1, 9), np.array([0.0, 0.04, 0.08, 0.12, 0.21, 0.24, 0.28, 0.32, 0.36])
    video = Video(frames, timestamps=onsets)
    table = ModalityTable(video, binned(8), plain(), SPAN, Tubelets((3, 2, 3), (stride, 2, 3)))
    seen = set()
    for bin_ in range(8):
        for time, found in tubelets_in(table, bin_):
            last = np.searchsorted(onsets, time + 1e-9) - 1  # what stands for long comes up again while it does
            last -= last % stride
            assert abs((time - onsets[last] + 1e-9) % (0.5 * SPAN)) < 1e-6
            seen.add(int(last))
            for back in range(3):
                expected = frames[0, last - back].ravel() if last >= back else np.zeros(6)
                np.testing.assert_allclose(found[back], expected, atol=1e-6)
    assert seen == set(range(0, 9, stride))


def test_a_still_is_one_tubelet_that_stands():
    table = ModalityTable(
        Video(frames_of(1, 1), timestamps=[0.0]), binned(40), plain(), SPAN, Tubelets((2, 1, 1), (1, 1, 1))
    )
    for bin_ in (0, 7, 39):
        *_, (_, found) = tubelets_in(table, bin_)
        np.testing.assert_allclose(found[0], frames_of(1, 1).ravel(), atol=1e-6)
        assert (found[1] == 0).all()


@pytest.mark.parametrize("shape", [(37, 41, 2), (144, 256), (33, 33), (1080, 1)])
@pytest.mark.parametrize("fps", [1.0, 30.0, 240.0])
def test_large_frames_are_covered_by_a_few_squares_of_a_tenth_of_a_second(shape, fps):
    config = describe("video", Video(np.zeros((1, 3, *shape), dtype=np.uint8), fps))
    geometry = token_geometry(config)
    covered = np.zeros(shape[:2], dtype=int)
    for rows, columns in zip(geometry.rows, geometry.columns, strict=True):
        covered[rows[0] : rows[1], columns[0] : columns[1]] += 1
    assert (covered == 1).all() and 30 <= len(geometry.rows) == config.n_places <= 64
    assert abs(geometry.n_frames / fps - 0.1) <= 0.5 / fps or geometry.n_frames == 1
    assert 2 * config.tubelets.stride[0] in (geometry.n_frames, geometry.n_frames - 1) or geometry.n_frames == 1


def test_small_frames_are_whole_unless_tubelets_are_asked_for():
    small = Video(frames_of(1, 3), 30.0)
    assert describe("video", small).n_places == describe("video", small, None).n_places == 1
    assert describe("video", small, (1, 1, 2), (1, 1, 1)).n_places == 4
    assert describe("video", small, (9, 9, 9)).n_places == 1  # at most a whole frame
    assert describe("video", Video(np.zeros((1, 3, 40, 40)), 30.0), None).n_places == 1


# ------------------------------------------------------------------------------------------------ scale


def test_scales_are_those_of_what_is_there():
    values = np.array([[1.0, 5.0], [3.0, np.nan], [5.0, 5.0]])
    scale = Scale.fit(TimeSeries(values, [0.0, 0.1, 0.2], [0, 3]))
    np.testing.assert_allclose(scale.mean, [3.0, 5.0])
    np.testing.assert_allclose(scale.sd, [np.sqrt(8 / 3), 1.0])  # a constant has no scale of its own
    frames = np.stack([np.full((4, 2, 2), 10, dtype=np.uint8), np.full((4, 2, 2), 30, dtype=np.uint8)])
    video = Video(frames, 10.0, index=[0, 0, 1])
    assert Scale.fit(video).mean == pytest.approx([20.0])
    assert Scale.fit(video[:2]).mean == pytest.approx([10.0])  # the clip that is not shown does not count


def test_features_are_standardised():
    rng = np.random.default_rng(0)
    series = TimeSeries(100 + 7 * rng.standard_normal((50, 1)), np.arange(50) * WIDTH, [0, 50])
    table = ModalityTable(series, binned(50), Scale.fit(series), SPAN)
    found = np.array([latest(table, bin_)[0] for bin_ in range(50)])
    assert found.mean() == pytest.approx(0.0, abs=1e-5) and found.std() == pytest.approx(1.0, abs=1e-5)


def test_a_value_known_long_before_a_trial_stands_to_its_end():
    early = TimeSeries([7.0], [-5.0], [0, 1])
    table = ModalityTable(early, binned(40), plain(), SPAN)
    assert [latest(table, bin_)[0] for bin_ in (0, 20, 39)] == [7.0] * 3
    still = Video(frames_of(1, 1), timestamps=[0.0], index=[0, 0], t_start=[-5.0, 0.5])
    table = ModalityTable(still, binned(40, 2), plain(), SPAN)
    assert latest(table, 39, 0) is not None and latest(table, 39, 1) is not None
    assert latest(table, 9, 1) is None and latest(table, 10, 1) is not None


def test_what_enters_the_long_past_is_standardised_and_the_mean_where_nothing_is_known():
    speed = TimeSeries.from_lists([[5.0, np.nan, 1.0]], rate=1 / WIDTH)
    found = ModalityTable(speed, binned(4), Scale(np.array([3.0]), np.array([2.0])), SPAN).in_bins
    assert found.ravel().tolist() == [1.0, 0.0, -1.0, 0.0]
    earlier = TimeSeries.from_lists([[7.0, 5.0, 1.0]], rate=1 / WIDTH, t_start=-WIDTH)
    found = ModalityTable(earlier, binned(2), Scale(np.array([3.0]), np.array([2.0])), SPAN)
    assert found.in_bins.ravel().tolist() == [1.0, -1.0]
    assert found.in_bins_from(2).ravel().tolist() == [0.0, 2.0, 1.0, -1.0]
