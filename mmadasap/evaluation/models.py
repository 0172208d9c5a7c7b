"""Several models on the same corruptions."""
import os
import os.path as osp
from collections.abc import Sequence
from itertools import product
from typing import Optional

from mmengine.config import Config

from mmadasap.corruption.manifest import cell_path, read_header
from mmadasap.corruption.versions import library_versions
from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.launch import check_load_from, start_processes
from mmadasap.engine.networks import adopt_slim_model
from mmadasap.errors import UserError
from mmadasap.evaluation.robustness import RobustnessResult, evaluate_robustness


def evaluate_models(pairs: Sequence[tuple[str, str]],
                    corruptions: Sequence[str],
                    severities: Sequence[int],
                    folder: str,
                    metric: Optional[str] = None,
                    seed: int = 0,
                    stored: Optional[str] = None,
                    workers: Optional[int] = None,
                    launcher: str = 'none',
                    local_rank: int = 0) -> tuple[dict[str, RobustnessResult], dict]:
    """Evaluates one model after the other, each loaded once; finished cells in ``folder`` are not run again.

    Args:
        pairs: (config, checkpoint) of each model.
        corruptions, severities, metric, seed, stored: Of :func:`evaluate_robustness`.
        folder: Where logs and finished cells go.
        workers: Processes that load images; None leaves the configs' numbers.
        launcher, local_rank: As mmengine's launchers give them.

    Returns:
        Name -> result, and what was run.

    Raises:
        UserError: A config or checkpoint is missing; and as :func:`evaluate_robustness`.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    configs = [_config(config, checkpoint, folder, workers, launcher) for config, checkpoint in pairs]
    names = short_names([checkpoint for _, checkpoint in pairs])
    copies = about_stored(stored, list(product(corruptions, severities))) if stored else {}
    results, files = {}, {}
    for name, cfg, (config, checkpoint) in zip(names, configs, pairs):
        start_processes(cfg)
        adopt_slim_model(cfg, checkpoint)
        results[name] = evaluate_robustness(
            cfg, checkpoint, corruptions, severities, metric, seed, stored, osp.join(folder, 'cells'))
        files[name] = dict(config=config, checkpoint=checkpoint)
    about = dict(corruptions=list(corruptions), severities=list(severities), seed=seed, files=files,
                 libraries=library_versions())
    return results, about | copies


def _config(config: str, checkpoint: str, folder: str, workers: Optional[int], launcher: str) -> Config:
    cfg = load_config(config)
    for part in ('test_dataloader', 'test_evaluator'):
        if cfg.get(part) is None:
            raise UserError(f'{config!r} has no {part}, so there is nothing to test on; add it.')
    cfg.load_from, cfg.launcher, cfg.work_dir = checkpoint, launcher, osp.join(osp.abspath(folder), 'logs')
    check_load_from(cfg)
    if workers is not None:
        cfg.test_dataloader.update(num_workers=workers, persistent_workers=False)
    return cfg


def about_stored(stored: str, cells: Sequence[tuple[str, int]]) -> dict:
    """How stored copies were written.

    Raises:
        UserError: Not all alike, which no single mean could stand for.
    """
    header, *others = (read_header(osp.join(stored, cell_path(*cell))) for cell in cells)
    for other in others:
        for key in ('format', 'quality', 'seed', 'libraries'):
            if other[key] != header[key]:
                raise UserError(f'In {stored!r} {_cell_of(other)} was written with {key}={other[key]} and '
                                f'{_cell_of(header)} with {header[key]}; build them alike, or test them one by one.')
    kind = f'{header["format"]} at quality {header["quality"]}' if header['format'] == 'jpg' else header['format']
    note = f'Corrupted images were stored as {kind}, which loses detail.' if header['lossy'] else ''
    return dict(stored=stored, format=header['format'], quality=header['quality'], seed=header['seed'], note=note)


def _cell_of(header: dict) -> str:
    return cell_path(header['corruption'], header['severity'])


def short_names(checkpoints: Sequence[str]) -> list[str]:
    """A name for each checkpoint: its folder's, or its path where two would be called alike."""
    names = [osp.basename(osp.dirname(osp.abspath(path))) for path in checkpoints]
    paths = [path if names.count(name) > 1 else name for path, name in zip(checkpoints, names)]
    return [f'{path} ({i + 1})' if paths.count(path) > 1 else path for i, path in enumerate(paths)]
