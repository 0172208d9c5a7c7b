"""What models see on clean and corrupted versions of one image."""
from collections.abc import Sequence

import numpy as np
import torch
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from torch import nn

from mmadasap.corruption import corrupt
from mmadasap.errors import UserError
from mmadasap.evaluation.loaders import corrupted_loader
from mmadasap.hosts import scope_of
from mmadasap.registry import inner_datasets, type_name

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
    init_default_scope(scope_of(cfg))
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


def detect_on_image(models: dict[str, tuple[nn.Module, Config]], image: np.ndarray, image_id: str,
                    corruptions: Sequence[str], severity: int,
                    threshold: float = 0.3) -> tuple[dict[str, np.ndarray], dict[str, dict[str, Detections]]]:
    """Runs every model on one image, as it is and corrupted, each through its own test pipeline.

    Args:
        models: Name -> detector in eval mode, and its config.
        image: RGB, uint8, shape (H, W, 3).
        image_id: What the draws depend on.
        corruptions, severity, threshold: As :func:`detect_on_versions`.

    Returns:
        As :func:`detect_on_versions`.
    """
    images = {'clean': image} | {name: corrupt(image, name, severity, image_id) for name in corruptions}
    return images, {
        name: {title: _detect(model, _prepared(cfg, version, image_id), threshold)
               for title, version in images.items()}
        for name, (model, cfg) in models.items()
    }


def _prepared(cfg: Config, image: np.ndarray, image_id: str) -> dict:
    """An RGB image as the test pipeline of ``cfg`` hands it to the model."""
    init_default_scope(scope_of(cfg))
    given = ('LoadImageFromFile', 'LoadAnnotations', 'Corrupt')
    steps = inner_datasets(cfg.test_dataloader.dataset)[0]['pipeline']
    pipeline = Compose([step for step in steps if type_name(step) not in given])
    return pipeline(dict(img=image[..., ::-1].copy(), img_id=image_id, img_path=image_id, ori_shape=image.shape[:2],
                         img_shape=image.shape[:2]))


def common_classes(configs: dict[str, Config]) -> tuple[str, ...]:
    """The classes of the models' test sets, from the configs or from the types of the data sets.

    Args:
        configs: By the names of the models.

    Raises:
        UserError: A config of a classifier, or models of different classes.
    """
    found = {name: _class_names(name, cfg) for name, cfg in configs.items()}
    first = next(iter(found.values()))
    other = next((name for name, classes in found.items() if classes != first), None)
    if other is not None:
        raise UserError(f'{other!r} knows the classes {", ".join(found[other][:3])}, ..., the first model '
                        f'{", ".join(first[:3])}, ...; draw models of the same classes side by side.')
    return first


def _class_names(name: str, cfg: Config) -> tuple[str, ...]:
    if scope_of(cfg) != 'mmdet':
        raise UserError(f'{name!r} is of default_scope={cfg.default_scope!r} and finds no boxes to draw; give '
                        'detectors.')
    init_default_scope('mmdet')
    dataset = inner_datasets(cfg.test_dataloader.dataset)[0]
    return tuple(dataset.get('metainfo', {}).get('classes') or DATASETS.get(dataset['type']).METAINFO['classes'])


def _read(dataset, index: int) -> tuple[np.ndarray, str]:
    info = dataset.get_data_info(index)
    load = dataset.pipeline.transforms[0]
    return load(dict(img_path=info['img_path']))['img'][..., ::-1], str(info['img_id'])


@torch.inference_mode()
def _detect(model: nn.Module, sample: dict, threshold: float) -> Detections:
    found = model.test_step(pseudo_collate([sample]))[0].pred_instances
    found = found[found.scores > threshold]
    return list(zip(found.bboxes.tolist(), found.labels.tolist(), found.scores.tolist()))
