"""How fast are liu2024's networks of 300 units on this CPU: a training step, and a tangent kernel?

    python benchmarks/wide.py           # a minute, quiet machine; writes benchmarks/wide.md

A step is that of its Figure 1 (2AF: 8 steps of 100 ms, 32 trials; cross-entropy; gradient descent with momentum, no biases, no leak), trials included:

    loop      one network after the other, plain autograd and torch.optim.SGD
    ensemble  ten networks at once, batched matrix products, autograd
    rnnbio    `train`, ten networks

A kernel is that of all 8 × 32 × 3 outputs by the recurrent weights, of one network, as `kernel_alignment` takes it:

    loop      a backward pass for every output, then the products
    vmap      the same passes vectorised (torch.autograd.grad with is_grads_batched)
    rnnbio    `tangent_kernel`
"""
import time
from pathlib import Path

import torch
from torch.testing import assert_close

from cpu import best, machine, per_update
from rnnbio.all import *

TASK, N, NETWORKS, TRIALS, LR = get_task("2af", timing="short"), 300, 10, 32, .003
MODEL = LeakyRNN(TASK.n_in, N, TASK.n_out, alpha=0., bias=False)


def plain(params, steps=None):
    """Steps of plain PyTorch, milliseconds each per network; with `steps`, the weights after so
    many."""
    leaves = {k: t.clone().requires_grad_() for k, t in params.tensors().items()
              if k in ("W_h", "W_x", "w")}
    optimizer = torch.optim.SGD(leaves.values(), lr=LR, momentum=.9)

    def step(k):
        trials = TASK.sample(TRIALS, 0, k)
        optimizer.zero_grad()
        trials.loss(MODEL(Params(**leaves), trials.inputs)[1]).sum().backward()
        optimizer.step()
    if steps is None:
        return best(step, len(params))
    for k in range(steps):
        step(k)
    return leaves["W_h"].detach()


def jacobian_kernel(params, inputs, vectorised):
    """The kernel of one network from its Jacobian."""
    leaf = Params(**{name: t.clone().requires_grad_() for name, t in params.tensors().items()})
    y = MODEL(leaf, inputs)[1].flatten()
    if vectorised:
        J = torch.autograd.grad(y, leaf.W_h, torch.eye(len(y)), is_grads_batched=True)[0].flatten(1)
    else:
        J = torch.stack([torch.autograd.grad(v, leaf.W_h, retain_graph=True)[0].flatten()
                         for v in y])
    return J @ J.T


def main():
    params = MODEL.init(range(NETWORKS), gaussian(1.25))
    # the same trials for all, as for the others
    params = Params(**params.tensors(), seeds=[0] * NETWORKS)
    fit = train(MODEL, params, TASK, "bptt", LR, 20, TRIALS, sgd(.9), progress=False)
    assert_close(plain(params, 20), fit.params.W_h, rtol=1e-3, atol=1e-5)     # the same steps
    loop, ensemble, step = (plain(params[0]), plain(params),
                            per_update(MODEL, params, TASK, "bptt", LR, n_trials=TRIALS,
                                            optimizer=sgd(.9))[0])
    inputs = TASK.probe(32).inputs
    begin = time.perf_counter()
    by_loop = jacobian_kernel(params[0], inputs, False); loop_s = time.perf_counter() - begin
    vmap_s = best(lambda k: jacobian_kernel(params[0], inputs, True), 1) / 1e3
    kernel_s = best(lambda k: tangent_kernel(MODEL, params[0], inputs), 1) / 1e3
    assert_close(tangent_kernel(MODEL, params[0], inputs)[0], by_loop, rtol=1e-4,
                 atol=1e-6 * float(by_loop.max()))
    lines = ["| | loop (a) | ensemble or vmap (b) | **rnnbio (c)** | a/c | b/c |",
             "|---|--:|--:|--:|--:|--:|",
             f"| training step, ms per network | {loop:.2f} | {ensemble:.2f} | **{step:.2f}** | "
             f"{loop / step:.1f} | {ensemble / step:.1f} |",
             f"| tangent kernel, s | {loop_s:.2f} | {vmap_s:.2f} | **{kernel_s:.3f}** | "
             f"{loop_s / kernel_s:.0f} | {vmap_s / kernel_s:.0f} |"]
    print("\n".join(lines))
    described = ["    " + l.strip() if l.startswith("    ") else l
                 for l in __doc__.splitlines()[4:]]
    Path(__file__).with_name("wide.md").write_text("\n".join(["# Wide networks on the CPU", "",
                                                              f"{machine()}.", "", *described, "",
                                                              *lines, ""]))


if __name__ == "__main__":
    main()
