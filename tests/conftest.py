"""Without a GPU, Triton's kernels run in its interpreter; it must be told before it is imported.
Without neurogym, what needs it is skipped."""
import os
import re
import signal
from importlib.util import find_spec

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# a job that a script starts in the background ignores Ctrl-C, which some tests send
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

NEUROGYM = ("2af", "dms", "context")


def needs_neurogym(value):
    "Is it one of neurogym's tasks, or a run or a sweep that names one?"
    if isinstance(value, dict):
        return needs_neurogym(value.get("task", "")) or needs_neurogym(value.get("sweeps", []))
    if isinstance(value, (list, tuple)):
        return any(map(needs_neurogym, value))
    return isinstance(value, str) and bool(value in NEUROGYM or re.fullmatch(r"[\w.]+-v\d+", value))


def possible(values):
    "Of some tasks, runs or sweeps those that can be had here."
    return [v for v in values if find_spec("neurogym") or not needs_neurogym(v)]


def pytest_configure(config):
    config.addinivalue_line("markers", "neurogym: uses one of neurogym's tasks")


def pytest_runtest_setup(item):
    "Skips a test that is marked, or has a parameter that needs neurogym, where there is none."
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    if item.get_closest_marker("neurogym") or any(map(needs_neurogym, parameters)):
        pytest.importorskip("neurogym", reason="needs pip install -e '.[neurogym]'")
