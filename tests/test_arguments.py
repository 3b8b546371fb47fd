"""Every public function, every argument, thirty wrong values.

Each is refused in words that name the argument, or means something. The functions and their arguments are
read from the package, so a new one has to be given an example here. RNNBIO_FUZZ=long goes on with two wrong
arguments at once, 20,000 draws.
"""

import faulthandler
import importlib
import inspect
import math
import os
import pkgutil
import random
import re
import warnings
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import rnnbio
from rnnbio.all import *
from rnnbio.base.checks import _check_of, shown
from rnnbio.rules.oracles import autograd_gradient
from test_fuzz import soon

matplotlib.use("agg")
faulthandler.enable()
LONG = os.environ.get("RNNBIO_FUZZ") == "long"
FIXTURES = Path(__file__).parent / "fixtures"


class Something:
    """An object of no kind that anything takes."""

    def __repr__(self):
        return "Something()"


WRONG = [
    None,
    True,
    0,
    -1,
    1.5,
    math.nan,
    math.inf,
    -math.inf,
    2**63,
    10**400,
    "",
    "x",
    "../x\0",
    b"x",
    [],
    {},
    set(),
    [None],
    ["x"],
    [math.nan],
    Something(),
    len,
    int,
    1j,
    np.array("x"),
    np.array([1.5, np.nan]),
    np.zeros((0,)),
    np.datetime64("2020-01-01"),
    torch.zeros(2, 3, 4, 5, 6),
    torch.tensor([[math.nan]]),
    torch.ones(2, dtype=torch.long),
    torch.ones(2, 2, dtype=torch.cfloat),
    pd.DataFrame({"a": ["x"]}),
]


# What works: one example for each function, from its arguments' names and, where these do not say
# enough, below.

task, model = get_task("romo"), LeakyRNN(1, 6, 2)
params = model.init([0, 1], gaussian())
trials = task.sample(4, 0)
fit = train(
    model,
    params,
    task,
    steps=4,
    n_trials=4,
    every=2,
    measure={"kernel_alignment": lambda m, p: p.W_h.norm(dim=(1, 2))},
    progress=False,
)
RING = get_task("ring", dt=200.0, jitter=0).sample(2, 0)
REVERSAL = get_task("reversal", dt=100.0, jitter=0).sample(2, 0)
digits = get_task("digits", source="mnist-5k")
linear = LeakyRNN(1, 5, 1, bias=False, activation="linear")
said = LeakyRNN(1, 6, 1)
said_params = said.init([0, 1], gaussian())
said_trials = Trials(torch.ones(2, 1, 1), torch.ones(2, 1, 1), torch.tensor([[0.0], [1.0]]))
W = torch.randn(2, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
K = W @ W.mT
net = small_start(W[0], W[0, 0])
wide = TwoLayer(
    torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(1)),
    torch.randn(1, 2, 2, 4, generator=torch.Generator().manual_seed(2)),
)
Q = torch.linalg.qr(torch.randn(2, 4, 6, 1, generator=torch.Generator().manual_seed(3)))[
    0
].mT.contiguous()
NAMED = dict(
    model=model,
    params=params,
    before=params,
    after=fit.params,
    start=params,
    trials=trials,
    inputs=trials.inputs,
    probes=trials,
    task=task,
    rule="eprop",
    seeds=[0, 1],
    seed=3,
    n=5,
    n_in=3,
    W=W,
    K=K,
    target=0.5,
    tau=[0.0, 1.0],
    gain=0.5,
    k=2,
    steps=4,
    n_trials=4,
    lr=1e-3,
    what="this",
    path="x",
    ranks=[0, 1],
    batch=trials,
    other=trials,
    n_out=2,
    at=[0, 2, 4],
    values=np.array([0.5, 0.6, 0.7]),
    a=np.array([0.5, 0.6, 0.7]),
    b=np.array([0.1, 0.2, 0.3]),
    window=2,
)
only = lambda *names: {name: NAMED[name] for name in names}
# what kernels need for skips is compiled now, not within the time of a test
gradient(model, params, trials, skips=(sctt(3),), beta=0.5)

EXAMPLES = {
    "claims.load_claims": dict(path="nbs/zhang2024/claims.toml"),
    "statistics.gap_closes": dict(a=np.ones((2, 3)), b=np.ones((2, 3))),
    "statistics.trend_p": dict(table=np.arange(6.0).reshape(2, 3)),
    "statistics.holm": dict(ps=[0.1, 0.2]),
    "statistics.wilson_interval": dict(hits=3, n=10),
    "statistics.log_rank_p": dict(slow=[3.0, np.nan], fast=[1.0, 2.0], end=9.0),
    "claims.judge": dict(
        evidence={"1": [1.0, 2.0]}, claims={"1": Claim("1", "f", "c", "s", "above", 0.0)}
    ),
    "claims.Claim": dict(id="1", figure="f", claim="c", statistic="s", expect="above", margin=0.0),
    "connections.read_connections": dict(path=FIXTURES / "synapses.csv", pre="pre", post="post"),
    "connectome.read_celegans": dict(path=FIXTURES / "celegans.csv"),
    "connectome.connectome": dict(source="surrogate"),
    "fixed.fixed": dict(matrix=W[0]),
    "connectome.spatial_synapses": dict(
        positions=torch.zeros(1, 3, 3), chance=torch.rand(1, 3, 3), size=torch.randn(1, 3, 3)
    ),
    "flossing.local_flossing_gradient": dict(Q=Q),
    "flossing.full_flossing_gradient": dict(Q=Q),
    "curvature.hessian_times": dict(v=torch.ones(2, 36)),
    "stability.output_gradient": dict(model=said, params=said_params, trials=said_trials),
    "stability.single_stability": dict(model=said, params=said_params, trials=said_trials),
    "stability.largest_rate": dict(eigenvalues=torch.ones(2, 3, dtype=torch.cfloat)),
    "curvature.lanczos": dict(H=Hessian(model, params, trials)),
    "decomposition.share_along": dict(x=torch.ones(2, 36), directions=torch.ones(2, 3, 36)),
    "flatness.kink_margin": dict(v=torch.ones(2, 36)),
    "flatness.rescale_units": dict(factors=torch.ones(2, 6)),
    "flossing.floss": dict(how=flossing(steps=1, n_trials=2), at=0),
    "initializers.draw": dict(kind="normal", shape=(2,), stream="recurrent"),
    "structures.low_rank": dict(rank=2),
    "two_layers.aligned_layer": dict(direction=W[0, 0]),
    "two_layers.small_start": dict(W_1=W[0], W_2=W[0, 0]),
    "two_layers.learn_linear": dict(start=net, beta=W[0, 1], steps=2),
    "two_layers.measured_laziness": dict(before=net, after=net),
    "two_layers.predicted_laziness": dict(start=net, beta=W[0, 1]),
    "two_layers.expected_alignment": dict(values=[1.0, 1.0], d=4),
    "two_layers.break_even_balance": dict(d=4),
    "two_layers.anisotropic_teacher": dict(kappa=2.0, d=4),
    "two_layers.power_law_inputs": dict(shape=(2, 3)),
    "two_layers.with_spectrum": dict(W=W, values=None),
    "two_layers.rectified_outputs": dict(net=wide, X=torch.zeros(1, 2, 5, 3)),
    "two_layers.rectified_kernel": dict(net=wide, X=torch.ones(1, 2, 5, 3)),
    "two_layers.rectified_networks": dict(shape=(4, 3, 2)),
    "two_layers.learn_rectified": dict(
        start=TwoLayer(*(w[0][:, None] for w in wide)),
        teacher=TwoLayer(*(w[0] for w in wide)),
        steps=2,
        every=1,
        batch=2,
    ),
    "laziness.matrix_alignment": dict(A=K, B=K),
    "laziness.kernel_task_alignment": dict(K=K, targets=torch.tensor([0, 0, 0, 0, 0])),
    "curves.at_loss": dict(values=np.ones((2, 3)), loss=np.ones((2, 4)), level=0.5),
    "laziness.laziness_outcomes": dict(
        runs=xr.Dataset(
            {
                name: (("seed", "recurrent", "at"), np.ones((1, 1, 1)))
                for name in ("kernel_alignment", "representation_alignment", "weight_change")
            }
            | {"loss": (("seed", "recurrent", "step"), np.ones((1, 1, 4)))}
        ),
        level=1.0,
    ),
    "linear.fixed_point_output": dict(params=linear.init([0], gaussian(0.5))),
    "linear.weight_flow": dict(params=linear.init([0], gaussian(0.5))),
    "linear.exact_flow": dict(params=linear.init([0], gaussian(0.5)), levels=3),
    "linear.zero_gain_solution": dict(length=0.5),
    "curves.first_below": dict(values=[1.0, 0.0], reference=1.0),
    "lowrank.truncate_change": dict(rank=1),
    "lyapunov.concatenate_trials": dict(together=2),
    "lyapunov.driving_inputs": dict(n_trials=2, together=2),
    "models.LeakyRNN": dict(n_in=1, n_hidden=4, n_out=2),
    "params.Params": dict(**{name: t for name, t in params.tensors().items()}),
    "params.start_state": dict(n_trials=3),
    "modules.from_modules": dict(modules=Network(model, params)),
    "modules.from_rnn": dict(rnn=torch.nn.RNN(2, 3), readout=torch.nn.Linear(3, 1)),
    "modules.to_rnn": dict(model=LeakyRNN(1, 6, 2, alpha=0.0)),
    "wrappers.padded": dict(more=2),
    "generalization.trial_score": dict(trials=trials),
    "generalization.generalization_gap": dict(train_trials=trials, test_trials=trials),
    "optimizers.get_optimizer": dict(optimizer="adam"),
    "plots.shade": dict(color="k", light=0.5),
    "figure.check_parameters": dict(cells=[]),
    "rules.Rule": dict(name="r"),
    "rules.feedback_matrix": dict(rule=get_rule("rflo")),
    "rules.back_matrix": dict(rule=get_rule("snap1")),
    "rules.type_mean": dict(types="dale"),
    "gradient.training_gradient": dict(rule=get_rule("eprop"), costs=()),
    "gradient.way_of": dict(rule=get_rule("eprop")),
    "rules.scaled": dict(direction="bptt", by="eprop"),
    "gradient.gradient": dict(costs=(l1("rates", .1),), skips=(sctt(3),), beta=.5, step=1),
    "costs.l1": dict(of="W_h", size=.1),
    "costs.l2": dict(of="rates", size=.1),
    "costs.cost": dict(costs=(l1("rates", .1),), rates=torch.zeros(2, 56, 4, 6)),
    "dynamics.ou": dict(size=.1, tau=5.),
    "dynamics.white": dict(size=.1),
    "dynamics.sctt": dict(theta=4),
    "dynamics.dasc": dict(theta=4),
    "dynamics.skips_of": dict(skips=(sctt(4),), beta=.5),
    "seeds.words": dict(stream="noise"),
    "schedule.until": dict(level=0.5),
    "schedule.stage": dict(at=3, beta=.5),
    "seeds.generator": dict(stream="x"),
    "store.canonical": dict(data={"a": 1}),
    "store.key_of": dict(config={"a": 1}),
    "store.store_of": dict(store="x"),
    "rates.choose_lr": dict(losses={0.1: np.ones((1, 4))}),
    "sweep.along": dict(axis="gain", values=(1.0, 2.0)),
    "base.get_task": dict(name="romo"),
    "base.as_trials": dict(
        arrays=dict(inputs=np.zeros((2, 1, 1)), targets=np.zeros((2, 1, 1)), mask=np.ones((2, 1)))
    ),
    "teacher.conditioned": dict(kappa=2.0),
    "teacher.task_aligned": dict(F=W),
    "teacher.Taught": dict(
        task=digits, model=LeakyRNN(28, 4, 10), teachers=LeakyRNN(28, 4, 10).init([0], gaussian())
    ),
    "train.measured_at": dict(steps=4, every=2),
    "trials.Trials": dict(inputs=trials.inputs, targets=trials.targets, mask=trials.mask),
    "trials.stack_trials": dict(batches=[trials]),
    "neurogym.choice_entropy": dict(mus=[1.0]),
    "neurogym.match_entropy": dict(mu_sample=1.0, mu_test=1.0),
    "data.File": dict(name="a", urls=(), checksum="md5:" + 32 * "0"),
    "schuessler.Mapping": dict(target=1.0),
    "dynamics.strategic": dict(periods=4),
    "ring.bump": dict(angles=[0.5, 1.0]),
    "ring.direction_of": dict(ring=torch.ones(4, 32)),
    "ring.ring_performance": dict(outputs=torch.zeros(1, 11, 2, 33), trials=RING, share=0.5),
    "reversal.answers_of": dict(stimuli=[[0, 1]], rules=[[1, 1]]),
    "reversal.ideal_answers": dict(stimuli=[[0, 1]], rules=[[1, 1]]),
    "base.closed_loop": dict(
        task=get_task("reversal", dt=100.0, jitter=0.0), network=lambda x: x[..., :2],
        trials=REVERSAL
    ),
    "corpus.generated": dict(n_train=2, n_valid=2, n_test=2, n_in=3),
    "corpus.parse_tree": dict(line="(3 good)"),
    "corpus.get_corpus": dict(name="generated"),
    "train.train": dict(progress=False, steps=2),
    "curves.final_loss": dict(loss=[1.0, 2.0]),
    "curves.learned": dict(loss=[1.0, 2.0], level=1.0),
    "settings.Training": dict(steps=2),
    "rank.leading_share": dict(values=[2.0, 1.0]),
    "rank.needed_rank": dict(ranks=[0, 1], accuracy=[0.5, 0.6]),
    "curves.moving_average": dict(curves=[1.0, 2.0]),
    "plots.gain_color": dict(gain=1.0),
}
METHODS = {  # of classes whose objects a user holds
    "Trials.loss": (trials.loss, dict(outputs=torch.zeros(2, 56, 4, 2))),
    "Trials.error": (trials.error, dict(outputs=torch.zeros(2, 56, 4, 2))),
    "Trials.accuracy": (trials.accuracy, dict(outputs=torch.zeros(2, 56, 4, 2))),
    "Trials.to": (trials.to, dict(dtype=torch.float64)),
    "Trials.trials": (trials.trials, dict(which=slice(1))),
    "Trials.map": (trials.map, dict(function=torch.clone)),
    "Trials.at_last": (trials.at_last, dict(values=trials.targets)),
    "Params.to": (params.to, dict(dtype=torch.float64)),
    "Params.map": (params.map, dict(function=torch.clone)),
    "Params[]": (lambda runs: params[runs], dict(runs=1)),
    "Params.cat": (Params.cat, dict(ensembles=[params])),
    "LeakyRNN.init": (model.init, dict(seeds=[0], recurrent=gaussian())),
    "LeakyRNN()": (lambda params, inputs: model(params, inputs), only("params", "inputs")),
    "Network": (Network, only("model", "params")),
    "Network()": (Network(model, params), only("inputs")),
    "Fit.module": (fit.module, dict(run=1)),
    "Fit.save": (fit.save, dict(path=Something)),
    "Fit.load": (Fit.load, dict(path=Something)),
    "Task.sample": (task.sample, dict(n_trials=2, seed=0)),
    "Task.probe": (task.probe, dict(n_trials=2)),
    "gaussian()": (gaussian(), dict(n=3, seeds=[0])),
    "low_rank()": (low_rank(rank=2), dict(n=3, seeds=[0])),
    "autograd_gradient": (autograd_gradient, dict(model=model, params=params, trials=trials)),
}

# Machinery that only other modules call, behind functions that have checked; constructors of what
# functions
# give back; what reads the network or the terminal; what has tables of its own (plots, figures,
# stores, sweeps).
NOT_FOR_USERS = (
    r"ahead\.",
    r"(zhang2024|schuessler2020|liu2024|liu2022|soo2023|beyond)\.",      # what figures share
    r"kernels\.",
    r"curvature\.Spectrum|flatness\.(Estimate|PowerIteration)|decomposition\.(Decomposition|Shares)",
    r"checks\.",
    r"machine\.(?!project_root|pick)",
    r"history\.",
    r"prose\.",
    r"params\.(groups_of|as_row|as_groups|as_params|are_finite)",
    r"claims\.when_written",
    r"structures\.of_finite",
    r"base\.whole_numbers",
    r"claims\.(Verdict|Race|at_zero)",
    r"connections\.Connections",
    r"data\.(fetch|content)",
    r"archive\.",
    r"checkpoints\.",
    r"digits\.",
    r"structures\.structured",
    r"two_layers\.TwoLayer",
    r"linear\.GradientFlow",
    r"stability\.Stability",
    r"lstm\.",
    r"rank\.(?!leading|needed)",
    r"models\.(Network|check_inputs)",
    r"neurogym\.(?!choice|match)",
    r"timing\.",
    r"oracles\.",
    r"costs\.(counted|rate_push|push_numbers|weight_push)",
    r"models\.leak_of",
    r"rules\.any_rule|gradient\.(check_answers|training_gradient|lasting_way)",
    r"generalization\.gap_label",
    r"optimizers\.(kept_in|optimizer_numbers)",
    r"threads\.in_threads",
    r"updates\.",
    r"schedule\.(rate_at|stages_of|Part|parts)",
    r"plots\.(?!gain_color)",
    r"conditions\.",
    r"(report|forest|summary)\.",
    r"figure\.(?!check)",
    r"runs\.",
    r"corpus\.(?!generated$|parse|get)",
    r"store\.(?!canonical|key_of|store_of)",
    r"sweep\.(Sweep|Failed|Estimate|sweep_of)",
    r"rates\.(candidates|chosen_runs)|answers\.|runs\.(run_of|label)",
    r"taught\.",
    r"wrappers\.Wrapped",
    r"environments\.",
    r"base\.(is_environment|list_tasks)",
    r"ring\.(Kind|Drawn|stronger)",
    r"connections\.find_file",
    r"base\.Task",
    r"(fit|state)\.|train\.Interrupted|settings\.(takes|names|rule_of)|(registry|help)\.|measures\.|schuessler\.(?!Mapping)",
    r"(compute|cluster|load)\.",
    r"commands\.",
    r"trials\.(unlike|Replies|replied|check_replies)",
    r"base\.replies_of",
)

# Values that are right though they look wrong: by function and argument (a pattern), what they may
# be.
text = lambda v: isinstance(v, str)
finite = lambda v: np.asarray(v).dtype.kind in "iuf" and np.isfinite(np.asarray(v, float)).all()
numeric = lambda v: np.asarray(v).dtype.kind in "iuf"
MEANS_SOMETHING = [
    (r".*\.(what|stream|why|title|label|name)$", text),
    (r"ring\.bump\.angles$", finite),
    (r".*\.seeds?$", lambda v: np.ndim(v) <= 1),
    (r".*\.(dtype|device|data)$", lambda v: not isinstance(v, torch.Tensor)),
    (r"Fit\.", text),
    (r"Trials\.trials\.which$", lambda v: np.asarray(v).dtype.kind in "ib"),
    (r".*\.(tau|target|length|mus|ranks|accuracy|ps|lr|runs|reference|level)$", finite),
    (r"(two_layers|rank|claims|statistics)\..*\.values$", finite),
    (
        r"(curves\.(first_below|moving_average|final_loss|learned)|claims\.judge"
        r"|statistics\.(log_ratio|rank_correlation|gap_closes|log_rank_p))\.",
        lambda v: numeric(v) or v in ([], {}),
    ),
    (r"statistics\.(holm|interval|bounded_interval|seeds_needed)\.(ps|values)$", lambda v: len(v) == 0),
    (r"optimizers|rules|gradient", text),
    (r"store\.store_of", lambda v: v is None or isinstance(v, str)),
    (r"LeakyRNN\(\)|lyapunov\..*\.inputs", lambda v: isinstance(v, (Params, torch.Tensor))),
]
# Where an error speaks of the argument by another name: of its parts, or of what it is for.
OTHER_NAMES = {
    "params": "W_h|W_x|w|model",
    "before": "W_h",
    "after": "W_h",
    "teachers": "W_h",
    "probes": "inputs",
    "reference": "rule",
    "network": "outputs|tensors",      # what it gives
    "path": r"\S* (is no|holds no|must)|[Nn]o (such )?file",
    "line": "tree|bracket|word",
    "store": "root",
    "name": "task|corpus",
    "n_out": "outputs",
    "weight": "column",
    "claims": "claim",
    "batches": "inputs",
    "start": "W_h",
    "trials": "inputs",
    "at": "as loss and at say",
}


def public():
    """Every public function and class, by module and name."""
    for found in pkgutil.walk_packages(rnnbio.__path__, "rnnbio."):
        if found.ispkg or re.match(r"rnnbio\.(_modidx|all|sweep|__main__|kernels\..*)$", found.name):
            continue
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            where = f"{found.name.split('.')[-1]}.{name}"
            if (
                callable(value)
                and str(getattr(value, "__module__", "")).startswith("rnnbio")
                and not re.match("|".join(NOT_FOR_USERS), where)
            ):
                yield where, value


def example(where, function):
    """Arguments that work."""
    wanted = inspect.signature(function).parameters
    given = {
        name: NAMED[name] for name, p in wanted.items() if name in NAMED and p.default is p.empty
    }
    return given | EXAMPLES.get(where, {})


CASES = {where: (function, example(where, function)) for where, function in public()} | METHODS


def call(function, arguments):
    with soon(20), warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        result = function(**arguments)
        matplotlib.pyplot.close("all")
        return result


@pytest.mark.parametrize("where", CASES)
def test_the_example_works(where, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[1])
    function, arguments = CASES[where]
    if where == "Fit.save":
        arguments = dict(path=tmp_path / "fit")
    if where == "Fit.load":
        arguments = dict(path=fit.save(tmp_path / "fit"))
    call(function, arguments)


def values_for(right):
    """Wrong values for one argument, some made from the right one."""
    near = (
        [right[:0], right * math.nan, right[None], right.long()]
        if isinstance(right, torch.Tensor)
        else [right.map(lambda t: t * math.nan)] if isinstance(right, Params) else []
    )
    return [*WRONG, *near]


def names_it(name, said):
    """Is the argument what this speaks of? Its name alone proves nothing where it is a word of
    any sentence: a, at, of."""
    alone = rf"^({re.escape(name)})\b|\b{re.escape(name)} (and \w+ )?(must|of shape)"
    return (
        re.search(
            alone if len(name) < 3 or name in ("what", "values") else rf"\b{re.escape(name)}\b",
            said,
        )
        or name in OTHER_NAMES
        and re.search(OTHER_NAMES[name], said)
    )


def judged(where, function, name, value, arguments):
    """What is wrong with how this was answered; "" when nothing is."""
    if callable(value) and name in ("recurrent", "input", "output", "function", "watch"):
        return ""  # a function that breaks when it is called says so itself
    try:
        call(function, arguments | {name: value})
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
        said = str(error)
        return (
            ""
            if names_it(name, said) and len(said) < 2000
            else f"refused without naming it: {type(error).__name__} {said[:150]}"
        )
    except Exception as error:
        return f"raw: {type(error).__name__} {str(error)[:150]}"
    parameter = inspect.signature(function).parameters[name]
    fits = _check_of(parameter.annotation, parameter.default)
    if any(
        re.match(pattern, f"{where}.{name}") and means(value) for pattern, means in MEANS_SOMETHING
    ):
        return ""
    if fits:
        try:
            fits(name, value)
            return ""
        except (ValueError, TypeError):
            return "accepted, though not what its annotation says"
    return "" if value is None and parameter.default is None else "accepted"


TRIED = [
    (where, name)
    for where, (function, arguments) in CASES.items()
    for name in inspect.signature(function).parameters
    if inspect.signature(function).parameters[name].kind not in (2, 4)
]


@pytest.mark.parametrize("where", CASES)
def test_wrong_arguments_are_refused_by_name(where, monkeypatch, tmp_path):
    monkeypatch.chdir(Path(__file__).parents[1])
    function, arguments = CASES[where]
    if where.startswith("Fit."):
        monkeypatch.chdir(tmp_path)
    bad = []
    for of, name in TRIED:
        if of == where:
            for value in values_for(arguments.get(name)):
                if why := judged(where, function, name, value, arguments):
                    bad.append(
                        f"{where}({name}={shown(value):.60}): {why}".replace("\n", " ").replace(
                            "\0", ""
                        )
                    )
    assert not bad, "\n" + "\n".join(bad)


@pytest.mark.skipif(not LONG, reason="RNNBIO_FUZZ=long")
def test_two_wrong_arguments_at_once(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    chance, bad = random.Random(0), []
    several = [where for where in CASES if sum(of == where for of, _ in TRIED) > 1]
    for _ in range(20_000):
        where = chance.choice(several)
        function, arguments = CASES[where]
        one, two = chance.sample([name for of, name in TRIED if of == where], 2)
        wrong = {name: chance.choice(values_for(arguments.get(name))) for name in (one, two)}
        if any(callable(value) for value in wrong.values()):
            continue
        try:
            call(function, arguments | wrong)
        except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:
            if any(names_it(name, str(error)) for name in wrong):
                continue
            bad.append(
                f"{where}({', '.join(f'{name}={shown(value):.40}' for name, value in wrong.items())}): {type(error).__name__} {str(error)[:120]}"
            )
        except Exception as error:
            bad.append(f"{where}({wrong!r:.80}): raw {type(error).__name__} {str(error)[:120]}")
    assert not bad, f"{len(bad)} of 20,000:\n" + "\n".join(bad[:40])
