"""Make the web site from the notebooks and the committed figures (`make site`), into _site/html.

It needs no network: what pages load (equations, plots, tables) comes from web/node_modules, which
`make site` has npm fill once, and lies beside them.
"""
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

import explorer
import pages
from notebooks import markdown
from project import CHAPTERS, PAPER_TITLES, ROOT, figures, library, repository, version, Notebook

WORDS = {"RUNNING.md": "running.md", "DEVELOPMENT.md": "development.md",
         "CHANGELOG.md": "changes.md"}
HERE, SITE = Path(__file__).resolve().parent, ROOT / "_site"
# lets the search work on pages opened from a disk
SHIM = "https://unpkg.com/iframe-worker/shim"
NPM = {"iframe-worker/shim/index.js": "scripts/iframe-worker.js",
       "mathjax/es5/tex-svg.js": "scripts/tex-svg.js",
       "tabulator-tables/dist/js/tabulator.min.js": "scripts/tabulator.min.js",
       "tabulator-tables/dist/css/tabulator_simple.min.css": "styles/tabulator.min.css"}


def navigation() -> list:
    "What stands in the tabs and beside a page."
    of_paper = lambda paper: [{"what we found": f"{paper}/index.md"},
                              *({figure.notebook.title: figure.notebook.page}
                                for figure in figures()[paper]),
                              {"what its figures share": f"{paper}/common.md"}]
    chapters = [{chapter: [{n.title: n.page} for n in library()[folder]]}
                for folder, chapter in CHAPTERS.items()]
    return [{"Home": ["index.md", {"A tour": "tour.md"}, {"Running it elsewhere": "running.md"},
                      {"How it is built": "development.md"}, {"What changed": "changes.md"}]},
            {"Gallery": "gallery.md"},
            {"Papers": [{PAPER_TITLES[p]: of_paper(p)} for p in figures()]},
            {"Claims": "claims.md"},
            {"Explorer": "explorer.html"},
            {"Library": [{"Glossary": "library/glossary.md"}, *chapters]},
            {"Reference": [{f"rnnbio.{folder}": f"reference/{folder}.md"}
                           for folder in CHAPTERS]}]


def write_pages(out:Path) -> None:
    "Markdown and pictures."
    places = pages.places()
    written = {"index.md": pages.front(places, out),
               **{page: pages.text_page(name, page, places, out) for name, page in WORDS.items()},
               "gallery.md": pages.gallery(out), "claims.md": pages.claims_page(),
               "tour.md": markdown(Notebook(ROOT / "nbs/index.ipynb"), places, out)}
    for paper, some in figures().items():
        common = Notebook(ROOT / "nbs" / paper / "common.ipynb")
        written[f"{paper}/index.md"] = pages.paper_page(paper, places, out)
        written[f"{paper}/common.md"] = markdown(common, places, out)
        for figure in some:
            written[figure.notebook.page] = pages.figure_page(figure, places, out)
    glossary = Notebook(ROOT / "nbs/lib/000_glossary.ipynb")
    for notebook in [glossary, *(n for some in library().values() for n in some)]:
        written[notebook.page] = markdown(notebook, places, out)
    written |= {f"reference/{folder}.md": pages.reference(folder) for folder in CHAPTERS}
    for name, text in written.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def write_assets(out:Path) -> None:
    "Scripts and styles, ours and others'; the explorer as one file."
    for folder in ("scripts", "styles"): (out / folder).mkdir(parents=True, exist_ok=True)
    for name in ("claims.js", "equations.js"): shutil.copy(HERE / name, out / "scripts" / name)
    shutil.copy(HERE / "style.css", out / "styles" / "style.css")
    for theirs, ours in NPM.items(): shutil.copy(HERE / "node_modules" / theirs, out / ours)
    (out / "scripts" / "claims-data.js").write_text(pages.claims_data(), encoding="utf-8")
    (out / "explorer.html").write_text(explorer.html(HERE), encoding="utf-8")


def finish(path:Path) -> None:
    "A built page without what it would fetch from elsewhere, and without marks that have no colour."
    up = "../" * (len(path.relative_to(SITE / "html").parts) - 1)
    text = path.read_text(encoding="utf-8").replace(SHIM, f"{up}scripts/iframe-worker.js")
    plain = re.compile(r'<span class="(?:n|p|w)">([^<]*)</span>')      # names, brackets, spaces
    path.write_text(plain.sub(r"\1", text), encoding="utf-8")


def main() -> None:
    source = SITE / "pages"
    shutil.rmtree(SITE, ignore_errors=True)
    source.mkdir(parents=True)
    write_pages(source)
    write_assets(source)
    settings = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    link = dict(icon="fontawesome/brands/github", link=repository())
    settings |= dict(nav=navigation(), copyright=f"rnnbio {version()}, MIT licence",
                     extra=dict(social=[link]))
    (SITE / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True),
                                     encoding="utf-8")
    subprocess.run([sys.executable, "-m", "zensical", "build", "--clean", "--strict"], cwd=SITE,
                   check=True)
    for path in (SITE / "html").rglob("*.html"): finish(path)
    size = sum(path.stat().st_size for path in (SITE / "html").rglob("*") if path.is_file())
    print(f"{(SITE / 'html' / 'index.html').relative_to(ROOT)}: {size / 1e6:.0f} MB")


if __name__ == "__main__": main()
