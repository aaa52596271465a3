"""The report: one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from skneuro.cli.names import measure_of, written

_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; color: #222;
background: #fff;
       max-width: 860px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; }
p.sub { color: #667; margin: 0 0 1.2rem; } p.verdict { font-size: 1.12rem; border-left: 4px solid #1b6ca8;
background: #f2f7fb;
       padding: .8rem 1rem; margin: 0 0 1.2rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: .34rem .6rem; text-align: right; border-bottom: 1px solid #e3e6e8; }
th:first-child, td:first-child { text-align: left; } thead th { border-bottom: 2px solid #888; vertical-align:
bottom; font-weight: 600; } tr.model td { font-weight: 600; color: #14527f; } tr.best td { color: #a04c10; }
figure { margin: .6rem 0 0; } figure img { max-width: 100%; height: auto; display: block; } figcaption, p.note
{ color: #555; font-size: .9rem; margin: .3rem 0 0; } dl { display: grid; grid-template-columns: max-content
1fr; gap: .2rem 1.2rem; font-size: .93rem; margin: 0; } dt { color: #667; } dd { margin: 0; } code {
background: #f3f4f5; padding: .05rem .3rem; border-radius: 3px; overflow-wrap: anywhere; } pre { background:
#f3f4f5; padding: .7rem .9rem; overflow-x: auto; font-size: .86rem; }
"""


@dataclass(frozen=True)
class Section:
    """A heading with text, pictures or a table below it; `body` is HTML."""

    title: str
    body: str


def page(title: str, subtitle: str, verdict: str, sections: list[Section]) -> str:
    """Put a page together.

    Parameters
    ----------
    title, subtitle, verdict : str
        Plain text; the verdict stands first.
    sections : list of Section
        What follows.

    Returns
    -------
    text : str
        A whole HTML document without a reference to anything outside it.
    """
    body = "\n".join(f"<section><h2>{html.escape(s.title)}</h2>\n{s.body}\n</section>" for s in sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{html.escape(title)}</h1>
<p class="sub">{html.escape(subtitle)}</p>
<p class="verdict">{html.escape(verdict)}</p>
{body}
</body>
</html>
"""


def paragraph(text: str, note: bool = False) -> str:
    """One paragraph of plain text."""
    return f"<p{' class=note' if note else ''}>{html.escape(text)}</p>"


def picture(figure: Any, alt: str, caption: str = "") -> str:
    """Embed a matplotlib figure as PNG.

    Parameters
    ----------
    figure : matplotlib Figure
        The picture.
    alt : str
        What it shows, for those who do not see it.
    caption : str, default=""
        Text below it.

    Returns
    -------
    text : str
        HTML.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    width = int(figure.get_figwidth() * 100)
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    image = f'<img width="{width}" src="data:image/png;base64,{data}" alt="{html.escape(alt, quote=True)}">'
    return f"<figure>{image}{below}</figure>"


def score_table(table: pd.DataFrame, model: str, baseline: str) -> str:
    """The table of models as HTML.

    Parameters
    ----------
    table : DataFrame
        What `skneuro.cli.comparison.table` returned.
    model, baseline : str
        Names of the two rows that are coloured.

    Returns
    -------
    text : str
        HTML.
    """
    heads = [
        "model",
        "bits per spike",
        "median difference<br>to the best baseline",
        "units<br>improved",
        "time to fit",
    ]
    rows = []
    for name, row in table.iterrows():
        kind = {model: ' class="model"', baseline: ' class="best"'}.get(name, "")
        cells = [
            html.escape(name) + (" (best baseline)" if name == baseline else ""),
            f"{row['bits_per_spike']:.3f}" + (f" ± {row['error']:.3f}" if np.isfinite(row["error"]) else ""),
            "" if np.isnan(row["median_difference"]) else f"{row['median_difference']:+.3f}",
            "" if np.isnan(row["units_improved"]) else f"{row['units_improved']:.0%}",
            "" if np.isnan(row["fit_seconds"]) else f"{row['fit_seconds']:.1f} s",
        ]
        rows.append(f"<tr{kind}>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        "<table><thead><tr>"
        + "".join(f"<th>{h}</th>" for h in heads)
        + "</tr></thead>\n<tbody>"
        + "\n".join(rows)
        + "</tbody></table>"
    )


def realism_html(judged: pd.DataFrame, model: str) -> str:
    """The table of scores of simulations as HTML.

    Parameters
    ----------
    judged : DataFrame
        What `evaluate_generation` returned.
    model : str
        Name to show for its ``"model"``.

    Returns
    -------
    text : str
        HTML: a row a score of the population, with its unit and which values are better, a column a model, and what the
        recording itself would score; below, a line on each score.
    """
    population = judged[judged["unit"].isna()]
    values = population.pivot(index="metric", columns="source", values="value")
    values = values.reindex(index=population["metric"].unique(), columns=population["source"].unique())
    limit = population[population["source"] == "model"].set_index("metric")
    limit = limit["floor"].where(limit["aspect"] == "realism", limit["ceiling"])
    sources = [model if name == "model" else str(name) for name in values.columns]
    heads = ["", "unit", "better", *sources, "recording itself"]
    rows, meanings = [], {}
    for metric, row in values.iterrows():
        numbers = [*row, limit.get(metric, float("nan"))]
        if np.isnan(numbers[:-1]).all():
            continue
        measure = measure_of(str(metric))
        meanings[written(str(metric))] = measure.meaning
        cells = [written(str(metric)), measure.unit, measure.better]
        cells += ["" if np.isnan(x) else f"{x:.3g}" for x in numbers]
        rows.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{html.escape(h)}</th>" for h in heads)
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>" + "\n".join(rows) + "</tbody></table>"
    return table + "\n<p class=note>What these are:</p>" + facts({k: v for k, v in meanings.items() if v})


def facts(items: dict[str, str]) -> str:
    """A list of names and values.

    Parameters
    ----------
    items : dict of str to str
        Plain text.

    Returns
    -------
    text : str
        HTML.
    """
    return "<dl>" + "".join(f"<dt>{html.escape(k)}</dt><dd>{html.escape(v)}</dd>" for k, v in items.items()) + "</dl>"
