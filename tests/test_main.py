"""The command line: what it answers, and how it refuses."""

import os
import subprocess
import sys
import warnings

import numpy as np
import pytest

import skneuro
from skneuro.__main__ import main
from skneuro.data import SpikeTrains


def clean(rng, duration=100.0):
    """Spike times of eight regular enough cells, and the unit of each."""
    trains = [np.cumsum(0.003 + rng.exponential(0.15, 1000)) for _ in range(8)]
    trains = [t[t < duration] for t in trains]
    return np.concatenate(trains), np.repeat(np.arange(8), [t.size for t in trains])


@pytest.fixture
def write(tmp_path):
    def save(**changes):
        times, units = clean(np.random.default_rng(0))
        arrays = {"times": times, "units": units, "t_start": 0.0, "t_stop": 100.0} | changes
        path = tmp_path / "rat.npz"
        np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
        return str(path)

    return save


def refused(capsys, *arguments):
    """Standard error of a command that must end with status 2 and one line."""
    assert main(list(arguments)) == 2
    error = capsys.readouterr().err
    assert error.startswith("skneuro: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error
    return error


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.strip() == f"skneuro {skneuro.__version__}"


def test_a_clean_file_passes(write, capsys):
    assert main(["check", write()]) == 0
    assert "0 serious, 0 warnings" in capsys.readouterr().out


def test_a_serious_defect_is_the_exit_status(write, capsys):
    times, units = clean(np.random.default_rng(0))
    twice = units == 3
    path = write(times=np.r_[times, times[twice] + 1e-4], units=np.r_[units, np.full(twice.sum(), 77)])
    assert main(["check", path]) == 1
    out = " ".join(capsys.readouterr().out.split())  # lines break where the terminal ends
    assert "3 and 77" in out
    assert "sorted twice" in out


def test_running_and_clocks_are_checked_where_the_file_has_them(write, capsys):
    stamps = np.arange(0, 100, 0.1)
    pulses = np.cumsum(np.random.default_rng(1).uniform(0.8, 1.2, 80))
    path = write(speed=np.abs(np.sin(stamps)), speed_times=stamps, sync_source=pulses, sync_target=np.delete(pulses, 9))
    assert main(["check", path]) == 1
    out = capsys.readouterr().out
    assert "population rate against speed" in out
    assert "1 pulses have no partner" in out


@pytest.mark.parametrize(
    ("t_stop", "words"), [(100.0, "of the spikes lie before the first trial"), (100_000.0, "fire do so at")]
)
def test_milliseconds_are_serious_and_the_demo_stops_at_them(write, capsys, tmp_path, t_stop, words):
    times, units = clean(np.random.default_rng(0))
    path = write(times=1000 * times, units=units, t_stop=t_stop)
    assert main(["check", path]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "SERIOUS time unit" in out and words in out
    assert main(["demo", "--npz", path, "--output", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert words in error and "divide the times" in error
    assert not (tmp_path / "out").exists()


def test_a_warning_is_shown_once(monkeypatch, capsys):
    def run(options):
        for text in ("far\noff", "far off", "near"):
            warnings.warn(text, UserWarning, stacklevel=1)
        return 0

    monkeypatch.setattr("skneuro.cli.check.run_check", lambda *_, **__: run(None))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(["check", "any.npz"]) == 0
    assert capsys.readouterr().err.splitlines() == ["skneuro: warning: far off", "skneuro: warning: near"]


def test_a_series_that_does_not_reach_into_a_trial_is_a_serious_finding(write, capsys):
    stamps = np.arange(0, 40, 0.1)
    path = write(t_start=[0.0, 50.0], t_stop=[50.0, 100.0], speed=stamps, speed_times=stamps)
    assert main(["check", path]) == 1
    out, err = capsys.readouterr()
    assert "SERIOUS coverage: speed is not known in 1 trial (1), out of 2" in " ".join(out.split())
    assert "warning: speed does not reach over 2 of 2 trials: 60 s" in err


def test_a_series_that_reaches_into_no_trial_ends_the_demo_in_one_line(write, capsys, tmp_path):
    stamps = np.arange(200, 240, 0.1)
    path = write(t_start=[0.0, 50.0], t_stop=[50.0, 100.0], speed=stamps, speed_times=stamps)
    assert main(["demo", "--npz", path, "--output", str(tmp_path)]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("skneuro: rat.npz: The modality 'speed' does not cover 2 of 2 trials")


@pytest.mark.parametrize("command", [["check"], ["demo", "--npz"]])
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"t_stop": None}, "t_stop missing"),
        ({"times": np.array([]), "units": np.array([])}, ""),
        ({"times": np.full(10, np.nan), "units": np.zeros(10)}, "finite"),
        ({"units": np.zeros(3)}, "as many times as units"),
    ],
    ids=["no t_stop", "no spikes", "times not finite", "lengths"],
)
def test_a_file_that_is_no_recording_is_refused(write, capsys, command, changes, words):
    assert words in refused(capsys, *command, write(**changes))


@pytest.mark.parametrize("command", [["check"], ["demo", "--npz"], ["demo", "--nwb"]])
def test_an_absent_file_is_refused(tmp_path, capsys, command):
    assert "no such file" in refused(capsys, *command, str(tmp_path / "nothing.npz"))


@pytest.mark.parametrize("name", ["rat.npz", "rat.nwb", "rat.mat"])
def test_a_file_of_something_else_is_refused(tmp_path, capsys, name):
    path = tmp_path / name
    path.write_bytes(b"not a recording")
    refused(capsys, "check", str(path))


@pytest.mark.parametrize("width", ["0.033", "0", "-1", "1000"])
def test_a_bin_width_that_does_not_fit_is_refused(tmp_path, capsys, width, monkeypatch):
    counts = SpikeTrains.from_counts(np.random.default_rng(2).poisson(1.0, (4000, 3)), 0.05)
    monkeypatch.setitem(
        __import__("skneuro.cli.recordings", fromlist=["DATASETS"]).DATASETS,
        "s1-reaching",
        lambda: __import__("skneuro.cli.recordings", fromlist=["Loaded"]).Loaded("counts", counts),
    )
    arguments = ["demo", "--dataset", "s1-reaching", "--bin-width", width, "--output", str(tmp_path)]
    assert "--bin-width" in refused(capsys, *arguments)


def test_a_recording_too_short_to_hold_something_out_is_refused(write, capsys, tmp_path):
    path = write(times=np.arange(0.1, 10, 0.01), units=np.zeros(990), t_stop=10.0)
    assert "20 s or more" in refused(capsys, "demo", "--npz", path, "--output", str(tmp_path / "out"))


def test_an_output_that_cannot_be_made_is_refused(write, capsys, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert "--output" in refused(capsys, "demo", "--npz", write(), "--output", str(tmp_path / "taken"))


def test_a_data_set_that_is_not_there_is_refused_with_what_to_do(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("SKNEURO_DATA", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", _no_network)
    assert "SKNEURO_DATA" in refused(capsys, "check", "s1-reaching")


def _no_network(*_, **__):
    raise OSError("no route to host")


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "skneuro", "check", "absent.npz"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(skneuro.__file__))},
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("skneuro: absent.npz: no such file")
