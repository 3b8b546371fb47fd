"""Work that is told to end: nothing is lost, little is said, and the next call goes on at that
step. Every signal is sent by the process itself at a known update, so nothing here waits for
time."""
import errno
import contextlib
import os
import signal
from pathlib import Path

import pytest

import processes
import rnnbio.sweeps.commands
import rnnbio.sweeps.compute
import rnnbio.sweeps.load
import rnnbio.sentiment.lstm
import rnnbio.sweeps.store
from rnnbio.sweeps.commands import main
from rnnbio.sweeps.compute import compute
from rnnbio.sentiment.lstm import train_lstm
from rnnbio.sentiment.corpus import get_corpus
from rnnbio.sweeps.checkpoints import load_checkpoints, save_checkpoint
from rnnbio.sweeps.store import Store, results_root
from rnnbio.sweeps.sweep import Sweep

QUESTION = dict(task="romo", rule="bptt", gain=[.5, 1.], seed=[0, 1], lr=1e-3, steps=12, n_hidden=4,
                n_trials=2)


def bits(store):
    return {key: {name: t.numpy().tobytes() for name, t in store.read(key).tensors.items()}
            for key in store.keys()}


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("whole"))
    Sweep(**QUESTION).run(store=store, progress=False)
    return bits(store)


def signalled(monkeypatch, number, update, times=1):
    """The process gets the signal after that update."""
    class Bar(contextlib.nullcontext):
        seen = 0

        def __enter__(self):
            return self

        def update(self, n=1):
            Bar.seen += 1
            for _ in range(times if Bar.seen == update else 0):
                os.kill(os.getpid(), number)

    monkeypatch.setattr(rnnbio.sweeps.compute, "progress_bar", lambda *asked, **more: Bar())


STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


@pytest.mark.parametrize("number", STATUS)
def test_within_the_first_minute(tmp_path, monkeypatch, capsys, answer, number):
    signalled(monkeypatch, number, 5)
    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as ended:
        Sweep(**QUESTION).run(store=tmp_path, progress=False)
    said = str(ended.value) if number == signal.SIGINT else capsys.readouterr().err.strip()
    assert (said == f"stopped: 0 of 4 runs are done; the next call goes on from what {tmp_path} "
            "holds")
    assert number == signal.SIGINT or ended.value.code == STATUS[number]
    assert (signal.getsignal(signal.SIGINT) is signal.default_int_handler
            and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)
    assert [about["step"] for _, about, _ in load_checkpoints(tmp_path)] == [5]
    monkeypatch.undo()
    store = Store(tmp_path)
    runs = Sweep(**QUESTION).run(store=store, progress=False)
    assert (bits(store) == answer
            and store.read(str(runs.key.values.ravel()[0])).facts["resumed_at"] == 5)
    assert not list(load_checkpoints(store))


def test_at_the_last_update_it_is_stored(tmp_path, monkeypatch, answer):
    signalled(monkeypatch, signal.SIGINT, 12)
    with pytest.raises(KeyboardInterrupt, match="4 of 4 runs are done"):
        Sweep(**QUESTION).run(store=tmp_path, progress=False)
    assert bits(Store(tmp_path)) == answer


def test_between_pieces_the_next_does_not_begin(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_MEMORY_GB", "0.000001")            # one run at a time
    signalled(monkeypatch, signal.SIGINT, 12)
    with pytest.raises(KeyboardInterrupt, match="1 of 4 runs are done"):
        Sweep(**QUESTION).run(store=tmp_path, progress=False)
    assert not list(load_checkpoints(tmp_path))


def test_a_second_one_ends_at_once(tmp_path, monkeypatch):
    signalled(monkeypatch, signal.SIGINT, 5, times=2)
    with pytest.raises(KeyboardInterrupt, match="0 of 4 runs"):
        Sweep(**QUESTION).run(store=tmp_path, progress=False)
    assert not list(load_checkpoints(tmp_path))


def test_who_listens_already_goes_on_listening(tmp_path, monkeypatch, answer):
    heard = []
    before = signal.signal(signal.SIGTERM,
                           lambda *_: heard.append(1)), signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        for number in (signal.SIGTERM, signal.SIGHUP):
            signalled(monkeypatch, number, 5)
            Sweep(**QUESTION).run(store=tmp_path / str(int(number)), progress=False)
            assert bits(Store(tmp_path / str(int(number)))) == answer
    finally:
        signal.signal(signal.SIGTERM, before[0]), signal.signal(signal.SIGHUP, before[1])
    assert heard == [1]


def test_the_lstm(tmp_path, monkeypatch):
    corpus, small = get_corpus(n_train=40, n_valid=20, n_test=1,
                               n_in=4), dict(n_hidden=4, epochs=3, progress=False)
    whole = train_lstm(corpus, store=tmp_path / "whole", **small)
    real = rnnbio.sentiment.lstm.train_epoch

    def epoch(*given):
        if given[4] == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*given)

    monkeypatch.setattr(rnnbio.sentiment.lstm, "train_epoch", epoch)
    with pytest.raises(KeyboardInterrupt, match="the next call goes on from what"):
        train_lstm(corpus, store=tmp_path, **small)
    assert [about["step"] for _, about, _ in load_checkpoints(tmp_path)] == [2]
    again = train_lstm(corpus, store=tmp_path, **small)
    assert (Store(tmp_path).read(again.key).facts["resumed_at"] == 2 and bits(Store(tmp_path))
            == bits(Store(tmp_path / "whole")) and again.key == whole.key)


def command_line(tmp_path):
    (tmp_path / "sweep.json").write_text(Sweep(**QUESTION).to_json())
    return (str(tmp_path / "sweep.json"), tmp_path / "results", "stopped: 0 of 4 runs are done; "
            f"the next call goes on from what {tmp_path / 'results'} holds\n")


def test_the_command_line_says_one_line(tmp_path, monkeypatch, capsys):
    path, results, line = command_line(tmp_path)
    monkeypatch.setenv("RNNBIO_RESULTS", str(results))
    signalled(monkeypatch, signal.SIGINT, 5)
    assert main(["run", path]) == 130 and capsys.readouterr() == ("", line)


SCRIPT = """
import os, signal, sys
import rnnbio.sweeps.compute as compute
from rnnbio.sweeps.commands import main
class Bar:
    seen = 0
    def __init__(self, *asked, **more): pass
    def __enter__(self): return self
    def __exit__(self, *problem): pass
    def update(self, n=1):
        Bar.seen += 1
        if Bar.seen == 5: os.kill(os.getpid(), signal.SIGTERM)
compute.progress_bar = Bar
sys.exit(main(["run", sys.argv[1]]))
"""


def test_a_batch_system_ends_a_process(tmp_path):
    path, results, line = command_line(tmp_path)
    ended = processes.run(SCRIPT, path, RNNBIO_RESULTS=results)
    assert (ended.returncode, ended.stdout, ended.stderr) == (143, "", line)
    assert [about["step"] for _, about, _ in load_checkpoints(results)] == [5]


# A store that cannot be read or written

@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Four results, the first of them damaged."""
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path / "results"))
    store = Store()
    Sweep(**QUESTION).run(store=store, progress=False)
    damaged = store.path(store.keys()[0]) / "run.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    return store


def test_damage_in_a_read_only_store(kept, monkeypatch, capsys):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(rnnbio.sweeps.store.os, "rename", refuse)
    with pytest.raises(OSError, match="its checksum differs, and cannot be set aside: Read-only "
                       "file system .make .* writable, or name a copy of it with RNNBIO_RESULTS"):
        Sweep(**QUESTION).run(store=kept, progress=False)
    assert main(["verify"]) == 1
    out, err = capsys.readouterr()
    assert ("3 of 4 results are as they were written; not to be read here: "
            + kept.keys()[0][:12] in out and "cannot be set aside" in err)


def test_a_file_that_cannot_be_read(kept, monkeypatch, capsys):
    shut, real = kept.path(kept.keys()[1]) / "manifest.json", Path.read_bytes

    def read(path):
        if path == shut:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    with pytest.raises(PermissionError,
                       match=f"{shut} cannot be read: Permission denied .allow it, or move"):
        kept.load(kept.keys()[1])
    with pytest.warns(UserWarning, match="set aside"):
        assert main(["verify"]) == 1
    out, err = capsys.readouterr()
    assert ("2 of 4 results" in out and "set aside: " in out and "not to be read here: " in out
            and str(shut) in err)


def test_a_checkpoint_that_cannot_be_read(tmp_path):
    (tmp_path / "checkpoints" / "a.safetensors").mkdir(parents=True)
    with pytest.warns(UserWarning, match="a.safetensors cannot be read and is not used"):
        assert not list(load_checkpoints(tmp_path))


def test_a_file_in_the_place_of_results(tmp_path, monkeypatch, capsys):
    (file := tmp_path / "file").write_text("")
    monkeypatch.setenv("RNNBIO_RESULTS", str(file))
    with pytest.raises(NotADirectoryError, match="it is no folder .RNNBIO_RESULTS names another"):
        Store()


def test_the_home_folder_is_meant(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RNNBIO_RESULTS", "~/results")
    assert (Store().root == tmp_path / "results" == results_root() and Store("~/other").root
            == tmp_path / "other")


def test_a_temporary_folder_is_told_once(monkeypatch, capsys):
    monkeypatch.delenv("RNNBIO_RESULTS", raising=False)
    monkeypatch.setenv("IN_TEST", "1")
    rnnbio.sweeps.store._test_folder.cache_clear()
    first = results_root()
    assert (results_root() == first and capsys.readouterr().err
            == f"note: IN_TEST is on: results go to {first} and are gone at the end\n")
    monkeypatch.setenv("IN_TEST", "0")
    assert results_root() != first


def test_a_crash_meets_the_disk_in_order(tmp_path, monkeypatch):
    """What is in a folder is on the disk before the folder has its name, and the name before
    anyone is told."""
    import torch
    done, real_rename = [], os.rename
    monkeypatch.setattr(rnnbio.sweeps.store, "to_disk", lambda path: done.append(("disk", Path(path))))
    monkeypatch.setattr(rnnbio.sweeps.store.os, "rename",
                        lambda a, b: (done.append(("rename", Path(a))), real_rename(a, b)))
    key, = Store(tmp_path).save([({"seed": 1}, {"x": torch.zeros(2)}, {})])
    renamed = next(i for i, (what, _) in enumerate(done) if what == "rename")
    work = done[renamed][1]
    assert {path for _, path in done[:renamed]} == {work / "run.safetensors",
                                                    work / "manifest.json", work}
    # the folder after its files
    assert done[renamed - 1][1] == work
    assert {tmp_path, tmp_path / "runs",
            Store(tmp_path).path(key).parent} <= {path for _, path in done[renamed:]}


@pytest.mark.parametrize("wrong, says", [
    (lambda s: Store(3), "root must be a path, got 3"), (lambda s: s.save(3), "results must be"),
    (lambda s: s.save([3]), "results must hold .config, tensors, facts., got 3"),
    (lambda s: s.save([({}, {"x": 3}, {})]), "x must be a tensor"),
    (lambda s: s.clean("all"), "older_than_s must be a finite number"),
    (lambda s: rnnbio.sweeps.store.key_of(3), "config must be a dictionary, got 3"),
    (lambda s: rnnbio.sweeps.store.canonical({"a": {1}}), "data.a must be plain data"),
    (lambda s: rnnbio.sweeps.store.canonical({"a": float("nan")}), "data.a must be a finite number"),
    (lambda s: save_checkpoint(s, 3, {}, {}), "name must be text, got 3"),
    (lambda s: save_checkpoint(s, "a", {"x": object()}, {}), "about.x must be plain data"),
    (lambda s: save_checkpoint(s, "a", {}, {"x": 3}), "x must be a tensor"),
    (lambda s: load_checkpoints(3), "store must be"),
    (lambda s: compute(3, s), "runs must be a list of Runs, got 3"),
    (lambda s: compute(["a"], s), "runs must be Runs, got 'a'"),
    (lambda s: compute([], 3), "store must be a Store"),
    (lambda s: rnnbio.sweeps.compute.failure(s, "../x"), "key must be 64 digits"),
    (lambda s: rnnbio.sweeps.commands.shard(["a"], 1, 2), "runs must be Runs"),
    (lambda s: rnnbio.sweeps.load.load_params("nothing", s), "key must be 64 digits")])
def test_wrong_arguments(tmp_path, wrong, says):
    with pytest.raises((ValueError, TypeError), match=says):
        wrong(Store(tmp_path))
