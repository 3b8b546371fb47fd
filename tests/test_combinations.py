"""Every rule, form, initializer and task works with every other; and what a user would do with
the package."""
import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

import processes
from rnnbio.all import *

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tasks():
    # no download
    return cache(lambda name: get_task(name, **{"digits": dict(source="mnist-5k")}.get(name,
                                                                                           {})))


@pytest.mark.parametrize("form", ["current", "rate"])
@pytest.mark.parametrize("initializer", [gaussian(1.2), uniform(1.5)], ids=repr)
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", list_tasks())
def test_every_combination_learns_something(tasks, name, rule, initializer, form):
    task = tasks(name)
    model = LeakyRNN(task.n_in, 8, task.n_out, alpha=.7, form=form)
    start = model.init([0, 1], initializer)
    fit = train(model, start, task, rule, lr=.01, steps=2, n_trials=4, progress=False)
    assert np.isfinite(fit.loss).all() and (fit.diverged == -1).all()
    trials = task.sample(4, 0)
    # without a memory of its input a synapse learns only from what comes in while an answer is
    # asked for
    answered = trials.mask if rule == "eprop_state" else torch.ones_like(trials.mask)
    can_learn = (trials.inputs * answered[..., None]).any()
    for key, before in start.tensors().items():
        changed = (getattr(fit.params, key) != before).flatten(1).any(1)
        assert (changed.all() if key != "W_x" or can_learn
                else not changed.any()), f"{key}: {changed}"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", list_tasks())
def test_every_change_can_be_cut_and_shuffled(tasks, name, rule):
    task = tasks(name)
    model = LeakyRNN(task.n_in, 8, task.n_out, alpha=.7, activation="tanh", bias=False)
    start = model.init([0, 1], gaussian(.9), directions(), directions())
    # cosine has no input: without a state to start from nothing happens
    start = replace(start, h0=start.W_x[..., 0])
    trained = train(model, start, task, rule, lr=.01, steps=2, n_trials=4, trained="W_h",
                    progress=False).params
    trials = task.sample(16, 1)
    losses = truncation_losses(model, start, trained, trials, (0, 8))
    ends = torch.stack([batch_loss(model, p, trials) for p in (start, trained)], 1)
    torch.testing.assert_close(losses, ends)
    assert (change_spectrum(start, trained)[:, 0] > 0).all()
    shuffled = shuffle_initial_weights(start, trained)
    assert torch.isfinite(batch_loss(model, shuffled, trials)).all()


@pytest.mark.parametrize("rule", RULES)
def test_single_precision_agrees_with_double(rule):
    task = get_task("romo")
    model = LeakyRNN(1, 16, 2, alpha=.8, activation="tanh")
    double = model.init(range(3), gaussian(1.), dtype=torch.float64)
    trials = task.sample(8, seed=0)
    exact, rounded = (gradient(model, double.to(dtype), trials.to(dtype), rule)[1].tensors()
                      for dtype in (torch.float64, torch.float32))
    for key in exact:
        scale = exact[key].abs().max()
        assert (exact[key] - rounded[key]).abs().max() < 1e-4 * scale, key


THEORY = scaled("bptt", by="eprop")


@pytest.mark.parametrize("rule", [*RULES, THEORY, scaled("mdgl", by=.5)], ids=str)
def test_a_run_is_itself_in_any_company(rule):
    """Bit for bit on the CPU: alone, first of five, last of five."""
    task = get_task("romo")
    model = LeakyRNN(1, 12, 2)
    five = model.init(range(5), gaussian(1.))
    optimizer = "sgd" if isinstance(rule, scaled) else "adam"
    how = dict(rule=rule, optimizer=optimizer, steps=5, n_trials=8, progress=False)
    together = train(model, five, task, **how)
    for k in (0, 4):
        alone = train(model, five[k], task, **how)
        np.testing.assert_array_equal(alone.loss[0], together.loss[k])
        for key, t in alone.params.tensors().items():
            assert torch.equal(t[0], getattr(together.params, key)[k]), key


def test_a_scaled_rule_goes_on_as_if_it_had_never_stopped(tmp_path):
    task, model = get_task("romo"), LeakyRNN(1, 12, 2)
    start = model.init(range(3), without_autapses(gaussian(1.)))
    how = dict(rule=THEORY, optimizer=sgd(.9), lr=.1, n_trials=8, keep_zeros=True, record=2,
               costs=(l2("W_h", .01),), until=until(.5, every=2), progress=False)
    states = []
    whole = train(model, start, task, steps=6, watch=states.append, **how)
    rest = train(model, start, task, steps=6, resume=states[2], **how)
    for key, t in whole.params.tensors().items():
        assert torch.equal(t, getattr(rest.params, key)), key
    np.testing.assert_array_equal(whole.loss, rest.loss)
    again = Fit.load(whole.save(tmp_path / "fit"))
    assert again.rule == THEORY and repr(again) == repr(whole)


def test_a_scaled_rule_in_a_sweep(tmp_path):
    "Beside plain ones, and in a process that starts from nothing."
    how = dict(task="romo", optimizer="sgd", seed=range(2), n_hidden=8, n_trials=4, steps=4,
               record=2, until=until(.9, every=2), measures="weight_change", every=2)
    sweep = Sweep(rule=["bptt", "eprop", THEORY], **how)
    found = sweep.run("cpu", tmp_path / "a", progress=False)
    assert found.rule.values.tolist() == ["bptt", "eprop", "bptt scaled by eprop"]
    assert np.isfinite(found.loss).all() and (found.loss[0, :, -1] != found.loss[2, :, -1]).all()
    (tmp_path / "sweep.json").write_text(sweep.to_json())
    ask = lambda *words: processes.run(processes.COMMAND, *words, RNNBIO_RESULTS=tmp_path / "b")
    assert ask("run", tmp_path / "sweep.json").returncode == 0
    listed = ask("list").stdout
    assert listed.count("romo bptt scaled by eprop") == 2, listed
    there = Sweep.from_json(sweep.to_json()).run("cpu", tmp_path / "b", progress=False)
    xr.testing.assert_equal(there.drop_vars("seconds"), found.drop_vars("seconds"))
    known, theirs = (load_networks(keys, tmp_path / "b")[1] for keys in (found.key, there.key))
    assert torch.equal(known.W_h, theirs.W_h)
    with pytest.raises(ValueError, match="and optimizer adam do not go together"):
        Sweep(rule=["bptt", THEORY], **how | dict(optimizer="adam"))


def test_networks_of_liu2022_on_digits(tmp_path):
    """Its row-wise MNIST with every setting, small: rows of 28, the last step's cross-entropy, no
    leak, no autapses, a penalty on W_h, W_x and w, a bias of the outputs alone, plain SGD."""
    n = 12
    sweep = Sweep(
        task="digits", task_options=dict(source="mnist-5k"),
        rule=["bptt", "eprop", "rflo", "mdgl", scaled("bptt", by="eprop")], seed=range(2),
        n_hidden=n, alpha=0., bias="output", keep_zeros=True,
        recurrent=without_autapses(gaussian(2**.5)), input=gaussian(2**.5),
        output=uniform((6 * n / (n + 10))**.5),                          # Glorot
        costs=(l2("W_h", .01), l2("W_x", .01), l2("w", .01)),
        optimizer="sgd", lr=.01, n_trials=16, steps=3)
    found = sweep.run("cpu", tmp_path, progress=False)
    assert np.isfinite(found.loss).all()
    model, params = load_networks(found.key, tmp_path)
    _, start = load_networks(found.key, tmp_path, start=True)
    assert not params.W_h.diagonal(dim1=1, dim2=2).any() and params.b is None
    assert not start.b_out.any() and params.b_out.any(1).all()
    limit = (6 / (n + 10))**.5
    assert .95 * limit < start.w.abs().max() < limit
    assert abs(start.W_x.std() - (2 / 28)**.5) < .02
    # rules differ in what they change, not in where they start, nor in how they read out
    assert torch.equal(start.W_h[::2], start.W_h[:1].expand(5, -1, -1))
    assert len({p.numpy().tobytes() for p in params.W_h[::2]}) == 5
    digits = get_task("digits", source="mnist-5k")
    learned, clean = digits.sample(2000, 0), digits.probe(1000)
    for test in clean, noisy(digits, sd=.2, clip=True).probe(1000):
        gap = generalization_gap(model, params, learned, test)
        assert gap.shape == (10,) and gap.abs().max() < 20
    assert gap_label(clean) == "train - test accuracy (percentage points)"


def test_equal_seeds_see_equal_trials_whatever_the_gain():
    task = get_task("romo")
    model = LeakyRNN(1, 8, 2)
    weak, strong = (model.init([3, 7], gaussian(g)) for g in (.5, 1.))
    torch.testing.assert_close(2 * weak.W_h, strong.W_h)
    both = train(model, Params.cat([weak, weak]), task, steps=3, n_trials=4, progress=False)
    np.testing.assert_array_equal(both.loss[:2], both.loss[2:])
    assert (both.loss[0] != both.loss[1]).all()


def test_readme_example_runs_as_written():
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S).group(1)
    assert len(code.strip().splitlines()) <= 8
    scope = {}
    exec(code, scope)
    fit, task = scope["fit"], scope["task"]
    assert (fit.loss.shape == (5, 2000) and float(fit.loss[:, -200:].mean())
            < task.references()["silent"])


def test_readme_sweep_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNBIO_RESULTS", str(tmp_path))
    monkeypatch.setenv("RNNBIO_QUIET", "1")
    code = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(),
                      re.S)[1].replace("steps=2000", "steps=3")
    scope = {}
    exec("from rnnbio.all import *\n" + code, scope)
    assert (scope["runs"].loss.shape == (2, 3, 5, 3) and set(scope["runs"].lr_note.values.ravel())
            <= {"", "lowest of the grid", "highest of the grid"})


@pytest.mark.parametrize("wrong, says", [
    (dict(rule="e_prop"), "did you mean 'eprop'"),
    (dict(optimizer="adamw"), "optimizer must be one of adam, sgd"),
    (dict(lr=[1e-3] * 3), "one for each of 2 runs; got 3"),
    (dict(lr=-1.), "lr must lie in"),
    (dict(steps=0), "steps must be a whole number"),
    (dict(task="romo"), "task must have n_in"),
])
def test_training_refuses_before_work(wrong, says):
    model = LeakyRNN(1, 8, 2)
    arguments = dict(model=model, params=model.init([0, 1], gaussian()), task=get_task("romo"),
                     steps=2) | wrong
    with pytest.raises((ValueError, TypeError), match=re.escape(says)):
        train(**arguments)


def test_a_tensor_without_gradient_raises(monkeypatch):
    import rnnbio.training.updates as module
    real = module.training_gradient

    def forgetful(*args):
        loss, accuracy, grads = real(*args)
        return loss, accuracy, Params(grads.W_h, grads.W_x, grads.w, None, grads.b_out,
                                      seeds=grads.seeds)

    monkeypatch.setattr(module, "training_gradient", forgetful)
    model = LeakyRNN(1, 8, 2)
    with pytest.raises(RuntimeError, match="left b without gradient"):
        train(model, model.init([0], gaussian()), get_task("romo"), "rtrl", steps=1, n_trials=2,
              progress=False)
