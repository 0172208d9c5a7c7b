"""The libraries that decide about pixels."""
import importlib.metadata

import cv2
import numpy as np
import PIL


def library_versions() -> dict[str, str]:
    """Library -> version. imagecorruptions gives the photographs of frost."""
    return dict(
        numpy=np.__version__, opencv=cv2.__version__, pillow=PIL.__version__, imagecorruptions=_imagecorruptions())


def listed(libraries: dict[str, str]) -> str:
    """Versions in words."""
    return ', '.join(f'{name} {version}' for name, version in libraries.items())


def _imagecorruptions() -> str:
    for distribution in ('imagecorruptions-imaug', 'imagecorruptions'):
        try:
            return f'{distribution} {importlib.metadata.version(distribution)}'
        except importlib.metadata.PackageNotFoundError:
            continue
    return 'unknown'
