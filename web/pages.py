"""The pages of the site as Markdown, from notebooks, verdicts and docments."""
import inspect
import json
import re
import textwrap
from collections import Counter
from html import escape
from importlib import import_module
from pathlib import Path
from urllib.parse import quote

from fastcore.docments import docments
from PIL import Image

from rnnbio.figures.summary import summary
from notebooks import kept, linked, markdown
from project import (CHAPTERS, PAPER_TITLES, PAPERS, ROOT, Figure, Notebook, claims, colab,
                     figures, library, repository, source_of)

VERDICTS = ["reproduced", "not reproduced", "inconclusive", "not judged yet"]
WIDE, SMALL = 1440, 480      # pixels of a picture and of a thumbnail


def places() -> dict[Path, str]:
    "The page of each file that has one."
    notebooks = [Notebook(ROOT / "nbs" / "index.ipynb"),
                 *(Notebook(path) for path in (ROOT / "nbs").glob("*/[!f]*.ipynb")),
                 *(figure.notebook for some in figures().values() for figure in some)]
    found = {notebook.path: notebook.page for notebook in notebooks}
    for some in figures().values():
        for figure in some:
            found[figure.made(".ipynb")] = found[figure.made(".png")] = figure.notebook.page
    return found | {ROOT / "README.md": "index.md", ROOT / "CHANGELOG.md": "changes.md",
                    ROOT / "RUNNING.md": "running.md", ROOT / "DEVELOPMENT.md": "development.md",
                    ROOT / "figures/paper/REPORT.md": "claims.md"}


def chip(verdict) -> str:
    kind = verdict.replace(" ", "-")
    return f'<span class="verdict {kind}">{verdict}</span>'


def chips(rows) -> str:
    "How many claims became what."
    counts = Counter(row["verdict"] for row in rows)
    return " ".join(chip(v).replace(f">{v}<", f">{counts[v]} {v}<") for v in VERDICTS if counts[v])


def judged(figure:Figure) -> list[dict]:
    return [row for row in claims()
            if (row["paper"], row["figure"]) == (figure.paper, figure.notebook.path.stem)]


def picture(path:Path, out:Path, width:int) -> str:
    "A picture of the project, no wider than this."
    with Image.open(path) as image:
        image = image.convert("RGB")
        if image.width > width:
            image = image.resize((width, round(image.height * width / image.width)),
                                 Image.Resampling.LANCZOS)
        # 256 colours look the same
        return kept(image.quantize(method=Image.Quantize.MAXCOVERAGE), out)


def front(places, out:Path) -> str:
    "The first screen of the README, and its table of papers."
    readme = ROOT / "README.md"
    first, papers, *_ = readme.read_text(encoding="utf-8").split("\n## ")
    links = ("[Gallery](gallery.md) · [Claims and verdicts](claims.md) · "
             '<a href="explorer.html">Explorer</a> · [The library](library/models.md) · '
             f"[Source]({repository()})")
    text = linked(f"{first}\n## {papers}", readme, "index.md", out, places)
    return text.replace("\n\n", f"\n\n{links}\n\n", 1)


def text_page(name:str, page:str, places, out:Path) -> str:
    "A file of words as it is."
    path = ROOT / name
    return linked(path.read_text(encoding="utf-8"), path, page, out, places)


def minutes(number:float) -> str:
    if number < 1: return "less than a minute"
    return f"{number:.0f} min" if number < 120 else f"{number / 60:.1f} h"


def card(figure:Figure, out:Path, up:str) -> str:
    "A thumbnail with what became of the claims."
    page = up + figure.notebook.page.removesuffix(".md") + ".html"
    head = f'<a class="card" href="{page}">'
    if figure.facts:
        small = picture(figure.made(".png"), out, SMALL)
        head += f'<img src="{up}{small}" alt="" loading="lazy">'
    return (f"{head}<span>{escape(figure.notebook.headline)}</span>"
            f"<span>{chips(judged(figure))}</span></a>")


def gallery(out:Path) -> str:
    "All figures at a glance."
    lines = ["# Gallery", "", "Every figure, with what became of the claims it judges. Each opens "
             "on its picture, its verdicts and the notebook that made it.", ""]
    for paper, some in figures().items():
        lines += [f"## [{PAPER_TITLES[paper]}]({paper}/index.md)", "",
                  '<div class="gallery">', *(card(figure, out, "") for figure in some),
                  "</div>", ""]
    return "\n".join(lines)


def number(row) -> str:
    if row["mean"] is None: return ""
    low, high = row["interval"]
    return f"{float(row['mean']):.3g} [{float(low):.3g}, {float(high):.3g}]"


LEGEND = ("Measured: the mean over paired seeds, and its 95 % interval. Logarithms are natural: 0.693 "
          "is a factor of 2. What the words mean: [glossary]({up}library/glossary.md).")


def verdict_table(rows) -> list[str]:
    lines = [LEGEND.format(up="../"), "", '<div class="stacked" markdown="1">', "",
             "| claim | measured | expected | verdict |", "|---|---|---|---|"]
    for row in rows:
        said = chip(row["verdict"])
        if row["where"]: said += f" decided by {row['where']}"
        if row["why"]: said += f"<br>{row['why']}"
        bar = row["statistic"].replace("|", "\\|")
        lines.append(f"| **{row['id']}.** {row['claim']}<br><small>{bar}</small> | {number(row)} | "
                     f"{row['expect']} {row['margin']:g} | {said} |")
    return [*lines, "", "</div>"]


def figure_page(figure:Figure, places, out:Path) -> str:
    "What it asks, picture, verdicts, and the notebook as it was executed."
    executed = Notebook(figure.made(".ipynb")) if figure.facts else None
    text = markdown(figure.notebook, places, out, executed)
    heading, _, rest = text.strip().partition("\n")
    code = re.search(r"^(```|<details)", rest, re.M)
    words, rest = (rest[:code.start()], rest[code.start():]) if code else (rest, "")
    links = [f"[open in Colab]({colab(figure.notebook.path)})",
             f"[notebook]({source_of(figure.notebook.path)})"]
    links += [f"[{what}]({source_of(figure.made(ending))})" for what, ending in
              (("numbers", ".csv"), ("provenance", ".json"), ("PDF", ".pdf")) if figure.facts]
    if figure.facts:
        links += [f'<a href="../explorer.html#{quote(f"figure={figure.name}")}">explore</a>']
    lines = [heading, "", " · ".join(links), "", f"`make {figure.name} PROFILE=paper`", "",
             words.strip(), ""]
    if facts := figure.facts:
        wide = picture(figure.made(".png"), out, WIDE)
        reduced = ", smaller than the paper's own setting" if facts.get("reduced") else ""
        lines += [f"![{figure.notebook.headline}](../{wide})", "",
                  f"Seeds {facts['seeds'][0]} to {facts['seeds'][-1]}; "
                  f"{minutes(figure.minutes)} of training on {facts['device']}{reduced}.", ""]
    else: lines += ["*Not run in the paper profile yet.*", ""]
    rows = judged(figure)
    if rows: lines += ["## Claims and verdicts", "", *verdict_table(rows), ""]
    return "\n".join([*lines, "## The notebook", "", rest])


def paper_page(paper:str, places, out:Path) -> str:
    "What we found, then its figures."
    text = markdown(Notebook(ROOT / "nbs" / paper / "index.ipynb"), places, out)
    rows = [row for row in claims() if row["paper"] == paper]
    forest = ROOT / "figures/paper" / paper / "claims.png"
    lines = [text.strip(), "", "## Figures", "", '<div class="gallery">',
             *(card(figure, out, "../") for figure in figures()[paper]), "</div>", "",
             "## Claims", "", chips(rows), "", "[All of them, in a table](../claims.md).", ""]
    if forest.is_file():
        lines += [f"![every claim's effect](../{picture(forest, out, WIDE)})", ""]
    made = [figure.facts for figure in figures()[paper] if figure.facts]
    if made: lines += ["## Reproducibility summary", "",
                       *summary(ROOT, paper, {row["id"]: row["verdict"] for row in rows},
                                made)]
    return "\n".join(lines)


def claims_page() -> str:
    "The table is drawn by the browser, so that it can be filtered."
    return "\n".join([
        "---", "hide:", "  - toc", "---", "",
        "# Claims and verdicts", "",
        "What each paper says, as a test, and what became of it. "
        f"{LEGEND.format(up='')} How a verdict comes about: [Claims](library/claims.md). All of it on "
        f"one page, with the commit that wrote each claim and a warning where its result was there "
        f"first: [REPORT.md]({source_of(ROOT / 'figures/paper/REPORT.md')}).", "",
        chips(claims()), "", '<div id="claims"></div>', "",
        '<script src="scripts/tabulator.min.js"></script>',
        '<script src="scripts/claims-data.js"></script>',
        '<script src="scripts/claims.js"></script>'])


def claims_data() -> str:
    "The rows of that table, as a script: pages opened from a disk may not fetch files."
    known = {figure.name: figure.notebook.page for some in figures().values() for figure in some}
    known |= {f"nbs/lib/{n.path.stem}": n.page for some in library().values() for n in some}
    page = lambda row: known.get(f"{row['paper']}/{row['figure']}", known.get(row["figure"], ""))
    rows = [dict(paper=row["paper"], id=row["id"], claim=row["claim"], verdict=row["verdict"],
                 statistic=row["statistic"], measured=number(row), why=row["why"] or "",
                 expected=f"{row['expect']} {row['margin']:g}", says=row["says"],
                 figure=row["figure"].split("/")[-1],
                 page=page(row).replace(".md", ".html"))
            for row in sorted(claims(), key=lambda row: PAPERS.index(row["paper"]))]
    return f"const CLAIMS = {json.dumps(rows, ensure_ascii=False)};\n"


def reference(folder:str) -> str:
    "The public names of one folder of the package: what they take, from their docments."
    lines = [f"# `rnnbio.{folder}`", "", f"{CHAPTERS[folder]}: every public name, as "
             "`from rnnbio.all import *` gives it.", ""]
    for notebook in library()[folder]:
        module = import_module(f"rnnbio.{notebook.module}")
        page = "../" + notebook.page
        lines += [f"## [{notebook.title}]({page})", "", f"`{module.__name__}`", ""]
        for name in module.__all__:
            if not name.startswith("_"): lines += entry(name, getattr(module, name))
    return "\n".join(lines)


def entry(name:str, value) -> list[str]:
    "One name: signature, what it says of itself, its arguments, its methods."
    if not callable(value): return [f"### `{name}`", "", constant(value), ""]
    try: given = docments(value, full=True, returns=True)
    except (TypeError, ValueError, OSError): given = {}
    try: signature = inspect.signature(value)
    except (TypeError, ValueError): signature = inspect.Signature()
    said = given.pop("return", None)
    # what `help` adds from the docments stands in the table below
    words = (inspect.getdoc(value) or "").split("\n\nArguments:")[0] if value.__doc__ else ""
    lines = [f"### `{name}`", "", f"```python\n{name}{called(signature)}\n```", ""]
    # a dataclass without words of its own gets its signature from Python
    if not words.startswith(f"{name}("): lines += [escape(words), ""]
    # docments gives the comment of a last **argument to what is returned
    last = next((p.name for p in signature.parameters.values() if p.kind is p.VAR_KEYWORD), None)
    if last and said and last in given: given[last] = dict(docment=said.pop("docment", None))
    rows = [argument(p, given.get(p.name, {})) for p in signature.parameters.values()
            if p.name != "self"]
    if rows:
        lines += ['<div class="stacked" markdown="1">', "", "| argument | type | default | |",
                  "|---|---|---|---|", *rows, "", "</div>", ""]
    returned = kind(signature.return_annotation)
    about = cell(said.get("docment")) if said else ""
    if returned: lines += [f"Returns {returned}{': ' if about else ''}{about}.", ""]
    return lines + (methods(value) if inspect.isclass(value) else [])


def constant(value) -> str:
    "A table's names, or the value."
    if hasattr(value, "keys"): return f"Names: {', '.join(f'`{key}`' for key in value.keys())}."
    return f"`{shorter(repr(value), 200)}`"


def shorter(text, most:int) -> str: return text if len(text) < most else text[:most] + " …"


def called(signature) -> str:
    "Names and defaults alone."
    plain = [p.replace(annotation=p.empty) for p in signature.parameters.values()
             if p.name != "self"]
    text = re.sub(r"<[^<>]*>", "…", str(inspect.Signature(plain)))
    return textwrap.fill(shorter(text, 400), 90, subsequent_indent="    ")


def argument(p, given) -> str:
    stars = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
    return (f"| `{stars}{p.name}` | {kind(p.annotation)} | {default(p.default)} | "
            f"{cell(given.get('docment'))} |")


def methods(value) -> list[str]:
    "Public methods that a class defines itself, in a line each."
    about = lambda f: cell(inspect.getdoc(f).split("\n\n")[0])
    rows = [f"- `{name}{' '.join(called(inspect.signature(f)).split())}`: {about(f)}"
            for name, f in vars(value).items()
            if inspect.isfunction(f) and not name.startswith("_") and f.__doc__]
    return ["Methods:", "", *rows, ""] if rows else []


def kind(annotation) -> str:
    if annotation in (inspect.Parameter.empty, None, object): return ""
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    if getattr(annotation, "__args__", None): text = str(annotation)
    return code(re.sub(r"\b\w+\.(?=\w)", "", text))


def default(value) -> str:
    if value is inspect.Parameter.empty: return ""
    text = repr(value)
    return code(text if len(text) < 40 and " at 0x" not in text else "…")


def code(text) -> str:
    "In a table's cell, where a bar would begin the next."
    return f"<code>{cell(text)}</code>"


def cell(text) -> str:
    text = escape(re.sub(r"\s+", " ", text or ""))
    return text.translate({ord(mark): f"&#{ord(mark)};" for mark in "|{*_"})
