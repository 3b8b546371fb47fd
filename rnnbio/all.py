"""Everything one needs in a notebook: `from rnnbio.all import *`."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr

from rnnbio.base.machine import pick_device, project_root, source_state, versions, device_name
from rnnbio.base.seeds import *
from rnnbio.base.data import *
from rnnbio.base.trials import *
from rnnbio.base.curves import *
from rnnbio.base.plots import *
from rnnbio.figures.claims import *
from rnnbio.figures.report import *
from rnnbio.tasks.base import *
from rnnbio.tasks.environments import environments
from rnnbio.networks.models import *
from rnnbio.networks.initializers import *
from rnnbio.networks.connectome import *
from rnnbio.rules.rules import *
from rnnbio.analyses.lyapunov import *
from rnnbio.analyses.lowrank import *
from rnnbio.analyses.laziness import *
from rnnbio.theory.linear import *
from rnnbio.theory.two_layers import *
from rnnbio.training.optimizers import *
from rnnbio.training.train import *
from rnnbio.training.flossing import *
from rnnbio.training.teacher import *
from rnnbio.sweeps.runs import *
from rnnbio.sweeps.store import *
from rnnbio.sweeps.compute import *
from rnnbio.sweeps.sweep import *
