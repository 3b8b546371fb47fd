"""Noise, skips, costs, forms, schedules and stages: in training, in sweeps, in any company."""
import itertools
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from rnnbio.all import *
from rnnbio.base.trials import stack_trials
from rnnbio.base.threads import set_threads
from rnnbio.rules.oracles import autograd_gradient


@TASKS.add(name="held", version=1)
@dataclass(frozen=True, eq=False, repr=False)
class Held(Task):
    """A number is shown and asked for at the end: two steps to settle, three periods."""
    dt: float = 1.0

    name, n_in, n_out, loss = "held", 1, 2, "squared error"
    input_names, output_names = ("number",), ("number", "its square")

    def __post_init__(self):
        vars(self).update(steps=2 + int(12 / self.dt))

    def draw(self, rng, n_trials):
        T, number = self.steps, rng.uniform(0, 1, n_trials)
        period = np.minimum(np.arange(T) * 3 // T, 2)
        inputs = np.where(period == 0, 1.0, 0.0)[:, None, None] * number[:, None]
        targets = np.stack([number, number**2], -1) * np.ones((T, 1, 1))
        mask = (period == 2)[:, None] * np.ones(n_trials)
        return dict(inputs=inputs, targets=targets, mask=mask, period=period, settle=2)


LEAKS = tuple(np.linspace(0.5, 0.9, 6))
NETWORK = dict(n_hidden=6, alpha=[LEAKS], form="rate_outer", readout="sigmoid", noise=ou(0.1, 5.0))
TRAINING = dict(
    rule="eprop",
    lr=3e-3,
    n_trials=5,
    costs=(l1("rates", 1e-3), l2("W_h", 1e-3)),
    rate=(warm_up(3), decay(0.9, 5)),
    skips=(sctt(3), dasc(2)),
    schedule=(stage(0, beta=0.5), stage(4, beta=0.8, fresh=True), stage(8, beta=1.0)),
)


def networks(**changes):
    model = LeakyRNN(1, 6, 2, alpha=LEAKS, form="rate_outer", readout="sigmoid", noise=ou(0.1, 5.0))
    model = replace(model, **changes)
    return model, model.init(range(3), gaussian(0.8), dtype=torch.float64)


def test_training_is_plain_torch_with_everything():
    """Twelve updates against autograd's gradient and an Adam written out."""
    (model, params), task = networks(), Held()
    fit = train(model, params, task, steps=12, **TRAINING, progress=False)
    theta, mean, square = params, {}, {}
    for n in range(12):
        beta = 0.5 if n < 4 else 0.8 if n < 8 else 1.0
        if n in (0, 4):
            since, mean, square = n, {}, {}
        trials = stack_trials([task.sample(5, s, n).to(torch.float64) for s in range(3)])
        loss, g = autograd_gradient(
            model, theta, trials, "eprop", TRAINING["costs"], n, TRAINING["skips"], beta
        )
        assert torch.allclose(torch.from_numpy(fit.loss.values[:, n]), loss, rtol=1e-9)
        moved, k = {}, n - since + 1
        for name, gradient in g.tensors().items():
            mean[name] = 0.9 * mean.get(name, 0) + 0.1 * gradient
            square[name] = 0.999 * square.get(name, 0) + 0.001 * gradient**2
            step = (mean[name] / (1 - 0.9**k)) / ((square[name] / (1 - 0.999**k)).sqrt() + 1e-8)
            lr = 3e-3 * min(1, (n + 1) / 3) * 0.9 ** (n / 5)
            moved[name] = getattr(theta, name) - lr * step
        theta = replace(theta, **moved)
    for name, t in fit.params.tensors().items():
        torch.testing.assert_close(t, getattr(theta, name), rtol=1e-8, atol=1e-10)


def test_resumed_across_every_border_with_the_same_bits():
    (model, params), states = networks(), []
    settings = dict(task=Held(), steps=12, **TRAINING, progress=False)
    whole = train(model, params, **settings, watch=states.append)
    for state in states[:-1]:
        again = train(model, params, **settings, resume=state)
        assert again.data.identical(whole.data), state.step
        for name, t in whole.params.tensors().items():
            assert torch.equal(getattr(again.params, name), t), state.step


def test_time_gets_finer_and_tasks_change():
    schedule = (stage(0, coarse=4), stage(5, coarse=2, fresh=True), stage(10, coarse=1))
    model = LeakyRNN(1, 6, 2, alpha=0.9, form="rate_outer", noise=ou(0.1, 10.0))
    params = model.init([0, 1], gaussian(0.8))
    fine = train(model, params, Held(dt=0.5), steps=15, schedule=schedule, progress=False)
    assert np.isfinite(fine.loss).all() and fine.data.attrs["task"] == "held"
    # its first stage is a training of its own on the coarser network and task
    coarse = train(model.coarser(4), params, Held(dt=2.0), steps=5, progress=False)
    np.testing.assert_array_equal(fine.loss[:, :5], coarse.loss)
    # stages that change nothing in the network leave its numbers to the last bit
    odd = LeakyRNN(1, 6, 2, alpha=1 / 3)
    staged = train(odd, params, Held(), steps=3, schedule=(stage(0, fresh=True),), progress=False)
    straight = train(odd, params, Held(), steps=3, progress=False)
    assert torch.equal(staged.params.W_h, straight.params.W_h)
    two = train(LeakyRNN(1, 6, 2), params, get_task("romo"), steps=6, progress=False,
                schedule=(stage(3, task="held"),))
    assert two.data.attrs["task"] == "romo, then held"
    alone = train(LeakyRNN(1, 6, 2), params, get_task("romo"), steps=3, progress=False)
    np.testing.assert_array_equal(two.loss[:, :3], alone.loss)


def test_a_sweep_of_everything_and_back(tmp_path):
    sweep = Sweep(task="held", seed=range(3), **NETWORK, **TRAINING | dict(steps=10))
    late = Sweep(task="held", n_hidden=6, seed=range(2), steps=500, skips=(sctt(3),),
                 schedule=(stage(400, beta=0.5),), until=until(0.9, every=50))
    assert late.estimate(store=tmp_path / "none").minutes > 0
    found = sweep.run(store=tmp_path / "a", progress=False)
    again = Sweep.from_json(sweep.to_json())
    assert [r.key() for r in again.runs()] == [r.key() for r in sweep.runs()]
    assert again.run(store=tmp_path / "a", progress=False).identical(found)
    # a run is itself: alone, on one thread, with the same bits
    try:
        set_threads(1)
        alone = Sweep(task="held", seed=[2], **NETWORK, **TRAINING | dict(steps=10))
        one = alone.run(store=tmp_path / "b", progress=False)
    finally:
        set_threads()
    assert one.loss.values.tobytes() == found.loss.sel(seed=[2]).values.tobytes()
    model, params = load_networks(found.key, store=tmp_path / "a")
    assert model == LeakyRNN(1, 6, 2, LEAKS, "relu", True, "rate_outer", "sigmoid", ou(0.1, 5.0))
    assert len(params) == 3


def test_a_run_stops_when_it_is_good_enough(tmp_path):
    """Each by its own score; frozen then, resumed with the same bits, and recorded."""
    task, model = Held(), LeakyRNN(1, 6, 2, alpha=0.5)
    params, states = model.init(range(3), gaussian(0.8)), []
    how = until(0.03, every=5, times=2, score="loss", n_trials=20)
    settings = dict(lr=1e-2, steps=200, until=how, progress=False)
    fit = train(model, params, task, **settings, watch=states.append)
    plain = train(model, params, task, lr=1e-2, steps=200, progress=False)
    stopped = fit.data.stopped.values
    # one of them never gets there
    assert stopped[0] == -1 and stopped[1] != stopped[2] and (stopped[1:] % 5 == 0).all()
    assert np.isfinite(fit.loss[0]).all()
    for k, end in list(enumerate(stopped))[1:]:
        score, loss = fit.data.score.values[k], fit.loss.values[k]
        reached = score[: end // 5] <= 0.03
        assert reached[-2:].all() and not (reached[1:-1] & reached[:-2]).any()
        assert np.isnan(score[end // 5 :]).all() and np.isnan(loss[end:]).all()
        np.testing.assert_array_equal(loss[:end], plain.loss.values[k, :end])
        alone = train(model, params[k], task, **settings)
        assert torch.equal(alone.params.W_h[0], fit.params.W_h[k])
    resumed = train(model, params, task, **settings, resume=states[stopped[2] + 2])
    assert resumed.data.identical(fit.data)
    sweep = Sweep(task="held", seed=range(3), n_hidden=6, alpha=0.5, gain=0.8, lr=1e-2, steps=200,
                  until=how, record=10)
    found = sweep.run(store=tmp_path, progress=False)
    np.testing.assert_array_equal(found.stopped, stopped)
    np.testing.assert_array_equal(found.step, np.arange(0, 200, 10))
    np.testing.assert_array_equal(found.loss[:, :3], fit.loss[:, :30:10].astype(np.float32))
    assert found.score.dims == ("seed", "evaluated") and found.evaluated[-1] == 200
    assert Sweep.from_json(sweep.to_json()).run(store=tmp_path, progress=False).identical(found)


@dataclass(frozen=True, eq=False, repr=False)
class Judged(Held):
    def score(self, outputs, trials):
        return -((outputs - trials.targets) ** 2).mean((1, 2, 3))


def test_scores_of_the_tasks_own_and_what_until_refuses():
    model = LeakyRNN(1, 6, 2, alpha=0.5)
    params = model.init([0], gaussian(0.8))
    how = until(0.0, every=3, score="task")
    fit = train(model, params, Judged(), steps=6, until=how, progress=False)
    assert (fit.data.score < 0).all() and (fit.data.stopped == -1).all()
    with pytest.raises(ValueError, match="needs a task with score"):
        train(model, params, Held(), steps=6, until=how, progress=False)
    with pytest.raises(ValueError, match=r"until's task has \(n_in, n_out\)"):
        train(model, params, Held(), steps=6, until=replace(how, task="mante"), progress=False)
    with pytest.raises(ValueError, match="until.every must be at most the 6 steps"):
        Training(steps=6, until=until(0.5, every=7))


def test_schedules_are_an_axis(tmp_path):
    methods = [(stage(0, beta=0.5), stage(2, beta=1.0)), (stage(0, beta=0.2), stage(3, beta=1.0))]
    sweep = Sweep(task="held", seed=[0], n_hidden=4, steps=5, n_trials=3, skips=(sctt(3),),
                  schedule=methods)
    assert sweep.coords()["schedule"][0] == "stage(at=0, beta=0.5), stage(at=2, beta=1.0)"
    found = sweep.run(store=tmp_path, progress=False)
    assert found.loss.sizes["schedule"] == 2
    assert not np.array_equal(*found.loss.squeeze().transpose("schedule", "step").values)
    assert Sweep.from_json(sweep.to_json()).run(store=tmp_path, progress=False).identical(found)


def test_a_fit_is_saved_with_its_noise(tmp_path):
    model, params = networks()
    fit = train(model, params, Held(), steps=2, progress=False)
    again = Fit.load(fit.save(tmp_path / "fit"))
    assert again.model == model and again.model.noise == ou(0.1, 5.0)


def test_what_is_not_asked_for_leaves_keys_alone():
    plain = Run(task="romo", seed=0).config()
    new = {"noise", "readout", "costs", "rate", "skips", "schedule", "until", "record"}
    assert not new & set(plain)
    asked = dict(noise=white(0.1), readout="sigmoid", costs=[l1("w", 0.1)], rate=[decay()],
                 skips=[sctt(3)], schedule=[stage(0, beta=0.5)], until=until(0.9), record=5)
    assert new <= set(Run(task="romo", seed=0, **asked).config())


@pytest.mark.parametrize("wrong, says", [
    (dict(alpha=[(0.5, 0.5)]), "one for each of 6 units, got 2"),
    (dict(noise=dict(kind="ou", size=0.1, tau=0.5)), "tau must lie in"),
    (dict(skips=[dict(kind="sctt", theta=0)]), "theta must be"),
    (dict(skips=(sctt(3),)), "go together"),
    (dict(schedule=(stage(0, beta=0.5),)), "go together"),
    (dict(schedule=(stage(5, fresh=True), stage(3, fresh=True))), "stages in order"),
    (dict(schedule=(stage(99, fresh=True),)), "of the 10 updates"),
    (dict(costs=("rates",)), "costs must be one of l1, l2"),
    (dict(costs=(dict(kind="l1", of="h", size=1.0),)), "of must be one of rates"),
    (dict(readout="softmax"), "readout must be one of linear, sigmoid"),
    (dict(form="rate_inner"), "form must be one of current, rate, rate_outer"),
    (dict(rate=(dict(kind="decay", every=0),)), "every must be"),
])
def test_what_makes_no_sense_is_refused_before_any_work(wrong, says):
    with pytest.raises((ValueError, TypeError), match=says):
        Sweep(task="held", seed=[0], n_hidden=6, **dict(steps=10) | wrong)


def test_labels_have_no_sigmoid():
    model = LeakyRNN(3, 6, 3, readout="sigmoid")
    trials = Trials(torch.zeros(4, 2, 3), torch.zeros(4, 2, dtype=torch.int64), torch.ones(4, 2))
    with pytest.raises(ValueError, match="readout='linear', got readout='sigmoid'"):
        gradient(model, model.init([0], gaussian()), trials)


def test_several_windows_of_equal_weight():
    """A mask of 1/length in each window: squared errors weigh as the windows do."""
    out, target = torch.randn(1, 10, 3, 2), torch.randn(10, 3, 2)
    mask = torch.zeros(10, 3)
    mask[1:3], mask[5:10] = 1 / 2, 1 / 5
    loss = Trials(torch.zeros(10, 3, 1), target, mask).loss(out)
    windows = [((out[0] - target)[w] ** 2).mean() for w in (slice(1, 3), slice(5, 10))]
    torch.testing.assert_close(loss[0], sum(windows) / 4)


@pytest.mark.parametrize("form, rule", itertools.product(
    ("current", "rate", "rate_outer"), ("bptt", "eprop", "rflo", "snap1", "modprop", "mdgl")))
def test_skips_shorten_the_way_of_credit(form, rule):
    """An error 60 steps after a pulse: with SCTT every rule of the table reaches it."""
    model = LeakyRNN(1, 8, 1, alpha=0.7, form=form, activation="tanh", bias=False)
    params = model.init([0, 1], gaussian(0.3), dtype=torch.float64)
    inputs, mask = torch.zeros(60, 1, 1, dtype=torch.float64), torch.zeros(60, 1)
    inputs[0], mask[-1] = 1, 1
    trials = Trials(inputs, torch.ones(60, 1, 1, dtype=torch.float64), mask)
    plain = gradient(model, params, trials, rule)[1].W_x.norm()
    short = gradient(model, params, trials, rule, skips=(sctt(20),), beta=0.5)[1].W_x.norm()
    assert short > 10 * plain
