"""Tasks. All are loaded with the folder, so that each is known by its name."""
from . import (
    base, digits, environments, hold, match, neurogym, pattern, reversal, ring, romo, schuessler,
    wrappers)
