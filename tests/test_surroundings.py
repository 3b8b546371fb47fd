"""Settings of torch, threads, forks, unwritable places, damaged caches, tasks that break their
word."""

import multiprocessing
import os
import subprocess
import sys
import threading

import llvmlite.binding as llvm
import numpy as np
import pytest
import torch

from rnnbio.all import *
from rnnbio.base import threads
from rnnbio.kernels import compiled, cpu
from rnnbio.kernels.batched import Dynamics, Way

task, model = get_task("romo"), LeakyRNN(1, 8, 2)
start = model.init([0, 1], gaussian())


def python(code, **environment):
    """What a fresh Python prints."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("RNNBIO_THREADS", "OMP_NUM_THREADS")
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=kept | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.strip()


# Settings of torch

SAME = """
import torch
from rnnbio.all import *
task, model = get_task("romo"), LeakyRNN(1, 8, 2)
def numbers():
    p = model.init([0, 1], gaussian())
    p = Params.cat([p, p[0]])
    measure = {
        "KA": lambda m, q: kernel_alignment(m, p, q, task.probe(6), steps="last"),
        "exponent": lambda m, q: lyapunov_exponents(m, q, task.probe(4)).mean((1, 2)),
    }
    how = dict(steps=3, n_trials=4, every=2, measure=measure, floss=flossing(steps=2, n_trials=2), progress=False)
    for rule in ("mdgl", "rtrl"):
        fit = train(model, p, task, rule, **how)
        yield from (fit.data[name].values for name in ("loss", "KA", "exponent"))
        yield fit.params.W_h.numpy()
    kinds = uniform(), low_rank(rank=2), soft_rank(), sparse(density=.5), cell_types(), dale()
    for kind in (*kinds, chain_motif(density=.5), connectome(source="surrogate", p0=1.)):
        yield model.init([0], kind).W_h.numpy()
    for name in ("flipflop", "mante", "pattern", "cosine"):
        yield np.asarray(get_task(name).sample(3, 0).inputs)
    yield credit_reach(model, p, task.probe(6), "mdgl").numpy()
    yield truncation_losses(model, p, p.map(lambda t: t * 1.1), task.probe(4), [0, 2]).numpy()
    linear = LeakyRNN(1, 5, 1, bias=False, activation="linear").init([0], gaussian(.5))
    yield exact_flow(linear, .5, [0., 1.], levels=3).z.numpy()
before = list(numbers())
torch.set_default_device("meta")
torch.set_default_dtype(torch.float64)
torch.set_float32_matmul_precision("medium")
pairs = enumerate(zip(before, numbers(), strict=True))
print([i for i, (a, b) in pairs if not np.array_equal(a, b, equal_nan=True)])
"""


def test_defaults_of_torch_change_no_number():
    assert python(SAME) == "[]"


# Threads

THREADS = """
import torch
torch.set_num_threads({of_torch})
from rnnbio.base.threads import get_threads, in_threads
in_threads(lambda worker, workers: None, 9)
print(get_threads(), torch.get_num_threads())
"""


def test_one_number_bounds_our_threads_and_torchs():
    cores = threads.nb.config.NUMBA_NUM_THREADS
    assert python(THREADS.format(of_torch=1)) == f"{cores} 1"  # the user's own number stays
    assert python(THREADS.format(of_torch=max(2, cores)), RNNBIO_THREADS="1") == "1 1"


def test_the_number_of_threads_holds_in_every_thread(monkeypatch):
    monkeypatch.setenv("RNNBIO_THREADS", "1")
    found = []
    thread = threading.Thread(target=threads.in_threads,
                              args=(lambda *of: found.append(of), 9))
    thread.start()
    thread.join()
    assert found == [(0, 1)]


def test_threads_that_wait_sleep_unless_the_user_says_otherwise():
    said = "import os, rnnbio; print(os.environ['OMP_WAIT_POLICY'])"
    assert python(said, OMP_WAIT_POLICY="active") == "active"
    assert python(f"import os; del os.environ['OMP_WAIT_POLICY']; {said}",
                  OMP_WAIT_POLICY="active") == "passive"


# Forks


def work(rule):
    return float(train(model, start, task, rule, steps=2, n_trials=4, progress=False).loss[0, -1])


FORK = """
import multiprocessing, sys
sys.path.insert(0, "tests")
from test_surroundings import work
def forked():
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return "trained" if pool.map_async(work, ["bptt"]).get(timeout=60) else ""
print(forked())
work("bptt")
print(forked())
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_a_forked_pool_works_also_after_training():
    assert python(FORK).splitlines() == ["trained", "trained"]


# Places and caches


CACHE = """
from numba.core import caching
caching.CacheImpl._locator_classes = [caching.{there}][:{places}]    # Numba's own places there are
from rnnbio.kernels import compiled, cpu
print(cpu.JIT["cache"], compiled.nb.config.CACHE_DIR)
"""


def test_a_package_that_cannot_be_written_is_imported(tmp_path):
    """Nor a home: compiled code is kept among the temporary files, in a folder of one's own."""
    here = dict(there="UserProvidedCacheLocator", places=1)
    said = python(CACHE.format(**here), TMPDIR=str(tmp_path), NUMBA_CACHE_DIR="")
    folder = tmp_path / f"rnnbio-{os.getuid()}"
    assert said == f"True {folder}" and folder.stat().st_mode & 0o777 == 0o700
    # another may write there, and what lies there is run
    folder.chmod(0o777)
    assert python(CACHE.format(**here), TMPDIR=str(tmp_path), NUMBA_CACHE_DIR="") == "False"
    assert python(CACHE.format(**here | dict(places=0)), TMPDIR=str(tmp_path / "none"),
                  NUMBA_CACHE_DIR="").startswith("False")


BITS = """
import hashlib
from rnnbio.all import *
model = LeakyRNN(1, 50, 2, noise=ou(.1, 5.))
fit = train(model, model.init([0, 1], gaussian()), get_task("romo"), steps=100, progress=False)
print(hashlib.sha256(fit.loss.values.tobytes() + fit.params.W_h.numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_what_was_just_compiled_computes_the_same_bits_as_what_was_kept(tmp_path):
    """A function is compiled by itself and within its caller; which of the two a process runs depends
    on whether it has compiled them itself."""
    assert python(BITS, NUMBA_CACHE_DIR=str(tmp_path)) == python(BITS, NUMBA_CACHE_DIR=str(tmp_path))


OLDER = """
import llvmlite.binding as llvm
here = dict(llvm.get_host_cpu_features())
llvm.get_host_cpu_features = lambda: {name: no for name, no in here.items() if "avx512" not in name}
"""


@pytest.mark.slow
@pytest.mark.skipif(not llvm.get_host_cpu_features().get("avx512f"), reason="no AVX-512 here")
def test_processors_with_and_without_avx512_compute_the_same_bits(tmp_path):
    older = dict(NUMBA_CPU_NAME="haswell", NUMBA_CPU_FEATURES="+avx2,+avx,+fma,+sse4.2,+popcnt",
                 NUMBA_CACHE_DIR=str(tmp_path))
    assert python(OLDER + BITS, **older) == python(BITS)


def test_no_compiled_code_may_be_rounded_in_two_ways():
    assert "fastmath" not in cpu.JIT


def test_compiling_is_said_once(monkeypatch, capsys):
    monkeypatch.delenv("RNNBIO_QUIET", raising=False)
    monkeypatch.setattr(cpu, "_compiling", cpu._Compiling())
    for function in lambda k, of: k, lambda k, of: of:
        cpu._call(compiled.nb.njit(function), 1)
    assert capsys.readouterr().err.count("compiling for this machine") == 1
    kernel = compiled.nb.njit(lambda k, of: k + of)
    kernel(0, 1)
    monkeypatch.setattr(cpu, "_compiling", cpu._Compiling())
    cpu._call(kernel, 1)
    assert not capsys.readouterr().err


def test_a_damaged_cache_is_made_anew(tmp_path):
    calls = []

    class Kernel:
        class stats:
            cache_path = str(tmp_path)

        def __call__(self, worker, workers, x):
            calls.append(x)
            if len(calls) == 1:
                raise EOFError("Ran out of input")

    for name in ("compiled.ensemble-1.py311.nbi", "passes._forward-1.py311.1.nbc", "gpu.other.nbi"):
        (tmp_path / name).touch()
    with pytest.warns(UserWarning, match=f"{tmp_path} is damaged"):
        cpu._call(Kernel(), 1, 7)
    assert calls == [7, 7] and [p.name for p in tmp_path.iterdir()] == ["gpu.other.nbi"]


# Tasks that break their word: the compiled kernels would write past their arrays


class Breaks:
    n_in, n_out, steps = 1, 2, 56

    def __init__(self, change):
        self.change = change

    def sample(self, n_trials, seed, step=0):
        trials = task.sample(n_trials, seed, step)
        return self.change(trials) if step == 2 and seed == 1 else trials


@pytest.mark.parametrize(
    "change, says",
    [
        (
            lambda t: Trials(t.inputs.repeat(1, 1, 50), t.targets, t.mask),
            "inputs have shape [56, 4, 50] where others have [56, 4, 1]",
        ),
        (
            lambda t: Trials(t.inputs[:40], t.targets[:40], t.mask[:40]),
            "inputs have shape [40, 4, 1] where others have [56, 4, 1]",
        ),
        (lambda t: t.trials(slice(2)), "inputs have shape [56, 2, 1]"),
        (
            lambda t: Trials(t.inputs, torch.zeros(56, 4).long(), t.mask),
            "targets have shape [56, 4] where others have [56, 4, 2]",
        ),
        (lambda t: "trials", "it is no Trials, but 'trials'"),
        (lambda t: 1 / 0, "ZeroDivisionError"),
        (lambda t: t.trials(slice(0, 0)), "which must be a slice of the 4 trials"),
    ],
)
def test_a_batch_unlike_the_first_stops_its_seed_only(change, says):
    whole = train(model, start, task, steps=5, n_trials=4, progress=False)
    with pytest.warns(UserWarning, match="seed 1 gets no batch 2"):
        fit = train(model, start, Breaks(change), steps=5, n_trials=4, progress=False)
    assert fit.diverged.values.tolist() == [-1, 2] and says in fit.lost[0]
    assert torch.equal(fit.params.W_h[0], whole.params.W_h[0]) and np.array_equal(
        fit.loss[0], whole.loss[0]
    )
    assert torch.isfinite(fit.params.W_h).all()


def test_kernels_look_at_shapes_themselves():
    trials = task.sample(4, 0)
    wide = trials.map(lambda t: t)
    object.__setattr__(wide, "inputs", wide.inputs.repeat(1, 1, 50))
    with pytest.raises(ValueError, match="inputs must be torch.float32 of shape"):
        weights = start.W_h, start.W_x, start.b, start.w, start.b_out
        cpu.loss_and_gradient(
            weights, wide.tensors(), torch.zeros(2, 4, 8), Dynamics("relu", 0.8), Way(start.w.mT)
        )


def test_a_sweep_keeps_no_run_that_lost_its_task(tmp_path, monkeypatch):
    kind = type(task)
    real = kind.sample
    monkeypatch.setattr(
        kind,
        "sample",
        lambda self, n_trials, seed, step=0: (
            1 / 0 if (seed, step) == (1, 2) else real(self, n_trials, seed, step)
        ),
    )
    with (
        pytest.warns(UserWarning, match="2 networks together raised RuntimeError"),
        pytest.warns(UserWarning, match="seed 1 gets no batch 2"),
        pytest.raises(
            RuntimeError, match="1 runs raised, the others are stored.*ZeroDivisionError"
        ),
    ):
        Sweep(task="romo", rule="bptt", lr=1e-3, steps=4, seed=[0, 1], n_hidden=4, n_trials=2).run(
            store=Store(tmp_path), progress=False
        )
    assert len(Store(tmp_path).keys()) == 1
