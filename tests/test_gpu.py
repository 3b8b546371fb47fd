"""The fused kernels: their numbers in Triton's interpreter (on the GPU where there is one),
their machine code without a GPU, and what only a GPU can show."""
import ast
import importlib.util
import itertools
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton is not installed here")

from rnnbio.networks.dynamics import skips_of
from rnnbio.networks.models import FORMS
from rnnbio.rules import gradient as gradients
from rnnbio.all import *
from rnnbio.kernels import batched, gpu
from rnnbio.rules.oracles import autograd_gradient

ROOT = Path(__file__).parents[1]
CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
# rtrl is carried forward: no kernel
RULE = [name for name in RULES if name != "rtrl"]
needs_gpu = pytest.mark.skipif(not CUDA, reason="no GPU here")


@pytest.fixture(autouse=True)
def exact_products():
    torch.backends.cuda.matmul.allow_tf32 = False


def random_case(n=5, trials=3, steps=4, runs=2, n_in=2, n_out=3, seed=0, shared=True, **model):
    """A network with everything non-zero, start included, and trials with a mask; in float64 on
    the CPU."""
    model = LeakyRNN(n_in, n, n_out, alpha=.7, **model)
    torch.manual_seed(seed)
    rand = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    params = Params(rand(runs, n, n) / n**.5, rand(runs, n, n_in), rand(runs, n_out, n) / n**.5,
                    *((rand(runs, n), rand(runs, n_out)) if model.bias else (None, None)),
                    rand(runs, n) / 2, seeds=range(runs))
    front = () if shared else (runs,)
    return model, params, Trials(rand(*front, steps, trials, n_in),
                                 rand(*front, steps, trials, n_out),
                                 (rand(*front, steps, trials) > -1).double())


def fused(model, params, trials, rule, skips=(), beta=1.):
    """Loss and gradient as `gradient` computes them on a GPU."""
    params, trials, rule = params.to(torch.float32,
                                     DEVICE), trials.to(torch.float32, DEVICE), get_rule(rule)
    outputs, tape = gpu.forward(*gradients._weights(params), trials.inputs,
                                gradients.start_state(params, trials.inputs.shape[-2]),
                                model.dynamics(params.W_h),
                                model.noise and model.noise.numbers(params.seeds, 0),
                                skips_of(skips, beta, trials))
    grads = gpu.backward(tape, trials.error(outputs), gradients.way_of(rule, params))
    names = [name for name in ("W_h", "W_x", "b", "w", "b_out") if model.bias
             or not name.startswith("b")]
    return trials.loss(outputs).cpu(), {name: g.cpu()
                                        for name, g in zip(("W_h", "W_x", "b", "w", "b_out"),
                                                           grads) if name in names}


def assert_right(case, rule, tolerance=5e-6, **skips):
    """Against autograd in float64, relative to each gradient's size."""
    loss, grads = fused(*case, rule, **skips)
    exact_loss, exact = autograd_gradient(*case, rule, **skips)
    torch.testing.assert_close(loss.double(), exact_loss, rtol=5e-6, atol=0)
    for name, g in grads.items():
        assert ((g.double() - getattr(exact, name)).norm() <= tolerance
                * getattr(exact, name).norm() + 1e-7), name


@pytest.mark.parametrize("rule, form, activation",
                         itertools.product(RULE, FORMS, ["relu", "tanh", "linear"]))
def test_every_rule(rule, form, activation):
    assert_right(random_case(form=form, activation=activation, seed=RULE.index(rule)),
                 get_rule(rule, window=2) if rule == "tbptt" else rule)


# soo2023's methods, and two skips under way at once
SKIPS = (sctt(2),), (dasc(2),), (dasc(3, fresh=True),), (sctt(2), strategic(2))


@pytest.mark.parametrize("k, rule, form", [(k, *which) for k, which in enumerate(
    itertools.product(RULE, FORMS))])
def test_skips_and_noise(k, rule, form):
    """Every rule in every form, each with one of the skips (three in turn beside four)."""
    model, params, trials = random_case(n=7, steps=9, form=form, activation="tanh", seed=k,
                                        noise=ou(.3, 3.))
    trials = replace(trials, period=torch.tensor([0, 0, 1, 1, 1, 1, 2, 2, 2]))
    assert_right((model, params, trials), get_rule(rule, window=2) if rule == "tbptt" else rule,
                 skips=SKIPS[(k + k // 3) % 4], beta=.4)


@pytest.mark.parametrize("shape", [
    dict(n=1, trials=1, steps=1), dict(n=17, trials=19, steps=3), dict(n=33, trials=1, steps=5),
    dict(n=33, trials=33, steps=2), dict(n=16, trials=16, runs=1), dict(n=64, trials=17, steps=3),
    dict(n_in=1, n_out=1), dict(n_in=8, n_out=8), dict(n_in=9, n_out=2), dict(n_in=2, n_out=9),
    dict(n_in=40, n_out=30), dict(shared=False), dict(shared=False, n_in=12), dict(bias=False),
    dict(bias=False, n_in=12),
], ids=str)
def test_every_shape(shape):
    for rule in ("bptt", "mdgl"):
        assert_right(random_case(activation="tanh", **shape), rule)


@pytest.mark.parametrize("rule, n, trials",
                         [("bptt", 5, 3), ("modprop", 17, 19), ("eprop", 33, 2), ("tbptt", 33, 17)])
def test_streamed_weights(rule, n, trials, monkeypatch):
    monkeypatch.setattr(gpu, "shared_memory", lambda device: 0)
    case = random_case(n=n, trials=trials, form="rate", activation="tanh")
    assert_right(case, rule)


def test_many_units_are_streamed_by_themselves():
    assert not gpu.plan(256, 32, 232448)["RESIDENT"]
    assert_right(random_case(n=250, trials=2, steps=2, runs=1), "bptt")


def test_the_same_bits_at_every_call_and_a_run_is_itself():
    case = random_case(n=17, trials=19, runs=3, shared=False, activation="tanh")
    loss, grads = fused(*case, "bptt")
    again, same = fused(*case, "bptt")
    assert torch.equal(loss, again) and all(torch.equal(g, same[name]) for name, g in grads.items())
    model, params, trials = case
    alone, its_trials = Params(**{name: t[1:2] for name, t in params.tensors().items()},
                               seeds=[1]), Trials(trials.inputs[1:2], trials.targets[1:2],
                                                  trials.mask[1:2])
    # out of the kernel the same bits
    assert torch.equal(rates(model, alone, its_trials)[0], rates(*case)[1])
    # torch's batched products may add in another order
    for name, g in fused(model, alone, its_trials, "bptt")[1].items():
        torch.testing.assert_close(g[0], grads[name][1], rtol=1e-5, atol=1e-6)


def rates(model, params, trials):
    params, inputs = params.to(torch.float32, DEVICE), trials.inputs.to(DEVICE, torch.float32)
    return gpu.forward(*gradients._weights(params), inputs, gradients.start_state(params, inputs.shape[-2]),
                       model.dynamics(params.W_h))[1].rates


@pytest.mark.parametrize("where, activation", itertools.product(["weights", "inputs", "start"],
                                                                ["relu", "tanh", "linear"]))
def test_nan_stays_in_its_run(where, activation):
    model, params, trials = random_case(n=17, trials=3, runs=3, shared=False, activation=activation)
    _, healthy = fused(model, params, trials, "bptt")
    {"weights": params.W_h, "inputs": trials.inputs, "start": params.h0}[where][1] = torch.nan
    loss, grads = fused(model, params, trials, "bptt")
    assert loss[1].isnan()
    for name, g in grads.items():
        assert torch.equal(g[[0, 2]], healthy[name][[0, 2]]) and g[1].isnan().any(), name


def test_weights_need_not_lie_in_one_piece():
    model, params, trials = random_case(n=17)
    spread = Params(**{name: torch.stack([t, t * torch.nan], -1)[..., 0]
                       for name, t in params.tensors().items()}, seeds=params.seeds)
    for name, g in fused(model, spread, trials, "bptt")[1].items():
        assert torch.equal(g, fused(model, params, trials, "bptt")[1][name])


def test_what_is_refused():
    model, params, trials = random_case()
    for wrong in params, LeakyRNN(2, 513, 3).init([0], gaussian()):
        assert not gpu.serves(wrong.W_h)
        with pytest.raises(ValueError, match="use rnnbio.kernels.batched"):
            gpu.forward(*gradients._weights(wrong), trials.inputs, gradients.start_state(wrong, 3),
                        model.dynamics(wrong.W_h))


def test_rules_use_the_kernel_they_are_given(monkeypatch):
    """The dispatch of `gradient`, with a device that is said to be CUDA."""
    class Elsewhere:
        device, W_h = torch.device("cuda"), torch.zeros(1, 4, 4, device=DEVICE)
    assert gradients._kernel(Elsewhere) is gpu
    monkeypatch.setattr(gpu, "serves", lambda W_h: False)
    assert gradients._kernel(Elsewhere) is batched
    assert gradients._kernel(random_case()[1]) is batched


def test_kernels_are_source_that_every_triton_reads():
    """Up to 3.6 Triton cannot hash a kernel with a tuple within a tuple on the left; its
    interpreter, and its compiler when called by hand, can."""
    functions = [node for node in ast.parse(Path(gpu.__file__).read_text()).body
                 if isinstance(node, ast.FunctionDef) and node.decorator_list]
    assert {"_forward", "_backward", "_landed"} <= {f.name for f in functions}
    for node in (node for f in functions for node in ast.walk(f)):
        if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store):
            assert not any(isinstance(part, ast.Tuple) for part in node.elts), ast.unparse(node)


# ---- machine code, without a GPU

COMPILE = """
import re, subprocess, sys, tempfile
from pathlib import Path
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from rnnbio.kernels import gpu
tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
POINTERS = ("W", "W_x", "b", "x", "kicks", "start", "inside", "outside", "rates", "slopes",
            "error", "F", "M", "credit", "reach", "hand")

def compiled(kernel, capability, shared, n, few, slots, trials=32):
    how, names = gpu.plan(n, trials, shared), kernel.arg_names
    options = {k: how.pop(k) for k in ("num_warps", "num_stages", "enable_fp_fusion")}
    fixed = dict(OF_RATES=slots > 0, OUTER=slots > 0, EACH=slots > 0, SLOTS=slots, NOISE=slots > 0,
                 ACTIVATION="tanh", BIAS=True, BACK=True, GATE=True, LEAK=True, FEW=few,
                 PRECISION="ieee") | how
    if n == 1:      # Triton makes a constant of each argument that is 1
        fixed |= {k: 1 for k in ("T", "B", "N", "step", "window", "W_run", "M_run")}
    other = {"flags": "*u8", "beta": "fp32", "keep": "fp32"}
    types = {k: "constexpr" if k in fixed else "*fp32" if k in POINTERS else other.get(k, "i32")
             for k in names}
    even = lambda k: k in POINTERS or k in ("N", "step", "W_run", "M_run") and n % 16 == 0
    hints = {(i,): [["tt.divisibility", 16]] for i, k in enumerate(names)
             if types[k] != "constexpr" and even(k)}
    code = triton.compile(ASTSource(kernel, types, {(names.index(k),): v for k, v in fixed.items() if k in names}, hints), target=GPUTarget("cuda", capability, 32), options=options)
    stack = registers = -1
    if tool.exists():
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(code.asm["cubin"]); file.flush()
            registers, stack = re.search(r"REG:(\\d+) STACK:(\\d+)", subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True).stdout).groups()
    ids = re.findall(r"(%\\S+) = tt.get_program_id", code.asm["ttir"])
    used = [line for line in code.asm["ttir"].splitlines() for i in ids if re.search(i + r"\\b(?! =)", line)]
    wide = len(ids) == 2 and all(re.search(r"arith.extsi .* : i32 to i64", line) for line in used)
    print("COMPILED", kernel.__name__, capability, n, few, slots, int(how["RESIDENT"]), code.metadata.shared, registers, stack, int(wide))

capability, shared = map(int, sys.argv[1:])
for n, few, slots in ((1, 1, 0), (17, 2, 0), (64, 2, 0), (64, 8, 0), (64, 0, 0), (128, 2, 0),
                      (256, 2, 0), (512, 2, 0), (50, 0, 2), (256, 0, 1)):
    for kernel in gpu._forward, gpu._backward: compiled(kernel, capability, shared, n, few, slots)
"""


def compiled(capability, shared):
    """(kernel, capability, units, few, skips, resident, bytes of shared memory, registers, bytes of
    spilled registers, are run and tile 64 bits wide) of every configuration."""
    run = subprocess.run([sys.executable, "-c", COMPILE, str(capability), str(shared)], cwd=ROOT,
                         env={k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"},
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return [(kernel, *map(int, numbers))
            for kernel, *numbers in (line.split()[1:] for line in run.stdout.splitlines()
                                     if line.startswith("COMPILED"))]


@pytest.mark.parametrize("capability, memory", [
    (90, 232448), pytest.param(80, 166912, marks=pytest.mark.slow),
    pytest.param(75, 65536, marks=pytest.mark.slow)])
def test_machine_code_fits_without_a_gpu(capability, memory):
    found = compiled(capability, memory)
    assert len(found) == 2 * 10
    for kernel, capability, n, few, slots, resident, shared, registers, stack, wide in found:
        print(f"{kernel:9s} sm_{capability} N={n:3d} few={few} skips={slots} "
              f"{'resident' if resident else 'streamed'} shared {shared} registers {registers} "
              f"spilled {stack}")
        assert resident == (n <= (64 if capability == 75 else 128))
        assert shared <= memory
        # 72 with Triton 3.6
        assert stack <= (1100 if slots else 320 if capability == 75 else 128), "registers spill"
        assert stack <= 0 or (n, few) != (64, 2), "registers spill at the papers' size"
        assert wide, "offsets between runs must be 64 bits wide from the start"


# ---- the benchmark, as far as it goes without a GPU

def test_benchmark_runs_at_tiny_size(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    spec = importlib.util.spec_from_file_location("benchmark_gpu", ROOT / "benchmarks" / "gpu.py")
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    import cpu as shared
    best = bench.best
    for module in bench, shared:
        monkeypatch.setattr(module, "best", lambda step, networks: best(step, networks, seconds=0))
    monkeypatch.setattr(bench, "BLOCK", 1)
    flops, launch = bench.limits("cpu", size=32, launches=2)
    assert flops > 0 and launch > 0
    lines = bench.table([("bptt", 4, 2, 3), ("eprop", 4, 17, 3)], "cpu",
                        importlib.util.find_spec("jax") is not None, flops, launch, seconds=0)
    assert len(lines) == 4 and len({line.count("|")
                                    for line in lines}) == 1 and "full" not in lines[2]
    kernel = gradients._kernel
    # on the CPU training asks for no kernel
    monkeypatch.setattr(bench, "ours", lambda: [gradients._kernel(None)])
    assert bench.batched_training(False) is batched

    def no_memory(*args, **more):
        raise torch.OutOfMemoryError
    monkeypatch.setattr(bench, "ours", no_memory)
    monkeypatch.setattr(sys.modules["rnnbio.training.train"], "CAPTURE", True, raising=False)
    assert "full" in bench.table([("bptt", 4, 17, 3)], "cpu", False, flops, launch)[-1]
    # put back after the accident
    assert gradients._kernel is kernel and sys.modules["rnnbio.training.train"].CAPTURE
    assert "TFLOP/s" in bench.report(lines, bench.machine(), flops, launch)
    if not CUDA:
        bench.main()
        assert "nothing was written" in capsys.readouterr().out


# ---- what only a GPU can show

def on_gpu(n, steps=20, runs=3, trials=33):
    model, params, trials = random_case(n=n, trials=trials, steps=steps, runs=runs,
                                        activation="tanh")
    return model, params.to(torch.float32, "cuda"), trials.to(torch.float32, "cuda")


@needs_gpu
@pytest.mark.parametrize("n, rule", itertools.product([1, 17, 64, 128, 200, 256, 512], RULE))
def test_on_the_gpu(n, rule, monkeypatch):
    """`gradient` takes the fused kernel, and gives what the batched one gives; the same bits
    each time."""
    case, called, real = on_gpu(n), [], gpu.backward
    monkeypatch.setattr(gpu, "backward", lambda *a: called.append(1) or real(*a))
    first, again = gradient(*case, rule), gradient(*case, rule)
    assert called
    monkeypatch.setattr(gpu, "serves", lambda W_h: False)
    loss, grads = gradient(*case, rule)
    torch.testing.assert_close(first[0], loss, rtol=1e-5, atol=0)
    for name, g in grads.tensors().items():
        mine = getattr(first[1], name)
        assert ((mine - g).norm() < 2e-5 * g.norm()
                and torch.equal(mine, getattr(again[1], name))), name


@needs_gpu
@pytest.mark.parametrize("n, form, rule", itertools.product([17, 50, 64, 200, 256], FORMS,
                                                            ["bptt", "modprop", "rflo"]))
def test_skips_on_the_gpu(n, form, rule):
    """With more than one warp, what skips keep in memory goes from thread to thread: against the
    batched kernels, and the same bits each time."""
    model, params, trials = random_case(n=n, trials=33, steps=24, runs=3, form=form,
                                        activation="tanh", noise=ou(.3, 3.))
    trials = replace(trials, period=torch.arange(24) // 8)
    skips = dict(skips=(dasc(2), strategic(2)), beta=.5)
    first, again = (fused(model, params, trials, rule, **skips) for _ in range(2))
    loss, exact = gradient(model, params, trials, rule, **skips)
    torch.testing.assert_close(first[0].double(), loss, rtol=2e-5, atol=0)
    for name, g in first[1].items():
        assert (g - getattr(exact, name)).norm() < 5e-5 * getattr(exact, name).norm(), name
        assert torch.equal(g, again[1][name]), name


@needs_gpu
@pytest.mark.parametrize("n", [64, 256])
def test_captured_in_a_cuda_graph(n):
    model, params, trials = on_gpu(n)
    step = lambda: gradients.training_gradient(model, params, trials, get_rule("bptt"))
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    # compiles, and lets cuBLAS take its workspace
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss, accuracy, grads = step()
    trials.inputs.mul_(.5)
    params.W_h.mul_(.9)
    graph.replay()
    now_loss, _, now = step()
    torch.testing.assert_close(loss, now_loss)
    for name, g in now.tensors().items():
        torch.testing.assert_close(getattr(grads, name), g)


@needs_gpu
def test_offsets_beyond_31_bits():
    """Rates of more than 2^31 numbers: the last run is as right as the first."""
    runs, steps, trials, n = 1100, 2000, 16, 64
    if torch.cuda.get_device_properties(0).total_memory < 40e9:
        pytest.skip("needs 40 GB of GPU memory")
    model, params, data = random_case(n=n, trials=trials, steps=steps, runs=1)
    params, data = params.to(torch.float32, "cuda"), data.to(torch.float32, "cuda")
    many = Params(**{name: t.expand(runs, *t.shape[1:]).contiguous()
                     for name, t in params.tensors().items()}, seeds=[0] * runs)
    loss, grads = gradient(model, many, data, "bptt")
    assert runs * steps * trials * n > 2**31
    torch.testing.assert_close(loss[-1], loss[0])
    torch.testing.assert_close(grads.W_h[-1], grads.W_h[0])
    torch.testing.assert_close(grads.W_h[:1], gradient(model, params, data, "bptt")[1].W_h,
                               rtol=1e-4, atol=1e-6)


SANITIZED = """
from tests.test_gpu import fused, random_case
for n in (17, 64, 200): fused(*random_case(n=n, trials=19, steps=3, activation="tanh"), "bptt")
"""


@needs_gpu
@pytest.mark.parametrize("tool", ["memcheck", "racecheck"])
def test_compute_sanitizer(tool):
    if shutil.which("compute-sanitizer") is None:
        pytest.skip("no compute-sanitizer here (it comes with the CUDA toolkit)")
    run = subprocess.run(["compute-sanitizer", "--tool", tool, "--error-exitcode", "9",
                          sys.executable, "-c", SANITIZED], cwd=ROOT, env=os.environ | {
                             "PYTORCH_NO_CUDA_MEMORY_CACHING": "1"}, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
