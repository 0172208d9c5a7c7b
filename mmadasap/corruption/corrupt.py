"""The 19 corruptions of ImageNet-C (Hendrycks and Dietterich 2019), functions of image id, name, severity and seed."""
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from mmadasap.errors import UserError

CORRUPTIONS = ('gaussian_noise', 'shot_noise', 'impulse_noise', 'defocus_blur', 'glass_blur', 'motion_blur',
               'zoom_blur', 'snow', 'frost', 'fog', 'brightness', 'contrast', 'elastic_transform', 'pixelate',
               'jpeg_compression', 'speckle_noise', 'gaussian_blur', 'spatter', 'saturate')

SUBSETS = dict(
    all=CORRUPTIONS,
    common=CORRUPTIONS[:15],
    extra=CORRUPTIONS[15:],
    noise=CORRUPTIONS[0:3],
    blur=CORRUPTIONS[3:7],
    weather=CORRUPTIONS[7:11],
    digital=CORRUPTIONS[11:15],
    paper18=tuple(name for name in CORRUPTIONS if name != 'glass_blur'),
)
"""Named lists of corruptions; paper18 is AdaSAP's number of them, taken as all but glass_blur."""

MIN_SIDE = 32
# These two draw from generators of their own unless they are given a seed.
SELF_SEEDED = ('impulse_noise', 'glass_blur')


def resolve_corruptions(names: Sequence[str]) -> list[str]:
    """Corruption names from names and subset names, in standard order, each once.

    Raises:
        UserError: A name that is neither.
    """
    wanted = set()
    for name in names:
        if name not in SUBSETS and name not in CORRUPTIONS:
            raise UserError(f'{name!r} is no corruption; choose among {", ".join((*SUBSETS, *CORRUPTIONS))}.')
        wanted.update(SUBSETS.get(name, (name, )))
    return [name for name in CORRUPTIONS if name in wanted]


def check_corruption(name: str, severity: int) -> None:
    """Refuses an unknown corruption or severity.

    Raises:
        UserError: Naming the value.
    """
    if name not in CORRUPTIONS:
        raise UserError(f'corruption={name!r} is unknown; choose one of {", ".join(CORRUPTIONS)}.')
    if severity not in range(6):
        raise UserError(f'severity={severity!r} must be a whole number from 0 (clean) to 5.')


def corrupt(image: np.ndarray, name: str, severity: int, image_id: str, seed: int = 0) -> np.ndarray:
    """Corrupts one image; the same arguments give the same pixels in any process, order or global random state.

    Args:
        image: uint8 RGB, shape (H, W, 3), both sides at least 32 pixels.
        name: One of ``CORRUPTIONS``.
        severity: 1 to 5; 0 returns the image as it is.
        image_id: Identifies the image within its data set.
        seed: Another seed gives another draw.

    Returns:
        uint8 RGB, shape (H, W, 3).

    Raises:
        UserError: Unknown name or severity, or an image of another kind.
    """
    check_corruption(name, severity)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < MIN_SIDE:
        raise UserError(f'Image {image_id!r} is {image.dtype} of shape {image.shape}; uint8 RGB of shape (H, W, 3) '
                         f'with sides of at least {MIN_SIDE} pixels is needed.')
    if severity == 0:
        return image
    import imagecorruptions
    draw = _draw(name, severity, image_id, seed)
    own_seed = dict(seed=draw) if name in SELF_SEEDED else {}
    with _numpy_seed(draw):
        return imagecorruptions.corrupt(np.ascontiguousarray(image), severity, name, **own_seed)


def _draw(name: str, severity: int, image_id: str, seed: int) -> int:
    key = f'{seed}/{name}/{severity}/{image_id}'.encode()
    return int.from_bytes(hashlib.sha256(key).digest()[:4], 'big')


@contextmanager
def _numpy_seed(seed: int) -> Iterator[None]:
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(state)
