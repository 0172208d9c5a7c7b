"""Images to check an export on."""
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from torch import Tensor

from mmadasap.errors import UserError
from mmadasap.hosts import scope_of


def test_images(cfg: Config, count: int) -> list[Tensor]:
    """The first images of a config's test set, as its pipeline gives them to the model: (3, H, W), 0..255, BGR.

    Raises:
        UserError: The config has no test set, its files are not there, or it is empty.
    """
    if not cfg.get('test_dataloader'):
        raise UserError('The config has no test_dataloader to take images from; give some with --images.')
    init_default_scope(scope_of(cfg))
    try:
        data = DATASETS.build(cfg.test_dataloader.dataset)
        found = [data[i]['inputs'] for i in range(min(count, len(data)))]
    except FileNotFoundError as error:
        raise UserError(f'The images of the test set cannot be read ({error}); give some with --images.') from None
    if not found:
        raise UserError('The test set holds no image; give some with --images.')
    return found


def read_images(paths: Sequence[str], size: tuple[int, int]) -> list[Tensor]:
    """Image files, resized to (H, W): (3, H, W), 0..255, BGR.

    Raises:
        UserError: A file that holds no image.
    """
    import cv2
    found = []
    for path in paths:
        image = cv2.imread(path)
        if image is None:
            raise UserError(f'{path!r} cannot be read as an image.')
        found.append(torch.from_numpy(np.ascontiguousarray(cv2.resize(image, size[::-1]).transpose(2, 0, 1))))
    return found


def common_size(images: Sequence[Tensor], divisor: int = 1) -> tuple[int, int]:
    """Least (H, W) that holds all images and is a multiple of ``divisor``."""
    return tuple(-(-max(image.shape[i] for image in images) // divisor) * divisor for i in (1, 2))


def fit(images: Sequence[Tensor], size: tuple[int, int], blank: Tensor) -> Tensor:
    """One batch (N, 3, H, W) of images at the top left of a ``blank`` pixel's colour, as mmdet pads them.

    Raises:
        UserError: An image is larger than ``size``.
    """
    batch = blank.reshape(1, 3, 1, 1).expand(len(images), 3, *size).clone()
    for row, image in zip(batch, images):
        height, width = image.shape[1:]
        if height > size[0] or width > size[1]:
            raise UserError(f'An image of {height} x {width} pixels does not fit into {size[0]} x {size[1]}; '
                            'give a larger --input-size.')
        row[:, :height, :width] = image
    return batch
