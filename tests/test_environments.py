"""Environments of neurogym as tasks; and what happens without neurogym."""
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from rnnbio.all import *
from rnnbio.sweeps.runs import Run

SOME = ["GoNogo-v0", "PostDecisionWager-v0", "ReachingDelayResponse-v0", "yang19.dms-v0"]


def test_without_neurogym(tmp_path):
    "The package, the list of tasks and tasks of its own stay; the rest says what to install."
    code = """
import sys; sys.modules["neurogym"] = None
from rnnbio.all import *
assert "2af" in list_tasks() and get_task("romo").sample(2, 0)
run = dict(rule="bptt", lr=1e-3, steps=1, seed=0)
for ask in (lambda: get_task("2af"), lambda: get_task("GoNogo-v0"), environments,
            lambda: list_tasks(neurogym=True), lambda: Sweep(task="GoNogo-v0", **run).run(),
            lambda: Sweep(task="dms", **run).run(progress=False)):
    try: ask()
    except ImportError as e: assert "pip install 'rnnbio[neurogym]'" in str(e), e
    else: raise AssertionError("it was not asked for")
"""
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                           env=os.environ | dict(RNNBIO_RESULTS=str(tmp_path)))
    assert asked.returncode == 0, asked.stderr


@pytest.mark.neurogym
def test_the_list_and_the_table_say_the_same():
    table, names = environments(), list_tasks(neurogym=True)
    works = table.index[table.refused == ""]
    assert names == [*list_tasks(), *works] and set(SOME) <= set(works) and len(works) > 40
    assert (table.refused != "").sum() + len(works) == len(table)
    assert (table.steps[works] > 0).all() and table.steps.isna().sum() == len(table) - len(works)
    assert "only rewards" in table.refused["EconomicDecisionMaking-v0"]
    assert "psychopy" in table.refused["VisualSearch-v0"]


@pytest.mark.parametrize("name", SOME)
def test_an_environment_is_a_task_as_any_other(name):
    task = get_task(name)
    trials = task.probe(256)
    assert task.padded == bool((trials.last_step < task.steps - 1).any())
    for n in (7, 600):
        task.sample(n, 3, 5)
        assert task.block_bytes(n) == list(task._latest.values())[-1][2]
    again = pickle.loads(pickle.dumps(task)).sample(7, 3, 5)
    assert all(torch.equal(a, b) for a, b in zip(again.tensors(), task.sample(7, 3, 5).tensors()))
    levels = task.references()
    assert 0 <= levels["when"] <= levels["constant"] + 1e-9
    assert levels["constant"] <= levels["silent"] + 1e-9


@pytest.mark.parametrize("name", ["GoNogo-v0", "ReadySetGo-v0"])
def test_a_sweep_over_an_environment(name, tmp_path, monkeypatch):
    "It is computed, stored, found again, and not found for another version of neurogym."
    question = Sweep(task=name, task_options=dict(dt=100), rule=["bptt", "eprop"], seed=[0, 1],
                     lr=1e-2, steps=6, n_hidden=8, n_trials=4, measures="representation_alignment",
                     every=3)
    runs = question.run(store=Store(tmp_path), progress=False)
    assert np.isfinite(runs.loss).all()
    monkeypatch.setattr("rnnbio.sweeps.compute.train", None)
    assert question.run(store=Store(tmp_path), progress=False).loss.identical(runs.loss)
    keys = {run.key() for run in question.runs()}
    monkeypatch.setattr("rnnbio.sweeps.runs.versions", lambda: {"neurogym": "2.4.0"})
    assert not keys & {run.key() for run in question.runs()}
    assert question.runs()[0].config()["versions"]["neurogym"] == "2.4.0"


@pytest.mark.neurogym
def test_a_stored_run_names_environments_of_neurogym_itself():
    import neurogym
    from gymnasium.envs.registration import registry
    from neurogym.envs.native.gonogo import GoNogo

    class Mine(GoNogo):
        pass

    neurogym.register("Mine-v0", entry_point=Mine)
    try:
        assert get_task("Mine-v0").steps == 15
        with pytest.raises(ValueError, match="a stored run needs an environment of neurogym"):
            Run(task="Mine-v0", rule="bptt", lr=.1, steps=1, seed=0)
    finally:
        del registry["Mine-v0"]
