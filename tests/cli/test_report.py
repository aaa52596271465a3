import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skneuro.cli.figures import raster_figure, realism_figure
from skneuro.cli.names import measure_of
from skneuro.cli.report import Section, facts, page, paragraph, picture, realism_html, score_table
from skneuro.data import SpikeTrains
from skneuro.metrics import realism_table


class Reader(HTMLParser):
    """Collects tags and checks that each that is opened is closed."""

    VOID = {"meta", "img", "br"}

    def __init__(self, text):
        super().__init__()
        self.open, self.found, self.attributes = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_a_page_is_well_formed_and_refers_to_nothing_outside():
    figure = pytest.importorskip("matplotlib.figure").Figure()
    figure.subplots().plot([1, 2])
    text = page("title", "sub", "verdict", [Section("one", picture(figure, "a line")), Section("two", paragraph("x"))])
    reader = Reader(text)
    sources = [value for name, value in reader.attributes if name in ("src", "href")]
    assert all(value.startswith("data:image/png;base64,") for value in sources)
    assert not re.search(r"https?://|url\(|@import", text)


def test_the_verdict_stands_before_everything_but_the_title():
    text = page("title", "sub", "the verdict", [Section("one", paragraph("what follows"))])
    assert text.index("the verdict") < text.index("what follows")


def test_names_are_text_and_not_markup():
    name = "<script>alert(1)</script>"
    rows = pd.DataFrame(
        {
            "bits_per_spike": [0.1],
            "error": [0.01],
            "median_difference": [0.2],
            "units_improved": [0.5],
            "fit_seconds": [3.0],
        },
        index=[name],
    )
    text = page(
        name,
        name,
        name,
        [Section(name, score_table(rows, name, "b") + facts({name: name}) + paragraph(name))],
    )
    assert "script" not in Reader(text).found


def test_the_table_has_a_row_a_model_and_leaves_unknown_numbers_out():
    rows = pd.DataFrame(
        {
            "bits_per_spike": [0.2, 0.25],
            "error": [np.nan, 0.012],
            "median_difference": [np.nan, 0.05],
            "units_improved": [np.nan, 0.75],
            "fit_seconds": [1.0, 60.0],
        },
        index=["GLM", "Neuroformer"],
    )
    text = score_table(rows, "Neuroformer", "GLM")
    assert Reader(text).found.count("tr") == 3
    assert "nan" not in text
    assert "0.250 ± 0.012" in text
    assert "+0.050" in text
    assert "75%" in text


def judged(**values):
    """Scores as `evaluate_generation` gives them: value and floor by metric."""
    rows = [("model", "realism", m, None, v, f, np.nan, np.nan, np.nan) for m, (v, f) in values.items()]
    columns = ["source", "aspect", "metric", "unit", "value", "floor", "ceiling", "recorded", "sampled"]
    return pd.DataFrame(rows, columns=columns)


def test_the_scores_of_simulations_have_a_unit_a_direction_and_a_line_of_explanation():
    text = realism_html(judged(population_count_kl=(0.2, 0.1), two_sample_accuracy=(0.7, 0.5)), "Neuroformer")
    Reader(text)
    assert "<td>population count KL</td><td>bits</td><td>lower</td><td>0.2</td><td>0.1</td>" in text
    assert "<td>near 0.5</td>" in text
    assert text.count("<dd>") == 2 and "Kullback-Leibler" in text and "0.5 is chance" in text


def test_no_score_is_without_an_explanation():
    counts = np.random.default_rng(0).poisson(0.3, (2, 6, 50, 3))
    metrics = realism_table(*(SpikeTrains.from_counts(c, 0.02) for c in counts), 0.02)["metric"].tolist()
    metrics += ["psth_correlation", "sampled_bits_per_spike", "noise_correlation", "tuning_correlation_speed"]
    assert all(measure_of(metric).meaning and measure_of(metric).better for metric in metrics)


def test_what_the_realism_figure_cannot_draw_to_scale_is_said():
    pytest.importorskip("matplotlib")
    table = judged(rate_rmse=(0.0, 0.1), isi_mean_rmse=(0.2, 0.1), fano_rmse=(0.3, 0.0))
    (ax,) = realism_figure(table, "Neuroformer").axes
    assert "a triangle at the left end is a ratio below 0.01" in ax.get_xlabel()
    assert "for want of a floor above 0: Fano RMSE" in ax.get_xlabel()
    (edge,) = [line for line in ax.lines if line.get_marker() == "<" and len(line.get_xdata())]
    assert edge.get_xydata().tolist() == [[0.01, 0.0]]
    (ax,) = realism_figure(judged(isi_mean_rmse=(0.2, 0.1)), "Neuroformer").axes
    assert ax.get_xlabel() == "distance from the recording / its own floor"


@pytest.mark.parametrize(("n_units", "title"), [(60, "recorded"), (80, "recorded, the first 60 of 80 units")])
def test_rasters_say_which_units_they_show(n_units, title):
    pytest.importorskip("matplotlib")
    spikes = SpikeTrains.from_lists([[[0.1]] * n_units], 0.0, 1.0)
    assert raster_figure(spikes, spikes).axes[0].get_title("left") == title
