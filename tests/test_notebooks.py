"""Figure notebooks as papermill runs them."""
import json
from pathlib import Path

import pytest

papermill = pytest.importorskip("papermill")
ROOT = Path(__file__).parents[1]


def run(tmp_path, monkeypatch, **parameters):
    monkeypatch.setenv("IN_TEST", "1")      # the test profile: seconds
    monkeypatch.chdir(ROOT)
    papermill.execute_notebook("nbs/zhang2024/fig1_initial_gain.ipynb", tmp_path / "run.ipynb", parameters | {"out": str(tmp_path)}, kernel_name="python3", progress_bar=False)


def test_a_figure_leaves_its_files(tmp_path, monkeypatch):
    run(tmp_path, monkeypatch, seed=5)
    facts = json.loads((tmp_path / "fig1_initial_gain.json").read_text())
    assert facts["profile"] == "test" and facts["seeds"][0] == 5
    assert {c["verdict"] for c in facts["claims"]} == {"inconclusive"}
    for kind in ("png", "pdf", "csv"):
        assert (tmp_path / f"fig1_initial_gain.{kind}").stat().st_size > 200


@pytest.mark.parametrize("wrong, says", [
    (dict(profil="paper"), "did you mean 'profile'"),
    (dict(profile="papr"), "did you mean .paper."),
    (dict(seed=-1), "seed must be a whole number"),
    (dict(device="gpu"), "device must be one of auto, cpu, cuda"),
])
def test_bad_parameters_stop_a_figure(tmp_path, monkeypatch, wrong, says):
    with pytest.raises(papermill.PapermillExecutionError, match=says):
        run(tmp_path, monkeypatch, **wrong)
    assert not list(tmp_path.glob("fig1*"))
