from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from mmengine.model import ExponentialMovingAverage, MMDistributedDataParallel

from mmadasap.engine.host import bare_model, finish, forget_best, raw_outputs, refresh, rewrap
from mmadasap.pruning import Budget, ChannelPruner, MagnitudeImportance
from tests.pruning.architectures import build
from tests.toys import ToyClassifier


@pytest.fixture
def one_process(tmp_path):
    dist.init_process_group('gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def shrink(model):
    pruner = ChannelPruner(model, torch.zeros(1, 3, 8, 8), lambda m, x: m(x), Budget('macs', 0.5),
                           MagnitudeImportance(), ())
    pruner.prune(pruner.target)
    return pruner.remove(torch.optim.SGD(model.parameters(), lr=0.1), [])


def test_a_distributed_model_trains_on_after_surgery(one_process):
    batch = dict(inputs=torch.randn(4, 3, 8, 8), labels=torch.tensor([0, 1, 2, 0]), mode='loss')
    old = MMDistributedDataParallel(ToyClassifier())
    runner = SimpleNamespace(model=old, cfg={}, wrap_model=lambda cfg, m: MMDistributedDataParallel(m))
    graph = old(**batch)['loss']
    graph.backward(retain_graph=True)
    shrink(bare_model(old))
    rewrap(runner)
    assert runner.model is not old
    for _ in range(2):
        runner.model(**batch)['loss'].backward()
    assert all(p.grad.shape == p.shape for p in runner.model.parameters())


def test_a_bare_model_is_left_alone():
    runner = SimpleNamespace(model=ToyClassifier())
    model = runner.model
    rewrap(runner)
    assert runner.model is model is bare_model(model)


@pytest.mark.parametrize('update_buffers', [False, True])
def test_an_averaged_model_goes_on_after_its_shapes_changed(update_buffers):
    torch.manual_seed(0)
    model = ToyClassifier()
    averaged = ExponentialMovingAverage(model, momentum=0.5, update_buffers=update_buffers)
    averaged.update_parameters(model)
    for m in (model, averaged.module):
        shrink(m)
    refresh(averaged)
    averaged.update_parameters(model)
    assert torch.equal(averaged.module.net.conv1.weight, model.net.conv1.weight)


def test_only_scores_of_the_best_are_forgotten():
    from mmengine.logging import MessageHub
    hub = MessageHub.get_instance('forget-best')
    for key in ('best_score', 'best_score_mAP', 'cfg'):
        hub.update_info(key, 1)
    forget_best(SimpleNamespace(message_hub=hub, param_schedulers=None))
    assert set(hub.runtime_info) == {'cfg'}


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_boxes_are_decoded_in_float32_from_shorter_outputs(dtype):
    model, x = build('retinanet', dtype=torch.float32)
    model.bbox_head.test_cfg.score_thr = 0.0
    with torch.inference_mode():
        short = [[level.to(dtype) for level in kind] for kind in raw_outputs(model, x)]
    whole = [[level.float() for level in kind] for kind in short]
    found, expected = (finish((64, 64))(model, outputs) for outputs in (short, whole))
    assert len(found) == 2 and len(found[0]) > 0
    assert all(torch.equal(a.bboxes, b.bboxes) for a, b in zip(found, expected))
