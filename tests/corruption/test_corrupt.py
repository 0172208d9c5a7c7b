from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from mmadasap.corruption import CORRUPTIONS, SUBSETS, corrupt, resolve_corruptions
from mmadasap.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_pixels_are_a_function_of_the_arguments_alone(name):
    np.random.seed(1)
    before = IMAGE.copy()
    first = corrupt(IMAGE, name, 3, 'a')
    np.random.seed(2)
    np.random.rand(7)
    state = np.random.get_state()[1].copy()
    assert np.array_equal(corrupt(IMAGE, name, 3, 'a'), first)
    assert np.array_equal(np.random.get_state()[1], state) and np.array_equal(IMAGE, before)
    assert first.shape == IMAGE.shape and first.dtype == np.uint8
    assert not np.array_equal(first, IMAGE)
    # Strided views, as colour order is changed with, hold the same pixels.
    assert np.array_equal(corrupt(np.ascontiguousarray(IMAGE[..., ::-1])[..., ::-1], name, 3, 'a'), first)


def test_threads_of_opencv_change_nothing():
    image = np.random.default_rng(1).integers(0, 255, (300, 400, 3), dtype=np.uint8)
    threads = cv2.getNumThreads()
    try:
        outputs = []
        for number in (1, 2, 4):
            cv2.setNumThreads(number)
            outputs.append([corrupt(image, name, 3, 'a') for name in CORRUPTIONS])
    finally:
        cv2.setNumThreads(threads)
    for name, *versions in zip(CORRUPTIONS, *outputs):
        assert all(np.array_equal(versions[0], v) for v in versions[1:]), name
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda name: corrupt(image, name, 3, 'a'), CORRUPTIONS))
    assert all(np.array_equal(a, b) for a, b in zip(outputs[0], together))


@pytest.mark.parametrize('shape', [(16, 16, 3), (16, 40, 3), (17, 16, 3), (33, 16, 3)])
def test_small_images(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for black in (image, np.zeros_like(image), np.full_like(image, 255)):
        for name in CORRUPTIONS:
            for severity in range(1, 6):
                assert corrupt(black, name, severity, 'a').shape == shape


def test_batches_gray_and_alpha():
    batch = np.stack([IMAGE, IMAGE[::-1]])
    for name in ('fog', 'gaussian_noise', 'saturate'):
        together = corrupt(batch, name, 3, ['a', 'b'])
        assert np.array_equal(together[1], corrupt(IMAGE[::-1], name, 3, 'b')) and together.shape == batch.shape
        rgba = np.dstack([IMAGE, IMAGE[..., 0]])
        out = corrupt(rgba, name, 3, 'a')
        assert np.array_equal(out[..., :3], together[0]) and np.array_equal(out[..., 3], IMAGE[..., 0])
        gray = IMAGE[..., 0]
        luminance = cv2.cvtColor(corrupt(np.dstack([gray] * 3), name, 3, 'a'), cv2.COLOR_RGB2GRAY)
        assert np.array_equal(corrupt(gray, name, 3, 'a'), luminance)
        assert np.array_equal(corrupt(gray[..., None], name, 3, 'a'), luminance[..., None])


def test_an_empty_batch_stays_empty():
    assert corrupt(np.zeros((0, 20, 20, 3), np.uint8), 'fog', 3, []).shape == (0, 20, 20, 3)


def test_severity_zero_is_clean():
    assert corrupt(IMAGE, 'fog', 0, 'a') is IMAGE


def test_subsets():
    assert len(CORRUPTIONS) == 19 and len(SUBSETS['common']) == 15 and len(SUBSETS['extra']) == 4
    assert len(SUBSETS['paper18']) == 18 and 'glass_blur' not in SUBSETS['paper18']
    assert resolve_corruptions(['fog', 'noise', 'fog']) == ['gaussian_noise', 'shot_noise', 'impulse_noise', 'fog']


@pytest.mark.parametrize('image, name, severity, message', [
    (IMAGE, 'rain', 3, "corruption='rain'"),
    (IMAGE, 'fog', 7, 'severity=7'),
    (IMAGE, 'fog', 3.0, 'severity=3.0'),
    (IMAGE, 'fog', True, 'severity=True'),
    (IMAGE[:15], 'fog', 3, r"Image 'a' is uint8 of shape \(15, 64, 3\)"),
    (np.zeros((16, 40000, 3), np.uint8), 'fog', 3, r'shape \(16, 40000, 3\)'),
    (IMAGE[..., :2], 'fog', 3, r'shape \(48, 64, 2\)'),
    (IMAGE.astype(float), 'fog', 3, 'is float64'),
    (IMAGE.astype(np.uint16), 'fog', 3, 'is uint16'),
    (np.stack([IMAGE] * 2), 'fog', 3, "image_id='a' must give one id for each of the 2 images"),
])
def test_bad_input_is_named(image, name, severity, message):
    with pytest.raises(UserError, match=message):
        corrupt(image, name, severity, 'a')


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match="'rain' is no corruption"):
        resolve_corruptions(['rain'])
