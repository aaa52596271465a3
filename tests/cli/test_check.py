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
        "rat: 1 units, 2 trials, 2.0 s, 2 spikes",
        "SERIOUS",
        "nothing for 9 s",
        "-> cut there",
        "1 and 2 Hz",
    ):
        assert part in text
    assert "not checked, no pulses" in text
    assert text.endswith("1 serious, 0 warnings, 0 notes")
