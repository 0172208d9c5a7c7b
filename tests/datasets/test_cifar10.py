import numpy as np
import pytest
from mmpretrain.datasets.categories import CIFAR10_CATEGORIES

from mmadasap.datasets import CIFAR10
from mmadasap.errors import UserError
from mmadasap.registry import DATASETS

from .image_folders import image, write_images


def write_batches(folder, count=3):
    """The official binary layout: a label byte, then the red, green and blue planes."""
    folder.mkdir(parents=True)
    for number, name in enumerate([*(f'data_batch_{i}.bin' for i in range(1, 6)), 'test_batch.bin']):
        records = []
        for label in range(count):
            rgb = image(10 * label + number)
            records.append(np.concatenate([[label], rgb.transpose(2, 0, 1).reshape(-1)]).astype(np.uint8))
        np.stack(records).tofile(folder / name)


def test_image_folder(tmp_path):
    write_images(tmp_path / 'test', CIFAR10_CATEGORIES)
    data = CIFAR10(str(tmp_path), 'test')
    assert len(data) == 20 and data.metainfo['classes'] == CIFAR10_CATEGORIES
    sample = data[7]
    assert sample['gt_label'] == 3 and sample['img_id'] == 'test/cat/1.png' and sample['shift'] == 'clean'
    assert np.array_equal(sample['img'], image(30))


@pytest.mark.parametrize('below', ['', 'cifar-10-batches-bin'])
def test_official_binary_version(tmp_path, below):
    write_batches(tmp_path / 'cifar' / below)
    train, test = (CIFAR10(str(tmp_path / 'cifar'), split) for split in ('train', 'test'))
    assert len(train) == 15 and len(test) == 3
    assert [train[i]['gt_label'] for i in range(4)] == [0, 1, 2, 0]
    assert np.array_equal(train[4]['img'], image(11)) and np.array_equal(test[2]['img'], image(25))
    assert len({train[i]['img_id'] for i in range(15)}) == 15


def test_layouts_agree(tmp_path):
    write_images(tmp_path / 'folder' / 'test', CIFAR10_CATEGORIES, per_class=1)
    write_batches(tmp_path / 'binary', count=10)
    folder, binary = CIFAR10(str(tmp_path / 'folder'), 'test'), CIFAR10(str(tmp_path / 'binary'), 'test')
    for a, b, in zip(folder, binary):
        assert a['gt_label'] == b['gt_label'] and np.array_equal(a['img'] + 5, b['img'])


def test_every_second_image_of_each_class(tmp_path):
    write_images(tmp_path / 'folder' / 'test', CIFAR10_CATEGORIES)
    write_batches(tmp_path / 'binary')
    folder = CIFAR10(str(tmp_path / 'folder'), 'test', every=2)
    assert [folder[i]['gt_label'] for i in range(len(folder))] == list(range(10))
    binary = CIFAR10(str(tmp_path / 'binary'), 'train', every=2)
    assert [binary[i]['img_id'] for i in range(3)] == ['data_batch_1.bin/0', 'data_batch_1.bin/2', 'data_batch_2.bin/1']
    with pytest.raises(UserError, match='every=0 must be a whole number from 1'):
        CIFAR10(str(tmp_path / 'folder'), 'test', every=0)


def test_it_is_found_by_name_under_both_scopes(tmp_path):
    write_images(tmp_path / 'test', CIFAR10_CATEGORIES)
    pipeline = [dict(type='mmpretrain.PackInputs')]
    data = DATASETS.build(dict(type='mmadasap.CIFAR10', data_root=str(tmp_path), split='test', pipeline=pipeline))
    assert data[0]['inputs'].shape == (3, 32, 32) and data[0]['data_samples'].gt_label.item() == 0


def test_wrong_layouts(tmp_path):
    with pytest.raises(UserError, match='neither the folder test/ of images nor test_batch.bin'):
        CIFAR10(str(tmp_path), 'test')
    with pytest.raises(UserError, match="split='val'"):
        CIFAR10(str(tmp_path), 'val')
    write_images(tmp_path / 'test', (*CIFAR10_CATEGORIES[:9], 'lorry'))
    with pytest.raises(UserError, match=r'1 are missing \(truck\) and 1 do not belong there \(lorry\)'):
        CIFAR10(str(tmp_path), 'test')
    write_batches(tmp_path / 'binary')
    with open(tmp_path / 'binary' / 'data_batch_3.bin', 'ab') as file:
        file.write(b'x')
    with pytest.raises(UserError, match='data_batch_3.bin'):
        CIFAR10(str(tmp_path / 'binary'), 'train')
    (tmp_path / 'binary' / 'data_batch_3.bin').unlink()
    with pytest.raises(UserError, match='data_batch_3.bin'):
        CIFAR10(str(tmp_path / 'binary'), 'train')


def test_damaged_and_empty_folders(tmp_path):
    write_images(tmp_path / 'test', CIFAR10_CATEGORIES, per_class=1)
    (tmp_path / 'test' / 'dog' / '0.png').write_bytes(b'no image')
    with pytest.raises(UserError, match='dog/0.png'):
        CIFAR10(str(tmp_path), 'test')
    (tmp_path / 'test' / 'dog' / '0.png').unlink()
    with pytest.raises(UserError, match='dog.* holds no image'):
        CIFAR10(str(tmp_path), 'test')
