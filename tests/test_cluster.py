"""Two workers, or four shards, or one process: the same bits; and whatever happens to a worker
costs time only."""
import os
import signal
import threading
import time

import pytest

import processes
import rnnbio.sweeps.sweep
from rnnbio.sweeps.compute import compute
from rnnbio.rules.rules import get_rule
from rnnbio.sweeps.commands import main
from rnnbio.sweeps.store import Store
from rnnbio.sweeps.rates import best_lr
from rnnbio.sweeps.sweep import Failed, Sweep

QUESTION = dict(task="romo", rule=["bptt", "eprop"], gain=[.5, 1.], seed=range(3),
                lr=best_lr((1e-3, 1e-2), (1000,)), steps=20, n_hidden=8, n_trials=4)

# What a worker imports before it takes work: a run with this seed ends its process; another is
# slow.
PRELOAD = """
import os, signal, time
os.environ["RNNBIO_CHECKPOINT_S"] = "0"
import rnnbio.sweeps.compute
def train(model, params, *rest, watch=None, real=rnnbio.sweeps.compute.train, **more):
    def slow(state):
        if 666 in params.seeds:
            time.sleep(1)                                # a worker that dies before its nanny has heard that it began is not begun again
            os.kill(os.getpid(), signal.SIGKILL)
        if {777, 778} & set(params.seeds): time.sleep(.05)
        watch(state)
    return real(model, params, *rest, watch=slow, **more)
rnnbio.sweeps.compute.train = train
"""


def bits(store):
    return {key: {name: t.numpy().tobytes() for name, t in store.read(key).tensors.items()}
            for key in store.keys()}


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Workers that are begun again on a busy machine."""
    monkeypatch.setenv("RNNBIO_WORKERS_S", "600")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    distributed = pytest.importorskip("distributed", reason="pip install 'rnnbio[dask]'")
    import dask
    folder = tmp_path_factory.mktemp("dask")
    (folder / "preload.py").write_text(PRELOAD)
    # a worker that happens to be away this long after a death is given up
    with dask.config.set({"temporary-directory": str(folder), "distributed.worker.preload":
                              [str(folder / "preload.py")], "distributed.nanny.preload": [],
                          "distributed.deploy.lost-worker-timeout": "1 hour",
                          # deaths of workers after which a run is given up, less one
                          "distributed.scheduler.allowed-failures": 1}):
        with distributed.LocalCluster(n_workers=2, threads_per_worker=1,
                                      dashboard_address=None) as cluster, distributed.Client(
            cluster, set_as_default=False) as client:
            yield client


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("one"))
    return Sweep(**QUESTION).run(store=store, progress=False).drop_vars("seconds"), bits(store)


def test_two_workers(client, answer, tmp_path):
    runs = Sweep(**QUESTION).run(store=Store(tmp_path), progress=False, client=client)
    assert runs.drop_vars("seconds").identical(answer[0]) and bits(Store(tmp_path)) == answer[1]


def test_the_scheduler_is_found_by_its_address(client, answer, tmp_path, monkeypatch):
    import dask
    monkeypatch.setenv("RNNBIO_SCHEDULER", client.scheduler.address)
    assert Sweep(**QUESTION).run(store=Store(tmp_path),
                                 progress=False).drop_vars("seconds").identical(answer[0])
    rnnbio.sweeps.sweep._client(client.scheduler.address).close()
    before = dask.config.get("scheduler", None)
    monkeypatch.setenv("RNNBIO_SCHEDULER", "nonsense://")
    with pytest.raises(OSError, match="RNNBIO_SCHEDULER=nonsense://: no Dask scheduler"):
        Sweep(**QUESTION).run(store=Store(tmp_path), progress=False)
    # a client that failed stays nobody's default: xarray would ask for it at the next file
    assert before is dask.config.get("scheduler", None) is None


def test_a_worker_killed_in_mid_sweep_costs_time_only(client, tmp_path):
    question = Sweep(task="romo", rule="eprop", gain=[.5, 1.], seed=[0, 777], lr=1e-3, steps=60,
                     n_hidden=6, n_trials=2)
    whole, store = Store(tmp_path / "whole"), Store(tmp_path / "killed")
    question.run(store=whole, progress=False)
    before = set(pids(client))

    def kill():
        while not list(store.root.glob("checkpoints/*.safetensors")):
            time.sleep(.02)
        os.kill(pids(client)[0], signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    question.run(store=store, progress=False, client=client)
    killer.join(timeout=60)
    assert bits(store) == bits(whole) and set(pids(client)) != before


def pids(client):
    return list(client.run(os.getpid).values())


def test_after_ctrl_c_nobody_waits_for_what_was_cancelled(client, tmp_path):
    """Two runs of minutes, one on each worker, are told to end; the workers leave a checkpoint
    and take the next sweep."""
    tiny = dict(task="romo", rule="eprop", gain=1., lr=1e-3, n_hidden=6, n_trials=2)
    store = Store(tmp_path)

    def interrupt():
        while len(list(store.root.glob("checkpoints/*.safetensors"))) < 2:
            time.sleep(.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt, match="stopped: 0 of 2 runs are done"):
        Sweep(**tiny, seed=[777, 778], steps=10_000).run(store=store, progress=False, client=client)
    Sweep(**tiny, seed=range(8), steps=3).run(store=store, progress=False, client=client)
    # none of the two that take minutes
    assert len(store.keys()) == 8


def test_a_cluster_without_workers(tmp_path, monkeypatch, capsys):
    distributed = pytest.importorskip("distributed", reason="pip install 'rnnbio[dask]'")
    monkeypatch.setenv("RNNBIO_WORKERS_S", "0")
    with distributed.LocalCluster(n_workers=0,
                                  dashboard_address=None) as cluster, distributed.Client(
        cluster, set_as_default=False) as empty:
        with pytest.raises(OSError, match="has had no workers for 0 s: start some, or wait longer "
                           "with RNNBIO_WORKERS_S"):
            Sweep(**QUESTION).run(store=Store(tmp_path), progress=False, client=empty)
    assert "has no workers: waiting 0 s for one (RNNBIO_WORKERS_S)" in capsys.readouterr().err


def test_a_run_that_kills_its_workers_is_reported_and_the_rest_finishes(client, tmp_path):
    store = Store(tmp_path)
    with pytest.raises(Failed, match="1 runs raised, the others are stored; the first: "
                       "KilledWorker"):
        Sweep(task="romo", rule="eprop", gain=1., seed=[0, 1, 2, 666], lr=1e-3, steps=3, n_hidden=6,
              n_trials=2).run(store=store, progress=False, client=client)
    assert len(store.keys()) == 3 and len(list(store.root.glob("failed/*.json"))) == 1


def test_a_run_that_raises_on_a_worker_is_reported(client, tmp_path):
    store, broken = Store(tmp_path), Sweep(task="romo",
                                           rule=["eprop", get_rule("mdgl", types=(0, 1))],
                                           seed=range(2), lr=1e-3, steps=2, n_hidden=6, n_trials=2)
    with pytest.raises(Failed, match="2 runs raised.* ValueError: types must name"):
        broken.run(store=store, progress=False, client=client)
    assert len(store.keys()) == 2


def test_a_folder_that_workers_do_not_share(client, tmp_path):
    class Elsewhere(Store):
        def __contains__(self, key): return False
    with pytest.raises(OSError, match="workers have computed 2 runs that are not in .*need to see "
                       "the same folder"):
        compute(Sweep(task="romo", rule="eprop", seed=range(2), lr=1e-3, steps=2, n_hidden=6,
                      n_trials=2).runs(), Elsewhere(tmp_path), progress=False, client=client)


def test_four_shards_some_twice_at_once(answer, tmp_path, monkeypatch, capsys):
    """The jobs of an array, two at a time; one part is taken by two jobs at once."""
    path = tmp_path / "sweep.json"
    path.write_text(Sweep(**QUESTION).to_json())
    store = Store(tmp_path / "results")
    monkeypatch.setenv("RNNBIO_RESULTS", str(store.root))
    assert main(["run", str(path),
                 "--status"]) == 0 and "0 of 8 candidates" in capsys.readouterr().out
    for stage in ("candidates", "runs"):
        for pair in (("1/4", "2/4"), ("3/4", "3/4"), ("4/4",)):
            jobs = [processes.begin(processes.COMMAND, "run", path, "--shard", part)
                    for part in pair]
            for job in jobs:
                ended = job.wait()
                assert ended.returncode == 0, ended.stderr
    assert "part 4 of 4 is in" in ended.stdout and bits(store) == answer[1]
    assert (main(["run", str(path), "--status"]) == 0 and "8 of 8 candidates for the learning rate "
            "are done\n12 of 12 runs are done" in capsys.readouterr().out)


@pytest.mark.parametrize("part", ["0/4", "5/4", "4", "a/b", "1/4/2", "-1/2"])
def test_a_part_that_is_none(part, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["run", "no file", f"--shard={part}"])
    assert "I/N must be a part and how many there are" in capsys.readouterr().err


@pytest.mark.neurogym
def test_the_same_file_whatever_the_threads_chunks_or_workers(client, tmp_path, monkeypatch):
    """What a figure writes: byte by byte the same."""
    import matplotlib.pyplot as plt

    from rnnbio.base.threads import set_threads
    from rnnbio.figures.figure import Figure
    question = Sweep(task="2af", rule=["bptt", "rflo", "mdgl"], gain=[.5, 1.], seed=range(3),
                     lr=best_lr((1e-3, 1e-2), (1000,)), steps=60, n_hidden=8, n_trials=2)

    def written(name, threads=2, memory="2", **more):
        set_threads(threads)
        monkeypatch.setenv("RNNBIO_MEMORY_GB", memory)
        fig = Figure("zhang2024/fig1_initial_gain", "quick", 0, "cpu", str(tmp_path / name),
                     quick=dict(n_seeds=3))
        runs = question.run(store=Store(tmp_path / f"store-{name}"), progress=False, **more)
        curves = runs[["loss", "accuracy"]].isel(step=slice(9, None, 10))
        fig.save(plt.figure(), curves.to_dataframe().reset_index())
        return (tmp_path / name / "fig1_initial_gain.csv").read_bytes()

    try:
        first = written("two")
        assert first.count(b"\n") > 100
        assert (written("one", threads=1) == first and written("chunks", memory="0.0001") == first
                and written("workers", client=client) == first)
    finally:
        set_threads()
