"""From a command line to a config: what train.py, test.py and the other tools share."""
import argparse
import atexit
import os
import os.path as osp
import shlex
import sys
from collections.abc import Callable
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner, find_latest_checkpoint

from mmadasap.engine.checkpoint import check_parts, load_config, naming, read_checkpoint
from mmadasap.engine.resumption import check_resumable
from mmadasap.errors import UserError
from mmadasap.hosts import host_of
from mmadasap.registry import inner_datasets

# A wrapper and its mixed-precision sibling.
AMP_TYPES = {
    'OptimWrapper': 'AmpOptimWrapper',
    'AmpOptimWrapper': 'AmpOptimWrapper',
    'mmadasap.AdaSAPOptimWrapper': 'mmadasap.AmpAdaSAPOptimWrapper',
    'mmadasap.AmpAdaSAPOptimWrapper': 'mmadasap.AmpAdaSAPOptimWrapper',
}


def run_tool(main: Callable[[], None]) -> None:
    """Runs a tool; what the user can mend is printed as one sentence, with exit code 1."""
    try:
        main()
    except UserError as error:
        sys.exit(f'Error: {_sentence(error)}')
    if torch.distributed.is_initialized() and torch.distributed.get_backend() == 'gloo':
        _end_process()


def _sentence(error: UserError) -> str:
    """What a user error says; one from a process that loads data comes with that process's traceback before it."""
    text = str(error)
    return text.rpartition('UserError: ')[2].strip() if text.startswith('Caught ') else text


def _end_process() -> None:
    """Ends a process that has done its work, without taking the interpreter down.

    A thread of gloo that only then lets go of a tensor needs the interpreter, and would abort the process.
    """
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def build_runner(cfg: Config) -> Runner:
    """The runner of a config: mmengine's, or the one that its ``runner_type`` names."""
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def read_config(args: argparse.Namespace) -> Config:
    """The config named on the command line, with its overrides, launcher and work directory.

    Raises:
        UserError: As :func:`load_config`, or an override does not fit.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg = load_config(args.config, args.cfg_options)
    cfg.launcher = args.launcher
    default = cfg.get('work_dir') or osp.join('work_dirs', osp.splitext(osp.basename(args.config))[0])
    cfg.work_dir = args.work_dir or default
    return cfg


def set_amp(cfg: Config) -> None:
    """Switches to mixed precision and keeps the kind of optim wrapper.

    Raises:
        UserError: The configured wrapper has no mixed-precision form.
    """
    check_parts(cfg, 'optim_wrapper')
    kind = cfg.optim_wrapper.get('type', 'OptimWrapper')
    if isinstance(kind, type):
        # As configs in mmengine's new style give it.
        kind = f'{kind.__module__.partition(".")[0]}.{kind.__name__}'.removeprefix('mmengine.')
    if kind not in AMP_TYPES:
        raise UserError(f'--amp: optim_wrapper.type={kind!r} has no mixed-precision form (known: '
                        f'{", ".join(sorted(AMP_TYPES))}); train without --amp.')
    cfg.optim_wrapper.type = AMP_TYPES[kind]
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if cfg.optim_wrapper.type == 'AmpOptimWrapper' and get_device() == 'cpu':
        # mmengine's own refuses processors; without a radius ours makes the same steps.
        cfg.optim_wrapper.update(type='mmadasap.AmpAdaSAPOptimWrapper', radius=None)


def set_auto_scale_lr(cfg: Config) -> None:
    """Scales the learning rate with the batch.

    Raises:
        UserError: The config does not say which batch its learning rate is for.
    """
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise UserError('--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=<images per step>) in the config.')
    cfg.auto_scale_lr.enable = True


def set_tta(cfg: Config) -> None:
    """Tests on several versions of each image: those of ``tta_pipeline`` and ``tta_model``, else it and its flip."""
    check_parts(cfg, 'test_dataloader')
    for dataset in inner_datasets(cfg.test_dataloader.dataset):
        dataset['pipeline'] = cfg.get('tta_pipeline') or _with_flip(dataset['pipeline'])
    model = cfg.get('tta_model') or host_of(cfg).tta
    cfg.model = dict(model, module=cfg.model)


def _with_flip(pipeline: list[dict]) -> list[dict]:
    *steps, pack = pipeline
    keys = dict(meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'))
    flips = [dict(type='RandomFlip', prob=p) for p in (1., 0.)]
    return [*steps, dict(type='TestTimeAug', transforms=[flips, [dict(pack, **keys)]])]


def set_resume(cfg: Config, resume: Optional[str]) -> None:
    """Resumes from a checkpoint, or for 'auto' from the latest in the work directory, if there is one."""
    if resume == 'auto':
        resume = find_latest_checkpoint(cfg.work_dir) if osp.isdir(cfg.work_dir) else None
    if resume is not None:
        cfg.resume, cfg.load_from = True, resume


def start_processes(cfg: Config) -> None:
    """Joins the processes of a launcher on machines without a device, where mmengine assumes one.

    Raises:
        UserError: A launcher that offers no way to, or that did not start this process.
    """
    if cfg.launcher == 'pytorch' and 'RANK' not in os.environ:
        raise UserError('--launcher pytorch is for processes that torchrun starts; start them with torchrun '
                        f'--nproc_per_node=2 {shlex.join(sys.argv)}, or leave it out for one process.')
    if cfg.launcher == 'none' or get_device() != 'cpu':
        return
    if cfg.launcher != 'pytorch':
        raise UserError(f'--launcher {cfg.launcher} needs a CUDA device; on processors start with torchrun and '
                        '--launcher pytorch.')
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group('gloo')
    # DistributedDataParallel refuses device numbers for a model on a processor.
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False, device_ids=None,
                   find_unused_parameters=cfg.get('find_unused_parameters', False))
    cfg.model_wrapper_cfg = wrapper | (cfg.get('model_wrapper_cfg') or {})


def check_load_from(cfg: Config) -> None:
    """Refuses a local checkpoint that is not there, damaged, or not to be resumed from, before anything is built.

    Raises:
        UserError: Naming the file.
    """
    path = cfg.get('load_from')
    if path and '://' not in path:
        checkpoint = read_checkpoint(path)
        with naming(path):
            if cfg.get('resume'):
                check_resumable(checkpoint)


def pairs(paths: list[str]) -> list[tuple[str, str]]:
    """Configs and checkpoints that were given one after the other.

    Raises:
        UserError: Their number is odd.
    """
    if len(paths) % 2:
        raise UserError(f'{len(paths)} paths are no pairs; give CONFIG CHECKPOINT for every model.')
    return list(zip(paths[::2], paths[1::2]))
