"""The benchmarks of simulated trials and of maps: moments of a gain, scores of a known truth, a page like the files."""

import numpy as np
import pytest

from skneuro import Modalities, Recording
from skneuro.datasets import make_stimulus_driven_population
from skneuro.inspection import StimulusMaps


def test_the_page_shows_the_result_files_as_they_are(script):
    tables = script("generation_tables")
    text = tables.PAGE.read_text(encoding="utf-8")
    assert text == tables.filled(text), "run python benchmarks/generation_tables.py"
    assert {match["name"] for match in tables.MARKED.finditer(text)} == set(tables.TABLES)


def test_a_shared_gain_is_found_by_its_moments_and_drawn_again(script):
    gain = script("_shared_gain")
    rng = np.random.default_rng(0)
    model = gain.SharedGainPoisson(0.1)
    model.variance, model.memory = 0.3, 0.8
    expected = [rng.uniform(10, 30, 400) for _ in range(60)]
    counts = [rng.poisson(m * model._gain(400, rng)) for m in expected]
    variance, memory = gain.gain_moments(counts, expected)
    assert variance == pytest.approx(0.3, rel=0.15)
    assert memory == pytest.approx(0.8, abs=0.03)
    assert gain.gain_moments([rng.poisson(m) for m in expected], expected)[0] < 0.01


def test_the_shared_gain_model_keeps_rates_and_moves_units_together(script):
    data = make_stimulus_driven_population(
        n_units=6, n_clips=6, n_repeats=3, clip_duration=2.0, mean_rate=20.0, shared_gain=0.8, random_state=0
    )
    model = script("_shared_gain").SharedGainPoisson(0.1).fit(Recording(data.spikes, Modalities(video=data.video)))
    drawn = model.sample(Modalities(video=data.video), n_samples=5, random_state=0)
    assert len(drawn) == 90
    assert drawn.n_spikes / 5 == pytest.approx(data.spikes.n_spikes, rel=0.1)


def test_maps_are_scored_by_the_planted_fields(script):
    maps = script("stimulus_maps")
    data = maps.population(0, quick=True)
    truth = StimulusMaps(
        "truth", np.abs(data.receptive_fields), data.spikes.unit_ids, data.lags, slopes=data.receptive_fields
    )
    found = maps.score(truth, data)
    assert found == pytest.approx({"localised": 1.0, "space": 1.0, "field": 1.0})
    flat = StimulusMaps("flat", np.ones_like(truth.maps), data.spikes.unit_ids, data.lags)
    assert maps.score(flat, data)["localised"] == 0.0 and maps.score(flat, data)["space"] == 0.0
    assert 0.02 < maps.chance(data)["localised"] < 0.3


def test_counterfactuals_are_scored_by_correlation_and_slope(script):
    true = np.array([1.0, -2.0, 0.5])
    rows = script("generation").counterfactual("hub driven", "half", true, true / 2)
    assert [row["value"] for row in rows] == pytest.approx([1.0, 0.5])
    assert script("generation").counterfactual("hub driven", "none", true, np.zeros(3))[0]["value"] == 0.0
