"""make: what it refuses, which Python it runs, what it keeps; in dry runs, or where Python is a
script."""
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAKE = shutil.which("make")
FIGURE = "zhang2024/fig1_initial_gain"
pytestmark = pytest.mark.skipif(MAKE is None, reason="no make")


def environment(**more):
    left = {k: v for k, v in os.environ.items()
            if not k.startswith(("MAKE", "RNNBIO_", "JUPYTER_"))}
    return left | more


def make(*words, at=ROOT, **more):
    return subprocess.run([MAKE, *words], cwd=at, env=environment(**more), capture_output=True,
                          text=True)


@pytest.mark.parametrize("name, wrong, says", [
    ("SEED", "0; echo x", "a whole number"),
    ("SEED", "-1", "a whole number"),
    ("SEED", "1 2", "a whole number"),
    ("SEED", "", "a whole number"),
    ("SEED", "$(shell touch {mark})", "a whole number"),
    ("PROFILE", "papr", "one of quick paper full"),
    ("PROFILE", "quick paper", "one of quick paper full"),
    ("PROFILE", "$(shell touch {mark})", "one of quick paper full"),
    ("DEVICE", "cpu; touch {mark}", "one of auto cpu cuda"),
    ("SCHEDULER", "$(shell touch {mark})", "an address"),
    ("SCHEDULER", "tcp://one tcp://two", "an address"),
])
def test_wrong_variables_are_refused(tmp_path, name, wrong, says):
    mark = tmp_path / "mark"
    wrong = wrong.replace("{mark}", str(mark))
    for told in (make(f"{name}={wrong}", "help"), make("help", **{name: wrong})):
        assert (told.returncode and f"{name} must be {says}" in told.stderr
                and f"got '{wrong}'" in told.stderr)
        assert not mark.exists()


def test_right_variables_reach_the_figure():
    said = make("-n", FIGURE, "PYTHON=python3", "SEED=100", "PROFILE=paper", "DEVICE=cpu").stdout
    assert ("-p profile paper -p seed 100 -p device cpu -p out "
            "figures/paper-seed100/zhang2024" in said)


def test_everything_runs_in_the_chosen_python(tmp_path):
    (tmp_path / "python3").write_text("#!/bin/sh\n")        # a machine that has only this one
    (tmp_path / "python3").chmod(0o755)
    for words, path, python in [
        (["PYTHON=python3"], os.environ["PATH"], ".venv/bin/python"),
        (["VENV=", "PYTHON=/a place/python"], os.environ["PATH"], "/a place/python"),
        (["VENV="], str(tmp_path), "python3"),
    ]:
        said = make("-n", "-W", "pyproject.toml", *words, "report", "test", "export", "pictures",
                    "lab", FIGURE, PATH=path).stdout
        for module in ("-m rnnbio report", "-m pytest", "-c 'from nbdev.test", "nbs/export.py",
                       "nbs/pictures.py", "-m jupyterlab", "-m papermill", "-m pip"):
            assert f'"{python}" {module}' in said, f"{python}: {module}"


def test_the_kernel_is_the_python_that_runs_papermill(tmp_path):
    manager = pytest.importorskip("jupyter_client.manager")
    (tmp_path / "other/kernels/python3").mkdir(parents=True)
    other = json.dumps(dict(argv=["/another/python"], display_name="3", language="python"))
    (tmp_path / "other/kernels/python3/kernel.json").write_text(other)
    at = small(tmp_path)
    assert make("path", "kernel", at=at, JUPYTER_PATH=str(tmp_path / "other")).returncode == 0
    code = (f"from {manager.__name__} import KernelManager as K; "
            "print(K(kernel_name='python3').format_kernel_cmd()[0])")
    env = environment(JUPYTER_PATH=(at / "path").read_text().strip())
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True,
                          check=True).stdout
    assert said.strip() == sys.executable


def small(tmp_path, python="#!/bin/sh\n"):
    "A project of one figure; two targets more, which show what make would use."
    at = tmp_path / "project"
    for folder in ("nbs/p", "rnnbio", ".make"):
        (at / folder).mkdir(parents=True)
    for name in ("nbs/index.ipynb", "nbs/p/fig1.ipynb", "rnnbio/a.py", "pyproject.toml",
                 "constraints.txt",
                 "README.md", "CITATION.cff", ".make/.ready", "python"):
        (at / name).write_text("")
    (at / "settings.ini").write_text("user = me\nrepo = rnnbio\nbranch = main\n")
    (at / "python").write_text(python)
    (at / "python").chmod(0o755)
    more = "\npath:\n\t@echo $$JUPYTER_PATH > path\nkernel: $(KERNEL)\n"
    (at / "Makefile").write_text((ROOT / "Makefile").read_text() + more)
    return at


WRITES = """#!/bin/sh
case "$*" in *papermill*) touch "$STARTED"; until [ -e "$GO" ]; do sleep .02; done; echo made > "$4";; esac
"""


def wait_for(path):
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(.01)
    raise AssertionError(f"{path.name} did not appear")


def test_a_second_make_that_is_stopped_leaves_what_the_first_made(tmp_path):
    at = small(tmp_path, WRITES)
    figure = at / "figures/quick/p/fig1.ipynb"
    started = {}
    for name in ("first", "second"):
        env = environment(STARTED=str(tmp_path / f"{name} started"),
                          GO=str(tmp_path / f"{name} may go"))
        command = [MAKE, "VENV=", f"PYTHON={at}/python", "p/fig1"]
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        started[name] = subprocess.Popen(command, cwd=at, env=env, start_new_session=True, **quiet)
        wait_for(tmp_path / f"{name} started")
    (tmp_path / "first may go").touch()
    assert started["first"].wait(20) == 0 and figure.read_text() == "made\n"
    os.killpg(started["second"].pid, signal.SIGINT)
    assert started["second"].wait(20) and figure.read_text() == "made\n"


@pytest.mark.parametrize("python, names_it", [
    ("#!/bin/sh\nexit 1\n", False),
    ('#!/bin/sh\necho half > "$4"\nexit 1\n', True),
])
def test_a_failure_names_a_notebook_only_if_it_is_there(tmp_path, python, names_it):
    at = small(tmp_path, python)
    told = make("VENV=", f"PYTHON={at}/python", "p/fig1", at=at)
    left = list((at / ".make/runs/p").glob("*"))
    assert told.returncode and len(left) == names_it
    assert ("the notebook up to the error" in told.stdout) == names_it
    assert all(f".make/runs/p/{path.name}" in told.stdout for path in left)
    assert not (at / "figures/quick/p/fig1.ipynb").exists()


def test_checkpoints_of_jupyter_do_not_count(tmp_path):
    at = small(tmp_path)
    assert make(".make/source.sum", at=at).returncode == 0
    before = (at / ".make/source.sum").read_text()
    for name in ("nbs/p/.ipynb_checkpoints/fig1-checkpoint.ipynb",
                 "nbs/.ipynb_checkpoints/fig2.ipynb",
                 "rnnbio/.ipynb_checkpoints/a-checkpoint.py"):
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text("x = 1\n")
    assert make(".make/source.sum",
                at=at).returncode == 0 and (at / ".make/source.sum").read_text() == before
    assert ("checkpoint" not in make("help", at=at).stdout
            and "fig2" not in make("help", at=at).stdout)
    (at / "rnnbio/a.py").write_text("x = 1\n")
    assert make(".make/source.sum",
                at=at).returncode == 0 and (at / ".make/source.sum").read_text() != before


def test_the_address_with_a_paste_that_wants_an_operand(tmp_path):
    "As BSD's and macOS's do."
    at, tools = small(tmp_path), tmp_path / "bin"
    tools.mkdir()
    paste = f'for a in "$@"; do case $a in -) exec {shutil.which("paste")} "$@";; esac; done'
    (tools / "paste").write_text(f"#!/bin/sh\n{paste}\necho usage >&2\nexit 1\n")
    (tools / "paste").chmod(0o755)
    (at / "README.md").write_text("https://github.com/someone/rnnbio/blob/main/x\n")
    told = make("address", at=at, PATH=f"{tools}:{os.environ['PATH']}")
    assert "address: me/rnnbio, branch main" in told.stdout
    assert (at / "README.md").read_text() == "https://github.com/me/rnnbio/blob/main/x\n"
