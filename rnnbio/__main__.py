"""`python -m rnnbio`: sweeps and their results on the command line."""
import sys

from .sweeps.commands import main

if __name__ == "__main__":
    sys.exit(main())
