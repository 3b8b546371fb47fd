"""Python processes that begin at once: forked from one that has imported the package and done no
more, for importing torch takes three seconds, and the tests need dozens of them. Where something
is decided as the package is imported (threads, caches), a test starts Python itself."""
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path

COMMAND = "import runpy; runpy.run_module('rnnbio', run_name='__main__')"      # python -m rnnbio
FORKED = "forkserver" in multiprocessing.get_all_start_methods()               # not on Windows
CONTEXT = multiprocessing.get_context("forkserver" if FORKED else "spawn")
if FORKED:
    CONTEXT.set_forkserver_preload(["rnnbio.all", "rnnbio.sweeps.commands"])


def _within(code, argv, environment, folder):
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = ["-c", *argv]
    for number, name in (1, "stdout"), (2, "stderr"):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT), number)
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})


class begin:
    """Runs code as `python -c code argv ...`, with the environment of now and some more."""

    def __init__(self, code, *argv, **environment):
        self.folder = Path(tempfile.mkdtemp(prefix="rnnbio-process-"))
        self.process = CONTEXT.Process(target=_within, args=(
            code, [str(word) for word in argv],
            os.environ | {name: str(value) for name, value in environment.items()}, self.folder))
        self.process.start()

    def wait(self, timeout=120) -> subprocess.CompletedProcess:
        """What it said and how it ended; TimeoutError, and its end, when it takes longer."""
        self.process.join(timeout)
        if (code := self.process.exitcode) is None:
            self.process.kill()
            raise TimeoutError(f"still running after {timeout} s")
        said = [(self.folder / name).read_text() if (self.folder / name).exists() else ""
                for name in ("stdout", "stderr")]
        return subprocess.CompletedProcess("", code, *said)


def run(code, *argv, **environment) -> subprocess.CompletedProcess:
    return begin(code, *argv, **environment).wait()
