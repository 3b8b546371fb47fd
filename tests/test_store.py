"""Can a result be trusted? Crashes, races, full disks, damaged and old files."""
import errno
import json
import os
import re
import shutil
import signal
import time
from dataclasses import make_dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pooch
import pytest

import processes
from conftest import possible
from rnnbio.base.registry import later
from rnnbio.networks.connectome import connectome
from rnnbio.networks.fixed import fixed
from rnnbio.sweeps.runs import REGISTRIES, Run, spec_data
from rnnbio.sweeps.archive import keys_needed, pack, published, unpack
from rnnbio.sweeps.commands import main
from rnnbio.sweeps.store import Store, key_of
from rnnbio.sweeps.sweep import Failed, Sweep
import rnnbio.sweeps.checkpoints
import rnnbio.sweeps.compute
import rnnbio.sweeps.store
import rnnbio.sweeps.answers

HERE = Path(__file__).parent
TINY = dict(task="romo", rule="bptt", gain=[.5, 1.], seed=[0, 1], lr=1e-3, steps=6, n_hidden=4,
            n_trials=2)

CRASH = """
import os, signal, sys
from rnnbio.sweeps import checkpoints, store
point, count = sys.argv[1], [int(sys.argv[2])]
def crash(name):
    if name == point:
        count[0] -= 1
        if count[0] == 0: os.kill(os.getpid(), signal.SIGKILL)
store.write_point = checkpoints.write_point = crash
from rnnbio.sweeps.sweep import Sweep
Sweep.from_json(open(sys.argv[3]).read()).run(progress=False)
"""


@pytest.fixture(scope="module")
def question(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep") / "tiny.json"
    path.write_text(Sweep(**TINY).to_json())
    return path


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    return without_time(Sweep(**TINY).run(store=Store(tmp_path_factory.mktemp("whole")),
                                          progress=False))


def without_time(runs):
    """All but how long it took."""
    return runs.drop_vars("seconds")


POINTS = ["begin", "before run.safetensors", "inside run.safetensors", "before manifest.json",
          "inside manifest.json", "before rename", "after rename"]
CHECKPOINTS = ["before checkpoint", "inside checkpoint", "before checkpoint rename",
               "after checkpoint rename"]


@pytest.mark.parametrize("point, time_of_crash", [(p, 1 if p == "begin" else 2) for p in POINTS]
                         + [(p, 3) for p in CHECKPOINTS])
def test_killed_at_a_write_point(tmp_path, question, answer, point, time_of_crash):
    """Each result is absent, or complete and valid; the rerun ends with the bits of an
    uninterrupted one."""
    died = processes.run(CRASH, point, time_of_crash, question, RNNBIO_RESULTS=tmp_path,
                         RNNBIO_CHECKPOINT_S=0)
    assert died.returncode == -signal.SIGKILL, died.stderr
    store = Store(tmp_path)
    for key in store.keys():
        assert store.read(key).key == key
    if point in CHECKPOINTS:
        assert not store.keys()
    again = Sweep(**TINY).run(store=store, progress=False)
    assert without_time(again).identical(answer)
    if point in CHECKPOINTS[1:]:
        assert store.read(str(again.key.values.ravel()[0])).facts["resumed_at"] >= 2
    store.clean(older_than_s=0)
    assert not list((tmp_path / "tmp").glob("*")) and not list((tmp_path / "checkpoints").glob("*"))


def test_points_are_all_there_are(monkeypatch, tmp_path):
    """The list above is what really happens."""
    seen = []
    for module in rnnbio.sweeps.store, rnnbio.sweeps.checkpoints:
        monkeypatch.setattr(module, "write_point", seen.append)
    monkeypatch.setenv("RNNBIO_CHECKPOINT_S", "0")
    Sweep(**TINY).run(store=Store(tmp_path), progress=False)
    assert set(seen) == set(POINTS) | set(CHECKPOINTS)


def test_eight_processes_race_for_one_key(tmp_path):
    script = """
import sys, time, torch
from rnnbio.sweeps.store import Store
store, config = Store(), {"seed": 1}
while time.time() < float(sys.argv[1]): pass
for _ in range(20): store.save([(config, {"x": torch.arange(1000.)}, {})])
"""
    processes.run("")           # so that the first begins as quickly as the others
    start = time.time() + 2
    racers = [processes.begin(script, start, RNNBIO_RESULTS=tmp_path) for _ in range(8)]
    for racer in racers:
        ended = racer.wait()
        assert ended.returncode == 0, ended.stderr
    store = Store(tmp_path)
    assert store.read(key_of({"seed": 1})).tensors["x"].sum() == 999 * 500
    assert len(store.keys()) == 1 and not list((tmp_path / "tmp").iterdir())


def test_full_disk(tmp_path, monkeypatch, answer):
    store = Store(tmp_path)
    Sweep(**TINY | dict(gain=.5)).run(store=store, progress=False)

    def full(name):
        if name == "inside manifest.json":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(rnnbio.sweeps.store, "write_point", full)
    with pytest.raises(OSError, match="No space left"):
        Sweep(**TINY).run(store=store, progress=False)
    monkeypatch.undo()
    # what was written before stays
    assert len(store.keys()) == 2 and not list((tmp_path / "tmp").iterdir())
    assert without_time(Sweep(**TINY).run(store=store, progress=False)).identical(answer)


def test_read_only_folder(tmp_path, monkeypatch):
    def refuse(self, data):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(rnnbio.sweeps.compute, "train", lambda *a, **k: pytest.fail("training began"))
    with pytest.raises(OSError, match="results cannot be written to .*Read-only file system"):
        Sweep(**TINY).run(store=Store(tmp_path), progress=False)


def test_results_of_other_code_are_used_with_a_note(tmp_path, monkeypatch, capsys, answer):
    store = Store(tmp_path)
    Sweep(**TINY).run(store=store, progress=False)
    monkeypatch.setattr(rnnbio.sweeps.answers, "SOURCE", "another")
    assert without_time(Sweep(**TINY).run(store=store, progress=False)).identical(answer)
    assert "4 of 4 results were computed by other source code" in capsys.readouterr().err


def test_an_older_result_is_read_or_refused_with_a_reason(tmp_path):
    """A result committed when the format was 1: as long as that is the format it must be
    readable."""
    store = Store(shutil.copytree(HERE / "fixtures" / "store", tmp_path / "store"))
    (key,) = store.keys()
    if rnnbio.sweeps.store.FORMAT == 1:
        result = store.read(key)
        assert result.config["rule"]["name"] == "eprop" and result.tensors["loss"].shape == (6,)
    else:
        with pytest.raises(ValueError, match="has format 1"):
            store.read(key)


GOLDEN = [dict(), dict(rule="bptt"), dict(alpha=.5),
          dict(recurrent={"kind": "uniform", "width": 1.}), dict(seed=7), dict(optimizer="sgd"),
          dict(task="dms"), dict(form="rate", activation="tanh"), dict(rule="rflo"),
          dict(rule="modprop"), dict(rule="mdgl"), dict(task="2af"), dict(dtype="float64"),
          dict(floss={"kind": "flossing", "steps": 2}), dict(measures="eprop_alignment", every=3),
          dict(measures=["weight_change", "representation_alignment", "kernel_alignment"], every=3),
          dict(task="flipflop",
               rule="bptt", activation="tanh", bias=False, alpha=.5, input={"kind": "directions"},
               output={"kind": "directions"}), dict(task="mapping", rule="bptt",
                                                    activation="linear", trained="W_h",
                                                    optimizer="sgd"),
          *(dict(recurrent={"kind": kind} | more)
            for kind, more in (("low_rank", {"rank": 2}), ("soft_rank", {}), ("cell_types", {}),
                               ("dale", {"density": .5}), ("chain_motif", {}))),
          # with inhibition only one of these eight units would be active
          *(dict(recurrent={"kind": "connectome"} | more)
            for more in ({"source": "surrogate", "p0": 1., "negative": 0.},
                         {"source": "synapses.csv", "pre": "pre", "post": "post", "negative": 0.})),
          dict(task="pattern"), dict(recurrent={"kind": "dale"}, keep_signs=True,
                                     optimizer={"kind": "clipped_sgd", "momentum": .9},
                                     lr=.5), dict(recurrent={"kind": "sparse"}),
          dict(task="context", task_options={"timing": "short", "dt": 50},
               measures=["kernel_task_alignment", "kernel_rank"],
               every=3), dict(measures=["weight_change_by_block", "cka", "sign_similarity"],
                              every=3)]


def test_golden_keys_and_numbers():
    """Fails when what is computed changes but VERSIONS in rnnbio.sweeps.runs did not, or the key did by accident.

    After a deliberate change: raise the version of what changed, then `python tests/test_store.py` writes the new list.
    """
    stored, changes = json.loads((HERE / "fixtures/golden.json").read_text()), possible(GOLDEN)
    stored = [golden for golden, change in zip(stored, GOLDEN, strict=True) if change in changes]
    for golden, (key, losses) in zip(stored, golden_now(changes), strict=True):
        assert golden["key"] == key, "the key of a configuration changed"
        np.testing.assert_allclose(losses, golden["loss"], rtol=2e-4,
                                   err_msg=f"{golden['change']}: numbers changed under an "
                                   "unchanged key: raise a version")


def golden_now(changes=GOLDEN):
    import tempfile
    base = dict(task="romo", rule="eprop", lr=1e-2, steps=6, n_hidden=8, n_trials=4, seed=0)
    with tempfile.TemporaryDirectory() as folder, patch.dict(os.environ,
                                                             RNNBIO_DATA=str(HERE / "fixtures")):
        for change in changes:
            runs = Sweep(**(base | change)).run(device="cpu", store=Store(folder), progress=False)
            (yield str(runs.key.values),
             [*runs.loss.values.tolist(), *(float(v)
                                            for name in np.atleast_1d(change.get("measures", []))
                                            for v in runs[name].values.ravel())])


@pytest.mark.parametrize("registry", REGISTRIES, ids=lambda r: r.what)
def test_a_setting_that_came_later_leaves_stored_keys_alone(registry, monkeypatch):
    old = make_dataclass("odd", [("size", float, 1.)], frozen=True)
    new = make_dataclass("odd", [("size", float, 1.), ("turned", float, later(0.))], frozen=True)
    monkeypatch.setitem(registry, "odd", old)
    before = spec_data(old()), spec_data(old(2.))
    monkeypatch.setitem(registry, "odd", new)
    assert (spec_data(new()), spec_data(new(2.))) == before
    turned = spec_data(new(2., 30.))
    assert turned == before[1] | dict(turned=30.) and registry.of(turned) == new(2., 30.)


def test_weights_of_ones_own_are_stored_and_found_again(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    W = np.random.default_rng(0).normal(size=(4, 4))
    np.save(tmp_path / "W.npy", W)
    np.savetxt(tmp_path / "A.csv", W - np.diag(np.diag(W)), delimiter=",")
    kept = connectome("A.csv", order="kept", match="none", negative=0)
    base = dict(task="romo", rule="eprop", seed=[0, 1], lr=1e-3, steps=2, n_hidden=4, n_trials=2)
    sweep = Sweep(recurrent=[fixed("W.npy"), fixed(W), fixed([W, 2 * W]), kept], **base)
    store = Store(tmp_path / "store")
    runs = sweep.run(store=store, progress=False)
    labels = runs.recurrent.values.tolist()
    assert labels[0] == "fixed('W.npy')" and all(len(label) <= 60 for label in labels)
    # wherever they come from, equal weights learn alike; seed 1 of a pair starts from twice W
    loss = runs.loss.values
    assert np.array_equal(loss[0], loss[1]) and np.array_equal(loss[0, 0], loss[2, 0])
    assert not np.array_equal(loss[0, 1], loss[2, 1]) and not np.array_equal(loss[0], loss[3])
    # as text, elsewhere, where the files are not
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path / "nowhere"))
    again = Sweep.from_json(sweep.to_json())
    assert [r.key() for r in again.runs()] == [r.key() for r in sweep.runs()]
    assert again.run(store=store, progress=False).identical(runs)


def test_a_large_matrix_is_no_part_of_a_stored_run():
    large = fixed(np.zeros((65, 65)))
    with pytest.raises(ValueError, match="a matrix of 4225 numbers cannot .* np.save"):
        Sweep(task="romo", rule="eprop", seed=0, lr=1e-3, steps=2, n_hidden=65, recurrent=large)


def test_a_thousand_runs(tmp_path, monkeypatch, capsys):
    """They compute, are found again and listed; the store stays quick because a run is one small
    folder."""
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path))
    many = Sweep(task="romo", rule="eprop", gain=np.linspace(.1, 2, 50).tolist(), seed=range(20),
                 lr=1e-3, steps=1, n_hidden=2, n_trials=1)
    runs = many.run(progress=False)
    assert runs.loss.shape == (50, 20, 1) and np.isfinite(runs.loss).all()
    assert main(["list"]) == 0
    assert "1000 results" in capsys.readouterr().out


def test_a_folder_without_its_manifest_is_repaired(tmp_path, answer):
    store = Store(tmp_path)
    runs = Sweep(**TINY).run(store=store, progress=False)
    (store.path(str(runs.key.values.ravel()[0])) / "manifest.json").unlink()
    with pytest.warns(UserWarning, match="lacks manifest.json; set aside"):
        assert without_time(Sweep(**TINY).run(store=store, progress=False)).identical(answer)


def test_a_finished_sweep_can_be_read_from_a_read_only_folder(tmp_path, monkeypatch, answer):
    Sweep(**TINY).run(store=Store(tmp_path), progress=False)
    monkeypatch.setattr(Store, "check_writable", lambda self: pytest.fail("nothing is missing"))
    assert without_time(Sweep(**TINY).run(store=Store(tmp_path), progress=False)).identical(answer)


def test_command_line(tmp_path, question, monkeypatch, capsys):
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path))
    assert main(["show", str(question)]) == 0 and "4 runs" in capsys.readouterr().out
    assert main(["estimate",
                 str(question)]) == 0 and "4 networks to train" in capsys.readouterr().out
    assert main(["run", str(question), "--netcdf",
                 str(tmp_path / "out.nc")]) == 0 and (tmp_path / "out.nc").is_file()
    assert main(["verify"]) == 0 and "4 of 4" in capsys.readouterr().out
    store = Store(tmp_path)
    damaged = store.path(store.keys()[0]) / "run.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="set aside"):
        assert main(["verify"]) == 1
    assert "3 of 4" in capsys.readouterr().out
    assert main(["clean"]) == 0 and "1 leftovers" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="not a sweep that can be read"):
        main(["show", str(damaged)])


def test_runs_travel_in_an_archive(tmp_path, question, monkeypatch, capsys):
    here, there, archive = tmp_path / "here", tmp_path / "there", tmp_path / "runs.tar"
    monkeypatch.setenv("RNNBIO_RESULTS", str(here))
    assert main(["pack", str(archive), str(question)]) == 1 and not archive.exists()
    assert main(["run", str(question)]) == 0 and main(["pack", str(archive), str(question)]) == 0
    checksum = re.search("sha256:[0-9a-f]{64}", capsys.readouterr().out)[0]
    monkeypatch.setenv("RNNBIO_RESULTS", str(there))
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))        # as if it had been fetched
    source = "doi:10.5281/zenodo.0/runs.tar"
    assert main(["unpack", source, "--checksum", checksum.replace(checksum[-6:], "000000")]) == 1
    assert main(["unpack", source, "--checksum", checksum]) == 0
    assert main(["verify"]) == 0 and "4 of 4" in capsys.readouterr().out
    assert Store(there).keys() == Store(here).keys()
    # what is published under a DOI is fetched from where that leads
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(pooch, "DOIDownloader", lambda timeout: lambda url, to, _: (
        shutil.copy(archive, to) if url == source else pytest.fail(url)))
    assert published(source, checksum) == tmp_path / "data" / "runs.tar"


@pytest.mark.parametrize("call, says", [
    (lambda at: keys_needed([None], at), "sweeps must be Sweeps, got None"),
    (lambda at: keys_needed([], at, "gpu"), "device must be one of"),
    (lambda at: pack(3, ["0" * 64], at), "file must be text or PathLike"),
    (lambda at: pack(at / "x.tar", ["0"], at), "key must be 64 digits"),
    (lambda at: unpack(None, at), "file must be"),
    (lambda at: published("doi:10.5281/zenodo.0/x.tar", "0"), "checksum must be kind:digits"),
    (lambda at: published("x.tar", "0"), "source must be doi:"),
])
def test_archives_refuse_by_name(tmp_path, call, says):
    with pytest.raises((TypeError, ValueError), match=re.escape(says)): call(tmp_path)
    assert not [*tmp_path.iterdir()]


def test_a_failing_run_sets_the_exit_status(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path))
    from rnnbio.rules.rules import get_rule
    path = tmp_path / "broken.json"
    path.write_text(
        Sweep(**TINY | dict(rule=["bptt", get_rule("mdgl", types=(0, 1, 0))])).to_json())
    with pytest.warns(UserWarning, match="4 networks together raised .*; each is trained by itself"):
        assert main(["run", str(path)]) == 1
    assert "4 runs raised, the others are stored" in capsys.readouterr().err
    assert len(Store(tmp_path).keys()) == 4


if __name__ == "__main__":
    fixtures = HERE / "fixtures"
    fixtures.mkdir(exist_ok=True)
    golden = [dict(change=change, key=key, loss=losses)
              for change, (key, losses) in zip(GOLDEN, golden_now())]
    (fixtures / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    if not (fixtures / "store").exists():
        Sweep(**TINY | dict(rule="eprop", gain=.5, seed=0)).run(store=Store(fixtures / "store"),
                                                                progress=False)
