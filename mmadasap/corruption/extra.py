"""ImageNet-C's extra corruptions that are no noise or blur: (image uint8 RGB, severity 1 to 5, rng) -> uint8 RGB."""
from functools import lru_cache

import cv2
import numpy as np

from .pixels import SLACK, brightest_channel, darkest_channel, gaussian, to_uint8

# Mean, scale and blur of the noise, least height of a drop, strength (water) or blur (mud), whether it is mud.
SPATTER = ((0.65, 0.3, 4, 0.69, 0.6, False), (0.65, 0.3, 3, 0.68, 0.6, False), (0.65, 0.3, 2, 0.68, 0.5, False),
           (0.65, 0.3, 1, 0.65, 1.5, True), (0.67, 0.4, 1, 0.65, 1.5, True))


def spatter(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Drops of water (severity 1 to 3) or mud (4 and 5)."""
    mean, scale, sigma, least, strength, mud = SPATTER[severity - 1]
    # In double precision: whether a drop is there must not depend on rounding.
    liquid = gaussian(mean + scale * rng.standard_normal(image.shape[:2]), sigma, cv2.CV_64F, cv2.BORDER_REPLICATE)
    if mud:
        cover = gaussian((liquid > least).astype(np.float64), strength, cv2.CV_64F, cv2.BORDER_REPLICATE)
        cover = np.where(cover < 0.8, 0, cover).astype(np.float32)[..., None]
        return to_uint8(image * (1 - cover) + cover * np.float32([63, 42, 20]) + np.float32(SLACK))
    drops = _water(np.where(liquid < least, 0, liquid * 255).astype(np.uint8))
    if drops.max() == 0:
        return image.copy()
    drops *= strength / drops.max()
    return to_uint8(image + drops[..., None] * np.float32([175, 238, 238]) + np.float32(SLACK))


def _water(liquid: np.ndarray) -> np.ndarray:
    """Light and shadow at the edges of drops; uint8 to float32, shape (H, W)."""
    distance = cv2.distanceTransform(255 - cv2.Canny(liquid, 50, 150), cv2.DIST_L2, 5)
    relief = cv2.equalizeHist(cv2.blur(np.minimum(distance, 20), (3, 3)).astype(np.uint8))
    relief = cv2.filter2D(relief, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    return liquid * cv2.blur(relief, (3, 3)).astype(np.float32)


def saturate(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Less or more saturation in HSV: the distance of all channels from the brightest changes by one factor."""
    factor, more = [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)][severity - 1]
    top = brightest_channel(image)
    gap = top - darkest_channel(image)
    out = top[..., None] - image
    out = out * _stretch(factor, more)[top, gap][..., None]
    # A gray pixel counts as a red one without saturation.
    out[gap == 0, 1:] = (more * top[gap == 0])[:, None]
    np.subtract(top[..., None] + np.float32(SLACK), out, out=out)
    return to_uint8(out)


@lru_cache(maxsize=5)
def _stretch(factor: float, more: float) -> np.ndarray:
    """What the saturation gap / top is multiplied by; float32 by top and gap, shape (256, 256)."""
    top, gap = np.maximum(np.arange(256)[:, None], 1), np.maximum(np.arange(256), 1)
    saturation = np.minimum(gap / top, 1)
    return (np.clip(saturation * factor + more, 0, 1) / saturation).astype(np.float32)
