"""Reading checkpoints and configs from files, refusing what is damaged in one sentence."""
import os.path as osp
from collections.abc import Iterator
from contextlib import contextmanager
from pickle import UnpicklingError
from typing import Any, Optional

from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader
from torch import Tensor

from mmadasap.errors import UserError, brief
from mmadasap.hosts import check_scope
from mmadasap.pruning import check_spec

from .safe_globals import allow_histories

allow_histories()

SLIM_TYPE = 'mmadasap.SlimModel'
# How many weights an error names.
SHOWN = 3


def check_checkpoint(path: str) -> None:
    """Refuses a local checkpoint that is not there; addresses are left to mmengine.

    Raises:
        UserError: Naming the file.
    """
    if '://' not in path and not osp.isfile(osp.expanduser(path)):
        raise UserError(f'There is no checkpoint {path!r} to load from; train it first, or give the path of another.')


def read_checkpoint(path: str) -> dict:
    """Loads a checkpoint to the processor and checks that it holds weights and, if pruned, sound widths.

    Raises:
        UserError: Naming the file, and the key and value that are wrong.
    """
    check_checkpoint(path)
    try:
        loaded = CheckpointLoader.load_checkpoint(path, map_location='cpu')
    except UnpicklingError as error:
        reason = str(error).rpartition('WeightsUnpickler error: ')[2].strip().partition('. ')[0]
        raise UserError(f'{path} cannot be read as a checkpoint ({reason}); the file is damaged, or holds more than '
                        'weights and numbers: strip it with the program that wrote it.') from None
    except Exception as error:
        raise UserError(f'{path} cannot be read as a checkpoint ({brief(error)}); the file is damaged.') from None
    if not isinstance(loaded, dict):
        raise UserError(f'{path} holds a {type(loaded).__name__} where a checkpoint is a dict; give another file.')
    weights = loaded.get('state_dict', loaded)
    if not isinstance(weights, dict) or not weights:
        raise UserError(f'{path}: state_dict={shown(weights)} holds no weights; the file is damaged or is no '
                        'checkpoint.')
    for key, value in weights.items():
        if not isinstance(value, Tensor):
            raise UserError(f'{path}: {key}={shown(value)} is no tensor of weights; the file is damaged or is no '
                            'checkpoint.')
    with naming(path):
        checkpoint_channels(loaded)
    return loaded


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Puts ``path`` before what is found wrong with the file."""
    try:
        yield
    except UserError as error:
        raise UserError(f'{path}: {error}') from None


def checkpoint_channels(checkpoint: dict) -> Optional[dict]:
    """Widths of the slim network a loaded checkpoint holds, from its own key or its config; None for a dense one.

    Raises:
        UserError: Naming the key and value that are wrong.
    """
    if 'channel_pruning' not in checkpoint:
        return _config_channels(checkpoint_config(checkpoint))
    state = checkpoint['channel_pruning']
    if not isinstance(state, dict) or 'channels' not in state:
        raise UserError(f'channel_pruning={shown(state)} has no channels; the file is damaged.')
    if state['channels'] is not None:
        check_spec(state['channels'])
    return state['channels']


def _config_channels(cfg: Config) -> Optional[dict]:
    model = cfg.get('model')
    if not isinstance(model, dict) or model.get('type') != SLIM_TYPE:
        return None
    channels = model.to_dict().get('channels')
    check_spec(channels)
    return channels


def checkpoint_config(checkpoint: dict) -> Config:
    """The config a pruned checkpoint carries; an empty one where there is none or a dense network's.

    Raises:
        UserError: It cannot be read.
    """
    meta = checkpoint.get('meta') or {}
    if not isinstance(meta, dict):
        raise UserError(f'meta={shown(meta)} is no dict; the file is damaged.')
    text = meta.get('cfg') or ''
    if not isinstance(text, str):
        raise UserError(f"meta['cfg']={shown(text)} is no text of a config; the file is damaged.")
    if SLIM_TYPE not in text:
        return Config()
    try:
        return Config.fromstring(text, '.py')
    except ImportError as error:
        raise UserError(f'The config in the checkpoint needs what cannot be imported here ({brief(error)}); install '
                        'it.') from None
    except Exception as error:
        raise UserError(f"meta['cfg']={shown(text)} cannot be read as a config ({brief(error)}); the file is "
                        'damaged.') from None


def _config_from_file(path: str) -> Config:
    """The config in a file.

    Raises:
        UserError: There is no such file, or it cannot be read.
    """
    if not osp.isfile(path):
        raise UserError(f'There is no config file {path!r}; give the path of one, e.g. from configs/.')
    try:
        return Config.fromfile(path)
    except Exception as error:
        raise UserError(f'{path} cannot be read as a config ({brief(error)}); correct it.') from None


def load_config(path: str, options: Optional[dict] = None) -> Config:
    """The config in a file; mmpretrain's keep what belongs to the model's data_preprocessor beside the model.

    Args:
        path: Of the file.
        options: Overrides, as ``--cfg-options`` gives them.

    Raises:
        UserError: The file is not there or cannot be read, the library it is for is not installed, or an override does
            not fit.
    """
    cfg = _config_from_file(path)
    check_scope(cfg)
    is_beside = isinstance(cfg.get('model'), dict) and not cfg.model.get('data_preprocessor')
    try:
        cfg.merge_from_dict(options or {})
    except Exception as error:
        raise UserError(f'--cfg-options {options} does not fit {path} ({brief(error)}); correct it.') from None
    if is_beside and cfg.get('data_preprocessor'):
        cfg.model.data_preprocessor = dict(cfg.data_preprocessor, **(cfg.model.get('data_preprocessor') or {}))
    return cfg


def check_model(cfg: Config) -> None:
    """Refuses a config without a model.

    Raises:
        UserError: Showing what stands in its place.
    """
    model = cfg.get('model')
    if not isinstance(model, dict) or 'type' not in model:
        raise UserError(f'The config {cfg.filename} has model={shown(model)} where a dict with a '
                        'type is needed; correct or replace it.')


def check_parts(cfg: Config, *names: str) -> None:
    """Refuses a config that has no such settings.

    Raises:
        UserError: Naming the first that is missing.
    """
    for name in names:
        if not cfg.get(name):
            raise UserError(f'The config {cfg.filename} has no {name}, which is needed here; add it, or use the config '
                            'of the whole run.')


def shown(value: Any) -> str:
    """``value`` as an error shows it: not more of it than a line holds."""
    text = repr(value)
    return text if len(text) <= 80 else f'{text[:77]}...'
