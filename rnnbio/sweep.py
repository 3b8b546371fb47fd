"""`python -m rnnbio.sweep`, as the command line was called until 0.1: `python -m rnnbio` is its name."""
import sys

from .sweeps.commands import main

if __name__ == "__main__":
    print("python -m rnnbio.sweep is now python -m rnnbio", file=sys.stderr)
    sys.exit(main())
