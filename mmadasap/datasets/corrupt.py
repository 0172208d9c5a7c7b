"""Corrupted images on the fly."""
import os.path as osp
from typing import Optional

import numpy as np
from mmcv.transforms import BaseTransform

from mmadasap.corruption import check_corruption, corrupt
from mmadasap.errors import UserError
from mmadasap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """Corrupts the image; every pixel is a function of image id, corruption, severity and seed alone.

    Put it right after LoadImageFromFile, before any resizing. The image id is ``img_id``; where a data set gives none,
    the image's path as seen from ``root``; where images come from memory, the index ``sample_idx``.

    Required keys: img; img_id, img_path or sample_idx. Modified keys: img.

    Args:
        corruption: One of ``mmadasap.corruption.CORRUPTIONS``.
        severity: 1 to 5; 0 leaves the image as it is.
        seed: Another seed gives another draw.
        channel_order: Of ``img``: 'bgr', as LoadImageFromFile gives it, or 'rgb'.
        root: Folder that paths are told from, so that they name the same image wherever the data set lies.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0, channel_order: str = 'bgr',
                 root: Optional[str] = None):
        check_corruption(corruption, severity)
        if channel_order not in ('bgr', 'rgb'):
            raise UserError(f"channel_order={channel_order!r} must be 'bgr' or 'rgb'.")
        self.corruption, self.severity, self.seed = corruption, severity, seed
        self.channel_order, self.root = channel_order, root

    def transform(self, results: dict) -> dict:
        """Replaces ``results['img']``."""
        if self.severity:
            image = results['img']
            out = corrupt(self._swapped(_whole_numbers(image)), self.corruption, self.severity,
                          image_id(results, self.root), self.seed)
            results['img'] = np.ascontiguousarray(self._swapped(out).astype(image.dtype, copy=False))
        return results

    def _swapped(self, image: np.ndarray) -> np.ndarray:
        """The image with red and blue exchanged where it is BGR; alpha stays behind them."""
        if self.channel_order == 'rgb' or image.ndim != 3 or image.shape[2] < 3:
            return image
        return image[..., [2, 1, 0, *range(3, image.shape[2])]]

    def __repr__(self) -> str:
        return (f'{type(self).__name__}(corruption={self.corruption!r}, severity={self.severity}, seed={self.seed}, '
                f'channel_order={self.channel_order!r}, root={self.root!r})')


def _whole_numbers(image: np.ndarray) -> np.ndarray:
    """The image as uint8, where ``LoadImageFromFile(to_float32=True)`` has only changed its type; else as it is."""
    whole = image.astype(np.uint8) if image.dtype == np.float32 else image
    return whole if np.array_equal(whole, image) else image


def image_id(results: dict, root: Optional[str] = None) -> str:
    """What names an image within its data set, whatever folder the data set lies in.

    Raises:
        UserError: Nothing does.
    """
    if 'img_id' in results:
        return str(results['img_id'])
    if results.get('img_path') is not None:
        path = results['img_path']
        return osp.relpath(path, root).replace(osp.sep, '/') if root else path
    if 'sample_idx' in results:
        return str(results['sample_idx'])
    raise UserError(f'An image has neither img_id nor img_path nor sample_idx, only {sorted(results)}; Corrupt needs '
                    'one of them to draw the same for it every time.')
