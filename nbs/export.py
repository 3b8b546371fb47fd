"""Write the package from the notebooks, and clean them (`make export`).

A module whose text stays the same keeps its time: for another one Numba would compile its kernels
anew, which takes a minute.
"""
import os
from pathlib import Path

from nbdev.clean import nbdev_clean
from nbdev.doclinks import nbdev_export

ROOT = Path(__file__).resolve().parent.parent


def modules() -> dict[Path, tuple[bytes, os.stat_result]]:
    "Text and times of every module."
    return {path: (path.read_bytes(), path.stat()) for path in ROOT.glob("rnnbio/**/*.py")}


if __name__ == "__main__":
    before = modules()
    nbdev_export()
    for path, (text, stat) in modules().items():
        if path in before and before[path][0] == text:
            then = before[path][1]
            os.utime(path, ns=(then.st_atime_ns, then.st_mtime_ns))
    nbdev_clean()
