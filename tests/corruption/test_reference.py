"""Ours against imagecorruptions under the same draws: no pixel differs by more than 1 of 255."""
import numpy as np
import pytest
from corruption_reference import both

from mmadasap.corruption import CORRUPTIONS
from mmadasap.corruption.blur import copied_from, disk, trail_weights
from mmadasap.datasets.shapes import draw_scene

EXACT = {'shot_noise', 'impulse_noise', 'contrast', 'pixelate', 'jpeg_compression'}


def images():
    """Random pixels with flat black and gray, and a drawn scene; neither square."""
    random = np.random.default_rng(0).integers(0, 256, (42, 57, 3), dtype=np.uint8)
    random[:10, :20], random[20:30] = 0, 128
    return random, draw_scene(0)[0][:90, :130]


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_equal_to_imagecorruptions_under_the_same_draws(name):
    for image in images():
        for severity in range(1, 6):
            ours, theirs = both(name, image, severity, seed=severity)
            assert ours.shape == theirs.shape and ours.dtype == np.uint8
            largest = abs(ours.astype(int) - theirs).max()
            assert largest <= (0 if name in EXACT else 1), (severity, largest)


def test_copies_are_what_visiting_one_by_one_gives():
    reach, height, width = 2, 9, 12
    shape = (height - 2 * reach, width - 2 * reach, 2)
    offsets = np.random.default_rng(3).integers(-reach, reach, shape, dtype=np.int8)
    pixels = np.arange(height * width).reshape(height, width)
    visits = [(h, w) for h in range(height - reach, reach, -1) for w in range(width - reach, reach, -1)]
    for (h, w), (dx, dy) in zip(visits, offsets.reshape(-1, 2)):
        pixels[h, w] = pixels[h + dy, w + dx]
    assert np.array_equal(copied_from(offsets, reach, width), pixels.ravel())


def test_a_trail_by_hand():
    taps = trail_weights(2, 1.0, 90.0, 40, 40)
    assert list(taps) == [(0, 0), (-1, 0), (-2, 0), (-3, 0), (-4, 0)]
    assert sum(taps.values()) == pytest.approx(1) and taps[0, 0] / taps[-2, 0] == pytest.approx(np.exp(2))
    assert list(trail_weights(2, 1.0, 90.0, 3, 40)) == [(0, 0), (-1, 0), (-2, 0)]


def test_the_disk_keeps_its_light():
    assert disk(3, 0.1).sum() == pytest.approx(1) and disk(3, 0.1).shape == (17, 17)
