import numpy as np
import pytest

from mmadasap.corruption import corrupt
from mmadasap.datasets import Corrupt
from mmadasap.errors import UserError


def image():
    return np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)


def test_images_are_bgr_and_corruptions_rgb():
    bgr = image()
    out = Corrupt('saturate', 3)(dict(img=bgr.copy(), img_id='x'))['img']
    assert np.array_equal(out, corrupt(bgr[..., ::-1], 'saturate', 3, 'x')[..., ::-1])
    assert not np.array_equal(out, corrupt(bgr, 'saturate', 3, 'x'))


def test_the_draw_depends_on_the_image_id_and_the_seed():

    def run(img_id, seed=0):
        return Corrupt('gaussian_noise', 2, seed)(dict(img=image(), img_id=img_id))['img']

    assert np.array_equal(run('a'), run('a'))
    assert not np.array_equal(run('a'), run('b')) and not np.array_equal(run('a'), run('a', 1))


def test_severity_zero_is_clean():
    assert np.array_equal(Corrupt('fog', 0)(dict(img=image(), img_id='a'))['img'], image())


@pytest.mark.parametrize('args, message', [(('rain', 3), "corruption='rain'"), (('fog', 6), 'severity=6')])
def test_wrong_arguments_are_refused_at_construction(args, message):
    with pytest.raises(UserError, match=message):
        Corrupt(*args)
