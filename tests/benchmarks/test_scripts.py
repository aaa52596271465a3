"""What the benchmark scripts promise: result files keep what they should, names map one to one, messages are clear."""

import ast
import csv
import importlib
import pathlib
import sys
import time

import numpy as np
import pytest
import torch

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


def test_rows_are_kept_beside_those_of_other_cases(script, tmp_path, monkeypatch):
    machine = script("_machine")
    monkeypatch.setattr(machine, "RESULTS", tmp_path)
    machine.keep("speed", [{"case": "a", "s": 1.0}, {"case": "b", "s": 2.0}], ["case"])
    path = machine.keep("speed", [{"case": "b", "s": 0.123456, "MB": 3}], ["case"])
    assert list(csv.DictReader(path.open())) == [
        {"case": "a", "s": "1.00", "MB": ""},
        {"case": "b", "s": "0.123", "MB": "3"},
    ]


def test_quick_rows_are_never_kept(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fit.py", "--quick", "--write"])
    with pytest.raises(SystemExit):
        script("_machine").arguments("what it does")
    assert "must not replace measured ones" in capsys.readouterr().err


def test_live_memory_is_what_is_held_and_not_what_was(script):
    machine = script("_machine")
    if np.isnan(machine.live_memory()):
        pytest.skip("no glibc")

    def hold_then_drop():
        held = [np.ones(1_000_000) for _ in range(4)]
        time.sleep(0.2)
        del held

    resident, live = machine.growth_of(hold_then_drop)
    assert 25 < live < 50  # of 32 MB
    assert machine.growth_of(lambda: time.sleep(0.1))[1] < 5


def test_provenance_names_what_a_number_needs(script):
    row = script("_machine").provenance(3, "batch 32")
    assert row["seed"] == 3 and row["settings"] == "batch 32" and row["date"].count("-") == 2
    assert f"torch {torch.__version__}" in row["versions"] and "thread" in row["machine"]


def test_candidates_take_turns_and_warm_up_does_not_count(script):
    order = []
    times = script("_machine").interleave(
        {"a": lambda: order.append("a"), "b": lambda: order.append("b")}, repetitions=3, warm_up=2
    )
    assert order == ["a", "b"] * 5
    assert len(times["a"].cpu) == len(times["b"].wall) == 3


def test_numbers_are_shown_with_three_digits(script):
    short = script("_machine").short
    shown = [short(value) for value in (0.0, 0.0123456, 3.14159, 1234.5, 2e-7, float("nan"), 52_000, True, "a")]
    assert shown == ["0.00", "0.0123", "3.14", "1,234", "2.00e-07", "nan", "52,000", "True", "a"]


def test_an_own_process_has_its_own_memory(script):
    machine = script("_machine")
    _, before, peak = machine.in_own_process(np.ones, (4_000_000,))
    assert peak - before > 25  # of 32 MB
    np.ones(20_000_000)
    grown = machine.memory_of(lambda: np.ones(8_000_000).sum())  # above 32 MiB nothing freed earlier is used again
    assert np.isnan(grown) or 55 < grown < 80  # of 64 MB
    before = machine.peak_memory()  # 160 MB were there once
    machine.memory_of(lambda: None)
    assert machine.peak_memory() >= before


@pytest.mark.parametrize("video", [False, True])
def test_every_parameter_has_one_name_in_the_released_system(script, video):
    reference, network = script("reference"), script("released.network")
    model = network.ReleasedNetwork(network.ReleasedConfig(n_units=5, d_model=8, n_heads=2, n_layers=2, video=video))
    names = [reference.released_name(name) for name, _ in model.named_parameters()]
    assert len(set(names)) == len(names)
    assert "feature_encoder.neural_state_blocks.1.attn.proj.weight" in names
    assert ("video_encoder.conv_block.0.weight" in names) == video


@pytest.mark.parametrize(("folder", "message"), [(None, "--clone DIR"), (".", "is no clone")])
def test_reference_says_what_it_needs(script, folder, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match=message):
        script("reference").import_clone(folder)


def test_the_worker_of_compare_is_python_with_all_jobs(script):
    compare = script("compare")
    tree = ast.parse(compare.WORKER)
    tables = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)]
    assert [tuple(key.value for key in table.keys) for table in tables] == [compare.JOBS]


def test_the_plain_stand_in_is_called_one_wherever_it_is_measured():
    for name in ("data.py", "fit.py", "sample.py"):
        assert "stand-in" in ast.get_docstring(ast.parse((BENCHMARKS / name).read_text()))


def test_epochs_are_timed_by_the_lines_of_fit(script):
    fit = script("fit")
    clock = fit.Clock()
    clock.write("epoch   1/2 [#] loss 1.0")
    time.sleep(0.01)
    clock.write("\n")
    clock.write("epoch   2/2 [#] loss 0.9")
    (first, _), (second, _) = clock.times
    assert second - first >= 0.01


def test_the_page_on_speed_shows_the_result_files_as_they_are(script):
    tables = script("tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run python benchmarks/tables.py"
    assert {match["name"] for match in tables.MARKED.finditer(text)} >= {"data", "fit", "sample", "scale", "reference"}
