"""Everything one needs in a notebook: `from rnnbio.all import *`."""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr

from rnnbio.claims import *
from rnnbio.compute import *
from rnnbio.connectome import *
from rnnbio.data import *
from rnnbio.flossing import *
from rnnbio.initializers import *
from rnnbio.kernel_theory import *
from rnnbio.laziness import *
from rnnbio.linear_theory import *
from rnnbio.lowrank import *
from rnnbio.lyapunov import *
from rnnbio.machine import project_root
from rnnbio.models import *
from rnnbio.optimizers import *
from rnnbio.plots import *
from rnnbio.report import *
from rnnbio.rules import *
from rnnbio.runs import *
from rnnbio.seeds import *
from rnnbio.store import *
from rnnbio.sweep import *
from rnnbio.tasks import *
from rnnbio.teacher import *
from rnnbio.train import *
from rnnbio.trials import *
