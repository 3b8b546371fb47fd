"""Settings of a sweep come from numpy, torch, pandas, xarray, as fractions: they become Python's
numbers when it is made, or are refused then."""
import decimal
import fractions
import json

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from rnnbio.rules.rules import get_rule
from rnnbio.networks.initializers import gaussian
from rnnbio.sweeps.runs import Run
from rnnbio.sweeps.store import Store
from rnnbio.sweeps.rates import best_lr, choose_lr
from rnnbio.sweeps.sweep import Sweep, along

BASE = dict(task="romo", rule="bptt", gain=.5, seed=0, lr=.5, steps=2, n_hidden=4, n_trials=2)


def keys(**settings):
    return [run.key() for run in Sweep(**BASE | settings).runs()]


HALF = [np.float64(.5), np.float32(.5), np.longdouble(.5), np.array(.5), torch.tensor(.5),
        torch.tensor(.5, requires_grad=True), xr.DataArray(.5), pd.Series([.5])[0],
        fractions.Fraction(1, 2), decimal.Decimal("0.5")]


@pytest.mark.parametrize("half", HALF, ids=lambda v: type(v).__name__)
@pytest.mark.parametrize("name", ["gain", "lr", "alpha"])
def test_one_number_whatever_its_library(name, half):
    assert keys(**{name: half}) == keys(**{name: .5})


@pytest.mark.parametrize("half", HALF, ids=lambda v: type(v).__name__)
def test_numbers_inside_options_and_specifications(half):
    spec = dict(task_options=dict(dt=half), recurrent=dict(kind="gaussian", gain=half))
    plain = dict(task_options=dict(dt=.5), recurrent=gaussian(.5))
    without = {name: v for name, v in BASE.items() if name != "gain"}
    assert Run(**without | spec).key() == Run(**without | plain).key()
    sweep = Sweep(**without | spec)
    assert sweep.runs()[0].key() == Sweep(**without | plain).runs()[0].key()
    assert json.loads(sweep.to_json())["fixed"]["task_options"] == {"dt": .5}


@pytest.mark.parametrize("whole", [np.int64(3), np.uint8(3), np.array(3), torch.tensor(3),
                                   pd.Index([3])[0],
                                   xr.DataArray(3)], ids=lambda v: type(v).__name__)
def test_whole_numbers(whole):
    for name in ("seed", "steps", "n_hidden", "n_trials"):
        assert keys(**{name: whole}) == keys(**{name: 3})


AXES = [np.array([.25, .5]), torch.tensor([.25, .5]), pd.Series([.25, .5], index=[7, 3]),
        pd.Index([.25, .5]), xr.DataArray([.25, .5], dims="g"), (.25, .5),
        [np.float64(.25), torch.tensor(.5)], np.array([.25, .5], dtype=object)]


@pytest.mark.parametrize("axis", AXES, ids=lambda v: type(v).__name__)
def test_arrays_of_every_library_are_axes(axis):
    sweep = Sweep(**BASE | dict(gain=axis))
    assert sweep.axes == dict(gain=[.25, .5]) and all(type(v) is float for v in sweep.axes["gain"])
    assert [run.key() for run in sweep.runs()] == keys(gain=[.25, .5])
    assert (Sweep(**BASE | dict(seed=[1, 2], lr=along("seed", axis))).to_json()
            == Sweep(**BASE | dict(seed=[1, 2], lr=along("seed", [.25, .5]))).to_json())
    assert best_lr(axis) == best_lr((.25, .5))


def test_names_and_flags():
    assert (keys(rule=pd.Series(["bptt", "eprop"])) == keys(rule=np.array(["bptt", "eprop"]))
            == keys(rule=["bptt", "eprop"]))
    assert keys(rule=np.str_("bptt"),
                bias=np.False_) == keys(bias=torch.tensor(False)) == keys(bias=False)
    assert keys(measures=np.array(["weight_change"]),
                every=np.int64(1)) == keys(measures=("weight_change",), every=1)


def test_what_is_accepted_is_answered(tmp_path):
    """A setting of torch once was trained for, and then could not be written."""
    sweep = Sweep(**BASE | dict(lr=torch.tensor([.25, .5]), gain=np.array(.5),
                                rule=[get_rule("tbptt", name=f"w{w}", window=w)
                                      for w in np.arange(2, 4)]))
    runs = sweep.run(store=str(tmp_path), progress=False)
    assert Sweep.from_json(runs.sweep).to_json() == sweep.to_json() and runs.loss.shape == (2, 2, 2)
    assert len(Store(tmp_path).keys()) == 4


@pytest.mark.parametrize("change, says", [
    (dict(gain=np.eye(2)),
     r"gain must be one value, or several along one axis, got a ndarray of shape \[2, 2\]"),
    (dict(seed=pd.DataFrame(dict(a=[1]))), "seed must be one value, or several along one axis"),
    (dict(gain=torch.ones(2, 2)), "gain must be one value"),
    (dict(gain=torch.tensor(1 + 1j)), "gain must be a finite number|gain must lie"),
    (dict(gain=np.array([.5, np.nan])), r"gain\[1\] must be a finite number"),
    (dict(gain=decimal.Decimal("NaN")), "gain must be a finite number"),
    (dict(lr=torch.tensor(np.inf)), "lr must be a finite number"),
    (dict(gain=np.array([])), "axis gain must hold different values"),
    (dict(seed=np.array([1, 1])), "axis seed must hold different values"),
    (dict(seed=torch.tensor(.5)), "seed must be a whole number"),
    (dict(seed=2**63), "seed must be a number below 2"),
    (dict(seed=np.array([2**63], dtype=np.uint64)), r"seed\[0\] must be a number below 2"),
    (dict(seed=range(2**63, 2**63 + 2)), r"seed\[0\] must be a number below 2"),
    (dict(seed={0, 1}), "seed must be a whole number, got {0, 1}"),
    (dict(gain={.5, 1.}), "gain must lie|gain must be a finite number"),
    (dict(task_options=dict(dt=object())), "task_options.dt must be plain data"),
    (dict(seed=pd.NaT), "seed"), (dict(seed=np.datetime64("2020-01-01")), "seed")])
def test_refused_when_made(change, says):
    with pytest.raises((ValueError, TypeError), match=says):
        Sweep(**BASE | change)


@pytest.mark.parametrize("make, says", [
    (lambda: best_lr(seeds=(2**63,)), "seeds must be a whole number below 2"),
    (lambda: best_lr(3), "grid of best_lr must be several numbers"),
    (lambda: best_lr(("a", "b")), "grid must"),
    (lambda: along(3, [1]), "axis of along must be text, got 3"),
    (lambda: along("seed", 3), "values of along.'seed', .... must be one for each"),
    (lambda: choose_lr({}), "losses must hold"),
    (lambda: choose_lr({"a": [[1.]]}), "rate must be a finite number"),
    (lambda: choose_lr({1e-3: [1.]}), "the loss at rate 0.001 must have 2 axes"),
    (lambda: Sweep(**BASE).run(store=3), "store must be a Store or a folder, got 3"),
    (lambda: Sweep(**BASE).run(client="tcp://here"), "client must be a distributed.Client"),
    (lambda: Sweep(**BASE).estimate(store={}), "store must be a Store"),
    (lambda: Sweep(**BASE).estimate(steps="all"), "steps must be a whole number of at least 2")])
def test_other_wrong_arguments(make, says):
    with pytest.raises((ValueError, TypeError), match=says):
        make()


def test_a_sweep_can_be_read():
    said = repr(Sweep(**BASE | dict(gain=[.25, .5], seed=range(60))))
    assert said.splitlines()[0].split() == ["gain", "2", "0.25,",
                                            "0.5"] and said.endswith("\n120 runs")
    assert "fixed" in said and "task=romo" in said and max(map(len, said.splitlines())) <= 100


def test_measures_have_one_order(tmp_path):
    """The file's own order differs from one reading to the next."""
    names = ["weight_change", "cka", "gradient_norm", "sign_similarity", "eprop_alignment",
             "change_spectrum"]
    sweep = Sweep(**BASE | dict(measures=names, every=1))
    orders = [[str(n) for n in sweep.run(store=tmp_path, progress=False).data_vars if n in names]
              for _ in range(4)]
    assert orders == [sorted(names)] * 4
