"""How many networks? Does the time of a step stay what it is, what does a sweep of thousands take, and what do workers add?

    python benchmarks/scale.py          # about five minutes; writes benchmarks/scale.md

Three questions, N = 64, Romo's task, BPTT:

    networks at once   time per network and training step of one ensemble of 16 to 4096 networks
    one sweep          10,000 networks (100 gains and 100 seeds) for 10 steps: time, memory, disk, and what `estimate` had said
    workers            the same sweep on one Dask worker and on as many as there are cores, each with one thread
"""
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from cpu import machine
from rnnbio.all import *

TASK = get_task("romo")


def at_once(networks):
    """Milliseconds per network and step: a training less one of a single step."""
    model = LeakyRNN(TASK.n_in, 64, TASK.n_out)
    params = Params.cat([model.init(range(16), gaussian())] * (networks // 16))

    def seconds(steps):
        begin = time.perf_counter()
        train(model, params, TASK, "bptt", steps=steps, progress=False)
        return time.perf_counter() - begin

    seconds(1)
    steps = max(3, 4096 // networks)
    least = lambda steps: min(seconds(steps) for _ in range(3))
    return 1e3 * (least(1 + steps) - least(1)) / steps / networks


def question(gains, seeds, steps):
    return Sweep(task="romo", rule="bptt", gain=np.linspace(.1, 2, gains).tolist(),
                 seed=range(seeds), lr=1e-3, steps=steps)


def one_sweep():
    with tempfile.TemporaryDirectory() as folder:
        store, sweep = Store(folder), question(100, 100, 10)
        guess, begin = sweep.estimate("cpu", store), time.perf_counter()
        runs = sweep.run("cpu", store, progress=False)
        took = time.perf_counter() - begin
        again = time.perf_counter()
        sweep.run("cpu", store, progress=False)
        again = time.perf_counter() - again
        disk = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file()) / 1e6
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "linux"
                                                                   else 1e9)
    return (f"{runs.key.size} networks, 10 steps: {took:.0f} s, of which "
            f"{float(runs.seconds.sum()):.0f} s are training (estimated: {60 * guess.minutes:.0f} "
            f"s), {memory:.1f} GB of memory at the most "
            f"(RNNBIO_MEMORY_GB is 2), {disk:.0f} MB of disk; asked again, {again:.0f} s.")


def workers(n):
    """Seconds for a sweep on so many workers of one thread, begun and warm."""
    from distributed import Client, LocalCluster
    with LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None) as cluster, Client(
        cluster) as client, tempfile.TemporaryDirectory() as folder:
        question(2, n, 3).run("cpu", Store(f"{folder}/warm"), False, client)
        begin = time.perf_counter()
        question(16, 16, 200).run("cpu", Store(f"{folder}/real"), False, client)
        return time.perf_counter() - begin


def main():
    sizes = [16, 64, 256, 1024, 4096]
    times = [at_once(k) for k in sizes]
    lines = ["| networks at once | " + " | ".join(map(str, sizes)) + " |",
             "|---" * (1 + len(sizes)) + "|",
             "| ms per network and step | " + " | ".join(f"{t:.3f}" for t in times) + " |"]
    print("\n".join(lines), flush=True)
    facts = ["- " + one_sweep()]
    print(facts[0], flush=True)
    cores = os.cpu_count()
    alone, together = ([workers(n) for _ in range(2)] for n in (1, cores))
    facts.append(f"- {cores} Dask workers are {min(alone) / min(together):.2f} times as fast as "
                 f"one (256 networks, 200 steps: {min(alone):.1f} s and {min(together):.1f} s).")
    print(facts[1])
    Path(__file__).with_name("scale.md").write_text("\n".join(
        ["# Many networks", "", f"{machine()}.", "",
         "`python benchmarks/scale.py`: N = 64, Romo's task, BPTT.", "", *lines, "", *facts, ""]))


if __name__ == "__main__":
    main()
