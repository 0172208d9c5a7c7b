"""A small detection data set the project draws itself: textured shapes under varied light, in Pascal VOC layout."""
import os
import os.path as osp
import xml.etree.ElementTree as ET
from collections.abc import Callable

import cv2
import numpy as np

SIZE = 256
Box = tuple[int, int, int, int]


def _polygon(corners: int, inner: float) -> Callable[[np.random.Generator], np.ndarray]:
    """Outline of radius 1: a regular polygon, or a star where every second corner lies at ``inner``."""

    def outline(rng: np.random.Generator) -> np.ndarray:
        angles = rng.uniform(0, 2 * np.pi) + np.linspace(0, 2 * np.pi, corners, endpoint=False)
        radii = np.where(np.arange(corners) % 2, inner, 1.0)
        return radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    return outline


# Class -> outline, pattern and hue (of 180, as OpenCV counts them).
SHAPES = dict(
    disk=(_polygon(60, 1.0), 'stripes', 15), square=(_polygon(4, 1.0), 'checks', 60),
    star=(_polygon(10, 0.45), 'clouds', 105), triangle=(_polygon(3, 1.0), 'stripes', 150))
CLASSES = tuple(SHAPES)
HUE_SPREAD = 16


def draw_scene(index: int, seed: int = 0) -> tuple[np.ndarray, list[tuple[str, Box]]]:
    """Draws image ``index``: 2 to 7 shapes of varied size on a textured ground, some behind others, unevenly lit.

    Returns:
        uint8 BGR image, shape (256, 256, 3), and (class, box (x1, y1, x2, y2), corners inclusive) of each shape that
        can be seen by at least 35%.
    """
    rng = np.random.default_rng([seed, index])
    image = _texture(rng, 'clouds', hue=rng.integers(180), saturation=rng.uniform(10, 70), contrast=rng.uniform(5, 25))
    owner = np.full((SIZE, SIZE), -1)
    drawn = []
    for number in range(rng.integers(2, 8)):
        name = CLASSES[rng.integers(len(CLASSES))]
        outline, pattern, hue = SHAPES[name]
        mask = _mask(rng, outline(rng))
        drawn.append((name, mask))
        owner[mask] = number
        hue = hue + rng.integers(-HUE_SPREAD, HUE_SPREAD + 1)
        surface = _texture(rng, pattern, hue, saturation=rng.uniform(90, 200), contrast=rng.uniform(15, 55))
        image[mask] = surface[mask]
    boxes = [(name, _box(mask)) for number, (name, mask) in enumerate(drawn)
             if (owner == number).sum() >= 0.35 * mask.sum()]
    return _light(rng, image), boxes


def _mask(rng: np.random.Generator, outline: np.ndarray) -> np.ndarray:
    radius = np.exp(rng.uniform(np.log(13), np.log(55)))
    squeeze = np.array([1.0, rng.uniform(0.75, 1.0)])
    center = rng.uniform(radius * 0.6, SIZE - radius * 0.6, size=2)
    points = np.round(outline * radius * squeeze + center).astype(np.int32)
    return cv2.fillPoly(np.zeros((SIZE, SIZE), np.uint8), [points], 1).astype(bool)


def _texture(rng: np.random.Generator, pattern: str, hue: int, saturation: float, contrast: float) -> np.ndarray:
    """A color with stripes, checks or clouds in its brightness, float32 of shape (256, 256, 3)."""
    y, x = np.mgrid[:SIZE, :SIZE].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(8, 20)
    along = (x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / period)
    across = (y * np.cos(angle) - x * np.sin(angle)) * (2 * np.pi / period)
    if pattern == 'stripes':
        relief = np.sin(along)
    elif pattern == 'checks':
        relief = np.sign(np.sin(along) * np.sin(across))
    else:
        coarse = rng.normal(size=(16, 16)).astype(np.float32)
        relief = np.clip(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), -2, 2)
    color = np.uint8([[[hue % 180, saturation, rng.uniform(90, 200)]]])
    base = cv2.cvtColor(color, cv2.COLOR_HSV2BGR)[0, 0].astype(np.float32)
    return base + contrast * relief[..., None]


def _light(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    ramp = rng.uniform(0.65, 1.2) * (1 + rng.uniform(0, 0.7) * (x * np.cos(angle) + y * np.sin(angle)))
    noisy = image * ramp[..., None] + rng.normal(scale=rng.uniform(1, 6), size=image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _box(mask: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]), int(rows[-1])


def write_shapes(folder: str, train: int, test: int, seed: int = 0) -> None:
    """Writes the data set in Pascal VOC layout; the lists of images come last, so a half-written one has none.

    Args:
        folder: Where Annotations, ImageSets/Main and JPEGImages go.
        train, test: Number of images of each split; no image is in both.
        seed: Another seed draws other images.
    """
    lists = osp.join(folder, 'ImageSets', 'Main')
    for sub in ('Annotations', 'JPEGImages', lists):
        os.makedirs(osp.join(folder, sub) if sub != lists else lists, exist_ok=True)
    names = [f'{index:05d}' for index in range(train + test)]
    for index, name in enumerate(names):
        image, boxes = draw_scene(index, seed)
        cv2.imwrite(osp.join(folder, 'JPEGImages', f'{name}.jpg'), image, [cv2.IMWRITE_JPEG_QUALITY, 95])
        _annotation(name, boxes).write(osp.join(folder, 'Annotations', f'{name}.xml'))
    for split, part in (('trainval', names[:train]), ('test', names[train:])):
        with open(osp.join(lists, f'{split}.txt'), 'w') as file:
            file.write('\n'.join(part) + '\n')


def _annotation(name: str, boxes: list[tuple[str, Box]]) -> ET.ElementTree:
    root = ET.Element('annotation')
    ET.SubElement(root, 'filename').text = f'{name}.jpg'
    size = ET.SubElement(root, 'size')
    for tag, value in (('width', SIZE), ('height', SIZE), ('depth', 3)):
        ET.SubElement(size, tag).text = str(value)
    for label, box in boxes:
        item = ET.SubElement(root, 'object')
        ET.SubElement(item, 'name').text = label
        ET.SubElement(item, 'difficult').text = '0'
        bndbox = ET.SubElement(item, 'bndbox')
        # Pascal VOC counts pixels from 1.
        for tag, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box):
            ET.SubElement(bndbox, tag).text = str(value + 1)
    return ET.ElementTree(root)
