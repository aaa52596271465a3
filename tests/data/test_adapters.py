"""Other libraries' objects: the same spikes, trials, units and observed time must come out as went in."""

import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from skneuro.data import Recording, SpikeTrains, as_spike_trains, from_spikeinterface, read_nwb
from skneuro.exceptions import DroppedSpikesWarning, IncompatibleModalityError

TIMES = {4: np.array([0.1, 0.5, 1.2, 2.9]), 9: np.array([0.3, 2.2]), 11: np.array([])}
EPOCHS = np.array([[0.0, 1.0], [2.0, 3.0]])


def check_trials(spikes):
    """The spikes of TIMES in EPOCHS."""
    assert spikes.unit_ids.tolist() == [4, 9, 11]
    np.testing.assert_array_equal(spikes.t_start, EPOCHS[:, 0])
    np.testing.assert_array_equal(spikes.t_stop, EPOCHS[:, 1])
    for k, (start, stop) in enumerate(EPOCHS):
        for train, times in zip(spikes.trial(k), TIMES.values(), strict=True):
            np.testing.assert_allclose(train, times[(times >= start) & (times < stop)])


def units_table(**columns):
    return pd.DataFrame({"spike_times": list(TIMES.values()), **columns}, index=pd.Index(list(TIMES), name="id"))


class TestPlainForms:
    def test_a_dict_of_times_is_cut_into_epochs(self):
        with pytest.warns(DroppedSpikesWarning, match="1 outside every epoch"):
            check_trials(as_spike_trains(TIMES, EPOCHS))

    def test_epochs_come_as_pairs_tables_or_one_pair(self):
        one = as_spike_trains(TIMES, (0.0, 3.0))
        assert one.shape == (1, 3)
        table = pd.DataFrame({"start_time": EPOCHS[:, 0], "stop_time": EPOCHS[:, 1]}, index=[7, 8])
        with pytest.warns(DroppedSpikesWarning):
            spikes = as_spike_trains(TIMES, table)
        check_trials(spikes)
        assert spikes.trial_ids.tolist() == [7, 8]
        with pytest.raises(ValueError, match="start_time and stop_time"):
            as_spike_trains(TIMES, table.rename(columns={"start_time": "onset"}))

    def test_containers_pass_unchanged_and_one_long_trial_can_be_cut(self):
        long = as_spike_trains(TIMES, (0.0, 3.0))
        assert as_spike_trains(long) is long
        with pytest.warns(DroppedSpikesWarning):
            check_trials(as_spike_trains(long, EPOCHS))
        with pytest.raises(ValueError, match="have 2"):
            as_spike_trains(as_spike_trains(TIMES, [(0.0, 1.0), (1.0, 3.0)]), EPOCHS)

    def test_epochs_beyond_a_trial_were_not_observed(self):
        late = as_spike_trains(as_spike_trains(TIMES, (0.0, 3.0)), [(2.0, 4.0)])
        np.testing.assert_array_equal(late.observed_intervals(0, 4), [[2.0, 3.0]])

    @pytest.mark.parametrize("form", [np.array, list, lambda counts: counts.tolist()])
    def test_counts_need_their_bin_width(self, form):
        counts = form(np.random.default_rng(0).poisson(1.0, (3, 10, 2)))
        np.testing.assert_array_equal(as_spike_trains(counts, bin_width=0.1).to_counts(0.1), np.array(counts))
        with pytest.raises(ValueError, match="bin_width"):
            as_spike_trains(counts)
        with pytest.raises(ValueError, match="t_start"):
            as_spike_trains(counts, EPOCHS, bin_width=0.1)

    def test_a_table_of_counts_names_its_units(self):
        table = pd.DataFrame([[1, 0], [0, 2]], columns=["a", "b"])
        assert as_spike_trains(table, bin_width=0.1).unit_ids.tolist() == ["a", "b"]

    @pytest.mark.parametrize(
        ("obj", "error", "message"),
        [
            (TIMES, ValueError, r"epochs=\[\(0.0, duration\)\]"),
            ([[[0.1], [0.2, 0.3]]], TypeError, "from_lists"),
            (3.0, TypeError, "float"),
            ("session.nwb", TypeError, "read_nwb"),
            (Recording(SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)), TypeError, "obj.spikes"),
        ],
    )
    def test_what_cannot_be_converted_says_what_can(self, obj, error, message):
        with pytest.raises(error, match=message):
            as_spike_trains(obj)

    def test_bin_width_with_spike_times_is_refused(self):
        with pytest.raises(ValueError, match="Leave it out"):
            as_spike_trains(TIMES, EPOCHS, bin_width=0.1)


class TestUnitsTable:
    def test_spikes_and_plain_columns(self):
        table = units_table(area=["V1", "V1", "LM"], shape=[np.zeros(3)] * 3, depth=[10.0, 20.0, np.nan])
        with pytest.warns(DroppedSpikesWarning):
            spikes = as_spike_trains(table, EPOCHS)
        check_trials(spikes)
        assert spikes.unit_info.columns.tolist() == ["area", "depth"]
        assert spikes.unit_info.loc[11, "area"] == "LM"

    def test_observed_intervals_mask_and_bound(self):
        table = units_table(obs_intervals=[[[0.0, 3.0]], [[0.0, 1.0], [2.0, 3.0]], np.array([[0.0, 3.5]])])
        spikes = as_spike_trains(table)
        assert (spikes.t_start[0], spikes.t_stop[0]) == (0.0, 3.5)
        np.testing.assert_array_equal(spikes.observed_intervals(0, 9), [[0.0, 1.0], [2.0, 3.0]])

    def test_without_either_the_end_is_unknown(self):
        with pytest.raises(ValueError, match="obs_intervals"):
            as_spike_trains(units_table())
        with pytest.raises(ValueError, match="without any obs_intervals"):
            as_spike_trains(units_table(obs_intervals=[[], [], []]))


class TestPynapple:
    @pytest.fixture
    def nap(self):
        return pytest.importorskip("pynapple")

    def group(self, nap, **kwargs):
        trains = {key: nap.Ts(times) for key, times in TIMES.items()}
        return nap.TsGroup(trains, metadata={"area": ["V1", "V1", "LM"]}, **kwargs)

    def test_interval_sets_are_epochs_and_metadata_unit_info(self, nap):
        group = self.group(nap, time_support=nap.IntervalSet(0, 3))
        with pytest.warns(DroppedSpikesWarning):
            spikes = as_spike_trains(group, nap.IntervalSet(EPOCHS[:, 0], EPOCHS[:, 1]))
        check_trials(spikes)
        assert spikes.unit_info["area"].tolist() == ["V1", "V1", "LM"]
        assert spikes.unit_info.columns.tolist() == ["area"]

    def test_a_time_support_that_was_set_is_the_trial(self, nap):
        group = self.group(nap, time_support=nap.IntervalSet([0, 2], [1, 3]))
        check_trials(as_spike_trains(group))

    def test_time_outside_the_support_was_not_observed(self, nap):
        group = self.group(nap, time_support=nap.IntervalSet([0, 2], [1, 3]))
        spikes = as_spike_trains(group, (0.0, 4.0))
        np.testing.assert_array_equal(spikes.observed_intervals(0, 9), [[0.0, 1.0], [2.0, 3.0]])

    def test_a_time_support_guessed_from_the_spikes_is_not_trusted(self, nap):
        with pytest.raises(ValueError, match="pynapple has guessed it"):
            as_spike_trains(self.group(nap))
        assert as_spike_trains(self.group(nap), (0.0, 4.0)).observation is None

    def test_a_single_ts_is_refused(self, nap):
        with pytest.raises(TypeError, match="pynapple Ts"):
            as_spike_trains(nap.Ts([0.1]), EPOCHS)


class TestNeo:
    @pytest.fixture
    def neo(self):
        return pytest.importorskip("neo")

    @staticmethod
    def train(neo, times, start=0.0, stop=3.0, unit=None, **annotations):
        # In milliseconds, so that a forgotten conversion shows.
        milliseconds = 1000 * np.asarray(times)
        if unit is not None:
            annotations["unit_id"] = unit
        return neo.SpikeTrain(milliseconds, units="ms", t_start=1000 * start, t_stop=1000 * stop, **annotations)

    def segment(self, neo, trains):
        segment = neo.Segment()
        segment.spiketrains.extend(trains)
        return segment

    def test_each_segment_of_a_block_is_a_trial(self, neo):
        block = neo.Block()
        for start, stop in EPOCHS:
            inside = {unit: t[(t >= start) & (t < stop)] for unit, t in TIMES.items()}
            trains = [self.train(neo, t, start, stop, unit, area="V1") for unit, t in inside.items()]
            block.segments.append(self.segment(neo, trains))
        spikes = as_spike_trains(block)
        check_trials(spikes)
        assert spikes.trial_ids.tolist() == [0, 1]
        assert spikes.unit_info["area"].tolist() == ["V1"] * 3
        check_trials(as_spike_trains(list(block.segments)))
        with pytest.raises(ValueError, match="epochs cut one segment"):
            as_spike_trains(block, EPOCHS)

    def test_one_segment_is_cut_into_epochs(self, neo):
        trains = [self.train(neo, times, unit=unit) for unit, times in TIMES.items()]
        with pytest.warns(DroppedSpikesWarning):
            check_trials(as_spike_trains(self.segment(neo, trains), EPOCHS))
        with pytest.warns(DroppedSpikesWarning):
            check_trials(as_spike_trains(trains, EPOCHS))

    def test_units_missing_from_a_segment_or_shorter_than_it_were_not_observed(self, neo):
        first = self.segment(neo, [self.train(neo, [0.1], 0, 1, "a"), self.train(neo, [0.2], 0, 0.5, "b")])
        second = self.segment(neo, [self.train(neo, [0.3], 0, 2, "b"), self.train(neo, [0.4], 0, 2, "c")])
        spikes = as_spike_trains([first, second])
        assert spikes.unit_ids.tolist() == ["a", "b", "c"]
        np.testing.assert_array_equal(spikes.t_stop, [1.0, 2.0])
        np.testing.assert_array_equal(spikes.observed_intervals(0, "b"), [[0.0, 0.5]])
        assert len(spikes.observed_intervals(0, "c")) == 0
        assert len(spikes.observed_intervals(1, "a")) == 0
        np.testing.assert_array_equal(spikes.observed_intervals(1, "c"), [[0.0, 2.0]])

    def test_trains_without_ids_are_numbered_and_named_ones_keep_their_names(self, neo):
        plain = [self.train(neo, [0.1]), self.train(neo, [0.2])]
        assert as_spike_trains(plain).unit_ids.tolist() == [0, 1]
        named = [self.train(neo, [0.1], name="x"), self.train(neo, [0.2], name="y")]
        assert as_spike_trains(named).unit_ids.tolist() == ["x", "y"]

    def test_trains_are_told_apart_in_the_same_way_in_all_segments(self, neo):
        def segments(*parts):
            return [self.segment(neo, [self.train(neo, [0.1], **named) for named in part]) for part in parts]

        named = [{"name": "a"}, {"name": "b"}]
        both = [{"name": "a", "unit": 7}, {"name": "b", "unit": 8}]
        assert as_spike_trains(segments(both, named)).unit_ids.tolist() == ["a", "b"]
        assert as_spike_trains(segments(named, named[1:])).unit_ids.tolist() == ["a", "b"]
        assert as_spike_trains(segments([{}, {}], [{}, {}])).unit_ids.tolist() == [0, 1]
        with pytest.raises(ValueError, match="some segments are told apart by 'name', those of others are not"):
            as_spike_trains(segments(named, [{}, {}]))
        with pytest.raises(ValueError, match=r"segments have \[2, 1\] of them. Annotate every train"):
            as_spike_trains(segments([{}, {}], [{}]))

    def test_nothing_in_it(self, neo):
        with pytest.raises(ValueError, match="no spike trains"):
            as_spike_trains(neo.Segment())
        with pytest.raises(TypeError, match="not both"):
            as_spike_trains([neo.Segment(), self.train(neo, [0.1])])


class TestSpikeInterface:
    @pytest.fixture
    def core(self):
        return pytest.importorskip("spikeinterface.core")

    def sorting(self, core, n_segments=1):
        samples = {unit: np.round(times * 1000).astype(int) for unit, times in TIMES.items()}
        sorting = core.NumpySorting.from_unit_dict([samples] * n_segments, sampling_frequency=1000.0)
        sorting.set_property("quality", np.array(["good", "mua", "good"]))
        sorting.set_property("position", np.zeros((3, 2)))
        return sorting

    def test_spikes_and_properties(self, core):
        with pytest.warns(DroppedSpikesWarning):
            spikes = as_spike_trains(self.sorting(core), EPOCHS)
        check_trials(spikes)
        assert spikes.unit_info["quality"].tolist() == ["good", "mua", "good"]
        assert spikes.unit_info.columns.tolist() == ["quality"]

    def test_a_registered_recording_says_when_it_ends_and_what_time_it_is(self, core):
        sorting = self.sorting(core)
        with pytest.raises(ValueError, match="register_recording"):
            from_spikeinterface(sorting)
        recording = core.NumpyRecording([np.zeros((3500, 1))], sampling_frequency=1000.0)
        recording.set_times(100.0 + np.arange(3500) / 1000.0)
        sorting.register_recording(recording)
        spikes = from_spikeinterface(sorting)
        assert (spikes.t_start[0], spikes.t_stop[0]) == (100.0, pytest.approx(103.5))
        np.testing.assert_allclose(spikes.trial(0)[0], TIMES[4] + 100.0)

    def test_segments_are_trials(self, core):
        sorting = self.sorting(core, n_segments=2)
        with pytest.raises(ValueError, match="has 2"):
            from_spikeinterface(sorting, EPOCHS)
        recording = core.NumpyRecording([np.zeros((3000, 1)), np.zeros((4000, 1))], sampling_frequency=1000.0)
        sorting.register_recording(recording)
        spikes = from_spikeinterface(sorting)
        assert spikes.shape == (2, 3)
        np.testing.assert_allclose(spikes.duration, [3.0, 4.0])
        assert spikes.trial_ids.tolist() == [0, 1]


class TestNWB:
    """Files are written with pynwb here, and read back."""

    def empty_file(self, pynwb):
        start = datetime(2024, 1, 1, tzinfo=UTC)
        return pynwb.NWBFile(session_description="test", identifier="test", session_start_time=start)

    @pytest.fixture
    def write(self, tmp_path):
        pynwb = pytest.importorskip("pynwb")

        def write(*, trials=True, series=("speed",), stimulus=(), units=True, rate=20.0, duration=3.2):
            start = datetime(2024, 1, 1, tzinfo=UTC)
            nwb = pynwb.NWBFile(session_description="test", identifier="test", session_start_time=start)
            if units:
                nwb.add_unit_column("area", "where")
                for unit, times in TIMES.items():
                    nwb.add_unit(spike_times=times, id=unit, area="V1")
            if trials:
                for first, last in EPOCHS:
                    nwb.add_trial(start_time=first, stop_time=last)
            behavior = nwb.create_processing_module("behavior", "behavior")
            for name in series:
                n = int(duration * rate)
                behavior.add(pynwb.TimeSeries(name=name, data=np.arange(n), unit="m/s", rate=rate, conversion=0.1))
            for name in stimulus:
                nwb.add_stimulus(pynwb.TimeSeries(name=name, data=np.eye(3), unit="1", timestamps=[-0.1, 0.9, 2.95]))
            path = tmp_path / "session.nwb"
            with pynwb.NWBHDF5IO(str(path), "w") as file:
                file.write(nwb)
            return path

        return write

    def test_units_trials_and_one_series(self, write):
        with pytest.warns(DroppedSpikesWarning):
            recording = read_nwb(write())
        check_trials(recording.spikes)
        assert recording.spikes.unit_info["area"].tolist() == ["V1"] * 3
        assert recording.modalities.names == ("speed",)
        on_bins = recording.modalities["speed"].on_bins(recording.spikes.bin(0.05))
        np.testing.assert_allclose(on_bins[:, 0], 0.1 * np.r_[0:20, 40:60])

    def test_irregular_timestamps_are_kept(self, write):
        with pytest.warns(DroppedSpikesWarning):
            recording = read_nwb(write(series=(), stimulus=("grating",)))
        np.testing.assert_allclose(recording.modalities["grating"].timestamps, [-0.1, 0.9, 2.95, 0.9, 2.95])

    def test_of_several_series_some_must_be_named(self, write):
        path = write(series=("speed", "pupil"), stimulus=("grating",))
        with pytest.raises(ValueError, match=r"several series: \['grating', 'pupil', 'speed'\]"):
            read_nwb(path, epochs=EPOCHS)
        with pytest.raises(ValueError, match=r"named \['lick'\]"):
            read_nwb(path, series="lick")
        with pytest.warns(DroppedSpikesWarning):
            assert read_nwb(path, series=["pupil", "speed"]).modalities.names == ("pupil", "speed")
        with pytest.warns(DroppedSpikesWarning):
            assert read_nwb(path, series=[]).modalities is None

    def test_series_in_a_container_are_found(self, tmp_path):
        pynwb = pytest.importorskip("pynwb")
        from pynwb.behavior import Position, SpatialSeries

        start = datetime(2024, 1, 1, tzinfo=UTC)
        nwb = pynwb.NWBFile(session_description="test", identifier="test", session_start_time=start)
        nwb.add_unit(spike_times=[0.5], obs_intervals=[[0.0, 1.0]])
        place = SpatialSeries(name="place", data=np.zeros((100, 2)), reference_frame="x", rate=100.0)
        nwb.create_processing_module("behavior", "behavior").add(Position(spatial_series=place))
        path = tmp_path / "position.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as file:
            file.write(nwb)
        recording = read_nwb(path)
        assert recording.modalities["place"].shape == (1, 2)
        assert (recording.spikes.t_start[0], recording.spikes.t_stop[0]) == (0.0, 1.0)

    def test_what_is_missing_is_said(self, write):
        with pytest.raises(ValueError, match="no sorted units"):
            read_nwb(write(units=False))
        path = write(trials=False)
        with pytest.raises(ValueError, match="epochs must be given"):
            read_nwb(path)
        assert read_nwb(path, epochs=(0.0, 3.0)).shape == (1, 3)
        with pytest.warns(DroppedSpikesWarning), pytest.raises(IncompatibleModalityError, match="'speed' does not cov"):
            read_nwb(path, epochs=[(20.0, 21.0), (30.0, 31.0)])

    @pytest.mark.parametrize(
        ("recorded", "trials", "seconds"),
        [([(0, 4), (12, 20.5)], 4, 8), ([(0, 4)], 8, 16), ([(0, 5), (12, 20.5)], 4, 7), ([(9, 20.5)], 5, 9)],
        ids=["hole over whole trials", "ended with a trial", "hole from within a trial", "late"],
    )
    def test_where_a_series_was_not_recorded_it_is_missing(self, tmp_path, recorded, trials, seconds):
        pynwb = pytest.importorskip("pynwb")
        stamps = np.arange(-100, 20500, 10) / 1000
        stamps = stamps[np.any([(stamps >= a - 1e-6) & (stamps < b - 1e-6) for a, b in recorded], axis=0)]
        nwb = self.empty_file(pynwb)
        nwb.add_unit(spike_times=np.arange(0.1, 20, 0.2))
        nwb.create_processing_module("behavior", "behavior").add(
            pynwb.TimeSeries(name="speed", data=stamps, unit="cm/s", timestamps=stamps)
        )
        path = tmp_path / "session.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as file:
            file.write(nwb)
        epochs = np.arange(0, 20, 2)[:, None] + [0, 2]
        with pytest.warns(UserWarning, match=f"speed does not reach over {trials} of 10 trials: {seconds} s"):
            recording = read_nwb(path, epochs=epochs)
        values = recording.modalities["speed"].on_bins(recording.spikes.bin(0.5)).ravel()
        begin = 0.5 * np.arange(40)
        known = np.any([(begin >= a) & (begin < b) for a, b in recorded], axis=0)
        np.testing.assert_allclose(values, np.where(known, begin + 0.245, np.nan))

    def test_series_of_the_same_name_are_told_apart_by_their_place(self, tmp_path):
        pynwb = pytest.importorskip("pynwb")
        from pynwb.behavior import BehavioralTimeSeries, Position, SpatialSeries

        nwb = self.empty_file(pynwb)
        nwb.add_unit(spike_times=[0.5], obs_intervals=[[0.0, 1.0]])
        behavior = nwb.create_processing_module("behavior", "behavior")
        for number, name in enumerate(("HeadPosition", "BodyPosition")):
            place = SpatialSeries(name="SpatialSeries", data=np.full((20, 2), number), reference_frame="x", rate=20.0)
            behavior.add(Position(name=name, spatial_series=place))
        volts = pynwb.TimeSeries(name="speed", data=np.full(20, 2), unit="V", rate=20.0)
        nwb.add_acquisition(volts)
        speed = pynwb.TimeSeries(name="speed", data=np.full(20, 30), unit="cm/s", rate=20.0)
        behavior.add(BehavioralTimeSeries(time_series=speed))
        pupil = pynwb.TimeSeries(name="pupil", data=np.full(20, 4), unit="mm", rate=20.0)
        nwb.add_acquisition(pupil)
        behavior.add(BehavioralTimeSeries(time_series=pupil, name="PupilTracking"))  # a link to the same series
        path = tmp_path / "session.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as file:
            file.write(nwb)

        with pytest.raises(ValueError, match=r"\['BehavioralTimeSeries/speed', 'BodyPosition/SpatialSeries', 'HeadPos"):
            read_nwb(path)
        with pytest.raises(
            ValueError,
            match=r"named 'speed': \['acquisition/speed', 'processing/behavior/BehavioralTimeSeries/speed'\]",
        ):
            read_nwb(path, series=["pupil", "speed"])
        with pytest.raises(ValueError, match=r"named \['Position/SpatialSeries'\]"):
            read_nwb(path, series="Position/SpatialSeries")
        held = {"HeadPosition/SpatialSeries": 0, "processing/behavior/BodyPosition/SpatialSeries": 1}
        held |= {"acquisition/speed": 2, "BehavioralTimeSeries/speed": 30, "pupil": 4}
        modalities = read_nwb(path, series=list(held)).modalities
        assert {name: one.values[0, 0] for name, one in modalities.items()} == held

    def test_two_series_of_one_name_are_two(self, tmp_path):
        pynwb = pytest.importorskip("pynwb")
        from pynwb.behavior import Position, SpatialSeries

        nwb = self.empty_file(pynwb)
        nwb.add_unit(spike_times=[0.5], obs_intervals=[[0.0, 1.0]])
        behavior = nwb.create_processing_module("behavior", "behavior")
        for name in ("HeadPosition", "BodyPosition"):
            place = SpatialSeries(name="SpatialSeries", data=np.zeros((20, 2)), reference_frame="x", rate=20.0)
            behavior.add(Position(name=name, spatial_series=place))
        path = tmp_path / "session.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as file:
            file.write(nwb)
        with pytest.raises(ValueError, match="several series: .*series='BodyPosition/SpatialSeries'"):
            read_nwb(path)

    def test_timestamps_that_do_not_ascend_are_refused_with_the_name(self, tmp_path):
        pynwb = pytest.importorskip("pynwb")
        nwb = self.empty_file(pynwb)
        nwb.add_unit(spike_times=[0.5])
        nwb.add_stimulus(pynwb.TimeSeries(name="tone", data=[1.0, 2.0, 3.0], unit="1", timestamps=[0.0, 2.0, 1.5]))
        path = tmp_path / "session.nwb"
        with pynwb.NWBHDF5IO(str(path), "w") as file:
            file.write(nwb)
        with pytest.raises(ValueError, match=r"session.nwb: the series 'tone' cannot be read. timestamps must ascend"):
            read_nwb(path, epochs=(0.0, 1.0))

    def test_a_missing_library_names_the_command(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "pynwb", None)
        with pytest.raises(ImportError, match=r'pip install "skneuro\[io\]"'):
            read_nwb("session.nwb")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (np.zeros(3), r"shape \(3,\) of float64.*from_events"),
        (pd.DataFrame({"spiketimes": [[0.1]]}), "without a column spike_times is read as counts"),
        (3, "Got int instead"),
    ],
)
def test_what_is_not_read_is_named_with_what_would_be(given, words):
    with pytest.raises((TypeError, ValueError), match=words):
        as_spike_trains(given)


def test_a_file_or_sorting_that_is_none_is_named():
    pytest.importorskip("pynwb")
    with pytest.raises(FileNotFoundError, match=r"There is no file rat\.nwb"):
        read_nwb("rat.nwb")
    with pytest.raises(TypeError, match="must be a SpikeInterface sorting. Got str"):
        from_spikeinterface("phy/")


def test_a_file_that_is_no_nwb_file_is_named(tmp_path):
    pytest.importorskip("pynwb")
    file = tmp_path / "session.nwb"
    file.write_text("times")
    with pytest.raises(ValueError, match=r"session.nwb is no NWB file that pynwb can read"):
        read_nwb(file)
