"""What the benchmarks of modalities promise: fair steps, modalities that carry nothing, a page like the files."""

import importlib
import pathlib
import sys

import numpy as np
import pytest

from skneuro import TimeSeries, Video

BENCHMARKS = pathlib.Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def script(monkeypatch):
    """Import a script the way it imports its neighbours when it runs."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(BENCHMARKS) in str(sys.modules[name].__file__):
            del sys.modules[name]


def test_exchanged_rows_are_those_of_other_trials_on_the_clock_of_their_own(script):
    exchanged, order = script("ablation").exchanged, np.array([2, 0, 1])
    video = Video(np.arange(6.0).reshape(3, 2, 1, 1), fps=2.0, t_start=[0.0, 5.0, 9.0])
    there = exchanged(video, order)
    assert there.index.tolist() == [2, 0, 1] and there.t_start.tolist() == [0.0, 5.0, 9.0]
    series = TimeSeries.from_lists([[1, 2, 3], [4, 5], [6, 7, 8]], rate=1.0, t_start=[0.0, 5.0, 9.0])
    there = exchanged(series, order)
    assert there.values.ravel().tolist() == [6, 7, 8, 1, 2, 4, 5, 4]  # shorter rows begin again
    assert np.array_equal(there.timestamps, series.timestamps)


def test_steps_are_compared_with_the_right_one_by_seed(script):
    found = [
        {"set": "s", "step": step, "seed": seed, "bits_per_spike": bits}
        for step, scores in {"past": [0.2, 0.4], "+ video": [0.3, 0.6], "past + nothing": [0.19, 0.38]}.items()
        for seed, bits in enumerate(scores)
    ]
    rows = {row["step"]: row for row in script("ablation").summary(found)}
    assert rows["+ video"]["added"] == pytest.approx(0.15)
    assert rows["+ video"]["sd of added"] == pytest.approx(0.05 * np.sqrt(2))
    assert rows["past + nothing"]["added"] == pytest.approx(-0.015) and rows["past + nothing"]["relative"] == "-5.0 %"
    assert np.isnan(rows["past"]["added"]) and rows["past"]["bits per spike"] == pytest.approx(0.3)


def test_every_step_but_the_last_leaves_the_contrastive_loss_out(script):
    steps = script("ablation").STEPS
    assert [step for step, (_, settings) in steps.items() if settings["gamma"]] == ["+ contrastive"]
    for step, without in script("ablation").WITHOUT.items():
        names, settings = steps[step]
        if names[-1] == "nothing":
            assert names == (*steps[without][0], "nothing") and settings == steps[without][1]
    whole_names, whole_frames = steps["+ video"]
    names, tubelets = steps["+ video, in tubelets"]
    assert names == whole_names and tubelets.items() > whole_frames.items()


def test_the_page_shows_the_result_files_as_they_are(script):
    tables = script("modality_tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run python benchmarks/modality_tables.py"
    assert {match["name"] for match in tables.MARKED.finditer(text)} == set(tables.TABLES)
