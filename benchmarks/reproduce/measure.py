"""What is measured of a finished training run."""
import copy
import os.path as osp
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from runs import Run, checkpoint_path, chosen_checkpoint, latency_tables, pruning_epochs
from steps import step_times

from mmadasap.corruption import SUBSETS
from mmadasap.engine.checkpoint import load_config, read_checkpoint
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.networks import adopt_slim_model, build_network, input_size, load_network
from mmadasap.engine.plain_checkpoint import make_resumable
from mmadasap.evaluation import evaluate_robustness
from mmadasap.evaluation.loss import evaluate_loss
from mmadasap.evaluation.sharpness import evaluate_sharpness
from mmadasap.latency import LatencyTable
from mmadasap.pruning import count_parameters, trace_layers

CORRUPTIONS, SEVERITY = SUBSETS['paper18'], 3
SHARPNESS = dict(rho=0.05, batches=8, steps=5)


def measure(run: Run, cfg: Config) -> dict:
    """Accuracy, cost and whatever else the run asks for, as plain data."""
    chosen = chosen_checkpoint(cfg)
    test = published_accuracy(cfg, chosen, run.robust) if run.robust else corrupted_accuracy(cfg, chosen, run.every)
    found = dict(test=test, checkpoint=osp.basename(chosen), cost=training_cost(cfg, checkpoint_path(cfg)))
    if pruning_epochs(cfg) is not None:
        found['cost']['step_ms'] = step_times(cfg, chosen, run.amp)
    found['latency'] = latency_share(cfg, chosen)
    if 'train' in run.measures:
        found['train'] = accuracy(cfg, chosen, on_training_images(cfg))
    if 'pruning' in run.measures:
        begin, end = pruning_epochs(cfg)
        found['before'], found['after'] = (around_pruning(cfg, checkpoint_path(cfg, epoch)) for epoch in (begin, end))
    return found


def corrupted_accuracy(cfg: Config, checkpoint: str, every: int) -> dict:
    """Accuracy on all clean test images, and on every n-th one corrupted (paper: acc_val, acc_C, R_C on these)."""
    part = for_checkpoint(cfg, checkpoint)
    if every > 1:
        part.test_dataloader.dataset.every = every
    result = evaluate_robustness(part, checkpoint, CORRUPTIONS, [SEVERITY], cells=osp.join(cfg.work_dir, 'cells'))
    whole = accuracy(cfg, checkpoint, cfg.test_dataloader) if every > 1 else result.clean
    return result.to_dict() | dict(accuracy=whole, severity=SEVERITY, every=every)


def published_accuracy(cfg: Config, checkpoint: str, robust: str) -> dict:
    """Accuracy of a classifier on clean and on published corrupted images, in one pass over both."""
    cfg, data = for_checkpoint(cfg, checkpoint), load_config(robust)
    cfg.test_dataloader, cfg.test_evaluator = data.test_dataloader, data.test_evaluator
    cfg.load_from = checkpoint
    runner = Runner.from_cfg(cfg)
    found = {name.removeprefix('robust/'): float(value) for name, value in runner.test().items()}
    return dict(
        accuracy=found['top1'] / 100, mean_corrupted=found['c/top1'] / 100, relative=found['R_C'],
        parameters=count_parameters(runner.model), published=found)


def accuracy(cfg: Config, checkpoint: str, loader: dict) -> float:
    """Clean accuracy on the images of a loader, a share of 1."""
    cfg = for_checkpoint(cfg, checkpoint)
    cfg.test_dataloader = loader
    return evaluate_robustness(cfg, checkpoint, [], []).clean


def around_pruning(cfg: Config, checkpoint: str) -> dict:
    """Loss and accuracy on the test images (Table 9), sharpness on training batches (Table 7)."""
    sharpness = evaluate_sharpness(cfg, checkpoint, **SHARPNESS)
    return dict(
        loss=evaluate_loss(cfg, checkpoint),
        accuracy=accuracy(cfg, checkpoint, cfg.test_dataloader),
        sharpness=sharpness.to_dict())


def latency_share(cfg: Config, checkpoint: str) -> Optional[float]:
    """Time of the slim network over the dense one's, by the latency table it was pruned with; None without one."""
    paths = latency_tables(cfg)
    if not paths:
        return None
    table, size = LatencyTable.load(paths[0]), input_size(cfg)
    slim, dense = load_network(cfg, checkpoint), build_network(cfg).eval()
    layers = [trace_layers(model, torch.zeros(1, 3, *size), raw_outputs) for model in (slim, dense)]
    slim_ms, dense_ms = (sum(table(row, row.in_width, row.out_width) for row in rows) for rows in layers)
    return slim_ms / dense_ms


def training_cost(cfg: Config, checkpoint: str) -> dict:
    """Seconds of training as the run measured them, its iterations, and those of them up to surgery."""
    loaded = read_checkpoint(checkpoint)
    make_resumable(loaded)
    seconds, _ = loaded['message_hub']['log_scalars']['train/time'].data
    phase = pruning_epochs(cfg)
    end = len(seconds) if phase is None else len(seconds) * phase[1] // cfg.train_cfg.max_epochs
    return dict(training_seconds=float(seconds.sum()), iterations=len(seconds), iterations_before=end)


def on_training_images(cfg: Config) -> dict:
    """The loader of the training images, as test images are prepared: unchanged and in order."""
    loader, train = copy.deepcopy(cfg.test_dataloader), copy.deepcopy(cfg.train_dataloader.dataset)
    train.update(pipeline=loader.dataset.pipeline, test_mode=True)
    loader.dataset = train
    return loader


def for_checkpoint(cfg: Config, checkpoint: str) -> Config:
    """A copy of ``cfg`` that builds the network a checkpoint holds, dense or slim."""
    cfg = copy.deepcopy(cfg)
    adopt_slim_model(cfg, checkpoint)
    return cfg
