"""The config of a slim network: the dense config with three keys of its model changed."""
import os.path as osp
from shlex import quote
from typing import Optional

from mmengine.config import Config, ConfigDict
from torch import nn

from mmadasap.engine.checkpoint import SHOWN, SLIM_TYPE, checkpoint_channels
from mmadasap.errors import UserError
from mmadasap.fileio import replacing
from mmadasap.pruning import branch_mismatches, describe_mismatches
from mmadasap.registry import type_name

PRUNING_HOOKS = ('ChannelPruningHook', 'SharpnessPhaseHook')
SLIM_HOOKS = ('PlainCheckpointHook', 'WidthGuardHook')

TEST = 'python tools/test.py {config} {checkpoint}'
START = 'python tools/train.py {config} --cfg-options load_from={checkpoint}'
RESUME = 'python tools/train.py {config} --resume {checkpoint}'
# Who starts from another network may want a part of it, as transfer does.
PART = (", or in place of load_from give a part of a dense model init_cfg=dict(type='Pretrained', checkpoint=..., "
        "prefix='<the part>')")


def slim_config(cfg: Config, channels: dict) -> Config:
    """The dense ``cfg`` with the widths of a pruned network, ready to train, test or infer with.

    The model keeps its keys and becomes ``type='mmadasap.SlimModel', detector=<its type>, channels=channels``. Hooks
    that would prune again are left out, those that keep checkpoints plain and guard against mixing widths come in, and
    the radius is the one the pruning run ended with. Its work directory is one in the pruning run's.
    """
    cfg = Config(cfg.to_dict())
    make_slim(cfg.model, channels)
    # The checkpoint this run started from has the dense widths, and its folder what training would write over.
    cfg.load_from, cfg.resume = None, False
    if cfg.get('work_dir'):
        cfg.work_dir = osp.join(cfg.work_dir, 'slim')
    hooks = cfg.get('custom_hooks') or []
    final = [h for h in hooks if type_name(h) == 'SharpnessPhaseHook']
    if final and cfg.get('optim_wrapper'):
        cfg.optim_wrapper.radius = final[-1].radius
    cfg.custom_hooks = [h for h in hooks if type_name(h) not in (*PRUNING_HOOKS, *SLIM_HOOKS)]
    cfg.custom_hooks += [dict(type=f'mmadasap.{name}') for name in SLIM_HOOKS]
    cfg.custom_imports = _with_import(cfg.get('custom_imports') or dict(allow_failed_imports=False), 'mmadasap')
    return cfg


def _with_import(custom_imports: dict, name: str) -> dict:
    """``custom_imports`` with one more module, in the user's order; mmengine takes a single one as a string, too."""
    modules = custom_imports.get('imports') or []
    modules = [modules] if isinstance(modules, str) else list(modules)
    return dict(custom_imports, imports=list(dict.fromkeys([*modules, name])))


def add_guard(cfg: Config, whole: bool = False) -> None:
    """Lets a run refuse checkpoints of a network that is pruned differently, and if ``whole`` incomplete ones."""
    hooks = [h for h in cfg.get('custom_hooks') or [] if type_name(h) != 'WidthGuardHook']
    cfg.custom_hooks = [*hooks, dict(type='mmadasap.WidthGuardHook', whole=whole)]


def add_plain_checkpoints(cfg: Config) -> None:
    """Lets a run, whatever it trains, write checkpoints that ``torch.load(weights_only=True)`` reads."""
    hooks = cfg.get('custom_hooks') or []
    if all(type_name(h) != 'PlainCheckpointHook' for h in hooks):
        cfg.custom_hooks = [*hooks, dict(type='mmadasap.PlainCheckpointHook')]


def make_slim(model: ConfigDict, channels: dict) -> None:
    """Makes a model's config, dense or slim, build the network of these widths."""
    if model.type != SLIM_TYPE:
        kind = model.type
        # New-style configs give classes, which their own path finds.
        model.detector = f'{kind.__module__}.{kind.__qualname__}' if isinstance(kind, type) else kind
        model.type = SLIM_TYPE
    model.channels = channels


def dense_config(cfg: Config) -> Config:
    """The slim ``cfg`` with the model of the network that was pruned."""
    model = cfg.model.to_dict()
    rest = {key: value for key, value in model.items() if key not in ('channels', 'detector')}
    return Config(dict(cfg.to_dict(), model=rest | dict(type=model['detector'])))


def write_config(cfg: Config, path: str) -> str:
    """Writes ``cfg`` to ``path`` whole or not at all, and returns ``path``."""
    with replacing(path, '.py') as partial:
        cfg.dump(partial)
    return path


def check_widths(model: nn.Module, checkpoint: dict, path: Optional[str] = None, command: str = TEST) -> None:
    """Refuses a loaded checkpoint of a network that is pruned differently from ``model``.

    Args:
        model: The network.
        checkpoint: What was loaded.
        path: Where it was loaded from, if that is known.
        command: What the user wanted: :data:`TEST`, :data:`START` or :data:`RESUME`.

    Raises:
        UserError: Naming the first few weights with both shapes, and the command to run.
    """
    differing = describe_mismatches(model, checkpoint.get('state_dict', checkpoint))
    channels = checkpoint_channels(checkpoint)
    missing = branch_mismatches(model, channels or {})
    if missing:
        differing = differing or f'it has no residual branch in {", ".join(missing[:SHOWN])}'
    if not differing:
        return
    kind, config = 'dense', '<its dense config>'
    other = ', or take a checkpoint of these widths' + (PART if command == START else '')
    if channels is not None:
        kind, config, other = 'pruned', _slim_beside(path), ''
    to_run = command.format(config=config, checkpoint=quote(path) if path else '<checkpoint>')
    raise UserError(f'The checkpoint holds a {kind} network of other widths than the model ({differing}); run '
                    f'"{to_run}"{other}.')


def _slim_beside(path: Optional[str]) -> str:
    config = osp.join(osp.dirname(path), 'slim.py') if path else ''
    return quote(config) if osp.isfile(config) else '<its slim.py>'
