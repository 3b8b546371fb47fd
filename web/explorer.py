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

from rnnbio.base.plots import RULE_COLORS, RULE_LABELS
from rnnbio.figures.forest import beyond_margin
from pages import judged
from project import PAPERS, PAPER_TITLES, colab, figures, source_of

AXES = {"step": "training step", "epoch": "epoch", "x": "step, epoch, rank or index",
        "number": "index, largest first", "order": "index, largest first", "lr": "learning rate",
        "at": "training step, rank or power"}
LONG = "measure", "quantity", "panel"      # their values name what stands in `value`
SEED, MOST = "seed", 60                    # most points of a curve
# conditions that are numbers; and those that are where they tell networks apart, first tried first
ALWAYS = "gain", "alpha", "target", "balance", "kappa", "delay", "theta"
SOMETIMES = ("n_hidden", "recurrent", "condition", "rank", "size", "outputs", "mu", "lr",
             "strategic")
NAMES = {"alpha": "α", "recurrent": "structure", "n_hidden": "units", "floss": "flossing",
         "choice": "choice", "size": "scale of the weights"}
# of measures; what is not here says itself
LABELS = {
    "KA": "KA: kernel alignment, start and end", "dW": "dW: size of the weight change",
    "RA": "RA: representation alignment, start and end", "learned": "learned: share of networks",
    "diverged": "diverged: share of networks", "lost": "lost: share of networks",
    "rho": "ρ: e-prop's step along the gradient", "scaled": "curvature, scaled by unit",
    "curvature": "largest eigenvalue of the Hessian", "flatness": "w'Hw",
    "mid": "mean loss, steps 901 to 1000", "half": "mean loss, step 200 to half",
    "late": "mean loss from step 200", "log_late": "mean log loss from step 200",
    "final": "final loss", "steps": "steps to the criterion", "train": "training accuracy or share",
    "clean": "test without the shift", "shifted": "test with the shift", "lr": "learning rate",
    "gap": "gap: training less shifted test", "gap_clean": "gap without the shift",
    "before": "largest exponent before training", "after": "largest exponent after training",
    "norm": "norm of the change", "early_dW": "dW after ten batches"}
FIRST = {"α": "0.8", "rates": "four"}      # shown first: the setting of the paper's pages


def html(here:Path) -> str:
    "The page, with its scripts, style and data inside."
    modules = here / "node_modules"
    scripts = [modules / "vega/build/vega.min.js", modules / "vega-lite/build/vega-lite.min.js",
               modules / "vega-embed/build/vega-embed.min.js", here / "explorer.js"]
    text = (here / "explorer.html").read_text(encoding="utf-8")
    inside = "\n".join(f"<script>{path.read_text(encoding='utf-8')}</script>" for path in scripts)
    said = json.dumps(data(), separators=(",", ":"))
    return text.replace("/*DATA*/", f"const DATA = {said};").replace("<!--SCRIPTS-->", inside)


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
    return dict(figures=shown, tables=tables, first=FIRST,
                rules=dict(colors=RULE_COLORS, labels=RULE_LABELS))


def claim(row) -> dict:
    "What the forest plot needs: the effect beyond the margin, on the side that is claimed."
    found = dict(id=row["id"], claim=row["claim"], verdict=row["verdict"], why=row["why"] or "")
    if row["mean"] is None: return found
    effect = beyond_margin(row["expect"], row["margin"], row["mean"], row["interval"])
    if not np.isfinite(effect).all(): return found
    return found | dict(zip(("mean", "low", "high"), effect))


def summary(table:pd.DataFrame) -> dict:
    """Dimensions, axis and measures of a table, and for each measure its rows: values of the
    dimensions by number, place on the axis, median, quartiles, how many seeds."""
    # what one network did in one trial is for its figure
    if "part" in table: table = table[table.part != "example"].dropna(axis=1, how="all")
    if SEED not in table: table = table.assign(**{SEED: 0})
    long = next((c for c in LONG if c in table and "value" in table), None)
    axis = next((c for c in AXES if c in table and table[c].nunique() > 2), None)
    words = [c for c in table if c not in (long, SEED, axis) and not is_measure(table[c])]
    dims = words + conditions(table, [c for c in (*words, long, axis, SEED) if c])
    measured = ({str(name): part["value"] for name, part in table.groupby(long)} if long else
                {c: table[c] for c in table if c not in (*dims, axis, SEED)
                 and is_measure(table[c])})
    levels = {c: sorted(table[c].dropna().unique().tolist(), key=lambda v: (isinstance(v, str), v))
              for c in dims}
    found = {LABELS.get(name, name): rows(table, values, dims, axis, levels)
             for name, values in measured.items()}
    # curves first
    found = dict(sorted(found.items(), key=lambda item: item[1]["at"] is None))
    ranks = [NAMES.get(c, c) if c != "recurrent" or isinstance(levels[c][0], str) else "rank"
             for c in dims]
    return dict(dims=ranks, levels=[[word(v) for v in levels[c]] for c in dims],
                axis=AXES.get(axis), measures={n: r for n, r in found.items() if r["median"]})


def word(value) -> str: return f"{value:g}" if isinstance(value, float) else str(value)


def is_measure(values) -> bool:
    return pd.api.types.is_numeric_dtype(values) or set(values.dropna()) <= {True, False}


def conditions(table, by) -> list[str]:
    """Numbers that tell networks apart: without them several rows would be taken for seeds.
    ValueError where that is so still."""
    found = [c for c in ALWAYS if c in table and c not in by]
    for column in SOMETIMES:
        if column not in table or column in by or not repeated(table, by + found): continue
        if repeated(table, by + found + [column]) < repeated(table, by + found):
            found.append(column)
    if repeated(table, by + found):
        raise ValueError(f"rows of a table with {', '.join(table)} are not told apart by "
                         f"{', '.join(by + found)}: name what does in web/explorer.py")
    return found


def repeated(table, by) -> int: return int(table.duplicated(by).sum())


def rows(table, values, dims, axis, levels) -> dict:
    "Medians and quartiles over seeds, as columns; of what is yes or no, the share."
    part = table.loc[values.index, [SEED, *dims, *([axis] if axis else [])]].copy()
    part["value"] = pd.to_numeric(values.replace({True: 1., False: 0.}), errors="coerce")
    part = part[np.isfinite(part["value"].astype(float))]
    share = set(values.dropna()) <= {True, False}
    by = [*dims, *([axis] if axis and part[axis].notna().any() else [])]
    groups = part.groupby(by or (lambda _: 0), dropna=False)
    of = groups["value"]
    found = (pd.DataFrame({q: of.mean() for q in (.25, .5, .75)}) if share
             else of.quantile([.25, .5, .75]).unstack())
    found["n"] = groups[SEED].nunique().clip(lower=1)
    found = found.reset_index()
    axis = axis if axis in by else None
    if axis and found[axis].nunique() > MOST: found = thinned(found, axis)
    number = lambda v: [float(f"{x:.4g}") for x in v]
    place = {c: {v: i for i, v in enumerate(levels[c])} for c in dims}
    return dict(of=[[place[c].get(v, -1) for v in found[c]] for c in dims], share=share,
                at=number(found[axis].fillna(-1)) if axis else None, median=number(found[.5]),
                low=number(found[.25]), high=number(found[.75]), n=found["n"].tolist())


def thinned(found, axis):
    "Evenly along the axis, its ends kept."
    every = np.sort(found[axis].dropna().unique())
    kept = every[np.unique(np.linspace(0, len(every) - 1, MOST).round().astype(int))]
    return found[found[axis].isin(kept) | found[axis].isna()]
