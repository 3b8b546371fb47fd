"""Remake the pictures and tables with which the library notebooks are committed (`make pictures`).

    python nbs/pictures.py [NOTEBOOK ...]      # without names: nbs/index.ipynb and all of nbs/lib

Each notebook runs from its top in a kernel of its own. What is written back into it are pictures
and pandas tables alone: printed words, progress and object addresses differ from run to run and
from one machine to the next, and no difference in a commit would mean anything. A cell with
`#| eval: false` is not run; one with `#| hide` or `#| output: false` (a table of timings, say)
keeps nothing.

It lies beside the notebooks that it writes; nbdev takes no notice, it exports notebooks only.
"""
import base64
import io
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

NBS = Path(__file__).resolve().parent
MOST = 60_000      # bytes of a picture: git keeps every version of each
# what belongs to one machine or one run: folders, and where objects lie in memory
PRIVATE = re.compile(r"/(home|root|tmp|var|mnt|work|Users|content)/|\b[A-Z]:\\|\b0x[0-9a-f]{6}")


def library() -> list[Path]:
    "The notebooks with pictures, in reading order."
    return [NBS / "index.ipynb", *sorted((NBS / "lib").glob("*.ipynb"))]


def says(cell:dict, directive:str) -> bool:
    "Does the code cell hold this directive of nbdev (a regular expression)?"
    return bool(re.search(rf"^#\|\s*({directive})\s*$", "".join(cell["source"]), re.M))


def run(
    path:Path,            # of the notebook: it runs in its folder
    cells:list[dict],     # those to run
) -> list[list[dict]]:    # the outputs of each
    "Run the cells as on any machine: no settings of the user's, an empty store, no GPU."
    notebook = new_notebook(cells=[new_code_cell("".join(cell["source"])) for cell in cells])
    settings = {name: value for name, value in os.environ.items()
                if not name.startswith(("RNNBIO_", "MPL", "IN_TEST"))}
    with tempfile.TemporaryDirectory() as store:
        settings |= dict(RNNBIO_RESULTS=store, RNNBIO_QUIET="1", CUDA_VISIBLE_DEVICES="")
        client = NotebookClient(notebook, kernel_name="python3",
                                resources={"metadata": {"path": str(path.parent)}})
        client.execute(env=settings)
    return [cell.outputs for cell in notebook.cells]


def small(
    png:str,      # base64, as in a notebook
) -> str:
    """The picture in 256 colours, which look the same and are a third of the bytes; without what
    it says about who drew it. ValueError when it is still too large."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    file = io.BytesIO()
    picture.quantize(method=Image.Quantize.MAXCOVERAGE).save(file, "png", optimize=True)
    if file.tell() > MOST:
        raise ValueError(f"a picture must have at most {MOST} bytes, got {file.tell()}: draw it "
                         "smaller, or with a dpi of 100")
    return base64.b64encode(file.getvalue()).decode()


def table(
    data:dict,      # of an output: text by kind
) -> dict:
    "The table, as lines. ValueError where it shows a path or an address."
    lines = {kind: data[kind].splitlines(True) for kind in ("text/html", "text/plain")}
    if private := PRIVATE.search(data["text/html"]):
        raise ValueError(f"a table must not show {private[0]!r}, which belongs to one machine")
    return lines


def kept(outputs:list[dict]) -> list[dict]:
    "Pictures and tables among the outputs."
    found = []
    for data in (output.get("data", {}) for output in outputs):
        if "image/png" in data: found.append({"image/png": small(data["image/png"])})
        elif 'class="dataframe"' in data.get("text/html", ""): found.append(table(data))
    return [dict(data=data, metadata={}, output_type="display_data") for data in found]


def remake(path:Path) -> None:
    "Run a notebook and write its pictures and tables into it, or nothing if it fails."
    print(path.name, end=": ", flush=True)
    begin, notebook = time.time(), json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell in code: cell |= dict(outputs=[], execution_count=None)
    evaluated = [cell for cell in code if not says(cell, "eval: *false")]
    for cell, outputs in zip(evaluated, run(path, evaluated), strict=True):
        if says(cell, "hide|output: *false"): continue
        try: cell["outputs"] = kept(outputs)
        except ValueError as e: raise SystemExit(f"cell {cell['id']}: {e}") from None
    # as nbdev_clean writes it
    text = json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")
    print(f"{sum(len(cell['outputs']) for cell in code)} pictures and tables, "
          f"{time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    for notebook in [Path(name).resolve() for name in sys.argv[1:]] or library(): remake(notebook)
