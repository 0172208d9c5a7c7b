"""Accuracy of an ONNX file on a config's test set, by the config's own metric."""
import os
from typing import TYPE_CHECKING

import rich.progress
import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from torch import Tensor

from mmadasap.hosts import scope_of

from .images import fit
from .onnx_file import run_onnx

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


def evaluate_onnx(cfg: Config, session: 'InferenceSession', size: tuple[int, int], blank: Tensor) -> dict[str, float]:
    """Runs the test set through ONNX Runtime.

    Args:
        cfg: Config with test_dataloader and test_evaluator.
        session: Of a classifier, or of a detector exported with suppression.
        size: (H, W) of the exported images.
        blank: Pixel (3, 1, 1) that smaller images are padded with.

    Returns:
        The metrics of the evaluator.
    """
    init_default_scope(scope_of(cfg))
    loader, evaluator = Runner.build_dataloader(cfg.test_dataloader), Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    names = [output.name for output in session.get_outputs()]
    for data in rich.progress.track(loader, description='ONNX Runtime', disable=bool(os.getenv('CI'))):
        outputs = run_onnx(session, fit(data['inputs'], size, blank))
        for i, sample in enumerate(data['data_samples']):
            _note(sample, {name: torch.from_numpy(o[i]) for name, o in zip(names, outputs)})
        evaluator.process(data_samples=data['data_samples'], data_batch=data)
    return evaluator.evaluate(len(loader.dataset))


def _note(sample, found: dict[str, Tensor]) -> None:
    """Puts what was found in one image where the metric looks for it, boxes in pixels of the original image."""
    if 'boxes' not in found:
        sample.set_pred_score(found['scores']).set_pred_label(found['scores'].argmax())
        return
    live = found['scores'] > 0
    # The file knows no border between an image and what it is padded with.
    limit = found['boxes'].new_tensor(sample.metainfo['img_shape'][1::-1]).repeat(2)
    boxes = found['boxes'].minimum(limit)
    live &= (boxes[:, 2:] > boxes[:, :2]).all(1)
    scale = boxes.new_tensor(sample.metainfo.get('scale_factor', (1, 1))).repeat(2)
    sample.pred_instances = InstanceData(
        bboxes=boxes[live] / scale, scores=found['scores'][live], labels=found['labels'][live])
