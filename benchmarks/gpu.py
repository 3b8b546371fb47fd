"""How fast is training on this GPU, against what one would write otherwise?

    python benchmarks/gpu.py [minutes]  # one GPU, quiet; some 20 minutes; writes benchmarks/gpu.md

What was measured stands in the file after every row; `minutes` is when to stop, with the rows most asked for first.

Every row is a full training step (forward, backward, Adam; 32 trials of white noise that lie on the GPU already, one input, two outputs, ReLU), in milliseconds per network:

    loop      one network after the other, plain autograd and torch.optim.Adam
    eager     `train` with the batched kernel, each operation launched by itself
    graph     the same, captured in a CUDA graph
    jax       the whole ensemble, jitted vmap over scan, Adam inside (needs a jax that sees the GPU)
    fused     `train` as it comes: the Triton kernel
    GiB       the most memory that `fused` took
    flops     the arithmetic that BPTT cannot do without, 6 T B N^2, in the time of `fused`, as a fraction of what a large float32 product reaches here
    launches  two empty kernel launches per time step, the least that any method that goes step by step costs without a graph, in units of the time of `fused`

A dash: not measured (the loop beyond 16 networks; no jax). "full": it did not fit into memory.
"""
import gc
import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch

# jax would take most of the memory for itself
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
sys.path.insert(0, str(Path(__file__).parent))
from cpu import TRIALS, autograd, best, jax_ensemble, machine, start

from rnnbio.rules import gradient as gradients
from rnnbio.all import *
from rnnbio.kernels import batched

train_module = sys.modules["rnnbio.training.train"]
UNITS, NETWORKS, STEPS, BLOCK, SECONDS = (64, 128,
                                          256), (64, 1024, 16, 4096, 256), (56, 200, 28), 10, 1.
NOT_MEASURED = float("nan")


class Noise:
    """White noise to be turned into white noise, always the same, on the device: drawing trials
    is not what is timed."""
    n_in, n_out = 1, 2

    def __init__(self, steps, device):
        torch.manual_seed(0)
        self.steps, self.trials = steps, Trials(torch.randn(steps, TRIALS, 1),
                                                torch.randn(steps, TRIALS, 2),
                                                torch.ones(steps, TRIALS)).to(torch.float32, device)

    def sample(self, n_trials, seed, step=0):
        return self.trials


def wait(device):
    if device != "cpu":
        torch.cuda.synchronize()


class Enough(Exception):
    pass


def ours(n, networks, steps, rule, device, seconds=SECONDS):
    """Steps of `train` itself in blocks, each waited for: the least milliseconds per network and
    step, and the most memory in GiB."""
    model, params = start(n, networks, "relu")
    params, stamps = Params(**params.tensors(), seeds=[0] * networks).to(torch.float32, device), []
    if device != "cpu":
        torch.cuda.reset_peak_memory_stats()

    def watch(state):
        if state.step % BLOCK == 0:
            wait(device)
            stamps.append(time.perf_counter())
            if len(stamps) > 4 and stamps[-1] - stamps[0] > seconds:
                raise Enough
    try:
        train(model, params, Noise(steps, device), rule, steps=100000, progress=False, watch=watch)
    except Enough:
        pass
    return (np.diff(stamps)[1:].min() / BLOCK / networks * 1e3,
            torch.cuda.max_memory_allocated() / 2**30 if device != "cpu" else NOT_MEASURED)


def batched_training(capture, *args, **more):
    """`ours` without the Triton kernel, with or without a CUDA graph."""
    kernel, captured = gradients._kernel, train_module.CAPTURE
    gradients._kernel, train_module.CAPTURE = lambda params: batched, capture
    try:
        return ours(*args, **more)[0]
    finally:
        gradients._kernel, train_module.CAPTURE = kernel, captured


def fits(measure, *args, **more):
    """What `measure` finds; infinity where memory does not suffice."""
    try:
        return measure(*args, **more)
    except Exception as problem:
        if not isinstance(problem,
                          torch.OutOfMemoryError) and "RESOURCE_EXHAUSTED" not in str(problem):
            raise
        return float("inf")
    finally:
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def limits(device, size=8192, launches=1000):
    """Floating point operations per second of a large float32 product, and seconds per empty
    kernel launch."""
    a, out = torch.randn(size, size, device=device), torch.empty(size, size, device=device)

    def multiply(k):
        torch.mm(a, a, out=out)
        wait(device)
    one = torch.zeros(1, device=device)

    def launch(k):
        for _ in range(launches):
            one.add_(1)
        wait(device)
    return 2 * size**3 / (best(multiply, 1) / 1e3), best(launch, launches) / 1e3


HEADER = ["| rule | N | networks | T | loop (a) | eager (b) | graph (c) | jax (d) | **fused (e)** "
          "| GiB | a/e | b/e | c/e | d/e | flops | launches |",
          "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"]


def shown(value, form=".4f"):
    return "–" if np.isnan(value) else "full" if np.isinf(value) else format(value, form)


def row(case, loop, eager, graph, jax_, fused, memory, flops, launch):
    """One line of the table."""
    rule, n, networks, steps = case
    there = np.isfinite(fused)
    arithmetic = (6 * steps * TRIALS * n**2 / (fused / 1e3) / flops if rule == "bptt" and there
                  else NOT_MEASURED)
    launches = 2 * steps * launch / (fused * networks / 1e3) if there else NOT_MEASURED
    ratios = [shown(other / fused if there else NOT_MEASURED, ".1f")
              for other in (loop, eager, graph, jax_)]
    return "| " + " | ".join([rule, str(n), str(networks), str(steps),
                              *map(shown, (loop, eager, graph, jax_)), f"**{shown(fused)}**",
                              shown(memory, ".2f"), *ratios,
                              shown(arithmetic, ".0%"),
                              shown(launches, ".1f")]) + " |"


def table(cases, device, with_jax, flops, launch, seconds=SECONDS, keep=lambda lines: None,
          until=float("inf")):
    """The rows of `cases`, as far as one comes before the clock `until`; `keep` gets the table
    after every row."""
    lines, loops = list(HEADER), {}
    print("\n".join(lines), flush=True)
    for rule, n, networks, steps in cases:
        if time.monotonic() > until:
            break
        if networks <= 16 and (rule, n, steps) not in loops:
            loops[rule, n, steps] = fits(autograd, n, 1, "relu", rule, alone=True,
                                         task=Noise(steps, device), device=device)
        found = fits(ours, n, networks, steps, rule, device, seconds)
        fused, memory = found if isinstance(found, tuple) else (found, NOT_MEASURED)
        eager, graph = (fits(batched_training, capture, n, networks, steps, rule, device, seconds)
                        for capture in (False, True))
        # in a process of its own: it gives no memory back while it lives
        jax_ = jax_ensemble(sys.executable, n, networks, "relu", rule, steps,
                            seconds)[0] if with_jax else NOT_MEASURED
        lines.append(row((rule, n, networks, steps), loops[rule, n, steps] if networks <= 16
                         else NOT_MEASURED, eager, graph, jax_, fused, memory, flops, launch))
        print(lines[-1], flush=True)
        keep(lines)
    return lines


def jax_on_gpu():
    """jax's version where it sees a GPU, else nothing, with the reason printed."""
    said = subprocess.run([sys.executable, "-c", "import jax; print(jax.default_backend(), "
                           "jax.__version__)"], capture_output=True, text=True)
    backend, _, version = said.stdout.strip().partition(" ")
    if backend == "gpu":
        return f", jax {version}"
    print("jax sees no GPU: its column stays empty" if backend else
          "no jax: its column stays empty")
    return ""


def report(lines, card, flops, launch):
    """The text of gpu.md."""
    return "\n".join(["# Training on the GPU", "", f"{card}.", "",
                      f"A float32 product of 8192 x 8192 matrices reaches {flops / 1e12:.1f} "
                      f"TFLOP/s here, an empty kernel launch takes {launch * 1e6:.1f} µs.", "",
                      "Milliseconds per network and training step (the least of many), and ratios "
                      "within this run.", *("    " + l.strip() for l in __doc__.splitlines()[8:]),
                      "", *lines, ""])


def main(minutes=float("inf")):
    if not torch.cuda.is_available():
        print("no GPU here: benchmarks/gpu.py needs one (torch.cuda.is_available() is False); "
              "nothing was written")
        return
    until = time.monotonic() + 60 * minutes
    with_jax = jax_on_gpu()
    flops, launch = limits("cuda")
    cases = ([("bptt", n, k, T) for T, k, n in product(STEPS, NETWORKS, UNITS)]
             + [("eprop", 64, k, STEPS[0]) for k in NETWORKS])
    card = f"{torch.cuda.get_device_name()}; {machine()}, CUDA {torch.version.cuda}{with_jax}"
    file = Path(__file__).with_name("gpu.md")
    table(cases, "cuda", bool(with_jax), flops, launch, until=until,
          keep=lambda lines: file.write_text(report(lines, card, flops, launch)))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
