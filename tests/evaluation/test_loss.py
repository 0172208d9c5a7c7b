import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmadasap.evaluation.loss import evaluate_loss
from mmadasap.registry import MODELS

pytest.importorskip('mmpretrain')


def test_the_mean_is_over_images_whatever_the_batches_with_norms_in_eval_mode(tmp_path):
    from tests.toy_classifier import ToyLabels, classifier_loader, toy_classifier
    init_default_scope('mmpretrain')
    torch.manual_seed(0)
    network = MODELS.build(toy_classifier()).eval()
    torch.save(dict(state_dict=network.state_dict()), tmp_path / 'weights.pth')
    found = [evaluate_loss(
        Config(dict(model=toy_classifier(), default_scope='mmpretrain', test_dataloader=classifier_loader(size))),
        str(tmp_path / 'weights.pth')) for size in (8, 3)]
    data = ToyLabels()
    scores = network.head.fc(network.extract_feat((data.images.flip(1).float() - 128) / 64)[0]).detach()
    expected = torch.nn.functional.cross_entropy(scores, data.labels, label_smoothing=0.1)
    assert found == pytest.approx([float(expected)] * 2, rel=1e-5)
