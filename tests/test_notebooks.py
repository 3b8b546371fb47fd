"""Figure notebooks as papermill and Jupyter run them."""
import json
import sys
from pathlib import Path

import pytest

papermill = pytest.importorskip("papermill")
import nbformat.v4  # noqa: E402
from nbclient import NotebookClient  # noqa: E402
from nbclient.exceptions import CellExecutionError  # noqa: E402
from papermill.iorw import load_notebook_node  # noqa: E402
from papermill.parameterize import parameterize_notebook  # noqa: E402

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def kernel_of_this_python(tmp_path, monkeypatch):
    "Quick, and in no other Python whose kernel may lie on the path."
    kernel = tmp_path / "jupyter/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps(dict(argv=command, display_name="Python 3", language="python")))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("IN_TEST", "1")      # the test profile: seconds
    monkeypatch.chdir(ROOT)


@pytest.fixture
def pictures():
    "Run a cell in a fresh kernel; how many pictures it shows."
    at = {"metadata": {"path": str(ROOT)}}
    client = NotebookClient(nbformat.v4.new_notebook(), kernel_name="python3", resources=at,
                            timeout=120)

    def run(cell):
        client.nb.cells.append(cell)
        client.execute_cell(cell, len(client.nb.cells) - 1)
        return sum("image/png" in output.get("data", {}) for output in cell.outputs)

    with client.setup_kernel():
        yield run


def code(name, **parameters):
    "Cells of a notebook, with papermill's parameters."
    notebook = load_notebook_node(str(ROOT / "nbs" / f"{name}.ipynb"))
    if parameters:
        notebook = parameterize_notebook(notebook, parameters, kernel_name="python3")
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


PICTURES = {"zhang2024/fig1_initial_gain": 1, "index": 4, "schuessler2020/figS_cosine": 1,
            "liu2024/fig3_alignment": 1}


def test_every_picture_appears_however_often(tmp_path, pictures):
    "The tour, a figure of each paper, each run twice, and then the user's own plot."
    for name, expected in PICTURES.items():
        cells = code(name, **{} if name == "index" else dict(seed=5, out=str(tmp_path)))
        for again in ("once",) if name == "index" else ("once", "twice"):
            shown = sum(map(pictures, cells))
            assert shown == expected, f"{name} run {again}: {shown} pictures of {expected}"
        assert pictures(nbformat.v4.new_code_cell("plt.figure(); plt.plot([1, "
                                                  "2]);")) == 1, f"the user's own plot after {name}"
    facts = json.loads((tmp_path / "fig1_initial_gain.json").read_text())
    assert facts["profile"] == "test" and facts["seeds"][0] == 5
    assert {c["verdict"] for c in facts["claims"]} == {"inconclusive"}
    for kind in ("png", "pdf", "csv"):
        assert (tmp_path / f"fig1_initial_gain.{kind}").stat().st_size > 200


def test_bad_parameters_stop_a_figure(tmp_path, pictures):
    for wrong, says in [
        (dict(profile="papr"), "did you mean 'paper'"),
        (dict(seed=-1), "seed must be a whole number"),
        (dict(device="gpu"), "device must be one of auto, cpu, cuda"),
        (dict(out=2024), "out must be a folder's path"),
    ]:
        with pytest.raises(CellExecutionError, match=says):
            for cell in code("zhang2024/fig1_initial_gain", **dict(out=str(tmp_path)) | wrong):
                pictures(cell)
    assert not list(tmp_path.glob("fig1*"))


def test_a_misspelt_parameter_stops_papermill(tmp_path):
    with pytest.raises(papermill.PapermillExecutionError, match="did you mean 'profile'"):
        papermill.execute_notebook(
            "nbs/zhang2024/fig1_initial_gain.ipynb", tmp_path / "run.ipynb",
            dict(profil="paper", out=str(tmp_path)),
            kernel_name="python3", progress_bar=False)
    assert not list(tmp_path.glob("fig1*"))


def test_pictures_and_tables_stay_and_nothing_else(tmp_path, monkeypatch):
    "make pictures, on a notebook that shows all sorts of things."
    monkeypatch.syspath_prepend(str(ROOT / "nbs"))
    import pictures as script
    draws = "import matplotlib.pyplot as plt; plt.plot([1, 2])"
    tells = "import os, pandas as pd; table = pd.DataFrame(dict(x=[1.5]))"
    cells = [f"print(1)\n{draws}", f"{tells}\ntable", "object()", "os.environ['RNNBIO_RESULTS']",
             f"#| hide\n{draws}", "#| output: false\ntable", "#| eval: false\nraise ValueError",
             "assert 'IN_TEST' not in os.environ", f"{draws}\nplt.show()\ndisplay(table)"]
    path = tmp_path / "1.ipynb"

    def write(cells):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
        nbformat.write(nb, path)

    write(cells)
    script.remake(path)
    made = path.read_text()
    shown = [[sorted(o["data"]) for o in c["outputs"]] for c in json.loads(made)["cells"]]
    picture, table = ["image/png"], ["text/html", "text/plain"]
    assert shown == [[picture], [table], [], [], [], [], [], [], [picture, table]]
    script.remake(path)
    assert path.read_text() == made
    pytest.importorskip("nbdev.clean").nbdev_clean(str(path))
    assert path.read_text() == made
    for wrong, says in [("pd.DataFrame(dict(x=['/home/me']))", "a table must not show '/home/'"),
                        ("import numpy as np\nplt.figure(figsize=(9, 9))\n"
                         "plt.imshow(np.random.default_rng(0).random((900, 900)))", "60000 bytes")]:
        write([*cells[:2], wrong])
        before = path.read_text()
        with pytest.raises(SystemExit, match=says):
            script.remake(path)
        assert path.read_text() == before


def test_links_lead_from_where_an_executed_notebook_lies(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "nbs"))
    import redraw as script
    text = "[a](../lib/x.ipynb#e) [b](fig1.ipynb) [c](https://x.y/z) [d](#here)"
    found = dict(metadata={}, cells=[dict(cell_type="markdown", metadata={}, source=[text])])
    # twice is once
    for _ in range(2):
        found = script.stripped(found, "paper")
        assert found["cells"][0]["source"] == [
            "[a](../../../nbs/lib/x.ipynb#e) [b](../../../nbs/paper/fig1.ipynb) "
            "[c](https://x.y/z) [d](#here)"]


def test_a_figure_is_redrawn_from_its_table_or_left(tmp_path, monkeypatch):
    "make redraw: the same verdicts, nothing trained; with a table of other settings, nothing done."
    monkeypatch.syspath_prepend(str(ROOT / "nbs"))
    monkeypatch.setenv("RNNBIO_REDRAW", "1")
    monkeypatch.delenv("IN_TEST", raising=False)
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path / "store"))
    import redraw as script
    monkeypatch.setattr(script, "FIGURES", tmp_path)
    name, here = "schuessler2020/figS_cosine", tmp_path / "schuessler2020"
    here.mkdir()
    committed = {kind: (ROOT / "figures/paper" / f"{name}.{kind}").read_bytes()
                 for kind in ("csv", "json")}
    for kind, content in committed.items():
        (here / f"figS_cosine.{kind}").write_bytes(content)
    assert script.kept() == [name] and script.redraw(name) == name
    made = {path.name: path.read_bytes() for path in here.iterdir()}
    assert set(made) == {f"figS_cosine.{kind}" for kind in ("csv", "json", "png", "pdf", "ipynb")}
    assert made["figS_cosine.csv"] == committed["csv"]
    before, after = (json.loads(text)["claims"]
                     for text in (committed["json"], made["figS_cosine.json"]))
    assert after == before and not (tmp_path / "store").exists()
    other = json.loads(committed["json"])
    other["seeds"] = [7]
    (here / "figS_cosine.json").write_text(json.dumps(other))
    made["figS_cosine.json"] = (here / "figS_cosine.json").read_bytes()
    assert "is left as it is" in script.redraw(name)
    assert {path.name: path.read_bytes() for path in here.iterdir()} == made
