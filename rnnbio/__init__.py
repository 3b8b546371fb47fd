"""How initial connectivity and biologically plausible learning rules shape learning in recurrent
networks.

`from rnnbio.all import *` in a notebook; in a script `import rnnbio` gives the same names, as in
`rnnbio.train`, and loads torch and all that when the first of them is asked for.
"""
import os
from importlib import import_module

__version__ = "0.1.0"

# Threads that wait sleep, unless the user has said otherwise (read as torch is loaded): where two
# programs share the cores, spinning threads made eigenvalues take more than ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def __getattr__(name):
    if name.startswith("_"):
        raise AttributeError(f"module 'rnnbio' has no attribute {name!r}")
    public = import_module("rnnbio.all")
    if name in public.__all__:
        return getattr(public, name)
    from difflib import get_close_matches      # only for the words of an error
    near = get_close_matches(name, public.__all__, 1)
    raise AttributeError(f"module 'rnnbio' has no attribute {name!r}"
                         + (f"; did you mean {near[0]!r}?" if near else ""))


def __dir__():
    return sorted({*globals(), *import_module("rnnbio.all").__all__})
