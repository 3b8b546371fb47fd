"""What the site is made of: notebooks with their titles and places, figures with their verdicts."""
import json
import re
import subprocess
from configparser import ConfigParser
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import nbformat
import yaml

from rnnbio.figures.report import verdicts

ROOT = Path(__file__).resolve().parent.parent
NBS, PAPER = ROOT / "nbs", ROOT / "figures" / "paper"

# the library's folders as chapters, from the network to the machinery
CHAPTERS = dict(
    networks="The network", tasks="Tasks", rules="Learning rules", analyses="Analyses",
    theory="Theory", training="Training", sweeps="Sweeps", figures="Figures and claims",
    sentiment="A sentiment LSTM", kernels="Kernels", base="What all of it stands on")
PAPERS = ["zhang2024", "schuessler2020", "liu2024", "liu2022", "soo2023", "beyond"]
PAPER_TITLES = {paper: paper for paper in PAPERS} | {"beyond": "Beyond the papers"}


@dataclass(frozen=True)
class Notebook:
    "A notebook as committed, or as executed in the paper profile."
    path:Path

    @cached_property
    def content(self):
        return nbformat.read(self.path, as_version=4)

    @cached_property
    def title(self) -> str:
        "Of its front matter, else its first heading."
        texts = [cell.source for cell in self.content.cells]
        if texts[0].startswith("---"): return yaml.safe_load(texts[0].strip("-\n"))["title"]
        return next(re.search(r"^# (.+)", text, re.M)[1] for text in texts
                    if re.search(r"^# ", text, re.M))

    @cached_property
    def headline(self) -> str:
        "Its first heading, which says more than a title."
        texts = [cell.source for cell in self.content.cells if cell.cell_type == "markdown"]
        found = next((m for text in texts if (m := re.search(r"^# (.+)", text, re.M))), None)
        return found[1] if found else self.title

    @property
    def module(self) -> str:
        "The module it defines, as in rules.rules; empty for none."
        found = (re.match(r"#\| default_exp (\S+)", cell.source) for cell in self.content.cells)
        return next((m[1] for m in found if m), "")

    @property
    def page(self) -> str:
        "Where the site has it: the library's under names, not numbers."
        inside = self.path.relative_to(NBS)
        stem = re.sub(r"^\d+_", "", inside.stem)
        if inside.parts[0] == "lib": return f"library/{stem}.md"
        return "tour.md" if inside == Path("index.ipynb") else f"{inside.parent}/{stem}.md"


@dataclass(frozen=True)
class Figure:
    "A figure notebook, and what the paper profile made of it, if it was run."
    notebook:Notebook

    @property
    def name(self) -> str: return f"{self.paper}/{self.notebook.path.stem}"

    @property
    def paper(self) -> str: return self.notebook.path.parent.name

    def made(self, ending) -> Path: return PAPER / f"{self.name}{ending}"

    @cached_property
    def facts(self) -> dict|None:
        "Its JSON; None where the paper profile has not been run."
        path = self.made(".json")
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None

    @property
    def minutes(self) -> float: return self.facts["training_s"] / 60


@cache
def library() -> dict[str, list[Notebook]]:
    "Notebooks of the library by folder of the package, in reading order."
    every = [Notebook(path) for path in sorted((NBS / "lib").glob("*.ipynb"))]
    return {folder: [n for n in every if n.module.split(".")[0] == folder] for folder in CHAPTERS}


@cache
def figures() -> dict[str, list[Figure]]:
    "By paper: its numbered figures, then its supplement's and ours."
    def place(path):
        number = re.match(r"fig(\d+)", path.stem)
        return (0, int(number[1]), path.stem) if number else (1, 0, path.stem)
    return {paper: [Figure(Notebook(path))
                    for path in sorted((NBS / paper).glob("fig*.ipynb"), key=place)]
            for paper in PAPERS}


@cache
def claims() -> list[dict]:
    "Every claim, with its verdict under our choices if it has one."
    return verdicts(ROOT)


@cache
def repository() -> str:
    "The address of the project."
    settings = ConfigParser()
    settings.read(ROOT / "settings.ini")
    return settings["DEFAULT"]["git_url"]


def source_of(path:Path) -> str:
    "The address of one of its files or folders."
    kind = "tree" if path.is_dir() else "blob"
    return f"{repository()}/{kind}/main/{path.relative_to(ROOT).as_posix()}"


def colab(path:Path) -> str:
    "The address that opens a notebook on Colab."
    slug = repository().removeprefix("https://github.com/")
    return ("https://colab.research.google.com/github/"
            f"{slug}/blob/main/{path.relative_to(ROOT).as_posix()}")


def version() -> str:
    "The commit that the site shows."
    said = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
                          capture_output=True, text=True)
    return said.stdout.strip() or "unknown"
