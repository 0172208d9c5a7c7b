"""What models see on clean and corrupted versions of one test image."""
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from torch import nn

from mmadasap.corruption import corrupt
from mmadasap.evaluation.robustness import corrupted_loader

Detections = list[tuple[list[float], int, float]]


def detect_on_versions(models: dict[str, nn.Module],
                       cfg: Config,
                       corruptions: Sequence[str],
                       severity: int,
                       threshold: float = 0.3) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Detections]]]:
    """Runs every model on the test image with the most objects, as it is and corrupted.

    Args:
        models: Name -> detector in eval mode.
        cfg: Config with test_dataloader.
        corruptions: Names of corruptions.
        severity: 1 to 5.
        threshold: Least score that is shown.

    Returns:
        Title -> RGB image, and model -> title -> detections, as :func:`draw_panels` takes them.
    """
    init_default_scope(cfg.default_scope)
    loaders = {'clean': cfg.test_dataloader}
    loaders |= {name: corrupted_loader(cfg.test_dataloader, name, severity) for name in corruptions}
    sets = {title: DATASETS.build(loader['dataset']) for title, loader in loaders.items()}
    clean = sets['clean']
    index = max(range(len(clean)), key=lambda i: len(clean.get_data_info(i)['instances']))
    image, image_id = _read(clean, index)
    images = {title: corrupt(image, title, severity, image_id) for title in corruptions}
    detections = {
        name: {title: _detect(model, data[index], threshold) for title, data in sets.items()}
        for name, model in models.items()
    }
    return {'clean': image} | images, detections


def _read(dataset, index: int) -> tuple[np.ndarray, str]:
    info = dataset.get_data_info(index)
    load = dataset.pipeline.transforms[0]
    return load(dict(img_path=info['img_path']))['img'][..., ::-1], str(info['img_id'])


@torch.inference_mode()
def _detect(model: nn.Module, sample: dict, threshold: float) -> Detections:
    found = model.test_step(pseudo_collate([sample]))[0].pred_instances
    found = found[found.scores > threshold]
    return list(zip(found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist()))
