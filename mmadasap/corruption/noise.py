"""Noise: (image uint8 RGB, severity 1 to 5, rng) -> uint8 RGB. Constants of ImageNet-C."""
import numpy as np

from .draws import poisson
from .pixels import to_uint8


def gaussian_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Normal noise, the same everywhere."""
    scale = (.08, .12, .18, .26, .38)[severity - 1]
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= 255 * scale
    noise += image
    return to_uint8(noise)


def speckle_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Normal noise in proportion to the pixel."""
    scale = (.15, .2, .35, .45, .6)[severity - 1]
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= scale
    noise += 1
    noise *= image
    return to_uint8(noise)


def shot_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Photon counts: a Poisson draw a pixel, fewer photons at higher severity."""
    peak = (60, 25, 12, 5, 3)[severity - 1]
    levels = to_uint8(np.arange(peak + 1) / peak * 255)
    return levels[poisson(rng, image, peak)]


def impulse_noise(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Salt and pepper, each channel of each pixel on its own."""
    amount = (.03, .06, .09, .17, .27)[severity - 1]
    draw = rng.random(image.shape, dtype=np.float32)
    return np.where(draw <= amount, np.where(draw <= amount / 2, np.uint8(255), np.uint8(0)), image)
