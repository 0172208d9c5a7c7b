"""One training run: a config of the project, what differs from it, the run it starts from; and where its parts lie."""
import copy
import glob
import hashlib
import json
import math
import os.path as osp
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from mmengine.config import Config

from mmadasap.engine.checkpoint import load_config
from mmadasap.errors import UserError
from mmadasap.fileio import file_digest

HERE = osp.dirname(osp.abspath(__file__))
ROOT = osp.dirname(osp.dirname(HERE))
RESULTS = osp.join(HERE, 'results')
# Below where the program is started, as all of the configs' own paths are.
WORK_DIR = 'work_dirs/reproduce'
# Parts of a config that no number depends on.
UNTRAINED = ('work_dir', 'load_from', 'experiment_name', 'resume', 'visualizer', 'vis_backends', 'log_processor',
             'log_level')
PRUNING_HOOK, PHASE_HOOK = 'mmadasap.ChannelPruningHook', 'mmadasap.SharpnessPhaseHook'


@dataclass(frozen=True)
class Run:
    """What is trained and measured, once a seed.

    Attributes:
        name: Of its folder and its result.
        config: Path of the project's config.
        options: Settings that differ, as ``--cfg-options`` takes them.
        epochs: How many epochs, where they differ; the cosine of the learning rate ends with them.
        hooks: Type of a custom hook -> settings of it that differ.
        start: Name of the run whose last checkpoint, of the same seed, it starts from.
        amp: Whether it trains in mixed precision.
        measures: What is measured beside accuracy clean and corrupted: 'train' (accuracy on the training images),
            'pruning' (loss, accuracy and sharpness right before and after).
        every: Corrupted accuracy is measured on every n-th test image.
        robust: Config whose test data and metrics, with published corrupted images, replace corruption on the fly.
        dense: Name of the dense run its size is compared with, where it does not start from it.
        times: How many times as many epochs it has as those it is compared with.
    """
    name: str
    config: str
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: Optional[int] = None
    hooks: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    start: Optional[str] = None
    amp: bool = False
    measures: tuple[str, ...] = ()
    every: int = 1
    robust: Optional[str] = None
    dense: Optional[str] = None
    times: int = 1

    @property
    def reference(self) -> str:
        """Name of the dense run."""
        return self.start or self.dense or self.name

    def work_dir(self, seed: int) -> str:
        """Folder of its checkpoints."""
        return osp.join(WORK_DIR, f'{self.name}-seed{seed}')

    def result_path(self, seed: int) -> str:
        """File of its result."""
        return osp.join(RESULTS, f'{self.name}-seed{seed}.json')


def resolve(run: Run, seed: int, start: Optional[str] = None) -> Config:
    """The whole config of a run, that ``tools/train.py`` takes.

    Checkpoints are kept from the start and the end of the pruning phase, and not only the newest.

    Args:
        run: The run.
        seed: Of weights, order of images and augmentation.
        start: Checkpoint to start from.
    """
    cfg = load_config(osp.join(ROOT, run.config))
    for hook in cfg.get('custom_hooks') or []:
        hook.update(run.hooks.get(hook.type, {}))
    # Merging takes marks out of what is merged.
    cfg.merge_from_dict(copy.deepcopy(dict(run.options)))
    if run.epochs is not None:
        cfg.train_cfg.max_epochs = cfg.train_cfg.val_interval = run.epochs
        cosine = cfg.param_scheduler[-1]
        cosine.update(end=run.epochs, T_max=run.epochs - cosine.begin)
    cfg.randomness = dict(seed=seed)
    cfg.work_dir = run.work_dir(seed)
    cfg.experiment_name = osp.basename(cfg.work_dir)
    cfg.load_from, cfg.resume = start, False
    if 'pruning' in run.measures:
        interval = math.gcd(*pruning_epochs(cfg), cfg.train_cfg.max_epochs)
        cfg.default_hooks.checkpoint.update(interval=interval, max_keep_ckpts=-1)
    return cfg


def pruning_epochs(cfg: Config) -> Optional[tuple[int, int]]:
    """Epochs where the pruning phase begins and ends; None without pruning."""
    found = [hook for hook in cfg.get('custom_hooks') or [] if hook.type == PRUNING_HOOK]
    return (found[0].begin, found[0].end) if found else None


def latency_tables(cfg: Config) -> list[str]:
    """Files with times of layers that a run is pruned by."""
    return [hook.latency_table for hook in cfg.get('custom_hooks') or [] if hook.get('latency_table')]


def check_latency_table(run: Run, runs: Mapping[str, 'Run']) -> None:
    """Refuses a run whose latency table is not there, before anything is trained for it.

    Raises:
        UserError: Naming the table and what measures it.
    """
    for path in latency_tables(resolve(run, 0)):
        if not osp.exists(osp.join(ROOT, path)) and not osp.exists(path):
            raise UserError(f'{run.name} is pruned by the latency table {path}, which is not there; python '
                            f'tools/build_latency_table.py {runs[run.reference].config} --out {path} measures it '
                            '(--device cuda:0 for a device).')


def checkpoint_path(cfg: Config, epoch: Optional[int] = None) -> str:
    """Checkpoint of a run after an epoch, the last one by default."""
    return osp.join(cfg.work_dir, f'epoch_{epoch or cfg.train_cfg.max_epochs}.pth')


def chosen_checkpoint(cfg: Config) -> str:
    """The checkpoint that is measured: the best by validation where the config keeps it, else the last."""
    best = glob.glob(osp.join(glob.escape(cfg.work_dir), 'best_*.pth')) if cfg.default_hooks.checkpoint.get(
        'save_best') else []
    return best[0] if best else checkpoint_path(cfg)


def training_hash(run: Run, seed: int, runs: Mapping[str, Run]) -> str:
    """Names what is trained: config, precision, the run it starts from and its latency table; no folder, no log.

    Args:
        run: The run.
        seed: Its seed.
        runs: Name -> run, of all a run may start from.
    """
    plain = resolve(run, seed)._cfg_dict.to_dict()
    for key in UNTRAINED:
        plain.pop(key, None)
    plain['default_hooks']['checkpoint'].pop('max_keep_ckpts', None)
    tables = [hook.get('latency_table') for hook in plain.get('custom_hooks') or []]
    digests = [file_digest(osp.join(ROOT, path)) for path in tables if path and osp.exists(osp.join(ROOT, path))]
    start = run.start and training_hash(runs[run.start], seed, runs)
    text = json.dumps([plain, run.amp, start, digests], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
