"""One image under every corruption and severity."""
from collections.abc import Sequence

import cv2
import numpy as np

from mmadasap.corruption import corrupt
from mmadasap.fileio import replacing

MARGIN, GAP, LINE = 150, 4, 22


def draw_sheet(image: np.ndarray, image_id: str, corruptions: Sequence[str], severities: Sequence[int], path: str,
               width: int = 200, seed: int = 0) -> None:
    """Draws a contact sheet, one row a corruption and one column a severity, the clean image first, into a PNG file.

    Args:
        image: RGB, uint8, shape (H, W, 3). It is corrupted at its own size and shown smaller.
        image_id: What the draws depend on.
        corruptions: Names, one a row.
        severities: 1 to 5, one a column.
        path: Where the picture goes.
        width: Of each version, in pixels.
        seed: Another seed gives another draw.
    """
    size = (width, max(1, round(width * image.shape[0] / image.shape[1])))
    versions = [[image] + [corrupt(image, name, s, image_id, seed) for s in severities] for name in corruptions]
    rows = [np.hstack([_label(name, size[1])] + [_framed(v, size) for v in row])
            for name, row in zip(corruptions, versions)]
    head = np.full((LINE, rows[0].shape[1], 3), 255, np.uint8)
    for i, title in enumerate(['clean'] + [f'severity {s}' for s in severities]):
        _write(head, title, MARGIN + i * (width + GAP), LINE - 7)
    with replacing(path, '.png') as partial:
        cv2.imwrite(partial, np.vstack([head, *rows])[..., ::-1])


def _framed(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return cv2.copyMakeBorder(small, 0, GAP, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))


def _label(text: str, height: int) -> np.ndarray:
    label = np.full((height + GAP, MARGIN, 3), 255, np.uint8)
    _write(label, text, 4, height // 2)
    return label


def _write(canvas: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(canvas, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
