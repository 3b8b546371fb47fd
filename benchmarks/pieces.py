"""What does each piece of the engine cost on this CPU?

    python benchmarks/pieces.py      # some minutes, quiet machine; writes benchmarks/pieces.md

Milliseconds of one core for each network and training step's kernel (loss, accuracy and gradient; 16
networks on one thread, single precision, ReLU), least of many, all cases by turns. `plain` is the form
`current` with nothing else.

Romo's size: N = 64, 32 trials, 56 steps, as zhang2024.

soo2023's size: N = 50, 20 trials, 800 steps of which 200 settle, 85 inputs, 33 outputs, BPTT, the form
`rate_outer` with two time constants, a sigmoid, and costs on rates; beside it the time that its products
alone take in the same BLAS.
"""
import time
from dataclasses import replace
from pathlib import Path

import numba as nb
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from cpu import machine
from rnnbio.all import *
from rnnbio.base.threads import set_threads
from rnnbio.networks.dynamics import skips_of
from rnnbio.rules.gradient import training_gradient

NETWORKS, ROUNDS = 16, 40


def times(cases, rounds=ROUNDS):
    """Least milliseconds of one core for each network, of each case."""
    least = {name: np.inf for name in cases}
    for _ in range(rounds):
        for name, work in cases.items():
            begin = time.process_time()
            work()
            least[name] = min(least[name], time.process_time() - begin)
    return {name: 1e3 * t / NETWORKS for name, t in least.items()}


def case(model, trials, rule, costs=(), skips=(), beta=.5):
    params = model.init(range(NETWORKS), gaussian(.8))
    mixed = skips_of(skips, beta, trials)
    work = lambda: training_gradient(model, params, trials, get_rule(rule), costs, 3, mixed)
    work()                                                       # compiled
    return work


def romo(rule):
    task = get_task("romo")
    plain, trials = LeakyRNN(task.n_in, 64, task.n_out), task.sample(32, 0)
    each = tuple(np.linspace(.7, .9, 64))
    outer, rates = replace(plain, form="rate_outer"), (l1("rates", 1e-5),)
    networks = {"plain": plain, "form `rate`": replace(plain, form="rate"), "a sigmoid":
                replace(plain, readout="sigmoid"), "form `rate_outer`": outer,
                "a leak for each unit": replace(plain, alpha=each),
                "noise, white": replace(plain, noise=white(.1)),
                "noise, Ornstein-Uhlenbeck": replace(plain, noise=ou(.1, 10))}
    cases = {name: case(model, trials, rule) for name, model in networks.items()}
    cases["a cost on rates"] = case(plain, trials, rule, rates)
    cases["skips, SCTT of 10 steps"] = case(plain, trials, rule, skips=(sctt(10),))
    cases["skips, DASC of 10 steps"] = case(plain, trials, rule, skips=(dasc(10),))
    whole = replace(outer, alpha=each, noise=ou(.1, 10), readout="sigmoid")
    cases["all of these"] = case(whole, trials, rule, rates, (dasc(10),))
    return times(cases)


def soo(T=800, B=20, N=50, settle=200):
    draw = torch.Generator().manual_seed(0)
    rand = lambda *shape: torch.rand(*shape, generator=draw)
    mask = torch.ones(T, B)
    mask[:settle + 40] = 0
    trials = Trials(rand(T, B, 85), rand(T, B, 33), mask, settle=settle,
                    period=torch.arange(T) // 100)
    model = LeakyRNN(85, N, 33, alpha=(.95,) * 40 + (.9,) * 10, form="rate_outer",
                     readout="sigmoid", noise=ou(.1, 20.))
    rates = (l1("rates", 1e-5),)
    cases = {"products": products(T, B, N, settle),
             "without noise": case(replace(model, noise=None), trials, "bptt", rates),
             "control": case(model, trials, "bptt", rates)}
    for name, skip in {"SCTT40": sctt(40), "DASC40": dasc(40), "DASC10": dasc(10)}.items():
        cases[name] = case(model, trials, "bptt", rates, (skip,))
    return times(cases, 12)


def products(T, B, N, settle, n_in=85, n_out=33):
    """The products of a step: forward, readout, feedback, back, and both gradients."""
    n_z, f = N + n_in + 1, np.float32
    rand = lambda *shape: np.random.default_rng(0).random(shape, f)
    Z, W, M, C, R, E = (rand(T + 1, B, n_z), rand(n_z, N), rand(N, N), rand(T, B, N),
                        rand(n_z, n_out), rand(T, B, n_out))
    out, back = np.empty((B, N), f), np.empty((B, N), f)

    def work():
        with threadpool_limits(1, "blas"):
            for _ in range(NETWORKS): _products(Z, W, M, C, R, E, settle, out, back)
    work()
    return work


@nb.njit
def _products(Z, W, M, C, R, E, settle, out, back):
    (T, B, N), n_z, n_out = C.shape, Z.shape[2], E.shape[2]
    for t in range(T): np.dot(Z[t], W, out)
    rows, credit, errors = (Z[1:].reshape(T * B, n_z), C.reshape(T * B, N),
                            E.reshape(T * B, n_out))
    np.dot(rows, R)
    np.dot(errors, R[:N].T)
    for t in range(T - 1, settle - 1, -1): np.dot(C[t], M, back)
    for first in range(0, T * B, 128):
        np.dot(credit[first:first + 128].T, rows[first:first + 128])
        np.dot(errors[first:first + 128].T, rows[first:first + 128])


def main():
    set_threads(1)
    bptt, eprop, long = romo("bptt"), romo("eprop"), soo()
    over = lambda found, name, by: f"{found[name]:.2f} | {found[name] / found[by]:.2f}"
    lines = ["# Pieces of the engine on the CPU", "", f"{machine()}.", "",
             *__doc__.split("\n\n", 2)[2].splitlines(), "",
             "| Romo's size | BPTT, ms | ratio | e-prop, ms | ratio |", "|---|--:|--:|--:|--:|",
             *(f"| {name} | {over(bptt, name, 'plain')} | {over(eprop, name, 'plain')} |"
               for name in bptt), "",
             "| soo2023's size | ms | over its products |", "|---|--:|--:|",
             *(f"| {name} | {over(long, name, 'products')} |" for name in long), ""]
    text = "\n".join(lines)
    print(text)
    Path(__file__).with_name("pieces.md").write_text(text)


if __name__ == "__main__":
    main()
