from contextlib import nullcontext

import pytest

from mmadasap.corruption import corrupt
from mmadasap.corruption.build import build
from mmadasap.corruption.manifest import StoredCopy
from mmadasap.corruption.reading import read_image
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import CLASSES, write_shapes
from mmadasap.errors import UserError
from mmadasap.evaluation.loaders import check_same_images, clean_loader, corrupted_loader, stored_loader
from mmadasap.registry import DATASETS


def kinds(pipeline):
    return [step['type'] for step in pipeline]


def test_the_corruption_goes_in_right_after_loading():
    steps = [dict(type='A'), dict(type='LoadImageFromFile'), dict(type='Resize')]
    loader = dict(dataset=dict(pipeline=steps, data_root='data/x', data_prefix=dict(img='val')))
    found = corrupted_loader(loader, 'fog', 2, 7)['dataset']['pipeline']
    assert kinds(found) == ['A', 'LoadImageFromFile', 'mmadasap.Corrupt', 'Resize']
    assert found[2] == dict(type='mmadasap.Corrupt', corruption='fog', severity=2, seed=7, root='data/x/val')
    assert len(loader['dataset']['pipeline']) == 3


def test_images_from_memory_are_corrupted_first_and_as_rgb():
    found = corrupted_loader(dict(dataset=dict(pipeline=[dict(type='PackInputs')])), 'fog', 2)['dataset']['pipeline']
    assert kinds(found) == ['mmadasap.Corrupt', 'PackInputs'] and found[0]['channel_order'] == 'rgb'


def test_a_place_the_user_chose_is_kept():
    steps = [dict(type='LoadImageFromFile'), dict(type='Crop'),
             dict(type='mmadasap.Corrupt', corruption='fog', severity=0, channel_order='rgb')]
    found = corrupted_loader(dict(dataset=dict(pipeline=steps)), 'snow', 4, 1)['dataset']['pipeline']
    assert found[:2] == steps[:2] and len(found) == 3
    assert found[2] == dict(steps[2], corruption='snow', severity=4, seed=1)


def test_wrapped_data_sets_are_all_corrupted():
    part = dict(pipeline=[dict(type='LoadImageFromFile')])
    loader = dict(dataset=dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[part, part])))
    parts = corrupted_loader(loader, 'fog', 2)['dataset']['dataset']['datasets']
    assert [len(p['pipeline']) for p in parts] == [2, 2]


def test_a_data_set_without_pipeline_is_refused():
    with pytest.raises(UserError, match='has no pipeline'):
        corrupted_loader(dict(dataset=dict(type='ToyData')), 'fog', 2)


def test_stored_images_are_the_ones_made_on_the_fly(tmp_path):
    write_shapes(str(tmp_path / 'voc'), train=1, test=2)
    build(str(tmp_path / 'voc'), str(tmp_path / 'c'), Settings(('snow', )), show_progress=False)
    dataset = dict(
        type='mmadasap.VOCDataset', data_root=str(tmp_path / 'voc'), ann_file='ImageSets/Main/test.txt',
        data_prefix=dict(sub_data_root=''), test_mode=True, metainfo=dict(classes=CLASSES),
        pipeline=[dict(type='mmdet.LoadImageFromFile'), dict(type='mmdet.PackDetInputs', meta_keys=('img_id', ))])
    loader = dict(dataset=dataset)
    fly, stored = (DATASETS.build(c['dataset']) for c in (
        corrupted_loader(loader, 'snow', 3), stored_loader(loader, str(tmp_path / 'c'), 'snow', 3)))
    for a, b in zip(fly, stored):
        assert (a['inputs'] == b['inputs']).all() and a['data_samples'].img_id == b['data_samples'].img_id
    first = fly.get_data_info(0)
    image, _ = read_image(first['img_path'])
    expected = corrupt(image, 'snow', 3, first['img_id'])[..., ::-1].transpose(2, 0, 1)
    assert (fly[0]['inputs'].numpy() == expected).all()


def test_clean_images_are_clean_whatever_the_config_corrupts():
    steps = [dict(type='LoadImageFromFile'), dict(type='mmadasap.Corrupt', corruption='fog', severity=3)]
    loader = dict(dataset=dict(pipeline=steps))
    assert clean_loader(loader)['dataset']['pipeline'] == [steps[0], dict(steps[1], severity=0)]
    assert loader['dataset']['pipeline'][1]['severity'] == 3


def test_a_corrupted_copy_is_no_clean_data_set(tmp_path):
    write_shapes(str(tmp_path / 'voc'), train=1, test=1)
    build(str(tmp_path / 'voc'), str(tmp_path / 'c'), Settings(('fog', )), show_progress=False)
    with pytest.raises(UserError, match='fog/3/., which is a corrupted copy itself'):
        clean_loader(dict(dataset=dict(data_root=f'{tmp_path}/c/fog/3/', pipeline=[])))


def test_a_copy_is_of_one_data_set(tmp_path):
    write_shapes(str(tmp_path / 'voc'), train=1, test=1)
    build(str(tmp_path / 'voc'), str(tmp_path / 'c'), Settings(('fog', )), show_progress=False)
    part = dict(pipeline=[])
    with pytest.raises(UserError, match='joins 2 data sets, and a stored copy is of one'):
        stored_loader(dict(dataset=dict(datasets=[part, part])), str(tmp_path / 'c'), 'fog', 3)


@pytest.mark.parametrize('clean, found, message', [
    (['a', 'b'], ['a', 'b'], None), (['x/1.jpg'], ['x/1.png'], None),
    (['a', 'c'], ['a', 'c'], "knows no image 'c' of the test set"),
    (['a', 'b'], ['b', 'a'], "gives image 'b' where the test set has 'a'"),
    (['a'], ['a', 'b'], "gives image 'b' where the test set has None"),
])
def test_a_copy_is_of_the_images_that_are_tested(clean, found, message):
    stored = StoredCopy({}, frozenset(['a', 'b', 'x/1.jpg']), '')
    with pytest.raises(UserError, match=message) if message else nullcontext():
        check_same_images('fog/3', stored, clean, found)


def test_a_cell_that_is_not_stored_is_named(tmp_path):
    with pytest.raises(UserError, match='fog/3.* holds no corrupted copy; write it with tools/build_corrupted_dataset'):
        stored_loader(dict(dataset=dict(pipeline=[])), str(tmp_path), 'fog', 3)
