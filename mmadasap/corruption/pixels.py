"""What the corruptions share: back to whole pixel values, blurring, zooming."""
import math

import cv2
import numpy as np

SLACK = 1e-3
"""Added before truncation to filtered pixels: sums of float32 weights miss 1 by 1e-7, and differently everywhere."""


def to_uint8(values: np.ndarray) -> np.ndarray:
    """Clips float values on the scale of 0 to 255, in place, and truncates them, as imagecorruptions does."""
    return np.clip(values, 0, 255, out=values).astype(np.uint8)


def gaussian(image: np.ndarray, sigma: float, depth: int, border: int, truncate: float = 4.0) -> np.ndarray:
    """Gaussian blur, the kernel cut where scikit-image and SciPy cut it.

    Args:
        image: Shape (H, W) or (H, W, 3).
        sigma: In pixels, for both axes or as (vertical, horizontal).
        depth: ``cv2.CV_32F`` or ``cv2.CV_64F``, of the result.
        border: OpenCV's border type.
        truncate: Radius of the kernel in sigmas.
    """
    rows, columns = (_gaussian_kernel(s, truncate) for s in (sigma if isinstance(sigma, tuple) else (sigma, sigma)))
    return cv2.sepFilter2D(image, depth, columns, rows, borderType=border)


def _gaussian_kernel(sigma: float, truncate: float) -> np.ndarray:
    x = np.arange(-int(truncate * sigma + 0.5), int(truncate * sigma + 0.5) + 1)
    kernel = np.exp(-0.5 * x**2 / sigma**2)
    return kernel / kernel.sum()


def center_crop(image: np.ndarray, zoom: float) -> np.ndarray:
    """The middle of an image that fills it when magnified by ``zoom``."""
    height, width = (math.ceil(side / zoom) for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top:top + height, left:left + width]


def magnify_rows(image: np.ndarray, zoom: float, length: int) -> np.ndarray:
    """The first ``length`` rows of an image magnified vertically, linear between rows, ends on ends.

    The grid of ``scipy.ndimage.zoom``. Its elementwise products and sums are the same on every machine.
    """
    rows = image.shape[0]
    at = np.arange(min(length, round(rows * zoom))) * ((rows - 1) / (round(rows * zoom) - 1))
    low = np.minimum(at.astype(np.intp), rows - 2)
    weight = (at - low).astype(image.dtype).reshape(-1, *[1] * (image.ndim - 1))
    lower = image[low]
    step = image[low + 1]
    step -= lower
    step *= weight
    return np.add(lower, step, out=step)


def magnify(image: np.ndarray, zoom: float, shape: tuple[int, int]) -> np.ndarray:
    """The middle of an image magnified, cut to at most ``shape`` (height, width) from the top left."""
    crop = center_crop(image, zoom)
    columns = magnify_rows(np.ascontiguousarray(crop.swapaxes(0, 1)), zoom, shape[1])
    return magnify_rows(np.ascontiguousarray(columns.swapaxes(0, 1)), zoom, shape[0])


def brightest_channel(image: np.ndarray) -> np.ndarray:
    """HSV's value of an image of shape (H, W, 3); shape (H, W)."""
    return cv2.max(cv2.max(image[..., 0], image[..., 1]), image[..., 2])


def darkest_channel(image: np.ndarray) -> np.ndarray:
    """The least of the three channels; shape (H, W)."""
    return cv2.min(cv2.min(image[..., 0], image[..., 1]), image[..., 2])
