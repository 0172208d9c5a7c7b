"""One checkpoint, four readers, one mAP: validation, test, DetInferencer and ONNX Runtime on the same images.

    python benchmarks/one_accuracy.py CONFIG CHECKPOINT --out one_accuracy.json
"""
import argparse
import os.path as osp
import tempfile

import torch
from mmdet.apis import DetInferencer
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.runner import Runner
from mmengine.structures import InstanceData

from mmadasap.engine.checkpoint import load_config
from mmadasap.engine.export import export_onnx
from mmadasap.engine.launch import run_tool
from mmadasap.engine.networks import adopt_slim_model
from mmadasap.evaluation.accuracy import find_accuracy
from mmadasap.fileio import write_json
from mmadasap.latency import describe_machine


def by_runner(cfg: Config, checkpoint: str, loop: str) -> float:
    """Through mmengine's validation loop ('val') or test loop ('test')."""
    cfg = Config(dict(cfg.to_dict(), load_from=checkpoint, resume=False, log_level='WARNING',
                      experiment_name=f'one-accuracy-{loop}'))
    adopt_slim_model(cfg, checkpoint)
    runner = Runner.from_cfg(cfg)
    return find_accuracy(getattr(runner, loop)())[1]


def by_inferencer(cfg: Config, checkpoint: str) -> float:
    """Through mmdet's DetInferencer, which gets the checkpoint and image files alone."""
    inferencer = DetInferencer(weights=checkpoint, device='cpu', show_progress=False)
    loader, evaluator = Runner.build_dataloader(cfg.test_dataloader), Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    for data in loader:
        samples = data['data_samples']
        found = inferencer([s.img_path for s in samples], no_save_vis=True)['predictions']
        for sample, predictions in zip(samples, found):
            sample.pred_instances = InstanceData(
                bboxes=torch.tensor(predictions['bboxes']).reshape(-1, 4),
                scores=torch.tensor(predictions['scores']),
                labels=torch.tensor(predictions['labels'], dtype=torch.long))
        evaluator.process(data_samples=samples, data_batch=data)
    return find_accuracy(evaluator.evaluate(len(loader.dataset)))[1]


def accuracies(config: str, checkpoint: str, work_dir: str) -> dict[str, float]:
    """mAP of each reader."""
    cfg = load_config(config)
    cfg.work_dir = work_dir
    found = {loop: by_runner(cfg, checkpoint, loop) for loop in ('val', 'test')}
    found['DetInferencer'] = by_inferencer(cfg, checkpoint)
    exported = export_onnx(cfg, checkpoint, osp.join(work_dir, 'model.onnx'), nms=True, evaluate=True)
    return found | {'ONNX Runtime': find_accuracy(exported['metrics'])[1]}


def main() -> None:
    """Parses, evaluates, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', help='config file of the slim model')
    parser.add_argument('checkpoint', help='its checkpoint')
    parser.add_argument('--out', default='one_accuracy.json', help='results as JSON')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = accuracies(args.config, args.checkpoint, folder)
    write_json(args.out, dict(config=args.config, checkpoint=args.checkpoint, accuracies=found,
                              machine=describe_machine()))
    for name, value in found.items():
        print(f'{name:16}{value:.4f}')
    print(f'largest difference {max(found.values()) - min(found.values()):.4f}; written to {args.out}')


if __name__ == '__main__':
    run_tool(main)
