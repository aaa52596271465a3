"""The demonstration from end to end, on a recording of a minute and with models that hardly train."""

import re
import sys

import numpy as np
import pandas as pd
import pytest

from skneuro import load
from skneuro.baselines import ConstantMarginal, CoupledGLM, HomogeneousPoisson
from skneuro.cli.demo import run_demo
from skneuro.cli.errors import CommandError
from skneuro.cli.models import Plan, make_plan
from skneuro.cli.recordings import SIMULATED, Loaded
from skneuro.cli.recordings import load as load_recording
from skneuro.cli.split import split_recording
from skneuro.cli.training import Fitted
from skneuro.cli.write import _warnings
from skneuro.data import Modalities, SpikeTrains
from skneuro.datasets import make_stimulus_driven_population
from skneuro.estimators import NeuroformerEstimator

BIN_WIDTH = 0.05


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Four cells that wax and wane together, and a fifth that follows them."""
    rng = np.random.default_rng(0)
    edges = np.arange(0, 120, 0.02)
    drive = np.exp(1.2 * np.sin(2 * np.pi * edges / 3))
    trains = [edges[rng.random(edges.size) < 0.02 * 8 * drive] + 0.02 * rng.random() for _ in range(4)]
    trains.append(np.sort(np.concatenate(trains) + 0.05)[::4])
    path = tmp_path_factory.mktemp("recording") / "rat.npz"
    units = np.repeat(np.arange(5), [t.size for t in trains])
    np.savez(path, times=np.concatenate(trains), units=units, t_start=0.0, t_stop=120.5)
    return str(path)


def tiny():
    return NeuroformerEstimator(
        bin_width=BIN_WIDTH, window_bins=1, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5, random_state=0
    )


@pytest.fixture(scope="module")
def demo(file, tmp_path_factory):
    folder = tmp_path_factory.mktemp("demo")
    plan = Plan(
        quick={
            "constant Poisson": HomogeneousPoisson(bin_width=BIN_WIDTH),
            "counts": ConstantMarginal(bin_width=BIN_WIDTH),
        },
        slow={"GLM": CoupledGLM(bin_width=BIN_WIDTH, history=0.2, alphas=2000.0), "Neuroformer": tiny()},
    )
    assert run_demo(file, quick=True, output=str(folder), bin_width=BIN_WIDTH, plan=plan) == 0
    return folder


def test_the_report_needs_nothing_beside_it(demo):
    text = (demo / "report.html").read_text()
    assert not re.search(r"https?://|<script|<link|url\(", text)
    pytest.importorskip("matplotlib")
    assert text.count("data:image/png;base64,") >= 5


def test_the_report_opens_with_the_verdict(demo):
    text = (demo / "report.html").read_text()
    sentence = re.search(r'<p class="verdict">(.*?)</p>', text).group(1)
    assert re.match(r"The Neuroformer beats the best baseline, the .+, on \d of 5 units", sentence)
    assert re.search(r"use (the .+|neither to predict this recording)\.$", sentence)


def test_models_that_warn_of_the_same_stand_together_in_the_report():
    def fitted(*said):
        return Fitted("any", None, np.empty(0), np.empty(0), 0.0, said)

    models = {"GLM": fitted("far off"), "constant": fitted(), "GRU": fitted("far off"), "other": fitted("a", "b")}
    found = _warnings(models)
    assert found == {"GLM, GRU warned": "far off", "other warned": "a; b"}


def test_simulations_are_judged_beside_the_best_baseline_a_shuffle_and_the_recording(demo):
    judged = pd.read_csv(demo / "generation.csv")
    assert {"model", "shuffled"} < set(judged["source"])
    population = judged.query("source == 'model' and metric == 'pairwise_correlation_rmse'")
    assert population["value"].item() > 0 and population["floor"].item() > 0
    text = (demo / "report.html").read_text()
    assert "<th>recording itself</th>" in text and "<td>pairwise correlation RMSE</td>" in text


def test_the_saved_model_scores_what_the_table_says(demo, file):
    table = pd.read_csv(demo / "scores.csv", index_col="model")
    assert table.loc["constant Poisson", "bits_per_spike"] == 0.0
    model = load(demo / "neuroformer.skn")
    test = split_recording(load_recording(file)).test
    assert model.score(test) == pytest.approx(table.loc["Neuroformer", "bits_per_spike"], abs=2e-5)
    units = pd.read_csv(demo / "unit_scores.csv", index_col="unit")
    np.testing.assert_allclose(units["Neuroformer"], model.unit_score(test), atol=2e-5)


def test_without_matplotlib_there_is_a_report_without_pictures(file, tmp_path, monkeypatch, capsys):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    plan = Plan(quick={"constant Poisson": HomogeneousPoisson(bin_width=BIN_WIDTH), "Neuroformer": tiny()})
    assert run_demo(file, quick=True, output=str(tmp_path), bin_width=BIN_WIDTH, plan=plan) == 0
    text = (tmp_path / "report.html").read_text()
    assert "matplotlib is not installed" in text
    assert "<img" not in text
    out = capsys.readouterr().out
    assert "Mean rates around" in out
    assert "best baseline" in out


def test_where_a_video_was_shown_the_report_maps_it(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    data = make_stimulus_driven_population(n_units=5, n_clips=16, n_repeats=2, random_state=0)
    seen = Modalities(scene=data.video)
    loaded = Loaded("watching", data.spikes, seen, seen, bin_width=1 / 30)
    monkeypatch.setitem(SIMULATED, "video", lambda seed, quick: loaded)
    model = tiny().set_params(bin_width=1 / 30)
    plan = Plan(quick={"constant Poisson": HomogeneousPoisson(bin_width=1 / 30), "Neuroformer": model})
    assert run_demo("video", quick=True, output=str(tmp_path), plan=plan) == 0
    text = (tmp_path / "report.html").read_text()
    section = text.split("Which part of the video drives which unit?")[1].split("</section>")[0]
    assert section.count("data:image/png;base64,") == 2
    assert "The 4 units that the video drives most" in section and "Whitened" in section


@pytest.mark.parametrize("quick", [True, False])
def test_the_plan_compares_with_every_kind_of_baseline(quick):
    spikes = SpikeTrains.from_lists([[[0.1]]], 0.0, 1.0)
    plan = make_plan(Loaded("rat", spikes, repeats=True), 0.02, quick=quick, seed=3)
    models = plan.quick | plan.slow
    assert {type(m).__name__ for m in models.values()} == {
        "HomogeneousPoisson",
        "ConstantMarginal",
        "PSTHModel",
        "CoupledGLM",
        "GRUModel",
        "NeuroformerEstimator",
    }
    assert list(models)[-1] == "Neuroformer"
    assert {m.bin_width for m in models.values()} == {0.02}
    assert "PSTH" not in make_plan(Loaded("rat", spikes), 0.02, quick=quick, seed=3).quick


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"seed": -1}, "--seed must lie between 0 and 4294967295, got -1"),
        ({"seed": 2**32}, "--seed must lie between"),
        ({"output": "taken"}, "--output taken: is a file; name a folder"),
    ],
)
def test_an_option_that_cannot_be_met_is_refused_before_anything_is_fitted(
    arguments, words, file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").write_text("")
    with pytest.raises(CommandError, match=words):
        run_demo(file, quick=True, **{"output": "demo", "bin_width": BIN_WIDTH, **arguments})
