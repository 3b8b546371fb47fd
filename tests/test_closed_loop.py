"""A task that replies to answers, in training: what each network sees depends on its own weights."""
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from rnnbio.all import *
from rnnbio.base.threads import set_threads
from rnnbio.networks.dynamics import skips_of
from rnnbio.rules import gradient as gradients
from rnnbio.rules.oracles import autograd_gradient
from rnnbio.tasks.reversal import Reversal
from rnnbio.training import train as train_module

TASK = Reversal(dt=25.0, scale=0.25, length=3)
MODEL = LeakyRNN(4, 6, 2, alpha=0.7, form="rate_outer", noise=ou(0.1, 5.0))
TRAINING = dict(
    lr=3e-2,
    n_trials=8,
    steps=9,
    costs=(l1("rates", 1e-3),),
    skips=(sctt(2), strategic(4)),
    schedule=(stage(0, beta=0.5), stage(5, beta=1.0)),
    progress=False,
)


def networks(n=3, dtype=torch.float32):
    return MODEL.init(range(n), gaussian(1.2), dtype=dtype)


def same(a, b):
    return all(torch.equal(t, getattr(b, name)) for name, t in a.tensors().items())


def test_every_update_is_on_the_network_s_own_answers():
    """Plain gradient descent, by autograd with the feedback of the weights of that moment."""
    params = networks(2, torch.float64)
    settings = TRAINING | dict(optimizer="sgd", lr=0.3)
    fit, p = train(MODEL, params, TASK, **settings), params
    other = 0
    for n in range(9):
        beta, skips = (0.5 if n < 5 else 1.0), TRAINING["skips"]
        moved, loss = [], []
        for k, seed in enumerate((0, 1)):
            drawn = TASK.sample(8, seed, n).to(torch.float64)
            mixed = skips_of(skips, beta, drawn)
            own, _ = closed_loop(TASK, lambda x: MODEL(p[k], x, n, mixed)[1], drawn)
            other += (own.inputs != drawn.inputs).any().item()
            given = (TRAINING["costs"], n, *((skips, beta) if beta < 1 else ()))
            one, g = autograd_gradient(MODEL, p[k], own, "bptt", *given)
            moved.append({name: t - 0.3 * getattr(g, name) if name != "h0" else t
                          for name, t in p[k].tensors().items()})
            loss.append(one)
        assert torch.allclose(torch.cat(loss), torch.from_numpy(fit.loss.values[:, n]), rtol=1e-9)
        p = replace(p, **{name: torch.cat([m[name] for m in moved]) for name in moved[0]})
    assert other > 9
    for name, t in fit.params.tensors().items():
        torch.testing.assert_close(t, getattr(p, name), rtol=1e-9, atol=1e-12)


def test_alone_in_company_resumed_and_on_one_thread_the_same_bits():
    params, states = networks(), []
    whole = train(MODEL, params, TASK, **TRAINING, watch=states.append)
    assert same(train(MODEL, params, TASK, **TRAINING).params, whole.params)     # many at once
    for state in states[1:8:3]:
        again = train(MODEL, params, TASK, **TRAINING, resume=state)
        assert again.data.identical(whole.data) and same(again.params, whole.params)
    try:
        set_threads(1)
        for k in range(3):
            alone = train(MODEL, params[k], TASK, **TRAINING)
            assert same(alone.params, whole.params[k])
    finally:
        set_threads()
    # two runs of one seed share its batch, not the feedback
    twice = train(MODEL, type(params).cat([params, params[:1]]), TASK,
                  **TRAINING | dict(lr=(3e-2, 3e-2, 3e-2, 1e-2)))
    assert same(twice.params[:3], whole.params) and not same(twice.params[3], whole.params[0])


def test_updates_in_torch_are_those_of_the_compiled_pass(monkeypatch):
    """What a GPU does, and what any rule or optimizer does that is not compiled."""
    params = networks(2, torch.float64)
    quick = train(MODEL, params, TASK, **TRAINING)
    monkeypatch.setattr(train_module, "compiles", lambda training, params: False)
    slow = train(MODEL, params, TASK, **TRAINING)
    monkeypatch.setattr(gradients, "_compiled", gradients._in_torch)
    torch_alone = train(MODEL, params, TASK, **TRAINING)
    for fit in slow, torch_alone:
        for name, t in fit.params.tensors().items():
            torch.testing.assert_close(t, getattr(quick.params, name), rtol=1e-8, atol=1e-10)


def test_scores_are_of_the_closed_loop_and_sweeps_have_it(tmp_path):
    plain = replace(TASK, jitter=0.0)
    how = until(2.0, every=3, n_trials=16, task=plain)
    settings = {k: v for k, v in TRAINING.items() if k != "progress"} | dict(
        task=TASK, n_hidden=6, alpha=0.7, form="rate_outer", noise=ou(0.1, 5.0), gain=1.2)
    sweep = Sweep(seed=range(2), until=how, **settings)
    found = sweep.run(store=tmp_path / "a", progress=False)
    fit = train(MODEL, networks(2), TASK, until=how, **TRAINING)
    np.testing.assert_array_equal(found.loss, fit.loss.astype(np.float32))
    drawn = [plain.sample(16, s, 2**33 + 8) for s in range(2)]
    for k in range(2):
        _, said = closed_loop(plain, lambda x: answers(MODEL, fit.params[k], x, 2**31 + 8), drawn[k])
        assert float(found.score[k, -1]) == pytest.approx(float(drawn[k].accuracy(said)), abs=1e-6)
    again = Sweep.from_json(sweep.to_json())
    assert again.run(store=tmp_path / "a", progress=False).identical(found)
    one = Sweep(seed=[1], until=how, **settings).run(store=tmp_path / "b", progress=False)
    assert one.loss.values.tobytes() == found.loss.sel(seed=[1]).values.tobytes()


def test_stored_runs_say_that_the_loop_is_closed():
    assert Run(task="reversal", seed=0).config()["versions"]["replies"] == 1
    assert "replies" not in Run(task="romo", seed=0).config()["versions"]


@dataclass(frozen=True, eq=False, repr=False)
class Impatient(Reversal):
    def replies(self, trials):
        found = super().replies(trials)
        return found._replace(begins=found.asks)


@dataclass(frozen=True, eq=False, repr=False)
class Wordless(Reversal):
    def replies(self, trials):
        return {}


@pytest.mark.parametrize("task, says", [(Impatient, "must follow their questions"),
                                        (Wordless, "task.replies must give Replies")])
def test_replies_that_cannot_be_are_refused_before_any_work(task, says):
    with pytest.raises((ValueError, TypeError), match=says):
        train(MODEL, networks(), task(dt=25.0, scale=0.25), steps=2, progress=False)


@pytest.mark.parametrize("wrapper", [noisy, shifted, padded, finite])
def test_what_would_lose_the_replies_is_refused(wrapper):
    with pytest.raises(ValueError, match="replies to answers.*cannot be wrapped"):
        wrapper(TASK)
