import numpy as np
import pytest

from mmadasap.corruption import CORRUPTIONS, SUBSETS, corrupt, resolve_corruptions
from mmadasap.errors import UserError

IMAGE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize('name', CORRUPTIONS)
def test_pixels_are_a_function_of_the_arguments_alone(name):
    np.random.seed(1)
    first = corrupt(IMAGE, name, 3, 'a')
    np.random.seed(2)
    np.random.rand(7)
    before = np.random.get_state()[1].copy()
    assert np.array_equal(corrupt(IMAGE, name, 3, 'a'), first)
    assert np.array_equal(np.random.get_state()[1], before)
    assert first.shape == IMAGE.shape and first.dtype == np.uint8
    assert not np.array_equal(first, IMAGE)


def test_subsets():
    assert len(CORRUPTIONS) == 19 and len(SUBSETS['common']) == 15 and len(SUBSETS['extra']) == 4
    assert len(SUBSETS['paper18']) == 18 and 'glass_blur' not in SUBSETS['paper18']
    assert resolve_corruptions(['fog', 'noise', 'fog']) == ['gaussian_noise', 'shot_noise', 'impulse_noise', 'fog']


@pytest.mark.parametrize('image, name, severity, message', [
    (IMAGE, 'rain', 3, "corruption='rain'"),
    (IMAGE, 'fog', 7, 'severity=7'),
    (IMAGE[:20], 'fog', 3, r"Image 'a' is uint8 of shape \(20, 64, 3\)"),
    (IMAGE[..., 0], 'fog', 3, r'shape \(48, 64\)'),
    (IMAGE.astype(float), 'fog', 3, 'is float64'),
])
def test_bad_input_is_named(image, name, severity, message):
    with pytest.raises(UserError, match=message):
        corrupt(image, name, severity, 'a')


def test_an_unknown_name_is_refused():
    with pytest.raises(UserError, match="'rain' is no corruption"):
        resolve_corruptions(['rain'])
