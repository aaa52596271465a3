"""Write the tables of the connectivity benchmarks into docs/background/connectivity.md.

    python benchmarks/connectivity_table.py

Means over seeds, and the number of seeds. What stands between the markers of the page is replaced.
"""

from __future__ import annotations

import pathlib

import pandas as pd
from connectivity import FAULTS, FEW

HERE = pathlib.Path(__file__).parent
PAGE = HERE.parent / "docs" / "background" / "connectivity.md"
SCORES = {
    "auprc": "AUPRC",
    "auprc_excitatory": "AUPRC E",
    "auprc_inhibitory": "AUPRC I",
    "auroc": "AUROC",
    "signed_r2": "signed R2",
    "direction_rate": "direction",
    "sign_accuracy": "sign",
    "hub_recall": "hub recall",
    "found_false": "false of found",
    "found_of_edges": "found of edges",
    "seconds": "s",
}


def markdown(table: pd.DataFrame) -> str:
    """A table of strings as Markdown."""
    lines = ["| " + " | ".join(table.columns) + " |", "|" + "---|" * table.shape[1]]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in table.astype(str).to_numpy()])


def number(value: float, name: str) -> str:
    """Three digits; seconds whole; a dash for what is not defined."""
    if pd.isna(value):
        return "-"
    return f"{value:.0f}" if name in ("seconds", "training", "false_driven") else f"{value:.3f}"


def scores(rows: pd.DataFrame) -> str:
    """One row a method, means over seeds, best AUPRC first."""
    means = rows.groupby("method")[list(SCORES)].mean().sort_values("auprc", ascending=False)
    table = pd.DataFrame({title: [number(v, name) for v in means[name]] for name, title in SCORES.items()})
    table.insert(0, "method", list(means.index))
    table.insert(1, "seeds", [str(n) for n in rows.groupby("method").size()[means.index]])
    return markdown(table)


def with_intervals(rows: pd.DataFrame) -> str:
    """One row a method, with the bootstrap intervals of the areas."""
    rows = rows.sort_values("auprc", ascending=False)
    table = {"method": list(rows["method"])}
    for name, title in (("auroc", "AUROC"), ("auprc", "AUPRC")):
        table[title] = [
            f"{value:.3f} ({low:.3f} to {high:.3f})"
            for value, low, high in zip(rows[name], rows[f"{name}_low"], rows[f"{name}_high"], strict=True)
        ]
    table["direction"] = [number(v, "direction_rate") for v in rows["direction_rate"]]
    table["s"] = [number(v, "seconds") for v in rows["seconds"]]
    return markdown(pd.DataFrame(table))


def stimulus(rows: pd.DataFrame) -> str:
    """False edges among commonly driven pairs."""
    means = rows.groupby("method")[["false_driven", "auprc"]].mean().sort_values("false_driven", ascending=False)
    table = pd.DataFrame(
        {
            "method": means.index,
            "seeds": [str(n) for n in rows.groupby("method").size()[means.index]],
            "false edges": [f"{v:.1f}" for v in means["false_driven"]],
            "AUPRC": [f"{v:.3f}" for v in means["auprc"]],
        }
    )
    return markdown(table)


def nulls(rows: pd.DataFrame) -> str:
    """Share of the pairs that each method finds, and the largest of a seed; all of them are false."""
    share = (rows["found"] / rows["pairs"]).groupby([rows["null"], rows["method"]], sort=False)
    table = pd.DataFrame({"mean": share.mean(), "most": share.max()})
    text = table.apply(lambda row: f"{row['mean']:.3f} ({row['most']:.3f})", axis=1).unstack(sort=False)
    text.insert(0, "seeds", rows.groupby("null", sort=False)["seed"].nunique().astype(str))
    return markdown(text.rename_axis("recording").reset_index())


def permutation(rows: pd.DataFrame) -> str:
    """Correlations of couplings, by how two models differ."""
    of_kind = rows.groupby("kind", sort=False)["correlation"]
    table = {"models differ by": list(of_kind.mean().index), "pairs of models": [str(n) for n in of_kind.size()]}
    table["mean r"] = [f"{value:.3f}" for value in of_kind.mean()]
    table["least r"] = [f"{value:.3f}" for value in of_kind.min()]
    table["largest r"] = [f"{value:.3f}" for value in of_kind.max()]
    return markdown(pd.DataFrame(table))


def more_than_ccg(rows: pd.DataFrame) -> str:
    """Differences to the cross-correlogram on the same pairs of units."""
    rows = rows[rows["method"] != "ccg"]
    table = {"recording": list(rows["data"]), "method": [f'`"{name}"`' for name in rows["method"]]}
    for name, title in (("auroc", "AUROC more"), ("auprc", "AUPRC more")):
        columns = [rows[f"{name}_more{end}"] for end in ("", "_low", "_high")]
        table[title] = [f"{v:+.3f} ({low:+.3f} to {high:+.3f})" for v, low, high in zip(*columns, strict=True)]
    table["draws with a larger AUPRC"] = [f"{value:.2f}" for value in rows["auprc_better"]]
    return markdown(pd.DataFrame(table))


def tables() -> dict[str, str]:
    """All tables, by the name of their marker."""
    rows = pd.read_csv(HERE / "results" / "connectivity.csv")
    result = {}
    for data in rows["data"].unique():
        of_data = rows[rows["data"] == data]
        if data.startswith("spycon"):
            result[data] = with_intervals(of_data)
        elif "," not in data:
            result[data] = scores(of_data)
    faults = rows[rows["data"].str.contains(",")]
    if len(faults):
        in_order = [(f"medium, {name}", method) for name in FAULTS for method in FEW]
        groups = faults.groupby(["data", "method"])
        in_order = [key for key in in_order if key in groups.groups]
        means, seeds = groups[list(SCORES)].mean().loc[in_order].reset_index(), groups.size().loc[in_order]
        parts = {"recording": means["data"], "method": means["method"], "seeds": [str(n) for n in seeds]}
        chosen = ("auprc", "signed_r2", "direction_rate", "found_false", "found_of_edges")
        parts |= {SCORES[name]: [number(v, name) for v in means[name]] for name in chosen}
        result["faults"] = markdown(pd.DataFrame(parts))
    of_stimulus = HERE / "results" / "connectivity_stimulus.csv"
    if of_stimulus.exists():
        result["stimulus"] = stimulus(pd.read_csv(of_stimulus))
    of_models = HERE / "results" / "connectivity_models.csv"
    if of_models.exists():
        rows = pd.read_csv(of_models)
        shown = ("auprc", "auroc", "signed_r2", "direction_rate", "seconds", "training")
        means = rows.groupby("method")[[name for name in shown if name in rows]].mean()
        means = means.sort_values("auprc", ascending=False)
        parts = {"method": list(means.index), "seeds": [str(n) for n in rows.groupby("method").size()[means.index]]}
        titles = SCORES | {"training": "s of training"}
        parts |= {titles[name]: [number(v, name) for v in means[name]] for name in means}
        result["models"] = markdown(pd.DataFrame(parts))
    for name, table in {"nulls": nulls, "permutation": permutation, "spycon": more_than_ccg}.items():
        path = HERE / "results" / f"connectivity_{name}.csv"
        if path.exists():
            result[{"spycon": "more than CCG"}.get(name, name)] = table(pd.read_csv(path))
    of_size = HERE / "results" / "connectivity_size.csv"
    if of_size.exists():
        columns = {"data": "data", "units": "units", "cpu_seconds": "CPU s", "seconds": "s", "peak_mb": "peak MB"}
        columns |= {"found": "found"}
        result["size"] = markdown(pd.read_csv(of_size)[list(columns)].rename(columns=columns))
    return result


def filled(text: str) -> str:
    """The page with the tables between its markers; a marker without a table keeps what it has."""
    for name, table in tables().items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        if start in text:
            before, rest = text.split(start)
            text = before + start + table + "\n" + end + rest.split(end, 1)[1]
    return text


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
