import pytest

from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import write_shapes
from mmadasap.errors import UserError
from mmadasap.evaluation.loaders import clean_loader, corrupted_loader


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
