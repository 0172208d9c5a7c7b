import numpy as np
import pytest

from mmadasap.corruption import corrupt
from mmadasap.datasets import Corrupt
from mmadasap.datasets.corrupt import image_id
from mmadasap.errors import UserError


def image():
    return np.random.default_rng(0).integers(0, 255, (40, 48, 3), dtype=np.uint8)


def test_images_are_bgr_and_corruptions_rgb():
    bgr = image()
    out = Corrupt('snow', 3)(dict(img=bgr.copy(), img_id='x'))['img']
    assert np.array_equal(out, corrupt(bgr[..., ::-1], 'snow', 3, 'x')[..., ::-1])
    assert not np.array_equal(out, corrupt(bgr, 'snow', 3, 'x'))
    rgb = Corrupt('snow', 3, channel_order='rgb')(dict(img=bgr.copy(), img_id='x'))['img']
    assert np.array_equal(rgb, corrupt(bgr, 'snow', 3, 'x'))


def test_alpha_stays_what_it_is():
    bgra = np.concatenate([image(), image()[..., :1] // 2], axis=2)
    out = Corrupt('snow', 3)(dict(img=bgra, img_id='x'))['img']
    assert np.array_equal(out[..., 3], bgra[..., 3])
    assert np.array_equal(out[..., :3], Corrupt('snow', 3)(dict(img=image(), img_id='x'))['img'])


def test_images_turned_into_floats_stay_such():
    whole = image()
    out = Corrupt('snow', 3)(dict(img=whole.astype(np.float32), img_id='x'))['img']
    assert out.dtype == np.float32 and np.array_equal(out, Corrupt('snow', 3)(dict(img=whole, img_id='x'))['img'])
    for broken in (whole + np.float32(0.5), whole - np.float32(300)):
        with pytest.raises(UserError, match='is float32 of shape'):
            Corrupt('snow', 3)(dict(img=broken, img_id='x'))


def test_gray_images():
    gray = image()[..., 0]
    assert np.array_equal(Corrupt('fog', 3)(dict(img=gray, img_id='x'))['img'], corrupt(gray, 'fog', 3, 'x'))


def test_the_draw_depends_on_the_image_id_and_the_seed():

    def run(img_id, seed=0):
        return Corrupt('gaussian_noise', 2, seed)(dict(img=image(), img_id=img_id))['img']

    assert np.array_equal(run('a'), run('a'))
    assert not np.array_equal(run('a'), run('b')) and not np.array_equal(run('a'), run('a', 1))


@pytest.mark.parametrize('results, root, expected', [
    (dict(img_id=7, img_path='/x/7.jpg', sample_idx=3), None, '7'),
    (dict(img_path='/data/set/cat/1.jpg', sample_idx=3), '/data/set', 'cat/1.jpg'),
    (dict(img_path='elsewhere/set/cat/1.jpg'), 'elsewhere/set/', 'cat/1.jpg'),
    (dict(img_path='cat/1.jpg'), None, 'cat/1.jpg'),
    (dict(sample_idx=3), '/data', '3'),
])
def test_an_image_is_named_alike_wherever_its_data_set_lies(results, root, expected):
    assert image_id(results, root) == expected


def test_an_image_without_a_name_is_refused():
    with pytest.raises(UserError, match=r"neither img_id nor img_path nor sample_idx, only \['img'\]"):
        Corrupt('fog', 3)(dict(img=image()))


def test_severity_zero_is_clean():
    assert np.array_equal(Corrupt('fog', 0)(dict(img=image()))['img'], image())


@pytest.mark.parametrize('args, message', [
    (('rain', 3), "corruption='rain'"), (('fog', 6), 'severity=6'), (('fog', 3, 0, 'gbr'), "channel_order='gbr'")])
def test_wrong_arguments_are_refused_at_construction(args, message):
    with pytest.raises(UserError, match=message):
        Corrupt(*args)
