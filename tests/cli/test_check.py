import numpy as np

from skneuro.cli.check import describe
from skneuro.cli.recordings import Loaded
from skneuro.data import SpikeTrains
from skneuro.inspection import Finding, QualityReport


def test_every_finding_is_printed_with_its_remedy_and_every_check_accounted_for():
    spikes = SpikeTrains.from_lists([[[0.1]], [[0.2]]], 0.0, 1.0)
    report = QualityReport(
        findings=(Finding("gaps", "serious", "nothing for 9 s", "cut there"),),
        passed={"rates": "all between 1 and 2 Hz"},
        skipped={"clocks": "no pulses"},
        units=None,
    )
    text = "\n".join(describe(Loaded("rat", spikes), report))
    for part in (
        "rat: 1 unit, 2 trials, 2.0 s, 2 spikes",
        "SERIOUS",
        "nothing for 9 s",
        "-> cut there",
        "1 and 2 Hz",
    ):
        assert part in text
    assert "not checked, no pulses" in text
    assert text.endswith("1 serious, 0 warnings, 0 notes")


def test_presence_is_drawn_for_all_units_and_for_those_that_were_lost():
    spikes = SpikeTrains.from_unit_times(
        {"a": np.arange(0.05, 10, 0.1), "b": np.arange(0.05, 5, 0.1)}, epochs=[[0, 10]]
    )
    lost = Finding("presence", "warning", "unit b is silent for 5 s", "leave it out", units=("b",))
    lines = describe(Loaded("rat", spikes), QualityReport((lost,), {}, {}, None))
    bars = {line[:11].strip(): line[12:] for line in lines if line.startswith(("all units", "unit "))}
    assert set(bars) == {"all units", "unit b"}
    assert " " not in bars["all units"].strip()
    assert len(bars["unit b"].rstrip()) == 40  # half of the 80 bars
