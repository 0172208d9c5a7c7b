"""Structured channel pruning (AdaSAP, step 2). Knows torch and torch_pruning and nothing of mmengine."""
from .allocation import Allocation, allocate, allocate_halp, allocate_repriced
from .allocator import Allocator
from .branches import Branch, IdentityPath, find_branches
from .budget import Budget
from .cost import COSTS, LayerShape, NetworkCost, count_parameters, trace_layers
from .graph import LAYER_TYPES, TraceError, image_channels
from .groups import ChannelGroup, Member, format_groups, trace_groups
from .importance import IMPORTANCES, MagnitudeImportance, TaylorImportance, build_importance, register_importance
from .joint_problem import CostTerm
from .knapsack import solve_multiple_choice
from .masks import ChannelMask, Cuts, full_channels, mask_optimizer, model_tensors, tensor_cuts
from .proof import find_groups
from .pruner import ChannelPruner
from .ranking import BudgetError, check_reachable, keep_best
from .schedule import PruningSchedule
from .specification import channel_spec, check_spec, output_width
from .surgery import rebuild, slim
from .widths import branch_mismatches, describe_mismatches, refuse_other_widths, width_mismatches

__all__ = [
    'Allocation', 'Allocator', 'Branch', 'Budget', 'BudgetError', 'COSTS', 'ChannelGroup', 'ChannelMask',
    'ChannelPruner', 'CostTerm', 'Cuts', 'IMPORTANCES', 'IdentityPath', 'LAYER_TYPES', 'LayerShape',
    'MagnitudeImportance', 'Member', 'NetworkCost', 'PruningSchedule', 'TaylorImportance', 'TraceError', 'allocate',
    'allocate_halp', 'allocate_repriced', 'branch_mismatches', 'build_importance', 'channel_spec', 'check_reachable',
    'check_spec', 'count_parameters', 'describe_mismatches', 'find_branches', 'find_groups', 'format_groups',
    'full_channels', 'image_channels', 'keep_best', 'mask_optimizer', 'model_tensors', 'output_width', 'rebuild',
    'refuse_other_widths', 'register_importance', 'slim', 'solve_multiple_choice', 'tensor_cuts', 'trace_groups',
    'trace_layers', 'width_mismatches'
]
