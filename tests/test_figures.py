"""Plots and figures refuse what they cannot draw or keep, in words that name the argument."""
import inspect
import math

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from rnnbio.base import conditions, plots
from rnnbio.figures import figure as figures, report
from rnnbio.base.machine import project_root

CURVES = {.1: np.ones((2, 30)), 1.: np.ones((2, 30))}
RUNS = xr.Dataset(
    dict(loss=(("seed", "step"), np.ones((2, 30))), accuracy=(("seed", "step"), np.ones((2, 30))),
         diverged=("seed", [-1, -1]), key=("seed", ["a", "b"]), seconds=("seed", [1., 1.])),
    dict(seed=[0, 1], step=np.arange(30)))


BADLY_SHAPED = [      # what single wrong values do not show: parts that do not fit each other
    (plots.plot_trial, dict(targets=np.ones((4, 1))), "targets must have the 5 steps of inputs"),
    (plots.plot_trial, dict(step_ms=0.), "step_ms must be above 0"),
    (plots.plot_activity, dict(hidden=np.array([[0., math.nan]])), "hidden must be finite"),
    (plots.plot_learning, dict(colors={.1: "red"}), "colors has nothing for 1.0: it has 0.1"),
    (plots.plot_learning, dict(colors={.1: "red", 1.: "reddish"}), "colors[1.0] must be a colour"),
    (plots.plot_learning, dict(start=30), "start must lie below the 30 steps"),
    (plots.plot_curves, dict(colors={.1: "red"}), "colors has nothing for 1.0: it has 0.1"),
    (plots.plot_curves, dict(steps=np.arange(29)),
     "curves[0.1] must have a column for each of 29 steps, got shape [2, 30]"),
    (plots.plot_against_gain, dict(values=np.ones((3, 4))),
     "values must have a column for each of 2 gains"),
    (plots.plot_against_gain, dict(learned=np.ones((3, 2))), "learned must be True and False"),
    (conditions.plot_conditions, dict(conditions=["x"]),
     "rows['loss']['a'] must have a column for each of 1 conditions"),
    (conditions.plot_conditions, dict(colors=["red"]), "colors must be a list of 2 colours"),
    (conditions.plot_conditions, dict(levels={("los", "a"): {}}), "levels names a panel"),
    (conditions.plot_paired, dict(learned=np.ones((2, 3), bool)),
     "learned must be True and False in the values' shape [2, 2]"),
    (figures.check_parameters, dict(cells=["# Parameters\nx ="]), "cells must be Python"),
    (figures.check_parameters, dict(cells=["# Parameters\nimport os\nprofil = 1"]),
     "did you mean 'profile'?"),
]


def axis():
    return plt.figure().add_subplot()


RIGHT = {
    plots.log_ticks: lambda: dict(ax=axis()),
    plots.shade: lambda: dict(color="red", light=.5),
    plots.gain_color: lambda: dict(gain=1., most=2.),
    plots.rank_color: lambda: dict(rank=30, full=300),
    conditions.shared_key: lambda: dict(figure=plt.figure()),
    plots.plot_trial: lambda: dict(
        inputs=np.ones((5, 2)), targets=np.ones((5, 1)), mask=np.ones(5), outputs=np.ones((5, 1)),
        input_names=("a", "b"), output_names=("c",), step_ms=20., title="t"),
    plots.plot_activity: lambda: dict(hidden=np.ones((5, 3)), step_ms=20., title="t"),
    plots.plot_curves: lambda: dict(
        ax=axis(), steps=np.arange(30), curves=CURVES, colors={.1: "red", 1.: "blue"},
        levels={"silent": .1}),
    plots.plot_learning: lambda: dict(
        ax=axis(), curves=CURVES, colors={.1: "red", 1.: "blue"}, levels={"silent": .1}, start=3,
        window=5),
    plots.plot_mean: lambda: dict(ax=axis(), x=[1, 2], values=np.ones((3, 2)), color="red",
                                  style="--", log=True),
    plots.mean_and_interval: lambda: dict(values=np.ones((3, 2)), log=True),
    plots.plot_against_gain: lambda: dict(
        ax=axis(), gains=[1, 2], values=np.ones((3, 2)), color="red", label="l", style="--",
        learned=np.ones((3, 2), bool), log=True),
    conditions.plot_conditions: lambda: dict(
        rows={"loss": {"a": np.ones((2, 2))}}, conditions=["x", "y"], colors=["red", "blue"],
        learned={"a": np.ones((2, 2), bool)}, levels={("loss", "a"): {"silent": 1.}}, xlabel="x",
        title="t",
        log=("loss",)),
    conditions.name_conditions: lambda: dict(ax=axis(), conditions=["x", "y"]),
    conditions.plot_paired: lambda: dict(
        ax=axis(), values=np.ones((2, 2)), colors=["red", "blue"], learned=np.ones((2, 2), bool),
        levels={"silent": 1.}),
    figures.check_parameters: lambda: dict(cells=["x = 1"]),
    report.report_text: lambda: dict(root=project_root()),
    report.verdicts: lambda: dict(root=project_root()),
}
WRONG = [
    None, "", "x", "null", b"x", True, 0, -1, 1.5, 2**70, math.nan, math.inf, 1j, object(), print,
    int,
    [], [None], ["x"], [[1, 2], [3]], (), {}, {"x": None}, {"x": {"x": None}}, {1: [math.nan]}, {1},
    np.zeros(0), np.array("x"), np.array(1.), np.array([1, "x"], object), np.zeros((2, 3, 4, 5)),
    np.array([[math.nan]]), np.float64("nan"), torch.zeros(()), torch.ones(3, requires_grad=True),
    pd.DataFrame(), pd.Series([1, 2]), xr.Dataset(), xr.DataArray(1.),
]


@pytest.fixture(autouse=True)
def canvas():
    matplotlib.use("agg")
    yield
    plt.close("all")


def test_every_public_function_is_here():
    public = [getattr(module, name) for module in (plots, conditions, figures, report)
              for name in module.__all__]
    functions = {f.__name__ for f in public if inspect.isfunction(f)}
    assert functions - {"figure_style", "write_report"} == {f.__name__ for f in RIGHT}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("function", RIGHT, ids=lambda f: f.__name__)
def test_wrong_arguments_are_named(function):
    right = RIGHT[function]()
    function(**right)
    for name in right:
        for wrong in WRONG:
            try:
                function(**right | {name: wrong})
            except (ValueError, TypeError) as e:
                assert name in str(e), f"{name}={wrong!r}: {e}"
            except OSError:
                assert name == "root"
        plt.close("all")


@pytest.mark.parametrize("function, wrong, says", BADLY_SHAPED,
                         ids=lambda v: getattr(v, "__name__", None))
def test_what_does_not_fit_is_named(function, wrong, says):
    with pytest.raises((ValueError, TypeError)) as told:
        function(**RIGHT[function]() | wrong)
    assert says in str(told.value)


def a_figure(folder, **other):
    right = dict(name="zhang2024/fig1_initial_gain", profile="quick", seed=0, device="cpu",
                 out=folder)
    return figures.Figure(**right | dict(quick=dict(n_seeds=2)) | other)


@pytest.mark.parametrize("wrong, says", [
    (dict(name="x"), "name must be paper/notebook"),
    (dict(name="a/b/c"), "name must be paper/notebook"),
    (dict(name="zhang2024/"), "name must be paper/notebook"),
    (dict(name="zhang204/fig1"), "did you mean 'zhang2024'?"),
    (dict(name="zhang2024/a\0b"), "name must be a path"),
    (dict(name=None), "name must be text"),
    (dict(profile=1), "profile must be text"),
    (dict(seed=1.5), "seed must be a whole number"),
    (dict(device=None), "device must be text"),
    (dict(out=2024), "out must be a folder's path, got 2024"),
    (dict(out=None), "out must be a folder's path, got None"),
    (dict(quick=dict(gains=[1])), "quick must hold n_seeds"),
    (dict(quick={}), "quick must hold n_seeds"),
    (dict(quick=dict(n_seeds=0)), "n_seeds must be a whole number"),
    (dict(quick=[("n_seeds", 2)]), "quick must be a dictionary"),
    (dict(paper=None), "paper must be a dictionary"),
])
def test_a_figure_refuses_wrong_parameters(tmp_path, wrong, says):
    with pytest.raises((ValueError, TypeError)) as told:
        a_figure(tmp_path / "made", **wrong)
    assert says in str(told.value) and not (tmp_path / "made").exists()


def test_a_figure_outside_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match="inside the project"):
        a_figure(tmp_path)


def test_the_users_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert a_figure("~/made").folder == tmp_path / "made"


@pytest.mark.parametrize("said, profile",
                         [("0", "quick"), ("", "quick"), ("1", "test"), ("yes", "test")])
def test_a_switch_that_is_off_is_off(tmp_path, monkeypatch, said, profile):
    monkeypatch.setenv("IN_TEST", said)
    assert a_figure(tmp_path).profile == profile


@pytest.mark.parametrize("label", ["null", "NA", "None", "nan", "N/A", ""])
def test_a_label_that_reads_as_missing_is_refused(tmp_path, label):
    figure, table = a_figure(tmp_path), pd.DataFrame(dict(start=["Gaussian", label],
                                                          x=[1., math.nan]))
    with pytest.raises(ValueError) as told:
        figure.save(plt.figure(), table)
    assert (f"the label {label!r} in column 'start'" in str(told.value)
            and not list(tmp_path.iterdir()))
    # nothing stands there: that is missing
    figure.save(plt.figure(), table.assign(start=["Gaussian", None]))
    assert pd.read_csv(tmp_path / "fig1_initial_gain.csv").start.isna().tolist() == [False, True]


@pytest.mark.parametrize("call, says", [
    (lambda f: f.save(None, pd.DataFrame(dict(x=[1]))), "figure must be Figure, got None"),
    (lambda f: f.save(plt.figure(), [1]), "table must be DataFrame"),
    (lambda f: f.tally(None, .1), "runs must be Dataset"),
    (lambda f: f.tally(RUNS.drop_vars("key"), .1), "it lacks key"),
    (lambda f: f.tally(RUNS, None), "level must be a finite number"),
    (lambda f: f.tally(RUNS, .1, share="all"), "share must be a finite number"),
    (lambda f: f.tally(RUNS, .1, rule=object()), "labels.rule must be plain data"),
    (lambda f: f.compare(None), "table must be DataFrame"),
    (lambda f: f.compare(pd.DataFrame(dict(quantity=["q"], ours=[print], paper=[1], source=["s"]))),
     "table[0].ours must be plain data"),
    (lambda f: f.judge(1, [1.]), "id must be text"),
    (lambda f: f.judge("99", [1.]), "claim must be one of"),
    (lambda f: f.judge("1", None), "values must hold numbers"),
    (lambda f: f.judge("1", 1.), "values must be [seed] or [seed, condition]"),
    (lambda f: f.judge("1", [1.], None), "beside must be text"),
])
def test_a_figure_refuses_what_it_cannot_report(tmp_path, call, says):
    figure = a_figure(tmp_path)
    with pytest.raises((ValueError, TypeError)) as told:
        call(figure)
    assert says in str(told.value)
    figure.tally(RUNS, .1, rule="bptt")
    figure.report()                                   # nothing wrong was kept
