"""Folders of images, one folder a class."""
import os
import os.path as osp
from collections.abc import Sequence

from mmadasap.errors import UserError

EXTENSIONS = ('.jpg', '.jpeg', '.png', '.webp', '.bmp')
# How many names an error shows.
SHOWN = 3


def list_images(folder: str, names: Sequence[str]) -> list[tuple[str, int]]:
    """Image paths of a folder with one folder a class, and the class of each.

    Args:
        folder: Holds exactly the folders ``names``.
        names: Folder of each class, in the order of the classes.

    Returns:
        (path, class) of each image, by class and then by name.

    Raises:
        UserError: ``folder``, one of its class folders or the images in it are missing, or it holds other folders.
    """
    if not osp.isdir(folder):
        raise UserError(f'There is no folder {folder!r}; set data_root to where the data set was extracted.')
    found = {entry.name for entry in os.scandir(folder) if entry.is_dir()}
    missing, other = [n for n in names if n not in found], sorted(found - set(names))
    if missing or other:
        raise UserError(f'{folder!r} must hold the {len(names)} folders {_some(names)} of the classes, but '
                        f'{_complaint(missing, other)}; extract the data set anew or set data_root right.')
    images = []
    for label, name in enumerate(names):
        files = sorted(f for f in os.listdir(osp.join(folder, name)) if f.lower().endswith(EXTENSIONS))
        if not files:
            raise UserError(f'{osp.join(folder, name)!r} holds no image ({", ".join(EXTENSIONS)}); extract the data '
                            'set anew.')
        images += [(osp.join(folder, name, file), label) for file in files]
    return images


def _some(names: Sequence[str]) -> str:
    return ', '.join(names[:SHOWN]) + (', ...' if len(names) > SHOWN else '')


def _complaint(missing: list[str], other: list[str]) -> str:
    parts = [f'{len(missing)} are missing ({_some(missing)})'] if missing else []
    parts += [f'{len(other)} do not belong there ({_some(other)})'] if other else []
    return ' and '.join(parts)
