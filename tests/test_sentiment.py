"""Sentiment data and the LSTM: what crosses notebooks, and what goes wrong on the way."""
import hashlib
import os
import re
import signal
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch

import processes
import rnnbio.base.data
import rnnbio.sentiment.lstm
import rnnbio.sentiment.rank
import rnnbio.sentiment.corpus
from rnnbio.base.data import File, fetch
from rnnbio.sentiment.lstm import train_lstm
from rnnbio.sentiment.rank import truncated_accuracy
from rnnbio.sentiment.corpus import get_corpus, sst
from rnnbio.sweeps.checkpoints import load_checkpoints
from rnnbio.sweeps.store import Store

SMALL = dict(n_hidden=6, epochs=5, lr=1e-2, progress=False)


@pytest.fixture(scope="module")
def corpus():
    return get_corpus(n_train=100, n_valid=20, n_test=1, n_in=4)


@pytest.fixture(scope="module")
def whole(corpus, tmp_path_factory):
    return train_lstm(corpus, store=Store(tmp_path_factory.mktemp("whole")), **SMALL)


class CutShort(BaseHTTPRequestHandler):
    """A server that promises more than it sends."""
    content = bytes(range(256)) * 4000

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // (2 if self.path == "/cut" else 1)])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    server = HTTPServer(("127.0.0.1", 0), CutShort)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(autouse=True)
def direct(monkeypatch):
    """A proxy of this machine is not asked for files of this machine."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def published(url):
    return File("data.zip", (url,), "sha256:" + hashlib.sha256(CutShort.content).hexdigest(),
                len(CutShort.content))


def test_a_download_cut_short_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    with pytest.raises(OSError, match=f"could not be fetched from {server}/cut"):
        fetch(published(f"{server}/cut"))
    assert not list(tmp_path.iterdir())
    assert fetch(published(f"{server}/whole")).read_bytes() == CutShort.content
    assert [p.name for p in tmp_path.iterdir()] == ["data.zip"]


def test_a_user_who_interrupts_a_download_leaves_nothing(server, tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    # after the last byte, before the rename
    monkeypatch.setattr(rnnbio.base.data, "_check",
                        lambda *a, **k: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        fetch(published(f"{server}/whole"))
    assert not list(tmp_path.iterdir())


def test_a_process_killed_in_a_download(server, tmp_path):
    """What is left has another name, and does not disturb the next attempt."""
    file = published(f"{server}/whole")
    script = ("import os, signal, rnnbio.base.data as d\nfrom rnnbio.base.data import File\nd._check = "
              f"lambda *a, **k: os.kill(os.getpid(), signal.SIGKILL)\nd.fetch({file!r})")
    died = processes.run(script, RNNBIO_DATA=tmp_path / "data")
    assert died.returncode == -signal.SIGKILL, died.stderr
    assert not (tmp_path / "data"
                / "data.zip").exists() and len(list((tmp_path / "data").iterdir())) == 1
    again = processes.run("import rnnbio.base.data as d\nfrom rnnbio.base.data import File\n"
                          f"print(d.fetch({file!r}))", RNNBIO_DATA=tmp_path / "data")
    assert again.stdout.strip() == str(tmp_path / "data" / "data.zip"), again.stderr


def test_a_damaged_file_is_refused_before_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    file = rnnbio.sentiment.corpus.TREEBANK
    (tmp_path / file.name).write_bytes(b"0" * file.size)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *a: pytest.fail("it was opened"))
    with pytest.raises(ValueError,
                       match=f"must have sha256 {file.checksum[7:]}, got .*move it elsewhere"):
        get_corpus("sst")


def test_offline_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    offline = replace(rnnbio.sentiment.corpus.TREEBANK, urls=("http://127.0.0.1:9/trees.zip",))
    with pytest.raises(OSError,
                       match=re.escape(f"place it at {tmp_path / offline.name} (RNNBIO_DATA names "
                                       "another folder); or use the generated corpus")):
        sst(treebank=offline)
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys
import rnnbio.sentiment.lstm as lstm
from rnnbio.sentiment.corpus import get_corpus
epochs, left, real = [0], int(sys.argv[1]), lstm.train_epoch
def train_epoch(*a):
    epochs[0] += 1
    if epochs[0] > left: os.kill(os.getpid(), signal.SIGKILL)
    return real(*a)
lstm.train_epoch = train_epoch
lstm.train_lstm(get_corpus(n_train=100, n_valid=20, n_test=1, n_in=4), n_hidden=6, epochs=5, lr=1e-2, progress=False)
"""


@pytest.mark.parametrize("left", [0, 1, 4])
def test_a_training_killed_and_resumed_ends_with_the_same_bits(tmp_path, monkeypatch, corpus, whole,
                                                               left):
    died = processes.run(KILLED, left, RNNBIO_RESULTS=tmp_path, RNNBIO_CHECKPOINT_S=0)
    assert died.returncode == -signal.SIGKILL, died.stderr
    store, epochs, real = Store(tmp_path), [], rnnbio.sentiment.lstm.train_epoch
    assert not store.keys() and [about["step"]
                                 for _, about, _ in load_checkpoints(store)] == [left][: bool(left)]
    monkeypatch.setattr(rnnbio.sentiment.lstm, "train_epoch", lambda *a: (epochs.append(a[4]), real(*a))[1])
    again = train_lstm(corpus, store=store, **SMALL)
    assert epochs == list(range(left, 5)) and store.read(again.key).facts["resumed_at"] == left
    assert again.key == whole.key and all(np.array_equal(again.curves[name], whole.curves[name])
                                          for name in whole.curves)
    assert all(torch.equal(a, b)
               for a, b in zip(again.model.parameters(), whole.model.parameters()))
    assert not list(load_checkpoints(store))


def test_threads_do_not_change_the_numbers(tmp_path, corpus, whole):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        assert all(torch.equal(a, b) for a, b in zip(train_lstm(
            corpus, store=Store(tmp_path), **SMALL).model.parameters(), whole.model.parameters()))
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_a_failure_while_truncating_leaves_the_network_as_it_was(corpus, whole, monkeypatch):
    final = whole.model.weights()
    monkeypatch.setattr(rnnbio.sentiment.rank, "evaluate",
                        lambda *a: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        truncated_accuracy(whole, corpus.valid, [1])
    assert all(torch.equal(a, b) for a, b in zip(final.values(), whole.model.weights().values()))
