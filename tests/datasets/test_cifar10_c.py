import numpy as np
import pytest

from mmadasap.datasets import CIFAR10C
from mmadasap.errors import UserError

from .image_folders import image


def write(folder, count=4):
    images = [image(10 * severity + i) for severity in range(1, 6) for i in range(count)]
    np.save(folder / 'fog.npy', np.stack(images))
    np.save(folder / 'labels.npy', np.tile(np.arange(count), 5))


def test_severities_are_fifths_of_the_file(tmp_path):
    write(tmp_path)
    for severity in range(1, 6):
        data = CIFAR10C(str(tmp_path), 'fog', severity)
        assert len(data) == 4
        assert all(np.array_equal(data[i]['img'], image(10 * severity + i)) for i in range(4))
        assert [data[i]['gt_label'] for i in range(4)] == [0, 1, 2, 3]
        assert data[0]['shift'] == f'c/fog/{severity}'


def test_what_is_wrong_is_said(tmp_path):
    with pytest.raises(UserError, match='fog.npy'):
        CIFAR10C(str(tmp_path), 'fog', 1)
    write(tmp_path)
    with pytest.raises(UserError, match="'mist' is unknown"):
        CIFAR10C(str(tmp_path), 'mist', 1)
    with pytest.raises(UserError, match='severity=0'):
        CIFAR10C(str(tmp_path), 'fog', 0)
    np.save(tmp_path / 'labels.npy', np.arange(19))
    with pytest.raises(UserError, match=r'\(20, 32, 32, 3\) of uint8 and \(19,\)'):
        CIFAR10C(str(tmp_path), 'fog', 1)


@pytest.mark.parametrize('damage', [lambda data: data[:len(data) // 2], lambda data: b'', lambda data: b'text'])
def test_a_damaged_file_is_named(tmp_path, damage):
    write(tmp_path)
    path = tmp_path / 'fog.npy'
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError, match='fog.npy. is damaged'):
        CIFAR10C(str(tmp_path), 'fog', 1)


@pytest.mark.parametrize('images', [np.zeros((20, 32, 32, 3)), np.zeros((20, 64, 64, 3), np.uint8)])
def test_other_images_are_refused(tmp_path, images):
    write(tmp_path)
    np.save(tmp_path / 'fog.npy', images)
    with pytest.raises(UserError, match=r'where \(5 n, 32, 32, 3\) of uint8'):
        CIFAR10C(str(tmp_path), 'fog', 1)
