"""The one entry point: a corruption as a function of image, name, severity, image id and seed."""
from collections.abc import Sequence
from typing import Union

import cv2
import numpy as np

from mmadasap.errors import UserError

from . import blur, digital, extra, noise, weather
from .draws import generator
from .names import CORRUPTIONS, check_corruption

MIN_SIDE, MAX_SIDE = 16, 32766
FUNCTIONS = {
    name: next(getattr(family, name) for family in (noise, blur, weather, digital, extra) if hasattr(family, name))
    for name in CORRUPTIONS
}


def corrupt(image: np.ndarray, name: str, severity: int, image_id: Union[str, Sequence[str]],
            seed: int = 0) -> np.ndarray:
    """Corrupts one image or a batch; the same arguments give the same pixels in any process, order or random state.

    Args:
        image: uint8: RGB (H, W, 3) or a batch of such (N, H, W, 3); gray (H, W) or (H, W, 1), corrupted as RGB with
            three equal channels and returned as its luminance; RGBA (H, W, 4), its alpha untouched. Sides from 16 to
            32766 pixels.
        name: One of ``CORRUPTIONS``.
        severity: 1 to 5; 0 returns the image as it is.
        image_id: Identifies the image within its data set; for a batch, one for each.
        seed: Another seed gives another draw.

    Returns:
        uint8, shape of ``image``.

    Raises:
        UserError: Unknown name or severity, or an image of another kind.
    """
    check_corruption(name, severity)
    _check_image(image, image_id)
    if severity == 0 or not len(image):
        return image
    if image.ndim == 4:
        return np.stack([corrupt(one, name, severity, its_id, seed) for one, its_id in zip(image, image_id)])
    rng = generator(name, severity, image_id, seed)
    if image.ndim == 3 and image.shape[2] > 1:
        out = FUNCTIONS[name](np.ascontiguousarray(image[..., :3]), severity, rng)
        return np.concatenate([out, image[..., 3:]], axis=2)
    out = FUNCTIONS[name](cv2.cvtColor(image, cv2.COLOR_GRAY2RGB), severity, rng)
    return cv2.cvtColor(out, cv2.COLOR_RGB2GRAY).reshape(image.shape)


def _check_image(image: np.ndarray, image_id: Union[str, Sequence[str]]) -> None:
    batch = image.ndim == 4
    known = image.ndim == 2 or (batch and image.shape[3] == 3) or (image.ndim == 3 and image.shape[2] in (1, 3, 4))
    sides = image.shape[1:3] if batch else image.shape[:2]
    if image.dtype != np.uint8 or not known or not all(MIN_SIDE <= side <= MAX_SIDE for side in sides):
        raise UserError(f'Image {image_id!r} is {image.dtype} of shape {image.shape}; uint8 of shape (H, W, 3) or '
                        f'(N, H, W, 3), gray or RGBA, with sides of {MIN_SIDE} to {MAX_SIDE} pixels is needed.')
    if batch and (isinstance(image_id, str) or len(image_id) != len(image)):
        raise UserError(f'image_id={image_id!r} must give one id for each of the {len(image)} images of the batch.')
