"""What a step asks of a GPU, found out without one: the tensors of torch's device "meta" have
shapes but no numbers."""
from functools import partial

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rnnbio.rules import rules
from rnnbio.training import ahead, train as training
from rnnbio.all import *
from rnnbio.training.state import shaped, start_state_of
from rnnbio.training.schedule import Part
from rnnbio.training.train import _trained
from rnnbio.training.updates import one_update

RULE = ["bptt", "eprop", "eprop_state", "rflo", "snap1", "modprop", "mdgl", "tbptt", "rtrl"]


class Asked(TorchDispatchMode):
    """Operations that copy between host and GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        places = {t.device.type for t in (*args, result) if isinstance(t, torch.Tensor) and t.ndim}
        if len(places) > 1:
            self.crossed.append(str(func))
        return result


@pytest.mark.parametrize("rule", RULE)
@pytest.mark.parametrize("name, optimizer", [("romo", "adam"), ("2af", "sgd")])
def test_a_step_neither_waits_nor_copies(rule, name, optimizer):
    """A graph can only record a step that never looks at a number (which would raise here) and
    never crosses between host and GPU."""
    task = get_task(name)
    model = LeakyRNN(task.n_in, 6, task.n_out)
    rule = get_rule(rule, types="dale") if rule in ("mdgl", "modprop") else get_rule(rule)
    batch = task.sample(2, 0)
    with Asked() as asked:
        asked.crossed, there = [], partial(torch.empty, device="meta")
        params = Params(there(3, 6, 6), there(3, 6, task.n_in), there(3, task.n_out, 6),
                        there(3, 6), there(3, task.n_out), seeds=(0, 1, 0))
        trials = batch.map(lambda t: torch.empty((2, *t.shape), dtype=t.dtype, device="meta"))
        trained = _trained(None, params)
        state, which = start_state_of(params, 4, trained), torch.empty(3, dtype=torch.long, device="meta")
        absent = torch.empty(state.theta.shape, dtype=torch.bool, device="meta")
        part = Part(range(4), model, task, 1., 0)
        update = partial(one_update, state, part, shaped(state, params), which,
                         Training(rule, optimizer=optimizer), there(3), (None, absent))
        # what is kept between steps is sent now
        update(trials, 1)
        asked.crossed.clear()
        found = update(trials, torch.empty((), dtype=torch.float64, device="meta"))
        crossings = list(asked.crossed)
        rules._random_feedback.cache_clear()
        update(trials, 3)
        assert bool(asked.crossed) == (rule.feedback == "random"), "a copy would be noticed"
        assert not crossings and found.device.type == "meta" and found.shape == (2, 3)


def test_replaying_a_step_trains_as_repeating_it(monkeypatch):
    """The graph's part played by the work itself: what is held in place is enough for a step."""
    task = get_task("romo")
    model, rates, recorded = LeakyRNN(task.n_in, 8, task.n_out), [1e-3, 1e-2, 1e6, 1e-3], []
    params = Params.cat([model.init(range(3), gaussian()), model.init([0], gaussian(.5))])
    go = lambda **more: train(model, params, task, "bptt", rates, steps=20, n_trials=4,
                              progress=False, floss=flossing(steps=1, every=6), **more)
    plain = go()
    monkeypatch.setattr(ahead, "_recorded", lambda work: recorded.append(1) or work)
    monkeypatch.setattr(training, "compiles", lambda training, params: False)
    monkeypatch.setattr(training, "_captures", lambda params, training, part: True)
    again = go()
    assert (recorded == [1] and again.diverged.identical(plain.diverged) and int(plain.diverged[2])
            > 0)
    torch.testing.assert_close(again.params.W_h, plain.params.W_h, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(torch.tensor(again.loss.values), torch.tensor(plain.loss.values),
                               rtol=1e-4, atol=0, equal_nan=True)


@pytest.mark.neurogym
def test_labels_are_checked_before_they_are_sent():
    task, model = get_task("2af"), LeakyRNN(get_task("2af").n_in, 4, get_task("2af").n_out)
    with pytest.raises(ValueError, match="but the outputs only go from 0 to 0"):
        next(iter(ahead.batches(task, 2, (0,), range(2), 1, torch.float32, torch.device("cpu"))))
    with pytest.raises(ValueError, match="label 9"):
        trials = task.sample(2, 0)
        gradient(model, model.init([0], gaussian()),
                 Trials(trials.inputs, trials.targets * 0 + 9, trials.mask))
