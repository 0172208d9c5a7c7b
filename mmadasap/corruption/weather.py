"""Weather: (image uint8 RGB, severity 1 to 5, rng) -> uint8 RGB. Constants of ImageNet-C."""
import importlib.resources
import math
from functools import lru_cache

import cv2
import numpy as np

from .blur import trail
from .pixels import SLACK, brightest_channel, magnify, to_uint8

# Mean and scale of the noise, magnification, least height of a flake, radius and sigma of its trail, light kept.
SNOW = ((0.1, 0.3, 3, 0.5, 10, 4, 0.8), (0.2, 0.3, 2, 0.5, 12, 4, 0.7), (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65), (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55))
# Photographs of frost up to this size, 6 MB each, stay in memory; larger ones would fill that of every process.
KEPT_PIXELS = 1 << 21


def snow(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Flakes that fall, twice (the second time upside down), over a whitened image."""
    mean, scale, zoom, least, radius, sigma, keep = SNOW[severity - 1]
    height, width = image.shape[:2]
    # In double precision: whether a flake is there must not depend on rounding.
    flakes = mean + scale * rng.standard_normal((height, width))
    flakes = magnify(flakes, zoom, (2 * height, 2 * width))
    flakes[flakes < least] = 0
    flakes = trail(np.clip(flakes, 0, 1).astype(np.float32), radius, sigma, -135 + 90 * rng.random())
    flakes = np.round(flakes * 255)[:height, :width]
    light = image.astype(np.float32)
    white = cv2.cvtColor(light, cv2.COLOR_RGB2GRAY) * 1.5 + 127.5
    light = keep * light + (1 - keep) * np.maximum(light, white[..., None])
    light += (flakes + flakes[::-1, ::-1])[..., None]
    return to_uint8(light)


def frost(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """A part of one of six photographs of frost, blended in."""
    clear, frozen = [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)][severity - 1]
    height, width = image.shape[:2]
    photo = _frost_photo(int(rng.integers(6)), height, width)
    top, left = (int(rng.integers(spare)) for spare in (photo.shape[0] - height, photo.shape[1] - width))
    out = photo[top:top + height, left:left + width] * np.float32(frozen)
    out += image * np.float32(clear)
    return to_uint8(out)


def _frost_photo(index: int, height: int, width: int) -> np.ndarray:
    """A photograph, RGB, a tenth larger than needed to cover the image, or than it is."""
    photo = _read_photo(index)
    scale = 1.1 * max(1, height / photo.shape[0], width / photo.shape[1])
    size = tuple(math.ceil(side * scale) for side in (photo.shape[1], photo.shape[0]))
    resize = _magnified if size[0] * size[1] <= KEPT_PIXELS else _magnified.__wrapped__
    return resize(index, size)


@lru_cache(maxsize=12)
def _magnified(index: int, size: tuple[int, int]) -> np.ndarray:
    return cv2.resize(_read_photo(index), size, interpolation=cv2.INTER_CUBIC)


@lru_cache(maxsize=6)
def _read_photo(index: int) -> np.ndarray:
    name = ('frost1.png', 'frost2.png', 'frost3.png', 'frost4.jpg', 'frost5.jpg', 'frost6.jpg')[index]
    data = (importlib.resources.files('imagecorruptions') / 'frost' / name).read_bytes()
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def fog(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Bright clouds by the diamond-square algorithm; the image grows darker by as much."""
    density, decay = [(1.5, 2), (2., 2), (2.5, 1.7), (2.5, 1.5), (3., 1.4)][severity - 1]
    height, width = image.shape[:2]
    clouds = plasma_fractal(1 << (max(height, width) - 1).bit_length(), decay, rng)[:height, :width, None]
    brightest = int(image.max()) / 255
    out = image + clouds * np.float32(255 * density)
    out *= brightest / (brightest + density)
    return to_uint8(out)


def plasma_fractal(side: int, decay: float, rng: np.random.Generator) -> np.ndarray:
    """A height map by the diamond-square algorithm on a torus.

    Args:
        side: A power of two.
        decay: What the roughness is divided by when the step is halved.
        rng: Where the heights come from.

    Returns:
        float32 from 0 to 1, shape (side, side).
    """
    heights = np.zeros((side, side), np.float32)
    step, rough = side, 100.0

    def mean_and_wobble(total: np.ndarray) -> np.ndarray:
        wobble = rng.random(total.shape, dtype=np.float32)
        wobble -= 0.5
        wobble *= 2 * rough**2
        total *= 0.25
        total += wobble
        return total

    while step >= 2:
        half = step // 2
        corners = heights[::step, ::step].copy()
        pairs = corners + np.roll(corners, -1, axis=0)
        centers = mean_and_wobble(pairs + np.roll(pairs, -1, axis=1))
        tops = mean_and_wobble(centers + np.roll(centers, 1, axis=0) + corners + np.roll(corners, -1, axis=1))
        lefts = mean_and_wobble(centers + np.roll(centers, 1, axis=1) + corners + np.roll(corners, -1, axis=0))
        heights[half::step, half::step] = centers
        heights[::step, half::step] = tops
        heights[half::step, ::step] = lefts
        step, rough = half, rough / decay
    heights -= heights.min()
    heights /= heights.max()
    return heights


def brightness(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """More value in HSV: hue and saturation stay, so all channels grow by one factor."""
    more = (.1, .2, .3, .4, .5)[severity - 1]
    value = np.arange(256) / 255
    factors = (np.minimum(value + more, 1) / np.maximum(value, 1e-9)).astype(np.float32)
    top = brightest_channel(image)
    out = image * factors[top][..., None]
    # Black has no hue to keep and becomes gray.
    out[top == 0] = 255 * more
    out += SLACK
    return to_uint8(out)
