"""The explorer: every committed table as one page that needs no server.

Tables differ from figure to figure; to a reader they are all the same: *dimensions* that say which
networks (task, rule, gain, structure), an *axis* along training, and *measures*. Medians and
quartiles over seeds are computed here, so that the page stays small.
"""
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd

from pages import judged
from project import PAPERS, PAPER_TITLES, colab, figures, source_of
from rnnbio.base.plots import RULE_COLORS, RULE_LABELS

# columns that say which networks, whatever their type, and the one name under which they are shown
DIMENSIONS = dict(task="task", rule="rule", gain="gain", recurrent="structure",
                  structure="structure", rank="rank", alpha="α", target="target", choice="choice",
                  condition="condition", floss="flossing", rates="rates", matrix="matrix", of="of",
                  n_hidden="units", part="part", size="size", method="method", form="form",
                  outputs="outputs", network="network", level="level", source="source")
AXES = "step", "steps", "epoch", "x", "at", "number", "lr", "rank", "gain"
LONG = "measure", "quantity", "panel"      # their values name what stands in `value`
MOST = 60                                  # points of a curve
SEED = "seed"


def html(here:Path) -> str:
    "The page, with its scripts, style and data inside."
    modules = here / "node_modules"
    scripts = [modules / "vega/build/vega.min.js", modules / "vega-lite/build/vega-lite.min.js",
               modules / "vega-embed/build/vega-embed.min.js", here / "explorer.js"]
    text = (here / "explorer.html").read_text(encoding="utf-8")
    inside = {"DATA": f"const DATA = {json.dumps(data(), separators=(',', ':'))};",
              "SCRIPTS": [f"<script>{path.read_text(encoding='utf-8')}</script>"
                          for path in scripts]}
    return text.replace("/*DATA*/", inside["DATA"]).replace("<!--SCRIPTS-->",
                                                            "\n".join(inside["SCRIPTS"]))


def data() -> dict:
    "Papers, figures with their claims, and tables; a table that several figures share, once."
    tables, shown = {}, []
    for paper in PAPERS:
        for figure in figures()[paper]:
            path = figure.made(".csv")
            if not path.is_file(): continue
            key = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
            if key not in tables: tables[key] = summary(pd.read_csv(path, low_memory=False))
            shown.append(dict(paper=PAPER_TITLES[paper], name=figure.name,
                              title=f"{PAPER_TITLES[paper]}. {figure.notebook.headline}", table=key,
                              page=figure.notebook.page.replace(".md", ".html"),
                              notebook=source_of(figure.notebook.path),
                              colab=colab(figure.notebook.path),
                              claims=[claim(row) for row in judged(figure)]))
    return dict(figures=shown, tables=tables, rules=dict(colors=RULE_COLORS, labels=RULE_LABELS))


def claim(row) -> dict:
    "What the forest plot needs: the effect beyond the margin, on the side that is claimed."
    found = dict(id=row["id"], claim=row["claim"], verdict=row["verdict"], why=row["why"] or "")
    if row["mean"] is None: return found
    side = 1 if row["expect"] == "above" else -1
    beyond = [side * (float(x) - row["margin"]) for x in (row["mean"], *row["interval"])]
    if not np.isfinite(beyond).all(): return found
    return found | dict(mean=beyond[0], low=min(beyond[1:]), high=max(beyond[1:]))


def summary(table:pd.DataFrame) -> dict:
    """Dimensions, axis and measures of a table, and for each measure its rows: values of the
    dimensions by number, place on the axis, median, quartiles, how many seeds."""
    table = table.drop(columns=[c for c in table if c.startswith("Unnamed")])
    long = next((c for c in LONG if c in table and "value" in table), None)
    dims = [c for c in table if c != long and c != SEED and is_dimension(table, c)]
    axis = next((c for c in AXES if c in table and c not in dims and table[c].nunique() > 2), None)
    parts = ({str(name): part["value"] for name, part in table.groupby(long)} if long else
             {c: table[c] for c in table if c not in (*dims, axis, SEED) and is_measure(table[c])})
    levels = {c: sorted(table[c].dropna().unique().tolist(), key=lambda v: (isinstance(v, str), v))
              for c in dims}
    measures = {name: rows(table, values, dims, axis, levels) for name, values in parts.items()}
    # curves first
    measures = dict(sorted(measures.items(), key=lambda item: item[1]["at"] is None))
    return dict(dims=[DIMENSIONS.get(c, c) for c in dims],
                levels=[[str(v) for v in levels[c]] for c in dims], axis=axis,
                measures={name: found for name, found in measures.items() if found["median"]})


def is_dimension(table, column) -> bool:
    if column in ("rank", "gain", "alpha", "n_hidden", "target", "condition", "size"):
        return table[column].nunique() <= 16
    few = table[column].nunique() <= 40
    return few and (column in DIMENSIONS or not pd.api.types.is_numeric_dtype(table[column])
                    and not set(table[column].dropna()) <= {True, False})


def is_measure(values) -> bool:
    return pd.api.types.is_numeric_dtype(values) or set(values.dropna()) <= {True, False}


def rows(table, values, dims, axis, levels) -> dict:
    "Medians and quartiles over seeds, as columns."
    part = table.loc[values.index, [*dims, *([axis] if axis else [])]].copy()
    part["value"] = pd.to_numeric(values, errors="coerce").astype(float)
    part = part[np.isfinite(part["value"])]
    by = [*dims, *([axis] if axis else [])]
    groups = part.groupby(by, dropna=False)["value"] if by else part.groupby(lambda _: 0)["value"]
    found = groups.quantile([.25, .5, .75]).unstack()
    found["n"] = groups.count()
    found = found.reset_index()
    if axis and found[axis].nunique() > MOST: found = thinned(found, axis)
    number = lambda v: [float(f"{x:.4g}") for x in v]
    place = {c: {v: i for i, v in enumerate(levels[c])} for c in dims}
    return dict(of=[[place[c].get(v, -1) for v in found[c]] for c in dims],
                at=number(found[axis].fillna(-1)) if axis and found[axis].notna().any() else None,
                median=number(found[.5]), low=number(found[.25]), high=number(found[.75]),
                n=found["n"].tolist())


def thinned(found, axis):
    "Evenly along the axis, its ends kept."
    every = np.sort(found[axis].dropna().unique())
    kept = every[np.unique(np.linspace(0, len(every) - 1, MOST).round().astype(int))]
    return found[found[axis].isin(kept) | found[axis].isna()]
