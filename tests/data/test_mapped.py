"""Arrays that are mapped from files: they stay there, unless somebody could write to them."""

import tracemalloc

import numpy as np
import pytest

from skneuro.data import SpikeTrains, TimeSeries

N = 2**20


@pytest.fixture
def mapped(tmp_path):
    def write(name, array, mode="r"):
        np.save(tmp_path / f"{name}.npy", array)
        return np.load(tmp_path / f"{name}.npy", mmap_mode=mode)

    return write


def peak_of(function):
    tracemalloc.start()
    try:
        return function(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def spike_arrays():
    rng = np.random.default_rng(0)
    return np.sort(rng.random(N)) * 100, rng.integers(0, 9, N).astype(np.int32)


def test_mapped_spikes_stay_in_their_files(mapped):
    times, units = spike_arrays()
    in_file = mapped("times", times), mapped("units", units)
    spikes, peak = peak_of(lambda: SpikeTrains(*in_file, [0, N], 0.0, 100.0))
    assert np.shares_memory(spikes.times, in_file[0])
    assert np.shares_memory(spikes.units, in_file[1])
    assert np.shares_memory(spikes[:1].times, in_file[0])
    assert peak < times.nbytes
    assert spikes == SpikeTrains(times, units, [0, N], 0.0, 100.0)
    assert (spikes.bin(0.1).counts != SpikeTrains(times, units, [0, N], 0.0, 100.0).bin(0.1).counts).nnz == 0


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_mapped_series_stays_in_its_file(mapped, dtype):
    times = np.arange(N // 8) / 1000
    values = np.random.default_rng(0).standard_normal((N // 8, 16)).astype(dtype)
    values[5, 3] = np.nan
    in_file = mapped("values", values)
    series, peak = peak_of(lambda: TimeSeries(in_file, times, [0, len(times)]))
    assert np.shares_memory(series.values, in_file)
    assert np.shares_memory(series[:1].values, in_file)
    assert peak < values.nbytes
    copied = TimeSeries(values, times, [0, len(times)])
    binned = SpikeTrains.from_lists([[[0.1]]], 0.0, 131.0).bin(0.1)
    np.testing.assert_allclose(series.on_bins(binned), copied.on_bins(binned))
    np.testing.assert_allclose(series.moments(), copied.moments(), rtol=1e-5)
    np.testing.assert_allclose(copied.moments()[0], np.nanmean(values.astype(float), 0), atol=1e-9)


def test_what_somebody_could_write_to_is_copied(mapped):
    times, units = spike_arrays()
    writable = mapped("times", times, "r+")
    spikes = SpikeTrains(writable, units, [0, N], 0.0, 100.0)
    assert not np.shares_memory(spikes.times, writable)
    integers = mapped("integers", np.arange(8))
    assert TimeSeries(integers, np.arange(8.0), [0, 8]).values.dtype == np.float64


@pytest.mark.parametrize(("at", "value", "match"), [(N - 2, -1.0, "lie outside"), (N // 4, 99.0, "must ascend")])
def test_far_in_a_long_recording_mistakes_are_found(at, value, match):
    times, units = spike_arrays()
    times[at] = value
    with pytest.raises(ValueError, match=match):
        SpikeTrains(times, units, [0, N], 0.0, 100.0)
