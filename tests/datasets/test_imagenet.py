import pytest

from mmadasap.datasets import ImageNet, ImageNetC, ImageNetV2
from mmadasap.errors import UserError

from .image_folders import write_images

WNIDS = ('n01440764', 'n01443537', 'n01484850')
THREE = dict(metainfo=dict(classes=('a', 'b', 'c')))
TWELVE = dict(metainfo=dict(classes=tuple('abcdefghijkl')))


def labels(data):
    return [data[i]['gt_label'] for i in range(len(data))]


def test_imagenet(tmp_path):
    write_images(tmp_path / 'val', WNIDS)
    data = ImageNet(str(tmp_path), 'val', **THREE)
    assert labels(data) == [0, 0, 1, 1, 2, 2]
    assert data[2]['img_id'] == 'val/n01443537/0.png' and data[2]['shift'] == 'clean'
    assert data[2]['img_path'] == str(tmp_path / 'val/n01443537/0.png')


def test_imagenet_has_a_thousand_classes(tmp_path):
    write_images(tmp_path / 'val', WNIDS)
    with pytest.raises(UserError, match='must hold 1000 folders.* but it holds 3 folders'):
        ImageNet(str(tmp_path), 'val')


def test_unsorted_validation_images_are_refused(tmp_path):
    write_images(tmp_path, ['val'])
    with pytest.raises(UserError, match='holds 0 folders; sort the images into one folder a class'):
        ImageNet(str(tmp_path), 'val', **THREE)
    with pytest.raises(UserError, match='There is no folder'):
        ImageNet(str(tmp_path), 'train', **THREE)
    with pytest.raises(UserError, match="split='test'"):
        ImageNet(str(tmp_path), 'test', **THREE)


@pytest.mark.parametrize('variant, folder', [
    ('matched-frequency', 'imagenetv2-matched-frequency-format-val'),
    ('threshold-0.7', 'imagenetv2-threshold0.7-format-val'),
    ('top-images', 'imagenetv2-top-images'),
])
def test_v2_classes_are_numbers_not_strings(tmp_path, variant, folder):
    """Sorted as strings, 10 and 11 would come before 2."""
    write_images(tmp_path / folder, [str(i) for i in range(12)], per_class=1)
    data = ImageNetV2(str(tmp_path), variant, **TWELVE)
    assert [(data[i]['img_id'], data[i]['gt_label']) for i in range(12)] == [(f'{i}/0.png', i) for i in range(12)]
    assert data[0]['shift'] == f'v2/{variant}'


def test_v2_with_other_folders_is_refused(tmp_path):
    write_images(tmp_path / 'imagenetv2-matched-frequency-format-val', WNIDS)
    with pytest.raises(UserError, match=r'folders 0, 1, 2 of the classes, but 3 are missing.*n01440764'):
        ImageNetV2(str(tmp_path), **THREE)
    with pytest.raises(UserError, match="variant='best' is unknown"):
        ImageNetV2(str(tmp_path), 'best')
    with pytest.raises(UserError, match='no folder.*imagenetv2-top-images-format-val'):
        ImageNetV2(str(tmp_path), 'top-images', **THREE)


@pytest.mark.parametrize('archive', ['', 'noise'])
def test_imagenet_c(tmp_path, archive):
    for severity in (1, 2):
        write_images(tmp_path / archive / 'shot_noise' / str(severity), WNIDS)
    data = ImageNetC(str(tmp_path), 'shot_noise', 2, **THREE)
    assert labels(data) == [0, 0, 1, 1, 2, 2] and data[0]['shift'] == 'c/shot_noise/2'
    assert '/shot_noise/2/' in data[0]['img_path']


def test_imagenet_c_says_what_is_wrong(tmp_path):
    with pytest.raises(UserError, match='no folder.*fog/3'):
        ImageNetC(str(tmp_path), 'fog', 3, **THREE)
    with pytest.raises(UserError, match='severity=6'):
        ImageNetC(str(tmp_path), 'fog', 6, **THREE)
    with pytest.raises(UserError, match='severity=0 is the clean data set'):
        ImageNetC(str(tmp_path), 'fog', 0, **THREE)
    write_images(tmp_path / 'fog' / '3', ['0', '1', '2'])
    with pytest.raises(UserError, match="3 folders, among them '0'"):
        ImageNetC(str(tmp_path), 'fog', 3, **THREE)
