"""Configs of data loaders over corrupted images, made on the fly or stored."""
import copy
import os.path as osp
from collections.abc import Callable

from mmadasap.corruption.manifest import read_header
from mmadasap.errors import UserError


def corrupted_loader(loader: dict, corruption: str, severity: int, seed: int = 0) -> dict:
    """The dataloader config with images corrupted on the fly.

    A ``Corrupt`` that the pipeline holds already stays where it is and takes these arguments; else one goes in right
    after ``LoadImageFromFile``, or first where images come from memory (taken as RGB, as CIFAR's are).
    """

    def corrupted(dataset: dict) -> dict:
        step = dict(corruption=corruption, severity=severity, seed=seed)
        pipeline = list(dataset['pipeline'])
        present, loading = _find(pipeline, 'Corrupt'), _find(pipeline, 'LoadImageFromFile')
        if present is not None:
            pipeline[present] = dict(pipeline[present], **step)
        elif loading is not None:
            pipeline.insert(loading + 1, dict(type='mmadasap.Corrupt', root=_image_root(dataset), **step))
        else:
            pipeline.insert(0, dict(type='mmadasap.Corrupt', channel_order='rgb', **step))
        return dict(dataset, pipeline=pipeline)

    return _with_datasets(loader, corrupted)


def stored_loader(loader: dict, folder: str, corruption: str, severity: int) -> dict:
    """The dataloader config over a copy of its data set that ``tools/build_corrupted_dataset.py`` stored.

    Raises:
        UserError: ``folder`` holds no such copy.
    """
    cell = osp.join(folder, corruption, str(severity))
    header = read_header(cell)

    def stored(dataset: dict) -> dict:
        pipeline = [step for step in dataset['pipeline'] if _kind(step) != 'Corrupt']
        # ImageNet's split would name a folder and a list of the original.
        rest = {key: value for key, value in dataset.items() if key != 'split'}
        return rest | dict(data_root=cell, pipeline=pipeline) | copy.deepcopy(header['dataset'])

    return _with_datasets(loader, stored)


def _with_datasets(loader: dict, change: Callable[[dict], dict]) -> dict:
    """The dataloader config with every data set that has a pipeline changed, also inside wrappers.

    Raises:
        UserError: There is none.
    """
    count = 0

    def walk(dataset: dict) -> dict:
        nonlocal count
        if 'datasets' in dataset:
            dataset['datasets'] = [walk(part) for part in dataset['datasets']]
        if 'dataset' in dataset:
            dataset['dataset'] = walk(dataset['dataset'])
        if 'pipeline' not in dataset or 'datasets' in dataset or 'dataset' in dataset:
            return dataset
        count += 1
        return change(dataset)

    loader = copy.deepcopy(loader)
    loader['dataset'] = walk(loader['dataset'])
    if not count:
        raise UserError('test_dataloader.dataset has no pipeline, so there is no place to corrupt images; add one that '
                        'starts with LoadImageFromFile.')
    return loader


def _kind(step: dict) -> str:
    kind = step['type']
    return (kind if isinstance(kind, str) else kind.__name__).rpartition('.')[2]


def _find(pipeline: list[dict], kind: str):
    return next((i for i, step in enumerate(pipeline) if _kind(step) == kind), None)


def _image_root(dataset: dict) -> str:
    """The folder that image paths are told from, so that a data set may lie anywhere."""
    prefix = dataset.get('data_prefix') or dataset.get('split') or ''
    if not isinstance(prefix, str):
        prefix = next((prefix[key] for key in ('img_path', 'img', 'sub_data_root') if key in prefix), '')
    return osp.join(dataset.get('data_root') or '', prefix)
