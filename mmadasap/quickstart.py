"""The whole story in minutes: data, dense training, AdaSAP, evaluation on clean and corrupted images, pictures."""
import json
import os
import os.path as osp
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import torch
from mmengine.config import Config
from mmengine.fileio import list_from_file
from mmengine.runner import Runner, find_latest_checkpoint

from mmadasap.corruption import SUBSETS
from mmadasap.datasets.shapes import CLASSES, write_shapes
from mmadasap.datasets.voc import classes_in, image_suffixes
from mmadasap.engine.host import raw_outputs
from mmadasap.engine.networks import load_network
from mmadasap.engine.resumption import is_finished
from mmadasap.engine.slim_config import add_plain_checkpoints
from mmadasap.errors import UserError
from mmadasap.evaluation import RobustnessResult, evaluate_robustness, format_results
from mmadasap.fileio import write_json
from mmadasap.latency import interleaved_medians
from mmadasap.pruning import COSTS, LayerShape, count_parameters, trace_layers
from mmadasap.visualization import draw_channels, draw_panels

STAGES = dict(dense='ssd256_r50-w16_dense_shapes.py', slim='ssd256_r50-w16_adasap-p-macs50_shapes.py')
SEVERITY = 3
SHOWN = ('fog', 'gaussian_noise', 'motion_blur')
TRAIN_IMAGES, TEST_IMAGES = 192, 40

MEANING = '''
mAP      detection accuracy on clean test images (area under precision-recall at IoU 0.5, 1 is perfect)
mAP_C    the same, mean over {corruptions} kinds of corruption (noise, blur, weather, digital) at severity {severity}
R_C      mAP_C / mAP: the share of accuracy that survives corruption
params   learned numbers; MACs: multiply-accumulates for one image; ms: measured time of the network on this machine
'''


@dataclass(frozen=True)
class Data:
    """A folder in Pascal VOC layout: its classes, the lists of images to train and test on, and their files' suffix."""
    folder: str
    classes: tuple[str, ...]
    train: str
    test: str
    suffix: str = '.jpg'


def find_data(folder: Optional[str], work_dir: str) -> Data:
    """The user's data, or the project's own, drawn where it is not there yet.

    Raises:
        UserError: ``folder`` is not in Pascal VOC layout.
    """
    if folder is None:
        folder = osp.join(work_dir, 'data')
        if not osp.exists(osp.join(folder, 'ImageSets/Main/test.txt')):
            write_shapes(folder, TRAIN_IMAGES, TEST_IMAGES)
        return Data(folder, CLASSES, 'ImageSets/Main/trainval.txt', 'ImageSets/Main/test.txt')
    if not osp.isdir(folder):
        raise UserError(f'There is no data folder {folder!r}; give one in Pascal VOC layout (Annotations, '
                        'ImageSets/Main, JPEGImages).')
    train, test = _lists(folder)
    return Data(folder, classes_in(folder), train, test, _suffix(folder, test))


def claim_folder(work_dir: str, data: Data) -> None:
    """Ties a work directory to its data, so that stages of another data set are never taken for this one's.

    Raises:
        UserError: The directory holds the results of other data.
    """
    path, mine = osp.join(work_dir, 'data.json'), dict(folder=osp.abspath(data.folder), classes=list(data.classes))
    if not osp.exists(path):
        write_json(path, mine)
        return
    with open(path) as file:
        theirs = json.load(file)
    if theirs != mine:
        raise UserError(f'{work_dir} holds results on {theirs["folder"]} with classes {theirs["classes"]}; move it '
                        'away or give another --work-dir.')


def _lists(folder: str) -> tuple[str, str]:
    """Lists to train and to test on, which share no image: with val to test on, train goes before trainval.

    Raises:
        UserError: There is no such pair, or one shares images.
    """
    for pair in (('trainval', 'test'), ('train', 'test'), ('train', 'val'), ('trainval', 'val')):
        train, test = (f'ImageSets/Main/{name}.txt' for name in pair)
        if all(osp.isfile(osp.join(folder, path)) for path in (train, test)):
            _check_apart(folder, train, test)
            return train, test
    raise UserError(f'{folder!r} needs ImageSets/Main/trainval.txt or train.txt to train on, and test.txt or val.txt '
                    'to test on; write them, each a list of image names without extension, one a line.')


def _check_apart(folder: str, train: str, test: str) -> None:
    names = (set(list_from_file(osp.join(folder, path))) for path in (train, test))
    shared = sorted(set.intersection(*names) - {''})
    if shared:
        raise UserError(f'{folder!r}: {train} and {test} share {len(shared)} images, {shared[0]!r} first; take them '
                        'out of one list, for accuracy on images a network was trained on says nothing.')


def _suffix(folder: str, images: str) -> str:
    """Of the first listed image's file; missing files are told of when the data set is read."""
    first = next((line for line in list_from_file(osp.join(folder, images)) if line.strip()), '')
    found = image_suffixes(osp.join(folder, 'JPEGImages', first.strip()))
    return '.jpg' if '.jpg' in found or not found else found[0]


def stage_config(stage: str, data: Data, work_dir: str, configs: str) -> Config:
    """The config of one stage on this data, in its own folder below ``work_dir``."""
    cfg = Config.fromfile(osp.join(configs, 'quickstart', STAGES[stage]))
    cfg.work_dir = osp.join(work_dir, stage)
    cfg.experiment_name = f'quickstart-{stage}'
    cfg.model.bbox_head.num_classes = len(data.classes)
    for loader, images in (('train', data.train), ('val', data.test), ('test', data.test)):
        dataset = cfg[f'{loader}_dataloader'].dataset
        dataset.update(data_root=data.folder, ann_file=images, metainfo=dict(classes=data.classes),
                       img_suffix=data.suffix)
    return cfg


def train_stage(cfg: Config, start: Optional[str]) -> str:
    """Trains a stage, or goes on where a killed one stopped; a finished one is left as it is.

    Args:
        cfg: Config of the stage.
        start: Checkpoint to start from; None starts from scratch.

    Returns:
        Its last checkpoint.
    """
    last = osp.join(cfg.work_dir, f'epoch_{cfg.train_cfg.max_epochs}.pth')
    if not is_finished(last):
        # Visualizers of one name are one object, that of the first run in the process.
        cfg.visualizer.name = cfg.experiment_name
        found = find_latest_checkpoint(cfg.work_dir) if osp.isdir(cfg.work_dir) else None
        cfg.resume, cfg.load_from = found is not None, found or start
        add_plain_checkpoints(cfg)
        Runner.from_cfg(cfg).train()
    return last


def network_rows(models: dict[str, torch.nn.Module], size: int) -> tuple[dict[str, dict], dict[str, list[LayerShape]]]:
    """Parameters, MACs and measured milliseconds (batch 1, side by side) of each network, and its layers."""
    image = torch.zeros(1, 3, size, size)
    layers = {name: trace_layers(m, image, raw_outputs) for name, m in models.items()}

    def call(model) -> Callable[[], object]:
        return torch.inference_mode()(lambda: raw_outputs(model, image))

    times = interleaved_medians({name: call(m) for name, m in models.items()})
    rows = {
        name: dict(
            parameters=count_parameters(m),
            macs=sum(COSTS['macs'](layer, layer.in_width, layer.out_width) for layer in layers[name]),
            latency_ms=times[name])
        for name, m in models.items()
    }
    return rows, layers


def summary_table(rows: dict[str, dict], results: dict[str, RobustnessResult]) -> str:
    """The table people look at first."""
    lines = [f'{"":8}{"mAP":>8}{"mAP_C":>8}{"R_C":>8}{"params":>12}{"MACs":>12}{"ms":>9}']
    for name, row in rows.items():
        r = results[name]
        lines.append(f'{name:8}{r.clean:8.3f}{r.mean_corrupted:8.3f}{r.relative:8.3f}'
                     f'{row["parameters"] / 1e6:10.3f} M{row["macs"] / 1e6:10.1f} M{row["latency_ms"]:9.1f}')
    return '\n'.join(lines)


def draw_widths(layers: dict[str, list[LayerShape]], path: str) -> None:
    """The picture of channel widths before and after."""
    before, after = ({layer.name: layer.out_width for layer in layers[name] if layer.kernel_area} for name in STAGES)
    draw_channels(before, after, path)


def run_quickstart(data_folder: Optional[str], work_dir: str, configs: str) -> None:
    """Runs every stage that is not done yet and writes results and pictures to ``work_dir``.

    Args:
        data_folder: The user's data in Pascal VOC layout; None draws the project's own.
        work_dir: Where everything goes.
        configs: The folder of configs.
    """
    from mmadasap.visualization.detections import detect_on_versions
    start = time.time()
    os.makedirs(work_dir, exist_ok=True)
    data = find_data(data_folder, work_dir)
    claim_folder(work_dir, data)
    cfgs, checkpoints = {}, {}
    for stage in STAGES:
        print(f'[quickstart] {stage}: {(time.time() - start) / 60:.1f} min so far', flush=True)
        cfgs[stage] = stage_config(stage, data, work_dir, configs)
        checkpoints[stage] = train_stage(cfgs[stage], checkpoints.get('dense'))
    models = {stage: load_network(cfgs[stage], path) for stage, path in checkpoints.items()}
    rows, layers = network_rows(models, cfgs['dense'].input_size)
    draw_widths(layers, osp.join(work_dir, 'channels.png'))
    images, detections = detect_on_versions(models, cfgs['dense'], SHOWN, SEVERITY)
    draw_panels(images, detections, data.classes, osp.join(work_dir, 'detections.png'))
    print(f'[quickstart] corrupted images: {(time.time() - start) / 60:.1f} min so far', flush=True)
    corruptions = SUBSETS['paper18']
    results = {s: evaluate_robustness(cfgs[s], path, corruptions, [SEVERITY]) for s, path in checkpoints.items()}
    write_json(osp.join(work_dir, 'results.json'), dict(
        data=data.folder, classes=data.classes, severity=SEVERITY, checkpoints=checkpoints,
        models={s: rows[s] | results[s].to_dict() for s in STAGES}))
    text = f'{summary_table(rows, results)}\n{MEANING.format(corruptions=len(corruptions), severity=SEVERITY)}'
    print(f'\n{format_results(results)}\n\n{text}')
    print(f'Done in {(time.time() - start) / 60:.1f} min. Look into {work_dir}: detections.png, channels.png, '
          f'results.json; the slim model is {checkpoints["slim"]} with its config {work_dir}/slim/slim.py.')
