"""Corrupted images on the fly."""
from mmcv.transforms import BaseTransform

from mmadasap.corruption import check_corruption, corrupt
from mmadasap.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Corrupt(BaseTransform):
    """Corrupts the image; every pixel is a function of image id, corruption, severity and seed alone.

    Put it right after LoadImageFromFile, before any resizing.

    Required keys: img (BGR), img_id (or img_path). Modified keys: img.

    Args:
        corruption: One of ``mmadasap.corruption.CORRUPTIONS``.
        severity: 1 to 5; 0 leaves the image as it is.
        seed: Another seed gives another draw.
    """

    def __init__(self, corruption: str, severity: int, seed: int = 0):
        check_corruption(corruption, severity)
        self.corruption, self.severity, self.seed = corruption, severity, seed

    def transform(self, results: dict) -> dict:
        """Replaces ``results['img']``."""
        if self.severity:
            image_id = str(results.get('img_id', results.get('img_path')))
            rgb = results['img'][..., ::-1]
            results['img'] = corrupt(rgb, self.corruption, self.severity, image_id, self.seed)[..., ::-1].copy()
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(corruption={self.corruption!r}, severity={self.severity}, seed={self.seed})'
