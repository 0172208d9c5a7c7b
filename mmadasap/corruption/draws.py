"""Random draws that are a function of image id, corruption, severity and seed alone."""
import hashlib
import math
from functools import lru_cache

import numpy as np

# Poisson draws look up the first bits of a uniform draw; only where these leave two counts open, the others decide.
BITS = 12
SHIFT = 32 - BITS


def generator(name: str, severity: int, image_id: str, seed: int) -> np.random.Generator:
    """A generator of its own for every image, corruption, severity and seed."""
    key = f'{seed}/{name}/{severity}/{image_id}'.encode('utf-8', 'surrogatepass')
    return np.random.Generator(np.random.SFC64(int.from_bytes(hashlib.sha256(key).digest()[:16], 'big')))


def poisson(rng: np.random.Generator, image: np.ndarray, peak: int) -> np.ndarray:
    """Counts of mean ``peak * image / 255``, one a pixel, cut at ``peak``, by inversion of a uniform draw of 32 bits.

    Args:
        rng: Where the uniform numbers come from.
        image: uint8, any shape.
        peak: Mean count of a white pixel.

    Returns:
        int16, shape of the image.
    """
    thresholds, first = _poisson_tables(peak)
    uniform = rng.integers(0, 2**32, size=image.shape, dtype=np.uint32)
    counts = first.take((image.astype(np.uint32) << BITS) | (uniform >> SHIFT))
    open_ones = np.nonzero(counts < 0)
    counts[open_ones] = (thresholds[image[open_ones]] <= uniform[open_ones][:, None]).sum(1)
    return counts


@lru_cache(maxsize=5)
def _poisson_tables(peak: int) -> tuple[np.ndarray, np.ndarray]:
    """Cumulative probabilities of 0 to peak - 1 for each pixel value, times 2^32; counts by value and first bits.

    Shapes (256, peak) and (256 * 2^BITS, ); -1 where the first bits do not decide.
    """
    steps = np.arange(1, peak)
    thresholds = np.empty((256, peak), np.uint64)
    counts = np.empty((256, 1 << BITS), np.int16)
    starts = np.arange(1 << BITS, dtype=np.uint64) << np.uint64(SHIFT)
    for value in range(256):
        mean = peak * value / 255
        terms = math.exp(-mean) * np.cumprod(np.concatenate([[1.0], mean / steps]))
        thresholds[value] = np.floor(np.minimum(np.cumsum(terms), 1) * 2**32).astype(np.uint64)
        low = np.searchsorted(thresholds[value], starts, side='right')
        high = np.searchsorted(thresholds[value], starts + np.uint64((1 << SHIFT) - 1), side='right')
        counts[value] = np.where(low == high, low, -1)
    return thresholds, counts.ravel()
