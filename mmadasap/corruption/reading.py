"""Image files, read strictly: whatever is wrong with one is a reason, never a crash or a half-gray picture."""
import hashlib
import os
import stat
import warnings
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from .corrupt import MAX_SIDE, MIN_SIDE

WRITERS = dict(png=('.png', None), jpg=('.jpg', cv2.IMWRITE_JPEG_QUALITY), webp=('.webp', cv2.IMWRITE_WEBP_QUALITY))
"""Format -> (suffix, OpenCV's number of its quality)."""


class UnreadableError(Exception):
    """Why an image cannot be used, as the end of a sentence that starts with its name."""


def read_image(path: str) -> tuple[np.ndarray, str]:
    """Reads an image as mmcv does (8 bits, colour, upright).

    Returns:
        RGB, shape (H, W, 3), and the SHA-256 of the file.

    Raises:
        UnreadableError: With the reason.
    """
    data = _read_bytes(path)
    _check_whole(data)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise UnreadableError('cannot be decoded by OpenCV')
    if not all(MIN_SIDE <= side <= MAX_SIDE for side in image.shape[:2]):
        raise UnreadableError(
            f'is {image.shape[1]}x{image.shape[0]}; sides of {MIN_SIDE} to {MAX_SIDE} pixels are needed')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB), hashlib.sha256(data).hexdigest()


def _read_bytes(path: str) -> bytes:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise UnreadableError('is no regular file')
        with open(path, 'rb') as file:
            data = file.read()
    except (OSError, ValueError) as error:
        raise UnreadableError(f'cannot be read ({getattr(error, "strerror", None) or error})') from None
    if not data:
        raise UnreadableError('is empty')
    return data


def _check_whole(data: bytes) -> None:
    """OpenCV fills what is missing with gray and takes an animation's first frame; Pillow tells."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            image = Image.open(BytesIO(data))
            frames = getattr(image, 'n_frames', 1)
            image.load()
    except UnidentifiedImageError:
        raise UnreadableError('is no image of a known kind') from None
    except Image.DecompressionBombError as error:
        raise UnreadableError(f'is too large to be checked: {error}') from None
    except Exception as error:  # decoders raise anything on broken data
        raise UnreadableError(f'is broken ({error})') from None
    # MPO is a camera's JPEG with a preview behind it.
    if frames > 1 and image.format != 'MPO':
        raise UnreadableError(f'holds {frames} frames, and a single image is needed')


def encode(image: np.ndarray, kind: str, quality: int) -> bytes:
    """An RGB image as the bytes of a file.

    Args:
        image: uint8, shape (H, W, 3).
        kind: 'png', 'jpg' or 'webp'.
        quality: 1 to 100, of jpg and webp; webp at 100 is lossless.

    Raises:
        UnreadableError: The format cannot hold it.
    """
    suffix, number = WRITERS[kind]
    if kind == 'webp' and quality == 100:
        quality = 101  # OpenCV's way to ask for it
    flags = [] if number is None else [number, quality]
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise UnreadableError(f'is {image.shape[1]}x{image.shape[0]}, which {kind} cannot hold; take --format png')
    return data.tobytes()


def is_lossy(kind: str, quality: int) -> bool:
    """Whether pixels change when they are stored."""
    return kind == 'jpg' or (kind == 'webp' and quality < 100)
