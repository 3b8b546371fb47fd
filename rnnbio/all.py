"""Everything one needs in a notebook: `from rnnbio.all import *`.

What stands here is what a user types; all else is found in the module that defines it.
"""
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
import xarray as xr

# tasks
from .base.trials import Trials
from .tasks.base import TASKS, Task, as_trials, closed_loop, get_task, list_tasks
from .tasks.digits import digits_source
from .tasks.environments import environments
from .tasks.ring import ring_performance
from .tasks.wrappers import finite, noisy, padded, shifted

# networks
from .networks.connections import read_connections
from .networks.connectome import connectome, connectome_source, read_celegans, spatial_synapses
from .networks.controls import resigned, rotated
from .networks.dynamics import NOISES, SKIPS, dasc, ou, sctt, strategic, white
from .networks.fixed import fixed
from .networks.initializers import (
    INITIALIZERS, directions, draw, gaussian, placed, uniform, without_autapses)
from .networks.models import LeakyRNN
from .networks.modules import Network, from_modules, from_rnn, to_rnn
from .networks.params import Params, as_params
from .networks.structures import (
    SIZES, cell_types, chain_motif, dale, density, effective_rank, eigenvalue_sizes, low_rank,
    outlier, soft_rank, sparse, structured)

# rules
from .rules.costs import COSTS, l1, l2
from .rules.gradient import answers, credit_reach, gradient, gradient_alignment
from .rules.rules import RULES, Rule, dale_types, get_rule, scaled, type_mean

# analyses
from .analyses.curvature import (
    Hessian, hessian_times, lanczos, leading_curvature, lowest_curvature)
from .analyses.decomposition import decompose_gradient, share_along, steepest_shares
from .analyses.flatness import (
    curvature_along_weights, hessian_norm, hessian_trace, kink_margin, relative_flatness,
    rescale_units, scaled_curvature, sized_curvature)
from .analyses.generalization import gap_label, generalization_gap, trial_score
from .analyses.laziness import (
    kernel_alignment, kernel_rank, kernel_task_alignment, laziness_outcomes, matrix_alignment,
    representation_alignment, sign_similarity, tangent_kernel, weight_change)
from .analyses.lowrank import (
    batch_loss, change_spectrum, shuffle_initial_weights, truncate_change, truncation_losses)
from .analyses.lyapunov import (
    concatenate_trials, driving_inputs, lyapunov_convergence, lyapunov_exponents)
from .analyses.measures import MEASURES
from .base.curves import at_loss, final_loss, first_below, learned, moving_average

# theory
from .theory.linear import (
    exact_flow, first_order_learning, fixed_point_output, squared_amplification,
    third_order_learning, weight_flow, zero_gain_change, zero_gain_solution)
from .theory.stability import (
    UpdateField, field_eigenvalues, largest_rate, output_gradient, single_stability)
from .theory.two_layers import (
    TwoLayer, aligned_layer, anisotropic_teacher, break_even_balance, expected_alignment,
    learn_linear, learn_rectified, measured_laziness, power_law_inputs, predicted_laziness,
    rectified_kernel, rectified_networks, rectified_outputs, small_start, with_spectrum)

# training
from .training.fit import Fit
from .training.flossing import floss, flossing
from .training.optimizers import OPTIMIZERS, adam, clipped_sgd, get_optimizer, sgd
from .training.schedule import RATES, STAGES, cosine_decay, decay, stage, until, warm_up
from .training.settings import Training
from .training.state import State
from .training.teacher import Taught, conditioned, task_aligned
from .training.train import Interrupted, train

# sweeps and their results
from .sweeps.compute import compute
from .sweeps.load import load_networks, load_params
from .sweeps.runs import Run
from .sweeps.store import Store
from .sweeps.rates import best_lr
from .sweeps.sweep import Failed, Sweep, along
from .sweeps.taught import taught

# figures and claims
from .base.plots import (
    OTHER_COLORS, RULE_COLORS, RULE_LABELS, STRUCTURE_COLORS, TASK_COLORS, figure_style,
    gain_color, log_ticks, mean_and_interval, plot_activity, plot_against_gain, plot_curves,
    plot_learning, plot_mean, plot_trial, rank_color, shade)
from .base.conditions import name_conditions, plot_conditions, plot_paired, shared_key
from .figures.claims import Claim, Race
from .figures.statistics import (
    gap_closes, interval, log_ratio, rank_correlation, wilson_interval)
from .figures.figure import Figure

# the machine
from .base.data import data_root, fetch
from .base.machine import pick_device, project_root, versions
from .base.seeds import generator

__all__ = [name for name in dir() if not name.startswith("_")]
