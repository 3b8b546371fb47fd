"""The compiled kernels against the plain differentiable network, at the papers' size."""
import itertools

import pytest
import torch

from rnnbio.all import *
from rnnbio.kernels import batched, cpu
from rnnbio.base.threads import set_threads
from rnnbio.rules.oracles import autograd_gradient

RULE = ["bptt", "eprop", "eprop_state", "rflo", "snap1", "modprop", "mdgl", "tbptt"]


@pytest.mark.parametrize("rule, form", itertools.product(RULE, ["current", "rate"]))
def test_papers_size_in_single_precision(rule, form):
    """N = 64, 56 steps, 32 trials: what a figure computes, against autograd in float64."""
    task, model = get_task("romo"), LeakyRNN(1, 64, 2, alpha=.8, form=form)
    params = model.init(range(2), gaussian(1.))
    trials = task.sample(32, seed=0)
    loss, fast = gradient(model, params, trials, rule)
    exact_loss, exact = autograd_gradient(model, params.to(torch.float64), trials.to(torch.float64),
                                          rule)
    torch.testing.assert_close(loss.double(), exact_loss, rtol=1e-4, atol=0)
    for name, g in exact.tensors().items():
        assert (getattr(fast, name).double() - g).norm() < 2e-4 * g.norm(), name


@pytest.mark.parametrize("n, steps, rule",
                         [(16, 2000, "bptt"), (512, 12, "bptt"), (512, 12, "eprop")])
def test_long_trials_and_large_networks(n, steps, rule):
    """Single precision still gives the gradient of double precision, 2000 steps or 512 units
    long."""
    model, draw = LeakyRNN(2, n, 3, alpha=.9, activation="tanh"), torch.Generator().manual_seed(n)
    trials = Trials(*(torch.randn(steps, 4, k, generator=draw) for k in (2, 3)),
                    torch.ones(steps, 4))
    params = model.init(range(2), gaussian(.9))
    loss, fast = gradient(model, params, trials, rule)
    exact_loss, exact = autograd_gradient(model, params.to(torch.float64), trials.to(torch.float64),
                                          rule)
    torch.testing.assert_close(loss.double(), exact_loss, rtol=1e-5, atol=0)
    for name, g in exact.tensors().items():
        assert (getattr(fast, name).double() - g).norm() < 1e-3 * g.norm(), name


def test_the_cpu_kernel_is_used_without_asking(monkeypatch):
    called = []
    real = cpu.loss_and_gradient
    monkeypatch.setattr(cpu, "loss_and_gradient", lambda *a: called.append(1) or real(*a))
    monkeypatch.setattr(batched, "backward", lambda *a: pytest.fail("batched kernel on the CPU"))
    model = LeakyRNN(1, 8, 2)
    gradient(model, model.init([0], gaussian()), get_task("romo").sample(4, 0), "eprop")
    assert called


@pytest.mark.neurogym
def test_a_sweep_is_the_same_bits_at_one_thread_and_two(tmp_path):
    question = Sweep(task="2af", rule="bptt", gain=[.5, 1.], seed=range(3), lr=1e-3, steps=8,
                     n_hidden=16)
    answers = []
    for threads in (1, 2):
        set_threads(threads)
        answers.append(question.run(store=Store(tmp_path / str(threads)),
                                    progress=False).drop_vars("seconds"))
    set_threads()
    assert answers[0].identical(answers[1])
