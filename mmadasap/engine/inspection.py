"""What a pruned checkpoint holds, for people who have the file and no config."""
from dataclasses import dataclass
from typing import Optional

from mmengine.config import Config

from mmadasap.engine.checkpoint import (
    SLIM_TYPE,
    checkpoint_channels,
    checkpoint_config,
    naming,
    read_checkpoint,
    shown,
)
from mmadasap.engine.networks import build_network
from mmadasap.engine.origin import origin_of, read_budget
from mmadasap.engine.slim_config import dense_config
from mmadasap.engine.wholeness import check_whole
from mmadasap.errors import UserError
from mmadasap.pruning import LAYER_TYPES, Budget, count_parameters, output_width


@dataclass(frozen=True)
class SlimReport:
    """A pruned network beside the dense one it was cut from.

    Attributes:
        before: Layer -> output channels of the dense network, of every layer that pruning touched.
        after: The same of the pruned one; 0 where a layer is gone with its residual branch.
        parameters: Learned numbers of the dense and of the pruned network.
        budget: What the pruning aimed at; None where not recorded.
        parents: The checkpoint training started from, the one that one started from, and so on, as far as recorded.
    """
    before: dict[str, int]
    after: dict[str, int]
    parameters: tuple[int, int]
    budget: Optional[Budget]
    parents: list[str]


def inspect_slim(path: str) -> SlimReport:
    """Reads a checkpoint and builds both networks from the config it carries.

    Raises:
        UserError: It holds a dense network, or no config.
    """
    checkpoint = read_checkpoint(path)
    if checkpoint_channels(checkpoint) is None:
        raise UserError(f'{path} holds a dense network: there is nothing pruned to show.')
    with naming(path):
        return _report(checkpoint)


def _report(checkpoint: dict) -> SlimReport:
    cfg = checkpoint_config(checkpoint)
    if (cfg.get('model') or {}).get('type') != SLIM_TYPE:
        raise UserError('The file holds a pruned network but not its config; take a checkpoint written after pruning.')
    pruned = build_network(cfg)
    check_whole(pruned, checkpoint)
    dense = build_network(dense_config(cfg))
    before, after = ({name: output_width(m) for name, m in network.named_modules() if isinstance(m, LAYER_TYPES)}
                     for network in (dense, pruned))
    gone = {f'{block}.{layer}' for block, entry in cfg.model.channels.items() for layer in entry.get('gone', ())}
    layers = [name for name in before if name in cfg.model.channels or name in gone]
    budget, parents = _origin(checkpoint.get('channel_pruning', {}), cfg)
    return SlimReport(
        before={name: before[name] for name in layers},
        after={name: after.get(name, 0) for name in layers},
        parameters=(count_parameters(dense), count_parameters(pruned)),
        budget=budget,
        parents=parents)


def _origin(state: dict, cfg: Config) -> tuple[Optional[Budget], list[str]]:
    """From the pruning run's own record, and from the config, which those that train on keep."""
    parent = state.get('parent')
    if not isinstance(parent, (str, type(None))):
        raise UserError(f'parent={shown(parent)} is no path; the file is damaged.')
    budget, parents = origin_of(cfg)
    return read_budget(state.get('budget')) or budget, parents or ([parent] if parent else [])


def format_report(report: SlimReport) -> str:
    """A table: one row a layer, then totals and where the network comes from."""
    lines = [f'{"layer":44}{"dense":>8}{"pruned":>8}']
    lines += [f'{name:44}{width:8}{report.after[name]:8}' for name, width in report.before.items()]
    lines.append(f'{"channels of these layers":44}{sum(report.before.values()):8}{sum(report.after.values()):8}')
    dense, pruned = report.parameters
    lines.append(f'parameters: {pruned:,} of {dense:,} ({pruned / dense:.1%})')
    if report.budget is not None:
        lines.append(f'budget: {report.budget}')
    lines.append(f'started from: {", which started from ".join(report.parents) or "not recorded"}')
    return '\n'.join(lines)
