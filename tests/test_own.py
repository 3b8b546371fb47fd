"""Tasks, initializers, optimizers and measures of a user's own: named, swept, stored, computed
elsewhere."""
import importlib
import inspect
import json
import os
import sys

import pytest

import processes
from rnnbio.all import *
from rnnbio.sweeps.cluster import modules_of
from rnnbio.sweeps.runs import own
from rnnbio.sweeps.store import key_of
from rnnbio.tasks.romo import Romo

MODULE = '''
from dataclasses import dataclass
import numpy as np, torch
from rnnbio.all import INITIALIZERS, MEASURES, OPTIMIZERS, TASKS, Task

@TASKS.add
@dataclass(frozen=True)
class Echo(Task):
    "Hold the first input and say it `delay` steps later."
    delay:int = 3
    name, loss, n_in, n_out = "echo_{here}", "squared error", 1, 1
    @property
    def steps(self): return self.delay + 1
    def draw(self, rng, n_trials):
        x = np.zeros((self.steps, n_trials, 1))
        x[0] = {scale} * rng.standard_normal((n_trials, 1))
        mask = np.arange(self.steps)[:, None] == self.delay
        return dict(inputs=x, targets=x[:1] + 0 * x, mask=mask & np.ones((1, n_trials), bool))

@INITIALIZERS.add(name="ring_{here}")
@dataclass(frozen=True)
class ring:
    "Each unit drives the next."
    weight:float = .9
    def __call__(self, n, seeds):
        W = self.weight * torch.eye(n, dtype=torch.float64).roll(1, 0)
        return W.expand(len(seeds), n, n).clone()

@OPTIMIZERS.add(name="decayed_{here}")
@dataclass(frozen=True)
class decayed:
    "Descent on the loss and on half the squared weights."
    decay:float = .01
    def step(self, theta, g, memory, n): return -g - self.decay * theta

@MEASURES.add(name="norm_{here}")
def norm(model, start, params, draw): return params.W_h.norm(dim=(1, 2))
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A user's module on the path, its names its own so that tests do not meet."""
    here = f"m{abs(hash(str(tmp_path))) % 10**9}"
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(scale=1):
        (tmp_path / f"{here}.py").write_text(MODULE.replace("{here}", here)
                                             .replace("{scale}", str(scale)))
        for registry in TASKS, INITIALIZERS, OPTIMIZERS, MEASURES:
            for name in [name for name in registry if name.endswith(here)]:
                del registry[name]
        sys.modules.pop(here, None)
        importlib.invalidate_caches()
        return importlib.import_module(here)

    yield write
    for registry in TASKS, INITIALIZERS, OPTIMIZERS, MEASURES:
        for name in [name for name in registry if name.endswith(here)]:
            del registry[name]


def question(theirs, **changes):
    here = theirs.__name__
    return Sweep(**dict(task=[theirs.Echo(), theirs.Echo(delay=5)], seed=range(2), rule="eprop",
                        recurrent=theirs.ring(.5), optimizer=f"decayed_{here}",
                        measures=f"norm_{here}", every=2, steps=4, n_hidden=5, n_trials=4)
                 | changes)


def test_what_is_ones_own_is_swept_and_stored(module, tmp_path):
    theirs = module()
    sweep, store = question(theirs), Store(tmp_path / "results")
    found = sweep.run(store=store, progress=False)
    here = theirs.__name__
    assert found.task.values.tolist() == [f"echo_{here}", f"echo_{here}(delay=5)"]
    assert found[f"norm_{here}"].dims == ("task", "seed", "at")
    # there and back: the same runs, which are there
    again = Sweep.from_json(sweep.to_json())
    assert [r.key() for r in again.runs()] == [r.key() for r in sweep.runs()]
    before = sorted(store.root.rglob("*.safetensors"))
    assert again.run(store=store, progress=False).identical(found)
    assert sorted(store.root.rglob("*.safetensors")) == before
    # as the network alone, trained by hand
    run = sweep.runs()[0]
    model = LeakyRNN(1, 5, 1)
    alone = train(model, model.init([0], theirs.ring(.5)), theirs.Echo(), "eprop", steps=4,
                  n_trials=4, optimizer=theirs.decayed(), progress=False)
    assert torch.equal(load_params([run.key()], store).W_h, alone.params.W_h)


def test_another_source_is_another_result(module):
    first = question(module(1)).runs()[0]
    assert set(first.config()["own"]) == {name for _, name in own(first)} and len(own(first)) == 4
    before, again = first.config(), question(module(1)).runs()[0]
    assert again.config() == before == first.config()
    other = question(module(2)).runs()[0]
    assert other.key() != key_of(before)
    assert {name for name, stamp in other.config()["own"].items()
            if before["own"][name] != stamp} == {other.task}


def test_ours_is_stamped_with_nothing():
    run = Run(task="romo", rule="eprop", seed=0, recurrent=low_rank(2), optimizer=sgd(.9))
    assert not own(run) and "own" not in run.config()


# as `python script`: its source can be read
RUN = "import runpy, sys; runpy.run_path(sys.argv[1], run_name='__main__')"
NOTEBOOK = """
import warnings
from rnnbio.all import *
import rnnbio.networks.structures as ours
from rnnbio.networks.structures import checked, dataclass, real, structured

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
{source}
run = Run(task="romo", rule="eprop", seed=0, recurrent=ours.sparse(.5))
assert INITIALIZERS["sparse"] is ours.sparse is not sparse
try: same = Run(**run.data() | dict(recurrent=sparse(.5))).key() == run.key()
except ValueError as e: same = str(e)[:40]
print(len(said), same)
"""


def test_a_library_notebook_and_then_the_package(tmp_path):
    """The other way round: what a notebook of the library has named gives way to the module that
    is imported after it."""
    script = tmp_path / "notebook.py"
    script.write_text("from rnnbio.tasks.base import TASKS\n"
                      "from rnnbio.tasks.romo import *\n"
                      "import rnnbio.tasks.romo as ours\n"
                      "for name in dir(ours): globals().setdefault(name, getattr(ours, name))\n"
                      "import warnings; warnings.simplefilter('error')\n"
                      "del TASKS['romo']\n" + inspect.getsource(Romo) + "\n"
                      "assert TASKS['romo'] is Romo\n"
                      "TASKS.add(ours.Romo); assert TASKS['romo'] is ours.Romo is not Romo\n"
                      "assert TASKS.name_of(Romo()) == 'romo'\n")
    done = processes.run(RUN, script)
    assert not done.returncode, done.stderr


@pytest.mark.parametrize("edited", [False, True])
def test_a_library_notebook_that_is_run_defines_what_is_there(edited, tmp_path):
    """A notebook of the library, run where the package is loaded, defines our names once more:
    word for word they are ours; edited they are not, and nothing is stored under our name."""
    source = "".join(f"    {line}" for line in inspect.getsource(sparse).splitlines(True))
    assert source.startswith("    @INITIALIZERS.add") and source.count("def ") > 0
    if edited:
        source = source.rstrip() + "\n        def edited(self): pass\n"
    script = tmp_path / "notebook.py"
    script.write_text(NOTEBOOK.replace("{source}", source))
    done = processes.run(RUN, script)
    assert not done.returncode, done.stderr
    assert done.stdout.split("\n")[0] == ("1 recurrent must be one of gaussian, unifo" if edited
                                          else "0 True")


def test_a_worker_that_cannot_find_it_says_so(module, tmp_path):
    runs = question(module()).runs()
    assert modules_of(runs) == [type(get_task(runs[0].task)).__module__]
    TASKS[runs[0].task].__module__ = "__main__"
    with pytest.raises(ValueError, match="is defined in a notebook or a script.*put it in a module"):
        modules_of(runs)


def test_on_the_command_line(module, tmp_path):
    theirs = module()
    file = tmp_path / "sweep.json"
    file.write_text(question(theirs).to_json())
    ask = lambda *words: processes.run(processes.COMMAND, "run", file, *words,
                                       PYTHONPATH=tmp_path, RNNBIO_RESULTS=tmp_path / "results")
    without = ask()
    assert without.returncode == 1 and "not a sweep that can be read" in without.stderr
    assert "Traceback" not in without.stderr
    found = ask("--import", theirs.__name__)
    assert found.returncode == 0 and "4 runs are in" in found.stdout, found.stderr
    wrong = ask("--import", "no_such_module")
    assert wrong.returncode == 1 and "no_such_module" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_what_has_no_name_is_refused_with_the_way():
    class Nameless:
        n_in, n_out, steps = 1, 2, 4

        def sample(self, n_trials, seed, step=0):
            return get_task("romo").sample(n_trials, seed, step)
    for change in dict(task=Nameless()), dict(recurrent=lambda n, seeds: 0), dict(optimizer=3):
        with pytest.raises((ValueError, TypeError), match="add|task must be"):
            Run(**dict(task="romo", seed=0) | change)


def test_wrapped_tasks_are_swept(tmp_path):
    tasks = [get_task("romo", dt=1.), noisy(get_task("romo", dt=1.), sd=.2),
             finite(shifted("romo", by=.1), size=16), padded("2af", more=3)]
    pytest.importorskip("neurogym")
    sweep = Sweep(task=tasks[:3], seed=range(2), rule="eprop", steps=3, n_hidden=4, n_trials=4)
    store = Store(tmp_path)
    found = sweep.run(store=store, progress=False)
    again = Sweep.from_json(sweep.to_json())
    assert [r.key() for r in again.runs()] == [r.key() for r in sweep.runs()]
    assert len(set(found.key.values.ravel())) == 6
    model = LeakyRNN(1, 4, 2)
    alone = train(model, model.init([1], gaussian()), tasks[2], "eprop", steps=3, n_trials=4,
                  progress=False)
    key = found.key.isel(task=2, seed=1).item()
    assert torch.equal(load_params([key], store).W_h, alone.params.W_h)
    data = json.loads(sweep.to_json())["axes"]["task"][2]
    assert data == {"kind": "finite", "size": 16,
                    "task": {"kind": "shifted", "task": {"kind": "romo"}, "by": .1}}
