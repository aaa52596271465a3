"""Facts about bands of an LFP: their power and phase are those of sines of known ones, and no later sample is known."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skneuro import Modalities, NeuroformerEstimator, Recording, SpikeTrains, TimeSeries
from skneuro.preprocessing import LFPBands

RATE = 1000.0
TIME = np.arange(6000) / RATE
BANDS = {"theta": (4.0, 8.0), "gamma": (30.0, 80.0)}


def series(*voltages, rate=RATE, **more):
    return TimeSeries.from_lists([np.asarray(v) for v in voltages], rate=rate, **more)


def sine(frequency, amplitude=3.0, phase=0.4, time=TIME):
    return amplitude * np.cos(2 * np.pi * frequency * time + phase)


@pytest.mark.parametrize("order", [2, 3, 5])
@pytest.mark.parametrize(("band", "centre"), [("theta", 6.0), ("gamma", 55.0)])
def test_a_sine_at_the_centre_has_its_power_and_its_phase(band, centre, order):
    found = LFPBands({band: BANDS[band]}, order=order).fit_transform(series(sine(centre))).values[3000:]
    expected = 2 * np.pi * centre * TIME[3000:] + 0.4
    near = (2 * centre / np.ptp(BANDS[band]) * 2) ** -order  # what is left of the mirror image, 2 centres away
    np.testing.assert_allclose(found[:, 0], 10 * np.log10(4.5), atol=20 * near)
    np.testing.assert_allclose(found[:, 1:], np.c_[np.cos(expected), np.sin(expected)], atol=3 * near)


def test_the_power_is_half_at_the_edges_and_small_beyond():
    bands = LFPBands({"gamma": (30.0, 80.0)}, phase=False)
    level = {f: bands.fit_transform(series(sine(f))).values[3000:].mean() - 10 * np.log10(4.5) for f in (30, 80, 160)}
    np.testing.assert_allclose([level[30], level[80]], -3.0, atol=0.6)
    assert level[160] < -3 * 20 * np.log10(105 / 25) + 1  # three poles, 105 Hz beyond the centre


@pytest.mark.parametrize("order", [1, 3, 6])
def test_a_change_of_power_shows_after_the_delay(order):
    """A slow swing of the amplitude comes out as the same swing, `delay_` later."""
    swing = 2 * np.pi * 0.25
    bands = LFPBands({"theta": (4.0, 8.0)}, order=order, phase=False).fit(series(TIME))
    time = np.arange(20000) / RATE
    voltage = (1 + 0.3 * np.cos(swing * time)) * np.cos(2 * np.pi * 6 * time)
    amplitude = np.sqrt(2) * 10 ** (bands.transform(series(voltage)).values[4000:, 0] / 20)  # four cycles of the swing
    lag = -np.angle(np.sum((amplitude - 1) * np.exp(-1j * swing * time[4000:]))) / swing
    assert lag == pytest.approx(bands.delay_["theta"], rel=0.05)


def test_no_sample_knows_a_later_one():
    rng = np.random.default_rng(0)
    voltage = rng.standard_normal(3000)
    changed = voltage.copy()
    changed[2000:] += 50
    one, other = (LFPBands(BANDS).fit_transform(series(v)).values for v in (voltage, changed))
    np.testing.assert_array_equal(one[:2000], other[:2000])
    assert not np.array_equal(one[2000:], other[2000:])


def test_the_offset_of_an_amplifier_is_no_power():
    voltage = np.random.default_rng(0).standard_normal(3000)
    one, other = (LFPBands().fit_transform(series(v)).values for v in (voltage, voltage + 1000))
    np.testing.assert_allclose(one, other, atol=1e-6, equal_nan=True)


def test_the_unit_of_voltage_shifts_the_decibels_alone():
    voltage = np.random.default_rng(0).standard_normal(3000)
    one, other = (LFPBands().fit_transform(series(v)).values for v in (voltage, 1000 * voltage))
    np.testing.assert_allclose(other[:, ::3] - one[:, ::3], np.where(np.isnan(one[:, ::3]), np.nan, 60), atol=1e-9)
    np.testing.assert_allclose(np.delete(other, np.s_[::3], axis=1), np.delete(one, np.s_[::3], axis=1), atol=1e-9)


def test_the_sampling_rate_is_of_no_consequence():
    time = np.arange(12000) / 2000
    fast = LFPBands(BANDS).fit_transform(series(sine(6, time=time) + sine(50, time=time), rate=2000.0)).values[::2]
    slow = LFPBands(BANDS).fit_transform(series(sine(6) + sine(50))).values
    np.testing.assert_allclose(fast[2000:], slow[2000:], atol=0.05)


def test_features_are_missing_until_the_filter_has_settled():
    bands = LFPBands(BANDS).fit(series(TIME))
    known = ~np.isnan(bands.transform(series(sine(6) + sine(50))).values)
    for column, band in ((0, "theta"), (3, "gamma")):
        assert np.flatnonzero(known[:, column])[0] == np.ceil(2 * bands.delay_[band] * RATE)
        assert (known[:, column] == known[:, column + 2]).all() and known[-1, column]


def test_a_hole_starts_the_filter_anew_and_a_trial_knows_nothing_of_the_one_before():
    rng = np.random.default_rng(0)
    before, after = rng.standard_normal(1500), rng.standard_normal(1500)
    alone = LFPBands(BANDS).fit_transform(series(after)).values
    lost = LFPBands(BANDS).fit_transform(series(np.r_[before, np.full(10, np.nan), after])).values
    times = np.r_[np.arange(1500), 1510 + np.arange(1500)] / RATE
    hole = TimeSeries(np.r_[before, after], times, [0, 3000])
    np.testing.assert_array_equal(lost[1510:], alone)
    assert np.isnan(lost[1500:1510]).all() and not np.isnan(lost[1499]).any()
    np.testing.assert_array_equal(LFPBands(BANDS).fit_transform(hole).values[1500:], alone)
    np.testing.assert_array_equal(LFPBands(BANDS).fit_transform(series(before, after))[1].values, alone)


def test_a_dead_channel_is_missing_and_not_infinitely_small():
    found = LFPBands(BANDS).fit_transform(series(np.c_[np.full(3000, 0.1), sine(6)[:3000]])).values
    assert np.isnan(found[:, :6]).all() and np.isfinite(found[-1, 6:]).all()


def test_channels_and_bands_have_names():
    voltage = series(np.c_[sine(6), sine(50)], names=["CA1", "LEC"])
    found = LFPBands(BANDS, phase=False).fit_transform(voltage)
    assert found.names == ("CA1_theta_power", "CA1_gamma_power", "LEC_theta_power", "LEC_gamma_power")
    assert found.values[-1].argsort()[2:].tolist() in ([0, 3], [3, 0])  # where each sine was put
    names = clone(LFPBands(BANDS)).fit(voltage).get_feature_names_out().tolist()
    assert names[:3] == ["CA1_theta_power", "CA1_theta_cos", "CA1_theta_sin"]


def test_a_pipeline_of_a_recording_gives_the_model_bands_for_voltage():
    rng = np.random.default_rng(0)
    # Voltage from 0.6 s before each trial of 1 s, so that nothing is missing in it.
    lfp = TimeSeries.from_lists(list(rng.standard_normal((4, 800))), rate=500.0, t_start=-0.6)
    speed = TimeSeries.from_lists(list(rng.random((4, 20))), rate=20.0)
    spikes = SpikeTrains.from_counts(rng.poisson(0.5, (4, 20, 3)), 0.05)
    recording = Recording(spikes, Modalities(speed=speed, lfp=lfp))
    model = NeuroformerEstimator(
        bin_width=0.05, window_bins=2, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5, random_state=0
    )
    pipeline = make_pipeline(LFPBands(modality="lfp"), model).fit(recording)
    assert pipeline[-1].modalities_ == ("speed", "lfp")
    assert pipeline.predict(recording[:2])[0].shape == (20, 3)
    found = pipeline[0].transform(recording).modalities
    assert found["speed"] is speed and not np.isnan(found["lfp"].on_bins(spikes.bin(0.05))).any()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bands": {"theta": (8, 4)}}, r"dict of name to \(low, high\) in hertz.*'theta': \(8, 4\)"),
        ({"bands": {"theta": (0, 4)}}, r"0 < low < high"),
        ({"bands": {"theta": 6}}, r"'theta': 6"),
        ({"bands": {"theta": (4, "8")}}, r"'theta': \(4, '8'\)"),
        ({"bands": {"theta": (4, np.nan)}}, r"'theta': \(4, nan\)"),
        ({"bands": {}}, "'bands' parameter"),
        ({"bands": [(4, 8)]}, "'bands' parameter"),
        ({"bands": {"ripple": (120, 600)}}, r"below half the sampling rate, 500 Hz \(Nyquist\). Got {'ripple'"),
        ({"bands": {"all": (400, 500)}}, "below half the sampling rate"),
        ({"order": 0}, "'order' parameter"),
        ({"phase": "yes"}, "'phase' parameter"),
        ({"bands": {"slow": (0.1, 0.2)}}, "'slow' needs .* s to settle, and no trial has more than 6 s"),
    ],
)
def test_impossible_parameters_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        LFPBands(**changes).fit(series(sine(6)))


def test_what_is_no_voltage_is_refused():
    with pytest.raises(TypeError, match="needs the voltage as a TimeSeries.*Got ndarray"):
        LFPBands().fit(np.zeros((100, 1)))
    with pytest.raises(ValueError, match="equal intervals, in all trials. They lie 0.001 to 0.0012"):
        LFPBands().fit(TimeSeries(sine(6), TIME + 0.0002 * (np.arange(6000) > 3000), [0, 6000]))
    two = TimeSeries.from_lists([sine(6), sine(6)], timestamps=[TIME, TIME * 2])
    with pytest.raises(ValueError, match="equal intervals, in all trials"):
        LFPBands().fit(two)
    with pytest.raises(ValueError, match="at least two samples"):
        LFPBands().fit(series([1.0]))
    with pytest.raises(ValueError, match="no trial has more than 0 s"):
        LFPBands().fit(series(np.full(6000, np.nan)))
    spikes = SpikeTrains.from_counts(np.zeros((1, 60, 1), int), 0.1)
    both = Recording(spikes, Modalities(lfp=series(sine(6)), speed=series(sine(1))))
    with pytest.raises(ValueError, match=r"modality=... Got None, and the recording has \['lfp', 'speed'\]"):
        LFPBands().fit(both)
    with pytest.raises(ValueError, match=r"Got 'lpf', and the recording has \['lfp', 'speed'\]"):
        LFPBands(modality="lpf").fit(both)


def test_transform_wants_what_fit_saw():
    with pytest.raises(NotFittedError):
        LFPBands().transform(series(sine(6)))
    bands = LFPBands().fit(series(sine(6), names=["CA1"]))
    with pytest.raises(ValueError, match="fitted on voltage at 1000 Hz. Got 500 Hz"):
        bands.transform(series(sine(6), rate=500.0, names=["CA1"]))
    with pytest.raises(ValueError, match=r"channels \('CA1',\). Got \('CA3',\)"):
        bands.transform(series(sine(6), names=["CA3"]))
    with pytest.raises(ValueError, match="2 features"):
        bands.transform(series(np.c_[sine(6), sine(7)]))
