"""Networks. All is loaded with the folder, so that each initializer is known by its name."""
from . import connectome, controls, fixed, initializers, models, modules, structures
