"""Blur: (image uint8 RGB, severity 1 to 5, rng) -> uint8 RGB. Constants of ImageNet-C."""
import math
from functools import lru_cache

import cv2
import numpy as np

from .pixels import SLACK, center_crop, gaussian, magnify_rows, to_uint8


def defocus_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """An out-of-focus disk, as a sum of separable filters."""
    out = np.full(image.shape, SLACK, np.float32)
    for factor, weight in _disk_factors(*[(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)][severity - 1]):
        cv2.scaleAdd(cv2.sepFilter2D(image, cv2.CV_32F, factor, factor), weight, out, out)
    return to_uint8(out)


@lru_cache(maxsize=5)
def _disk_factors(radius: int, alias_blur: float) -> list[tuple[np.ndarray, float]]:
    """Vectors v and numbers w such that the disk is the sum of w v v^T, to 1e-6 of its sum."""
    kernel = disk(radius, alias_blur)
    values, vectors = np.linalg.eigh(kernel.astype(np.float64))
    factors = []
    for i in np.argsort(-abs(values)):
        if abs(values[i]) * abs(vectors[:, i]).sum()**2 > 1e-6:
            # The disk is symmetric about its middle, and so are its vectors: OpenCV is faster where this is exact.
            v = (vectors[:, i] + vectors[::-1, i]) / 2
            factors.append((v.astype(np.float32), float(values[i])))
    return factors


def disk(radius: int, alias_blur: float) -> np.ndarray:
    """ImageNet-C's antialiased disk, shape (K, K)."""
    reach, side = (8, 3) if radius <= 8 else (radius, 5)
    x = np.arange(-reach, reach + 1)
    aliased = (x[:, None]**2 + x[None]**2 <= radius**2).astype(np.float32)
    return cv2.GaussianBlur(aliased / aliased.sum(), (side, side), alias_blur)


def gaussian_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur."""
    sigma = (1, 2, 3, 4, 6)[severity - 1]
    return _blurred(image, sigma)


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    out = gaussian(image, sigma, cv2.CV_32F, cv2.BORDER_REPLICATE)
    out += SLACK
    return to_uint8(out)


def glass_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Blur, pixels copied from near by, blur."""
    sigma, reach, iterations = [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)][severity - 1]
    shape = image.shape
    pixels = _blurred(image, sigma).reshape(-1, 3)
    for _ in range(iterations):
        offsets = rng.integers(-reach, reach, size=(shape[0] - 2 * reach, shape[1] - 2 * reach, 2), dtype=np.int8)
        pixels = pixels.take(copied_from(offsets, reach, shape[1]), axis=0)
    return _blurred(pixels.reshape(shape), sigma)


def copied_from(offsets: np.ndarray, reach: int, width: int) -> np.ndarray:
    """Where each pixel's value comes from when pixels are overwritten one after the other from near by.

    The pixels at least ``reach`` from the left and top border and more than that from the others are visited from the
    bottom right to the top left, row by row; each takes the value that the pixel at its offset has by then.

    Args:
        offsets: (dx, dy) in the order of visits, shape (H - 2 reach, W - 2 reach, 2).
        reach: Largest offset.
        width: W.

    Returns:
        Flat index of the source of every pixel, shape (H * W, ).
    """
    height = offsets.shape[0] + 2 * reach
    visited = (slice(reach + 1, height - reach + 1), slice(reach + 1, width - reach + 1))
    inside = np.zeros((height, width), bool)
    inside[visited] = True
    own = np.arange(height * width, dtype=np.int32)
    source = own.copy()
    shift = np.multiply(offsets[..., 1], width, dtype=np.int32)
    shift += offsets[..., 0]
    source.reshape(height, width)[visited] += shift[::-1, ::-1]
    # A source that was visited before holds its own source's value: follow it, in steps that double.
    followed = inside.ravel().take(source)
    followed &= source > own
    before = own
    np.copyto(before, source, where=followed)
    while True:
        further = before.take(before)
        if np.array_equal(further, before):
            return source.take(before)
        before = further


def motion_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A half-Gaussian trail in a direction of at most 45 degrees from the horizontal."""
    radius, sigma = [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)][severity - 1]
    out = trail(image.astype(np.float32), radius, sigma, -45 + 90 * rng.random())
    out += SLACK
    return to_uint8(out)


def trail(image: np.ndarray, radius: int, sigma: float, angle: float) -> np.ndarray:
    """Blur along a line from each pixel; float32, shape of the image.

    Args:
        image: float32, shape (H, W) or (H, W, 3).
        radius: Half of the trail's length in pixels.
        sigma: Of the weights along it.
        angle: In degrees.
    """
    height, width = image.shape[:2]
    pad = 2 * radius + 1
    padded = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    out = np.zeros_like(image)
    for (dy, dx), weight in trail_weights(radius, sigma, angle, height, width).items():
        cv2.scaleAdd(padded[pad - dy:pad - dy + height, pad - dx:pad - dx + width], weight, out, out)
    return out


def trail_weights(radius: int, sigma: float, angle: float, height: int, width: int) -> dict[tuple[int, int], float]:
    """(dy, dx) -> weight along a trail; what reaches beyond an image of this size is left out, light and all."""
    length = 2 * radius + 1
    weights = np.exp(-np.arange(length)**2 / (2 * sigma**2))
    weights /= weights.sum()
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    taps: dict[tuple[int, int], float] = {}
    for i, weight in enumerate(weights):
        tap = (-math.ceil(i * sine - 0.5), -math.ceil(i * cosine - 0.5))
        if abs(tap[0]) >= height or abs(tap[1]) >= width:
            break
        taps[tap] = taps.get(tap, 0.0) + float(weight)
    return taps


def zoom_blur(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Mean of the image and magnified versions of it."""
    zooms = [
        np.arange(1, 1.11, 0.01), np.arange(1, 1.16, 0.01), np.arange(1, 1.21, 0.02), np.arange(1, 1.26, 0.02),
        np.arange(1, 1.31, 0.03)
    ][severity - 1]
    height, width = image.shape[:2]
    # Columns are magnified as rows of the transposed image, rows after transposing back.
    turned = cv2.transpose(image.astype(np.float32))
    out = 2 * image.astype(np.float32)
    for zoom in zooms[1:].tolist():
        crop = center_crop(turned, zoom)
        out += magnify_rows(cv2.transpose(magnify_rows(crop, zoom, width)), zoom, height)
    out *= 1 / (len(zooms) + 1)
    out += SLACK
    return to_uint8(out)
