"""Digital damage: (image uint8 RGB, severity 1 to 5, rng) -> uint8 RGB. Constants of ImageNet-C."""
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from .pixels import SLACK, gaussian, to_uint8


def contrast(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Each channel drawn towards its mean."""
    keep = (0.4, .3, .2, .1, .05)[severity - 1]
    out = np.empty_like(image)
    for channel in range(3):
        pixels = image[..., channel]
        mean = int(pixels.sum(dtype=np.int64)) / pixels.size
        out[..., channel] = cv2.LUT(pixels, to_uint8((np.arange(256) - mean) * keep + mean))
    return out


def elastic_transform(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Pixels displaced along a smooth random field."""
    strength = 250 * (0.05, 0.065, 0.085, 0.1, 0.12)[severity - 1]
    shape = image.shape[:2]
    # By the height in both directions, as ImageNet-C has it.
    reach, sigma = shape[0] * 0.005, (shape[0] * 0.01, shape[1] * 0.01)

    def field() -> np.ndarray:
        noise = rng.random(shape, dtype=np.float32)
        noise -= 0.5
        noise *= 2 * reach * strength
        return gaussian(noise, sigma, cv2.CV_32F, cv2.BORDER_REFLECT, truncate=3)

    dx, dy = field(), field()
    out = displace(image, dx, dy)
    out += SLACK
    return to_uint8(out)


def displace(image: np.ndarray, dx: np.ndarray, dy: np.ndarray) -> np.ndarray:
    """The image read at (x + dx, y + dy), linear between pixels, reflected at borders; float32.

    OpenCV's own linear reading rounds positions to a 32nd of a pixel, so only its reading of whole positions is used.
    """
    across, along = np.floor(dx), np.floor(dy)
    x = np.arange(image.shape[1], dtype=np.int32) + across.astype(np.int32)
    y = np.arange(image.shape[0], dtype=np.int32)[:, None] + along.astype(np.int32)

    def read(right: int, down: int) -> np.ndarray:
        at = np.stack([x + right, y + down], axis=-1).astype(np.int16)
        return cv2.remap(image, at, None, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT).astype(np.float32)

    def between(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
        second -= first
        second *= weight[..., None]
        first += second
        return first

    upper, lower = (between(read(0, down), read(1, down), dx - across) for down in (0, 1))
    return between(upper, lower, dy - along)


def pixelate(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """Fewer and larger pixels."""
    share = (0.6, 0.5, 0.4, 0.3, 0.25)[severity - 1]
    height, width = image.shape[:2]
    small = Image.fromarray(image).resize((int(width * share), int(height * share)), Image.Resampling.BOX)
    return np.array(small.resize((width, height), Image.Resampling.NEAREST))


def jpeg_compression(image: np.ndarray, severity: int, rng: np.random.Generator) -> np.ndarray:
    """JPEG of low quality."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=(25, 18, 15, 10, 7)[severity - 1])
    return np.array(Image.open(buffer))
