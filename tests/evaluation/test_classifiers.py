"""The same evaluation for mmpretrain's classifiers and data sets, told apart by nothing but their results."""
import cv2
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.corruption.build import Settings, build
from mmadasap.datasets.shapes import draw_scene
from mmadasap.evaluation import evaluate_robustness
from mmadasap.registry import MODELS

pytest.importorskip('mmpretrain')


def classifier(root, dataset):
    """Config and checkpoint of a random network with three classes."""
    model = dict(
        type='ImageClassifier', data_preprocessor=dict(mean=[128] * 3, std=[64] * 3, to_rgb=True, num_classes=3),
        backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=4, stem_channels=4), neck=dict(
            type='GlobalAveragePooling'), head=dict(type='LinearClsHead', num_classes=3, in_channels=32))
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


@pytest.mark.parametrize('type_, folder', [('CustomDataset', 'set'), ('ImageNet', 'val')])
def test_folders_of_classes_stored_and_on_the_fly(tmp_path, type_, folder):
    for i in range(24):
        path = tmp_path / folder / f'class{i % 3}/{i}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), draw_scene(i)[0][:32, :32])
    where = dict(data_root=str(tmp_path / folder)) if type_ == 'CustomDataset' else dict(
        data_root=str(tmp_path), split=folder)
    dataset = dict(type=type_, pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')],
                   metainfo=dict(classes=['class0', 'class1', 'class2']), **where)
    pair = classifier(tmp_path, dataset)
    names, severities = ['gaussian_noise', 'impulse_noise', 'elastic_transform'], [3, 5]
    fly = evaluate_robustness(*pair, names, severities)
    assert fly.metric == 'accuracy/top1' and 0 < fly.clean <= 1
    build(str(tmp_path / folder), str(tmp_path / 'c'), Settings(tuple(names), tuple(severities)), show_progress=False)
    stored = evaluate_robustness(*pair, names, severities, stored=str(tmp_path / 'c'))
    assert stored == fly
    assert len({fly.clean, *(v for row in fly.corrupted.values() for v in row.values())}) > 1


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
