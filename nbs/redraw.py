"""Redraw the committed figures and their verdicts from their tables, without training (`make redraw`).

    python nbs/redraw.py [PAPER/FIGURE ...]      # without names: all that keep a table, and REPORT.md
    python nbs/redraw.py --strip NOTEBOOK ...    # executed notebooks, in folders named after their
                                                 # papers, without what differs between runs

Tables (CSV) and what is known of them (JSON) lie in figures/paper.
"""
import json
import os
import posixpath
import re
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "figures" / "paper"
LINK = re.compile(r"\]\((?!\w+:|#|\.\./\.\./\.\./nbs/)([^)\s]+)\)")


def stripped(notebook:dict, paper:str) -> dict:
    """Without times, progress and ids that are drawn anew: what is left differs only if results do.
    Links lead from figures/PROFILE/PAPER, where it will lie, to where they led from nbs/PAPER."""
    lead = lambda found: f"]({posixpath.normpath(f'../../../nbs/{paper}/{found[1]}')})"
    notebook["metadata"].pop("papermill", None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(lead, "".join(cell["source"])).splitlines(True)
        for name in ("papermill", "execution"): cell["metadata"].pop(name, None)
        if "injected-parameters" in cell["metadata"].get("tags", ()): cell["id"] = "injected"
        if "outputs" in cell:
            cell["outputs"] = [o for o in cell["outputs"] if o["output_type"] != "stream"]
    return notebook


def strip(path:Path, paper:str) -> None:
    "In place."
    notebook = stripped(json.loads(path.read_text(encoding="utf-8")), paper)
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def kept() -> list[str]:
    "Figures that can be redrawn, paper/notebook: made since their notebooks keep a table."
    made = [path for path in sorted(FIGURES.glob("*/fig*.json"))
            if "evidence" in json.loads(path.read_text(encoding="utf-8"))]
    return [f"{path.parent.name}/{path.stem}" for path in made
            if (ROOT / "nbs" / path.parent.name / f"{path.stem}.ipynb").is_file()]


def redraw(name:str) -> str:
    """Run a figure notebook on its table; picture, JSON and the executed notebook are replaced. One
    whose table was made with other settings than it has now is left as it is, and named."""
    import papermill
    paper, figure = name.split("/")
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder, "run.ipynb")
        try:
            papermill.execute_notebook(
                ROOT / "nbs" / f"{name}.ipynb", run,
                dict(profile="paper", seed=0, device="auto",
                     out=Path(os.path.relpath(FIGURES / paper, ROOT)).as_posix()),
                kernel_name="python3", progress_bar=False, cwd=ROOT)
        except papermill.exceptions.PapermillExecutionError as e:
            if "make the figure again" not in e.evalue: raise
            return f"{name} is left as it is: {e.evalue}"
        strip(run, paper)
        (FIGURES / paper / f"{figure}.ipynb").write_bytes(run.read_bytes())
    return name


def main(names:list[str]) -> None:
    os.environ |= dict(RNNBIO_REDRAW="1", RNNBIO_QUIET="1")
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for name in pool.map(redraw, names or kept()): print(name, flush=True)
    if not names:
        from rnnbio.figures.report import write_report
        write_report()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--strip"]:
        for path in map(Path, sys.argv[2:]): strip(path, path.resolve().parent.name)
    else: main(sys.argv[1:])
