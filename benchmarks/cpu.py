"""How fast is training on this CPU, against what one would write otherwise?

    python benchmarks/cpu.py            # some 15 minutes, quiet machine; writes benchmarks/cpu.md
    python benchmarks/cpu.py --quick    # a minute: ensembles of 16, N = 64 only, prints

Every row is a full training step on Romo's task (fresh trials, forward, backward, Adam; 32 trials, 56 steps), in milliseconds per network:

    loop      one network after the other, plain autograd and torch.optim.Adam, as written after yang2020's notebook
    autograd  the whole ensemble at once, batched matrix products, autograd
    jax       the whole ensemble, jitted vmap over scan, Adam inside (needs `pip install -e '.[bench]'`)
    rnnbio    `train`
    products  only the matrix products that a step cannot do without, compiled, one network per core
"""
import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

import numba as nb
import numpy as np
import torch

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


def jax_ensemble(n, networks, activation, rule, task=TASK):
    import jax
    import jax.numpy as jnp
    model, params = start(n, networks, activation)
    f = {"relu": jax.nn.relu, "tanh": jnp.tanh}[activation]
    theta = {k: jnp.asarray(t.numpy()) for k, t in params.tensors().items()}
    memory = {name: {k: jnp.zeros_like(v) for k, v in theta.items()} for name in ("m", "v")}

    def loss(p, x, y, mask):
        def one(h, x_t):
            r = f(h)
            h = ALPHA * h + (1 - ALPHA) * ((jax.lax.stop_gradient(r) if rule == "eprop" else r)
                                           @ p["W_h"].T + x_t @ p["W_x"].T + p["b"])
            return h, f(h) @ p["w"].T + p["b_out"]
        _, out = jax.lax.scan(one, jnp.zeros((TRIALS, n)), x)
        return (mask[..., None] * (out - y) ** 2).sum() / (4 * mask.sum())

    @jax.jit
    def update(theta, memory, k, x, y, mask):
        g = jax.vmap(jax.grad(loss), (0, None, None, None))(theta, x, y, mask)
        m = jax.tree.map(lambda a, b: .9 * a + .1 * b, memory["m"], g)
        v = jax.tree.map(lambda a, b: .999 * a + .001 * b * b, memory["v"], g)
        return jax.tree.map(lambda p, a, b: p - 1e-3 * (a / (1 - .9**k))
                            / (jnp.sqrt(b / (1 - .999**k)) + 1e-8), theta, m, v), {"m": m, "v": v}

    state = [theta, memory]

    def step(k):
        trials = task.sample(TRIALS, 0, k)
        state[:] = update(*state, k + 1., trials.inputs.numpy(), trials.targets.numpy(),
                          trials.mask.numpy())
        jax.block_until_ready(state)
    return best(step, networks)


def between_updates(model, params, task, *how, **more):
    """Steps of `train` itself: the time between two updates, milliseconds per network."""
    stamps = []

    class Enough(Exception):
        pass

    def watch(state):
        stamps.append(time.perf_counter())
        if len(stamps) > 4 and stamps[-1] - stamps[0] > SECONDS:
            raise Enough
    try:
        train(model, params, task, *how, steps=100000, progress=False, watch=watch, **more)
    except Enough:
        pass
    return np.diff(stamps)[1:].min() / len(params) * 1e3


def ours(n, networks, activation, rule):
    """One seed for all, as for the others."""
    model, params = start(n, networks, activation)
    return between_updates(model, Params(**params.tensors(), seeds=[0] * networks), TASK, rule)


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
    with cpu.one_blas_thread():
        return best(lambda k: _products(*args, T, TRIALS), networks)


def kernel_share(n, networks):
    """The part of a sweep's time, storage included, that the kernel takes."""
    spent, real = [0.], cpu.loss_and_gradient

    def timed(*args):
        begin = time.perf_counter()
        result = real(*args)
        spent[0] += time.perf_counter() - begin
        return result
    cpu.loss_and_gradient = timed
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
        cpu.loss_and_gradient = real


def table(cases, with_jax):
    lines = ["| rule | f | N | networks | loop (a) | autograd (b) | jax (c) | **rnnbio (d)** | "
             "products (e) | a/d | b/d | c/d | d/e |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]
    loops = {}
    for n, networks, activation, rule in cases:
        if (n, activation, rule) not in loops:
            loops[n, activation, rule] = autograd(n, 1, activation, rule, alone=True)
        a = loops[n, activation, rule]
        b, d, e = (autograd(n, networks, activation, rule), ours(n, networks, activation, rule),
                   products(n, networks, activation, rule))
        c = jax_ensemble(n, networks, activation, rule) if with_jax else float("nan")
        lines.append(f"| {rule} | {activation} | {n} | {networks} | {a:.2f} | {b:.2f} | {c:.2f} "
                     f"| **{d:.3f}** | {e:.3f} | {a / d:.1f} | {b / d:.1f} | {c / d:.1f} | "
                     f"{d / e:.2f} |")
        print(lines[-1], flush=True)
    return lines


def machine():
    name = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo")
                 if line.startswith("model name")), platform.processor()) if os.path.exists(
        "/proc/cpuinfo") else platform.processor()
    return (f"{name}, {nb.config.NUMBA_NUM_THREADS} cores; Python {platform.python_version()}, "
            + ", ".join(f"{k} {v}" for k, v in versions().items()
                        if k in ("torch", "numpy", "scipy")) + f", numba {nb.__version__}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    try:
        import jax
        with_jax = f", jax {jax.__version__}"
    except ImportError:
        with_jax = ""
    cases = [(64, k, f, rule) for f in ("relu", "tanh") for rule in ("bptt", "eprop")
             for k in (1, 4, 16, 64)] + [(n, 16, "relu", rule) for n in (128, 256, 512)
                                         for rule in ("bptt", "eprop")]
    if quick:
        cases = [(64, 16, f, rule) for f in ("relu", "tanh") for rule in ("bptt", "eprop")]
    lines = table(cases, bool(with_jax))
    cores = nb.config.NUMBA_NUM_THREADS
    set_threads(1); one = ours(64, 64, "relu", "bptt")
    set_threads(); all_ = ours(64, 64, "relu", "bptt")
    facts = [f"- {cores} cores are {one / all_:.2f} times as fast as one (BPTT, N = 64, 64 "
             "networks).",
             f"- Trials, Adam, logging and storage take {1 - kernel_share(64, 64):.0%} of a "
             "sweep's time (64 networks: 8 gains and 8 seeds, N = 64, BPTT, 300 steps)."]
    print("\n".join(facts))
    if not quick:
        text = ["# Training on the CPU", "", f"{machine()}{with_jax}.", "",
                "Milliseconds per network and training step (the least of many), and ratios within "
                "this run. Machines are noisy: compare ratios, not times.",
                *("    " + l.strip() for l in __doc__.splitlines()[6:]), "", *lines, "", *facts, ""]
        Path(__file__).with_name("cpu.md").write_text("\n".join(text))


if __name__ == "__main__":
    main()
