"""The same evaluation for mmpretrain's classifiers and data sets, told apart by nothing but their results."""
import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.corruption.build import build
from mmadasap.corruption.settings import Settings
from mmadasap.datasets.shapes import draw_scene
from mmadasap.errors import UserError
from mmadasap.evaluation import evaluate_robustness
from mmadasap.registry import MODELS

pytest.importorskip('mmpretrain')
CIFAR10_CATEGORIES = pytest.importorskip('mmpretrain.datasets.categories').CIFAR10_CATEGORIES


def classifier(root, dataset, classes=3):
    """Config and checkpoint of a random network."""
    model = dict(
        type='ImageClassifier', data_preprocessor=dict(mean=[128] * 3, std=[64] * 3, to_rgb=True, num_classes=classes),
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4), neck=dict(
            type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=classes, in_channels=32))
    cfg = Config(dict(
        model=model, work_dir=str(root), test_cfg=dict(), default_scope='mmpretrain',
        test_evaluator=dict(type='Accuracy', topk=(1, )),
        test_dataloader=dict(dataset=dataset, batch_size=4, num_workers=0, sampler=dict(
            type='DefaultSampler', shuffle=False))))
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    network = MODELS.build(model)
    with torch.no_grad():
        network.head.fc.weight.mul_(30)
    torch.save(dict(state_dict=network.state_dict()), root / 'weights.pth')
    return cfg, str(root / 'weights.pth')


CLASSES = ['n00000000', 'n00000001', 'n00000002']
LOAD = [dict(type='LoadImageFromFile')]


def write_classes(folder, names, count=24):
    for i in range(count):
        path = folder / names[i % len(names)] / f'{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw_scene(i)[0][:32, :32])


@pytest.mark.parametrize('type_, split, loading', [
    ('CustomDataset', None, LOAD), ('ImageNet', 'val', LOAD), ('mmadasap.ImageNet', 'val', LOAD),
    ('mmadasap.CIFAR10', 'test', [])])
def test_folders_of_classes_stored_and_on_the_fly(tmp_path, type_, split, loading):
    root, cifar = tmp_path / 'set', type_.endswith('CIFAR10')
    write_classes(root / (split or ''), CIFAR10_CATEGORIES if cifar else CLASSES, 30)
    dataset = dict(type=type_, pipeline=[*loading, dict(type='PackInputs')], data_root=str(root)) | (
        dict(split=split) if split else {}) | ({} if cifar else dict(metainfo=dict(classes=CLASSES)))
    pair = classifier(tmp_path, dataset, 10 if cifar else 3)
    names, severities = ['gaussian_noise', 'elastic_transform'], [5]
    fly = evaluate_robustness(*pair, names, severities)
    assert fly.metric == 'accuracy/top1' and 0 < fly.clean <= 1
    build(str(root), str(tmp_path / 'c'), Settings(tuple(names), tuple(severities), split=split), show_progress=False)
    stored = evaluate_robustness(*pair, names, severities, stored=str(tmp_path / 'c'))
    assert stored == fly
    assert len({fly.clean, *(v for row in fly.corrupted.values() for v in row.values())}) > 1


@pytest.mark.parametrize('settings, kwargs, message', [
    (dict(limit=5), {}, "knows no image 'n00000000/.*' of the test set"),
    ({}, dict(shard=(1, 2)), 'is not whole: of 24 images some from number 17 on are missing'),
    (dict(split='n00000001'), {}, "knows no image 'n00000000/0.png'"),
])
def test_a_copy_of_other_images_is_refused(tmp_path, settings, kwargs, message):
    write_classes(tmp_path / 'set', CLASSES)
    dataset = dict(type='CustomDataset', pipeline=[*LOAD, dict(type='PackInputs')], data_root=str(tmp_path / 'set'))
    pair = classifier(tmp_path, dataset)
    build(str(tmp_path / 'set'), str(tmp_path / 'c'), Settings(('fog', ), **settings), show_progress=False, **kwargs)
    with pytest.raises(UserError, match=message):
        evaluate_robustness(*pair, ['fog'], [3], stored=str(tmp_path / 'c'))


def test_a_copy_that_lost_an_image_or_got_another_split_is_refused(tmp_path):
    write_classes(tmp_path / 'set/val', CLASSES)
    dataset = dict(type='mmadasap.ImageNet', pipeline=[*LOAD, dict(type='PackInputs')], split='val',
                   data_root=str(tmp_path / 'set'), metainfo=dict(classes=CLASSES))
    pair = classifier(tmp_path, dataset)
    for out, split in (('whole', 'val'), ('all', None)):
        build(str(tmp_path / 'set'), str(tmp_path / out), Settings(('fog', ), split=split), show_progress=False)
    with pytest.raises(UserError, match="built with --split None, and the test set takes split 'val'; build it with"):
        evaluate_robustness(*pair, ['fog'], [3], stored=str(tmp_path / 'all'))
    next((tmp_path / 'whole').rglob('*.png')).unlink()
    with pytest.raises(UserError, match='is not whole: of 24 images some from number'):
        evaluate_robustness(*pair, ['fog'], [3], stored=str(tmp_path / 'whole'))


def test_images_from_memory(tmp_path):
    pair = classifier(tmp_path, dict(type='ToyCIFAR', pipeline=[dict(type='PackInputs')]))
    result = evaluate_robustness(*pair, ['gaussian_noise'], [1, 5])
    again = evaluate_robustness(*pair, ['gaussian_noise'], [1, 5])
    assert result == again and set(result.corrupted['gaussian_noise']) == {1, 5}


def register():
    from mmpretrain.datasets import BaseDataset
    from mmpretrain.registry import DATASETS

    @DATASETS.register_module()
    class ToyCIFAR(BaseDataset):
        """Arrays in memory, as mmpretrain's CIFAR10 holds them."""

        def __init__(self, pipeline):
            super().__init__(ann_file='', metainfo=dict(classes=('a', 'b', 'c')), pipeline=pipeline, test_mode=True)

        def load_data_list(self):
            return [dict(img=draw_scene(i)[0][:32, :32], gt_label=i % 3) for i in range(12)]


register()
