"""Names of the 19 corruptions of ImageNet-C (Hendrycks and Dietterich 2019) and of their subsets."""
from collections.abc import Sequence
from numbers import Integral

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
    if not isinstance(severity, Integral) or isinstance(severity, bool) or severity not in range(6):
        raise UserError(f'severity={severity!r} must be a whole number from 0 (clean) to 5.')


def check_corrupting(name: str, severity: int) -> None:
    """Refuses what :func:`check_corruption` does, and severity 0, which corrupts nothing.

    Raises:
        UserError: Naming the value.
    """
    check_corruption(name, severity)
    if severity == 0:
        raise UserError('severity=0 is the clean data set itself; give 1 to 5.')
