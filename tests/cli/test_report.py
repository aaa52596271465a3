import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from skneuro.cli.report import Section, facts, page, paragraph, picture, score_table


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
