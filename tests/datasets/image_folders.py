"""Tiny image folders that look like published data sets."""
import cv2
import numpy as np


def image(value):
    """A 32-pixel image whose red, green and blue tell it apart."""
    return np.full((32, 32, 3), (value, value + 1, value + 2), np.uint8)


def write_images(folder, names, per_class=2):
    """Writes ``per_class`` images of value ``10 * position`` into a folder for each name."""
    for position, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            assert cv2.imwrite(str(folder / name / f'{number}.png'), image(10 * position)[..., ::-1])
