"""How fast is training on this CPU, against what one would write otherwise?

    python benchmarks/cpu.py                     # some 20 minutes, quiet machine; writes cpu.md
    python benchmarks/cpu.py --quick             # a minute: ensembles of 16, N = 64 only, prints
    python benchmarks/cpu.py --jax PYTHON ...    # jax of these interpreters (else of this one)

Every row is a full training step on Romo's task (fresh trials, forward, backward, Adam; 32 trials, 56 steps), in milliseconds per network:

    loop      one network after the other, plain autograd and torch.optim.Adam, as written after yang2020's notebook
    autograd  the whole ensemble at once, batched matrix products, autograd
    jax       the whole ensemble, jitted vmap over scan, Adam inside, on trials that are there already
    rnnbio    `train`
    products  only the matrix products of the recurrence that a step cannot do without, by BLAS, one network per core
"""
import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import llvmlite.binding as llvm
import numba as nb
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from rnnbio.all import *
from rnnbio.kernels import cpu
from rnnbio.base.threads import set_threads

TASK, ALPHA, TRIALS, SECONDS = get_task("romo"), .8, 32, 1.


def best(step, networks, seconds=SECONDS):
    """Milliseconds per network: the best of several blocks, after one that warms up."""
    step(0)
    times, begin, n = [], time.perf_counter(), 1
    while time.perf_counter() - begin < seconds or len(times) < 3:
        start = time.perf_counter()
        step(n)
        times.append(time.perf_counter() - start)
        n += 1
    return min(times) / networks * 1e3


def start(n, networks, activation):
    model = LeakyRNN(1, n, 2, alpha=ALPHA, activation=activation)
    return model, model.init(range(networks), gaussian(1.))


def autograd_loss(model, leaves, trials, rule):
    """The readable forward pass; e-prop detaches the rate that enters the recurrent product."""
    f = ACTIVATION[model.activation]
    x, outputs = trials.inputs, []
    h = x.new_zeros(*leaves["W_h"].shape[:-2], TRIALS, model.n_hidden)
    for t in range(x.shape[-3]):
        r = f(h)
        recurrent = (r.detach() if rule == "eprop" else r) @ leaves["W_h"].mT
        h = ALPHA * h + (1 - ALPHA) * (recurrent + x[t] @ leaves["W_x"].mT
                                       + leaves["b"].unsqueeze(-2))
        outputs.append(f(h) @ leaves["w"].mT + leaves["b_out"].unsqueeze(-2))
    return trials.loss(torch.stack(outputs, -3)).sum()


ACTIVATION = {"relu": torch.relu, "tanh": torch.tanh}


def autograd(n, networks, activation, rule, alone=False, task=TASK, device="cpu"):
    model, params = start(n, networks, activation)
    leaves = {k: (t[0] if alone else t).to(device, copy=True).requires_grad_()
              for k, t in params.tensors().items()}
    optimizer = torch.optim.Adam(leaves.values(), lr=1e-3)

    def step(k):
        optimizer.zero_grad()
        autograd_loss(model, leaves, task.sample(TRIALS, 0, k), rule).backward()
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
    return best(step, networks)


def jax_ensemble(python, n, networks, activation, rule, steps=TASK.steps, seconds=SECONDS,
                 one_core=False):
    """Milliseconds per network in wall and CPU time, in a process of its own; infinity where memory
    does not suffice."""
    script = str(Path(__file__).with_name("jax_ensemble.py"))
    here = os.sched_getaffinity(0) if one_core else None
    if one_core:
        os.sched_setaffinity(0, sorted(here)[:1])
    try:
        done = subprocess.run([python, script, *map(str, (n, networks, activation, rule, steps,
                                                          seconds))],
                              capture_output=True, text=True)
    finally:
        if one_core:
            os.sched_setaffinity(0, here)
    if done.returncode and "RESOURCE_EXHAUSTED" in done.stderr:
        return float("inf"), float("inf")
    if done.returncode:
        raise RuntimeError(done.stderr[-1000:])
    return json.loads(done.stdout.splitlines()[-1])


def jax_versions(pythons):
    """{interpreter: jax's version} of those that have one."""
    asked = {python: subprocess.run([python, "-c", "import jax; print(jax.__version__)"],
                                    capture_output=True, text=True) for python in pythons}
    return {python: said.stdout.strip() for python, said in asked.items() if not said.returncode}


def per_update(model, params, task, *how, seconds=SECONDS, **more):
    """Milliseconds per network and update of `train` itself, in wall and in CPU time: what more
    updates take beyond fewer, least of many."""
    def took(steps):
        begin = time.perf_counter(), time.process_time()
        train(model, params, task, *how, steps=steps, progress=False, **more)
        return np.array([time.perf_counter() - begin[0], time.process_time() - begin[1]])

    took(1)
    each = took(5)[0] / 5
    few, many = 17, 17 + max(32, 16 * round(seconds / 48 / each))
    rounds = [(took(few), took(many)) for _ in range(3 if each > .1 else 6)]
    least = [np.min([pair[i] for pair in rounds], 0) for i in (0, 1)]
    return (least[1] - least[0]) / (many - few) / len(params) * 1e3


def ours(n, networks, activation, rule, seconds=SECONDS):
    """One seed for all, as for the others."""
    model, params = start(n, networks, activation)
    params = Params(**params.tensors(), seeds=[0] * networks)
    return per_update(model, params, TASK, rule, seconds=seconds)


@nb.njit(parallel=True)
def _products(Z, W, M, C, out, grad, steps, trials):
    for k in nb.prange(Z.shape[0]):
        for t in range(steps):
            np.dot(Z[k, t], W[k], out[k])
        for t in range(steps if len(M) else 0):
            np.dot(C[k, t], M[k], out[k])
        for first in range(0, steps, 4):
            np.dot(C[k, first:first + 4].reshape(4 * trials, -1).T,
                   Z[k, first:first + 4].reshape(4 * trials, -1), grad[k])


def products(n, networks, activation, rule):
    T, f = TASK.steps, np.float32
    rng = np.random.default_rng(0)
    rand = lambda *shape: rng.random(shape, f)
    args = (rand(networks, T, TRIALS, n + 2), rand(networks, n + 2, n),
            rand(networks if rule == "bptt" else 0, n, n), rand(networks, T, TRIALS, n),
            rand(networks, TRIALS, n), rand(networks, n, n + 2))
    with threadpool_limits(1, "blas"):
        return best(lambda k: _products(*args, T, TRIALS), networks)


def kernel_share(n, networks):
    """The part of a sweep's time, storage included, that compiled code takes."""
    spent, real = [0.], cpu.learn

    def timed(*args):
        begin = time.perf_counter()
        result = real(*args)
        spent[0] += time.perf_counter() - begin
        return result
    cpu.learn = timed
    sweep = lambda steps: Sweep(task="romo", rule="bptt", n_hidden=n,
                                gain=np.linspace(.1, 1.5, networks // 8), seed=range(8), lr=1e-3,
                                steps=steps)
    try:
        with tempfile.TemporaryDirectory() as folder:
            sweep(5).run("cpu", Store(folder), progress=False)
            spent[0], begin = 0., time.perf_counter()
            sweep(300).run("cpu", Store(folder), progress=False)
            return spent[0] / (time.perf_counter() - begin)
    finally:
        cpu.learn = real


def ratio(a, b):
    return f"{a / b:.2f}" if np.isfinite(a) else "–"


def table(cases, jaxes):
    """Wall time on all cores."""
    names = [f"jax {version}" for version in jaxes.values()]
    lines = ["| rule | f | N | networks | loop (a) | autograd (b) | " + " | ".join(names)
             + " | **rnnbio (d)** | products (e) | a/d | b/d | "
             + " | ".join(f"{name} / d" for name in names) + " | d/e |",
             "|---|---" + "|--:" * (8 + 2 * len(names)) + "|"]
    loops = {}
    for n, networks, activation, rule in cases:
        if (n, activation, rule) not in loops:
            loops[n, activation, rule] = autograd(n, 1, activation, rule, alone=True)
        a = loops[n, activation, rule]
        b, d, e = (autograd(n, networks, activation, rule), ours(n, networks, activation, rule)[0],
                   products(n, networks, activation, rule))
        c = [jax_ensemble(python, n, networks, activation, rule)[0] for python in jaxes]
        lines.append(" | ".join([f"| {rule}", activation, str(n), str(networks), f"{a:.2f}",
                                 f"{b:.2f}", *(f"{x:.2f}" for x in c), f"**{d:.3f}**", f"{e:.3f}",
                                 ratio(a, d), ratio(b, d), *(ratio(x, d) for x in c),
                                 ratio(d, e)]) + " |")
        print(lines[-1], flush=True)
    return lines


def one_core_table(cases, jaxes):
    """CPU time where there is one core only."""
    names = [f"jax {version}" for version in jaxes.values()]
    lines = ["| rule | f | N | networks | " + " | ".join(names) + " | **rnnbio (d)** | "
             "products (e) | " + " | ".join(f"{name} / d" for name in names) + " | d/e |",
             "|---|---" + "|--:" * (5 + 2 * len(names)) + "|"]
    set_threads(1)
    nb.set_num_threads(1)
    for n, networks, activation, rule in cases:
        d, e = ours(n, networks, activation, rule)[1], products(n, networks, activation, rule)
        c = [jax_ensemble(python, n, networks, activation, rule, one_core=True)[1]
             for python in jaxes]
        lines.append(" | ".join([f"| {rule}", activation, str(n), str(networks),
                                 *(f"{x:.2f}" for x in c), f"**{d:.3f}**", f"{e:.3f}",
                                 *(ratio(x, d) for x in c), ratio(d, e)]) + " |")
        print(lines[-1], flush=True)
    set_threads()
    nb.set_num_threads(nb.config.NUMBA_NUM_THREADS)
    return lines


def machine():
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                 if line.startswith("model name")), platform.processor()) if os.path.exists(
        "/proc/cpuinfo") else platform.processor()
    wide = " (AVX-512)" if llvm.get_host_cpu_features().get("avx512f") else ""
    return (f"{name}{wide}, {nb.config.NUMBA_NUM_THREADS} cores; Python {platform.python_version()}, "
            + ", ".join(f"{k} {v}" for k, v in versions().items()
                        if k in ("torch", "numpy", "scipy")) + f", numba {nb.__version__}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--jax", nargs="*", default=[sys.executable])
    asked = parser.parse_args()
    jaxes = jax_versions(asked.jax)
    sixteen = [(64, 16, f, rule) for f in ("relu", "tanh") for rule in ("bptt", "eprop")]
    cases = [(64, k, f, rule) for f in ("relu", "tanh") for rule in ("bptt", "eprop")
             for k in (1, 4, 16, 64)] + [(n, 16, "relu", rule) for n in (128, 256, 512)
                                         for rule in ("bptt", "eprop")]
    lines = table(sixteen if asked.quick else cases, jaxes)
    alone = one_core_table(sixteen[:1] if asked.quick else [
        case for case in cases if case[1] in (16, 64) and case[0] <= 128], jaxes)
    cores = nb.config.NUMBA_NUM_THREADS
    set_threads(1)
    one = ours(64, 64, "relu", "bptt")[0]
    set_threads()
    all_ = ours(64, 64, "relu", "bptt")[0]
    facts = [f"- {cores} cores are {one / all_:.2f} times as fast as one (BPTT, N = 64, 64 "
             "networks).",
             f"- Trials, logging and storage take {1 - kernel_share(64, 64):.0%} of a "
             "sweep's time (64 networks: 8 gains and 8 seeds, N = 64, BPTT, 300 steps)."]
    print("\n".join(facts))
    if not asked.quick:
        text = ["# Training on the CPU", "", f"{machine()}.", "",
                "Milliseconds per network and training step (the least of many), and ratios within "
                "this run. Machines are noisy: compare ratios, not times.",
                *("    " + l.strip() for l in __doc__.splitlines()[7:]), "", *lines, "",
                "The same in CPU time of one core (of jax too: its process has one):", "", *alone,
                "", *facts, ""]
        Path(__file__).with_name("cpu.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
