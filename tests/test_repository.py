"""The repository itself: settings, notebooks, exports, layers."""
import ast
import base64
import configparser
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest
import yaml

ROOT = Path(__file__).parents[1]


def files(folder, pattern):
    "What the project holds; copies that Jupyter keeps of what was opened are not part of it."
    return sorted(path for path in folder.rglob(pattern) if ".ipynb_checkpoints" not in path.parts)


NOTEBOOKS = files(ROOT / "nbs", "*.ipynb")
FIGURES = [p for p in NOTEBOOKS if p.name.startswith("fig")]
PICTURED = [ROOT / "nbs/index.ipynb", *files(ROOT / "nbs/lib", "*.ipynb")]
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "settings.ini")
SETTINGS = SETTINGS["DEFAULT"]


def cells(path, kind="code"):
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if c["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


def test_pyproject_mirrors_settings():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    mirror = project["tool"]["nbdev"]
    same = {"nbs_path": str, "lib_path": str, "tst_flags": str, "allowed_metadata_keys": str.split,
            "allowed_cell_metadata_keys": str.split}
    for key, read in same.items():
        assert mirror[key] == read(SETTINGS[key]), key
    assert mirror["recursive"] == (SETTINGS["recursive"] == "True")
    assert project["project"]["requires-python"].startswith(">=" + SETTINGS["min_python"])
    assert f'__version__ = "{SETTINGS["version"]}"' in (ROOT / "rnnbio/__init__.py").read_text()
    assert f"version: {SETTINGS['version']}" in (ROOT / "CITATION.cff").read_text()


def test_citation_names_every_paper():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    papers = {path.parent.name for path in ROOT.glob("nbs/*/claims.toml")} - {"beyond"}
    assert {one["notes"] for one in cited["references"]} == papers
    for one in cited["references"]:
        assert one["notes"] == f"{one['authors'][0]['family-names'].lower()}{one['year']}"


def test_jupyters_copies_are_no_notebooks(tmp_path):
    doclinks = pytest.importorskip("nbdev.doclinks")
    for name in ("fig1.ipynb", "p/fig2.ipynb", ".ipynb_checkpoints/fig1-checkpoint.ipynb",
                 "p/.ipynb_checkpoints/fig2-checkpoint.ipynb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    for found in (files(tmp_path, "*.ipynb"), doclinks.nbglob(tmp_path)):
        assert sorted(Path(path).name for path in found) == ["fig1.ipynb", "fig2.ipynb"]


def test_the_report_is_that_of_the_figures():
    from rnnbio.figures.report import report_text
    made = (ROOT / "figures/paper/REPORT.md").read_text(encoding="utf-8")
    assert made == report_text(ROOT), "figures changed: make report"


COLUMNS, CELL, CLASS, CHECK = 100, 40, 90, 60


@pytest.mark.parametrize("path", [*NOTEBOOKS, *ROOT.glob("*.md"),
                                  *ROOT.glob("figures/paper/*/*.ipynb")], ids=lambda p: p.stem)
def test_links_lead_somewhere(path):
    texts = ([path.read_text()] if path.suffix == ".md" else
             [source(cell) for cell in cells(path, "markdown")])
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", "\n".join(texts)):
        if not re.match(r"[a-z]+:", target):
            assert (path.parent / target).exists(), f"{path} has a link to {target}"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_a_cell_can_be_read_beside_a_file_browser(path):
    """Columns, and lines of a cell: an exported one has few, but for a class alone, whose methods
    belong together."""
    for cell in cells(path):
        code = source(cell).strip()
        lines = code.splitlines()
        where = f"{path.name}, cell {cell['id']} ({lines[1] if lines[1:] else code})"
        for line in lines:
            assert len(line) <= COLUMNS, f"{where}: {len(line)} columns: {line}"
        if not code.startswith(("#| export", "#| exporti")):
            assert len(lines) <= CHECK, f"{where} has {len(lines)} lines"
            continue
        alone = [type(node) for node in ast.parse(code).body if not isinstance(node, ast.Assign)]
        most = CLASS if alone == [ast.ClassDef] else CELL
        assert len(lines) <= most, f"{where} has {len(lines)} lines, more than {most}"


def test_modules_keep_to_a_page():
    for path in files(ROOT / "rnnbio", "*.py"):
        lines = path.read_text(encoding="utf-8").splitlines()
        if path.stem == "_modidx":
            continue
        for number, line in enumerate(lines[1:], 2):      # the first is the notebook's own words
            nbdev = line.startswith(("# %%", "__all__", "           '"))
            assert len(line) <= COLUMNS or nbdev, f"{path.name}:{number} has {len(line)} columns"


def test_one_address():
    slug = f"{SETTINGS['user']}/{SETTINGS['repo']}"
    for path in [*ROOT.glob("*.md"), ROOT / "CITATION.cff", *NOTEBOOKS]:
        for found in re.findall(
            r"(?:github\.com|research\.google\.com/github)/([^/\s\"')]+/rnnbio)",
            path.read_text(encoding="utf-8")):
            assert found == slug, (f"{path.name} names {found}; settings.ini says {slug}: run make "
                                   "address")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_clean(path):
    notebook = json.loads(path.read_text(encoding="utf-8"))
    assert set(notebook["metadata"]) <= {"kernelspec", "accelerator"}
    for cell in notebook["cells"]:
        assert cell["id"] and set(cell["metadata"]) <= {"tags"}
        if cell["cell_type"] == "code":
            assert cell["execution_count"] is None
            assert not cell["outputs"] or path in PICTURED, "figures/ holds what a figure shows"
            for output in cell["outputs"]:
                assert_picture_or_table(output)


def assert_picture_or_table(output):
    "What `make pictures` writes, the same on every machine."
    assert set(output) == {"data", "metadata", "output_type"}, "run make pictures"
    assert output["output_type"] == "display_data" and output["metadata"] == {}
    if set(output["data"]) == {"image/png"}:
        picture = base64.b64decode(output["data"]["image/png"], validate=True)
        assert picture.startswith(b"\x89PNG") and len(picture) <= 60_000
        assert b"Software" not in picture, "which matplotlib drew it is nobody's business"
    else:
        assert set(output["data"]) == {"text/html", "text/plain"}, "run make pictures"
        text = "".join(output["data"]["text/html"])
        assert 'class="dataframe"' in text
        assert not re.search(r"/(home|root|tmp|var|Users)/|0x[0-9a-f]{6}", text)


@pytest.mark.parametrize("path", FIGURES, ids=lambda p: p.stem)
def test_figure_parameters(path):
    tagged = [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]
    assert len(tagged) == 1, "one cell tagged `parameters`"
    tree = ast.parse(source(tagged[0]))
    values = {node.targets[0].id: ast.literal_eval(node.value) for node in tree.body}
    assert values == {"profile": "quick", "seed": 0, "device": "auto", "out": ""}
    badge = f"https://colab.research.google.com/github/{SETTINGS['user']}/{SETTINGS['repo']}/blob/{SETTINGS['branch']}/{path.relative_to(ROOT)}"
    assert any(badge in source(c)
               for c in cells(path, "markdown")), "the Colab badge opens this notebook"
    code = [source(c) for c in cells(path) if "google.colab" not in source(c)]
    for node in ast.walk(ast.parse("\n".join(code))):
        assert not isinstance(node, ast.ClassDef), "no algorithm lives in a figure notebook"
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 40, f"{node.name} does not fit a screen"


@pytest.mark.parametrize("path", [ROOT / "nbs/index.ipynb", *FIGURES], ids=lambda p: p.stem)
def test_colab_gets_neurogym_where_a_task_needs_it(path):
    "And only there: it replaces Colab's numpy, for which everything has to start again."
    code = [source(c) for c in cells(path)]
    uses = r'"(2af|dms)"|task="context"|"[\w.]+-v\d+"|liu2024\.(train|ranked)\('
    # soo2023's dms is one of our own, on a ring
    needed = path.parent.name != "soo2023" and any(re.search(uses, c) for c in code)
    [setup] = [c for c in code if "google.colab" in c]
    assert ("%pip install -q -e '.[neurogym]'" in setup) == needed == ("os.kill" in setup)
    assert needed or "%pip install -q -e ." in setup


@pytest.mark.parametrize("path", FIGURES, ids=lambda p: p.stem)
def test_figure_judges_known_claims(path):
    claims = {c["id"]: c["figure"]
              for c in tomllib.loads((path.parent / "claims.toml").read_text())["claim"]}
    code = "\n".join(source(c) for c in cells(path))
    # an unknown one is refused when the notebook runs
    judged = {id for id in re.findall(r"\"(\w+)\"", code) if id in claims}
    assert re.search(r"fig\.judge\(|judge_\w+\(fig", code)
    assert judged == {id for id, figure in claims.items() if figure == path.stem}


def test_export_leaves_no_difference(tmp_path):
    pytest.importorskip("nbdev")
    for name in ("nbs", "rnnbio"):
        shutil.copytree(ROOT / name, tmp_path / name,
                        ignore=shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints"))
    for name in ("settings.ini", "pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run([sys.executable, "nbs/export.py"], cwd=tmp_path, check=True)
    for exported in files(tmp_path / "rnnbio", "*.py"):
        assert exported.read_bytes() == (
            ROOT / exported.relative_to(tmp_path)).read_bytes(), f"{exported.name}: run make export"


def test_every_label_survives_pandas():
    tables = files(ROOT / "figures", "*.csv")
    assert len(tables) > 30
    for path in tables:
        written, read = pd.read_csv(path, dtype=str, keep_default_na=False), pd.read_csv(path)
        for name in read:
            lost = written[name][read[name].isna() & (written[name] != "")]
            assert lost.empty, f"{path.name}: {lost.iloc[0]!r} in column {name} reads as missing"


@pytest.mark.parametrize("path", sorted(ROOT.glob("nbs/*/index.ipynb")), ids=lambda p: p.parent.name)
def test_numbers_in_prose_are_those_of_the_tables(path):
    from rnnbio.figures.prose import computed
    for cell in cells(path, "markdown"):
        text = source(cell)
        assert computed(text, ROOT / "figures/paper" / path.parent.name) == text, "make report"


def test_figures_restore_their_style_only():
    "matplotlib's rc_context also takes back what makes Jupyter show pictures."
    for path in [*NOTEBOOKS, *files(ROOT / "rnnbio", "*.py")]:
        assert "with plt.rc_context" not in path.read_text(
            encoding="utf-8"), f"{path.name}: use figure_style"


# A folder imports from floors below its own; within a folder, a module from those that stand before
# it.
FLOORS = [
    {"base": "help checks registry history machine threads seeds data trials curves plots "
             "conditions"},
    {"tasks": "base romo schuessler timing neurogym environments pattern digits match hold "
              "wrappers ring reversal",
     "kernels": "vectors noise batched gpu passes credit losses compiled growth cpu",
     "figures": "statistics claims figure prose forest summary report"},
    {"networks": "params initializers structures dynamics models modules connections connectome "
                 "fixed controls"},
    {"rules": "costs rules gradient oracles"},
    {"analyses": "lyapunov lowrank laziness curvature flatness decomposition measures "
                 "generalization"},
    {"training": "optimizers schedule flossing settings state fit ahead updates train teacher",
     "theory": "linear two_layers stability"},
    {"sweeps": "store checkpoints runs cluster load compute taught answers rates sweep archive commands"},
    {"sentiment": "corpus lstm rank", "": "sweep all __main__"},
    {"papers": "zhang2024 schuessler2020 liu2024 liu2022 soo2023 beyond"},
]
PLACE = {f"{folder}.{name}".strip("."): (floor, folder, i) for floor, folders in enumerate(FLOORS)
         for folder, names in folders.items() for i, name in enumerate(names.split())}


def imports(path, name):
    """(line, module of ours, name taken from it or None) of every import, relative or absolute,
    wherever it stands."""
    package = ["rnnbio", *name.split(".")[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[:len(package) + 1 - node.level] if node.level else []
            origin = ".".join([*above, *filter(None, [node.module])])
            yield from ((node.lineno, origin, alias.name) for alias in node.names)


def test_layers():
    modules = {".".join(p.relative_to(ROOT / "rnnbio").with_suffix("").parts): p
               for p in files(ROOT / "rnnbio", "*.py") if p.stem not in ("__init__", "_modidx")}
    assert set(modules) == set(PLACE), "every module has its floor"
    for name, path in modules.items():
        floor, folder, place = PLACE[name]
        for line, origin, taken in imports(path, name):
            if origin.split(".")[0] != "rnnbio":
                continue
            target = origin.removeprefix("rnnbio").strip(".")
            if target not in PLACE and f"{target}.{taken}".strip(".") in PLACE:
                target, taken = f"{target}.{taken}".strip("."), None
            assert target in PLACE, f"{name}:{line} imports {origin}, which is no module of ours"
            below, its_folder, before = PLACE[target]
            assert below < floor or (below, its_folder) == (floor, folder) and before < place, \
                f"{name}:{line} imports {target}, which does not lie below"
            assert its_folder == folder or not (taken or "").startswith("_"), \
                f"{name}:{line} takes {taken}, which is private to {target}"


def test_private_names_stay_in_their_folder():
    for name, (_, folder, _) in PLACE.items():
        path = ROOT / "rnnbio" / f"{name.replace('.', '/')}.py"
        theirs = {taken or origin for _, origin, taken in imports(path, name)
                  if origin.startswith("rnnbio") and origin.split(".")[1:2] != [folder]}
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert node.value.id not in theirs or not re.match("_[a-z]", node.attr), \
                    f"{name}:{node.lineno} uses {node.value.id}.{node.attr}, which is private"


def test_an_import_inside_a_function_says_why():
    "So that no arrow hides there: beside the import stands what it saves."
    for name in PLACE:
        path = ROOT / "rnnbio" / f"{name.replace('.', '/')}.py"
        lines, tree = path.read_text().splitlines(), ast.parse(path.read_text())
        for function in (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)):
            for node in ast.walk(function):
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    near = lines[node.lineno - 1] + lines[node.lineno - 2]
                    assert "#" in near, f"{name}:{node.lineno} must say why it imports so late"


def test_import_is_light():
    heavy = ["neurogym", "gymnasium", "nbdev", "papermill", "IPython", "triton", "dask",
             "scipy.stats", "sklearn", "mlxtend", "pooch"]
    code = ("import sys, rnnbio; assert 'torch' not in sys.modules; from rnnbio.all import *; "
            f"found = set({heavy}) & set(sys.modules); assert not found, found")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_make_lists_its_targets():
    if shutil.which("make") is None:
        pytest.skip("no make")
    shown = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("figures", "test", "export", "zhang2024/fig1_initial_gain"):
        assert target in shown
